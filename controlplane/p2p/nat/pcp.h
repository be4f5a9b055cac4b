/* Messages of the Port Control Protocol (RFC 6887): a client asks its gateway to let a port of its
 * own in, with MAP: over IPv4 as a mapping, over IPv6 as a hole in the firewall. No options are
 * sent, and those of an answer are passed over. Pure. */
#pragma once

#include "common/addr.h"
#include "common/bytes.h"

#define HAUL_PCP_PORT        5351u
#define HAUL_PCP_NEWS_PORT   5350u /* where clients hear its ANNOUNCE, at 224.0.0.1 and ff02::1 */
#define HAUL_PCP_MAP_BYTES   60u   /* a request, and an answer without options */
#define HAUL_PCP_BYTES_MAX   1100u /* of any message */
#define HAUL_PCP_NONCE_BYTES 12u

enum haul_pcp_result {
    HAUL_PCP_SUCCESS,
    HAUL_PCP_UNSUPPORTED_VERSION, /* also: it speaks NAT-PMP alone */
    HAUL_PCP_REFUSED,             /* any other */
};

struct haul_pcp_map {
    uint8_t nonce[HAUL_PCP_NONCE_BYTES]; /* of this mapping, as long as it lives */
    bool tcp;                            /* else UDP */
    uint16_t inside;
    struct haul_addr outside; /* a wish, or what was given; unspecified, port 0: any */
    uint32_t seconds;         /* 0 takes it back */
};

struct haul_pcp_answer {
    enum haul_pcp_result result;
    struct haul_pcp_map map; /* unless the version is not supported */
    uint32_t epoch;          /* seconds since the server began to know its mappings */
};

/* `client`: our address towards the gateway, from which it is sent. */
void haul_pcp_write_map(struct haul_out *out, const struct haul_addr *client,
                        const struct haul_pcp_map *map);

/* False when it is no whole answer to a MAP request. */
HAUL_MUST_USE bool haul_pcp_decode(const uint8_t *data, size_t bytes,
                                   struct haul_pcp_answer *answer);

/* ANNOUNCE, which a server says unasked when it has begun anew (section 14.1); false when it is
 * none. */
HAUL_MUST_USE bool haul_pcp_announce_decode(const uint8_t *data, size_t bytes, uint32_t *epoch);
