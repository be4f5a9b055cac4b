/* Two data planes in one process, joined over loopback UDP by grants made by hand: blocks both
 * ways, every place, every ending. Each test runs on io_uring and on plain system calls. */
#include "dataplane/dataplane.h"

#include "common/synthetic.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCKS_MAX 256u
#define EVENTS_MAX 1024u
#define BLOCK      HAUL_BLOCK_BYTES_MAX

/* A block that a side can serve. */
struct offered {
    struct haul_hash hash;
    struct haul_place place;
    uint32_t length;
};

struct side {
    struct haul_dataplane *plane;
    struct haul_handoff *handoff;
    char directory[64];
    struct haul_addr addr;
    struct offered offered[BLOCKS_MAX];
    uint32_t offered_count;
    struct haul_event done[EVENTS_MAX];
    uint32_t done_count;
    uint32_t wanted_count;
    uint32_t up_count;
    uint64_t last_id;
    bool mute; /* wants are not answered, but kept */
    struct haul_event kept[64];
    uint32_t kept_count;
    enum haul_refusal says; /* wants are refused with it, unless zero */
};

struct pair {
    struct side a, b;
};

struct setting {
    enum haul_net_kind net;
    enum haul_io_kind io;
    uint32_t slots;
    bool synthetic;
};

static struct setting setting; /* of the tests that run now */

static haul_time clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (haul_time)now.tv_sec * HAUL_SECOND + (haul_time)now.tv_nsec;
}

/* --- sides --- */

