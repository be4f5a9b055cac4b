/* A directory is sorted once and becomes one node, or, when that would be larger than 256 KiB, a
 * HAMT. Sorted by the hash of their names, the entries below one shard are one run of the array, so
 * the HAMT is never built in memory: a stack of runs walks it in post-order, a shard at a time. */
#include "controlplane/content/build.h"

#include "controlplane/content/dagpb.h"
#include "controlplane/content/hamt.h"
#include "controlplane/content/name.h"

#include <stdlib.h>
#include <string.h>

#define NODE_SPACE    HAUL_DIRECTORY_FLAT_BYTES /* a shard is smaller: 256 links */
#define MESSAGE_SPACE 128u
#define BITMAP_BYTES  (HAUL_HAMT_FANOUT / 8u)
#define TSIZE_MAX     ((uint64_t)INT64_MAX)

struct entry {
    size_t name_at; /* in the pool of names */
    uint64_t hash;
    struct haul_cid cid;
    uint8_t name_bytes;
    uint64_t tsize;
};

struct shard {
    uint32_t from, to;                         /* its entries */
    uint32_t at;                               /* the first that was not looked at yet */
    struct haul_built below[HAUL_HAMT_FANOUT]; /* finished shards below, by index */
};

struct haul_dir_build {
    uint8_t code;
    bool ended;
    bool flat;
    bool has_root;
    struct haul_meta meta;
    struct haul_built root;
    struct entry *entries;
    uint32_t count, capacity;
    char *names;
    size_t names_used, names_capacity;
    struct shard *shards; /* HAUL_HAMT_DEPTH_MAX of them, when there is a HAMT */
    unsigned depth;       /* of the shard being walked; the root is 0 */
    uint8_t node[NODE_SPACE];
};

struct haul_dir_build *haul_dir_build_open(uint8_t code, const struct haul_meta *meta)
{
    struct haul_dir_build *build = calloc(1, sizeof *build);

    if (build == NULL)
        return NULL;
    build->code = code;
    if (meta != NULL)
        build->meta = *meta;
    return build;
}

void haul_dir_build_close(struct haul_dir_build *build)
{
    if (build == NULL)
        return;
    free(build->entries);
    free(build->names);
    free(build->shards);
    free(build);
}

static bool make_room(struct haul_dir_build *build, size_t name_bytes)
{
    if (build->count == build->capacity) {
        uint32_t capacity = build->capacity == 0 ? 64 : build->capacity * 2;
        struct entry *entries = realloc(build->entries, capacity * sizeof *entries);

        if (entries == NULL)
            return false;
        build->entries = entries;
        build->capacity = capacity;
    }
    if (build->names_capacity - build->names_used < name_bytes) {
        size_t capacity = build->names_capacity * 2 + 4096;
        char *names = realloc(build->names, capacity);

        if (names == NULL)
            return false;
        build->names = names;
        build->names_capacity = capacity;
    }
    return true;
}

/* -1, having said what is wrong with a name. */
static int refuse_name(struct haul_error *error, const char *what, const char *name, size_t bytes)
{
    char text[HAUL_NAME_TEXT_BYTES];

    haul_name_print(name, bytes, text);
    return haul_fail(error, HAUL_E_SOURCE_NAME, "%s \"%s\"", what, text);
}

int haul_dir_build_add(struct haul_dir_build *build, const char *name,
                       const struct haul_built *entry, struct haul_error *error)
{
    size_t bytes = strnlen(name, HAUL_NAME_BYTES_MAX + 1);
    struct entry *added;

    haul_assert(!build->ended && entry->tsize <= TSIZE_MAX);
    if (!haul_name_allowed(name, bytes))
        return refuse_name(error, "an entry is named", name, bytes);
    if (build->count == HAUL_DIRECTORY_ENTRIES_MAX)
        return haul_fail(error, HAUL_E_LIMIT, "a directory has more than %u entries",
                         HAUL_DIRECTORY_ENTRIES_MAX);
    if (!make_room(build, bytes))
        return haul_fail(error, HAUL_E_LIMIT, "no memory for a directory's entries");
    added = &build->entries[build->count++];
    *added = (struct entry){
        .name_at = build->names_used,
        .name_bytes = (uint8_t)bytes,
        .hash = haul_hamt_hash(name, bytes),
        .cid = entry->cid,
        .tsize = entry->tsize,
    };
    memcpy(build->names + build->names_used, name, bytes);
    build->names_used += bytes;
    return 0;
}

/* Byte by byte, the shorter first: the order of dag-pb. */
static int by_name(const void *left, const void *right, void *context)
{
    const struct entry *a = left, *b = right;
    const char *names = context;
    size_t bytes = a->name_bytes < b->name_bytes ? a->name_bytes : b->name_bytes;
    int order = memcmp(names + a->name_at, names + b->name_at, bytes);

    return order != 0 ? order : (int)a->name_bytes - (int)b->name_bytes;
}

