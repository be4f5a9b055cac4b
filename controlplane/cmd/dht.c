/* haul dht: find, provide, providers, peers, put-value, get-value, publish. */
#include "controlplane/cmd/attach.h"
#include "controlplane/cmd/print.h"
#include "controlplane/p2p/kad/ipns.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALUE_BYTES_MAX HAUL_IPNS_BYTES_MAX
#define WHAT_BYTES_MAX  255u /* no key, peer id or CID is as long */

static const struct {
    const char *name;
    size_t arguments;
    const char *what;
    enum haul_error_code malformed;
} verbs[] = {
    [HAUL__CTL__DHT_VERB__FIND] = { "find", 1, "a peer id", HAUL_E_PEER_MALFORMED },
    [HAUL__CTL__DHT_VERB__PROVIDE] = { "provide", 1, "a CID", HAUL_E_CID_MALFORMED },
    [HAUL__CTL__DHT_VERB__PROVIDERS] = { "providers", 1, "a CID", HAUL_E_CID_MALFORMED },
    [HAUL__CTL__DHT_VERB__PEERS] = { "peers", 0, "no further argument", HAUL_E_USAGE },
    [HAUL__CTL__DHT_VERB__PUT_VALUE] = { "put-value", 2, "a key and a file (or -)",
                                         HAUL_E_VALUE_KEY },
    [HAUL__CTL__DHT_VERB__GET_VALUE] = { "get-value", 1, "a key", HAUL_E_VALUE_KEY },
    [HAUL__CTL__DHT_VERB__PUBLISH] = { "publish", 1, "a CID", HAUL_E_CID_MALFORMED },
};

/* Of put-value: what it puts. */
struct value {
    uint8_t *bytes;
    size_t count;
};

static int verb_of(const struct haul_options *options, Haul__Ctl__DhtVerb *verb,
                   struct haul_error *error)
{
    const char *name = options->arguments[0];

    for (unsigned i = 0; i < HAUL_COUNT_OF(verbs); i++) {
        if (strcmp(name, verbs[i].name) != 0)
            continue;
        *verb = (Haul__Ctl__DhtVerb)i;
        if (options->argument_count != 1 + verbs[i].arguments)
            return haul_fail(error, HAUL_E_USAGE, "`haul dht %s` takes %s", name, verbs[i].what);
        if (verbs[i].arguments > 0 && strlen(options->arguments[1]) > WHAT_BYTES_MAX)
            return haul_fail(error, verbs[i].malformed, "'%.40s...' is too long",
                             options->arguments[1]);
        return 0;
    }
    return haul_fail(error, HAUL_E_USAGE,
                     "`haul dht` can find, provide, providers, peers, put-value, get-value and "
                     "publish, not '%.40s'",
                     name);
}

static void peer_json(const Haul__Ctl__DhtPeer *peer, bool table)
{
    json_t *object = json_object(), *addresses = json_array();

    for (size_t i = 0; i < peer->n_addresses; i++)
        json_array_append_new(addresses, json_string(peer->addresses[i]));
    json_object_set_new(object, "event", json_string("peer"));
    json_object_set_new(object, "peer", json_string(peer->peer));
    json_object_set_new(object, "addresses", addresses);
    if (table) {
        json_object_set_new(object, "shared_bits", json_integer(peer->shared_bits));
        json_object_set_new(object, "heard_ms", json_integer((json_int_t)peer->heard_ms));
        json_object_set_new(object, "failures", json_integer(peer->failures));
    }
    haul_print_json(object);
}

static void peer_show(const struct haul_options *options, const Haul__Ctl__DhtPeer *peer,
                      bool table)
{
    if (haul_options_has(options, HAUL_OPTION_JSON)) {
        peer_json(peer, table);
        return;
    }
    printf("%s", peer->peer);
    if (table)
        printf("  bucket %" PRIu32 ", heard %" PRIu64 " s ago%s", peer->shared_bits,
               peer->heard_ms / 1000, peer->failures > 0 ? ", silent" : "");
    putchar('\n');
    for (size_t i = 0; i < peer->n_addresses; i++)
        printf("    %s\n", peer->addresses[i]);
}

