/* Kernel UDP through io_uring. One multishot recvmsg stays armed and fills buffers of a provided
 * ring; sends are SENDMSG requests that never wait (MSG_DONTWAIT completes them during submission),
 * submitted one by one so that a full socket cannot reorder them; sleeping is one io_uring_enter
 * that also runs the receives.
 *
 * The ring is made disabled and enabled by the first call of its owner thread: with SINGLE_ISSUER
 * the kernel ties it to the thread that enables it. What the kernel offers is probed on a ring of
 * its own before, never assumed. */
#include "dataplane/net/net_kernel.h"

#include "common/counters.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SUBMISSIONS 32u
#define GROUP       1 /* of provided buffers */
#define NAME_BYTES  48u
_Static_assert(sizeof(struct io_uring_recvmsg_out) + NAME_BYTES + HAUL_NET_CONTROL_BYTES ==
                   HAUL_NET_RECEIVE_FRONT,
               "the payload of a received message is aligned to a cache line");

/* What a completion belongs to: the low byte of its user data; above it, for polls, the index and
 * the generation of the poll. */
enum { FOR_RECEIVE = 1, FOR_SEND, FOR_POLL, FOR_NOTHING };

#define POLLS (HAUL_NET_WAIT_FDS_MAX + 1u) /* the last one: the socket takes messages again */

struct uring_poll {
    int fd; /* -1: none */
    bool armed;
    uint32_t generation;
};

struct uring_state {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    size_t buffers_bytes;
    int buffers_mask;
    struct msghdr receive; /* the shape of every received message */
    bool ring_open;
    bool enabled;
    bool receive_armed;
    bool send_done; /* the completion of the send in hand was seen, with */
    int send_result;
    struct uring_poll polls[POLLS];

    /* Trains that arrived and were not asked for yet: a ring of receive_trains. */
    struct haul_train *ready;
    uint32_t ready_first;
    uint32_t ready_count;
    uint32_t lent;
};

static int ring_create(struct io_uring *ring, unsigned completions, unsigned extra)
{
    static const unsigned flags[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        0,
    };
    int result = -EINVAL;

    for (size_t i = 0; i < HAUL_COUNT_OF(flags) && result == -EINVAL; i++) {
        struct io_uring_params params = {
            .flags = flags[i] | extra | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = completions,
        };

        result = io_uring_queue_init_params(SUBMISSIONS, ring, &params);
    }
    return result;
}

static struct io_uring_sqe *request_get(struct io_uring *ring)
{
    struct io_uring_sqe *request = io_uring_get_sqe(ring);

    if (request == NULL) {
        io_uring_submit(ring);
        request = io_uring_get_sqe(ring);
    }
    haul_assert(request != NULL);
    return request;
}

/* --- the probe --- */

struct probe {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    struct msghdr message;
    int pair[2];
    uint8_t space[4096];
};

/* One datagram through a socket pair: the receive must take a provided buffer and stay armed. */
static const char *probe_multishot(struct probe *probe)
{
    struct __kernel_timespec limit = { .tv_sec = 1 };
    struct io_uring_cqe *completion = NULL;
    struct io_uring_sqe *request = request_get(&probe->ring);
    bool good;

    if (write(probe->pair[1], "probe", 5) != 5)
        return "a socket pair does not work";
    io_uring_prep_recvmsg_multishot(request, probe->pair[0], &probe->message, 0);
    request->flags |= IOSQE_BUFFER_SELECT;
    request->buf_group = GROUP;
    if (io_uring_submit_and_wait_timeout(&probe->ring, &completion, 1, &limit, NULL) < 0 ||
        completion == NULL)
        return "io_uring does not complete a receive";
    good = completion->res > 0 && (completion->flags & IORING_CQE_F_MORE) != 0 &&
           (completion->flags & IORING_CQE_F_BUFFER) != 0;
    io_uring_cqe_seen(&probe->ring, completion);
    return good ? NULL : "this kernel's io_uring has no multishot recvmsg (Linux 6.0)";
}

static const char *probe_buffers(struct probe *probe)
{
    struct io_uring_buf_reg group = { .ring_addr = (uintptr_t)probe->buffers,
                                      .ring_entries = 1,
                                      .bgid = GROUP };

    if (io_uring_register_buf_ring(&probe->ring, &group, 0) < 0)
        return "this kernel's io_uring has no buffer rings (Linux 5.19)";
    io_uring_buf_ring_init(probe->buffers);
    io_uring_buf_ring_add(probe->buffers, probe->space, sizeof probe->space, 0, 0, 0);
    io_uring_buf_ring_advance(probe->buffers, 1);
    return probe_multishot(probe);
}

