/* Plans over datasets in memory: what they ask for, in which order, and what they hold meanwhile.
 */
#include "controlplane/transfer/plan.h"

#include "common/rng.h"
#include "controlplane/content/build.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- a store of blocks --- */

struct stored {
    struct haul_cid cid;
    uint8_t *data;
    size_t bytes;
    uint32_t next; /* in its bucket, plus one */
};

#define BUCKETS 65536u

static struct stored *blocks;
static size_t block_count;
static uint32_t buckets[BUCKETS]; /* index of a block, plus one */

static uint32_t *bucket_of(const struct haul_cid *cid)
{
    return &buckets[cid->hash.bytes[2] << 8 | cid->hash.bytes[3]];
}

static void store(const struct haul_cid *cid, const void *data, size_t bytes)
{
    blocks = realloc(blocks, (block_count + 1) * sizeof *blocks);
    blocks[block_count].cid = *cid;
    blocks[block_count].bytes = bytes;
    blocks[block_count].data = malloc(bytes + 1);
    memcpy(blocks[block_count].data, data, bytes);
    blocks[block_count].next = *bucket_of(cid);
    *bucket_of(cid) = (uint32_t)++block_count;
}

static const struct stored *find(const struct haul_cid *cid)
{
    for (uint32_t i = *bucket_of(cid); i != 0; i = blocks[i - 1].next) {
        if (haul_cid_equal(&blocks[i - 1].cid, cid))
            return &blocks[i - 1];
    }
    return NULL;
}

static void store_empty(void)
{
    for (size_t i = 0; i < block_count; i++)
        free(blocks[i].data);
    free(blocks);
    blocks = NULL;
    block_count = 0;
    memset(buckets, 0, sizeof buckets);
}

/* --- datasets --- */

/* A file of so many bytes that repeat `fill`, in leaves of `leaf` bytes. */
static struct haul_built make_file(size_t bytes, size_t leaf, uint8_t fill,
                                   const struct haul_meta *meta)
{
    struct haul_file_build *build = haul_file_build_open(HAUL_HASH_BLAKE3, meta);
    struct haul_built built;
    struct haul_block block;
    struct haul_error error;
    size_t at = 0;

    do {
        size_t length = bytes - at < leaf ? bytes - at : leaf;
        struct haul_cid cid = { .codec = HAUL_CODEC_RAW };
        uint8_t *data = malloc(length + 1);

        memset(data, fill, length);
        if (length > 0)
            memcpy(data, &at, length < sizeof at ? length : sizeof at);
        haul_hash_of(HAUL_HASH_BLAKE3, data, length, &cid.hash);
        store(&cid, data, length);
        CU_ASSERT_EQUAL(haul_file_build_add(build, &cid.hash, (uint32_t)length, &error), 0);
        while (haul_file_build_next(build, &block))
            store(&block.cid, block.data, block.bytes);
        free(data);
        at += length;
    } while (at < bytes);
    haul_file_build_end(build);
    while (haul_file_build_next(build, &block))
        store(&block.cid, block.data, block.bytes);
    haul_file_build_root(build, &built);
    haul_file_build_close(build);
    return built;
}

struct part {
    char name[32];
    struct haul_built built;
};

static struct haul_built make_directory(const struct part *parts, size_t count)
{
    struct haul_dir_build *build = haul_dir_build_open(HAUL_HASH_BLAKE3, NULL);
    struct haul_built built;
    struct haul_block block;
    struct haul_error error;

    for (size_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(haul_dir_build_add(build, parts[i].name, &parts[i].built, &error), 0);
    CU_ASSERT_EQUAL(haul_dir_build_end(build, &error), 0);
    while (haul_dir_build_next(build, &block))
        store(&block.cid, block.data, block.bytes);
    haul_dir_build_root(build, &built);
    haul_dir_build_close(build);
    return built;
}

static struct haul_built make_link(const char *target)
{
    static uint8_t space[HAUL_SYMLINK_SPACE];
    struct haul_built built;
    struct haul_block block;
    struct haul_error error;

