/* One pass checks a whole node; only then are links handed out, by a second pass that cannot fail.
 */
#include "controlplane/content/read.h"

#include "controlplane/content/build.h"
#include "controlplane/content/name.h"

#define FILE_BYTES_MAX ((uint64_t)INT64_MAX)
#define BITMAP_BYTES   (HAUL_HAMT_FANOUT / 8u)

void haul_expect_root(struct haul_expect *expect)
{
    *expect = (struct haul_expect){ .bytes = HAUL_READ_SIZE_UNKNOWN, .kind = HAUL_EXPECT_ENTRY };
}

static int broken(struct haul_error *error, const char *what)
{
    return haul_fail(error, HAUL_E_MANIFEST_BROKEN, "%s", what);
}

/* A file's bytes against what the parent said. */
static int check_size(const struct haul_node *node, struct haul_error *error)
{
    const struct haul_expect *expect = &node->expect;

    if (expect->bytes != HAUL_READ_SIZE_UNKNOWN && expect->bytes != node->bytes)
        return haul_fail(error, HAUL_E_MANIFEST_BROKEN,
                         "a part of a file has %llu bytes where its parent says %llu",
                         (unsigned long long)node->bytes, (unsigned long long)expect->bytes);
    if (expect->offset > FILE_BYTES_MAX - node->bytes)
        return broken(error, "a file is too large");
    return 0;
}

static int read_raw(const uint8_t *data, size_t bytes, struct haul_node *node,
                    struct haul_error *error)
{
    if (node->expect.kind == HAUL_EXPECT_SHARD)
        return broken(error, "a piece of a directory is a raw block");
    node->kind = HAUL_NODE_FILE;
    node->data = data;
    node->data_bytes = bytes;
    node->bytes = bytes;
    return check_size(node, error);
}

/* Parts of no bytes are refused: nothing would bound how many of them a file of one byte has. */
static int check_parts(struct haul_node *node, struct haul_error *error)
{
    struct haul_dagpb links = node->all;
    struct haul_unixfs unixfs = node->unixfs;
    uint64_t sum = unixfs.data_bytes;
    struct haul_dagpb_link link;

    while (haul_dagpb_next(&links, &link)) {
        uint64_t bytes = haul_unixfs_next_block(&unixfs);

        if (bytes == 0)
            return broken(error, "a part of a file is empty");
        if (link.cid.codec == HAUL_CODEC_RAW && bytes > HAUL_BLOCK_BYTES_MAX)
            return broken(error, "a leaf of a file is larger than 1 MiB");
        if (bytes > FILE_BYTES_MAX - sum)
            return broken(error, "a file is too large");
        sum += bytes;
    }
    node->bytes = sum;
    return 0;
}

static int read_file(struct haul_node *node, struct haul_error *error)
{
    const struct haul_unixfs *unixfs = &node->unixfs;

    node->kind = HAUL_NODE_FILE;
    node->data = unixfs->data;
    node->data_bytes = unixfs->data_bytes;
    if (node->expect.kind == HAUL_EXPECT_SHARD)
        return broken(error, "a piece of a directory is a file");
    if (unixfs->hash_type != 0 || unixfs->fanout != 0)
        return broken(error, "a file has a fanout");
    if (node->link_count != unixfs->block_count)
        return broken(error, "a file has another number of sizes than of parts");
    if (node->link_count > HAUL_READ_FILE_LINKS_MAX)
        return broken(error, "a node of a file has too many parts");
    if (node->link_count > 0 && node->expect.depth >= HAUL_READ_FILE_DEPTH_MAX)
        return broken(error, "a file is nested too deeply");
    if (unixfs->type == HAUL_UNIXFS_RAW && node->link_count > 0)
        return broken(error, "a raw node has parts");
    if (check_parts(node, error) != 0)
        return -1;
    if (unixfs->has_filesize ? unixfs->filesize != node->bytes : node->link_count > 0)
        return broken(error, "the parts of a file do not add up to its size");
    return check_size(node, error);
}

static int hostile(struct haul_error *error, const char *name, size_t bytes)
{
    char text[HAUL_NAME_TEXT_BYTES];

    haul_name_print(name, bytes, text);
    return haul_fail(error, HAUL_E_MANIFEST_HOSTILE, "the name \"%s\" is not allowed", text);
}

static int order_of(const struct haul_dagpb_link *a, const struct haul_dagpb_link *b)
{
    size_t bytes = a->name_bytes < b->name_bytes ? a->name_bytes : b->name_bytes;
    int order = memcmp(a->name, b->name, bytes);

    return order != 0 ? order : (a->name_bytes > b->name_bytes) - (a->name_bytes < b->name_bytes);
}

