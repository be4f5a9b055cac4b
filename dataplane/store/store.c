/* Passes the calls of store.h on to the backend. */
#include "dataplane/store/store.h"

#include "dataplane/store/store_backend.h"

static bool is_aligned(const uint8_t *slot)
{
    return (uintptr_t)slot % HAUL_STORE_SLOT_ALIGN == 0;
}

bool haul_store_read(struct haul_store *store, const struct haul_hash *hash, uint8_t *slot,
                     uint64_t tag)
{
    haul_assert(is_aligned(slot) && haul_hash_valid(hash));
    if (store->outstanding == HAUL_STORE_QUEUE || !store->backend->read(store, hash, slot, tag))
        return false;
    store->outstanding++;
    return true;
}

bool haul_store_write(struct haul_store *store, const struct haul_hash *hash, uint8_t *slot,
                      uint32_t length, uint64_t tag)
{
    haul_assert(is_aligned(slot) && haul_hash_valid(hash) && length <= HAUL_BLOCK_BYTES_MAX);
    if (store->outstanding == HAUL_STORE_QUEUE ||
        !store->backend->write(store, hash, slot, length, tag))
        return false;
    store->outstanding++;
    return true;
}

bool haul_store_sync(struct haul_store *store, uint64_t tag)
{
    if (store->outstanding == HAUL_STORE_QUEUE || !store->backend->sync(store, tag))
        return false;
    store->outstanding++;
    return true;
}

void haul_store_on_io(struct haul_store *store, const struct haul_io_result *result)
{
    store->backend->on_io(store, result);
}

size_t haul_store_reap(struct haul_store *store, struct haul_store_result *results, size_t capacity)
{
    return store->backend->reap(store, results, capacity);
}

void haul_store_facts(const struct haul_store *store, struct haul_store_facts *facts)
{
    store->backend->facts(store, facts);
}

void haul_store_close(struct haul_store *store)
{
    if (store != NULL)
        store->backend->close(store);
}