static void side_open(struct side *side)
{
    struct haul_dataplane_conf conf = {
        .bind = { .family = 4, .ip = { 127, 0, 0, 1 } },
        .net_kind = setting.net,
        .io_kind = setting.io,
        .store_kind = HAUL_STORE_FILE,
        .filling_slots = setting.slots,
        .serving_slots = setting.slots,
        .control_slots = 4,
        .receive_buffer_bytes = 8u << 20,
        .aead = "auto",
        .cpu = -1,
        .synthetic = setting.synthetic,
    };
    struct haul_dataplane_facts facts;
    struct haul_error error = { 0 };

    memset(side, 0, sizeof *side);
    snprintf(side->directory, sizeof side->directory, "/tmp/haul-test-dataplane-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(side->directory));
    conf.store_directory = side->directory;
    if (haul_dataplane_open(&side->plane, &conf, &error) < 0)
        fprintf(stderr, "open: %s\n", error.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(side->plane);
    side->handoff = haul_dataplane_handoff(side->plane);
    haul_dataplane_facts(side->plane, &facts);
    side->addr = facts.net.local;
}

static void directory_remove(const char *directory)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    CU_ASSERT_EQUAL(system(command), 0);
}

static void side_close(struct side *side)
{
    haul_dataplane_close(side->plane);
    directory_remove(side->directory);
}

static uint64_t side_order(struct side *side, struct haul_order order)
{
    if (order.kind != HAUL_ORDER_SERVE && order.kind != HAUL_ORDER_REFUSE)
        order.id = ++side->last_id;
    CU_ASSERT_TRUE_FATAL(haul_handoff_order(side->handoff, &order));
    return order.id;
}

static void side_answer(struct side *side, const struct haul_event *wanted)
{
    struct haul_order order = { .kind = HAUL_ORDER_REFUSE,
                                .flow = wanted->flow,
                                .id = wanted->id,
                                .reason =
                                    (uint8_t)(side->says != 0 ? side->says : HAUL_REFUSAL_UNKNOWN),
                                .retry_ms = 77,
                                .hash = wanted->hash };

    side->wanted_count++;
    if (side->mute) {
        if (side->kept_count < HAUL_COUNT_OF(side->kept))
            side->kept[side->kept_count++] = *wanted;
        return;
    }
    for (uint32_t i = 0; i < side->offered_count && side->says == 0; i++) {
        if (!haul_hash_equal(&side->offered[i].hash, &wanted->hash))
            continue;
        order.kind = HAUL_ORDER_SERVE;
        order.place = side->offered[i].place;
        order.length = side->offered[i].length;
        break;
    }
    side_order(side, order);
}

static bool side_drain(struct side *side)
{
    struct haul_event event;
    bool any = false;

    while (haul_handoff_next_event(side->handoff, &event)) {
        any = true;
        if (event.kind == HAUL_EVENT_WANTED)
            side_answer(side, &event);
        else if (event.kind == HAUL_EVENT_UP)
            side->up_count++;
        else if (event.order != HAUL_ORDER_SERVE && event.order != HAUL_ORDER_REFUSE &&
                 side->done_count < EVENTS_MAX)
            side->done[side->done_count++] = event;
    }
    return any;
}

static const struct haul_event *side_done(const struct side *side, uint64_t id)
{
    for (uint32_t i = 0; i < side->done_count; i++) {
        if (side->done[i].id == id)
            return &side->done[i];
    }
    return NULL;
}

/* One turn of both control planes. */
static void pair_turn(struct pair *pair)
{
    struct pollfd fds[2] = { { .fd = pair->a.handoff->events_fd, .events = POLLIN },
                             { .fd = pair->b.handoff->events_fd, .events = POLLIN } };
    bool any = side_drain(&pair->a);

    any |= side_drain(&pair->b);
    if (!any)
        poll(fds, 2, 20);
}

/* Runs both control planes until `count` orders of `side` are done. */
static bool pair_run(struct pair *pair, struct side *side, uint32_t count)
{
    haul_time limit = clock_now() + 20 * HAUL_SECOND;

    while (side->done_count < count && clock_now() < limit)
        pair_turn(pair);
    return side->done_count >= count;
}

/* --- pairs --- */

/* The two ends of one association, without addresses. */
static void grants_make_for(struct haul_grant grants[2], uint32_t wants, uint8_t cipher)
{
    static uint32_t last_id = 0x1000;
    struct haul_grant *a = &grants[0], *b = &grants[1];

    memset(a, 0, sizeof *a);
    CU_ASSERT_EQUAL(getrandom(a->seal_secret, 32, 0), 32);
    CU_ASSERT_EQUAL(getrandom(a->open_secret, 32, 0), 32);
    a->local_id = ++last_id;
    a->remote_id = ++last_id;
    a->cipher = cipher;
    a->asker = true;
    a->candidate_count = 1;
    a->wants_max = (uint16_t)wants;
    a->payload_max = 8192;
    *b = *a;
    memcpy(b->seal_secret, a->open_secret, 32);
    memcpy(b->open_secret, a->seal_secret, 32);
    b->local_id = a->remote_id;
    b->remote_id = a->local_id;
    b->asker = false;
}

static void grants_make(struct pair *pair, uint32_t flow, uint32_t wants, uint8_t cipher)
{
    struct haul_grant grants[2];

    grants_make_for(grants, wants, cipher);
    grants[0].candidates[0] = pair->b.addr;
    grants[1].candidates[0] = pair->a.addr;
    pair->a.handoff->grants[flow] = grants[0];
    pair->b.handoff->grants[flow] = grants[1];
}

static void flow_open(struct pair *pair, uint32_t flow, uint32_t wants)
{
    grants_make(pair, flow, wants, HAUL_CIPHER_AES_128_GCM);
    side_order(&pair->b, (struct haul_order){ .kind = HAUL_ORDER_OPEN, .flow = flow });
    side_order(&pair->a, (struct haul_order){ .kind = HAUL_ORDER_OPEN, .flow = flow });
}

static struct pair *pair_open(void)
{
    struct pair *pair = calloc(1, sizeof *pair);

    side_open(&pair->a);
    side_open(&pair->b);
    return pair;
}

static void pair_close(struct pair *pair)
{
    side_close(&pair->a);
    side_close(&pair->b);
    free(pair);
}

/* A generated block that `side` serves; returns its hash. */
static struct haul_hash offer_synthetic(struct side *side, uint64_t number, uint32_t length)
{
    struct offered *offered = &side->offered[side->offered_count++];
    uint8_t *block = malloc(BLOCK);

    haul_synthetic_fill(block, length, number);
    haul_hash_of(HAUL_HASH_BLAKE3, block, length, &offered->hash);
    free(block);
    offered->place = (struct haul_place){ .kind = HAUL_PLACE_SYNTHETIC, .at = number };
    offered->length = length;
    return offered->hash;
}

/* Writes a generated block through a control slot into the store of `side`, which then serves it.
 */
static struct haul_hash offer_stored(struct pair *pair, struct side *side, uint64_t number,
                                     uint32_t length)
{
    struct haul_hash hash = offer_synthetic(side, number, length);
    struct haul_order order = { .kind = HAUL_ORDER_WRITE,
                                .slot = 1,
                                .length = length,
                                .hash = hash,
                                .place = { .kind = HAUL_PLACE_STORE } };

    side->offered[side->offered_count - 1].place = order.place;
    haul_synthetic_fill(side->handoff->slots + BLOCK, length, number);
    side_order(side, order);
    CU_ASSERT_TRUE(pair_run(pair, side, side->done_count + 1));
    CU_ASSERT_EQUAL(side->done[side->done_count - 1].status, HAUL_STATUS_DONE);
    return hash;
}

static uint64_t fetch(struct side *side, uint32_t flow, struct haul_hash hash, uint32_t length,
                      struct haul_place place)
{
    struct haul_order order = {
        .kind = HAUL_ORDER_FETCH, .flow = flow, .length = length, .place = place, .hash = hash
    };

    return side_order(side, order);
}

static const struct haul_place discard = { .kind = HAUL_PLACE_DISCARD };
static const struct haul_place store = { .kind = HAUL_PLACE_STORE };

static void check_status(const struct side *side, uint64_t id, enum haul_status status)
{
    const struct haul_event *event = side_done(side, id);

    CU_ASSERT_PTR_NOT_NULL(event);
    if (event != NULL && event->status != (uint16_t)status)
        fprintf(stderr, "order %llu: status %u, not %u\n", (unsigned long long)id, event->status,
                (unsigned)status);
    CU_ASSERT_TRUE(event != NULL && event->status == (uint16_t)status);
}

/* Reads a block from the store of `side` and compares it with a generated one. */
static void check_stored(struct pair *pair, struct side *side, struct haul_hash hash,
                         uint64_t number, uint32_t length)
{
    struct haul_order order = { .kind = HAUL_ORDER_READ, .slot = 2, .hash = hash, .place = store };
    uint8_t *block = malloc(BLOCK);
    uint64_t id = side_order(side, order);

    CU_ASSERT_TRUE(pair_run(pair, side, side->done_count + 1));
    check_status(side, id, HAUL_STATUS_DONE);
    CU_ASSERT_TRUE(side_done(side, id) != NULL && side_done(side, id)->length == length);
    haul_synthetic_fill(block, length, number);
    CU_ASSERT_EQUAL(memcmp(side->handoff->slots + 2 * BLOCK, block, length), 0);
    free(block);
}

/* --- promises --- */

static void blocks_pass_both_ways_at_once_to_every_place(void)
{
    struct pair *pair = pair_open();
    struct haul_hash forth[20], back[20];
    uint64_t ids[2][20];
    FILE *file = tmpfile();
    uint8_t *block = malloc(BLOCK), *seen = malloc(BLOCK);
    uint32_t stored;

    for (uint32_t i = 0; i < 20; i++)
        forth[i] = offer_synthetic(&pair->b, i, i % 5 == 4 ? 777777 : BLOCK);
    for (uint32_t i = 0; i < 20; i++)
        back[i] = offer_stored(pair, &pair->a, 1000 + i, i % 7 == 6 ? 4321 : BLOCK);
    stored = pair->a.done_count;
    flow_open(pair, 3, 16);
    for (uint32_t i = 0; i < 20; i++) {
        struct haul_place place = i % 2 == 0 ? store : discard;

        if (i % 4 == 3)
            place = (struct haul_place){ .kind = HAUL_PLACE_FILE,
                                         .flags = HAUL_PLACE_ALSO_STORE,
                                         .index = (uint32_t)fileno(file),
                                         .at = (uint64_t)i * BLOCK };
        ids[0][i] =
            fetch(&pair->a, 3, forth[i], i % 3 == 0 ? 0 : (i % 5 == 4 ? 777777 : BLOCK), place);
        ids[1][i] =
            fetch(&pair->b, 3, back[i], i % 7 == 6 ? 4321 : BLOCK,
                  i == 5 ? (struct haul_place){ .kind = HAUL_PLACE_SLOT, .index = 3 } : store);
    }
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, stored + 20));
    CU_ASSERT_TRUE(pair_run(pair, &pair->b, 20));
    CU_ASSERT_TRUE(pair->a.up_count == 1 && pair->b.up_count == 1);
    for (uint32_t i = 0; i < 20; i++) {
        check_status(&pair->a, ids[0][i], HAUL_STATUS_DONE);
        check_status(&pair->b, ids[1][i], HAUL_STATUS_DONE);
    }
    haul_synthetic_fill(block, BLOCK, 1005);
    CU_ASSERT_EQUAL(memcmp(pair->b.handoff->slots + 3 * BLOCK, block, BLOCK), 0);
    for (uint32_t i = 3; i < 20; i += 4) {
        uint32_t length = i % 5 == 4 ? 777777 : BLOCK;

        haul_synthetic_fill(block, length, i);
        CU_ASSERT_EQUAL(pread(fileno(file), seen, length, (off_t)i * BLOCK), (ssize_t)length);
        CU_ASSERT_EQUAL(memcmp(seen, block, length), 0);
    }
    check_stored(pair, &pair->a, forth[0], 0, BLOCK);
    check_stored(pair, &pair->a, forth[4], 4, 777777);
    check_stored(pair, &pair->a, forth[7], 7, BLOCK);
    check_stored(pair, &pair->b, back[6], 1006, 4321);
    CU_ASSERT_EQUAL(pair->a.handoff->stats[3].rx_forged, 0);
    fclose(file);
    free(block);
    free(seen);
    pair_close(pair);
}

