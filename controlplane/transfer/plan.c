/* Entries form a tree that holds only what is under way: an entry lives while a node of it is
 * awaited or held, a leaf is in flight, or an entry below it lives. Held nodes are frames in two
 * lists: parts of files are worked on first, so that open files always come to their end, and only
 * then the most recent directory. */
#include "controlplane/transfer/plan.h"

#include "common/hash.h"

#include <stdlib.h>
#include <string.h>

enum entry_kind { ENTRY_UNKNOWN, ENTRY_FILE, ENTRY_DIRECTORY };

struct entry {
    struct entry *parent;
    struct entry *next; /* in the list of entries that have ended */
    struct haul_cid cid;
    struct haul_meta meta;
    uint64_t bytes;
    uint32_t refs;
    uint32_t file; /* HAUL_PLAN_FILES_MAX while it is not open */
    enum entry_kind kind;
    bool opened;
    uint16_t name_bytes;
    char name[];
};

struct haul_awaited {
    struct haul_awaited *next;
    struct haul_awaited *previous;
    struct entry *entry;
    struct haul_cid cid;
    struct haul_expect expect;
};

/* One node, or one raw block that is a whole file (then `data` is NULL and `ahead` is the leaf). */
struct frame {
    struct frame *next;
    struct entry *entry;
    uint8_t *data;
    size_t bytes;
    struct haul_node node;
    struct haul_link ahead;
    bool has_ahead;
    bool given_data;
    bool announced; /* the entry's own step has been given */
};

struct haul_plan {
    enum haul_plan_mode mode;
    struct haul_awaited *awaited;
    uint32_t awaited_count;
    struct frame *files;
    struct frame *directories;
    size_t held_bytes;
    struct entry *open[HAUL_PLAN_FILES_MAX];
    uint32_t open_count;
    struct entry *ended;
    struct entry **ended_end;
    struct haul_awaited *resolving; /* the way to `path` is not yet walked; asked for by a step */
    bool resolving_given;
    bool finding;
    const char *rest; /* of the path */
    char *path_wanted;
    uint64_t total;
    struct frame *link_frame; /* its data was handed out; freed at the next call */
    char path[HAUL_PLAN_PATH_MAX + 1];
};

static struct entry *entry_open(struct entry *parent, const char *name, size_t name_bytes,
                                const struct haul_cid *cid)
{
    struct entry *entry = calloc(1, sizeof *entry + name_bytes);

    if (entry == NULL)
        return NULL;
    entry->parent = parent;
    entry->cid = *cid;
    entry->bytes = HAUL_READ_SIZE_UNKNOWN;
    entry->file = HAUL_PLAN_FILES_MAX;
    entry->refs = 1;
    entry->name_bytes = (uint16_t)name_bytes;
    memcpy(entry->name, name, name_bytes);
    if (parent != NULL)
        parent->refs++;
    return entry;
}

/* Files and directories that lose their last reference get a step for their end; that step lets
 * go of the parent. Other entries just go. */
static void entry_release(struct haul_plan *plan, struct entry *entry)
{
    while (entry != NULL && --entry->refs == 0) {
        struct entry *parent = entry->parent;

        if (entry->kind != ENTRY_UNKNOWN && plan->mode != HAUL_PLAN_LIST) {
            entry->next = NULL;
            *plan->ended_end = entry;
            plan->ended_end = &entry->next;
            return;
        }
        free(entry);
        entry = parent;
    }
}

static int no_memory(struct haul_error *error)
{
    return haul_fail(error, HAUL_E_SYSTEM, "no memory for the nodes of the dataset");
}

/* Takes over one reference of the entry. */
static int await(struct haul_plan *plan, struct entry *entry, const struct haul_cid *cid,
                 const struct haul_expect *expect, struct haul_awaited **made,
                 struct haul_error *error)
{
    struct haul_awaited *awaited = calloc(1, sizeof *awaited);

    if (awaited == NULL)
        return no_memory(error);
    awaited->entry = entry;
    awaited->cid = *cid;
    awaited->expect = *expect;
    awaited->next = plan->awaited;
    if (plan->awaited != NULL)
        plan->awaited->previous = awaited;
    plan->awaited = awaited;
    plan->awaited_count++;
    *made = awaited;
    return 0;
}

