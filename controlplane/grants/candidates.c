#include "controlplane/grants/candidates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t ip_bits(const struct haul_addr *addr)
{
    return addr->family == 4 ? 32 : 128;
}

static bool bit_of(const struct haul_addr *addr, size_t bit)
{
    return (addr->ip[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

bool haul_network_parse(const char *text, struct haul_network *network)
{
    struct haul_network read = { 0 };
    char whole[HAUL_ADDR_TEXT_BYTES];
    const char *slash = strchr(text, '/');
    char *end;
    unsigned long bits;
    int written;

    if (slash == NULL || slash[1] < '0' || slash[1] > '9' || slash - text > 45)
        return false;
    bits = strtoul(slash + 1, &end, 10);
    if (*end != '\0')
        return false;
    written = snprintf(whole, sizeof whole,
                       memchr(text, ':', (size_t)(slash - text)) != NULL ? "[%.*s]:0" : "%.*s:0",
                       (int)(slash - text), text);
    if (written < 0 || !haul_addr_parse(whole, &read.base) || read.base.scope != 0 ||
        bits > ip_bits(&read.base))
        return false;
    read.bits = (uint8_t)bits;
    for (size_t bit = bits; bit < ip_bits(&read.base); bit++) {
        if (bit_of(&read.base, bit))
            return false;
    }
    *network = read;
    return true;
}

bool haul_network_holds(const struct haul_network *network, const struct haul_addr *addr)
{
    if (addr->family != network->base.family)
        return false;
    for (size_t bit = 0; bit < network->bits; bit++) {
        if (bit_of(addr, bit) != bit_of(&network->base, bit))
            return false;
    }
    return true;
}

bool haul_candidate_allowed(const struct haul_candidate_rule *rule, const struct haul_addr *addr)
{
    enum haul_addr_scope scope = haul_addr_scope(addr);

    if (addr->port == 0 || scope == HAUL_ADDR_SPECIAL)
        return false;
    for (size_t i = 0; i < rule->network_count; i++) {
        if (haul_network_holds(&rule->networks[i], addr))
            return true;
    }
    if (rule->relayed)
        return scope == HAUL_ADDR_PUBLIC;
    return scope == haul_addr_scope(&rule->control);
}

static bool is_among(const struct haul_addr *addr, const struct haul_addr *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (haul_addr_equal(addr, &list[i]))
            return true;
    }
    return false;
}

size_t haul_candidates_choose(const struct haul_candidate_rule *rule,
                              const struct haul_addr *offered, size_t count,
                              struct haul_addr chosen[HAUL_CANDIDATES_MAX], size_t *dropped)
{
    size_t looked_at = count < HAUL_CANDIDATES_MAX ? count : HAUL_CANDIDATES_MAX;
    size_t kept = 0;

    for (size_t i = 0; i < looked_at; i++) {
        struct haul_addr addr = offered[i];

        addr.scope = 0;
        if (addr.family == 6 && haul_addr_scope(&addr) == HAUL_ADDR_LINK)
            addr.scope = rule->control.scope;
        if (haul_candidate_allowed(rule, &addr) && !is_among(&addr, chosen, kept))
            chosen[kept++] = addr;
    }
    *dropped = count - kept;
    return kept;
}
