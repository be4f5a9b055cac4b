/* IPNS records of version 2 (IPFS specs, "IPNS Record and Protocol"): what a key says that its name
 * stands for, signed. A protobuf message around a map in DAG-CBOR, which alone is signed:
 *
 *     IpnsEntry  7 pubKey, 8 signatureV2, 9 data; 1 value, 3 validityType, 4 validity, 5 sequence,
 *                6 ttl where a reader of version 1 is served too: then they must say the same
 *     data       { Value, Validity, ValidityType, Sequence, TTL }
 *
 * The signature of version 1 is not looked at. Pure. */
#pragma once

#include "common/bytes.h"
#include "controlplane/p2p/key.h"

#define HAUL_IPNS_BYTES_MAX 10240u /* of a record, by the specification */

struct haul_ipns {
    uint64_t sequence;
    uint64_t ends;        /* Unix time in nanoseconds */
    const uint8_t *value; /* valid as long as the record is */
    size_t value_bytes;
};

enum haul_ipns_fault {
    HAUL_IPNS_GOOD,
    HAUL_IPNS_MALFORMED,
    HAUL_IPNS_STRANGER, /* the key is not the name's, or is nowhere */
    HAUL_IPNS_FORGED,   /* the signature is not of that key */
};

/* Whether it is over by now is the caller's to compare. */
enum haul_ipns_fault haul_ipns_read(const struct haul_peer_id *name, const uint8_t *record,
                                    size_t bytes, struct haul_ipns *ipns);

/* Writes a record of our own; `out` is bad when it does not fit. `ends` below the year 2500. */
void haul_ipns_write(const struct haul_key *key, const void *value, size_t value_bytes,
                     uint64_t sequence, uint64_t ends, struct haul_out *out);

/* "2026-11-21T20:15:00.123456789Z" and the same with an offset; false for what is no such time or
 * lies outside of 1970 to 2500. */
#define HAUL_IPNS_TIME_BYTES 30u
HAUL_MUST_USE bool haul_ipns_time_read(const uint8_t *text, size_t bytes, uint64_t *nanoseconds);
void haul_ipns_time_write(uint64_t nanoseconds, char text[HAUL_IPNS_TIME_BYTES]); /* no NUL */
