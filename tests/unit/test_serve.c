/* Wants of the peer: generations, what is sent next, what was acknowledged. */
#include "dataplane/flow/serve.h"

#include "tests/unit/unit.h"

#include <string.h>

#define SIZE   4u
#define HANDLE 0x1801u /* index 1, generation 3 */
#define NEWER  0x2001u

static struct haul_serve memory[SIZE];
static struct haul_serves serves;
static uint8_t slot[HAUL_BLOCK_BYTES_MAX];

static enum haul_want_news want(uint32_t handle, uint32_t offset, uint32_t length,
                                struct haul_serve **serve)
{
    struct haul_frame frame = { .type = HAUL_FRAME_WANT,
                                .want = { .handle = handle,
                                          .offset = offset,
                                          .length = length,
                                          .class = 22,
                                          .hash = { { HAUL_HASH_BLAKE3, 32 } } } };

    return haul_serve_want(&serves, &frame, 0, serve);
}

/* As if the caller had taken WANTED and given the block. */
static struct haul_serve *sending(uint32_t handle, uint32_t length)
{
    struct haul_serve *serve = NULL;

    CU_ASSERT_EQUAL(want(handle, 0, 0, &serve), HAUL_WANT_NEW);
    serve->wanted_due = false;
    CU_ASSERT_TRUE(haul_serve_start(&serves, serve, slot, length, 0));
    return serve;
}

static void a_want_is_new_once_then_known_then_over_then_stale(void)
{
    struct haul_serve *serve = NULL;

    haul_serves_init(&serves, memory, SIZE);
    CU_ASSERT_EQUAL(want(HANDLE, 0, 0, &serve), HAUL_WANT_NEW);
    CU_ASSERT_EQUAL(want(HANDLE, 0, 0, &serve), HAUL_WANT_AGAIN);
    CU_ASSERT_EQUAL(want(0x1001, 0, 0, &serve), HAUL_WANT_STALE);
    serve->wanted_due = false;
    CU_ASSERT_PTR_EQUAL(haul_serve_close(&serves, HANDLE, HAUL_STATUS_DONE), serve);
    CU_ASSERT_TRUE(serve->served_due);
    CU_ASSERT_EQUAL(want(HANDLE, 0, 0, &serve), HAUL_WANT_OVER);
    CU_ASSERT_PTR_NULL(haul_serve_find(&serves, HANDLE));
    CU_ASSERT_EQUAL(want(NEWER, 0, 0, &serve), HAUL_WANT_NEW);
    CU_ASSERT_EQUAL(want(HANDLE, 0, 0, &serve), HAUL_WANT_STALE);
    CU_ASSERT_EQUAL(want(0x1804, 0, 0, &serve), HAUL_WANT_BAD);
    CU_ASSERT_EQUAL(want(0x0001, 0, 0, &serve), HAUL_WANT_BAD);
    CU_ASSERT_PTR_NULL(haul_serves_broken(&serves));
}

static void a_want_that_nobody_was_told_of_ends_without_a_word(void)
{
    struct haul_serve *serve = NULL;

    haul_serves_init(&serves, memory, SIZE);
    want(HANDLE, 0, 0, &serve);
    haul_serve_close(&serves, HANDLE, HAUL_STATUS_WITHDRAWN);
    CU_ASSERT_FALSE(serve->served_due);
    CU_ASSERT_FALSE(serve->wanted_due);
}

static void a_withdrawal_that_overtakes_its_want_is_remembered(void)
{
    struct haul_serve *serve = NULL;

    haul_serves_init(&serves, memory, SIZE);
    CU_ASSERT_PTR_NULL(haul_serve_close(&serves, HANDLE, HAUL_STATUS_WITHDRAWN));
    CU_ASSERT_EQUAL(want(HANDLE, 0, 0, &serve), HAUL_WANT_OVER);
    CU_ASSERT_PTR_NULL(haul_serve_close(&serves, 0xffffffff, HAUL_STATUS_WITHDRAWN));
    CU_ASSERT_PTR_NULL(haul_serves_broken(&serves));
}

