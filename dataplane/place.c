/* Moves blocks between slots and places: the store, a descriptor, the generator. A job may have two
 * parts (a file, and the store as well); a part that a full queue does not take waits its turn, in
 * order. */
#include "dataplane/worker_parts.h"

#include "common/synthetic.h"

#include <errno.h>

#define TAG_PART_SHIFT 16
#define REAP_BATCH     32u

static enum haul_status place_fault(const struct haul_job *job)
{
    return job->fault_also ? HAUL_STATUS_IO_STORE : HAUL_STATUS_IO;
}

/* A peer's want: refused, or lent to the flow. */
static void serve_read(struct haul_worker *worker, struct haul_job *job)
{
    struct haul_flow *flow = worker->flows[job->order.flow].flow;
    bool missing = job->fault == ENOENT ||
                   (job->fault == 0 && job->order.length != 0 && job->length != job->order.length);

    if (job->ended) {
        haul_job_done(worker, job, (enum haul_status)job->status);
    } else if (job->fault != 0 || missing) {
        haul_flow_refuse(flow, job->handle, HAUL_REFUSAL_FAILED, 0, worker->now);
        haul_job_done(worker, job, missing ? HAUL_STATUS_MISSING : HAUL_STATUS_IO);
    } else {
        job->state = HAUL_JOB_SENDING;
        haul_counter_add(&worker->counters.serves, 1);
        haul_flow_serve(flow, job->handle, job->memory, job->length, worker->now);
    }
}

/* Nothing of the job is under way any more. */
static void place_done(struct haul_worker *worker, struct haul_job *job)
{
    enum haul_status status = HAUL_STATUS_DONE;

    if (job->order.kind == HAUL_ORDER_SERVE) {
        serve_read(worker, job);
        return;
    }
    if (job->fault == 0 && job->order.kind == HAUL_ORDER_READ && job->order.length != 0 &&
        job->order.length != job->length)
        status = HAUL_STATUS_MISSING;
    else if (job->fault == ENOENT && job->order.kind != HAUL_ORDER_FETCH)
        status = HAUL_STATUS_MISSING;
    else if (job->fault != 0)
        status = place_fault(job);
    haul_job_done(worker, job, status);
}

static uint64_t part_tag(const struct haul_worker *worker, const struct haul_job *job, uint8_t part)
{
    return (uint64_t)part << TAG_PART_SHIFT | haul_job_number(worker, job);
}

static bool store_submit(struct haul_worker *worker, struct haul_job *job)
{
    uint64_t tag = part_tag(worker, job, HAUL_PART_STORE);

    if (job->state == HAUL_JOB_READING)
        return haul_store_read(worker->store, &job->order.hash, job->memory, tag);
    if (job->state == HAUL_JOB_SYNCING)
        return haul_store_sync(worker->store, tag);
    return haul_store_write(worker->store, &job->order.hash, job->memory, job->length, tag);
}

static bool file_submit(struct haul_worker *worker, struct haul_job *job)
{
    struct haul_io_request request = {
        .verb = HAUL_IO_WRITE,
        .fd = (int)job->order.place.index,
        .data = job->memory,
        .bytes = job->length,
        .at = job->order.place.at,
        .tag = part_tag(worker, job, HAUL_PART_FILE),
    };

    if (job->state == HAUL_JOB_SYNCING) {
        request =
            (struct haul_io_request){ .verb = HAUL_IO_FLUSH, .fd = request.fd, .tag = request.tag };
    } else if (job->state == HAUL_JOB_READING) {
        request.verb = HAUL_IO_READ;
        request.bytes = job->order.length != 0 ? job->order.length : HAUL_BLOCK_BYTES_MAX;
    }
    return haul_io_submit(worker->io, &request);
}

/* Submits what the job still has to submit; false when a queue is full. */
static bool parts_submit(struct haul_worker *worker, struct haul_job *job)
{
    if ((job->unsent & HAUL_PART_STORE) != 0 && store_submit(worker, job)) {
        job->unsent &= (uint8_t)~HAUL_PART_STORE;
        job->running |= HAUL_PART_STORE;
    }
    if ((job->unsent & HAUL_PART_FILE) != 0 && file_submit(worker, job)) {
        job->unsent &= (uint8_t)~HAUL_PART_FILE;
        job->running |= HAUL_PART_FILE;
    }
    worker->submitted = true;
    return job->unsent == 0;
}

static void parts_begin(struct haul_worker *worker, struct haul_job *job, uint8_t parts)
{
    job->unsent = parts;
    if (parts == 0) {
        place_done(worker, job);
    } else if (worker->unsent.count > 0 || !parts_submit(worker, job)) {
        haul_counter_add(&worker->counters.disk_waits, 1);
        haul_queue_push(worker, &worker->unsent, job);
    }
}

/* A generated block; a slot that holds one already needs only its stamps. */
static void synthetic_read(struct haul_worker *worker, struct haul_job *job)
{
    uint32_t bytes = job->order.length != 0 ? job->order.length : HAUL_BLOCK_BYTES_MAX;
    bool whole = bytes == HAUL_BLOCK_BYTES_MAX;

    if (whole && (job->slot != HAUL_NO_SLOT ? worker->generated[job->slot]
                                            : (job->order.place.flags & HAUL_PLACE_STAMP) != 0))
        haul_synthetic_stamp(job->memory, bytes, job->order.place.at);
    else
        haul_synthetic_fill(job->memory, bytes, job->order.place.at);
    if (job->slot != HAUL_NO_SLOT)
        worker->generated[job->slot] = whole;
    job->length = bytes;
}

