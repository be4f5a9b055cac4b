/* Bytes between a stream and the connection that runs inside it. Either side is held back by the
 * other: what the socket does not take stays with the stream, what the stream does not take fills
 * the socket. */
#include "controlplane/behaviours/relay_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES (32u << 10)
#define ROUNDS       8                 /* a turn */
#define GONE_MAX     (5 * HAUL_SECOND) /* for the far end to close, when ours has */

static void interest(struct haul_relay_pipe *pipe)
{
    haul_loop_interest(pipe->watch, (pipe->bytes == 0 && !pipe->over ? HAUL_LOOP_READ : 0u) |
                                        (pipe->blocked ? HAUL_LOOP_WRITE : 0u));
}

/* Gives the stream what waits; true when nothing is left. */
static bool flush(struct haul_relay_pipe *pipe)
{
    size_t took = haul_stream_write(pipe->stream, pipe->buffer + pipe->at, pipe->bytes);

    pipe->at += took;
    pipe->bytes -= took;
    return pipe->bytes == 0;
}

static void pump(struct haul_relay_pipe *pipe)
{
    for (int i = 0; i < ROUNDS && !pipe->over; i++) {
        ssize_t got = recv(pipe->fd, pipe->buffer, BUFFER_BYTES, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            pipe->over = true;
            haul_stream_close(pipe->stream);
            haul_stream_idle_after(pipe->stream, GONE_MAX);
            return;
        }
        pipe->at = 0;
        pipe->bytes = (size_t)got;
        if (!flush(pipe))
            return;
    }
}

static void on_ready(void *context, unsigned ready)
{
    struct haul_relay_pipe *pipe = context;

    if (ready & HAUL_LOOP_WRITE && pipe->blocked) {
        pipe->blocked = false;
        haul_stream_resume(pipe->stream);
    }
    if (ready & HAUL_LOOP_READ && pipe->bytes == 0)
        pump(pipe);
    interest(pipe);
}

bool haul_relay_pipe_open(struct haul_relay_pipe *pipe, struct haul_stream *stream, int fd)
{
    *pipe = (struct haul_relay_pipe){ .fd = fd, .buffer = malloc(BUFFER_BYTES) };
    if (pipe->buffer != NULL)
        pipe->watch = haul_loop_watch(haul_host_loop(haul_stream_host(stream)), fd, HAUL_LOOP_READ,
                                      on_ready, pipe);
    if (pipe->watch == NULL) {
        free(pipe->buffer);
        close(fd);
        return false;
    }
    pipe->stream = stream;
    haul_stream_idle_after(stream, 0);
    return true;
}

size_t haul_relay_pipe_input(struct haul_relay_pipe *pipe, const uint8_t *data, size_t bytes)
{
    size_t done = 0;

    while (done < bytes && !pipe->blocked) {
        ssize_t sent = send(pipe->fd, data + done, bytes - done, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN) { /* nobody is there any more */
            haul_stream_reset(pipe->stream);
            return bytes;
        }
        if (sent < 0)
            pipe->blocked = true;
        else
            done += (size_t)sent;
    }
    if (pipe->blocked)
        interest(pipe);
    return done;
}

void haul_relay_pipe_ended(struct haul_relay_pipe *pipe)
{
    (void)shutdown(pipe->fd, SHUT_WR);
}

void haul_relay_pipe_writable(struct haul_relay_pipe *pipe)
{
    if (pipe->bytes > 0 && !flush(pipe))
        return;
    interest(pipe);
}

void haul_relay_pipe_close(struct haul_relay_pipe *pipe)
{
    if (pipe->stream == NULL)
        return;
    haul_loop_unwatch(pipe->watch);
    close(pipe->fd);
    free(pipe->buffer);
    pipe->stream = NULL;
}
