/* Generated blocks: fixed for ever, no two alike. */
#include "common/synthetic.h"

#include "common/hash.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static void blocks_are_reproducible_and_pages_differ_between_blocks(void)
{
    uint8_t *one = malloc(HAUL_BLOCK_BYTES_MAX), *two = malloc(HAUL_BLOCK_BYTES_MAX);
    size_t equal = 0;

    haul_synthetic_fill(one, HAUL_BLOCK_BYTES_MAX, 7);
    haul_synthetic_fill(two, HAUL_BLOCK_BYTES_MAX, 7);
    CU_ASSERT_EQUAL(memcmp(one, two, HAUL_BLOCK_BYTES_MAX), 0);
    haul_synthetic_fill(two, HAUL_BLOCK_BYTES_MAX, 8);
    for (size_t at = 0; at < HAUL_BLOCK_BYTES_MAX; at += 4096)
        equal += memcmp(one + at, two + at, 4096) == 0;
    CU_ASSERT_EQUAL(equal, 0);
    free(one);
    free(two);
}

static void stamping_a_block_makes_it_another(void)
{
    uint8_t *one = malloc(HAUL_BLOCK_BYTES_MAX), *two = malloc(HAUL_BLOCK_BYTES_MAX);

    haul_synthetic_fill(one, HAUL_BLOCK_BYTES_MAX, UINT64_MAX);
    haul_synthetic_stamp(one, HAUL_BLOCK_BYTES_MAX, 123456789);
    haul_synthetic_fill(two, HAUL_BLOCK_BYTES_MAX, 123456789);
    CU_ASSERT_EQUAL(memcmp(one, two, HAUL_BLOCK_BYTES_MAX), 0);
    free(one);
    free(two);
}

static void a_short_block_ends_where_it_says(void)
{
    static const size_t sizes[] = { 0, 1, 7, 8, 4095, 4096, 4097, 100000 };
    uint8_t *one = malloc(HAUL_BLOCK_BYTES_MAX), *two = malloc(HAUL_BLOCK_BYTES_MAX);

    haul_synthetic_fill(one, HAUL_BLOCK_BYTES_MAX, 3);
    for (size_t i = 0; i < HAUL_COUNT_OF(sizes); i++) {
        memset(two, 0xaa, HAUL_BLOCK_BYTES_MAX);
        haul_synthetic_fill(two, sizes[i], 3);
        CU_ASSERT_EQUAL(memcmp(one, two, sizes[i]), 0);
        CU_ASSERT_EQUAL(two[sizes[i]], 0xaa);
    }
    free(one);
    free(two);
}

/* CIDs of generated data are compared between machines and versions: the first block's digest. */
static void block_zero_never_changes(void)
{
    static const uint8_t expected[4] = { 0x18, 0xae, 0x97, 0x38 };
    uint8_t *block = malloc(HAUL_BLOCK_BYTES_MAX);
    struct haul_hash hash;

    haul_synthetic_fill(block, HAUL_BLOCK_BYTES_MAX, 0);
    haul_hash_of(HAUL_HASH_SHA2_256, block, HAUL_BLOCK_BYTES_MAX, &hash);
    CU_ASSERT_EQUAL(memcmp(hash.bytes + 2, expected, sizeof expected), 0);
    free(block);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "blocks are reproducible and pages differ between blocks",
          blocks_are_reproducible_and_pages_differ_between_blocks },
        { "stamping a block makes it another", stamping_a_block_makes_it_another },
        { "a short block ends where it says", a_short_block_ends_where_it_says },
        { "block zero never changes", block_zero_never_changes },
    };

    return unit_main("synthetic", tests, HAUL_COUNT_OF(tests));
}
