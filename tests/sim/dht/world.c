/* Births, deaths, and what every node does from time to time. */
#include "tests/sim/dht/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROW_SECONDS 1800u /* in which the first nodes come one by one */
#define CHECK_EVERY  (60 * HAUL_SECOND)
#define BOOTSTRAPS   3u
#define GROUPS       4096u /* networks of honest nodes */
#define MINUTE       (60 * HAUL_SECOND)
#define SYBIL_BITS   24u /* that a sybil's key shares with its victim */
#define DELAY_LEAST  5000u
#define DELAY_SPREAD 70000u

void dht_world_at(struct dht_world *world, haul_time at, uint32_t kind, uint32_t index)
{
    sim_heap_push(&world->heap, at, kind, index);
}

static haul_time grown(const struct dht_world *world)
{
    (void)world;
    return GROW_SECONDS * HAUL_SECOND;
}

uint32_t dht_world_anybody(struct dht_world *world)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        uint32_t index = (uint32_t)haul_rng_below(&world->rng, world->plan.nodes);

        if (world->nodes[index].alive && !world->nodes[index].silent)
            return index;
    }
    return DHT_NOBODY;
}

/* The id says who it is; its key is what the DHT makes of it. */
static void name(struct dht_world *world, uint32_t index)
{
    struct dht_node *node = &world->nodes[index];
    struct haul_peer_id id = { .length = 38, .bytes = { 0x00, 0x24, 0x08, 0x01, 0x12, 0x20 } };

    node->generation++;
    memcpy(id.bytes + 6, &index, sizeof index);
    memcpy(id.bytes + 10, &node->generation, sizeof node->generation);
    haul_rng_fill(&world->rng, id.bytes + 14, 24);
    haul_kad_contact_of(&id, 1 + (uint32_t)haul_rng_below(&world->rng, GROUPS), &node->self);
    haul_kad_table_init(&node->table, &node->self.key, node->entries, DHT_TABLE_ENTRIES,
                        &world->plan.limits);
}

static void join(struct dht_world *world, uint32_t index)
{
    struct dht_node *node = &world->nodes[index];

    for (unsigned i = 0; i < BOOTSTRAPS; i++) {
        uint32_t other = dht_world_anybody(world);

        if (other == DHT_NOBODY || other == index)
            continue;
        world->messages += 2;
        (void)haul_kad_table_answered(&node->table, &world->nodes[other].self, world->now);
    }
    dht_search_begin(world, index, DHT_JOIN, &node->self.key, 0, 0);
}

static void birth(struct dht_world *world, uint32_t index)
{
    struct dht_node *node = &world->nodes[index];

    name(world, index);
    node->silent = !node->stays && haul_rng_chance(&world->rng, world->plan.silent_ppm);
    node->flaky = !node->stays && haul_rng_chance(&world->rng, world->plan.flaky_ppm);
    node->delay_us = DELAY_LEAST + (uint32_t)haul_rng_below(&world->rng, DELAY_SPREAD);
    world->born++;
    join(world, index);
    node->alive = true;
    if (node->generation > 1)
        return; /* it goes on in the rhythm of its predecessor */
    dht_world_at(world, world->now + haul_rng_below(&world->rng, world->plan.refresh),
                 DHT_EVENT_REFRESH, index);
    dht_world_at(world, world->now + haul_rng_below(&world->rng, CHECK_EVERY), DHT_EVENT_CHECK,
                 index);
}

static void death(struct dht_world *world, uint32_t index)
{
    struct dht_node *node = &world->nodes[index];

    node->alive = false;
    free(node->providers); /* the store begins with it */
    node->providers = NULL;
    world->died++;
    dht_world_at(world, world->now + 1, DHT_EVENT_BIRTH, index);
}

/* So many parts in a million of a minute that an hour's worth of them leaves what is left after the
 * churn of an hour: (1 - p)^60 = 1 - churn, found by halving. */
