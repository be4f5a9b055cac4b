/* Which worker a flow runs on. */
#include "controlplane/seam/placing.h"
#include "tests/unit/unit.h"

static void one_worker_gets_the_lowest_free_number(void)
{
    struct haul_placing placing = { .workers = 1, .eligible = 1, .taken = 0x17, .turn = 99 };

    CU_ASSERT_EQUAL(haul_placing_choose(&placing), 3);
    placing.taken = 0;
    CU_ASSERT_EQUAL(haul_placing_choose(&placing), 0);
    placing.taken = ~UINT64_C(0) >> 1;
    CU_ASSERT_EQUAL(haul_placing_choose(&placing), 63);
    placing.taken = ~UINT64_C(0);
    CU_ASSERT_EQUAL(haul_placing_choose(&placing), HAUL_FLOWS_MAX);
}

static void every_flow_goes_where_there_are_fewest(void)
{
    for (uint32_t workers = 1; workers <= HAUL_WORKERS_MAX; workers++) {
        struct haul_placing placing = { .workers = workers, .eligible = workers };
        uint32_t counts[HAUL_WORKERS_MAX] = { 0 };

        for (uint32_t i = 0; i < HAUL_FLOWS_MAX; i++) {
            uint32_t flow = haul_placing_choose(&placing);
            uint32_t worker = haul_placing_worker(flow, workers), most = 0, least = UINT32_MAX;

            CU_ASSERT_TRUE_FATAL(flow < HAUL_FLOWS_MAX && (placing.taken >> flow & 1) == 0);
            placing.taken |= UINT64_C(1) << flow;
            placing.turn++;
            counts[worker]++;
            for (uint32_t k = 0; k < workers; k++) {
                most = counts[k] > most ? counts[k] : most;
                least = counts[k] < least ? counts[k] : least;
            }
            CU_ASSERT_TRUE(most - least <= 1);
        }
        CU_ASSERT_EQUAL(haul_placing_choose(&placing), HAUL_FLOWS_MAX);
    }
}

static void among_equals_they_take_turns(void)
{
    struct haul_placing placing = { .workers = 3, .eligible = 3 };

    for (; placing.turn < 9; placing.turn++)
        CU_ASSERT_EQUAL(haul_placing_choose(&placing), placing.turn % 3);
    placing.turn = 0;
    placing.taken = 1u << 0 | 1u << 1; /* worker 2 has none */
    CU_ASSERT_EQUAL(haul_placing_choose(&placing), 2);
}

static void flows_of_one_transfer_have_a_worker_each(void)
{
    struct haul_placing placing = { .workers = 4, .eligible = 4 };
    uint32_t used = 0;

    placing.taken = UINT64_C(0x111133); /* of the first two: five and two; of the others: none */
    for (uint32_t i = 0; i < 4; i++, placing.turn++) {
        uint32_t flow = haul_placing_choose(&placing);

        CU_ASSERT_TRUE_FATAL(flow < HAUL_FLOWS_MAX);
        used |= 1u << haul_placing_worker(flow, 4);
        placing.taken |= UINT64_C(1) << flow;
        placing.kin |= UINT64_C(1) << flow;
    }
    CU_ASSERT_EQUAL(used, 0xf);
    /* A fifth goes where there are fewest again, of as many of its kin. */
    CU_ASSERT_NOT_EQUAL(haul_placing_worker(haul_placing_choose(&placing), 4), 0);
    placing.eligible = 1; /* with one to choose from they share it */
    CU_ASSERT_EQUAL(haul_placing_worker(haul_placing_choose(&placing), 4), 0);
}

static void a_flow_that_needs_a_net_of_few_stays_with_them(void)
{
    struct haul_placing placing = { .workers = 4, .eligible = 1 };
    uint32_t given = 0, flow;

    while ((flow = haul_placing_choose(&placing)) < HAUL_FLOWS_MAX) {
        CU_ASSERT_EQUAL(haul_placing_worker(flow, 4), 0);
        placing.taken |= UINT64_C(1) << flow;
        placing.turn++;
        given++;
    }
    CU_ASSERT_EQUAL(given, HAUL_FLOWS_MAX / 4);
}

static void orders_follow_their_flow_and_the_others_go_to_the_first(void)
{
    static const uint8_t of_flow[] = { HAUL_ORDER_OPEN,   HAUL_ORDER_CLOSE, HAUL_ORDER_FETCH,
                                       HAUL_ORDER_CANCEL, HAUL_ORDER_SERVE, HAUL_ORDER_REFUSE };
    static const uint8_t of_none[] = { HAUL_ORDER_WRITE, HAUL_ORDER_READ, HAUL_ORDER_SYNC };

    for (size_t i = 0; i < HAUL_COUNT_OF(of_flow); i++) {
        struct haul_order order = { .kind = of_flow[i], .flow = 7 };

        CU_ASSERT_EQUAL(haul_placing_order(&order, 1), 0);
        CU_ASSERT_EQUAL(haul_placing_order(&order, 3), 1);
        CU_ASSERT_EQUAL(haul_placing_order(&order, 8), 7);
    }
    for (size_t i = 0; i < HAUL_COUNT_OF(of_none); i++) {
        struct haul_order order = { .kind = of_none[i], .flow = 7 };

        CU_ASSERT_EQUAL(haul_placing_order(&order, 8), 0);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "one worker gets the lowest free number", one_worker_gets_the_lowest_free_number },
        { "every flow goes where there are fewest", every_flow_goes_where_there_are_fewest },
        { "among equals they take turns", among_equals_they_take_turns },
        { "flows of one transfer have a worker each", flows_of_one_transfer_have_a_worker_each },
        { "a flow that needs a net of few stays with them",
          a_flow_that_needs_a_net_of_few_stays_with_them },
        { "orders follow their flow, and the others go to the first",
          orders_follow_their_flow_and_the_others_go_to_the_first },
    };

    return unit_main("placing", tests, HAUL_COUNT_OF(tests));
}