    CU_ASSERT_EQUAL(haul_symlink_build(HAUL_HASH_BLAKE3, target, strlen(target), NULL, space,
                                       &block, &built, &error),
                    0);
    store(&block.cid, block.data, block.bytes);
    return built;
}

/* --- a driver: everything asked for arrives in random order --- */

#define WAITING_MAX 256u

struct waiting {
    bool node;
    struct haul_awaited *awaited;
    struct haul_cid cid;
    uint32_t file;
};

struct driver {
    struct haul_plan *plan;
    struct haul_rng rng;
    struct waiting waiting[WAITING_MAX];
    size_t waiting_count;
    size_t waiting_most;
    size_t leaves_max; /* room for that many at once */
    uint64_t bytes;
    uint64_t next_offset; /* of an ordered plan */
    bool ordered;
    unsigned files, file_ends, directories, directory_ends, links;
    size_t open_most, open_now;
    char last_link[64];
    char last_link_path[64];
    uint64_t path_hash;
};

static void remember_path(struct driver *driver, const struct haul_step *step)
{
    uint64_t hash = (uint64_t)step->kind + 7;

    for (size_t i = 0; i < step->path_bytes; i++)
        hash = (hash ^ (uint8_t)step->path[i]) * 1099511628211u;
    driver->path_hash += hash * hash;
}

static void leaf_take(struct driver *driver, const struct haul_step *step)
{
    const struct stored *block = find(&step->cid);
    struct waiting *waiting;

    CU_ASSERT_PTR_NOT_NULL_FATAL(block);
    CU_ASSERT_TRUE(step->length == 0 || step->length == block->bytes);
    CU_ASSERT_EQUAL(step->empty, block->bytes == 0);
    if (driver->ordered) {
        CU_ASSERT_EQUAL(step->offset, driver->next_offset);
        driver->next_offset += block->bytes;
    }
    driver->bytes += block->bytes;
    CU_ASSERT_FATAL(driver->waiting_count < WAITING_MAX);
    waiting = &driver->waiting[driver->waiting_count++];
    *waiting = (struct waiting){ .cid = step->cid, .file = step->file };
}

static void step_take(struct driver *driver, const struct haul_step *step)
{
    switch (step->kind) {
    case HAUL_STEP_NODE:
        CU_ASSERT_FATAL(driver->waiting_count < WAITING_MAX);
        driver->waiting[driver->waiting_count++] =
            (struct waiting){ .node = true, .awaited = step->awaited, .cid = step->cid };
        break;
    case HAUL_STEP_LEAF:
        leaf_take(driver, step);
        break;
    case HAUL_STEP_DATA:
        driver->bytes += step->data_bytes;
        haul_plan_leaf(driver->plan, step->file);
        break;
    case HAUL_STEP_FILE:
        driver->files++;
        driver->open_now += step->file < HAUL_PLAN_FILES_MAX;
        remember_path(driver, step);
        if (step->file < HAUL_PLAN_FILES_MAX) /* a list opens nothing */
            haul_plan_opened(driver->plan, step->file);
        break;
    case HAUL_STEP_FILE_END:
        driver->file_ends++;
        driver->open_now--;
        break;
    case HAUL_STEP_DIRECTORY:
        driver->directories++;
        remember_path(driver, step);
        break;
    case HAUL_STEP_DIRECTORY_END:
        driver->directory_ends++;
        break;
    case HAUL_STEP_LINK:
        driver->links++;
        remember_path(driver, step);
        snprintf(driver->last_link, sizeof driver->last_link, "%.*s", (int)step->data_bytes,
                 (const char *)step->data);
        snprintf(driver->last_link_path, sizeof driver->last_link_path, "%s", step->path);
        break;
    case HAUL_STEP_WAIT:
    case HAUL_STEP_DONE:
        break;
    }
    if (driver->open_now > driver->open_most)
        driver->open_most = driver->open_now;
    if (driver->waiting_count > driver->waiting_most)
        driver->waiting_most = driver->waiting_count;
}

static int arrive(struct driver *driver, struct haul_error *error)
{
    size_t at = haul_rng_below(&driver->rng, driver->waiting_count);
    struct waiting waiting = driver->waiting[at];
    const struct stored *block = find(&waiting.cid);

    driver->waiting[at] = driver->waiting[--driver->waiting_count];
    if (!waiting.node) {
        haul_plan_leaf(driver->plan, waiting.file);
        return 0;
    }
    return haul_plan_node(driver->plan, waiting.awaited, block->data, block->bytes, error);
}

/* Runs to the end; the error's code, or HAUL_OK. A plan that waits for nothing fails the test. */
static enum haul_error_code run(struct driver *driver, enum haul_plan_mode mode,
                                const struct haul_cid *root, const char *path, uint64_t seed)
{
    struct haul_error error = { 0 };
    struct haul_step step = { .kind = HAUL_STEP_WAIT };

    *driver = (struct driver){ .ordered = mode == HAUL_PLAN_ORDERED, .leaves_max = 32 };
    haul_rng_init(&driver->rng, seed);
    if (haul_plan_open(&driver->plan, mode, root, path, &error) < 0)
        return error.code;
    while (step.kind != HAUL_STEP_DONE) {
        unsigned room = driver->waiting_count < driver->leaves_max
                            ? HAUL_PLAN_ROOM_LEAF | HAUL_PLAN_ROOM_NODE
                            : 0;
        bool more = haul_rng_below(&driver->rng, 3) > 0 || driver->waiting_count == 0;

        if (more && haul_plan_next(driver->plan, room, &step, &error) < 0)
            break;
        if (more)
            step_take(driver, &step);
        if (more && step.kind != HAUL_STEP_WAIT)
            continue;
        CU_ASSERT_FATAL(driver->waiting_count > 0);
        if (arrive(driver, &error) < 0)
            break;
    }
    haul_plan_close(driver->plan);
    return error.code;
}

/* --- promises --- */

static struct haul_built tree_of_everything(void)
{
    struct haul_meta meta = { .has_mode = true, .mode = 0755 };
    struct part deep[2] = { { "inner", make_file(10, 1 << 20, 1, NULL) },
                            { "empty", make_file(0, 1 << 20, 0, NULL) } };
    struct part parts[5];

