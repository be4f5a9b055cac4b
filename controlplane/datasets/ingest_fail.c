/* How an ingest fails: once, with the path of what did. Blocks that nobody works on are given back
 * at once; the rest is cleaned up by the timer when helpers and worker have given back theirs. */
#include "controlplane/datasets/ingest_parts.h"

#include <string.h>

void ingest_soon(struct haul_ingest *ingest, haul_time after)
{
    haul_time at = haul_loop_now(ingest->conf.loop) + after;

    if (at < ingest->timer_at) {
        ingest->timer_at = at;
        haul_loop_timer_set(ingest->timer, at);
    }
}

void ingest_idle(struct haul_ingest *ingest)
{
    if ((ingest->failed || ingest->closed) && ingest->busy == 0)
        ingest_soon(ingest, 0);
}

void ingest_job_give(struct ingest_job *job)
{
    haul_orders_slot_give(job->ingest->conf.orders, job->slot);
    job->state = JOB_FREE;
}

void ingest_job_unwatch(struct haul_ingest *ingest)
{
    for (uint32_t i = 0; i < HAUL_INGEST_JOBS; i++) {
        struct ingest_job *job = &ingest->jobs[i];

        if (job->state == JOB_WATCHING) {
            haul_loop_unwatch(job->watch);
            ingest_job_give(job);
        } else if (job->state == JOB_WAITING) {
            ingest_job_give(job);
        }
    }
}

/* Nothing is freed here: callers further up may still hold an entry. The timer cleans up when
 * helpers and worker have given everything back. */
void ingest_fail(struct haul_ingest *ingest, const struct haul_error *error)
{
    if (!ingest->failed && !ingest->closed) {
        ingest->failed = true;
        ingest->error = *error;
        ingest_job_unwatch(ingest);
    }
    ingest_idle(ingest);
}

/* Writes the path backwards from the end of `text`; returns where it begins. */
static size_t path_of(const struct ingest_entry *entry, char *text, size_t bytes)
{
    size_t at = bytes;

    for (; entry != NULL; entry = entry->parent) {
        if (entry->name_bytes == 0)
            continue;
        if (entry->name_bytes + 1 > at)
            break;
        at -= entry->name_bytes;
        memcpy(text + at, entry->name, entry->name_bytes);
        text[--at] = '/';
    }
    return at < bytes ? at + 1 : at;
}

void ingest_fail_entry(struct haul_ingest *ingest, const struct ingest_entry *entry,
                       enum haul_error_code code, const char *reason)
{
    const char *root = ingest->dataset.name[0] != 0 ? ingest->dataset.name : "the root";
    char path[160];
    size_t at = path_of(entry, path, sizeof path - 1);
    struct haul_error error;

    path[sizeof path - 1] = 0;
    (void)haul_fail(&error, code, "%.159s: %.90s", path[at] == 0 ? root : path + at, reason);
    ingest_fail(ingest, &error);
}
