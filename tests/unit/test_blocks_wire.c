/* Messages of /haul/blocks/1: the example of docs/WIRE.md, round trips, every prefix, every lie. */
#include "controlplane/behaviours/blocks_wire.h"

#include "tests/unit/unit.h"

static struct haul_blocks_request hello(void)
{
    struct haul_blocks_request request = { .root.codec = HAUL_CODEC_RAW };

    haul_hash_of(HAUL_HASH_BLAKE3, "hello", 5, &request.hash);
    request.root.hash = request.hash;
    return request;
}

static void the_example_of_the_specification_holds(void)
{
    static const uint8_t start[] = { 0x01, 0x55, 0x1e, 0x20, 0xea, 0x8f, 0x16, 0x3d };
    static const uint8_t reply[] = { 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0 };
    struct haul_blocks_request request = hello();
    struct haul_blocks_answer answer = { .status = HAUL_BLOCKS_OK, .total = 5 };
    uint8_t data[HAUL_BLOCKS_REQUEST_BYTES];

    haul_blocks_request_encode(&request, data);
    CU_ASSERT_EQUAL(memcmp(data, start, sizeof start), 0);
    CU_ASSERT_EQUAL(memcmp(data + 2, data + 36, HAUL_HASH_BYTES), 0);
    for (size_t i = 70; i < sizeof data; i++)
        CU_ASSERT_EQUAL(data[i], 0);
    haul_blocks_range(&request, 5, &answer.offset, &answer.count);
    haul_blocks_answer_encode(&answer, data);
    CU_ASSERT_EQUAL(memcmp(data, reply, sizeof reply), 0);
}

static void requests_round_trip_and_every_prefix_fails(void)
{
    struct haul_blocks_request request = hello();
    struct haul_blocks_request back;
    uint8_t data[HAUL_BLOCKS_REQUEST_BYTES + 1] = { 0 };

    request.offset = 77;
    request.length = 0xfffffffe;
    haul_blocks_request_encode(&request, data);
    for (size_t cut = 0; cut < HAUL_BLOCKS_REQUEST_BYTES; cut++)
        CU_ASSERT_FALSE(haul_blocks_request_decode(data, cut, &back));
    CU_ASSERT_FALSE(haul_blocks_request_decode(data, sizeof data, &back));
    CU_ASSERT_TRUE(haul_blocks_request_decode(data, HAUL_BLOCKS_REQUEST_BYTES, &back));
    CU_ASSERT_TRUE(haul_cid_equal(&back.root, &request.root));
    CU_ASSERT_TRUE(haul_hash_equal(&back.hash, &request.hash));
    CU_ASSERT_TRUE(back.offset == 77 && back.length == 0xfffffffe);
}

static void a_malformed_request_is_refused(void)
{
    static const uint8_t at[] = { 0, 1, 2, 3, 36, 37, 70, 71 }; /* each must be what it is */
    struct haul_blocks_request request = hello();
    struct haul_blocks_request back;

    for (size_t i = 0; i < HAUL_COUNT_OF(at); i++) {
        uint8_t data[HAUL_BLOCKS_REQUEST_BYTES];

        haul_blocks_request_encode(&request, data);
        data[at[i]] ^= 0x81;
        CU_ASSERT_FALSE(haul_blocks_request_decode(data, sizeof data, &back));
    }
}

static void answers_round_trip_and_every_prefix_fails(void)
{
    static const struct haul_blocks_answer answers[] = {
        { HAUL_BLOCKS_OK, 0, 1u << 20, 5, 100 }, { HAUL_BLOCKS_OK, 0, 0, 0, 0 },
        { HAUL_BLOCKS_UNKNOWN, 0, 0, 0, 0 },     { HAUL_BLOCKS_BUSY, 500, 0, 0, 0 },
        { HAUL_BLOCKS_FAILED, 0, 0, 0, 0 },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(answers); i++) {
        uint8_t data[HAUL_BLOCKS_ANSWER_BYTES];
        struct haul_blocks_answer back;

        haul_blocks_answer_encode(&answers[i], data);
        for (size_t cut = 0; cut < sizeof data; cut++)
            CU_ASSERT_FALSE(haul_blocks_answer_decode(data, cut, &back));
        CU_ASSERT_TRUE(haul_blocks_answer_decode(data, sizeof data, &back));
        CU_ASSERT_TRUE(back.status == answers[i].status && back.retry_ms == answers[i].retry_ms &&
                       back.total == answers[i].total && back.offset == answers[i].offset &&
                       back.count == answers[i].count);
    }
}

static void an_answer_that_contradicts_itself_is_refused(void)
{
    static const struct haul_blocks_answer lies[] = {
        { HAUL_BLOCKS_OK, 0, (1u << 20) + 1, 0, 0 }, { HAUL_BLOCKS_OK, 0, 100, 50, 51 },
        { HAUL_BLOCKS_OK, 0, 100, 101, 0 },          { HAUL_BLOCKS_OK, 0, 100, 50, UINT32_MAX },
        { HAUL_BLOCKS_OK, 1, 100, 0, 100 },          { HAUL_BLOCKS_UNKNOWN, 0, 1, 0, 0 },
        { HAUL_BLOCKS_FAILED, 0, 0, 0, 1 },          { HAUL_BLOCKS_BUSY, 1, 0, 1, 0 },
    };
    uint8_t data[HAUL_BLOCKS_ANSWER_BYTES] = { 4 };
    struct haul_blocks_answer back;

    CU_ASSERT_FALSE(haul_blocks_answer_decode(data, sizeof data, &back));
    for (size_t i = 0; i < HAUL_COUNT_OF(lies); i++) {
        haul_blocks_answer_encode(&lies[i], data);
        CU_ASSERT_FALSE(haul_blocks_answer_decode(data, sizeof data, &back));
    }
}

static void ranges_are_cut_to_the_block(void)
{
    static const uint32_t cases[][5] = {
        /* offset, length, total -> offset, count */
        { 0, 0, 10, 0, 10 }, { 4, 0, 10, 4, 6 },         { 4, 3, 10, 4, 3 },
        { 4, 99, 10, 4, 6 }, { 10, 0, 10, 10, 0 },       { 99, 5, 10, 10, 0 },
        { 0, 0, 0, 0, 0 },   { UINT32_MAX, 1, 5, 5, 0 }, { 1, UINT32_MAX, 5, 1, 4 },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_blocks_request request = { .offset = cases[i][0], .length = cases[i][1] };
        uint32_t offset;
        uint32_t count;

        haul_blocks_range(&request, cases[i][2], &offset, &count);
        CU_ASSERT_EQUAL(offset, cases[i][3]);
        CU_ASSERT_EQUAL(count, cases[i][4]);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "the example of the specification holds", the_example_of_the_specification_holds },
        { "requests round-trip and every prefix fails",
          requests_round_trip_and_every_prefix_fails },
        { "a malformed request is refused", a_malformed_request_is_refused },
        { "answers round-trip and every prefix fails", answers_round_trip_and_every_prefix_fails },
        { "an answer that contradicts itself is refused",
          an_answer_that_contradicts_itself_is_refused },
        { "ranges are cut to the block", ranges_are_cut_to_the_block },
    };

    return unit_main("blocks_wire", tests, HAUL_COUNT_OF(tests));
}
