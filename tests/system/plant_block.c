/* plant_block HOME: puts a dataset into a home that no node of ours would have put there: hostile
 * directories, blocks that are not what their hash says. The node must not run meanwhile.
 *
 * Standard input: a line with the root's CID, then a line a block: its multihash and its bytes, in
 * hexadecimal with a space between. The hash is not checked: that is the point. The dataset is
 * complete and shared with all. */
#include "common/cid.h"
#include "common/multibase.h"
#include "controlplane/datasets/catalog.h"
#include "dataplane/store/store.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_BIT (UINT64_C(1) << 63)

static char line[3u << 20];
static uint8_t slot[1u << 20] __attribute__((aligned(HAUL_STORE_SLOT_ALIGN)));
static struct haul_io *io;
static struct haul_store *store;
static struct haul_error error;

static int fail(const char *what)
{
    fprintf(stderr, "plant_block: %s: %s\n", what, error.text);
    return 1;
}

/* Until the operation with this tag is done. */
static int wait_for(uint64_t tag)
{
    for (;;) {
        struct haul_io_result done[8];
        struct haul_store_result result;
        size_t count;

        haul_io_kick(io);
        count = haul_io_reap(io, done, HAUL_COUNT_OF(done));
        for (size_t i = 0; i < count; i++)
            haul_store_on_io(store, &done[i]);
        if (haul_store_reap(store, &result, 1) == 1 && result.tag == tag)
            return result.error;
    }
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Into `data`; the number of bytes, -1 when it is not hexadecimal or too long. */
static ptrdiff_t hex_read(const char *text, size_t length, uint8_t *data, size_t capacity)
{
    if (length % 2 != 0 || length / 2 > capacity)
        return -1;
    for (size_t i = 0; i < length / 2; i++) {
        int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return -1;
        data[i] = (uint8_t)(high << 4 | low);
    }
    return (ptrdiff_t)(length / 2);
}

static int block_plant(struct haul_catalog *catalog, uint64_t build, uint64_t tag)
{
    size_t split = strcspn(line, " ");
    size_t length = strcspn(line, "\n");
    struct haul_hash hash;
    ptrdiff_t bytes;

    if (split >= length ||
        hex_read(line, split, hash.bytes, sizeof hash.bytes) != (ptrdiff_t)sizeof hash.bytes)
        return -1;
    bytes = hex_read(line + split + 1, length - split - 1, slot, sizeof slot);
    if (bytes < 0 || !haul_store_write(store, &hash, slot, (uint32_t)bytes, tag) ||
        wait_for(tag) != 0)
        return -1;
    return haul_catalog_note(catalog, build, &hash, &error);
}

static int dataset_plant(struct haul_catalog *catalog)
{
    struct haul_dataset dataset = { .complete = true, .stored_unix = 1, .name = "planted" };
    uint64_t build, tag = 1;

    if (fgets(line, sizeof line, stdin) == NULL)
        return -1;
    line[strcspn(line, "\n")] = '\0';
    if (!haul_cid_parse(line, &dataset.root) || haul_catalog_begin(catalog, &build, &error) < 0)
        return -1;
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (block_plant(catalog, build, tag++) < 0)
            return -1;
        dataset.blocks++;
    }
    if (!haul_store_sync(store, tag) || wait_for(tag) != 0)
        return -1;
    if (haul_catalog_commit(catalog, build, &dataset, &error) < 0)
        return -1;
    return haul_catalog_share(catalog, &dataset.root, NULL, true, &error);
}

int main(int argc, char **argv)
{
    struct haul_store_conf conf = { .kind = HAUL_STORE_FILE, .io_tag_bit = STORE_BIT };
    struct haul_catalog *catalog;
    char blocks[512], datasets[512];
    int failed;

    if (argc != 2)
        return fail("usage: plant_block HOME");
    snprintf(blocks, sizeof blocks, "%s/blocks", argv[1]);
    snprintf(datasets, sizeof datasets, "%s/catalog", argv[1]);
    if (haul_io_open(&io, HAUL_IO_POSIX, 32, &error) < 0)
        return fail("io");
    conf.directory = blocks;
    conf.io = io;
    if (haul_store_open(&store, &conf, &error) < 0)
        return fail("store");
    if (haul_catalog_open(&catalog, datasets, &error) < 0)
        return fail("catalog");
    failed = dataset_plant(catalog);
    haul_catalog_close(catalog);
    haul_store_close(store);
    haul_io_close(io);
    return failed < 0 ? fail("the dataset") : 0;
}
