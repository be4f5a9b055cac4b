/* Two rings and two eventfds. Each push writes the eventfd, once a block or less, which costs less
 * than a protocol that knows whether the other side sleeps; the ring's mark spares a spinning
 * worker the read while nothing arrives. */
#include "common/handoff.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENT_CELLS (HAUL_ORDERS_MAX + HAUL_WANTS_MAX)

_Static_assert((HAUL_ORDERS_MAX & (HAUL_ORDERS_MAX - 1)) == 0, "a ring is a power of two");
_Static_assert((EVENT_CELLS & (EVENT_CELLS - 1)) == 0, "a ring is a power of two");

int haul_handoff_open(struct haul_handoff *handoff, uint8_t *slots, uint32_t slot_count)
{
    int failure;

    memset(handoff, 0, sizeof *handoff);
    handoff->slots = slots;
    handoff->slot_count = slot_count;
    handoff->events_fd = -1;
    handoff->orders_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (handoff->orders_fd < 0)
        goto fail;
    handoff->events_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (handoff->events_fd < 0)
        goto fail;
    handoff->orders = haul_ring_open(HAUL_ORDERS_MAX, sizeof(struct haul_order));
    handoff->events = haul_ring_open(EVENT_CELLS, sizeof(struct haul_event));
    errno = ENOMEM;
    if (handoff->orders == NULL || handoff->events == NULL)
        goto fail;
    return 0;
fail:
    failure = -errno;
    haul_handoff_close(handoff);
    return failure;
}

void haul_handoff_close(struct haul_handoff *handoff)
{
    if (handoff == NULL)
        return;
    haul_ring_close(handoff->orders);
    haul_ring_close(handoff->events);
    if (handoff->orders_fd >= 0)
        close(handoff->orders_fd);
    if (handoff->events_fd >= 0)
        close(handoff->events_fd);
    /* Grants hold traffic secrets. */
    explicit_bzero(handoff, sizeof *handoff);
    handoff->orders_fd = -1;
    handoff->events_fd = -1;
}

static bool handoff_push(struct haul_ring *ring, int fd, const void *cell)
{
    uint64_t one = 1;

    if (!haul_ring_push(ring, cell))
        return false;
    /* Nobody pushes 2^64 cells without a read, so the counter has room. */
    haul_assert(write(fd, &one, sizeof one) == (ssize_t)sizeof one);
    haul_ring_raise(ring);
    return true;
}

static bool handoff_pull(struct haul_ring *ring, int fd, void *cell)
{
    uint64_t count;

    if (haul_ring_pull(ring, cell))
        return true;
    if (!haul_ring_raised(ring))
        return false;
    /* Lower, read, pull, in this order: a cell whose wake-up is taken here is seen by the pull, and
     * one whose wake-up comes later finds the descriptor empty and makes it readable again. Nothing
     * to read means that its owner read it already. */
    haul_ring_lower(ring);
    if (read(fd, &count, sizeof count) < 0)
        haul_assert(errno == EAGAIN || errno == EINTR);
    return haul_ring_pull(ring, cell);
}

bool haul_handoff_order(struct haul_handoff *handoff, const struct haul_order *order)
{
    return handoff_push(handoff->orders, handoff->orders_fd, order);
}

bool haul_handoff_next_order(struct haul_handoff *handoff, struct haul_order *order)
{
    return handoff_pull(handoff->orders, handoff->orders_fd, order);
}

bool haul_handoff_event(struct haul_handoff *handoff, const struct haul_event *event)
{
    return handoff_push(handoff->events, handoff->events_fd, event);
}

bool haul_handoff_next_event(struct haul_handoff *handoff, struct haul_event *event)
{
    return handoff_pull(handoff->events, handoff->events_fd, event);
}
