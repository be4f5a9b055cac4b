/* The net: which backend it is, and the way to it. */
#include "dataplane/net/net.h"

#include "dataplane/net/net_backend.h"

size_t haul_net_bytes(const struct haul_net_conf *conf)
{
    return conf->kind == HAUL_NET_DPDK ? 0 : haul_net_kernel_bytes(conf);
}

int haul_net_open(struct haul_net **net, const struct haul_net_conf *conf, struct haul_error *error)
{
    haul_assert(conf->receive_trains > 0 && conf->receive_trains <= HAUL_NET_TRAINS_MAX);
    haul_assert(conf->send_trains > 0 && conf->send_trains <= HAUL_NET_TRAINS_MAX);
    if (conf->kind == HAUL_NET_DPDK)
        return haul_net_dpdk_open(net, conf, error);
    return haul_net_kernel_open(net, conf, error);
}

void haul_net_close(struct haul_net *net)
{
    if (net != NULL)
        net->backend->close(net);
}

size_t haul_net_receive(struct haul_net *net, struct haul_train *trains, size_t capacity)
{
    return net->backend->receive(net, trains, capacity);
}

void haul_net_release(struct haul_net *net, const struct haul_train *trains, size_t count)
{
    net->backend->release(net, trains, count);
}

size_t haul_net_reserve(struct haul_net *net, struct haul_train *trains, size_t capacity)
{
    return net->backend->reserve(net, trains, capacity);
}

void haul_net_send(struct haul_net *net, const struct haul_train *trains, size_t count)
{
    net->backend->send(net, trains, count);
}

void haul_net_wait(struct haul_net *net, const int *fds, size_t fd_count, haul_time span)
{
    haul_assert(fd_count <= HAUL_NET_WAIT_FDS_MAX);
    net->backend->wait(net, fds, fd_count, span);
}

int haul_net_fd(const struct haul_net *net)
{
    return net->backend->fd(net);
}

bool haul_net_ready(const struct haul_net *net)
{
    return net->backend->ready(net);
}

void haul_net_each(const struct haul_net *net, haul_net_take_fn *take, void *context)
{
    if (net->backend->each != NULL)
        net->backend->each(net, take, context);
}

const struct haul_net_facts *haul_net_facts(const struct haul_net *net)
{
    return &net->facts;
}

const struct haul_net_counters *haul_net_counters(const struct haul_net *net)
{
    return &net->counters;
}