static void a_newer_want_ends_the_older_one(void)
{
    struct haul_serve *serve;

    haul_serves_init(&serves, memory, SIZE);
    sending(HANDLE, 5000);
    CU_ASSERT_EQUAL(want(NEWER, 0, 0, &serve), HAUL_WANT_NEW);
    CU_ASSERT_TRUE(serve->served_due && serve->wanted_due);
    CU_ASSERT_EQUAL(serve->served_handle, HANDLE);
    CU_ASSERT_EQUAL(serve->served_status, HAUL_STATUS_WITHDRAWN);
    CU_ASSERT_PTR_NULL(haul_serve_find(&serves, HANDLE));
    CU_ASSERT_PTR_NULL(haul_serves_broken(&serves));
}

static void a_block_shorter_than_the_want_cannot_be_served(void)
{
    struct haul_serve *serve = NULL;

    haul_serves_init(&serves, memory, SIZE);
    want(HANDLE, 640, 1000, &serve);
    CU_ASSERT_FALSE(haul_serve_start(&serves, serve, slot, 1639, 0));
    CU_ASSERT_TRUE(haul_serve_start(&serves, serve, slot, 1640, 0));
    CU_ASSERT_EQUAL(serve->stop, 1640);
}

static void a_block_leaves_in_runs_and_its_tail_is_short(void)
{
    struct haul_serve *serve;
    struct haul_chunk chunk;

    haul_serves_init(&serves, memory, SIZE);
    serve = sending(HANDLE, 3 * 1408 + 100);
    CU_ASSERT_EQUAL(haul_serve_peek(&serves, 128), 22);
    CU_ASSERT_EQUAL(haul_serve_peek(&serves, 18), 18);
    CU_ASSERT_TRUE(haul_serve_next(&serves, 22, 2, &chunk));
    CU_ASSERT_EQUAL(chunk.unit, 0);
    CU_ASSERT_EQUAL(chunk.count, 2);
    CU_ASSERT_EQUAL(chunk.last_bytes, 1408);
    CU_ASSERT_FALSE(chunk.again);
    CU_ASSERT_TRUE(haul_serve_next(&serves, 22, 10, &chunk));
    CU_ASSERT_EQUAL(chunk.unit, 44);
    CU_ASSERT_EQUAL(chunk.count, 2);
    CU_ASSERT_EQUAL(chunk.last_bytes, 100);
    CU_ASSERT_FALSE(haul_serve_next(&serves, 22, 10, &chunk));
    haul_serve_lost(&serves, HANDLE, 22, 22);
    CU_ASSERT_EQUAL(serve->lost_count, 22);
    CU_ASSERT_TRUE(haul_serve_next(&serves, 18, 10, &chunk));
    CU_ASSERT_TRUE(chunk.again);
    CU_ASSERT_EQUAL(chunk.unit, 22);
    CU_ASSERT_EQUAL(chunk.count, 2);
    CU_ASSERT_EQUAL(chunk.last_bytes, 4 * 64);
    CU_ASSERT_PTR_NULL(haul_serves_broken(&serves));
}

static void what_was_acknowledged_is_not_lost(void)
{
    struct haul_serve *serve;
    struct haul_chunk chunk;

    haul_serves_init(&serves, memory, SIZE);
    serve = sending(HANDLE, 100 * 64);
    haul_serve_next(&serves, 22, 10, &chunk);
    haul_serve_acked(&serves, HANDLE, 10, 20, 5);
    CU_ASSERT_EQUAL(serve->progress, 5);
    haul_serve_lost(&serves, HANDLE, 0, 40);
    CU_ASSERT_EQUAL(serve->lost_count, 20);
    CU_ASSERT_TRUE(haul_serve_holds(&serves, HANDLE, 10, 20));
    CU_ASSERT_FALSE(haul_serve_holds(&serves, HANDLE, 9, 2));
    haul_serve_acked(&serves, HANDLE, 0, 10, 6);
    CU_ASSERT_EQUAL(serve->lost_count, 10);
    CU_ASSERT_EQUAL(serve->solid, 30);
    haul_serve_acked(&serves, HANDLE, 30, 70, 7);
    CU_ASSERT_FALSE(serve->ready);
    CU_ASSERT_PTR_NULL(haul_serves_broken(&serves));
}

