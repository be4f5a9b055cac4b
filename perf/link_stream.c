/* The stream form of the link. A direction is a queue of pipes: bytes are spliced from one socket
 * into the newest pipe and, when their time has come, from the oldest into the other socket. */
#include "common/clock.h"
#include "perf/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CELLS     1024u
#define PIPE_SIZE (1 << 20)
#define GATHER    (200 * HAUL_MICROSECOND) /* what comes within this time shares a cell */

struct cell {
    int pipe[2];
    size_t bytes;
    haul_time begun, due;
};

struct way {
    int from, to;
    struct cell cells[CELLS];
    uint32_t head, count;
    haul_time busy;
    bool ended;  /* `from` has no more */
    bool closed; /* and `to` has been told */
    bool full;   /* the newest pipe takes no more */
};

struct relay {
    const struct link_conf *conf;
    struct way ways[2];
    haul_time open_at; /* when a handshake over this link would have ended */
};

static struct cell *cell_new(struct way *way, haul_time now)
{
    struct cell *cell = &way->cells[(way->head + way->count) % CELLS];

    if (cell->pipe[1] == 0) {
        if (pipe2(cell->pipe, O_NONBLOCK) < 0)
            return NULL;
        (void)fcntl(cell->pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
    }
    way->count++;
    way->full = false;
    cell->bytes = 0;
    cell->begun = now;
    return cell;
}

/* The cell that takes what comes now; NULL when all are in use. */
static struct cell *cell_for(struct way *way, haul_time now)
{
    struct cell *newest = &way->cells[(way->head + way->count - 1) % CELLS];

