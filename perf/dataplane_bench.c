/* The data path alone, for profiling: two processes, a generated source, a sink that verifies and
 * drops, and a grant made by hand over loopback. It is no measure of haul (that is `haul perf
 * loop`): no negotiation, no control plane.
 *
 *   dataplane_bench [seconds=2] [net=uring|mmsg] [cipher=aes|chacha|none] [payload=1408|8192]
 *                   [congestion=bbr|ledbat|fixed] [rate=BYTES_PER_SECOND] [verify=0|1] [spin=0|1]
 *                   [pin=0|1] [window=ORDERS] [slots=N] [runs=N] */
#include "common/clock.h"
#include "dataplane/dataplane.h"

#include "common/synthetic.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DISTINCT 256u /* blocks that differ; the rest of a run is these again */
#define FLOW     0u

struct options {
    unsigned long seconds, payload, rate, verify, spin, pin, window, slots, runs;
    const char *net, *cipher, *congestion;
};

struct end {
    struct haul_dataplane *plane;
    struct haul_handoff *handoff;
    struct haul_addr addr;
    uint64_t last_id;
};

/* Shared by both processes: made before the fork. */
static struct haul_hash hashes[DISTINCT];
static struct options options = {
    .seconds = 2,
    .payload = 8192,
    .verify = 1,
    .window = 128,
    .runs = 1,
    .net = "uring",
    .cipher = "aes",
    .congestion = "bbr",
};

static void fail(const char *what)
{
    fprintf(stderr, "dataplane_bench: %s\n", what);
    exit(1);
}

/* "name=value"; false when the name is another. */
static bool option_number(const char *argument, const char *name, unsigned long *value)
{
    size_t length = strlen(name);

    if (strncmp(argument, name, length) != 0 || argument[length] != '=')
        return false;
    *value = strtoul(argument + length + 1, NULL, 10);
    return true;
}

static bool option_text(const char *argument, const char *name, const char **value)
{
    size_t length = strlen(name);

    if (strncmp(argument, name, length) != 0 || argument[length] != '=')
        return false;
    *value = argument + length + 1;
    return true;
}

static void options_parse(int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        const char *argument = arguments[i];

        if (!option_number(argument, "seconds", &options.seconds) &&
            !option_number(argument, "payload", &options.payload) &&
            !option_number(argument, "rate", &options.rate) &&
            !option_number(argument, "verify", &options.verify) &&
            !option_number(argument, "spin", &options.spin) &&
            !option_number(argument, "pin", &options.pin) &&
            !option_number(argument, "window", &options.window) &&
            !option_number(argument, "slots", &options.slots) &&
            !option_number(argument, "runs", &options.runs) &&
            !option_text(argument, "net", &options.net) &&
            !option_text(argument, "cipher", &options.cipher) &&
            !option_text(argument, "congestion", &options.congestion))
            fail("unknown option");
    }
}

static void end_open(struct end *end, int cpu)
{
    struct haul_dataplane_conf conf = {
        .bind = { .family = 4, .ip = { 127, 0, 0, 1 } },
        .net_kind = strcmp(options.net, "mmsg") == 0 ? HAUL_NET_MMSG : HAUL_NET_URING,
        .store_kind = HAUL_STORE_MEMORY,
        .filling_slots = (uint32_t)options.slots,
        .serving_slots = (uint32_t)options.slots,
        .aead = "auto",
        .spin = options.spin != 0,
        .cpu = options.pin != 0 ? cpu : -1,
        .synthetic = true,
    };
    struct haul_dataplane_facts facts;
    struct haul_error error = { 0 };

    if (haul_dataplane_open(&end->plane, &conf, &error) < 0)
        fail(error.text);
    end->handoff = haul_dataplane_handoff(end->plane);
    haul_dataplane_facts(end->plane, &facts);
    end->addr = facts.net.local;
}

static void end_order(struct end *end, struct haul_order order)
{
    if (order.kind != HAUL_ORDER_SERVE)
        order.id = ++end->last_id;
    if (!haul_handoff_order(end->handoff, &order))
        fail("the ring of orders is full");
}