static void awaited_free(struct haul_plan *plan, struct haul_awaited *awaited)
{
    if (awaited->previous != NULL)
        awaited->previous->next = awaited->next;
    else
        plan->awaited = awaited->next;
    if (awaited->next != NULL)
        awaited->next->previous = awaited->previous;
    plan->awaited_count--;
    free(awaited);
}

static void frame_free(struct haul_plan *plan, struct frame *frame)
{
    plan->held_bytes -= frame->bytes;
    free(frame->data);
    free(frame);
}

/* A raw block that is a whole file: a frame without bytes whose one link is the leaf. */
static int raw_file_push(struct haul_plan *plan, struct entry *entry, struct haul_error *error)
{
    struct frame *frame = calloc(1, sizeof *frame);

    if (frame == NULL)
        return no_memory(error);
    entry->kind = ENTRY_FILE;
    frame->entry = entry;
    frame->given_data = true;
    frame->has_ahead = true;
    frame->ahead.cid = entry->cid;
    frame->next = plan->files;
    plan->files = frame;
    return 0;
}

static bool hash_is_of_nothing(const struct haul_hash *hash)
{
    struct haul_hash empty;

    haul_hash_of(hash->bytes[0], "", 0, &empty);
    return haul_hash_equal(hash, &empty);
}

/* A list of one block says how long it is and that somebody has it, so the block is looked at. One
 * that a path leads to is known from the directory above it. */
static bool is_listed_alone(const struct haul_plan *plan, const struct haul_cid *cid)
{
    return plan->mode == HAUL_PLAN_LIST && plan->path_wanted[strspn(plan->path_wanted, "/")] == 0 &&
           !hash_is_of_nothing(&cid->hash);
}

static int raw_file_looked_at(struct haul_plan *plan, struct haul_awaited *awaited, size_t bytes,
                              struct haul_error *error)
{
    struct entry *entry = awaited->entry;

    plan->resolving = NULL;
    entry->bytes = bytes;
    awaited_free(plan, awaited);
    return raw_file_push(plan, entry, error);
}

/* The target itself has been found: by its codec alone, or as a node to await. */
static int target_found(struct haul_plan *plan, const struct haul_cid *cid,
                        const struct haul_expect *expect, struct haul_error *error)
{
    struct entry *entry = entry_open(NULL, "", 0, cid);

    if (entry == NULL)
        return no_memory(error);
    plan->finding = false;
    if (cid->codec == HAUL_CODEC_RAW && !is_listed_alone(plan, cid))
        return raw_file_push(plan, entry, error);
    plan->resolving_given = false;
    return await(plan, entry, cid, expect, &plan->resolving, error);
}

int haul_plan_open(struct haul_plan **plan, enum haul_plan_mode mode, const struct haul_cid *root,
                   const char *path, struct haul_error *error)
{
    struct haul_plan *made = calloc(1, sizeof *made);
    struct haul_expect expect;
    int failed;

    if (made == NULL)
        return no_memory(error);
    made->mode = mode;
    made->ended_end = &made->ended;
    made->path_wanted = strdup(path);
    if (made->path_wanted == NULL) {
        haul_plan_close(made);
        return no_memory(error);
    }
    made->rest = made->path_wanted + strspn(made->path_wanted, "/");
    haul_expect_root(&expect);
    if (*made->rest == '\0') {
        failed = target_found(made, root, &expect, error);
    } else if (root->codec == HAUL_CODEC_RAW) {
        failed = haul_fail(error, HAUL_E_PATH_UNKNOWN, "the dataset is a file, it has no '%.100s'",
                           made->rest);
    } else {
        made->finding = true;
        failed = await(made, NULL, root, &expect, &made->resolving, error);
    }
    if (failed < 0) {
        haul_plan_close(made);
        return -1;
    }
    *plan = made;
    return 0;
}

/* Frees an entry with all above it that only it kept. */
static void entry_discard(struct haul_plan *plan, struct entry *entry)
{
    while (entry != NULL && --entry->refs == 0) {
        struct entry *parent = entry->parent;

        if (entry->file < HAUL_PLAN_FILES_MAX)
            plan->open[entry->file] = NULL;
        free(entry);
        entry = parent;
    }
}