static int by_hash(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;

    return a->hash < b->hash ? -1 : a->hash > b->hash;
}

static struct haul_dagpb_link entry_link(const struct haul_dir_build *build,
                                         const struct entry *entry)
{
    return (struct haul_dagpb_link){
        .cid = entry->cid,
        .name = build->names + entry->name_at,
        .name_bytes = entry->name_bytes,
        .tsize = entry->tsize,
    };
}

static size_t encode_unixfs(const struct haul_unixfs *unixfs, uint8_t message[MESSAGE_SPACE])
{
    struct haul_out out = haul_out_to(message, MESSAGE_SPACE);

    haul_unixfs_encode(&out, unixfs, NULL, 0);
    haul_assert(!out.bad);
    return (size_t)(out.at - message);
}

/* Would one node hold all? The size of the encoded block decides, as in the reference importers. */
static bool fits_flat(const struct haul_dir_build *build)
{
    struct haul_unixfs unixfs = { .type = HAUL_UNIXFS_DIRECTORY, .meta = build->meta };
    uint8_t message[MESSAGE_SPACE];
    size_t bytes = haul_dagpb_data_bytes(encode_unixfs(&unixfs, message));

    for (uint32_t i = 0; i < build->count && bytes <= HAUL_DIRECTORY_FLAT_BYTES; i++) {
        struct haul_dagpb_link link = entry_link(build, &build->entries[i]);

        bytes += haul_dagpb_link_bytes(&link);
    }
    return bytes <= HAUL_DIRECTORY_FLAT_BYTES;
}

int haul_dir_build_end(struct haul_dir_build *build, struct haul_error *error)
{
    haul_assert(!build->ended);
    if (build->count > 1)
        qsort_r(build->entries, build->count, sizeof *build->entries, by_name, build->names);
    for (uint32_t i = 1; i < build->count; i++) {
        const struct entry *entry = &build->entries[i];

        if (by_name(entry - 1, entry, build->names) == 0)
            return refuse_name(error, "two entries are named", build->names + entry->name_at,
                               entry->name_bytes);
    }
    build->flat = fits_flat(build);
    build->ended = true;
    if (build->flat)
        return 0;
    qsort(build->entries, build->count, sizeof *build->entries, by_hash);
    for (uint32_t i = 1; i < build->count; i++) {
        if (build->entries[i - 1].hash == build->entries[i].hash)
            return haul_fail(error, HAUL_E_LIMIT, "two names in a directory have the same hash");
    }
    build->shards = calloc(HAUL_HAMT_DEPTH_MAX, sizeof *build->shards);
    if (build->shards == NULL)
        return haul_fail(error, HAUL_E_LIMIT, "no memory for a sharded directory");
    build->shards[0].to = build->count;
    return 0;
}

static uint64_t tsize_add(uint64_t a, uint64_t b)
{
    return a > TSIZE_MAX - b ? TSIZE_MAX : a + b;
}

/* Closes the node: data behind the links, then its name. */
static void node_finish(struct haul_dir_build *build, struct haul_out *out,
                        const struct haul_unixfs *unixfs, uint64_t below, struct haul_built *built,
                        struct haul_block *block)
{
    uint8_t message[MESSAGE_SPACE];

    haul_dagpb_put_data(out, message, encode_unixfs(unixfs, message));
    haul_assert(!out->bad);
    block->data = build->node;
    block->bytes = (uint32_t)(out->at - build->node);
    block->cid.codec = HAUL_CODEC_DAG_PB;
    haul_hash_of(build->code, block->data, block->bytes, &block->cid.hash);
    *built = (struct haul_built){ .cid = block->cid, .tsize = tsize_add(below, block->bytes) };
}

static void flat_encode(struct haul_dir_build *build, struct haul_block *block)
{
    struct haul_unixfs unixfs = { .type = HAUL_UNIXFS_DIRECTORY, .meta = build->meta };
    struct haul_out out = haul_out_to(build->node, sizeof build->node);
    uint64_t below = 0;

    for (uint32_t i = 0; i < build->count; i++) {
        struct haul_dagpb_link link = entry_link(build, &build->entries[i]);

        haul_dagpb_put_link(&out, &link);
        below = tsize_add(below, link.tsize);
    }
    node_finish(build, &out, &unixfs, below, &build->root, block);
}

/* Where the run of entries with the same index as entry `at` ends. */
static uint32_t run_end(const struct haul_dir_build *build, uint32_t at, uint32_t to,
                        unsigned depth)
{
    uint8_t index = haul_hamt_index(build->entries[at].hash, depth);

    while (at < to && haul_hamt_index(build->entries[at].hash, depth) == index)
        at++;
    return at;
}

