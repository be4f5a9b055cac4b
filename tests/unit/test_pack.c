/* Index and pack format: what is entered is found, what is damaged is refused. */
#include "dataplane/store/pack.h"

#include "dataplane/store/index.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>

static struct haul_hash hash_of(uint32_t n)
{
    struct haul_hash hash;

    haul_hash_of(HAUL_HASH_BLAKE3, &n, sizeof n, &hash);
    return hash;
}

static void the_index_keeps_what_is_added_and_loses_what_is_removed(void)
{
    struct haul_index index;

    CU_ASSERT_EQUAL_FATAL(haul_index_open(&index), 0);
    for (uint32_t n = 0; n < 20000; n++) {
        struct haul_index_entry entry = { hash_of(n), n % 7, n, 3ull * n };

        CU_ASSERT_EQUAL(haul_index_add(&index, &entry), 0);
        CU_ASSERT_EQUAL(haul_index_add(&index, &entry), -EEXIST);
    }
    for (uint32_t n = 0; n < 20000; n += 2) {
        struct haul_hash hash = hash_of(n);

        CU_ASSERT_FALSE(haul_index_remove(&index, &hash, 9));
        CU_ASSERT_TRUE(haul_index_remove(&index, &hash, n % 7));
        CU_ASSERT_FALSE(haul_index_remove(&index, &hash, n % 7));
    }
    CU_ASSERT_EQUAL(index.used, 10000);
    for (uint32_t n = 0; n < 20000; n++) {
        struct haul_hash hash = hash_of(n);
        const struct haul_index_entry *entry = haul_index_find(&index, &hash);

        CU_ASSERT_EQUAL(entry != NULL, n % 2 == 1);
        if (entry != NULL)
            CU_ASSERT_TRUE(entry->length == n && entry->at == 3ull * n && entry->pack == n % 7);
    }
    haul_index_close(&index);
}

static void names_round_trip_and_others_are_not_packs(void)
{
    static const char *const others[] = { "",
                                          ".",
                                          "pack",
                                          "0000000000000001",
                                          "0000000000000001.packs",
                                          "000000000000001.pack",
                                          "000000000000000G.pack",
                                          "00000000000000001.pack",
                                          "000000000000000A.pack" };
    char name[HAUL_PACK_NAME_BYTES];
    bool sealed;
    uint64_t id;

    for (uint64_t value = 1; value != 0; value <<= 1) {
        haul_pack_name(value, value & 0x5555, name);
        CU_ASSERT_TRUE(haul_pack_name_parse(name, &id, &sealed));
        CU_ASSERT_EQUAL(id, value);
        CU_ASSERT_EQUAL(sealed, (value & 0x5555) != 0);
    }
    for (size_t i = 0; i < HAUL_COUNT_OF(others); i++)
        CU_ASSERT_FALSE(haul_pack_name_parse(others[i], &id, &sealed));
}

static void any_changed_byte_of_a_footer_is_noticed(void)
{
    uint8_t *footer = calloc(1, HAUL_PACK_FOOTER_BYTES_MAX);
    struct haul_pack_trailer trailer;
    uint32_t bytes;

    for (uint32_t n = 0; n < 3; n++) {
        struct haul_pack_block block = { hash_of(n), 1000, 8192ull * n };

        haul_pack_entry_encode(&block, footer + (size_t)n * HAUL_PACK_ENTRY_BYTES);
    }
    bytes = haul_pack_footer_finish(footer, 3, 42, 1u << 20);
    CU_ASSERT_EQUAL(bytes, 4096);
    for (uint32_t at = 0; at <= bytes; at++) {
        const uint8_t *end = footer + bytes - HAUL_PACK_TRAILER_BYTES;
        bool holds;

        if (at < bytes)
            footer[at] ^= 0x10;
        holds = haul_pack_trailer_decode(end, (1u << 20) + bytes, &trailer) &&
                haul_pack_footer_valid(footer, bytes, &trailer) && trailer.id == 42;
        CU_ASSERT_EQUAL(holds, at == bytes);
        if (at < bytes)
            footer[at] ^= 0x10;
    }
    free(footer);
}

static void a_block_outside_its_pack_is_refused(void)
{
    static const struct {
        uint32_t length;
        uint64_t at;
        bool fits;
    } cases[] = { { 100, 0, true },    { 8192, 0, true },    { 8193, 0, false },
                  { 1, 8192, false },  { 0, 8192, true },    { 1, UINT64_MAX, false },
                  { 100, 8092, true }, { 100, 8093, false }, { UINT32_MAX, 0, false } };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        uint8_t *footer = calloc(1, HAUL_PACK_FOOTER_BYTES_MAX);
        struct haul_pack_block block = { hash_of(1), cases[i].length, cases[i].at };
        struct haul_pack_trailer trailer = { .id = 1, .at = 8192, .count = 1 };
        uint32_t bytes;

        haul_pack_entry_encode(&block, footer);
        bytes = haul_pack_footer_finish(footer, 1, 1, 8192);
        CU_ASSERT_EQUAL(haul_pack_footer_valid(footer, bytes, &trailer), cases[i].fits);
        free(footer);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "the index keeps what is added and loses what is removed",
          the_index_keeps_what_is_added_and_loses_what_is_removed },
        { "names round-trip and others are not packs", names_round_trip_and_others_are_not_packs },
        { "any changed byte of a footer is noticed", any_changed_byte_of_a_footer_is_noticed },
        { "a block outside its pack is refused", a_block_outside_its_pack_is_refused },
    };

    return unit_main("pack", tests, HAUL_COUNT_OF(tests));
}
