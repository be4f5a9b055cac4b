/* ./dev bench idle [N]: N idle connections between two hosts in two processes, over loopback: what
 * each costs in memory, and whether every keep-alive comes back. One line, JSON. Exit status 0 when
 * each side needs at most 32 KiB a connection and none was lost, 1 otherwise, 77 when this machine
 * does not allow so many descriptors. */
#include "controlplane/behaviours/identify.h"
#include "controlplane/behaviours/ping.h"
#include "controlplane/host/host.h"
#include "controlplane/host/loop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_BYTES (32u << 10)
#define UNDER_WAY   32u /* dials at once */
#define HOSTS       64u /* of the dialler: peers are told apart by their keys */
#define NOT_HERE    77

struct side {
    struct haul_loop *loop;
    struct haul_host *hosts[HOSTS];
    struct haul_key keys[HOSTS];
    uint32_t host_count;
    uint32_t wanted, dialled, up, lost;
    uint64_t before_bytes;
    struct haul_multiaddr to;
    int pipe_fd;
    bool failed;
};

struct result {
    uint64_t bytes;
    uint32_t up, lost;
};

static const struct haul_protocol protocols[] = {
    { .behaviour = &haul_identify_behaviour },
    { .behaviour = &haul_identify_push_behaviour },
    { .behaviour = &haul_ping_behaviour },
    { 0 },
};

static uint64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long long whole = 0, resident = 0;

    if (file != NULL && fscanf(file, "%llu %llu", &whole, &resident) != 2)
        resident = 0;
    if (file != NULL)
        fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void on_connected(void *context, uint64_t connection, const struct haul_peer_id *peer,
                         const struct haul_addr *address, bool inbound)
{
    (void)connection;
    (void)peer;
    (void)address;
    (void)inbound;
    ((struct side *)context)->up++;
}

static void on_disconnected(void *context, uint64_t connection, const struct haul_peer_id *peer,
                            enum haul_error_code why)
{
    (void)connection;
    (void)peer;
    (void)why;
    ((struct side *)context)->lost++;
}

static bool side_open(struct side *side, uint32_t hosts)
{
    struct haul_host_conf conf = {
        .agent = "idle/1",
        .protocols = protocols,
        .securities = { HAUL_SECURITY_NOISE, HAUL_SECURITY_TLS },
        .security_count = 2,
        .connections_max = side->wanted + 16,
        .half_open_max = 2 * UNDER_WAY,
        .streams_per_connection_max = 256,
        .context = side,
        .connected = on_connected,
        .disconnected = on_disconnected,
    };
    struct haul_error error;
    uint8_t secret[32];

    if (haul_loop_open(&side->loop, &error) < 0)
        return false;
    conf.loop = side->loop;
    for (; side->host_count < hosts; side->host_count++) {
        struct haul_key *key = &side->keys[side->host_count];

        memset(secret, (int)(hosts + side->host_count), sizeof secret);
        haul_key_from_seed(key, secret);
        conf.key = key;
        if (haul_host_open(&side->hosts[side->host_count], &conf, &error) < 0)
            return false;
    }
    side->before_bytes = resident_bytes();
    return true;
}

static void on_time(void *context)
{
    haul_loop_stop(((struct side *)context)->loop);
}

static void run_for(struct side *side, haul_time span)
{
    struct haul_timer *timer = haul_loop_timer(side->loop, on_time, side);

    haul_loop_timer_set(timer, haul_loop_now(side->loop) + span);
    haul_loop_run(side->loop, NULL, NULL);
    haul_loop_timer_free(timer);
}

static struct result side_result(const struct side *side)
{
    struct result result = { .up = side->up - side->lost, .lost = side->lost };
    uint64_t now = resident_bytes();

    result.bytes = now > side->before_bytes ? now - side->before_bytes : 0;
    return result;
}

/* --- the listener, in a process of its own --- */

static void on_pipe(void *context, unsigned ready)
{
    (void)ready;
    haul_loop_stop(((struct side *)context)->loop);
}

