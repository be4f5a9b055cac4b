/* dht: find, provide, providers, peers, put-value, get-value, publish. */
#include "controlplane/dht/dht.h"
#include "controlplane/node/controlplane_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLISHED_HOURS 48u /* as long as a peer keeps a value */

struct asking {
    struct haul_dht_query *query;
    struct haul_dht_run *run;
    struct haul_dht_value *value;
    uint64_t sequence; /* of what is published */
    char target[8 + HAUL_CID_TEXT_BYTES];
};

static void peer_send(struct haul_request *request, const struct haul_peer_id *peer,
                      const struct haul_multiaddr *addresses, size_t count,
                      Haul__Ctl__DhtPeer *said)
{
    static char texts[HAUL_ADDRESS_BOOK_ADDRESSES_MAX][HAUL_MULTIADDR_TEXT_BYTES];
    static char *list[HAUL_ADDRESS_BOOK_ADDRESSES_MAX];
    Haul__Ctl__Answer answer = HAUL__CTL__ANSWER__INIT;
    char name[HAUL_PEER_ID_TEXT_BYTES];

    haul_peer_id_print(peer, name);
    said->peer = name;
    said->addresses = list;
    said->n_addresses = 0;
    for (size_t i = 0; i < count && i < HAUL_ADDRESS_BOOK_ADDRESSES_MAX; i++) {
        haul_multiaddr_print(&addresses[i], texts[i]);
        list[said->n_addresses++] = texts[i];
    }
    answer.what_case = HAUL__CTL__ANSWER__WHAT_DHT_PEER;
    answer.dht_peer = said;
    haul_request_send(request, &answer);
}

static void on_found(void *context, const struct haul_peer_id *peer,
                     const struct haul_multiaddr *addresses, size_t count)
{
    Haul__Ctl__DhtPeer said = HAUL__CTL__DHT_PEER__INIT;

    peer_send(context, peer, addresses, count, &said);
}

static void on_done(void *context, const struct haul_dht_result *result)
{
    struct asking *asking = haul_request_state(context);
    Haul__Ctl__Done done = HAUL__CTL__DONE__INIT;
    char record[256];

    asking->query = NULL;
    snprintf(record, sizeof record,
             "{\"event\":\"lookup\",\"found\":%u,\"hops\":%u,\"asked\":%u,\"answered\":%u,"
             "\"failed\":%u,\"seconds\":%" PRIu64 ".%03" PRIu64 "}",
             result->found, result->hops, result->lookup->asked, result->lookup->answered,
             result->lookup->failed, result->took / HAUL_SECOND,
             result->took / HAUL_MILLISECOND % 1000);
    done.record = record;
    done.files = result->found;
    haul_request_done(context, &done);
}

static void on_provided(void *context, const uint16_t *taken, size_t count)
{
    struct asking *asking = haul_request_state(context);
    Haul__Ctl__Done done = HAUL__CTL__DONE__INIT;
    struct haul_error error;
    char record[64];

    asking->run = NULL;
    if (count == 0 || taken[0] == 0) {
        haul_fail(&error, HAUL_E_PEER_UNREACHABLE, "no peer of the DHT took the announcement");
        haul_request_fail(context, &error);
        return;
    }
    snprintf(record, sizeof record, "{\"event\":\"provided\",\"peers\":%u}", taken[0]);
    done.record = record;
    done.files = taken[0];
    haul_request_done(context, &done);
}