static void grant_make(struct haul_grant *grant, const uint8_t secrets[2][32], bool asker,
                       const struct haul_addr *peer)
{
    bool none = strcmp(options.cipher, "none") == 0;
    bool chacha = strcmp(options.cipher, "chacha") == 0;

    *grant = (struct haul_grant){
        .local_id = asker ? 1 : 2,
        .remote_id = asker ? 2 : 1,
        .cipher = none     ? HAUL_CIPHER_NONE
                  : chacha ? HAUL_CIPHER_CHACHA20_POLY1305
                           : HAUL_CIPHER_AES_128_GCM,
        .congestion = strcmp(options.congestion, "fixed") == 0    ? HAUL_CONGESTION_FIXED
                      : strcmp(options.congestion, "ledbat") == 0 ? HAUL_CONGESTION_LEDBAT
                                                                  : HAUL_CONGESTION_BBR,
        .asker = asker,
        .candidate_count = 1,
        .wants_max = 256,
        .payload_max = (uint16_t)options.payload,
        .rate_max = options.rate,
        .candidates = { *peer },
    };
    memcpy(grant->seal_secret, secrets[asker ? 0 : 1], 32);
    memcpy(grant->open_secret, secrets[asker ? 1 : 0], 32);
}

static void stats_print(const char *who, struct end *end, double seconds)
{
    const struct haul_flow_stats *stats = &end->handoff->stats[FLOW];
    struct haul_dataplane_facts facts;
    uint64_t bytes = stats->tx_bytes > stats->rx_bytes ? stats->tx_bytes : stats->rx_bytes;

    haul_dataplane_facts(end->plane, &facts);
    printf("  %-8s cpu %3.0f%%, %.3f ns a byte, turns %llu sleeps %llu | tx %llu datagrams %llu "
           "trains | rx %llu "
           "datagrams %llu trains, no buffer %llu, dropped %llu\n",
           who, 100 * (double)facts.worker_cpu_ns / 1e9 / seconds,
           (double)facts.worker_cpu_ns / (double)(bytes + 1),
           (unsigned long long)facts.worker.turns, (unsigned long long)facts.net_counters.waits,
           (unsigned long long)facts.net_counters.tx_datagrams,
           (unsigned long long)facts.net_counters.tx_trains,
           (unsigned long long)facts.net_counters.rx_datagrams,
           (unsigned long long)facts.net_counters.rx_trains,
           (unsigned long long)facts.net_counters.rx_no_buffer,
           (unsigned long long)facts.net_counters.rx_kernel_dropped);
    printf("  %-8s class %llu rtt %.0f us window %llu KiB pace %.2f GB/s lost %llu resent %llu B "
           "spurious %llu timeouts %llu limited: window %.0f pace %.0f wants %.0f ms\n",
           "", (unsigned long long)stats->payload_class, (double)stats->rtt_ns / 1e3,
           (unsigned long long)stats->window_bytes >> 10,
           (double)stats->pace_bytes_per_second / 1e9, (unsigned long long)stats->lost_datagrams,
           (unsigned long long)stats->tx_resent_bytes, (unsigned long long)stats->spurious_losses,
           (unsigned long long)stats->probe_timeouts, (double)stats->limited_window_ns / 1e6,
           (double)stats->limited_pace_ns / 1e6, (double)stats->limited_wants_ns / 1e6);
}

static void seeder_answer(struct end *end, const struct haul_event *wanted)
{
    struct haul_order order = { .kind = HAUL_ORDER_SERVE,
                                .flow = wanted->flow,
                                .id = wanted->id,
                                .length = HAUL_BLOCK_BYTES_MAX,
                                .place = { .kind = HAUL_PLACE_SYNTHETIC } };

    for (uint64_t i = 0; i < DISTINCT; i++) {
        if (haul_hash_equal(&hashes[i], &wanted->hash)) {
            order.place.at = i;
            end_order(end, order);
            return;
        }
    }
    fail("a want for a block that nobody has");
}

static int seeder_run(int channel)
{
    struct end end = { 0 };
    uint8_t secrets[2][32];
    struct haul_addr peer;
    haul_time start = haul_clock_read();
    bool over = false;

    end_open(&end, 1);
    if (write(channel, &end.addr, sizeof end.addr) != sizeof end.addr ||
        read(channel, &peer, sizeof peer) != sizeof peer ||
        read(channel, secrets, sizeof secrets) != sizeof secrets)
        fail("the channel between the processes broke");
    grant_make(&end.handoff->grants[FLOW], secrets, false, &peer);
    end_order(&end, (struct haul_order){ .kind = HAUL_ORDER_OPEN, .flow = FLOW });
    while (!over) {
        struct pollfd ready = { .fd = end.handoff->events_fd, .events = POLLIN };
        struct haul_event event;

        poll(&ready, 1, 1000);
        while (haul_handoff_next_event(end.handoff, &event)) {
            if (event.kind == HAUL_EVENT_WANTED)
                seeder_answer(&end, &event);
            over |= event.kind == HAUL_EVENT_DONE && event.order == HAUL_ORDER_OPEN;
        }
    }
    stats_print("seeder", &end, (double)(haul_clock_read() - start) / 1e9);
    haul_dataplane_close(end.plane);
    return 0;
}