static void wrong_bytes_are_named_and_not_stored(void)
{
    struct pair *pair = pair_open();
    struct haul_hash wrong = offer_synthetic(&pair->b, 1, BLOCK);
    struct haul_hash good = offer_synthetic(&pair->b, 2, BLOCK);
    uint64_t ids[3];

    pair->b.offered[0].place.at = 99; /* the seeder lies about block 1 */
    flow_open(pair, 0, 8);
    ids[0] = fetch(&pair->a, 0, wrong, BLOCK, store);
    ids[1] = fetch(&pair->a, 0, good, BLOCK, store);
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 2));
    check_status(&pair->a, ids[0], HAUL_STATUS_WRONG);
    check_status(&pair->a, ids[1], HAUL_STATUS_DONE);
    CU_ASSERT_TRUE(side_done(&pair->a, ids[0]) != NULL && side_done(&pair->a, ids[0])->flow == 0);
    ids[2] = side_order(
        &pair->a,
        (struct haul_order){ .kind = HAUL_ORDER_READ, .slot = 2, .hash = wrong, .place = store });
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 3));
    check_status(&pair->a, ids[2], HAUL_STATUS_MISSING);
    pair_close(pair);
}

static void a_refusal_reaches_the_asker_with_its_reason(void)
{
    struct pair *pair = pair_open();
    struct haul_hash hash = offer_synthetic(&pair->b, 1, BLOCK), missing;
    uint64_t id;

    flow_open(pair, 0, 8);
    haul_hash_of(HAUL_HASH_BLAKE3, "x", 1, &missing);
    id = fetch(&pair->a, 0, missing, 0, discard);
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 1));
    check_status(&pair->a, id, HAUL_STATUS_REFUSED_UNKNOWN);
    pair->b.says = HAUL_REFUSAL_BUSY;
    id = fetch(&pair->a, 0, hash, 0, discard);
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 2));
    check_status(&pair->a, id, HAUL_STATUS_REFUSED_BUSY);
    CU_ASSERT_TRUE(side_done(&pair->a, id) != NULL && side_done(&pair->a, id)->at == 77);
    pair->b.says = 0;
    pair->b.offered[0].place = store; /* where it is not */
    id = fetch(&pair->a, 0, hash, 0, discard);
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 3));
    check_status(&pair->a, id, HAUL_STATUS_REFUSED_UNKNOWN);
    pair_close(pair);
}

