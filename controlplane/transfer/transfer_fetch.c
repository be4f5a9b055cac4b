/* Blocks of a transfer: from the plan's steps to fetches, and what their carrier says of each. */
#include "common/log.h"
#include "controlplane/transfer/transfer_parts.h"
#include "controlplane/usage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* This peer does not bring the block: another provider does, or it is the end. */
static void give_up(struct haul_fetch *fetch, const struct haul_error *why)
{
    struct haul_transfer *transfer = fetch->transfer;

    fetch->state = HAUL_FETCH_RETRY;
    fetch->retry_at = HAUL_TIME_NEVER;
    fetch->got = 0;
    if (haul_transfer_replace(transfer, why))
        return;
    haul_fetch_free(fetch);
    haul_transfer_fail(transfer, why);
}

static void refused(struct haul_fetch *fetch)
{
    struct haul_transfer *transfer = fetch->transfer;
    char cid[HAUL_CID_TEXT_BYTES];
    struct haul_error error;

    haul_cid_print(&transfer->target.root, cid);
    if (fetch->by->carrier == HAUL_CARRIER_LOCAL)
        (void)haul_fail(&error, HAUL_E_STORE_FAILED, "a block of %s is not in the store", cid);
    else
        (void)haul_fail(&error, HAUL_E_CID_UNKNOWN, "the peer does not share %s with us", cid);
    give_up(fetch, &error);
}

static void wrong(struct haul_fetch *fetch)
{
    struct haul_transfer *transfer = fetch->transfer;
    char cid[HAUL_CID_TEXT_BYTES];
    char peer[HAUL_PEER_ID_TEXT_BYTES] = "the store";
    struct haul_error error;
    char text[400];

    haul_cid_print(&fetch->cid, cid);
    if (transfer->target.has_ticket || transfer->search != NULL)
        haul_peer_id_print(&transfer->target.ticket.peer, peer);
    haul_log(HAUL_LOG_INFO, "block-wrong", "peer=%s cid=%s carrier=%s", peer, cid,
             haul_carrier_name(fetch->by->carrier));
    if (haul_carrier_is_fast(fetch->by) && transfer->ask.carrier == HAUL_CHOOSE_AUTO) {
        fetch->distrusted = true;
        fetch->state = HAUL_FETCH_RETRY;
        fetch->retry_at = 0;
        snprintf(text, sizeof text, "%s sent wrong bytes for block %s; asking on the stream", peer,
                 cid);
        if (!transfer->detached)
            transfer->events.note(transfer->context, text);
        return;
    }
    (void)haul_fail(&error, HAUL_E_BLOCK_WRONG, "%s sent wrong bytes for block %s", peer, cid);
    give_up(fetch, &error);
}

static void retry(struct haul_fetch *fetch, haul_time after)
{
    struct haul_transfer *transfer = fetch->transfer;

    if (++fetch->tries > HAUL_FETCH_TRIES_MAX) {
        haul_fetch_free(fetch);
        haul_transfer_fail_text(transfer, HAUL_E_REFUSED, "the peer was busy %u times in a row",
                                HAUL_FETCH_TRIES_MAX);
        return;
    }
    fetch->state = HAUL_FETCH_RETRY;
    fetch->got = 0;
    fetch->retry_at = haul_time_add(haul_loop_now(transfer->parts.loop), after);
}

/* The peer has the block and cannot give it: its store failed, or the block has not the length that
 * the manifest claims. Asked for in any length it shows which: a good block of another length is
 * the manifest's fault. */
static void unreadable(struct haul_fetch *fetch)
{
    char cid[HAUL_CID_TEXT_BYTES];
    struct haul_error error;

    if (++fetch->failures > HAUL_FETCH_FAILURES_MAX) {
        haul_cid_print(&fetch->cid, cid);
        (void)haul_fail(&error, HAUL_E_REFUSED, "the peer cannot read block %s", cid);
        give_up(fetch, &error);
        return;
    }
    fetch->measuring = fetch->length > 0 && haul_carrier_is_fast(fetch->by);
    retry(fetch, fetch->failures == 1 ? 0 : 200 * HAUL_MILLISECOND);
}

static void done(struct haul_fetch *fetch, uint32_t length, uint64_t at, haul_time when)
{
    struct haul_transfer *transfer = fetch->transfer;
    uint32_t expected = fetch->length;
    char cid[HAUL_CID_TEXT_BYTES];

    if (expected > 0 && length != expected) {
        haul_cid_print(&fetch->cid, cid);
        haul_fetch_free(fetch);
        haul_transfer_fail_text(transfer, HAUL_E_MANIFEST_BROKEN,
                                "block %s has %u bytes, and its node claims %u", cid, length,
                                expected);
        return;
    }
    if (fetch->measuring) {
        fetch->measuring = false;
        retry(fetch, 0);
        return;
    }
    fetch->got = length;
    fetch->when = when;
    if (fetch->by->places && haul_transfer_keeps(transfer))
        haul_transfer_packs_note(transfer, at);
    haul_fetch_verified(fetch);
}

