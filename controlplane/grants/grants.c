#include "controlplane/grants/grants.h"

#include "controlplane/seam/placing.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

/* How soon a want that came before its grant was confirmed should be asked again. */
#define UNCONFIRMED_RETRY_MS 5u

enum seat_state { SEAT_FREE, SEAT_RESERVED, SEAT_OPEN, SEAT_ENDING };

struct seat {
    struct haul_grants *grants;
    enum seat_state state;
    struct haul_grant_holder holder;
    uint32_t flow;
    uint32_t local_id;
    uint16_t wants_max;
    uint8_t via; /* enum haul_via */
    bool confirmed;
    bool proven;
    bool close_unsent; /* CLOSE found no room among the orders yet */
    haul_time since;
    haul_time deadline; /* ends then: not confirmed, or without a connection */
};

/* A peer's want that found no room among the orders. */
struct held_want {
    uint64_t id;
    uint32_t flow;
    uint32_t length;
    struct haul_hash hash;
};

struct haul_grants {
    struct haul_grants_conf conf;
    struct haul_grants_counters counters;
    struct haul_timer *timer;
    struct seat seats[HAUL_FLOWS_MAX];
    uint32_t wants_reserved; /* sum over the seats that are not free */
    uint32_t turn;           /* whose turn it is among workers with as few flows */
    uint32_t held_first, held_count;
    struct held_want held[HAUL_WANTS_MAX];
};

void haul_random(haul_random_fn *function, void *context, void *data, size_t bytes)
{
    if (function != NULL)
        function(context, data, bytes);
    else
        haul_assert(getrandom(data, bytes, 0) == (ssize_t)bytes);
}

static void deadline_due(void *context);

int haul_grants_open(struct haul_grants **grants, const struct haul_grants_conf *conf,
                     struct haul_error *error)
{
    struct haul_grants *made = calloc(1, sizeof *made);

    if (made != NULL)
        made->timer = haul_loop_timer(conf->loop, deadline_due, made);
    if (made == NULL || made->timer == NULL) {
        free(made);
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the table of grants");
    }
    made->conf = *conf;
    if (made->conf.lease == 0)
        made->conf.lease = HAUL_GRANTS_LEASE;
    if (made->conf.confirm == 0)
        made->conf.confirm = HAUL_GRANTS_CONFIRM;
    for (uint32_t i = 0; i < HAUL_FLOWS_MAX; i++)
        made->seats[i] = (struct seat){ .grants = made, .flow = i };
    *grants = made;
    return 0;
}

void haul_grants_close(struct haul_grants *grants)
{
    if (grants == NULL)
        return;
    haul_loop_timer_free(grants->timer);
    free(grants);
}

const struct haul_grants_counters *haul_grants_counters(const struct haul_grants *grants)
{
    return &grants->counters;
}

/* --- seats --- */

static struct seat *seat_at(struct haul_grants *grants, uint32_t flow)
{
    haul_assert(flow < HAUL_FLOWS_MAX && grants->seats[flow].state != SEAT_FREE);
    return &grants->seats[flow];
}

static void seat_free(struct seat *seat)
{
    seat->grants->wants_reserved -= seat->wants_max;
    *seat = (struct seat){ .grants = seat->grants, .flow = seat->flow };
}

/* One IPv4 address, or the /64 that one household or machine is given. */
static bool same_address(const struct haul_addr *a, const struct haul_addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == 4 ? 4 : 8) == 0;
}

/* Grants that a peer or an address holds, and how many of them are further flows of transfers that
 * have one: those have half of the places at most, so that one transfer keeps no other away. */
struct held_grants {
    uint32_t all, beside;
};

static void held_count(struct held_grants *held, const struct seat *seat)
{
    held->all++;
    held->beside += seat->holder.beside;
}

static bool held_full(const struct held_grants *held, uint32_t max, bool beside)
{
    return held->all >= max || (beside && held->beside >= max / 2);
}

uint32_t haul_grants_of_transfer(const struct haul_grants *grants)
{
    uint32_t max = grants->conf.per_peer_max < grants->conf.per_address_max
                       ? grants->conf.per_peer_max
                       : grants->conf.per_address_max;

    return 1 + max / 2;
}

