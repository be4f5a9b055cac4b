/* Reads, writes and flushes of files that do not block their caller where the kernel allows it:
 * io_uring, or pread and pwrite done on the spot where io_uring is refused. One owner thread. The
 * file store and the worker (for descriptors that a command handed in) share one. */
#pragma once

#include "common/error.h"

struct haul_io;

enum haul_io_kind { HAUL_IO_AUTO, HAUL_IO_URING, HAUL_IO_POSIX };

/* FLUSH is fsync, not fdatasync: on a directory the latter need not make a rename durable. */
enum haul_io_verb { HAUL_IO_READ, HAUL_IO_WRITE, HAUL_IO_FLUSH };

struct haul_io_request {
    enum haul_io_verb verb;
    int fd;
    uint8_t *data;  /* borrowed until the result is reaped */
    uint32_t bytes; /* short transfers are continued inside; a read stops early at end of file */
    uint64_t at;
    uint64_t tag;
};

struct haul_io_result {
    uint64_t tag;
    int64_t result; /* bytes, or -errno */
};

HAUL_MUST_USE int haul_io_open(struct haul_io **io, enum haul_io_kind kind, uint32_t depth,
                               struct haul_error *error);
/* False when `depth` requests are outstanding: reap first. */
HAUL_MUST_USE bool haul_io_submit(struct haul_io *io, const struct haul_io_request *request);
void haul_io_kick(struct haul_io *io); /* once a turn: hands submissions to the kernel */
size_t haul_io_reap(struct haul_io *io, struct haul_io_result *results, size_t capacity);
int haul_io_fd(const struct haul_io *io);           /* readable when results wait; -1 when never */
const char *haul_io_name(const struct haul_io *io); /* "uring", "posix" */
void haul_io_close(struct haul_io *io); /* waits for what is outstanding; NULL is welcome */