static void frames_discard(struct haul_plan *plan, struct frame *frame)
{
    while (frame != NULL) {
        struct frame *next = frame->next;

        entry_discard(plan, frame->entry);
        frame_free(plan, frame);
        frame = next;
    }
}

void haul_plan_close(struct haul_plan *plan)
{
    if (plan == NULL)
        return;
    while (plan->awaited != NULL) {
        entry_discard(plan, plan->awaited->entry);
        awaited_free(plan, plan->awaited);
    }
    frames_discard(plan, plan->files);
    frames_discard(plan, plan->directories);
    if (plan->link_frame != NULL)
        frames_discard(plan, plan->link_frame);
    while (plan->ended != NULL) {
        struct entry *entry = plan->ended;

        plan->ended = entry->next;
        entry->refs = 1;
        entry_discard(plan, entry);
    }
    /* What is left open is kept by leaves that never arrived. */
    for (uint32_t i = 0; i < HAUL_PLAN_FILES_MAX; i++) {
        if (plan->open[i] != NULL) {
            plan->open[i]->refs = 1;
            entry_discard(plan, plan->open[i]);
        }
    }
    free(plan->path_wanted);
    free(plan);
}

static int path_of(struct haul_plan *plan, const struct entry *entry, struct haul_step *step,
                   struct haul_error *error)
{
    char *at = plan->path + sizeof plan->path - 1;

    *at = '\0';
    for (const struct entry *up = entry; up->parent != NULL; up = up->parent) {
        size_t slash = up == entry ? 0 : 1;

        if ((size_t)(at - plan->path) < up->name_bytes + slash)
            return haul_fail(error, HAUL_E_LIMIT, "a path is longer than %u bytes",
                             HAUL_PLAN_PATH_MAX);
        if (slash > 0)
            *--at = '/';
        at -= up->name_bytes;
        memcpy(at, up->name, up->name_bytes);
    }
    step->path = at;
    step->path_bytes = (size_t)(plan->path + sizeof plan->path - 1 - at);
    step->meta = entry->meta;
    step->bytes = entry->bytes;
    return 0;
}

/* The step that an entry begins (or ends) with. */
static int entry_step(struct haul_plan *plan, const struct entry *entry, enum haul_step_kind kind,
                      struct haul_step *step, struct haul_error *error)
{
    step->kind = kind;
    step->cid = entry->cid;
    step->file = entry->file;
    return path_of(plan, entry, step, error);
}

static int ended_step(struct haul_plan *plan, struct haul_step *step, struct haul_error *error)
{
    struct entry *entry = plan->ended;
    struct entry *parent = entry->parent;
    bool file = entry->kind == ENTRY_FILE;

    if (entry_step(plan, entry, file ? HAUL_STEP_FILE_END : HAUL_STEP_DIRECTORY_END, step, error) <
        0)
        return -1;
    plan->ended = entry->next;
    if (plan->ended == NULL)
        plan->ended_end = &plan->ended;
    if (file) {
        plan->open[entry->file] = NULL;
        plan->open_count--;
    }
    free(entry);
    entry_release(plan, parent);
    return 1;
}

static bool frame_ahead(struct frame *frame)
{
    if (!frame->has_ahead)
        frame->has_ahead = haul_node_next(&frame->node, &frame->ahead);
    return frame->has_ahead;
}

static bool may_await(const struct haul_plan *plan, unsigned room)
{
    return (room & HAUL_PLAN_ROOM_NODE) != 0 && plan->awaited_count < HAUL_PLAN_NODES_MAX &&
           (plan->held_bytes < HAUL_PLAN_HELD_BYTES_MAX || plan->awaited_count == 0);
}

static int node_step(struct haul_plan *plan, struct entry *entry, const struct haul_link *link,
                     struct haul_step *step, struct haul_error *error)
{
    if (await(plan, entry, &link->cid, &link->expect, &step->awaited, error) < 0)
        return -1;
    step->kind = HAUL_STEP_NODE;
    step->cid = link->cid;
    return 1;
}

