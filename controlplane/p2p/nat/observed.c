/* One voice a network and address; a network that speaks for too many loses its oldest voice. */
#include "controlplane/p2p/nat/observed.h"

#include "controlplane/p2p/address_book.h"

#include <string.h>

void haul_observed_init(struct haul_observed *observed)
{
    memset(observed, 0, sizeof *observed);
}

static bool lives(const struct haul_observed_sight *sight, haul_time now)
{
    return sight->network != 0 && sight->ends > now;
}

static unsigned count_of(const struct haul_observed_entry *entry, bool exact, haul_time now)
{
    unsigned count = 0;

    for (size_t i = 0; i < HAUL_OBSERVED_SIGHTS_MAX; i++)
        count += lives(&entry->sights[i], now) && (!exact || entry->sights[i].exact);
    return count;
}

static haul_time end_of(const struct haul_observed_entry *entry)
{
    haul_time ends = 0;

    for (size_t i = 0; i < HAUL_OBSERVED_SIGHTS_MAX; i++)
        ends = haul_time_max(ends, entry->sights[i].ends);
    return ends;
}

/* The address's entry; a new one takes a free place, or that of the one with the fewest voices. */
static struct haul_observed_entry *entry_of(struct haul_observed *observed,
                                            const struct haul_addr *address, haul_time now)
{
    struct haul_observed_entry *worst = NULL;

    for (size_t i = 0; i < HAUL_OBSERVED_ADDRESSES_MAX; i++) {
        struct haul_observed_entry *entry = &observed->entries[i];
        unsigned count = count_of(entry, false, now);

        if (entry->address.family != 0 && haul_addr_equal(&entry->address, address))
            return entry;
        if (worst == NULL || count < count_of(worst, false, now) ||
            (count == count_of(worst, false, now) && end_of(entry) < end_of(worst)))
            worst = entry;
    }
    if (count_of(worst, false, now) > 0)
        observed->counters.observed_evicted++;
    memset(worst, 0, sizeof *worst);
    worst->address = *address;
    return worst;
}

static struct haul_observed_sight *sight_of(struct haul_observed_entry *entry, uint32_t network)
{
    struct haul_observed_sight *oldest = &entry->sights[0];

    for (size_t i = 0; i < HAUL_OBSERVED_SIGHTS_MAX; i++) {
        if (entry->sights[i].network == network)
            return &entry->sights[i];
        if (entry->sights[i].ends < oldest->ends)
            oldest = &entry->sights[i];
    }
    return oldest;
}

/* Before a network speaks for another address: at most so many voices in all. */
static void voices_trim(struct haul_observed *observed, const struct haul_observed_entry *except,
                        uint32_t network, haul_time now)
{
    struct haul_observed_sight *oldest = NULL;
    unsigned voices = 0;

    for (size_t i = 0; i < HAUL_OBSERVED_ADDRESSES_MAX; i++) {
        for (size_t j = 0; j < HAUL_OBSERVED_SIGHTS_MAX; j++) {
            struct haul_observed_sight *sight = &observed->entries[i].sights[j];

            if (&observed->entries[i] == except || sight->network != network || !lives(sight, now))
                continue;
            voices++;
            if (oldest == NULL || sight->ends < oldest->ends)
                oldest = sight;
        }
    }
    if (voices >= HAUL_OBSERVED_VOICES_MAX)
        *oldest = (struct haul_observed_sight){ 0 };
}

void haul_observed_note(struct haul_observed *observed, const struct haul_addr *seen, bool exact,
                        const struct haul_addr *observer, haul_time now)
{
    uint32_t network = haul_address_group(observer);
    struct haul_observed_entry *entry;
    struct haul_observed_sight *sight;

    if (network == 0 || seen->port == 0 || haul_addr_scope(seen) != HAUL_ADDR_PUBLIC) {
        observed->counters.observed_passed_over++;
        return;
    }
    observed->counters.observed_noted++;
    entry = entry_of(observed, seen, now);
    voices_trim(observed, entry, network, now);
    sight = sight_of(entry, network);
    /* A guess does not blur what was seen. */
    exact |= sight->network == network && lives(sight, now) && sight->exact;
    *sight = (struct haul_observed_sight){ .network = network,
                                           .exact = exact,
                                           .ends = haul_time_add(now, HAUL_OBSERVED_LIFE) };
}

size_t haul_observed_confirmed(const struct haul_observed *observed, haul_time now,
                               struct haul_observed_address *addresses, size_t capacity)
{
    size_t count = 0;

    for (size_t i = 0; i < HAUL_OBSERVED_ADDRESSES_MAX && count < capacity; i++) {
        const struct haul_observed_entry *entry = &observed->entries[i];

        if (entry->address.family != 0 && count_of(entry, false, now) >= HAUL_OBSERVED_CONFIRM)
            addresses[count++] = (struct haul_observed_address){
                .address = entry->address,
                .exact = count_of(entry, true, now) >= HAUL_OBSERVED_CONFIRM,
            };
    }
    return count;
}
