/* Connections that exist for the DHT alone: each use is noted, and their number is kept down. */
#include "controlplane/dht/dht_parts.h"

#define LEASE_IDLE  (30 * HAUL_SECOND)
#define LEASES_KEPT 64u /* more than that go as soon as they are idle */
#define LEASE_SHORT (2 * HAUL_SECOND)

void haul_dht_lease(struct haul_dht *dht, uint64_t connection, bool opened)
{
    size_t oldest = 0;

    for (size_t i = 0; i < dht->lease_count; i++) {
        if (dht->leases[i].connection == connection) {
            dht->leases[i].used = haul_dht_now(dht);
            return;
        }
        if (dht->leases[i].used < dht->leases[oldest].used)
            oldest = i;
    }
    if (!opened)
        return;
    if (dht->lease_count < HAUL_DHT_LEASES_MAX)
        oldest = dht->lease_count++;
    dht->leases[oldest] =
        (struct haul_dht_lease){ .connection = connection, .used = haul_dht_now(dht) };
}

static bool is_idle(const struct haul_dht *dht, const struct haul_dht_lease *lease)
{
    haul_time idle = dht->lease_count > LEASES_KEPT ? LEASE_SHORT : LEASE_IDLE;
    struct haul_connection_facts facts;

    if (haul_time_since(lease->used, haul_dht_now(dht)) < idle)
        return false;
    return haul_host_facts(dht->host, lease->connection, &facts) && facts.streams == 0 &&
           (dht->conf.needed == NULL || !dht->conf.needed(dht->conf.context, lease->connection));
}

void haul_dht_release(struct haul_dht *dht)
{
    struct haul_connection_facts facts;
    size_t kept = 0;

    for (size_t i = 0; i < dht->lease_count; i++) {
        struct haul_dht_lease lease = dht->leases[i];

        if (!haul_host_facts(dht->host, lease.connection, &facts))
            continue;
        if (is_idle(dht, &lease)) {
            haul_counter_add(&dht->counters.connections_released, 1);
            haul_host_disconnect(dht->host, lease.connection);
            continue;
        }
        dht->leases[kept++] = lease;
    }
    dht->lease_count = kept;
}