/* NULL, or why io_uring cannot be used here. */
static const char *uring_probe(int *error)
{
    struct probe probe = { .pair = { -1, -1 } };
    const char *fault = NULL;

    *error = 0;
    probe.buffers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (probe.buffers == MAP_FAILED)
        return "no memory";
    *error = -ring_create(&probe.ring, 2 * SUBMISSIONS, 0);
    if (*error != 0) {
        fault = "io_uring is refused";
    } else {
        if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, probe.pair) < 0)
            fault = "no socket pair";
        else
            fault = probe_buffers(&probe);
        io_uring_queue_exit(&probe.ring);
    }
    if (probe.pair[0] >= 0)
        close(probe.pair[0]);
    if (probe.pair[1] >= 0)
        close(probe.pair[1]);
    munmap(probe.buffers, 4096);
    return fault;
}

/* --- opening and closing --- */

static void uring_close(struct haul_net_kernel *net)
{
    struct uring_state *state = net->state;

    if (state->ring_open)
        io_uring_queue_exit(&state->ring);
    if (state->buffers != NULL)
        munmap(state->buffers, state->buffers_bytes);
    free(state->ready);
    free(state);
    net->state = NULL;
}

static int buffers_open(struct haul_net_kernel *net, struct uring_state *state)
{
    struct io_uring_buf_reg group = { .bgid = GROUP };
    uint32_t entries = 1;
    void *mapped;

    while (entries < net->receive_trains)
        entries *= 2;
    state->buffers_bytes = entries * sizeof(struct io_uring_buf);
    mapped = mmap(NULL, state->buffers_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                  -1, 0);
    if (mapped == MAP_FAILED)
        return -errno;
    state->buffers = mapped;
    state->buffers_mask = io_uring_buf_ring_mask(entries);
    group.ring_addr = (uintptr_t)mapped;
    group.ring_entries = entries;
    io_uring_buf_ring_init(state->buffers);
    for (uint32_t i = 0; i < net->receive_trains; i++)
        io_uring_buf_ring_add(state->buffers, haul_net_receive_buffer(net, i),
                              HAUL_NET_RECEIVE_BYTES, (unsigned short)i, state->buffers_mask,
                              (int)i);
    io_uring_buf_ring_advance(state->buffers, (int)net->receive_trains);
    return io_uring_register_buf_ring(&state->ring, &group, 0);
}

