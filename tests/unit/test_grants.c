/* Live grants, with this test as the data plane at the other end of the rings: every limit, every
 * way a grant ends, and what a peer's wants are answered with. */
#include "controlplane/grants/grants.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAVES 4u
#define SPAN                                                                                       \
    (20 * HAUL_MILLISECOND) /* stands for the lease and for the wait for a confirmation            \
                             */

struct bench {
    struct haul_loop *loop;
    struct haul_handoff *handoff;
    struct haul_orders *orders;
    struct haul_catalog *catalog;
    struct haul_grants *grants;
    struct haul_cid root;
    struct haul_hash leaves[LEAVES];
    char directory[64];
    unsigned up, ended;
    enum haul_status why;
};

static void bench_open(struct bench *bench)
{
    struct haul_dataset dataset = { .bytes = 4, .blocks = LEAVES };
    struct haul_error error;
    uint64_t build;

    *bench = (struct bench){ .directory = "/tmp/haul-grants-XXXXXX" };
    haul_assert(mkdtemp(bench->directory) != NULL);
    bench->handoff = calloc(1, sizeof *bench->handoff);
    haul_assert(haul_handoff_open(bench->handoff, NULL, 0) == 0);
    haul_assert(haul_loop_open(&bench->loop, &error) == 0);
    haul_assert(haul_orders_open(&bench->orders, bench->loop, bench->handoff, &error) == 0);
    haul_assert(haul_catalog_open(&bench->catalog, bench->directory, &error) == 0);
    for (uint8_t i = 0; i < LEAVES; i++)
        haul_hash_of(HAUL_HASH_BLAKE3, &i, 1, &bench->leaves[i]);
    bench->root = (struct haul_cid){ HAUL_CODEC_DAG_PB, bench->leaves[0] };
    bench->root.hash.bytes[33] ^= 1;
    dataset.root = bench->root;
    dataset.complete = true;
    haul_assert(haul_catalog_begin(bench->catalog, &build, &error) == 0);
    haul_assert(haul_catalog_add_synthetic(bench->catalog, build, &dataset, bench->leaves, LEAVES,
                                           &error) == 0);
    haul_assert(haul_catalog_share(bench->catalog, &bench->root, NULL, true, &error) == 0);
    haul_assert(haul_grants_open(&bench->grants,
                                 &(struct haul_grants_conf){ .loop = bench->loop,
                                                             .orders = bench->orders,
                                                             .catalog = bench->catalog,
                                                             .per_peer_max = 2,
                                                             .per_address_max = 3,
                                                             .lease = SPAN,
                                                             .confirm = SPAN },
                                 &error) == 0);
}

static void bench_close(struct bench *bench)
{
    char command[128];

    haul_orders_close(bench->orders);
    haul_grants_close(bench->grants);
    haul_catalog_close(bench->catalog);
    haul_loop_close(bench->loop);
    haul_handoff_close(bench->handoff);
    free(bench->handoff);
    snprintf(command, sizeof command, "rm -r %s", bench->directory);
    haul_assert(system(command) == 0);
}

static void stop(void *context)
{
    haul_loop_stop(context);
}

static void run_for(struct bench *bench, haul_time span)
{
    struct haul_timer *timer = haul_loop_timer(bench->loop, stop, bench->loop);

    haul_loop_timer_set(timer, haul_loop_now(bench->loop) + span);
    haul_loop_run(bench->loop, NULL, NULL);
    haul_loop_timer_free(timer);
}

static void on_up(void *context, uint32_t flow, uint32_t payload, haul_time rtt)
{
    (void)flow;
    CU_ASSERT_EQUAL(payload, 1408);
    CU_ASSERT_EQUAL(rtt, 77);
    ((struct bench *)context)->up++;
}

static void on_ended(void *context, uint32_t flow, enum haul_status why)
{
    (void)flow;
    ((struct bench *)context)->ended++;
    ((struct bench *)context)->why = why;
}

