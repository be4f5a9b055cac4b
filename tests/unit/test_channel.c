/* Frames and descriptors over a socket pair. */
#include "controlplane/ctl/channel.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void pair_open(struct haul_channel *a, struct haul_channel *b, uint32_t frame_max)
{
    int fds[2];

    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
                          0);
    haul_channel_init(a, fds[0], frame_max);
    haul_channel_init(b, fds[1], frame_max);
}

static void say(struct haul_channel *channel, size_t bytes, uint8_t fill, int fd)
{
    uint8_t *room = haul_channel_reserve(channel, bytes);

    CU_ASSERT_PTR_NOT_NULL_FATAL(room);
    memset(room, fill, bytes);
    CU_ASSERT_EQUAL(haul_channel_queue(channel, bytes, fd), 0);
}

static void frames_arrive_whole_and_in_order(void)
{
    struct haul_channel a;
    struct haul_channel b;
    unsigned seen = 0;

    pair_open(&a, &b, 100000);
    for (unsigned i = 0; i < 50; i++)
        say(&a, i * 1000, (uint8_t)i, -1);
    while (seen < 50) {
        const uint8_t *data;
        size_t bytes;

        CU_ASSERT_TRUE(haul_channel_flush(&a) >= 0);
        CU_ASSERT_TRUE_FATAL(haul_channel_receive(&b) > 0);
        while (haul_channel_next(&b, &data, &bytes)) {
            CU_ASSERT_EQUAL(bytes, seen * 1000);
            CU_ASSERT_TRUE(bytes == 0 || (data[0] == seen && data[bytes - 1] == seen));
            seen++;
        }
    }
    CU_ASSERT_EQUAL(haul_channel_backlog(&a), 0);
    CU_ASSERT_EQUAL(haul_channel_receive(&b), -EAGAIN);
    haul_channel_fini(&a);
    CU_ASSERT_EQUAL(haul_channel_receive(&b), 0);
    haul_channel_fini(&b);
}

static void each_descriptor_comes_with_its_frame(void)
{
    struct haul_channel a;
    struct haul_channel b;
    ino_t inodes[40];
    unsigned seen = 0;

    pair_open(&a, &b, 100000);
    for (unsigned i = 0; i < 40; i++) {
        int fd = memfd_create("haul-test", MFD_CLOEXEC);
        struct stat facts;

        CU_ASSERT_EQUAL_FATAL(fstat(fd, &facts), 0);
        inodes[i] = facts.st_ino;
        say(&a, 10, (uint8_t)i, -1);
        say(&a, 20, (uint8_t)i, fd);
    }
    while (seen < 40) {
        const uint8_t *data;
        size_t bytes;

        CU_ASSERT_TRUE(haul_channel_flush(&a) >= 0);
        CU_ASSERT_TRUE_FATAL(haul_channel_receive(&b) > 0);
        while (haul_channel_next(&b, &data, &bytes)) {
            struct stat facts = { 0 };
            int fd;

            if (bytes == 10)
                continue;
            fd = haul_channel_take_fd(&b);
            CU_ASSERT_EQUAL(fstat(fd, &facts), 0);
            CU_ASSERT_EQUAL(facts.st_ino, inodes[seen]);
            CU_ASSERT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
            close(fd);
            seen++;
        }
    }
    CU_ASSERT_EQUAL(haul_channel_take_fd(&b), -1);
    haul_channel_fini(&a);
    haul_channel_fini(&b);
}

static void a_frame_above_the_limit_ends_the_channel(void)
{
    struct haul_channel a;
    struct haul_channel b;
    const uint8_t *data;
    size_t bytes;

    pair_open(&a, &b, 1000);
    say(&a, 1000, 1, -1);
    say(&a, 1001, 2, -1);
    CU_ASSERT_EQUAL(haul_channel_flush(&a), 0);
    CU_ASSERT_TRUE(haul_channel_receive(&b) > 0);
    CU_ASSERT_TRUE(haul_channel_next(&b, &data, &bytes));
    CU_ASSERT_FALSE(haul_channel_next(&b, &data, &bytes));
    say(&a, 1, 3, -1);
    CU_ASSERT_EQUAL(haul_channel_flush(&a), 0);
    CU_ASSERT_EQUAL(haul_channel_receive(&b), -EPROTO);
    haul_channel_fini(&a);
    haul_channel_fini(&b);
}

static void more_descriptors_than_fit_end_the_channel(void)
{
    struct haul_channel a;
    struct haul_channel b;
    ssize_t got = 1;

    pair_open(&a, &b, 1000);
    for (unsigned i = 0; i < HAUL_CHANNEL_DESCRIPTORS_MAX + 1; i++) {
        say(&a, 1, 0, memfd_create("haul-test", MFD_CLOEXEC));
        CU_ASSERT_EQUAL(haul_channel_flush(&a), 0);
    }
    while (got > 0)
        got = haul_channel_receive(&b);
    CU_ASSERT_EQUAL(got, -EPROTO);
    haul_channel_fini(&a);
    haul_channel_fini(&b);
}

static void a_full_socket_keeps_the_rest_for_later(void)
{
    struct haul_channel a;
    struct haul_channel b;
    size_t total = 0;
    int left = 1;

    pair_open(&a, &b, HAUL_CHANNEL_FRAME_MAX);
    for (unsigned i = 0; i < 8; i++)
        say(&a, HAUL_BLOCK_BYTES_MAX, (uint8_t)i, -1);
    CU_ASSERT_EQUAL(haul_channel_flush(&a), 1);
    CU_ASSERT_TRUE(haul_channel_backlog(&a) > 0);
    while (left != 0 || total < 8) {
        const uint8_t *data;
        size_t bytes;

        left = haul_channel_flush(&a);
        CU_ASSERT_TRUE_FATAL(haul_channel_receive(&b) > 0);
        while (haul_channel_next(&b, &data, &bytes)) {
            CU_ASSERT_EQUAL(data[0], total);
            total++;
        }
    }
    haul_channel_fini(&a);
    haul_channel_fini(&b);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "frames arrive whole and in order", frames_arrive_whole_and_in_order },
        { "each descriptor comes with its frame", each_descriptor_comes_with_its_frame },
        { "a frame above the limit ends the channel", a_frame_above_the_limit_ends_the_channel },
        { "more descriptors than fit end the channel", more_descriptors_than_fit_end_the_channel },
        { "a full socket keeps the rest for later", a_full_socket_keeps_the_rest_for_later },
    };

    return unit_main("channel", tests, HAUL_COUNT_OF(tests));
}
