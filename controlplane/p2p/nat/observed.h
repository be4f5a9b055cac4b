/* How others see this node. Each peer says at which address it sees us (identify); one peer may be
 * wrong or lie, so an address counts only when peers of several networks have named it lately.
 * Bounded, and every sight expires. Pure.
 *
 * Only public addresses are kept, and only what public observers say: in a private network what we
 * listen on is what we are seen at. */
#pragma once

#include "common/addr.h"
#include "common/time.h"

#define HAUL_OBSERVED_ADDRESSES_MAX 16u
#define HAUL_OBSERVED_SIGHTS_MAX    8u /* networks that name one address */
#define HAUL_OBSERVED_CONFIRM       3u /* networks that must agree */
#define HAUL_OBSERVED_VOICES_MAX    2u /* addresses for which one network speaks */
#define HAUL_OBSERVED_LIFE          (40 * 60 * HAUL_SECOND)

struct haul_observed_sight {
    uint32_t network; /* haul_address_group of the observer; 0: free */
    bool exact;       /* the port was seen as well, not guessed */
    haul_time ends;
};

struct haul_observed_entry {
    struct haul_addr address; /* family 0: free */
    struct haul_observed_sight sights[HAUL_OBSERVED_SIGHTS_MAX];
};

#define HAUL_OBSERVED_COUNTERS(X)                                                                  \
    X(observed_noted, "times a peer said how it sees us, and it could be true")                    \
    X(observed_passed_over, "times what a peer said of us could not count")                        \
    X(observed_evicted, "observed addresses that made room for others")

struct haul_observed {
    struct haul_observed_entry entries[HAUL_OBSERVED_ADDRESSES_MAX];
    struct {
#define X(name, help) uint64_t name;
        HAUL_OBSERVED_COUNTERS(X)
#undef X
    } counters;
};

void haul_observed_init(struct haul_observed *observed);

/* A peer at `observer` sees us at `seen`. With `exact` the port is that of a listening socket as it
 * looks from outside; without, it is our guess. */
void haul_observed_note(struct haul_observed *observed, const struct haul_addr *seen, bool exact,
                        const struct haul_addr *observer, haul_time now);

/* The confirmed ones; `exact` says of each whether enough networks saw its port too. */
struct haul_observed_address {
    struct haul_addr address;
    bool exact;
};
size_t haul_observed_confirmed(const struct haul_observed *observed, haul_time now,
                               struct haul_observed_address *addresses, size_t capacity);