uint32_t haul_grants_workers(const struct haul_grants *grants)
{
    return haul_orders_workers(grants->conf.orders);
}

static enum haul_seat_refusal limit_reached(struct haul_grants *grants,
                                            const struct haul_grant_holder *holder)
{
    struct held_grants of_peer = { 0 }, of_address = { 0 };

    for (uint32_t i = 0; i < HAUL_FLOWS_MAX && !holder->asker; i++) {
        const struct seat *seat = &grants->seats[i];

        if (seat->state == SEAT_FREE || seat->holder.asker)
            continue;
        if (haul_peer_id_equal(&seat->holder.peer, &holder->peer))
            held_count(&of_peer, seat);
        if (same_address(&seat->holder.remote, &holder->remote))
            held_count(&of_address, seat);
    }
    if (!holder->asker && held_full(&of_peer, grants->conf.per_peer_max, holder->beside)) {
        haul_counter_add(&grants->counters.refused_peer, 1);
        return HAUL_SEAT_PEER;
    }
    if (!holder->asker && held_full(&of_address, grants->conf.per_address_max, holder->beside)) {
        haul_counter_add(&grants->counters.refused_address, 1);
        return HAUL_SEAT_ADDRESS;
    }
    if (grants->wants_reserved >= HAUL_WANTS_MAX) {
        haul_counter_add(&grants->counters.refused_wants, 1);
        return HAUL_SEAT_WANTS;
    }
    return HAUL_SEAT_GIVEN;
}

static uint32_t fresh_local_id(struct haul_grants *grants)
{
    for (;;) {
        uint32_t id;
        bool taken;

        haul_random(grants->conf.random, grants->conf.random_context, &id, sizeof id);
        taken = id == 0;
        for (uint32_t i = 0; i < HAUL_FLOWS_MAX; i++)
            taken |= grants->seats[i].state != SEAT_FREE && grants->seats[i].local_id == id;
        if (!taken)
            return id;
    }
}

/* What a peer asks of us for one dataset is taken for one transfer. */
static bool is_kin(const struct seat *seat, const struct haul_grant_holder *holder)
{
    return seat->state != SEAT_FREE && seat->holder.asker == holder->asker &&
           haul_peer_id_equal(&seat->holder.peer, &holder->peer) &&
           haul_cid_equal(&seat->holder.root, &holder->root);
}

/* The number of a new flow, which says its worker. */
static uint32_t flow_choose(struct haul_grants *grants, const struct haul_grant_holder *holder)
{
    struct haul_placing placing = { .workers = haul_orders_workers(grants->conf.orders),
                                    .turn = grants->turn };

    placing.eligible = holder->workers == 0 || holder->workers > placing.workers ? placing.workers
                                                                                 : holder->workers;
    for (uint32_t i = 0; i < HAUL_FLOWS_MAX; i++) {
        const struct seat *seat = &grants->seats[i];

        placing.taken |= (uint64_t)(seat->state != SEAT_FREE) << i;
        placing.kin |= (uint64_t)is_kin(seat, holder) << i;
    }
    return haul_placing_choose(&placing);
}

enum haul_seat_refusal haul_grants_reserve(struct haul_grants *grants,
                                           const struct haul_grant_holder *holder,
                                           struct haul_grant_seat *given)
{
    enum haul_seat_refusal refusal = limit_reached(grants, holder);
    uint32_t left = HAUL_WANTS_MAX - grants->wants_reserved;
    uint32_t flow;
    struct seat *seat;

