/* Asking: requests go out as soon as the stream takes them, answers are matched with the oldest
 * fetch, and their bytes are copied from the decrypted input straight to their place. */
#include "common/counters.h"
#include "controlplane/behaviours/blocks.h"
#include "controlplane/behaviours/blocks_parts.h"

#include <stdlib.h>
#include <string.h>

struct fetch {
    struct haul_blocks_request request;
    uint8_t *slot; /* NULL: cancelled */
    haul_blocks_done_fn *done;
    void *context;
};

struct haul_blocks_client {
    struct haul_blocks *blocks;
    struct haul_loop *loop;
    struct haul_stream *stream; /* NULL: gone */
    struct haul_timer *timer;
    haul_time moved_at; /* the last byte, or when the first fetch began to wait */
    haul_blocks_ended_fn *ended;
    void *context;
    enum haul_error_code why;
    bool opened;
    bool closed;  /* by its user */
    bool calling; /* the stream's end is being told: it is freed behind that */
    uint32_t head;
    uint32_t count;
    uint32_t unsent; /* the newest ones, whose requests have not gone out */
    uint8_t header[HAUL_BLOCKS_ANSWER_BYTES];
    uint32_t header_bytes;
    struct haul_blocks_answer answer; /* while its bytes arrive */
    uint32_t got;
    struct fetch fetches[HAUL_BLOCKS_FETCHES_MAX];
};

static void on_timer(void *context)
{
    struct haul_blocks_client *client = context;
    haul_time now = haul_loop_now(client->loop);

    if (client->stream == NULL || client->count == 0)
        return;
    if (now < client->moved_at + client->blocks->patience) {
        haul_loop_timer_set(client->timer, client->moved_at + client->blocks->patience);
        return;
    }
    haul_counter_add(&client->blocks->counters.stalled, 1);
    client->why = HAUL_E_TIMEOUT;
    haul_stream_reset(client->stream);
}

struct haul_blocks_client *haul_blocks_client_open(struct haul_blocks *blocks,
                                                   struct haul_host *host, uint64_t connection,
                                                   haul_blocks_ended_fn *ended, void *context)
{
    struct haul_blocks_client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return NULL;
    client->blocks = blocks;
    client->loop = haul_host_loop(host);
    client->ended = ended;
    client->context = context;
    client->why = HAUL_E_PEER_GONE;
    client->timer = haul_loop_timer(client->loop, on_timer, client);
    if (client->timer != NULL)
        client->stream = haul_host_stream(host, connection, blocks->behaviour, client);
    if (client->stream == NULL) {
        haul_loop_timer_free(client->timer);
        free(client);
        return NULL;
    }
    return client;
}

static void free_client(struct haul_blocks_client *client)
{
    haul_loop_timer_free(client->timer);
    free(client);
}

void haul_blocks_client_close(struct haul_blocks_client *client)
{
    if (client == NULL)
        return;
    client->closed = true;
    if (client->stream != NULL)
        haul_stream_reset(client->stream); /* blocks_client_closed frees */
    else if (!client->calling)
        free_client(client);
}

static struct fetch *fetch_at(struct haul_blocks_client *client, uint32_t number)
{
    return &client->fetches[(client->head + number) % HAUL_BLOCKS_FETCHES_MAX];
}

static void send_requests(struct haul_blocks_client *client)
{
    while (client->opened && client->unsent > 0) {
        uint8_t data[HAUL_BLOCKS_REQUEST_BYTES];

        haul_blocks_request_encode(&fetch_at(client, client->count - client->unsent)->request,
                                   data);
        if (!haul_stream_send(client->stream, data, sizeof data))
            return; /* writable follows */
        client->unsent--;
    }
}

bool haul_blocks_fetch(struct haul_blocks_client *client, const struct haul_blocks_request *request,
                       uint8_t *slot, haul_blocks_done_fn *done, void *context)
{
    if (client->stream == NULL || client->closed || client->count == HAUL_BLOCKS_FETCHES_MAX)
        return false;
    if (client->count == 0) {
        client->moved_at = haul_loop_now(client->loop);
        haul_loop_timer_set(client->timer, client->moved_at + client->blocks->patience);
    }
    *fetch_at(client, client->count) =
        (struct fetch){ .request = *request, .slot = slot, .done = done, .context = context };
    client->count++;
    client->unsent++;
    send_requests(client);
    return true;
}