static void peers_send(struct haul_request *request, const struct haul_dht *dht)
{
    struct haul_controlplane *plane = haul_request_context(request);
    const struct haul_kad_server *server = haul_dht_server(dht);
    const struct haul_kad_table *table = server->table;
    haul_time now = haul_loop_now(plane->parts.loop);
    Haul__Ctl__Done done = HAUL__CTL__DONE__INIT;

    for (unsigned bucket = 0; bucket < HAUL_KAD_BUCKETS; bucket++) {
        for (uint16_t i = table->heads[bucket]; i != HAUL_KAD_NO_ENTRY;
             i = table->entries[i].next) {
            const struct haul_kad_entry *entry = &table->entries[i];
            struct haul_multiaddr addresses[HAUL_ADDRESS_BOOK_ADDRESSES_MAX];
            Haul__Ctl__DhtPeer said = HAUL__CTL__DHT_PEER__INIT;
            size_t count = haul_address_book_find(server->book, &entry->contact.id, now, addresses,
                                                  HAUL_COUNT_OF(addresses));

            said.shared_bits = bucket;
            said.heard_ms = haul_time_since(entry->heard, now) / HAUL_MILLISECOND;
            said.failures = entry->failures;
            peer_send(request, &entry->contact.id, addresses, count, &said);
        }
    }
    done.files = table->count;
    haul_request_done(request, &done);
}

static int search(struct haul_request *request, enum haul_dht_kind kind, const uint8_t *key,
                  size_t key_bytes, haul_time timeout, struct haul_error *error)
{
    struct haul_controlplane *plane = haul_request_context(request);
    struct asking *asking = haul_request_state(request);
    const struct haul_dht_search wish = { .kind = kind,
                                          .key = key,
                                          .key_bytes = key_bytes,
                                          .found_max = kind == HAUL_DHT_PEER ? 1 : 0,
                                          .timeout = timeout,
                                          .context = request,
                                          .found = on_found,
                                          .done = on_done };

    return haul_dht_search(plane->parts.dht, &wish, &asking->query, error);
}

/* Only what everybody may fetch is announced. */
static int provide(struct haul_request *request, const struct haul_cid *cid,
                   struct haul_error *error)
{
    struct haul_controlplane *plane = haul_request_context(request);
    struct asking *asking = haul_request_state(request);
    struct haul_dataset *dataset = calloc(1, sizeof *dataset);
    bool shared = dataset != NULL && haul_catalog_find(plane->parts.catalog, cid, dataset) &&
                  dataset->complete && dataset->shared_to_all;

    free(dataset);
    if (!shared)
        return haul_fail(error, HAUL_E_REFUSED,
                         "the dataset is not stored here and shared with everybody (`haul share`)");
    return haul_dht_provide(plane->parts.dht, &cid->hash, 1, on_provided, request, &asking->run,
                            error);
}

/* --- values --- */

static void value_record(const struct haul_dht_value_result *result, const char *event,
                         char *record, size_t bytes)
{
    snprintf(record, bytes,
             "{\"event\":\"%s\",\"asked\":%u,\"answered\":%u,\"holders\":%u,\"worse\":%u,"
             "\"invalid\":%u,\"told\":%u,\"taken\":%u,\"refused\":%u,"
             "\"seconds\":%" PRIu64 ".%03" PRIu64 "}",
             event, result->asked, result->answered, result->holders, result->worse,
             result->invalid, result->told, result->taken, result->refused,
             result->took / HAUL_SECOND, result->took / HAUL_MILLISECOND % 1000);
}

static void on_got(void *context, const struct haul_dht_value_result *result)
{
    struct asking *asking = haul_request_state(context);
    Haul__Ctl__Answer answer = HAUL__CTL__ANSWER__INIT;
    Haul__Ctl__Data data = HAUL__CTL__DATA__INIT;
    Haul__Ctl__Done done = HAUL__CTL__DONE__INIT;
    struct haul_error error;
    char record[256];

    asking->value = NULL;
    if (result->value_bytes == 0) {
        if (result->answered == 0)
            haul_fail(&error, HAUL_E_PEER_UNREACHABLE,
                      "no peer of the DHT answered, of %u that were asked; see dht.bootstrap and "
                      "`haul dht peers`",
                      result->asked);
        else
            haul_fail(&error, HAUL_E_VALUE_UNKNOWN,
                      "none of %u peers that answered holds a valid value of the key",
                      result->answered);
        haul_request_fail(context, &error);
        return;
    }
    data.bytes =
        (ProtobufCBinaryData){ .len = result->value_bytes, .data = (uint8_t *)result->value };
    answer.what_case = HAUL__CTL__ANSWER__WHAT_DATA;
    answer.data = &data;
    haul_request_send(context, &answer);
    value_record(result, "lookup", record, sizeof record);
    done.record = record;
    done.bytes = result->value_bytes;
    haul_request_done(context, &done);
}

