/* The control plane's end of the seam, with this test as the worker at the other end. */
#include "controlplane/seam/orders.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

struct bench {
    struct haul_loop *loop;
    struct haul_handoff *handoff;
    struct haul_orders *orders;
    uint8_t *slots;
    unsigned done;
    unsigned wanted;
    unsigned room;
    uint64_t last_id;
    uint16_t last_status;
};

static void bench_open(struct bench *bench)
{
    struct haul_error error;

    *bench = (struct bench){ 0 };
    bench->slots = calloc(2, HAUL_BLOCK_BYTES_MAX);
    bench->handoff = calloc(1, sizeof *bench->handoff);
    CU_ASSERT_EQUAL_FATAL(haul_handoff_open(bench->handoff, bench->slots, 2), 0);
    CU_ASSERT_EQUAL_FATAL(haul_loop_open(&bench->loop, &error), 0);
    CU_ASSERT_EQUAL_FATAL(haul_orders_open(&bench->orders, bench->loop, bench->handoff, &error), 0);
}

static void bench_close(struct bench *bench)
{
    haul_orders_close(bench->orders);
    haul_loop_close(bench->loop);
    haul_handoff_close(bench->handoff);
    free(bench->handoff);
    free(bench->slots);
}

static void stop(void *context)
{
    haul_loop_stop(((struct bench *)context)->loop);
}

/* Two turns: one that drains the events, one for what is due after it. */
static void turns(struct bench *bench)
{
    struct haul_timer *timer = haul_loop_timer(bench->loop, stop, bench);

    haul_loop_timer_set(timer, haul_loop_now(bench->loop) + 20 * HAUL_MILLISECOND);
    haul_loop_run(bench->loop, NULL, NULL);
    haul_loop_timer_free(timer);
}

static void on_done(void *context, const struct haul_event *event)
{
    struct bench *bench = context;

    bench->done++;
    bench->last_id = event->id;
    bench->last_status = event->status;
}

static void on_flow(void *context, const struct haul_event *event)
{
    struct bench *bench = context;

    (void)event;
    bench->wanted++;
}

static void on_room(void *context)
{
    ((struct bench *)context)->room++;
}

static void answer(struct bench *bench, uint16_t status)
{
    struct haul_order order;
    struct haul_event event = { .kind = HAUL_EVENT_DONE, .status = status };

    CU_ASSERT_TRUE_FATAL(haul_handoff_next_order(bench->handoff, &order));
    event.id = order.id;
    event.order = order.kind;
    CU_ASSERT_TRUE(haul_handoff_event(bench->handoff, &event));
}

static void each_order_gets_its_own_answer(void)
{
    struct haul_order sync = { .kind = HAUL_ORDER_SYNC };
    struct bench bench;
    uint64_t first;
    uint64_t second;

    bench_open(&bench);
    first = haul_orders_submit(bench.orders, &sync, on_done, &bench);
    second = haul_orders_submit(bench.orders, &sync, NULL, NULL);
    CU_ASSERT_NOT_EQUAL(first, 0);
    CU_ASSERT_NOT_EQUAL(first, second);
    answer(&bench, HAUL_STATUS_IO);
    answer(&bench, HAUL_STATUS_DONE);
    turns(&bench);
    CU_ASSERT_EQUAL(bench.done, 1);
    CU_ASSERT_EQUAL(bench.last_id, first);
    CU_ASSERT_EQUAL(bench.last_status, HAUL_STATUS_IO);
    bench_close(&bench);
}

static void a_serve_with_the_id_of_an_order_of_ours_is_not_mistaken_for_it(void)
{
    struct haul_order sync = { .kind = HAUL_ORDER_SYNC };
    struct haul_order serve = { .kind = HAUL_ORDER_SERVE };
    struct bench bench;
    unsigned other = 0;

    bench_open(&bench);
    serve.id = haul_orders_submit(bench.orders, &sync, on_done, &bench);
    CU_ASSERT_EQUAL(haul_orders_submit(bench.orders, &serve, NULL, &other), serve.id);
    answer(&bench, HAUL_STATUS_DONE);
    turns(&bench);
    CU_ASSERT_EQUAL(bench.done, 1);
    answer(&bench, HAUL_STATUS_WITHDRAWN);
    turns(&bench);
    CU_ASSERT_EQUAL(bench.done, 1);
    bench_close(&bench);
}

