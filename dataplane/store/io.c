/* Chooses a backend of io.h and passes calls on to it. */
#include "dataplane/store/io.h"

#include "dataplane/store/io_backend.h"

#include <string.h>

int haul_io_open(struct haul_io **io, enum haul_io_kind kind, uint32_t depth,
                 struct haul_error *error)
{
    int result = 0;

    haul_assert(depth > 0);
    switch (kind) {
    case HAUL_IO_AUTO:
        /* Whatever the reason for a refusal (seccomp, sysctl, limits, an old kernel), the plain
         * calls still work. */
        result = haul_io_uring_open(io, depth);
        if (result != 0)
            result = haul_io_posix_open(io, depth);
        break;
    case HAUL_IO_URING:
        result = haul_io_uring_open(io, depth);
        break;
    case HAUL_IO_POSIX:
        result = haul_io_posix_open(io, depth);
        break;
    }
    if (result != 0)
        return haul_fail(error, HAUL_E_NOT_POSSIBLE, "file I/O cannot be set up: %s",
                         strerror(-result));
    return 0;
}

bool haul_io_submit(struct haul_io *io, const struct haul_io_request *request)
{
    return io->backend->submit(io, request);
}

void haul_io_kick(struct haul_io *io)
{
    io->backend->kick(io);
}

size_t haul_io_reap(struct haul_io *io, struct haul_io_result *results, size_t capacity)
{
    return io->backend->reap(io, results, capacity);
}

int haul_io_fd(const struct haul_io *io)
{
    return io->backend->fd(io);
}

const char *haul_io_name(const struct haul_io *io)
{
    return io->backend->name;
}

void haul_io_close(struct haul_io *io)
{
    if (io != NULL)
        io->backend->close(io);
}
