/* The port of DPDK that a node's configuration names (dpdk.*), as the data plane takes it. */
#pragma once

#include "common/conf.h"
#include "dataplane/net/net.h"

/* False in `*asked` when the configuration names no device. `conf` is borrowed as long as `port`.
 */
HAUL_MUST_USE int haul_node_port_read(const struct haul_conf *conf, struct haul_net_port *port,
                                      bool *asked, struct haul_error *error);
