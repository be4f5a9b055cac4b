/* Our places at relays: one a relay that the configuration names. The connection is kept and made
 * again, the place is renewed at half its time, and what others are told of our addresses follows.
 */
#include "controlplane/behaviours/identify.h"
#include "controlplane/behaviours/relay_parts.h"
#include "controlplane/p2p/address_book.h"

#include <string.h>
#include <time.h>

#define DIAL_MAX    (15 * HAUL_SECOND)
#define RETRY_FIRST HAUL_SECOND
#define RETRY_MAX   (60 * HAUL_SECOND)
#define RENEW_MIN   HAUL_SECOND
#define LIFE_MAX    (24u * 3600u) /* seconds; whatever the relay promises */

static haul_time now_of(const struct haul_relay *relay)
{
    return haul_loop_now(relay->conf.loop);
}

/* Peers are told of all addresses through relays, the configured ones first. */
static void tell(struct haul_relay *relay)
{
    struct haul_multiaddr addresses[HAUL_HOST_TOLD_MAX];
    size_t count = 0;

    for (size_t round = 0; round < HAUL_HOST_TOLD_MAX; round++) {
        for (size_t i = 0; i < relay->place_count && count < HAUL_COUNT_OF(addresses); i++) {
            if (relay->places[i].kept && round < relay->places[i].address_count)
                addresses[count++] = relay->places[i].addresses[round];
        }
    }
    if (haul_host_tell(relay->host, HAUL_TOLD_RELAYED, addresses, count))
        haul_identify_push(relay->host);
}

static void retry(struct haul_relay_place *place)
{
    uint32_t doublings = place->failures < 6 ? place->failures : 6;
    haul_time first = place->relay->conf.retry != 0 ? place->relay->conf.retry : RETRY_FIRST;

    place->failures++;
    haul_loop_timer_set(place->timer, haul_time_add(now_of(place->relay),
                                                    haul_time_min(first << doublings, RETRY_MAX)));
}

static void place_lost(struct haul_relay_place *place)
{
    if (place->kept) {
        haul_counter_add(&place->relay->counters.places_lost, 1);
        place->kept = false;
        tell(place->relay);
    }
    retry(place);
}

static void ask(struct haul_relay_place *place)
{
    place->asking =
        haul_host_stream(place->relay->host, place->connection, place->relay->hop, place);
    if (place->asking == NULL)
        place_lost(place);
}

static void on_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    struct haul_relay_place *place = context;
    struct haul_connection_facts facts;

    place->dialling = false;
    if (connection != HAUL_HOST_NO_CONNECTION &&
        haul_host_facts(place->relay->host, connection, &facts) && !facts.relayed) {
        place->connection = connection;
        ask(place);
        return;
    }
    haul_counter_add(&place->relay->counters.places_failed, 1);
    if (error == NULL || error->code != HAUL_E_CANCELLED)
        retry(place);
}

/* Renews the place, or gets it anew. */
static void on_timer(void *context)
{
    struct haul_relay_place *place = context;
    struct haul_relay *relay = place->relay;

    if (place->dialling || place->asking != NULL)
        return;
    if (place->connection != HAUL_HOST_NO_CONNECTION) {
        ask(place);
        return;
    }
    place->dialling = true;
    haul_host_dial(relay->host, &place->id, &place->where, 1,
                   haul_time_add(now_of(relay), DIAL_MAX), on_dialled, place);
}

int haul_relay_places_open(struct haul_relay *relay, struct haul_error *error)
{
    for (size_t i = 0; i < relay->conf.relay_count; i++) {
        struct haul_relay_place *place = &relay->places[i];
        char text[HAUL_MULTIADDR_TEXT_BYTES];

        if (i == HAUL_RELAY_PLACES_MAX)
            return haul_fail(error, HAUL_E_LIMIT, "more than %u relays", HAUL_RELAY_PLACES_MAX);
        place->errand = HAUL_RELAY_FOR_PLACE;
        place->relay = relay;
        place->where = relay->conf.relays[i];
        if (haul_multiaddr_relayed(&place->where) ||
            !haul_multiaddr_peer(&place->where, &place->id)) {
            haul_multiaddr_print(&place->where, text);
            return haul_fail(error, HAUL_E_CONFIG_KEY, "relay.use: '%.200s' names no relay", text);
        }
        haul_multiaddr_strip_peer(&place->where);
        place->timer = haul_loop_timer(relay->conf.loop, on_timer, place);
        if (place->timer == NULL)
            return haul_fail(error, HAUL_E_SYSTEM, "no memory for a timer");
        relay->place_count++;
    }
    relay->conf.relays = NULL; /* copied */
    return 0;
}

