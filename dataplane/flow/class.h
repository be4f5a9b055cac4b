/* How large a datagram may be: a search over the payload classes with padded probes (RFC 8899,
 * DPLPMTUD), and the detection of a path that swallows large datagrams and lets small ones pass.
 * And whether the path carries ECN marks (RFC 3168, RFC 9000 section 13.4). */
#pragma once

#include "common/base.h"
#include "common/time.h"

#define HAUL_CLASS_LEAST        1152u /* fits IPv6's 1280 */
#define HAUL_CLASS_TRIES        3u
#define HAUL_CLASS_AGAIN        (60 * HAUL_SECOND) /* to the next search for a larger class */
#define HAUL_CLASS_LOST_FULL    10u                /* full datagrams lost in a row, while */
#define HAUL_CLASS_SMALL_PASSED 2u                 /* this many small ones passed: a black hole */
#define HAUL_ECN_TRIAL          64u /* marked datagrams acknowledged before the verdict */

struct haul_class {
    uint16_t payload; /* bytes: in use */
    uint16_t most;    /* what the grant allows */
    uint16_t probing; /* the class of the probe in flight, or 0 */
    uint8_t tries;
    haul_time due; /* next probe, or never */
    uint32_t full_lost;
    uint32_t small_passed;
    bool ecn; /* marks are set on data */
    uint64_t marked_acked;
    uint64_t ect; /* as the peer reported last */
    uint64_t ce;
};

/* The largest class that is at most `bytes`, the least class at least. */
uint16_t haul_class_floor(uint32_t bytes);

void haul_class_init(struct haul_class *class, uint16_t first, uint16_t most, haul_time now);

/* The class to probe now, or 0. It is then in flight until acked or lost says how it went. */
uint16_t haul_class_probe(struct haul_class *class, haul_time now);
void haul_class_probe_lost(struct haul_class *class, haul_time now);

/* True when the class in use grew. */
bool haul_class_probe_acked(struct haul_class *class, uint16_t payload, haul_time now);

/* Full data datagrams acknowledged and lost, and whether a small one passed; true when the path
 * turned out to be a black hole and the least class is in use now. */
bool haul_class_learn(struct haul_class *class, uint32_t full_acked, uint32_t full_lost,
                      bool small_passed, haul_time now);

/* The peer's counts of marks, and the data datagrams newly acknowledged; returns the new congestion
 * marks. */
uint64_t haul_class_marks(struct haul_class *class, uint64_t ect, uint64_t ce,
                          uint64_t datagrams_acked);
