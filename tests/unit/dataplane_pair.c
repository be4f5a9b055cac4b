/* The pair of data planes that the tests drive; see dataplane_pair.h. */
#include "tests/unit/dataplane_pair.h"

#include "controlplane/seam/placing.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

struct setting setting;

haul_time clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (haul_time)now.tv_sec * HAUL_SECOND + (haul_time)now.tv_nsec;
}

/* --- sides --- */

void side_open(struct side *side)
{
    struct haul_dataplane_conf conf = {
        .bind = { .family = 4, .ip = { 127, 0, 0, 1 } },
        .net_kind = setting.net,
        .io_kind = setting.io,
        .store_kind = HAUL_STORE_FILE,
        .workers = setting.workers,
        .filling_slots = setting.slots * (setting.workers > 0 ? setting.workers : 1),
        .serving_slots = setting.slots * (setting.workers > 0 ? setting.workers : 1),
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
    side->workers = haul_dataplane_workers(side->plane);
    for (uint32_t i = 0; i < side->workers; i++) {
        struct haul_worker_facts worker;

        haul_dataplane_worker_facts(side->plane, i, &worker);
        side->addrs[i] = worker.local;
    }
}

struct haul_handoff *side_handoff(const struct side *side, uint32_t flow)
{
    struct haul_handoff *handoff = side->handoff;

    for (uint32_t i = haul_placing_worker(flow, side->workers); i > 0; i--)
        handoff = handoff->next;
    return handoff;
}

void side_grant(struct side *side, uint32_t flow, const struct haul_grant *grant,
                const struct side *peer)
{
    struct haul_grant *handed = &side_handoff(side, flow)->grants[flow];

    *handed = *grant;
    handed->candidates[0] = peer->addrs[haul_placing_worker(flow, peer->workers)];
}

void directory_remove(const char *directory)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    CU_ASSERT_EQUAL(system(command), 0);
}

void side_close(struct side *side)
{
    haul_dataplane_close(side->plane);
    directory_remove(side->directory);
}

#define SAID_RETRY_MS 77u /* with a refusal of the test's own */

static void side_push(struct side *side, const struct haul_order *order)
{
    CU_ASSERT_TRUE_FATAL(
        haul_handoff_order(side_handoff(side, haul_placing_order(order, side->workers)), order));
}

uint64_t side_order(struct side *side, struct haul_order order)
{
    if (order.kind != HAUL_ORDER_SERVE && order.kind != HAUL_ORDER_REFUSE)
        order.id = ++side->last_id;
    if (order.kind == HAUL_ORDER_FETCH)
        side->fetches[order.id % EVENTS_MAX] = order;
    side_push(side, &order);
    return order.id;
}

/* A side that gets no processor for long acknowledges nothing, and its peer takes its slots back
 * and tells it to come again: as a control plane does, it asks once more. What the test itself had
 * answered stays. */
static bool side_asks_again(struct side *side, const struct haul_event *event)
{
    if (event->kind != HAUL_EVENT_DONE || event->order != HAUL_ORDER_FETCH ||
        event->status != HAUL_STATUS_REFUSED_BUSY || event->at == SAID_RETRY_MS)
        return false;
    side_push(side, &side->fetches[event->id % EVENTS_MAX]);
    return true;
}

