/* One timer: soon after something was heard, otherwise as long as there is something to ask. */
#include "controlplane/nat/reachability.h"

#include "common/log.h"
#include "controlplane/behaviours/identify.h"
#include "controlplane/host/loop.h"
#include "controlplane/p2p/address_book.h"

#include <stdlib.h>
#include <string.h>

#define SOON        (200 * HAUL_MILLISECOND)
#define ASKING      (2 * HAUL_SECOND)  /* while an address is undecided and somebody can be asked */
#define RESTING     (60 * HAUL_SECOND) /* otherwise */
#define PUSH_PAUSE  (5 * HAUL_SECOND)
#define ASKS_A_TURN 2u

enum source { LISTENING, MAPPED, OBSERVED, GUESSED };
static const char *const source_names[] = { "listening", "mapped", "observed", "guessed" };

struct haul_reachability {
    struct haul_reachability_conf conf;
    struct haul_host *host; /* NULL before the start and after the stop */
    struct haul_autonat *autonat;
    struct haul_timer *timer;
    haul_time turn_at, pushed_at;
    bool push_due;
    struct haul_observed observed;
    struct haul_verdicts verdicts;
    uint8_t sources[HAUL_VERDICT_ADDRESSES_MAX]; /* enum source, of each verdict */
    struct haul_multiaddr mapped[HAUL_HOST_TOLD_MAX];
    size_t mapped_count;
    enum haul_reach reach;
};

static haul_time now_of(const struct haul_reachability *reach)
{
    return haul_loop_now(reach->conf.loop);
}

static void turn_in(struct haul_reachability *reach, haul_time span)
{
    haul_time at = haul_time_add(now_of(reach), span);

    if (reach->host == NULL || at >= reach->turn_at)
        return;
    reach->turn_at = at;
    haul_loop_timer_set(reach->timer, at);
}

/* --- what peers say --- */

/* The port that we listen on in this family; 0: none. */
static uint16_t listening_port(const struct haul_host *host, uint8_t family, uint16_t preferred)
{
    struct haul_multiaddr addresses[HAUL_HOST_ADDRESSES_MAX];
    size_t count = haul_host_addresses(host, addresses, HAUL_COUNT_OF(addresses));
    struct haul_addr addr;
    uint16_t port = 0;

    for (size_t i = 0; i < count; i++) {
        if (!haul_multiaddr_tcp(&addresses[i], &addr) || addr.family != family)
            continue;
        if (addr.port == preferred)
            return preferred;
        port = addr.port;
    }
    return port;
}

/* A peer that dialled us, or that we dialled from a port on which we listen, has seen the port that
 * others may dial; of another connection only the address is of use, and the port is a guess. */
static void on_identified(void *context, struct haul_host *host, uint64_t connection,
                          const struct haul_identified *told)
{
    struct haul_reachability *reach = context;
    struct haul_connection_facts facts;
    struct haul_addr seen;
    uint16_t port;

    if (told->observed != NULL && haul_host_facts(host, connection, &facts) && !facts.relayed) {
        seen = *told->observed;
        port = listening_port(host, seen.family, facts.local.port);
        if (port != facts.local.port)
            seen.port = port;
        haul_observed_note(&reach->observed, &seen, port == facts.local.port, &facts.remote,
                           now_of(reach));
    }
    turn_in(reach, SOON);
}

static void on_answer(void *context, const struct haul_multiaddr *address,
                      const struct haul_addr *server, enum haul_autonat_outcome outcome)
{
    struct haul_reachability *reach = context;
    struct haul_verdict *verdict = haul_verdict_find(&reach->verdicts, address);
    static const int8_t points[] = { [HAUL_AUTONAT_PROVEN] = HAUL_VERDICT_PROVEN,
                                     [HAUL_AUTONAT_CLAIMED] = 1,
                                     [HAUL_AUTONAT_FAILED] = -1 };

    if (verdict == NULL || outcome == HAUL_AUTONAT_UNANSWERED)
        return;
    haul_verdict_vote(verdict, haul_verdict_voter(server), points[outcome], now_of(reach));
    turn_in(reach, SOON);
}

/* --- the addresses in question --- */

struct candidates {
    struct haul_multiaddr addresses[HAUL_VERDICT_ADDRESSES_MAX];
    uint8_t sources[HAUL_VERDICT_ADDRESSES_MAX];
    size_t count;
};

static void candidate_add(struct candidates *list, const struct haul_multiaddr *address,
                          enum source source)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->addresses[i].length == address->length &&
            memcmp(list->addresses[i].bytes, address->bytes, address->length) == 0)
            return;
    }
    if (list->count == HAUL_VERDICT_ADDRESSES_MAX)
        return;
    list->addresses[list->count] = *address;
    list->sources[list->count++] = (uint8_t)source;
}

