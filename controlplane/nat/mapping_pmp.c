/* NAT-PMP: the external address, then one mapping after the other. A question is sent again after
 * 250 ms, 500 ms and so on, four times; a gateway that does not speak it says nothing. */
#include "common/counters.h"
#include "controlplane/nat/mapping_parts.h"

#include <sys/socket.h>

#define TRIES_MAX 4u
#define FIRST     (250 * HAUL_MILLISECOND)
#define STEPS     3u

/* The port that this step maps; NULL: it asks for the address. */
static struct mapping_port *port_of(struct haul_mapping *mapping)
{
    return mapping->step == 0 ? NULL : &mapping->ports[mapping->step - 1];
}

static void send_step(struct haul_mapping *mapping)
{
    struct mapping_port *port = port_of(mapping);
    struct haul_out out = haul_out_to(mapping->request, sizeof mapping->request);

    if (port == NULL)
        haul_natpmp_write_address(&out);
    else if (mapping->releasing)
        haul_natpmp_write_map(&out, port->tcp ? HAUL_NATPMP_TCP : HAUL_NATPMP_UDP, port->inside, 0,
                              0);
    else
        haul_natpmp_write_map(&out, port->tcp ? HAUL_NATPMP_TCP : HAUL_NATPMP_UDP, port->inside,
                              port->outside != 0 ? port->outside : port->inside,
                              HAUL_MAPPING_LEASE_SECONDS);
    /* What is lost is sent again. */
    (void)send(mapping->fd, mapping->request, (size_t)(out.at - mapping->request), MSG_NOSIGNAL);
    mapping_wait(mapping, FIRST << mapping->tries);
    mapping->tries++;
}

/* The next step that has something to do. */
static void step_next(struct haul_mapping *mapping)
{
    mapping->tries = 0;
    do
        mapping->step++;
    while (mapping->step < STEPS && (port_of(mapping)->inside == 0 ||
                                     (mapping->releasing && port_of(mapping)->outside == 0)));
    if (mapping->step == STEPS)
        mapping->over(mapping, true);
    else
        send_step(mapping);
}

static void answered(struct haul_mapping *mapping, const struct haul_natpmp_answer *answer)
{
    struct mapping_port *port = port_of(mapping);

    if (port == NULL) {
        if (answer->op != HAUL_NATPMP_ADDRESS)
            return;
        if (answer->result != 0) {
            mapping->over(mapping, false);
            return;
        }
        mapping_aged(mapping, answer->epoch);
        mapping->external = answer->external;
    } else {
        if (answer->op != (port->tcp ? HAUL_NATPMP_TCP : HAUL_NATPMP_UDP) ||
            answer->inside != port->inside)
            return; /* of an earlier question */
        mapping_aged(mapping, answer->epoch);
        port->outside = answer->result == 0 && answer->seconds > 0 ? answer->outside : 0;
        if (port->outside != 0 && answer->seconds < mapping->lease_seconds)
            mapping->lease_seconds = answer->seconds;
    }
    step_next(mapping);
}

static void on_ready(void *context, unsigned ready)
{
    struct haul_mapping *mapping = context;
    uint8_t data[HAUL_NATPMP_BYTES_MAX + 1];
    struct haul_natpmp_answer answer;
    size_t bytes;

    (void)ready;
    if (!mapping_heard(mapping, data, sizeof data, &bytes))
        return;
    if (haul_natpmp_decode(data, bytes, &answer))
        answered(mapping, &answer);
    else
        haul_counter_add(&mapping->counters.bad_answers, 1);
}

void mapping_pmp_begin(struct haul_mapping *mapping)
{
    struct haul_addr to = mapping->gateway;

    to.port = HAUL_NATPMP_PORT;
    if (mapping_socket(mapping, SOCK_DGRAM, &to, on_ready, HAUL_LOOP_READ) < 0) {
        mapping->over(mapping, false);
        return;
    }
    if (mapping->releasing)
        step_next(mapping);
    else
        send_step(mapping);
}

void mapping_pmp_due(struct haul_mapping *mapping)
{
    if (mapping->tries < TRIES_MAX)
        send_step(mapping);
    else if (mapping->step == 0)
        mapping->over(mapping, false);
    else
        step_next(mapping); /* the address was told: it may still map the other port */
}
