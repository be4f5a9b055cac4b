/* What a DHT node answers: one request in, at most one answer out. It reads the table, the store of
 * providers, the records and the address book, and changes them as far as the request may. Pure.
 *
 * An answer fits into HAUL_KAD_SENT_BYTES_MAX: peers get fewer addresses before there are fewer
 * peers. The one who asks is never in it, and sees only addresses that concern it. */
#pragma once

#include "controlplane/p2p/address_book.h"
#include "controlplane/p2p/kad/message.h"
#include "controlplane/p2p/kad/providers.h"
#include "controlplane/p2p/kad/records.h"
#include "controlplane/p2p/kad/table.h"

#define HAUL_KAD_ADDRESSES_SENT_MAX 8u /* of one peer */
#define HAUL_KAD_PROVIDERS_SENT_MAX 20u
#define HAUL_KAD_ADDRESS_LIFE       (24 * 3600 * HAUL_SECOND) /* of a provider */

#define HAUL_KAD_SERVER_COUNTERS(X)                                                                \
    X(served_find_node, "requests for nodes answered")                                             \
    X(served_get_providers, "requests for providers answered")                                     \
    X(served_add_provider, "announcements of providers taken")                                     \
    X(served_values, "requests for values, and values, answered")                                  \
    X(refused_requests, "requests refused: malformed, too large or in no namespace of ours")       \
    X(refused_providers, "announcements for somebody else, or without an address")

struct haul_kad_server_counters {
#define X(name, help) uint64_t name;
    HAUL_KAD_SERVER_COUNTERS(X)
#undef X
};

struct haul_kad_server {
    struct haul_kad_table *table;
    struct haul_kad_providers *providers;
    struct haul_kad_records *records;
    struct haul_address_book *book;
    struct haul_peer_id own;
    enum haul_addr_scope floor; /* the narrowest scope of addresses that is spoken of */
    const uint8_t *public_key;  /* ours, as libp2p writes it; the value of /pk/ and our id */
    size_t public_key_bytes;
    struct haul_kad_server_counters counters;
};

/* Who asks: authenticated, and where we see it. */
struct haul_kad_asker {
    struct haul_peer_id id;
    struct haul_kad_key key;
    enum haul_addr_scope scope;
    uint32_t network; /* haul_address_group of where we see it */
};

enum haul_kad_verdict {
    HAUL_KAD_ANSWER,  /* `out` holds it */
    HAUL_KAD_SILENCE, /* nothing is to be answered (ADD_PROVIDER) */
    HAUL_KAD_REFUSAL, /* the stream is to be reset */
};

/* `out` begins empty and has room for HAUL_KAD_SENT_BYTES_MAX. */
enum haul_kad_verdict haul_kad_serve(struct haul_kad_server *server,
                                     const struct haul_kad_asker *asker, const uint8_t *request,
                                     size_t request_bytes, haul_time now, struct haul_out *out);
