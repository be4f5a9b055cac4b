/* Outstanding orders live in a fixed table with a chained index by (id, class): the ids of SERVE
 * and REFUSE are the worker's, all others are ours, and the two must not be taken for each other.
 * Both the table and the waits are touched by the control thread alone. */
#include "controlplane/seam/orders.h"

#include "controlplane/seam/placing.h"

#include <stdlib.h>

#define INDEX_BUCKETS 4096u
#define NOBODY        UINT16_MAX

struct pending {
    uint64_t id;
    haul_done_fn *done;
    void *context;
    uint16_t next; /* in its bucket, or in the list of free entries */
    bool theirs;   /* the id was chosen by the worker */
};

struct wait {
    struct wait *next;
    haul_room_fn *function;
    void *context;
};

struct holder {
    haul_done_fn *function;
    void *context;
};

/* The rings of one worker. */
struct seam {
    struct haul_orders *orders;
    struct haul_handoff *handoff;
    struct haul_watch *watch;
};

struct haul_orders {
    struct seam workers[HAUL_WORKERS_MAX];
    uint32_t worker_count;
    struct haul_loop *loop;
    struct haul_timer *room;
    uint64_t last_id;
    uint16_t free_entry;
    uint16_t buckets[INDEX_BUCKETS];
    struct pending pending[HAUL_ORDERS_MAX];
    struct holder flows[HAUL_FLOWS_MAX];
    struct wait *waiting; /* called at the end of the turn */
    struct wait *calling; /* being called now */
    uint32_t *free_slots;
    bool *generated; /* one a slot: it holds a whole generated block that nobody may have changed */
    uint32_t free_count;
};

static bool order_is_theirs(uint8_t kind)
{
    return kind == HAUL_ORDER_SERVE || kind == HAUL_ORDER_REFUSE;
}

static uint16_t *bucket_of(struct haul_orders *orders, uint64_t id)
{
    return &orders->buckets[(id * 0x9e3779b97f4a7c15u) >> 52];
}

/* Takes an entry out of the index; false for an id that nobody waits for. */
static bool pending_take(struct haul_orders *orders, uint64_t id, bool theirs,
                         struct pending *taken)
{
    uint16_t *link = bucket_of(orders, id);

    while (*link != NOBODY) {
        struct pending *entry = &orders->pending[*link];
        uint16_t at = *link;

        if (entry->id == id && entry->theirs == theirs) {
            *taken = *entry;
            *link = entry->next;
            entry->next = orders->free_entry;
            orders->free_entry = at;
            return true;
        }
        link = &entry->next;
    }
    return false;
}

static void room_made(struct haul_orders *orders)
{
    if (orders->waiting != NULL)
        haul_loop_timer_set(orders->room, haul_loop_now(orders->loop));
}

/* A want on a flow that nobody holds any more still gets its answer. */
static void refuse_unheld(struct haul_orders *orders, const struct haul_event *event)
{
    struct haul_order order = { .kind = HAUL_ORDER_REFUSE,
                                .reason = HAUL_REFUSAL_UNKNOWN,
                                .flow = event->flow,
                                .id = event->id };

    /* Without room the flow's end answers it: every want ends with its flow. */
    (void)haul_orders_submit(orders, &order, NULL, NULL);
}

static void dispatch(struct haul_orders *orders, const struct haul_event *event)
{
    struct pending ended;
    struct holder *holder;

    if (event->kind == HAUL_EVENT_DONE) {
        if (!pending_take(orders, event->id, order_is_theirs(event->order), &ended))
            return;
        room_made(orders);
        if (ended.done != NULL)
            ended.done(ended.context, event);
        return;
    }
    haul_assert(event->flow < HAUL_FLOWS_MAX);
    holder = &orders->flows[event->flow];
    if (holder->function != NULL)
        holder->function(holder->context, event);
    else if (event->kind == HAUL_EVENT_WANTED)
        refuse_unheld(orders, event);
}

