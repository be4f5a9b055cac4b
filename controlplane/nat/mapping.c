/* The schedule: a round asks for both ports; after it a wait for the next. */
#include "controlplane/nat/mapping.h"

#include "common/counters.h"
#include "common/log.h"
#include "controlplane/nat/mapping_parts.h"

#include <stdlib.h>
#include <sys/random.h>

#define RETRY_FIRST (30 * HAUL_SECOND)
#define RETRY_MAX   (60 * 60 * HAUL_SECOND)
#define RENEW_LEAST (60 * HAUL_SECOND)

/* --- rounds --- */

static bool any_mapped(const struct haul_mapping *mapping)
{
    return mapping->ports[0].outside != 0 || mapping->ports[1].outside != 0;
}

static void method_begin(struct haul_mapping *mapping, enum mapping_method method)
{
    if (method != mapping->method)
        mapping->epoch = (struct haul_epoch){ 0 };
    mapping->running = method;
    mapping->step = 0;
    mapping->tries = 0;
    mapping->lease_seconds = HAUL_MAPPING_LEASE_SECONDS;
    switch (method) {
    case MAPPING_PCP:
        mapping_pcp_begin(mapping);
        break;
    case MAPPING_PMP:
        mapping_pmp_begin(mapping);
        break;
    case MAPPING_IGD:
        mapping_igd_begin(mapping);
        break;
    case MAPPING_NONE:
        break;
    }
}

/* What to try where a gateway does not speak this one; NONE: nothing is left. Over IPv6 there is
 * PCP alone. */
static enum mapping_method method_behind(const struct haul_mapping *mapping,
                                         enum mapping_method method)
{
    if (mapping->conf.family == 6 || method == MAPPING_IGD)
        return MAPPING_NONE;
    return method == MAPPING_PCP ? MAPPING_PMP : MAPPING_IGD;
}

static void ports_forget(struct haul_mapping *mapping)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(mapping->ports); i++) {
        mapping->ports[i].outside = 0;
        mapping->ports[i].external = (struct haul_addr){ 0 };
    }
}

static void round_end(struct haul_mapping *mapping, bool spoke)
{
    enum mapping_method method = mapping->running;
    haul_time renew = (haul_time)mapping->lease_seconds * HAUL_SECOND / 2;

    mapping_hang_up(mapping);
    free(mapping->answer);
    mapping->answer = NULL;
    mapping->running = MAPPING_NONE;
    if (mapping->releasing) {
        mapping->released = true;
        ports_forget(mapping);
        return;
    }
    if (!spoke) {
        ports_forget(mapping); /* of a gateway that says nothing any more */
        if (!mapping->alone && method_behind(mapping, method) != MAPPING_NONE) {
            method_begin(mapping, method_behind(mapping, method));
            return;
        }
    }
    mapping->method = spoke ? method : MAPPING_NONE;
    if (any_mapped(mapping)) {
        mapping->pause = 0;
        mapping_wait(mapping, haul_time_max(renew, RENEW_LEAST));
    } else {
        haul_counter_add(&mapping->counters.failed_rounds, 1);
        mapping->pause =
            mapping->pause == 0 ? RETRY_FIRST : haul_time_min(2 * mapping->pause, RETRY_MAX);
        mapping_wait(mapping, mapping->pause);
    }
    if (mapping->forgotten)
        mapping_anew(mapping);
    haul_log(HAUL_LOG_DEBUG, "port-mapping", "method=%s tcp=%u udp=%u",
             haul_mapping_method(mapping), mapping->ports[0].outside, mapping->ports[1].outside);
    mapping->conf.changed(mapping->conf.context);
}

/* Another one has an age of its own. */
static bool gateway_find(struct haul_mapping *mapping)
{
    struct haul_addr before = mapping->gateway;
    bool found = mapping_gateway_find(mapping);

    if (!found || !haul_addr_equal(&before, &mapping->gateway))
        mapping->epoch = (struct haul_epoch){ 0 };
    return found;
}