    haul_assert(holder->wants_max > 0);
    if (refusal != HAUL_SEAT_GIVEN)
        return refusal;
    flow = flow_choose(grants, holder);
    if (flow == HAUL_FLOWS_MAX) {
        haul_counter_add(&grants->counters.refused_flows, 1);
        return HAUL_SEAT_FLOWS;
    }
    grants->turn++;
    seat = &grants->seats[flow];
    seat->state = SEAT_RESERVED;
    seat->holder = *holder;
    seat->local_id = fresh_local_id(grants);
    seat->wants_max = (uint16_t)(holder->wants_max < left ? holder->wants_max : left);
    seat->confirmed = holder->asker;
    seat->since = haul_loop_now(grants->conf.loop);
    seat->deadline = HAUL_TIME_NEVER;
    grants->wants_reserved += seat->wants_max;
    *given = (struct haul_grant_seat){ .flow = flow,
                                       .worker = haul_placing_worker(
                                           flow, haul_orders_workers(grants->conf.orders)),
                                       .local_id = seat->local_id,
                                       .wants_max = seat->wants_max };
    return HAUL_SEAT_GIVEN;
}

void haul_grants_release(struct haul_grants *grants, uint32_t flow)
{
    struct seat *seat = seat_at(grants, flow);

    haul_assert(seat->state == SEAT_RESERVED);
    seat_free(seat);
}

/* --- the end of a grant --- */

static void held_retry(void *context);

static void close_send(struct seat *seat)
{
    struct haul_order order = { .kind = HAUL_ORDER_CLOSE, .flow = seat->flow };
    struct haul_grants *grants = seat->grants;

    seat->close_unsent = haul_orders_submit(grants->conf.orders, &order, NULL, NULL) == 0;
    if (seat->close_unsent)
        haul_orders_when_room(grants->conf.orders, held_retry, grants);
}

static void seat_end(struct seat *seat)
{
    if (seat->state != SEAT_OPEN)
        return;
    seat->state = SEAT_ENDING;
    seat->deadline = HAUL_TIME_NEVER;
    close_send(seat);
}

void haul_grants_end(struct haul_grants *grants, uint32_t flow)
{
    seat_end(seat_at(grants, flow));
}

void haul_grants_forget(struct haul_grants *grants, uint32_t flow)
{
    struct seat *seat = seat_at(grants, flow);

    seat->holder.up = NULL;
    seat->holder.ended = NULL;
}

static void timer_arm(struct haul_grants *grants)
{
    haul_time first = HAUL_TIME_NEVER;

    for (uint32_t i = 0; i < HAUL_FLOWS_MAX; i++) {
        if (grants->seats[i].state == SEAT_OPEN || grants->seats[i].state == SEAT_RESERVED)
            first = haul_time_min(first, grants->seats[i].deadline);
    }
    haul_loop_timer_set(grants->timer, first);
}

/* The data plane knows nothing of it: it ends here. */
static void held_end(struct seat *seat)
{
    struct haul_grant_holder holder = seat->holder;
    uint32_t flow = seat->flow;

    seat_free(seat);
    if (holder.ended != NULL)
        holder.ended(holder.context, flow, HAUL_STATUS_CLOSED);
}

static void deadline_due(void *context)
{
    struct haul_grants *grants = context;
    haul_time now = haul_loop_now(grants->conf.loop);

    for (uint32_t i = 0; i < HAUL_FLOWS_MAX; i++) {
        struct seat *seat = &grants->seats[i];

        if ((seat->state != SEAT_OPEN && seat->state != SEAT_RESERVED) || seat->deadline > now)
            continue;
        if (seat->confirmed)
            haul_counter_add(&grants->counters.ended_lease, 1);
        else
            haul_counter_add(&grants->counters.ended_unconfirmed, 1);
        if (seat->state == SEAT_RESERVED)
            held_end(seat);
        else
            seat_end(seat);
    }
    timer_arm(grants);
}

static void count_end(struct haul_grants *grants, enum haul_status why)
{
    if (why == HAUL_STATUS_UNPROVEN)
        haul_counter_add(&grants->counters.ended_unproven, 1);
    else if (why == HAUL_STATUS_SILENT)
        haul_counter_add(&grants->counters.ended_silent, 1);
    else
        haul_counter_add(&grants->counters.ended_closed, 1);
}

/* Wants of a flow that has ended were answered by its end. */
static void held_purge(struct haul_grants *grants, uint32_t flow)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < grants->held_count; i++) {
        struct held_want want = grants->held[(grants->held_first + i) % HAUL_WANTS_MAX];

        if (want.flow != flow)
            grants->held[(grants->held_first + kept++) % HAUL_WANTS_MAX] = want;
    }
    grants->held_count = kept;
}

