/* The inside of io.h: what a backend provides. Tests put a wrapper of their own in front of one to
 * make the k-th operation fail. */
#pragma once

#include "dataplane/store/io.h"

struct haul_io_backend {
    const char *name;
    bool (*submit)(struct haul_io *io, const struct haul_io_request *request);
    void (*kick)(struct haul_io *io);
    size_t (*reap)(struct haul_io *io, struct haul_io_result *results, size_t capacity);
    int (*fd)(const struct haul_io *io);
    void (*close)(struct haul_io *io);
};

/* First member of every backend's own struct. */
struct haul_io {
    const struct haul_io_backend *backend;
};

/* 0 or -errno: uring also -ENOSYS for kernels that cannot restrict a ring to our three opcodes. */
HAUL_MUST_USE int haul_io_uring_open(struct haul_io **io, uint32_t depth);
HAUL_MUST_USE int haul_io_posix_open(struct haul_io **io, uint32_t depth);