static void events_ready(void *context, unsigned ready)
{
    struct seam *seam = context;
    struct haul_event event;

    (void)ready;
    while (haul_handoff_next_event(seam->handoff, &event))
        dispatch(seam->orders, &event);
}

static void room_due(void *context)
{
    struct haul_orders *orders = context;

    orders->calling = orders->waiting;
    orders->waiting = NULL;
    while (orders->calling != NULL) {
        struct wait *wait = orders->calling;

        orders->calling = wait->next;
        wait->function(wait->context);
        free(wait);
    }
}

static bool workers_watch(struct haul_orders *orders, struct haul_handoff *handoff)
{
    for (; handoff != NULL; handoff = handoff->next) {
        struct seam *seam = &orders->workers[orders->worker_count++];

        haul_assert(orders->worker_count <= HAUL_WORKERS_MAX);
        *seam = (struct seam){ .orders = orders, .handoff = handoff };
        seam->watch =
            haul_loop_watch(orders->loop, handoff->events_fd, HAUL_LOOP_READ, events_ready, seam);
        if (seam->watch == NULL)
            return false;
    }
    return true;
}

int haul_orders_open(struct haul_orders **orders, struct haul_loop *loop,
                     struct haul_handoff *handoff, struct haul_error *error)
{
    struct haul_orders *made = calloc(1, sizeof *made);

    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the table of orders");
    made->loop = loop;
    for (size_t i = 0; i < INDEX_BUCKETS; i++)
        made->buckets[i] = NOBODY;
    for (uint16_t i = 0; i < HAUL_ORDERS_MAX; i++)
        made->pending[i].next = (uint16_t)(i + 1);
    made->pending[HAUL_ORDERS_MAX - 1].next = NOBODY;
    made->free_slots = calloc(handoff->slot_count + 1, sizeof *made->free_slots);
    made->generated = calloc(handoff->slot_count + 1, sizeof *made->generated);
    made->room = haul_loop_timer(loop, room_due, made);
    if (made->free_slots == NULL || made->generated == NULL || made->room == NULL ||
        !workers_watch(made, handoff)) {
        haul_orders_close(made);
        return haul_fail(error, HAUL_E_SYSTEM, "cannot watch the events of the data plane");
    }
    for (uint32_t i = handoff->slot_count; i-- > 0;)
        made->free_slots[made->free_count++] = i;
    *orders = made;
    return 0;
}

static void waits_free(struct wait *wait)
{
    while (wait != NULL) {
        struct wait *next = wait->next;

        free(wait);
        wait = next;
    }
}

void haul_orders_close(struct haul_orders *orders)
{
    if (orders == NULL)
        return;
    for (uint32_t i = 0; i < orders->worker_count; i++)
        haul_loop_unwatch(orders->workers[i].watch);
    haul_loop_timer_free(orders->room);
    waits_free(orders->waiting);
    free(orders->free_slots);
    free(orders->generated);
    free(orders);
}

/* Keeps account of which slots hold generated blocks: the next one needs only its stamps there. */
static void slot_account(struct haul_orders *orders, struct haul_order *order)
{
    bool *generated;

    if (order->kind == HAUL_ORDER_FETCH && order->place.kind == HAUL_PLACE_SLOT)
        orders->generated[order->place.index] = false;
    if (order->kind != HAUL_ORDER_READ && order->kind != HAUL_ORDER_WRITE)
        return;
    generated = &orders->generated[order->slot];
    if (order->kind == HAUL_ORDER_WRITE || order->place.kind != HAUL_PLACE_SYNTHETIC) {
        *generated = false;
        return;
    }
    if (*generated)
        order->place.flags |= HAUL_PLACE_STAMP;
    *generated = order->length == 0 || order->length == HAUL_BLOCK_BYTES_MAX;
}

