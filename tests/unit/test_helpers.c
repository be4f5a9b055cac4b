/* Helper threads: order within a lane, the limit, and the end. */
#include "controlplane/seam/helpers.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

struct job {
    struct haul_loop *loop;
    unsigned *finished;
    unsigned number;
    unsigned stop_at;
    bool worked;
    bool in_order;
};

static void work(void *context)
{
    ((struct job *)context)->worked = true;
}

static void done(void *context)
{
    struct job *job = context;

    job->in_order = *job->finished == job->number;
    if (++*job->finished == job->stop_at && job->loop != NULL)
        haul_loop_stop(job->loop);
}

static void jobs_of_a_lane_end_in_order_on_the_control_thread(void)
{
    struct haul_helpers *helpers;
    struct haul_loop *loop;
    struct haul_error error;
    struct job jobs[200];
    unsigned finished = 0;

    CU_ASSERT_EQUAL_FATAL(haul_loop_open(&loop, &error), 0);
    CU_ASSERT_EQUAL_FATAL(haul_helpers_open(&helpers, loop, 2, &error), 0);
    for (unsigned i = 0; i < 200; i++) {
        jobs[i] = (struct job){ .loop = loop, .finished = &finished, .number = i, .stop_at = 200 };
        CU_ASSERT_TRUE(haul_helpers_run(helpers, 7, work, done, &jobs[i]));
    }
    haul_loop_run(loop, NULL, NULL);
    for (unsigned i = 0; i < 200; i++)
        CU_ASSERT_TRUE(jobs[i].worked && jobs[i].in_order);
    haul_helpers_close(helpers);
    haul_loop_close(loop);
}

static void wait_for_gate(void *context)
{
    char byte;

    CU_ASSERT_EQUAL(read(*(int *)context, &byte, 1), 1);
}

static void nothing(void *context)
{
    (void)context;
}

static void a_full_lane_refuses_and_close_finishes_what_was_taken(void)
{
    struct haul_helpers *helpers;
    struct haul_loop *loop;
    struct haul_error error;
    struct job *jobs = calloc(4096, sizeof *jobs);
    unsigned finished = 0;
    unsigned taken = 0;
    int gate[2];

    CU_ASSERT_EQUAL_FATAL(pipe(gate), 0);
    CU_ASSERT_EQUAL_FATAL(haul_loop_open(&loop, &error), 0);
    CU_ASSERT_EQUAL_FATAL(haul_helpers_open(&helpers, loop, 1, &error), 0);
    CU_ASSERT_TRUE(haul_helpers_run(helpers, 0, wait_for_gate, nothing, &gate[0]));
    while (taken < 4096) {
        jobs[taken] = (struct job){ .finished = &finished, .number = taken };
        if (!haul_helpers_run(helpers, 0, work, done, &jobs[taken]))
            break;
        taken++;
    }
    CU_ASSERT_TRUE(taken > 100 && taken < 4096);
    CU_ASSERT_EQUAL(write(gate[1], "x", 1), 1);
    haul_helpers_close(helpers);
    CU_ASSERT_EQUAL(finished, taken);
    haul_loop_close(loop);
    close(gate[0]);
    close(gate[1]);
    free(jobs);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "jobs of a lane end in order on the control thread",
          jobs_of_a_lane_end_in_order_on_the_control_thread },
        { "a full lane refuses, and close finishes what was taken",
          a_full_lane_refuses_and_close_finishes_what_was_taken },
    };

    return unit_main("helpers", tests, HAUL_COUNT_OF(tests));
}