static void a_cancelled_fetch_ends_withdrawn_and_frees_its_slot(void)
{
    struct pair *pair = pair_open();
    uint32_t count = 2 * setting.slots;
    haul_time limit = clock_now() + 5 * HAUL_SECOND;
    struct haul_hash hashes[64];
    uint64_t ids[64];

    pair->b.mute = true;
    flow_open(pair, 0, 64);
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = offer_synthetic(&pair->b, i, BLOCK);
        ids[i] = fetch(&pair->a, 0, hashes[i], BLOCK, discard);
    }
    while (pair->b.wanted_count == 0 && clock_now() < limit)
        pair_turn(pair);
    for (uint32_t i = 0; i < count; i++)
        side_order(&pair->a, (struct haul_order){ .kind = HAUL_ORDER_CANCEL, .target = ids[i] });
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 2 * count));
    for (uint32_t i = 0; i < count; i++)
        check_status(&pair->a, ids[i], HAUL_STATUS_WITHDRAWN);
    pair->b.mute = false;
    ids[0] = fetch(&pair->a, 0, hashes[0], BLOCK, discard);
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 2 * count + 1));
    check_status(&pair->a, ids[0], HAUL_STATUS_DONE);
    pair_close(pair);
}

static void closing_in_the_middle_ends_every_order_once(void)
{
    struct pair *pair = pair_open();
    uint64_t ids[100], close_id;
    uint32_t ended = 0;

    flow_open(pair, 1, 8);
    for (uint32_t i = 0; i < 100; i++)
        ids[i] = fetch(&pair->a, 1, offer_synthetic(&pair->b, i, BLOCK), BLOCK, store);
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 5));
    close_id = side_order(&pair->a, (struct haul_order){ .kind = HAUL_ORDER_CLOSE, .flow = 1 });
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 102));
    CU_ASSERT_TRUE(pair_run(pair, &pair->b, 1));
    for (uint32_t i = 0; i < 100; i++) {
        const struct haul_event *event = side_done(&pair->a, ids[i]);

        CU_ASSERT_PTR_NOT_NULL_FATAL(event);
        CU_ASSERT_TRUE(event->status == HAUL_STATUS_DONE ||
                       event->status == HAUL_STATUS_FLOW_ENDED);
        ended += event->status == HAUL_STATUS_FLOW_ENDED;
    }
    CU_ASSERT_TRUE(ended > 0);
    check_status(&pair->a, close_id, HAUL_STATUS_DONE);
    check_status(&pair->a, 1, HAUL_STATUS_CLOSED); /* the order that opened it */
    check_status(&pair->b, 1, HAUL_STATUS_CLOSED);
    CU_ASSERT_EQUAL(pair->a.done_count, 102);
    flow_open(pair, 1, 8); /* the same place again */
    ids[0] = fetch(&pair->a, 1, pair->b.offered[99].hash, BLOCK, discard);
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 103));
    check_status(&pair->a, ids[0], HAUL_STATUS_DONE);
    pair_close(pair);
}

