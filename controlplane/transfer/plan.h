/* What a get does next: walks a dataset from its root as its blocks arrive and says, step by step,
 * which blocks to fetch, where their bytes belong, and which directories, links and files to make.
 * Bounded memory: depth first, with a limited look-ahead of nodes and open files. No I/O, no clock;
 * its one owner hands in what arrived. Everything in a dataset comes from strangers: names, sizes
 * and depths are checked by content/read.h before a step is made of them. */
#pragma once

#include "controlplane/content/read.h"

#define HAUL_PLAN_FILES_MAX      64u         /* files that are open at once */
#define HAUL_PLAN_NODES_MAX      64u         /* nodes asked for and not yet here */
#define HAUL_PLAN_HELD_BYTES_MAX (16u << 20) /* node bytes held before no more are asked for */
#define HAUL_PLAN_PATH_MAX       4095u

enum haul_plan_mode {
    HAUL_PLAN_EXTRACT,
    HAUL_PLAN_ORDERED, /* one file, its bytes in order; anything else is refused */
    HAUL_PLAN_LIST,    /* the entries of one directory, or one file; nothing below */
};

enum haul_step_kind {
    HAUL_STEP_WAIT,          /* nothing now: something must arrive, be opened or find room first */
    HAUL_STEP_DONE,          /* every step was given and everything has arrived */
    HAUL_STEP_NODE,          /* fetch `cid` (a node, length unknown), then haul_plan_node */
    HAUL_STEP_LEAF,          /* fetch `cid` of `length` (0: unknown) to `file` at `offset`, then
                                haul_plan_leaf */
    HAUL_STEP_DATA,          /* write `data` to `file` at `offset`, then haul_plan_leaf */
    HAUL_STEP_FILE,          /* make `path`, then haul_plan_opened; `file` names it until its end */
    HAUL_STEP_FILE_END,      /* all of it is written; `file` may be used again for another */
    HAUL_STEP_DIRECTORY,     /* make `path` */
    HAUL_STEP_DIRECTORY_END, /* everything below has ended */
    HAUL_STEP_LINK,          /* make `path` point to `data` */
};

struct haul_awaited; /* a node that was asked for */

struct haul_step {
    enum haul_step_kind kind;
    struct haul_cid cid;          /* NODE, LEAF; LIST mode: of the entry */
    struct haul_awaited *awaited; /* NODE */
    uint32_t file;                /* LEAF, DATA, FILE, FILE_END: below HAUL_PLAN_FILES_MAX */
    uint64_t offset;
    uint32_t length;
    uint64_t bytes;      /* FILE: its size, or HAUL_READ_SIZE_UNKNOWN */
    bool empty;          /* LEAF: the hash is that of no bytes; there is nothing to fetch */
    const uint8_t *data; /* DATA, LINK: valid until the next call */
    size_t data_bytes;
    const char *path; /* below the target, "" for the target itself; valid until the next call */
    size_t path_bytes;
    struct haul_meta meta;
};

/* What the caller has room for now; haul_plan_next holds back the other steps. */
enum { HAUL_PLAN_ROOM_LEAF = 1, HAUL_PLAN_ROOM_NODE = 2 };

struct haul_plan;

/* `path` (may be empty) leads from the root to what is wanted, by names separated by '/'. */
HAUL_MUST_USE int haul_plan_open(struct haul_plan **plan, enum haul_plan_mode mode,
                                 const struct haul_cid *root, const char *path,
                                 struct haul_error *error);
void haul_plan_close(struct haul_plan *plan); /* NULL is welcome */

/* The next step. -1 when the dataset is at fault (MANIFEST_*, PATH_UNKNOWN) or a limit is reached:
 * nothing more may be asked then. */
HAUL_MUST_USE int haul_plan_next(struct haul_plan *plan, unsigned room, struct haul_step *step,
                                 struct haul_error *error);

/* A node's verified bytes; copied. */
HAUL_MUST_USE int haul_plan_node(struct haul_plan *plan, struct haul_awaited *awaited,
                                 const uint8_t *data, size_t bytes, struct haul_error *error);
void haul_plan_opened(struct haul_plan *plan, uint32_t file);
void haul_plan_leaf(struct haul_plan *plan, uint32_t file);

/* Content bytes in all; exact for a file, from the untrusted sizes of links otherwise, 0 while it
 * is not known. */
uint64_t haul_plan_total(const struct haul_plan *plan);
