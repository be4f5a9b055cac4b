/* The queue of results that every backend keeps. */
#include "dataplane/store/store_backend.h"

void haul_store_finish(struct haul_store *store, const struct haul_store_result *result)
{
    haul_assert(store->count < HAUL_STORE_QUEUE);
    store->results[(store->head + store->count++) % HAUL_STORE_QUEUE] = *result;
}

size_t haul_store_take_results(struct haul_store *store, struct haul_store_result *results,
                               size_t capacity)
{
    size_t taken = 0;

    while (taken < capacity && store->count > 0) {
        results[taken++] = store->results[store->head];
        store->head = (store->head + 1) % HAUL_STORE_QUEUE;
        store->count--;
        store->outstanding--;
    }
    return taken;
}
