/* The kernel keeps descriptors at their place in the byte stream: one sendmsg never carries bytes
 * of two frames that bring descriptors, so each arrives with the first byte of its frame. */
#include "controlplane/ctl/channel.h"

#include "common/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PREFIX_BYTES  4u
#define RECEIVE_BYTES 65536u

void haul_channel_init(struct haul_channel *channel, int fd, uint32_t frame_max)
{
    *channel = (struct haul_channel){ .fd = fd, .frame_max = frame_max };
}

void haul_channel_fini(struct haul_channel *channel)
{
    for (uint32_t i = channel->fds_at; i < channel->fds_used; i++)
        close(channel->fds[i]);
    for (size_t i = channel->out_fds_at; i < channel->out_fds_used; i++)
        close(channel->out_fds[i].fd);
    if (channel->fd >= 0)
        close(channel->fd);
    free(channel->in);
    free(channel->out);
    free(channel->out_fds);
    *channel = (struct haul_channel){ .fd = -1 };
}

/* At least `bytes` of room behind `used`; what was consumed is dropped first. */
static bool room_make(uint8_t **data, size_t *at, size_t *used, size_t *capacity, size_t bytes)
{
    uint8_t *grown;
    size_t wanted;

    if (*at > 0 && (*at == *used || *capacity - *used < bytes)) {
        memmove(*data, *data + *at, *used - *at);
        *used -= *at;
        *at = 0;
    }
    if (*capacity - *used >= bytes)
        return true;
    wanted = *capacity * 2 > *used + bytes ? *capacity * 2 : *used + bytes;
    grown = realloc(*data, wanted);
    if (grown == NULL)
        return false;
    *data = grown;
    *capacity = wanted;
    return true;
}

static int descriptors_keep(struct haul_channel *channel, struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        size_t count;
        int fd;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof fd;
        for (size_t i = 0; i < count; i++) {
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (channel->fds_at > 0 && channel->fds_used == HAUL_CHANNEL_DESCRIPTORS_MAX) {
                channel->fds_used -= channel->fds_at;
                memmove(channel->fds, channel->fds + channel->fds_at,
                        channel->fds_used * sizeof fd);
                channel->fds_at = 0;
            }
            if (channel->fds_used == HAUL_CHANNEL_DESCRIPTORS_MAX) {
                close(fd);
                return -EPROTO;
            }
            channel->fds[channel->fds_used++] = fd;
        }
    }
    return (message->msg_flags & MSG_CTRUNC) != 0 ? -EPROTO : 0;
}

/* The length of the frame that begins at in_at, or SIZE_MAX when even that is not complete. */
static size_t frame_bytes(const struct haul_channel *channel)
{
    struct haul_in in =
        haul_in_from(channel->in + channel->in_at, channel->in_used - channel->in_at);
    uint64_t bytes = haul_in_le(&in, PREFIX_BYTES);

    return in.bad ? SIZE_MAX : (size_t)bytes;
}