/* The whole file, or standard input for "-"; one byte too many is as good as all of them. */
static int value_read(const char *path, struct value *value, struct haul_error *error)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    bool whole;

    if (file == NULL)
        return haul_fail(error, HAUL_E_SOURCE_UNREADABLE, "%.120s: %s", path, strerror(errno));
    value->bytes = malloc(VALUE_BYTES_MAX + 1);
    if (value->bytes != NULL)
        value->count = fread(value->bytes, 1, VALUE_BYTES_MAX + 1, file);
    whole = value->bytes != NULL && !ferror(file);
    if (!standard)
        fclose(file);
    if (!whole)
        return haul_fail(error, HAUL_E_SOURCE_UNREADABLE, "%.120s cannot be read", path);
    if (value->count > VALUE_BYTES_MAX)
        return haul_fail(error, HAUL_E_VALUE_INVALID, "%.120s is larger than %u bytes", path,
                         VALUE_BYTES_MAX);
    return 0;
}

/* What the record of a name says, when it is text without surprises. */
static bool names_what(const char *key, const ProtobufCBinaryData *data, char *text, size_t room,
                       uint64_t *sequence)
{
    struct haul_peer_id name;
    struct haul_ipns ipns;

    if (strncmp(key, "/ipns/", 6) != 0 || !haul_peer_id_parse(key + 6, &name) ||
        haul_ipns_read(&name, data->data, data->len, &ipns) != HAUL_IPNS_GOOD ||
        ipns.value_bytes >= room)
        return false;
    for (size_t i = 0; i < ipns.value_bytes; i++) {
        if (ipns.value[i] <= ' ' || ipns.value[i] > '~')
            return false;
    }
    memcpy(text, ipns.value, ipns.value_bytes);
    text[ipns.value_bytes] = '\0';
    *sequence = ipns.sequence;
    return true;
}

/* To the path of --output as it is; without one, in hexadecimal digits. */
static int value_show(const struct haul_options *options, const ProtobufCBinaryData *data,
                      struct haul_error *error)
{
    static char hex[2 * VALUE_BYTES_MAX + 1];
    const char *path = options->text[HAUL_OPTION_OUTPUT];
    bool standard = path != NULL && strcmp(path, "-") == 0, written, named;
    uint64_t sequence = 0;
    char target[256];
    FILE *file;

    for (size_t i = 0; i < data->len && i < VALUE_BYTES_MAX; i++)
        snprintf(hex + 2 * i, 3, "%02x", data->data[i]);
    named = names_what(options->arguments[1], data, target, sizeof target, &sequence);
    if (named)
        haul_print_note(options, "stands for %s, sequence %" PRIu64, target, sequence);
    if (haul_options_has(options, HAUL_OPTION_JSON)) {
        json_t *object = json_object();

        json_object_set_new(object, "event", json_string("value"));
        json_object_set_new(object, "key", json_string(options->arguments[1]));
        json_object_set_new(object, "bytes", json_integer((json_int_t)data->len));
        json_object_set_new(object, "value", json_string(hex));
        if (named) {
            json_object_set_new(object, "target", json_string(target));
            json_object_set_new(object, "sequence", json_integer((json_int_t)sequence));
        }
        haul_print_json(object);
    } else if (path == NULL) {
        puts(hex);
    }
    if (path == NULL)
        return 0;
    file = standard ? stdout : fopen(path, "wb");
    if (file == NULL)
        return haul_fail(error, HAUL_E_TARGET_UNWRITABLE, "%.120s: %s", path, strerror(errno));
    written = fwrite(data->data, 1, data->len, file) == data->len && fflush(file) == 0;
    if (!standard)
        written = fclose(file) == 0 && written;
    return written ? 0 : haul_fail(error, HAUL_E_TARGET_UNWRITABLE, "%.120s", path);
}

