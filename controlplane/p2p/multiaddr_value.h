/* One component of a multiaddr: its protocol (a row of the table of multiformats) and its value, in
 * text and in binary. */
#pragma once

#include "common/bytes.h"

#define HAUL_MULTIADDR_VALUE_TEXT 512u

enum haul_multiaddr_kind {
    HAUL_MULTIADDR_NONE, /* no value */
    HAUL_MULTIADDR_IP4,
    HAUL_MULTIADDR_IP6,
    HAUL_MULTIADDR_PORT,
    HAUL_MULTIADDR_BITS, /* a prefix length */
    HAUL_MULTIADDR_NAME, /* text without '/': names of hosts, interfaces, memory */
    HAUL_MULTIADDR_PATH, /* any text, percent-encoded when printed */
    HAUL_MULTIADDR_PEER,
    HAUL_MULTIADDR_HASH, /* of a certificate */
    HAUL_MULTIADDR_ONION,
    HAUL_MULTIADDR_ONION3,
};

struct haul_multiaddr_protocol {
    uint16_t code;
    uint16_t value_bytes; /* fixed size; 0: none, or preceded by its length */
    const char *name;
    enum haul_multiaddr_kind kind;
};

#define HAUL_MULTIADDR_CODE_IP4 4u
#define HAUL_MULTIADDR_CODE_TCP 6u
#define HAUL_MULTIADDR_CODE_IP6 41u
#define HAUL_MULTIADDR_CODE_UDP 273u
#define HAUL_MULTIADDR_CODE_P2P 421u

#define HAUL_MULTIADDR_CODE_DNS         53u /* and the next three: dns4, dns6, dnsaddr */
#define HAUL_MULTIADDR_CODE_DNS4        54u
#define HAUL_MULTIADDR_CODE_DNS6        55u
#define HAUL_MULTIADDR_CODE_DNSADDR     56u
#define HAUL_MULTIADDR_CODE_P2P_CIRCUIT 290u

/* NULL when there is none. The older names "ipfs" and "https" are known on input. */
const struct haul_multiaddr_protocol *haul_multiaddr_protocol_find(uint64_t code);
const struct haul_multiaddr_protocol *haul_multiaddr_protocol_named(const char *name, size_t bytes);

/* True when the value has its length in front. */
bool haul_multiaddr_has_length(const struct haul_multiaddr_protocol *protocol);

/* From text of `bytes` characters; sets out->bad when it is malformed or does not fit. */
void haul_multiaddr_value_parse(enum haul_multiaddr_kind kind, const char *text, size_t bytes,
                                struct haul_out *out);

/* To text, without an end mark; sets out->bad when the value is malformed or does not fit. */
void haul_multiaddr_value_print(enum haul_multiaddr_kind kind, const uint8_t *data, size_t bytes,
                                struct haul_out *out);
