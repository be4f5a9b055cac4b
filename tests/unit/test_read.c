/* Reading what was built, and refusing what a hostile or faulty tool may have built. */
#include "controlplane/content/build.h"
#include "controlplane/content/read.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CODE HAUL_HASH_BLAKE3

/* A store of blocks for one test. */
struct shelf {
    struct haul_cid cid;
    uint8_t *data;
    size_t bytes;
};
static struct shelf *shelves;
static size_t shelf_count;

static void shelf_put(const struct haul_block *block)
{
    shelves = realloc(shelves, (shelf_count + 1) * sizeof *shelves);
    CU_ASSERT_PTR_NOT_NULL_FATAL(shelves);
    shelves[shelf_count].cid = block->cid;
    shelves[shelf_count].bytes = block->bytes;
    shelves[shelf_count].data = malloc(block->bytes);
    memcpy(shelves[shelf_count++].data, block->data, block->bytes);
}

static const struct shelf *shelf_get(const struct haul_cid *cid)
{
    for (size_t i = 0; i < shelf_count; i++) {
        if (haul_cid_equal(&shelves[i].cid, cid))
            return &shelves[i];
    }
    return NULL;
}

static void shelf_clear(void)
{
    for (size_t i = 0; i < shelf_count; i++)
        free(shelves[i].data);
    free(shelves);
    shelves = NULL;
    shelf_count = 0;
}

static int read_shelf(const struct haul_cid *cid, const struct haul_expect *expect,
                      struct haul_node *node)
{
    const struct shelf *shelf = shelf_get(cid);
    struct haul_error error;

    CU_ASSERT_PTR_NOT_NULL_FATAL(shelf);
    return haul_node_read(cid, shelf->data, shelf->bytes, expect, node, &error);
}

/* Leaf n has n + 1 bytes; its parts must come in order and fill the file without a gap. */
static void walk_file(const struct haul_cid *cid, const struct haul_expect *expect, uint64_t *leaf,
                      uint64_t *offset)
{
    struct haul_node node;
    struct haul_link link;

    CU_ASSERT_EQUAL_FATAL(read_shelf(cid, expect, &node), 0);
    CU_ASSERT_EQUAL(node.kind, HAUL_NODE_FILE);
    CU_ASSERT_EQUAL(node.offset, *offset);
    while (haul_node_next(&node, &link)) {
        if (link.cid.codec != HAUL_CODEC_RAW) {
            walk_file(&link.cid, &link.expect, leaf, offset);
            continue;
        }
        ++*leaf;
        CU_ASSERT_EQUAL(link.expect.kind, HAUL_EXPECT_PART);
        CU_ASSERT_EQUAL(link.expect.offset, *offset);
        CU_ASSERT_EQUAL(link.expect.bytes, *leaf);
        *offset += link.expect.bytes;
    }
}

static void the_parts_of_a_file_fill_it_without_a_gap(void)
{
    struct haul_file_build *build = haul_file_build_open(CODE, NULL);
    struct haul_expect expect;
    struct haul_block block;
    struct haul_built built;
    struct haul_hash hash;
    uint64_t leaves = 0, offset = 0;

    haul_hash_of(CODE, "", 0, &hash);
    for (uint32_t i = 0; i < 3000; i++) {
        CU_ASSERT_EQUAL(haul_file_build_add(build, &hash, i + 1, NULL), 0);
        while (haul_file_build_next(build, &block))
            shelf_put(&block);
    }
    haul_file_build_end(build);
    while (haul_file_build_next(build, &block))
        shelf_put(&block);
    haul_file_build_root(build, &built);
    haul_file_build_close(build);
    haul_expect_root(&expect);
    walk_file(&built.cid, &expect, &leaves, &offset);
    CU_ASSERT_EQUAL(leaves, 3000);
    CU_ASSERT_EQUAL(offset, built.bytes);
    shelf_clear();
}

