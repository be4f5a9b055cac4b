/* Reaching one peer: over a connection that is there, or by dialling where it is said to be; then
 * one stream. What comes back teaches the routing table and the address book. */
#include "controlplane/dht/dht_parts.h"

#include <stdlib.h>
#include <string.h>

#define DIAL_WAIT (5 * HAUL_SECOND)

uint8_t *haul_dht_request(enum haul_kad_type type, const void *key, size_t key_bytes,
                          const struct haul_kad_record *record, size_t *bytes)
{
    size_t room = HAUL_KAD_LENGTH_BYTES_MAX + 16 + key_bytes +
                  (record != NULL ? 32 + record->key_bytes + record->value_bytes : 0);
    uint8_t *data = malloc(room);
    struct haul_out out;
    uint8_t *frame;

    if (data == NULL)
        return NULL;
    out = haul_out_to(data + HAUL_KAD_LENGTH_BYTES_MAX, room - HAUL_KAD_LENGTH_BYTES_MAX);
    haul_kad_write(&out, type, key, key_bytes);
    if (record != NULL)
        haul_kad_write_record(&out, record);
    haul_assert(!out.bad);
    frame = haul_kad_frame(data, (size_t)(out.at - data) - HAUL_KAD_LENGTH_BYTES_MAX);
    *bytes = (size_t)(out.at - frame);
    memmove(data, frame, *bytes);
    return data;
}

enum haul_addr_scope haul_dht_scope(const struct haul_dht *dht, uint64_t connection)
{
    struct haul_connection_facts facts;

    if (!haul_host_facts(dht->host, connection, &facts))
        return HAUL_ADDR_SPECIAL;
    return haul_addr_scope(&facts.remote);
}

/* The contact as it was seen, not as it was said to be. */
static void contact_seen(struct haul_dht_ask *ask)
{
    struct haul_connection_facts facts;

    if (haul_host_facts(ask->dht->host, ask->connection, &facts))
        ask->contact.group = haul_address_group(&facts.remote);
}

/* The table has somebody again: searches that wait for that begin. */
static void queries_wake(struct haul_dht *dht)
{
    struct haul_dht_query *query;

    LIST_FOREACH(query, &dht->queries, link)
    {
        if (!query->seeded && !query->over)
            haul_loop_timer_set(query->timer, haul_dht_now(dht));
    }
}

static void ask_end(struct haul_dht_ask *ask, const struct haul_kad_message *answer, bool sent)
{
    struct haul_dht *dht = ask->dht;

    if (dht->host != NULL && answer != NULL) {
        contact_seen(ask);
        haul_dht_lease(dht, ask->connection, false);
        if (haul_kad_table_answered(&dht->table, &ask->contact, haul_dht_now(dht)))
            queries_wake(dht);
    } else if (dht->host != NULL && ask->answered) {
        haul_kad_table_failed(&dht->table, &ask->contact.key);
    }
    if (ask->done != NULL)
        ask->done(ask->context, ask, answer, sent);
    free(ask->frames);
    free(ask);
}

static void on_answer(void *context, const struct haul_kad_message *answer, bool sent)
{
    ask_end(context, answer, sent);
}

static void on_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    struct haul_dht_ask *ask = context;
    struct haul_dht *dht = ask->dht;

    (void)error;
    dht->dialling--;
    if (connection == HAUL_HOST_NO_CONNECTION || dht->host == NULL) {
        haul_counter_add(&dht->counters.dials_failed, 1);
        ask_end(ask, NULL, false);
        haul_dht_dials_pump(dht);
        return;
    }
    ask->connection = connection;
    haul_dht_lease(dht, connection, true);
    if (!haul_kad_ask(dht->kad, dht->host, connection, ask->frames, ask->bytes, ask->answered,
                      on_answer, ask))
        ask_end(ask, NULL, false);
    haul_dht_dials_pump(dht);
}

