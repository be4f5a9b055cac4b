/* What a driver means that refuses a port: DPDK's own words seldom say it, and never what to do.
 * Control thread. Internal to dataplane/net/dpdk. */
#pragma once

#include "dataplane/net/dpdk/port.h"

/* Fails with `what` that was refused with the negative errno `code`, with what DPDK complained
 * about since it was asked last, and with what helps as far as that is known. Returns -1. */
int haul_port_refused(const struct haul_port *port, const struct haul_net_port *conf,
                      const char *what, int code, struct haul_error *error);
