/* Cursors and varints: round trips, every prefix, every overrun. */
#include "common/bytes.h"
#include "tests/unit/unit.h"

static void every_width_round_trips(void)
{
    for (size_t width = 1; width <= 8; width++) {
        uint64_t value = 0x0123456789abcdefu & (UINT64_MAX >> (64 - 8 * width));
        uint8_t data[16];
        struct haul_out out = haul_out_to(data, sizeof data);
        struct haul_in in;

        haul_out_be(&out, value, width);
        haul_out_le(&out, value, width);
        CU_ASSERT_FALSE(out.bad);
        in = haul_in_from(data, 2 * width);
        CU_ASSERT_EQUAL(haul_in_be(&in, width), value);
        CU_ASSERT_EQUAL(haul_in_le(&in, width), value);
        CU_ASSERT_TRUE(haul_in_done(&in));
    }
}

static void an_overrun_is_sticky_and_writes_nothing(void)
{
    uint8_t data[4] = { 1, 2, 3, 4 };
    struct haul_in in = haul_in_from(data, 3);
    struct haul_out out = haul_out_to(data, 3);

    CU_ASSERT_EQUAL(haul_in_be(&in, 4), 0);
    CU_ASSERT_TRUE(in.bad);
    CU_ASSERT_PTR_NULL(haul_in_bytes(&in, 0));
    haul_out_be(&out, 0xffffffff, 4);
    CU_ASSERT_TRUE(out.bad);
    CU_ASSERT_EQUAL(data[0], 1);
    CU_ASSERT_EQUAL(data[3], 4);
}

static void varints_round_trip_and_every_prefix_fails(void)
{
    static const uint64_t values[] = { 0, 1, 127, 128, 300, 16383, 16384, 1ull << 35, INT64_MAX };

    for (size_t i = 0; i < HAUL_COUNT_OF(values); i++) {
        uint8_t data[10];
        struct haul_out out = haul_out_to(data, sizeof data);
        size_t bytes;

        haul_out_uvarint(&out, values[i]);
        bytes = (size_t)(out.at - data);
        CU_ASSERT_EQUAL(bytes, haul_uvarint_bytes(values[i]));
        for (size_t cut = 0; cut <= bytes; cut++) {
            struct haul_in in = haul_in_from(data, cut);
            uint64_t value = haul_in_uvarint(&in);

            CU_ASSERT_EQUAL(in.bad, cut < bytes);
            CU_ASSERT_EQUAL(value, cut < bytes ? 0 : values[i]);
        }
    }
}

static void a_padded_or_too_long_varint_is_refused(void)
{
    static const uint8_t padded[] = { 0x81, 0x00 };
    static const uint8_t ten[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 };
    struct haul_in in = haul_in_from(padded, sizeof padded);

    haul_in_uvarint(&in);
    CU_ASSERT_TRUE(in.bad);
    in = haul_in_from(ten, sizeof ten);
    haul_in_uvarint(&in);
    CU_ASSERT_TRUE(in.bad);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "every width round-trips", every_width_round_trips },
        { "an overrun is sticky and writes nothing", an_overrun_is_sticky_and_writes_nothing },
        { "varints round-trip and every prefix fails", varints_round_trip_and_every_prefix_fails },
        { "a padded or too long varint is refused", a_padded_or_too_long_varint_is_refused },
    };

    return unit_main("bytes", tests, HAUL_COUNT_OF(tests));
}
