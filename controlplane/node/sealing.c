/* The threads that seal and open bulk of streams, and over how many connections gets over streams
 * go, as the configuration wants them. */
#include "controlplane/node/controlplane_parts.h"

#include <sched.h>

#define THREADS_AUTO_MAX 4u

/* A core for each worker and one for the control thread come first; of what is left half, since
 * blocks are hashed and written as well. */
static uint32_t threads_auto(const struct haul_conf *conf)
{
    uint32_t taken = (uint32_t)haul_conf_number(conf, HAUL_CONF_WORKER_COUNT) + 1;
    uint32_t cores, spare;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 0;
    cores = (uint32_t)CPU_COUNT(&set);
    spare = cores > taken ? (cores - taken + 1) / 2 : 0;
    return spare < THREADS_AUTO_MAX ? spare : THREADS_AUTO_MAX;
}

int haul_node_sealing_open(struct haul_controlplane *plane, struct haul_error *error)
{
    const struct haul_conf *conf = plane->conf.conf;
    uint64_t threads = haul_conf_number(conf, HAUL_CONF_STREAM_SEAL_THREADS);
    uint64_t connections = haul_conf_number(conf, HAUL_CONF_STREAM_CONNECTIONS);

    plane->seal_threads = threads == HAUL_CONF_NONE ? threads_auto(conf) : (uint32_t)threads;
    plane->parts.ways_max =
        connections == HAUL_CONF_NONE ? plane->seal_threads : (uint32_t)connections;
    plane->parts.ways = &plane->ways;
    if (plane->seal_threads == 0)
        return 0;
    return haul_helpers_open(&plane->sealing, plane->parts.loop, plane->seal_threads, error);
}

static bool run(void *context, void (*work)(void *job), void (*done)(void *job), void *job)
{
    struct haul_helpers *helpers = context;

    return haul_helpers_run(helpers, haul_helpers_idlest(helpers), work, done, job);
}

struct haul_host_threads haul_node_sealing_threads(const struct haul_controlplane *plane)
{
    if (plane->sealing == NULL)
        return (struct haul_host_threads){ 0 };
    return (struct haul_host_threads){ .run = run, .context = plane->sealing };
}
