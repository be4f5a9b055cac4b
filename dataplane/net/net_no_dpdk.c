/* Stands in for DPDK where haul was built without it. */
#include "dataplane/net/net_backend.h"

int haul_net_dpdk_open(struct haul_net **net, const struct haul_net_conf *conf,
                       struct haul_error *error)
{
    (void)net;
    return haul_fail(error, HAUL_E_DPDK_ABSENT,
                     "dpdk.device is %s, and this haul was built without DPDK", conf->port->device);
}
