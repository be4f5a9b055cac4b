/* One node's look-up, question by question. */
#include "tests/sim/dht/world.h"

#include <stdlib.h>
#include <string.h>

#define DIAL_TIMEOUT (5 * HAUL_SECOND)
#define ROUND_TRIPS  3u /* to connect, to prove oneself and to ask, as haul does it */

static uint32_t index_of(const struct haul_peer_id *id)
{
    uint32_t index;

    memcpy(&index, id->bytes + 6, sizeof index);
    return index;
}

static uint32_t generation_of(const struct haul_peer_id *id)
{
    uint32_t generation;

    memcpy(&generation, id->bytes + 10, sizeof generation);
    return generation;
}

static haul_time one_way(struct dht_world *world, uint32_t a, uint32_t b)
{
    return (world->nodes[a].delay_us + world->nodes[b].delay_us +
            haul_rng_below(&world->rng, 10000)) *
           HAUL_MICROSECOND;
}

static struct dht_search *search_take(struct dht_world *world, uint32_t *index)
{
    if (world->search_free_count == 0) {
        uint32_t old = world->search_room;

        world->search_room = old == 0 ? 1024 : old * 2;
        world->searches = realloc(world->searches, world->search_room * sizeof *world->searches);
        world->search_free =
            realloc(world->search_free, world->search_room * sizeof *world->search_free);
        haul_assert(world->searches != NULL && world->search_free != NULL);
        for (uint32_t i = world->search_room; i-- > old;) {
            world->searches[i] = calloc(1, sizeof **world->searches);
            haul_assert(world->searches[i] != NULL);
            world->search_free[world->search_free_count++] = i;
        }
    }
    *index = world->search_free[--world->search_free_count];
    return world->searches[*index];
}

static struct dht_message *message_take(struct dht_world *world, uint32_t *index)
{
    if (world->pool_free_count == 0) {
        uint32_t old = world->pool_room;

        world->pool_room = old == 0 ? 4096 : old * 2;
        world->pool = realloc(world->pool, world->pool_room * sizeof *world->pool);
        world->pool_free = realloc(world->pool_free, world->pool_room * sizeof *world->pool_free);
        haul_assert(world->pool != NULL && world->pool_free != NULL);
        for (uint32_t i = world->pool_room; i-- > old;) {
            world->pool[i] = calloc(1, sizeof **world->pool);
            haul_assert(world->pool[i] != NULL);
            world->pool_free[world->pool_free_count++] = i;
        }
    }
    *index = world->pool_free[--world->pool_free_count];
    return world->pool[*index];
}

static bool answers(struct dht_world *world, uint32_t node, uint32_t generation)
{
    const struct dht_node *asked = &world->nodes[node];

    return asked->alive && !asked->silent && asked->generation == generation &&
           (!asked->flaky || haul_rng_below(&world->rng, 2) == 0) &&
           !haul_rng_chance(&world->rng, world->plan.loss_ppm);
}

static void question_send(struct dht_world *world, uint32_t index,
                          const struct haul_kad_contact *contact)
{
    struct dht_search *search = world->searches[index];
    uint32_t at;
    struct dht_message *message = message_take(world, &at);
    haul_time way;

    message->search = index;
    message->serial = search->serial;
    message->from = search->node;
    message->to = index_of(&contact->id);
    message->to_generation = generation_of(&contact->id);
    message->answered = message->found = false;
    message->count = 1;
    message->contacts[0] = *contact;
    search->messages++;
    world->messages++;
    world->questions++;
    way = one_way(world, message->from, message->to);
    if (answers(world, message->to, message->to_generation))
        dht_world_at(world, world->now + (2 * ROUND_TRIPS - 1) * way, DHT_EVENT_ARRIVE, at);
    else
        dht_world_at(world, world->now + DIAL_TIMEOUT, DHT_EVENT_LATE, at);
}

static uint32_t millis(haul_time span)
{
    return (uint32_t)(span / HAUL_MILLISECOND);
}

static void tally(struct dht_world *world, const struct dht_search *search, bool found,
                  unsigned hops)
{
    const struct dht_record *record = &world->records[search->record];
    struct dht_tally *kind = record->victim ? &world->victim
                             : record->late ? &world->late
                                            : &world->soon;
    haul_time age = haul_time_since(record->told, world->now) / DHT_HOUR;

    age = age < DHT_AGES ? age : DHT_AGES - 1;
    kind->by_age[age]++;
    kind->count++;
    if (!found)
        return;
    kind->found_by_age[age]++;
    kind->millis[kind->found] = millis(world->now - search->began);
    kind->messages[kind->found] = search->messages;
    kind->found++;
    kind->hops[hops < 31 ? hops : 31]++;
}

