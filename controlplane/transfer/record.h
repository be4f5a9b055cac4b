/* The record of a finished transfer: one object, the same in --json, in the log and in reports.
 * Times are nanoseconds since the command was accepted; rates are decimal. */
#pragma once

#include "common/base.h"
#include "common/error.h"
#include "common/time.h"

#include <stdio.h>

enum haul_carrier {
    HAUL_CARRIER_UDP,
    HAUL_CARRIER_STREAM,
    HAUL_CARRIER_LOCAL,
    HAUL_CARRIER_DPDK,
    HAUL_CARRIERS
};

const char *haul_carrier_name(enum haul_carrier carrier);

/* X(CONSTANT, "name", "what it means") */
#define HAUL_LIMITS(X)                                                                             \
    X(NONE, "none", "too short to tell")                                                           \
    X(SENDER_CPU, "sender cpu", "the sender had no processor time left")                           \
    X(RECEIVER_CPU, "receiver cpu", "the receiver had no processor time left")                     \
    X(DISK, "disk", "verified blocks waited for the disk")                                         \
    X(WINDOW, "congestion window", "the path had no room for more in flight")                      \
    X(WANTS, "wants", "the sender had nothing to send because too little was asked for")           \
    X(LINK, "link rate", "the sender kept to the rate that the path delivers")                     \
    X(PEER, "peer", "the peer was slow for reasons of its own")

enum haul_limit {
#define X(constant, name, meaning) HAUL_LIMIT_##constant,
    HAUL_LIMITS(X)
#undef X
        HAUL_LIMIT_COUNT
};

const char *haul_limit_name(enum haul_limit limit);

/* How much had been verified when; coarser as it grows, so its size is fixed. */
#define HAUL_TIMELINE_POINTS 1024u

struct haul_timeline {
    struct {
        haul_time at;
        uint64_t bytes; /* verified up to and including `at` */
    } points[HAUL_TIMELINE_POINTS];
    haul_time first; /* the first arrival, exact however coarse the rest is */
    uint32_t used;
    uint32_t stride; /* arrivals that share a point */
    uint32_t in_last;
};

void haul_timeline_init(struct haul_timeline *timeline);

/* Arrivals come nearly in order of time; one that is earlier than the last counts as if with it. */
void haul_timeline_add(struct haul_timeline *timeline, haul_time at, uint64_t bytes);

/* When `bytes` had been verified; zero for nothing at all. */
haul_time haul_timeline_when(const struct haul_timeline *timeline, uint64_t bytes);

struct haul_record {
    char cid[64];
    uint64_t bytes;
    uint64_t bytes_by_carrier[HAUL_CARRIERS];
    haul_time total;
    haul_time lookup;
    haul_time dial;
    haul_time negotiate;
    haul_time ttfb;
    haul_time t50;
    haul_time t90;
    haul_time t100;
    haul_time durable;
    bool verified;
    uint64_t wire_bytes;
    uint64_t duplicate_bytes;
    uint64_t lost_datagrams;
    haul_time cpu;
    uint64_t peak_rss_bytes;
    enum haul_limit limited_by;
    double core_to_core_ns; /* rate tests alone; 0: not measured */
};

/* The carrier that moved most. */
enum haul_carrier haul_record_carrier(const struct haul_record *record);

/* One line of JSON without a newline, to be freed; NULL without memory. */
char *haul_record_json(const struct haul_record *record);
HAUL_MUST_USE int haul_record_parse(const char *json, struct haul_record *record,
                                    struct haul_error *error);

/* A table for people. */
void haul_record_print(const struct haul_record *record, FILE *out);
