/* Ports that the gateway of this network forwards to us, or over IPv6 lets in: asked for with PCP,
 * where it does not speak that with NAT-PMP, and otherwise as an Internet gateway device (UPnP);
 * taken with a lease, renewed in half its time, and given back at the end. One object for each
 * family of addresses; without one no packet leaves.
 *
 * The gateway is a stranger. Only the default gateway is asked and heard, whatever else answers;
 * what it says is bounded in bytes and in time (docs/decisions/0012-port-mapping.md). When its
 * epoch says that it has lost its mappings, or it announces that it has begun anew, it is asked for
 * them at once, but not more often than every HAUL_MAPPING_ANEW_MIN. Control thread only. */
#pragma once

#include "common/addr.h"
#include "common/error.h"
#include "common/time.h"

struct haul_loop;
struct haul_mapping;

#define HAUL_MAPPING_LEASE_SECONDS 3600u
#define HAUL_MAPPING_RELEASE_MAX   (2 * HAUL_SECOND)
#define HAUL_MAPPING_ANEW_MIN      (10 * HAUL_SECOND)

struct haul_mapping_conf {
    struct haul_loop *loop;
    uint8_t family;    /* 4 or 6 */
    uint16_t tcp, udp; /* our ports; 0: none */
    void *context;
    void (*changed)(void *context); /* mappings have come or gone */
};

#define HAUL_MAPPING_COUNTERS(X)                                                                   \
    X(rounds, "times the gateway was asked for mappings")                                          \
    X(failed_rounds, "of these, without any")                                                      \
    X(foreign_answers, "answers that did not come from the gateway")                               \
    X(bad_answers, "answers of the gateway that were malformed, too long or too slow")             \
    X(announced, "times the gateway said unasked how old it is")                                   \
    X(forgotten, "times the gateway had forgotten its mappings, and was asked anew at once")

struct haul_mapping_counters {
#define X(name, help) uint64_t name;
    HAUL_MAPPING_COUNTERS(X)
#undef X
};

/* NULL without memory. Begins at once. */
struct haul_mapping *haul_mapping_open(const struct haul_mapping_conf *conf);

/* Gives back what is mapped; true when nothing is left to wait for. Otherwise haul_mapping_released
 * becomes true while the loop runs, after HAUL_MAPPING_RELEASE_MAX at the latest. */
bool haul_mapping_release(struct haul_mapping *mapping);
bool haul_mapping_released(const struct haul_mapping *mapping);
void haul_mapping_close(struct haul_mapping *mapping);

/* Where the port is reached from outside; false when it is not mapped, or to an address that is not
 * public itself. */
HAUL_MUST_USE bool haul_mapping_external(const struct haul_mapping *mapping, bool tcp,
                                         struct haul_addr *addr);

/* "PCP", "NAT-PMP", "UPnP", or "none" while nothing is mapped. */
const char *haul_mapping_method(const struct haul_mapping *mapping);
const struct haul_mapping_counters *haul_mapping_counters(const struct haul_mapping *mapping);