/* The carrier in use can be asked again: a lane of the fast path is alive, or a way of the stream.
 */
static bool goes_on(const struct haul_transfer *transfer)
{
    return transfer->state == HAUL_TRANSFER_MOVING &&
           (haul_carrier_is_fast(transfer->carrier) ? haul_lanes_alive(&transfer->lanes) > 0
                                                    : haul_ways_alive(&transfer->ways) > 0);
}

void haul_fetch_done(struct haul_fetch *fetch, enum haul_status status, uint32_t length,
                     uint64_t at, haul_time when)
{
    struct haul_transfer *transfer = fetch->transfer;

    fetch->order = 0;
    transfer->asked--;
    if (transfer->state == HAUL_TRANSFER_OVER) {
        haul_fetch_free(fetch);
        haul_transfer_settle(transfer);
        return;
    }
    if (fetch->look != HAUL_LOOK_NOWHERE && status != HAUL_STATUS_DONE) {
        haul_fetch_look_failed(fetch, status);
        haul_transfer_pump(transfer);
        return;
    }
    switch (status) {
    case HAUL_STATUS_DONE:
        done(fetch, length, at, when);
        break;
    case HAUL_STATUS_REFUSED_FAILED:
        unreadable(fetch);
        break;
    case HAUL_STATUS_REFUSED_UNKNOWN:
    case HAUL_STATUS_MISSING:
        refused(fetch);
        break;
    case HAUL_STATUS_REFUSED_BUSY:
        retry(fetch, (at == 0 ? 50 : at > 10000 ? 10000 : at) * HAUL_MILLISECOND);
        break;
    case HAUL_STATUS_LIMIT:
        retry(fetch, 20 * HAUL_MILLISECOND);
        break;
    case HAUL_STATUS_WRONG:
        wrong(fetch);
        break;
    case HAUL_STATUS_IO:
    case HAUL_STATUS_IO_STORE:
        haul_fetch_free(fetch);
        haul_transfer_io_failed(transfer, status, (int)at);
        break;
    case HAUL_STATUS_WITHDRAWN:
    case HAUL_STATUS_FLOW_ENDED:
    case HAUL_STATUS_UNPROVEN:
    case HAUL_STATUS_SILENT:
    case HAUL_STATUS_CLOSED:
        /* The carrier says itself that it has gone; another one, or another of its lanes, takes the
         * fetch over. */
        if (fetch->distrusted) {
            retry(fetch, 200 * HAUL_MILLISECOND);
            break;
        }
        fetch->state = HAUL_FETCH_RETRY;
        fetch->retry_at =
            fetch->by == transfer->carrier && !goes_on(transfer) ? HAUL_TIME_NEVER : 0;
        break;
    }
    if (transfer->progress != NULL)
        transfer->progress(transfer);
    haul_transfer_pump(transfer);
}

/* --- bytes of a carrier that does not check them itself --- */

/* On a helper. The transfer holds the fetch until it is done, whatever happens to the transfer. */
static void verify(void *job)
{
    struct haul_fetch *fetch = job;
    struct haul_hash hash;

    haul_hash_of(fetch->cid.hash.bytes[0],
                 haul_orders_slot(fetch->transfer->parts.orders, fetch->slot), fetch->got, &hash);
    if (!haul_hash_equal(&hash, &fetch->cid.hash))
        fetch->got = UINT32_MAX;
}

static void verify_done(void *job)
{
    struct haul_fetch *fetch = job;
    bool good = fetch->got != UINT32_MAX;

    haul_fetch_done(fetch, good ? HAUL_STATUS_DONE : HAUL_STATUS_WRONG, good ? fetch->got : 0, 0,
                    haul_loop_now(fetch->transfer->parts.loop));
}

bool haul_fetch_verify(struct haul_fetch *fetch)
{
    return haul_helpers_run(fetch->transfer->parts.helpers, fetch->slot, verify, verify_done,
                            fetch);
}

/* --- asking --- */

/* Gives a fetch to the carrier; false when that has no room, and then it waits to be tried again.
 */
