/* The inside of ingest, shared by its files, from the top: ingest.c (what the walker calls, life
 * and end), ingest_entry.c (entries going forward), ingest_job.c (blocks on their way),
 * ingest_fail.c (how it fails). */
#pragma once

#include "controlplane/content/build.h"
#include "controlplane/datasets/ingest.h"

#include <sys/queue.h>
#include <time.h>

#define LEAVES_UNKNOWN UINT64_MAX

enum entry_kind { ENTRY_FILE, ENTRY_STREAM, ENTRY_SYMLINK, ENTRY_DIRECTORY };

/* A leaf that was read, waiting for its turn to be added. */
struct ingest_leaf {
    bool ready;
    uint32_t length;
    struct haul_hash hash;
};

/* A file, stream, link or directory. On `all` from feeding to delivery; on `active` while it can go
 * on: files and links at once, directories when their end was fed and all children delivered. */
struct ingest_entry {
    LIST_ENTRY(ingest_entry) in_all;
    TAILQ_ENTRY(ingest_entry) in_active;
    enum entry_kind kind;
    bool active;
    struct ingest_entry *parent; /* NULL: the root */
    struct haul_meta meta;
    struct haul_block block; /* from a builder, waiting for a slot */
    bool has_block;
    bool built_all; /* the builder was ended: blocks, then the root */
    uint32_t jobs;  /* in the hands of helpers */
    struct haul_built built;

    struct haul_dir_build *directory;
    uint64_t pending; /* children not delivered */
    uint32_t depth;
    bool ended;
    struct haul_error end_error; /* by the helper that ended the builder */

    int fd; /* -1 when there is none */
    bool fd_polls;
    uint64_t bytes;
    struct timespec mtime;
    struct haul_file_build *file; /* NULL: one leaf is all */
    uint64_t leaves;              /* LEAVES_UNKNOWN: a stream that has not ended */
    uint64_t next_read;
    uint64_t next_add;
    struct ingest_leaf ring[HAUL_INGEST_JOBS]; /* leaves next_add and on */

    uint8_t *link_space;
    size_t name_bytes;
    char name[];
};

enum job_state {
    JOB_FREE,
    JOB_WORKING,  /* a helper reads and hashes */
    JOB_WATCHING, /* a stream that has nothing to read yet */
    JOB_WAITING,  /* for room among the orders */
    JOB_WRITING,  /* the worker has it */
};

struct ingest_job;
typedef void ingest_read_fn(struct haul_ingest *ingest, struct ingest_job *job);

/* A block on its way, in a control slot. */
struct ingest_job {
    struct haul_ingest *ingest;
    struct ingest_entry *entry; /* until the leaf was read */
    enum job_state state;
    uint32_t slot;
    uint8_t *data;
    uint32_t length; /* read so far */
    uint32_t wanted;
    uint64_t number; /* of the leaf */
    uint8_t hash_code;
    ingest_read_fn *read; /* told on the control thread that the leaf was read */
    bool end;             /* of the stream was met */
    int error;            /* errno of the helper's read */
    struct haul_hash hash;
    struct haul_watch *watch;
};

struct haul_ingest {
    void (*pump)(struct haul_ingest *ingest); /* everything goes on that can: room came */
    struct haul_ingest_conf conf;
    struct haul_ingest_facts facts;
    struct haul_dataset dataset;
    struct haul_error error;
    struct haul_timer *timer; /* `ready`, `done` and retries, never from inside a call */
    LIST_HEAD(, ingest_entry) all;
    TAILQ_HEAD(, ingest_entry) active;
    struct ingest_entry *current; /* the directory that is being fed */
    struct ingest_job jobs[HAUL_INGEST_JOBS];
    uint64_t build; /* of the catalog, when has_build */
    uint64_t lost_packs;
    uint32_t open_entries; /* fed and not delivered, without the directories of the path */
    uint32_t busy;         /* jobs with a helper or the worker, and directories with a helper */
    bool has_build;
    bool has_lost_packs;
    bool has_root; /* was fed */
    bool root_built;
    bool end_fed;
    bool syncing;
    bool failed;
    bool succeeded;
    bool reported;
    bool closed;
    bool was_full;  /* was not ready, and has not said since that it is */
    bool activated; /* a directory became active during a pump */
    bool ready_due;
    haul_time timer_at;
};

/* --- ingest_fail.c --- */

void ingest_fail(struct haul_ingest *ingest, const struct haul_error *error);
/* The entry's path below the root goes before the reason. */
void ingest_fail_entry(struct haul_ingest *ingest, const struct ingest_entry *entry,
                       enum haul_error_code code, const char *reason);
void ingest_soon(struct haul_ingest *ingest, haul_time after); /* the timer */
void ingest_idle(struct haul_ingest *ingest); /* a helper or the worker gave something back */
void ingest_job_give(struct ingest_job *job);
void ingest_job_unwatch(struct haul_ingest *ingest); /* gives all back that wait */

/* --- ingest_entry.c --- */

struct ingest_entry *ingest_entry_new(struct haul_ingest *ingest, enum entry_kind kind,
                                      const char *name);
void ingest_entry_free(struct haul_ingest *ingest, struct ingest_entry *entry);
void ingest_entry_activate(struct haul_ingest *ingest, struct ingest_entry *entry);
void ingest_entry_advance(struct haul_ingest *ingest, struct ingest_entry *entry);

/* --- ingest_job.c --- */

/* A free job with a slot; NULL: none now, and a pump will follow when there is. */
struct ingest_job *ingest_job_take(struct haul_ingest *ingest);
/* Reads and hashes one leaf of a file, or of a stream from where it stands; false when the helpers
 * are full. */
HAUL_MUST_USE bool ingest_job_read(struct ingest_job *job, struct ingest_entry *entry,
                                   ingest_read_fn *read);
/* job->data, length and hash are set: on to the store. */
void ingest_job_write(struct ingest_job *job);
void ingest_job_write_retry(struct haul_ingest *ingest);