static void published_record(struct haul_request *request,
                             const struct haul_dht_value_result *result, char *record, size_t bytes)
{
    const struct haul_controlplane *plane = haul_request_context(request);
    const struct asking *asking = haul_request_state(request);
    char name[HAUL_PEER_ID_TEXT_BYTES];

    haul_peer_id_print(&plane->conf.key->id, name);
    snprintf(record, bytes,
             "{\"event\":\"published\",\"name\":\"/ipns/%s\",\"target\":\"%s\","
             "\"sequence\":%" PRIu64 ",\"hours\":%u,\"asked\":%u,\"answered\":%u,"
             "\"taken\":%u,\"refused\":%u}",
             name, asking->target, asking->sequence, PUBLISHED_HOURS, result->asked,
             result->answered, result->taken, result->refused);
}

static void on_put(void *context, const struct haul_dht_value_result *result)
{
    struct asking *asking = haul_request_state(context);
    Haul__Ctl__Done done = HAUL__CTL__DONE__INIT;
    struct haul_error error;
    char record[512];

    asking->value = NULL;
    if (result->newer || result->taken + result->holders == 0) {
        if (result->newer)
            haul_fail(&error, HAUL_E_VALUE_OLD, "a peer of the DHT holds a newer value of the key");
        else
            haul_fail(&error, HAUL_E_PEER_UNREACHABLE, "no peer of the DHT took the value");
        haul_request_fail(context, &error);
        return;
    }
    if (asking->target[0] != '\0')
        published_record(context, result, record, sizeof record);
    else
        value_record(result, "put", record, sizeof record);
    done.record = record;
    done.files = result->taken + result->holders;
    haul_request_done(context, &done);
}

/* "/pk/" or "/ipns/" before a peer id in text: the same before its bytes. */
static bool value_key(const char *text, uint8_t key[HAUL_KAD_KEY_TEXT_BYTES_MAX], size_t *bytes)
{
    const char *name = text[0] == '/' ? strchr(text + 1, '/') : NULL;
    struct haul_peer_id peer;
    size_t space;

    if (name == NULL || !haul_peer_id_parse(name + 1, &peer))
        return false;
    space = (size_t)(name + 1 - text);
    if (space + peer.length > HAUL_KAD_KEY_TEXT_BYTES_MAX)
        return false;
    memcpy(key, text, space);
    memcpy(key + space, peer.bytes, peer.length);
    *bytes = space + peer.length;
    return true;
}

static int value_begin(struct haul_request *request, const Haul__Ctl__DhtAsk *ask,
                       struct haul_error *error)
{
    struct haul_controlplane *plane = haul_request_context(request);
    struct asking *asking = haul_request_state(request);
    bool put = ask->verb == HAUL__CTL__DHT_VERB__PUT_VALUE;
    uint8_t key[HAUL_KAD_KEY_TEXT_BYTES_MAX];
    struct haul_dht_value_wish wish = { .key = key,
                                        .quorum = HAUL_DHT_QUORUM,
                                        .timeout = ask->timeout_ms * HAUL_MILLISECOND,
                                        .done = put ? on_put : on_got,
                                        .context = request };

    if (!value_key(ask->what, key, &wish.key_bytes))
        return haul_fail(error, HAUL_E_VALUE_KEY, "'%.80s' is not /pk/PEER or /ipns/PEER",
                         ask->what);
    if (put) {
        wish.value = ask->value.len > 0 ? ask->value.data : key;
        wish.value_bytes = ask->value.len;
    }
    return haul_dht_value_begin(plane->parts.dht, &wish, &asking->value, error);
}

/* Newer than what the DHT knows: nothing has to be remembered here for that. */
static void name_write(void *context, const uint8_t *best, size_t best_bytes, uint64_t unix_ns,
                       struct haul_out *out)
{
    const struct haul_controlplane *plane = haul_request_context(context);
    struct asking *asking = haul_request_state(context);
    struct haul_ipns known = { 0 };