/* Peer `number`, which is at address 10.0.x.y, on connection 100 + number. */
static struct haul_grant_holder holder_of(struct bench *bench, uint8_t number, bool asker)
{
    struct haul_grant_holder holder = {
        .peer = { .length = 3, .bytes = { 0, 1, number } },
        .remote = { .family = 4, .ip = { 10, 0, 0, number }, .port = 4501 },
        .connection = 100u + number,
        .root = bench->root,
        .asker = asker,
        .wants_max = 16,
        .up = on_up,
        .ended = on_ended,
        .context = bench,
    };

    return holder;
}

/* What the data plane is told next; kind HAUL_ORDER_KINDS: nothing. */
static struct haul_order next_order(struct bench *bench)
{
    struct haul_order order = { .kind = HAUL_ORDER_KINDS };

    if (!haul_handoff_next_order(bench->handoff, &order))
        order.kind = HAUL_ORDER_KINDS;
    return order;
}

static void say_done(struct bench *bench, const struct haul_order *order, enum haul_status status)
{
    struct haul_event event = { .kind = HAUL_EVENT_DONE,
                                .order = order->kind,
                                .status = (uint16_t)status,
                                .flow = order->flow,
                                .id = order->id };

    CU_ASSERT_TRUE(haul_handoff_event(bench->handoff, &event));
}

static void say_wanted(struct bench *bench, uint32_t flow, uint64_t id,
                       const struct haul_hash *hash)
{
    struct haul_event event = { .kind = HAUL_EVENT_WANTED, .flow = flow, .id = id, .hash = *hash };

    CU_ASSERT_TRUE(haul_handoff_event(bench->handoff, &event));
}

/* A started grant; `open` is its OPEN order, which the data plane has taken. */
static struct haul_grant_seat started(struct bench *bench, uint8_t number, bool asker,
                                      struct haul_order *open)
{
    struct haul_grant_holder holder = holder_of(bench, number, asker);
    struct haul_grant_seat seat;
    struct haul_grant grant = { .seal_secret = { 1, 2, 3 } };

    CU_ASSERT_EQUAL_FATAL(haul_grants_reserve(bench->grants, &holder, &seat), HAUL_SEAT_GIVEN);
    grant.local_id = seat.local_id;
    grant.wants_max = seat.wants_max;
    CU_ASSERT_TRUE(haul_grants_start(bench->grants, seat.flow, &grant));
    *open = next_order(bench);
    CU_ASSERT_EQUAL(open->kind, HAUL_ORDER_OPEN);
    CU_ASSERT_EQUAL(open->flow, seat.flow);
    CU_ASSERT_EQUAL(bench->handoff->grants[seat.flow].seal_secret[2], 3);
    if (!asker)
        haul_grants_confirm(bench->grants, seat.flow);
    return seat;
}

static void a_grant_lives_from_its_order_to_its_end(void)
{
    struct haul_event up = { .kind = HAUL_EVENT_UP, .length = 1408, .at = 77 };
    struct haul_grant_facts facts;
    struct haul_order open;
    struct haul_grant_seat seat;
    struct bench bench;

    bench_open(&bench);
    seat = started(&bench, 1, true, &open);
    CU_ASSERT_NOT_EQUAL(seat.local_id, 0);
    up.flow = seat.flow;
    CU_ASSERT_TRUE(haul_handoff_event(bench.handoff, &up));
    run_for(&bench, HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(bench.up, 1);
    CU_ASSERT_TRUE(haul_grants_facts(bench.grants, seat.flow, &facts));
    CU_ASSERT_TRUE(facts.proven && facts.asker && !facts.orphaned);
    haul_grants_end(bench.grants, seat.flow);
    haul_grants_end(bench.grants, seat.flow); /* once is enough */
    CU_ASSERT_EQUAL(next_order(&bench).kind, HAUL_ORDER_CLOSE);
    CU_ASSERT_EQUAL(next_order(&bench).kind, HAUL_ORDER_KINDS);
    say_done(&bench, &open, HAUL_STATUS_CLOSED);
    run_for(&bench, HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(bench.ended, 1);
    CU_ASSERT_EQUAL(bench.why, HAUL_STATUS_CLOSED);
    CU_ASSERT_FALSE(haul_grants_facts(bench.grants, seat.flow, &facts));
    bench_close(&bench);
}

static void an_unproven_grant_ends_and_is_counted(void)
{
    struct haul_order open;
    struct bench bench;

    bench_open(&bench);
    started(&bench, 1, false, &open);
    say_done(&bench, &open, HAUL_STATUS_UNPROVEN);
    run_for(&bench, HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(bench.why, HAUL_STATUS_UNPROVEN);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->ended_unproven, 1);
    bench_close(&bench);
}

static void a_peer_and_an_address_hold_only_so_many(void)
{
    struct haul_grant_holder holder;
    struct haul_grant_seat seat;
    struct bench bench;

    bench_open(&bench);
    holder = holder_of(&bench, 1, false);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_GIVEN);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_GIVEN);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_PEER);
    holder.asker = true; /* what we ask of it is not what it asks of us */
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_GIVEN);
    holder = holder_of(&bench, 2, false);
    holder.remote.ip[3] = 1;
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_GIVEN);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_ADDRESS);
    haul_grants_release(bench.grants, seat.flow);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_GIVEN);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->refused_peer, 1);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->refused_address, 1);
    bench_close(&bench);
}