ssize_t haul_channel_receive(struct haul_channel *channel)
{
    union {
        char space[CMSG_SPACE(8 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec piece;
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
    size_t frame;
    ssize_t got;
    int failed;

    if (!room_make(&channel->in, &channel->in_at, &channel->in_used, &channel->in_capacity,
                   RECEIVE_BYTES))
        return -ENOMEM;
    piece.iov_base = channel->in + channel->in_used;
    piece.iov_len = channel->in_capacity - channel->in_used;
    message.msg_control = control.space;
    message.msg_controllen = sizeof control.space;
    do {
        got = recvmsg(channel->fd, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    failed = descriptors_keep(channel, &message);
    if (failed < 0)
        return failed;
    channel->in_used += (size_t)got;
    frame = frame_bytes(channel);
    if (frame != SIZE_MAX && frame > channel->frame_max)
        return -EPROTO;
    return got;
}

bool haul_channel_next(struct haul_channel *channel, const uint8_t **data, size_t *bytes)
{
    size_t frame = channel->in == NULL ? SIZE_MAX : frame_bytes(channel);

    /* An oversized frame behind a good one is never whole: the next receive refuses it. */
    if (frame == SIZE_MAX || frame > channel->frame_max ||
        channel->in_used - channel->in_at - PREFIX_BYTES < frame)
        return false;
    *data = channel->in + channel->in_at + PREFIX_BYTES;
    *bytes = frame;
    channel->in_at += PREFIX_BYTES + frame;
    return true;
}

int haul_channel_take_fd(struct haul_channel *channel)
{
    return channel->fds_at == channel->fds_used ? -1 : channel->fds[channel->fds_at++];
}

uint8_t *haul_channel_reserve(struct haul_channel *channel, size_t bytes)
{
    size_t moved = channel->out_at;

    if (!room_make(&channel->out, &channel->out_at, &channel->out_used, &channel->out_capacity,
                   PREFIX_BYTES + bytes))
        return NULL;
    moved -= channel->out_at;
    for (size_t i = channel->out_fds_at; i < channel->out_fds_used; i++)
        channel->out_fds[i].at -= moved;
    return channel->out + channel->out_used + PREFIX_BYTES;
}

static bool out_fd_add(struct haul_channel *channel, int fd)
{
    size_t left = channel->out_fds_used - channel->out_fds_at;

    if (channel->out_fds_used == channel->out_fds_capacity) {
        size_t wanted = left * 2 + 8;
        struct haul_channel_sent_fd *grown = calloc(wanted, sizeof *grown);

        if (grown == NULL)
            return false;
        if (left > 0)
            memcpy(grown, channel->out_fds + channel->out_fds_at, left * sizeof *grown);
        free(channel->out_fds);
        channel->out_fds = grown;
        channel->out_fds_capacity = wanted;
        channel->out_fds_at = 0;
        channel->out_fds_used = left;
    }
    channel->out_fds[channel->out_fds_used++] =
        (struct haul_channel_sent_fd){ .at = channel->out_used, .fd = fd };
    return true;
}

int haul_channel_queue(struct haul_channel *channel, size_t bytes, int fd)
{
    struct haul_out out = haul_out_to(channel->out + channel->out_used, PREFIX_BYTES);

    haul_assert(channel->out_capacity - channel->out_used >= PREFIX_BYTES + bytes);
    if (fd >= 0 && !out_fd_add(channel, fd)) {
        close(fd);
        return -ENOMEM;
    }
    haul_out_le(&out, bytes, PREFIX_BYTES);
    channel->out_used += PREFIX_BYTES + bytes;
    return 0;
}

/* Bytes from out_at up to the next descriptor after the one (if any) that belongs to out_at. */
static size_t piece_bytes(const struct haul_channel *channel, bool *with_fd)
{
    size_t at = channel->out_fds_at;
    size_t end = channel->out_used;

    *with_fd = at < channel->out_fds_used && channel->out_fds[at].at == channel->out_at;
    at += *with_fd ? 1 : 0;
    if (at < channel->out_fds_used)
        end = channel->out_fds[at].at;
    return end - channel->out_at;
}

int haul_channel_flush(struct haul_channel *channel)
{
    while (channel->out_at < channel->out_used) {
        union {
            char space[CMSG_SPACE(sizeof(int))];
            struct cmsghdr align;
        } control = { 0 };
        bool with_fd;
        struct iovec piece = { .iov_base = channel->out + channel->out_at,
                               .iov_len = piece_bytes(channel, &with_fd) };
        struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
        ssize_t sent;

        if (with_fd) {
            message.msg_control = control.space;
            message.msg_controllen = sizeof control.space;
            control.align.cmsg_level = SOL_SOCKET;
            control.align.cmsg_type = SCM_RIGHTS;
            control.align.cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(&control.align), &channel->out_fds[channel->out_fds_at].fd,
                   sizeof(int));
        }
        sent = sendmsg(channel->fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN ? 1 : -errno;
        if (with_fd)
            close(channel->out_fds[channel->out_fds_at++].fd);
        channel->out_at += (size_t)sent;
    }
    channel->out_at = channel->out_used = 0;
    channel->out_fds_at = channel->out_fds_used = 0;
    return 0;
}

size_t haul_channel_backlog(const struct haul_channel *channel)
{
    return channel->out_used - channel->out_at;
}