/* Every slot comes back. */
static void check_free(struct side *side, haul_time limit)
{
    struct haul_dataplane_facts facts;

    do {
        haul_dataplane_facts(side->plane, &facts);
    } while ((facts.serving_free != setting.slots || facts.filling_free != setting.slots) &&
             clock_now() < limit);
    CU_ASSERT_EQUAL(facts.serving_free, setting.slots);
    CU_ASSERT_EQUAL(facts.filling_free, setting.slots);
}

static void more_orders_than_slots_wait_their_turn(void)
{
    struct pair *pair = pair_open();
    uint32_t count = 4 * setting.slots;
    struct haul_dataplane_facts facts;
    haul_time limit = clock_now() + 30 * HAUL_SECOND;
    uint64_t ids[3][64];

    for (uint32_t flow = 0; flow < 3; flow++)
        flow_open(pair, flow, 64);
    for (uint32_t i = 0; i < count; i++) {
        struct haul_hash hash = offer_synthetic(&pair->b, i, BLOCK);

        for (uint32_t flow = 0; flow < 3; flow++)
            ids[flow][i] = fetch(&pair->a, flow, hash, BLOCK, discard);
    }
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 3 * count));
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t flow = 0; flow < 3; flow++)
            check_status(&pair->a, ids[flow][i], HAUL_STATUS_DONE);
    }
    check_free(&pair->b, limit); /* once the last acknowledgements have arrived */
    check_free(&pair->a, limit);
    haul_dataplane_facts(pair->a.plane, &facts);
    CU_ASSERT_EQUAL(facts.worker.fetched_bytes, (uint64_t)3 * count * BLOCK);
    pair_close(pair);
}

/* The other process of the next promise: asks for all it may, and is then stopped where it stands.
 */
