/* What a host counts. */
#pragma once

#include <stdint.h>

#define HAUL_HOST_COUNTERS(X)                                                                      \
    X(accepted, "connections accepted")                                                            \
    X(dialled, "connections begun by us")                                                          \
    X(connected, "connections whose peer was proven")                                              \
    X(faulty, "connections ended because the peer broke a protocol")                               \
    X(foreign_network, "connections ended because the peer has not this private network's key")    \
    X(late, "connections ended because the peer took too long")                                    \
    X(over_limit, "connections refused because there were too many")                               \
    X(over_inbound, "connections of peers refused because there were too many of peers")           \
    X(over_address, "connections refused because there were too many from their address")          \
    X(over_peer, "connections ended because their peer had too many")                              \
    X(forbidden, "connections ended because their peer is not allowed here")                       \
    X(half_open_dropped, "unauthenticated connections closed to make room for newer ones")         \
    X(streams_accepted, "streams opened by peers")                                                 \
    X(streams_opened, "streams opened by us")                                                      \
    X(streams_over_limit, "streams of peers reset because they had too many of a protocol")        \
    X(streams_over_total, "streams of peers reset because there were too many of all peers")       \
    X(over_memory, "streams reset because too much of their input waited to be taken")             \
    X(streams_idle, "streams reset because nothing moved on them")                                 \
    X(sealed_apart, "batches of messages sealed by other threads")                                 \
    X(sealed_apart_bytes, "their bytes")                                                           \
    X(opened_apart, "batches of messages opened by other threads")                                 \
    X(opened_apart_bytes, "their bytes")                                                           \
    X(rx_bytes, "bytes received on connections")                                                   \
    X(tx_bytes, "bytes sent on connections")

struct haul_host_counters {
#define X(name, help) uint64_t name;
    HAUL_HOST_COUNTERS(X)
#undef X
};
