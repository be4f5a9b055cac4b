/* Two data planes of several workers each: what only several can do, or do wrong. What one can do
 * is promised of two in test_dataplane.c as well. */
#include "common/counters.h"
#include "tests/unit/dataplane_pair.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 3u
#define EACH    12u

static void workers_are_set(void)
{
    setting = (struct setting){ .slots = 4, .workers = WORKERS, .synthetic = true };
}

static void every_worker_has_a_port_and_flows_of_its_own(void)
{
    struct haul_worker_facts worker;
    uint64_t ids[WORKERS][EACH];
    struct planes *pair;

    workers_are_set();
    pair = planes_open();
    for (uint32_t flow = 0; flow < WORKERS; flow++) {
        for (uint32_t other = 0; other < flow; other++)
            CU_ASSERT_NOT_EQUAL(pair->a.addrs[flow].port, pair->a.addrs[other].port);
        flow_open(pair, flow, EACH);
    }
    for (uint32_t i = 0; i < EACH; i++) {
        for (uint32_t flow = 0; flow < WORKERS; flow++)
            ids[flow][i] = fetch(&pair->a, flow, offer_synthetic(&pair->b, flow * EACH + i, BLOCK),
                                 BLOCK, store);
    }
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, WORKERS * EACH));
    for (uint32_t flow = 0; flow < WORKERS; flow++) {
        for (uint32_t i = 0; i < EACH; i++)
            check_status(&pair->a, ids[flow][i], HAUL_STATUS_DONE);
        haul_dataplane_worker_facts(pair->a.plane, flow, &worker);
        CU_ASSERT_EQUAL(worker.counters.fetched_bytes, EACH * (uint64_t)BLOCK);
        CU_ASSERT_TRUE(worker.net.rx_bytes > EACH * (uint64_t)BLOCK);
        CU_ASSERT_TRUE(worker.cpu_ns > 0);
        haul_dataplane_worker_facts(pair->b.plane, flow, &worker);
        CU_ASSERT_EQUAL(worker.counters.serves, EACH);
    }
    CU_ASSERT_EQUAL(pair->a.up_count, WORKERS);
    planes_close(pair);
}

/* What one worker stored the first reads, and any other serves. */
static void what_one_worker_stores_every_other_serves(void)
{
    struct haul_hash hashes[WORKERS];
    struct planes *pair;
    uint64_t id;

    workers_are_set();
    pair = planes_open();
    for (uint32_t flow = 0; flow < WORKERS; flow++)
        flow_open(pair, flow, EACH);
    for (uint32_t flow = 0; flow < WORKERS; flow++) {
        hashes[flow] = offer_synthetic(&pair->b, 50 + flow, 100000 + flow);
        id = fetch(&pair->a, flow, hashes[flow], 0, store);
        CU_ASSERT_TRUE(planes_run(pair, &pair->a, flow + 1));
        check_status(&pair->a, id, HAUL_STATUS_DONE);
    }
    for (uint32_t flow = 0; flow < WORKERS; flow++) {
        check_stored(pair, &pair->a, hashes[flow], 50 + flow, 100000 + flow);
        pair->a.offered[pair->a.offered_count++] =
            (struct offered){ .hash = hashes[flow], .place = store, .length = 100000 + flow };
    }
    for (uint32_t flow = 0; flow < WORKERS; flow++) {
        uint32_t other = (flow + 1) % WORKERS;

        id = fetch(&pair->b, other, hashes[flow], 0, store);
        CU_ASSERT_TRUE(planes_run(pair, &pair->b, flow + 1));
        check_status(&pair->b, id, HAUL_STATUS_DONE);
        check_stored(pair, &pair->b, hashes[flow], 50 + flow, 100000 + flow);
        pair->b.done_count = flow + 1; /* the read was none of them */
    }
    planes_close(pair);
}

static void a_block_that_no_store_has_is_missing_at_every_worker(void)
{
    struct haul_hash hash;
    struct planes *pair;

    workers_are_set();
    pair = planes_open();
    haul_hash_of(HAUL_HASH_BLAKE3, "nowhere", 7, &hash);
    pair->b.offered[pair->b.offered_count++] =
        (struct offered){ .hash = hash, .place = store, .length = 7 };
    for (uint32_t flow = 0; flow < WORKERS; flow++) {
        uint64_t id;

        flow_open(pair, flow, EACH);
        id = fetch(&pair->a, flow, hash, 0, store);
        CU_ASSERT_TRUE(planes_run(pair, &pair->a, flow + 1));
        check_status(&pair->a, id, HAUL_STATUS_REFUSED_FAILED);
    }
    planes_close(pair);
}

/* Wherever the two planes are: orders under way, blocks on their way to the other worker's store
 * and back from it. */
static void closing_is_safe_at_any_time(void)
{
    for (uint32_t turns = 0; turns < 40; turns += turns < 8 ? 1 : 8) {
        struct planes *pair;

        workers_are_set();
        pair = planes_open();
        for (uint32_t flow = 0; flow < WORKERS; flow++) {
            flow_open(pair, flow, EACH);
            for (uint32_t i = 0; i < EACH; i++)
                fetch(&pair->a, flow, offer_synthetic(&pair->b, i % 3, 65537), 0, store);
        }
        for (uint32_t i = 0; i < turns; i++)
            planes_turn(pair);
        if (turns % 2 == 0) /* one side goes while the other works on */
            for (uint32_t flow = 0; flow < WORKERS; flow++)
                side_order(&pair->a, (struct haul_order){ .kind = HAUL_ORDER_CLOSE, .flow = flow });
        planes_close(pair);
    }
}