static void silent_asker(int channel, const struct haul_addr *peer, const struct haul_grant *grant,
                         const struct haul_hash *hash)
{
    uint32_t count = setting.slots;
    struct side side;

    setting.slots *= 2; /* one flow may not fill them all */
    side_open(&side);
    side.handoff->grants[0] = *grant;
    side.handoff->grants[0].candidates[0] = *peer;
    side_order(&side, (struct haul_order){ .kind = HAUL_ORDER_OPEN });
    for (uint32_t i = 0; i < count; i++)
        fetch(&side, 0, *hash, BLOCK, discard);
    if (write(channel, &side.addr, sizeof side.addr) == sizeof side.addr &&
        write(channel, side.directory, sizeof side.directory) == sizeof side.directory)
        pause();
    _exit(1);
}

static void slots_come_back_from_a_peer_that_fell_silent(void)
{
    struct pair *pair = calloc(1, sizeof *pair);
    struct haul_dataplane_facts facts;
    struct haul_grant grants[2];
    struct haul_hash hash;
    haul_time limit = clock_now() + 10 * HAUL_SECOND;
    int channel[2], address[2];
    char directory[sizeof pair->a.directory] = "";
    uint64_t id;
    pid_t child;

    hash = offer_synthetic(&pair->b, 1, BLOCK); /* side_open forgets it, the hash stays */
    grants_make_for(grants, 8, HAUL_CIPHER_AES_128_GCM);
    CU_ASSERT_TRUE_FATAL(pipe(channel) == 0 && pipe(address) == 0);
    child = fork(); /* before there are threads */
    if (child == 0) {
        struct haul_addr peer;

        if (read(address[0], &peer, sizeof peer) == sizeof peer)
            silent_asker(channel[1], &peer, &grants[0], &hash);
        _exit(1);
    }
    side_open(&pair->a);
    side_open(&pair->b);
    pair->b.offered[pair->b.offered_count++] = (struct offered){
        .hash = hash, .place = { .kind = HAUL_PLACE_SYNTHETIC, .at = 1 }, .length = BLOCK
    };
    pair->b.mute = true;
    CU_ASSERT_EQUAL(write(address[1], &pair->b.addr, sizeof pair->b.addr), sizeof pair->b.addr);
    CU_ASSERT_EQUAL(read(channel[0], &grants[1].candidates[0], sizeof(struct haul_addr)),
                    sizeof(struct haul_addr));
    CU_ASSERT_EQUAL(read(channel[0], directory, sizeof directory), sizeof directory);
    pair->b.handoff->grants[5] = grants[1];
    side_order(&pair->b, (struct haul_order){ .kind = HAUL_ORDER_OPEN, .flow = 5 });
    while (pair->b.kept_count < setting.slots && clock_now() < limit)
        pair_turn(pair);
    CU_ASSERT_EQUAL(pair->b.kept_count, setting.slots);
    kill(child, SIGSTOP);
    CU_ASSERT_EQUAL(waitpid(child, NULL, WUNTRACED), child); /* until all of it has stopped */
    pair->b.mute = false;
    for (uint32_t i = 0; i < pair->b.kept_count; i++) /* every serving slot goes to it */
        side_answer(&pair->b, &pair->b.kept[i]);
    flow_open(pair, 0, 8);
    id = fetch(&pair->a, 0, hash, BLOCK, discard);
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 1));
    check_status(&pair->a, id, HAUL_STATUS_DONE);
    haul_dataplane_facts(pair->b.plane, &facts);
    CU_ASSERT_TRUE(facts.worker.reclaimed_slots > 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    for (uint32_t i = 0; i < 2; i++) {
        close(channel[i]);
        close(address[i]);
    }
    pair_close(pair);
    directory_remove(directory);
}

