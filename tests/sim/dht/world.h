/* A simulated DHT: thousands of nodes in one thread, each with the routing table, the provider
 * store and the look-ups of the real node (controlplane/p2p/kad), between them a network with
 * delays, losses, peers that never answer and peers that leave for good. One seed is one run;
 * integers only. What is left out are bytes: messages are handed over as what they say. */
#pragma once

#include "common/rng.h"
#include "controlplane/p2p/kad/lookup.h"
#include "controlplane/p2p/kad/providers.h"
#include "controlplane/p2p/kad/table.h"
#include "tests/sim/heap.h"

#define DHT_TABLE_ENTRIES    256u
#define DHT_PROVIDER_ENTRIES 96u
#define DHT_PROVIDER_CHAINS  32u
#define DHT_HOUR             (3600 * HAUL_SECOND)
#define DHT_NOBODY           UINT32_MAX
#define DHT_AGES             24u /* hours since the record was last told */

struct dht_plan {
    uint64_t seed;
    uint32_t nodes;
    uint32_t records;         /* of each of the two kinds */
    uint32_t lookups;         /* of each kind, all of them made, behind the first two hours */
    uint32_t hours;           /* behind the time in which the network grows */
    uint32_t churn_ppm;       /* of the nodes leave in an hour, and as many come */
    uint32_t silent_ppm;      /* of the nodes never answer (behind a NAT) but ask */
    uint32_t flaky_ppm;       /* of the nodes answer every second time */
    uint32_t loss_ppm;        /* of the questions */
    haul_time republish;      /* of the first kind of record */
    haul_time republish_late; /* of the second */
    haul_time refresh;        /* one region of every node each so often */
    uint8_t paths, alpha, group_max, group_near_max;
    struct haul_kad_table_limits limits;
    /* An attack on the keys of some records: peers that lie nearest to them, lead everybody to each
     * other, and forget what they are told. */
    uint32_t sybils;       /* a victim key; 0: none */
    uint32_t sybil_groups; /* networks they have addresses in */
    uint32_t victims;      /* records that are attacked */
};

/* Of records, each with its own look-ups: told often, told late, and attacked. */
#define DHT_KINDS(plan) ((plan)->victims > 0 ? 3u : 2u)

struct dht_node {
    struct haul_kad_contact self;
    bool alive, silent, flaky, stays, sybil;
    uint32_t generation, delay_us;
    struct haul_kad_table table;
    struct haul_kad_providers *providers; /* NULL: never told anything */
    struct haul_kad_entry entries[DHT_TABLE_ENTRIES];
};

struct dht_store {
    struct haul_kad_providers providers;
    struct haul_kad_provider entries[DHT_PROVIDER_ENTRIES];
    uint32_t chains[DHT_PROVIDER_CHAINS];
};

struct dht_record {
    struct haul_kad_key key;
    uint32_t owner;
    bool late;      /* of the second kind */
    bool victim;    /* attacked */
    haul_time told; /* last; 0: never */
};

enum dht_purpose { DHT_JOIN, DHT_REFRESH, DHT_PROVIDE, DHT_FIND };

struct dht_search {
    bool used;
    enum dht_purpose purpose;
    uint32_t node, generation, record, number, serial; /* number: of the look-up, of DHT_FIND */
    uint32_t messages;
    haul_time began, tick_at;
    struct haul_kad_lookup lookup;
};

/* A question under way, then its answer. */
struct dht_message {
    uint32_t search, serial, from, to;
    uint32_t to_generation;
    bool answered, found;
    uint8_t count;
    struct haul_kad_contact contacts[HAUL_KAD_K];
};

/* What a kind of look-up came to. */
struct dht_tally {
    uint32_t count, found;
    uint32_t *millis, *messages; /* of those that found, `found` of them */
    uint32_t hops[32];
    uint32_t by_age[DHT_AGES], found_by_age[DHT_AGES];
};

struct dht_world {
    struct dht_plan plan;
    struct haul_rng rng;
    struct sim_heap heap;
    haul_time now;
    uint64_t digest, events, messages, questions, unanswered;
    struct dht_node *nodes;
    uint32_t node_count; /* sybils included */
    struct dht_record *records;
    uint32_t record_count;
    struct dht_search **searches;
    uint32_t search_room;
    struct dht_message **pool;
    uint32_t pool_room, *pool_free, pool_free_count;
    uint32_t *search_free, search_free_count;
    uint32_t born, died;
    struct dht_tally soon, late, victim;
};

bool dht_world_run(struct dht_world *world, const struct dht_plan *plan);
void dht_world_fini(struct dht_world *world);

/* world.c, for node.c */
void dht_world_at(struct dht_world *world, haul_time at, uint32_t kind, uint32_t index);
uint32_t dht_world_anybody(struct dht_world *world); /* a node that lives and is no sybil */

/* search.c */
void dht_search_begin(struct dht_world *world, uint32_t node, enum dht_purpose purpose,
                      const struct haul_kad_key *target, uint32_t record, uint32_t number);
void dht_search_tick(struct dht_world *world, uint32_t search);
void dht_message_arrive(struct dht_world *world, uint32_t message);
void dht_message_return(struct dht_world *world, uint32_t message);
void dht_message_late(struct dht_world *world, uint32_t message);
void dht_check(struct dht_world *world, uint32_t node);

enum dht_event {
    DHT_EVENT_TICK,   /* search */
    DHT_EVENT_ARRIVE, /* message */
    DHT_EVENT_RETURN,
    DHT_EVENT_LATE,
    DHT_EVENT_BIRTH,   /* node */
    DHT_EVENT_DEATH,   /* node */
    DHT_EVENT_REFRESH, /* node */
    DHT_EVENT_CHECK,   /* node */
    DHT_EVENT_PUBLISH, /* record */
    DHT_EVENT_FIND,    /* number of a look-up */
    DHT_EVENT_MINUTE,
};

/* report.c */
void dht_report(struct dht_world *world);
uint32_t dht_percentile(uint32_t *values, uint32_t count, uint32_t permille);
