/* Ingest: what was fed is what a reader finds, whatever its size and shape, and every fault ends
 * the work with its reason and without a dataset. */
#include "controlplane/datasets/ingest.h"

#include "controlplane/content/build.h"
#include "controlplane/content/read.h"
#include "tests/unit/worker_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static struct haul_loop *loop;
static struct worker_rig rig;
static struct haul_helpers *helpers;
static struct haul_catalog *catalog;
static struct haul_ingest *ingest;
static char directory[64];
static bool ended;
static bool stored;
static unsigned readies;
static struct haul_dataset dataset;
static struct haul_error failure;

static void on_done(void *context, const struct haul_dataset *made, const struct haul_error *error)
{
    CU_ASSERT_FALSE(ended);
    ended = true;
    stored = made != NULL;
    if (made != NULL)
        dataset = *made;
    if (error != NULL)
        failure = *error;
    haul_loop_stop(loop);
}

static void on_ready(void *context)
{
    readies++;
    haul_loop_stop(loop);
}

static void open_all(uint32_t slots, uint64_t capacity, bool preserve)
{
    struct haul_ingest_conf conf = { .hash_code = HAUL_HASH_SHA2_256,
                                     .preserve = preserve,
                                     .name = "a tree",
                                     .ready = on_ready,
                                     .done = on_done };

    ended = stored = false;
    readies = 0;
    memset(&failure, 0, sizeof failure);
    snprintf(directory, sizeof directory, "/tmp/haul-ingest-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    CU_ASSERT_EQUAL_FATAL(haul_loop_open(&loop, NULL), 0);
    worker_rig_open_in(&rig, loop, slots, capacity);
    CU_ASSERT_EQUAL_FATAL(haul_helpers_open(&helpers, loop, 2, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(haul_catalog_open(&catalog, directory, NULL), 0);
    conf.loop = loop;
    conf.orders = rig.orders;
    conf.helpers = helpers;
    conf.catalog = catalog;
    CU_ASSERT_EQUAL_FATAL(haul_ingest_open(&ingest, &conf, NULL), 0);
}

static void run_to_the_end(void)
{
    for (unsigned i = 0; i < 1000 && !ended; i++)
        worker_rig_run(&rig, 20);
    CU_ASSERT_TRUE(ended);
}

static void close_all(void)
{
    char path[128];

    haul_ingest_close(ingest);
    worker_rig_run(&rig, 5);
    haul_helpers_close(helpers);
    worker_rig_close(&rig);
    haul_catalog_close(catalog);
    haul_loop_close(loop);
    snprintf(path, sizeof path, "%s/data.mdb", directory);
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/lock.mdb", directory);
    (void)unlink(path);
    (void)rmdir(directory);
}

static uint8_t byte_at(uint64_t seed, uint64_t at)
{
    return (uint8_t)((at ^ seed * 77) * 0x9e3779b97f4a7c15u >> 40);
}

/* A nameless file of `bytes` that follow from `seed`. */
static int make_file(uint64_t seed, uint64_t bytes, mode_t mode)
{
    char path[] = "/tmp/haul-ingest-file-XXXXXX";
    int fd = mkstemp(path);
    uint8_t part[4096];

    for (uint64_t at = 0; at < bytes; at += sizeof part) {
        size_t take = bytes - at < sizeof part ? (size_t)(bytes - at) : sizeof part;

        for (size_t i = 0; i < take; i++)
            part[i] = byte_at(seed, at + i);
        CU_ASSERT_EQUAL(write(fd, part, take), (ssize_t)take);
    }
    (void)fchmod(fd, mode);
    (void)unlink(path);
    return fd;
}

/* --- reading back --- */

struct seen {
    uint64_t files, directories, links, bytes;
    char names[2048]; /* in the order of the walk, each ended by ';'; begins again when full */
    size_t names_bytes;
    bool modes; /* every entry had a mode and a time */
};

static bool load(const struct haul_hash *hash, uint8_t *block, uint32_t *length)
{
    struct haul_store_result result;

    CU_ASSERT_TRUE(haul_store_read(rig.store, hash, block, 0));
    CU_ASSERT_EQUAL(haul_store_reap(rig.store, &result, 1), 1);
    *length = result.length;
    return result.error == 0;
}

static void check_bytes(uint64_t seed, uint64_t at, const uint8_t *data, size_t bytes)
{
    size_t wrong = 0;

    for (size_t i = 0; i < bytes; i++)
        wrong += data[i] != byte_at(seed, at + i);
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Files are named after their seed. */
static void walk(const struct haul_cid *cid, const struct haul_expect *expect, uint64_t seed,
                 struct seen *seen)
{
    uint8_t *block = aligned_alloc(4096, HAUL_BLOCK_BYTES_MAX);
    struct haul_node node;
    struct haul_link link;
    struct haul_error error;
    uint32_t length = 0;

    CU_ASSERT_TRUE_FATAL(load(&cid->hash, block, &length));
    CU_ASSERT_EQUAL_FATAL(haul_node_read(cid, block, length, expect, &node, &error), 0);
    if (expect->kind == HAUL_EXPECT_ENTRY) {
        seen->files += node.kind == HAUL_NODE_FILE;
        seen->directories += node.kind == HAUL_NODE_DIRECTORY || node.kind == HAUL_NODE_SHARD;
        seen->links += node.kind == HAUL_NODE_SYMLINK;
        seen->modes = seen->modes && node.meta.has_mode && node.meta.has_mtime;
    }
    if (node.kind == HAUL_NODE_FILE) {
        check_bytes(seed, node.offset, node.data, node.data_bytes);
        seen->bytes += node.data_bytes;
    }
    while (haul_node_next(&node, &link)) {
        uint64_t next = seed;

        if (link.expect.kind == HAUL_EXPECT_ENTRY) {
            char name[64];

            snprintf(name, sizeof name, "%.*s", (int)link.name_bytes, link.name);
            next = strtoull(name, NULL, 10);
            seen->names_bytes += (size_t)snprintf(seen->names + seen->names_bytes, 65, "%s;", name);
            if (seen->names_bytes > sizeof seen->names - 70)
                seen->names_bytes = 0;
        }
        walk(&link.cid, &link.expect, next, seen);
    }
    free(block);
}

static struct seen read_back(uint64_t seed)
{
    struct seen seen = { .modes = true };
    struct haul_expect expect;

    CU_ASSERT_TRUE_FATAL(stored);
    haul_expect_root(&expect);
    walk(&dataset.root, &expect, seed, &seen);
    return seen;
}

/* --- what is kept --- */

static void a_small_file_is_its_bare_leaf(void)
{
    struct haul_dataset found;
    struct haul_place place;
    struct haul_hash hash;

    open_all(4, 0, false);
    haul_ingest_file(ingest, NULL, make_file(3, 0, 0644));
    haul_ingest_end(ingest);
    run_to_the_end();
    CU_ASSERT_TRUE(stored);
    haul_hash_of(HAUL_HASH_SHA2_256, "", 0, &hash);
    CU_ASSERT_EQUAL(dataset.root.codec, HAUL_CODEC_RAW);
    CU_ASSERT_TRUE(haul_hash_equal(&dataset.root.hash, &hash));
    CU_ASSERT_TRUE(haul_catalog_find(catalog, &dataset.root, &found));
    CU_ASSERT_TRUE(found.complete && !found.shared_to_all && found.peer_count == 0);
    CU_ASSERT_STRING_EQUAL(found.name, "a tree");
    CU_ASSERT_TRUE(haul_catalog_place(catalog, &dataset.root, &hash, &place));
    close_all();
}

static void a_tree_is_read_back_byte_for_byte(void)
{
    struct haul_ingest_facts facts;
    struct seen seen;

    open_all(3, 0, false);
    haul_ingest_directory_begin(ingest, NULL, NULL);
    haul_ingest_file(ingest, "1", make_file(1, 5 * HAUL_LEAF_BYTES + 17, 0755));
    haul_ingest_directory_begin(ingest, "sub", NULL);
    haul_ingest_directory_begin(ingest, "empty", NULL);
    haul_ingest_directory_end(ingest);
    haul_ingest_file(ingest, "2", make_file(2, HAUL_LEAF_BYTES, 0644));
    haul_ingest_file(ingest, "3", make_file(3, 0, 0644));
    haul_ingest_symlink(ingest, "link", "../1", 4, NULL);
    haul_ingest_directory_end(ingest);
    haul_ingest_file(ingest, "4", make_file(4, 1, 0700));
    haul_ingest_directory_end(ingest);
    haul_ingest_end(ingest);
    run_to_the_end();
    seen = read_back(0);
    CU_ASSERT_TRUE(seen.files == 4 && seen.directories == 3 && seen.links == 1);
    CU_ASSERT_EQUAL(seen.bytes, 6 * HAUL_LEAF_BYTES + 18);
    CU_ASSERT_STRING_EQUAL(seen.names, "1;4;sub;2;3;empty;link;");
    CU_ASSERT_EQUAL(dataset.bytes, seen.bytes);
    haul_ingest_facts(ingest, &facts);
    CU_ASSERT_EQUAL(facts.executables_dropped, 2);
    CU_ASSERT_TRUE(facts.files == 4 && facts.directories == 3 && facts.links == 1);
    close_all();
}

static void preserve_keeps_mode_and_time_of_every_entry(void)
{
    struct haul_meta meta = { .has_mode = true, .has_mtime = true, .mode = 0750, .seconds = 9 };
    struct haul_ingest_facts facts;
    struct seen seen;

    open_all(4, 0, true);
    haul_ingest_directory_begin(ingest, NULL, &meta);
    haul_ingest_file(ingest, "1", make_file(1, 100, 0755));
    haul_ingest_file(ingest, "2", make_file(2, 2 * HAUL_LEAF_BYTES, 0700));
    haul_ingest_symlink(ingest, "link", "1", 1, &meta);
    haul_ingest_directory_end(ingest);
    haul_ingest_end(ingest);
    run_to_the_end();
    seen = read_back(0);
    CU_ASSERT_TRUE(seen.modes);
    CU_ASSERT_EQUAL(seen.bytes, 2 * HAUL_LEAF_BYTES + 100);
    haul_ingest_facts(ingest, &facts);
    CU_ASSERT_EQUAL(facts.executables_dropped, 0);
    close_all();
}

static void many_entries_are_held_back_and_all_arrive(void)
{
    struct seen seen;
    char name[32];

    open_all(2, 0, false);
    haul_ingest_directory_begin(ingest, NULL, NULL);
    for (unsigned i = 0; i < 1500; i++) {
        while (!haul_ingest_ready(ingest) && !ended)
            worker_rig_run(&rig, 1000);
        CU_ASSERT_FALSE_FATAL(ended);
        snprintf(name, sizeof name, "%u", i);
        haul_ingest_file(ingest, name, make_file(i, i % 50, 0644));
    }
    haul_ingest_directory_end(ingest);
    haul_ingest_end(ingest);
    run_to_the_end();
    CU_ASSERT_TRUE(readies > 10);
    seen = read_back(0);
    CU_ASSERT_EQUAL(seen.files, 1500);
    CU_ASSERT_EQUAL(seen.directories, 1);
    close_all();
}

/* Feeds a stream through a pipe in parts, with pauses of the loop between them. */
static void pour(uint64_t seed, uint64_t bytes, uint64_t part_bytes)
{
    int ends[2];
    uint8_t *part = malloc((size_t)part_bytes);

    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    haul_ingest_stream(ingest, ends[0]);
    for (uint64_t at = 0; at < bytes;) {
        size_t take = (size_t)(bytes - at < part_bytes ? bytes - at : part_bytes);
        ssize_t put;

        for (size_t i = 0; i < take; i++)
            part[i] = byte_at(seed, at + i);
        put = write(ends[1], part, take);
        if (put > 0)
            at += (uint64_t)put;
        worker_rig_run(&rig, 1);
    }
    close(ends[1]);
    haul_ingest_end(ingest);
    run_to_the_end();
    free(part);
}

static void a_stream_is_the_file_of_its_bytes(void)
{
    static const uint64_t sizes[] = { 0, 1, HAUL_LEAF_BYTES - 1, HAUL_LEAF_BYTES,
                                      2 * HAUL_LEAF_BYTES + 5 };

    for (size_t i = 0; i < HAUL_COUNT_OF(sizes); i++) {
        struct haul_cid as_file;

        open_all(4, 0, false);
        haul_ingest_file(ingest, NULL, make_file(9, sizes[i], 0644));
        haul_ingest_end(ingest);
        run_to_the_end();
        as_file = dataset.root;
        close_all();
        open_all(4, 0, false);
        pour(9, sizes[i], 60001);
        CU_ASSERT_TRUE(stored);
        CU_ASSERT_TRUE(haul_cid_equal(&dataset.root, &as_file));
        CU_ASSERT_EQUAL(read_back(9).bytes, sizes[i]);
        close_all();
    }
}

static void standard_input_from_a_file_is_read_from_where_it_stands(void)
{
    int fd;

    open_all(4, 0, false);
    fd = make_file(5, 3 * HAUL_LEAF_BYTES, 0644);
    CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_SET), 0);
    haul_ingest_stream(ingest, fd);
    haul_ingest_end(ingest);
    run_to_the_end();
    CU_ASSERT_EQUAL(read_back(5).bytes, 3 * HAUL_LEAF_BYTES);
    close_all();
}

/* --- faults --- */

static void expect_failure(enum haul_error_code code)
{
    uint64_t cursor = 0;

    run_to_the_end();
    CU_ASSERT_FALSE(stored);
    CU_ASSERT_EQUAL(failure.code, code);
    CU_ASSERT_FALSE(haul_catalog_next(catalog, &cursor, &dataset));
    close_all();
}

static void a_file_that_grows_while_it_is_read_is_refused_by_name(void)
{
    int fd = make_file(1, 3 * HAUL_LEAF_BYTES, 0644);
    int other = dup(fd);

    open_all(4, 0, false);
    haul_ingest_directory_begin(ingest, NULL, NULL);
    haul_ingest_directory_begin(ingest, "logs", NULL);
    haul_ingest_file(ingest, "busy", fd);
    CU_ASSERT_EQUAL(write(other, "x", 1), 1);
    close(other);
    run_to_the_end();
    CU_ASSERT_STRING_EQUAL(failure.text, "logs/busy: changed while it was read");
    expect_failure(HAUL_E_SOURCE_CHANGED);
}

static void a_file_alone_that_shrinks_while_it_is_read_is_refused_by_its_name(void)
{
    int fd = make_file(1, 30 * HAUL_LEAF_BYTES, 0644);
    int other = dup(fd);

    open_all(2, 0, false);
    haul_ingest_file(ingest, NULL, fd);
    CU_ASSERT_EQUAL(ftruncate(other, 10), 0);
    close(other);
    expect_failure(HAUL_E_SOURCE_CHANGED);
    CU_ASSERT_STRING_EQUAL(failure.text, "a tree: became shorter while it was read");
}

static void what_is_not_a_regular_file_is_refused(void)
{
    int ends[2];

    open_all(4, 0, false);
    haul_ingest_directory_begin(ingest, NULL, NULL);
    haul_ingest_file(ingest, "null", open("/dev/null", O_RDONLY));
    expect_failure(HAUL_E_SOURCE_SPECIAL);
    open_all(4, 0, false);
    haul_ingest_file(ingest, NULL, open("/tmp", O_RDONLY | O_DIRECTORY));
    expect_failure(HAUL_E_SOURCE_SPECIAL);
    open_all(4, 0, false);
    CU_ASSERT_EQUAL(pipe(ends), 0);
    close(ends[1]);
    haul_ingest_file(ingest, NULL, ends[0]);
    expect_failure(HAUL_E_SOURCE_SPECIAL);
    open_all(4, 0, false);
    haul_ingest_stream(ingest, open("/dev/null", O_RDONLY));
    expect_failure(HAUL_E_SOURCE_SPECIAL);
}

static void a_file_that_cannot_be_read_is_refused(void)
{
    open_all(4, 0, false);
    {
        char path[] = "/tmp/haul-ingest-file-XXXXXX";
        int fd = mkstemp(path);
        int blind = open(path, O_WRONLY);

        CU_ASSERT_EQUAL(write(fd, "abc", 3), 3);
        close(fd);
        (void)unlink(path);
        haul_ingest_file(ingest, NULL, blind);
    }
    expect_failure(HAUL_E_SOURCE_UNREADABLE);
}

static void names_that_are_not_allowed_are_refused(void)
{
    static const char *const names[] = { "", ".", "..", "a/b", "\xff" };

    for (size_t i = 0; i < HAUL_COUNT_OF(names); i++) {
        open_all(4, 0, false);
        haul_ingest_directory_begin(ingest, NULL, NULL);
        haul_ingest_symlink(ingest, names[i], "x", 1, NULL);
        expect_failure(HAUL_E_SOURCE_NAME);
    }
    open_all(4, 0, false); /* the same name twice */
    haul_ingest_directory_begin(ingest, NULL, NULL);
    haul_ingest_symlink(ingest, "a", "x", 1, NULL);
    haul_ingest_symlink(ingest, "a", "y", 1, NULL);
    haul_ingest_directory_end(ingest);
    expect_failure(HAUL_E_SOURCE_NAME);
}

static void entries_in_the_wrong_order_are_refused(void)
{
    open_all(4, 0, false);
    haul_ingest_directory_end(ingest);
    expect_failure(HAUL_E_INTERNAL);
    open_all(4, 0, false);
    haul_ingest_directory_begin(ingest, NULL, NULL);
    haul_ingest_end(ingest);
    expect_failure(HAUL_E_INTERNAL);
    open_all(4, 0, false);
    haul_ingest_symlink(ingest, NULL, "x", 1, NULL);
    haul_ingest_symlink(ingest, NULL, "y", 1, NULL);
    expect_failure(HAUL_E_INTERNAL);
}

static void limits_are_told(void)
{
    char name[32];

    open_all(1, 0, false);
    haul_ingest_directory_begin(ingest, NULL, NULL);
    for (unsigned i = 0; i <= HAUL_INGEST_ENTRIES + 1;
         i++) { /* without asking whether it is ready */
        snprintf(name, sizeof name, "%u", i);
        haul_ingest_symlink(ingest, name, "x", 1, NULL);
    }
    expect_failure(HAUL_E_LIMIT);
    open_all(1, 0, false);
    for (unsigned i = 0; i <= HAUL_INGEST_DEPTH; i++)
        haul_ingest_directory_begin(ingest, "d", NULL);
    expect_failure(HAUL_E_SOURCE_DEPTH);
}

static void a_store_that_fails_fails_the_put(void)
{
    for (uint64_t k = 1; k <= 8; k++) {
        open_all(4, 0, false);
        rig.fail_write_at = k;
        haul_ingest_directory_begin(ingest, NULL, NULL);
        haul_ingest_file(ingest, "1", make_file(1, 5 * HAUL_LEAF_BYTES, 0644));
        haul_ingest_symlink(ingest, "l", "x", 1, NULL);
        haul_ingest_directory_end(ingest);
        haul_ingest_end(ingest);
        expect_failure(HAUL_E_STORE_FAILED);
    }
}

static void packs_lost_meanwhile_fail_the_put(void)
{
    open_all(1, 0, false);
    haul_ingest_file(ingest, NULL, make_file(1, 9 * HAUL_LEAF_BYTES, 0644));
    while (rig.writes < 3)
        worker_rig_run(&rig, 1);
    rig.lost_packs++;
    haul_ingest_end(ingest);
    expect_failure(HAUL_E_STORE_FAILED);
}

static void closed_in_the_middle_it_leaves_nothing(void)
{
    uint64_t cursor = 0;
    int ends[2];

    for (unsigned ms = 0; ms < 8; ms++) {
        open_all(2, 0, false);
        haul_ingest_directory_begin(ingest, NULL, NULL);
        haul_ingest_file(ingest, "1", make_file(1, 9 * HAUL_LEAF_BYTES, 0644));
        haul_ingest_file(ingest, "2", make_file(2, 10, 0644));
        worker_rig_run(&rig, ms);
        haul_ingest_close(ingest);
        ingest = NULL;
        worker_rig_run(&rig, 1);
        CU_ASSERT_FALSE(ended);
        CU_ASSERT_FALSE(haul_catalog_next(catalog, &cursor, &dataset));
        for (unsigned slots = 0, turns = 0; slots < 2 && turns < 500; turns++) {
            slots += haul_orders_slot_take(rig.orders) != UINT32_MAX;
            worker_rig_run(&rig, slots < 2 ? 10 : 0);
            CU_ASSERT_TRUE(turns < 499);
        }
        close_all();
    }
    open_all(2, 0, false); /* while a stream has nothing to say */
    CU_ASSERT_EQUAL(pipe(ends), 0);
    haul_ingest_stream(ingest, ends[0]);
    worker_rig_run(&rig, 20);
    close_all();
    close(ends[1]);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a small file is its bare leaf", a_small_file_is_its_bare_leaf },
        { "a tree is read back byte for byte", a_tree_is_read_back_byte_for_byte },
        { "preserve keeps mode and time of every entry",
          preserve_keeps_mode_and_time_of_every_entry },
        { "many entries are held back and all arrive", many_entries_are_held_back_and_all_arrive },
        { "a stream is the file of its bytes", a_stream_is_the_file_of_its_bytes },
        { "standard input from a file is read from where it stands",
          standard_input_from_a_file_is_read_from_where_it_stands },
        { "a file that grows while it is read is refused by name",
          a_file_that_grows_while_it_is_read_is_refused_by_name },
        { "a file alone that shrinks while it is read is refused by its name",
          a_file_alone_that_shrinks_while_it_is_read_is_refused_by_its_name },
        { "what is not a regular file is refused", what_is_not_a_regular_file_is_refused },
        { "a file that cannot be read is refused", a_file_that_cannot_be_read_is_refused },
        { "names that are not allowed are refused", names_that_are_not_allowed_are_refused },
        { "entries in the wrong order are refused", entries_in_the_wrong_order_are_refused },
        { "limits are told", limits_are_told },
        { "a store that fails fails the put", a_store_that_fails_fails_the_put },
        { "packs lost meanwhile fail the put", packs_lost_meanwhile_fail_the_put },
        { "closed in the middle, it leaves nothing", closed_in_the_middle_it_leaves_nothing },
    };

    return unit_main("ingest", tests, HAUL_COUNT_OF(tests));
}
