/* Opens the parts of the DHT and gives them their memory. */
#include "controlplane/dht/dht_parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static bool memory_take(struct haul_dht *dht)
{
    const size_t sizes[HAUL_COUNT_OF(dht->memory)] = {
        HAUL_DHT_TABLE_ENTRIES * sizeof(struct haul_kad_entry),
        HAUL_DHT_PROVIDER_ENTRIES * sizeof(struct haul_kad_provider),
        HAUL_DHT_PROVIDER_CHAINS * sizeof(uint32_t),
        HAUL_DHT_RECORDS * sizeof(struct haul_kad_value),
        HAUL_DHT_BOOK_ENTRIES * sizeof(struct haul_address_book_entry),
        HAUL_DHT_BOOK_CHAINS * sizeof(uint32_t),
        HAUL_DHT_BOOTSTRAP_MAX,
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(sizes); i++) {
        dht->memory[i] = calloc(1, sizes[i]);
        if (dht->memory[i] == NULL)
            return false;
    }
    haul_kad_table_init(&dht->table, &dht->own_key, dht->memory[0], HAUL_DHT_TABLE_ENTRIES,
                        &dht->conf.limits);
    haul_kad_providers_init(&dht->providers, &dht->own_key, dht->memory[1],
                            HAUL_DHT_PROVIDER_ENTRIES, dht->memory[2], HAUL_DHT_PROVIDER_CHAINS);
    haul_kad_records_init(&dht->records, &dht->own_key, dht->memory[3], HAUL_DHT_RECORDS);
    haul_address_book_init(&dht->book, dht->memory[4], HAUL_DHT_BOOK_ENTRIES, dht->memory[5],
                           HAUL_DHT_BOOK_CHAINS);
    return true;
}

static int kad_open(struct haul_dht *dht, struct haul_error *error)
{
    const struct haul_kad_conf conf = { .loop = dht->conf.loop,
                                        .server = dht->conf.server ? &dht->server : NULL,
                                        .context = dht,
                                        .identified = haul_dht_identified };

    haul_key_public(dht->conf.key, dht->public_key);
    dht->server = (struct haul_kad_server){ .table = &dht->table,
                                            .providers = &dht->providers,
                                            .records = &dht->records,
                                            .book = &dht->book,
                                            .own = dht->own,
                                            .floor = dht->conf.floor,
                                            .public_key = dht->public_key,
                                            .public_key_bytes = sizeof dht->public_key };
    return haul_kad_open(&dht->kad, &conf, error);
}

static void dial_due(void *context)
{
    haul_dht_dials_pump(context);
}

int haul_dht_open(struct haul_dht **dht, const struct haul_dht_conf *conf, struct haul_error *error)
{
    struct haul_dht *made = calloc(1, sizeof *made);

    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the DHT");
    made->conf = *conf;
    if (made->conf.tick == 0)
        made->conf.tick = HAUL_SECOND;
    made->own = conf->key->id;
    haul_kad_key_of_peer(&made->own, &made->own_key);
    made->bootstrap_count = conf->bootstrap_count < HAUL_DHT_BOOTSTRAP_MAX ? conf->bootstrap_count
                                                                           : HAUL_DHT_BOOTSTRAP_MAX;
    for (size_t i = 0; i < made->bootstrap_count; i++)
        made->bootstrap[i] =
            (struct haul_dht_bootstrap){ .dht = made, .address = conf->bootstrap[i] };
    made->announce_at = HAUL_TIME_NEVER;
    TAILQ_INIT(&made->waiting);
    made->timer = haul_loop_timer(conf->loop, haul_dht_tick, made);
    made->dial_timer = haul_loop_timer(conf->loop, dial_due, made);
    if (made->timer == NULL || made->dial_timer == NULL || !memory_take(made) ||
        getrandom(&made->seed, sizeof made->seed, 0) != (ssize_t)sizeof made->seed) {
        haul_dht_close(made);
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the DHT");
    }
    if (haul_names_open(&made->names, conf->loop, conf->dns_servers, error) < 0 ||
        kad_open(made, error) < 0) {
        haul_dht_close(made);
        return -1;
    }
    *dht = made;
    return 0;
}

void haul_dht_start(struct haul_dht *dht, struct haul_host *host)
{
    dht->host = host;
    haul_dht_serve(dht, dht->conf.server);
    haul_loop_timer_set(dht->timer, haul_dht_now(dht));
}

void haul_dht_stop(struct haul_dht *dht)
{
    struct haul_dht_run *run;

    if (dht == NULL || dht->host == NULL)
        return;
    haul_loop_timer_set(dht->timer, HAUL_TIME_NEVER);
    haul_names_close(dht->names);
    dht->names = NULL;
    while ((run = LIST_FIRST(&dht->runs)) != NULL)
        haul_dht_run_cancel(run);
    haul_dht_values_free(dht);
    haul_dht_queries_cancel(dht);
    dht->host = NULL;
    haul_dht_dials_pump(dht); /* what waits for a dial ends */
}

void haul_dht_close(struct haul_dht *dht)
{
    if (dht == NULL)
        return;
    haul_dht_stop(dht);
    haul_names_close(dht->names);
    haul_dht_queries_free(dht);
    haul_kad_close(dht->kad);
    haul_loop_timer_free(dht->timer);
    haul_loop_timer_free(dht->dial_timer);
    for (size_t i = 0; i < HAUL_COUNT_OF(dht->memory); i++)
        free(dht->memory[i]);
    free(dht->announced);
    free(dht->announcing_hashes);
    free(dht);
}

struct haul_kad *haul_dht_kad(const struct haul_dht *dht)
{
    return dht->kad;
}

bool haul_dht_serves(const struct haul_dht *dht)
{
    return dht->conf.server;
}

void haul_dht_serve(struct haul_dht *dht, bool serve)
{
    dht->conf.server = serve;
    haul_kad_server_change(dht->kad, serve ? &dht->server : NULL);
    if (dht->host != NULL)
        haul_host_hide(dht->host, &haul_kad_behaviour, !serve);
}

const struct haul_dht_counters *haul_dht_counters(const struct haul_dht *dht)
{
    return &dht->counters;
}

const struct haul_kad_server *haul_dht_server(const struct haul_dht *dht)
{
    return &dht->server;
}

size_t haul_dht_announced_count(const struct haul_dht *dht)
{
    return dht->announced_count;
}
