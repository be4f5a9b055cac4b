/* File I/O by io_uring. The ring is created disabled and restricted to read, write and fsync before
 * it is enabled: seccomp does not see what goes through a ring, so the ring itself must refuse to
 * open files or sockets. Kernels without restrictions (before 5.10) count as without io_uring. */
#include "dataplane/store/io_backend.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

struct flight {
    struct haul_io_request request;
    uint32_t done; /* bytes of earlier, short transfers */
};

struct uring_io {
    struct haul_io base;
    struct io_uring ring;
    uint32_t depth;
    uint32_t free_count;
    uint32_t *free_stack;
    struct flight flights[];
};

static void push(struct uring_io *io, uint32_t index)
{
    struct flight *flight = &io->flights[index];
    const struct haul_io_request *request = &flight->request;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&io->ring);

    haul_assert(sqe != NULL); /* the ring has a cell for each of `depth` requests */
    switch (request->verb) {
    case HAUL_IO_READ:
        io_uring_prep_read(sqe, request->fd, request->data + flight->done,
                           request->bytes - flight->done, request->at + flight->done);
        break;
    case HAUL_IO_WRITE:
        io_uring_prep_write(sqe, request->fd, request->data + flight->done,
                            request->bytes - flight->done, request->at + flight->done);
        break;
    case HAUL_IO_FLUSH:
        io_uring_prep_fsync(sqe, request->fd, 0);
        break;
    }
    io_uring_sqe_set_data64(sqe, index);
}

static bool submit(struct haul_io *base, const struct haul_io_request *request)
{
    struct uring_io *io = (struct uring_io *)base;
    uint32_t index;

    if (io->free_count == 0)
        return false;
    index = io->free_stack[--io->free_count];
    io->flights[index] = (struct flight){ .request = *request };
    push(io, index);
    return true;
}

/* A refusal for now (no memory, a full completion queue) leaves the cells in place: the next kick
 * tries again. */
static void kick(struct haul_io *base)
{
    struct uring_io *io = (struct uring_io *)base;

    if (io_uring_sq_ready(&io->ring) > 0)
        (void)io_uring_submit(&io->ring);
}

/* True when the request has ended, with its result; false when the rest was sent on its way. */
static bool settle(struct uring_io *io, uint32_t index, int32_t moved, int64_t *result)
{
    struct flight *flight = &io->flights[index];

    if (moved == -EINTR || moved == -EAGAIN) {
        push(io, index);
        return false;
    }
    if (moved < 0 || flight->request.verb == HAUL_IO_FLUSH) {
        *result = moved;
        return true;
    }
    flight->done += (uint32_t)moved;
    if (flight->done == flight->request.bytes ||
        (moved == 0 && flight->request.verb == HAUL_IO_READ)) {
        *result = flight->done;
        return true;
    }
    if (moved == 0) {
        *result = -EIO;
        return true;
    }
    push(io, index);
    return false;
}

static size_t reap(struct haul_io *base, struct haul_io_result *results, size_t capacity)
{
    struct uring_io *io = (struct uring_io *)base;
    struct io_uring_cqe *cqe;
    size_t taken = 0;

    while (taken < capacity && io_uring_peek_cqe(&io->ring, &cqe) == 0) {
        uint32_t index = (uint32_t)cqe->user_data;
        int32_t moved = cqe->res;

        io_uring_cqe_seen(&io->ring, cqe);
        if (settle(io, index, moved, &results[taken].result)) {
            results[taken++].tag = io->flights[index].request.tag;
            io->free_stack[io->free_count++] = index;
        }
    }
    kick(base); /* continuations must not wait for the owner's next turn, it may sleep */
    return taken;
}

static int ring_fd(const struct haul_io *base)
{
    const struct uring_io *io = (const struct uring_io *)base;

    return io->ring.ring_fd;
}

/* Waits for what is outstanding: the kernel must not write into memory that the caller frees. */
static void uring_close(struct haul_io *base)
{
    struct uring_io *io = (struct uring_io *)base;

    while (io->free_count < io->depth) {
        struct haul_io_result results[16];

        kick(base);
        if (reap(base, results, HAUL_COUNT_OF(results)) == 0) {
            struct io_uring_cqe *cqe;
            int result = io_uring_wait_cqe(&io->ring, &cqe);

            if (result < 0 && result != -EINTR)
                break;
        }
    }
    io_uring_queue_exit(&io->ring);
    free(io->free_stack);
    free(io);
}

static int restrict_and_enable(struct io_uring *ring)
{
    static const uint8_t opcodes[] = { IORING_OP_READ, IORING_OP_WRITE, IORING_OP_FSYNC };
    struct io_uring_restriction rules[HAUL_COUNT_OF(opcodes)] = { 0 };

    for (size_t i = 0; i < HAUL_COUNT_OF(opcodes); i++) {
        rules[i].opcode = IORING_RESTRICTION_SQE_OP;
        rules[i].sqe_op = opcodes[i];
    }
    if (syscall(__NR_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, rules,
                (unsigned)HAUL_COUNT_OF(rules)) < 0)
        return -errno;
    if (syscall(__NR_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
        return -errno;
    return 0;
}

int haul_io_uring_open(struct haul_io **out, uint32_t depth)
{
    static const struct haul_io_backend backend = {
        .name = "uring",
        .submit = submit,
        .kick = kick,
        .reap = reap,
        .fd = ring_fd,
        .close = uring_close,
    };
    struct uring_io *io = calloc(1, sizeof *io + depth * sizeof io->flights[0]);
    uint32_t *free_stack = calloc(depth, sizeof *free_stack);
    int result = io == NULL || free_stack == NULL ? -ENOMEM : 0;

    if (result == 0)
        result = io_uring_queue_init(depth, &io->ring, IORING_SETUP_R_DISABLED);
    if (result == 0) {
        result = restrict_and_enable(&io->ring);
        if (result != 0)
            io_uring_queue_exit(&io->ring);
    }
    if (result != 0) {
        free(free_stack);
        free(io);
        return result;
    }
    io->base.backend = &backend;
    io->depth = depth;
    io->free_stack = free_stack;
    for (uint32_t i = 0; i < depth; i++)
        free_stack[io->free_count++] = i;
    *out = &io->base;
    return 0;
}
