/* Searches. Everything that happens to one sets its timer; it moves only there, so that nobody is
 * called back from inside his own call. */
#include "controlplane/dht/dht_parts.h"

#include <stdlib.h>
#include <string.h>

static void query_due(struct haul_dht_query *query)
{
    haul_loop_timer_set(query->timer, haul_dht_now(query->dht));
}

static bool is_known(const struct haul_dht_query *query, const struct haul_peer_id *peer)
{
    for (uint32_t i = 0; i < query->found_count; i++) {
        if (haul_peer_id_equal(&query->found[i], peer))
            return true;
    }
    return false;
}

static void find_note(struct haul_dht_query *query, const struct haul_peer_id *peer, unsigned hops)
{
    if (query->found_count == query->search.found_max || is_known(query, peer) ||
        haul_peer_id_equal(peer, &query->dht->own))
        return;
    query->found[query->found_count++] = *peer;
    if (query->hops == 0)
        query->hops = hops;
}

static void finds_take(struct haul_dht_query *query, struct haul_dht_ask *ask,
                       const struct haul_kad_message *answer, const struct haul_kad_contact *closer,
                       size_t count)
{
    struct haul_kad_contact providers[HAUL_DHT_FOUND_MAX];
    unsigned hops = haul_kad_lookup_hops(&query->lookup, &ask->contact.key);

    if (query->search.kind == HAUL_DHT_PROVIDERS) {
        count = haul_dht_heard(query->dht, ask->connection, answer, HAUL_KAD_PROVIDERS, providers,
                               HAUL_COUNT_OF(providers));
        for (size_t i = 0; i < count; i++)
            find_note(query, &providers[i].id, hops);
    } else if (query->search.kind == HAUL_DHT_PEER) {
        for (size_t i = 0; i < count; i++) {
            if (haul_kad_key_equal(&closer[i].key, &query->lookup.target))
                find_note(query, &closer[i].id, hops);
        }
    }
}

static void on_answer(void *context, struct haul_dht_ask *ask,
                      const struct haul_kad_message *answer, bool sent)
{
    struct haul_dht_query *query = context;
    struct haul_kad_contact heard[HAUL_KAD_HEARD_MAX];
    size_t count;

    (void)sent;
    LIST_REMOVE(ask, link);
    if (answer == NULL) {
        haul_kad_lookup_failed(&query->lookup, &ask->contact.key);
    } else {
        count = haul_dht_heard(query->dht, ask->connection, answer, HAUL_KAD_CLOSER, heard,
                               HAUL_COUNT_OF(heard));
        haul_kad_lookup_answered(&query->lookup, &ask->contact.key, heard, count);
        finds_take(query, ask, answer, heard, count);
        if (query->search.heard != NULL && !query->over &&
            query->search.heard(query->search.context, &ask->contact,
                                answer->has_record ? &answer->record : NULL))
            query->enough = true;
    }
    query_due(query);
}

static void ask_begin(struct haul_dht_query *query, const struct haul_kad_contact *contact)
{
    enum haul_kad_type type = query->search.kind == HAUL_DHT_PROVIDERS ? HAUL_KAD_GET_PROVIDERS
                              : query->search.kind == HAUL_DHT_VALUE   ? HAUL_KAD_GET_VALUE
                                                                       : HAUL_KAD_FIND_NODE;
    struct haul_dht_ask *ask;
    size_t bytes = 0;
    uint8_t *frame = haul_dht_request(type, query->key, query->search.key_bytes, NULL, &bytes);

    ask = haul_dht_ask(query->dht, contact, frame, bytes, true);
    if (ask == NULL) {
        haul_kad_lookup_failed(&query->lookup, &contact->key);
        return;
    }
    ask->done = on_answer;
    ask->context = query;
    LIST_INSERT_HEAD(&query->asks, ask, link);
}

/* What this node knows itself. */
static void look_at_home(struct haul_dht_query *query)
{
    struct haul_dht *dht = query->dht;
    struct haul_peer_id peers[HAUL_DHT_FOUND_MAX];
    struct haul_multiaddr address;
    size_t count;

    if (query->search.kind == HAUL_DHT_PROVIDERS) {
        count = haul_kad_providers_get(&dht->providers, &query->lookup.target, haul_dht_now(dht),
                                       peers, HAUL_COUNT_OF(peers));
        for (size_t i = 0; i < count; i++)
            find_note(query, &peers[i], 0);
    } else if (query->search.kind == HAUL_DHT_PEER &&
               haul_peer_id_decode(query->key, query->search.key_bytes, &peers[0]) &&
               haul_address_book_find(&dht->book, &peers[0], haul_dht_now(dht), &address, 1) > 0) {
        find_note(query, &peers[0], 0);
    }
}

static bool seed(struct haul_dht_query *query)
{
    const struct haul_kad_entry *closest[HAUL_KAD_K];
    size_t count = haul_kad_table_closest(&query->dht->table, &query->lookup.target, NULL, closest,
                                          HAUL_KAD_K);

    for (size_t i = 0; i < count; i++)
        haul_kad_lookup_seed(&query->lookup, &closest[i]->contact);
    return count > 0;
}

