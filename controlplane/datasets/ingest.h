/* Put: turns a tree that somebody else walks into stored blocks and a dataset of the catalog.
 *
 * The walker (the `put` command, with its caller's rights) feeds entries depth first:
 *
 *     begin  root            haul_ingest_directory_begin(ingest, NULL, &meta)
 *       file a               haul_ingest_file(ingest, "a", fd)
 *       begin b .. end
 *     end                    haul_ingest_directory_end(ingest)
 *     haul_ingest_end(ingest)                                    -> done
 *
 * or one file or one stream as the root (name NULL), then the end. Before each entry the walker
 * asks haul_ingest_ready; when it is not, `ready` is called once it is again.
 *
 * Memory is bounded whatever the size of a file or tree: HAUL_INGEST_JOBS control slots, an entry
 * for each of HAUL_INGEST_ENTRIES, and the entries of the directories on the current path. Helpers
 * read and hash; blocks go to the store by WRITE orders; a final SYNC precedes the catalog's
 * commit.
 *
 * Nothing fails inside a call: the first error ends the work, later calls are ignored, and `done`
 * tells it. Callbacks come on the control thread, never from inside a call. Control thread only. */
#pragma once

#include "controlplane/content/unixfs.h"
#include "controlplane/datasets/catalog.h"
#include "controlplane/host/loop.h"
#include "controlplane/seam/helpers.h"
#include "controlplane/seam/orders.h"

#define HAUL_INGEST_JOBS    16u  /* blocks on their way, each with a control slot */
#define HAUL_INGEST_ENTRIES 64u  /* entries fed and not finished, from which on it is not ready */
#define HAUL_INGEST_DEPTH   255u /* directories inside directories: what a reader accepts */

struct haul_ingest;

/* Also a view of progress. */
struct haul_ingest_facts {
    uint64_t bytes; /* content read and hashed */
    uint64_t files, directories, links;
    uint64_t blocks;              /* written, repeated ones included */
    uint64_t executables_dropped; /* executable bits that were not kept, for want of `preserve` */
};

struct haul_ingest_conf {
    struct haul_loop *loop;
    struct haul_orders *orders;
    struct haul_helpers *helpers;
    struct haul_catalog *catalog;
    uint8_t hash_code;
    bool preserve;    /* keep mode and modification time */
    const char *name; /* for listings; copied; may be NULL */
    void *context;
    void (*ready)(void *context); /* may be NULL */
    /* Once. `error` is NULL when the dataset is stored, durable and in the catalog; else `dataset`
     * is NULL: SOURCE_CHANGED, SOURCE_UNREADABLE, SOURCE_SPECIAL, SOURCE_NAME, STORE_FAILED, LIMIT,
     * SYSTEM. The caller then closes. */
    void (*done)(void *context, const struct haul_dataset *dataset, const struct haul_error *error);
};

HAUL_MUST_USE int haul_ingest_open(struct haul_ingest **ingest, const struct haul_ingest_conf *conf,
                                   struct haul_error *error);

/* Ends it at any time: `done` is not called any more. What helpers and worker still hold is waited
 * for behind the scenes, so the conf's orders and helpers outlive the call by that. */
void haul_ingest_close(struct haul_ingest *ingest); /* NULL is welcome */

bool haul_ingest_ready(const struct haul_ingest *ingest);
void haul_ingest_facts(const struct haul_ingest *ingest, struct haul_ingest_facts *facts);

/* `name` is copied; NULL for the root. `meta` (of the command's own stat) is kept with `preserve`
 * only. Feeding while not ready is a LIMIT error. */
void haul_ingest_directory_begin(struct haul_ingest *ingest, const char *name,
                                 const struct haul_meta *meta);
void haul_ingest_directory_end(struct haul_ingest *ingest);
void haul_ingest_symlink(struct haul_ingest *ingest, const char *name, const char *target,
                         size_t target_bytes, const struct haul_meta *meta);

/* Takes over `fd`, which must be a regular file (SOURCE_SPECIAL otherwise), open for reading; size,
 * mode and time are its own. A change of size or time while it is read is SOURCE_CHANGED. */
void haul_ingest_file(struct haul_ingest *ingest, const char *name, int fd);

/* Takes over `fd`: a pipe, a socket or a regular file, read from where it stands to its end. */
void haul_ingest_stream(struct haul_ingest *ingest, int fd);

/* The root is complete: nothing more will be fed. */
void haul_ingest_end(struct haul_ingest *ingest);
