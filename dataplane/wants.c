/* Which job a want of a peer is: by flow and handle, in buckets through the jobs, and by the id
 * under which the control plane was asked. */
#include "dataplane/worker_parts.h"

static uint16_t *want_bucket(struct haul_worker *worker, uint32_t flow, uint32_t handle)
{
    uint64_t key = (uint64_t)flow << 32 | handle;

    return &worker->wants[(key * 0x9e3779b97f4a7c15u) >> 52];
}

void haul_want_enter(struct haul_worker *worker, struct haul_job *job)
{
    uint16_t *bucket = want_bucket(worker, job->order.flow, job->handle);

    job->chain = *bucket;
    *bucket = haul_job_number(worker, job);
}

/* Takes the job of a want out of its bucket; NULL when there is none. */
struct haul_job *haul_want_take(struct haul_worker *worker, uint32_t flow, uint32_t handle)
{
    uint16_t *link = want_bucket(worker, flow, handle);

    while (*link != HAUL_NO_JOB) {
        struct haul_job *job = &worker->jobs[*link];

        if (job->order.flow == flow && job->handle == handle) {
            *link = job->chain;
            return job;
        }
        link = &job->chain;
    }
    return NULL;
}

void haul_want_forget(struct haul_worker *worker, struct haul_job *job)
{
    haul_assert(haul_want_take(worker, job->order.flow, job->handle) == job);
}

/* A want's id names its worker, its job and this use of it, so that an answer that comes too late
 * finds nothing, and no two workers give the same. */
uint64_t haul_want_id(const struct haul_worker *worker, const struct haul_job *job)
{
    return (uint64_t)worker->number << 56 | (uint64_t)job->reuse << 16 |
           haul_job_number(worker, job);
}

struct haul_job *haul_want_find(struct haul_worker *worker, uint64_t id)
{
    struct haul_job *job = &worker->jobs[(id & 0xffff) % HAUL_JOBS_MAX];

    return job->state == HAUL_JOB_ASKED && haul_want_id(worker, job) == id ? job : NULL;
}