static int leaf_step(struct frame *frame, struct haul_step *step, struct haul_error *error)
{
    const struct haul_link *link = &frame->ahead;
    bool whole = frame->data == NULL;

    if (!whole && link->expect.bytes > HAUL_BLOCK_BYTES_MAX)
        return haul_fail(error, HAUL_E_MANIFEST_BROKEN, "a leaf of %llu bytes is too large",
                         (unsigned long long)link->expect.bytes);
    step->kind = HAUL_STEP_LEAF;
    step->cid = link->cid;
    step->file = frame->entry->file;
    step->offset = whole ? 0 : link->expect.offset;
    step->length = whole ? 0 : (uint32_t)link->expect.bytes;
    step->empty = (whole || step->length == 0) && hash_is_of_nothing(&link->cid.hash);
    frame->entry->refs++;
    frame->has_ahead = false;
    return 1;
}

static int file_announce(struct haul_plan *plan, struct frame *frame, struct haul_step *step,
                         struct haul_error *error)
{
    struct entry *entry = frame->entry;

    frame->announced = true;
    if (plan->mode != HAUL_PLAN_LIST) {
        for (entry->file = 0; plan->open[entry->file] != NULL;)
            entry->file++;
        plan->open[entry->file] = entry;
        plan->open_count++;
    }
    return entry_step(plan, entry, HAUL_STEP_FILE, step, error) < 0 ? -1 : 1;
}

/* 1: a step; 0: nothing from this frame now; -1. Sets *over when the frame is used up. */
static int file_step(struct haul_plan *plan, struct frame *frame, unsigned room, bool *over,
                     struct haul_step *step, struct haul_error *error)
{
    struct entry *entry = frame->entry;
    struct haul_link *link = &frame->ahead;

    if (entry->file == HAUL_PLAN_FILES_MAX && !frame->announced)
        return plan->open_count == HAUL_PLAN_FILES_MAX ? 0
                                                       : file_announce(plan, frame, step, error);
    if (plan->mode == HAUL_PLAN_LIST) {
        *over = true;
        return 0;
    }
    if (!entry->opened)
        return 0;
    if (!frame->given_data && frame->node.data_bytes > 0) {
        if ((room & HAUL_PLAN_ROOM_NODE) == 0)
            return 0;
        frame->given_data = true;
        entry->refs++;
        step->kind = HAUL_STEP_DATA;
        step->file = entry->file;
        step->offset = frame->node.offset;
        step->data = frame->node.data;
        step->data_bytes = frame->node.data_bytes;
        return 1;
    }
    if (frame->data == NULL ? !frame->has_ahead : !frame_ahead(frame)) {
        *over = true;
        return 0;
    }
    if (link->cid.codec == HAUL_CODEC_RAW)
        return (room & HAUL_PLAN_ROOM_LEAF) == 0 ? 0 : leaf_step(frame, step, error);
    /* In order: a node's leaves come before whatever follows the node. */
    if (!may_await(plan, room) || (plan->mode == HAUL_PLAN_ORDERED && plan->awaited_count > 0))
        return 0;
    entry->refs++;
    frame->has_ahead = false;
    return node_step(plan, entry, link, step, error);
}

static int files_step(struct haul_plan *plan, unsigned room, struct haul_step *step,
                      struct haul_error *error)
{
    struct frame **link = &plan->files;

    while (*link != NULL) {
        struct frame *frame = *link;
        bool over = false;
        int got = file_step(plan, frame, room, &over, step, error);

        if (got != 0)
            return got;
        if (over) {
            *link = frame->next;
            entry_release(plan, frame->entry);
            frame_free(plan, frame);
            if (plan->ended != NULL)
                return ended_step(plan, step, error);
            continue;
        }
        /* In order, only the first frame may speak while it waits for an awaited part. */
        if (plan->mode == HAUL_PLAN_ORDERED)
            return 0;
        link = &frame->next;
    }
    return 0;
}

static int entry_begin(struct haul_plan *plan, struct frame *frame, const struct haul_link *link,
                       struct haul_step *step, struct haul_error *error)
{
    struct entry *entry = entry_open(frame->entry, link->name, link->name_bytes, &link->cid);