static void a_window_acknowledges_and_a_lying_one_is_told(void)
{
    static const uint8_t bits[] = { 0x06, 0x80 };
    struct haul_slot_window window = { .handle = HANDLE, .from = 3, .bytes = 2, .bits = bits };
    struct haul_serve *serve;
    struct haul_chunk chunk;

    haul_serves_init(&serves, memory, SIZE);
    serve = sending(HANDLE, 100 * 64);
    CU_ASSERT_FALSE(haul_serve_window(&serves, &window, 0));
    haul_serve_next(&serves, 19, 1, &chunk); /* units 0 to 18 */
    haul_serve_lost(&serves, HANDLE, 0, 19);
    CU_ASSERT_TRUE(haul_serve_window(&serves, &window, 0));
    CU_ASSERT_EQUAL(serve->solid, 3);
    CU_ASSERT_TRUE(haul_serve_holds(&serves, HANDLE, 4, 2));
    CU_ASSERT_TRUE(haul_serve_holds(&serves, HANDLE, 18, 1));
    CU_ASSERT_EQUAL(serve->lost_count, 19 - 6);
    window.from = 4;
    CU_ASSERT_FALSE(haul_serve_window(&serves, &window, 0)); /* unit 19 never left */
    window.handle = NEWER;
    CU_ASSERT_TRUE(haul_serve_window(&serves, &window, 0));
}

static void losses_go_first_then_accepts_that_arrived(void)
{
    struct haul_chunk chunk;

    haul_serves_init(&serves, memory, SIZE);
    sending(0x800, 6400);
    sending(0x801, 6400);
    sending(0x802, 6400);
    haul_serve_sure(&serves, 2);
    haul_serve_next(&serves, 22, 1, &chunk);
    CU_ASSERT_EQUAL(haul_serve_handle(&serves, chunk.serve), 0x802);
    haul_serve_sure(&serves, 1);
    haul_serve_next(&serves, 22, 64, &chunk);
    CU_ASSERT_EQUAL(haul_serve_handle(&serves, chunk.serve), 0x802);
    haul_serve_next(&serves, 22, 1, &chunk);
    CU_ASSERT_EQUAL(haul_serve_handle(&serves, chunk.serve), 0x801);
    haul_serve_lost(&serves, 0x802, 0, 22);
    haul_serve_next(&serves, 22, 1, &chunk);
    CU_ASSERT_EQUAL(haul_serve_handle(&serves, chunk.serve), 0x802);
    CU_ASSERT_TRUE(chunk.again);
    haul_serve_next(&serves, 22, 64, &chunk);
    haul_serve_next(&serves, 22, 64, &chunk);
    CU_ASSERT_EQUAL(haul_serve_handle(&serves, chunk.serve), 0x800);
    CU_ASSERT_PTR_NULL(haul_serves_broken(&serves));
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a want is new once, then known, then over, then stale",
          a_want_is_new_once_then_known_then_over_then_stale },
        { "a want that nobody was told of ends without a word",
          a_want_that_nobody_was_told_of_ends_without_a_word },
        { "a withdrawal that overtakes its want is remembered",
          a_withdrawal_that_overtakes_its_want_is_remembered },
        { "a newer want ends the older one", a_newer_want_ends_the_older_one },
        { "a block shorter than the want cannot be served",
          a_block_shorter_than_the_want_cannot_be_served },
        { "a block leaves in runs and its tail is short",
          a_block_leaves_in_runs_and_its_tail_is_short },
        { "what was acknowledged is not lost", what_was_acknowledged_is_not_lost },
        { "a window acknowledges, and a lying one is told",
          a_window_acknowledges_and_a_lying_one_is_told },
        { "losses go first, then accepts that arrived", losses_go_first_then_accepts_that_arrived },
    };

    return unit_main("serve", tests, HAUL_COUNT_OF(tests));
}
