/* The node in the DHT: joins through bootstrap addresses, keeps its routing table, answers when it
 * is a server, finds peers and providers, and announces what it was told to announce, again and
 * again. Nothing is announced and nobody is called without configuration. Control thread only.
 *
 * It is opened before the host, whose list of protocols names its streams, and started with it. */
#pragma once

#include "common/cid.h"
#include "controlplane/behaviours/kad.h"
#include "controlplane/p2p/kad/lookup.h"

#define HAUL_DHT_BOOTSTRAP_MAX 32u
#define HAUL_DHT_QUERIES_MAX   64u
#define HAUL_DHT_ANNOUNCED_MAX (1u << 18)
#define HAUL_DHT_FOUND_MAX     32u /* providers that one search tells */

struct haul_dht;

struct haul_dht_conf {
    struct haul_loop *loop;
    const struct haul_key *key; /* borrowed, as all below until haul_dht_open returns */
    bool server;                /* from the start */
    enum haul_addr_scope floor; /* LOOPBACK: every address is spoken of; PUBLIC: public ones */
    struct haul_kad_table_limits limits;
    struct haul_kad_lookup_conf lookup;
    const struct haul_multiaddr *bootstrap; /* /dnsaddr and /dns names are resolved */
    size_t bootstrap_count;
    const char *dns_servers; /* "192.0.2.1:53, ..."; NULL or "": those of the system */
    haul_time republish;
    haul_time tick; /* between two turns of its upkeep; 0: a second */
    void *context;
    /* Is a connection that carries no stream needed all the same? May be NULL. */
    bool (*needed)(void *context, uint64_t connection);
};

#define HAUL_DHT_COUNTERS(X)                                                                       \
    X(lookups, "look-ups begun")                                                                   \
    X(lookups_late, "look-ups that ran out of time")                                               \
    X(lookups_refused, "look-ups refused because too many ran")                                    \
    X(dials, "peers dialled for the DHT")                                                          \
    X(dials_failed, "of which could not be reached")                                               \
    X(bootstraps, "times the bootstrap addresses were called")                                     \
    X(announced, "keys announced to at least one peer")                                            \
    X(announce_failed, "keys that no peer took")                                                   \
    X(announce_lookups, "look-ups for announcing")                                                 \
    X(announce_streams, "streams that announced keys to a peer")                                   \
    X(values_told, "peers told a value")                                                           \
    X(values_taken, "of which took it")                                                            \
    X(values_invalid, "values heard that belong to no such key, are forged or over")               \
    X(connections_released, "connections closed because the DHT needed them no more")

struct haul_dht_counters {
#define X(name, help) uint64_t name;
    HAUL_DHT_COUNTERS(X)
#undef X
};

HAUL_MUST_USE int haul_dht_open(struct haul_dht **dht, const struct haul_dht_conf *conf,
                                struct haul_error *error);
void haul_dht_start(struct haul_dht *dht, struct haul_host *host);
void haul_dht_stop(struct haul_dht *dht);  /* before the host closes: cancels everything */
void haul_dht_close(struct haul_dht *dht); /* after it has; NULL is welcome to both */

/* The service beside haul_kad_behaviour. */
struct haul_kad *haul_dht_kad(const struct haul_dht *dht);

/* Whether it answers, and from now on does or does not; peers hear of it with the next push. */
bool haul_dht_serves(const struct haul_dht *dht);
void haul_dht_serve(struct haul_dht *dht, bool serve);

const struct haul_dht_counters *haul_dht_counters(const struct haul_dht *dht);
const struct haul_kad_server *haul_dht_server(const struct haul_dht *dht); /* with its parts */
size_t haul_dht_announced_count(const struct haul_dht *dht);

/* --- searching --- */

enum haul_dht_kind {
    HAUL_DHT_NEAREST,   /* the peers nearest to a key */
    HAUL_DHT_PEER,      /* one peer: its id is the key */
    HAUL_DHT_PROVIDERS, /* who has it: the key is a multihash */
    HAUL_DHT_VALUE,     /* what peers hold under the key: see below */
};