    if (entry == NULL)
        return no_memory(error);
    frame->has_ahead = false;
    if (link->cid.codec == HAUL_CODEC_RAW) {
        entry->bytes = plan->mode == HAUL_PLAN_LIST ? link->tsize : HAUL_READ_SIZE_UNKNOWN;
        if (raw_file_push(plan, entry, error) < 0)
            return -1;
        return file_announce(plan, plan->files, step, error);
    }
    return node_step(plan, entry, link, step, error);
}

static int directory_step(struct haul_plan *plan, unsigned room, struct haul_step *step,
                          struct haul_error *error)
{
    struct frame *frame = plan->directories;
    struct haul_link *link = &frame->ahead;

    if (frame->node.kind == HAUL_NODE_SYMLINK) {
        plan->directories = frame->next;
        frame->next = NULL;
        plan->link_frame = frame;
        step->data = frame->node.data;
        step->data_bytes = frame->node.data_bytes;
        return entry_step(plan, frame->entry, HAUL_STEP_LINK, step, error) < 0 ? -1 : 1;
    }
    if (!frame->announced) {
        frame->announced = true;
        return entry_step(plan, frame->entry, HAUL_STEP_DIRECTORY, step, error) < 0 ? -1 : 1;
    }
    if (plan->mode == HAUL_PLAN_LIST && frame->entry->parent != NULL)
        frame->has_ahead = false;
    else if (frame_ahead(frame)) {
        if (link->expect.kind == HAUL_EXPECT_ENTRY && link->cid.codec == HAUL_CODEC_RAW)
            return plan->open_count == HAUL_PLAN_FILES_MAX
                       ? 0
                       : entry_begin(plan, frame, link, step, error);
        if (!may_await(plan, room))
            return 0;
        if (link->expect.kind == HAUL_EXPECT_ENTRY)
            return entry_begin(plan, frame, link, step, error);
        frame->entry->refs++;
        frame->has_ahead = false;
        return node_step(plan, frame->entry, link, step, error);
    }
    plan->directories = frame->next;
    entry_release(plan, frame->entry);
    frame_free(plan, frame);
    return plan->ended != NULL ? ended_step(plan, step, error) : 2;
}

int haul_plan_next(struct haul_plan *plan, unsigned room, struct haul_step *step,
                   struct haul_error *error)
{
    int got = 0;

    *step = (struct haul_step){ .kind = HAUL_STEP_WAIT };
    if (plan->link_frame != NULL) {
        entry_release(plan, plan->link_frame->entry);
        frame_free(plan, plan->link_frame);
        plan->link_frame = NULL;
    }
    if (plan->ended != NULL)
        return ended_step(plan, step, error) < 0 ? -1 : 0;
    if (plan->resolving != NULL) {
        if (!plan->resolving_given && (room & HAUL_PLAN_ROOM_NODE) != 0) {
            plan->resolving_given = true;
            step->kind = HAUL_STEP_NODE;
            step->cid = plan->resolving->cid;
            step->awaited = plan->resolving;
        }
        return 0;
    }
    got = files_step(plan, room, step, error);
    while (got == 0 && plan->directories != NULL && plan->mode != HAUL_PLAN_ORDERED) {
        got = directory_step(plan, room, step, error);
        if (got == 0)
            break;
        got = got == 2 ? 0 : got;
    }
    if (got == 0 && plan->files == NULL && plan->directories == NULL && plan->awaited == NULL &&
        plan->open_count == 0 && plan->ended == NULL)
        step->kind = HAUL_STEP_DONE;
    return got < 0 ? -1 : 0;
}

