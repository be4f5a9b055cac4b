/* What others are told of where this node is: what it listens on, what was found beside it, and not
 * what is known to lead nowhere. */
#include "controlplane/host/host_parts.h"

#include <string.h>

static bool equal(const struct haul_multiaddr *a, const struct haul_multiaddr *b)
{
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

static bool is_among(const struct haul_multiaddr *address, const struct haul_multiaddr *list,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (equal(address, &list[i]))
            return true;
    }
    return false;
}

/* Replaces a list; whether it has become another. */
static bool replace(struct haul_multiaddr *list, size_t *count, size_t capacity,
                    const struct haul_multiaddr *addresses, size_t given)
{
    bool changed;

    if (given > capacity)
        given = capacity;
    changed = given != *count;
    for (size_t i = 0; i < given; i++) {
        changed |= !is_among(&addresses[i], list, *count);
    }
    if (changed && given > 0)
        memcpy(list, addresses, given * sizeof *list);
    *count = given;
    return changed;
}

bool haul_host_tell(struct haul_host *host, enum haul_told source,
                    const struct haul_multiaddr *addresses, size_t count)
{
    return replace(host->told[source], &host->told_counts[source], HAUL_HOST_TOLD_MAX, addresses,
                   count);
}

bool haul_host_withhold(struct haul_host *host, const struct haul_multiaddr *addresses,
                        size_t count)
{
    return replace(host->withheld, &host->withheld_count, HAUL_HOST_ADDRESSES_MAX, addresses,
                   count);
}

static size_t append(const struct haul_host *host, const struct haul_multiaddr *list, size_t given,
                     struct haul_multiaddr *addresses, size_t count, size_t capacity)
{
    for (size_t i = 0; i < given && count < capacity; i++) {
        if (!is_among(&list[i], host->withheld, host->withheld_count) &&
            !is_among(&list[i], addresses, count))
            addresses[count++] = list[i];
    }
    return count;
}

size_t haul_host_told(const struct haul_host *host, struct haul_multiaddr *addresses,
                      size_t capacity)
{
    struct haul_multiaddr own[HAUL_HOST_ADDRESSES_MAX];
    size_t own_count = haul_host_addresses(host, own, HAUL_COUNT_OF(own));
    size_t found = 0, count;

    for (size_t source = 0; source < HAUL_TOLD_COUNT; source++)
        found += host->told_counts[source];
    /* Own ones first, for neighbours; of many interfaces the last give way to what was found. */
    count = append(host, own, own_count, addresses, 0, capacity > found ? capacity - found : 0);
    for (size_t source = 0; source < HAUL_TOLD_COUNT; source++)
        count =
            append(host, host->told[source], host->told_counts[source], addresses, count, capacity);
    return count;
}