static void candidates_collect(struct haul_reachability *reach)
{
    struct haul_multiaddr own[HAUL_HOST_ADDRESSES_MAX];
    struct haul_observed_address seen[HAUL_OBSERVED_ADDRESSES_MAX];
    struct candidates list = { .count = 0 };
    size_t own_count = haul_host_addresses(reach->host, own, HAUL_COUNT_OF(own));
    size_t seen_count =
        haul_observed_confirmed(&reach->observed, now_of(reach), seen, HAUL_COUNT_OF(seen));

    for (size_t i = 0; i < reach->mapped_count; i++)
        candidate_add(&list, &reach->mapped[i], MAPPED);
    for (size_t i = 0; i < own_count; i++) {
        if (haul_address_fits(&own[i], reach->conf.floor, reach->conf.floor))
            candidate_add(&list, &own[i], LISTENING);
    }
    for (size_t i = 0; i < seen_count; i++) {
        struct haul_multiaddr address;

        memset(&address, 0, sizeof address);
        haul_multiaddr_from_tcp(&address, &seen[i].address);
        candidate_add(&list, &address, seen[i].exact ? OBSERVED : GUESSED);
    }
    haul_verdicts_about(&reach->verdicts, list.addresses, list.count);
    for (size_t i = 0; i < reach->verdicts.count; i++) {
        for (size_t j = 0; j < list.count; j++) {
            if (haul_verdict_find(&reach->verdicts, &list.addresses[j]) ==
                &reach->verdicts.entries[i])
                reach->sources[i] = list.sources[j];
        }
    }
}

/* --- asking --- */

static haul_time newest_vote(const struct haul_verdict *verdict)
{
    haul_time newest = 0;

    for (size_t i = 0; i < HAUL_VERDICT_VOTES_MAX; i++)
        newest = haul_time_max(newest, verdict->votes[i].at);
    return newest;
}

/* Asks one peer that may be asked about this address; false when there is none. */
static bool ask_somebody(struct haul_reachability *reach, struct haul_verdict *verdict)
{
    uint64_t connection = HAUL_HOST_NO_CONNECTION;
    struct haul_connection_facts facts;

    while ((connection = haul_host_next(reach->host, connection)) != HAUL_HOST_NO_CONNECTION) {
        uint64_t voter;

        if (!haul_host_facts(reach->host, connection, &facts) || facts.relayed ||
            !haul_address_fits(&verdict->address, haul_addr_scope(&facts.remote),
                               reach->conf.floor))
            continue;
        voter = haul_verdict_voter(&facts.remote);
        if (!haul_verdict_open(verdict, voter, now_of(reach)) ||
            !haul_autonat_ask(reach->autonat, reach->host, connection, &verdict->address, on_answer,
                              reach))
            continue;
        haul_verdict_ask(verdict, voter, now_of(reach));
        return true;
    }
    return false;
}

/* Whether there is reason to come back soon. */
static bool ask(struct haul_reachability *reach)
{
    unsigned asked = 0;

    for (size_t i = 0; i < reach->verdicts.count && asked < ASKS_A_TURN; i++) {
        struct haul_verdict *verdict = &reach->verdicts.entries[i];

        if (haul_verdict_of(verdict, now_of(reach)) != HAUL_REACH_UNKNOWN &&
            now_of(reach) < haul_time_add(newest_vote(verdict), HAUL_VERDICT_AGAIN))
            continue;
        asked += ask_somebody(reach, verdict);
    }
    return asked > 0;
}

/* --- what follows --- */

static void judge(struct haul_reachability *reach)
{
    size_t public = 0, unreachable = 0;
    enum haul_reach was = reach->reach;

    reach->reach = HAUL_REACH_UNKNOWN;
    for (size_t i = 0; i < reach->verdicts.count; i++) {
        const struct haul_verdict *verdict = &reach->verdicts.entries[i];
        enum haul_reach found = haul_verdict_of(verdict, now_of(reach));

        if (haul_address_reach(&verdict->address) != HAUL_ADDR_PUBLIC)
            continue;
        public++;
        unreachable += found == HAUL_REACH_UNREACHABLE;
        if (found == HAUL_REACH_REACHABLE)
            reach->reach = HAUL_REACH_REACHABLE;
    }
    if (public > 0 && unreachable == public)
        reach->reach = HAUL_REACH_UNREACHABLE;
    if (reach->reach == was)
        return;
    haul_log(HAUL_LOG_INFO, "reachability", "now=%s", haul_reach_name(reach->reach));
    reach->push_due = true;
    if (reach->conf.changed != NULL)
        reach->conf.changed(reach->conf.context, reach->reach);
}

