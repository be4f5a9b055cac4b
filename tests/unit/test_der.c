/* DER elements: strict tags and minimal lengths. */
#include "controlplane/p2p/der.h"
#include "tests/unit/unit.h"

static void an_element_is_read_with_its_content(void)
{
    static const uint8_t data[] = { 0x30, 5, 0x02, 1, 7, 0x04, 0, 0xff };
    struct haul_in in = haul_in_from(data, sizeof data);
    struct haul_in sequence = haul_der_read(&in, HAUL_DER_SEQUENCE);
    struct haul_in number = haul_der_read(&sequence, HAUL_DER_INTEGER);
    struct haul_in octets = haul_der_read(&sequence, HAUL_DER_OCTETS);

    CU_ASSERT_EQUAL(haul_in_be(&number, 1), 7);
    CU_ASSERT_TRUE(haul_in_done(&number));
    CU_ASSERT_TRUE(haul_in_done(&octets));
    CU_ASSERT_TRUE(haul_in_done(&sequence));
    CU_ASSERT_EQUAL(haul_in_left(&in), 1);
}

static void odd_tags_and_lengths_are_refused(void)
{
    static const struct {
        uint8_t data[8];
        size_t bytes;
    } cases[] = {
        { { 0x31, 0 }, 2 },             /* another tag */
        { { 0x30 }, 1 },                /* no length */
        { { 0x30, 3, 0, 0 }, 4 },       /* longer than there is */
        { { 0x30, 0x80, 0, 0 }, 4 },    /* indefinite */
        { { 0x30, 0x81, 1, 0 }, 4 },    /* not minimal */
        { { 0x30, 0x81, 0x7f }, 3 },    /* not minimal, and missing */
        { { 0x30, 0x82, 0, 1, 0 }, 5 }, /* not minimal */
        { { 0x30, 0x82, 1 }, 3 },       /* cut within the length */
        { { 0x30, 0x83, 0, 0, 1, 0 }, 6 },
        { { 0x30, 0xff, 0, 0 }, 4 },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_in in = haul_in_from(cases[i].data, cases[i].bytes);
        struct haul_in found = haul_der_read(&in, HAUL_DER_SEQUENCE);

        CU_ASSERT_TRUE(in.bad);
        CU_ASSERT_TRUE(found.bad);
        CU_ASSERT_EQUAL(haul_in_left(&found), 0);
    }
}

static void long_lengths_are_read(void)
{
    static uint8_t data[70000] = { 0x04, 0x82, 0xff, 0xff };
    struct haul_in in = haul_in_from(data, 4 + 65535);
    struct haul_in found = haul_der_read(&in, HAUL_DER_OCTETS);

    CU_ASSERT_EQUAL(haul_in_left(&found), 65535);
    CU_ASSERT_TRUE(haul_in_done(&in));
    data[1] = 0x81;
    data[2] = 0x80;
    in = haul_in_from(data, 3 + 128);
    found = haul_der_read(&in, HAUL_DER_OCTETS);
    CU_ASSERT_EQUAL(haul_in_left(&found), 128);
    CU_ASSERT_TRUE(haul_in_done(&in));
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "an element is read with its content", an_element_is_read_with_its_content },
        { "odd tags and lengths are refused", odd_tags_and_lengths_are_refused },
        { "long lengths are read", long_lengths_are_read },
    };

    return unit_main("der", tests, HAUL_COUNT_OF(tests));
}
