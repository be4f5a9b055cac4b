/* Slots: a side never takes the other's, none is given twice, the warmest comes first. */
#include "dataplane/flow/slots.h"
#include "tests/unit/unit.h"

static struct haul_slots slots;

static void a_side_gives_its_own_slots_and_then_none(void)
{
    haul_slots_init(&slots, 3, 2);
    for (uint32_t i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(haul_slots_take(&slots, HAUL_SLOT_FILLING), i);
    CU_ASSERT_EQUAL(haul_slots_take(&slots, HAUL_SLOT_FILLING), HAUL_NO_SLOT);
    CU_ASSERT_EQUAL(slots.free_count[HAUL_SLOT_SERVING], 2);
    CU_ASSERT_EQUAL(haul_slots_take(&slots, HAUL_SLOT_SERVING), 3);
    CU_ASSERT_EQUAL(haul_slots_take(&slots, HAUL_SLOT_SERVING), 4);
    CU_ASSERT_EQUAL(haul_slots_take(&slots, HAUL_SLOT_SERVING), HAUL_NO_SLOT);
}

static void a_full_side_leaves_the_other_its_reserve(void)
{
    haul_slots_init(&slots, 1, 1);
    CU_ASSERT_EQUAL(haul_slots_take(&slots, HAUL_SLOT_SERVING), 1);
    CU_ASSERT_EQUAL(haul_slots_take(&slots, HAUL_SLOT_SERVING), HAUL_NO_SLOT);
    CU_ASSERT_EQUAL(haul_slots_take(&slots, HAUL_SLOT_FILLING), 0);
    haul_slots_give(&slots, 0);
    CU_ASSERT_EQUAL(haul_slots_take(&slots, HAUL_SLOT_SERVING), HAUL_NO_SLOT);
}

static void the_slot_freed_last_is_taken_first(void)
{
    haul_slots_init(&slots, 4, 4);
    for (uint32_t i = 0; i < 4; i++)
        haul_slots_take(&slots, HAUL_SLOT_FILLING);
    haul_slots_give(&slots, 3);
    haul_slots_give(&slots, 1);
    CU_ASSERT_EQUAL(haul_slots_take(&slots, HAUL_SLOT_FILLING), 1);
    CU_ASSERT_EQUAL(haul_slots_take(&slots, HAUL_SLOT_FILLING), 3);
}

static void the_largest_table_and_an_empty_side_work(void)
{
    haul_slots_init(&slots, HAUL_SLOTS_MAX, 0);
    CU_ASSERT_EQUAL(haul_slots_take(&slots, HAUL_SLOT_SERVING), HAUL_NO_SLOT);
    for (uint32_t i = 0; i < HAUL_SLOTS_MAX; i++)
        CU_ASSERT_EQUAL(haul_slots_take(&slots, HAUL_SLOT_FILLING), i);
    CU_ASSERT_EQUAL(haul_slots_take(&slots, HAUL_SLOT_FILLING), HAUL_NO_SLOT);
    for (uint32_t i = 0; i < HAUL_SLOTS_MAX; i++)
        haul_slots_give(&slots, i);
    CU_ASSERT_EQUAL(slots.free_count[HAUL_SLOT_FILLING], HAUL_SLOTS_MAX);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a side gives its own slots and then none", a_side_gives_its_own_slots_and_then_none },
        { "a full side leaves the other its reserve", a_full_side_leaves_the_other_its_reserve },
        { "the slot freed last is taken first", the_slot_freed_last_is_taken_first },
        { "the largest table and an empty side work", the_largest_table_and_an_empty_side_work },
    };

    return unit_main("slots", tests, HAUL_COUNT_OF(tests));
}