static int listener(uint32_t count, int pipe_fd)
{
    struct side side = { .wanted = count, .pipe_fd = pipe_fd };
    struct haul_addr address = { .family = 4, .ip = { 127, 0, 0, 1 } };
    struct haul_error error;
    struct result result;
    char order;

    if (!side_open(&side, 1) || haul_host_listen(side.hosts[0], &address, &address, &error) < 0)
        return 1;
    if (write(pipe_fd, &address, sizeof address) != (ssize_t)sizeof address)
        return 1;
    if (haul_loop_watch(side.loop, pipe_fd, HAUL_LOOP_READ, on_pipe, &side) == NULL)
        return 1;
    haul_loop_run(side.loop, NULL, NULL);
    result = side_result(&side);
    if (read(pipe_fd, &order, 1) != 1 ||
        write(pipe_fd, &result, sizeof result) != (ssize_t)sizeof result)
        return 1;
    (void)read(pipe_fd, &order, 1); /* until the other side has ended */
    return 0;
}

/* --- the dialler --- */

static haul_dial_fn on_dialled;

static void dial_next(struct side *side)
{
    struct haul_host *host = side->hosts[side->dialled++ % side->host_count];

    haul_host_dial(host, NULL, &side->to, 1, HAUL_TIME_NEVER, on_dialled, side);
}

static void on_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    struct side *side = context;

    (void)connection;
    if (error != NULL) {
        fprintf(stderr, "idle_bench: %s\n", error->text);
        side->failed = true;
        haul_loop_stop(side->loop);
        return;
    }
    if (side->dialled < side->wanted) {
        dial_next(side);
    } else if (side->up == side->wanted) {
        haul_loop_stop(side->loop);
    }
}

static int dialler(uint32_t count, int pipe_fd, haul_time rest)
{
    struct side side = { .wanted = count, .pipe_fd = pipe_fd };
    struct result theirs = { 0 }, ours;
    struct haul_addr address;
    bool good;

    if (read(pipe_fd, &address, sizeof address) != (ssize_t)sizeof address ||
        !side_open(&side, HOSTS))
        return 1;
    haul_multiaddr_from_tcp(&side.to, &address);
    for (uint32_t i = 0; i < UNDER_WAY && side.dialled < count; i++) {
        dial_next(&side);
    }
    haul_loop_run(side.loop, NULL, NULL);
    if (!side.failed)
        run_for(&side, rest);
    ours = side_result(&side);
    if (write(pipe_fd, "x", 1) != 1 || read(pipe_fd, &theirs, sizeof theirs) != sizeof theirs)
        return 1;
    good = !side.failed && ours.up == count && theirs.up == count && ours.lost + theirs.lost == 0 &&
           ours.bytes / count <= LIMIT_BYTES && theirs.bytes / count <= LIMIT_BYTES;
    printf("{\"event\":\"idle\",\"connections\":%" PRIu32 ",\"rest_s\":%" PRIu64
           ",\"lost\":%" PRIu32 ",\"dialler_bytes_each\":%" PRIu64
           ",\"listener_bytes_each\":%" PRIu64 ",\"limit_bytes\":%u,\"ok\":%s}\n",
           ours.up, rest / HAUL_SECOND, ours.lost + theirs.lost, ours.bytes / count,
           theirs.bytes / count, LIMIT_BYTES, good ? "true" : "false");
    return good ? 0 : 1;
}

static bool descriptors(uint32_t count)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return false;
    if (limit.rlim_cur >= count + 64u)
        return true;
    limit.rlim_cur = count + 64u;
    if (limit.rlim_max < limit.rlim_cur)
        limit.rlim_max = limit.rlim_cur;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

int main(int argc, char **argv)
{
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000;
    haul_time rest = (argc > 2 ? strtoull(argv[2], NULL, 10) : 40) * HAUL_SECOND;
    int pair[2], status = 1;
    pid_t child;

    if (count == 0 || count > 30000) {
        fprintf(stderr, "usage: idle_bench [CONNECTIONS (at most 30000) [SECONDS OF REST]]\n");
        return 2;
    }
    if (!descriptors(count)) {
        fprintf(stderr, "idle_bench: this machine does not allow %u descriptors\n", count + 64);
        return NOT_HERE;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || (child = fork()) < 0)
        return 1;
    if (child == 0) {
        close(pair[0]);
        _exit(listener(count, pair[1]));
    }
    close(pair[1]);
    status = dialler(count, pair[0], rest);
    close(pair[0]);
    waitpid(child, NULL, 0);
    return status;
}
