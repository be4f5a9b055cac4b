/* The connections over which the stream carrier of a transfer asks its peer for blocks: the one it
 * met the peer by and, where threads can do the work of several, further ones, each with one stream
 * (ways). All are fed from the one plan of blocks. Which of them is asked for the next block, and
 * when another one is dialled. Pure. */
#pragma once

#include "common/base.h"
#include "common/time.h"

#define HAUL_WAYS_MAX       8u
#define HAUL_WAYS_PAUSE_MIN HAUL_SECOND /* after one that failed; doubled with each in a row */
#define HAUL_WAYS_PAUSE_MAX (64 * HAUL_SECOND)
#define HAUL_WAYS_NONE      0u /* no connection */

struct haul_way {
    void *owner;                       /* the transfer */
    uint64_t connection;               /* HAUL_WAYS_NONE: free */
    struct haul_blocks_client *stream; /* while it has one */
    uint64_t rx_before;                /* bytes of the connection when it joined, */
    uint64_t rx;                       /* and since then, when last looked at */
    uint32_t asked;                    /* blocks that it has */
    bool further;                      /* its connection was dialled for this alone */
    bool proven;                       /* it has brought a block */
    bool lost;                         /* its stream ends: nothing more is asked of it */
};

struct haul_ways {
    struct haul_way all[HAUL_WAYS_MAX];
    uint32_t most;   /* as many as there may be; 0 is 1 */
    haul_time again; /* when another one may be dialled */
    haul_time pause; /* after the next failure */
    bool dialling;
};

/* The one of that connection, or NULL; HAUL_WAYS_NONE: a free one. */
struct haul_way *haul_ways_find(struct haul_ways *ways, uint64_t connection);
uint32_t haul_ways_further(const struct haul_ways *ways); /* how many connections of their own */

/* Whom to ask for the next block: of those with a stream the one that has the fewest, so that the
 * faster one gets more. NULL when there is none. */
struct haul_way *haul_ways_choose(struct haul_ways *ways);
uint32_t haul_ways_alive(const struct haul_ways *ways); /* how many have a stream */
bool haul_ways_ending(const struct haul_ways *ways);    /* of some the end is yet to be told */

/* Whether another one should be dialled now. */
bool haul_ways_lack(const struct haul_ways *ways, haul_time now);
/* One could not be dialled, or was lost: the next is dialled after a pause. One that brought a
 * block ends the row of failures. */
void haul_ways_failed(struct haul_ways *ways, haul_time now);
void haul_ways_proven(struct haul_ways *ways);
