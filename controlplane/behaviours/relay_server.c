/* The server: who has a place here, and circuits between those who have one and those who ask for
 * them. A place hangs on its connection. Nothing is kept for anybody beyond the limits, and the
 * bytes of a circuit never wait here: each side is read as fast as the other takes them. */
#include "controlplane/behaviours/relay_parts.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct haul_relay_circuit {
    enum haul_relay_errand errand;
    struct haul_relay *relay;
    struct haul_stream *source, *target; /* NULL: gone */
    struct haul_peer_id peers[2];
    struct haul_timer *timer; /* its time is over; NULL: it has no limit */
    uint64_t moved[2];        /* from the source, from the target */
    bool up;
    bool refused; /* the source has been told why not */
    LIST_ENTRY(haul_relay_circuit) link;
};

static haul_time now_of(const struct haul_relay *relay)
{
    return haul_loop_now(relay->conf.loop);
}

/* --- places --- */

static void reservation_free(struct haul_relay *relay, struct haul_relay_reservation *reservation)
{
    LIST_REMOVE(reservation, link);
    relay->reservation_count--;
    free(reservation);
}

static void expire(struct haul_relay *relay)
{
    struct haul_relay_reservation *at, *next;

    for (at = LIST_FIRST(&relay->reservations); at != NULL; at = next) {
        next = LIST_NEXT(at, link);
        if (now_of(relay) < at->ends)
            continue;
        haul_counter_add(&relay->counters.reservations_expired, 1);
        reservation_free(relay, at);
    }
}

static struct haul_relay_reservation *find(struct haul_relay *relay,
                                           const struct haul_peer_id *peer)
{
    struct haul_relay_reservation *at;

    LIST_FOREACH(at, &relay->reservations, link)
    {
        if (haul_peer_id_equal(&at->peer, peer))
            return at;
    }
    return NULL;
}

static bool same_place(const struct haul_addr *a, const struct haul_addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == 4 ? 4 : 8) == 0;
}

/* Room for one more from that address. */
static bool has_room(const struct haul_relay *relay, const struct haul_addr *remote)
{
    const struct haul_relay_reservation *at;
    uint32_t there = 0;

    LIST_FOREACH(at, &relay->reservations, link)
    there += same_place(&at->remote, remote);
    return relay->reservation_count < relay->conf.limits.reservations_max &&
           there < relay->conf.limits.reservations_per_address_max;
}

static void reservation_tell(struct haul_stream *stream, uint64_t expires)
{
    struct haul_relay *relay = haul_relay_of(stream);
    const struct haul_relay_voucher word = { .relay = relay->conf.key->id,
                                             .peer = *haul_stream_peer(stream),
                                             .expires = expires };
    struct haul_relay_message answer = { .kind = HAUL_RELAY_STATUS,
                                         .status = HAUL_RELAY_OK,
                                         .has_reservation = true,
                                         .expires = expires,
                                         .limit = relay->conf.limits.circuit };
    struct haul_multiaddr told[HAUL_RELAY_ADDRESSES_MAX];
    size_t count = haul_host_told(relay->host, told, HAUL_COUNT_OF(told));
    uint8_t voucher[HAUL_RELAY_VOUCHER_MAX];
    struct haul_out out = haul_out_to(voucher, sizeof voucher);

    haul_relay_voucher_seal(relay->conf.key, &word, &out);
    haul_assert(!out.bad);
    answer.voucher = voucher;
    answer.voucher_bytes = (size_t)(out.at - voucher);
    answer.has_limit = answer.limit.seconds != 0 || answer.limit.bytes != 0;
    for (size_t i = 0; i < count; i++) {
        answer.addresses[answer.address_count] = told[i];
        answer.address_count +=
            !haul_multiaddr_relayed(&told[i]) &&
            haul_multiaddr_add_peer(&answer.addresses[answer.address_count], &word.relay);
    }
    if (haul_relay_send(stream, false, &answer))
        haul_stream_close(stream);
    else
        haul_stream_reset(stream);
}

/* A peer that asks again and again is answered shortly, before anything is looked up or sealed. */
static bool is_paced(struct haul_relay *relay, struct haul_stream *stream,
                     const struct haul_connection_facts *facts, bool reserves)
{
    if (haul_pace_take(reserves ? &relay->reservation_pace : &relay->circuit_pace, &facts->peer,
                       &facts->remote, now_of(relay)))
        return false;
    haul_counter_add(
        reserves ? &relay->counters.reservations_paced : &relay->counters.connects_paced, 1);
    haul_relay_answer(stream, false,
                      reserves ? HAUL_RELAY_RESERVATION_REFUSED : HAUL_RELAY_RESOURCE_LIMIT, NULL);
    return true;
}

