/* Builders against the CIDs of ipfs-unixfs-importer 17.1.1 (Helia's importer) with the profile
 * "unixfs-v1-2025", sha2-256; the symbolic link from ipfs-unixfs 13.1.1 and @ipld/dag-pb.
 * Stands for test_build_file and test_build_dir: both share one header. */
#include "controlplane/content/build.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)

static const struct haul_meta meta = {
    .has_mode = true,
    .has_mtime = true,
    .mode = 0750,
    .seconds = 1234567890,
    .nanoseconds = 987654321,
};

static void check(const struct haul_built *built, const char *cid, uint64_t tsize)
{
    char text[HAUL_CID_TEXT_BYTES];

    haul_cid_print(&built->cid, text);
    CU_ASSERT_STRING_EQUAL(text, cid);
    CU_ASSERT_EQUAL(built->tsize, tsize);
}

/* Byte i of the test pattern. */
static uint8_t pattern(uint64_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

/* Takes what is due; returns how many blocks. */
static unsigned take_file(struct haul_file_build *build)
{
    struct haul_block block;
    struct haul_hash hash;
    unsigned count = 0;

    while (haul_file_build_next(build, &block)) {
        CU_ASSERT_TRUE(block.bytes <= HAUL_BLOCK_BYTES_MAX);
        haul_hash_of(block.cid.hash.bytes[0], block.data, block.bytes, &hash);
        CU_ASSERT_TRUE(haul_hash_equal(&hash, &block.cid.hash));
        count++;
    }
    return count;
}

/* A file of the test pattern, or of zeros; returns how many blocks there are besides the leaves. */
static unsigned build_file(uint64_t bytes, bool zeros, const struct haul_meta *with,
                           struct haul_built *built)
{
    struct haul_file_build *build = haul_file_build_open(HAUL_HASH_SHA2_256, with);
    uint8_t *leaf = calloc(1, HAUL_LEAF_BYTES);
    struct haul_hash hash, whole;
    unsigned nodes = 0;

    CU_ASSERT_FATAL(build != NULL && leaf != NULL);
    haul_hash_of(HAUL_HASH_SHA2_256, leaf, HAUL_LEAF_BYTES, &whole);
    for (uint64_t at = 0; at == 0 || at < bytes; at += HAUL_LEAF_BYTES) {
        uint32_t length = (uint32_t)(bytes - at < HAUL_LEAF_BYTES ? bytes - at : HAUL_LEAF_BYTES);

        for (uint32_t i = 0; !zeros && i < length; i++)
            leaf[i] = pattern(at + i);
        hash = whole;
        if (!zeros || length < HAUL_LEAF_BYTES)
            haul_hash_of(HAUL_HASH_SHA2_256, leaf, length, &hash);
        CU_ASSERT_EQUAL(haul_file_build_add(build, &hash, length, NULL), 0);
        nodes += take_file(build);
    }
    haul_file_build_end(build);
    nodes += take_file(build);
    haul_file_build_root(build, built);
    CU_ASSERT_EQUAL(built->bytes, bytes);
    haul_file_build_close(build);
    free(leaf);
    return nodes;
}

static void files_have_the_cids_of_the_reference_importer(void)
{
    static const struct {
        uint64_t bytes;
        bool zeros;
        unsigned nodes;
        uint64_t tsize;
        const char *cid;
    } cases[] = {
        { 0, true, 0, 0, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku" },
        { MIB, false, 0, MIB, "bafkreiah6rdf55x6tadqx2xy3dibivfv2epwzvh7q2qttwjm2ay3i3o73q" },
        { MIB + 1, false, 1, 1048681,
          "bafybeieyojhfho3w2isj74utf5zoargj25qlhq34glf6vj62coxsg7nhea" },
        { 1024 * MIB, true, 1, 1073793035,
          "bafybeibqawkaltgjfdebq4no6nmfcvkcw7k52xqzclkwfmrkn6oxw7srmy" },
        { 1025 * MIB, true, 3, 1074841783,
          "bafybeigt7wofv4vnxbg3titijasuw4ptg5kfztec4smsk7opdt7z6djoxq" },
        { 1024 * MIB + 1, true, 3, 1073793198,
          "bafybeigx4uyebjbq65346xh6cjrt6yshbdudzudhnqecwbzvymslxj7gje" },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_built built;

        CU_ASSERT_EQUAL(build_file(cases[i].bytes, cases[i].zeros, NULL, &built), cases[i].nodes);
        check(&built, cases[i].cid, cases[i].tsize);
    }
}

static void meta_goes_to_the_root_of_a_file_alone(void)
{
    struct haul_built plain, with;

    build_file(0, true, &meta, &with);
    check(&with, "bafybeihtt5nsxh53ynb4qejrd3y3klyam7my6qfjog6vnehqgchk72rk7a", 22);
    build_file(MIB + 1, false, &meta, &with);
    check(&with, "bafybeihrzhhicn54h5vsmkgiyikbdjrxvhiyobt6t65mnthhuzehqniwfi", 1048697);
    /* A lone leaf stays raw, under a node that carries the meta. */
    CU_ASSERT_EQUAL(build_file(5, false, &meta, &with), 1);
    CU_ASSERT_EQUAL(with.cid.codec, HAUL_CODEC_DAG_PB);
    /* Two levels: the inner nodes are those of the file without meta, so only the root grows. */
    build_file(1025 * MIB, true, NULL, &plain);
    CU_ASSERT_EQUAL(build_file(1025 * MIB, true, &meta, &with), 3);
    CU_ASSERT_EQUAL(with.tsize, plain.tsize + 16);
}

/* Leaves of one byte reach the third level: 1,024 x 1,024 leaves and one more. */
static void a_third_level_begins_where_the_second_is_full(void)
{
    struct haul_file_build *build = haul_file_build_open(HAUL_HASH_BLAKE3, NULL);
    struct haul_hash hash;
    struct haul_built built;
    unsigned nodes = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(build);
    haul_hash_of(HAUL_HASH_BLAKE3, "x", 1, &hash);
    for (uint32_t i = 0; i < 1024 * 1024 + 1; i++) {
        CU_ASSERT_EQUAL(haul_file_build_add(build, &hash, 1, NULL), 0);
        nodes += take_file(build);
    }
    CU_ASSERT_EQUAL(nodes, 1024);
    haul_file_build_end(build);
    nodes += take_file(build);
    /* The full second level, one node over the last leaf, one over that, and the root. */
    CU_ASSERT_EQUAL(nodes, 1024 + 4);
    haul_file_build_root(build, &built);
    CU_ASSERT_EQUAL(built.bytes, 1024 * 1024 + 1);
    haul_file_build_close(build);
    haul_file_build_close(NULL);
}

/* The text of a small file, as an entry. */
static struct haul_built text_entry(const char *text)
{
    struct haul_built built = { .tsize = strlen(text), .bytes = strlen(text) };

    built.cid.codec = HAUL_CODEC_RAW;
    haul_hash_of(HAUL_HASH_SHA2_256, text, strlen(text), &built.cid.hash);
    return built;
}

static void add(struct haul_dir_build *build, const char *name, const struct haul_built *entry)
{
    CU_ASSERT_EQUAL(haul_dir_build_add(build, name, entry, NULL), 0);
}

static unsigned finish(struct haul_dir_build *build, struct haul_built *built)
{
    struct haul_error error = { 0 };
    struct haul_block block;
    struct haul_hash hash;
    unsigned count = 0;

    CU_ASSERT_EQUAL_FATAL(haul_dir_build_end(build, &error), 0);
    while (haul_dir_build_next(build, &block)) {
        CU_ASSERT_TRUE(block.bytes <= HAUL_DIRECTORY_FLAT_BYTES);
        haul_hash_of(block.cid.hash.bytes[0], block.data, block.bytes, &hash);
        CU_ASSERT_TRUE(haul_hash_equal(&hash, &block.cid.hash));
        count++;
    }
    haul_dir_build_root(build, built);
    haul_dir_build_close(build);
    return count;
}

static void directories_have_the_cids_of_the_reference_importer(void)
{
    static const char *const names[] = { "ä", "a", "Z", "日本語", "😀", "b.txt", "a b" };
    struct haul_dir_build *build = haul_dir_build_open(HAUL_HASH_SHA2_256, NULL);
    struct haul_built built, file;

    CU_ASSERT_EQUAL(finish(build, &built), 1);
    check(&built, "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354", 4);

    build = haul_dir_build_open(HAUL_HASH_SHA2_256, NULL);
    for (size_t i = 0; i < HAUL_COUNT_OF(names); i++) {
        file = text_entry(names[i]);
        add(build, names[i], &file);
    }
    CU_ASSERT_EQUAL(finish(build, &built), 1);
    check(&built, "bafybeigaxv5uocronrrhcliqf7hx3l3gxkxzp5zyq2ex5lsso4nmcteroi", 362);

    build = haul_dir_build_open(HAUL_HASH_SHA2_256, NULL); /* d/x/y/f, d/x/g, d/h */
    file = text_entry("a");
    add(build, "f", &file);
    finish(build, &built);
    build = haul_dir_build_open(HAUL_HASH_SHA2_256, NULL);
    add(build, "y", &built);
    build_file(MIB + 1, false, NULL, &file);
    add(build, "g", &file);
    finish(build, &built);
    build = haul_dir_build_open(HAUL_HASH_SHA2_256, NULL);
    add(build, "x", &built);
    file = text_entry("");
    add(build, "h", &file);
    finish(build, &built);
    check(&built, "bafybeigxakmfogioklr2xyndiu4znb4v3gafzk3ldtzrzsnb47c7gptfgq", 1048923);
}

static void directory_meta_has_the_cid_of_the_reference_importer(void)
{
    static const struct haul_meta early = {
        .has_mode = true,
        .mode = 0755, /* the default, which is not written */
        .has_mtime = true,
        .seconds = -5,
    };
    static const struct haul_meta setuid = { .has_mode = true, .mode = 06755 };
    struct haul_built built;

    finish(haul_dir_build_open(HAUL_HASH_SHA2_256, &meta), &built);
    check(&built, "bafybeicgvljm6r27t2bou2cx63lfea2mppzbdiuv5ruu4ajcx32xcm4iq4", 20);
    finish(haul_dir_build_open(HAUL_HASH_SHA2_256, &early), &built);
    check(&built, "bafybeiezyecric5qno4ptcxqlkjdfccbudbd6pmo7k7rc5itktc2fmwhwi", 17);
    finish(haul_dir_build_open(HAUL_HASH_SHA2_256, &setuid), &built);
    check(&built, "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354", 4);
}

static void large_directories_have_the_cids_of_the_reference_importer(void)
{
    static const struct {
        unsigned entries, blocks;
        const struct haul_meta *meta;
        uint64_t tsize;
        const char *cid;
    } cases[] = {
        { 4000, 1, NULL, 229784, "bafybeigpqvhhk3io44tccf6otz7gs5slc4o5ogxd54vq76xo5aarex4hau" },
        { 5000, 438, NULL, 335107, "bafybeieuc2q24ones6ys6deoctm6umr5t6i6v2kvg6scpl7wb44nws7bca" },
        { 6000, 506, NULL, 400601, "bafybeig77wit4kgvq7k4rf2dd3upomzybcby5x5wavsi4ezhmah5z74xuy" },
        { 6000, 506, &meta, 400617, "bafybeibqhwgxjavfk3rkgy7seaeullj2qzfclproxnwuudawr5fw62dgly" },
        { 100000, 30136, NULL, 8632181,
          "bafybeidkerluyhvthbubu23566bnhzidrobdwp7myogskvw4ysgwpfyn7a" },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_dir_build *build = haul_dir_build_open(HAUL_HASH_SHA2_256, cases[i].meta);
        struct haul_built built;

        for (unsigned n = 0; n < cases[i].entries; n++) {
            struct haul_built file;
            char name[32];

            snprintf(name, sizeof name, "entry-%u", n);
            file = text_entry(name + strlen("entry-"));
            add(build, name, &file);
        }
        CU_ASSERT_EQUAL(finish(build, &built), cases[i].blocks);
        check(&built, cases[i].cid, cases[i].tsize);
    }
}

/* 1,065 names of 200 bytes, and one more that makes the node 262,144 bytes long, or one more. */
static void a_directory_is_sharded_one_byte_beyond_256_kib(void)
{
    static const struct {
        unsigned last, blocks;
        uint64_t tsize;
        const char *cid;
    } cases[] = {
        { 105, 1, 263210, "bafybeib4zolhlmhnd5lhdylapvbjsop7lw32c2nufkqds6n5dkqd57loka" },
        { 106, 254, 286564, "bafybeia7idoiuxpzsrzwi5vwwyg7akqklgfbh4umm7yl6ycjd54sqw3yny" },
    };
    struct haul_built file = text_entry("a"), built;

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_dir_build *build = haul_dir_build_open(HAUL_HASH_SHA2_256, NULL);
        char name[256];

        for (unsigned n = 0; n < 1065; n++) {
            memset(name, 'x', 200);
            name[200] = 0;
            name[snprintf(name, sizeof name, "n%u", n)] = 'x';
            add(build, name, &file);
        }
        memset(name, 'z', cases[i].last);
        name[cases[i].last] = 0;
        add(build, name, &file);
        CU_ASSERT_EQUAL(finish(build, &built), cases[i].blocks);
        check(&built, cases[i].cid, cases[i].tsize);
    }
}

static void names_that_are_not_allowed_are_refused(void)
{
    struct haul_dir_build *build = haul_dir_build_open(HAUL_HASH_BLAKE3, NULL);
    struct haul_built file = text_entry("a");
    struct haul_error error = { 0 };
    char longest[257];

    CU_ASSERT_EQUAL(haul_dir_build_add(build, "..", &file, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_SOURCE_NAME);
    CU_ASSERT_EQUAL(haul_dir_build_add(build, "a/b", &file, &error), -1);
    CU_ASSERT_EQUAL(haul_dir_build_add(build, "caf\xe9", &file, &error), -1);
    memset(longest, 'a', sizeof longest);
    longest[256] = 0;
    CU_ASSERT_EQUAL(haul_dir_build_add(build, longest, &file, &error), -1);
    longest[255] = 0;
    add(build, longest, &file);
    add(build, longest, &file);
    CU_ASSERT_EQUAL(haul_dir_build_end(build, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_SOURCE_NAME);
    haul_dir_build_close(build);
    haul_dir_build_close(NULL);
}

static void symbolic_links_have_the_cid_of_the_reference_importer(void)
{
    static const char target[] = "../target/ä";
    uint8_t space[HAUL_SYMLINK_SPACE];
    static char longest[HAUL_SYMLINK_BYTES_MAX + 1];
    struct haul_built built;
    struct haul_block block;
    struct haul_error error;

    CU_ASSERT_EQUAL(haul_symlink_build(HAUL_HASH_SHA2_256, target, strlen(target), NULL, space,
                                       &block, &built, &error),
                    0);
    check(&built, "bafybeidoyglz5coaoqw4igrctffs6drm4oz7kxujcdsl3qyh7qkugcjlzq", 18);
    CU_ASSERT_EQUAL(
        haul_symlink_build(HAUL_HASH_SHA2_256, target, 0, NULL, space, &block, &built, &error), -1);
    CU_ASSERT_EQUAL(
        haul_symlink_build(HAUL_HASH_SHA2_256, "a\0b", 3, NULL, space, &block, &built, &error), -1);
    memset(longest, 'a', sizeof longest);
    CU_ASSERT_EQUAL(haul_symlink_build(HAUL_HASH_SHA2_256, longest, sizeof longest, NULL, space,
                                       &block, &built, &error),
                    -1);
    CU_ASSERT_EQUAL(haul_symlink_build(HAUL_HASH_BLAKE3, longest, sizeof longest - 1, &meta, space,
                                       &block, &built, &error),
                    0);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "files have the CIDs of the reference importer",
          files_have_the_cids_of_the_reference_importer },
        { "meta goes to the root of a file alone", meta_goes_to_the_root_of_a_file_alone },
        { "a third level begins where the second is full",
          a_third_level_begins_where_the_second_is_full },
        { "directories have the CIDs of the reference importer",
          directories_have_the_cids_of_the_reference_importer },
        { "directory meta has the CID of the reference importer",
          directory_meta_has_the_cid_of_the_reference_importer },
        { "large directories have the CIDs of the reference importer",
          large_directories_have_the_cids_of_the_reference_importer },
        { "a directory is sharded one byte beyond 256 KiB",
          a_directory_is_sharded_one_byte_beyond_256_kib },
        { "names that are not allowed are refused", names_that_are_not_allowed_are_refused },
        { "symbolic links have the CID of the reference importer",
          symbolic_links_have_the_cid_of_the_reference_importer },
    };

    return unit_main("build", tests, HAUL_COUNT_OF(tests));
}