/* The name, which is what others ask for. */
static void published_show(const struct haul_options *options, const Haul__Ctl__Done *done)
{
    json_t *record = json_loads(done->record, 0, NULL);
    const char *name = json_string_value(json_object_get(record, "name"));

    if (!haul_options_has(options, HAUL_OPTION_JSON) && name != NULL)
        puts(name);
    haul_print_note(options,
                    "stands for %s; %" PRIu64 " peers keep that for %" JSON_INTEGER_FORMAT
                    " hours: publish it again before they are over",
                    json_string_value(json_object_get(record, "target")), done->files,
                    json_integer_value(json_object_get(record, "hours")));
    json_decref(record);
}

/* Nothing found is a failure that says what was looked for. */
static int done_show(const struct haul_options *options, Haul__Ctl__DhtVerb verb,
                     const Haul__Ctl__Done *done, struct haul_error *error)
{
    if (haul_options_has(options, HAUL_OPTION_JSON) && done->record[0] != '\0')
        printf("%s\n", done->record);
    if (verb == HAUL__CTL__DHT_VERB__PROVIDE)
        haul_print_note(options, "%" PRIu64 " peers took the announcement", done->files);
    if (verb == HAUL__CTL__DHT_VERB__PUT_VALUE)
        haul_print_note(options, "%" PRIu64 " peers hold the value", done->files);
    if (verb == HAUL__CTL__DHT_VERB__PUBLISH)
        published_show(options, done);
    if (done->files > 0 || verb == HAUL__CTL__DHT_VERB__PEERS ||
        verb == HAUL__CTL__DHT_VERB__GET_VALUE)
        return 0;
    if (verb == HAUL__CTL__DHT_VERB__FIND)
        return haul_fail(error, HAUL_E_PEER_UNREACHABLE, "nobody in the DHT knows %.80s",
                         options->arguments[1]);
    return haul_fail(error, HAUL_E_CID_UNKNOWN, "nobody announces %.80s", options->arguments[1]);
}

static int dht_run(const struct haul_options *options, struct haul_client *client,
                   Haul__Ctl__DhtVerb verb, const struct value *value, struct haul_error *error)
{
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__DhtAsk dht = HAUL__CTL__DHT_ASK__INIT;
    const Haul__Ctl__Answer *answer;

    dht.verb = verb;
    if (options->argument_count > 1)
        dht.what = (char *)options->arguments[1];
    dht.value = (ProtobufCBinaryData){ .len = value->count, .data = value->bytes };
    dht.timeout_ms = options->number[HAUL_OPTION_TIMEOUT] / 1000000;
    ask.what_case = HAUL__CTL__ASK__WHAT_DHT;
    ask.dht = &dht;
    if (haul_client_ask(client, &ask, error) < 0)
        return -1;
    for (;;) {
        if (haul_client_next(client, -1, &answer, error) < 0)
            return -1;
        if (answer->what_case == HAUL__CTL__ANSWER__WHAT_DONE)
            return done_show(options, verb, answer->done, error);
        if (answer->what_case == HAUL__CTL__ANSWER__WHAT_DATA) {
            if (value_show(options, &answer->data->bytes, error) < 0)
                return -1;
            continue;
        }
        if (answer->what_case != HAUL__CTL__ANSWER__WHAT_DHT_PEER)
            return haul_fail(error, HAUL_E_INTERNAL,
                             "the node sent an answer that dht does not expect");
        peer_show(options, answer->dht_peer, verb == HAUL__CTL__DHT_VERB__PEERS);
    }
}

int haul_cmd_dht(const struct haul_options *options)
{
    Haul__Ctl__DhtVerb verb = HAUL__CTL__DHT_VERB__PEERS;
    struct haul_attach attach;
    struct haul_error error;
    struct value value = { 0 };
    int failed = verb_of(options, &verb, &error);

    if (failed == 0 && verb == HAUL__CTL__DHT_VERB__PUT_VALUE)
        failed = value_read(options->arguments[2], &value, &error);
    if (failed == 0)
        failed = haul_attach_open(&attach, options, true, &error);
    if (failed == 0) {
        failed = dht_run(options, &attach.client, verb, &value, &error);
        haul_attach_close(&attach);
    }
    free(value.bytes);
    return failed < 0 ? haul_print_error(options, &error) : HAUL_EXIT_DONE;
}