static bool fetch_ask(struct haul_fetch *fetch)
{
    struct haul_transfer *transfer = fetch->transfer;

    fetch->by = fetch->look != HAUL_LOOK_NOWHERE ? transfer->carriers[HAUL_CARRIER_LOCAL]
                : fetch->distrusted              ? transfer->carriers[HAUL_CARRIER_STREAM]
                                                 : transfer->carrier;
    fetch->state = HAUL_FETCH_ASKED;
    if (!fetch->by->fetch(fetch)) {
        fetch->state = HAUL_FETCH_RETRY;
        fetch->retry_at = 0;
        return false;
    }
    transfer->asked++;
    if (transfer->moved == 0)
        transfer->moved = haul_loop_now(transfer->parts.loop);
    return true;
}

static void ordered_push(struct haul_transfer *transfer, struct haul_fetch *fetch)
{
    if (transfer->ask.sink != HAUL_SINK_STREAM)
        return;
    fetch->next = NULL;
    *transfer->ordered_end = fetch;
    transfer->ordered_end = &fetch->next;
}

/* Nothing to fetch; in the store an empty block has no place either: whoever asks for the hash of
 * nothing knows its bytes. */
static void empty_leaf(struct haul_transfer *transfer, uint32_t file, uint64_t offset)
{
    if (offset == 0)
        haul_transfer_look_over(transfer, file);
    haul_plan_leaf(transfer->plan, file);
}

static bool leaf_step(struct haul_transfer *transfer, const struct haul_step *step,
                      struct haul_fetch *fetch)
{
    if (step->empty) {
        haul_fetch_free(fetch);
        empty_leaf(transfer, step->file, step->offset);
        return true;
    }
    fetch->cid = step->cid;
    fetch->file = step->file;
    fetch->offset = step->offset;
    fetch->length = step->length;
    haul_fetch_look(fetch);
    ordered_push(transfer, fetch);
    return fetch_ask(fetch);
}

static bool data_step(struct haul_transfer *transfer, const struct haul_step *step,
                      struct haul_fetch *fetch)
{
    fetch->inline_data = true;
    fetch->file = step->file;
    fetch->offset = step->offset;
    fetch->got = (uint32_t)step->data_bytes;
    fetch->by = transfer->carrier;
    fetch->when = haul_loop_now(transfer->parts.loop);
    memcpy(haul_orders_slot(transfer->parts.orders, fetch->slot), step->data, step->data_bytes);
    ordered_push(transfer, fetch);
    if (transfer->ask.sink == HAUL_SINK_FILES)
        return haul_fetch_put(fetch);
    haul_fetch_leaf_verified(fetch);
    return true;
}

static void entry_step(struct haul_transfer *transfer, const struct haul_step *step)
{
    enum haul_sink sink = transfer->ask.sink;

    if (step->kind == HAUL_STEP_FILE && sink != HAUL_SINK_LIST) {
        transfer->files[step->file] = (struct haul_transfer_file){ .fd = -1, .open = true };
        if (sink != HAUL_SINK_FILES)
            haul_plan_opened(transfer->plan, step->file);
    }
    if (sink == HAUL_SINK_FILES || sink == HAUL_SINK_LIST)
        transfer->events.entry(transfer->context, step);
}

static void file_end_step(struct haul_transfer *transfer, const struct haul_step *step)
{
    struct haul_transfer_file *file = &transfer->files[step->file];

    transfer->files_done++;
    file->open = false;
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
    if (transfer->ask.sink == HAUL_SINK_FILES)
        transfer->events.finished(transfer->context, step->file);
}

/* Acts on one step; `fetch` is spare and taken by the steps that need one. False: try later. */
static bool step_act(struct haul_transfer *transfer, const struct haul_step *step,
                     struct haul_fetch *fetch)
{
    bool more = true;

    switch (step->kind) {
    case HAUL_STEP_NODE:
        fetch->awaited = step->awaited;
        fetch->cid = step->cid;
        haul_fetch_look(fetch);
        return fetch_ask(fetch);
    case HAUL_STEP_LEAF:
        return leaf_step(transfer, step, fetch);
    case HAUL_STEP_DATA:
        return data_step(transfer, step, fetch);
    case HAUL_STEP_FILE:
    case HAUL_STEP_DIRECTORY:
    case HAUL_STEP_DIRECTORY_END:
    case HAUL_STEP_LINK:
        entry_step(transfer, step);
        break;
    case HAUL_STEP_FILE_END:
        file_end_step(transfer, step);
        break;
    case HAUL_STEP_DONE:
        transfer->plan_over = true;
        more = false;
        break;
    case HAUL_STEP_WAIT:
        if (transfer->asked < transfer->wants_max / 2)
            transfer->wants_short++;
        more = false;
        break;
    }
    haul_fetch_free(fetch);
    return more;
}

