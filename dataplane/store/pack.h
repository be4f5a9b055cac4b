/* The pack file: many blocks, written once, never changed. All integers little-endian.
 *
 *   data      blocks; one larger than 64 KiB starts at a multiple of 4096, smaller ones at a
 *             multiple of 8; between them may lie gaps of any content
 *   footer    starts at a multiple of 4096 (`at` below):
 *             count entries of 48 bytes: multihash 34, zero 2, length 4, offset 8
 *             zeroes, so that the trailer ends at a multiple of 4096, the end of the file
 *             trailer, 64 bytes: "haulpack", version 4, count 4, pack id 8, `at` 8, and the 32
 *             bytes of the BLAKE3 hash of the footer up to there
 *
 * A pack under construction is named ID.open and has no footer; ID.pack is complete and durable.
 * IDs are 16 hexadecimal digits that only grow. Offsets are 64 bits, so larger packs need no new
 * version. These functions are pure: the store does the I/O. */
#pragma once

#include "common/bytes.h"
#include "common/hash.h"

#define HAUL_PACK_VERSION       1u
#define HAUL_PACK_ALIGN         4096u
#define HAUL_PACK_BYTES         (64u << 20) /* data bytes after which a pack is sealed */
#define HAUL_PACK_BLOCKS        4096u       /* or this many blocks */
#define HAUL_PACK_SMALL_BYTES   (64u << 10) /* blocks up to here are gathered */
#define HAUL_PACK_ENTRY_BYTES   48u
#define HAUL_PACK_TRAILER_BYTES 64u
#define HAUL_PACK_FOOTER_BYTES_MAX                                                                 \
    ((HAUL_PACK_BLOCKS * HAUL_PACK_ENTRY_BYTES + HAUL_PACK_TRAILER_BYTES + HAUL_PACK_ALIGN - 1) /  \
     HAUL_PACK_ALIGN * HAUL_PACK_ALIGN)
#define HAUL_PACK_NAME_BYTES 24u
#define HAUL_PACK_ID_MAX     UINT32_MAX /* what the index can name */

struct haul_pack_block {
    struct haul_hash hash;
    uint32_t length;
    uint64_t at;
};

struct haul_pack_trailer {
    uint64_t id;
    uint64_t at; /* where the footer starts */
    uint32_t count;
};

static inline uint64_t haul_pack_align(uint64_t bytes)
{
    return (bytes + HAUL_PACK_ALIGN - 1) & ~(uint64_t)(HAUL_PACK_ALIGN - 1);
}

void haul_pack_name(uint64_t id, bool sealed, char name[HAUL_PACK_NAME_BYTES]);
HAUL_MUST_USE bool haul_pack_name_parse(const char *name, uint64_t *id, bool *sealed);

void haul_pack_entry_encode(const struct haul_pack_block *block,
                            uint8_t entry[HAUL_PACK_ENTRY_BYTES]);

/* `footer` holds `count` entries and has room for HAUL_PACK_FOOTER_BYTES_MAX; adds the padding and
 * the trailer and returns the footer's bytes, a multiple of HAUL_PACK_ALIGN. */
uint32_t haul_pack_footer_finish(uint8_t *footer, uint32_t count, uint64_t id, uint64_t at);

/* The last 64 bytes of a file of file_bytes; false when they are not a trailer of that size. */
HAUL_MUST_USE bool haul_pack_trailer_decode(const uint8_t data[HAUL_PACK_TRAILER_BYTES],
                                            uint64_t file_bytes, struct haul_pack_trailer *trailer);

/* The whole footer against its trailer: checksum, and every entry valid and inside the data. */
HAUL_MUST_USE bool haul_pack_footer_valid(const uint8_t *footer, size_t bytes,
                                          const struct haul_pack_trailer *trailer);

/* Entry `number` of a footer that is valid. */
void haul_pack_entry(const uint8_t *footer, uint32_t number, struct haul_pack_block *block);
