/* UPnP: look for the gateway's device (SSDP), read its description, then ask it (SOAP), each over a
 * connection of its own that is given so many bytes and so much time. */
#include "common/counters.h"
#include "controlplane/nat/mapping_parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SEARCH_TRIES 3u
#define SEARCH_PAUSE (700 * HAUL_MILLISECOND)
#define EXCHANGE_MAX (3 * HAUL_SECOND)
#define PORT_TRIES   3u  /* other external ports, where ours is taken */
#define ONLY_FOREVER 725 /* error codes of WANIPConnection */
#define PORT_TAKEN   718

enum { SEARCH, DESCRIBE, ADDRESS, PORTS, STEPS = PORTS + 2 };

static void step_begin(struct haul_mapping *mapping);

static struct mapping_port *port_of(struct haul_mapping *mapping)
{
    return &mapping->ports[mapping->step - PORTS];
}

static void step_next(struct haul_mapping *mapping)
{
    mapping->tries = 0;
    do
        mapping->step++;
    while (
        mapping->step >= PORTS && mapping->step < STEPS &&
        (port_of(mapping)->inside == 0 || (mapping->releasing && port_of(mapping)->outside == 0)));
    if (mapping->step == STEPS)
        mapping->over(mapping, true);
    else
        step_begin(mapping);
}

/* A device that cannot be found, described or asked is none; one that refuses a port may map the
 * other. */
static void step_failed(struct haul_mapping *mapping)
{
    if (mapping->step < PORTS) {
        mapping->over(mapping, false);
        return;
    }
    port_of(mapping)->outside = 0;
    step_next(mapping);
}

/* --- finding --- */

static void search_ready(void *context, unsigned ready)
{
    struct haul_mapping *mapping = context;
    struct sockaddr_in from;
    socklen_t from_bytes = sizeof from;
    uint8_t data[1500];
    struct haul_igd_url url;
    ssize_t got = recvfrom(mapping->fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from,
                           &from_bytes);

    (void)ready;
    if (got < 0)
        return;
    /* Anybody may answer, and only the gateway is asked for: at its own address. */
    if (memcmp(&from.sin_addr, mapping->gateway.ip, 4) != 0) {
        haul_counter_add(&mapping->counters.foreign_answers, 1);
        return;
    }
    if (!haul_igd_search_decode(data, (size_t)got, &url)) {
        haul_counter_add(&mapping->counters.bad_answers, 1);
        return;
    }
    if (memcmp(url.addr.ip, mapping->gateway.ip, 4) != 0) {
        haul_counter_add(&mapping->counters.foreign_answers, 1);
        return;
    }
    mapping->description = url;
    step_next(mapping);
}

static void search_send(struct haul_mapping *mapping)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(1900) };
    struct in_addr own;

    to.sin_addr.s_addr = htonl(0xeffffffau); /* 239.255.255.250 */
    memcpy(&own, mapping->own.ip, 4);
    (void)setsockopt(mapping->fd, IPPROTO_IP, IP_MULTICAST_IF, &own, sizeof own);
    for (unsigned version = 1; version <= 2; version++) {
        struct haul_out out = haul_out_to(mapping->request, sizeof mapping->request);

        haul_igd_write_search(&out, version);
        (void)sendto(mapping->fd, mapping->request, (size_t)(out.at - mapping->request),
                     MSG_NOSIGNAL, (const struct sockaddr *)&to, sizeof to);
    }
    mapping->tries++;
    mapping_wait(mapping, SEARCH_PAUSE);
}

static void search_begin(struct haul_mapping *mapping)
{
    struct haul_addr to = mapping->gateway;

    /* The first socket only tells which of our addresses faces the gateway. */
    to.port = HAUL_NATPMP_PORT;
    if (mapping_socket(mapping, SOCK_DGRAM, &to, search_ready, 0) < 0 ||
        mapping_socket(mapping, SOCK_DGRAM, NULL, search_ready, HAUL_LOOP_READ) < 0)
        step_failed(mapping);
    else
        search_send(mapping);
}

/* --- asking --- */

static bool request_write(struct haul_mapping *mapping)
{
    struct haul_out out = haul_out_to(mapping->request, sizeof mapping->request);
    struct haul_igd_mapping wish;

    if (mapping->step == DESCRIBE) {
        haul_igd_write_get(&out, &mapping->description);
    } else if (mapping->step == ADDRESS) {
        haul_igd_write_address(&out, &mapping->service);
    } else if (mapping->releasing) {
        haul_igd_write_delete(&out, &mapping->service, port_of(mapping)->tcp,
                              port_of(mapping)->outside);
    } else {
        struct mapping_port *port = port_of(mapping);

        if (port->outside == 0)
            port->outside = port->inside;
        wish = (struct haul_igd_mapping){ .tcp = port->tcp,
                                          .outside = port->outside,
                                          .inside = port->inside,
                                          .client = &mapping->own,
                                          .seconds =
                                              mapping->permanent ? 0 : HAUL_MAPPING_LEASE_SECONDS };
        haul_igd_write_add(&out, &mapping->service, &wish);
    }
    mapping->request_bytes = (size_t)(out.at - mapping->request);
    mapping->request_at = 0;
    mapping->answer_bytes = 0;
    return !out.bad;
}