    if (best_bytes > 0 &&
        haul_ipns_read(&plane->conf.key->id, best, best_bytes, &known) == HAUL_IPNS_GOOD)
        asking->sequence = known.sequence < UINT64_MAX ? known.sequence + 1 : UINT64_MAX;
    haul_ipns_write(plane->conf.key, asking->target, strlen(asking->target), asking->sequence,
                    haul_time_add(unix_ns, PUBLISHED_HOURS * 3600 * HAUL_SECOND), out);
}

static int publish(struct haul_request *request, const struct haul_cid *cid, haul_time timeout,
                   struct haul_error *error)
{
    struct haul_controlplane *plane = haul_request_context(request);
    const struct haul_peer_id *own = &plane->conf.key->id;
    struct asking *asking = haul_request_state(request);
    uint8_t key[HAUL_KAD_KEY_TEXT_BYTES_MAX] = "/ipns/";
    const struct haul_dht_value_wish wish = { .key = key,
                                              .key_bytes = 6u + own->length,
                                              .make = name_write,
                                              .timeout = timeout,
                                              .done = on_put,
                                              .context = request };

    memcpy(key + 6, own->bytes, own->length);
    memcpy(asking->target, "/ipfs/", 6);
    haul_cid_print(cid, asking->target + 6);
    return haul_dht_value_begin(plane->parts.dht, &wish, &asking->value, error);
}

static int begin(struct haul_request *request, const Haul__Ctl__Ask *ask, struct haul_error *error)
{
    struct haul_controlplane *plane = haul_request_context(request);
    const Haul__Ctl__DhtAsk *dht = ask->dht;
    haul_time timeout = dht->timeout_ms * HAUL_MILLISECOND;
    struct haul_peer_id peer;
    struct haul_cid cid;

    if (plane->parts.dht == NULL)
        return haul_fail(error, HAUL_E_REFUSED, "this node has joined no DHT (dht.mode)");
    switch (dht->verb) {
    case HAUL__CTL__DHT_VERB__PEERS:
        peers_send(request, plane->parts.dht);
        return 0;
    case HAUL__CTL__DHT_VERB__FIND:
        if (!haul_peer_id_parse(dht->what, &peer))
            return haul_fail(error, HAUL_E_PEER_MALFORMED, "'%.80s' is not a peer id", dht->what);
        return search(request, HAUL_DHT_PEER, peer.bytes, peer.length, timeout, error);
    case HAUL__CTL__DHT_VERB__PROVIDE:
    case HAUL__CTL__DHT_VERB__PROVIDERS:
    case HAUL__CTL__DHT_VERB__PUBLISH:
        if (!haul_cid_parse(dht->what, &cid))
            return haul_fail(error, HAUL_E_CID_MALFORMED, "'%.80s' is not a CID", dht->what);
        if (dht->verb == HAUL__CTL__DHT_VERB__PROVIDE)
            return provide(request, &cid, error);
        if (dht->verb == HAUL__CTL__DHT_VERB__PUBLISH)
            return publish(request, &cid, timeout, error);
        return search(request, HAUL_DHT_PROVIDERS, cid.hash.bytes, HAUL_HASH_BYTES, timeout, error);
    case HAUL__CTL__DHT_VERB__PUT_VALUE:
    case HAUL__CTL__DHT_VERB__GET_VALUE:
        return value_begin(request, dht, error);
    case _HAUL__CTL__DHT_VERB_IS_INT_SIZE:
        break;
    }
    return haul_fail(error, HAUL_E_USAGE, "there is no such question to the DHT");
}

static void gone(struct haul_request *request)
{
    struct asking *asking = haul_request_state(request);

    if (asking->query != NULL)
        haul_dht_cancel(asking->query);
    if (asking->value != NULL)
        haul_dht_value_cancel(asking->value);
    if (asking->run != NULL)
        haul_dht_run_cancel(asking->run);
}

const struct haul_ctl_verb haul_verb_dht = {
    .what = HAUL__CTL__ASK__WHAT_DHT,
    .state_bytes = sizeof(struct asking),
    .begin = begin,
    .gone = gone,
};
