/* haul dht: find, provide, providers, peers. */
#include "controlplane/cmd/attach.h"
#include "controlplane/cmd/print.h"

#include <inttypes.h>
#include <string.h>

static const char *const verbs[] = {
    [HAUL__CTL__DHT_VERB__FIND] = "find",
    [HAUL__CTL__DHT_VERB__PROVIDE] = "provide",
    [HAUL__CTL__DHT_VERB__PROVIDERS] = "providers",
    [HAUL__CTL__DHT_VERB__PEERS] = "peers",
};

static int verb_of(const struct haul_options *options, Haul__Ctl__DhtVerb *verb,
                   struct haul_error *error)
{
    const char *name = options->arguments[0];

    for (unsigned i = 0; i < HAUL_COUNT_OF(verbs); i++) {
        if (strcmp(name, verbs[i]) != 0)
            continue;
        *verb = (Haul__Ctl__DhtVerb)i;
        if ((options->argument_count == 2) == (*verb != HAUL__CTL__DHT_VERB__PEERS))
            return 0;
        return haul_fail(error, HAUL_E_USAGE, "`haul dht %s` takes %s", name,
                         *verb == HAUL__CTL__DHT_VERB__PEERS  ? "no further argument"
                         : *verb == HAUL__CTL__DHT_VERB__FIND ? "a peer id"
                                                              : "a CID");
    }
    return haul_fail(error, HAUL_E_USAGE,
                     "`haul dht` can find, provide, providers and peers, not '%.40s'", name);
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

/* Nothing found is a failure that says what was looked for. */
static int done_show(const struct haul_options *options, Haul__Ctl__DhtVerb verb,
                     const Haul__Ctl__Done *done, struct haul_error *error)
{
    if (haul_options_has(options, HAUL_OPTION_JSON) && done->record[0] != '\0')
        printf("%s\n", done->record);
    if (verb == HAUL__CTL__DHT_VERB__PROVIDE)
        haul_print_note(options, "%" PRIu64 " peers took the announcement", done->files);
    if (done->files > 0 || verb == HAUL__CTL__DHT_VERB__PEERS)
        return 0;
    if (verb == HAUL__CTL__DHT_VERB__FIND)
        return haul_fail(error, HAUL_E_PEER_UNREACHABLE, "nobody in the DHT knows %.80s",
                         options->arguments[1]);
    return haul_fail(error, HAUL_E_CID_UNKNOWN, "nobody announces %.80s", options->arguments[1]);
}

static int dht_run(const struct haul_options *options, struct haul_client *client,
                   Haul__Ctl__DhtVerb verb, struct haul_error *error)
{
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__DhtAsk dht = HAUL__CTL__DHT_ASK__INIT;
    const Haul__Ctl__Answer *answer;

    dht.verb = verb;
    if (options->argument_count > 1)
        dht.what = (char *)options->arguments[1];
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
    int failed = verb_of(options, &verb, &error);

    if (failed == 0)
        failed = haul_attach_open(&attach, options, true, &error);
    if (failed < 0)
        return haul_print_error(options, &error);
    failed = dht_run(options, &attach.client, verb, &error);
    haul_attach_close(&attach);
    return failed < 0 ? haul_print_error(options, &error) : HAUL_EXIT_DONE;
}
