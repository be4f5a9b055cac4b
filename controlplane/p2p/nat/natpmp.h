/* Messages of NAT-PMP (RFC 6886): a client asks its gateway for the external address and for
 * mappings of ports; all big-endian, without options. Pure. */
#pragma once

#include "common/addr.h"
#include "common/bytes.h"

#define HAUL_NATPMP_PORT      5351u
#define HAUL_NATPMP_NEWS_PORT 5350u /* where clients hear what it announces, at 224.0.0.1 */
#define HAUL_NATPMP_BYTES_MAX 16u

enum haul_natpmp_op { HAUL_NATPMP_ADDRESS, HAUL_NATPMP_UDP, HAUL_NATPMP_TCP };

struct haul_natpmp_answer {
    enum haul_natpmp_op op;
    uint16_t result;           /* 0: done */
    uint32_t epoch;            /* seconds since the gateway began to know its mappings */
    struct haul_addr external; /* ADDRESS; its port is 0 */
    uint16_t inside, outside;  /* the others: ports */
    uint32_t seconds;          /* for how long; 0: no more */
};

void haul_natpmp_write_address(struct haul_out *out);

/* `seconds` 0 takes the mapping back; `outside` is a wish. */
void haul_natpmp_write_map(struct haul_out *out, enum haul_natpmp_op op, uint16_t inside,
                           uint16_t outside, uint32_t seconds);

/* False when it is no whole answer of version 0. */
HAUL_MUST_USE bool haul_natpmp_decode(const uint8_t *data, size_t bytes,
                                      struct haul_natpmp_answer *answer);
