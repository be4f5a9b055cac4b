/* Wants of our own: generations, placing, the bitmap. */
#include "dataplane/flow/fill.h"

#include "common/rng.h"
#include "dataplane/flow/bits.h"
#include "tests/unit/unit.h"

#include <string.h>

#define SIZE 4u

static struct haul_fill memory[SIZE];
static uint16_t free_indexes[SIZE];
static uint8_t slot[HAUL_BLOCK_BYTES_MAX];
static uint8_t block[HAUL_BLOCK_BYTES_MAX];
static struct haul_fills fills;
static const struct haul_hash hash = { { HAUL_HASH_BLAKE3, 32 } };

static struct haul_fill *open_fill(uint32_t offset, uint32_t wanted)
{
    struct haul_fill *fill = haul_fill_open(&fills, &hash, offset, wanted, slot, 0);

    CU_ASSERT_PTR_NOT_NULL_FATAL(fill);
    return fill;
}

/* A datagram with the right bytes for its place; true when the want took it. */
static bool arrive(struct haul_fill *fill, uint32_t unit, uint32_t bytes)
{
    uint8_t *to = NULL;
    enum haul_target target = haul_fill_target(fill, unit, bytes, &to);

    if (target == HAUL_TARGET_NONE)
        return false;
    if (target == HAUL_TARGET_SLOT)
        memcpy(to, block + unit * HAUL_WIRE_UNIT, bytes);
    haul_fill_arrived(fill, unit, bytes,
                      target == HAUL_TARGET_SLOT ? NULL : block + unit * HAUL_WIRE_UNIT);
    return true;
}

static void handles_are_never_used_twice(void)
{
    uint32_t before = 0;

    haul_fills_init(&fills, memory, free_indexes, SIZE);
    for (unsigned i = 0; i < 1000; i++) {
        struct haul_fill *fill = open_fill(0, 64);
        uint32_t handle = haul_fill_handle(&fills, fill);

        CU_ASSERT_NOT_EQUAL(handle, 0);
        CU_ASSERT_NOT_EQUAL(handle, before);
        CU_ASSERT_PTR_EQUAL(haul_fill_find(&fills, handle), fill);
        haul_fill_close(&fills, fill);
        CU_ASSERT_PTR_NULL(haul_fill_find(&fills, handle));
        CU_ASSERT_TRUE(haul_fill_was(&fills, handle));
        CU_ASSERT_FALSE(haul_fill_was(&fills, handle + (1u << HAUL_HANDLE_INDEX_BITS)));
        before = handle;
    }
    CU_ASSERT_PTR_NULL(haul_fill_find(&fills, 0xffffffff));
    CU_ASSERT_FALSE(haul_fill_was(&fills, 0));
    CU_ASSERT_PTR_NULL(haul_fills_broken(&fills));
}

static void an_index_without_generations_is_retired(void)
{
    haul_fills_init(&fills, memory, free_indexes, 1);
    memory[0].generation = HAUL_HANDLE_GENERATIONS - 2;
    haul_fill_close(&fills, open_fill(0, 64));
    CU_ASSERT_PTR_NULL(haul_fill_open(&fills, &hash, 0, 64, slot, 0));
    CU_ASSERT_PTR_NULL(haul_fills_broken(&fills));
}

static void all_indexes_taken_is_refused(void)
{
    haul_fills_init(&fills, memory, free_indexes, SIZE);
    for (unsigned i = 0; i < SIZE; i++)
        open_fill(0, 64);
    CU_ASSERT_PTR_NULL(haul_fill_open(&fills, &hash, 0, 64, slot, 0));
}

