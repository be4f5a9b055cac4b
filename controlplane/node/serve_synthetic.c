/* A dataset of generated blocks for rate tests, shared with everybody. The data plane generates,
 * helpers hash, and only the inner nodes are stored. Nodes started with --perf alone. */
#include "controlplane/content/build.h"
#include "controlplane/node/controlplane_parts.h"
#include "controlplane/ticket.h"

#include <stdlib.h>
#include <string.h>

#define AT_ONCE   8u
#define BYTES_MAX (UINT64_C(1) << 40)

struct synthetic;

struct leaf {
    struct synthetic *synthetic;
    uint64_t number;
    uint32_t length;
    uint32_t slot;
    bool ready;
    bool busy;
    struct haul_hash hash;
};

struct synthetic {
    struct haul_request *request; /* NULL once the command has gone */
    struct haul_controlplane *plane;
    struct haul_file_build *file;
    struct haul_hash *hashes;
    struct leaf leaves[AT_ONCE];
    uint64_t bytes;
    uint64_t count;
    uint64_t asked; /* leaves given to the data plane */
    uint64_t added; /* ... and added to the file, in order */
    uint64_t build;
    uint32_t under_way; /* leaves, and inner nodes being written */
    uint64_t blocks;
    bool building;
    bool failed;
    bool ended;
    uint8_t code;
};

struct node_write {
    struct synthetic *synthetic;
    uint32_t slot;
};

struct state {
    struct synthetic *synthetic;
};

static void advance(struct synthetic *synthetic);

static void synthetic_free(struct synthetic *synthetic)
{
    if (synthetic->building)
        haul_catalog_drop(synthetic->plane->parts.catalog, synthetic->build);
    haul_orders_forget(synthetic->plane->parts.orders, synthetic);
    haul_file_build_close(synthetic->file);
    free(synthetic->hashes);
    free(synthetic);
}

static void fail(struct synthetic *synthetic, const struct haul_error *error)
{
    if (!synthetic->failed && synthetic->request != NULL)
        haul_request_fail(synthetic->request, error);
    synthetic->failed = true;
}

static void fail_store(struct synthetic *synthetic)
{
    struct haul_error error;

    haul_fail(&error, HAUL_E_STORE_FAILED, "cannot build the synthetic dataset");
    fail(synthetic, &error);
}

static void node_written(void *context, const struct haul_event *event)
{
    struct node_write *write = context;
    struct synthetic *synthetic = write->synthetic;

    haul_orders_slot_give(synthetic->plane->parts.orders, write->slot);
    free(write);
    synthetic->under_way--;
    if (event->status != HAUL_STATUS_DONE)
        fail_store(synthetic);
    advance(synthetic);
}

static bool node_write(struct synthetic *synthetic, const struct haul_block *block)
{
    struct haul_orders *orders = synthetic->plane->parts.orders;
    struct node_write *write = calloc(1, sizeof *write);
    struct haul_order order = { .kind = HAUL_ORDER_WRITE,
                                .length = block->bytes,
                                .hash = block->cid.hash,
                                .place.kind = HAUL_PLACE_STORE };

    if (write == NULL)
        return false;
    write->synthetic = synthetic;
    write->slot = order.slot = haul_orders_slot_take(orders);
    if (write->slot == UINT32_MAX) {
        free(write);
        return false;
    }
    memcpy(haul_orders_slot(orders, write->slot), block->data, block->bytes);
    if (haul_orders_submit(orders, &order, node_written, write) == 0) {
        haul_orders_slot_give(orders, write->slot);
        free(write);
        return false;
    }
    synthetic->under_way++;
    return true;
}

/* Inner nodes that are due go to the store and into the dataset's list of blocks. */
static void nodes_take(struct synthetic *synthetic)
{
    struct haul_block block;
    struct haul_error error;

    while (haul_file_build_next(synthetic->file, &block)) {
        synthetic->blocks++;
        if (synthetic->failed)
            continue;
        if (haul_catalog_note(synthetic->plane->parts.catalog, synthetic->build, &block.cid.hash,
                              &error) < 0)
            fail(synthetic, &error);
        else if (!node_write(synthetic, &block))
            fail_store(synthetic);
    }
}

