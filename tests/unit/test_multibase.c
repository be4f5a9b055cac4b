/* Multibase text against the vectors of the multibase specification, and what must be refused. */
#include "common/multibase.h"
#include "common/rng.h"
#include "tests/unit/unit.h"

#include <string.h>

static const char prefixes[] = "fbkzu";

static void published_vectors_come_out_both_ways(void)
{
    /* multibase tests: basic.csv and leading_zero.csv, and RFC 4648 section 10. */
    static const struct {
        const char *text;
        const char *bytes;
        size_t count;
    } cases[] = {
        { "f796573206d616e692021", "yes mani !", 10 },
        { "bpfsxgidnmfxgsibb", "yes mani !", 10 },
        { "k2lcpzo5yikidynfl", "yes mani !", 10 },
        { "z7paNL19xttacUY", "yes mani !", 10 },
        { "ueWVzIG1hbmkgIQ", "yes mani !", 10 },
        { "f00796573206d616e692021", "\0yes mani !", 11 },
        { "bab4wk4zanvqw42jaee", "\0yes mani !", 11 },
        { "k02lcpzo5yikidynfl", "\0yes mani !", 11 },
        { "z17paNL19xttacUY", "\0yes mani !", 11 },
        { "uAHllcyBtYW5pICE", "\0yes mani !", 11 },
        { "k002lcpzo5yikidynfl", "\0\0yes mani !", 12 },
        { "z117paNL19xttacUY", "\0\0yes mani !", 12 },
        { "bmzxw6ytboi", "foobar", 6 },
        { "b", "", 0 },
        { "z", "", 0 },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        uint8_t data[64];
        char text[64];

        CU_ASSERT_EQUAL(haul_multibase_decode(cases[i].text, data, sizeof data),
                        (ptrdiff_t)cases[i].count);
        CU_ASSERT_EQUAL(memcmp(data, cases[i].bytes, cases[i].count), 0);
        CU_ASSERT_EQUAL(haul_multibase_encode(cases[i].text[0], (const uint8_t *)cases[i].bytes,
                                              cases[i].count, text, sizeof text),
                        (ptrdiff_t)strlen(cases[i].text));
        CU_ASSERT_STRING_EQUAL(text, cases[i].text);
    }
}

static void capitals_are_understood_where_the_base_has_one_case(void)
{
    uint8_t data[64];

    CU_ASSERT_EQUAL(haul_multibase_decode("F796573206D616E692021", data, sizeof data), 10);
    CU_ASSERT_EQUAL(haul_multibase_decode("BPFSXGIDNMFXGSIBB", data, sizeof data), 10);
    CU_ASSERT_EQUAL(haul_multibase_decode("K2LCPZO5YIKIDYNFL", data, sizeof data), 10);
    CU_ASSERT_EQUAL(haul_multibase_decode("Z7paNL19xttacUY", data, sizeof data), -1);
}

static void every_length_round_trips_and_a_short_buffer_is_refused(void)
{
    struct haul_rng rng;

    haul_rng_init(&rng, 1);
    for (size_t bytes = 0; bytes < 80; bytes++) {
        uint8_t data[80], back[80];
        char text[256];

        haul_rng_fill(&rng, data, bytes);
        for (const char *prefix = prefixes; *prefix != 0; prefix++) {
            ptrdiff_t length = haul_multibase_encode(*prefix, data, bytes, text, sizeof text);

            CU_ASSERT_FATAL(length > 0);
            CU_ASSERT_EQUAL(strlen(text), (size_t)length);
            CU_ASSERT_EQUAL(haul_multibase_decode(text, back, bytes), (ptrdiff_t)bytes);
            CU_ASSERT_EQUAL(memcmp(data, back, bytes), 0);
            if (bytes > 0)
                CU_ASSERT_EQUAL(haul_multibase_decode(text, back, bytes - 1), -1);
            CU_ASSERT_EQUAL(haul_multibase_encode(*prefix, data, bytes, text, (size_t)length), -1);
            CU_ASSERT_EQUAL(haul_multibase_encode(*prefix, data, bytes, text, (size_t)length + 1),
                            length);
        }
    }
}

static void malformed_text_is_refused(void)
{
    static const char *const texts[] = {
        "",          /* no prefix */
        "x00",       /* not a base of ours */
        "m",         /* base64 with another alphabet */
        "f0",        /* half a byte */
        "f0g",       /* not a digit */
        "ba",        /* a digit that gives no byte */
        "baz",       /* bits beyond the last byte */
        "bpfsxg===", /* padding */
        "b1",        /* not a digit of base32 */
        "z0",        /* not a digit of base58 */
        "zIl",       "u+/", "uAA=", "k-", "f 0",
    };
    uint8_t data[64];

    for (size_t i = 0; i < HAUL_COUNT_OF(texts); i++)
        CU_ASSERT_EQUAL(haul_multibase_decode(texts[i], data, sizeof data), -1);
    CU_ASSERT_EQUAL(haul_base58_decode("0", data, sizeof data), -1);
}

static void text_beyond_the_cap_is_refused(void)
{
    char text[HAUL_MULTIBASE_TEXT_MAX + 3];
    uint8_t data[HAUL_MULTIBASE_TEXT_MAX];

    for (const char *prefix = prefixes; *prefix != 0; prefix++) {
        memset(text,
               *prefix == 'z'                     ? '1'
               : *prefix == 'f' || *prefix == 'k' ? '0'
                                                  : 'a',
               sizeof text);
        text[0] = *prefix;
        text[sizeof text - 1] = 0;
        if (*prefix == 'u')
            memset(text + 1, 'A', sizeof text - 2);
        CU_ASSERT_EQUAL(haul_multibase_decode(text, data, sizeof data), -1);
        text[HAUL_MULTIBASE_TEXT_MAX + 1] = 0;
        CU_ASSERT_TRUE(haul_multibase_decode(text, data, sizeof data) > 0);
    }
}

static void bare_base58_round_trips(void)
{
    static const uint8_t data[] = { 0, 0, 0x28, 0x7f, 0xb4, 0xcd };
    uint8_t back[8];
    char text[16];

    CU_ASSERT_EQUAL(haul_base58_encode(data, sizeof data, text, sizeof text), 8);
    CU_ASSERT_STRING_EQUAL(text, "11233QC4");
    CU_ASSERT_EQUAL(haul_base58_decode(text, back, sizeof back), (ptrdiff_t)sizeof data);
    CU_ASSERT_EQUAL(memcmp(data, back, sizeof data), 0);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "published vectors come out both ways", published_vectors_come_out_both_ways },
        { "capitals are understood where the base has one case",
          capitals_are_understood_where_the_base_has_one_case },
        { "every length round-trips and a short buffer is refused",
          every_length_round_trips_and_a_short_buffer_is_refused },
        { "malformed text is refused", malformed_text_is_refused },
        { "text beyond the cap is refused", text_beyond_the_cap_is_refused },
        { "bare base58 round-trips", bare_base58_round_trips },
    };

    return unit_main("multibase", tests, HAUL_COUNT_OF(tests));
}
