/* The service: its limits, its list of asks and dials, and whether it serves. */
#include "controlplane/behaviours/autonat.h"

#include "controlplane/behaviours/autonat_parts.h"

#include <stdlib.h>

static const struct haul_ration_limits usual = {
    .total = 60, .per_peer = 12, .per_address = 24, .foreign = 12
};

struct haul_autonat *haul_autonat_open(const struct haul_autonat_conf *conf)
{
    struct haul_autonat *autonat = calloc(1, sizeof *autonat);

    if (autonat == NULL)
        return NULL;
    autonat->conf = *conf;
    autonat->first = &haul_autonat_behaviour;
    autonat->second = &haul_autonat2_behaviour;
    autonat->back = &haul_autonat_back_behaviour;
    if (autonat->conf.pay_wait_max == 0)
        autonat->conf.pay_wait_max = HAUL_AUTONAT_PAY_WAIT;
    else if (autonat->conf.pay_wait_max == HAUL_TIME_NEVER)
        autonat->conf.pay_wait_max = 0;
    if (autonat->conf.read_max == 0)
        autonat->conf.read_max = HAUL_AUTONAT_READ_MAX;
    haul_ration_init(&autonat->ration, conf->limits.total > 0 ? &conf->limits : &usual);
    LIST_INIT(&autonat->ask_list);
    LIST_INIT(&autonat->job_list);
    return autonat;
}

void haul_autonat_close(struct haul_autonat *autonat)
{
    if (autonat == NULL)
        return;
    /* The streams and dials went with the host; what waits for its time is left. */
    while (!LIST_EMPTY(&autonat->job_list))
        autonat_job_free(LIST_FIRST(&autonat->job_list));
    while (!LIST_EMPTY(&autonat->ask_list))
        autonat_ask_free(LIST_FIRST(&autonat->ask_list));
    free(autonat);
}

const struct haul_autonat_counters *haul_autonat_counters(const struct haul_autonat *autonat)
{
    return &autonat->counters;
}

void haul_autonat_serve(struct haul_autonat *autonat, struct haul_host *host, bool serve)
{
    autonat->serves = serve;
    haul_host_hide(host, autonat->first, !serve);
    haul_host_hide(host, autonat->second, !serve);
}

bool haul_autonat_serves(const struct haul_autonat *autonat)
{
    return autonat->serves;
}