static void further_flows_of_transfers_have_half_of_the_places(void)
{
    struct haul_grant_holder holder, beside;
    struct haul_grant_seat seat;
    struct bench bench;

    bench_open(&bench); /* two a peer, three an address */
    CU_ASSERT_EQUAL(haul_grants_of_transfer(bench.grants), 2);
    holder = beside = holder_of(&bench, 1, false);
    beside.beside = true;
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &beside, &seat), HAUL_SEAT_GIVEN);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &beside, &seat), HAUL_SEAT_PEER);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_GIVEN);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_PEER);
    beside.peer = holder_of(&bench, 2, false).peer; /* another one at the same address */
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &beside, &seat), HAUL_SEAT_ADDRESS);
    holder.peer = beside.peer;
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_GIVEN);
    beside.remote.ip[3] ^= 1; /* and elsewhere */
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &beside, &seat), HAUL_SEAT_GIVEN);
    haul_grants_release(bench.grants, seat.flow);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_ADDRESS);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->refused_peer, 2);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->refused_address, 2);
    beside.asker = true; /* ours are bounded by what there is */
    for (unsigned i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &beside, &seat), HAUL_SEAT_GIVEN);
    bench_close(&bench);
}

static void an_ipv6_house_is_one_address(void)
{
    struct haul_grant_seat seat;
    struct bench bench;

    bench_open(&bench);
    for (uint8_t i = 0; i < 5; i++) {
        struct haul_grant_holder holder = holder_of(&bench, i, false);

        holder.remote = (struct haul_addr){ .family = 6, .ip = { 0x26, 1, 2, 3, 4, 5, 6, 7 } };
        holder.remote.ip[15] = i;
        holder.remote.ip[7] = i == 4 ? 8 : 7; /* the last one lives next door */
        CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat),
                        i == 3 ? HAUL_SEAT_ADDRESS : HAUL_SEAT_GIVEN);
    }
    bench_close(&bench);
}

static void wants_and_flows_are_never_promised_twice(void)
{
    struct haul_grant_holder holder;
    struct haul_grant_seat seat;
    struct bench bench;
    unsigned given = 0;

    bench_open(&bench);
    holder = holder_of(&bench, 1, true);
    holder.wants_max = 1500;
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_GIVEN);
    CU_ASSERT_EQUAL(seat.wants_max, 1500);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_GIVEN);
    CU_ASSERT_EQUAL(seat.wants_max, HAUL_WANTS_MAX - 1500); /* what is left */
    haul_grants_release(bench.grants, seat.flow);
    holder.wants_max = UINT16_MAX;
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_GIVEN);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_WANTS);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->refused_wants, 1);
    bench_close(&bench);

    bench_open(&bench);
    holder = holder_of(&bench, 1, true);
    holder.wants_max = 1;
    while (haul_grants_reserve(bench.grants, &holder, &seat) == HAUL_SEAT_GIVEN)
        given++;
    CU_ASSERT_EQUAL(given, HAUL_FLOWS_MAX);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->refused_flows, 1);
    bench_close(&bench);
}