static void raw_blocks_are_files_and_parts(void)
{
    struct haul_cid cid = { .codec = HAUL_CODEC_RAW };
    struct haul_expect expect;
    struct haul_error error;
    struct haul_node node;

    haul_expect_root(&expect);
    CU_ASSERT_EQUAL(haul_node_read(&cid, (const uint8_t *)"", 0, &expect, &node, &error), 0);
    CU_ASSERT_EQUAL(node.bytes, 0);
    expect = (struct haul_expect){ .kind = HAUL_EXPECT_PART, .offset = 10, .bytes = 3 };
    CU_ASSERT_EQUAL(haul_node_read(&cid, (const uint8_t *)"abc", 3, &expect, &node, &error), 0);
    CU_ASSERT_EQUAL(node.offset, 10);
    CU_ASSERT_EQUAL(node.data_bytes, 3);
    CU_ASSERT_EQUAL(haul_node_read(&cid, (const uint8_t *)"ab", 2, &expect, &node, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_MANIFEST_BROKEN);
    expect.kind = HAUL_EXPECT_SHARD;
    CU_ASSERT_EQUAL(haul_node_read(&cid, (const uint8_t *)"abc", 3, &expect, &node, &error), -1);
}

static struct haul_built numbered_directory(unsigned entries, const struct haul_meta *meta)
{
    struct haul_dir_build *build = haul_dir_build_open(CODE, meta);
    struct haul_built built = { .cid.codec = HAUL_CODEC_RAW, .tsize = 1 };
    struct haul_block block;
    char name[32];

    for (unsigned i = 0; i < entries; i++) {
        snprintf(name, sizeof name, "entry-%u", i);
        haul_hash_of(CODE, name, strlen(name), &built.cid.hash);
        CU_ASSERT_EQUAL(haul_dir_build_add(build, name, &built, NULL), 0);
    }
    CU_ASSERT_EQUAL_FATAL(haul_dir_build_end(build, NULL), 0);
    while (haul_dir_build_next(build, &block))
        shelf_put(&block);
    haul_dir_build_root(build, &built);
    haul_dir_build_close(build);
    return built;
}

/* Counts the entries below, each of which must be one of numbered_directory. */
static unsigned walk_directory(const struct haul_cid *cid, const struct haul_expect *expect)
{
    struct haul_node node;
    struct haul_link link;
    struct haul_hash hash;
    unsigned count = 0;

    CU_ASSERT_EQUAL_FATAL(read_shelf(cid, expect, &node), 0);
    CU_ASSERT_TRUE(node.kind == HAUL_NODE_DIRECTORY || node.kind == HAUL_NODE_SHARD);
    while (haul_node_next(&node, &link)) {
        if (link.expect.kind == HAUL_EXPECT_SHARD) {
            count += walk_directory(&link.cid, &link.expect);
            continue;
        }
        CU_ASSERT_EQUAL(link.expect.kind, HAUL_EXPECT_ENTRY);
        CU_ASSERT_EQUAL(link.expect.directories, 1);
        haul_hash_of(CODE, link.name, link.name_bytes, &hash);
        CU_ASSERT_TRUE(haul_hash_equal(&hash, &link.cid.hash));
        count++;
    }
    return count;
}

static enum haul_find find(const struct haul_cid *root, const char *name, struct haul_link *link)
{
    struct haul_cid cid = *root;
    struct haul_expect expect;
    enum haul_find found;

    haul_expect_root(&expect);
    do {
        struct haul_node node;

        CU_ASSERT_EQUAL_FATAL(read_shelf(&cid, &expect, &node), 0);
        found = haul_node_find(&node, name, strlen(name), link);
        cid = link->cid;
        expect = link->expect;
    } while (found == HAUL_FIND_SHARD);
    return found;
}

static void every_entry_is_walked_and_found(void)
{
    static const unsigned sizes[] = { 0, 1, 100, 6000, 20000 };
    static const struct haul_meta meta = { .has_mode = true, .mode = 0700 };

    for (size_t i = 0; i < HAUL_COUNT_OF(sizes); i++) {
        struct haul_built built = numbered_directory(sizes[i], &meta);
        struct haul_expect expect;
        struct haul_link link;
        struct haul_node node;
        char name[32];

        haul_expect_root(&expect);
        CU_ASSERT_EQUAL(walk_directory(&built.cid, &expect), sizes[i]);
        CU_ASSERT_EQUAL(read_shelf(&built.cid, &expect, &node), 0);
        CU_ASSERT_EQUAL(node.meta.mode, 0700);
        for (unsigned n = 0; n < sizes[i]; n += 1 + sizes[i] / 50) {
            snprintf(name, sizeof name, "entry-%u", n);
            CU_ASSERT_EQUAL(find(&built.cid, name, &link), HAUL_FIND_ENTRY);
            CU_ASSERT_EQUAL(link.name_bytes, strlen(name));
        }
        CU_ASSERT_EQUAL(find(&built.cid, "entry-", &link), HAUL_FIND_NONE);
        CU_ASSERT_EQUAL(find(&built.cid, "", &link), HAUL_FIND_NONE);
        shelf_clear();
    }
}

/* A node made by hand. */
struct part {
    const char *name;
    uint64_t bytes; /* blocksize, for files */
    uint8_t codec;
};

static size_t make_node(uint8_t *data, size_t capacity, const struct haul_unixfs *unixfs,
                        const struct part *parts, uint32_t count, uint32_t size_count)
{
    struct haul_out out = haul_out_to(data, capacity);
    uint8_t message[256];
    struct haul_out inner = haul_out_to(message, sizeof message);
    uint64_t sizes[16] = { 0 };

    for (uint32_t i = 0; i < count; i++) {
        struct haul_dagpb_link link = {
            .cid.codec = parts[i].codec == 0 ? HAUL_CODEC_RAW : parts[i].codec,
            .name = parts[i].name,
            .name_bytes = strlen(parts[i].name),
        };

        haul_hash_of(CODE, parts[i].name, strlen(parts[i].name), &link.cid.hash);
        haul_dagpb_put_link(&out, &link);
        sizes[i] = parts[i].bytes;
    }
    haul_unixfs_encode(&inner, unixfs, sizes, size_count);
    haul_dagpb_put_data(&out, message, (size_t)(inner.at - message));
    CU_ASSERT_FATAL(!inner.bad && !out.bad);
    return (size_t)(out.at - data);
}

/* HAUL_OK, or the code of the refusal. */
static enum haul_error_code verdict(const struct haul_unixfs *unixfs, const struct part *parts,
                                    uint32_t count, uint32_t size_count,
                                    const struct haul_expect *expect)
{
    static const struct haul_cid cid = { .codec = HAUL_CODEC_DAG_PB };
    struct haul_error error = { .code = HAUL_OK };
    struct haul_expect root;
    struct haul_node node;
    uint8_t data[4096];
    size_t bytes = make_node(data, sizeof data, unixfs, parts, count, size_count);

    haul_expect_root(&root);
    if (haul_node_read(&cid, data, bytes, expect == NULL ? &root : expect, &node, &error) == 0)
        CU_ASSERT_EQUAL(error.code, HAUL_OK);
    return error.code;
}

static void hostile_entries_are_refused(void)
{
    static const struct haul_unixfs directory = { .type = HAUL_UNIXFS_DIRECTORY };
    static const struct {
        enum haul_error_code code;
        struct part parts[2];
    } cases[] = {
        { HAUL_OK, { { .name = "a" }, { .name = "b" } } },
        { HAUL_E_MANIFEST_HOSTILE, { { .name = "" }, { .name = "b" } } },
        { HAUL_E_MANIFEST_HOSTILE, { { .name = ".." }, { .name = "b" } } },
        { HAUL_E_MANIFEST_HOSTILE, { { .name = "." }, { .name = "b" } } },
        { HAUL_E_MANIFEST_HOSTILE, { { .name = "/etc/passwd" }, { .name = "b" } } },
        { HAUL_E_MANIFEST_HOSTILE, { { .name = "../x" }, { .name = "b" } } },
        { HAUL_E_MANIFEST_HOSTILE, { { .name = "a" }, { .name = "a" } } },
        { HAUL_E_MANIFEST_HOSTILE, { { .name = "a" }, { .name = "caf\xe9" } } },
        { HAUL_E_MANIFEST_BROKEN, { { .name = "b" }, { .name = "a" } } },
        { HAUL_E_MANIFEST_BROKEN, { { .name = "ab" }, { .name = "a" } } },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++)
        CU_ASSERT_EQUAL(verdict(&directory, cases[i].parts, 2, 0, NULL), cases[i].code);
    CU_ASSERT_EQUAL(verdict(&directory, cases[0].parts, 2, 2, NULL), HAUL_E_MANIFEST_BROKEN);
}

static void inconsistent_files_are_refused(void)
{
    static const struct part parts[] = { { "", 5, 0 }, { "", 7, 0 } };
    static const struct part empty[] = { { "", 5, 0 }, { "", 0, 0 } };
    static const struct part large[] = { { "", HAUL_BLOCK_BYTES_MAX + 1, 0 } };
    static const struct part deep[] = { { "", HAUL_BLOCK_BYTES_MAX + 1, HAUL_CODEC_DAG_PB } };
    static const struct part huge[] = { { "", INT64_MAX, HAUL_CODEC_DAG_PB },
                                        { "", INT64_MAX, HAUL_CODEC_DAG_PB } };
    struct haul_unixfs file = { .type = HAUL_UNIXFS_FILE, .has_filesize = true, .filesize = 12 };
    struct haul_expect expect = { .kind = HAUL_EXPECT_PART, .bytes = 12 };

    CU_ASSERT_EQUAL(verdict(&file, parts, 2, 2, NULL), HAUL_OK);
    CU_ASSERT_EQUAL(verdict(&file, parts, 2, 2, &expect), HAUL_OK);
    expect.bytes = 11;
    CU_ASSERT_EQUAL(verdict(&file, parts, 2, 2, &expect), HAUL_E_MANIFEST_BROKEN);
    expect = (struct haul_expect){ .kind = HAUL_EXPECT_PART, .bytes = 12, .offset = INT64_MAX };
    CU_ASSERT_EQUAL(verdict(&file, parts, 2, 2, &expect), HAUL_E_MANIFEST_BROKEN);
    CU_ASSERT_EQUAL(verdict(&file, parts, 2, 1, NULL), HAUL_E_MANIFEST_BROKEN);
    CU_ASSERT_EQUAL(verdict(&file, parts, 1, 2, NULL), HAUL_E_MANIFEST_BROKEN);
    file.filesize = 13;
    CU_ASSERT_EQUAL(verdict(&file, parts, 2, 2, NULL), HAUL_E_MANIFEST_BROKEN);
    file.has_filesize = false;
    CU_ASSERT_EQUAL(verdict(&file, parts, 2, 2, NULL), HAUL_E_MANIFEST_BROKEN);
    file = (struct haul_unixfs){ .type = HAUL_UNIXFS_FILE, .has_filesize = true, .filesize = 5 };
    CU_ASSERT_EQUAL(verdict(&file, empty, 2, 2, NULL), HAUL_E_MANIFEST_BROKEN);
    file.filesize = HAUL_BLOCK_BYTES_MAX + 1;
    CU_ASSERT_EQUAL(verdict(&file, large, 1, 1, NULL), HAUL_E_MANIFEST_BROKEN);
    CU_ASSERT_EQUAL(verdict(&file, deep, 1, 1, NULL), HAUL_OK);
    file.type = HAUL_UNIXFS_RAW;
    CU_ASSERT_EQUAL(verdict(&file, deep, 1, 1, NULL), HAUL_E_MANIFEST_BROKEN);
    file = (struct haul_unixfs){ .type = HAUL_UNIXFS_FILE, .has_filesize = true };
    CU_ASSERT_EQUAL(verdict(&file, huge, 2, 2, NULL), HAUL_E_MANIFEST_BROKEN);
    file.type = HAUL_UNIXFS_METADATA;
    CU_ASSERT_EQUAL(verdict(&file, NULL, 0, 0, NULL), HAUL_E_MANIFEST_BROKEN);
}

/* Files of older tools: leaves are dag-pb too, with the bytes inside the UnixFS message. */
static void leaves_inside_dag_pb_are_read_in_place(void)
{
    static const struct haul_cid cid = { .codec = HAUL_CODEC_DAG_PB };
    static const uint8_t types[] = { HAUL_UNIXFS_FILE, HAUL_UNIXFS_RAW };
    struct haul_expect expect = { .kind = HAUL_EXPECT_PART, .offset = 100, .bytes = 3, .depth = 8 };

    for (size_t i = 0; i < HAUL_COUNT_OF(types); i++) {
        struct haul_unixfs leaf = { .type = types[i],
                                    .data = (const uint8_t *)"abc",
                                    .data_bytes = 3,
                                    .has_filesize = true,
                                    .filesize = 3,
                                    .meta = { .has_mode = true, .mode = 0711 } };
        uint8_t data[128];
        size_t bytes = make_node(data, sizeof data, &leaf, NULL, 0, 0);
        struct haul_node node;

        CU_ASSERT_EQUAL_FATAL(haul_node_read(&cid, data, bytes, &expect, &node, NULL), 0);
        CU_ASSERT_EQUAL(node.kind, HAUL_NODE_FILE);
        CU_ASSERT_EQUAL(node.offset, 100);
        CU_ASSERT_EQUAL(node.data_bytes, 3);
        CU_ASSERT_EQUAL(memcmp(node.data, "abc", 3), 0);
        CU_ASSERT_FALSE(node.meta.has_mode);
    }
}

static void nesting_ends_at_its_limits(void)
{
    static const struct part part[] = { { "", 5, HAUL_CODEC_DAG_PB } };
    static const struct haul_unixfs directory = { .type = HAUL_UNIXFS_DIRECTORY };
    struct haul_unixfs file = { .type = HAUL_UNIXFS_FILE, .has_filesize = true, .filesize = 5 };
    struct haul_expect expect = { .kind = HAUL_EXPECT_PART,
                                  .bytes = 5,
                                  .depth = HAUL_READ_FILE_DEPTH_MAX - 1 };

    CU_ASSERT_EQUAL(verdict(&file, part, 1, 1, &expect), HAUL_OK);
    expect.depth++;
    CU_ASSERT_EQUAL(verdict(&file, part, 1, 1, &expect), HAUL_E_MANIFEST_BROKEN);
    haul_expect_root(&expect);
    expect.directories = HAUL_READ_DIRECTORY_DEPTH_MAX;
    CU_ASSERT_EQUAL(verdict(&directory, NULL, 0, 0, &expect), HAUL_OK);
    expect.directories++;
    CU_ASSERT_EQUAL(verdict(&directory, NULL, 0, 0, &expect), HAUL_E_MANIFEST_BROKEN);
    /* Nothing but the kind that the parent says. */
    expect = (struct haul_expect){ .kind = HAUL_EXPECT_PART, .bytes = 0 };
    CU_ASSERT_EQUAL(verdict(&directory, NULL, 0, 0, &expect), HAUL_E_MANIFEST_BROKEN);
    expect.kind = HAUL_EXPECT_SHARD;
    CU_ASSERT_EQUAL(verdict(&directory, NULL, 0, 0, &expect), HAUL_E_MANIFEST_BROKEN);
    CU_ASSERT_EQUAL(verdict(&file, part, 1, 1, &expect), HAUL_E_MANIFEST_BROKEN);
}

static void misplaced_shards_are_refused(void)
{
    /* "a" hashes to 85 55 55..., so index 0x85 of the root and 0x55 below. */
    static const uint8_t bit_85[17] = { 1 << 5 };
    static const uint8_t bit_55[11] = { 1 << 5 };
    static const struct part right[] = { { "85a", 0, 0 } }, below[] = { { "55a", 0, 0 } };
    static const struct part small[] = { { "8", 0, 0 } }, lower[] = { { "ffa", 0, 0 } };
    static const struct part other[] = { { "85b", 0, 0 } }, dots[] = { { "85..", 0, 0 } };
    static const struct part shard[] = { { "85", 0, HAUL_CODEC_DAG_PB } };
    static const struct part raw[] = { { "85", 0, HAUL_CODEC_RAW } };
    struct haul_unixfs node = { .type = HAUL_UNIXFS_SHARD,
                                .data = bit_85,
                                .data_bytes = sizeof bit_85,
                                .hash_type = 0x22,
                                .fanout = 256 };
    struct haul_expect expect = {
        .kind = HAUL_EXPECT_SHARD, .bytes = HAUL_READ_SIZE_UNKNOWN, .depth = 1, .prefix = { 0x85 }
    };

    CU_ASSERT_EQUAL(verdict(&node, right, 1, 0, NULL), HAUL_OK);
    CU_ASSERT_EQUAL(verdict(&node, shard, 1, 0, NULL), HAUL_OK);
    CU_ASSERT_EQUAL(verdict(&node, raw, 1, 0, NULL), HAUL_E_MANIFEST_BROKEN);
    CU_ASSERT_EQUAL(verdict(&node, small, 1, 0, NULL), HAUL_E_MANIFEST_BROKEN);
    CU_ASSERT_EQUAL(verdict(&node, lower, 1, 0, NULL), HAUL_E_MANIFEST_BROKEN);
    CU_ASSERT_EQUAL(verdict(&node, other, 1, 0, NULL), HAUL_E_MANIFEST_BROKEN);
    CU_ASSERT_EQUAL(verdict(&node, dots, 1, 0, NULL), HAUL_E_MANIFEST_HOSTILE);
    CU_ASSERT_EQUAL(verdict(&node, below, 1, 0, NULL), HAUL_E_MANIFEST_BROKEN);
    CU_ASSERT_EQUAL(verdict(&node, right, 0, 0, NULL), HAUL_E_MANIFEST_BROKEN);
    CU_ASSERT_EQUAL(verdict(&node, right, 1, 0, &expect), HAUL_E_MANIFEST_BROKEN);
    node.data = bit_55;
    node.data_bytes = sizeof bit_55;
    CU_ASSERT_EQUAL(verdict(&node, below, 1, 0, &expect), HAUL_OK);
    expect.prefix[0] = 0x84;
    CU_ASSERT_EQUAL(verdict(&node, below, 1, 0, &expect), HAUL_E_MANIFEST_BROKEN);
    node.data = bit_85;
    node.data_bytes = sizeof bit_85;
    expect.depth = HAUL_HAMT_DEPTH_MAX - 1;
    CU_ASSERT_EQUAL(verdict(&node, shard, 1, 0, &expect), HAUL_E_MANIFEST_BROKEN);
    node.fanout = 16;
    CU_ASSERT_EQUAL(verdict(&node, right, 1, 0, NULL), HAUL_E_MANIFEST_BROKEN);
}

static void symbolic_links_are_read_and_checked(void)
{
    struct haul_unixfs node = { .type = HAUL_UNIXFS_SYMLINK,
                                .data = (const uint8_t *)"a\0b",
                                .data_bytes = 1 };
    struct haul_expect expect = { .kind = HAUL_EXPECT_PART, .bytes = 1 };

    CU_ASSERT_EQUAL(verdict(&node, NULL, 0, 0, NULL), HAUL_OK);
    CU_ASSERT_EQUAL(verdict(&node, NULL, 0, 0, &expect), HAUL_E_MANIFEST_BROKEN);
    node.data_bytes = 3;
    CU_ASSERT_EQUAL(verdict(&node, NULL, 0, 0, NULL), HAUL_E_MANIFEST_HOSTILE);
    node.data_bytes = 0;
    CU_ASSERT_EQUAL(verdict(&node, NULL, 0, 0, NULL), HAUL_E_MANIFEST_HOSTILE);
}

static void damaged_nodes_are_refused_or_read_without_harm(void)
{
    static const struct part parts[] = { { "a", 5, 0 }, { "b", 7, HAUL_CODEC_DAG_PB } };
    static const uint8_t types[] = { HAUL_UNIXFS_FILE, HAUL_UNIXFS_DIRECTORY };
    struct haul_cid cid = { .codec = HAUL_CODEC_DAG_PB };

    for (size_t i = 0; i < HAUL_COUNT_OF(types); i++) {
        bool file = types[i] == HAUL_UNIXFS_FILE;
        struct haul_unixfs unixfs = { .type = types[i],
                                      .has_filesize = file,
                                      .filesize = 12,
                                      .meta = { .has_mtime = true, .nanoseconds = 5 } };
        uint8_t data[512];
        size_t bytes = make_node(data, sizeof data, &unixfs, parts, 2, file ? 2 : 0);
        struct haul_expect expect;
        struct haul_node node;
        struct haul_link link;

        haul_expect_root(&expect);
        for (size_t cut = 0; cut < bytes; cut++)
            CU_ASSERT_EQUAL(haul_node_read(&cid, data, cut, &expect, &node, NULL), -1);
        for (size_t bit = 0; bit < bytes * 8; bit++) {
            data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (haul_node_read(&cid, data, bytes, &expect, &node, NULL) == 0) {
                while (haul_node_next(&node, &link))
                    CU_ASSERT_TRUE(link.name_bytes <= bytes);
            }
            data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "the parts of a file fill it without a gap", the_parts_of_a_file_fill_it_without_a_gap },
        { "raw blocks are files and parts", raw_blocks_are_files_and_parts },
        { "every entry is walked and found", every_entry_is_walked_and_found },
        { "hostile entries are refused", hostile_entries_are_refused },
        { "inconsistent files are refused", inconsistent_files_are_refused },
        { "leaves inside dag-pb are read in place", leaves_inside_dag_pb_are_read_in_place },
        { "nesting ends at its limits", nesting_ends_at_its_limits },
        { "misplaced shards are refused", misplaced_shards_are_refused },
        { "symbolic links are read and checked", symbolic_links_are_read_and_checked },
        { "damaged nodes are refused or read without harm",
          damaged_nodes_are_refused_or_read_without_harm },
    };

    return unit_main("read", tests, HAUL_COUNT_OF(tests));
}