/* What the device says when it will not map: another lease or another port may please it. */
static void refused(struct haul_mapping *mapping, const struct haul_http_answer *answer)
{
    struct mapping_port *port = port_of(mapping);
    struct haul_igd_text text;
    uint32_t code = 0;

    if (haul_xml_find(answer->body, answer->body_bytes, "errorCode", &text))
        code = haul_igd_number(&text, &code) ? code : 0;
    if (code == ONLY_FOREVER && !mapping->permanent) {
        mapping->permanent = true;
        step_begin(mapping);
    } else if (code == PORT_TAKEN && mapping->tries++ < PORT_TRIES) {
        /* Upwards from ours, and round before the end. */
        port->outside = port->outside < 65535 ? (uint16_t)(port->outside + 1) : 1025;
        step_begin(mapping);
    } else {
        step_failed(mapping);
    }
}

static void answered(struct haul_mapping *mapping, const struct haul_http_answer *answer)
{
    struct haul_igd_text text;

    if (mapping->step == DESCRIBE) {
        if (answer->status == 200 && haul_igd_describe(answer->body, answer->body_bytes,
                                                       &mapping->description, &mapping->service))
            step_next(mapping);
        else
            step_failed(mapping);
    } else if (mapping->step == ADDRESS) {
        if (answer->status == 200 &&
            haul_xml_find(answer->body, answer->body_bytes, "NewExternalIPAddress", &text) &&
            haul_igd_ip(&text, &mapping->external))
            step_next(mapping);
        else
            step_failed(mapping);
    } else if (answer->status == 200 || mapping->releasing) {
        step_next(mapping);
    } else {
        refused(mapping, answer);
    }
}

static void exchange_bad(struct haul_mapping *mapping)
{
    haul_counter_add(&mapping->counters.bad_answers, 1);
    step_failed(mapping);
}

/* Sends as much of the request as goes; false when the connection is gone. */
static bool request_send(struct haul_mapping *mapping)
{
    ssize_t sent;

    if (mapping->request_at == mapping->request_bytes)
        return true;
    sent = send(mapping->fd, mapping->request + mapping->request_at,
                mapping->request_bytes - mapping->request_at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    mapping->request_at += (size_t)sent;
    if (mapping->request_at == mapping->request_bytes)
        haul_loop_interest(mapping->watch, HAUL_LOOP_READ);
    return true;
}

static void exchange_ready(void *context, unsigned ready)
{
    struct haul_mapping *mapping = context;
    struct haul_http_answer answer;
    enum haul_http_progress progress;
    ssize_t got;

    if (!request_send(mapping)) {
        exchange_bad(mapping);
        return;
    }
    if ((ready & HAUL_LOOP_READ) == 0)
        return;
    if (mapping->answer_bytes == HAUL_IGD_ANSWER_MAX) {
        exchange_bad(mapping);
        return;
    }
    got = recv(mapping->fd, mapping->answer + mapping->answer_bytes,
               HAUL_IGD_ANSWER_MAX - mapping->answer_bytes, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0)
        mapping->answer_bytes += (size_t)got;
    progress = haul_http_read(mapping->answer, mapping->answer_bytes, got <= 0, &answer);
    if (progress == HAUL_HTTP_BAD)
        exchange_bad(mapping);
    else if (progress == HAUL_HTTP_WHOLE)
        answered(mapping, &answer);
}

static void exchange_begin(struct haul_mapping *mapping)
{
    const struct haul_addr *to =
        mapping->step == DESCRIBE ? &mapping->description.addr : &mapping->service.control.addr;

    if (mapping->answer == NULL)
        mapping->answer = malloc(HAUL_IGD_ANSWER_MAX);
    if (mapping->answer == NULL || !request_write(mapping) ||
        mapping_socket(mapping, SOCK_STREAM, to, exchange_ready, HAUL_LOOP_READ | HAUL_LOOP_WRITE) <
            0) {
        step_failed(mapping);
        return;
    }
    mapping->until = haul_time_add(mapping_now(mapping), EXCHANGE_MAX);
    if (mapping->releasing)
        mapping->until = haul_time_min(mapping->until, mapping->release_by);
    haul_loop_timer_set(mapping->timer, mapping->until);
}

static void step_begin(struct haul_mapping *mapping)
{
    if (mapping->step == SEARCH)
        search_begin(mapping);
    else
        exchange_begin(mapping);
}

void mapping_igd_begin(struct haul_mapping *mapping)
{
    if (mapping->releasing) { /* the device is known */
        mapping->step = ADDRESS;
        step_next(mapping);
        return;
    }
    mapping->step = SEARCH;
    step_begin(mapping);
}

void mapping_igd_due(struct haul_mapping *mapping)
{
    if (mapping->step == SEARCH && mapping->tries < SEARCH_TRIES)
        search_send(mapping);
    else if (mapping->step == SEARCH)
        step_failed(mapping);
    else
        exchange_bad(mapping); /* too slow */
}