static void an_accept_that_contradicts_the_want_is_refused(void)
{
    struct haul_fill *fill;

    haul_fills_init(&fills, memory, free_indexes, SIZE);
    fill = open_fill(128, 1000);
    CU_ASSERT_FALSE(haul_fill_accept(fill, 1127));
    CU_ASSERT_FALSE(haul_fill_accept(fill, 64));
    CU_ASSERT_FALSE(haul_fill_accept(fill, HAUL_BLOCK_BYTES_MAX + 1));
    CU_ASSERT_TRUE(haul_fill_accept(fill, 1128));
    CU_ASSERT_EQUAL(fill->length, 1000);
    fill = open_fill(128, 0);
    CU_ASSERT_TRUE(haul_fill_accept(fill, 128));
    CU_ASSERT_EQUAL(fill->state, HAUL_FILL_FULL);
    fill = open_fill(0, 0);
    CU_ASSERT_TRUE(haul_fill_accept(fill, 5000));
    CU_ASSERT_EQUAL(fill->length, 5000);
    CU_ASSERT_PTR_NULL(haul_fills_broken(&fills));
}

static void nothing_lands_outside_the_want_or_before_its_accept(void)
{
    struct haul_fill *fill;
    uint8_t *to;

    haul_fills_init(&fills, memory, free_indexes, SIZE);
    fill = open_fill(640, 1000);
    CU_ASSERT_EQUAL(haul_fill_target(fill, 10, 64, &to), HAUL_TARGET_NONE);
    CU_ASSERT_TRUE(haul_fill_accept(fill, 5000));
    CU_ASSERT_EQUAL(haul_fill_target(fill, 9, 64, &to), HAUL_TARGET_NONE);
    CU_ASSERT_EQUAL(haul_fill_target(fill, 10, 1001, &to), HAUL_TARGET_NONE);
    CU_ASSERT_EQUAL(haul_fill_target(fill, 10, 63, &to), HAUL_TARGET_NONE);
    CU_ASSERT_EQUAL(haul_fill_target(fill, 26, 64, &to), HAUL_TARGET_NONE);
    CU_ASSERT_EQUAL(haul_fill_target(fill, 10, 1000, &to), HAUL_TARGET_SLOT);
    CU_ASSERT_PTR_EQUAL(to, slot + 640);
}

static void a_forgery_leaves_nothing_that_the_genuine_datagram_does_not_write(void)
{
    struct haul_fill *fill;
    uint8_t *to;

    haul_fills_init(&fills, memory, free_indexes, SIZE);
    memset(block, 7, sizeof block);
    fill = open_fill(0, 0);
    haul_fill_accept(fill, 3000);
    CU_ASSERT_EQUAL(haul_fill_target(fill, 0, 1408, &to), HAUL_TARGET_SLOT);
    memset(to, 0xff, 1408); /* its tag did not hold: arrived is not called */
    CU_ASSERT_EQUAL(fill->missing, 47);
    CU_ASSERT_TRUE(arrive(fill, 0, 1408));
    CU_ASSERT_EQUAL(haul_fill_target(fill, 21, 1408, &to), HAUL_TARGET_SCRATCH);
    CU_ASSERT_EQUAL(memcmp(slot, block, 1408), 0);
}

/* Datagrams of changing size, overlapping, in any order and more than once. */
static void a_block_is_complete_when_every_byte_is_whatever_the_order(void)
{
    struct haul_rng rng;

    haul_rng_init(&rng, 3);
    haul_rng_fill(&rng, block, sizeof block);
    for (unsigned round = 0; round < 30; round++) {
        uint32_t length = 1 + (uint32_t)haul_rng_below(&rng, 100000);
        struct haul_fill *fill;
        uint32_t placed = 0;

        haul_fills_init(&fills, memory, free_indexes, SIZE);
        memset(slot, 0, length);
        fill = open_fill(0, 0);
        haul_fill_accept(fill, length);
        while (fill->state == HAUL_FILL_OPEN) {
            uint32_t unit = (uint32_t)haul_rng_below(&rng, fill->end);
            uint32_t bytes = HAUL_WIRE_UNIT * (1 + (uint32_t)haul_rng_below(&rng, 128));
            uint32_t left = length - unit * HAUL_WIRE_UNIT;
            uint32_t missing = fill->missing;

            arrive(fill, unit, bytes < left ? bytes : left);
            placed += missing - fill->missing;
            if (haul_fills_broken(&fills) != NULL)
                CU_FAIL("broken");
        }
        CU_ASSERT_EQUAL(placed, fill->end);
        CU_ASSERT_EQUAL(haul_fill_prefix(fill), length);
        CU_ASSERT_EQUAL(memcmp(slot, block, length), 0);
    }
}

