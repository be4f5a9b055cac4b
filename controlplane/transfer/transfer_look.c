/* What an earlier get of the same dataset left behind is looked for before a peer is asked for it:
 * leaves at their place in a file that was there before, and any block in the store. Nobody is
 * believed about what lies where: the bytes are read and hashed (carrier_local.c).
 *
 * In the store only those blocks are looked for that were noted for this dataset: a peer that names
 * a block of another one must not learn, by not being asked for it, that it is stored here. */
#include "controlplane/transfer/transfer_parts.h"

#include <unistd.h>

#define AGAIN (20 * HAUL_MILLISECOND) /* there was no room to look */

void haul_transfer_look_begin(struct haul_transfer *transfer)
{
    enum haul_sink sink = transfer->ask.sink;
    struct haul_dataset dataset;

    if (sink == HAUL_SINK_LIST || sink == HAUL_SINK_DISCARD)
        return;
    transfer->noted =
        haul_catalog_find(transfer->parts.catalog, &transfer->target.root, &dataset) &&
        !dataset.complete;
    transfer->looks |= transfer->noted;
}

static bool is_held(const struct haul_fetch *fetch)
{
    const struct haul_transfer *transfer = fetch->transfer;

    if (fetch->awaited != NULL || transfer->ask.sink != HAUL_SINK_FILES)
        return false;
    if (fetch->length == 0) /* the only block of the file */
        return transfer->files[fetch->file].held > 0;
    return fetch->offset + fetch->length <= transfer->files[fetch->file].held;
}

void haul_fetch_look(struct haul_fetch *fetch)
{
    const struct haul_transfer *transfer = fetch->transfer;

    if (fetch->look == HAUL_LOOK_NOWHERE && is_held(fetch))
        fetch->look = HAUL_LOOK_FILE;
    else if (fetch->look != HAUL_LOOK_STORE && transfer->noted &&
             haul_catalog_noted(transfer->parts.catalog, &transfer->target.root, &fetch->cid.hash))
        fetch->look = HAUL_LOOK_STORE;
    else
        fetch->look = HAUL_LOOK_NOWHERE;
    /* Where the carrier places, only what is looked at needs a slot. */
    if (fetch->look == HAUL_LOOK_NOWHERE && fetch->awaited == NULL && transfer->carrier->places &&
        transfer->ask.sink != HAUL_SINK_STREAM)
        haul_fetch_slot_give(fetch);
}

void haul_fetch_look_place(const struct haul_fetch *fetch, struct haul_place *place)
{
    const struct haul_transfer *transfer = fetch->transfer;

    *place = (struct haul_place){ .kind = HAUL_PLACE_STORE };
    if (fetch->look != HAUL_LOOK_FILE)
        return;
    place->kind = HAUL_PLACE_FILE;
    place->index = (uint32_t)transfer->files[fetch->file].fd;
    place->at = fetch->offset;
}

/* Nothing of what is in a file of one block, whose size nobody told, is to be kept. */
void haul_transfer_look_over(struct haul_transfer *transfer, uint32_t file)
{
    if (transfer->ask.sink == HAUL_SINK_FILES && transfer->files[file].held > 0)
        (void)!ftruncate(transfer->files[file].fd, 0);
    transfer->files[file].held = 0;
}

void haul_fetch_look_failed(struct haul_fetch *fetch, enum haul_status status)
{
    fetch->state = HAUL_FETCH_RETRY;
    fetch->retry_at = 0;
    fetch->got = 0;
    if (status == HAUL_STATUS_LIMIT) {
        fetch->retry_at = haul_time_add(haul_loop_now(fetch->transfer->parts.loop), AGAIN);
        return;
    }
    if (fetch->look == HAUL_LOOK_FILE && fetch->length == 0)
        haul_transfer_look_over(fetch->transfer, fetch->file);
    haul_fetch_look(fetch);
}