static void reserve(struct haul_stream *stream, const struct haul_connection_facts *facts)
{
    struct haul_relay *relay = haul_relay_of(stream);
    struct haul_relay_reservation *reservation = find(relay, &facts->peer);
    haul_time life = relay->conf.limits.reservation_life;

    if (reservation == NULL && has_room(relay, &facts->remote)) {
        reservation = calloc(1, sizeof *reservation);
        if (reservation != NULL) {
            reservation->peer = facts->peer;
            relay->reservation_count++;
            LIST_INSERT_HEAD(&relay->reservations, reservation, link);
        }
    }
    if (reservation == NULL) {
        haul_counter_add(&relay->counters.reservations_refused, 1);
        haul_relay_answer(stream, false, HAUL_RELAY_RESERVATION_REFUSED, NULL);
        return;
    }
    reservation->connection = haul_stream_connection(stream);
    reservation->remote = facts->remote;
    reservation->ends = haul_time_add(now_of(relay), life);
    haul_counter_add(&relay->counters.reserved, 1);
    reservation_tell(stream, (uint64_t)time(NULL) + life / HAUL_SECOND);
}

void haul_relay_server_disconnected(struct haul_relay *relay, uint64_t connection)
{
    struct haul_relay_reservation *at, *next;

    for (at = LIST_FIRST(&relay->reservations); at != NULL; at = next) {
        next = LIST_NEXT(at, link);
        if (at->connection == connection)
            reservation_free(relay, at);
    }
}

void haul_relay_server_close(struct haul_relay *relay)
{
    while (!LIST_EMPTY(&relay->reservations))
        reservation_free(relay, LIST_FIRST(&relay->reservations));
}

/* --- circuits --- */

static uint32_t circuits_of(const struct haul_relay *relay, const struct haul_peer_id *peer)
{
    const struct haul_relay_circuit *at;
    uint32_t count = 0;

    LIST_FOREACH(at, &relay->circuits, link)
    count += haul_peer_id_equal(&at->peers[0], peer) || haul_peer_id_equal(&at->peers[1], peer);
    return count;
}

static void refuse(struct haul_stream *stream, enum haul_relay_status status)
{
    haul_counter_add(&haul_relay_of(stream)->counters.connects_refused, 1);
    haul_relay_answer(stream, false, status, NULL);
}

static void connect_to(struct haul_stream *stream, const struct haul_peer_id *peer)
{
    struct haul_relay_stream *state = haul_stream_state(stream);
    struct haul_relay *relay = haul_relay_of(stream);
    const struct haul_relay_limits *limits = &relay->conf.limits;
    const struct haul_relay_reservation *reservation = find(relay, peer);
    struct haul_relay_circuit *circuit = NULL;

    haul_counter_add(&relay->counters.connects, 1);
    if (reservation == NULL || haul_peer_id_equal(peer, haul_stream_peer(stream))) {
        refuse(stream, HAUL_RELAY_NO_RESERVATION);
        return;
    }
    if (relay->circuit_count < limits->circuits_max &&
        circuits_of(relay, peer) < limits->circuits_per_peer_max &&
        circuits_of(relay, haul_stream_peer(stream)) < limits->circuits_per_peer_max)
        circuit = calloc(1, sizeof *circuit);
    if (circuit == NULL) {
        refuse(stream, HAUL_RELAY_RESOURCE_LIMIT);
        return;
    }
    circuit->errand = HAUL_RELAY_FOR_CIRCUIT;
    circuit->relay = relay;
    circuit->peers[0] = *haul_stream_peer(stream);
    circuit->peers[1] = *peer;
    circuit->target = haul_host_stream(relay->host, reservation->connection, relay->stop, circuit);
    if (circuit->target == NULL) {
        free(circuit);
        refuse(stream, HAUL_RELAY_CONNECTION_FAILED);
        return;
    }
    circuit->source = stream;
    state->circuit = circuit;
    relay->circuit_count++;
    LIST_INSERT_HEAD(&relay->circuits, circuit, link);
}

void haul_relay_serve(struct haul_stream *stream, const struct haul_relay_message *message)
{
    struct haul_relay *relay = haul_relay_of(stream);
    struct haul_connection_facts facts;

    expire(relay);
    if (!relay->conf.serve || relay->host == NULL ||
        !haul_host_facts(relay->host, haul_stream_connection(stream), &facts) || facts.relayed) {
        refuse(stream, HAUL_RELAY_PERMISSION_DENIED);
    } else if (message->kind == HAUL_RELAY_RESERVE) {
        if (!is_paced(relay, stream, &facts, true))
            reserve(stream, &facts);
    } else if (message->kind == HAUL_RELAY_CONNECT && message->has_peer) {
        if (!is_paced(relay, stream, &facts, false))
            connect_to(stream, &message->peer);
    } else {
        haul_counter_add(&relay->counters.malformed, 1);
        haul_relay_answer(stream, false,
                          message->kind == HAUL_RELAY_CONNECT ? HAUL_RELAY_MALFORMED
                                                              : HAUL_RELAY_UNEXPECTED,
                          NULL);
    }
}

