#include "controlplane/p2p/nat/pace.h"

#include "controlplane/p2p/nat/verdict.h"

#include <string.h>

void haul_pace_init(struct haul_pace *pace, const struct haul_pace_limits *limits)
{
    memset(pace, 0, sizeof *pace);
    pace->limits = *limits;
}

static bool is_rested(const struct haul_pace_entry *entry, haul_time now)
{
    return entry->rested_at <= now;
}

/* The entry of whoever it is, or a free one other than `taken`; NULL: the table is full. */
static struct haul_pace_entry *find(struct haul_pace *pace, const struct haul_pace_entry *who,
                                    const struct haul_pace_entry *taken, haul_time now)
{
    struct haul_pace_entry *place = NULL;

    for (size_t i = 0; i < HAUL_PACE_ENTRIES; i++) {
        struct haul_pace_entry *entry = &pace->entries[i];

        if (is_rested(entry, now)) {
            if (place == NULL && entry != taken)
                place = entry;
        } else if (entry->network == who->network && entry->peer.length == who->peer.length &&
                   (who->peer.length == 0 || haul_peer_id_equal(&entry->peer, &who->peer))) {
            return entry;
        }
    }
    return place;
}

/* When it will have rested, if it asks now as well; HAUL_TIME_NEVER: it may not. */
static haul_time rest_after(const struct haul_pace_entry *entry, uint32_t limit, haul_time now)
{
    haul_time rested;

    if (entry == NULL || limit == 0)
        return HAUL_TIME_NEVER;
    rested = haul_time_add(haul_time_max(entry->rested_at, now), HAUL_PACE_SPAN / limit);
    return haul_time_since(now, rested) <= HAUL_PACE_SPAN ? rested : HAUL_TIME_NEVER;
}

bool haul_pace_take(struct haul_pace *pace, const struct haul_peer_id *peer,
                    const struct haul_addr *address, haul_time now)
{
    struct haul_pace_entry one = { .peer = *peer }, all = { .network = 0 };
    struct haul_pace_entry *of_peer, *of_network;

    all.network = haul_verdict_voter(address);
    of_peer = find(pace, &one, NULL, now);
    of_network = find(pace, &all, of_peer, now);
    one.rested_at = rest_after(of_peer, pace->limits.per_peer, now);
    all.rested_at = rest_after(of_network, pace->limits.per_network, now);
    if (one.rested_at == HAUL_TIME_NEVER || all.rested_at == HAUL_TIME_NEVER)
        return false;
    *of_peer = one;
    *of_network = all;
    return true;
}
