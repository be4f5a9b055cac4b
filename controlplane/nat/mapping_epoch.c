/* Whether the gateway still knows what it mapped: its answers say how old it is, and one that has
 * begun anew says so unasked, to everybody (RFC 6887, sections 8.5 and 14.1; RFC 6886,
 * sections 3.2.1 and 3.6). Then it is asked for the mappings at once, not when their leases are
 * half over. */
#include "common/counters.h"
#include "common/log.h"
#include "controlplane/nat/mapping_parts.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* As often as this, whatever a neighbour counterfeits. */
void mapping_anew(struct haul_mapping *mapping)
{
    haul_time now = mapping_now(mapping);
    haul_time at = haul_time_max(now, mapping->anew_at);

    mapping->anew_at = haul_time_add(at, HAUL_MAPPING_ANEW_MIN);
    mapping_wait(mapping, at - now);
}

static enum mapping_method method_of(const struct haul_mapping *mapping)
{
    return mapping->running != MAPPING_NONE ? mapping->running : mapping->method;
}

void mapping_aged(struct haul_mapping *mapping, uint32_t epoch)
{
    haul_time now = mapping_now(mapping);
    bool lost = method_of(mapping) == MAPPING_PMP ? haul_epoch_natpmp(&mapping->epoch, epoch, now)
                                                  : haul_epoch_pcp(&mapping->epoch, epoch, now);

    if (!lost || mapping->releasing)
        return;
    haul_counter_add(&mapping->counters.forgotten, 1);
    haul_log(HAUL_LOG_INFO, "port-mapping-forgotten", "epoch=%u", epoch);
    mapping->forgotten = true;
}

/* --- announcements --- */

/* A gateway that nothing could be had from may do better now. */
static void announced(struct haul_mapping *mapping, const uint8_t *data, size_t bytes)
{
    enum mapping_method method = method_of(mapping);
    bool waits = mapping->forgotten && mapping->running == MAPPING_NONE;
    struct haul_natpmp_answer answer;
    uint32_t epoch;

    if (haul_pcp_announce_decode(data, bytes, &epoch)) {
        if (method == MAPPING_PCP)
            mapping_aged(mapping, epoch);
    } else if (haul_natpmp_decode(data, bytes, &answer) && answer.op == HAUL_NATPMP_ADDRESS) {
        if (method == MAPPING_PMP) {
            mapping_aged(mapping, answer.epoch);
            mapping->forgotten |= !haul_addr_equal(&answer.external, &mapping->external);
        }
    } else {
        haul_counter_add(&mapping->counters.bad_answers, 1);
        return;
    }
    haul_counter_add(&mapping->counters.announced, 1);
    mapping->forgotten |= method == MAPPING_NONE;
    if (mapping->forgotten && !waits && mapping->running == MAPPING_NONE)
        mapping_anew(mapping);
}

union place {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool is_gateway(const struct haul_mapping *mapping, const union place *from)
{
    if (mapping->gateway.family == 4)
        return memcmp(&from->v4.sin_addr, mapping->gateway.ip, 4) == 0;
    return mapping->gateway.family == 6 &&
           memcmp(&from->v6.sin6_addr, mapping->gateway.ip, 16) == 0 &&
           (mapping->gateway.scope == 0 || from->v6.sin6_scope_id == mapping->gateway.scope);
}

static void on_news(void *context, unsigned ready)
{
    struct haul_mapping *mapping = context;
    uint8_t data[HAUL_PCP_BYTES_MAX + 1];
    union place from = { 0 };
    socklen_t from_bytes = sizeof from;
    ssize_t got = recvfrom(mapping->news, data, sizeof data, MSG_DONTWAIT, &from.any, &from_bytes);

    (void)ready;
    if (got < 0)
        return;
    if (is_gateway(mapping, &from))
        announced(mapping, data, (size_t)got);
    else
        haul_counter_add(&mapping->counters.foreign_answers, 1);
}

/* Every machine belongs to the groups of all nodes; other programs may hear them beside us. Over
 * IPv4 the socket is bound to the group and hears nothing else. */
static bool hear(int fd, uint8_t family)
{
    const int yes = 1;
    union place place = { 0 };

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0)
        return false;
    if (family == 4) {
        place.v4.sin_family = AF_INET;
        place.v4.sin_port = htons(HAUL_NATPMP_NEWS_PORT);
        place.v4.sin_addr.s_addr = htonl(INADDR_ALLHOSTS_GROUP);
        return bind(fd, &place.any, sizeof place.v4) == 0;
    }
    place.v6.sin6_family = AF_INET6;
    place.v6.sin6_port = htons(HAUL_PCP_NEWS_PORT);
    return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes) == 0 &&
           bind(fd, &place.any, sizeof place.v6) == 0;
}

void mapping_news_open(struct haul_mapping *mapping)
{
    int fd = socket(mapping->conf.family == 6 ? AF_INET6 : AF_INET,
                    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    mapping->news = fd;
    if (fd >= 0 && hear(fd, mapping->conf.family))
        mapping->news_watch =
            haul_loop_watch(mapping->conf.loop, fd, HAUL_LOOP_READ, on_news, mapping);
    if (mapping->news_watch == NULL) {
        haul_log(HAUL_LOG_WARN, "port-mapping-deaf", "family=%u", mapping->conf.family);
        mapping_news_close(mapping);
    }
}

void mapping_news_close(struct haul_mapping *mapping)
{
    haul_loop_unwatch(mapping->news_watch);
    mapping->news_watch = NULL;
    if (mapping->news >= 0)
        close(mapping->news);
    mapping->news = -1;
}
