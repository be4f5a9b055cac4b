/* PCP: one mapping after the other, each under a number of its own, by which the gateway knows that
 * it is we who renew it or give it back. A question is sent twice, 250 ms apart; a gateway
 * that speaks NAT-PMP alone says so at once, an older one nothing. Over IPv6 what is asked for is a
 * hole in the firewall, and the address outside is our own. */
#include "common/counters.h"
#include "controlplane/nat/mapping_parts.h"

#include <string.h>
#include <sys/socket.h>

#define TRIES_MAX 2u
#define FIRST     (250 * HAUL_MILLISECOND)
#define STEPS     2u

static void send_step(struct haul_mapping *mapping)
{
    const struct mapping_port *port = &mapping->ports[mapping->step];
    struct haul_pcp_map map = { .tcp = port->tcp, .inside = port->inside };
    struct haul_out out = haul_out_to(mapping->request, sizeof mapping->request);

    memcpy(map.nonce, port->nonce, sizeof map.nonce);
    map.outside.family = mapping->own.family;
    if (!mapping->releasing) {
        map.seconds = HAUL_MAPPING_LEASE_SECONDS;
        map.outside.port = port->outside != 0 ? port->outside : port->inside;
        if (port->outside != 0)
            memcpy(map.outside.ip, port->external.ip, sizeof map.outside.ip);
    }
    haul_pcp_write_map(&out, &mapping->own, &map);
    /* What is lost is sent again. */
    (void)send(mapping->fd, mapping->request, (size_t)(out.at - mapping->request), MSG_NOSIGNAL);
    mapping_wait(mapping, FIRST << mapping->tries);
    mapping->tries++;
}

static bool has_to_do(const struct haul_mapping *mapping)
{
    const struct mapping_port *port = &mapping->ports[mapping->step];

    return port->inside != 0 && (!mapping->releasing || port->outside != 0);
}

/* This step, or the first behind it that has something to do. Where nothing was mapped, other
 * methods may do better. */
static void step_begin(struct haul_mapping *mapping)
{
    mapping->tries = 0;
    while (mapping->step < STEPS && !has_to_do(mapping))
        mapping->step++;
    if (mapping->step < STEPS)
        send_step(mapping);
    else
        mapping->over(mapping, mapping->releasing || mapping->ports[0].outside != 0 ||
                                   mapping->ports[1].outside != 0);
}

static void answered(struct haul_mapping *mapping, const struct haul_pcp_answer *answer)
{
    struct mapping_port *port = &mapping->ports[mapping->step];
    const struct haul_pcp_map *map = &answer->map;

    if (answer->result == HAUL_PCP_UNSUPPORTED_VERSION) {
        mapping->over(mapping, false);
        return;
    }
    if (map->tcp != port->tcp || map->inside != port->inside ||
        memcmp(map->nonce, port->nonce, sizeof port->nonce) != 0)
        return; /* of another question, or made up */
    mapping_aged(mapping, answer->epoch);
    port->outside = 0;
    if (answer->result == HAUL_PCP_SUCCESS && map->seconds > 0 &&
        map->outside.family == mapping->own.family) {
        port->external = map->outside;
        port->outside = map->outside.port;
        if (map->seconds < mapping->lease_seconds)
            mapping->lease_seconds = map->seconds;
    }
    mapping->step++;
    step_begin(mapping);
}

static void on_ready(void *context, unsigned ready)
{
    struct haul_mapping *mapping = context;
    uint8_t data[HAUL_PCP_BYTES_MAX + 1];
    struct haul_pcp_answer answer;
    size_t bytes;

    (void)ready;
    if (!mapping_heard(mapping, data, sizeof data, &bytes))
        return;
    if (haul_pcp_decode(data, bytes, &answer))
        answered(mapping, &answer);
    else
        haul_counter_add(&mapping->counters.bad_answers, 1);
}

void mapping_pcp_begin(struct haul_mapping *mapping)
{
    struct haul_addr to = mapping->gateway;

    to.port = HAUL_PCP_PORT;
    if (mapping_socket(mapping, SOCK_DGRAM, &to, on_ready, HAUL_LOOP_READ) < 0)
        mapping->over(mapping, false);
    else
        step_begin(mapping);
}

void mapping_pcp_due(struct haul_mapping *mapping)
{
    if (mapping->tries < TRIES_MAX) {
        send_step(mapping);
    } else if (mapping->step == 0 && !mapping->releasing) {
        mapping->over(mapping, false); /* it has not said a word */
    } else {
        mapping->step++;
        step_begin(mapping);
    }
}