static void leaf_hash(void *job)
{
    struct leaf *leaf = job;
    struct synthetic *synthetic = leaf->synthetic;

    haul_hash_of(synthetic->code, haul_orders_slot(synthetic->plane->parts.orders, leaf->slot),
                 leaf->length, &leaf->hash);
}

static void leaf_over(struct leaf *leaf)
{
    haul_orders_slot_give(leaf->synthetic->plane->parts.orders, leaf->slot);
    leaf->synthetic->under_way--;
    leaf->busy = false;
}

static void leaf_hashed(void *job)
{
    struct leaf *leaf = job;
    struct synthetic *synthetic = leaf->synthetic;

    leaf->ready = true;
    advance(synthetic);
}

static void leaf_read(void *context, const struct haul_event *event)
{
    struct leaf *leaf = context;
    struct synthetic *synthetic = leaf->synthetic;

    if (event->status == HAUL_STATUS_DONE &&
        haul_helpers_run(synthetic->plane->parts.helpers, leaf->slot, leaf_hash, leaf_hashed, leaf))
        return;
    leaf_over(leaf);
    fail_store(synthetic);
    advance(synthetic);
}

static bool leaf_ask(struct synthetic *synthetic)
{
    struct leaf *leaf = &synthetic->leaves[synthetic->asked % AT_ONCE];
    uint64_t at = synthetic->asked * HAUL_LEAF_BYTES;
    uint64_t left = synthetic->bytes - at;
    struct haul_orders *orders = synthetic->plane->parts.orders;
    struct haul_order order = { .kind = HAUL_ORDER_READ,
                                .place = { .kind = HAUL_PLACE_SYNTHETIC, .at = synthetic->asked } };

    if (leaf->busy)
        return false;
    *leaf = (struct leaf){ .synthetic = synthetic,
                           .number = synthetic->asked,
                           .length = left < HAUL_LEAF_BYTES ? (uint32_t)left : HAUL_LEAF_BYTES };
    leaf->slot = haul_orders_slot_take(orders);
    if (leaf->slot == UINT32_MAX)
        return false;
    order.slot = leaf->slot;
    order.length = leaf->length;
    if (haul_orders_submit(orders, &order, leaf_read, leaf) == 0) {
        haul_orders_slot_give(orders, leaf->slot);
        return false;
    }
    leaf->busy = true;
    synthetic->under_way++;
    synthetic->asked++;
    return true;
}

/* Hashed leaves enter the file in their order. */
static void leaves_add(struct synthetic *synthetic)
{
    struct haul_error error;

    for (;;) {
        struct leaf *leaf = &synthetic->leaves[synthetic->added % AT_ONCE];

        if (synthetic->added == synthetic->asked || !leaf->ready || !leaf->busy)
            return;
        synthetic->hashes[synthetic->added++] = leaf->hash;
        if (!synthetic->failed &&
            haul_file_build_add(synthetic->file, &leaf->hash, leaf->length, &error) < 0)
            fail(synthetic, &error);
        leaf_over(leaf);
        nodes_take(synthetic);
    }
}

static int publish(struct synthetic *synthetic, struct haul_cid *root, struct haul_error *error)
{
    struct haul_dataset dataset = { .bytes = synthetic->bytes,
                                    .blocks = synthetic->blocks + synthetic->count,
                                    .complete = true,
                                    .name = "synthetic" };
    struct haul_built built;

    haul_file_build_root(synthetic->file, &built);
    dataset.root = *root = built.cid;
    synthetic->building = false;
    if (haul_catalog_add_synthetic(synthetic->plane->parts.catalog, synthetic->build, &dataset,
                                   synthetic->hashes, synthetic->count, error) < 0)
        return -1;
    return haul_catalog_share(synthetic->plane->parts.catalog, root, NULL, true, error);
}

