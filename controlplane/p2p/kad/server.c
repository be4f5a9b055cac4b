/* The answers. */
#include "controlplane/p2p/kad/server.h"

#include <string.h>

#define PEER_BYTES_FAIR 700u /* so that 20 peers fit beside the rest */

struct answering {
    struct haul_kad_server *server;
    const struct haul_kad_asker *asker;
    const struct haul_kad_message *request;
    haul_time now;
    struct haul_out *out;
};

/* Our addresses of a peer that the asker may know, as many as a fair share holds. */
static size_t addresses_of(const struct answering *answering, const struct haul_peer_id *peer,
                           struct haul_multiaddr *addresses)
{
    size_t count = haul_address_book_find(answering->server->book, peer, answering->now, addresses,
                                          HAUL_KAD_ADDRESSES_SENT_MAX);
    size_t bytes = 0, kept = 0;

    count =
        haul_addresses_filter(addresses, count, answering->asker->scope, answering->server->floor);
    while (kept < count && bytes + addresses[kept].length <= PEER_BYTES_FAIR)
        bytes += addresses[kept++].length;
    return kept;
}

static void write_closer(const struct answering *answering, const struct haul_kad_key *target)
{
    const struct haul_kad_entry *closest[HAUL_KAD_K];
    struct haul_multiaddr addresses[HAUL_KAD_ADDRESSES_SENT_MAX];
    size_t count = haul_kad_table_closest(answering->server->table, target, &answering->asker->key,
                                          closest, HAUL_KAD_K);

    for (size_t i = 0; i < count; i++) {
        const struct haul_peer_id *id = &closest[i]->contact.id;
        size_t known = addresses_of(answering, id, addresses);

        /* A peer that cannot be dialled is of no use. */
        if (known > 0 && !haul_kad_write_peer(answering->out, HAUL_KAD_CLOSER, id, addresses, known,
                                              HAUL_KAD_CAN_CONNECT))
            break;
    }
}

static void write_providers(const struct answering *answering, const struct haul_kad_key *key)
{
    struct haul_peer_id providers[HAUL_KAD_PROVIDERS_SENT_MAX];
    struct haul_multiaddr addresses[HAUL_KAD_ADDRESSES_SENT_MAX];
    size_t count = haul_kad_providers_get(answering->server->providers, key, answering->now,
                                          providers, HAUL_KAD_PROVIDERS_SENT_MAX);

    /* Half of the room is for the nearer nodes. */
    for (size_t i = 0; i < count && haul_out_left(answering->out) > HAUL_KAD_SENT_BYTES_MAX / 2;
         i++) {
        size_t known = addresses_of(answering, &providers[i], addresses);

        (void)haul_kad_write_peer(answering->out, HAUL_KAD_PROVIDERS, &providers[i], addresses,
                                  known, HAUL_KAD_CAN_CONNECT);
    }
}

/* The very peer that is looked for comes first, also when it is in no table because it serves
 * nobody. */
static void write_target(const struct answering *answering, const struct haul_kad_key *target)
{
    const struct haul_kad_message *request = answering->request;
    struct haul_multiaddr addresses[HAUL_KAD_ADDRESSES_SENT_MAX];
    struct haul_peer_id id;
    size_t known;

    if (!haul_peer_id_decode(request->key, request->key_bytes, &id) ||
        haul_peer_id_equal(&id, &answering->asker->id) ||
        haul_kad_table_find(answering->server->table, target) != NULL)
        return;
    known = addresses_of(answering, &id, addresses);
    if (known > 0)
        (void)haul_kad_write_peer(answering->out, HAUL_KAD_CLOSER, &id, addresses, known,
                                  HAUL_KAD_CAN_CONNECT);
}

static enum haul_kad_verdict find_node(const struct answering *answering)
{
    const struct haul_kad_message *request = answering->request;
    struct haul_kad_key target;

    haul_kad_write(answering->out, HAUL_KAD_FIND_NODE, NULL, 0);
    haul_kad_key_of(request->key, request->key_bytes, &target);
    write_target(answering, &target);
    write_closer(answering, &target);
    answering->server->counters.served_find_node++;
    return HAUL_KAD_ANSWER;
}

static enum haul_kad_verdict get_providers(const struct answering *answering)
{
    const struct haul_kad_message *request = answering->request;
    struct haul_kad_key key;

    haul_kad_write(answering->out, HAUL_KAD_GET_PROVIDERS, request->key, request->key_bytes);
    haul_kad_key_of(request->key, request->key_bytes, &key);
    write_providers(answering, &key);
    write_closer(answering, &key);
    answering->server->counters.served_get_providers++;
    return HAUL_KAD_ANSWER;
}

