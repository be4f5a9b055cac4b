/* Framed messages and descriptors over a Unix stream socket: a frame is its length in four bytes,
 * little-endian, and then that many bytes; descriptors travel with the first byte of the frame that
 * names them and are taken in order. Works on blocking and non-blocking sockets alike; one owner
 * thread. Frames above a limit end the channel, so a stranger cannot make it grow. */
#pragma once

#include "common/base.h"

#include <sys/types.h>

#define HAUL_CHANNEL_FRAME_MAX       ((1u << 20) + 4096u)
#define HAUL_CHANNEL_DESCRIPTORS_MAX 64u /* received and not yet taken */

struct haul_channel_sent_fd {
    size_t at; /* byte of the outgoing buffer it goes with */
    int fd;
};

struct haul_channel {
    int fd;
    uint32_t frame_max;
    uint8_t *in;
    size_t in_at;   /* first byte not yet handed out */
    size_t in_used; /* end of what was received */
    size_t in_capacity;
    int fds[HAUL_CHANNEL_DESCRIPTORS_MAX];
    uint32_t fds_at;
    uint32_t fds_used;
    uint8_t *out;
    size_t out_at;
    size_t out_used;
    size_t out_capacity;
    struct haul_channel_sent_fd *out_fds;
    size_t out_fds_at;
    size_t out_fds_used;
    size_t out_fds_capacity;
};

/* Takes the socket over. `frame_max` bounds what the other side may send in one frame. */
void haul_channel_init(struct haul_channel *channel, int fd, uint32_t frame_max);
void haul_channel_fini(struct haul_channel *channel); /* closes everything it holds */

/* Reads once. More than 0: something came; 0: the other side has closed; -errno (-EAGAIN: nothing
 * now; -EPROTO: a frame above the limit or more descriptors than fit). */
HAUL_MUST_USE ssize_t haul_channel_receive(struct haul_channel *channel);

/* The next whole frame, valid until the next receive; false when there is none yet. */
HAUL_MUST_USE bool haul_channel_next(struct haul_channel *channel, const uint8_t **data,
                                     size_t *bytes);

/* The oldest received descriptor, now the caller's; -1 when there is none. */
int haul_channel_take_fd(struct haul_channel *channel);

/* Room for a frame's body, to be packed into and then queued; NULL without memory. */
uint8_t *haul_channel_reserve(struct haul_channel *channel, size_t bytes);

/* Queues the reserved frame; `fd` (or -1) goes with it and is closed once it has been sent. */
HAUL_MUST_USE int haul_channel_queue(struct haul_channel *channel, size_t bytes, int fd);

/* Writes what the socket takes: 0 all, 1 some is left (non-blocking sockets), or -errno. */
HAUL_MUST_USE int haul_channel_flush(struct haul_channel *channel);
size_t haul_channel_backlog(const struct haul_channel *channel); /* bytes queued and not written */