static void a_want_is_answered_from_what_is_shared_with_the_peer(void)
{
    struct haul_hash foreign;
    struct haul_order open, order;
    struct haul_grant_seat seat;
    struct bench bench;

    bench_open(&bench);
    haul_hash_of(HAUL_HASH_BLAKE3, "elsewhere", 9, &foreign);
    seat = started(&bench, 1, false, &open);
    say_wanted(&bench, seat.flow, 7, &bench.leaves[2]);
    say_wanted(&bench, seat.flow, 8, &foreign);
    run_for(&bench, HAUL_MILLISECOND);
    order = next_order(&bench);
    CU_ASSERT_EQUAL(order.kind, HAUL_ORDER_SERVE);
    CU_ASSERT_EQUAL(order.id, 7);
    CU_ASSERT_TRUE(order.place.kind == HAUL_PLACE_SYNTHETIC && order.place.at == 2);
    say_done(&bench, &order, HAUL_STATUS_DONE);
    order = next_order(&bench);
    CU_ASSERT_EQUAL(order.kind, HAUL_ORDER_REFUSE);
    CU_ASSERT_EQUAL(order.id, 8);
    CU_ASSERT_EQUAL(order.reason, HAUL_REFUSAL_UNKNOWN);
    /* Withdrawn from everybody: at once, under a live grant. */
    CU_ASSERT_EQUAL(haul_catalog_share(bench.catalog, &bench.root, NULL, false, NULL), 0);
    say_wanted(&bench, seat.flow, 9, &bench.leaves[2]);
    run_for(&bench, HAUL_MILLISECOND);
    order = next_order(&bench);
    CU_ASSERT_EQUAL(order.kind, HAUL_ORDER_REFUSE);
    CU_ASSERT_EQUAL(order.reason, HAUL_REFUSAL_UNKNOWN);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->wants_served, 1);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->wants_unknown, 2);
    bench_close(&bench);
}

static void a_block_that_cannot_be_read_is_counted(void)
{
    struct haul_order open, order;
    struct haul_grant_seat seat;
    struct bench bench;

    bench_open(&bench);
    seat = started(&bench, 1, false, &open);
    for (unsigned i = 0; i < 2; i++) {
        say_wanted(&bench, seat.flow, i, &bench.leaves[i]);
        run_for(&bench, HAUL_MILLISECOND);
        order = next_order(&bench);
        say_done(&bench, &order, i == 0 ? HAUL_STATUS_IO : HAUL_STATUS_MISSING);
    }
    run_for(&bench, HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->wants_failed, 2);
    bench_close(&bench);
}

static void before_the_confirmation_nothing_is_served_and_without_it_the_grant_ends(void)
{
    struct haul_grant_holder holder;
    struct haul_grant_seat seat;
    struct haul_grant grant = { 0 };
    struct haul_order open, order;
    struct bench bench;

    bench_open(&bench);
    holder = holder_of(&bench, 1, false);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_GIVEN);
    grant.local_id = seat.local_id;
    grant.wants_max = seat.wants_max;
    CU_ASSERT_TRUE(haul_grants_start(bench.grants, seat.flow, &grant));
    open = next_order(&bench);
    say_wanted(&bench, seat.flow, 1, &bench.leaves[0]);
    run_for(&bench, HAUL_MILLISECOND);
    order = next_order(&bench);
    CU_ASSERT_EQUAL(order.kind, HAUL_ORDER_REFUSE);
    CU_ASSERT_EQUAL(order.reason, HAUL_REFUSAL_BUSY);
    CU_ASSERT_NOT_EQUAL(order.retry_ms, 0);
    run_for(&bench, 2 * SPAN);
    CU_ASSERT_EQUAL(next_order(&bench).kind, HAUL_ORDER_CLOSE);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->ended_unconfirmed, 1);
    say_done(&bench, &open, HAUL_STATUS_CLOSED);
    run_for(&bench, HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(bench.ended, 1);
    bench_close(&bench);
}

