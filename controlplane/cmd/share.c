/* haul share: makes a stored dataset fetchable, or ends that, and prints its ticket. A path is put
 * first. */
#include "controlplane/cmd/share.h"
#include "controlplane/cmd/attach.h"
#include "controlplane/cmd/print.h"
#include "controlplane/cmd/put.h"
#include "controlplane/p2p/peerid.h"

#include <string.h>

/* After --off: who may have it all the same. */
static void rest_show(const struct haul_options *options, const Haul__Ctl__Done *done)
{
    if (done->shared_to_all)
        haul_print_note(options,
                        "still shared with everybody: %s (`haul share --off` without --to ends "
                        "that, `--deny PEER` keeps one peer from it)",
                        done->cid);
    else if (done->shared_to > 0)
        haul_print_note(options, "still shared with %u named peer%s: %s", done->shared_to,
                        done->shared_to == 1 ? "" : "s", done->cid);
    else
        haul_print_note(options, "no longer shared: %s", done->cid);
}

static void show(const struct haul_options *options, const Haul__Ctl__Done *done, bool own_node)
{
    bool off = haul_options_has(options, HAUL_OPTION_OFF);
    bool deny = haul_options_has(options, HAUL_OPTION_DENY), lifted = off && deny;
    bool denied = !off && deny && !haul_options_has(options, HAUL_OPTION_TO); /* and no more */

    if (haul_options_has(options, HAUL_OPTION_JSON)) {
        json_t *object = json_object();

        json_object_set_new(object, "event",
                            json_string(lifted   ? "denial-ended"
                                        : off    ? "unshared"
                                        : denied ? "denied"
                                                 : "shared"));
        json_object_set_new(object, "cid", json_string(done->cid));
        if (!off)
            json_object_set_new(object, "ticket", json_string(done->ticket));
        json_object_set_new(object, "shared_to_all", json_boolean(done->shared_to_all));
        json_object_set_new(object, "shared_to", json_integer(done->shared_to));
        json_object_set_new(object, "serving", json_boolean(!off && !own_node));
        json_object_set_new(object, "announced",
                            json_boolean(haul_options_has(options, HAUL_OPTION_ANNOUNCE)));
        haul_print_json(object);
        return;
    }
    if (lifted)
        haul_print_note(options, "no longer denied: %s", done->cid);
    if (off && (!lifted || haul_options_has(options, HAUL_OPTION_TO)))
        rest_show(options, done);
    if (off)
        return;
    printf("%s\n", done->ticket);
    if (denied)
        haul_print_note(options, "denied; who else may have it is as before (`haul ls`)");
    if (own_node)
        haul_print_note(options, "recorded; run `haul node` in this home to serve it");
}

int haul_share_run(const struct haul_options *options, struct haul_attach *attach, const char *cid,
                   struct haul_error *error)
{
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__ShareAsk share = HAUL__CTL__SHARE_ASK__INIT;
    const char *peers[HAUL_OPTION_LIST_MAX], *denied[HAUL_OPTION_LIST_MAX];
    const Haul__Ctl__Answer *answer;

    share.cid = (char *)cid;
    share.off = haul_options_has(options, HAUL_OPTION_OFF);
    share.announce = haul_options_has(options, HAUL_OPTION_ANNOUNCE);
    share.n_peers = haul_options_list(options, HAUL_OPTION_TO, peers);
    share.peers = (char **)peers;
    share.n_denied = haul_options_list(options, HAUL_OPTION_DENY, denied);
    share.denied = (char **)denied;
    ask.what_case = HAUL__CTL__ASK__WHAT_SHARE;
    ask.share = &share;
    if (haul_client_ask(&attach->client, &ask, error) < 0 ||
        haul_client_next(&attach->client, -1, &answer, error) < 0)
        return -1;
    if (answer->what_case != HAUL__CTL__ANSWER__WHAT_DONE)
        return haul_fail(error, HAUL_E_INTERNAL, "the node did not answer the request to share");
    show(options, answer->done, attach->child > 0);
    return 0;
}

/* Before anything is stored or started for a share that cannot be. */
static int wish_check(const struct haul_options *options, struct haul_error *error)
{
    struct haul_peer_id peers[HAUL_OPTION_LIST_MAX];

    if (haul_options_has(options, HAUL_OPTION_ANNOUNCE) &&
        (haul_options_has(options, HAUL_OPTION_TO) || haul_options_has(options, HAUL_OPTION_OFF)))
        return haul_fail(error, HAUL_E_USAGE,
                         "--announce is for what everybody may have: without --to and --off");
    for (size_t i = 0; i < options->list_count; i++) {
        if (!haul_peer_id_parse(options->list[i], &peers[i]))
            return haul_fail(error, HAUL_E_PEER_MALFORMED, "'%.80s' is not a peer id",
                             options->list[i]);
        for (size_t j = 0; j < i; j++) {
            if (options->list_of[j] != options->list_of[i] &&
                haul_peer_id_equal(&peers[j], &peers[i]))
                return haul_fail(error, HAUL_E_USAGE, "--to and --deny both name %.80s",
                                 options->list[i]);
        }
    }
    return 0;
}

/* A CID names what is stored; anything else is a path to be put first. */
static int cid_of(const struct haul_options *options, struct haul_attach *attach,
                  char cid[HAUL_CID_TEXT_BYTES], struct haul_error *error)
{
    const char *what = options->arguments[0];
    struct haul_cid parsed;

    if (haul_cid_parse(what, &parsed)) {
        haul_cid_print(&parsed, cid);
        return 0;
    }
    if (haul_options_has(options, HAUL_OPTION_OFF))
        return haul_fail(error, HAUL_E_CID_MALFORMED, "'%.80s' is not a CID", what);
    if (haul_put_run(options, attach, what, cid, error) < 0)
        return -1;
    return haul_attach_again(attach, error);
}

int haul_cmd_share(const struct haul_options *options)
{
    char cid[HAUL_CID_TEXT_BYTES];
    struct haul_attach attach;
    struct haul_error error;
    int failed;

    if (wish_check(options, &error) < 0)
        return haul_print_error(options, &error);
    failed = haul_attach_open(&attach, options, true, &error);

    if (failed == 0) {
        failed = cid_of(options, &attach, cid, &error);
        if (failed == 0)
            failed = haul_share_run(options, &attach, cid, &error);
        haul_attach_close(&attach);
    }
    return failed < 0 ? haul_print_error(options, &error) : HAUL_EXIT_DONE;
}
