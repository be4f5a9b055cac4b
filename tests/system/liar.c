/* A provider that serves whatever it is told, for the faults that an honest node cannot be asked to
 * make: wrong bytes, hostile names, silence and rubbish on /haul/blocks/1. It knows no offer.
 *
 *   liar DIRECTORY CID [silent|rubbish|wrong|turning|hesitant|busy|failing]
 *
 * turning: honest at first, wrong from the 12th block on; hesitant: busy every other time; busy and
 * failing: at every request.
 *
 * DIRECTORY holds one file a block, named by the hexadecimal multihash. Prints a ticket for CID and
 * runs until standard input ends. */
#include "controlplane/behaviours/blocks.h"
#include "controlplane/behaviours/identify.h"
#include "controlplane/host/host.h"
#include "controlplane/host/loop.h"
#include "controlplane/ticket.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum manner { HONEST, SILENT, RUBBISH, WRONG, TURNING, HESITANT, BUSY, FAILING };

#define TURNS_AT 12u

static const char *directory;
static enum manner manner;
static uint32_t requests;

struct asked {
    uint8_t *out; /* answers that did not fit yet */
    size_t out_at, out_used;
};

static size_t block_read(const struct haul_hash *hash, uint8_t *data)
{
    char path[512];
    int at = snprintf(path, sizeof path, "%s/", directory);
    ssize_t got;
    int fd;

    for (size_t i = 0; i < HAUL_HASH_BYTES; i++)
        at += snprintf(path + at, sizeof path - (size_t)at, "%02x", hash->bytes[i]);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return SIZE_MAX;
    got = read(fd, data, HAUL_BLOCK_BYTES_MAX);
    close(fd);
    return got < 0 ? SIZE_MAX : (size_t)got;
}

static void flush(struct haul_stream *stream)
{
    struct asked *asked = haul_stream_state(stream);

    asked->out_at +=
        haul_stream_write(stream, asked->out + asked->out_at, asked->out_used - asked->out_at);
    if (asked->out_at == asked->out_used)
        asked->out_at = asked->out_used = 0;
}

static void answer(struct asked *asked, const uint8_t *data)
{
    struct haul_blocks_answer answer = { .status = HAUL_BLOCKS_UNKNOWN };
    struct haul_blocks_request request;
    size_t total;
    uint8_t *body;

    asked->out =
        realloc(asked->out, asked->out_used + HAUL_BLOCKS_ANSWER_BYTES + HAUL_BLOCK_BYTES_MAX);
    body = asked->out + asked->out_used + HAUL_BLOCKS_ANSWER_BYTES;
    total = haul_blocks_request_decode(data, HAUL_BLOCKS_REQUEST_BYTES, &request)
                ? block_read(&request.hash, body)
                : SIZE_MAX;
    requests++;
    if (manner == BUSY || (manner == HESITANT && requests % 2 == 1)) {
        answer.status = HAUL_BLOCKS_BUSY;
        answer.retry_ms = 5;
    } else if (manner == FAILING) {
        answer.status = HAUL_BLOCKS_FAILED;
    } else if (total != SIZE_MAX) {
        answer.status = HAUL_BLOCKS_OK;
        answer.total = (uint32_t)total;
        haul_blocks_range(&request, answer.total, &answer.offset, &answer.count);
        if (manner == WRONG || (manner == TURNING && requests >= TURNS_AT))
            body[total / 2] ^= 1;
        memmove(body, body + answer.offset, answer.count);
    }
    haul_blocks_answer_encode(&answer, asked->out + asked->out_used);
    asked->out_used += HAUL_BLOCKS_ANSWER_BYTES + answer.count;
}

static size_t on_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct asked *asked = haul_stream_state(stream);
    size_t taken = 0;

    if (manner == SILENT)
        return bytes;
    if (manner == RUBBISH) {
        static const uint8_t rubbish[64] = { 0xff, 0xff, 0xff, 0xff };

        (void)haul_stream_write(stream, rubbish, sizeof rubbish);
        return bytes;
    }
    while (bytes - taken >= HAUL_BLOCKS_REQUEST_BYTES) {
        answer(asked, data + taken);
        taken += HAUL_BLOCKS_REQUEST_BYTES;
    }
    flush(stream);
    return taken;
}

static void on_ended(struct haul_stream *stream)
{
    haul_stream_close(stream);
}

static void on_closed(struct haul_stream *stream, enum haul_stream_end end)
{
    struct asked *asked = haul_stream_state(stream);

    (void)end;
    free(asked->out);
}

static const struct haul_behaviour blocks = {
    .protocol = HAUL_BLOCKS_PROTOCOL,
    .state_bytes = sizeof(struct asked),
    .inbound_per_peer_max = 8,
    .window_bytes_max = 1u << 20,
    .input = on_input,
    .ended = on_ended,
    .writable = flush,
    .closed = on_closed,
};

static const struct haul_protocol protocols[] = {
    { .behaviour = &haul_identify_behaviour },
    { .behaviour = &haul_identify_push_behaviour },
    { .behaviour = &blocks },
    { 0 },
};

static void input_ready(void *context, unsigned ready)
{
    char byte;

    (void)ready;
    if (read(STDIN_FILENO, &byte, 1) <= 0)
        haul_loop_stop(context);
}

static int serve(const struct haul_cid *root, struct haul_error *error)
{
    struct haul_addr address = { .family = 4, .ip = { 127, 0, 0, 1 } };
    struct haul_ticket ticket = { .root = *root, .address_count = 1 };
    struct haul_host_conf conf = { .agent = "liar",
                                   .protocols = protocols,
                                   .connections_max = 16,
                                   .half_open_max = 16,
                                   .streams_per_connection_max = 64 };
    char text[HAUL_TICKET_TEXT_BYTES];
    struct haul_addr bound;
    struct haul_host *host;
    struct haul_loop *loop;
    struct haul_key key;
    uint8_t seed[32];

    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed || haul_loop_open(&loop, error) < 0)
        return -1;
    haul_key_from_seed(&key, seed);
    conf.loop = loop;
    conf.key = &key;
    if (haul_host_open(&host, &conf, error) < 0 ||
        haul_host_listen(host, &address, &bound, error) < 0)
        return -1;
    ticket.peer = key.id;
    haul_multiaddr_from_tcp(&ticket.addresses[0], &bound);
    haul_ticket_print(&ticket, text);
    puts(text);
    haul_peer_id_print(&key.id, text);
    puts(text);
    fflush(stdout);
    haul_loop_watch(loop, STDIN_FILENO, HAUL_LOOP_READ, input_ready, loop);
    haul_loop_run(loop, NULL, NULL);
    haul_host_close(host);
    haul_loop_close(loop);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const manners[] = { "honest",  "silent",   "rubbish", "wrong",
                                           "turning", "hesitant", "busy",    "failing" };
    struct haul_error error = { 0 };
    struct haul_cid root;

    if (argc < 3 || !haul_cid_parse(argv[2], &root)) {
        fputs("usage: liar DIRECTORY CID [MANNER]\n", stderr);
        return 2;
    }
    directory = argv[1];
    for (unsigned i = 0; argc > 3 && i < HAUL_COUNT_OF(manners); i++) {
        if (strcmp(argv[3], manners[i]) == 0)
            manner = (enum manner)i;
    }
    if (serve(&root, &error) < 0) {
        fprintf(stderr, "liar: %s\n", error.text);
        return 1;
    }
    return 0;
}