void haul_relay_circuit_asks(struct haul_stream *stream, struct haul_relay_circuit *circuit)
{
    struct haul_relay_message ask = { .kind = HAUL_RELAY_CONNECT,
                                      .has_peer = true,
                                      .peer = circuit->peers[0],
                                      .limit = circuit->relay->conf.limits.circuit };

    ask.has_limit = ask.limit.seconds != 0 || ask.limit.bytes != 0;
    if (!haul_relay_send(stream, true, &ask))
        haul_stream_reset(stream);
}

static void cut(struct haul_relay_circuit *circuit)
{
    haul_counter_add(&circuit->relay->counters.circuits_cut, 1);
    if (circuit->source != NULL)
        haul_stream_reset(circuit->source);
    if (circuit->target != NULL)
        haul_stream_reset(circuit->target);
}

static void on_timer(void *context)
{
    cut(context);
}

void haul_relay_circuit_answer(struct haul_relay_circuit *circuit,
                               const struct haul_relay_message *message)
{
    struct haul_relay *relay = circuit->relay;
    uint32_t seconds = relay->conf.limits.circuit.seconds;

    ((struct haul_relay_stream *)haul_stream_state(circuit->target))->circuit = circuit;
    if (circuit->source == NULL || message->kind != HAUL_RELAY_STATUS ||
        message->status != HAUL_RELAY_OK) {
        haul_stream_reset(circuit->target);
        return;
    }
    circuit->up = true;
    haul_counter_add(&relay->counters.circuits, 1);
    haul_stream_idle_after(circuit->source, 0);
    haul_stream_idle_after(circuit->target, 0);
    haul_relay_answer(circuit->source, false, HAUL_RELAY_OK, &relay->conf.limits.circuit);
    if (seconds != 0 && (circuit->timer = haul_loop_timer(relay->conf.loop, on_timer, circuit)))
        haul_loop_timer_set(circuit->timer,
                            haul_time_add(now_of(relay), (haul_time)seconds * HAUL_SECOND));
    haul_stream_resume(circuit->source);
}

size_t haul_relay_circuit_input(struct haul_relay_circuit *circuit, struct haul_stream *from,
                                const uint8_t *data, size_t bytes)
{
    bool back = from == circuit->target;
    struct haul_stream *to = back ? circuit->source : circuit->target;
    uint64_t limit = circuit->relay->conf.limits.circuit.bytes;
    size_t took;

    if (!circuit->up && to != NULL)
        return 0; /* held back until the target has answered */
    if (to == NULL || bytes == 0)
        return bytes;
    if (limit != 0 && bytes > limit - circuit->moved[back]) {
        cut(circuit);
        return bytes;
    }
    took = haul_stream_write(to, data, bytes);
    circuit->moved[back] += took;
    haul_counter_add(&circuit->relay->counters.relayed_bytes, took);
    return took;
}

void haul_relay_circuit_ended(struct haul_relay_circuit *circuit, struct haul_stream *stream)
{
    struct haul_stream *other = stream == circuit->target ? circuit->source : circuit->target;

    if (!circuit->up)
        haul_stream_reset(stream);
    else if (other != NULL)
        haul_stream_close(other);
    else
        haul_stream_close(stream);
}

void haul_relay_circuit_writable(struct haul_relay_circuit *circuit, struct haul_stream *stream)
{
    struct haul_stream *other = stream == circuit->target ? circuit->source : circuit->target;

    if (other != NULL && circuit->up)
        haul_stream_resume(other);
}

static void circuit_free(struct haul_relay_circuit *circuit)
{
    LIST_REMOVE(circuit, link);
    circuit->relay->circuit_count--;
    haul_loop_timer_free(circuit->timer);
    free(circuit);
}

void haul_relay_circuit_closed(struct haul_relay_circuit *circuit, struct haul_stream *stream,
                               enum haul_stream_end end)
{
    bool is_target = stream == circuit->target;
    struct haul_stream *other = is_target ? circuit->source : circuit->target;

    if (is_target)
        circuit->target = NULL;
    else
        circuit->source = NULL;
    if (other == NULL) {
        circuit_free(circuit);
    } else if (is_target && !circuit->up) {
        ((struct haul_relay_stream *)haul_stream_state(other))->circuit = NULL;
        circuit->source = NULL;
        refuse(other, HAUL_RELAY_CONNECTION_FAILED);
        circuit_free(circuit);
    } else if (end != HAUL_STREAM_DONE || !circuit->up) {
        haul_stream_reset(other);
    }
}