static void asker_fetch(struct end *end, uint64_t number)
{
    struct haul_order order = { .kind = HAUL_ORDER_FETCH,
                                .flow = FLOW,
                                .length = HAUL_BLOCK_BYTES_MAX,
                                .hash = hashes[number % DISTINCT],
                                .place = { .kind = HAUL_PLACE_DISCARD } };

    if (options.verify == 0)
        order.place.flags = HAUL_PLACE_UNVERIFIED;
    end_order(end, order);
}

/* Fetches for a while; returns bytes a second, counted from the moment the path is up. */
static double asker_measure(struct end *end)
{
    haul_time start = haul_clock_read(), limit = start + options.seconds * HAUL_SECOND, now = start;
    uint64_t asked = 0, done = 0, bytes = 0;

    while (now < limit || done < asked) {
        struct pollfd ready = { .fd = end->handoff->events_fd, .events = POLLIN };
        struct haul_event event;

        while (now < limit && asked - done < options.window)
            asker_fetch(end, asked++);
        poll(&ready, 1, 1000);
        now = haul_clock_read();
        while (haul_handoff_next_event(end->handoff, &event)) {
            if (event.kind != HAUL_EVENT_DONE)
                continue;
            if (event.order == HAUL_ORDER_OPEN || event.status != HAUL_STATUS_DONE) {
                fprintf(stderr, "order %u, status %u\n", event.order, event.status);
                fail("a fetch failed");
            }
            done++;
            bytes += event.length;
        }
        if (now > limit + 10 * HAUL_SECOND)
            fail("the transfer stopped");
    }
    return (double)bytes / ((double)(now - start) / 1e9);
}

static void asker_run(int channel)
{
    struct end end = { 0 };
    uint8_t secrets[2][32];
    struct haul_addr peer;
    haul_time start = haul_clock_read();

    end_open(&end, 0);
    if (getrandom(secrets, sizeof secrets, 0) != sizeof secrets ||
        read(channel, &peer, sizeof peer) != sizeof peer ||
        write(channel, &end.addr, sizeof end.addr) != sizeof end.addr ||
        write(channel, secrets, sizeof secrets) != sizeof secrets)
        fail("the channel between the processes broke");
    grant_make(&end.handoff->grants[FLOW], secrets, true, &peer);
    end_order(&end, (struct haul_order){ .kind = HAUL_ORDER_OPEN, .flow = FLOW });
    for (unsigned long run = 0; run < options.runs; run++) {
        double rate = asker_measure(&end);

        printf("%s %s payload %lu %s verify %lu: %.3f GB/s, %.2f Gbit/s\n", options.net,
               options.cipher, options.payload, options.congestion, options.verify, rate / 1e9,
               rate * 8 / 1e9);
    }
    stats_print("asker", &end, (double)(haul_clock_read() - start) / 1e9);
    fflush(stdout);
    end_order(&end, (struct haul_order){ .kind = HAUL_ORDER_CLOSE, .flow = FLOW });
    poll(NULL, 0, 200);
    haul_dataplane_close(end.plane);
}

int main(int count, char **arguments)
{
    uint8_t *block = malloc(HAUL_BLOCK_BYTES_MAX);
    int channel[2], status = 0;
    pid_t child;

    options_parse(count, arguments);
    for (uint64_t i = 0; i < DISTINCT; i++) {
        haul_synthetic_fill(block, HAUL_BLOCK_BYTES_MAX, i);
        haul_hash_of(HAUL_HASH_BLAKE3, block, HAUL_BLOCK_BYTES_MAX, &hashes[i]);
    }
    free(block);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, channel) < 0)
        fail("no socket pair");
    child = fork();
    if (child == 0) {
        close(channel[0]);
        exit(seeder_run(channel[1]));
    }
    close(channel[1]);
    asker_run(channel[0]);
    close(channel[0]);
    waitpid(child, &status, 0);
    return status == 0 ? 0 : 1;
}
