/* Rings between queues. What is shown to everybody may fill half of a ring: a flood of it leaves
 * room for datagrams. */
#include "dataplane/net/dpdk/handover.h"

#include <errno.h>
#include <rte_mbuf.h>
#include <sys/eventfd.h>
#include <unistd.h>

int haul_handover_open(struct haul_handover *handover, uint32_t queues, struct haul_error *error)
{
    *handover = (struct haul_handover){ .queues = queues };
    for (uint32_t to = 0; to < queues; to++)
        handover->fds[to] = -1;
    for (uint32_t to = 0; to < queues && queues > 1; to++) {
        handover->fds[to] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (handover->fds[to] < 0)
            return haul_fail(error, HAUL_E_SYSTEM, "no descriptor to wake a worker");
        for (uint32_t from = 0; from < queues; from++) {
            if (from == to)
                continue;
            handover->rings[from][to] =
                haul_ring_open(haul_handed_max(queues), sizeof(struct haul_handed));
            if (handover->rings[from][to] == NULL)
                return haul_fail(error, HAUL_E_SYSTEM, "no memory for rings between queues");
        }
    }
    return 0;
}

static void ring_empty(struct haul_ring *ring)
{
    struct haul_handed handed;

    while (ring != NULL && haul_ring_pull(ring, &handed))
        rte_pktmbuf_free(handed.frame);
    haul_ring_close(ring);
}

void haul_handover_close(struct haul_handover *handover)
{
    for (uint32_t to = 0; to < handover->queues; to++) {
        for (uint32_t from = 0; from < handover->queues; from++)
            ring_empty(handover->rings[from][to]);
        if (handover->fds[to] >= 0)
            close(handover->fds[to]);
    }
    *handover = (struct haul_handover){ 0 };
}

static bool hand(struct haul_handover *handover, uint32_t from, uint32_t to,
                 const struct haul_handed *handed)
{
    struct haul_ring *ring = handover->rings[from][to];
    uint64_t one = 1;

    if (!haul_ring_push(ring, handed))
        return false;
    if (!haul_ring_rouse(ring))
        return true;
    while (write(handover->fds[to], &one, sizeof one) < 0 && errno == EINTR)
        continue;
    return true;
}

bool haul_handover_give(struct haul_handover *handover, uint32_t from, uint32_t to,
                        struct rte_mbuf *frame)
{
    const struct haul_handed handed = { .frame = frame };

    return to < handover->queues && to != from && hand(handover, from, to, &handed);
}

uint32_t haul_handover_show(struct haul_handover *handover, uint32_t from, struct rte_mbuf *frame)
{
    const struct haul_handed handed = { .frame = frame, .heard = 1 };
    uint32_t lost = 0;

    for (uint32_t to = 0; to < handover->queues; to++) {
        if (to == from)
            continue;
        rte_mbuf_refcnt_update(frame, 1);
        if (haul_ring_used(handover->rings[from][to]) >= haul_handed_max(handover->queues) / 2 ||
            !hand(handover, from, to, &handed)) {
            rte_mbuf_refcnt_update(frame, -1);
            lost++;
        }
    }
    return lost;
}

uint32_t haul_handover_take(struct haul_handover *handover, uint32_t to, struct haul_handed *handed,
                            uint32_t capacity)
{
    uint32_t count = 0;

    for (uint32_t from = 0; from < handover->queues; from++) {
        struct haul_ring *ring = handover->rings[from][to];

        while (ring != NULL && count < capacity && haul_ring_pull(ring, &handed[count]))
            count++;
    }
    return count;
}

bool haul_handover_rest(struct haul_handover *handover, uint32_t to)
{
    for (uint32_t from = 0; from < handover->queues; from++) {
        struct haul_ring *ring = handover->rings[from][to];

        if (ring == NULL)
            continue;
        haul_ring_doze(ring);
        if (haul_ring_used(ring) > 0) {
            haul_handover_rested(handover, to);
            return false;
        }
    }
    return true;
}

void haul_handover_rested(struct haul_handover *handover, uint32_t to)
{
    uint64_t count;

    for (uint32_t from = 0; from < handover->queues; from++) {
        if (handover->rings[from][to] != NULL)
            haul_ring_stir(handover->rings[from][to]);
    }
    if (handover->fds[to] >= 0 && read(handover->fds[to], &count, sizeof count) < 0)
        return; /* nobody had written */
}