void side_answer(struct side *side, const struct haul_event *wanted)
{
    struct haul_order order = { .kind = HAUL_ORDER_REFUSE,
                                .flow = wanted->flow,
                                .id = wanted->id,
                                .reason =
                                    (uint8_t)(side->says != 0 ? side->says : HAUL_REFUSAL_UNKNOWN),
                                .retry_ms = SAID_RETRY_MS,
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

bool side_drain(struct side *side)
{
    struct haul_event event;
    bool any = false;

    for (uint32_t i = 0; i < side->workers; i++) {
        while (haul_handoff_next_event(side_handoff(side, i), &event)) {
            any = true;
            if (event.kind == HAUL_EVENT_WANTED)
                side_answer(side, &event);
            else if (event.kind == HAUL_EVENT_UP)
                side->up_count++;
            else if (!side_asks_again(side, &event) && event.order != HAUL_ORDER_SERVE &&
                     event.order != HAUL_ORDER_REFUSE && side->done_count < EVENTS_MAX)
                side->done[side->done_count++] = event;
        }
    }
    return any;
}

const struct haul_event *side_done(const struct side *side, uint64_t id)
{
    for (uint32_t i = 0; i < side->done_count; i++) {
        if (side->done[i].id == id)
            return &side->done[i];
    }
    return NULL;
}

/* One turn of both control planes. */
void planes_turn(struct planes *pair)
{
    const struct side *sides[2] = { &pair->a, &pair->b };
    struct pollfd fds[2 * HAUL_WORKERS_MAX];
    nfds_t count = 0;
    bool any = side_drain(&pair->a);

    any |= side_drain(&pair->b);
    for (uint32_t i = 0; i < 2; i++) {
        for (const struct haul_handoff *at = sides[i]->handoff; at != NULL; at = at->next)
            fds[count++] = (struct pollfd){ .fd = at->events_fd, .events = POLLIN };
    }
    if (!any)
        poll(fds, count, 20);
}

/* Runs both control planes until `count` orders of `side` are done. */
bool planes_run(struct planes *pair, struct side *side, uint32_t count)
{
    haul_time limit = clock_now() + 20 * HAUL_SECOND;

    while (side->done_count < count && clock_now() < limit)
        planes_turn(pair);
    return side->done_count >= count;
}

/* --- pairs --- */

/* The two ends of one association, without addresses. */
void grants_make_for(struct haul_grant grants[2], uint32_t wants, uint8_t cipher)
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

void grants_make(struct planes *pair, uint32_t flow, uint32_t wants, uint8_t cipher)
{
    struct haul_grant grants[2];

    grants_make_for(grants, wants, cipher);
    side_grant(&pair->a, flow, &grants[0], &pair->b);
    side_grant(&pair->b, flow, &grants[1], &pair->a);
}

void flow_open(struct planes *pair, uint32_t flow, uint32_t wants)
{
    grants_make(pair, flow, wants, HAUL_CIPHER_AES_128_GCM);
    side_order(&pair->b, (struct haul_order){ .kind = HAUL_ORDER_OPEN, .flow = flow });
    side_order(&pair->a, (struct haul_order){ .kind = HAUL_ORDER_OPEN, .flow = flow });
}

struct planes *planes_open(void)
{
    struct planes *pair = calloc(1, sizeof *pair);

    side_open(&pair->a);
    side_open(&pair->b);
    return pair;
}

void planes_close(struct planes *pair)
{
    side_close(&pair->a);
    side_close(&pair->b);
    free(pair);
}

/* A generated block that `side` serves; returns its hash. */
struct haul_hash offer_synthetic(struct side *side, uint64_t number, uint32_t length)
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
struct haul_hash offer_stored(struct planes *pair, struct side *side, uint64_t number,
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
    CU_ASSERT_TRUE(planes_run(pair, side, side->done_count + 1));
    CU_ASSERT_EQUAL(side->done[side->done_count - 1].status, HAUL_STATUS_DONE);
    return hash;
}

uint64_t fetch(struct side *side, uint32_t flow, struct haul_hash hash, uint32_t length,
               struct haul_place place)
{
    struct haul_order order = {
        .kind = HAUL_ORDER_FETCH, .flow = flow, .length = length, .place = place, .hash = hash
    };

    return side_order(side, order);
}

const struct haul_place discard = { .kind = HAUL_PLACE_DISCARD };
const struct haul_place store = { .kind = HAUL_PLACE_STORE };

void check_status(const struct side *side, uint64_t id, enum haul_status status)
{
    const struct haul_event *event = side_done(side, id);

    CU_ASSERT_PTR_NOT_NULL(event);
    if (event != NULL && event->status != (uint16_t)status)
        fprintf(stderr, "order %llu: status %u, not %u\n", (unsigned long long)id, event->status,
                (unsigned)status);
    CU_ASSERT_TRUE(event != NULL && event->status == (uint16_t)status);
}

/* Reads a block from the store of `side` and compares it with a generated one. */
void check_stored(struct planes *pair, struct side *side, struct haul_hash hash, uint64_t number,
                  uint32_t length)
{
    struct haul_order order = { .kind = HAUL_ORDER_READ, .slot = 2, .hash = hash, .place = store };
    uint8_t *block = malloc(BLOCK);
    uint64_t id = side_order(side, order);

    CU_ASSERT_TRUE(planes_run(pair, side, side->done_count + 1));
    check_status(side, id, HAUL_STATUS_DONE);
    CU_ASSERT_TRUE(side_done(side, id) != NULL && side_done(side, id)->length == length);
    haul_synthetic_fill(block, length, number);
    CU_ASSERT_EQUAL(memcmp(side->handoff->slots + 2 * BLOCK, block, length), 0);
    free(block);
}
