/* Stands in for the pipes over DPDK in a program that was built without it. */
#include "perf/pipe.h"

static int absent(struct haul_pipe_end *end, struct haul_error *error)
{
    (void)end;
    return haul_fail(error, HAUL_E_NOT_POSSIBLE, "this program was built without DPDK");
}

const struct haul_pipe haul_pipe_memif = {
    .name = "memif",
    .prepare = absent,
    .receive = absent,
    .send = absent,
};

const struct haul_pipe haul_pipe_vhost = {
    .name = "vhost",
    .prepare = absent,
    .receive = absent,
    .send = absent,
};