static void the_window_shows_what_lies_behind_the_first_hole(void)
{
    struct haul_slot_window window;
    uint8_t bits[HAUL_SLOT_BYTES_MAX];
    struct haul_fill *fill;

    haul_fills_init(&fills, memory, free_indexes, SIZE);
    fill = open_fill(0, 0);
    haul_fill_accept(fill, HAUL_BLOCK_BYTES_MAX);
    haul_fill_window(fill, 9, bits, sizeof bits, &window);
    CU_ASSERT_EQUAL(window.from, 0);
    CU_ASSERT_EQUAL(window.bytes, 0);
    arrive(fill, 0, 61 * 64);
    arrive(fill, 62, 64);
    arrive(fill, 70, 128);
    haul_fill_window(fill, 9, bits, sizeof bits, &window);
    CU_ASSERT_EQUAL(window.from, 61);
    CU_ASSERT_EQUAL(window.bytes, 2);
    CU_ASSERT_EQUAL(bits[0], 0x02);
    CU_ASSERT_EQUAL(bits[1], 0x06);
    arrive(fill, HAUL_WIRE_UNITS - 1, 64);
    haul_fill_window(fill, 9, bits, sizeof bits, &window);
    CU_ASSERT_EQUAL(window.bytes, HAUL_SLOT_BYTES_MAX);
}

static void ranges_of_bits_match_a_plain_loop(void)
{
    uint64_t bits[4] = { 0 };
    bool plain[256] = { false };
    struct haul_rng rng;

    haul_rng_init(&rng, 4);
    for (unsigned i = 0; i < 2000; i++) {
        uint32_t from = (uint32_t)haul_rng_below(&rng, 256);
        uint32_t to = from + (uint32_t)haul_rng_below(&rng, 257 - from);
        bool set = haul_rng_chance(&rng, 500000);
        uint32_t changed = 0, any = 0, next = to;

        for (uint32_t at = to; at-- > from;) {
            any += plain[at];
            next = plain[at] ? at : next;
            changed += plain[at] != set;
        }
        CU_ASSERT_EQUAL(haul_bits_any(bits, from, to), any > 0);
        CU_ASSERT_EQUAL(haul_bits_all(bits, from, to), any == to - from);
        CU_ASSERT_EQUAL(haul_bits_next(bits, from, to, true), next);
        CU_ASSERT_EQUAL(set ? haul_bits_set(bits, from, to) : haul_bits_clear(bits, from, to),
                        changed);
        memset(plain + from, set, to - from);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "handles are never used twice", handles_are_never_used_twice },
        { "an index without generations is retired", an_index_without_generations_is_retired },
        { "all indexes taken is refused", all_indexes_taken_is_refused },
        { "an accept that contradicts the want is refused",
          an_accept_that_contradicts_the_want_is_refused },
        { "nothing lands outside the want or before its accept",
          nothing_lands_outside_the_want_or_before_its_accept },
        { "a forgery leaves nothing that the genuine datagram does not write",
          a_forgery_leaves_nothing_that_the_genuine_datagram_does_not_write },
        { "a block is complete when every byte is, whatever the order",
          a_block_is_complete_when_every_byte_is_whatever_the_order },
        { "the window shows what lies behind the first hole",
          the_window_shows_what_lies_behind_the_first_hole },
        { "ranges of bits match a plain loop", ranges_of_bits_match_a_plain_loop },
    };

    return unit_main("fill", tests, HAUL_COUNT_OF(tests));
}