static void a_seat_that_is_held_for_a_confirmation_is_free_again_without_it(void)
{
    struct haul_grant_holder holder;
    struct haul_grant_seat seat, next;
    struct haul_grant grant = { 0 };
    struct bench bench;

    bench_open(&bench);
    holder = holder_of(&bench, 1, false);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &seat), HAUL_SEAT_GIVEN);
    haul_grants_hold(bench.grants, seat.flow);
    run_for(&bench, 2 * SPAN);
    CU_ASSERT_EQUAL(bench.ended, 1);
    CU_ASSERT_EQUAL(bench.why, HAUL_STATUS_CLOSED);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->ended_unconfirmed, 1);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &next), HAUL_SEAT_GIVEN);
    CU_ASSERT_EQUAL(next.flow, seat.flow);
    haul_grants_hold(bench.grants, next.flow);
    grant.local_id = next.local_id;
    grant.wants_max = next.wants_max;
    CU_ASSERT_TRUE(haul_grants_start(bench.grants, next.flow, &grant));
    haul_grants_confirm(bench.grants, next.flow);
    CU_ASSERT_EQUAL(next_order(&bench).kind, HAUL_ORDER_OPEN);
    run_for(&bench, 2 * SPAN); /* confirmed: it lives on */
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->ended_unconfirmed, 1);
    CU_ASSERT_EQUAL(bench.ended, 1);
    bench_close(&bench);
}

static void a_grant_outlives_its_connection_by_the_lease(void)
{
    struct haul_order open;
    struct bench bench;
    haul_time lost_at;

    bench_open(&bench);
    started(&bench, 1, false, &open);
    run_for(&bench, 2 * SPAN);
    CU_ASSERT_EQUAL(next_order(&bench).kind, HAUL_ORDER_KINDS); /* idle, and alive */
    haul_grants_disconnected(bench.grants, 99, 0);              /* somebody else's */
    haul_grants_disconnected(bench.grants, 101, 0);
    lost_at = haul_loop_now(bench.loop);
    run_for(&bench, SPAN / 4);
    if (haul_time_since(lost_at, haul_loop_now(bench.loop)) < SPAN) /* unless we were not served */
        CU_ASSERT_EQUAL(next_order(&bench).kind, HAUL_ORDER_KINDS);
    run_for(&bench, 2 * SPAN);
    CU_ASSERT_EQUAL(next_order(&bench).kind, HAUL_ORDER_CLOSE);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->ended_lease, 1);
    bench_close(&bench);
}

static void a_new_connection_of_the_same_peer_adopts_its_grant(void)
{
    struct haul_grant_holder holder;
    struct haul_grant_facts facts;
    struct haul_grant_seat seat;
    struct haul_order open;
    struct bench bench;

    bench_open(&bench);
    seat = started(&bench, 1, false, &open);
    haul_grants_disconnected(bench.grants, 101, 0);
    holder = holder_of(&bench, 2, false);
    haul_grants_connected(bench.grants, 300, &holder.peer); /* another peer: no */
    CU_ASSERT_TRUE(haul_grants_facts(bench.grants, seat.flow, &facts) && facts.orphaned);
    holder = holder_of(&bench, 1, false);
    haul_grants_connected(bench.grants, 301, &holder.peer);
    CU_ASSERT_TRUE(haul_grants_facts(bench.grants, seat.flow, &facts) && !facts.orphaned);
    run_for(&bench, 2 * SPAN);
    CU_ASSERT_EQUAL(next_order(&bench).kind, HAUL_ORDER_KINDS);
    haul_grants_disconnected(bench.grants, 301, 302); /* another one is there already */
    run_for(&bench, 2 * SPAN);
    CU_ASSERT_EQUAL(next_order(&bench).kind, HAUL_ORDER_KINDS);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->adopted, 2);
    bench_close(&bench);
}

