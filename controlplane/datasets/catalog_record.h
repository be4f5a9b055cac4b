/* How the catalog writes a dataset into its table: one value under the root's binary CID. All
 * integers little-endian: version 1 or 2 (one byte), id 8, bytes 8, blocks 8, stored 8, flags 1 (1
 * complete, 2 shared to all, 4 announced), peers 2 and for each a length byte and its bytes, name 2
 * and its bytes; in version 2 behind it the peers it is denied to, written as the peers are. A
 * dataset that is denied to nobody is written as version 1, which older programs read; they refuse
 * version 2, so that none of them forgets a denial. Pure. */
#pragma once

#include "common/bytes.h"
#include "controlplane/datasets/catalog.h"

#define HAUL_CATALOG_RECORD_BYTES_MAX                                                              \
    (42u + 2 * HAUL_CATALOG_PEERS_MAX * (HAUL_PEER_ID_BYTES_MAX + 1u) + 256u)

/* Bytes written. */
size_t haul_catalog_record_encode(const struct haul_dataset *dataset, uint64_t id,
                                  uint8_t data[HAUL_CATALOG_RECORD_BYTES_MAX]);

/* Everything but the root, which is the key. */
HAUL_MUST_USE bool haul_catalog_record_decode(const uint8_t *data, size_t bytes,
                                              struct haul_dataset *dataset, uint64_t *id);