static void finish(struct synthetic *synthetic)
{
    Haul__Ctl__Done done = HAUL__CTL__DONE__INIT;
    char ticket_text[HAUL_TICKET_TEXT_BYTES];
    char cid_text[HAUL_CID_TEXT_BYTES];
    struct haul_ticket ticket = { .peer = synthetic->plane->conf.key->id };
    struct haul_error error;

    if (synthetic->failed || synthetic->request == NULL)
        return;
    if (publish(synthetic, &ticket.root, &error) < 0) {
        fail(synthetic, &error);
        return;
    }
    ticket.address_count = haul_host_addresses(synthetic->plane->parts.host, ticket.addresses,
                                               HAUL_TICKET_ADDRESSES_MAX);
    haul_ticket_print(&ticket, ticket_text);
    haul_cid_print(&ticket.root, cid_text);
    done.cid = cid_text;
    done.ticket = ticket_text;
    done.bytes = synthetic->bytes;
    haul_request_done(synthetic->request, &done);
}

static void room_came(void *context)
{
    advance(context);
}

static void advance(struct synthetic *synthetic)
{
    leaves_add(synthetic);
    while (!synthetic->failed && synthetic->request != NULL &&
           synthetic->asked < synthetic->count && leaf_ask(synthetic))
        continue;
    if (!synthetic->failed && !synthetic->ended && synthetic->added == synthetic->count) {
        synthetic->ended = true;
        haul_file_build_end(synthetic->file);
        nodes_take(synthetic);
    }
    if (synthetic->under_way > 0)
        return;
    if (synthetic->request == NULL)
        synthetic_free(synthetic);
    else if (synthetic->ended || synthetic->failed)
        finish(synthetic);
    else
        haul_orders_when_room(synthetic->plane->parts.orders, room_came, synthetic);
}

static int begin(struct haul_request *request, const Haul__Ctl__Ask *ask, struct haul_error *error)
{
    struct haul_controlplane *plane = haul_request_context(request);
    struct state *state = haul_request_state(request);
    uint64_t bytes = ask->synthetic->bytes;
    struct synthetic *made;

    if (!plane->conf.perf)
        return haul_fail(error, HAUL_E_USAGE, "this node was not started for rate tests");
    if (bytes == 0 || bytes > BYTES_MAX || haul_hash_name((uint8_t)ask->synthetic->hash) == NULL)
        return haul_fail(error, HAUL_E_USAGE, "a synthetic dataset has from 1 byte to 1 TiB");
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for a synthetic dataset");
    *made = (struct synthetic){ .request = request,
                                .plane = plane,
                                .bytes = bytes,
                                .count = (bytes + HAUL_LEAF_BYTES - 1) / HAUL_LEAF_BYTES,
                                .code = (uint8_t)ask->synthetic->hash };
    made->hashes = calloc(made->count, sizeof *made->hashes);
    made->file = haul_file_build_open(made->code, NULL);
    if (made->hashes == NULL || made->file == NULL) {
        synthetic_free(made);
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for a synthetic dataset");
    }
    if (haul_catalog_begin(plane->parts.catalog, &made->build, error) < 0) {
        synthetic_free(made);
        return -1;
    }
    made->building = true;
    state->synthetic = made;
    advance(made);
    return 0;
}

static void gone(struct haul_request *request)
{
    struct state *state = haul_request_state(request);
    struct synthetic *synthetic = state->synthetic;

    if (synthetic == NULL)
        return;
    synthetic->request = NULL;
    if (synthetic->under_way == 0)
        synthetic_free(synthetic);
}

const struct haul_ctl_verb haul_verb_synthetic = {
    .what = HAUL__CTL__ASK__WHAT_SYNTHETIC,
    .state_bytes = sizeof(struct state),
    .begin = begin,
    .gone = gone,
};
