/* A worker for tests of the control plane: takes WRITE, READ and SYNC orders in the loop's own
 * thread and serves them from a memory store. */
#pragma once

#include "controlplane/host/loop.h"
#include "controlplane/seam/orders.h"
#include "dataplane/store/store.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct worker_rig {
    struct haul_loop *loop;
    struct haul_handoff *handoff;
    struct haul_orders *orders;
    struct haul_store *store;
    struct haul_watch *watch;
    uint8_t *slots;
    uint64_t writes;
    uint64_t reads;
    uint64_t fail_write_at; /* the n-th write fails; 0: none does */
    uint32_t lost_packs;    /* what DONE of WRITE and SYNC says */
    bool fail_reads;
    bool stalled; /* takes no orders */
};

static inline void worker_rig_answer(struct worker_rig *rig, const struct haul_order *order)
{
    struct haul_event event = { .kind = HAUL_EVENT_DONE, .order = order->kind, .id = order->id };
    struct haul_store_result result = { 0 };
    uint8_t *slot = rig->slots + (size_t)order->slot * HAUL_BLOCK_BYTES_MAX;

    switch ((enum haul_order_kind)order->kind) {
    case HAUL_ORDER_WRITE:
        CU_ASSERT_TRUE(haul_store_write(rig->store, &order->hash, slot, order->length, 0));
        if (++rig->writes == rig->fail_write_at)
            result.error = -5;
        break;
    case HAUL_ORDER_READ:
        CU_ASSERT_TRUE(haul_store_read(rig->store, &order->hash, slot, 0));
        rig->reads++;
        if (rig->fail_reads)
            result.error = -5;
        break;
    case HAUL_ORDER_SYNC:
        CU_ASSERT_TRUE(haul_store_sync(rig->store, 0));
        break;
    case HAUL_ORDER_OPEN:
    case HAUL_ORDER_CLOSE:
    case HAUL_ORDER_FETCH:
    case HAUL_ORDER_CANCEL:
    case HAUL_ORDER_SERVE:
    case HAUL_ORDER_REFUSE:
    case HAUL_ORDER_KINDS:
        CU_FAIL("an order that this worker does not know");
        return;
    }
    if (result.error == 0)
        CU_ASSERT_EQUAL(haul_store_reap(rig->store, &result, 1), 1);
    event.length = order->kind == HAUL_ORDER_READ ? result.length : rig->lost_packs;
    event.slot = order->slot;
    event.hash = order->hash;
    if (result.error != 0) {
        event.status = result.error == -2 ? HAUL_STATUS_MISSING : HAUL_STATUS_IO;
        event.at = (uint64_t)-result.error;
    }
    CU_ASSERT_TRUE(haul_handoff_event(rig->handoff, &event));
}

static inline void worker_rig_orders(void *context, unsigned ready)
{
    struct worker_rig *rig = context;
    struct haul_order order;
    uint64_t count;

    (void)!read(rig->handoff->orders_fd, &count, sizeof count);
    while (!rig->stalled && haul_handoff_next_order(rig->handoff, &order))
        worker_rig_answer(rig, &order);
}

static inline void worker_rig_open_in(struct worker_rig *rig, struct haul_loop *loop,
                                      uint32_t slots, uint64_t capacity)
{
    struct haul_store_conf conf = { .kind = HAUL_STORE_MEMORY, .capacity_bytes = capacity };

    *rig = (struct worker_rig){ .loop = loop };
    rig->slots = aligned_alloc(HAUL_BLOCK_BYTES_MAX, (size_t)slots * HAUL_BLOCK_BYTES_MAX);
    memset(rig->slots, 0, (size_t)slots * HAUL_BLOCK_BYTES_MAX);
    rig->handoff = calloc(1, sizeof *rig->handoff);
    CU_ASSERT_EQUAL_FATAL(haul_handoff_open(rig->handoff, rig->slots, slots), 0);
    CU_ASSERT_EQUAL_FATAL(haul_orders_open(&rig->orders, loop, rig->handoff, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(haul_store_open(&rig->store, &conf, NULL), 0);
    rig->watch =
        haul_loop_watch(loop, rig->handoff->orders_fd, HAUL_LOOP_READ, worker_rig_orders, rig);
}

/* Puts a block into the store directly. */
static inline void worker_rig_keep(struct worker_rig *rig, const struct haul_hash *hash,
                                   const void *data, uint32_t length)
{
    uint8_t *slot = aligned_alloc(HAUL_STORE_SLOT_ALIGN, HAUL_BLOCK_BYTES_MAX);
    struct haul_store_result result;

    memcpy(slot, data, length);
    CU_ASSERT_TRUE(haul_store_write(rig->store, hash, slot, length, 0));
    CU_ASSERT_EQUAL(haul_store_reap(rig->store, &result, 1), 1);
    free(slot);
}

static inline void worker_rig_close(struct worker_rig *rig)
{
    haul_loop_unwatch(rig->watch);
    haul_orders_close(rig->orders);
    haul_store_close(rig->store);
    haul_handoff_close(rig->handoff);
    free(rig->handoff);
    free(rig->slots);
}

static inline void worker_rig_stop(void *loop)
{
    haul_loop_stop(loop);
}

/* The loop, for so many milliseconds or until the test stops it. */
static inline void worker_rig_run(struct worker_rig *rig, unsigned ms)
{
    struct haul_timer *timer = haul_loop_timer(rig->loop, worker_rig_stop, rig->loop);

    haul_loop_timer_set(timer, haul_loop_now(rig->loop) + ms * HAUL_MILLISECOND);
    haul_loop_run(rig->loop, NULL, NULL);
    haul_loop_timer_free(timer);
}
