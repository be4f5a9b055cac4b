/* The ring alone and between two threads; the handoff's wake-ups. */
#include "common/handoff.h"
#include "common/ring.h"
#include "tests/unit/unit.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

struct cell {
    uint64_t number;
    uint64_t inverse;
    uint32_t filling;
    uint32_t end;
};

static void a_full_ring_takes_nothing_and_an_empty_one_gives_nothing(void)
{
    struct haul_ring *ring = haul_ring_open(4, sizeof(uint32_t));
    uint32_t out = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(ring);
    CU_ASSERT_EQUAL(haul_ring_cells(ring), 4);
    for (uint32_t round = 0; round < 10; round++) {
        CU_ASSERT_FALSE(haul_ring_pull(ring, &out));
        for (uint32_t i = 0; i < 4; i++) {
            CU_ASSERT_EQUAL(haul_ring_used(ring), i);
            CU_ASSERT_TRUE(haul_ring_push(ring, &(uint32_t){ round * 4 + i }));
        }
        CU_ASSERT_FALSE(haul_ring_push(ring, &(uint32_t){ 99 }));
        CU_ASSERT_EQUAL(haul_ring_used(ring), 4);
        for (uint32_t i = 0; i < 4; i++) {
            CU_ASSERT_TRUE(haul_ring_pull(ring, &out));
            CU_ASSERT_EQUAL(out, round * 4 + i);
        }
    }
    haul_ring_close(ring);
    haul_ring_close(NULL);
}

#define NUMBERS 200000u

static void *produce(void *context)
{
    struct haul_ring *ring = context;

    for (uint64_t i = 0; i < NUMBERS; i++) {
        struct cell cell = { .number = i, .inverse = ~i, .filling = 7, .end = (uint32_t)i };

        while (!haul_ring_push(ring, &cell))
            sched_yield();
    }
    return NULL;
}

static void two_threads_lose_and_tear_nothing(void)
{
    struct haul_ring *ring = haul_ring_open(64, sizeof(struct cell));
    uint64_t wrong = 0;
    pthread_t thread;

    CU_ASSERT_PTR_NOT_NULL_FATAL(ring);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, produce, ring), 0);
    for (uint64_t i = 0; i < NUMBERS; i++) {
        struct cell cell;

        while (!haul_ring_pull(ring, &cell))
            sched_yield();
        wrong += cell.number != i || cell.inverse != ~i || cell.end != (uint32_t)i;
        wrong += haul_ring_used(ring) > 64;
    }
    CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
    CU_ASSERT_EQUAL(wrong, 0);
    haul_ring_close(ring);
}

static bool readable(int fd, int wait_ms)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    return poll(&poll_fd, 1, wait_ms) == 1;
}

static void a_descriptor_is_readable_while_something_waits(void)
{
    static struct haul_handoff handoff;
    struct haul_order order = { .kind = HAUL_ORDER_SYNC };

    CU_ASSERT_EQUAL_FATAL(haul_handoff_open(&handoff, NULL, 0), 0);
    CU_ASSERT_FALSE(readable(handoff.orders_fd, 0));
    for (int i = 0; i < 3; i++)
        CU_ASSERT_TRUE(haul_handoff_order(&handoff, &order));
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_TRUE(readable(handoff.orders_fd, 0));
        CU_ASSERT_TRUE(haul_handoff_next_order(&handoff, &order));
    }
    CU_ASSERT_FALSE(haul_handoff_next_order(&handoff, &order));
    CU_ASSERT_FALSE(readable(handoff.orders_fd, 0));
    CU_ASSERT_TRUE(haul_handoff_order(&handoff, &order));
    CU_ASSERT_TRUE(readable(handoff.orders_fd, 0));
    CU_ASSERT_FALSE(readable(handoff.events_fd, 0));
    haul_handoff_close(&handoff);
}

static void the_rings_hold_what_the_rules_allow(void)
{
    static struct haul_handoff handoff;
    struct haul_event event = { .kind = HAUL_EVENT_DONE };
    struct haul_order order = { .kind = HAUL_ORDER_SYNC };

    CU_ASSERT_EQUAL_FATAL(haul_handoff_open(&handoff, NULL, 0), 0);
    for (uint32_t i = 0; i < HAUL_ORDERS_MAX; i++)
        CU_ASSERT_TRUE(haul_handoff_order(&handoff, &order));
    CU_ASSERT_FALSE(haul_handoff_order(&handoff, &order));
    for (uint32_t i = 0; i < HAUL_ORDERS_MAX + HAUL_WANTS_MAX; i++)
        CU_ASSERT_TRUE(haul_handoff_event(&handoff, &event));
    haul_handoff_close(&handoff);
    haul_handoff_close(NULL);
}

