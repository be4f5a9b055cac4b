/* Pacing: datagrams leave in whole trains, each followed by the pause that its bytes need at the
 * given rate. A late caller may catch up over a short span, no more. */
#pragma once

#include "common/time.h"

#include <stdbool.h>

#define HAUL_PACER_SLACK     HAUL_MILLISECOND       /* how far a late caller may catch up */
#define HAUL_PACER_TRAIN     (HAUL_MILLISECOND / 2) /* the time one train should take */
#define HAUL_PACER_BURST     12288u                 /* bytes of a train, also at low rates */
#define HAUL_PACER_TRAIN_MIN 2u                     /* datagrams, however large they are */

struct haul_pacer {
    haul_time next; /* when the next train may leave */
};

/* Datagrams that a train should have at `rate` bytes a second (UINT64_MAX: not paced). The least is
 * a burst that any queue on the way has room for: eight large datagrams overflowed 32 KiB on a slow
 * link each time, until a fixed rate of half that link tripped its breaker. */
static inline uint32_t haul_pacer_train(uint64_t rate, uint32_t datagram_bytes, uint32_t most)
{
    uint64_t count = rate / (HAUL_SECOND / HAUL_PACER_TRAIN) / datagram_bytes;

    if (count < HAUL_PACER_BURST / datagram_bytes)
        count = HAUL_PACER_BURST / datagram_bytes;
    if (count < HAUL_PACER_TRAIN_MIN)
        count = HAUL_PACER_TRAIN_MIN;
    return count < most ? (uint32_t)count : most;
}

static inline bool haul_pacer_free(const struct haul_pacer *pacer, haul_time now)
{
    return pacer->next <= now;
}

static inline void haul_pacer_sent(struct haul_pacer *pacer, uint64_t bytes, uint64_t rate,
                                   haul_time now)
{
    haul_time from = now > HAUL_PACER_SLACK ? now - HAUL_PACER_SLACK : 0;

    if (rate == UINT64_MAX)
        return;
    pacer->next = haul_time_max(pacer->next, from);
    pacer->next = haul_time_add(pacer->next, rate > 0 ? bytes * HAUL_SECOND / rate : HAUL_SECOND);
}