    snprintf(parts[0].name, sizeof parts[0].name, "big");
    parts[0].built = make_file(3000, 1, 7, NULL);
    snprintf(parts[1].name, sizeof parts[1].name, "dir");
    parts[1].built = make_directory(deep, 2);
    snprintf(parts[2].name, sizeof parts[2].name, "link");
    parts[2].built = make_link("../anywhere");
    snprintf(parts[3].name, sizeof parts[3].name, "run");
    parts[3].built = make_file(100, 1 << 20, 3, &meta);
    snprintf(parts[4].name, sizeof parts[4].name, "small");
    parts[4].built = make_file(20, 1 << 20, 4, NULL);
    return make_directory(parts, 5);
}

static void every_entry_comes_once_whatever_the_order_of_arrival(void)
{
    struct haul_built root = tree_of_everything();
    static struct driver driver;
    uint64_t paths = 0;

    for (uint64_t seed = 0; seed < 200; seed++) {
        CU_ASSERT_EQUAL_FATAL(run(&driver, HAUL_PLAN_EXTRACT, &root.cid, "", seed), HAUL_OK);
        CU_ASSERT_EQUAL(driver.files, 5);
        CU_ASSERT_EQUAL(driver.file_ends, 5);
        CU_ASSERT_EQUAL(driver.directories, 2);
        CU_ASSERT_EQUAL(driver.directory_ends, 2);
        CU_ASSERT_EQUAL(driver.links, 1);
        CU_ASSERT_EQUAL(driver.bytes, 3130);
        CU_ASSERT_STRING_EQUAL(driver.last_link, "../anywhere");
        CU_ASSERT_STRING_EQUAL(driver.last_link_path, "link");
        CU_ASSERT_TRUE(seed == 0 || driver.path_hash == paths);
        paths = driver.path_hash;
    }
    store_empty();
}

static void an_ordered_plan_gives_the_bytes_of_a_file_in_order(void)
{
    struct haul_built root = make_file(5000, 1, 9, NULL);
    static struct driver driver;

    for (uint64_t seed = 0; seed < 50; seed++) {
        CU_ASSERT_EQUAL_FATAL(run(&driver, HAUL_PLAN_ORDERED, &root.cid, "", seed), HAUL_OK);
        CU_ASSERT_EQUAL(driver.next_offset, 5000);
    }
    store_empty();
}

static void an_ordered_plan_refuses_directories_and_links(void)
{
    struct haul_built root = tree_of_everything();
    static struct driver driver;

    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_ORDERED, &root.cid, "", 1), HAUL_E_USAGE);
    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_ORDERED, &root.cid, "link", 1), HAUL_E_USAGE);
    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_ORDERED, &root.cid, "dir/inner", 1), HAUL_OK);
    CU_ASSERT_EQUAL(driver.bytes, 10);
    store_empty();
}