/* Encodes a shard whose shards below are finished; every run of its entries is one link. */
static void shard_encode(struct haul_dir_build *build, unsigned depth, struct haul_built *built,
                         struct haul_block *block)
{
    static const char hex[] = "0123456789ABCDEF";
    struct haul_out out = haul_out_to(build->node, sizeof build->node);
    struct haul_unixfs unixfs = {
        .type = HAUL_UNIXFS_SHARD,
        .hash_type = HAUL_HAMT_HASH_MURMUR3,
        .fanout = HAUL_HAMT_FANOUT,
    };
    const struct shard *shard = &build->shards[depth];
    uint8_t bitmap[BITMAP_BYTES] = { 0 };
    uint64_t below = 0;

    for (uint32_t at = shard->from; at < shard->to;) {
        const struct entry *entry = &build->entries[at];
        uint8_t index = haul_hamt_index(entry->hash, depth);
        uint32_t end = run_end(build, at, shard->to, depth);
        char name[HAUL_HAMT_PREFIX_BYTES + HAUL_NAME_BYTES_MAX];
        struct haul_dagpb_link link = {
            .cid = shard->below[index].cid,
            .tsize = shard->below[index].tsize,
        };

        name[0] = hex[index >> 4];
        name[1] = hex[index & 15];
        link.name_bytes = HAUL_HAMT_PREFIX_BYTES;
        if (end - at == 1) {
            link = entry_link(build, entry);
            memcpy(name + HAUL_HAMT_PREFIX_BYTES, link.name, link.name_bytes);
            link.name_bytes += HAUL_HAMT_PREFIX_BYTES;
        }
        link.name = name;
        haul_dagpb_put_link(&out, &link);
        below = tsize_add(below, link.tsize);
        bitmap[BITMAP_BYTES - 1 - index / 8] |= (uint8_t)(1u << index % 8);
        at = end;
    }
    /* One big-endian number, written without leading zeros. */
    unixfs.data = bitmap;
    unixfs.data_bytes = sizeof bitmap;
    while (unixfs.data_bytes > 0 && *unixfs.data == 0) {
        unixfs.data++;
        unixfs.data_bytes--;
    }
    if (depth == 0)
        unixfs.meta = build->meta;
    node_finish(build, &out, &unixfs, below, built, block);
}

/* Walks on to the next shard all of whose shards below are finished, and encodes it. */
static void shard_next(struct haul_dir_build *build, struct haul_block *block)
{
    struct shard *shard = &build->shards[build->depth];
    struct haul_built built;

    while (shard->at < shard->to) {
        uint32_t from = shard->at;

        shard->at = run_end(build, from, shard->to, build->depth);
        if (shard->at - from == 1)
            continue;
        haul_assert(build->depth + 1 < HAUL_HAMT_DEPTH_MAX); /* or their hashes would be equal */
        shard[1].from = shard[1].at = from;
        shard[1].to = shard->at;
        build->depth++;
        shard++;
    }
    shard_encode(build, build->depth, &built, block);
    if (build->depth == 0) {
        build->root = built;
        build->has_root = true;
        return;
    }
    build->depth--;
    shard[-1].below[haul_hamt_index(build->entries[shard->from].hash, build->depth)] = built;
}

bool haul_dir_build_next(struct haul_dir_build *build, struct haul_block *block)
{
    haul_assert(build->ended);
    if (build->has_root)
        return false;
    if (!build->flat) {
        shard_next(build, block);
        return true;
    }
    flat_encode(build, block);
    build->has_root = true;
    return true;
}

void haul_dir_build_root(const struct haul_dir_build *build, struct haul_built *built)
{
    haul_assert(build->has_root);
    *built = build->root;
}

int haul_symlink_build(uint8_t code, const char *target, size_t bytes, const struct haul_meta *meta,
                       uint8_t space[HAUL_SYMLINK_SPACE], struct haul_block *block,
                       struct haul_built *built, struct haul_error *error)
{
    struct haul_out out = haul_out_to(space, HAUL_SYMLINK_SPACE);
    struct haul_unixfs unixfs = {
        .type = HAUL_UNIXFS_SYMLINK,
        .data = (const uint8_t *)target,
        .data_bytes = bytes,
    };
    uint8_t message[HAUL_SYMLINK_SPACE];
    struct haul_out inner = haul_out_to(message, sizeof message);

    if (bytes == 0 || bytes > HAUL_SYMLINK_BYTES_MAX || memchr(target, 0, bytes) != NULL)
        return refuse_name(error, "a symbolic link leads to", target, bytes);
    if (meta != NULL)
        unixfs.meta = *meta;
    haul_unixfs_encode(&inner, &unixfs, NULL, 0);
    haul_dagpb_put_data(&out, message, (size_t)(inner.at - message));
    haul_assert(!inner.bad && !out.bad);
    block->data = space;
    block->bytes = (uint32_t)(out.at - space);
    block->cid.codec = HAUL_CODEC_DAG_PB;
    haul_hash_of(code, block->data, block->bytes, &block->cid.hash);
    *built = (struct haul_built){ .cid = block->cid, .tsize = block->bytes };
    return 0;
}
