#include "dataplane/store/pack.h"

#include <string.h>

static const uint8_t magic[8] = { 'h', 'a', 'u', 'l', 'p', 'a', 'c', 'k' };

#define DIGITS 16u

void haul_pack_name(uint64_t id, bool sealed, char name[HAUL_PACK_NAME_BYTES])
{
    for (uint32_t i = 0; i < DIGITS; i++)
        name[i] = "0123456789abcdef"[(id >> (4 * (DIGITS - 1 - i))) & 15];
    memcpy(name + DIGITS, sealed ? ".pack" : ".open", 6);
}

bool haul_pack_name_parse(const char *name, uint64_t *id, bool *sealed)
{
    char same[HAUL_PACK_NAME_BYTES];
    uint64_t value = 0;

    for (uint32_t i = 0; i < DIGITS; i++) {
        char c = name[i];

        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    for (int is_sealed = 0; is_sealed <= 1; is_sealed++) {
        haul_pack_name(value, is_sealed, same);
        if (strcmp(name, same) == 0) {
            *id = value;
            *sealed = is_sealed;
            return true;
        }
    }
    return false;
}

void haul_pack_entry_encode(const struct haul_pack_block *block,
                            uint8_t entry[HAUL_PACK_ENTRY_BYTES])
{
    struct haul_out out = haul_out_to(entry, HAUL_PACK_ENTRY_BYTES);

    haul_out_bytes(&out, block->hash.bytes, HAUL_HASH_BYTES);
    haul_out_le(&out, 0, 2);
    haul_out_le(&out, block->length, 4);
    haul_out_le(&out, block->at, 8);
    haul_assert(!out.bad && out.at == out.end);
}

uint32_t haul_pack_footer_finish(uint8_t *footer, uint32_t count, uint64_t id, uint64_t at)
{
    uint64_t entries = (uint64_t)count * HAUL_PACK_ENTRY_BYTES;
    uint64_t bytes = haul_pack_align(entries + HAUL_PACK_TRAILER_BYTES);
    struct haul_out out =
        haul_out_to(footer + bytes - HAUL_PACK_TRAILER_BYTES, HAUL_PACK_TRAILER_BYTES);
    struct haul_hash hash;

    haul_assert(bytes <= HAUL_PACK_FOOTER_BYTES_MAX);
    memset(footer + entries, 0, bytes - entries);
    haul_out_bytes(&out, magic, sizeof magic);
    haul_out_le(&out, HAUL_PACK_VERSION, 4);
    haul_out_le(&out, count, 4);
    haul_out_le(&out, id, 8);
    haul_out_le(&out, at, 8);
    haul_hash_of(HAUL_HASH_BLAKE3, footer, bytes - HAUL_HASH_DIGEST_BYTES, &hash);
    haul_out_bytes(&out, hash.bytes + 2, HAUL_HASH_DIGEST_BYTES);
    haul_assert(!out.bad && out.at == out.end);
    return (uint32_t)bytes;
}

bool haul_pack_trailer_decode(const uint8_t data[HAUL_PACK_TRAILER_BYTES], uint64_t file_bytes,
                              struct haul_pack_trailer *trailer)
{
    struct haul_in in = haul_in_from(data, HAUL_PACK_TRAILER_BYTES);
    const uint8_t *word = haul_in_bytes(&in, sizeof magic);
    uint32_t version = (uint32_t)haul_in_le(&in, 4);
    uint32_t count = (uint32_t)haul_in_le(&in, 4);
    uint64_t id = haul_in_le(&in, 8);
    uint64_t at = haul_in_le(&in, 8);
    uint64_t footer =
        haul_pack_align((uint64_t)count * HAUL_PACK_ENTRY_BYTES + HAUL_PACK_TRAILER_BYTES);

    if (in.bad || memcmp(word, magic, sizeof magic) != 0 || version != HAUL_PACK_VERSION)
        return false;
    if (at % HAUL_PACK_ALIGN != 0 || at > file_bytes || file_bytes - at != footer)
        return false;
    *trailer = (struct haul_pack_trailer){ .id = id, .at = at, .count = count };
    return true;
}

void haul_pack_entry(const uint8_t *footer, uint32_t number, struct haul_pack_block *block)
{
    struct haul_in in =
        haul_in_from(footer + (size_t)number * HAUL_PACK_ENTRY_BYTES, HAUL_PACK_ENTRY_BYTES);

    haul_in_copy(&in, block->hash.bytes, HAUL_HASH_BYTES);
    (void)haul_in_le(&in, 2);
    block->length = (uint32_t)haul_in_le(&in, 4);
    block->at = haul_in_le(&in, 8);
}

static bool entry_fits(const struct haul_pack_block *block, uint64_t data_bytes)
{
    if (!haul_hash_valid(&block->hash) || block->length > HAUL_BLOCK_BYTES_MAX)
        return false;
    if (block->length > HAUL_PACK_SMALL_BYTES && block->at % HAUL_PACK_ALIGN != 0)
        return false;
    return block->at <= data_bytes && data_bytes - block->at >= block->length;
}

bool haul_pack_footer_valid(const uint8_t *footer, size_t bytes,
                            const struct haul_pack_trailer *trailer)
{
    uint64_t entries = (uint64_t)trailer->count * HAUL_PACK_ENTRY_BYTES;
    struct haul_hash hash;

    if (bytes != haul_pack_align(entries + HAUL_PACK_TRAILER_BYTES))
        return false;
    haul_hash_of(HAUL_HASH_BLAKE3, footer, bytes - HAUL_HASH_DIGEST_BYTES, &hash);
    if (memcmp(footer + bytes - HAUL_HASH_DIGEST_BYTES, hash.bytes + 2, HAUL_HASH_DIGEST_BYTES) !=
        0)
        return false;
    for (uint32_t i = 0; i < trailer->count; i++) {
        struct haul_pack_block block;

        haul_pack_entry(footer, i, &block);
        if (!entry_fits(&block, trailer->at))
            return false;
    }
    return true;
}