static void a_path_leads_to_its_part_alone(void)
{
    struct haul_built root = tree_of_everything();
    static struct driver driver;

    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_EXTRACT, &root.cid, "dir", 1), HAUL_OK);
    CU_ASSERT_EQUAL(driver.files, 2);
    CU_ASSERT_EQUAL(driver.directories, 1);
    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_EXTRACT, &root.cid, "/dir//inner/", 1), HAUL_OK);
    CU_ASSERT_EQUAL(driver.files, 1);
    CU_ASSERT_EQUAL(driver.bytes, 10);
    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_EXTRACT, &root.cid, "dir/none", 1), HAUL_E_PATH_UNKNOWN);
    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_EXTRACT, &root.cid, "small/below", 1),
                    HAUL_E_PATH_UNKNOWN);
    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_EXTRACT, &root.cid, "big/below", 1),
                    HAUL_E_PATH_UNKNOWN);
    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_EXTRACT, &root.cid, "..", 1), HAUL_E_PATH_UNKNOWN);
    store_empty();
}

static void a_list_shows_one_level_and_fetches_nothing_below(void)
{
    struct haul_built root = tree_of_everything();
    static struct driver driver;

    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_LIST, &root.cid, "", 3), HAUL_OK);
    CU_ASSERT_EQUAL(driver.files, 3);
    CU_ASSERT_EQUAL(driver.directories, 2); /* the listed one, and the one in it */
    CU_ASSERT_EQUAL(driver.links, 1);
    CU_ASSERT_EQUAL(driver.bytes, 0);
    store_empty();
}

static void many_files_never_pass_the_limits_of_the_look_ahead(void)
{
    struct haul_meta meta = { .has_mode = true, .mode = 0644 };
    enum { COUNT = 9000 };
    struct part *parts = calloc(COUNT, sizeof *parts);
    static struct driver driver;
    struct haul_built root;

    /* A HAMT: more entries than fit a flat directory; each file is a node with a leaf. */
    parts[0].built = make_file(1, 1, 1, &meta);
    parts[1].built = make_file(2, 1, 2, NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(parts[i].name, sizeof parts[i].name, "file-%05u", i);
        parts[i].built = parts[i % 2].built;
    }
    root = make_directory(parts, COUNT);
    for (uint64_t seed = 0; seed < 3; seed++) {
        CU_ASSERT_EQUAL_FATAL(run(&driver, HAUL_PLAN_EXTRACT, &root.cid, "", seed), HAUL_OK);
        CU_ASSERT_EQUAL(driver.files, COUNT);
        CU_ASSERT_EQUAL(driver.file_ends, COUNT);
        CU_ASSERT_TRUE(driver.open_most <= HAUL_PLAN_FILES_MAX);
        CU_ASSERT_TRUE(driver.open_most >= 16);
    }
    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_EXTRACT, &root.cid, "file-04711", 1), HAUL_OK);
    CU_ASSERT_EQUAL(driver.bytes, 2);
    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_EXTRACT, &root.cid, "file-x", 1), HAUL_E_PATH_UNKNOWN);
    free(parts);
    store_empty();
}

static void a_single_raw_block_is_a_file_and_an_empty_one_needs_no_fetch(void)
{
    struct haul_built small = make_file(50, 1 << 20, 5, NULL);
    struct haul_built empty = make_file(0, 1 << 20, 5, NULL);
    static struct driver driver;

    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_EXTRACT, &small.cid, "", 1), HAUL_OK);
    CU_ASSERT_EQUAL(driver.files, 1);
    CU_ASSERT_EQUAL(driver.bytes, 50);
    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_EXTRACT, &empty.cid, "", 1), HAUL_OK);
    CU_ASSERT_EQUAL(driver.file_ends, 1);
    CU_ASSERT_EQUAL(run(&driver, HAUL_PLAN_EXTRACT, &small.cid, "below", 1), HAUL_E_PATH_UNKNOWN);
    store_empty();
}