/* ADD_PROVIDER to the nearest: a message each, and no answer. */
static void provide(struct dht_world *world, const struct dht_search *search)
{
    struct dht_record *record = &world->records[search->record];
    struct haul_kad_contact nearest[HAUL_KAD_K];
    size_t count = haul_kad_lookup_closest(&search->lookup, nearest, HAUL_KAD_K);
    const struct haul_peer_id *owner = &world->nodes[search->node].self.id;

    for (size_t i = 0; i < count; i++) {
        struct dht_node *node = &world->nodes[index_of(&nearest[i].id)];

        world->messages++;
        if (!answers(world, index_of(&nearest[i].id), generation_of(&nearest[i].id)) || node->sybil)
            continue;
        if (node->providers == NULL) {
            struct dht_store *store = calloc(1, sizeof *store);

            haul_assert(store != NULL);
            haul_kad_providers_init(&store->providers, &node->self.key, store->entries,
                                    DHT_PROVIDER_ENTRIES, store->chains, DHT_PROVIDER_CHAINS);
            node->providers = &store->providers;
        }
        (void)haul_kad_providers_add(node->providers, &record->key, owner, world->now,
                                     HAUL_KAD_PROVIDER_LIFE);
    }
    record->told = world->now;
}

static void search_end(struct dht_world *world, uint32_t index, bool found, unsigned hops)
{
    struct dht_search *search = world->searches[index];
    struct dht_node *node = &world->nodes[search->node];

    if (node->alive && node->generation == search->generation) {
        haul_kad_table_looked(&node->table, &search->lookup.target, world->now);
        if (search->purpose == DHT_PROVIDE)
            provide(world, search);
        else if (search->purpose == DHT_FIND)
            tally(world, search, found, hops);
    } else if (search->purpose == DHT_FIND) {
        /* Who asked is gone, and nobody learns what it came to: somebody else asks instead. */
        dht_world_at(world, world->now, DHT_EVENT_FIND, search->number);
    }
    search->used = false;
    search->serial++;
    world->search_free[world->search_free_count++] = index;
}

/* Asks on; ends when it has ended. */
static void search_go(struct dht_world *world, uint32_t index)
{
    struct dht_search *search = world->searches[index];
    struct haul_kad_contact contact;
    haul_time deadline;

    while (haul_kad_lookup_next(&search->lookup, world->now, &contact))
        question_send(world, index, &contact);
    if (haul_kad_lookup_done(&search->lookup)) {
        search_end(world, index, false, 0);
        return;
    }
    /* One tick under way is enough; an early one does no harm. */
    deadline = haul_kad_lookup_deadline(&search->lookup);
    if (search->tick_at <= world->now || deadline < search->tick_at) {
        search->tick_at = deadline;
        dht_world_at(world, deadline, DHT_EVENT_TICK, index);
    }
}

void dht_search_begin(struct dht_world *world, uint32_t node, enum dht_purpose purpose,
                      const struct haul_kad_key *target, uint32_t record, uint32_t number)
{
    const struct haul_kad_lookup_conf conf = {
        .want = HAUL_KAD_K,
        .alpha = world->plan.alpha,
        .paths = world->plan.paths,
        .group_max = world->plan.group_max,
        .group_near_max = world->plan.group_near_max,
        .asked_max = haul_kad_lookup_default.asked_max,
        .patience = haul_kad_lookup_default.patience,
        .duration = haul_kad_lookup_default.duration,
    };
    const struct haul_kad_entry *closest[HAUL_KAD_K];
    uint32_t index;
    struct dht_search *search = search_take(world, &index);
    size_t count =
        haul_kad_table_closest(&world->nodes[node].table, target, NULL, closest, HAUL_KAD_K);

    search->used = true;
    search->purpose = purpose;
    search->node = node;
    search->generation = world->nodes[node].generation;
    search->record = record;
    search->number = number;
    search->messages = 0;
    search->began = world->now;
    search->tick_at = 0;
    haul_kad_lookup_init(&search->lookup, target, &conf, world->now);
    for (size_t i = 0; i < count; i++)
        haul_kad_lookup_seed(&search->lookup, &closest[i]->contact);
    search_go(world, index);
}

void dht_search_tick(struct dht_world *world, uint32_t index)
{
    struct dht_search *search = world->searches[index];

    const struct dht_node *node = &world->nodes[search->node];

    if (!search->used || search->tick_at > world->now)
        return;
    if (!node->alive || node->generation != search->generation) {
        search_end(world, index, false, 0);
        return;
    }
    haul_kad_lookup_tick(&search->lookup, world->now);
    search_go(world, index);
}

/* --- answering --- */

/* A sybil names its accomplices that lie nearest to what is looked for. */
static void sybil_answer(struct dht_world *world, struct dht_message *message,
                         const struct haul_kad_key *target)
{
    message->count = 0;
    for (uint32_t i = world->plan.nodes; i < world->node_count; i++) {
        const struct haul_kad_contact *contact = &world->nodes[i].self;
        size_t at = haul_kad_place_of(target, message->contacts, message->count, &contact->key);

        if (at == HAUL_KAD_K)
            continue;
        if (message->count < HAUL_KAD_K)
            message->count++;
        memmove(&message->contacts[at + 1], &message->contacts[at],
                (message->count - 1u - at) * sizeof message->contacts[0]);
        message->contacts[at] = *contact;
    }
}

