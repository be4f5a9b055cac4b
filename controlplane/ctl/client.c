#include "controlplane/ctl/client.h"

#include "controlplane/ctl/ctl_socket.h"
#include "controlplane/ctl/server.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define HELD_BACK_MAX 16384u /* bytes of replies that may wait for company */

int haul_client_open(struct haul_client *client, const struct haul_home *home,
                     struct haul_error *error)
{
    int fd;

    if (haul_ctl_socket_connect(home, &fd, error) < 0)
        return -1;
    *client = (struct haul_client){ 0 };
    haul_channel_init(&client->channel, fd, HAUL_CHANNEL_FRAME_MAX);
    return 0;
}

void haul_client_close(struct haul_client *client)
{
    haul__ctl__answer__free_unpacked(client->answer, NULL);
    client->answer = NULL;
    haul_channel_fini(&client->channel);
}

static int node_gone(struct haul_error *error)
{
    return haul_fail(error, HAUL_E_NODE_ABSENT, "the node went away during the request");
}

/* 0, or -1 when the node has gone; what it said last may still be read. */
static int flush(struct haul_client *client, struct haul_error *error)
{
    return haul_channel_flush(&client->channel) < 0 ? node_gone(error) : 0;
}

int haul_client_ask(struct haul_client *client, Haul__Ctl__Ask *ask, struct haul_error *error)
{
    size_t bytes;
    uint8_t *room;

    ask->version = 1;
    bytes = haul__ctl__ask__get_packed_size(ask);
    if (bytes > HAUL_CTL_ASK_BYTES_MAX)
        return haul_fail(error, HAUL_E_LIMIT, "a request of %zu bytes, where %u are the most",
                         bytes, HAUL_CTL_ASK_BYTES_MAX);
    room = haul_channel_reserve(&client->channel, bytes);
    if (room == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the request");
    haul__ctl__ask__pack(ask, room);
    if (haul_channel_queue(&client->channel, bytes, -1) < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the request");
    return flush(client, error);
}

int haul_client_reply(struct haul_client *client, const Haul__Ctl__Reply *reply, int fd,
                      struct haul_error *error)
{
    size_t bytes = haul__ctl__reply__get_packed_size(reply);
    uint8_t *room = haul_channel_reserve(&client->channel, bytes);

    if (room == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for a reply");
    haul__ctl__reply__pack(reply, room);
    if (haul_channel_queue(&client->channel, bytes, fd) < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for a reply");
    /* Each descriptor held back is one that this process keeps open: not too many. */
    if (haul_channel_backlog(&client->channel) >= HELD_BACK_MAX ||
        client->channel.out_fds_used - client->channel.out_fds_at >= 32)
        return flush(client, error);
    return 0;
}

static int answer_take(struct haul_client *client, const uint8_t *data, size_t bytes,
                       const Haul__Ctl__Answer **answer, struct haul_error *error)
{
    enum haul_error_code code;

    client->answer = haul__ctl__answer__unpack(NULL, bytes, data);
    if (client->answer == NULL)
        return haul_fail(error, HAUL_E_INTERNAL, "the node's answer cannot be read");
    if (client->answer->what_case == HAUL__CTL__ANSWER__WHAT_FAIL) {
        code = haul_error_find(client->answer->fail->code);
        return haul_fail(error, code == HAUL_E_COUNT ? HAUL_E_INTERNAL : code, "%s",
                         client->answer->fail->text);
    }
    *answer = client->answer;
    return 1;
}

int haul_client_next(struct haul_client *client, int wait_ms, const Haul__Ctl__Answer **answer,
                     struct haul_error *error)
{
    const uint8_t *data;
    size_t bytes;

    haul__ctl__answer__free_unpacked(client->answer, NULL);
    client->answer = NULL;
    for (;;) {
        struct pollfd poll_fd = { .fd = client->channel.fd, .events = POLLIN };
        ssize_t got;
        int ready;

        if (haul_channel_next(&client->channel, &data, &bytes))
            return answer_take(client, data, bytes, answer, error);
        /* A node that ended the request may have said why: reading goes on after a failed write. */
        if (haul_channel_flush(&client->channel) < 0)
            client->channel.out_at = client->channel.out_used;
        ready = poll(&poll_fd, 1, wait_ms);
        if (ready < 0 && errno == EINTR)
            return 0;
        if (ready == 0)
            return 0;
        got = haul_channel_receive(&client->channel);
        if (got <= 0)
            return node_gone(error);
    }
}