uint64_t haul_orders_submit(struct haul_orders *orders, const struct haul_order *order,
                            haul_done_fn *done, void *context)
{
    struct haul_order given = *order;
    bool theirs = order_is_theirs(order->kind);
    uint16_t at = orders->free_entry;
    struct pending *entry;
    uint16_t *bucket;

    if (at == NOBODY)
        return 0;
    entry = &orders->pending[at];
    if (!theirs)
        given.id = ++orders->last_id;
    orders->free_entry = entry->next;
    bucket = bucket_of(orders, given.id);
    *entry = (struct pending){
        .id = given.id, .done = done, .context = context, .next = *bucket, .theirs = theirs
    };
    *bucket = at;
    slot_account(orders, &given);
    haul_assert(haul_handoff_order(
        orders->workers[haul_placing_order(&given, orders->worker_count)].handoff, &given));
    return given.id;
}

uint32_t haul_orders_slot_take(struct haul_orders *orders)
{
    return orders->free_count == 0 ? UINT32_MAX : orders->free_slots[--orders->free_count];
}

uint32_t haul_orders_slot_take_filling(struct haul_orders *orders)
{
    uint32_t reserve = (haul_orders_slot_count(orders) + 3) / 4;

    if (haul_orders_slot_count(orders) > 1 && orders->free_count <= reserve)
        return UINT32_MAX;
    return haul_orders_slot_take(orders);
}

void haul_orders_slot_give(struct haul_orders *orders, uint32_t slot)
{
    haul_assert(slot < haul_orders_slot_count(orders));
    haul_assert(orders->free_count < haul_orders_slot_count(orders));
    orders->free_slots[orders->free_count++] = slot;
    room_made(orders);
}

uint8_t *haul_orders_slot(struct haul_orders *orders, uint32_t slot)
{
    haul_assert(slot < haul_orders_slot_count(orders));
    orders->generated[slot] = false;
    return orders->workers[0].handoff->slots + (size_t)slot * HAUL_BLOCK_BYTES_MAX;
}

const uint8_t *haul_orders_slot_view(const struct haul_orders *orders, uint32_t slot)
{
    haul_assert(slot < haul_orders_slot_count(orders));
    return orders->workers[0].handoff->slots + (size_t)slot * HAUL_BLOCK_BYTES_MAX;
}

void haul_orders_when_room(struct haul_orders *orders, haul_room_fn *function, void *context)
{
    struct wait **end = &orders->waiting;
    struct wait *wait;

    for (; *end != NULL; end = &(*end)->next) {
        if ((*end)->function == function && (*end)->context == context)
            return;
    }
    wait = calloc(1, sizeof *wait);
    haul_assert(wait != NULL);
    *wait = (struct wait){ .function = function, .context = context };
    *end = wait;
}

static void waits_forget(struct wait **link, const void *context)
{
    while (*link != NULL) {
        struct wait *wait = *link;

        if (wait->context == context) {
            *link = wait->next;
            free(wait);
        } else {
            link = &wait->next;
        }
    }
}

void haul_orders_forget(struct haul_orders *orders, void *context)
{
    waits_forget(&orders->waiting, context);
    waits_forget(&orders->calling, context);
}

void haul_orders_on_flow(struct haul_orders *orders, uint32_t flow, haul_done_fn *function,
                         void *context)
{
    haul_assert(flow < HAUL_FLOWS_MAX);
    orders->flows[flow] = (struct holder){ .function = function, .context = context };
}

uint32_t haul_orders_workers(const struct haul_orders *orders)
{
    return orders->worker_count;
}

static struct haul_handoff *handoff_of(const struct haul_orders *orders, uint32_t flow)
{
    haul_assert(flow < HAUL_FLOWS_MAX);
    return orders->workers[haul_placing_worker(flow, orders->worker_count)].handoff;
}

struct haul_grant *haul_orders_grant(struct haul_orders *orders, uint32_t flow)
{
    return &handoff_of(orders, flow)->grants[flow];
}

const struct haul_flow_stats *haul_orders_stats(const struct haul_orders *orders, uint32_t flow)
{
    return &handoff_of(orders, flow)->stats[flow];
}

uint32_t haul_orders_slot_count(const struct haul_orders *orders)
{
    return orders->workers[0].handoff->slot_count;
}
