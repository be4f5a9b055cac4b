/* Block hashes against published vectors, in one call and in pieces. */
#include "common/hash.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static void hash_text(const struct haul_hash *hash, char text[2 * HAUL_HASH_BYTES + 1])
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < HAUL_HASH_BYTES; i++) {
        text[2 * i] = hex[hash->bytes[i] >> 4];
        text[2 * i + 1] = hex[hash->bytes[i] & 15];
    }
    text[2 * HAUL_HASH_BYTES] = 0;
}

static void published_digests_come_out(void)
{
    /* FIPS 180-2 appendix B, and the test vectors of the BLAKE3 repository. */
    static const struct {
        uint8_t code;
        const char *input;
        const char *hash;
    } cases[] = {
        { HAUL_HASH_SHA2_256, "",
          "1220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { HAUL_HASH_SHA2_256, "abc",
          "1220ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { HAUL_HASH_BLAKE3, "",
          "1e20af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262" },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_hash hash;
        char text[2 * HAUL_HASH_BYTES + 1];

        haul_hash_of(cases[i].code, cases[i].input, strlen(cases[i].input), &hash);
        hash_text(&hash, text);
        CU_ASSERT_STRING_EQUAL(text, cases[i].hash);
        CU_ASSERT_TRUE(haul_hash_valid(&hash));
    }
}

static void pieces_give_the_hash_of_the_whole(void)
{
    static const uint8_t codes[] = { HAUL_HASH_SHA2_256, HAUL_HASH_BLAKE3 };
    size_t bytes = 300001;
    uint8_t *data = malloc(bytes);

    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    for (size_t i = 0; i < HAUL_COUNT_OF(codes); i++) {
        struct haul_hasher hasher;
        struct haul_hash whole, pieces;

        haul_hash_of(codes[i], data, bytes, &whole);
        haul_hasher_init(&hasher, codes[i]);
        for (size_t at = 0, step = 1; at < bytes; at += step, step = step * 3 % 4099 + 1) {
            step = step < bytes - at ? step : bytes - at;
            haul_hasher_update(&hasher, data + at, step);
        }
        haul_hasher_final(&hasher, &pieces);
        CU_ASSERT_TRUE(haul_hash_equal(&whole, &pieces));
    }
    free(data);
}

static void other_kinds_and_lengths_are_not_valid(void)
{
    struct haul_hash hash = { .bytes = { HAUL_HASH_BLAKE3, 32 } };

    CU_ASSERT_TRUE(haul_hash_valid(&hash));
    hash.bytes[1] = 31;
    CU_ASSERT_FALSE(haul_hash_valid(&hash));
    hash = (struct haul_hash){ .bytes = { 0x11, 32 } };
    CU_ASSERT_FALSE(haul_hash_valid(&hash));
    hash = (struct haul_hash){ 0 };
    CU_ASSERT_FALSE(haul_hash_valid(&hash));
}

static void names_and_codes_agree(void)
{
    CU_ASSERT_EQUAL(haul_hash_code("blake3"), HAUL_HASH_BLAKE3);
    CU_ASSERT_EQUAL(haul_hash_code("sha2-256"), HAUL_HASH_SHA2_256);
    CU_ASSERT_EQUAL(haul_hash_code("sha1"), 0);
    CU_ASSERT_STRING_EQUAL(haul_hash_name(HAUL_HASH_BLAKE3), "blake3");
    CU_ASSERT_STRING_EQUAL(haul_hash_name(HAUL_HASH_SHA2_256), "sha2-256");
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "published digests come out", published_digests_come_out },
        { "pieces give the hash of the whole", pieces_give_the_hash_of_the_whole },
        { "other kinds and lengths are not valid", other_kinds_and_lengths_are_not_valid },
        { "names and codes agree", names_and_codes_agree },
    };

    return unit_main("hash", tests, HAUL_COUNT_OF(tests));
}