/* Those whose time has come go first. False when the carrier has no room. */
static bool retries_ask(struct haul_transfer *transfer)
{
    haul_time now = haul_loop_now(transfer->parts.loop);

    for (size_t i = 0; i < HAUL_FETCHES_MAX; i++) {
        struct haul_fetch *fetch = &transfer->fetches[i];

        if (fetch->state != HAUL_FETCH_RETRY || fetch->retry_at > now)
            continue;
        if (fetch->got > 0 || fetch->inline_data) {
            if (!haul_fetch_put(fetch))
                return false;
            continue;
        }
        /* A fetch that another carrier began may lack the slot that this one needs. */
        if (fetch->slot == HAUL_NO_CONTROL_SLOT &&
            (fetch->distrusted || !transfer->carrier->places) && !haul_fetch_slot_take(fetch))
            return false;
        if (fetch->distrusted && !transfer->carriers[HAUL_CARRIER_STREAM]->ready(transfer))
            return false;
        if (!fetch_ask(fetch))
            return false;
    }
    return true;
}

static void room_came(void *context)
{
    haul_transfer_pump(context);
}

/* One step of the plan, with what there is room for. False when there is nothing more now. */
static bool plan_step(struct haul_transfer *transfer)
{
    bool slot_for_leaf =
        !transfer->carrier->places || transfer->looks || transfer->ask.sink == HAUL_SINK_STREAM;
    struct haul_fetch *fetch;
    struct haul_error error;
    struct haul_step step;
    unsigned room = 0;

    if (transfer->free_fetch == NULL ||
        transfer->events.backlog(transfer->context) >= HAUL_BACKLOG_BYTES_MAX)
        return false;
    fetch = haul_fetch_take(transfer);
    if (haul_fetch_slot_take(fetch))
        room |= HAUL_PLAN_ROOM_NODE;
    if (transfer->asked < transfer->wants_max) {
        if (!slot_for_leaf || (room & HAUL_PLAN_ROOM_NODE) != 0)
            room |= HAUL_PLAN_ROOM_LEAF;
    } else {
        room = 0;
    }
    if (haul_plan_next(transfer->plan, room, &step, &error) < 0) {
        haul_fetch_free(fetch);
        haul_transfer_fail(transfer, &error);
        return false;
    }
    return step_act(transfer, &step, fetch);
}

void haul_transfer_pump(struct haul_transfer *transfer)
{
    if (transfer->state != HAUL_TRANSFER_MOVING) {
        haul_transfer_settle(transfer);
        return;
    }
    if (transfer->ask.sink == HAUL_SINK_STREAM)
        haul_transfer_hand_out(transfer);
    if (transfer->carrier->ready != NULL && !transfer->carrier->ready(transfer)) {
        haul_transfer_arm(transfer);
        return;
    }
    if (retries_ask(transfer)) {
        while (transfer->state == HAUL_TRANSFER_MOVING && !transfer->plan_over &&
               plan_step(transfer))
            continue;
    }
    if (transfer->state != HAUL_TRANSFER_MOVING) {
        haul_transfer_settle(transfer);
        return;
    }
    if (transfer->plan_over && transfer->outstanding == 0) {
        haul_transfer_settle(transfer);
        return;
    }
    /* Orders and slots are shared with others: their coming back is the moment to go on. */
    haul_orders_when_room(transfer->parts.orders, room_came, transfer);
    haul_transfer_arm(transfer);
}

void haul_transfer_move(struct haul_transfer *transfer, const struct haul_carrier_ops *carrier)
{
    const struct haul_carrier_ops *before = transfer->carrier;
    haul_time now = haul_loop_now(transfer->parts.loop);

    transfer->carrier = carrier;
    if (before != NULL && before != carrier && before->leave != NULL)
        before->leave(transfer);
    transfer->state = HAUL_TRANSFER_MOVING;
    if (transfer->met == 0) {
        transfer->met = now;
        transfer->cpu_before = haul_usage_cpu();
        for (uint32_t i = 0; i < haul_orders_workers(transfer->parts.orders); i++)
            transfer->plane_cpu_before[i] =
                transfer->parts.plane_cpu(transfer->parts.plane_context, i);
    }
    /* What a carrier that went away had not brought is asked for again. */
    for (size_t i = 0; i < HAUL_FETCHES_MAX; i++) {
        if (transfer->fetches[i].state == HAUL_FETCH_RETRY)
            transfer->fetches[i].retry_at = 0;
    }
    haul_transfer_pump(transfer);
}