void haul_relay_places_start(struct haul_relay *relay)
{
    for (size_t i = 0; i < relay->place_count; i++)
        haul_loop_timer_set(relay->places[i].timer, now_of(relay));
}

void haul_relay_places_close(struct haul_relay *relay)
{
    for (size_t i = 0; i < HAUL_RELAY_PLACES_MAX; i++)
        haul_loop_timer_free(relay->places[i].timer);
}

/* --- what the relay says --- */

static void address_add(struct haul_relay_place *place, const struct haul_multiaddr *where)
{
    struct haul_multiaddr *address = &place->addresses[place->address_count];

    if (place->address_count == HAUL_HOST_TOLD_MAX)
        return;
    *address = *where;
    if (!haul_multiaddr_add_circuit(address, &place->id))
        return;
    for (size_t i = 0; i < place->address_count; i++) {
        if (place->addresses[i].length == address->length &&
            memcmp(place->addresses[i].bytes, address->bytes, address->length) == 0)
            return;
    }
    place->address_count++;
}

/* The way that works for us, then what the relay says of itself, as far as it is public and its
 * own: others are not to be sent to third parties, nor into our networks. */
static void addresses_take(struct haul_relay_place *place, const struct haul_relay_message *message)
{
    place->address_count = 0;
    address_add(place, &place->where);
    for (size_t i = 0; i < message->address_count; i++) {
        struct haul_multiaddr where = message->addresses[i];
        struct haul_peer_id id;

        if (haul_multiaddr_relayed(&where) || haul_address_reach(&where) != HAUL_ADDR_PUBLIC ||
            (haul_multiaddr_peer(&where, &id) && !haul_peer_id_equal(&id, &place->id)))
            continue;
        haul_multiaddr_strip_peer(&where);
        address_add(place, &where);
    }
}

/* Seconds that the place lives; 0 when it is none. */
static uint64_t life_of(const struct haul_relay_place *place,
                        const struct haul_relay_message *message)
{
    uint64_t now = (uint64_t)time(NULL);
    struct haul_relay_voucher word;

    if (message->kind != HAUL_RELAY_STATUS || message->status != HAUL_RELAY_OK ||
        !message->has_reservation || message->expires <= now)
        return 0;
    if (message->voucher != NULL &&
        (!haul_relay_voucher_open(message->voucher, message->voucher_bytes, &word) ||
         !haul_peer_id_equal(&word.relay, &place->id) ||
         !haul_peer_id_equal(&word.peer, &place->relay->conf.key->id)))
        return 0;
    return message->expires - now < LIFE_MAX ? message->expires - now : LIFE_MAX;
}

void haul_relay_place_answer(struct haul_relay_place *place, struct haul_stream *stream,
                             const struct haul_relay_message *message)
{
    uint64_t seconds = life_of(place, message);

    place->asking = NULL;
    haul_stream_close(stream);
    if (seconds == 0) {
        haul_counter_add(&place->relay->counters.places_failed, 1);
        place_lost(place);
        return;
    }
    haul_counter_add(&place->relay->counters.places_kept, 1);
    place->failures = 0;
    place->kept = true;
    addresses_take(place, message);
    haul_loop_timer_set(
        place->timer,
        haul_time_add(now_of(place->relay), haul_time_max(seconds * HAUL_SECOND / 2, RENEW_MIN)));
    tell(place->relay);
}

void haul_relay_place_closed(struct haul_relay_place *place, const struct haul_stream *stream)
{
    if (place->asking != stream)
        return;
    place->asking = NULL;
    haul_counter_add(&place->relay->counters.places_failed, 1);
    place_lost(place);
}

void haul_relay_places_disconnected(struct haul_relay *relay, uint64_t connection)
{
    for (size_t i = 0; i < relay->place_count; i++) {
        struct haul_relay_place *place = &relay->places[i];

        if (place->connection != connection)
            continue;
        place->connection = HAUL_HOST_NO_CONNECTION;
        place_lost(place);
    }
}

bool haul_relay_has_place(const struct haul_relay *relay, const struct haul_peer_id *id)
{
    for (size_t i = 0; i < relay->place_count; i++) {
        if (relay->places[i].kept && haul_peer_id_equal(&relay->places[i].id, id))
            return true;
    }
    return false;
}
