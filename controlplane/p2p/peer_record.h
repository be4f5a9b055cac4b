/* Signed peer records (libp2p RFC 0003, with the values that implementations use): where a peer
 * says that it can be reached, in an envelope that anybody may pass on. Pure. */
#pragma once

#include "controlplane/p2p/envelope.h"
#include "controlplane/p2p/multiaddr.h"

#define HAUL_PEER_RECORD_ADDRESSES_MAX 32u
#define HAUL_PEER_RECORD_BYTES_MAX     HAUL_ENVELOPE_BYTES_MAX

struct haul_peer_record {
    struct haul_peer_id peer;
    uint64_t sequence; /* of two records of a peer the higher one holds */
    size_t address_count;
    struct haul_multiaddr addresses[HAUL_PEER_RECORD_ADDRESSES_MAX];
};

/* Opens an envelope. False when it is malformed or forged, or signed by another than the peer that
 * it names. Addresses that we cannot read, and those beyond the limit, are passed over. */
HAUL_MUST_USE bool haul_peer_record_open(const uint8_t *data, size_t bytes,
                                         struct haul_peer_record *record);

/* Writes our own record, in its envelope; out->bad when it does not fit. */
void haul_peer_record_seal(const struct haul_key *key, uint64_t sequence,
                           const struct haul_multiaddr *addresses, size_t count,
                           struct haul_out *out);
