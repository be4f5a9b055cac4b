/* Text and scope of socket addresses. Only inet_ntop and inet_pton of the system are used, and they
 * only convert. */
#include "common/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

bool haul_addr_equal(const struct haul_addr *a, const struct haul_addr *b)
{
    return a->family == b->family && a->port == b->port && a->scope == b->scope &&
           memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

void haul_addr_print(const struct haul_addr *addr, char text[HAUL_ADDR_TEXT_BYTES])
{
    char ip[INET6_ADDRSTRLEN] = "";

    if (addr->family == 4) {
        inet_ntop(AF_INET, addr->ip, ip, sizeof ip);
        snprintf(text, HAUL_ADDR_TEXT_BYTES, "%s:%u", ip, addr->port);
    } else if (addr->family == 6) {
        inet_ntop(AF_INET6, addr->ip, ip, sizeof ip);
        if (addr->scope != 0)
            snprintf(text, HAUL_ADDR_TEXT_BYTES, "[%s%%%u]:%u", ip, addr->scope, addr->port);
        else
            snprintf(text, HAUL_ADDR_TEXT_BYTES, "[%s]:%u", ip, addr->port);
    } else {
        snprintf(text, HAUL_ADDR_TEXT_BYTES, "none");
    }
}

/* Decimal digits up to `end` and nothing else; no sign, no blank, no leading zero but "0". */
static bool parse_number(const char *at, const char *end, uint64_t max, uint64_t *number)
{
    uint64_t value = 0;

    if (at == end || (*at == '0' && at + 1 != end))
        return false;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        value = value * 10 + (uint64_t)(*at - '0');
        if (value > max)
            return false;
    }
    *number = value;
    return true;
}

static bool parse_ip(int family, const char *at, const char *end, uint8_t ip[16])
{
    char text[INET6_ADDRSTRLEN] = "";

    if ((size_t)(end - at) >= sizeof text)
        return false;
    memcpy(text, at, (size_t)(end - at));
    return inet_pton(family, text, ip) == 1;
}

bool haul_addr_parse(const char *text, struct haul_addr *addr)
{
    struct haul_addr found = { 0 };
    const char *end = text + strnlen(text, HAUL_ADDR_TEXT_BYTES);
    const char *colon = memrchr(text, ':', (size_t)(end - text));
    const char *ip_end = colon;
    uint64_t port, scope = 0;

    if (end - text == HAUL_ADDR_TEXT_BYTES || colon == NULL ||
        !parse_number(colon + 1, end, UINT16_MAX, &port))
        return false;
    if (*text == '[') {
        const char *percent = memchr(text, '%', (size_t)(colon - text));

        if (colon - text < 2 || colon[-1] != ']')
            return false;
        ip_end = percent != NULL ? percent : colon - 1;
        if (percent != NULL &&
            (!parse_number(percent + 1, colon - 1, UINT32_MAX, &scope) || scope == 0))
            return false;
        found.family = 6;
        if (!parse_ip(AF_INET6, text + 1, ip_end, found.ip))
            return false;
    } else {
        found.family = 4;
        if (!parse_ip(AF_INET, text, ip_end, found.ip))
            return false;
    }
    found.port = (uint16_t)port;
    found.scope = (uint32_t)scope;
    *addr = found;
    return true;
}