void haul_blocks_cancel(struct haul_blocks_client *client, void *context)
{
    for (uint32_t i = 0; i < client->count; i++) {
        if (fetch_at(client, i)->context == context)
            fetch_at(client, i)->slot = NULL;
    }
}

/* Ends the oldest fetch. */
static void finish(struct haul_blocks_client *client, enum haul_blocks_status status)
{
    struct fetch fetch = *fetch_at(client, 0);
    struct haul_blocks_answer answer = client->answer;

    client->head = (client->head + 1) % HAUL_BLOCKS_FETCHES_MAX;
    client->count--;
    client->header_bytes = 0;
    if (status == HAUL_BLOCKS_OK) {
        haul_counter_add(&client->blocks->counters.fetched, 1);
        haul_counter_add(&client->blocks->counters.fetched_bytes, answer.count);
    }
    if (fetch.slot == NULL || client->closed)
        return;
    fetch.done(fetch.context, status, &answer);
}

/* A whole header: does it answer what was asked? */
static bool take_header(struct haul_blocks_client *client)
{
    const struct fetch *fetch = fetch_at(client, 0);
    uint32_t offset;
    uint32_t count;

    if (!haul_blocks_answer_decode(client->header, sizeof client->header, &client->answer))
        return false;
    client->got = 0;
    if (client->answer.status != HAUL_BLOCKS_OK)
        return true;
    haul_blocks_range(&fetch->request, client->answer.total, &offset, &count);
    return client->answer.offset == offset && client->answer.count == count;
}

static size_t break_off(struct haul_blocks_client *client, size_t bytes)
{
    haul_counter_add(&client->blocks->counters.broken, 1);
    client->why = HAUL_E_PEER_PROTOCOL;
    haul_stream_reset(client->stream);
    return bytes;
}

/* Takes the next part of an answer; 0 when it makes no sense. */
static size_t take_part(struct haul_blocks_client *client, const uint8_t *data, size_t bytes)
{
    const struct fetch *fetch = fetch_at(client, 0);
    size_t part;

    if (client->header_bytes < sizeof client->header) {
        part = sizeof client->header - client->header_bytes;
        if (part > bytes)
            part = bytes;
        memcpy(client->header + client->header_bytes, data, part);
        client->header_bytes += (uint32_t)part;
        if (client->header_bytes == sizeof client->header && !take_header(client))
            return 0;
    } else {
        part = client->answer.count - client->got;
        if (part > bytes)
            part = bytes;
        if (fetch->slot != NULL)
            memcpy(fetch->slot + client->answer.offset + client->got, data, part);
        client->got += (uint32_t)part;
    }
    if (client->header_bytes == sizeof client->header && client->got == client->answer.count)
        finish(client, client->answer.status);
    return part;
}

size_t blocks_client_input(struct haul_blocks_client *client, const uint8_t *data, size_t bytes)
{
    size_t taken = 0;

    client->moved_at = haul_loop_now(client->loop);
    while (taken < bytes && !client->closed) {
        size_t part = 0;

        if (client->count > client->unsent) /* something was asked */
            part = take_part(client, data + taken, bytes - taken);
        if (part == 0)
            return break_off(client, bytes);
        taken += part;
    }
    return bytes;
}

void blocks_client_opened(struct haul_stream *stream, struct haul_blocks_client *client)
{
    client->opened = true;
    send_requests(client);
}

void blocks_client_writable(struct haul_blocks_client *client)
{
    send_requests(client);
}

/* The answerer closed its half: nothing more will come. */
void blocks_client_ended(struct haul_blocks_client *client)
{
    haul_stream_reset(client->stream);
}

void blocks_client_closed(struct haul_blocks_client *client, enum haul_stream_end end)
{
    client->stream = NULL;
    if (end == HAUL_STREAM_REFUSED)
        client->why = HAUL_E_REFUSED;
    client->unsent = 0;
    client->answer = (struct haul_blocks_answer){ .status = HAUL_BLOCKS_LOST };
    client->calling = true; /* a close from within a call frees below */
    while (client->count > 0)
        finish(client, HAUL_BLOCKS_LOST);
    if (!client->closed)
        client->ended(client->context, client->why);
    client->calling = false;
    if (client->closed)
        free_client(client);
}
