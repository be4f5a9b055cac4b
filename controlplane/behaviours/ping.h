/* Ping (libp2p specs, ping/ping.md): the opener writes 32 bytes, the other echoes them. We echo
 * bytes as they come, which every implementation accepts. */
#pragma once

#include "controlplane/host/host.h"

#define HAUL_PING_BYTES 32u

extern const struct haul_behaviour haul_ping_behaviour;

/* Called once: with the round trip, or HAUL_TIME_NEVER when the peer did not answer rightly. */
typedef void haul_ping_fn(void *context, haul_time round_trip);

/* Pings over a stream of its own. The round trip is one of the loop's turns, to the application and
 * back. False when no stream could be opened; then `done` is not called. */
HAUL_MUST_USE bool haul_ping(struct haul_host *host, uint64_t connection, haul_ping_fn *done,
                             void *context);
