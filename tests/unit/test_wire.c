/* Headers and frames: round trips, every prefix, every broken rule. */
#include "dataplane/flow/wire.h"

#include "common/handoff.h"
#include "tests/unit/unit.h"

#include <string.h>

static void a_header_round_trips(void)
{
    struct haul_wire_head head = { .type = HAUL_WIRE_DATA,
                                   .phase = 3,
                                   .class = 22,
                                   .receiver = 0x89abcdef,
                                   .number = 0x0123456789abcdef,
                                   .handle = 0xfedcba98,
                                   .unit = 16383 };
    static const uint8_t expected[HAUL_WIRE_HEAD_BYTES] = { 0x23, 0x00, 0x16, 0x00, 0xef, 0xcd,
                                                            0xab, 0x89, 0xef, 0xcd, 0xab, 0x89,
                                                            0x67, 0x45, 0x23, 0x01, 0x98, 0xba,
                                                            0xdc, 0xfe, 0xff, 0x3f, 0x00, 0x00 };
    uint8_t data[HAUL_WIRE_OVERHEAD + 64] = { 0 };
    struct haul_wire_head back;

    haul_wire_head_write(&head, data);
    CU_ASSERT_EQUAL(memcmp(data, expected, sizeof expected), 0);
    CU_ASSERT_TRUE(haul_wire_head_read(data, sizeof data, &back));
    CU_ASSERT_EQUAL(back.type, head.type);
    CU_ASSERT_EQUAL(back.phase, head.phase);
    CU_ASSERT_EQUAL(back.class, head.class);
    CU_ASSERT_EQUAL(back.receiver, head.receiver);
    CU_ASSERT_EQUAL(back.number, head.number);
    CU_ASSERT_EQUAL(back.handle, head.handle);
    CU_ASSERT_EQUAL(back.unit, head.unit);
    for (size_t cut = 0; cut <= HAUL_WIRE_OVERHEAD; cut++)
        CU_ASSERT_FALSE(haul_wire_head_read(data, cut, &back));
}

static void a_header_that_breaks_a_rule_is_refused(void)
{
    struct haul_wire_head head = { .type = HAUL_WIRE_CONTROL, .receiver = 7, .number = 9 };
    uint8_t data[HAUL_WIRE_OVERHEAD + 9000] = { 0 };
    static const uint8_t zeros[] = { 1, 2, 3, 16, 17, 18, 19, 20, 21, 22, 23 };

    haul_wire_head_write(&head, data);
    CU_ASSERT_TRUE(haul_wire_head_read(data, HAUL_WIRE_OVERHEAD, &head));
    CU_ASSERT_FALSE(haul_wire_head_read(data, sizeof data, &head));
    for (size_t i = 0; i < sizeof zeros; i++) {
        data[zeros[i]] = 1;
        CU_ASSERT_FALSE(haul_wire_head_read(data, 100, &head));
        data[zeros[i]] = 0;
    }
    for (unsigned first = 0; first < 256; first++) {
        bool control = (first & 0xfcu) == 0x28;

        data[0] = (uint8_t)first;
        CU_ASSERT_EQUAL(haul_wire_head_read(data, 100, &head), control);
    }
    data[0] = 0x20; /* data: class 22 */
    data[2] = 22;
    CU_ASSERT_TRUE(haul_wire_head_read(data, HAUL_WIRE_OVERHEAD + 1408, &head));
    CU_ASSERT_FALSE(haul_wire_head_read(data, HAUL_WIRE_OVERHEAD + 1409, &head));
    CU_ASSERT_FALSE(haul_wire_head_read(data, HAUL_WIRE_OVERHEAD, &head));
    data[2] = 129;
    CU_ASSERT_FALSE(haul_wire_head_read(data, HAUL_WIRE_OVERHEAD + 1408, &head));
    data[2] = 22;
    data[21] = 0x40; /* unit 16384 */
    CU_ASSERT_FALSE(haul_wire_head_read(data, HAUL_WIRE_OVERHEAD + 1408, &head));
}

static const uint8_t bits[] = { 0xfe, 0x01, 0x80 };

