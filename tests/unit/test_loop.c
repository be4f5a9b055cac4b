/* The event loop: order of timers, freeing from inside callbacks, watches and hang-ups. */
#include "controlplane/host/loop.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct bench {
    struct haul_loop *loop;
    struct haul_timer *timers[100];
    struct haul_watch *watches[2];
    int calls;
    int turns;
    int order[100];
};

struct mark {
    struct bench *bench;
    int number;
};

static void bench_open(struct bench *bench)
{
    struct haul_error error;

    *bench = (struct bench){ 0 };
    CU_ASSERT_EQUAL_FATAL(haul_loop_open(&bench->loop, &error), 0);
}

static void on_mark(void *context)
{
    struct mark *mark = context;

    mark->bench->order[mark->bench->calls++] = mark->number;
}

static void on_stop(void *context)
{
    struct bench *bench = context;

    haul_loop_stop(bench->loop);
}

static void timers_fire_in_order_of_time(void)
{
    struct bench bench;
    struct mark marks[50];
    struct haul_timer *stop;

    bench_open(&bench);
    for (int i = 0; i < 50; i++) {
        marks[i] = (struct mark){ &bench, i };
        bench.timers[i] = haul_loop_timer(bench.loop, on_mark, &marks[i]);
    }
    /* Armed out of order (7 is coprime to 50), half of them due in the very first turn. */
    for (int i = 0; i < 50; i++)
        haul_loop_timer_set(bench.timers[i * 7 % 50],
                            haul_loop_now(bench.loop) - 25 * HAUL_MILLISECOND +
                                (haul_time)(i * 7 % 50) * HAUL_MILLISECOND);
    haul_loop_timer_set(bench.timers[10], HAUL_TIME_NEVER);
    haul_loop_timer_free(bench.timers[20]);
    stop = haul_loop_timer(bench.loop, on_stop, &bench);
    haul_loop_timer_set(stop, haul_loop_now(bench.loop) + 30 * HAUL_MILLISECOND);
    haul_loop_run(bench.loop, NULL, NULL);
    CU_ASSERT_EQUAL(bench.calls, 48);
    for (int i = 0; i < bench.calls; i++)
        CU_ASSERT_EQUAL(bench.order[i], i < 10 ? i : i < 19 ? i + 1 : i + 2);
    haul_loop_close(bench.loop);
}

static void on_again(void *context)
{
    struct bench *bench = context;

    bench->calls++;
    haul_loop_timer_set(bench->timers[0], haul_loop_now(bench->loop));
}

static void on_turn(void *context)
{
    struct bench *bench = context;

    if (++bench->turns == 5)
        haul_loop_stop(bench->loop);
}

static void a_timer_set_to_now_fires_once_a_turn(void)
{
    struct bench bench;

    bench_open(&bench);
    bench.timers[0] = haul_loop_timer(bench.loop, on_again, &bench);
    haul_loop_timer_set(bench.timers[0], 0);
    haul_loop_run(bench.loop, on_turn, &bench);
    CU_ASSERT_EQUAL(bench.calls, 5);
    haul_loop_close(bench.loop);
}

static void on_free_both(void *context)
{
    struct bench *bench = context;

    bench->calls++;
    haul_loop_timer_free(bench->timers[0]);
    haul_loop_timer_free(bench->timers[1]);
    haul_loop_stop(bench->loop);
}

static void a_timer_may_free_itself_and_another_that_is_due(void)
{
    struct bench bench;

    bench_open(&bench);
    for (int i = 0; i < 2; i++) {
        bench.timers[i] = haul_loop_timer(bench.loop, on_free_both, &bench);
        haul_loop_timer_set(bench.timers[i], 0);
    }
    haul_loop_run(bench.loop, NULL, NULL);
    CU_ASSERT_EQUAL(bench.calls, 1);
    haul_loop_close(bench.loop);
}

static void on_ready_unwatch_both(void *context, unsigned ready)
{
    struct bench *bench = context;

    bench->calls++;
    CU_ASSERT_EQUAL(ready, HAUL_LOOP_READ);
    haul_loop_unwatch(bench->watches[0]);
    haul_loop_unwatch(bench->watches[1]);
    haul_loop_stop(bench->loop);
}

static void a_watch_may_remove_itself_and_another_that_is_ready(void)
{
    struct bench bench;
    int ends[2];

    bench_open(&bench);
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CU_ASSERT_EQUAL(write(ends[0], "x", 1), 1);
    CU_ASSERT_EQUAL(write(ends[1], "x", 1), 1);
    for (int i = 0; i < 2; i++)
        bench.watches[i] =
            haul_loop_watch(bench.loop, ends[i], HAUL_LOOP_READ, on_ready_unwatch_both, &bench);
    haul_loop_run(bench.loop, NULL, NULL);
    CU_ASSERT_EQUAL(bench.calls, 1);
    haul_loop_close(bench.loop);
    close(ends[0]);
    close(ends[1]);
}

static void on_ready_count(void *context, unsigned ready)
{
    struct bench *bench = context;

    bench->calls++;
    (void)ready;
}

static void a_hang_up_without_interest_does_not_spin(void)
{
    struct bench bench;
    struct haul_timer *stop;
    int ends[2];

    bench_open(&bench);
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    bench.watches[0] = haul_loop_watch(bench.loop, ends[0], HAUL_LOOP_READ, on_ready_count, &bench);
    haul_loop_interest(bench.watches[0], 0);
    close(ends[1]);
    stop = haul_loop_timer(bench.loop, on_stop, &bench);
    haul_loop_timer_set(stop, haul_loop_now(bench.loop) + 20 * HAUL_MILLISECOND);
    haul_loop_run(bench.loop, on_turn, &bench);
    CU_ASSERT_EQUAL(bench.calls, 0);
    CU_ASSERT(bench.turns <= 2);
    haul_loop_interest(bench.watches[0], HAUL_LOOP_READ);
    haul_loop_timer_set(stop, 0);
    haul_loop_run(bench.loop, NULL, NULL);
    CU_ASSERT_EQUAL(bench.calls, 1);
    haul_loop_close(bench.loop);
    close(ends[0]);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "timers fire in order of time", timers_fire_in_order_of_time },
        { "a timer set to now fires once a turn", a_timer_set_to_now_fires_once_a_turn },
        { "a timer may free itself and another that is due",
          a_timer_may_free_itself_and_another_that_is_due },
        { "a watch may remove itself and another that is ready",
          a_watch_may_remove_itself_and_another_that_is_ready },
        { "a hang-up without interest does not spin", a_hang_up_without_interest_does_not_spin },
    };

    return unit_main("loop", tests, HAUL_COUNT_OF(tests));
}
