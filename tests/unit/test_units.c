/* Quantities as people read them: the borders between units. */
#include "common/units.h"

#include "tests/unit/unit.h"

#include <string.h>

static void sizes_are_binary_and_change_unit_at_their_border(void)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        { 0, "0 B" },
        { 1023, "1023 B" },
        { 1024, "1.00 KiB" },
        { 1u << 20, "1.00 MiB" },
        { 1536u << 20, "1.50 GiB" },
    };
    char text[HAUL_UNITS_TEXT_BYTES];

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        haul_units_bytes(cases[i].bytes, text);
        CU_ASSERT_STRING_EQUAL(text, cases[i].text);
    }
    haul_units_bytes(UINT64_MAX, text);
    CU_ASSERT_TRUE(strlen(text) < sizeof text);
}

static void rates_are_decimal_in_bytes_and_bits(void)
{
    char text[HAUL_UNITS_TEXT_BYTES];

    haul_units_rate(1.23e9, text);
    CU_ASSERT_STRING_EQUAL(text, "1.23 GB/s (9.84 Gbit/s)");
    haul_units_rate(0, text);
    CU_ASSERT_TRUE(strlen(text) > 0);
}

static void spans_name_two_units_at_most(void)
{
    char text[HAUL_UNITS_TEXT_BYTES];

    haul_units_span(12, text);
    CU_ASSERT_STRING_EQUAL(text, "12 s");
    haul_units_span(200, text);
    CU_ASSERT_STRING_EQUAL(text, "3 min 20 s");
    haul_units_span(7500, text);
    CU_ASSERT_STRING_EQUAL(text, "2 h 05 min");
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "sizes are binary and change unit at their border",
          sizes_are_binary_and_change_unit_at_their_border },
        { "rates are decimal, in bytes and bits", rates_are_decimal_in_bytes_and_bits },
        { "spans name two units at most", spans_name_two_units_at_most },
    };

    return unit_main("units", tests, HAUL_COUNT_OF(tests));
}