/* Only the peer itself may say that it is a provider, and it has to say where. */
static enum haul_kad_verdict add_provider(const struct answering *answering)
{
    struct haul_kad_server *server = answering->server;
    struct haul_kad_peers peers = haul_kad_peers_of(answering->request, HAUL_KAD_PROVIDERS);
    struct haul_multiaddr addresses[HAUL_ADDRESS_BOOK_ADDRESSES_MAX];
    struct haul_kad_peer peer;
    struct haul_kad_key key;

    haul_kad_key_of(answering->request->key, answering->request->key_bytes, &key);
    while (haul_kad_peers_next(&peers, &peer)) {
        size_t count;

        if (!haul_peer_id_equal(&peer.id, &answering->asker->id)) {
            server->counters.refused_providers++;
            continue;
        }
        count = haul_kad_peer_addresses(&peer, addresses, HAUL_COUNT_OF(addresses));
        count = haul_addresses_filter(addresses, count, answering->asker->scope, server->floor);
        if (count == 0) {
            server->counters.refused_providers++;
            continue;
        }
        if (haul_kad_providers_add(server->providers, &key, &peer.id, answering->now,
                                   HAUL_KAD_PROVIDER_LIFE)) {
            haul_address_book_tell(server->book, &peer.id, addresses, count, answering->now,
                                   HAUL_KAD_ADDRESS_LIFE);
            server->counters.served_add_provider++;
        }
    }
    return HAUL_KAD_SILENCE;
}

static enum haul_kad_verdict get_value(const struct answering *answering)
{
    struct haul_kad_server *server = answering->server;
    const struct haul_kad_message *request = answering->request;
    const struct haul_kad_value *value =
        haul_kad_records_get(server->records, request->key, request->key_bytes, answering->now);
    struct haul_kad_record record = { .key = request->key, .key_bytes = request->key_bytes };
    struct haul_kad_key key;

    haul_kad_write(answering->out, HAUL_KAD_GET_VALUE, request->key, request->key_bytes);
    if (value != NULL) {
        record.value = value->value;
        record.value_bytes = value->value_bytes;
    } else if (server->public_key != NULL &&
               haul_kad_record_check(request->key, request->key_bytes, server->public_key,
                                     server->public_key_bytes, 0) == HAUL_KAD_RECORD_GOOD) {
        record.value = server->public_key;
        record.value_bytes = server->public_key_bytes;
    }
    if (record.value != NULL)
        haul_kad_write_record(answering->out, &record);
    haul_kad_key_of(request->key, request->key_bytes, &key);
    write_closer(answering, &key);
    server->counters.served_values++;
    return HAUL_KAD_ANSWER;
}

static enum haul_kad_verdict put_value(const struct answering *answering)
{
    struct haul_kad_server *server = answering->server;
    const struct haul_kad_message *request = answering->request;

    if (!request->has_record || request->record.key_bytes != request->key_bytes ||
        memcmp(request->record.key, request->key, request->key_bytes) != 0 ||
        !haul_kad_records_put(server->records, &request->record, &answering->asker->id,
                              answering->asker->network, answering->now)) {
        server->counters.refused_requests++;
        return HAUL_KAD_REFUSAL;
    }
    /* The record is its own confirmation. */
    haul_kad_write(answering->out, HAUL_KAD_PUT_VALUE, request->key, request->key_bytes);
    haul_kad_write_record(answering->out, &request->record);
    server->counters.served_values++;
    return HAUL_KAD_ANSWER;
}

enum haul_kad_verdict haul_kad_serve(struct haul_kad_server *server,
                                     const struct haul_kad_asker *asker, const uint8_t *request,
                                     size_t request_bytes, haul_time now, struct haul_out *out)
{
    struct haul_kad_message message;
    const struct answering answering = {
        .server = server, .asker = asker, .request = &message, .now = now, .out = out
    };

    if (request_bytes > HAUL_KAD_REQUEST_BYTES_MAX ||
        !haul_kad_message_decode(request, request_bytes, &message) ||
        (message.type != HAUL_KAD_PING &&
         (message.key_bytes == 0 || message.key_bytes > HAUL_KAD_KEY_TEXT_BYTES_MAX))) {
        server->counters.refused_requests++;
        return HAUL_KAD_REFUSAL;
    }
    switch (message.type) {
    case HAUL_KAD_PUT_VALUE:
        return put_value(&answering);
    case HAUL_KAD_GET_VALUE:
        return get_value(&answering);
    case HAUL_KAD_ADD_PROVIDER:
        return add_provider(&answering);
    case HAUL_KAD_GET_PROVIDERS:
        return get_providers(&answering);
    case HAUL_KAD_FIND_NODE:
        return find_node(&answering);
    case HAUL_KAD_PING:
        haul_kad_write(out, HAUL_KAD_PING, NULL, 0);
        return HAUL_KAD_ANSWER;
    case HAUL_KAD_TYPES:
        break;
    }
    server->counters.refused_requests++;
    return HAUL_KAD_REFUSAL;
}
