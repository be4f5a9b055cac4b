/* Inside of the DHT of a node, from the top: dht.c opens it, dht_upkeep.c joins and stays,
 * dht_provide.c announces, dht_value.c puts and gets values, dht_query.c searches, dht_ask.c
 * reaches one peer, dht_lease.c keeps the connections few. For these files only. */
#pragma once

#include "common/counters.h"
#include "controlplane/dht/dht.h"
#include "controlplane/dht/names.h"
#include "controlplane/host/loop.h"
#include "controlplane/p2p/kad/choice.h"
#include "controlplane/p2p/kad/sweep.h"

#include <sys/queue.h>

#define HAUL_DHT_TABLE_ENTRIES    512u
#define HAUL_DHT_PROVIDER_ENTRIES (1u << 16)
#define HAUL_DHT_PROVIDER_CHAINS  (1u << 14)
#define HAUL_DHT_BOOK_ENTRIES     4096u
#define HAUL_DHT_BOOK_CHAINS      1024u
#define HAUL_DHT_RECORDS          128u
#define HAUL_DHT_HEARD_LIFE       (1800 * HAUL_SECOND) /* of addresses that others told */
#define HAUL_DHT_TOLD_LIFE        (7200 * HAUL_SECOND) /* that the peer told itself */
#define HAUL_DHT_LEASES_MAX       1024u
#define HAUL_DHT_DIALS_MAX        24u /* at once; the host keeps room for those who call us */

/* One thing said to one peer: dialled if need be, sent, answered. */
struct haul_dht_ask {
    struct haul_dht *dht;
    struct haul_kad_contact contact;
    uint64_t connection;
    uint8_t *frames; /* owned */
    size_t bytes;
    bool answered; /* an answer is waited for */
    bool dropped;  /* whoever asked is gone: not worth a dial */
    /* Once: the answer or NULL; `sent` as haul_kad_answer_fn. NULL when nobody is interested. */
    void (*done)(void *context, struct haul_dht_ask *ask, const struct haul_kad_message *answer,
                 bool sent);
    void *context;
    LIST_ENTRY(haul_dht_ask) link;  /* the asker's */
    TAILQ_ENTRY(haul_dht_ask) wait; /* until it is dialled for */
};

/* A search. It waits unseeded while the table knows nobody. */
struct haul_dht_query {
    struct haul_dht *dht;
    struct haul_dht_search search;
    uint8_t key[HAUL_KAD_KEY_TEXT_BYTES_MAX];
    struct haul_timer *timer;
    haul_time began;
    bool seeded, over, enough;
    uint32_t hops;
    LIST_HEAD(, haul_dht_ask) asks;
    LIST_ENTRY(haul_dht_query) link;
    uint32_t found_count, told_count;
    struct haul_peer_id found[HAUL_DHT_FOUND_MAX];
    struct haul_kad_lookup lookup;
};

/* A connection that the DHT has opened. */
struct haul_dht_lease {
    uint64_t connection;
    haul_time used;
};

/* One key to be announced again and again. */
struct haul_dht_announced {
    struct haul_hash hash;
    haul_time due;
};

struct haul_dht_bootstrap {
    struct haul_dht *dht;
    struct haul_multiaddr address;
};

LIST_HEAD(haul_dht_queries, haul_dht_query);
LIST_HEAD(haul_dht_runs, haul_dht_run);
LIST_HEAD(haul_dht_values, haul_dht_value);

struct haul_dht {
    struct haul_dht_conf conf;
    struct haul_host *host; /* between start and stop */
    struct haul_kad *kad;
    struct haul_names *names;
    struct haul_timer *timer;
    struct haul_peer_id own;
    struct haul_kad_key own_key;
    uint8_t public_key[HAUL_KEY_PUBLIC_BYTES];
    struct haul_kad_table table;
    struct haul_kad_providers providers;
    struct haul_kad_records records;
    struct haul_address_book book;
    struct haul_kad_server server;
    void *memory[7]; /* of the above */

    struct haul_dht_bootstrap bootstrap[HAUL_DHT_BOOTSTRAP_MAX];
    size_t bootstrap_count;
    haul_time bootstrap_at;
    haul_time bootstrap_pause;
    haul_time joined_at; /* of the last look-up for ourselves; 0: none yet */
    struct haul_dht_query *refresh;
    haul_time connections_at;

    struct haul_dht_queries queries;
    uint32_t query_count;
    struct haul_dht_runs runs;
    struct haul_dht_values values;
    struct haul_dht_lease leases[HAUL_DHT_LEASES_MAX];
    size_t lease_count;

    struct haul_dht_announced *announced; /* sorted by hash */
    size_t announced_count, announced_room;
    haul_time announce_at; /* the earliest that is due */
    struct haul_dht_run *announcing;
    struct haul_hash *announcing_hashes;
    size_t announcing_count;
    TAILQ_HEAD(, haul_dht_ask) waiting; /* for a dial */
    struct haul_timer *dial_timer;
    uint32_t dialling;
    bool pumping;
    uint64_t seed; /* of the names of regions */
    struct haul_dht_counters counters;
};

static inline haul_time haul_dht_now(const struct haul_dht *dht)
{
    return haul_loop_now(dht->conf.loop);
}

/* --- dht_lease.c --- */

/* A connection was used: one that was `opened` for the DHT is kept for a while, and others are not
 * its business. */
void haul_dht_lease(struct haul_dht *dht, uint64_t connection, bool opened);
/* Closes those that nobody needs. */
void haul_dht_release(struct haul_dht *dht);

/* --- dht_ask.c --- */

/* Takes `frames` (malloc'ed) over, also when it fails with NULL. `done` never comes from inside. */
struct haul_dht_ask *haul_dht_ask(struct haul_dht *dht, const struct haul_kad_contact *contact,
                                  uint8_t *frames, size_t bytes, bool answered);

/* Begins dials as far as there is room. */
void haul_dht_dials_pump(struct haul_dht *dht);

/* A framed request about a key, with a record where one is given; NULL without memory. */
uint8_t *haul_dht_request(enum haul_kad_type type, const void *key, size_t key_bytes,
                          const struct haul_kad_record *record, size_t *bytes);

/* Learns from a list of an answer: who was named, with addresses that concern us, as contacts. */
size_t haul_dht_heard(struct haul_dht *dht, uint64_t connection,
                      const struct haul_kad_message *answer, enum haul_kad_list list,
                      struct haul_kad_contact *contacts, size_t capacity);

/* Where we see the other end of a connection. */
enum haul_addr_scope haul_dht_scope(const struct haul_dht *dht, uint64_t connection);

/* --- dht_value.c --- */

void haul_dht_values_free(struct haul_dht *dht);

/* --- dht_query.c --- */

void haul_dht_queries_cancel(struct haul_dht *dht);
void haul_dht_queries_free(struct haul_dht *dht); /* nothing runs any more */

/* --- dht_upkeep.c --- */

void haul_dht_identified(void *context, uint64_t connection, const struct haul_identified *told,
                         bool serves);
void haul_dht_tick(void *context);

/* --- dht_provide.c --- */

void haul_dht_announce_due(struct haul_dht *dht);
