/* File I/O by pread and pwrite, done while it is submitted: for kernels and containers that refuse
 * io_uring. Results wait as soon as submit returns, so there is no descriptor to sleep on. */
#include "dataplane/store/io_backend.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct posix_io {
    struct haul_io base;
    uint32_t depth;
    uint32_t head; /* next result to reap */
    uint32_t count;
    struct haul_io_result results[];
};

/* One continued transfer: bytes moved, or -errno when nothing could be. */
static int64_t transfer(const struct haul_io_request *request)
{
    uint64_t done = 0;

    while (done < request->bytes) {
        size_t left = request->bytes - done;
        off_t at = (off_t)(request->at + done);
        ssize_t moved = request->verb == HAUL_IO_READ
                            ? pread(request->fd, request->data + done, left, at)
                            : pwrite(request->fd, request->data + done, left, at);

        if (moved < 0 && errno == EINTR)
            continue;
        if (moved < 0)
            return -errno;
        if (moved == 0 && request->verb == HAUL_IO_WRITE)
            return -EIO;
        if (moved == 0)
            break;
        done += (uint64_t)moved;
    }
    return (int64_t)done;
}

static bool submit(struct haul_io *base, const struct haul_io_request *request)
{
    struct posix_io *io = (struct posix_io *)base;
    struct haul_io_result *result;

    if (io->count == io->depth)
        return false;
    result = &io->results[(io->head + io->count++) % io->depth];
    result->tag = request->tag;
    if (request->verb == HAUL_IO_FLUSH)
        result->result = fsync(request->fd) == 0 ? 0 : -errno;
    else
        result->result = transfer(request);
    return true;
}

static void kick(struct haul_io *base)
{
}

static size_t reap(struct haul_io *base, struct haul_io_result *results, size_t capacity)
{
    struct posix_io *io = (struct posix_io *)base;
    size_t taken = 0;

    while (taken < capacity && io->count > 0) {
        results[taken++] = io->results[io->head];
        io->head = (io->head + 1) % io->depth;
        io->count--;
    }
    return taken;
}

static int no_fd(const struct haul_io *base)
{
    return -1;
}

static void posix_close(struct haul_io *base)
{
    free(base);
}

int haul_io_posix_open(struct haul_io **out, uint32_t depth)
{
    static const struct haul_io_backend backend = {
        .name = "posix",
        .submit = submit,
        .kick = kick,
        .reap = reap,
        .fd = no_fd,
        .close = posix_close,
    };
    struct posix_io *io = calloc(1, sizeof *io + depth * sizeof io->results[0]);

    if (io == NULL)
        return -ENOMEM;
    io->base.backend = &backend;
    io->depth = depth;
    *out = &io->base;
    return 0;
}