static int uring_open(struct haul_net_kernel *net, struct haul_error *error)
{
    struct uring_state *state;
    int code = 0;
    const char *fault = uring_probe(&code);

    if (fault != NULL && code != 0)
        return haul_fail(error, HAUL_E_NOT_POSSIBLE, "%s: %s", fault, strerror(code));
    if (fault != NULL)
        return haul_fail(error, HAUL_E_NOT_POSSIBLE, "%s", fault);
    state = calloc(1, sizeof *state);
    if (state == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the net");
    net->state = state;
    for (uint32_t i = 0; i < POLLS; i++)
        state->polls[i].fd = -1;
    state->receive.msg_namelen = NAME_BYTES;
    state->receive.msg_controllen = HAUL_NET_CONTROL_BYTES;
    state->ready = calloc(net->receive_trains, sizeof *state->ready);
    code = state->ready == NULL
               ? -ENOMEM
               : ring_create(&state->ring, 2 * SUBMISSIONS + 4 * net->receive_trains,
                             IORING_SETUP_R_DISABLED);
    if (code == 0) {
        state->ring_open = true;
        code = buffers_open(net, state);
    }
    if (code < 0) {
        uring_close(net);
        return haul_fail(error, HAUL_E_NOT_POSSIBLE, "io_uring is refused: %s", strerror(-code));
    }
    net->base.facts.multishot = true;
    return 0;
}

/* --- completions --- */

static void buffer_give(const struct haul_net_kernel *net, struct uring_state *state,
                        uint32_t number, int at)
{
    io_uring_buf_ring_add(state->buffers, haul_net_receive_buffer(net, number),
                          HAUL_NET_RECEIVE_BYTES, (unsigned short)number, state->buffers_mask, at);
}

static void on_receive(struct haul_net_kernel *net, const struct io_uring_cqe *completion)
{
    struct uring_state *state = net->state;
    struct haul_train train = { 0 };
    struct io_uring_recvmsg_out *out;
    struct msghdr message;

    if ((completion->flags & IORING_CQE_F_MORE) == 0)
        state->receive_armed = false;
    if ((completion->flags & IORING_CQE_F_BUFFER) == 0) {
        haul_counter_add(&net->base.counters.rx_no_buffer, completion->res == -ENOBUFS);
        return;
    }
    train.owner = completion->flags >> IORING_CQE_BUFFER_SHIFT;
    haul_assert(train.owner < net->receive_trains);
    out = io_uring_recvmsg_validate(haul_net_receive_buffer(net, train.owner), completion->res,
                                    &state->receive);
    if (out != NULL) {
        message = (struct msghdr){
            .msg_name = io_uring_recvmsg_name(out),
            .msg_namelen = out->namelen < NAME_BYTES ? out->namelen : NAME_BYTES,
            .msg_control = io_uring_recvmsg_cmsg_firsthdr(out, &state->receive),
            .msg_controllen = out->controllen,
            .msg_flags = (int)out->flags,
        };
        train.data = io_uring_recvmsg_payload(out, &state->receive);
        if (haul_net_message_read(
                &net->socket, &message,
                io_uring_recvmsg_payload_length(out, completion->res, &state->receive), &train,
                &net->base.counters)) {
            haul_assert(state->ready_count < net->receive_trains);
            state->ready[(state->ready_first + state->ready_count) % net->receive_trains] = train;
            state->ready_count++;
            return;
        }
    }
    buffer_give(net, state, train.owner, 0);
    io_uring_buf_ring_advance(state->buffers, 1);
}

static void on_poll(struct uring_state *state, uint64_t data)
{
    struct uring_poll *poll = &state->polls[(data >> 8 & 0xff) % POLLS];

    if (poll->generation == (uint32_t)(data >> 32))
        poll->armed = false;
}

/* Takes every completion that is there. */
static void completions_take(struct haul_net_kernel *net)
{
    struct uring_state *state = net->state;
    struct io_uring_cqe *batch[32];
    unsigned count;

    while ((count = io_uring_peek_batch_cqe(&state->ring, batch, HAUL_COUNT_OF(batch))) > 0) {
        for (unsigned i = 0; i < count; i++) {
            const struct io_uring_cqe *completion = batch[i];

            switch (completion->user_data & 0xff) {
            case FOR_RECEIVE:
                on_receive(net, completion);
                break;
            case FOR_SEND:
                state->send_done = true;
                state->send_result = completion->res;
                break;
            case FOR_POLL:
                on_poll(state, completion->user_data);
                break;
            }
        }
        io_uring_cq_advance(&state->ring, count);
    }
}

static void receive_arm(struct haul_net_kernel *net)
{
    struct uring_state *state = net->state;
    struct io_uring_sqe *request;

    if (state->receive_armed || state->ready_count + state->lent == net->receive_trains)
        return;
    request = request_get(&state->ring);
    io_uring_prep_recvmsg_multishot(request, net->socket.fd, &state->receive, 0);
    request->flags |= IOSQE_BUFFER_SELECT;
    request->buf_group = GROUP;
    request->user_data = FOR_RECEIVE;
    state->receive_armed = true;
}

/* The first call by the owner thread. liburing 2.3 declares a function for it that its shared
 * library lacks. */
static void uring_enable(struct haul_net_kernel *net)
{
    struct uring_state *state = net->state;

    if (state->enabled)
        return;
    haul_assert(syscall(SYS_io_uring_register, state->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS,
                        NULL, 0) >= 0);
    state->enabled = true;
    receive_arm(net);
    io_uring_submit(&state->ring);
}

/* --- the operations --- */

static size_t uring_receive(struct haul_net_kernel *net, struct haul_train *trains, size_t capacity)
{
    struct uring_state *state = net->state;
    size_t count = 0;

    uring_enable(net);
    if (state->ready_count == 0) {
        completions_take(net);
        if (!state->receive_armed) {
            receive_arm(net);
            io_uring_submit_and_get_events(&state->ring);
            completions_take(net);
        }
    }
    while (count < capacity && state->ready_count > 0) {
        trains[count++] = state->ready[state->ready_first];
        state->ready_first = (state->ready_first + 1) % net->receive_trains;
        state->ready_count--;
        state->lent++;
    }
    return count;
}

static void uring_release(struct haul_net_kernel *net, const struct haul_train *trains,
                          size_t count)
{
    struct uring_state *state = net->state;

    for (size_t i = 0; i < count; i++) {
        haul_assert(state->lent > 0);
        buffer_give(net, state, trains[i].owner, (int)i);
        state->lent--;
    }
    io_uring_buf_ring_advance(state->buffers, (int)count);
}

/* A send with MSG_DONTWAIT has completed when its submission returns; the loop waits for it all the
 * same, because the buffer is the caller's again afterwards. */
static int message_send(struct haul_net_kernel *net, const struct haul_net_envelope *envelope)
{
    struct uring_state *state = net->state;
    struct io_uring_sqe *request = request_get(&state->ring);

    io_uring_prep_sendmsg(request, net->socket.fd, &envelope->message, MSG_DONTWAIT);
    request->user_data = FOR_SEND;
    state->send_done = false;
    io_uring_submit(&state->ring);
    completions_take(net);
    while (!state->send_done) {
        io_uring_submit_and_wait(&state->ring, 1);
        completions_take(net);
    }
    return state->send_result;
}

static size_t uring_transmit(struct haul_net_kernel *net, struct haul_net_envelope *envelopes,
                             size_t count, int *refusal)
{
    uring_enable(net);
    for (size_t i = 0; i < count; i++) {
        int result = message_send(net, &envelopes[i]);

        if (result == -EINTR)
            result = message_send(net, &envelopes[i]);
        if (result < 0) {
            *refusal = -result;
            return i;
        }
    }
    return count;
}

/* One-shot polls, armed again by the next wait after they fired: so a descriptor that is still
 * readable wakes the next wait too. */
static void poll_set(struct uring_state *state, uint32_t index, int fd, unsigned events)
{
    struct uring_poll *poll = &state->polls[index];
    struct io_uring_sqe *request;

    if (poll->armed && poll->fd == fd)
        return;
    if (poll->armed) {
        request = request_get(&state->ring);
        io_uring_prep_poll_remove(request,
                                  (uint64_t)poll->generation << 32 | index << 8 | FOR_POLL);
        request->user_data = FOR_NOTHING;
        poll->armed = false;
    }
    poll->fd = fd;
    if (fd < 0)
        return;
    poll->generation++;
    poll->armed = true;
    request = request_get(&state->ring);
    io_uring_prep_poll_add(request, fd, events);
    request->user_data = (uint64_t)poll->generation << 32 | index << 8 | FOR_POLL;
}

static void uring_wait(struct haul_net_kernel *net, const int *fds, size_t fd_count, haul_time span,
                       bool writable)
{
    struct uring_state *state = net->state;
    struct __kernel_timespec limit = { .tv_sec = (long long)(span / HAUL_SECOND),
                                       .tv_nsec = (long long)(span % HAUL_SECOND) };
    struct io_uring_cqe *completion;

    uring_enable(net);
    completions_take(net);
    if (state->ready_count > 0)
        return;
    receive_arm(net);
    for (uint32_t i = 0; i < HAUL_NET_WAIT_FDS_MAX; i++)
        poll_set(state, i, i < fd_count ? fds[i] : -1, POLLIN);
    poll_set(state, HAUL_NET_WAIT_FDS_MAX, writable ? net->socket.fd : -1, POLLOUT);
    if (span == 0) {
        io_uring_submit_and_get_events(&state->ring);
    } else {
        haul_counter_add(&net->base.counters.waits, 1);
        io_uring_submit_and_wait_timeout(&state->ring, &completion, 1,
                                         span == HAUL_TIME_NEVER ? NULL : &limit, NULL);
    }
    completions_take(net);
}

static int uring_fd(const struct haul_net_kernel *net)
{
    const struct uring_state *state = net->state;

    /* With DEFER_TASKRUN the ring wakes nobody until its owner enters the kernel for it, who is the
     * one that sleeps elsewhere. So long the datagrams lie in the socket. */
    return (state->ring.flags & IORING_SETUP_DEFER_TASKRUN) != 0 ? net->socket.fd
                                                                 : state->ring.ring_fd;
}

static bool uring_ready(const struct haul_net_kernel *net)
{
    const struct uring_state *state = net->state;

    return state->ready_count > 0;
}

const struct haul_net_way haul_net_uring = {
    .name = "uring",
    .open = uring_open,
    .close = uring_close,
    .receive = uring_receive,
    .release = uring_release,
    .transmit = uring_transmit,
    .wait = uring_wait,
    .fd = uring_fd,
    .ready = uring_ready,
};
