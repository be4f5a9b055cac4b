/* Between the queues of a port: a frame that came to one and is for the worker of another is handed
 * to it, as it lies. The sender chooses the queue where no card does (shared memory, sockets of the
 * kernel), and a card without rules knows one queue only. What tells of neighbours and paths is
 * shown to every worker.
 *
 * From each queue to each other one there is a ring, so nobody waits for anybody; what finds no
 * room is dropped and counted. Whoever is asleep is woken. Internal to dataplane/net/dpdk. */
#pragma once

#include "common/error.h"
#include "common/ring.h"
#include "dataplane/net/net.h"

/* Frames that may be on their way from one queue to another: of two queues as many as a queue of
 * the card holds, of more so few that they do not take all memory. */
static inline uint32_t haul_handed_max(uint32_t queues)
{
    return queues <= 2 ? 1024 : queues <= 4 ? 512 : 256;
}

struct rte_mbuf;

struct haul_handed {
    struct rte_mbuf *frame;
    uint64_t heard; /* it was shown to everybody: notice is taken of it and nothing more */
};

struct haul_handover {
    uint32_t queues;
    struct haul_ring *rings[HAUL_NET_QUEUES_MAX][HAUL_NET_QUEUES_MAX]; /* from, to */
    int fds[HAUL_NET_QUEUES_MAX]; /* readable when something was handed to one that slept */
};

HAUL_MUST_USE int haul_handover_open(struct haul_handover *handover, uint32_t queues,
                                     struct haul_error *error);
void haul_handover_close(struct haul_handover *handover); /* frames go back to their pool */

/* The worker of queue `from`. False when there is no room: the frame is still the caller's. */
HAUL_MUST_USE bool haul_handover_give(struct haul_handover *handover, uint32_t from, uint32_t to,
                                      struct rte_mbuf *frame);
/* Shows it to everybody else, with a claim of their own on it; the caller keeps his. Returns how
 * many had no room. */
uint32_t haul_handover_show(struct haul_handover *handover, uint32_t from, struct rte_mbuf *frame);

/* The worker of queue `to`: takes what was handed to it; returns the count. */
uint32_t haul_handover_take(struct haul_handover *handover, uint32_t to, struct haul_handed *handed,
                            uint32_t capacity);
/* Before it sleeps on its descriptor: false when something is there; and when it has slept. */
HAUL_MUST_USE bool haul_handover_rest(struct haul_handover *handover, uint32_t to);
void haul_handover_rested(struct haul_handover *handover, uint32_t to);
