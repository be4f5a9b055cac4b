/* share: who may fetch a stored dataset, and the ticket that says so. */
#include "controlplane/dht/dht.h"
#include "controlplane/node/controlplane_parts.h"
#include "controlplane/ticket.h"

#include <stdlib.h>

static int cid_of(const char *text, struct haul_cid *cid, struct haul_error *error)
{
    return haul_cid_parse(text, cid)
               ? 0
               : haul_fail(error, HAUL_E_CID_MALFORMED, "'%.80s' is not a CID", text);
}

static int peers_parse(char *const *texts, size_t count, struct haul_peer_id *peers,
                       struct haul_error *error)
{
    if (count > HAUL_CATALOG_PEERS_MAX)
        return haul_fail(error, HAUL_E_LIMIT, "%zu peers, where %u are the most", count,
                         HAUL_CATALOG_PEERS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!haul_peer_id_parse(texts[i], &peers[i]))
            return haul_fail(error, HAUL_E_PEER_MALFORMED, "'%.80s' is not a peer id", texts[i]);
    }
    return 0;
}

/* Where peers are denied it and none is named beside them, nothing is said of anybody else. */
static int peers_apply(struct haul_catalog *catalog, const struct haul_cid *cid,
                       const Haul__Ctl__ShareAsk *share, struct haul_error *error)
{
    struct haul_peer_id peers[HAUL_CATALOG_PEERS_MAX], denied[HAUL_CATALOG_PEERS_MAX];
    const struct haul_catalog_sharing wish = { .off = share->off,
                                               .all = share->n_peers == 0 && share->n_denied == 0,
                                               .announce = share->announce,
                                               .peers = peers,
                                               .denied = denied,
                                               .peer_count = share->n_peers,
                                               .denied_count = share->n_denied };

    if (peers_parse(share->peers, share->n_peers, peers, error) < 0 ||
        peers_parse(share->denied, share->n_denied, denied, error) < 0)
        return -1;
    return haul_catalog_change(catalog, cid, &wish, error);
}

static bool is_announced(const struct haul_catalog *catalog, const struct haul_cid *cid)
{
    struct haul_dataset *dataset = calloc(1, sizeof *dataset);
    bool announced =
        dataset != NULL && haul_catalog_find(catalog, cid, dataset) && dataset->announced;

    free(dataset);
    return announced;
}

/* Whatever can be refused is, before anything is changed: a place among what the DHT announces is
 * taken first, and given back with a wish that is refused, or when all may have it no more. Nothing
 * is told to anybody meanwhile. */
static int share_apply(struct haul_controlplane *plane, const struct haul_cid *cid,
                       const Haul__Ctl__ShareAsk *share, struct haul_error *error)
{
    struct haul_catalog *catalog = plane->parts.catalog;
    struct haul_dht *dht = plane->parts.dht;
    int failed;

    if (share->announce && dht == NULL)
        return haul_fail(error, HAUL_E_REFUSED,
                         "this node has joined no DHT to announce in (dht.mode)");
    if (share->announce && haul_dht_announce(dht, &cid->hash, error) < 0)
        return -1;
    failed = peers_apply(catalog, cid, share, error);
    if (dht != NULL && !is_announced(catalog, cid))
        haul_dht_withdraw(dht, &cid->hash);
    return failed;
}

static void ticket_fill(const struct haul_controlplane *plane, const struct haul_cid *cid,
                        struct haul_ticket *ticket)
{
    *ticket = (struct haul_ticket){ .root = *cid, .peer = plane->conf.key->id };
    ticket->address_count =
        haul_host_told(plane->parts.host, ticket->addresses, HAUL_TICKET_ADDRESSES_MAX);
}

/* What was asked for may have left others with it. */
static void sharing_fill(const struct haul_controlplane *plane, const struct haul_cid *cid,
                         Haul__Ctl__Done *done)
{
    struct haul_dataset *dataset = calloc(1, sizeof *dataset);

    if (dataset != NULL && haul_catalog_find(plane->parts.catalog, cid, dataset)) {
        done->shared_to_all = dataset->shared_to_all;
        done->shared_to = dataset->peer_count;
    }
    free(dataset);
}

static int begin(struct haul_request *request, const Haul__Ctl__Ask *ask, struct haul_error *error)
{
    struct haul_controlplane *plane = haul_request_context(request);
    Haul__Ctl__Done done = HAUL__CTL__DONE__INIT;
    char ticket_text[HAUL_TICKET_TEXT_BYTES];
    char cid_text[HAUL_CID_TEXT_BYTES];
    struct haul_ticket ticket;
    struct haul_cid cid;

    if (cid_of(ask->share->cid, &cid, error) < 0 || share_apply(plane, &cid, ask->share, error) < 0)
        return -1;
    sharing_fill(plane, &cid, &done);
    ticket_fill(plane, &cid, &ticket);
    haul_ticket_print(&ticket, ticket_text);
    haul_cid_print(&cid, cid_text);
    done.cid = cid_text;
    done.ticket = ticket_text;
    haul_request_done(request, &done);
    return 0;
}

const struct haul_ctl_verb haul_verb_share = {
    .what = HAUL__CTL__ASK__WHAT_SHARE,
    .begin = begin,
};