bool haul_prefix_parse(const char *text, size_t bytes, struct haul_prefix *prefix)
{
    const char *slash = memchr(text, '/', bytes);
    struct haul_prefix found = { .family = 4 };
    uint64_t bits;

    if (slash == NULL)
        return false;
    if (memchr(text, ':', (size_t)(slash - text)) != NULL)
        found.family = 6;
    if (!parse_ip(found.family == 6 ? AF_INET6 : AF_INET, text, slash, found.ip) ||
        !parse_number(slash + 1, text + bytes, found.family == 6 ? 128 : 32, &bits))
        return false;
    found.bits = (uint8_t)bits;
    for (size_t bit = found.bits; bit < sizeof found.ip * 8; bit++) {
        if ((found.ip[bit / 8] & 0x80u >> bit % 8) != 0)
            return false;
    }
    *prefix = found;
    return true;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8u, rest = bits % 8u;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

bool haul_prefix_holds(const struct haul_prefix *prefix, const struct haul_addr *addr)
{
    return prefix->family == addr->family && same_bits(prefix->ip, addr->ip, prefix->bits);
}

struct prefix {
    uint8_t
        ip[8]; /* no prefix in the tables is longer than 64 bits but those of 96 or 128, below */
    uint8_t bits;
    uint8_t scope;
};

/* The first match decides. RFC 6890 and the registry it founded. Benchmark networks (198.18/15) and
 * shared space (100.64/10) count as private: they are used between machines of one owner. */
static const struct prefix prefixes_v4[] = {
    { { 0 }, 8, HAUL_ADDR_SPECIAL },
    { { 10 }, 8, HAUL_ADDR_PRIVATE },
    { { 100, 64 }, 10, HAUL_ADDR_PRIVATE },
    { { 127 }, 8, HAUL_ADDR_LOOPBACK },
    { { 169, 254 }, 16, HAUL_ADDR_LINK },
    { { 172, 16 }, 12, HAUL_ADDR_PRIVATE },
    { { 192, 0, 0 }, 24, HAUL_ADDR_SPECIAL },
    { { 192, 0, 2 }, 24, HAUL_ADDR_SPECIAL },
    { { 192, 88, 99 }, 24, HAUL_ADDR_SPECIAL },
    { { 192, 168 }, 16, HAUL_ADDR_PRIVATE },
    { { 198, 18 }, 15, HAUL_ADDR_PRIVATE },
    { { 198, 51, 100 }, 24, HAUL_ADDR_SPECIAL },
    { { 203, 0, 113 }, 24, HAUL_ADDR_SPECIAL },
    { { 224 }, 3, HAUL_ADDR_SPECIAL }, /* multicast, reserved and broadcast */
    { { 0 }, 0, HAUL_ADDR_PUBLIC },
};

static const struct prefix prefixes_v6[] = {
    { { 0, 0x64, 0xff, 0x9b, 0, 1 }, 48, HAUL_ADDR_PRIVATE }, /* local NAT64 */
    { { 0, 0x64, 0xff, 0x9b }, 64, HAUL_ADDR_PUBLIC },        /* NAT64 */
    { { 0x20, 0x01, 0x0d, 0xb8 }, 32, HAUL_ADDR_SPECIAL },    /* documentation */
    { { 0x20, 0x01, 0x00 }, 23, HAUL_ADDR_SPECIAL },          /* Teredo, ORCHID and others */
    { { 0x20, 0x02 }, 16, HAUL_ADDR_SPECIAL },                /* 6to4 */
    { { 0x3f, 0xff }, 20, HAUL_ADDR_SPECIAL },                /* documentation */
    { { 0x20 }, 3, HAUL_ADDR_PUBLIC },
    { { 0xfc }, 7, HAUL_ADDR_PRIVATE },
    { { 0xfe, 0x80 }, 10, HAUL_ADDR_LINK },
    { { 0 }, 0, HAUL_ADDR_SPECIAL }, /* unspecified, mapped, multicast, everything unassigned */
};

enum haul_addr_scope haul_addr_scope(const struct haul_addr *addr)
{
    static const uint8_t loopback[16] = { [15] = 1 };
    const struct prefix *prefix = addr->family == 4 ? prefixes_v4 : prefixes_v6;

    if (addr->family != 4 && addr->family != 6)
        return HAUL_ADDR_SPECIAL;
    if (addr->family == 6 && memcmp(addr->ip, loopback, sizeof loopback) == 0)
        return HAUL_ADDR_LOOPBACK;
    while (!same_bits(prefix->ip, addr->ip, prefix->bits))
        prefix++;
    return (enum haul_addr_scope)prefix->scope;
}