static void to_an_unknown_receiver_id_there_is_silence(void)
{
    struct pair *pair = pair_open();
    int stranger = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(pair->a.addr.port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct pollfd answer = { .fd = stranger, .events = POLLIN };
    struct haul_dataplane_facts facts = { 0 };
    haul_time limit = clock_now() + 5 * HAUL_SECOND;
    uint8_t datagram[1200];

    for (uint32_t i = 0; i < 50; i++) {
        CU_ASSERT_EQUAL(getrandom(datagram, sizeof datagram, 0), sizeof datagram);
        datagram[0] = (uint8_t)i; /* every version among them */
        CU_ASSERT_EQUAL(sendto(stranger, datagram, 20 * i + 1, 0, (void *)&to, sizeof to),
                        20 * i + 1);
    }
    while (facts.rx_unknown < 50 && clock_now() < limit)
        haul_dataplane_facts(pair->a.plane, &facts);
    CU_ASSERT_EQUAL(facts.rx_unknown, 50);
    CU_ASSERT_EQUAL(poll(&answer, 1, 20), 0);
    CU_ASSERT_EQUAL(facts.net_counters.tx_datagrams, 0);
    close(stranger);
    pair_close(pair);
}

static void blocks_move_between_control_slots_store_and_files(void)
{
    struct pair *pair = pair_open();
    struct side *side = &pair->a;
    struct haul_hash hash = offer_stored(pair, side, 5, 54321), missing;
    FILE *file = tmpfile();
    struct haul_place place = { .kind = HAUL_PLACE_FILE,
                                .index = (uint32_t)fileno(file),
                                .at = 8192 };
    uint8_t *slots = side->handoff->slots;
    uint64_t ids[6];

    check_stored(pair, side, hash, 5, 54321);
    ids[0] = side_order(
        side,
        (struct haul_order){
            .kind = HAUL_ORDER_WRITE, .slot = 1, .length = 54321, .hash = hash, .place = place });
    CU_ASSERT_TRUE(pair_run(pair, side, 3));
    memset(slots, 0, BLOCK);
    ids[1] = side_order(
        side,
        (struct haul_order){ .kind = HAUL_ORDER_READ, .slot = 0, .length = 54321, .place = place });
    ids[2] = side_order(side, (struct haul_order){ .kind = HAUL_ORDER_SYNC, .place = place });
    ids[3] = side_order(side, (struct haul_order){ .kind = HAUL_ORDER_SYNC, .place = store });
    haul_hash_of(HAUL_HASH_BLAKE3, "y", 1, &missing);
    ids[4] = side_order(
        side,
        (struct haul_order){ .kind = HAUL_ORDER_READ, .slot = 3, .hash = missing, .place = store });
    ids[5] = side_order(
        side,
        (struct haul_order){ .kind = HAUL_ORDER_READ, .slot = 99, .hash = hash, .place = store });
    CU_ASSERT_TRUE(pair_run(pair, side, 8));
    for (uint32_t i = 0; i < 4; i++)
        check_status(side, ids[i], HAUL_STATUS_DONE);
    check_status(side, ids[4], HAUL_STATUS_MISSING);
    check_status(side, ids[5], HAUL_STATUS_LIMIT);
    CU_ASSERT_EQUAL(memcmp(slots, slots + BLOCK, 54321), 0);
    fclose(file);
    pair_close(pair);
}

static void a_grant_that_cannot_be_honoured_is_refused(void)
{
    struct pair *pair = pair_open();
    struct haul_order open = { .kind = HAUL_ORDER_OPEN };
    uint64_t ids[5];
    struct haul_hash hash;

    grants_make(pair, 0, 8, HAUL_CIPHER_AES_128_GCM);
    side_order(&pair->a, open);
    grants_make(pair, 0, 8, HAUL_CIPHER_AES_128_GCM);
    ids[0] = side_order(&pair->a, open); /* it is open already */
    open.flow = 1;
    grants_make(pair, 1, 0, HAUL_CIPHER_AES_128_GCM);
    ids[1] = side_order(&pair->a, open);
    open.flow = 2;
    grants_make(pair, 2, HAUL_WANTS_MAX, HAUL_CIPHER_AES_128_GCM);
    ids[2] = side_order(&pair->a, open); /* more than is left */
    open.flow = 3;
    grants_make(pair, 3, 8, 200);
    ids[3] = side_order(&pair->a, open);
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 4));
    for (uint32_t i = 0; i < 4; i++)
        check_status(&pair->a, ids[i], HAUL_STATUS_LIMIT);
    CU_ASSERT_EQUAL(pair->a.handoff->grants[3].local_id, 0); /* wiped all the same */
    haul_hash_of(HAUL_HASH_BLAKE3, "z", 1, &hash);
    ids[4] = fetch(&pair->a, 3, hash, 1, discard);
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 5));
    check_status(&pair->a, ids[4], HAUL_STATUS_FLOW_ENDED);
    pair_close(pair);
}

