/* A socket address as plain bytes: IPv4 or IPv6, with a port. It crosses the seam between the
 * planes and is compared by value. No sockaddr outside the files that call the kernel. */
#pragma once

#include "common/base.h"

struct haul_addr {
    uint8_t family; /* 4, 6, or 0 for none */
    uint8_t ip[16]; /* network order; IPv4 in the first four bytes, the rest zero */
    uint16_t port;  /* host order */
    uint32_t scope; /* IPv6 link-local interface index, else zero */
};

#define HAUL_ADDR_TEXT_BYTES 64u

bool haul_addr_equal(const struct haul_addr *a, const struct haul_addr *b);

/* "192.0.2.1:4501", "[2001:db8::1]:4501". */
void haul_addr_print(const struct haul_addr *addr, char text[HAUL_ADDR_TEXT_BYTES]);
HAUL_MUST_USE bool haul_addr_parse(const char *text, struct haul_addr *addr);

/* What kind of network an address is in (RFC 6890, RFC 4291): candidates must share the scope of
 * the control connection, and special ones are never sent to. */
enum haul_addr_scope {
    HAUL_ADDR_LOOPBACK,
    HAUL_ADDR_LINK,
    HAUL_ADDR_PRIVATE,
    HAUL_ADDR_PUBLIC,
    HAUL_ADDR_SPECIAL, /* unspecified, multicast, broadcast, documentation, reserved */
};
enum haul_addr_scope haul_addr_scope(const struct haul_addr *addr);

/* A network: 192.0.2.0/24, 2001:db8::/32. Bits behind the prefix must be zero in text. */
struct haul_prefix {
    uint8_t family; /* 4 or 6 */
    uint8_t bits;
    uint8_t ip[16];
};

HAUL_MUST_USE bool haul_prefix_parse(const char *text, size_t bytes, struct haul_prefix *prefix);
bool haul_prefix_holds(const struct haul_prefix *prefix, const struct haul_addr *addr);