/* Tells what was found since the last time; false when the search was cancelled meanwhile. */
static void tell(struct haul_dht_query *query)
{
    struct haul_dht *dht = query->dht;
    struct haul_multiaddr addresses[HAUL_ADDRESS_BOOK_ADDRESSES_MAX];

    while (query->told_count < query->found_count && !query->over) {
        const struct haul_peer_id *peer = &query->found[query->told_count++];
        size_t count = haul_address_book_find(&dht->book, peer, haul_dht_now(dht), addresses,
                                              HAUL_COUNT_OF(addresses));

        if (query->search.found != NULL)
            query->search.found(query->search.context, peer, addresses, count);
    }
}

static void query_free(struct haul_dht_query *query)
{
    struct haul_dht_ask *ask;

    while ((ask = LIST_FIRST(&query->asks)) != NULL) {
        LIST_REMOVE(ask, link);
        ask->done = NULL; /* it still teaches the table */
        ask->dropped = true;
    }
    LIST_REMOVE(query, link);
    haul_loop_timer_free(query->timer);
    free(query);
}

static void query_end(struct haul_dht_query *query)
{
    struct haul_dht *dht = query->dht;
    struct haul_dht_result result = {
        .lookup = &query->lookup,
        .found = query->found_count,
        .hops = query->hops != 0 ? query->hops : query->lookup.hops,
        .took = haul_time_since(query->began, haul_dht_now(dht)),
    };

    query->over = true;
    dht->query_count--;
    haul_counter_add(&dht->counters.lookups_late, query->lookup.late);
    if (query->lookup.answered > 0)
        haul_kad_table_looked(&dht->table, &query->lookup.target, haul_dht_now(dht));
    if (dht->refresh == query)
        dht->refresh = NULL;
    query->search.done(query->search.context, &result);
    query_free(query);
}

/* Is there hope of somebody to ask? */
static bool is_joining(const struct haul_dht *dht)
{
    return dht->host != NULL && dht->bootstrap_count > 0 && dht->table.count == 0;
}

static void on_timer(void *context)
{
    struct haul_dht_query *query = context;
    struct haul_dht *dht = query->dht;
    haul_time now = haul_dht_now(dht);
    struct haul_kad_contact contact;

    if (query->over) {
        query_free(query);
        return;
    }
    haul_kad_lookup_tick(&query->lookup, now);
    if (!query->seeded)
        query->seeded = seed(query);
    while (query->seeded && !query->enough && query->found_count < query->search.found_max &&
           haul_kad_lookup_next(&query->lookup, now, &contact))
        ask_begin(query, &contact);
    tell(query);
    if (query->over) {
        query_free(query);
        return;
    }
    if (query->found_count >= query->search.found_max || query->enough || query->lookup.over ||
        (query->seeded ? haul_kad_lookup_done(&query->lookup) : !is_joining(dht))) {
        query_end(query);
        return;
    }
    haul_loop_timer_set(query->timer, haul_kad_lookup_deadline(&query->lookup));
}

int haul_dht_search(struct haul_dht *dht, const struct haul_dht_search *search,
                    struct haul_dht_query **query, struct haul_error *error)
{
    struct haul_kad_lookup_conf conf = dht->conf.lookup;
    struct haul_dht_query *made;
    struct haul_kad_key target;

    if (dht->host == NULL || dht->query_count == HAUL_DHT_QUERIES_MAX ||
        search->key_bytes > HAUL_KAD_KEY_TEXT_BYTES_MAX) {
        haul_counter_add(&dht->counters.lookups_refused, 1);
        return haul_fail(error, HAUL_E_LIMIT, "too many searches run in the DHT at once");
    }
    made = calloc(1, sizeof *made);
    if (made != NULL)
        made->timer = haul_loop_timer(dht->conf.loop, on_timer, made);
    if (made == NULL || made->timer == NULL) {
        free(made);
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for a search in the DHT");
    }
    made->dht = dht;
    made->search = *search;
    if (search->found_max == 0 || search->found_max > HAUL_DHT_FOUND_MAX)
        made->search.found_max = HAUL_DHT_FOUND_MAX;
    memcpy(made->key, search->key, search->key_bytes);
    made->search.key = made->key;
    made->began = haul_dht_now(dht);
    if (search->timeout != 0)
        conf.duration = haul_time_min(conf.duration, search->timeout);
    haul_kad_key_of(search->key, search->key_bytes, &target);
    haul_kad_lookup_init(&made->lookup, &target, &conf, made->began);
    look_at_home(made);
    LIST_INIT(&made->asks);
    LIST_INSERT_HEAD(&dht->queries, made, link);
    dht->query_count++;
    haul_counter_add(&dht->counters.lookups, 1);
    query_due(made);
    *query = made;
    return 0;
}

void haul_dht_cancel(struct haul_dht_query *query)
{
    if (query->over)
        return;
    query->dht->query_count--;
    if (query->dht->refresh == query)
        query->dht->refresh = NULL;
    query->over = true;
    query_due(query); /* it may be telling somebody right now: it goes next turn */
}

void haul_dht_queries_cancel(struct haul_dht *dht)
{
    struct haul_dht_query *query;

    LIST_FOREACH(query, &dht->queries, link)
    haul_dht_cancel(query);
}

void haul_dht_queries_free(struct haul_dht *dht)
{
    while (!LIST_EMPTY(&dht->queries))
        query_free(LIST_FIRST(&dht->queries));
}