static void flow_ended(void *context, const struct haul_event *event)
{
    struct seat *seat = context;
    struct haul_grants *grants = seat->grants;
    struct haul_grant_holder holder = seat->holder;
    enum haul_status why = (enum haul_status)event->status;

    count_end(grants, why);
    held_purge(grants, seat->flow);
    haul_orders_on_flow(grants->conf.orders, seat->flow, NULL, NULL);
    seat_free(seat);
    timer_arm(grants);
    if (holder.ended != NULL)
        holder.ended(holder.context, event->flow, why);
}

/* --- wants --- */

static void serve_ended(void *context, const struct haul_event *event)
{
    struct haul_grants *grants = context;

    if (event->status == HAUL_STATUS_DONE)
        haul_counter_add(&grants->counters.wants_served, 1);
    else if (event->status == HAUL_STATUS_MISSING || event->status == HAUL_STATUS_IO)
        haul_counter_add(&grants->counters.wants_failed, 1);
}

static bool want_answer(struct haul_grants *grants, const struct held_want *want)
{
    const struct seat *seat = &grants->seats[want->flow];
    struct haul_order order = { .kind = HAUL_ORDER_REFUSE,
                                .reason = HAUL_REFUSAL_UNKNOWN,
                                .flow = want->flow,
                                .id = want->id,
                                .length = want->length,
                                .hash = want->hash };
    uint64_t *counter = &grants->counters.wants_unknown;
    bool served = false;

    if (!seat->confirmed) {
        order.reason = HAUL_REFUSAL_BUSY;
        order.retry_ms = UNCONFIRMED_RETRY_MS;
        counter = &grants->counters.wants_busy;
    } else if (haul_catalog_allows(grants->conf.catalog, &seat->holder.root, &seat->holder.peer) &&
               haul_catalog_place(grants->conf.catalog, &seat->holder.root, &want->hash,
                                  &order.place)) {
        order.kind = HAUL_ORDER_SERVE;
        served = true;
    }
    if (haul_orders_submit(grants->conf.orders, &order, served ? serve_ended : NULL, grants) == 0)
        return false;
    if (!served)
        haul_counter_add(counter, 1);
    return true;
}

static void wanted(struct haul_grants *grants, const struct haul_event *event)
{
    struct held_want want = { event->id, event->flow, event->length, event->hash };

    if (grants->held_count == 0 && want_answer(grants, &want))
        return;
    if (grants->held_count == HAUL_WANTS_MAX) {
        haul_counter_add(&grants->counters.wants_dropped, 1);
        return;
    }
    haul_counter_add(&grants->counters.wants_waited, 1);
    grants->held[(grants->held_first + grants->held_count++) % HAUL_WANTS_MAX] = want;
    haul_orders_when_room(grants->conf.orders, held_retry, grants);
}

/* Orders that found no room before: closes first, for they make room. */
static void held_retry(void *context)
{
    struct haul_grants *grants = context;

    for (uint32_t i = 0; i < HAUL_FLOWS_MAX; i++) {
        if (grants->seats[i].state == SEAT_ENDING && grants->seats[i].close_unsent)
            close_send(&grants->seats[i]);
    }
    while (grants->held_count > 0) {
        if (!want_answer(grants, &grants->held[grants->held_first])) {
            haul_orders_when_room(grants->conf.orders, held_retry, grants);
            return;
        }
        grants->held_first = (grants->held_first + 1) % HAUL_WANTS_MAX;
        grants->held_count--;
    }
}

static void flow_event(void *context, const struct haul_event *event)
{
    struct seat *seat = context;

    if (event->kind == HAUL_EVENT_WANTED) {
        wanted(seat->grants, event);
    } else if (event->kind == HAUL_EVENT_UP) {
        if (!seat->proven)
            haul_counter_add(&seat->grants->counters.proven, 1);
        seat->proven = true;
        if (seat->holder.up != NULL)
            seat->holder.up(seat->holder.context, seat->flow, event->length, event->at);
    }
}

/* --- the life of a grant --- */

