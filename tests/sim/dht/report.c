/* What a run came to, as a table; integers only. */
#include "tests/sim/dht/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

uint32_t dht_percentile(uint32_t *values, uint32_t count, uint32_t permille)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, ascending);
    return values[(uint64_t)(count - 1) * permille / 1000];
}

static void tally_print(const char *what, struct dht_tally *tally)
{
    static const uint32_t marks[] = { 500, 900, 950, 990, 999, 1000 };
    uint32_t seen = 0, median = 0;

    if (tally->count == 0)
        return;
    printf("%s: %u look-ups, %u found (%u.%04u %%)\n", what, tally->count, tally->found,
           (uint32_t)((uint64_t)tally->found * 100 / tally->count),
           (uint32_t)((uint64_t)tally->found * 1000000 / tally->count % 10000));
    printf("  percentile      p50    p90    p95    p99  p99.9   most\n  time, ms     ");
    for (size_t i = 0; i < HAUL_COUNT_OF(marks); i++)
        printf(" %6u", dht_percentile(tally->millis, tally->found, marks[i]));
    printf("\n  questions    ");
    for (size_t i = 0; i < HAUL_COUNT_OF(marks); i++)
        printf(" %6u", dht_percentile(tally->messages, tally->found, marks[i]));
    printf("\n  hops         ");
    for (uint32_t i = 0; i < 32; i++) {
        if (tally->hops[i] > 0)
            printf("  %u: %u", i, tally->hops[i]);
        if (seen <= tally->found / 2 && seen + tally->hops[i] > tally->found / 2)
            median = i;
        seen += tally->hops[i];
    }
    printf("   (median %u)\n", median);
}

static void curve_print(const struct dht_world *world)
{
    const struct dht_tally *soon = &world->soon, *late = &world->late;

    printf("found by the age of the record, per mille:\n  hours  told every %" PRIu64
           " h  told every %" PRIu64 " h\n",
           world->plan.republish / DHT_HOUR, world->plan.republish_late / DHT_HOUR);
    for (unsigned i = 0; i < DHT_AGES; i++) {
        if (soon->by_age[i] + late->by_age[i] == 0)
            continue;
        printf("  %4u   ", i);
        if (soon->by_age[i] > 0)
            printf("%16u", soon->found_by_age[i] * 1000 / soon->by_age[i]);
        else
            printf("%16s", "-");
        if (late->by_age[i] > 0)
            printf(" %17u\n", late->found_by_age[i] * 1000 / late->by_age[i]);
        else
            printf(" %17s\n", "-");
    }
}

static void nodes_print(const struct dht_world *world)
{
    uint64_t contacts = 0, dead = 0, records = 0;
    uint32_t alive = 0, most = 0, stores = 0;

    for (uint32_t i = 0; i < world->plan.nodes; i++) {
        const struct dht_node *node = &world->nodes[i];

        if (!node->alive)
            continue;
        alive++;
        contacts += node->table.count;
        most = node->table.count > most ? node->table.count : most;
        if (node->providers != NULL) {
            stores++;
            records += node->providers->count;
        }
        for (uint32_t j = 0; j < node->table.fresh; j++) {
            const struct haul_kad_contact *contact = &node->entries[j].contact;
            uint32_t other, generation;

            if (haul_kad_table_find(&node->table, &contact->key) != &node->entries[j])
                continue;
            __builtin_memcpy(&other, contact->id.bytes + 6, sizeof other);
            __builtin_memcpy(&generation, contact->id.bytes + 10, sizeof generation);
            dead += !world->nodes[other].alive || world->nodes[other].generation != generation;
        }
    }
    printf("at the end: %u nodes, %u born and %u gone in all; a routing table holds %" PRIu64
           " contacts on average, %u at most, %" PRIu64 ".%" PRIu64 " %% of them gone\n",
           alive, world->born, world->died, contacts / (alive > 0 ? alive : 1), most,
           dead * 100 / (contacts > 0 ? contacts : 1),
           dead * 1000 / (contacts > 0 ? contacts : 1) % 10);
    printf("memory of a routing table: %zu bytes and %zu a contact, so %" PRIu64
           " bytes on average; provider records on %u nodes, %" PRIu64 " in all\n",
           sizeof(struct haul_kad_table), sizeof(struct haul_kad_entry),
           sizeof(struct haul_kad_table) +
               contacts * sizeof(struct haul_kad_entry) / (alive > 0 ? alive : 1),
           stores, records);
}

void dht_report(struct dht_world *world)
{
    const struct dht_plan *plan = &world->plan;

    printf("%u nodes, %u.%u %% an hour leave for good and as many come, %u.%u %% never answer, "
           "%u.%u %% every second time, %u.%u %% of questions are lost\n",
           plan->nodes, plan->churn_ppm / 10000, plan->churn_ppm / 1000 % 10,
           plan->silent_ppm / 10000, plan->silent_ppm / 1000 % 10, plan->flaky_ppm / 10000,
           plan->flaky_ppm / 1000 % 10, plan->loss_ppm / 10000, plan->loss_ppm / 1000 % 10);
    printf("%u simulated hours, %" PRIu64 " events, %" PRIu64 " messages, %" PRIu64 " of %" PRIu64
           " questions of look-ups without an answer; digest %016" PRIx64 "\n",
           plan->hours, world->events, world->messages, world->unanswered, world->questions,
           world->digest);
    nodes_print(world);
    tally_print("records told again every hour", &world->soon);
    tally_print("records told again late", &world->late);
    tally_print("records under attack", &world->victim);
    curve_print(world);
}