/* The producer may be interrupted, by the consumer itself on a shared core, after its push and
 * before its wake-up: a descriptor that stayed readable would keep the consumer spinning. */
static void a_wake_up_that_comes_late_is_taken_away(void)
{
    static struct haul_handoff handoff;
    struct haul_event event = { .kind = HAUL_EVENT_DONE };

    CU_ASSERT_EQUAL_FATAL(haul_handoff_open(&handoff, NULL, 0), 0);
    CU_ASSERT_TRUE(haul_handoff_post_event(&handoff, &event));
    CU_ASSERT_TRUE(haul_handoff_next_event(&handoff, &event));
    CU_ASSERT_FALSE(haul_handoff_next_event(&handoff, &event));
    haul_handoff_tell(&handoff);
    CU_ASSERT_TRUE(readable(handoff.events_fd, 0));
    CU_ASSERT_FALSE(haul_handoff_next_event(&handoff, &event));
    CU_ASSERT_FALSE(readable(handoff.events_fd, 0));
    CU_ASSERT_TRUE(haul_handoff_event(&handoff, &event));
    CU_ASSERT_TRUE(readable(handoff.events_fd, 0));
    haul_handoff_close(&handoff);
}

static void a_worker_that_turns_is_not_woken_and_one_that_rests_is(void)
{
    static struct haul_handoff handoff;
    struct haul_order order = { .kind = HAUL_ORDER_SYNC };

    CU_ASSERT_EQUAL_FATAL(haul_handoff_open(&handoff, NULL, 0), 0);
    CU_ASSERT_TRUE(haul_handoff_rest(&handoff));
    haul_handoff_rested(&handoff);
    CU_ASSERT_TRUE(haul_handoff_order(&handoff, &order));
    CU_ASSERT_FALSE(readable(handoff.orders_fd, 0));
    CU_ASSERT_FALSE(haul_handoff_rest(&handoff)); /* there is something to do */
    CU_ASSERT_TRUE(haul_handoff_poll_order(&handoff, &order));
    CU_ASSERT_FALSE(haul_handoff_poll_order(&handoff, &order));
    CU_ASSERT_TRUE(haul_handoff_rest(&handoff));
    CU_ASSERT_TRUE(haul_handoff_order(&handoff, &order));
    CU_ASSERT_TRUE(readable(handoff.orders_fd, 0));
    haul_handoff_rested(&handoff);
    CU_ASSERT_FALSE(readable(handoff.orders_fd, 0));
    CU_ASSERT_TRUE(haul_handoff_poll_order(&handoff, &order));
    haul_handoff_close(&handoff);
}

#define EVENTS 50000u

static void *push_events(void *context)
{
    struct haul_handoff *handoff = context;

    for (uint64_t i = 0; i < EVENTS; i++) {
        struct haul_event event = { .id = i };

        while (!haul_handoff_event(handoff, &event))
            sched_yield();
        if (i % 97 == 0)
            sched_yield();
    }
    return NULL;
}

/* The consumer sleeps whenever its ring is empty: one lost wake-up would end in the time-out. */
static void no_wake_up_is_lost_between_two_threads(void)
{
    static struct haul_handoff handoff;
    struct haul_event event;
    uint64_t next = 0, wrong = 0, lost = 0;
    pthread_t thread;

    CU_ASSERT_EQUAL_FATAL(haul_handoff_open(&handoff, NULL, 0), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, push_events, &handoff), 0);
    while (next < EVENTS) {
        if (!haul_handoff_next_event(&handoff, &event)) {
            lost += !readable(handoff.events_fd, 5000);
            continue;
        }
        wrong += event.id != next++;
    }
    CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(lost, 0);
    haul_handoff_close(&handoff);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a full ring takes nothing and an empty one gives nothing",
          a_full_ring_takes_nothing_and_an_empty_one_gives_nothing },
        { "two threads lose and tear nothing", two_threads_lose_and_tear_nothing },
        { "a descriptor is readable while something waits",
          a_descriptor_is_readable_while_something_waits },
        { "the rings hold what the rules allow", the_rings_hold_what_the_rules_allow },
        { "a wake-up that comes late is taken away", a_wake_up_that_comes_late_is_taken_away },
        { "a worker that turns is not woken and one that rests is",
          a_worker_that_turns_is_not_woken_and_one_that_rests_is },
        { "no wake-up is lost between two threads", no_wake_up_is_lost_between_two_threads },
    };

    return unit_main("ring", tests, HAUL_COUNT_OF(tests));
}