struct haul_dht_result {
    const struct haul_kad_lookup *lookup;
    uint32_t found;
    uint32_t hops; /* to the first that was found; of the deepest answer when nothing was */
    haul_time took;
};

struct haul_dht_search {
    enum haul_dht_kind kind;
    const uint8_t *key; /* copied */
    size_t key_bytes;
    uint32_t found_max; /* ends when so many were found; 0: HAUL_DHT_FOUND_MAX */
    haul_time timeout;  /* 0: that of a look-up */
    void *context;

    /* Somebody who was looked for, each once; with where it is. May be NULL. Never called from
     * inside haul_dht_search. */
    void (*found)(void *context, const struct haul_peer_id *peer,
                  const struct haul_multiaddr *addresses, size_t count);
    /* VALUE: what a peer holds, NULL for nothing; true when that is enough. */
    bool (*heard)(void *context, const struct haul_kad_contact *from,
                  const struct haul_kad_record *record);
    void (*done)(void *context, const struct haul_dht_result *result); /* last, and once */
};

struct haul_dht_query;
HAUL_MUST_USE int haul_dht_search(struct haul_dht *dht, const struct haul_dht_search *search,
                                  struct haul_dht_query **query, struct haul_error *error);
void haul_dht_cancel(struct haul_dht_query *query); /* nothing is told any more */

/* --- values --- */

#define HAUL_DHT_QUORUM 16u /* valid answers after which the best is believed to be the best */

struct haul_dht_value_result {
    const uint8_t *value; /* the best that was found, valid inside of the call; ours when put */
    size_t value_bytes;   /* 0: nothing was found */
    bool newer;           /* put: the DHT holds a better one, or as good, and nobody was told */
    uint32_t asked, answered;
    uint32_t holders; /* of the best */
    uint32_t worse;   /* peers that hold a worse one */
    uint32_t invalid; /* records that were none */
    uint32_t told;    /* of the nearest, which did not hold the best */
    uint32_t taken;   /* put: by so many of them */
    uint32_t refused;
    haul_time took;
};

typedef void haul_dht_value_fn(void *context, const struct haul_dht_value_result *result);

struct haul_dht_value_wish {
    const uint8_t *key; /* "/pk/" or "/ipns/" and a peer id in binary; copied, as the value */
    size_t key_bytes;
    const uint8_t *value; /* to be put; NULL: to get it */
    size_t value_bytes;
    /* Instead of a value: writes the one to be put, when it is known what the best so far is (no
     * bytes: nothing was found). What is not better than that is told to nobody. May be NULL. */
    void (*make)(void *context, const uint8_t *best, size_t best_bytes, uint64_t unix_ns,
                 struct haul_out *out);
    uint32_t quorum; /* get: valid answers that are enough; 0: all there are */
    haul_time timeout;
    haul_dht_value_fn *done; /* once; a get is told before stale holders are */
    void *context;
};

/* VALUE_KEY, VALUE_INVALID and VALUE_OLD for what need not be asked. */
struct haul_dht_value;
HAUL_MUST_USE int haul_dht_value_begin(struct haul_dht *dht, const struct haul_dht_value_wish *wish,
                                       struct haul_dht_value **value, struct haul_error *error);
void haul_dht_value_cancel(struct haul_dht_value *value); /* before it is done */

/* --- announcing --- */

/* From now on, or no more; announced again before it runs out. LIMIT beyond
 * HAUL_DHT_ANNOUNCED_MAX. */
HAUL_MUST_USE int haul_dht_announce(struct haul_dht *dht, const struct haul_hash *hash,
                                    struct haul_error *error);
void haul_dht_withdraw(struct haul_dht *dht, const struct haul_hash *hash);

/* Announces once and says how many peers took each; `taken` is borrowed. Keys are copied. */
struct haul_dht_run;
typedef void haul_dht_run_fn(void *context, const uint16_t *taken, size_t count);
HAUL_MUST_USE int haul_dht_provide(struct haul_dht *dht, const struct haul_hash *hashes,
                                   size_t count, haul_dht_run_fn *done, void *context,
                                   struct haul_dht_run **run, struct haul_error *error);
void haul_dht_run_cancel(struct haul_dht_run *run);
