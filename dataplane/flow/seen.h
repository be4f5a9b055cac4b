/* Numbers that have arrived on one path: what to say in acknowledgements, which control datagrams
 * are replays, and which data datagrams are too old to look at. Fixed memory, no clock. */
#pragma once

#include "dataplane/flow/wire.h"

#define HAUL_SEEN_WINDOW     (1u << 17) /* numbers below the highest that are still looked at */
#define HAUL_SEEN_RANGES_MAX 256u

struct haul_seen {
    bool any;
    uint64_t top; /* the highest number that arrived; meaningless before the first */
    size_t range_count;
    struct haul_range ranges[HAUL_SEEN_RANGES_MAX]; /* newest first, never touching each other */
    uint64_t control[HAUL_SEEN_WINDOW / 64]; /* a bit for each control number in the window */
};

void haul_seen_init(struct haul_seen *seen);

/* True when the number is so far below the highest that its datagram is dropped unopened. */
static inline bool haul_seen_old(const struct haul_seen *seen, uint64_t number)
{
    return seen->any && number < seen->top && seen->top - number >= HAUL_SEEN_WINDOW;
}

/* True for a control number that arrived before, or is too old to tell. */
bool haul_seen_replayed(const struct haul_seen *seen, uint64_t number);

/* The number behind the highest, not of a control datagram: nearly all of them. */
static inline bool haul_seen_next(struct haul_seen *seen, uint64_t number)
{
    if (number != seen->top + 1 || !seen->any)
        return false;
    seen->ranges[0].last = number;
    seen->top = number;
    seen->control[number % HAUL_SEEN_WINDOW / 64] &= ~(1ull << number % 64);
    return true;
}

/* The same for `count` numbers behind the highest. */
void haul_seen_row(struct haul_seen *seen, uint32_t count);

/* Records a number whose datagram opened, and was not haul_seen_old; true when it is the new
 * highest. When there are too many ranges the oldest is forgotten: its datagrams are told of by
 * their slots' bitmaps. */
bool haul_seen_add(struct haul_seen *seen, uint64_t number, bool control);

/* The newest ranges, for an acknowledgement; returns their count. */
size_t haul_seen_ranges(const struct haul_seen *seen, struct haul_range *ranges, size_t capacity);
const char *haul_seen_broken(const struct haul_seen *seen);