static void the_table_is_full_at_its_limit_and_room_is_announced_once(void)
{
    struct haul_order sync = { .kind = HAUL_ORDER_SYNC };
    struct bench bench;

    bench_open(&bench);
    for (unsigned i = 0; i < HAUL_ORDERS_MAX; i++)
        CU_ASSERT_NOT_EQUAL(haul_orders_submit(bench.orders, &sync, on_done, &bench), 0);
    CU_ASSERT_EQUAL(haul_orders_submit(bench.orders, &sync, on_done, &bench), 0);
    haul_orders_when_room(bench.orders, on_room, &bench);
    haul_orders_when_room(bench.orders, on_room, &bench);
    turns(&bench);
    CU_ASSERT_EQUAL(bench.room, 0);
    answer(&bench, HAUL_STATUS_DONE);
    turns(&bench);
    CU_ASSERT_EQUAL(bench.room, 1);
    CU_ASSERT_NOT_EQUAL(haul_orders_submit(bench.orders, &sync, on_done, &bench), 0);
    for (unsigned i = 0; i < HAUL_ORDERS_MAX; i++)
        answer(&bench, HAUL_STATUS_DONE);
    turns(&bench);
    CU_ASSERT_EQUAL(bench.done, HAUL_ORDERS_MAX + 1);
    bench_close(&bench);
}

static void slots_are_lent_until_none_is_left(void)
{
    struct bench bench;
    uint32_t one;
    uint32_t two;

    bench_open(&bench);
    one = haul_orders_slot_take(bench.orders);
    two = haul_orders_slot_take(bench.orders);
    CU_ASSERT_NOT_EQUAL(one, two);
    CU_ASSERT_EQUAL(haul_orders_slot_take(bench.orders), UINT32_MAX);
    haul_orders_when_room(bench.orders, on_room, &bench);
    haul_orders_slot_give(bench.orders, one);
    turns(&bench);
    CU_ASSERT_EQUAL(bench.room, 1);
    CU_ASSERT_PTR_EQUAL(haul_orders_slot(bench.orders, 1), bench.slots + HAUL_BLOCK_BYTES_MAX);
    haul_orders_slot_give(bench.orders, two);
    bench_close(&bench);
}

static void a_want_goes_to_the_holder_of_its_flow_or_is_refused(void)
{
    struct haul_event wanted = { .kind = HAUL_EVENT_WANTED, .flow = 3, .id = 77 };
    struct haul_order order;
    struct bench bench;

    bench_open(&bench);
    haul_orders_on_flow(bench.orders, 3, on_flow, &bench);
    CU_ASSERT_TRUE(haul_handoff_event(bench.handoff, &wanted));
    turns(&bench);
    CU_ASSERT_EQUAL(bench.wanted, 1);
    haul_orders_on_flow(bench.orders, 3, NULL, NULL);
    CU_ASSERT_TRUE(haul_handoff_event(bench.handoff, &wanted));
    turns(&bench);
    CU_ASSERT_EQUAL(bench.wanted, 1);
    CU_ASSERT_TRUE(haul_handoff_next_order(bench.handoff, &order));
    CU_ASSERT_EQUAL(order.kind, HAUL_ORDER_REFUSE);
    CU_ASSERT_EQUAL(order.id, 77);
    bench_close(&bench);
}

static void a_forgotten_wait_is_never_called(void)
{
    struct bench bench;
    uint32_t slot;

    bench_open(&bench);
    slot = haul_orders_slot_take(bench.orders);
    haul_orders_when_room(bench.orders, on_room, &bench);
    haul_orders_slot_give(bench.orders, slot);
    haul_orders_forget(bench.orders, &bench);
    turns(&bench);
    CU_ASSERT_EQUAL(bench.room, 0);
    bench_close(&bench);
}

/* Reads generated block 5 into the slot; true when its stamps were thought to be enough. */
static bool read_stamped(struct bench *bench, uint32_t slot)
{
    const struct haul_order read = { .kind = HAUL_ORDER_READ,
                                     .slot = slot,
                                     .place = { .kind = HAUL_PLACE_SYNTHETIC, .at = 5 } };
    struct haul_order seen;

    CU_ASSERT_NOT_EQUAL(haul_orders_submit(bench->orders, &read, NULL, NULL), 0);
    CU_ASSERT_TRUE_FATAL(haul_handoff_next_order(bench->handoff, &seen));
    return (seen.place.flags & HAUL_PLACE_STAMP) != 0;
}

