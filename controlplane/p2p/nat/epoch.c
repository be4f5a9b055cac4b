#include "controlplane/p2p/nat/epoch.h"

#define SLACK 2u /* seconds by which rounding and the way may differ */

/* A clock may be wrong by a sixteenth, either way; answers may overtake each other by a second. */
static bool is_pcp_lost(const struct haul_epoch *epoch, uint32_t told, haul_time now)
{
    uint64_t ours = haul_time_since(epoch->at, now) / HAUL_SECOND;
    uint64_t theirs = told > epoch->told ? told - epoch->told : 0;

    return (uint64_t)told + 1 < epoch->told || ours + SLACK < theirs - theirs / 16 ||
           theirs + SLACK < ours - ours / 16;
}

/* Only too few seconds are a loss: at least seven eighths of ours should have passed. */
static bool is_natpmp_lost(const struct haul_epoch *epoch, uint32_t told, haul_time now)
{
    uint64_t ours = haul_time_since(epoch->at, now) / HAUL_SECOND;

    return (uint64_t)told + SLACK < epoch->told + ours * 7 / 8;
}

static bool take(struct haul_epoch *epoch, uint32_t told, haul_time now, bool lost)
{
    lost &= epoch->known;
    *epoch = (struct haul_epoch){ .known = true, .told = told, .at = now };
    return lost;
}

bool haul_epoch_pcp(struct haul_epoch *epoch, uint32_t told, haul_time now)
{
    return take(epoch, told, now, is_pcp_lost(epoch, told, now));
}

bool haul_epoch_natpmp(struct haul_epoch *epoch, uint32_t told, haul_time now)
{
    return take(epoch, told, now, is_natpmp_lost(epoch, told, now));
}
