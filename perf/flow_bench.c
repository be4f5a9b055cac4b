/* What the flow costs a datagram, without net, cipher and hash: two flows in one thread and in
 * virtual time, trains handed from the output of one to the input of the other. The cipher is none
 * at all: it touches no payload. The figure is held against 30 ns.
 *
 *   flow_bench [blocks=2048] [payload=1408|8192]
 *
 * Under callgrind (`--toggle-collect=haul_flow_input`) the instructions a datagram do not depend on
 * where the cores are. */
#include "common/clock.h"
#include "dataplane/flow/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WANTS       32u
#define TRAIN_BYTES 65000u
#define SEGMENTS    64u
#define STEP        (5 * HAUL_MICROSECOND)
#define LIMIT       (60 * HAUL_SECOND) /* of virtual time */
#define SEEDER      0u
#define ASKER       1u

struct side {
    struct haul_flow *flow;
    struct haul_flow_stats stats;
    struct haul_grant grant;
    struct haul_addr addr;
    bool up;
};

struct cost {
    uint64_t ns, datagrams, calls;
};

static struct side sides[2];
static uint8_t *slots, *block;
static uint64_t to_ask, done;
static struct cost output, input;
static uint64_t clock_ns; /* what a look at the clock costs */

static void none_key(struct haul_aead_context *context, const uint8_t *key)
{
    (void)context;
    (void)key;
}

static void none_wipe(struct haul_aead_context *context)
{
    (void)context;
}

static void none_seal(struct haul_aead_context *context, const uint8_t *nonce, const uint8_t *clear,
                      size_t clear_bytes, const uint8_t *from, size_t bytes, uint8_t *to)
{
    (void)context;
    (void)nonce;
    (void)clear;
    (void)clear_bytes;
    if (from < block || from >= block + HAUL_BLOCK_BYTES_MAX) /* frames are read at the other end */
        memmove(to, from, bytes);
}

static bool none_open(struct haul_aead_context *context, const uint8_t *nonce, const uint8_t *clear,
                      size_t clear_bytes, const uint8_t *from, size_t bytes, uint8_t *to)
{
    (void)context;
    (void)nonce;
    (void)clear;
    (void)clear_bytes;
    if (to < slots || to >= slots + WANTS * HAUL_BLOCK_BYTES_MAX)
        memmove(to, from, bytes);
    return true;
}

static void none_derive(const uint8_t secret[32], const char *label, uint8_t *to, size_t bytes)
{
    (void)label;
    memcpy(to, secret, bytes < 32 ? bytes : 32);
    if (bytes > 32)
        memset(to + 32, 0, bytes - 32);
}

static const struct haul_aead none = {
    .name = "none at all",
    .key_bytes = 16,
    .key = none_key,
    .wipe = none_wipe,
    .seal = none_seal,
    .open = none_open,
    .derive = none_derive,
};

static void side_open(unsigned number, uint16_t payload)
{
    struct side *side = &sides[number];
    struct haul_flow_conf conf = { .grant = &side->grant,
                                   .aead = &none,
                                   .stats = &side->stats,
                                   .seed = number + 1,
                                   .wants_max = WANTS,
                                   .payload_first = 1408 };

    side->addr = (struct haul_addr){ .family = 4,
                                     .ip = { 127, 0, 0, 1 },
                                     .port = (uint16_t)(4000 + number) };
    side->grant = (struct haul_grant){
        .local_id = number + 1,
        .remote_id = 2 - number,
        .cipher = HAUL_CIPHER_NONE,
        .congestion = HAUL_CONGESTION_FIXED,
        .asker = number == ASKER,
        .candidate_count = 1,
        .wants_max = WANTS,
        .payload_max = payload,
        .rate_max = UINT64_C(100000000000),
    };
    side->grant.candidates[0] = side->addr;
    side->grant.candidates[0].port = (uint16_t)(4001 - number);
    side->flow = haul_flow_init(aligned_alloc(64, (haul_flow_bytes(WANTS) + 63) / 64 * 64), &conf,
                                HAUL_SECOND);
}

