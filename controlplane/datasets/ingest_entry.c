/* Entries going forward: leaves read ahead and added in order, blocks of builders sent to the
 * store, finished entries delivered to their directories. */
#include "controlplane/datasets/ingest_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct ingest_entry *ingest_entry_new(struct haul_ingest *ingest, enum entry_kind kind,
                                      const char *name)
{
    size_t bytes = name == NULL ? 0 : strlen(name);
    struct ingest_entry *entry = calloc(1, sizeof *entry + bytes + 1);

    if (entry == NULL)
        return NULL;
    entry->kind = kind;
    entry->fd = -1;
    entry->parent = ingest->current;
    entry->name_bytes = bytes;
    memcpy(entry->name, name == NULL ? "" : name, bytes);
    if (entry->parent != NULL)
        entry->parent->pending++;
    LIST_INSERT_HEAD(&ingest->all, entry, in_all);
    return entry;
}

void ingest_entry_free(struct haul_ingest *ingest, struct ingest_entry *entry)
{
    haul_assert(entry->jobs == 0);
    if (entry->active)
        TAILQ_REMOVE(&ingest->active, entry, in_active);
    LIST_REMOVE(entry, in_all);
    if (entry->fd >= 0)
        close(entry->fd);
    haul_file_build_close(entry->file);
    haul_dir_build_close(entry->directory);
    free(entry->link_space);
    free(entry);
}

void ingest_entry_activate(struct haul_ingest *ingest, struct ingest_entry *entry)
{
    TAILQ_INSERT_TAIL(&ingest->active, entry, in_active);
    entry->active = true;
    ingest->activated = true;
}

/* The entry is finished: into its directory, which may thereby become active, or the root. */
static void deliver(struct haul_ingest *ingest, struct ingest_entry *entry)
{
    struct ingest_entry *parent = entry->parent;
    struct haul_error error;

    ingest->open_entries--;
    if (parent == NULL) {
        ingest->dataset.root = entry->built.cid;
        ingest->root_built = true;
    } else if (haul_dir_build_add(parent->directory, entry->name, &entry->built, &error) != 0) {
        ingest_fail_entry(ingest, entry, error.code, error.text);
        return;
    } else if (--parent->pending == 0 && parent->ended) {
        ingest_entry_activate(ingest, parent);
    }
    ingest_entry_free(ingest, entry);
}

/* Copies the block that waits into a slot and sends it off; false when there is no slot now. */
static bool send_block(struct haul_ingest *ingest, struct ingest_entry *entry)
{
    struct ingest_job *job = ingest_job_take(ingest);

    if (job == NULL)
        return false;
    memcpy(job->data, entry->block.data, entry->block.bytes);
    job->length = entry->block.bytes;
    job->hash = entry->block.cid.hash;
    entry->has_block = false;
    ingest_job_write(job);
    return true;
}

/* --- links and directories --- */

static void advance_symlink(struct haul_ingest *ingest, struct ingest_entry *entry)
{
    if (send_block(ingest, entry) && !ingest->failed)
        deliver(ingest, entry);
}

/* Sorting and packing a large directory takes long: a helper does it. */
struct end_job {
    struct haul_ingest *ingest;
    struct ingest_entry *entry;
};

static void run_end(void *context)
{
    struct ingest_entry *entry = ((struct end_job *)context)->entry;

    if (haul_dir_build_end(entry->directory, &entry->end_error) == 0)
        entry->end_error.code = HAUL_OK;
}

static void on_end(void *context)
{
    struct end_job job = *(struct end_job *)context;

    free(context);
    job.ingest->busy--;
    job.entry->jobs--;
    job.entry->built_all = true;
    if (job.ingest->failed || job.ingest->closed) {
        ingest_idle(job.ingest);
        return;
    }
    if (job.entry->end_error.code != HAUL_OK) {
        ingest_fail_entry(job.ingest, job.entry, job.entry->end_error.code,
                          job.entry->end_error.text);
        return;
    }
    job.ingest->pump(job.ingest);
}

static void start_end(struct haul_ingest *ingest, struct ingest_entry *entry)
{
    struct end_job *job = malloc(sizeof *job);

    if (job == NULL) {
        ingest_fail_entry(ingest, entry, HAUL_E_SYSTEM, "no memory");
        return;
    }
    *job = (struct end_job){ .ingest = ingest, .entry = entry };
    if (!haul_helpers_run(ingest->conf.helpers, 0, run_end, on_end, job)) {
        free(job);
        ingest_soon(ingest, HAUL_MILLISECOND);
        return;
    }
    ingest->busy++;
    entry->jobs++;
}

static void advance_directory(struct haul_ingest *ingest, struct ingest_entry *entry)
{
    if (entry->jobs > 0)
        return;
    if (!entry->built_all) {
        start_end(ingest, entry);
        return;
    }
    while (entry->has_block || haul_dir_build_next(entry->directory, &entry->block)) {
        entry->has_block = true;
        if (!send_block(ingest, entry) || ingest->failed)
            return;
    }
    haul_dir_build_root(entry->directory, &entry->built);
    deliver(ingest, entry);
}

/* --- files and streams --- */

