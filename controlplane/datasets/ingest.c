/* Ingest: what the walker calls, and how the work begins and ends. */
#include "controlplane/datasets/ingest.h"

#include "controlplane/content/name.h"
#include "controlplane/datasets/ingest_parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void on_timer(void *context);
static void pump(struct haul_ingest *ingest);

/* --- life --- */

int haul_ingest_open(struct haul_ingest **out, const struct haul_ingest_conf *conf,
                     struct haul_error *error)
{
    struct haul_ingest *ingest = calloc(1, sizeof *ingest);

    if (ingest != NULL)
        ingest->timer = haul_loop_timer(conf->loop, on_timer, ingest);
    if (ingest == NULL || ingest->timer == NULL) {
        free(ingest);
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for a put");
    }
    ingest->pump = pump;
    ingest->conf = *conf;
    ingest->timer_at = HAUL_TIME_NEVER;
    LIST_INIT(&ingest->all);
    TAILQ_INIT(&ingest->active);
    if (conf->name != NULL)
        strncpy(ingest->dataset.name, conf->name, sizeof ingest->dataset.name - 1);
    ingest->conf.name = NULL;
    if (haul_catalog_begin(conf->catalog, &ingest->build, error) != 0) {
        haul_loop_timer_free(ingest->timer);
        free(ingest);
        return -1;
    }
    ingest->has_build = true;
    *out = ingest;
    return 0;
}

static void free_entries(struct haul_ingest *ingest)
{
    struct ingest_entry *entry;

    while ((entry = LIST_FIRST(&ingest->all)) != NULL)
        ingest_entry_free(ingest, entry);
    ingest->current = NULL;
    if (ingest->has_build)
        haul_catalog_drop(ingest->conf.catalog, ingest->build);
    ingest->has_build = false;
}

static void destroy(struct haul_ingest *ingest)
{
    free_entries(ingest);
    haul_orders_forget(ingest->conf.orders, ingest);
    haul_loop_timer_free(ingest->timer);
    free(ingest);
}

void haul_ingest_close(struct haul_ingest *ingest)
{
    if (ingest == NULL)
        return;
    ingest->closed = true;
    ingest_job_unwatch(ingest);
    if (ingest->busy == 0)
        destroy(ingest);
}

/* --- going on --- */

static void on_synced(void *context, const struct haul_event *event)
{
    struct haul_ingest *ingest = context;
    struct haul_error error;

    ingest->busy--;
    if (ingest->failed || ingest->closed) {
        ingest_idle(ingest);
        return;
    }
    if (event->status != HAUL_STATUS_DONE ||
        (ingest->has_lost_packs && ingest->lost_packs != event->length)) {
        (void)haul_fail(&error, HAUL_E_STORE_FAILED, "the store could not make it durable: %s",
                        event->status == HAUL_STATUS_IO ? strerror((int)event->at)
                                                        : "blocks were lost");
        ingest_fail(ingest, &error);
        return;
    }
    ingest->dataset.bytes = ingest->facts.bytes;
    ingest->dataset.blocks = ingest->facts.blocks;
    ingest->dataset.stored_unix = (uint64_t)time(NULL);
    ingest->dataset.complete = true;
    ingest->has_build = false;
    if (haul_catalog_commit(ingest->conf.catalog, ingest->build, &ingest->dataset, &error) != 0) {
        ingest_fail(ingest, &error);
        return;
    }
    ingest->succeeded = true;
    ingest_soon(ingest, 0);
}

static void finish(struct haul_ingest *ingest)
{
    struct haul_order order = { .kind = HAUL_ORDER_SYNC };

    if (!ingest->end_fed || !ingest->root_built || ingest->busy > 0 || ingest->syncing)
        return;
    for (uint32_t i = 0; i < HAUL_INGEST_JOBS; i++) {
        if (ingest->jobs[i].state != JOB_FREE)
            return;
    }
    if (haul_orders_submit(ingest->conf.orders, &order, on_synced, ingest) == 0) {
        ingest_soon(ingest, HAUL_MILLISECOND);
        return;
    }
    ingest->busy++;
    ingest->syncing = true;
}

