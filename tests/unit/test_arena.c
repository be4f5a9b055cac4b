/* The arena: zeroed, aligned, bounded. */
#include "common/arena.h"
#include "tests/unit/unit.h"

#include <errno.h>

static void what_is_taken_is_zeroed_aligned_and_apart(void)
{
    struct haul_arena arena;
    uint8_t *last = NULL;

    CU_ASSERT_EQUAL_FATAL(haul_arena_open(&arena, (size_t)3 << 20), 0);
    for (size_t alignment = 1; alignment <= 4096; alignment *= 4) {
        uint8_t *at = haul_arena_take(&arena, 1000, alignment);
        unsigned sum = 0;

        CU_ASSERT_PTR_NOT_NULL_FATAL(at);
        CU_ASSERT_EQUAL((uintptr_t)at % alignment, 0);
        CU_ASSERT_TRUE(last == NULL || at >= last + 1000);
        for (size_t i = 0; i < 1000; i++)
            sum += at[i];
        CU_ASSERT_EQUAL(sum, 0);
        at[0] = at[999] = 1;
        last = at;
    }
    haul_arena_close(&arena);
    haul_arena_close(&arena);
}

static void an_exhausted_arena_gives_nothing(void)
{
    struct haul_arena arena;

    CU_ASSERT_EQUAL_FATAL(haul_arena_open(&arena, 1), 0);
    CU_ASSERT_TRUE(arena.bytes >= 1);
    CU_ASSERT_PTR_NULL(haul_arena_take(&arena, arena.bytes + 1, 1));
    CU_ASSERT_PTR_NULL(haul_arena_take(&arena, SIZE_MAX, 64));
    CU_ASSERT_PTR_NOT_NULL(haul_arena_take(&arena, arena.bytes, 1));
    CU_ASSERT_PTR_NULL(haul_arena_take(&arena, 1, 1));
    haul_arena_close(&arena);
}

static void more_than_the_machine_has_is_refused(void)
{
    struct haul_arena arena;

    CU_ASSERT_EQUAL(haul_arena_open(&arena, 0), -EINVAL);
    CU_ASSERT_EQUAL(haul_arena_open(&arena, SIZE_MAX), -EINVAL);
    CU_ASSERT_EQUAL(haul_arena_open(&arena, (size_t)1 << 46), -ENOMEM);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "what is taken is zeroed, aligned and apart", what_is_taken_is_zeroed_aligned_and_apart },
        { "an exhausted arena gives nothing", an_exhausted_arena_gives_nothing },
        { "more than the machine has is refused", more_than_the_machine_has_is_refused },
    };

    return unit_main("arena", tests, HAUL_COUNT_OF(tests));
}
