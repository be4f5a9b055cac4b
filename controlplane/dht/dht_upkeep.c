/* Joining and staying: the bootstrap addresses are called while nobody is known, then a look-up for
 * ourselves fills the neighbourhood, then every region is looked at again in turn, and who has been
 * silent for long is asked whether it lives. With every tick, a little of each. */
#include "controlplane/dht/dht_parts.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BOOTSTRAP_FIRST (1 * HAUL_SECOND)
#define BOOTSTRAP_MAX   (60 * HAUL_SECOND)
#define BOOTSTRAP_WAIT  (15 * HAUL_SECOND)
#define DIAL_WAIT       (10 * HAUL_SECOND)
#define FEW             4u                  /* contacts below which the bootstrap is called again */
#define REFRESH_PERIOD  (600 * HAUL_SECOND) /* of a region */
#define SELF_PERIOD     (600 * HAUL_SECOND)
#define SELF_SOON       (15 * HAUL_SECOND) /* while the table is small */
#define CHECK_AGE       (300 * HAUL_SECOND)
#define CHECK_PAUSE     (30 * HAUL_SECOND)
#define EXPIRE_LOOKS    64u
#define RELEASE_EVERY   (2 * HAUL_SECOND)

/* Asks for our own neighbourhood: any answer proves that it serves. */
static void probe(struct haul_dht *dht, const struct haul_kad_contact *contact)
{
    size_t bytes = 0;
    uint8_t *frame =
        haul_dht_request(HAUL_KAD_FIND_NODE, dht->own.bytes, dht->own.length, NULL, &bytes);

    if (haul_dht_ask(dht, contact, frame, bytes, true) == NULL)
        haul_kad_table_failed(&dht->table, &contact->key);
}

void haul_dht_identified(void *context, uint64_t connection, const struct haul_identified *told,
                         bool serves)
{
    struct haul_dht *dht = context;
    struct haul_multiaddr addresses[HAUL_ADDRESS_BOOK_ADDRESSES_MAX];
    struct haul_connection_facts facts;
    struct haul_kad_contact contact;
    size_t count = 0;

    if (dht->host == NULL || !haul_host_facts(dht->host, connection, &facts))
        return;
    for (size_t i = 0; i < told->address_count && count < HAUL_COUNT_OF(addresses); i++) {
        addresses[count] = told->addresses[i];
        haul_multiaddr_strip_peer(&addresses[count]);
        count += addresses[count].length > 0;
    }
    count =
        haul_addresses_filter(addresses, count, haul_addr_scope(&facts.remote), dht->conf.floor);
    haul_address_book_tell(&dht->book, &facts.peer, addresses, count, haul_dht_now(dht),
                           HAUL_DHT_TOLD_LIFE);
    haul_kad_contact_of(&facts.peer, haul_address_group(&facts.remote), &contact);
    if (!serves)
        haul_kad_table_remove(&dht->table, &contact.key);
    else if (count > 0 && haul_kad_table_wants(&dht->table, &contact))
        probe(dht, &contact);
}

/* --- bootstrap --- */

static void on_called(void *context, uint64_t connection, const struct haul_error *error)
{
    struct haul_dht_bootstrap *bootstrap = context;
    struct haul_dht *dht = bootstrap->dht;
    struct haul_connection_facts facts;
    struct haul_kad_contact contact;

    (void)error;
    if (dht->host == NULL || !haul_host_facts(dht->host, connection, &facts))
        return;
    haul_dht_lease(dht, connection, true);
    haul_kad_contact_of(&facts.peer, haul_address_group(&facts.remote), &contact);
    probe(dht, &contact);
}

static void call(struct haul_dht_bootstrap *bootstrap, const struct haul_multiaddr *address)
{
    struct haul_dht *dht = bootstrap->dht;
    struct haul_multiaddr bare = *address;
    struct haul_peer_id peer;
    struct haul_addr ip;

    if (!haul_multiaddr_peer(address, &peer) || haul_peer_id_equal(&peer, &dht->own))
        return;
    haul_multiaddr_strip_peer(&bare);
    if (!haul_multiaddr_tcp(&bare, &ip))
        return;
    /* The configuration names it: its address is as good as told by itself. */
    haul_address_book_hear(&dht->book, &peer, &bare, 1, haul_dht_now(dht), HAUL_DHT_TOLD_LIFE);
    haul_host_dial(dht->host, &peer, &bare, 1, haul_time_add(haul_dht_now(dht), DIAL_WAIT),
                   on_called, bootstrap);
}

