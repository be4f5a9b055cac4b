/* What a datagram backend implements, and what every net has. A backend puts struct haul_net first
 * in its own. Internal to dataplane/net. */
#pragma once

#include "dataplane/net/net.h"

struct haul_net_backend {
    void (*close)(struct haul_net *net);
    size_t (*receive)(struct haul_net *net, struct haul_train *trains, size_t capacity);
    void (*release)(struct haul_net *net, const struct haul_train *trains, size_t count);
    size_t (*reserve)(struct haul_net *net, struct haul_train *trains, size_t capacity);
    void (*send)(struct haul_net *net, const struct haul_train *trains, size_t count);
    void (*wait)(struct haul_net *net, const int *fds, size_t fd_count, haul_time span);
    int (*fd)(const struct haul_net *net);
    bool (*ready)(const struct haul_net *net);
    void (*each)(const struct haul_net *net, haul_net_take_fn *take, void *context); /* or NULL */
};

struct haul_net {
    const struct haul_net_backend *backend;
    struct haul_net_facts facts;
    struct haul_net_counters counters;
};

HAUL_MUST_USE int haul_net_kernel_open(struct haul_net **net, const struct haul_net_conf *conf,
                                       struct haul_error *error);
size_t haul_net_kernel_bytes(const struct haul_net_conf *conf);
HAUL_MUST_USE int haul_net_dpdk_open(struct haul_net **net, const struct haul_net_conf *conf,
                                     struct haul_error *error);
