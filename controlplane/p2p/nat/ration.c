#include "controlplane/p2p/nat/ration.h"

#include <string.h>

void haul_ration_init(struct haul_ration *ration, const struct haul_ration_limits *limits)
{
    haul_assert(limits->total > 0 && limits->total <= HAUL_RATION_TOTAL_MAX);
    memset(ration, 0, sizeof *ration);
    ration->limits = *limits;
}

static bool same_place(const struct haul_addr *a, const struct haul_addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == 4 ? 4 : 8) == 0;
}

bool haul_ration_take(struct haul_ration *ration, const struct haul_peer_id *peer,
                      const struct haul_addr *address, bool foreign, haul_time now)
{
    const struct haul_ration_limits *limits = &ration->limits;
    struct haul_ration_entry *place = NULL;
    uint32_t of_peer = 0, of_address = 0, of_foreign = 0;

    for (size_t i = 0; i < limits->total; i++) {
        struct haul_ration_entry *entry = &ration->log[i];

        if (entry->ends <= now) {
            place = entry;
            continue;
        }
        of_peer += haul_peer_id_equal(&entry->peer, peer);
        of_address += same_place(&entry->address, address);
        of_foreign += entry->foreign;
    }
    if (place == NULL || of_peer >= limits->per_peer || of_address >= limits->per_address ||
        (foreign && of_foreign >= limits->foreign))
        return false;
    *place = (struct haul_ration_entry){ .peer = *peer,
                                         .address = *address,
                                         .foreign = foreign,
                                         .ends = haul_time_add(now, HAUL_RATION_SPAN) };
    return true;
}