static void on_resolved(void *context, const struct haul_multiaddr *addresses, size_t count)
{
    struct haul_dht_bootstrap *bootstrap = context;

    for (size_t i = 0; i < count && bootstrap->dht->host != NULL; i++)
        call(bootstrap, &addresses[i]);
}

static void bootstrap_due(struct haul_dht *dht)
{
    haul_time now = haul_dht_now(dht);

    if (dht->table.count >= FEW) {
        dht->bootstrap_pause = 0;
        return;
    }
    if (dht->bootstrap_count == 0 || now < dht->bootstrap_at)
        return;
    haul_counter_add(&dht->counters.bootstraps, 1);
    dht->bootstrap_pause = dht->bootstrap_pause == 0
                               ? BOOTSTRAP_FIRST
                               : haul_time_min(dht->bootstrap_pause * 2, BOOTSTRAP_MAX);
    dht->bootstrap_at = haul_time_add(now, dht->bootstrap_pause);
    for (size_t i = 0; i < dht->bootstrap_count; i++)
        haul_names_resolve(dht->names, &dht->bootstrap[i].address, on_resolved, &dht->bootstrap[i]);
}

/* --- refreshing --- */

static void on_refreshed(void *context, const struct haul_dht_result *result)
{
    struct haul_dht *dht = context;

    if (result->lookup->answered > 0 && haul_kad_key_equal(&result->lookup->target, &dht->own_key))
        dht->joined_at = haul_dht_now(dht);
}

static void look(struct haul_dht *dht, const struct haul_peer_id *id)
{
    const struct haul_dht_search search = { .kind = HAUL_DHT_NEAREST,
                                            .key = id->bytes,
                                            .key_bytes = id->length,
                                            .context = dht,
                                            .done = on_refreshed };

    if (haul_dht_search(dht, &search, &dht->refresh, NULL) < 0)
        dht->refresh = NULL;
}

static void refresh_due(struct haul_dht *dht)
{
    haul_time now = haul_dht_now(dht);
    haul_time period = dht->table.count < HAUL_KAD_K ? SELF_SOON : SELF_PERIOD;
    struct haul_kad_key region, found;
    struct haul_peer_id name;
    int bucket;

    if (dht->refresh != NULL || dht->table.count == 0)
        return;
    if (dht->joined_at == 0 || haul_time_since(dht->joined_at, now) >= period) {
        dht->joined_at = dht->joined_at == 0 ? 0 : now;
        look(dht, &dht->own);
        return;
    }
    bucket = haul_kad_table_refresh(&dht->table, now, REFRESH_PERIOD);
    if (bucket < 0)
        return;
    memset(&region, 0, sizeof region);
    haul_kad_table_region(&dht->table, (unsigned)bucket, &region);
    if (haul_kad_preimage(&region, (unsigned)bucket + 1, ++dht->seed, &name, &found))
        look(dht, &name);
    else
        haul_kad_table_looked(&dht->table, &region, now);
}

static void check_due(struct haul_dht *dht)
{
    const struct haul_kad_entry *entry =
        haul_kad_table_check(&dht->table, haul_dht_now(dht), CHECK_AGE, CHECK_PAUSE);
    struct haul_kad_contact contact;

    if (entry == NULL)
        return;
    contact = entry->contact;
    probe(dht, &contact);
}

/* Records end in calendar time, which may be set anew under us. */
static void calendar_look(struct haul_dht *dht)
{
    struct timespec time;

    if (clock_gettime(CLOCK_REALTIME, &time) == 0 && time.tv_sec > 0)
        dht->records.unix_ahead =
            (uint64_t)time.tv_sec * HAUL_SECOND + (uint64_t)time.tv_nsec - haul_dht_now(dht);
}

void haul_dht_tick(void *context)
{
    struct haul_dht *dht = context;
    haul_time now = haul_dht_now(dht);

    calendar_look(dht);
    bootstrap_due(dht);
    refresh_due(dht);
    check_due(dht);
    haul_kad_providers_expire(&dht->providers, now, EXPIRE_LOOKS);
    if (haul_time_since(dht->connections_at, now) >= RELEASE_EVERY) {
        dht->connections_at = now;
        haul_dht_release(dht);
    }
    if (now >= dht->announce_at)
        haul_dht_announce_due(dht);
    haul_loop_timer_set(dht->timer, haul_time_add(now, dht->conf.tick));
}