static void a_generated_block_is_stamped_only_where_nothing_was_written_since_the_last(void)
{
    struct haul_order other = { .kind = HAUL_ORDER_WRITE, .place = { .kind = HAUL_PLACE_STORE } };
    struct haul_order seen;
    struct bench bench;

    bench_open(&bench);
    CU_ASSERT_FALSE(read_stamped(&bench, 0));
    CU_ASSERT_TRUE(read_stamped(&bench, 0));
    CU_ASSERT_FALSE(read_stamped(&bench, 1));
    (void)haul_orders_slot_view(bench.orders, 0);
    CU_ASSERT_TRUE(read_stamped(&bench, 0));
    (void)haul_orders_slot(bench.orders, 0);
    CU_ASSERT_FALSE(read_stamped(&bench, 0));
    CU_ASSERT_NOT_EQUAL(haul_orders_submit(bench.orders, &other, NULL, NULL), 0);
    CU_ASSERT_TRUE_FATAL(haul_handoff_next_order(bench.handoff, &seen));
    CU_ASSERT_FALSE(read_stamped(&bench, 0));
    other = (struct haul_order){ .kind = HAUL_ORDER_FETCH, .place = { .kind = HAUL_PLACE_SLOT } };
    CU_ASSERT_NOT_EQUAL(haul_orders_submit(bench.orders, &other, NULL, NULL), 0);
    CU_ASSERT_TRUE_FATAL(haul_handoff_next_order(bench.handoff, &seen));
    CU_ASSERT_FALSE(read_stamped(&bench, 0));
    CU_ASSERT_TRUE(read_stamped(&bench, 0));
    bench_close(&bench);
}

/* Three workers, of which the test plays each. */
static void each_order_goes_to_the_worker_of_its_flow(void)
{
    static const uint8_t kinds[] = { HAUL_ORDER_OPEN, HAUL_ORDER_FETCH, HAUL_ORDER_SYNC };
    struct haul_handoff *handoffs = calloc(3, sizeof *handoffs);
    struct bench bench = { 0 };
    struct haul_error error;
    struct haul_order order;

    CU_ASSERT_EQUAL_FATAL(haul_loop_open(&bench.loop, &error), 0);
    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL_FATAL(haul_handoff_open(&handoffs[i], NULL, 0), 0);
        if (i > 0)
            handoffs[i - 1].next = &handoffs[i];
    }
    CU_ASSERT_EQUAL_FATAL(haul_orders_open(&bench.orders, bench.loop, handoffs, &error), 0);
    CU_ASSERT_EQUAL(haul_orders_workers(bench.orders), 3);
    for (uint32_t flow = 0; flow < 6; flow++) {
        CU_ASSERT_PTR_EQUAL(haul_orders_grant(bench.orders, flow),
                            &handoffs[flow % 3].grants[flow]);
        CU_ASSERT_PTR_EQUAL(haul_orders_stats(bench.orders, flow), &handoffs[flow % 3].stats[flow]);
        for (size_t k = 0; k < HAUL_COUNT_OF(kinds); k++) {
            struct haul_order given = { .kind = kinds[k], .flow = flow };

            CU_ASSERT_NOT_EQUAL(haul_orders_submit(bench.orders, &given, on_done, &bench), 0);
        }
    }
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t count = 0;

        bench.handoff = &handoffs[i];
        for (; haul_handoff_next_order(&handoffs[i], &order); count++) {
            struct haul_event event = {
                .kind = HAUL_EVENT_DONE, .order = order.kind, .flow = order.flow, .id = order.id
            };

            CU_ASSERT_TRUE(order.kind == HAUL_ORDER_SYNC ? i == 0 : order.flow % 3 == i);
            CU_ASSERT_TRUE(haul_handoff_event(&handoffs[i], &event));
        }
        CU_ASSERT_EQUAL(count, i == 0 ? 10 : 4);
    }
    turns(&bench);
    CU_ASSERT_EQUAL(bench.done, 18); /* from all three rings */
    haul_orders_close(bench.orders);
    haul_loop_close(bench.loop);
    for (uint32_t i = 0; i < 3; i++)
        haul_handoff_close(&handoffs[i]);
    free(handoffs);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "each order gets its own answer", each_order_gets_its_own_answer },
        { "each order goes to the worker of its flow", each_order_goes_to_the_worker_of_its_flow },
        { "a serve with the id of an order of ours is not mistaken for it",
          a_serve_with_the_id_of_an_order_of_ours_is_not_mistaken_for_it },
        { "the table is full at its limit and room is announced once",
          the_table_is_full_at_its_limit_and_room_is_announced_once },
        { "slots are lent until none is left", slots_are_lent_until_none_is_left },
        { "a want goes to the holder of its flow or is refused",
          a_want_goes_to_the_holder_of_its_flow_or_is_refused },
        { "a forgotten wait is never called", a_forgotten_wait_is_never_called },
        { "a generated block is stamped only where nothing was written since the last",
          a_generated_block_is_stamped_only_where_nothing_was_written_since_the_last },
    };

    return unit_main("orders", tests, HAUL_COUNT_OF(tests));
}