static void an_idle_worker_uses_no_processor_time(void)
{
    struct pair *pair = pair_open();
    struct haul_dataplane_facts before, after;
    uint64_t id;

    flow_open(pair, 0, 8);
    id = fetch(&pair->a, 0, offer_synthetic(&pair->b, 1, BLOCK), BLOCK, discard);
    CU_ASSERT_TRUE(pair_run(pair, &pair->a, 1));
    check_status(&pair->a, id, HAUL_STATUS_DONE);
    poll(NULL, 0, 500); /* acknowledgements and searches come to rest */
    haul_dataplane_facts(pair->a.plane, &before);
    poll(NULL, 0, 500);
    haul_dataplane_facts(pair->a.plane, &after);
    CU_ASSERT_TRUE(after.worker_cpu_ns - before.worker_cpu_ns < 25 * HAUL_MILLISECOND);
    CU_ASSERT_TRUE(after.worker.turns - before.worker.turns < 200);
    pair_close(pair);
}

static void facts_say_what_is_in_use(void)
{
    struct pair *pair = pair_open();
    struct haul_dataplane_facts facts;
    uint8_t ciphers[4];
    bool uring = setting.net == HAUL_NET_URING;

    haul_dataplane_facts(pair->a.plane, &facts);
    CU_ASSERT_STRING_EQUAL(facts.net.backend, uring ? "uring" : "mmsg");
    CU_ASSERT_STRING_EQUAL(facts.store.backend, uring ? "file/uring" : "file/posix");
    CU_ASSERT_TRUE(facts.aead_ns_per_datagram[1] > 0);
    CU_ASSERT_PTR_NOT_NULL(facts.aead);
    CU_ASSERT_TRUE(facts.arena_bytes >= (2 * setting.slots + 4) * (uint64_t)BLOCK);
    CU_ASSERT_EQUAL(haul_dataplane_ciphers(pair->a.plane, ciphers, 4), 2);
    CU_ASSERT_EQUAL(haul_dataplane_ciphers(pair->a.plane, ciphers, 1), 1);
    pair_close(pair);
}

static const struct unit_test promises[] = {
    { "blocks pass both ways at once to every place",
      blocks_pass_both_ways_at_once_to_every_place },
    { "wrong bytes are named and not stored", wrong_bytes_are_named_and_not_stored },
    { "a refusal reaches the asker with its reason", a_refusal_reaches_the_asker_with_its_reason },
    { "a cancelled fetch ends withdrawn and frees its slot",
      a_cancelled_fetch_ends_withdrawn_and_frees_its_slot },
    { "closing in the middle ends every order once", closing_in_the_middle_ends_every_order_once },
    { "more orders than slots wait their turn", more_orders_than_slots_wait_their_turn },
    { "slots come back from a peer that fell silent",
      slots_come_back_from_a_peer_that_fell_silent },
    { "to an unknown receiver id there is silence", to_an_unknown_receiver_id_there_is_silence },
    { "blocks move between control slots, store and files",
      blocks_move_between_control_slots_store_and_files },
    { "a grant that cannot be honoured is refused", a_grant_that_cannot_be_honoured_is_refused },
    { "an idle worker uses no processor time", an_idle_worker_uses_no_processor_time },
    { "facts say what is in use", facts_say_what_is_in_use },
};

static void run_promises(void)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(promises); i++) {
        unsigned before = CU_get_number_of_failures();

        promises[i].run();
        if (CU_get_number_of_failures() != before)
            fprintf(stderr, "\nbroken on %s: %s\n",
                    setting.net == HAUL_NET_URING ? "io_uring" : "plain calls", promises[i].name);
    }
}

static void they_hold_on_io_uring(void)
{
    setting = (struct setting){
        .net = HAUL_NET_URING, .io = HAUL_IO_URING, .slots = 8, .synthetic = true
    };
    run_promises();
}

static void they_hold_on_plain_system_calls(void)
{
    setting = (struct setting){
        .net = HAUL_NET_MMSG, .io = HAUL_IO_POSIX, .slots = 3, .synthetic = true
    };
    run_promises();
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "they hold on io_uring", they_hold_on_io_uring },
        { "they hold on plain system calls", they_hold_on_plain_system_calls },
    };

    return unit_main("dataplane", tests, HAUL_COUNT_OF(tests));
}