static void the_sum_is_that_of_the_workers(void)
{
    struct haul_dataplane_facts facts;
    struct haul_worker_facts worker;
    uint64_t fetches = 0, datagrams = 0, filling = 0;
    struct planes *pair;

    workers_are_set();
    pair = planes_open();
    for (uint32_t flow = 0; flow < WORKERS; flow++) {
        flow_open(pair, flow, EACH);
        fetch(&pair->a, flow, offer_synthetic(&pair->b, flow, 1000), 0, discard);
    }
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, WORKERS));
    for (uint32_t flow = 0; flow < WORKERS; flow++)
        side_order(&pair->a, (struct haul_order){ .kind = HAUL_ORDER_CLOSE, .flow = flow });
    CU_ASSERT_TRUE(planes_run(pair, &pair->a, 3 * WORKERS)); /* OPEN and CLOSE are done too */
    haul_dataplane_facts(pair->a.plane, &facts);
    for (uint32_t i = 0; i < WORKERS; i++) {
        haul_dataplane_worker_facts(pair->a.plane, i, &worker);
        fetches += worker.counters.fetches;
        datagrams += worker.net.tx_datagrams;
        filling += worker.counters.filling_free;
    }
    CU_ASSERT_EQUAL(fetches, WORKERS);
    CU_ASSERT_EQUAL(facts.worker.fetches, fetches);
    CU_ASSERT_TRUE(facts.net_counters.tx_datagrams <= datagrams);
    CU_ASSERT_EQUAL(facts.filling_free, WORKERS * setting.slots); /* divided, none lost */
    CU_ASSERT_EQUAL(filling, facts.filling_free);
    CU_ASSERT_EQUAL(haul_dataplane_workers(pair->a.plane), WORKERS);
    planes_close(pair);
}

static void more_workers_than_there_may_be_are_refused(void)
{
    struct haul_dataplane_conf conf = { .bind = { .family = 4, .ip = { 127, 0, 0, 1 } },
                                        .store_kind = HAUL_STORE_MEMORY,
                                        .workers = HAUL_WORKERS_MAX + 1,
                                        .aead = "auto",
                                        .cpu = -1 };
    struct haul_dataplane *plane = NULL;
    struct haul_error error = { 0 };

    CU_ASSERT_EQUAL(haul_dataplane_open(&plane, &conf, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_CONFIG_KEY);
    CU_ASSERT_PTR_NULL(plane);
    conf.workers = HAUL_WORKERS_MAX;
    conf.filling_slots = conf.serving_slots = conf.control_slots = HAUL_WORKERS_MAX;
    CU_ASSERT_EQUAL_FATAL(haul_dataplane_open(&plane, &conf, &error), 0);
    CU_ASSERT_EQUAL(haul_dataplane_workers(plane), HAUL_WORKERS_MAX);
    haul_dataplane_close(plane);
}

/* A free port with a taken one after it: the second worker goes elsewhere. */
static void a_worker_whose_port_is_taken_has_another(void)
{
    struct haul_dataplane_conf conf = { .bind = { .family = 4, .ip = { 127, 0, 0, 1 } },
                                        .store_kind = HAUL_STORE_MEMORY,
                                        .filling_slots = 4,
                                        .serving_slots = 4,
                                        .control_slots = 4,
                                        .workers = 2,
                                        .aead = "auto",
                                        .cpu = -1 };
    struct haul_worker_facts facts[2];
    struct haul_dataplane *first, *second = NULL;
    struct haul_error error = { 0 };

    CU_ASSERT_EQUAL_FATAL(haul_dataplane_open(&first, &conf, &error), 0);
    haul_dataplane_worker_facts(first, 0, &facts[0]);
    haul_dataplane_worker_facts(first, 1, &facts[1]);
    conf.bind.port = (uint16_t)(facts[0].local.port - 1);
    if (conf.bind.port == facts[1].local.port || haul_dataplane_open(&second, &conf, &error) < 0) {
        haul_dataplane_close(first);
        return; /* somebody else has that port */
    }
    haul_dataplane_worker_facts(second, 1, &facts[1]);
    CU_ASSERT_TRUE(facts[1].local.port != 0 && facts[1].local.port != facts[0].local.port);
    haul_dataplane_close(second);
    haul_dataplane_close(first);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "every worker has a port and flows of its own",
          every_worker_has_a_port_and_flows_of_its_own },
        { "what one worker stores every other serves", what_one_worker_stores_every_other_serves },
        { "a block that no store has is missing at every worker",
          a_block_that_no_store_has_is_missing_at_every_worker },
        { "closing is safe at any time", closing_is_safe_at_any_time },
        { "the sum is that of the workers", the_sum_is_that_of_the_workers },
        { "more workers than there may be are refused",
          more_workers_than_there_may_be_are_refused },
        { "a worker whose port is taken has another", a_worker_whose_port_is_taken_has_another },
    };

    return unit_main("workers", tests, HAUL_COUNT_OF(tests));
}