void haul_place_read(struct haul_worker *worker, struct haul_job *job)
{
    enum haul_place_kind kind = (enum haul_place_kind)job->order.place.kind;

    if (kind == HAUL_PLACE_SYNTHETIC && worker->synthetic) {
        synthetic_read(worker, job);
        parts_begin(worker, job, 0);
        return;
    }
    if (job->slot != HAUL_NO_SLOT)
        worker->generated[job->slot] = false;
    if (kind == HAUL_PLACE_STORE) {
        parts_begin(worker, job, HAUL_PART_STORE);
    } else if (kind == HAUL_PLACE_FILE) {
        parts_begin(worker, job, HAUL_PART_FILE);
    } else {
        /* A control slot that is served is where it should be. */
        if (kind != HAUL_PLACE_SLOT || job->order.kind != HAUL_ORDER_SERVE)
            job->fault = EINVAL;
        parts_begin(worker, job, 0);
    }
}

void haul_place_write(struct haul_worker *worker, struct haul_job *job)
{
    const struct haul_place *place = &job->order.place;
    uint8_t parts = (place->flags & HAUL_PLACE_ALSO_STORE) != 0 ? HAUL_PART_STORE : 0;

    switch ((enum haul_place_kind)place->kind) {
    case HAUL_PLACE_STORE:
        parts |= HAUL_PART_STORE;
        break;
    case HAUL_PLACE_FILE:
        parts |= HAUL_PART_FILE;
        break;
    case HAUL_PLACE_DISCARD:
    case HAUL_PLACE_SLOT:
        break;
    case HAUL_PLACE_SYNTHETIC:
        job->fault = EINVAL;
        parts = 0;
        break;
    }
    parts_begin(worker, job, parts);
}

/* Of a descriptor when the place is one, and of the store otherwise or as well. */
void haul_place_sync(struct haul_worker *worker, struct haul_job *job)
{
    const struct haul_place *place = &job->order.place;

    if (place->kind != HAUL_PLACE_FILE)
        parts_begin(worker, job, HAUL_PART_STORE);
    else if ((place->flags & HAUL_PLACE_ALSO_STORE) != 0)
        parts_begin(worker, job, HAUL_PART_FILE | HAUL_PART_STORE);
    else
        parts_begin(worker, job, HAUL_PART_FILE);
}

static void part_ended(struct haul_worker *worker, uint64_t tag, int64_t fault)
{
    struct haul_job *job = &worker->jobs[(tag & 0xffff) % HAUL_JOBS_MAX];
    uint8_t part = (uint8_t)(tag >> TAG_PART_SHIFT);

    haul_assert(job->state != HAUL_JOB_FREE && (job->running & part) == part);
    job->running &= (uint8_t)~part;
    if (fault != 0 && job->fault == 0) {
        job->fault = fault;
        job->fault_also =
            part == HAUL_PART_STORE && (job->order.place.flags & HAUL_PLACE_ALSO_STORE) != 0;
    }
    if (job->running == 0 && job->unsent == 0)
        place_done(worker, job);
}

static void on_io(struct haul_worker *worker, const struct haul_io_result *result)
{
    struct haul_job *job = &worker->jobs[(result->tag & 0xffff) % HAUL_JOBS_MAX];
    int64_t fault = result->result < 0 ? -result->result : 0;

    if (job->state == HAUL_JOB_READING && fault == 0)
        job->length = (uint32_t)result->result;
    if (job->state == HAUL_JOB_PUTTING && fault == 0 && result->result != job->length)
        fault = EIO;
    part_ended(worker, result->tag, fault);
}

static void on_store(struct haul_worker *worker, const struct haul_store_result *result)
{
    struct haul_job *job = &worker->jobs[(result->tag & 0xffff) % HAUL_JOBS_MAX];

    if ((result->tag & HAUL_POST_TAG_BIT) != 0) {
        haul_post_result(worker->posts[haul_post_number(result)], worker->store, result);
        return;
    }
    if (job->state == HAUL_JOB_READING && result->error == 0)
        job->length = result->length;
    else if (result->verb != HAUL_STORE_READ)
        worker->failed_packs = result->length;
    part_ended(worker, result->tag, -result->error);
}

/* What other workers want of the store: after our own, each in turn the first. */
static bool posts_work(struct haul_worker *worker)
{
    uint32_t first = (uint32_t)(worker->counters.turns % HAUL_WORKERS_MAX);
    bool any = false;

    for (uint32_t i = 0; i < HAUL_WORKERS_MAX; i++) {
        struct haul_post *post = worker->posts[(first + i) % HAUL_WORKERS_MAX];

        if (post != NULL)
            any |= haul_post_work(post, worker->store);
    }
    worker->submitted |= any; /* it may be done already */
    return any;
}

/* Takes what the disk has finished, then hands in what waited; true when anything moved. */
bool haul_place_reap(struct haul_worker *worker)
{
    struct haul_io_result results[REAP_BATCH];
    struct haul_store_result stored[REAP_BATCH];
    struct haul_job *job;
    size_t count;
    bool any = false;

    while ((count = haul_io_reap(worker->io, results, REAP_BATCH)) > 0) {
        any = true;
        for (size_t i = 0; i < count; i++) {
            if ((results[i].tag & HAUL_IO_TAG_BIT) != 0)
                haul_store_on_io(worker->store, &results[i]);
            else
                on_io(worker, &results[i]);
        }
    }
    while ((count = haul_store_reap(worker->store, stored, REAP_BATCH)) > 0) {
        any = true;
        for (size_t i = 0; i < count; i++)
            on_store(worker, &stored[i]);
    }
    while ((job = haul_queue_first(worker, &worker->unsent)) != NULL) {
        if (!parts_submit(worker, job))
            break;
        haul_queue_remove(worker, &worker->unsent, job);
    }
    any |= posts_work(worker);
    haul_io_kick(worker->io);
    return any;
}