static void without_room_for_orders_wants_and_closes_wait(void)
{
    struct haul_order filler = { .kind = HAUL_ORDER_SYNC }, open, order;
    struct haul_grant_holder holder;
    struct haul_grant_seat seat, other;
    struct haul_grant grant = { .seal_secret = { 9 } };
    static struct haul_order orders[HAUL_ORDERS_MAX];
    struct bench bench;
    unsigned count = 0;

    bench_open(&bench);
    seat = started(&bench, 1, false, &open);
    holder = holder_of(&bench, 2, false);
    CU_ASSERT_EQUAL(haul_grants_reserve(bench.grants, &holder, &other), HAUL_SEAT_GIVEN);
    while (haul_orders_submit(bench.orders, &filler, NULL, NULL) != 0)
        continue;
    while ((orders[count] = next_order(&bench)).kind == HAUL_ORDER_SYNC)
        count++;
    grant.local_id = other.local_id;
    grant.wants_max = other.wants_max;
    CU_ASSERT_FALSE(haul_grants_start(bench.grants, other.flow, &grant));
    CU_ASSERT_EQUAL(bench.handoff->grants[other.flow].seal_secret[0], 0); /* wiped */
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->refused_orders, 1);
    haul_grants_release(bench.grants, other.flow);
    say_wanted(&bench, seat.flow, 1, &bench.leaves[0]);
    say_wanted(&bench, seat.flow, 2, &bench.leaves[1]);
    run_for(&bench, HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(next_order(&bench).kind, HAUL_ORDER_KINDS);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->wants_waited, 2);
    say_done(&bench, &orders[0], HAUL_STATUS_DONE);
    run_for(&bench, HAUL_MILLISECOND);
    order = next_order(&bench);
    CU_ASSERT_TRUE(order.kind == HAUL_ORDER_SERVE && order.id == 1);
    CU_ASSERT_EQUAL(next_order(&bench).kind, HAUL_ORDER_KINDS);
    haul_grants_end(bench.grants, seat.flow); /* no room for CLOSE either */
    CU_ASSERT_EQUAL(next_order(&bench).kind, HAUL_ORDER_KINDS);
    say_done(&bench, &orders[1], HAUL_STATUS_DONE);
    run_for(&bench, HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(next_order(&bench).kind, HAUL_ORDER_CLOSE);
    say_done(&bench, &open, HAUL_STATUS_CLOSED); /* its wants end with it */
    say_done(&bench, &orders[2], HAUL_STATUS_DONE);
    run_for(&bench, HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(next_order(&bench).kind, HAUL_ORDER_KINDS);
    bench_close(&bench);
}

static void more_wants_than_can_wait_are_dropped_and_counted(void)
{
    struct haul_order filler = { .kind = HAUL_ORDER_SYNC }, open;
    struct haul_grant_seat seat;
    struct bench bench;

    bench_open(&bench);
    seat = started(&bench, 1, false, &open);
    while (haul_orders_submit(bench.orders, &filler, NULL, NULL) != 0)
        continue;
    for (uint32_t i = 0; i < HAUL_WANTS_MAX + 3; i++) {
        say_wanted(&bench, seat.flow, 1 + i, &bench.leaves[0]);
        if (i % 256 == 255)
            run_for(&bench, HAUL_MILLISECOND);
    }
    run_for(&bench, HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->wants_waited, HAUL_WANTS_MAX);
    CU_ASSERT_EQUAL(haul_grants_counters(bench.grants)->wants_dropped, 3);
    bench_close(&bench);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a grant lives from its order to its end", a_grant_lives_from_its_order_to_its_end },
        { "an unproven grant ends and is counted", an_unproven_grant_ends_and_is_counted },
        { "a peer and an address hold only so many", a_peer_and_an_address_hold_only_so_many },
        { "further flows of transfers have half of the places",
          further_flows_of_transfers_have_half_of_the_places },
        { "an IPv6 house is one address", an_ipv6_house_is_one_address },
        { "wants and flows are never promised twice", wants_and_flows_are_never_promised_twice },
        { "a want is answered from what is shared with the peer",
          a_want_is_answered_from_what_is_shared_with_the_peer },
        { "a block that cannot be read is counted", a_block_that_cannot_be_read_is_counted },
        { "before the confirmation nothing is served and without it the grant ends",
          before_the_confirmation_nothing_is_served_and_without_it_the_grant_ends },
        { "a seat that is held for a confirmation is free again without it",
          a_seat_that_is_held_for_a_confirmation_is_free_again_without_it },
        { "a grant outlives its connection by the lease",
          a_grant_outlives_its_connection_by_the_lease },
        { "a new connection of the same peer adopts its grant",
          a_new_connection_of_the_same_peer_adopts_its_grant },
        { "more wants than can wait are dropped and counted",
          more_wants_than_can_wait_are_dropped_and_counted },
        { "without room for orders wants and closes wait",
          without_room_for_orders_wants_and_closes_wait },
    };

    return unit_main("grants", tests, HAUL_COUNT_OF(tests));
}
