/* io.h on both backends, and the fall back where io_uring is refused. */
#include "dataplane/store/io.h"

#include "tests/lib/refuse_call.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEPTH 4u

static const enum haul_io_kind kinds[] = { HAUL_IO_URING, HAUL_IO_POSIX };

static int scratch_file(void)
{
    char path[] = "/tmp/haul-io-XXXXXX";
    int fd = mkstemp(path);

    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

static int64_t run(struct haul_io *io, enum haul_io_verb verb, int fd, void *data, uint32_t bytes,
                   uint64_t at)
{
    struct haul_io_request request = { verb, fd, data, bytes, at, 77 };
    struct haul_io_result result;

    CU_ASSERT_TRUE_FATAL(haul_io_submit(io, &request));
    haul_io_kick(io);
    while (haul_io_reap(io, &result, 1) == 0) {
        struct pollfd ready = { .fd = haul_io_fd(io), .events = POLLIN };

        CU_ASSERT_EQUAL_FATAL(poll(&ready, 1, 5000), 1);
    }
    CU_ASSERT_EQUAL(result.tag, 77);
    return result.result;
}

static struct haul_io *open_io(enum haul_io_kind kind)
{
    struct haul_io *io = NULL;
    struct haul_error error;

    /* In a container that refuses io_uring the posix backend is all there is to test. */
    if (haul_io_open(&io, kind, DEPTH, &error) != 0)
        CU_ASSERT_EQUAL(error.code, HAUL_E_NOT_POSSIBLE);
    return io;
}

static void what_was_written_is_read_and_the_end_of_file_stops_a_read(void)
{
    for (size_t k = 0; k < HAUL_COUNT_OF(kinds); k++) {
        struct haul_io *io = open_io(kinds[k]);
        int fd = scratch_file();
        uint8_t data[3000];
        uint8_t back[5000];

        if (io == NULL)
            continue;
        memset(data, 0x5a, sizeof data);
        CU_ASSERT_EQUAL(run(io, HAUL_IO_WRITE, fd, data, sizeof data, 100), 3000);
        CU_ASSERT_EQUAL(run(io, HAUL_IO_FLUSH, fd, NULL, 0, 0), 0);
        CU_ASSERT_EQUAL(run(io, HAUL_IO_READ, fd, back, sizeof back, 50), 3050);
        CU_ASSERT_EQUAL(back[49], 0);
        CU_ASSERT_EQUAL(memcmp(back + 50, data, sizeof data), 0);
        CU_ASSERT_EQUAL(run(io, HAUL_IO_READ, fd, back, sizeof back, 9999), 0);
        haul_io_close(io);
        close(fd);
    }
}

static void a_directory_can_be_flushed(void)
{
    for (size_t k = 0; k < HAUL_COUNT_OF(kinds); k++) {
        struct haul_io *io = open_io(kinds[k]);
        int fd = open("/tmp", O_RDONLY | O_DIRECTORY);

        if (io == NULL)
            continue;
        CU_ASSERT_EQUAL(run(io, HAUL_IO_FLUSH, fd, NULL, 0, 0), 0);
        haul_io_close(io);
        close(fd);
    }
}

static void errors_come_with_their_request(void)
{
    for (size_t k = 0; k < HAUL_COUNT_OF(kinds); k++) {
        struct haul_io *io = open_io(kinds[k]);
        int full = open("/dev/full", O_WRONLY);
        uint8_t byte = 1;

        if (io == NULL)
            continue;
        CU_ASSERT_EQUAL(run(io, HAUL_IO_READ, -1, &byte, 1, 0), -EBADF);
        CU_ASSERT_EQUAL(run(io, HAUL_IO_FLUSH, -1, NULL, 0, 0), -EBADF);
        CU_ASSERT_EQUAL(run(io, HAUL_IO_WRITE, full, &byte, 1, 0), -ENOSPC);
        haul_io_close(io);
        close(full);
    }
}

static void more_than_depth_requests_are_refused_and_none_is_lost(void)
{
    for (size_t k = 0; k < HAUL_COUNT_OF(kinds); k++) {
        struct haul_io *io = open_io(kinds[k]);
        int fd = scratch_file();
        uint8_t data[64] = { 0 };
        bool seen[DEPTH] = { false };
        uint32_t taken = 0;

        if (io == NULL)
            continue;
        for (uint32_t i = 0; i < DEPTH + 1; i++) {
            struct haul_io_request request = { HAUL_IO_WRITE, fd, data, sizeof data, i * 64, i };

            CU_ASSERT_EQUAL(haul_io_submit(io, &request), i < DEPTH);
        }
        haul_io_kick(io);
        while (taken < DEPTH) {
            struct haul_io_result results[DEPTH];
            size_t count = haul_io_reap(io, results, DEPTH);

            for (size_t i = 0; i < count; i++) {
                CU_ASSERT_EQUAL(results[i].result, sizeof data);
                CU_ASSERT_FALSE(seen[results[i].tag]);
                seen[results[i].tag] = true;
                taken++;
            }
        }
        haul_io_close(io);
        close(fd);
    }
}

static void closing_waits_for_what_is_outstanding(void)
{
    for (size_t k = 0; k < HAUL_COUNT_OF(kinds); k++) {
        struct haul_io *io = open_io(kinds[k]);
        uint32_t bytes = 1u << 20;
        uint8_t *data = calloc(1, bytes);
        int fd = scratch_file();
        struct haul_io_request request = { HAUL_IO_WRITE, fd, data, bytes, 0, 0 };

        if (io != NULL) {
            data[bytes - 1] = 0xab;
            CU_ASSERT_TRUE(haul_io_submit(io, &request));
            haul_io_close(io);
            data[bytes - 1] = 0;
            CU_ASSERT_EQUAL(pread(fd, data, 1, bytes - 1), 1);
            CU_ASSERT_EQUAL(data[0], 0xab);
        }
        free(data);
        close(fd);
    }
}

static int in_refused_child(void)
{
    struct haul_io *io = NULL;
    struct haul_error error;

    if (refuse_io_uring(EPERM) < 0) /* as in a container */
        return 1;
    if (haul_io_open(&io, HAUL_IO_URING, DEPTH, &error) == 0)
        return 2;
    if (error.code != HAUL_E_NOT_POSSIBLE)
        return 3;
    if (haul_io_open(&io, HAUL_IO_AUTO, DEPTH, &error) != 0)
        return 4;
    if (strcmp(haul_io_name(io), "posix") != 0 || haul_io_fd(io) != -1)
        return 5;
    haul_io_close(io);
    return 0;
}

static void where_io_uring_is_refused_auto_goes_on_without_it(void)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0)
        _exit(in_refused_child());
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_TRUE(WIFEXITED(status));
    CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "what was written is read, and the end of file stops a read",
          what_was_written_is_read_and_the_end_of_file_stops_a_read },
        { "a directory can be flushed", a_directory_can_be_flushed },
        { "errors come with their request", errors_come_with_their_request },
        { "more than depth requests are refused and none is lost",
          more_than_depth_requests_are_refused_and_none_is_lost },
        { "closing waits for what is outstanding", closing_waits_for_what_is_outstanding },
        { "where io_uring is refused, auto goes on without it",
          where_io_uring_is_refused_auto_goes_on_without_it },
    };

    return unit_main("io", tests, HAUL_COUNT_OF(tests));
}
