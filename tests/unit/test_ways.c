/* The connections of a get over streams: who is asked next, and when another one is dialled. */
#include "controlplane/transfer/ways.h"
#include "tests/unit/unit.h"

/* Streams are only compared with NULL here. */
static struct haul_blocks_client *const some = (struct haul_blocks_client *)(void *)&some;

static struct haul_way *join(struct haul_ways *ways, uint64_t connection)
{
    struct haul_way *way = haul_ways_find(ways, HAUL_WAYS_NONE);

    CU_ASSERT_PTR_NOT_NULL_FATAL(way);
    *way = (struct haul_way){ .connection = connection,
                              .stream = some,
                              .further = haul_ways_alive(ways) > 0 };
    return way;
}

static void the_one_with_the_fewest_blocks_is_asked(void)
{
    struct haul_ways ways = { .most = 3 };
    struct haul_way *first, *second;

    CU_ASSERT_PTR_NULL(haul_ways_choose(&ways));
    first = join(&ways, 11);
    CU_ASSERT_PTR_EQUAL(haul_ways_choose(&ways), first);
    first->asked = 3;
    second = join(&ways, 12);
    CU_ASSERT_PTR_EQUAL(haul_ways_choose(&ways), second);
    second->asked = 3;
    CU_ASSERT_PTR_EQUAL(haul_ways_choose(&ways), first);
    CU_ASSERT_PTR_EQUAL(haul_ways_find(&ways, 12), second);
    CU_ASSERT_PTR_NULL(haul_ways_find(&ways, 13));
    CU_ASSERT_EQUAL(haul_ways_further(&ways), 1);
}

static void one_that_ends_is_not_asked_and_not_counted(void)
{
    struct haul_ways ways = { .most = 2 };
    struct haul_way *first = join(&ways, 11), *second = join(&ways, 12);

    first->asked = 9;
    second->lost = true;
    CU_ASSERT_PTR_EQUAL(haul_ways_choose(&ways), first);
    CU_ASSERT_EQUAL(haul_ways_alive(&ways), 1);
    CU_ASSERT_TRUE(haul_ways_ending(&ways));
    second->stream = NULL;
    CU_ASSERT_FALSE(haul_ways_ending(&ways));
    first->lost = true;
    CU_ASSERT_PTR_NULL(haul_ways_choose(&ways));
}

static void there_are_as_many_as_there_may_be(void)
{
    struct haul_ways ways = { .most = 100 };
    uint64_t connection = 11;

    CU_ASSERT_FALSE(haul_ways_lack(&ways, HAUL_SECOND)); /* beside which one? */
    while (haul_ways_alive(&ways) < HAUL_WAYS_MAX) {
        (void)join(&ways, connection++);
        CU_ASSERT_EQUAL(haul_ways_lack(&ways, HAUL_SECOND), haul_ways_alive(&ways) < HAUL_WAYS_MAX);
    }
    CU_ASSERT_PTR_NULL(haul_ways_find(&ways, HAUL_WAYS_NONE));
    for (uint32_t most = 0; most < 2; most++) {
        ways = (struct haul_ways){ .most = most };
        (void)join(&ways, 11);
        CU_ASSERT_FALSE(haul_ways_lack(&ways, HAUL_SECOND));
    }
    ways.most = 2;
    CU_ASSERT_TRUE(haul_ways_lack(&ways, HAUL_SECOND));
    ways.dialling = true;
    CU_ASSERT_FALSE(haul_ways_lack(&ways, HAUL_SECOND));
}

static void failures_in_a_row_make_longer_pauses(void)
{
    struct haul_ways ways = { .most = 2 };
    haul_time now = HAUL_SECOND, pause = HAUL_WAYS_PAUSE_MIN;

    (void)join(&ways, 11);
    for (int i = 0; i < 10; i++) {
        haul_ways_failed(&ways, now);
        CU_ASSERT_FALSE(haul_ways_lack(&ways, now + pause - 1));
        now += pause;
        CU_ASSERT_TRUE(haul_ways_lack(&ways, now));
        pause = haul_time_min(2 * pause, HAUL_WAYS_PAUSE_MAX);
    }
    CU_ASSERT_EQUAL(pause, HAUL_WAYS_PAUSE_MAX);
    haul_ways_proven(&ways);
    haul_ways_failed(&ways, now);
    CU_ASSERT_TRUE(haul_ways_lack(&ways, now + HAUL_WAYS_PAUSE_MIN));
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(the_one_with_the_fewest_blocks_is_asked),
        T(one_that_ends_is_not_asked_and_not_counted),
        T(there_are_as_many_as_there_may_be),
        T(failures_in_a_row_make_longer_pauses),
    };
#undef T

    return unit_main("ways", tests, HAUL_COUNT_OF(tests));
}