static void tell(struct haul_reachability *reach)
{
    struct haul_multiaddr seen[HAUL_VERDICT_ADDRESSES_MAX], lost[HAUL_VERDICT_ADDRESSES_MAX];
    size_t seen_count = 0, lost_count = 0;
    bool changed;

    for (size_t i = 0; i < reach->verdicts.count; i++) {
        const struct haul_verdict *verdict = &reach->verdicts.entries[i];
        enum haul_reach found = haul_verdict_of(verdict, now_of(reach));

        if (found == HAUL_REACH_UNREACHABLE)
            lost[lost_count++] = verdict->address;
        else if (reach->sources[i] == OBSERVED ||
                 (reach->sources[i] == GUESSED && found == HAUL_REACH_REACHABLE))
            seen[seen_count++] = verdict->address;
    }
    changed = haul_host_tell(reach->host, HAUL_TOLD_OBSERVED, seen, seen_count);
    changed |= haul_host_tell(reach->host, HAUL_TOLD_MAPPED, reach->mapped, reach->mapped_count);
    changed |= haul_host_withhold(reach->host, lost, lost_count);
    reach->push_due |= changed;
    if (reach->push_due && now_of(reach) >= haul_time_add(reach->pushed_at, PUSH_PAUSE)) {
        reach->push_due = false;
        reach->pushed_at = now_of(reach);
        haul_identify_push(reach->host);
    }
}

static void serve(struct haul_reachability *reach)
{
    bool wanted = reach->conf.serve == HAUL_SERVE_ON ||
                  (reach->conf.serve == HAUL_SERVE_AUTO && reach->reach == HAUL_REACH_REACHABLE);

    if (wanted == haul_autonat_serves(reach->autonat))
        return;
    haul_autonat_serve(reach->autonat, reach->host, wanted);
    reach->push_due = true;
}

static void on_timer(void *context)
{
    struct haul_reachability *reach = context;
    bool more;

    reach->turn_at = HAUL_TIME_NEVER;
    candidates_collect(reach);
    more = ask(reach);
    judge(reach);
    serve(reach);
    tell(reach);
    turn_in(reach, reach->push_due ? PUSH_PAUSE : more ? ASKING : RESTING);
}

/* --- the whole --- */

struct haul_reachability *haul_reachability_open(const struct haul_reachability_conf *conf)
{
    struct haul_reachability *reach = calloc(1, sizeof *reach);
    struct haul_autonat_conf autonat = { .context = reach, .identified = on_identified };

    if (reach == NULL)
        return NULL;
    reach->conf = *conf;
    reach->turn_at = HAUL_TIME_NEVER;
    haul_observed_init(&reach->observed);
    reach->autonat = haul_autonat_open(&autonat);
    reach->timer = haul_loop_timer(conf->loop, on_timer, reach);
    if (reach->autonat == NULL || reach->timer == NULL) {
        haul_reachability_close(reach);
        return NULL;
    }
    return reach;
}

void haul_reachability_start(struct haul_reachability *reach, struct haul_host *host)
{
    reach->host = host;
    haul_autonat_serve(reach->autonat, host, reach->conf.serve == HAUL_SERVE_ON);
    turn_in(reach, RESTING);
}

void haul_reachability_stop(struct haul_reachability *reach)
{
    if (reach == NULL)
        return;
    reach->host = NULL;
    haul_loop_timer_set(reach->timer, HAUL_TIME_NEVER);
}

void haul_reachability_close(struct haul_reachability *reach)
{
    if (reach == NULL)
        return;
    haul_loop_timer_free(reach->timer);
    haul_autonat_close(reach->autonat);
    free(reach);
}

struct haul_autonat *haul_reachability_autonat(struct haul_reachability *reach)
{
    return reach->autonat;
}

void haul_reachability_mapped(struct haul_reachability *reach,
                              const struct haul_multiaddr *addresses, size_t count)
{
    reach->mapped_count = count < HAUL_HOST_TOLD_MAX ? count : HAUL_HOST_TOLD_MAX;
    if (reach->mapped_count > 0)
        memcpy(reach->mapped, addresses, reach->mapped_count * sizeof *addresses);
    turn_in(reach, SOON);
}

enum haul_reach haul_reachability_of(const struct haul_reachability *reach)
{
    return reach->reach;
}

bool haul_reachability_fact(const struct haul_reachability *reach, size_t index,
                            struct haul_reachability_fact *fact)
{
    const struct haul_verdict *verdict;

    if (index >= reach->verdicts.count)
        return false;
    verdict = &reach->verdicts.entries[index];
    *fact = (struct haul_reachability_fact){ .address = verdict->address,
                                             .reach = haul_verdict_of(verdict, now_of(reach)),
                                             .points = haul_verdict_points(verdict, now_of(reach)),
                                             .source = source_names[reach->sources[index]] };
    return true;
}

const struct haul_observed *haul_reachability_observed(const struct haul_reachability *reach)
{
    return &reach->observed;
}