/* One step on the way to the wanted path. */
static int path_walk(struct haul_plan *plan, const struct haul_node *node, struct haul_error *error)
{
    size_t bytes = strcspn(plan->rest, "/");
    struct haul_link link;
    enum haul_find found = HAUL_FIND_NONE;

    if (node->kind == HAUL_NODE_DIRECTORY || node->kind == HAUL_NODE_SHARD)
        found = haul_node_find(node, plan->rest, bytes, &link);
    if (found == HAUL_FIND_NONE)
        return haul_fail(error, HAUL_E_PATH_UNKNOWN, "the dataset has no '%.150s'",
                         plan->path_wanted);
    if (found == HAUL_FIND_ENTRY) {
        plan->rest += bytes;
        plan->rest += strspn(plan->rest, "/");
        if (*plan->rest == '\0')
            return target_found(plan, &link.cid, &link.expect, error);
        if (link.cid.codec == HAUL_CODEC_RAW)
            return haul_fail(error, HAUL_E_PATH_UNKNOWN, "the dataset has no '%.150s'",
                             plan->path_wanted);
    }
    plan->resolving_given = false;
    return await(plan, NULL, &link.cid, &link.expect, &plan->resolving, error);
}

/* What a whole dataset weighs, from its first node. */
static uint64_t weigh(const struct haul_node *node)
{
    struct haul_node copy = *node;
    struct haul_link link;
    uint64_t total = 0;

    if (node->kind == HAUL_NODE_FILE)
        return node->bytes;
    while (haul_node_next(&copy, &link)) {
        if (link.tsize < UINT64_MAX - total)
            total += link.tsize;
    }
    return total;
}

static int frame_push(struct haul_plan *plan, struct frame *frame, struct haul_error *error)
{
    struct entry *entry = frame->entry;
    bool fresh = entry->kind == ENTRY_UNKNOWN;
    bool file = frame->node.kind == HAUL_NODE_FILE;
    struct frame **list = file ? &plan->files : &plan->directories;

    if (plan->mode == HAUL_PLAN_ORDERED && !file)
        return haul_fail(error, HAUL_E_USAGE,
                         "a directory or link cannot be written to standard output");
    if (fresh) {
        entry->meta = frame->node.meta;
        entry->bytes = file ? frame->node.bytes : HAUL_READ_SIZE_UNKNOWN;
        if (entry->parent == NULL)
            plan->total = weigh(&frame->node);
    }
    frame->announced = !fresh;
    if (fresh && frame->node.kind != HAUL_NODE_SYMLINK)
        entry->kind = file ? ENTRY_FILE : ENTRY_DIRECTORY;
    frame->next = *list;
    *list = frame;
    return 0;
}

int haul_plan_node(struct haul_plan *plan, struct haul_awaited *awaited, const uint8_t *data,
                   size_t bytes, struct haul_error *error)
{
    bool on_the_way = plan->finding;
    struct frame *frame;
    int failed;

    if (awaited->cid.codec == HAUL_CODEC_RAW)
        return raw_file_looked_at(plan, awaited, bytes, error);
    frame = calloc(1, sizeof *frame);
    if (frame != NULL)
        frame->data = malloc(bytes + 1);
    if (frame == NULL || frame->data == NULL) {
        free(frame);
        return no_memory(error);
    }
    memcpy(frame->data, data, bytes);
    frame->bytes = bytes;
    plan->held_bytes += bytes;
    failed =
        haul_node_read(&awaited->cid, frame->data, bytes, &awaited->expect, &frame->node, error);
    if (failed < 0) {
        frame_free(plan, frame);
        return -1;
    }
    if (plan->resolving == awaited)
        plan->resolving = NULL;
    frame->entry = awaited->entry;
    awaited_free(plan, awaited);
    if (on_the_way) {
        failed = path_walk(plan, &frame->node, error);
        frame_free(plan, frame);
        return failed;
    }
    failed = frame_push(plan, frame, error);
    if (failed < 0) {
        entry_discard(plan, frame->entry);
        frame_free(plan, frame);
    }
    return failed;
}

void haul_plan_opened(struct haul_plan *plan, uint32_t file)
{
    haul_assert(file < HAUL_PLAN_FILES_MAX && plan->open[file] != NULL);
    plan->open[file]->opened = true;
}

void haul_plan_leaf(struct haul_plan *plan, uint32_t file)
{
    haul_assert(file < HAUL_PLAN_FILES_MAX && plan->open[file] != NULL);
    entry_release(plan, plan->open[file]);
}

uint64_t haul_plan_total(const struct haul_plan *plan)
{
    return plan->total;
}