/* Who asks is worth knowing when it answers itself: asking it back is a message more. */
static void meet(struct dht_world *world, struct dht_node *node, uint32_t other)
{
    const struct dht_node *asker = &world->nodes[other];

    if (!haul_kad_table_wants(&node->table, &asker->self))
        return;
    world->messages++;
    if (answers(world, other, asker->generation))
        (void)haul_kad_table_answered(&node->table, &asker->self, world->now);
}

void dht_message_arrive(struct dht_world *world, uint32_t index)
{
    struct dht_message *message = world->pool[index];
    const struct dht_search *search = world->searches[message->search];
    struct dht_node *node = &world->nodes[message->to];
    const struct haul_kad_entry *closest[HAUL_KAD_K];
    const struct haul_kad_key *target = &search->lookup.target;
    struct haul_peer_id provider;
    size_t count;

    if (!node->alive || node->generation != message->to_generation) {
        dht_world_at(world, world->now + DIAL_TIMEOUT, DHT_EVENT_LATE, index);
        return;
    }
    if (!search->used || search->serial != message->serial) {
        world->pool_free[world->pool_free_count++] = index; /* nobody waits any more */
        return;
    }
    world->messages++;
    message->answered = true;
    if (node->sybil) {
        sybil_answer(world, message, target);
    } else {
        count = haul_kad_table_closest(&node->table, target, &world->nodes[message->from].self.key,
                                       closest, HAUL_KAD_K);
        for (size_t i = 0; i < count; i++)
            message->contacts[i] = closest[i]->contact;
        message->count = (uint8_t)count;
        message->found =
            search->purpose == DHT_FIND && node->providers != NULL &&
            haul_kad_providers_get(node->providers, target, world->now, &provider, 1) > 0;
        meet(world, node, message->from);
    }
    dht_world_at(world, world->now + one_way(world, message->from, message->to), DHT_EVENT_RETURN,
                 index);
}

static bool belongs(struct dht_world *world, const struct dht_message *message)
{
    const struct dht_search *search = world->searches[message->search];
    const struct dht_node *node = &world->nodes[message->from];

    return search->used && search->serial == message->serial && node->alive &&
           node->generation == search->generation;
}

void dht_message_return(struct dht_world *world, uint32_t index)
{
    struct dht_message *message = world->pool[index];
    struct dht_search *search = world->searches[message->search];
    struct haul_kad_contact heard[HAUL_KAD_K];
    const struct haul_kad_contact *from = &world->nodes[message->to].self;
    struct dht_node *node = &world->nodes[message->from];
    size_t count = 0;

    if (belongs(world, message)) {
        for (size_t i = 0; i < message->count; i++) {
            if (!haul_kad_key_equal(&message->contacts[i].key, &node->self.key))
                heard[count++] = message->contacts[i];
        }
        (void)haul_kad_table_answered(&node->table, from, world->now);
        haul_kad_lookup_answered(&search->lookup, &from->key, heard, count);
        if (message->found)
            search_end(world, message->search, true,
                       haul_kad_lookup_hops(&search->lookup, &from->key));
        else
            search_go(world, message->search);
    } else if (search->used && search->serial == message->serial) {
        search_end(world, message->search, false, 0); /* who asked is gone */
    }
    world->pool_free[world->pool_free_count++] = index;
}

void dht_message_late(struct dht_world *world, uint32_t index)
{
    struct dht_message *message = world->pool[index];
    struct dht_search *search = world->searches[message->search];
    const struct haul_kad_key *key = &message->contacts[0].key;

    world->unanswered++;
    if (belongs(world, message)) {
        haul_kad_table_failed(&world->nodes[message->from].table, key);
        haul_kad_lookup_failed(&search->lookup, key);
        search_go(world, message->search);
    } else if (search->used && search->serial == message->serial) {
        search_end(world, message->search, false, 0);
    }
    world->pool_free[world->pool_free_count++] = index;
}

/* The contact that was silent for longest is asked whether it lives. */
void dht_check(struct dht_world *world, uint32_t index)
{
    struct dht_node *node = &world->nodes[index];
    const struct haul_kad_entry *entry =
        haul_kad_table_check(&node->table, world->now, 1200 * HAUL_SECOND, 60 * HAUL_SECOND);
    struct haul_kad_contact contact;

    if (entry == NULL)
        return;
    contact = entry->contact;
    world->messages += 2;
    if (answers(world, index_of(&contact.id), generation_of(&contact.id)))
        (void)haul_kad_table_answered(&node->table, &contact, world->now);
    else
        haul_kad_table_failed(&node->table, &contact.key);
}
