/* The table of jobs when it is full, which takes more orders and wants at a time than a test can
 * have under way: here it is filled by hand. */
#include "dataplane/worker_parts.h"

#include "tests/unit/flow_pair.h"
#include "tests/unit/toy_aead.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static struct haul_worker *worker;
static struct pair *pair;

/* A flow's serving end under a worker that does nothing else, and one want that has reached it. */
static struct haul_flow_event start(void)
{
    struct haul_flow_event wanted = { .kind = HAUL_FLOW_WANTED, .length = 4096 };

    worker = calloc(1, sizeof *worker);
    worker->jobs = calloc(HAUL_JOBS_MAX, sizeof *worker->jobs);
    worker->wants = calloc(HAUL_WANT_BUCKETS, sizeof *worker->wants);
    worker->handoff = calloc(1, sizeof *worker->handoff);
    CU_ASSERT_EQUAL_FATAL(haul_handoff_open(worker->handoff, NULL, 0), 0);
    haul_jobs_init(worker);
    pair = pair_open(&toy_aead, 7, 8, 1408);
    pair->side[1].hold_serves = true;
    pair->side[0].to_ask = 1;
    pair_run(pair, HAUL_SECOND / 10);
    CU_ASSERT_EQUAL_FATAL(pair->side[1].wanted, 1);
    worker->now = pair->now;
    worker->flows[0].flow = pair->side[1].flow;
    wanted.handle = pair->side[0].jobs[0].handle;
    return wanted;
}

static void finish(void)
{
    pair_close(pair);
    haul_handoff_close(worker->handoff);
    free(worker->handoff);
    free(worker->wants);
    free(worker->jobs);
    free(worker);
}

static void a_want_that_finds_the_table_full_is_refused_as_busy(void)
{
    const struct haul_order order = { .kind = HAUL_ORDER_READ };
    struct haul_flow_event wanted = start();
    struct haul_job *job, *last = NULL;
    struct haul_event event;
    uint32_t count = 0;

    for (; (job = haul_job_new(worker, &order)) != NULL; count++)
        (last = job)->state = HAUL_JOB_READING;
    CU_ASSERT_EQUAL(count, HAUL_JOBS_MAX);
    haul_serve_wanted(worker, &worker->flows[0], &wanted);
    CU_ASSERT_EQUAL(worker->counters.wants_refused, 1);
    CU_ASSERT_EQUAL(worker->flows[0].jobs, 0);
    CU_ASSERT_FALSE(haul_handoff_next_event(worker->handoff, &event));
    pair_run(pair, HAUL_SECOND);
    CU_ASSERT_EQUAL(pair->side[0].refused, 1);
    CU_ASSERT_EQUAL(pair->side[0].refusal, HAUL_REFUSAL_BUSY);
    CU_ASSERT_TRUE(pair->side[0].retry_ms > 0);

    haul_job_free(worker, last); /* and there is room again */
    haul_serve_wanted(worker, &worker->flows[0], &wanted);
    CU_ASSERT_EQUAL(worker->counters.wants_refused, 1);
    CU_ASSERT_EQUAL(worker->flows[0].jobs, 1);
    CU_ASSERT_TRUE(haul_handoff_next_event(worker->handoff, &event));
    CU_ASSERT_EQUAL(event.kind, HAUL_EVENT_WANTED);
    finish();
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a want that finds the table full is refused as busy",
          a_want_that_finds_the_table_full_is_refused_as_busy },
    };

    return unit_main("jobs", tests, HAUL_COUNT_OF(tests));
}
