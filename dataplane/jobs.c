/* The table of jobs: taken from a free list, queued through their own links, each with a slot. */
#include "dataplane/worker_parts.h"

#include <string.h>

void haul_jobs_init(struct haul_worker *worker)
{
    for (uint32_t i = 0; i < HAUL_JOBS_MAX; i++)
        worker->jobs[i].next = i + 1 < HAUL_JOBS_MAX ? (uint16_t)(i + 1) : HAUL_NO_JOB;
    worker->free_job = 0;
    for (uint32_t i = 0; i < HAUL_WANT_BUCKETS; i++)
        worker->wants[i] = HAUL_NO_JOB;
    haul_queue_init(&worker->unsent);
}

uint16_t haul_job_number(const struct haul_worker *worker, const struct haul_job *job)
{
    return (uint16_t)(job - worker->jobs);
}

uint32_t haul_flows_number(const struct haul_worker *worker, const struct haul_worker_flow *flow)
{
    return (uint32_t)(flow - worker->flows);
}

/* NULL when the table is full. */
struct haul_job *haul_job_new(struct haul_worker *worker, const struct haul_order *order)
{
    struct haul_job *job;
    uint32_t reuse;

    if (worker->free_job == HAUL_NO_JOB)
        return NULL;
    job = &worker->jobs[worker->free_job];
    haul_assert(job->state == HAUL_JOB_FREE);
    worker->free_job = job->next;
    reuse = job->reuse + 1;
    *job = (struct haul_job){
        .order = *order,
        .next = HAUL_NO_JOB,
        .slot = HAUL_NO_SLOT,
        .length = order->length,
        .reuse = reuse,
    };
    return job;
}

static enum haul_slot_side slot_side(const struct haul_worker *worker, uint32_t slot)
{
    return slot < worker->slots.count[HAUL_SLOT_FILLING] ? HAUL_SLOT_FILLING : HAUL_SLOT_SERVING;
}

bool haul_job_slot_take(struct haul_worker *worker, struct haul_job *job, enum haul_slot_side side)
{
    uint32_t slot = haul_slots_take(&worker->slots, side);

    if (slot == HAUL_NO_SLOT)
        return false;
    job->slot = slot;
    job->memory = worker->slot_memory + (size_t)slot * HAUL_BLOCK_BYTES_MAX;
    worker->flows[job->order.flow].held[side]++;
    return true;
}

void haul_job_slot_give(struct haul_worker *worker, struct haul_job *job)
{
    enum haul_slot_side side;

    if (job->slot == HAUL_NO_SLOT)
        return;
    side = slot_side(worker, job->slot);
    haul_assert(worker->flows[job->order.flow].held[side] > 0);
    worker->flows[job->order.flow].held[side]--;
    haul_slots_give(&worker->slots, job->slot);
    job->slot = HAUL_NO_SLOT;
}

void haul_queue_init(struct haul_queue *queue)
{
    *queue = (struct haul_queue){ .first = HAUL_NO_JOB, .last = HAUL_NO_JOB };
}

void haul_queue_push(struct haul_worker *worker, struct haul_queue *queue, struct haul_job *job)
{
    uint16_t number = haul_job_number(worker, job);

    job->next = HAUL_NO_JOB;
    if (queue->last == HAUL_NO_JOB)
        queue->first = number;
    else
        worker->jobs[queue->last].next = number;
    queue->last = number;
    queue->count++;
}

struct haul_job *haul_queue_first(struct haul_worker *worker, struct haul_queue *queue)
{
    return queue->first == HAUL_NO_JOB ? NULL : &worker->jobs[queue->first];
}

/* Constant for the first, a walk for any other (a cancelled order). */
void haul_queue_remove(struct haul_worker *worker, struct haul_queue *queue, struct haul_job *job)
{
    uint16_t number = haul_job_number(worker, job), before = HAUL_NO_JOB;

    for (uint16_t at = queue->first; at != number; at = worker->jobs[at].next) {
        haul_assert(at != HAUL_NO_JOB);
        before = at;
    }
    if (before == HAUL_NO_JOB)
        queue->first = job->next;
    else
        worker->jobs[before].next = job->next;
    if (queue->last == number)
        queue->last = before;
    job->next = HAUL_NO_JOB;
    queue->count--;
}