void haul_grants_hold(struct haul_grants *grants, uint32_t flow)
{
    struct seat *seat = seat_at(grants, flow);

    haul_assert(seat->state == SEAT_RESERVED);
    seat->deadline = haul_time_add(haul_loop_now(grants->conf.loop), grants->conf.confirm);
    timer_arm(grants);
}

bool haul_grants_start(struct haul_grants *grants, uint32_t flow, const struct haul_grant *grant)
{
    struct haul_grant *handed = haul_orders_grant(grants->conf.orders, flow);
    struct haul_order order = { .kind = HAUL_ORDER_OPEN, .flow = flow };
    struct seat *seat = seat_at(grants, flow);

    haul_assert(seat->state == SEAT_RESERVED && grant->wants_max <= seat->wants_max);
    haul_assert(grant->local_id == seat->local_id);
    *handed = *grant;
    if (haul_orders_submit(grants->conf.orders, &order, flow_ended, seat) == 0) {
        explicit_bzero(handed, sizeof *handed);
        haul_counter_add(&grants->counters.refused_orders, 1);
        return false;
    }
    haul_orders_on_flow(grants->conf.orders, flow, flow_event, seat);
    grants->wants_reserved -= (uint32_t)(seat->wants_max - grant->wants_max);
    seat->wants_max = grant->wants_max;
    seat->via = grant->via;
    seat->state = SEAT_OPEN;
    seat->since = haul_loop_now(grants->conf.loop);
    if (seat->holder.asker) {
        haul_counter_add(&grants->counters.asked, 1);
    } else {
        haul_counter_add(&grants->counters.granted, 1);
        seat->deadline = haul_time_add(seat->since, grants->conf.confirm);
        timer_arm(grants);
    }
    return true;
}

void haul_grants_confirm(struct haul_grants *grants, uint32_t flow)
{
    struct seat *seat = seat_at(grants, flow);

    if (seat->state != SEAT_OPEN || seat->confirmed)
        return;
    seat->confirmed = true;
    seat->deadline = HAUL_TIME_NEVER;
    timer_arm(grants);
}

void haul_grants_connected(struct haul_grants *grants, uint64_t connection,
                           const struct haul_peer_id *peer)
{
    for (uint32_t i = 0; i < HAUL_FLOWS_MAX; i++) {
        struct seat *seat = &grants->seats[i];

        if (seat->state != SEAT_OPEN || seat->holder.connection != 0 || !seat->confirmed ||
            !haul_peer_id_equal(&seat->holder.peer, peer))
            continue;
        seat->holder.connection = connection;
        seat->deadline = HAUL_TIME_NEVER;
        haul_counter_add(&grants->counters.adopted, 1);
    }
    timer_arm(grants);
}

void haul_grants_disconnected(struct haul_grants *grants, uint64_t connection, uint64_t other)
{
    haul_time now = haul_loop_now(grants->conf.loop);

    for (uint32_t i = 0; i < HAUL_FLOWS_MAX; i++) {
        struct seat *seat = &grants->seats[i];

        if (seat->state != SEAT_OPEN || seat->holder.connection != connection)
            continue;
        seat->holder.connection = other;
        if (other != 0)
            haul_counter_add(&grants->counters.adopted, 1);
        else if (seat->confirmed) /* else: its own deadline comes first */
            seat->deadline = haul_time_add(now, grants->conf.lease);
    }
    timer_arm(grants);
}

bool haul_grants_facts(const struct haul_grants *grants, uint32_t flow,
                       struct haul_grant_facts *facts)
{
    const struct seat *seat = &grants->seats[flow];

    haul_assert(flow < HAUL_FLOWS_MAX);
    if (seat->state != SEAT_OPEN && seat->state != SEAT_ENDING)
        return false;
    *facts = (struct haul_grant_facts){
        .peer = seat->holder.peer,
        .root = seat->holder.root,
        .asker = seat->holder.asker,
        .proven = seat->proven,
        .orphaned = seat->holder.connection == 0,
        .via = seat->via,
        .wants_max = seat->wants_max,
        .since = seat->since,
    };
    return true;
}