static uint32_t per_minute(uint32_t churn_ppm)
{
    uint32_t low = 0, high = 1000000;

    while (low + 1 < high) {
        uint32_t middle = (low + high) / 2;
        uint64_t left = 1000000000;

        for (unsigned i = 0; i < 60; i++)
            left = left * (1000000 - middle) / 1000000;
        if (left > (uint64_t)(1000000 - churn_ppm) * 1000)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void minute(struct dht_world *world, uint32_t ppm)
{
    for (uint32_t i = 0; i < world->plan.nodes; i++) {
        if (world->nodes[i].alive && !world->nodes[i].stays && haul_rng_chance(&world->rng, ppm))
            dht_world_at(world, world->now + haul_rng_below(&world->rng, MINUTE), DHT_EVENT_DEATH,
                         i);
    }
    dht_world_at(world, world->now + MINUTE, DHT_EVENT_MINUTE, 0);
}

static void refresh(struct dht_world *world, uint32_t index)
{
    struct dht_node *node = &world->nodes[index];
    struct haul_kad_key target;
    int bucket = node->alive ? 0 : -1;

    if (node->alive)
        bucket = haul_kad_table_refresh(&node->table, world->now, world->plan.refresh);
    if (bucket >= 0) {
        haul_rng_fill(&world->rng, target.bytes, sizeof target.bytes);
        haul_kad_table_region(&node->table, (unsigned)bucket, &target);
        dht_search_begin(world, index, DHT_REFRESH, &target, 0, 0);
    }
    dht_world_at(world, world->now + world->plan.refresh, DHT_EVENT_REFRESH, index);
}

static void check(struct dht_world *world, uint32_t index)
{
    if (world->nodes[index].alive)
        dht_check(world, index);
    dht_world_at(world, world->now + CHECK_EVERY, DHT_EVENT_CHECK, index);
}

static void publish(struct dht_world *world, uint32_t index)
{
    const struct dht_record *record = &world->records[index];

    dht_search_begin(world, record->owner, DHT_PROVIDE, &record->key, index, 0);
    dht_world_at(world,
                 world->now + (record->late ? world->plan.republish_late : world->plan.republish),
                 DHT_EVENT_PUBLISH, index);
}

/* Look-up `number`. The kinds take turns, so that as many are made of each as the plan says. */
static void find(struct dht_world *world, uint32_t number)
{
    const struct dht_plan *plan = &world->plan;
    uint32_t kind = number % DHT_KINDS(plan);
    uint32_t of_kind = kind == 2 ? plan->victims : plan->records;
    uint32_t index = kind * plan->records + (uint32_t)haul_rng_below(&world->rng, of_kind);
    uint32_t node = dht_world_anybody(world);

    /* Nobody but the owner is there to ask, or it was never told: a little later. */
    if (node == DHT_NOBODY || node == world->records[index].owner ||
        world->records[index].told == 0) {
        dht_world_at(world, world->now + HAUL_SECOND, DHT_EVENT_FIND, number);
        return;
    }
    dht_search_begin(world, node, DHT_FIND, &world->records[index].key, index, number);
}

static void step(struct dht_world *world, const struct sim_event *event, uint32_t ppm)
{
    switch ((enum dht_event)event->kind) {
    case DHT_EVENT_TICK:
        dht_search_tick(world, event->index);
        break;
    case DHT_EVENT_ARRIVE:
        dht_message_arrive(world, event->index);
        break;
    case DHT_EVENT_RETURN:
        dht_message_return(world, event->index);
        break;
    case DHT_EVENT_LATE:
        dht_message_late(world, event->index);
        break;
    case DHT_EVENT_BIRTH:
        birth(world, event->index);
        break;
    case DHT_EVENT_DEATH:
        if (world->nodes[event->index].alive)
            death(world, event->index);
        break;
    case DHT_EVENT_REFRESH:
        refresh(world, event->index);
        break;
    case DHT_EVENT_CHECK:
        check(world, event->index);
        break;
    case DHT_EVENT_PUBLISH:
        publish(world, event->index);
        break;
    case DHT_EVENT_FIND:
        find(world, event->index);
        break;
    case DHT_EVENT_MINUTE:
        minute(world, ppm);
        break;
    }
}

/* --- setting up --- */

static void tally_init(struct dht_tally *tally, uint32_t most)
{
    tally->millis = calloc(most, sizeof *tally->millis);
    tally->messages = calloc(most, sizeof *tally->messages);
    haul_assert(tally->millis != NULL && tally->messages != NULL);
}

/* One node in a hundred stays, and owns the records: a record whose owner is gone is worth nothing,
 * found or not. */
static void records_init(struct dht_world *world)
{
    uint32_t owners = world->plan.nodes / 100 + 1;

    for (uint32_t i = 0; i < owners; i++)
        world->nodes[i].stays = true;
    for (uint32_t i = 0; i < world->record_count; i++) {
        struct dht_record *record = &world->records[i];

        haul_rng_fill(&world->rng, record->key.bytes, sizeof record->key.bytes);
        record->owner = (uint32_t)haul_rng_below(&world->rng, owners);
        record->late = i >= world->plan.records && i < 2 * world->plan.records;
        record->victim = i >= 2 * world->plan.records;
        dht_world_at(world, grown(world) + haul_rng_below(&world->rng, DHT_HOUR), DHT_EVENT_PUBLISH,
                     i);
    }
}

/* The attacker has found keys that lie nearer to the victim than anybody honest, in a few networks,
 * and is there from the beginning. */
static void sybils_init(struct dht_world *world)
{
    uint32_t index = world->plan.nodes;

    for (uint32_t victim = 0; victim < world->plan.victims; victim++) {
        const struct haul_kad_key *key = &world->records[2 * world->plan.records + victim].key;

        for (uint32_t i = 0; i < world->plan.sybils; i++, index++) {
            struct dht_node *node = &world->nodes[index];

            name(world, index);
            memcpy(node->self.key.bytes, key->bytes, SYBIL_BITS / 8);
            node->self.group = GROUPS + 1 + i % world->plan.sybil_groups;
            node->alive = node->sybil = true;
            node->delay_us = DELAY_LEAST; /* and answers before anybody else */
        }
    }
}

/* Sybils make themselves known: each asks those around it, who then may take it in. */
static void sybils_spread(struct dht_world *world)
{
    for (uint32_t i = world->plan.nodes; i < world->node_count; i++) {
        for (uint32_t j = 0; j < world->plan.nodes; j++) {
            if (world->nodes[j].alive &&
                haul_kad_table_wants(&world->nodes[j].table, &world->nodes[i].self))
                (void)haul_kad_table_answered(&world->nodes[j].table, &world->nodes[i].self,
                                              world->now);
        }
    }
}

static void agenda_init(struct dht_world *world)
{
    haul_time begin = grown(world) + 2 * DHT_HOUR;
    haul_time span = world->plan.hours * DHT_HOUR;
    uint64_t finds = DHT_KINDS(&world->plan) * (uint64_t)world->plan.lookups;

    for (uint32_t i = 0; i < world->plan.nodes; i++)
        dht_world_at(world, grown(world) * i / world->plan.nodes, DHT_EVENT_BIRTH, i);
    for (uint64_t i = 0; i < finds; i++)
        dht_world_at(world, begin + span * i / finds, DHT_EVENT_FIND, (uint32_t)i);
    dht_world_at(world, grown(world), DHT_EVENT_MINUTE, 0);
}

bool dht_world_run(struct dht_world *world, const struct dht_plan *plan)
{
    uint32_t ppm = per_minute(plan->churn_ppm);
    struct sim_event event;
    haul_time end, spread;

    memset(world, 0, sizeof *world);
    world->plan = *plan;
    world->node_count = plan->nodes + plan->sybils * plan->victims;
    world->record_count = 2 * plan->records + plan->victims;
    haul_rng_init(&world->rng, plan->seed);
    world->nodes = calloc(world->node_count, sizeof *world->nodes);
    world->records = calloc(world->record_count, sizeof *world->records);
    haul_assert(world->nodes != NULL && world->records != NULL);
    tally_init(&world->soon, plan->lookups);
    tally_init(&world->late, plan->lookups);
    tally_init(&world->victim, plan->lookups);
    records_init(world);
    sybils_init(world);
    agenda_init(world);
    end = grown(world) + (plan->hours + 2) * DHT_HOUR + 120 * HAUL_SECOND;
    spread = plan->sybils > 0 ? grown(world) / 2 : HAUL_TIME_NEVER;
    while (sim_heap_pop(&world->heap, &event) && event.at <= end) {
        world->now = event.at;
        world->events++;
        world->digest =
            (world->digest ^ event.at ^ (uint64_t)event.kind << 56 ^ event.index) * 1099511628211u;
        if (world->now >= spread) {
            sybils_spread(world);
            spread = world->now + 600 * HAUL_SECOND;
        }
        step(world, &event, ppm);
    }
    return true;
}

static void tally_fini(struct dht_tally *tally)
{
    free(tally->millis);
    free(tally->messages);
}

void dht_world_fini(struct dht_world *world)
{
    for (uint32_t i = 0; i < world->node_count; i++)
        free(world->nodes[i].providers);
    for (uint32_t i = 0; i < world->search_room; i++)
        free(world->searches[i]);
    for (uint32_t i = 0; i < world->pool_room; i++)
        free(world->pool[i]);
    free(world->searches);
    free(world->search_free);
    free(world->pool);
    free(world->pool_free);
    free(world->nodes);
    free(world->records);
    tally_fini(&world->soon);
    tally_fini(&world->late);
    tally_fini(&world->victim);
    sim_heap_fini(&world->heap);
}