static void a_list_of_a_single_block_looks_at_it_for_its_size(void)
{
    struct haul_built small = make_file(50, 1 << 20, 5, NULL);
    struct haul_built empty = make_file(0, 1 << 20, 5, NULL);
    struct haul_error error;
    struct haul_plan *plan;
    struct haul_step step;

    CU_ASSERT_EQUAL_FATAL(haul_plan_open(&plan, HAUL_PLAN_LIST, &small.cid, "", &error), 0);
    CU_ASSERT_EQUAL_FATAL(haul_plan_next(plan, ~0u, &step, &error), 0);
    CU_ASSERT_EQUAL_FATAL(step.kind, HAUL_STEP_NODE);
    CU_ASSERT_EQUAL(memcmp(&step.cid, &small.cid, sizeof step.cid), 0);
    CU_ASSERT_EQUAL(haul_plan_node(plan, step.awaited, (const uint8_t *)"bytes", 5, &error), 0);
    CU_ASSERT_EQUAL_FATAL(haul_plan_next(plan, ~0u, &step, &error), 0);
    CU_ASSERT_EQUAL(step.kind, HAUL_STEP_FILE);
    CU_ASSERT_EQUAL(step.bytes, 5);
    haul_plan_close(plan);
    CU_ASSERT_EQUAL_FATAL(haul_plan_open(&plan, HAUL_PLAN_LIST, &empty.cid, "", &error), 0);
    CU_ASSERT_EQUAL_FATAL(haul_plan_next(plan, ~0u, &step, &error), 0);
    CU_ASSERT_EQUAL(step.kind, HAUL_STEP_FILE); /* there is nothing to be fetched */
    haul_plan_close(plan);
    store_empty();
}

static void a_plan_closes_at_any_moment(void)
{
    struct haul_built root = tree_of_everything();
    struct haul_error error;
    struct haul_step step;
    static struct driver driver;

    for (unsigned stop = 0; stop < 400; stop++) {
        driver = (struct driver){ 0 };
        haul_rng_init(&driver.rng, stop);
        CU_ASSERT_EQUAL_FATAL(
            haul_plan_open(&driver.plan, HAUL_PLAN_EXTRACT, &root.cid, "", &error), 0);
        for (unsigned i = 0; i < stop; i++) {
            CU_ASSERT_EQUAL_FATAL(
                haul_plan_next(driver.plan, driver.waiting_count < 30 ? 3 : 0, &step, &error), 0);
            step_take(&driver, &step);
            if (driver.waiting_count > 0 && haul_rng_below(&driver.rng, 2) == 0)
                CU_ASSERT_EQUAL_FATAL(arrive(&driver, &error), 0);
        }
        haul_plan_close(driver.plan);
    }
    store_empty();
}

static void a_broken_node_ends_the_plan(void)
{
    struct haul_built root = tree_of_everything();
    static const uint8_t rubbish[] = { 0xff, 0xff, 0xff };
    struct haul_plan *plan;
    struct haul_error error;
    struct haul_step step;

    CU_ASSERT_EQUAL_FATAL(haul_plan_open(&plan, HAUL_PLAN_EXTRACT, &root.cid, "", &error), 0);
    CU_ASSERT_EQUAL(haul_plan_next(plan, 3, &step, &error), 0);
    CU_ASSERT_EQUAL_FATAL(step.kind, HAUL_STEP_NODE);
    CU_ASSERT_EQUAL(haul_plan_node(plan, step.awaited, rubbish, sizeof rubbish, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_MANIFEST_BROKEN);
    haul_plan_close(plan);
    store_empty();
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "every entry comes once, whatever the order of arrival",
          every_entry_comes_once_whatever_the_order_of_arrival },
        { "an ordered plan gives the bytes of a file in order",
          an_ordered_plan_gives_the_bytes_of_a_file_in_order },
        { "an ordered plan refuses directories and links",
          an_ordered_plan_refuses_directories_and_links },
        { "a path leads to its part alone", a_path_leads_to_its_part_alone },
        { "a list shows one level and fetches nothing below",
          a_list_shows_one_level_and_fetches_nothing_below },
        { "many files never pass the limits of the look-ahead",
          many_files_never_pass_the_limits_of_the_look_ahead },
        { "a list of a single block looks at it for its size",
          a_list_of_a_single_block_looks_at_it_for_its_size },
        { "a single raw block is a file, and an empty one needs no fetch",
          a_single_raw_block_is_a_file_and_an_empty_one_needs_no_fetch },
        { "a plan closes at any moment", a_plan_closes_at_any_moment },
        { "a broken node ends the plan", a_broken_node_ends_the_plan },
    };

    return unit_main("plan", tests, HAUL_COUNT_OF(tests));
}