void haul_dht_dials_pump(struct haul_dht *dht)
{
    struct haul_multiaddr addresses[HAUL_ADDRESS_BOOK_ADDRESSES_MAX];
    struct haul_dht_ask *ask;
    size_t count;

    if (dht->pumping)
        return; /* a dial that failed at once: the loop below goes on */
    dht->pumping = true;
    while ((ask = TAILQ_FIRST(&dht->waiting)) != NULL &&
           (dht->dialling < HAUL_DHT_DIALS_MAX || dht->host == NULL)) {
        TAILQ_REMOVE(&dht->waiting, ask, wait);
        if (ask->dropped) {
            free(ask->frames);
            free(ask);
            continue;
        }
        count = dht->host == NULL
                    ? 0
                    : haul_address_book_find(&dht->book, &ask->contact.id, haul_dht_now(dht),
                                             addresses, HAUL_COUNT_OF(addresses));
        if (count == 0) {
            ask_end(ask, NULL, false);
            continue;
        }
        haul_counter_add(&dht->counters.dials, 1);
        dht->dialling++;
        haul_host_dial(dht->host, &ask->contact.id, addresses, count,
                       haul_time_add(haul_dht_now(dht), DIAL_WAIT), on_dialled, ask);
    }
    dht->pumping = false;
}

struct haul_dht_ask *haul_dht_ask(struct haul_dht *dht, const struct haul_kad_contact *contact,
                                  uint8_t *frames, size_t bytes, bool answered)
{
    struct haul_multiaddr addresses[HAUL_ADDRESS_BOOK_ADDRESSES_MAX];
    struct haul_dht_ask *ask = calloc(1, sizeof *ask);
    size_t count;

    if (ask == NULL || frames == NULL) {
        free(frames);
        free(ask);
        return NULL;
    }
    *ask = (struct haul_dht_ask){
        .dht = dht, .contact = *contact, .frames = frames, .bytes = bytes, .answered = answered
    };
    ask->connection = haul_host_find(dht->host, &contact->id);
    if (ask->connection != HAUL_HOST_NO_CONNECTION &&
        haul_kad_ask(dht->kad, dht->host, ask->connection, frames, bytes, answered, on_answer, ask))
        return ask;
    count = haul_address_book_find(&dht->book, &contact->id, haul_dht_now(dht), addresses,
                                   HAUL_COUNT_OF(addresses));
    if (ask->connection != HAUL_HOST_NO_CONNECTION || count == 0) {
        free(frames);
        free(ask);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&dht->waiting, ask, wait);
    haul_loop_timer_set(dht->dial_timer, haul_dht_now(dht)); /* never before we return */
    return ask;
}

/* At least one address that we can dial, or a connection that is there. Who provides may be behind
 * a relay; who is to be asked on the way to somebody else is not worth that. */
static bool is_reachable(const struct haul_dht *dht, const struct haul_peer_id *id,
                         const struct haul_multiaddr *addresses, size_t count, bool provides,
                         struct haul_addr *first)
{
    for (size_t i = 0; i < count; i++) {
        if (haul_multiaddr_tcp(&addresses[i], first) ||
            (provides && haul_multiaddr_relayed(&addresses[i]) &&
             haul_multiaddr_ip(&addresses[i], first)))
            return true;
    }
    return haul_host_find(dht->host, id) != HAUL_HOST_NO_CONNECTION;
}

size_t haul_dht_heard(struct haul_dht *dht, uint64_t connection,
                      const struct haul_kad_message *answer, enum haul_kad_list list,
                      struct haul_kad_contact *contacts, size_t capacity)
{
    struct haul_kad_peers peers = haul_kad_peers_of(answer, list);
    enum haul_addr_scope scope = haul_dht_scope(dht, connection);
    struct haul_multiaddr addresses[HAUL_ADDRESS_BOOK_ADDRESSES_MAX];
    struct haul_kad_peer peer;
    size_t count = 0;

    while (count < capacity && haul_kad_peers_next(&peers, &peer)) {
        struct haul_addr first = { 0 };
        size_t known = haul_kad_peer_addresses(&peer, addresses, HAUL_COUNT_OF(addresses));

        known = haul_addresses_filter(addresses, known, scope, dht->conf.floor);
        if (haul_peer_id_equal(&peer.id, &dht->own) ||
            !is_reachable(dht, &peer.id, addresses, known, list == HAUL_KAD_PROVIDERS, &first))
            continue;
        haul_address_book_hear(&dht->book, &peer.id, addresses, known, haul_dht_now(dht),
                               HAUL_DHT_HEARD_LIFE);
        haul_kad_contact_of(&peer.id, first.family == 0 ? 0 : haul_address_group(&first),
                            &contacts[count++]);
    }
    return count;
}