static size_t samples(struct haul_frame *frames)
{
    struct haul_hash hash = { { HAUL_HASH_BLAKE3, 32, 1, 2, 3 } };
    size_t count = 0;

    frames[count++] = (struct haul_frame){ .type = HAUL_FRAME_PADDING, .padding = 5 };
    frames[count++] = (struct haul_frame){ .type = HAUL_FRAME_PING };
    frames[count++] =
        (struct haul_frame){ .type = HAUL_FRAME_ACK,
                             .ack = { .delay_us = 77,
                                      .ect = 1000,
                                      .ce = 3,
                                      .count = 3,
                                      .ranges = { { 900, 5000 }, { 500, 898 }, { 0, 100 } } } };
    frames[count++] = (struct haul_frame){
        .type = HAUL_FRAME_SLOT,
        .slot = { .handle = 0x1801, .from = 16000, .bytes = sizeof bits, .bits = bits }
    };
    frames[count++] = (struct haul_frame){
        .type = HAUL_FRAME_WANT,
        .want = { .handle = 0x801, .offset = 64, .length = 1000, .class = 22, .hash = hash }
    };
    frames[count++] = (struct haul_frame){ .type = HAUL_FRAME_ACCEPT,
                                           .accept = { .handle = 0x801, .length = 1u << 20 } };
    frames[count++] = (struct haul_frame){
        .type = HAUL_FRAME_REFUSE,
        .refuse = { .handle = 0x801, .retry_ms = 250, .reason = HAUL_REFUSAL_BUSY }
    };
    frames[count++] =
        (struct haul_frame){ .type = HAUL_FRAME_WITHDRAW, .end = { .handle = 0x801 } };
    frames[count++] = (struct haul_frame){ .type = HAUL_FRAME_FINISHED,
                                           .end = { .handle = 0x801, .how = HAUL_FINISH_WRONG } };
    frames[count++] = (struct haul_frame){ .type = HAUL_FRAME_CHALLENGE, .token = 0x0102 };
    frames[count++] = (struct haul_frame){ .type = HAUL_FRAME_RESPONSE, .token = UINT64_MAX };
    frames[count++] = (struct haul_frame){ .type = HAUL_FRAME_BYE };
    return count;
}

/* A frame read from `data` and written again gives the same bytes. */
static void frames_round_trip_and_every_prefix_fails(void)
{
    static struct haul_frame frames[HAUL_FRAME_TYPES];
    static struct haul_frame back;
    size_t count = samples(frames);

    CU_ASSERT_EQUAL(count, HAUL_FRAME_TYPES);
    for (size_t i = 0; i < count; i++) {
        uint8_t data[256];
        uint8_t again[256];
        struct haul_out out = haul_out_to(data, sizeof data);
        struct haul_in in;
        size_t bytes;

        CU_ASSERT_TRUE(haul_frame_write(&out, &frames[i]));
        bytes = (size_t)(out.at - data);
        in = haul_in_from(data, bytes);
        CU_ASSERT_TRUE(haul_frame_read(&in, &back));
        CU_ASSERT_EQUAL(back.type, i);
        CU_ASSERT_FALSE(haul_frame_read(&in, &back) || in.bad);
        in = haul_in_from(data, bytes);
        haul_frame_read(&in, &back);
        out = haul_out_to(again, sizeof again);
        CU_ASSERT_TRUE(haul_frame_write(&out, &back));
        CU_ASSERT_EQUAL((size_t)(out.at - again), bytes);
        CU_ASSERT_EQUAL(memcmp(data, again, bytes), 0);
        for (size_t cut = 1; cut < bytes; cut++) {
            in = haul_in_from(data, cut);
            CU_ASSERT_FALSE(haul_frame_read(&in, &back));
            CU_ASSERT_TRUE(in.bad);
            out = haul_out_to(again, cut);
            if (frames[i].type != HAUL_FRAME_ACK) {
                CU_ASSERT_FALSE(haul_frame_write(&out, &frames[i]));
                CU_ASSERT_PTR_EQUAL(out.at, again);
            }
        }
    }
}