/* A leaf was read. */
static void leaf_read(struct haul_ingest *ingest, struct ingest_job *job)
{
    struct ingest_entry *entry = job->entry;
    struct ingest_leaf *leaf = &entry->ring[job->number % HAUL_INGEST_JOBS];

    if (entry->kind == ENTRY_FILE && job->length != job->wanted) {
        ingest_job_give(job);
        ingest_fail_entry(ingest, entry, HAUL_E_SOURCE_CHANGED, "became shorter while it was read");
        return;
    }
    if (job->end)
        entry->leaves = job->number + (job->length > 0 || job->number == 0);
    if (job->end && job->length == 0 && job->number > 0) {
        ingest_job_give(job);
        return;
    }
    ingest->facts.bytes += job->length;
    *leaf = (struct ingest_leaf){ .ready = true, .length = job->length, .hash = job->hash };
    ingest_job_write(job);
}

static bool start_read(struct haul_ingest *ingest, struct ingest_entry *entry)
{
    struct ingest_job *job = ingest_job_take(ingest);
    uint64_t at = entry->next_read * HAUL_LEAF_BYTES;

    if (job == NULL)
        return false;
    job->number = entry->next_read;
    if (entry->kind == ENTRY_FILE)
        job->wanted =
            entry->bytes - at < HAUL_LEAF_BYTES ? (uint32_t)(entry->bytes - at) : HAUL_LEAF_BYTES;
    if (!ingest_job_read(job, entry, leaf_read)) {
        ingest_job_give(job);
        ingest_soon(ingest, HAUL_MILLISECOND);
        return false;
    }
    entry->next_read++;
    return true;
}

static bool may_read(const struct ingest_entry *entry)
{
    if (entry->next_read >= entry->leaves || entry->next_read - entry->next_add >= HAUL_INGEST_JOBS)
        return false;
    return entry->kind == ENTRY_FILE || entry->next_read == entry->next_add;
}

static bool is_unchanged(const struct ingest_entry *entry)
{
    struct stat now;

    return entry->kind == ENTRY_STREAM ||
           (fstat(entry->fd, &now) == 0 && (uint64_t)now.st_size == entry->bytes &&
            now.st_mtim.tv_sec == entry->mtime.tv_sec &&
            now.st_mtim.tv_nsec == entry->mtime.tv_nsec);
}

static bool meta_present(const struct ingest_entry *entry)
{
    return entry->meta.has_mode || entry->meta.has_mtime;
}

/* One leaf is all there is, so it is the file: no builder for small files. */
static bool is_bare_leaf(const struct ingest_entry *entry)
{
    return entry->leaves == 1 && !meta_present(entry);
}

static bool add_leaf(struct haul_ingest *ingest, struct ingest_entry *entry)
{
    struct ingest_leaf *leaf = &entry->ring[entry->next_add % HAUL_INGEST_JOBS];
    struct haul_error error;

    if (is_bare_leaf(entry)) {
        entry->built = (struct haul_built){ .cid = { .codec = HAUL_CODEC_RAW, .hash = leaf->hash },
                                            .tsize = leaf->length,
                                            .bytes = leaf->length };
    } else {
        if (entry->file == NULL)
            entry->file = haul_file_build_open(ingest->conf.hash_code, &entry->meta);
        if (entry->file == NULL) {
            ingest_fail_entry(ingest, entry, HAUL_E_SYSTEM, "no memory");
            return false;
        }
        if (haul_file_build_add(entry->file, &leaf->hash, leaf->length, &error) != 0) {
            ingest_fail_entry(ingest, entry, error.code, error.text);
            return false;
        }
    }
    leaf->ready = false;
    entry->next_add++;
    return true;
}

/* Sends what the builder has; false when that must wait. */
static bool send_blocks(struct haul_ingest *ingest, struct ingest_entry *entry)
{
    while (entry->has_block ||
           (entry->file != NULL && haul_file_build_next(entry->file, &entry->block))) {
        entry->has_block = true;
        if (!send_block(ingest, entry) || ingest->failed)
            return false;
    }
    return true;
}

static bool may_add(const struct ingest_entry *entry)
{
    return entry->next_add < entry->leaves && entry->ring[entry->next_add % HAUL_INGEST_JOBS].ready;
}

static void advance_file(struct haul_ingest *ingest, struct ingest_entry *entry)
{
    while (send_blocks(ingest, entry) && may_add(entry)) {
        if (!add_leaf(ingest, entry))
            return;
    }
    if (ingest->failed)
        return;
    while (may_read(entry) && start_read(ingest, entry))
        continue;
    if (entry->has_block || entry->next_add < entry->leaves)
        return;
    if (!entry->built_all) {
        if (!is_unchanged(entry)) {
            ingest_fail_entry(ingest, entry, HAUL_E_SOURCE_CHANGED, "changed while it was read");
            return;
        }
        if (entry->file != NULL)
            haul_file_build_end(entry->file);
        entry->built_all = true;
        if (!send_blocks(ingest, entry))
            return;
    }
    if (entry->file != NULL)
        haul_file_build_root(entry->file, &entry->built);
    deliver(ingest, entry);
}

void ingest_entry_advance(struct haul_ingest *ingest, struct ingest_entry *entry)
{
    switch (entry->kind) {
    case ENTRY_FILE:
    case ENTRY_STREAM:
        advance_file(ingest, entry);
        break;
    case ENTRY_SYMLINK:
        advance_symlink(ingest, entry);
        break;
    case ENTRY_DIRECTORY:
        advance_directory(ingest, entry);
        break;
    }
}
