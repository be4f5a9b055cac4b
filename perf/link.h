/* A link made by a program, for measurements where the kernel has no netem: it delays, keeps a rate
 * with a buffer of bounded size, and, in the packet form, loses by a seed. Two forms:
 *
 *   stream   accepts TCP connections and splices each to a target: no copy, so it is faster than
 *            what is measured through it. TCP itself sees no round trip here, only what is spoken
 *            over it does; the handshake's round trip is added before the first byte.
 *   packets  two TUN devices in two network namespaces: TCP and UDP see the link as it is.
 *
 * Times are monotonic nanoseconds, rates bytes a second; a rate of 0 is none. */
#pragma once

#include "common/error.h"
#include "common/time.h"

struct link_conf {
    haul_time delay;       /* one way */
    uint64_t rate;         /* each way */
    uint64_t buffer_bytes; /* what may wait for the rate, each way */
    uint32_t loss_ppm;     /* packets only */
    uint64_t seed;
    const char *target;             /* stream: IPv4 ADDRESS:PORT */
    const char *namespaces[2];      /* packets: paths, as /run/netns/NAME */
    uint64_t forwarded, lost, full; /* packets: counted here */
};

/* link_queue.c: when what leaves now arrives, with `busy` the time at which the link is free again.
 */
haul_time link_due(const struct link_conf *conf, haul_time now, size_t bytes, haul_time *busy);
/* Whether the buffer has room at all. */
bool link_room(const struct link_conf *conf, haul_time now, haul_time busy);

/* Both run until the process is ended; they print one JSON line when they are ready. */
HAUL_MUST_USE int link_stream_run(struct link_conf *conf, struct haul_error *error);
HAUL_MUST_USE int link_packets_run(struct link_conf *conf, struct haul_error *error);
