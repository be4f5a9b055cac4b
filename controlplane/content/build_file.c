/* The tree grows from its leaves: level 0 collects leaves, level k nodes over level k - 1. A full
 * level becomes a node only when something more arrives, so that the root is known to be the root
 * when it is encoded: it alone carries mode and time, and a lone leaf needs no node. */
#include "controlplane/content/build.h"

#include "controlplane/content/dagpb.h"

#include <stdlib.h>

#define FILE_BYTES_MAX ((uint64_t)INT64_MAX)

/* A link with a CID, an empty name and a size of 63 bits; a blocksize; what is around them. */
#define LINK_SPACE    (2u + 38u + 2u + 10u)
#define MESSAGE_SPACE (HAUL_NODE_LINKS_MAX * 10u + 64u)
#define NODE_SPACE    (HAUL_NODE_LINKS_MAX * LINK_SPACE + MESSAGE_SPACE + 8u)

_Static_assert(NODE_SPACE <= HAUL_BLOCK_BYTES_MAX, "a node is a block");

struct level {
    uint32_t count;
    struct haul_built parts[HAUL_NODE_LINKS_MAX];
};

struct haul_file_build {
    uint8_t code;
    struct haul_meta meta;
    struct haul_built waiting; /* a leaf that finds level 0 full */
    struct haul_built root;
    uint64_t bytes;
    bool has_waiting;
    bool ended;
    bool has_root;
    uint64_t sizes[HAUL_NODE_LINKS_MAX];
    uint8_t message[MESSAGE_SPACE];
    uint8_t node[NODE_SPACE];
    struct level levels[HAUL_FILE_LEVELS_MAX]; /* pages of unused ones are never touched */
};

struct haul_file_build *haul_file_build_open(uint8_t code, const struct haul_meta *meta)
{
    struct haul_file_build *build = calloc(1, sizeof *build);

    if (build == NULL)
        return NULL;
    build->code = code;
    if (meta != NULL)
        build->meta = *meta;
    return build;
}

void haul_file_build_close(struct haul_file_build *build)
{
    free(build);
}

static bool meta_present(const struct haul_meta *meta)
{
    return meta->has_mode || meta->has_mtime;
}

static void level_push(struct haul_file_build *build, unsigned at, const struct haul_built *part)
{
    struct level *level = &build->levels[at];

    haul_assert(level->count < HAUL_NODE_LINKS_MAX);
    level->parts[level->count++] = *part;
}

/* The first level from `at` upwards that is not full; HAUL_FILE_LEVELS_MAX when all are. */
static unsigned first_with_room(const struct haul_file_build *build, unsigned at)
{
    while (at < HAUL_FILE_LEVELS_MAX && build->levels[at].count == HAUL_NODE_LINKS_MAX)
        at++;
    return at;
}

int haul_file_build_add(struct haul_file_build *build, const struct haul_hash *leaf,
                        uint32_t length, struct haul_error *error)
{
    struct haul_built part = {
        .cid = { .codec = HAUL_CODEC_RAW, .hash = *leaf },
        .tsize = length,
        .bytes = length,
    };

    haul_assert(!build->has_waiting && !build->ended && length <= HAUL_LEAF_BYTES);
    haul_assert(length > 0 || build->levels[0].count == 0);
    /* One level is kept in reserve, for the nodes that the end completes. */
    if (length > FILE_BYTES_MAX / 2 - build->bytes ||
        first_with_room(build, 0) + 1 >= HAUL_FILE_LEVELS_MAX)
        return haul_fail(error, HAUL_E_LIMIT, "a file has too many blocks");
    build->bytes += length;
    if (build->levels[0].count < HAUL_NODE_LINKS_MAX) {
        level_push(build, 0, &part);
        return 0;
    }
    build->waiting = part;
    build->has_waiting = true;
    return 0;
}

void haul_file_build_end(struct haul_file_build *build)
{
    haul_assert(!build->has_waiting && !build->ended && build->levels[0].count > 0);
    build->ended = true;
}

/* Makes the node over a level and empties it. */
static void level_encode(struct haul_file_build *build, unsigned at, const struct haul_meta *meta,
                         struct haul_built *built, struct haul_block *block)
{
    struct haul_out message = haul_out_to(build->message, sizeof build->message);
    struct haul_out out = haul_out_to(build->node, sizeof build->node);
    struct haul_unixfs unixfs = { .type = HAUL_UNIXFS_FILE, .has_filesize = true };
    struct level *level = &build->levels[at];
    uint64_t below = 0;
    uint32_t links = 0;

    for (uint32_t i = 0; i < level->count; i++) {
        const struct haul_built *part = &level->parts[i];
        struct haul_dagpb_link link = { .cid = part->cid, .name = "", .tsize = part->tsize };

        if (part->bytes == 0) /* the lone leaf of an empty file with meta */
            continue;
        haul_dagpb_put_link(&out, &link);
        build->sizes[links++] = part->bytes;
        unixfs.filesize += part->bytes;
        below += part->tsize;
    }
    if (meta != NULL)
        unixfs.meta = *meta;
    haul_unixfs_encode(&message, &unixfs, build->sizes, links);
    haul_dagpb_put_data(&out, build->message, (size_t)(message.at - build->message));
    haul_assert(!message.bad && !out.bad);
    level->count = 0;
    block->data = build->node;
    block->bytes = (uint32_t)(out.at - build->node);
    block->cid.codec = HAUL_CODEC_DAG_PB;
    haul_hash_of(build->code, block->data, block->bytes, &block->cid.hash);
    *built = (struct haul_built){
        .cid = block->cid,
        .tsize = below + block->bytes,
        .bytes = unixfs.filesize,
    };
}

/* Makes room in level `at` from the top of the full levels down, one node a call. */
static bool make_room(struct haul_file_build *build, unsigned at, struct haul_block *block)
{
    unsigned room = first_with_room(build, at);
    struct haul_built built;

    if (room == at)
        return false;
    haul_assert(room < HAUL_FILE_LEVELS_MAX);
    level_encode(build, room - 1, NULL, &built, block);
    level_push(build, room, &built);
    return true;
}

/* After the end: closes the lowest level that has anything, until one part is left. */
static bool close_level(struct haul_file_build *build, struct haul_block *block)
{
    unsigned at = 0, above;
    struct haul_built built;

    while (build->levels[at].count == 0)
        at++;
    for (above = at + 1; above < HAUL_FILE_LEVELS_MAX; above++) {
        if (build->levels[above].count > 0)
            break;
    }
    if (above == HAUL_FILE_LEVELS_MAX) { /* nothing above: this is the root, or over it */
        build->has_root = true;
        if (build->levels[at].count == 1 && !meta_present(&build->meta)) {
            build->root = build->levels[at].parts[0];
            return false;
        }
        level_encode(build, at, &build->meta, &build->root, block);
        return true;
    }
    if (make_room(build, at + 1, block))
        return true;
    level_encode(build, at, NULL, &built, block);
    level_push(build, at + 1, &built);
    return true;
}

bool haul_file_build_next(struct haul_file_build *build, struct haul_block *block)
{
    if (build->has_waiting) {
        if (make_room(build, 0, block))
            return true;
        level_push(build, 0, &build->waiting);
        build->has_waiting = false;
        return false;
    }
    return build->ended && !build->has_root && close_level(build, block);
}

void haul_file_build_root(const struct haul_file_build *build, struct haul_built *built)
{
    haul_assert(build->has_root);
    *built = build->root;
}
