/* ls without an argument: the datasets of this node. */
#include "controlplane/node/controlplane_parts.h"

#include <stdlib.h>

struct peer_texts {
    char texts[HAUL_CATALOG_PEERS_MAX][HAUL_PEER_ID_TEXT_BYTES];
    char *list[HAUL_CATALOG_PEERS_MAX];
};

static void print_peers(const struct haul_peer_id *peers, uint32_t count, struct peer_texts *texts)
{
    for (uint32_t i = 0; i < count; i++) {
        haul_peer_id_print(&peers[i], texts->texts[i]);
        texts->list[i] = texts->texts[i];
    }
}

static void dataset_send(struct haul_request *request, const struct haul_dataset *dataset)
{
    Haul__Ctl__Answer answer = HAUL__CTL__ANSWER__INIT;
    Haul__Ctl__Dataset said = HAUL__CTL__DATASET__INIT;
    static struct peer_texts peers, denied;
    char cid[HAUL_CID_TEXT_BYTES];

    haul_cid_print(&dataset->root, cid);
    print_peers(dataset->peers, dataset->peer_count, &peers);
    print_peers(dataset->denied, dataset->denied_count, &denied);
    said.cid = cid;
    said.name = (char *)dataset->name;
    said.bytes = dataset->bytes;
    said.blocks = dataset->blocks;
    said.stored_unix = (int64_t)dataset->stored_unix;
    said.complete = dataset->complete;
    said.shared_to_all = dataset->shared_to_all;
    said.peers = peers.list;
    said.n_peers = dataset->peer_count;
    said.denied = denied.list;
    said.n_denied = dataset->denied_count;
    answer.what_case = HAUL__CTL__ANSWER__WHAT_DATASET;
    answer.dataset = &said;
    haul_request_send(request, &answer);
}

void haul_list_datasets(struct haul_request *request)
{
    struct haul_controlplane *plane = haul_request_context(request);
    Haul__Ctl__Done done = HAUL__CTL__DONE__INIT;
    struct haul_dataset dataset;
    uint64_t cursor = 0;

    while (haul_catalog_next(plane->parts.catalog, &cursor, &dataset))
        dataset_send(request, &dataset);
    haul_request_done(request, &done);
}
