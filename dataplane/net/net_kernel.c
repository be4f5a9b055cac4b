/* Kernel UDP: one socket, buffers to send from, and a way to move messages. What must be the same
 * for io_uring and recvmmsg/sendmmsg is here: the order of sending, back-pressure, and what to do
 * when a route cannot segment or the socket is full. */
#include "dataplane/net/net_kernel.h"

#include "common/counters.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH         16u   /* messages handed to the kernel at once */
#define REFUSED_RETRY 4096u /* trains after which a route may prove that it segments after all */
#define ALIGNMENT     4096u
#define DATAGRAM_MAX  65507u /* of UDP over IPv4 */

static size_t receive_memory_bytes(const struct haul_net_conf *conf)
{
    size_t bytes = (size_t)conf->receive_trains * HAUL_NET_RECEIVE_BYTES;

    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t haul_net_kernel_bytes(const struct haul_net_conf *conf)
{
    return receive_memory_bytes(conf) + (size_t)conf->send_trains * HAUL_NET_SEND_BYTES;
}

static struct haul_net_kernel *kernel_of(struct haul_net *net)
{
    return (struct haul_net_kernel *)net;
}

static void kernel_close(struct haul_net *base)
{
    struct haul_net_kernel *net = kernel_of(base);

    if (net->state != NULL)
        net->way->close(net);
    haul_net_socket_close(&net->socket);
    free(net->free_send);
    free(net->waiting);
    free(net);
}

static size_t kernel_receive(struct haul_net *base, struct haul_train *trains, size_t capacity)
{
    struct haul_net_kernel *net = kernel_of(base);

    return net->way->receive(net, trains, capacity);
}

static void kernel_release(struct haul_net *base, const struct haul_train *trains, size_t count)
{
    struct haul_net_kernel *net = kernel_of(base);

    net->way->release(net, trains, count);
}

/* --- routes that refuse segmentation --- */

static struct haul_net_refused *refused_find(struct haul_net_kernel *net,
                                             const struct haul_addr *peer)
{
    for (uint32_t i = 0; i < net->refused_count; i++) {
        struct haul_net_refused *entry = &net->refused[i];

        if (entry->peer.family == peer->family && entry->peer.scope == peer->scope &&
            memcmp(entry->peer.ip, peer->ip, sizeof peer->ip) == 0)
            return entry;
    }
    return NULL;
}

static void refused_remember(struct haul_net_kernel *net, const struct haul_addr *peer)
{
    struct haul_net_refused *entry = refused_find(net, peer);

    if (entry == NULL) {
        entry = &net->refused[net->refused_next];
        net->refused_next = (net->refused_next + 1) % HAUL_NET_REFUSED_MAX;
        if (net->refused_count < HAUL_NET_REFUSED_MAX)
            net->refused_count++;
    }
    *entry = (struct haul_net_refused){ .peer = *peer };
}

static bool segmentation_works(struct haul_net_kernel *net, const struct haul_addr *peer)
{
    struct haul_net_refused *entry;

    if (!net->base.facts.gso)
        return false;
    entry = net->refused_count > 0 ? refused_find(net, peer) : NULL;
    return entry == NULL || ++entry->trains % REFUSED_RETRY == 0;
}

/* --- sending --- */

static void train_give(struct haul_net_kernel *net, const struct haul_train *train)
{
    haul_assert(train->owner < net->send_trains && net->free_count < net->send_trains);
    net->free_send[net->free_count++] = (uint16_t)train->owner;
}

static uint32_t datagrams_of(const struct haul_train *train, uint32_t bytes)
{
    return (bytes + train->segment - 1u) / train->segment;
}

static void sent_count(struct haul_net_kernel *net, uint32_t datagrams, uint32_t bytes)
{
    haul_counter_add(&net->base.counters.tx_trains, 1);
    haul_counter_add(&net->base.counters.tx_datagrams, datagrams);
    haul_counter_add(&net->base.counters.tx_bytes, bytes);
}

/* Sends what is left of a train one datagram a message. A datagram that the network refuses is
 * counted and left out, alone: when it is too large for the path, it was a probe. False when the
 * socket is full; `waiting->at` says how far it came. `*full` counts datagrams of the full segment
 * that left. */
static bool train_send_singly(struct haul_net_kernel *net, struct haul_net_waiting *waiting,
                              uint32_t *full)
{
    const struct haul_train *train = &waiting->train;
    struct haul_net_envelope envelopes[BATCH];

    while (waiting->at < train->bytes) {
        uint32_t at = waiting->at;
        size_t count = 0, taken;
        int refusal = 0;

        for (; count < BATCH && at < train->bytes; count++) {
            uint32_t left = train->bytes - at;
            uint32_t bytes = left < train->segment ? left : train->segment;

            haul_net_envelope_write(&envelopes[count], &net->socket, train, at, bytes, false);
            at += bytes;
        }
        taken = net->way->transmit(net, envelopes, count, &refusal);
        for (size_t i = 0; i < taken; i++) {
            uint32_t bytes = (uint32_t)envelopes[i].span.iov_len;

            waiting->at += bytes;
            *full += bytes == train->segment;
            sent_count(net, 1, bytes);
        }
        if (taken == count)
            continue;
        if (refusal == EAGAIN)
            return false;
        waiting->at += (uint32_t)envelopes[taken].span.iov_len;
        haul_counter_add(&net->base.counters.tx_errors, 1);
    }
    return true;
}

/* What the kernel did not take as one piece. EIO: the device does not compute checksums; EINVAL: it
 * cannot segment, or (older kernels) a datagram is larger than its MTU, as EMSGSIZE says too. Only
 * when single datagrams of that size do pass is the route remembered. */
static bool train_send_refused(struct haul_net_kernel *net, struct haul_net_waiting *waiting,
                               int refusal)
{
    const struct haul_train *train = &waiting->train;
    uint32_t full = 0;
    bool done;

    if (refusal == EAGAIN)
        return false;
    if (train->bytes <= train->segment ||
        (refusal != EIO && refusal != EINVAL && refusal != EMSGSIZE && refusal != EOPNOTSUPP)) {
        haul_counter_add(&net->base.counters.tx_errors, datagrams_of(train, train->bytes));
        return true;
    }
    waiting->singly = true;
    done = train_send_singly(net, waiting, &full);
    if (full > 0) {
        refused_remember(net, &train->peer);
        haul_counter_add(&net->base.counters.tx_unsegmented, 1);
    }
    return done;
}

static bool train_send(struct haul_net_kernel *net, struct haul_net_waiting *waiting)
{
    struct haul_net_envelope envelope;
    const struct haul_train *train = &waiting->train;
    bool many = train->bytes > train->segment;
    uint32_t full = 0;
    int refusal = 0;

    if (!waiting->singly && many && !segmentation_works(net, &train->peer)) {
        waiting->singly = true;
        haul_counter_add(&net->base.counters.tx_unsegmented, 1);
    }
    if (waiting->singly)
        return train_send_singly(net, waiting, &full);
    haul_net_envelope_write(&envelope, &net->socket, train, 0, train->bytes, many);
    if (net->way->transmit(net, &envelope, 1, &refusal) == 1) {
        sent_count(net, datagrams_of(train, train->bytes), train->bytes);
        return true;
    }
    return train_send_refused(net, waiting, refusal);
}

/* Sends what waited for room, in order; stops when the socket is full again. */
static void waiting_flush(struct haul_net_kernel *net)
{
    while (net->waiting_count > 0) {
        struct haul_net_waiting *first = &net->waiting[net->waiting_first];

        if (!train_send(net, first))
            return;
        train_give(net, &first->train);
        net->waiting_first = (net->waiting_first + 1) % net->send_trains;
        net->waiting_count--;
    }
}

static void waiting_push(struct haul_net_kernel *net, const struct haul_net_waiting *waiting)
{
    haul_assert(net->waiting_count < net->send_trains);
    net->waiting[(net->waiting_first + net->waiting_count) % net->send_trains] = *waiting;
    net->waiting_count++;
}

/* The common case: a batch of trains that the kernel takes whole. Returns how many it took; the
 * next one needs a closer look. */
static size_t batch_send(struct haul_net_kernel *net, const struct haul_train *trains, size_t count)
{
    struct haul_net_envelope envelopes[BATCH];
    size_t ready = 0, taken;
    int refusal = 0;

    for (; ready < count && ready < BATCH; ready++) {
        const struct haul_train *train = &trains[ready];
        bool many = train->bytes > train->segment;

        if (train->bytes == 0 ||
            (many && (!net->base.facts.gso || refused_find(net, &train->peer) != NULL)))
            break;
        haul_net_envelope_write(&envelopes[ready], &net->socket, train, 0, train->bytes, many);
    }
    taken = ready == 0 ? 0 : net->way->transmit(net, envelopes, ready, &refusal);
    for (size_t i = 0; i < taken; i++) {
        sent_count(net, datagrams_of(&trains[i], trains[i].bytes), trains[i].bytes);
        train_give(net, &trains[i]);
    }
    return taken;
}

static size_t kernel_reserve(struct haul_net *base, struct haul_train *trains, size_t capacity)
{
    struct haul_net_kernel *net = kernel_of(base);
    size_t count = 0;

    waiting_flush(net);
    for (; count < capacity && net->free_count > 0; count++) {
        uint32_t number = net->free_send[--net->free_count];

        trains[count] = (struct haul_train){
            .data = net->send_memory + (size_t)number * HAUL_NET_SEND_BYTES,
            .capacity = net->base.facts.train_bytes_max,
            .owner = number,
        };
    }
    return count;
}

static void kernel_send(struct haul_net *base, const struct haul_train *trains, size_t count)
{
    struct haul_net_kernel *net = kernel_of(base);
    size_t at = 0;

    waiting_flush(net);
    while (at < count) {
        struct haul_net_waiting next = { .train = trains[at] };

        if (net->waiting_count == 0) {
            size_t taken = batch_send(net, trains + at, count - at);

            at += taken;
            if (taken > 0)
                continue;
        }
        haul_assert(next.train.bytes == 0 || next.train.segment > 0);
        if (next.train.bytes == 0 || (net->waiting_count == 0 && train_send(net, &next)))
            train_give(net, &next.train);
        else
            waiting_push(net, &next);
        at++;
    }
}

static void kernel_wait(struct haul_net *base, const int *fds, size_t fd_count, haul_time span)
{
    struct haul_net_kernel *net = kernel_of(base);
    uint32_t waiting = net->waiting_count;

    waiting_flush(net);
    if (net->waiting_count < waiting)
        span = 0; /* a train came back */
    net->way->wait(net, fds, fd_count, span, net->waiting_count > 0);
    waiting_flush(net);
}

static int kernel_fd(const struct haul_net *base)
{
    const struct haul_net_kernel *net = (const struct haul_net_kernel *)base;

    return net->way->fd(net);
}

static bool kernel_ready(const struct haul_net *base)
{
    const struct haul_net_kernel *net = (const struct haul_net_kernel *)base;

    return net->way->ready(net);
}

static const struct haul_net_backend kernel = {
    .close = kernel_close,
    .receive = kernel_receive,
    .release = kernel_release,
    .reserve = kernel_reserve,
    .send = kernel_send,
    .wait = kernel_wait,
    .fd = kernel_fd,
    .ready = kernel_ready,
};

static int way_open(struct haul_net_kernel *net, enum haul_net_kind kind, struct haul_error *error)
{
    struct haul_error refusal = { 0 };

    if (kind != HAUL_NET_MMSG) {
        net->way = &haul_net_uring;
        if (net->way->open(net, kind == HAUL_NET_URING ? error : &refusal) == 0)
            return 0;
        if (kind == HAUL_NET_URING)
            return -1;
        snprintf(net->base.facts.refused, sizeof net->base.facts.refused, "%.*s",
                 (int)sizeof net->base.facts.refused - 1, refusal.text);
    }
    net->way = &haul_net_mmsg;
    return net->way->open(net, error);
}

int haul_net_kernel_open(struct haul_net **opened, const struct haul_net_conf *conf,
                         struct haul_error *error)
{
    struct haul_net_kernel *net;

    haul_assert((uintptr_t)conf->memory % ALIGNMENT == 0);
    net = calloc(1, sizeof *net);
    if (net == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the net");
    net->base.backend = &kernel;
    net->socket.fd = -1;
    net->receive_trains = conf->receive_trains;
    net->send_trains = conf->send_trains;
    net->receive_memory = conf->memory;
    net->send_memory = conf->memory + receive_memory_bytes(conf);
    net->free_send = calloc(conf->send_trains, sizeof *net->free_send);
    net->waiting = calloc(conf->send_trains, sizeof *net->waiting);
    if (net->free_send == NULL || net->waiting == NULL) {
        haul_fail(error, HAUL_E_SYSTEM, "no memory for the net");
        goto fail;
    }
    for (uint32_t i = 0; i < conf->send_trains; i++)
        net->free_send[i] = (uint16_t)(conf->send_trains - 1 - i);
    net->free_count = conf->send_trains;
    if (haul_net_socket_open(&net->socket, conf, &net->base.facts, error) < 0)
        goto fail;
    if (way_open(net, conf->kind, error) < 0)
        goto fail;
    net->base.facts.backend = net->way->name;
    net->base.facts.datagram_max = DATAGRAM_MAX;
    *opened = &net->base;
    return 0;

fail:
    kernel_close(&net->base);
    return -1;
}