static void round_begin(struct haul_mapping *mapping)
{
    haul_counter_add(&mapping->counters.rounds, 1);
    mapping->forgotten = false;
    mapping->alone = !gateway_find(mapping);
    if (mapping->alone)
        round_end(mapping, false);
    else
        method_begin(mapping, mapping->method == MAPPING_NONE ? MAPPING_PCP : mapping->method);
}

static void on_timer(void *context)
{
    struct haul_mapping *mapping = context;

    if (mapping->releasing && mapping_now(mapping) >= mapping->release_by)
        round_end(mapping, false);
    else if (mapping->running == MAPPING_PCP)
        mapping_pcp_due(mapping);
    else if (mapping->running == MAPPING_PMP)
        mapping_pmp_due(mapping);
    else if (mapping->running == MAPPING_IGD)
        mapping_igd_due(mapping);
    else if (!mapping->released)
        round_begin(mapping);
}

/* --- the whole --- */

static bool nonces_take(struct haul_mapping *mapping)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(mapping->ports); i++) {
        if (getrandom(mapping->ports[i].nonce, HAUL_PCP_NONCE_BYTES, 0) != HAUL_PCP_NONCE_BYTES)
            return false;
    }
    return true;
}

struct haul_mapping *haul_mapping_open(const struct haul_mapping_conf *conf)
{
    struct haul_mapping *mapping = calloc(1, sizeof *mapping);

    if (mapping == NULL)
        return NULL;
    mapping->conf = *conf;
    mapping->over = round_end;
    mapping->fd = -1;
    mapping->news = -1;
    mapping->ports[0] = (struct mapping_port){ .tcp = true, .inside = conf->tcp };
    mapping->ports[1] = (struct mapping_port){ .tcp = false, .inside = conf->udp };
    mapping->timer = haul_loop_timer(conf->loop, on_timer, mapping);
    if (mapping->timer == NULL || !nonces_take(mapping)) {
        haul_loop_timer_free(mapping->timer);
        free(mapping);
        return NULL;
    }
    mapping_news_open(mapping);
    mapping_wait(mapping, 0);
    return mapping;
}

bool haul_mapping_release(struct haul_mapping *mapping)
{
    enum mapping_method method = mapping->method;

    mapping_hang_up(mapping);
    mapping_news_close(mapping);
    mapping->running = MAPPING_NONE;
    mapping->releasing = true;
    mapping->release_by = haul_time_add(mapping_now(mapping), HAUL_MAPPING_RELEASE_MAX);
    haul_loop_timer_set(mapping->timer, HAUL_TIME_NEVER);
    if (!any_mapped(mapping) || method == MAPPING_NONE)
        mapping->released = true;
    else
        method_begin(mapping, method);
    return mapping->released;
}

bool haul_mapping_released(const struct haul_mapping *mapping)
{
    return mapping->released;
}

void haul_mapping_close(struct haul_mapping *mapping)
{
    if (mapping == NULL)
        return;
    mapping_hang_up(mapping);
    mapping_news_close(mapping);
    haul_loop_timer_free(mapping->timer);
    free(mapping->answer);
    free(mapping);
}

bool haul_mapping_external(const struct haul_mapping *mapping, bool tcp, struct haul_addr *addr)
{
    const struct mapping_port *port = &mapping->ports[tcp ? 0 : 1];
    const struct haul_addr *external =
        port->external.family != 0 ? &port->external : &mapping->external;

    if (port->outside == 0 || haul_addr_scope(external) != HAUL_ADDR_PUBLIC)
        return false;
    *addr = *external;
    addr->port = port->outside;
    return true;
}

const char *haul_mapping_method(const struct haul_mapping *mapping)
{
    if (!any_mapped(mapping))
        return "none";
    return mapping->method == MAPPING_PCP   ? "PCP"
           : mapping->method == MAPPING_PMP ? "NAT-PMP"
                                            : "UPnP";
}

const struct haul_mapping_counters *haul_mapping_counters(const struct haul_mapping *mapping)
{
    return &mapping->counters;
}
