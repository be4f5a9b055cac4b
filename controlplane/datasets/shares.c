#include "controlplane/datasets/shares.h"

static bool is_among(const struct haul_peer_id *peers, uint32_t count,
                     const struct haul_peer_id *peer)
{
    for (uint32_t i = 0; i < count; i++) {
        if (haul_peer_id_equal(&peers[i], peer))
            return true;
    }
    return false;
}

bool haul_shares_allow(const struct haul_dataset *dataset, const struct haul_peer_id *peer)
{
    return !is_among(dataset->denied, dataset->denied_count, peer) &&
           (dataset->shared_to_all || is_among(dataset->peers, dataset->peer_count, peer));
}

/* Puts the peer into a list or takes it out; false when the list would grow too long. */
static bool change_list(struct haul_peer_id *peers, uint32_t *count,
                        const struct haul_peer_id *peer, bool on)
{
    uint32_t at = 0;

    while (at < *count && !haul_peer_id_equal(&peers[at], peer))
        at++;
    if (on && at == HAUL_CATALOG_PEERS_MAX)
        return false;
    if (on && at == *count)
        peers[(*count)++] = *peer;
    if (!on && at < *count)
        peers[at] = peers[--*count];
    return true;
}

static int change_denied(struct haul_dataset *dataset, const struct haul_catalog_sharing *wish,
                         struct haul_error *error)
{
    char text[HAUL_CID_TEXT_BYTES];

    for (size_t i = 0; i < wish->denied_count; i++) {
        if (!change_list(dataset->denied, &dataset->denied_count, &wish->denied[i], !wish->off)) {
            haul_cid_print(&dataset->root, text);
            return haul_fail(error, HAUL_E_LIMIT, "%s is denied to %u peers already", text,
                             HAUL_CATALOG_PEERS_MAX);
        }
        if (!wish->off)
            (void)change_list(dataset->peers, &dataset->peer_count, &wish->denied[i], false);
    }
    return 0;
}

static int change_peers(struct haul_dataset *dataset, const struct haul_catalog_sharing *wish,
                        struct haul_error *error)
{
    char text[HAUL_PEER_ID_TEXT_BYTES];

    for (size_t i = 0; i < wish->peer_count; i++) {
        const struct haul_peer_id *peer = &wish->peers[i];

        if (!wish->off && is_among(dataset->denied, dataset->denied_count, peer)) {
            haul_peer_id_print(peer, text);
            return haul_fail(error, HAUL_E_REFUSED,
                             "it is denied to %s: `haul share --off --deny` ends that", text);
        }
        if (!change_list(dataset->peers, &dataset->peer_count, peer, !wish->off)) {
            haul_cid_print(&dataset->root, text);
            return haul_fail(error, HAUL_E_LIMIT, "%s is shared with %u peers already", text,
                             HAUL_CATALOG_PEERS_MAX);
        }
    }
    return 0;
}

static int change_announced(struct haul_dataset *dataset, const struct haul_catalog_sharing *wish,
                            struct haul_error *error)
{
    char text[HAUL_CID_TEXT_BYTES];

    if (wish->announce && (!dataset->complete || !dataset->shared_to_all)) {
        haul_cid_print(&dataset->root, text);
        return haul_fail(error, HAUL_E_REFUSED, "%s is not %s", text,
                         dataset->complete ? "shared with everybody" : "complete here");
    }
    dataset->announced = wish->announce || (dataset->announced && dataset->shared_to_all);
    return 0;
}

/* Denied first: whoever is denied it now is not to have it for what is said of others. */
int haul_shares_change(struct haul_dataset *dataset, const struct haul_catalog_sharing *wish,
                       struct haul_error *error)
{
    bool named = wish->peer_count > 0 && !wish->off;

    if (change_denied(dataset, wish, error) < 0)
        return -1;
    if (wish->all || (named && dataset->shared_to_all))
        dataset->peer_count = 0;
    if (wish->all || named)
        dataset->shared_to_all = wish->all && !wish->off;
    if (change_peers(dataset, wish, error) < 0)
        return -1;
    return change_announced(dataset, wish, error);
}