static void blocks_ask(haul_time now)
{
    static uint64_t number;

    while (to_ask > 0) {
        struct haul_hash hash = { .bytes = { HAUL_HASH_BLAKE3, 32 } };

        memcpy(hash.bytes + 2, &number, sizeof number);
        if (haul_flow_want(sides[ASKER].flow, &hash, 0, HAUL_BLOCK_BYTES_MAX,
                           slots + number % WANTS * HAUL_BLOCK_BYTES_MAX, number,
                           now) == HAUL_FLOW_NO_HANDLE)
            return;
        number++;
        to_ask--;
    }
}

static void events_take(struct side *side, haul_time now)
{
    struct haul_flow_event event;

    while (haul_flow_event(side->flow, &event)) {
        if (event.kind == HAUL_FLOW_UP)
            side->up = true;
        if (event.kind == HAUL_FLOW_WANTED)
            haul_flow_serve(side->flow, event.handle, block, HAUL_BLOCK_BYTES_MAX, now);
        if (event.kind == HAUL_FLOW_FILLED) {
            haul_flow_verdict(side->flow, event.handle, true, now);
            done++;
        }
        if (event.kind == HAUL_FLOW_DOWN) {
            fprintf(stderr, "flow_bench: the flow went down\n");
            exit(1);
        }
    }
}

static void cost_add(struct cost *cost, uint64_t begin, uint32_t datagrams)
{
    uint64_t span = haul_clock_read() - begin;

    cost->ns += span > clock_ns ? span - clock_ns : 0;
    cost->datagrams += datagrams;
    cost->calls++;
}

/* What one side has to send goes to the other; only full trains of data count. */
static bool train_move(unsigned from, haul_time now)
{
    static uint8_t data[TRAIN_BYTES];
    struct haul_train train = { .data = data, .capacity = sizeof data };
    uint64_t begin = haul_clock_read();
    uint32_t datagrams;
    bool full;

    if (!haul_flow_output(sides[from].flow, &train, SEGMENTS, now))
        return false;
    datagrams = (train.bytes + train.segment - 1u) / train.segment;
    full = from == SEEDER && train.bytes > TRAIN_BYTES / 2;
    if (full)
        cost_add(&output, begin, datagrams);
    train.peer = sides[from].addr;
    begin = haul_clock_read();
    for (size_t at = 0; at < train.bytes;)
        at += haul_flow_input(sides[1 - from].flow, &train, at, now);
    if (full)
        cost_add(&input, begin, datagrams);
    events_take(&sides[1 - from], now);
    return true;
}

static void run(uint64_t blocks)
{
    haul_time now = HAUL_SECOND;

    to_ask = blocks;
    while (done < blocks) {
        now += STEP;
        if (now > LIMIT) {
            fprintf(stderr, "flow_bench: %llu of %llu blocks\n", (unsigned long long)done,
                    (unsigned long long)blocks);
            exit(1);
        }
        if (sides[ASKER].up)
            blocks_ask(now);
        for (unsigned from = 0; from < 2; from++) {
            events_take(&sides[from], now);
            (void)train_move(from, now);
        }
    }
}

static void cost_print(const char *what, const struct cost *cost)
{
    printf("  %-8s %5.1f ns a datagram (%llu of them, %.1f a call)\n", what,
           (double)cost->ns / (double)cost->datagrams, (unsigned long long)cost->datagrams,
           (double)cost->datagrams / (double)cost->calls);
}

int main(int count, char **arguments)
{
    unsigned long blocks = 2048, payload = 1408;
    uint64_t begin = haul_clock_read();

    for (int i = 1; i < count; i++) {
        if (strncmp(arguments[i], "blocks=", 7) == 0)
            blocks = strtoul(arguments[i] + 7, NULL, 10);
        else if (strncmp(arguments[i], "payload=", 8) == 0)
            payload = strtoul(arguments[i] + 8, NULL, 10);
    }
    for (unsigned i = 0; i < 100000; i++)
        (void)haul_clock_read();
    clock_ns = (haul_clock_read() - begin) / 100000;
    block = calloc(1, HAUL_BLOCK_BYTES_MAX);
    slots = calloc(WANTS, HAUL_BLOCK_BYTES_MAX);
    side_open(SEEDER, (uint16_t)payload);
    side_open(ASKER, (uint16_t)payload);
    run(blocks);
    printf("%lu blocks of 1 MiB, payload %llu, no cipher, no net\n", blocks,
           (unsigned long long)sides[SEEDER].stats.payload_class);
    cost_print("output", &output);
    cost_print("input", &input);
    return 0;
}
