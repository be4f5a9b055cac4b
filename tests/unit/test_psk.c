/* Private networks: key files, the stream cipher against its published vector, any cutting. */
#include "controlplane/p2p/psk.h"
#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

#include <string.h>

#define HEX "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389"

static const char hex_file[] = "/key/swarm/psk/1.0.0/\n/base16/\n" HEX "\n";

static bool parse(const char *text, struct haul_psk *psk)
{
    return haul_psk_parse((const uint8_t *)text, strlen(text), psk);
}

static void key_files_of_every_encoding_are_read(void)
{
    static const char base64_file[] =
        "/key/swarm/psk/1.0.0/\n/base64/\nGydVZHPphdRizVEZeppGx2AJVJ6sZHTyBsTuCET2g4k=\n";
    uint8_t bin_file[29 + 32 - 1 + 32] = "/key/swarm/psk/1.0.0/\n/bin/\n";
    size_t bin_prefix = strlen((const char *)bin_file);
    struct haul_psk hex = { { 0 } }, base64 = { { 0 } }, bin = { { 0 } };
    char text[HAUL_PSK_PRINT_BYTES];
    uint8_t key[32];

    CU_ASSERT_EQUAL(unit_hex(HEX, key, sizeof key), 32);
    memcpy(bin_file + bin_prefix, key, sizeof key);
    CU_ASSERT_TRUE(parse(hex_file, &hex));
    CU_ASSERT_TRUE(parse(base64_file, &base64));
    CU_ASSERT_TRUE(haul_psk_parse(bin_file, bin_prefix + 32, &bin));
    CU_ASSERT_EQUAL(memcmp(hex.key, key, 32), 0);
    CU_ASSERT_EQUAL(memcmp(base64.key, key, 32), 0);
    CU_ASSERT_EQUAL(memcmp(bin.key, key, 32), 0);
    CU_ASSERT_TRUE(parse("/key/swarm/psk/1.0.0/\r\n/base16/\r\n" HEX "\r\n", &hex));
    haul_psk_print(&hex, text);
    CU_ASSERT_EQUAL(strlen(text), 32);
    CU_ASSERT_PTR_NULL(strstr(HEX, text));
}

static void anything_else_is_no_key(void)
{
    static const char *const files[] = {
        "",
        HEX,
        "/key/swarm/psk/2.0.0/\n/base16/\n" HEX "\n",
        "/key/swarm/psk/1.0.0/\n/base32/\n" HEX "\n",
        "/key/swarm/psk/1.0.0/\n/base16/\n" HEX "00\n",
        "/key/swarm/psk/1.0.0/\n/base16/\n" HEX "\nmore\n",
        "/key/swarm/psk/1.0.0/\n/base16/\nz" HEX "\n",
        "/key/swarm/psk/1.0.0/\n/bin/\nshort",
        "/key/swarm/psk/1.0.0/\n/base64/\nGydVZA==\n",
    };
    struct haul_psk psk;

    for (size_t i = 0; i < HAUL_COUNT_OF(files); i++)
        CU_ASSERT_FALSE(parse(files[i], &psk));
    for (size_t i = 0; i + 1 < sizeof hex_file - 1; i++)
        CU_ASSERT_FALSE(haul_psk_parse((const uint8_t *)hex_file, i, &psk));
}

/* The keystream of NaCl's test stream3 (Bernstein, "Cryptography in NaCl", section 10). */
static void the_stream_is_xsalsa20(void)
{
    uint8_t nonce[HAUL_PSK_NONCE_BYTES], expected[32], data[32] = { 0 };
    struct haul_psk_stream stream;
    struct haul_psk psk;

    CU_ASSERT_TRUE(parse(hex_file, &psk));
    unit_hex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37", nonce, sizeof nonce);
    unit_hex("eea6a7251c1e72916d11c2cb214d3c252539121d8e234e652d651fa4c8cff880", expected,
             sizeof expected);
    haul_psk_begin(&stream, &psk);
    CU_ASSERT_EQUAL(haul_psk_nonce(&stream, nonce, 10), 10);
    CU_ASSERT_EQUAL(haul_psk_nonce(&stream, nonce + 10, 14), 14);
    CU_ASSERT_EQUAL(haul_psk_nonce(&stream, nonce, 5), 0);
    haul_psk_apply(&stream, data, sizeof data);
    CU_ASSERT_EQUAL(memcmp(data, expected, sizeof data), 0);
}

static void it_does_not_matter_how_the_bytes_are_cut(void)
{
    static uint8_t whole[5000], cut[5000];
    uint8_t nonce[HAUL_PSK_NONCE_BYTES] = { 1, 2, 3 };
    struct haul_psk_stream stream;
    struct haul_psk psk;

    CU_ASSERT_TRUE(parse(hex_file, &psk));
    haul_psk_begin(&stream, &psk);
    haul_psk_nonce(&stream, nonce, sizeof nonce);
    haul_psk_apply(&stream, whole, sizeof whole);
    for (size_t step = 1; step < 200; step += 3) {
        memset(cut, 0, sizeof cut);
        haul_psk_begin(&stream, &psk);
        haul_psk_nonce(&stream, nonce, sizeof nonce);
        for (size_t at = 0; at < sizeof cut; at += step)
            haul_psk_apply(&stream, cut + at, sizeof cut - at < step ? sizeof cut - at : step);
        CU_ASSERT_EQUAL(memcmp(cut, whole, sizeof cut), 0);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "key files of every encoding are read", key_files_of_every_encoding_are_read },
        { "anything else is no key", anything_else_is_no_key },
        { "the stream is XSalsa20", the_stream_is_xsalsa20 },
        { "it does not matter how the bytes are cut", it_does_not_matter_how_the_bytes_are_cut },
    };

    return unit_main("psk", tests, HAUL_COUNT_OF(tests));
}
