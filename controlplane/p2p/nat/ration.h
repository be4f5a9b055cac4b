/* What a server does for strangers: so much a minute for all of them together, for one peer, for
 * one address (of IPv6: one /64), and of what may hit third parties. A log of the last grants that
 * is as long as the limit for all, so it needs no more memory whoever asks. Pure. */
#pragma once

#include "common/addr.h"
#include "common/time.h"
#include "controlplane/p2p/peerid.h"

#define HAUL_RATION_TOTAL_MAX 64u
#define HAUL_RATION_SPAN      (60 * HAUL_SECOND)

struct haul_ration_limits {
    uint32_t total, per_peer, per_address; /* a minute; total at most HAUL_RATION_TOTAL_MAX */
    uint32_t foreign;                      /* of these, to addresses other than the asker's own */
};

struct haul_ration_entry {
    struct haul_peer_id peer;
    struct haul_addr address;
    bool foreign;
    haul_time ends; /* 0: free */
};

struct haul_ration {
    struct haul_ration_limits limits;
    struct haul_ration_entry log[HAUL_RATION_TOTAL_MAX];
};

void haul_ration_init(struct haul_ration *ration, const struct haul_ration_limits *limits);

/* True when it may be done, and then it is written down. */
HAUL_MUST_USE bool haul_ration_take(struct haul_ration *ration, const struct haul_peer_id *peer,
                                    const struct haul_addr *address, bool foreign, haul_time now);
