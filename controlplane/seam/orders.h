/* The control thread's end of the seam to the data plane: gives orders their ids, remembers who
 * waits for each, drains events once a turn, and lends the control plane's own slots. Control
 * thread only. At most HAUL_ORDERS_MAX orders are outstanding; whoever finds no room waits for its
 * turn. */
#pragma once

#include "common/handoff.h"
#include "controlplane/host/loop.h"

struct haul_orders;

typedef void haul_done_fn(void *context, const struct haul_event *event);
typedef void haul_room_fn(void *context);

/* `handoff` is borrowed, and so are those that follow it: one a worker. Watches their events_fd in
 * `loop`. */
HAUL_MUST_USE int haul_orders_open(struct haul_orders **orders, struct haul_loop *loop,
                                   struct haul_handoff *handoff, struct haul_error *error);
void haul_orders_close(struct haul_orders *orders); /* after the data plane has stopped */

/* Fills in the id (SERVE and REFUSE keep theirs), pushes, and calls `done` with the DONE event.
 * Returns the id, or 0 when there is no room now. */
uint64_t haul_orders_submit(struct haul_orders *orders, const struct haul_order *order,
                            haul_done_fn *done, void *context);

/* A slot of the control plane (1 MiB), or UINT32_MAX when all are lent. */
uint32_t haul_orders_slot_take(struct haul_orders *orders);
/* The same for a slot that waits for a peer's bytes. A quarter of all stays free for whoever
 * serves, or two nodes that fetch from each other over streams stop for ever. */
uint32_t haul_orders_slot_take_filling(struct haul_orders *orders);
void haul_orders_slot_give(struct haul_orders *orders, uint32_t slot);

/* Its memory: to be written, or only to be read. What was only read since a generated block was put
 * there needs no more than stamps to become the next one. */
uint8_t *haul_orders_slot(struct haul_orders *orders, uint32_t slot);
const uint8_t *haul_orders_slot_view(const struct haul_orders *orders, uint32_t slot);

/* Calls once, at the end of a turn in which an order ended or a slot came back. */
void haul_orders_when_room(struct haul_orders *orders, haul_room_fn *function, void *context);
void haul_orders_forget(struct haul_orders *orders, void *context); /* drops such a wait */

/* UP and WANTED events of a flow go to whoever holds it. */
void haul_orders_on_flow(struct haul_orders *orders, uint32_t flow, haul_done_fn *function,
                         void *context);

/* What is shared with the worker on which a flow runs, and how many workers there are. */
uint32_t haul_orders_workers(const struct haul_orders *orders);
struct haul_grant *haul_orders_grant(struct haul_orders *orders, uint32_t flow);
const struct haul_flow_stats *haul_orders_stats(const struct haul_orders *orders, uint32_t flow);
uint32_t haul_orders_slot_count(const struct haul_orders *orders);