static int read_directory(struct haul_node *node, struct haul_error *error)
{
    const struct haul_unixfs *unixfs = &node->unixfs;
    struct haul_dagpb links = node->all;
    struct haul_dagpb_link link, last = { .name = "" };

    node->kind = HAUL_NODE_DIRECTORY;
    if (node->expect.kind != HAUL_EXPECT_ENTRY)
        return broken(error, "a part of a file or directory is a directory");
    if (unixfs->block_count > 0 || unixfs->data_bytes > 0 || unixfs->fanout != 0)
        return broken(error, "a directory has what only files or shards have");
    while (haul_dagpb_next(&links, &link)) {
        int order = order_of(&last, &link);

        if (!haul_name_allowed(link.name, link.name_bytes) || order == 0)
            return hostile(error, link.name, link.name_bytes);
        if (order > 0)
            return broken(error, "the entries of a directory are not in order");
        last = link;
    }
    return 0;
}

/* The value of a capital hexadecimal digit, or -1. */
static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* The index that a shard's link name begins with, or -1. */
static int link_index(const struct haul_dagpb_link *link)
{
    int high, low;

    if (link->name_bytes < HAUL_HAMT_PREFIX_BYTES)
        return -1;
    high = hex_value(link->name[0]);
    low = hex_value(link->name[1]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Does the hash of the name lead here? If so, no other shard of the directory has the same name. */
static bool name_belongs(const struct haul_expect *expect, const char *name, size_t bytes,
                         uint8_t index)
{
    uint64_t hash = haul_hamt_hash(name, bytes);

    for (unsigned depth = 0; depth < expect->depth; depth++) {
        if (haul_hamt_index(hash, depth) != expect->prefix[depth])
            return false;
    }
    return haul_hamt_index(hash, expect->depth) == index;
}

static int check_shard_link(const struct haul_expect *expect, const struct haul_dagpb_link *link,
                            uint8_t index, struct haul_error *error)
{
    const char *name = link->name + HAUL_HAMT_PREFIX_BYTES;
    size_t bytes = link->name_bytes - HAUL_HAMT_PREFIX_BYTES;

    if (bytes == 0) {
        if (link->cid.codec != HAUL_CODEC_DAG_PB || expect->depth + 1u >= HAUL_HAMT_DEPTH_MAX)
            return broken(error, "a directory is sharded too deeply");
        return 0;
    }
    if (!haul_name_allowed(name, bytes))
        return hostile(error, name, bytes);
    if (!name_belongs(expect, name, bytes, index))
        return broken(error, "an entry of a sharded directory is in the wrong place");
    return 0;
}

static bool bitmap_has(const struct haul_unixfs *unixfs, unsigned index)
{
    unsigned from_end = index / 8 + 1;

    return from_end <= unixfs->data_bytes &&
           (unixfs->data[unixfs->data_bytes - from_end] >> index % 8 & 1) != 0;
}

static int read_shard(struct haul_node *node, struct haul_error *error)
{
    const struct haul_unixfs *unixfs = &node->unixfs;
    struct haul_dagpb links = node->all;
    struct haul_dagpb_link link;
    unsigned expected = 0;
    int last = -1;

    node->kind = HAUL_NODE_SHARD;
    if (node->expect.kind == HAUL_EXPECT_PART)
        return broken(error, "a part of a file is a directory");
    if (unixfs->fanout != HAUL_HAMT_FANOUT || unixfs->hash_type != HAUL_HAMT_HASH_MURMUR3)
        return broken(error, "a directory is sharded in a way that no known tool uses");
    if (unixfs->block_count > 0 || unixfs->data_bytes > BITMAP_BYTES)
        return broken(error, "a sharded directory has what only files have");
    for (unsigned i = 0; i < HAUL_HAMT_FANOUT; i++)
        expected += bitmap_has(unixfs, i);
    if (expected != node->link_count || (expected == 0 && node->expect.kind == HAUL_EXPECT_SHARD))
        return broken(error, "a shard of a directory contradicts its own list");
    while (haul_dagpb_next(&links, &link)) {
        int index = link_index(&link);

        if (index <= last || !bitmap_has(unixfs, (unsigned)index))
            return broken(error, "the entries of a sharded directory are not in order");
        if (check_shard_link(&node->expect, &link, (uint8_t)index, error) != 0)
            return -1;
        last = index;
    }
    return 0;
}

static int read_symlink(struct haul_node *node, struct haul_error *error)
{
    const struct haul_unixfs *unixfs = &node->unixfs;

    node->kind = HAUL_NODE_SYMLINK;
    node->data = unixfs->data;
    node->data_bytes = unixfs->data_bytes;
    if (node->expect.kind != HAUL_EXPECT_ENTRY || node->link_count > 0 || unixfs->block_count > 0)
        return broken(error, "a symbolic link has parts, or is one");
    if (node->data_bytes == 0 || node->data_bytes > HAUL_SYMLINK_BYTES_MAX ||
        memchr(node->data, 0, node->data_bytes) != NULL)
        return haul_fail(error, HAUL_E_MANIFEST_HOSTILE,
                         "the target of a symbolic link is not allowed");
    return 0;
}

static int read_dagpb(const uint8_t *data, size_t bytes, struct haul_node *node,
                      struct haul_error *error)
{
    if (!haul_dagpb_decode(data, bytes, &node->all))
        return broken(error, "a node is not well-formed dag-pb");
    if (node->all.data == NULL ||
        !haul_unixfs_decode(node->all.data, node->all.data_bytes, &node->unixfs))
        return broken(error, "a node is not well-formed UnixFS");
    node->links = node->all;
    node->link_count = node->all.link_count;
    if (node->expect.kind == HAUL_EXPECT_ENTRY)
        node->meta = node->unixfs.meta;
    if (node->expect.directories > HAUL_READ_DIRECTORY_DEPTH_MAX)
        return broken(error, "directories are nested too deeply");
    switch (node->unixfs.type) {
    case HAUL_UNIXFS_RAW:
    case HAUL_UNIXFS_FILE:
        return read_file(node, error);
    case HAUL_UNIXFS_DIRECTORY:
        return read_directory(node, error);
    case HAUL_UNIXFS_SHARD:
        return read_shard(node, error);
    case HAUL_UNIXFS_SYMLINK:
        return read_symlink(node, error);
    case HAUL_UNIXFS_METADATA:
        break;
    }
    return broken(error, "a node is of a kind that is no longer used");
}

int haul_node_read(const struct haul_cid *cid, const uint8_t *data, size_t bytes,
                   const struct haul_expect *expect, struct haul_node *node,
                   struct haul_error *error)
{
    struct haul_node found = { .expect = *expect, .offset = expect->offset };
    int result;

    if (bytes > HAUL_BLOCK_BYTES_MAX)
        return broken(error, "a block is larger than 1 MiB");
    result = cid->codec == HAUL_CODEC_RAW ? read_raw(data, bytes, &found, error)
                                          : read_dagpb(data, bytes, &found, error);
    if (result != 0)
        return -1;
    found.next_offset = found.offset + found.data_bytes;
    *node = found;
    return 0;
}

static void next_part(struct haul_node *node, struct haul_link *link)
{
    link->expect.kind = HAUL_EXPECT_PART;
    link->expect.directories = node->expect.directories;
    link->expect.depth = (uint8_t)(node->expect.depth + 1);
    link->expect.offset = node->next_offset;
    link->expect.bytes = haul_unixfs_next_block(&node->unixfs);
    node->next_offset += link->expect.bytes;
    link->name = "";
    link->name_bytes = 0;
}

static void next_in_shard(const struct haul_node *node, struct haul_link *link)
{
    uint8_t index = (uint8_t)(hex_value(link->name[0]) << 4 | hex_value(link->name[1]));

    link->name += HAUL_HAMT_PREFIX_BYTES;
    link->name_bytes -= HAUL_HAMT_PREFIX_BYTES;
    if (link->name_bytes > 0)
        return;
    link->expect = node->expect;
    link->expect.kind = HAUL_EXPECT_SHARD;
    link->expect.prefix[node->expect.depth] = index;
    link->expect.depth++;
}

bool haul_node_next(struct haul_node *node, struct haul_link *link)
{
    struct haul_dagpb_link next;

    if (!haul_dagpb_next(&node->links, &next))
        return false;
    haul_expect_root(&link->expect);
    link->expect.directories = (uint16_t)(node->expect.directories + 1);
    link->cid = next.cid;
    link->name = next.name;
    link->name_bytes = next.name_bytes;
    link->tsize = next.tsize;
    if (node->kind == HAUL_NODE_FILE)
        next_part(node, link);
    else if (node->kind == HAUL_NODE_SHARD)
        next_in_shard(node, link);
    return true;
}

enum haul_find haul_node_find(const struct haul_node *node, const char *name, size_t bytes,
                              struct haul_link *link)
{
    uint64_t hash = haul_hamt_hash(name, bytes);
    struct haul_node again = *node;
    struct haul_link found;

    if (node->kind != HAUL_NODE_DIRECTORY && node->kind != HAUL_NODE_SHARD)
        return HAUL_FIND_NONE;
    again.links = node->all;
    while (haul_node_next(&again, &found)) {
        bool shard = found.expect.kind == HAUL_EXPECT_SHARD;

        if (shard ? found.expect.prefix[node->expect.depth] !=
                        haul_hamt_index(hash, node->expect.depth)
                  : found.name_bytes != bytes || memcmp(found.name, name, bytes) != 0)
            continue;
        *link = found;
        return shard ? HAUL_FIND_SHARD : HAUL_FIND_ENTRY;
    }
    return HAUL_FIND_NONE;
}