static void pump(struct haul_ingest *ingest)
{
    do {
        struct ingest_entry *entry = TAILQ_FIRST(&ingest->active);

        ingest->activated = false;
        while (entry != NULL && !ingest->failed && !ingest->closed) {
            struct ingest_entry *next = TAILQ_NEXT(entry, in_active);

            ingest_entry_advance(ingest, entry);
            entry = next;
        }
    } while (ingest->activated && !ingest->failed && !ingest->closed);
    if (ingest->failed || ingest->closed)
        return;
    finish(ingest);
    if (ingest->was_full && ingest->open_entries <= HAUL_INGEST_ENTRIES / 2) {
        ingest->was_full = false;
        ingest->ready_due = true;
        ingest_soon(ingest, 0);
    }
}

static void report(struct haul_ingest *ingest)
{
    if (ingest->reported)
        return;
    ingest->reported = true;
    free_entries(ingest);
    ingest->conf.done(ingest->conf.context, ingest->succeeded ? &ingest->dataset : NULL,
                      ingest->succeeded ? NULL : &ingest->error);
}

/* The callbacks may close: nothing follows them. */
static void on_timer(void *context)
{
    struct haul_ingest *ingest = context;

    ingest->timer_at = HAUL_TIME_NEVER;
    if (ingest->closed || ingest->failed || ingest->succeeded) {
        if (ingest->busy > 0)
            return;
        if (ingest->closed)
            destroy(ingest);
        else
            report(ingest);
        return;
    }
    ingest_job_write_retry(ingest);
    pump(ingest);
    if (ingest->ready_due && !ingest->failed) {
        ingest->ready_due = false;
        if (ingest->conf.ready != NULL)
            ingest->conf.ready(ingest->conf.context);
    }
}

bool haul_ingest_ready(const struct haul_ingest *ingest)
{
    return ingest->open_entries < HAUL_INGEST_ENTRIES && !ingest->was_full;
}

void haul_ingest_facts(const struct haul_ingest *ingest, struct haul_ingest_facts *facts)
{
    *facts = ingest->facts;
}

/* --- feeding --- */

static void fail_code(struct haul_ingest *ingest, enum haul_error_code code, const char *text)
{
    struct haul_error error;

    (void)haul_fail(&error, code, "%s", text);
    ingest_fail(ingest, &error);
}

/* A new entry in the current directory, or the root; NULL when the work has ended or now fails. */
static struct ingest_entry *feed(struct haul_ingest *ingest, enum entry_kind kind, const char *name)
{
    struct ingest_entry *entry;

    if (ingest->failed || ingest->closed || ingest->end_fed)
        return NULL;
    if (ingest->current == NULL ? ingest->has_root : name == NULL) {
        fail_code(ingest, HAUL_E_INTERNAL, "entries came in the wrong order");
        return NULL;
    }
    if (ingest->open_entries >= HAUL_INGEST_ENTRIES) {
        fail_code(ingest, HAUL_E_LIMIT, "entries came faster than they could be stored");
        return NULL;
    }
    if (ingest->current != NULL && name != NULL && !haul_name_allowed(name, strlen(name))) {
        fail_code(ingest, HAUL_E_SOURCE_NAME, "a name is not UTF-8, or not a file name");
        return NULL;
    }
    entry = ingest_entry_new(ingest, kind, ingest->current == NULL ? NULL : name);
    if (entry == NULL)
        fail_code(ingest, HAUL_E_SYSTEM, "no memory for an entry");
    else
        ingest->has_root = true;
    return entry;
}

/* Counts it as open and lets it run. */
static void start(struct haul_ingest *ingest, struct ingest_entry *entry)
{
    ingest->open_entries++;
    if (ingest->open_entries >= HAUL_INGEST_ENTRIES)
        ingest->was_full = true;
    if (entry->kind != ENTRY_DIRECTORY || entry->pending == 0)
        ingest_entry_activate(ingest, entry);
    pump(ingest);
}

static void keep_meta(const struct haul_ingest *ingest, struct ingest_entry *entry,
                      const struct haul_meta *meta)
{
    if (ingest->conf.preserve && meta != NULL)
        entry->meta = *meta;
    entry->meta.mode &= 0777;
}

void haul_ingest_directory_begin(struct haul_ingest *ingest, const char *name,
                                 const struct haul_meta *meta)
{
    struct ingest_entry *entry = feed(ingest, ENTRY_DIRECTORY, name);

    if (entry == NULL)
        return;
    entry->depth = entry->parent == NULL ? 1 : entry->parent->depth + 1;
    if (entry->depth > HAUL_INGEST_DEPTH) {
        ingest_fail_entry(ingest, entry, HAUL_E_SOURCE_DEPTH,
                          "too many directories inside directories");
        return;
    }
    keep_meta(ingest, entry, meta);
    entry->directory = haul_dir_build_open(ingest->conf.hash_code, &entry->meta);
    if (entry->directory == NULL) {
        ingest_fail_entry(ingest, entry, HAUL_E_SYSTEM, "no memory");
        return;
    }
    ingest->facts.directories++;
    ingest->current = entry;
}

