/* Two flows on one link: what is asked for arrives byte for byte, whatever the link does. */
#include "tests/unit/flow_pair.h"
#include "tests/unit/toy_aead.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#define BLOCKS 24u

static bool transfer(struct pair *pair, uint32_t first, uint32_t second, haul_time span)
{
    bool done;

    pair->side[0].to_ask = first;
    pair->side[1].to_ask = second;
    done = pair_run(pair, span);
    CU_ASSERT_TRUE(done);
    CU_ASSERT_PTR_NULL(pair->broken);
    if (pair->broken != NULL)
        fprintf(stderr, "broken: %s\n", pair->broken);
    CU_ASSERT_EQUAL(pair->side[0].done, first);
    CU_ASSERT_EQUAL(pair->side[1].done, second);
    CU_ASSERT_EQUAL(pair->side[0].wrong + pair->side[1].wrong, 0);
    return done;
}

static void a_perfect_link_carries_blocks_both_ways(void)
{
    struct pair *pair = pair_open(&toy_aead, 1, 8, 1408);

    transfer(pair, BLOCKS, BLOCKS, 60 * HAUL_SECOND);
    CU_ASSERT_EQUAL(pair->side[0].stats.rx_block_bytes, BLOCKS * (uint64_t)HAUL_BLOCK_BYTES_MAX);
    CU_ASSERT_EQUAL(pair->side[0].stats.rx_duplicate_bytes, 0);
    CU_ASSERT_EQUAL(pair->side[0].stats.lost_datagrams, 0);
    CU_ASSERT_EQUAL(pair->side[0].stats.rx_forged + pair->side[0].stats.rx_malformed, 0);
    pair_close(pair);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a perfect link carries blocks both ways", a_perfect_link_carries_blocks_both_ways },
    };

    return unit_main("flow", tests, HAUL_COUNT_OF(tests));
}
