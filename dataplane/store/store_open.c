/* Opens a store of the kind that is wanted. */
#include "dataplane/store/store_backend.h"

int haul_store_open(struct haul_store **store, const struct haul_store_conf *conf,
                    struct haul_error *error)
{
    switch (conf->kind) {
    case HAUL_STORE_FILE:
        return haul_store_file_open(store, conf, error);
    case HAUL_STORE_MEMORY:
        return haul_store_memory_open(store, conf, error);
    case HAUL_STORE_POST:
        return haul_store_post_open(store, conf, error);
    }
    return haul_fail(error, HAUL_E_INTERNAL, "no store of kind %d", (int)conf->kind);
}