    if (way->count > 0 && !way->full && now < newest->begun + GATHER)
        return newest;
    return way->count < CELLS ? cell_new(way, now) : NULL;
}

static bool wants_input(const struct relay *relay, const struct way *way, haul_time now)
{
    return !way->ended && way->count < CELLS && link_room(relay->conf, now, way->busy);
}

/* False when the connection is broken. */
static bool take(struct relay *relay, struct way *way, haul_time now)
{
    haul_time from = now > relay->open_at ? now : relay->open_at;
    size_t most = PIPE_SIZE;
    struct cell *cell;
    ssize_t bytes;

    if (!wants_input(relay, way, now) || (cell = cell_for(way, now)) == NULL)
        return true;
    if (relay->conf->rate != 0 && relay->conf->rate / 5000 < most) /* 200 us of it at once */
        most = relay->conf->rate / 5000 + 1;
    bytes = splice(way->from, NULL, cell->pipe[1], NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (bytes > 0) {
        cell->bytes += (size_t)bytes;
        cell->due = link_due(relay->conf, from, (size_t)bytes, &way->busy);
        return true;
    }
    if (bytes == 0)
        way->ended = true;
    else if (errno != EAGAIN && errno != EINTR)
        return false;
    else
        way->full = true; /* the pipe, or nothing was there */
    if (cell->bytes == 0)
        way->count--;
    return true;
}

/* False when the connection is broken. `blocked` when the socket takes no more now. */
static bool give(struct way *way, haul_time now, bool *blocked)
{
    while (way->count > 0 && way->cells[way->head].due <= now) {
        struct cell *cell = &way->cells[way->head];
        ssize_t bytes = splice(cell->pipe[0], NULL, way->to, NULL, cell->bytes,
                               SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

        if (bytes < 0) {
            *blocked = errno == EAGAIN;
            return errno == EAGAIN || errno == EINTR;
        }
        cell->bytes -= (size_t)bytes;
        if (cell->bytes > 0)
            continue;
        way->head = (way->head + 1) % CELLS;
        way->count--;
    }
    if (way->ended && way->count == 0 && !way->closed) {
        way->closed = true;
        shutdown(way->to, SHUT_WR);
    }
    return true;
}

/* How long nothing can happen but input. */
static haul_time rest(const struct relay *relay, haul_time now)
{
    haul_time least = HAUL_SECOND;

    for (size_t i = 0; i < 2; i++) {
        const struct way *way = &relay->ways[i];
        haul_time due = way->count > 0 ? way->cells[way->head].due : HAUL_TIME_NEVER;

        if (way->count > 0 && due <= now)
            continue; /* blocked: the socket tells */
        if (way->count > 0 && due - now < least)
            least = due - now;
        if (!link_room(relay->conf, now, way->busy))
            least = 200 * HAUL_MICROSECOND;
    }
    return least;
}

static bool turn(struct relay *relay)
{
    haul_time now = haul_clock_read();
    struct pollfd polls[2] = { { .fd = relay->ways[0].from }, { .fd = relay->ways[1].from } };
    struct timespec wait = { 0 };

    for (size_t i = 0; i < 2; i++) {
        bool blocked = false;

        if (!give(&relay->ways[i], now, &blocked))
            return false;
        if (blocked)
            polls[1 - i].events |= POLLOUT;
        if (wants_input(relay, &relay->ways[i], now))
            polls[i].events |= POLLIN;
    }
    for (size_t i = 0; i < 2; i++) {
        if (polls[i].events == 0)
            polls[i].fd = -1; /* a hang-up would only wake us */
    }
    wait.tv_nsec = (long)(rest(relay, now) - 1);
    if (ppoll(polls, 2, &wait, NULL) < 0 && errno != EINTR)
        return false;
    now = haul_clock_read();
    for (size_t i = 0; i < 2; i++) {
        if ((polls[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
            !take(relay, &relay->ways[i], now))
            return false;
    }
    return !(relay->ways[0].closed && relay->ways[1].closed);
}

static void *relay_run(void *argument)
{
    struct relay *relay = argument;

    while (turn(relay)) {
    }
    close(relay->ways[0].from);
    close(relay->ways[1].from);
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < CELLS; j++) {
            if (relay->ways[i].cells[j].pipe[1] != 0) {
                close(relay->ways[i].cells[j].pipe[0]);
                close(relay->ways[i].cells[j].pipe[1]);
            }
        }
    }
    free(relay);
    return NULL;
}

static void relay_start(const struct link_conf *conf, int client, const struct sockaddr_in *target)
{
    struct relay *relay = calloc(1, sizeof *relay);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    pthread_t thread;

    if (relay == NULL || server < 0 ||
        connect(server, (const struct sockaddr *)target, sizeof *target) < 0)
        goto fail;
    (void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)fcntl(server, F_SETFL, O_NONBLOCK);
    (void)fcntl(client, F_SETFL, O_NONBLOCK);
    relay->conf = conf;
    relay->open_at = haul_clock_read() + 2 * conf->delay;
    relay->ways[0].from = relay->ways[1].to = client;
    relay->ways[1].from = relay->ways[0].to = server;
    if (pthread_create(&thread, NULL, relay_run, relay) != 0)
        goto fail;
    pthread_detach(thread);
    return;
fail:
    if (server >= 0)
        close(server);
    close(client);
    free(relay);
}

static bool target_read(const char *text, struct sockaddr_in *target)
{
    char address[64];
    const char *colon = strrchr(text, ':');
    unsigned long port = colon != NULL ? strtoul(colon + 1, NULL, 10) : 0;

    if (colon == NULL || (size_t)(colon - text) >= sizeof address || port == 0 || port > 65535)
        return false;
    memcpy(address, text, (size_t)(colon - text));
    address[colon - text] = 0;
    *target = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    return inet_pton(AF_INET, address, &target->sin_addr) == 1;
}

int link_stream_run(struct link_conf *conf, struct haul_error *error)
{
    struct sockaddr_in target;
    struct sockaddr_in own = { .sin_family = AF_INET };
    socklen_t own_bytes = sizeof own;
    struct rlimit files;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!target_read(conf->target, &target))
        return haul_fail(error, HAUL_E_USAGE, "no address and port: %s", conf->target);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
    if (listener < 0 || bind(listener, (struct sockaddr *)&own, sizeof own) < 0 ||
        listen(listener, 64) < 0 || getsockname(listener, (struct sockaddr *)&own, &own_bytes) < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "cannot listen: %s", strerror(errno));
    printf("{\"event\":\"listening\",\"port\":%u}\n", ntohs(own.sin_port));
    fflush(stdout);
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (client >= 0)
            relay_start(conf, client, &target);
        else if (errno != EINTR && errno != ECONNABORTED)
            return haul_fail(error, HAUL_E_SYSTEM, "cannot accept: %s", strerror(errno));
    }
}
