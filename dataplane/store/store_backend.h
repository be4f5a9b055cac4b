/* The inside of store.h: what a backend provides, and the queue of results that all of them keep.
 */
#pragma once

#include "dataplane/store/store.h"

struct haul_store_backend {
    bool (*read)(struct haul_store *store, const struct haul_hash *hash, uint8_t *slot,
                 uint64_t tag);
    bool (*write)(struct haul_store *store, const struct haul_hash *hash, uint8_t *slot,
                  uint32_t length, uint64_t tag);
    bool (*sync)(struct haul_store *store, uint64_t tag);
    void (*on_io)(struct haul_store *store, const struct haul_io_result *result);
    size_t (*reap)(struct haul_store *store, struct haul_store_result *results, size_t capacity);
    void (*facts)(const struct haul_store *store, struct haul_store_facts *facts);
    void (*close)(struct haul_store *store);
};

/* First member of every backend's own struct. `outstanding` counts operations from acceptance to
 * the reaping of their result; the queue has a cell for each. */
struct haul_store {
    const struct haul_store_backend *backend;
    uint32_t outstanding;
    uint32_t head;
    uint32_t count;
    struct haul_store_result results[HAUL_STORE_QUEUE];
};

/* store_result.c: one more result; and those that are there. */
void haul_store_finish(struct haul_store *store, const struct haul_store_result *result);
size_t haul_store_take_results(struct haul_store *store, struct haul_store_result *results,
                               size_t capacity);

HAUL_MUST_USE int haul_store_memory_open(struct haul_store **store,
                                         const struct haul_store_conf *conf,
                                         struct haul_error *error);
HAUL_MUST_USE int haul_store_post_open(struct haul_store **store,
                                       const struct haul_store_conf *conf,
                                       struct haul_error *error);
HAUL_MUST_USE int haul_store_file_open(struct haul_store **store,
                                       const struct haul_store_conf *conf,
                                       struct haul_error *error);
