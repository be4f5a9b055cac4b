/* Two rings and two eventfds. An eventfd is written only when the other side sleeps or is about to.
 * Whoever drains takes the wake-up away before it dozes and looks once more after that; a wake-up
 * that comes late, from a producer that was interrupted between its push and its write, finds
 * nothing and is taken away too. So a descriptor never stays readable while its ring is empty: on a
 * shared core its owner would otherwise spin on it and keep the other side from running. */
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

static void wake(struct haul_ring *ring, int fd)
{
    uint64_t one = 1;

    /* Nobody wakes 2^64 times without a read, so the counter has room. */
    if (haul_ring_rouse(ring))
        haul_assert(write(fd, &one, sizeof one) == (ssize_t)sizeof one);
}

static void wake_take(int fd)
{
    uint64_t count;

    if (read(fd, &count, sizeof count) < 0)
        haul_assert(errno == EAGAIN || errno == EINTR);
}

static bool handoff_pull(struct haul_ring *ring, int fd, void *cell)
{
    if (haul_ring_pull(ring, cell))
        return true;
    wake_take(fd);
    haul_ring_doze(ring);
    return haul_ring_pull(ring, cell);
}

bool haul_handoff_order(struct haul_handoff *handoff, const struct haul_order *order)
{
    if (!haul_ring_push(handoff->orders, order))
        return false;
    wake(handoff->orders, handoff->orders_fd);
    return true;
}

bool haul_handoff_next_order(struct haul_handoff *handoff, struct haul_order *order)
{
    return handoff_pull(handoff->orders, handoff->orders_fd, order);
}

bool haul_handoff_poll_order(struct haul_handoff *handoff, struct haul_order *order)
{
    return haul_ring_pull(handoff->orders, order);
}

bool haul_handoff_rest(struct haul_handoff *handoff)
{
    haul_ring_doze(handoff->orders);
    if (haul_ring_used(handoff->orders) == 0)
        return true;
    haul_ring_stir(handoff->orders);
    return false;
}

void haul_handoff_rested(struct haul_handoff *handoff)
{
    haul_ring_stir(handoff->orders);
    wake_take(handoff->orders_fd);
}

bool haul_handoff_post_event(struct haul_handoff *handoff, const struct haul_event *event)
{
    return haul_ring_push(handoff->events, event);
}

void haul_handoff_tell(struct haul_handoff *handoff)
{
    wake(handoff->events, handoff->events_fd);
}

bool haul_handoff_event(struct haul_handoff *handoff, const struct haul_event *event)
{
    if (!haul_ring_push(handoff->events, event))
        return false;
    haul_handoff_tell(handoff);
    return true;
}

bool haul_handoff_next_event(struct haul_handoff *handoff, struct haul_event *event)
{
    return handoff_pull(handoff->events, handoff->events_fd, event);
}
