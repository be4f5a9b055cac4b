/* Blocks on their way: a control slot is filled by a helper that reads and hashes, or with a node
 * from a builder, and goes to the store by a WRITE order. */
#include "controlplane/datasets/ingest_parts.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define NO_SLOT UINT32_MAX

static void on_room(void *context)
{
    struct haul_ingest *ingest = context;

    ingest_job_write_retry(ingest);
    ingest->pump(ingest);
}

struct ingest_job *ingest_job_take(struct haul_ingest *ingest)
{
    struct ingest_job *job = NULL;
    uint32_t slot;

    for (uint32_t i = 0; i < HAUL_INGEST_JOBS && job == NULL; i++) {
        if (ingest->jobs[i].state == JOB_FREE)
            job = &ingest->jobs[i];
    }
    if (job == NULL) /* one of ours comes back, and then there is a pump */
        return NULL;
    slot = haul_orders_slot_take(ingest->conf.orders);
    if (slot == NO_SLOT) {
        haul_orders_when_room(ingest->conf.orders, on_room, ingest);
        return NULL;
    }
    *job = (struct ingest_job){ .ingest = ingest,
                                .slot = slot,
                                .data = haul_orders_slot(ingest->conf.orders, slot),
                                .hash_code = ingest->conf.hash_code };
    return job;
}

/* --- on a helper --- */

static void read_leaf(void *context)
{
    struct ingest_job *job = context;
    uint64_t at = job->number * HAUL_LEAF_BYTES;

    while (job->length < job->wanted) {
        ssize_t got = pread(job->entry->fd, job->data + job->length, job->wanted - job->length,
                            (off_t)(at + job->length));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            job->error = errno;
        if (got <= 0)
            break;
        job->length += (uint32_t)got;
    }
    haul_hash_of(job->hash_code, job->data, job->length, &job->hash);
}

/* Takes what a stream has without waiting for more: a helper is not to be held up by a slow writer.
 * The last part, or a full leaf, is hashed. */
static void read_stream(void *context)
{
    struct ingest_job *job = context;
    struct pollfd ready = { .fd = job->entry->fd, .events = POLLIN };

    while (job->length < HAUL_LEAF_BYTES && !job->end && job->error == 0) {
        ssize_t got;

        if (job->entry->fd_polls && poll(&ready, 1, 0) == 0)
            return;
        got = read(ready.fd, job->data + job->length, HAUL_LEAF_BYTES - job->length);
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            job->error = errno;
        if (got == 0)
            job->end = true;
        if (got > 0)
            job->length += (uint32_t)got;
    }
    haul_hash_of(job->hash_code, job->data, job->length, &job->hash);
}

/* --- back on the control thread --- */

static void stream_ready(void *context, unsigned ready)
{
    struct ingest_job *job = context;
    struct haul_watch *watch = job->watch;

    if (!ingest_job_read(job, job->entry, job->read)) /* it is ready next turn as well */
        return;
    job->watch = NULL;
    haul_loop_unwatch(watch);
}

static void watch_stream(struct ingest_job *job)
{
    struct haul_ingest *ingest = job->ingest;

    job->state = JOB_WATCHING;
    job->watch =
        haul_loop_watch(ingest->conf.loop, job->entry->fd, HAUL_LOOP_READ, stream_ready, job);
    if (job->watch == NULL) {
        ingest_job_give(job);
        ingest_fail_entry(ingest, job->entry, HAUL_E_SOURCE_UNREADABLE, "cannot be waited for");
    }
}

static void on_read(void *context)
{
    struct ingest_job *job = context;
    struct haul_ingest *ingest = job->ingest;
    struct ingest_entry *entry = job->entry;

    ingest->busy--;
    entry->jobs--;
    if (ingest->failed || ingest->closed) {
        ingest_job_give(job);
        ingest_idle(ingest);
        return;
    }
    if (job->error != 0) {
        int error = job->error;

        ingest_job_give(job);
        ingest_fail_entry(ingest, entry, HAUL_E_SOURCE_UNREADABLE, strerror(error));
        return;
    }
    if (entry->kind == ENTRY_STREAM && job->length < HAUL_LEAF_BYTES && !job->end) {
        watch_stream(job);
        return;
    }
    job->read(ingest, job);
    ingest->pump(ingest);
}

bool ingest_job_read(struct ingest_job *job, struct ingest_entry *entry, ingest_read_fn *read)
{
    struct haul_ingest *ingest = job->ingest;
    uint32_t lane = (uint32_t)(job - ingest->jobs);
    bool stream = entry->kind == ENTRY_STREAM;

    job->entry = entry;
    job->read = read;
    if (!haul_helpers_run(ingest->conf.helpers, lane, stream ? read_stream : read_leaf, on_read,
                          job))
        return false;
    job->state = JOB_WORKING;
    ingest->busy++;
    entry->jobs++;
    return true;
}

/* --- to the store --- */

static void on_written(void *context, const struct haul_event *event)
{
    struct ingest_job *job = context;
    struct haul_ingest *ingest = job->ingest;
    struct haul_error error;

    ingest->busy--;
    ingest_job_give(job);
    if (event->status != HAUL_STATUS_DONE) {
        (void)haul_fail(&error, HAUL_E_STORE_FAILED, "a block could not be written: %s",
                        event->status == HAUL_STATUS_IO ? strerror((int)event->at) : "refused");
        ingest_fail(ingest, &error);
        return;
    }
    if (!ingest->has_lost_packs) {
        ingest->has_lost_packs = true;
        ingest->lost_packs = event->length;
    }
    ingest->facts.blocks++;
    ingest_idle(ingest);
    ingest->pump(ingest);
}

static bool submit_write(struct ingest_job *job)
{
    struct haul_order order = { .kind = HAUL_ORDER_WRITE,
                                .slot = job->slot,
                                .length = job->length,
                                .hash = job->hash,
                                .place = { .kind = HAUL_PLACE_STORE } };

    if (haul_orders_submit(job->ingest->conf.orders, &order, on_written, job) == 0)
        return false;
    job->state = JOB_WRITING;
    job->ingest->busy++;
    return true;
}

void ingest_job_write(struct ingest_job *job)
{
    struct haul_ingest *ingest = job->ingest;
    struct haul_error error;

    if (haul_catalog_note(ingest->conf.catalog, ingest->build, &job->hash, &error) != 0) {
        ingest_job_give(job);
        ingest_fail(ingest, &error);
        return;
    }
    if (!submit_write(job)) {
        job->state = JOB_WAITING;
        haul_orders_when_room(ingest->conf.orders, on_room, ingest);
    }
}

void ingest_job_write_retry(struct haul_ingest *ingest)
{
    for (uint32_t i = 0; i < HAUL_INGEST_JOBS; i++) {
        struct ingest_job *job = &ingest->jobs[i];

        if (job->state != JOB_WAITING)
            continue;
        if (ingest->failed || ingest->closed)
            ingest_job_give(job);
        else if (!submit_write(job))
            haul_orders_when_room(ingest->conf.orders, on_room, ingest);
    }
}
