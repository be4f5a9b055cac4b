/* The pipe over one TCP connection on loopback: sealed frames of a fixed size one behind the other,
 * nothing else. Its ends sleep in the kernel as any program's do. A raw one is plaintext TCP. */
#include "perf/pipe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define WAIT_US      100000 /* a blocked end looks at the phase this often */
#define FRAMES       2u     /* sealed, then written; read by one call */
#define FRAME_BYTES  (HAUL_PIPE_PAYLOAD_MAX + HAUL_PIPE_OVERHEAD)
#define BUFFER_BYTES (FRAMES * FRAME_BYTES)

static int stream_prepare(struct haul_pipe_end *end, struct haul_error *error)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct timeval wait = { .tv_usec = WAIT_US };
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), *fds = end->fds;
    bool good;

    fds[HAUL_PIPE_SENDER] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    good = listener >= 0 && fds[HAUL_PIPE_SENDER] >= 0 &&
           bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
           listen(listener, 1) == 0 &&
           getsockname(listener, (struct sockaddr *)&address, &length) == 0 &&
           connect(fds[HAUL_PIPE_SENDER], (struct sockaddr *)&address, length) == 0;
    if (good) {
        fds[HAUL_PIPE_RECEIVER] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        good = fds[HAUL_PIPE_RECEIVER] >= 0;
    }
    for (unsigned i = 0; i < 2 && good; i++)
        good = setsockopt(fds[i], SOL_SOCKET, i == HAUL_PIPE_SENDER ? SO_SNDTIMEO : SO_RCVTIMEO,
                          &wait, sizeof wait) == 0;
    if (!good)
        haul_fail(error, HAUL_E_SYSTEM, "a TCP connection on loopback: %s", strerror(errno));
    if (listener >= 0)
        close(listener);
    return good ? 0 : -1;
}

static bool again(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static int stream_receive(struct haul_pipe_end *end, struct haul_error *error)
{
    size_t frame = end->shape.payload + HAUL_PIPE_OVERHEAD, used = 0;
    uint8_t *buffer = aligned_alloc(4096, (BUFFER_BYTES + 4095) / 4096 * 4096);

    if (buffer == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for frames");
    if (!haul_pipe_ready(end))
        return 0;
    while (haul_pipe_running(end)) {
        ssize_t got = recv(end->fds[HAUL_PIPE_RECEIVER], buffer + used, BUFFER_BYTES - used, 0);
        size_t at = 0;

        if (got < 0 && again())
            continue;
        if (got < 0)
            return haul_fail(error, HAUL_E_SYSTEM, "receiving: %s", strerror(errno));
        if (got == 0)
            break;
        if (end->shape.raw) {
            haul_counter_add(&end->shared->received, (uint64_t)got);
            continue;
        }
        for (used += (size_t)got; used - at >= frame; at += frame)
            haul_counter_add(&end->shared->received, haul_pipe_open(end, buffer + at, frame));
        memmove(buffer, buffer + at, used - at);
        used -= at;
    }
    return 0;
}

/* False when the connection is gone; an error is told then, unless the run is over. */
static int all_send(const struct haul_pipe_end *end, const uint8_t *from, size_t bytes,
                    struct haul_error *error)
{
    while (bytes > 0 && haul_pipe_running(end)) {
        ssize_t done = send(end->fds[HAUL_PIPE_SENDER], from, bytes, MSG_NOSIGNAL);

        if (done < 0 && again())
            continue;
        if (done < 0 && haul_pipe_running(end))
            return haul_fail(error, HAUL_E_SYSTEM, "sending: %s", strerror(errno));
        if (done < 0)
            return 0;
        from += done;
        bytes -= (size_t)done;
    }
    return 0;
}

static int stream_send(struct haul_pipe_end *end, struct haul_error *error)
{
    size_t frame = end->shape.payload + HAUL_PIPE_OVERHEAD, bytes = FRAMES * frame;
    uint8_t *buffer = aligned_alloc(4096, (BUFFER_BYTES + 4095) / 4096 * 4096);

    if (buffer == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for frames");
    memset(buffer, 1, BUFFER_BYTES);
    if (!haul_pipe_ready(end))
        return 0;
    while (haul_pipe_running(end)) {
        for (size_t at = 0; at < bytes && !end->shape.raw; at += frame)
            (void)haul_pipe_seal(end, buffer + at);
        if (all_send(end, buffer, bytes, error) < 0)
            return -1;
        haul_counter_add(&end->shared->sent, FRAMES * end->shape.payload);
    }
    return 0;
}

const struct haul_pipe haul_pipe_stream = {
    .name = "stream",
    .prepare = stream_prepare,
    .receive = stream_receive,
    .send = stream_send,
};
