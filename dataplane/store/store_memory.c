/* Blocks in memory: for rate tests, the simulator and nodes without a disk. Every operation ends at
 * once; sync has nothing to do. The index keeps each block's address in `at`. */
#include "dataplane/store/index.h"
#include "dataplane/store/store_backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct memory_store {
    struct haul_store base;
    struct haul_index index;
    uint64_t capacity; /* 0: no limit */
    uint64_t bytes;
};

static uint8_t *block_at(const struct haul_index_entry *entry)
{
    return (uint8_t *)(uintptr_t)entry->at;
}

static bool memory_read(struct haul_store *base, const struct haul_hash *hash, uint8_t *slot,
                        uint64_t tag)
{
    struct memory_store *store = (struct memory_store *)base;
    const struct haul_index_entry *entry = haul_index_find(&store->index, hash);
    struct haul_store_result result = { .verb = HAUL_STORE_READ, .tag = tag, .error = -ENOENT };

    if (entry != NULL) {
        memcpy(slot, block_at(entry), entry->length);
        result.length = entry->length;
        result.error = 0;
    }
    haul_store_finish(base, &result);
    return true;
}

static int keep(struct memory_store *store, const struct haul_hash *hash, const uint8_t *slot,
                uint32_t length)
{
    struct haul_index_entry entry = { .hash = *hash, .length = length };
    uint8_t *block;
    int result;

    if (haul_index_find(&store->index, hash) != NULL)
        return 0;
    if (store->capacity != 0 && store->capacity - store->bytes < length)
        return -ENOSPC;
    block = malloc(length > 0 ? length : 1);
    if (block == NULL)
        return -ENOMEM;
    entry.at = (uintptr_t)block;
    result = haul_index_add(&store->index, &entry);
    if (result != 0) {
        free(block);
        return result;
    }
    memcpy(block, slot, length);
    store->bytes += length;
    return 0;
}

static bool memory_write(struct haul_store *base, const struct haul_hash *hash, uint8_t *slot,
                         uint32_t length, uint64_t tag)
{
    struct memory_store *store = (struct memory_store *)base;
    struct haul_store_result result = { .verb = HAUL_STORE_WRITE, .tag = tag };

    result.error = keep(store, hash, slot, length);
    haul_store_finish(base, &result);
    return true;
}

static bool memory_sync(struct haul_store *base, uint64_t tag)
{
    struct haul_store_result result = { .verb = HAUL_STORE_SYNC, .tag = tag };

    haul_store_finish(base, &result);
    return true;
}

static void memory_on_io(struct haul_store *base, const struct haul_io_result *result)
{
}

static void memory_facts(const struct haul_store *base, struct haul_store_facts *facts)
{
    const struct memory_store *store = (const struct memory_store *)base;

    *facts = (struct haul_store_facts){ .backend = "memory",
                                        .blocks = store->index.used,
                                        .bytes = store->bytes };
}

static void memory_close(struct haul_store *base)
{
    struct memory_store *store = (struct memory_store *)base;

    for (uint64_t i = 0; store->index.cells != NULL && i <= store->index.mask; i++)
        free(block_at(&store->index.cells[i]));
    haul_index_close(&store->index);
    free(store);
}

int haul_store_memory_open(struct haul_store **out, const struct haul_store_conf *conf,
                           struct haul_error *error)
{
    static const struct haul_store_backend backend = {
        .read = memory_read,
        .write = memory_write,
        .sync = memory_sync,
        .on_io = memory_on_io,
        .reap = haul_store_take_results,
        .facts = memory_facts,
        .close = memory_close,
    };
    struct memory_store *store = calloc(1, sizeof *store);

    if (store == NULL || haul_index_open(&store->index) != 0) {
        free(store);
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the store's index");
    }
    store->base.backend = &backend;
    store->capacity = conf->capacity_bytes;
    *out = &store->base;
    return 0;
}
