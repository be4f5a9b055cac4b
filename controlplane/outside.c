/* How the node looks from outside: what peers see of it, and whether they can dial it. */
#include "common/counters.h"
#include "controlplane/controlplane_parts.h"
#include "controlplane/nat/reachability.h"

#include <stdio.h>

int haul_outside_open(struct haul_controlplane *plane, struct haul_error *error)
{
    const struct haul_conf *conf = plane->conf.conf;
    const struct haul_reachability_conf reach = {
        .loop = plane->parts.loop,
        .serve = haul_conf_is(conf, HAUL_CONF_NAT_SERVE, "on")    ? HAUL_SERVE_ON
                 : haul_conf_is(conf, HAUL_CONF_NAT_SERVE, "off") ? HAUL_SERVE_OFF
                                                                  : HAUL_SERVE_AUTO,
        .floor = HAUL_ADDR_PRIVATE,
    };

    plane->reach = haul_reachability_open(&reach);
    return plane->reach != NULL ? 0 : haul_fail(error, HAUL_E_SYSTEM, "no memory for reachability");
}

void haul_outside_start(struct haul_controlplane *plane)
{
    haul_reachability_start(plane->reach, plane->parts.host);
}

void haul_outside_stop(struct haul_controlplane *plane)
{
    haul_reachability_stop(plane->reach);
}

void haul_outside_close(struct haul_controlplane *plane)
{
    haul_reachability_close(plane->reach);
    plane->reach = NULL;
}

void haul_outside_facts(const struct haul_controlplane *plane, const struct haul_facts *facts)
{
    const struct haul_autonat *autonat = haul_reachability_autonat(plane->reach);
    const struct haul_autonat_counters *counters = haul_autonat_counters(autonat);
    const struct haul_observed *observed = haul_reachability_observed(plane->reach);
    struct haul_reachability_fact fact;

    haul_facts_text(facts, "reachability", "node",
                    haul_reach_name(haul_reachability_of(plane->reach)), "by peers elsewhere");
    haul_facts_flag(facts, "reachability", "serves", haul_autonat_serves(autonat),
                    "dials peers that ask whether they can be reached");
    for (size_t i = 0; haul_reachability_fact(plane->reach, i, &fact); i++) {
        char address[HAUL_MULTIADDR_TEXT_BYTES];
        char text[HAUL_MULTIADDR_TEXT_BYTES + 64];

        haul_multiaddr_print(&fact.address, address);
        snprintf(text, sizeof text, "%s %s confidence=%d source=%s", address,
                 haul_reach_name(fact.reach), fact.points, fact.source);
        haul_facts_text(facts, "reachability", "address", text, "");
    }
#define X(name, help)                                                                              \
    haul_facts_number(facts, "reachability", #name, observed->counters.name, help);
    HAUL_OBSERVED_COUNTERS(X)
#undef X
#define X(name, help)                                                                              \
    haul_facts_number(facts, "reachability", #name, haul_counter_read(&counters->name), help);
    HAUL_AUTONAT_COUNTERS(X)
#undef X
}
