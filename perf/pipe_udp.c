/* The pipe over kernel UDP: trains by UDP_SEGMENT, taken whole by UDP_GRO, over loopback. The
 * sender keeps within a window by the receiver's count, in shared memory: datagrams that fill the
 * receiver's buffer would be dropped. Both sides poll. */
#include "perf/pipe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define TRAIN_BYTES    65400u /* headers included it stays below 64 KiB: beyond, the kernel cuts */
#define SEGMENTS_MAX   64u
#define TRAINS         4u /* taken by one call */
#define BUFFER_BYTES   65536u
#define RECEIVE_BUFFER (64 << 20)
#define SEND_BUFFER    (16 << 20)
#define WINDOW_MAX     (12u << 20)
#define WINDOW_PART    5u     /* of the receive buffer: the kernel counts its own pages too */
#define PATIENCE       20000u /* pauses without progress: what is missing was lost */

static uint32_t buffer_grow(int fd, int forced, int plain, int bytes)
{
    socklen_t size = sizeof bytes;

    if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) < 0)
        (void)setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof bytes);
    bytes = 0;
    (void)getsockopt(fd, SOL_SOCKET, plain, &bytes, &size);
    return bytes > 0 ? (uint32_t)bytes : 0;
}

static int udp_prepare(struct haul_pipe_end *end, struct haul_error *error)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int *fds = end->fds, one = 1;

    fds[HAUL_PIPE_RECEIVER] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    fds[HAUL_PIPE_SENDER] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fds[0] < 0 || fds[1] < 0 ||
        bind(fds[HAUL_PIPE_RECEIVER], (struct sockaddr *)&address, sizeof address) < 0 ||
        getsockname(fds[HAUL_PIPE_RECEIVER], (struct sockaddr *)&address, &length) < 0 ||
        connect(fds[HAUL_PIPE_SENDER], (struct sockaddr *)&address, length) < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "UDP sockets on loopback: %s", strerror(errno));
    if (setsockopt(fds[HAUL_PIPE_RECEIVER], IPPROTO_UDP, UDP_GRO, &one, sizeof one) < 0)
        return haul_fail(error, HAUL_E_NOT_POSSIBLE, "this kernel has no UDP_GRO");
    end->window = buffer_grow(fds[HAUL_PIPE_RECEIVER], SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER) /
                  WINDOW_PART;
    end->window = end->window < WINDOW_MAX ? end->window : WINDOW_MAX;
    (void)buffer_grow(fds[HAUL_PIPE_SENDER], SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER);
    return 0;
}

/* --- receiving --- */

static uint64_t train_open(struct haul_pipe_end *end, const uint8_t *train, size_t bytes)
{
    size_t segment = end->shape.payload + HAUL_PIPE_OVERHEAD;
    uint64_t opened = 0;

    if (end->shape.raw)
        return bytes / segment * end->shape.payload;
    for (; bytes >= segment; bytes -= segment, train += segment)
        opened += haul_pipe_open(end, train, segment);
    return opened;
}

static int udp_receive(struct haul_pipe_end *end, struct haul_error *error)
{
    uint8_t *buffers = aligned_alloc(4096, TRAINS * BUFFER_BYTES);
    struct mmsghdr messages[TRAINS] = { 0 };
    struct iovec spans[TRAINS];
    int fd = end->fds[HAUL_PIPE_RECEIVER];

    if (buffers == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for trains");
    memset(buffers, 1, TRAINS * BUFFER_BYTES);
    for (unsigned i = 0; i < TRAINS; i++) {
        spans[i] = (struct iovec){ buffers + i * BUFFER_BYTES, BUFFER_BYTES };
        messages[i].msg_hdr.msg_iov = &spans[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    if (!haul_pipe_ready(end))
        return 0;
    while (haul_pipe_running(end)) {
        int count = recvmmsg(fd, messages, TRAINS, MSG_DONTWAIT, NULL);
        uint64_t opened = 0;

        for (int i = 0; i < count; i++)
            opened += train_open(end, spans[i].iov_base, messages[i].msg_len);
        if (count > 0)
            haul_counter_add(&end->shared->received, opened);
    }
    return 0;
}

/* --- sending --- */

/* Until an eighth of the window is free again; false when nothing comes any more. */
static bool window_wait(const struct haul_pipe_end *end, uint64_t sent)
{
    for (unsigned i = 0; i < PATIENCE && haul_pipe_running(end); i++) {
        if (sent - haul_counter_read(&end->shared->received) <= end->window - end->window / 8)
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

static uint32_t train_fill(struct haul_pipe_end *end, uint8_t *train, uint32_t segments)
{
    uint32_t bytes = 0;

    if (end->shape.raw)
        return segments * (end->shape.payload + HAUL_PIPE_OVERHEAD);
    for (uint32_t i = 0; i < segments; i++)
        bytes += (uint32_t)haul_pipe_seal(end, train + bytes);
    return bytes;
}

static int udp_send(struct haul_pipe_end *end, struct haul_error *error)
{
    int fd = end->fds[HAUL_PIPE_SENDER];
    int segment = (int)(end->shape.payload + HAUL_PIPE_OVERHEAD);
    uint32_t segments = TRAIN_BYTES / (uint32_t)segment;
    uint64_t sent = 0, gone = 0; /* gone: lost for good */
    uint8_t *train = aligned_alloc(4096, BUFFER_BYTES);

    segments = segments < SEGMENTS_MAX ? segments : SEGMENTS_MAX;
    if (train == NULL || segments == 0)
        return haul_fail(error, HAUL_E_SYSTEM, "no train of datagrams of %d bytes", segment);
    if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) < 0)
        return haul_fail(error, HAUL_E_NOT_POSSIBLE, "this kernel has no UDP_SEGMENT: %s",
                         strerror(errno));
    memset(train, 1, BUFFER_BYTES);
    if (!haul_pipe_ready(end))
        return 0;
    while (haul_pipe_running(end)) {
        uint32_t bytes;

        if (sent - gone - haul_counter_read(&end->shared->received) > end->window &&
            !window_wait(end, sent - gone))
            gone = sent - haul_counter_read(&end->shared->received);
        bytes = train_fill(end, train, segments);
        if (send(fd, train, bytes, 0) < 0 && errno != ENOBUFS && errno != EAGAIN)
            return haul_fail(error, HAUL_E_SYSTEM, "sending a train: %s", strerror(errno));
        sent += (uint64_t)segments * end->shape.payload;
        haul_counter_set(&end->shared->sent, sent);
    }
    return 0;
}

const struct haul_pipe haul_pipe_udp = {
    .name = "udp",
    .prepare = udp_prepare,
    .receive = udp_receive,
    .send = udp_send,
};