static void an_ack_is_cut_to_its_newest_ranges(void)
{
    static struct haul_frame frame;
    static struct haul_frame back;
    uint8_t data[64];
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_in in;

    frame.type = HAUL_FRAME_ACK;
    frame.ack.count = HAUL_ACK_RANGES_MAX;
    for (uint64_t i = 0; i < HAUL_ACK_RANGES_MAX; i++)
        frame.ack.ranges[i] = (struct haul_range){ 100000 - 10 * i, 100004 - 10 * i };
    CU_ASSERT_TRUE(haul_frame_write(&out, &frame));
    in = haul_in_from(data, (size_t)(out.at - data));
    CU_ASSERT_TRUE(haul_frame_read(&in, &back));
    CU_ASSERT_TRUE(back.ack.count > 10 && back.ack.count < 20);
    for (size_t i = 0; i < back.ack.count; i++) {
        CU_ASSERT_EQUAL(back.ack.ranges[i].first, frame.ack.ranges[i].first);
        CU_ASSERT_EQUAL(back.ack.ranges[i].last, frame.ack.ranges[i].last);
    }
}

static bool refused(const uint8_t *data, size_t bytes)
{
    static struct haul_frame frame;
    struct haul_in in = haul_in_from(data, bytes);

    return !haul_frame_read(&in, &frame) && in.bad;
}

static void frames_that_break_a_rule_are_refused(void)
{
    static const uint8_t unknown[] = { HAUL_FRAME_TYPES, 0, 0 };
    static const uint8_t ping_with_body[] = { HAUL_FRAME_PING, 1, 0, 0 };
    static const uint8_t bad_reason[] = { HAUL_FRAME_REFUSE, 9, 0, 1, 8, 0, 0, 4, 0, 0, 0, 0 };
    static const uint8_t bad_how[] = { HAUL_FRAME_FINISHED, 5, 0, 1, 8, 0, 0, 4 };
    static const uint8_t large[] = { HAUL_FRAME_ACCEPT, 8, 0, 1, 8, 0, 0, 1, 0, 16, 0 };
    uint8_t ack[3 + 28 + 2] = { HAUL_FRAME_ACK, 29, 0, 5 };
    uint8_t want[3 + 48] = { HAUL_FRAME_WANT, 48, 0, 1, 8 };

    CU_ASSERT_TRUE(refused(unknown, sizeof unknown));
    CU_ASSERT_TRUE(refused(ping_with_body, sizeof ping_with_body));
    CU_ASSERT_TRUE(refused(bad_reason, sizeof bad_reason));
    CU_ASSERT_TRUE(refused(bad_how, sizeof bad_how));
    CU_ASSERT_TRUE(refused(large, sizeof large));
    ack[31] = 5; /* numbers 0 to 5 */
    CU_ASSERT_FALSE(refused(ack, 32));
    ack[31] = 6; /* below zero */
    CU_ASSERT_TRUE(refused(ack, 32));
    want[15] = 22; /* class; then the hash */
    want[17] = HAUL_HASH_BLAKE3;
    want[18] = 32;
    CU_ASSERT_FALSE(refused(want, sizeof want));
    want[7] = 1; /* an offset between units */
    CU_ASSERT_TRUE(refused(want, sizeof want));
    want[7] = 64;
    want[13] = 16; /* length 1 MiB: beyond the block */
    CU_ASSERT_TRUE(refused(want, sizeof want));
    want[7] = 0;
    CU_ASSERT_FALSE(refused(want, sizeof want));
    want[18] = 31; /* a digest of another length */
    CU_ASSERT_TRUE(refused(want, sizeof want));
    want[18] = 32;
    want[4] = want[3] = 0; /* handle zero */
    CU_ASSERT_TRUE(refused(want, sizeof want));
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a header round-trips", a_header_round_trips },
        { "a header that breaks a rule is refused", a_header_that_breaks_a_rule_is_refused },
        { "frames round-trip and every prefix fails", frames_round_trip_and_every_prefix_fails },
        { "an ack is cut to its newest ranges", an_ack_is_cut_to_its_newest_ranges },
        { "frames that break a rule are refused", frames_that_break_a_rule_are_refused },
    };

    return unit_main("wire", tests, HAUL_COUNT_OF(tests));
}