void haul_ingest_directory_end(struct haul_ingest *ingest)
{
    struct ingest_entry *entry = ingest->current;

    if (ingest->failed || ingest->closed)
        return;
    if (entry == NULL) {
        fail_code(ingest, HAUL_E_INTERNAL, "a directory ends that never began");
        return;
    }
    ingest->current = entry->parent;
    entry->ended = true;
    start(ingest, entry);
}

void haul_ingest_symlink(struct haul_ingest *ingest, const char *name, const char *target,
                         size_t target_bytes, const struct haul_meta *meta)
{
    struct ingest_entry *entry = feed(ingest, ENTRY_SYMLINK, name);
    struct haul_error error;

    if (entry == NULL)
        return;
    keep_meta(ingest, entry, meta);
    entry->link_space = malloc(HAUL_SYMLINK_SPACE);
    if (entry->link_space == NULL) {
        ingest_fail_entry(ingest, entry, HAUL_E_SYSTEM, "no memory");
        return;
    }
    if (haul_symlink_build(ingest->conf.hash_code, target, target_bytes, &entry->meta,
                           entry->link_space, &entry->block, &entry->built, &error) != 0) {
        ingest_fail_entry(ingest, entry, error.code, error.text);
        return;
    }
    entry->has_block = true;
    ingest->facts.links++;
    start(ingest, entry);
}

/* What the descriptor itself says of the file. */
static bool take_descriptor(struct haul_ingest *ingest, struct ingest_entry *entry, int fd)
{
    struct stat facts;
    struct haul_meta meta = { .has_mode = true, .has_mtime = true };
    bool regular;

    entry->fd = fd;
    if (fstat(fd, &facts) != 0) {
        ingest_fail_entry(ingest, entry, HAUL_E_SOURCE_UNREADABLE, "cannot be examined");
        return false;
    }
    regular = S_ISREG(facts.st_mode);
    entry->fd_polls = !regular;
    if (!regular &&
        (entry->kind == ENTRY_FILE || !(S_ISFIFO(facts.st_mode) || S_ISSOCK(facts.st_mode)))) {
        ingest_fail_entry(ingest, entry, HAUL_E_SOURCE_SPECIAL, "is not a regular file");
        return false;
    }
    entry->bytes = (uint64_t)facts.st_size;
    entry->mtime = facts.st_mtim;
    meta.mode = (uint16_t)(facts.st_mode & 0777);
    meta.seconds = facts.st_mtim.tv_sec;
    meta.nanoseconds = (uint32_t)facts.st_mtim.tv_nsec;
    if (entry->kind == ENTRY_FILE) {
        keep_meta(ingest, entry, &meta);
        if (!ingest->conf.preserve && (facts.st_mode & 0111) != 0)
            ingest->facts.executables_dropped++;
    }
    return true;
}

void haul_ingest_file(struct haul_ingest *ingest, const char *name, int fd)
{
    struct ingest_entry *entry = feed(ingest, ENTRY_FILE, name);

    if (entry == NULL) {
        close(fd);
        return;
    }
    if (!take_descriptor(ingest, entry, fd))
        return;
    entry->leaves = entry->bytes == 0 ? 1 : (entry->bytes - 1) / HAUL_LEAF_BYTES + 1;
    ingest->facts.files++;
    start(ingest, entry);
}

void haul_ingest_stream(struct haul_ingest *ingest, int fd)
{
    struct ingest_entry *entry = feed(ingest, ENTRY_STREAM, NULL);

    if (entry == NULL) {
        close(fd);
        return;
    }
    if (!take_descriptor(ingest, entry, fd))
        return;
    entry->leaves = LEAVES_UNKNOWN;
    ingest->facts.files++;
    start(ingest, entry);
}

void haul_ingest_end(struct haul_ingest *ingest)
{
    if (ingest->failed || ingest->closed)
        return;
    if (!ingest->has_root || ingest->current != NULL) {
        fail_code(ingest, HAUL_E_INTERNAL, "the tree ended before its root did");
        return;
    }
    ingest->end_fed = true;
    pump(ingest);
}
