/* Kernel UDP through recvmmsg and sendmmsg: where a kernel or a container refuses io_uring. */
#include "dataplane/net/net_kernel.h"

#include "common/counters.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 16u

struct mmsg_state {
    uint32_t free_count;
    uint16_t free[HAUL_NET_TRAINS_MAX]; /* receive buffers, the warmest on top */
};

static int mmsg_open(struct haul_net_kernel *net, struct haul_error *error)
{
    struct mmsg_state *state = calloc(1, sizeof *state);

    if (state == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the net");
    for (uint32_t i = 0; i < net->receive_trains; i++)
        state->free[i] = (uint16_t)(net->receive_trains - 1 - i);
    state->free_count = net->receive_trains;
    net->state = state;
    return 0;
}

static void mmsg_close(struct haul_net_kernel *net)
{
    free(net->state);
}

/* Name and control data go to the front of the buffer, the train behind it. */
static void message_prepare(struct haul_net_kernel *net, uint32_t number, struct msghdr *message,
                            struct iovec *span)
{
    uint8_t *buffer = haul_net_receive_buffer(net, number);

    *span = (struct iovec){ .iov_base = buffer + HAUL_NET_RECEIVE_FRONT,
                            .iov_len = HAUL_NET_RECEIVE_BYTES - HAUL_NET_RECEIVE_FRONT };
    *message = (struct msghdr){
        .msg_name = buffer + HAUL_NET_CONTROL_BYTES,
        .msg_namelen = sizeof(union haul_net_name),
        .msg_iov = span,
        .msg_iovlen = 1,
        .msg_control = buffer,
        .msg_controllen = HAUL_NET_CONTROL_BYTES,
    };
}

static size_t mmsg_receive(struct haul_net_kernel *net, struct haul_train *trains, size_t capacity)
{
    struct mmsg_state *state = net->state;
    struct mmsghdr messages[BATCH];
    struct iovec spans[BATCH];
    size_t asked = capacity < BATCH ? capacity : BATCH, count = 0;
    int got;

    if (asked > state->free_count) {
        asked = state->free_count;
        haul_counter_add(&net->base.counters.rx_no_buffer, asked == 0);
    }
    if (asked == 0)
        return 0;
    for (size_t i = 0; i < asked; i++) {
        messages[i].msg_len = 0;
        message_prepare(net, state->free[state->free_count - 1 - i], &messages[i].msg_hdr,
                        &spans[i]);
    }
    got = recvmmsg(net->socket.fd, messages, (unsigned)asked, MSG_DONTWAIT, NULL);
    for (int i = 0; i < got; i++) {
        uint16_t number = state->free[state->free_count - 1 - (uint32_t)i];
        struct haul_train *train = &trains[count];

        *train = (struct haul_train){ .data = spans[i].iov_base, .owner = number };
        /* What cannot be used changes places with the last good one: its buffer stays free. */
        if (haul_net_message_read(&net->socket, &messages[i].msg_hdr, messages[i].msg_len, train,
                                  &net->base.counters)) {
            state->free[state->free_count - 1 - (uint32_t)i] =
                state->free[state->free_count - 1 - count];
            state->free[state->free_count - 1 - count] = number;
            count++;
        }
    }
    state->free_count -= (uint32_t)count;
    return count;
}

static void mmsg_release(struct haul_net_kernel *net, const struct haul_train *trains, size_t count)
{
    struct mmsg_state *state = net->state;

    for (size_t i = count; i-- > 0;) {
        haul_assert(state->free_count < net->receive_trains);
        state->free[state->free_count++] = (uint16_t)trains[i].owner;
    }
}

static size_t mmsg_transmit(struct haul_net_kernel *net, struct haul_net_envelope *envelopes,
                            size_t count, int *refusal)
{
    struct mmsghdr messages[BATCH];
    size_t done = 0;

    haul_assert(count <= BATCH);
    for (size_t i = 0; i < count; i++)
        messages[i] = (struct mmsghdr){ .msg_hdr = envelopes[i].message };
    while (done < count) {
        int sent =
            sendmmsg(net->socket.fd, messages + done, (unsigned)(count - done), MSG_DONTWAIT);

        if (sent > 0) {
            done += (size_t)sent;
        } else if (errno != EINTR) {
            *refusal = errno;
            break;
        }
    }
    return done;
}

static void mmsg_wait(struct haul_net_kernel *net, const int *fds, size_t fd_count, haul_time span,
                      bool writable)
{
    const struct mmsg_state *state = net->state;
    struct pollfd polled[1 + HAUL_NET_WAIT_FDS_MAX];
    struct timespec limit = { .tv_sec = (time_t)(span / HAUL_SECOND),
                              .tv_nsec = (long)(span % HAUL_SECOND) };
    nfds_t count = 0;

    polled[count++] = (struct pollfd){
        .fd = net->socket.fd,
        .events = (short)((state->free_count > 0 ? POLLIN : 0) | (writable ? POLLOUT : 0)),
    };
    for (size_t i = 0; i < fd_count; i++)
        polled[count++] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
    haul_counter_add(&net->base.counters.waits, span != 0);
    ppoll(polled, count, span == HAUL_TIME_NEVER ? NULL : &limit, NULL);
}

static int mmsg_fd(const struct haul_net_kernel *net)
{
    return net->socket.fd;
}

static bool mmsg_ready(const struct haul_net_kernel *net)
{
    (void)net;
    return false; /* it takes nothing ahead */
}

const struct haul_net_way haul_net_mmsg = {
    .name = "mmsg",
    .open = mmsg_open,
    .close = mmsg_close,
    .receive = mmsg_receive,
    .release = mmsg_release,
    .transmit = mmsg_transmit,
    .wait = mmsg_wait,
    .fd = mmsg_fd,
    .ready = mmsg_ready,
};
