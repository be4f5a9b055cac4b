/* What both roles say of this node and make of what the other says: addresses, payload, flow. */
#include "controlplane/behaviours/dcutr.h"
#include "controlplane/behaviours/offer_parts.h"

#include <string.h>

static bool is_any(const struct haul_addr *addr)
{
    static const uint8_t zero[16];

    return memcmp(addr->ip, zero, sizeof zero) == 0;
}

static void candidate_push(const struct haul_candidate_rule *rule,
                           const struct haul_addr *candidate, struct haul_offer_side *side)
{
    if (side->candidate_count == HAUL_CANDIDATES_MAX || !haul_candidate_allowed(rule, candidate))
        return;
    for (uint8_t i = 0; i < side->candidate_count; i++) {
        if (haul_addr_equal(&side->candidates[i], candidate))
            return;
    }
    side->candidates[side->candidate_count++] = *candidate;
}

static void candidate_add(const struct haul_offers *offers, const struct haul_candidate_rule *rule,
                          const struct haul_addr *addr, uint32_t worker,
                          struct haul_offer_side *side)
{
    struct haul_addr candidate = *addr;

    candidate.port = offers->conf.udp_ports[worker];
    if (candidate.port == 0)
        candidate.port = offers->conf.udp.port;
    if (candidate.family == 6 && offers->conf.udp.family == 4)
        return;
    candidate_push(rule, &candidate, side);
}

static struct haul_candidate_rule rule_of(const struct haul_offers *offers,
                                          const struct haul_connection_facts *facts)
{
    return (struct haul_candidate_rule){ .control = facts->remote,
                                         .relayed = facts->relayed,
                                         .networks = offers->conf.networks,
                                         .network_count = offers->conf.network_count };
}

/* A gateway forwards to the first worker's port alone. */
uint32_t haul_offer_workers(const struct haul_offers *offers, uint8_t via,
                            const struct haul_connection_facts *facts)
{
    const struct haul_candidate_rule rule = rule_of(offers, facts);

    if (via == HAUL_VIA_DPDK)
        return offers->conf.port_workers != 0 ? offers->conf.port_workers : 1;
    for (size_t i = 0; i < offers->mapped_count; i++) {
        if (haul_candidate_allowed(&rule, &offers->mapped[i]))
            return 1;
    }
    return 0;
}

uint32_t haul_offer_flows(const struct haul_offers *offers, uint8_t via,
                          const struct haul_connection_facts *facts)
{
    uint32_t workers = haul_grants_workers(offers->conf.grants);
    uint32_t eligible = haul_offer_workers(offers, via, facts);
    uint32_t flows = eligible == 0 || eligible > workers ? workers : eligible;

    if (offers->conf.rate_max != 0 || flows > offers->conf.flows_max)
        flows = offers->conf.rate_max != 0 ? 1 : offers->conf.flows_max;
    return flows == 0 ? 1 : flows;
}

/* Where this node may be reached: the end of the control connection first, which works, then where
 * others see it, which works behind a gateway that keeps port numbers, then what else it listens
 * on: as far as the peer, who probes in the kind of network that it sees the connection come from,
 * will use it. */
static void candidates_fill(const struct haul_offers *offers, uint8_t via, uint32_t worker,
                            struct haul_host *host, const struct haul_connection_facts *facts,
                            struct haul_offer_side *side)
{
    const struct haul_candidate_rule rule = rule_of(offers, facts);
    struct haul_multiaddr addresses[HAUL_HOST_ADDRESSES_MAX];
    size_t count = haul_host_addresses(host, addresses, HAUL_COUNT_OF(addresses));
    struct haul_addr seen[2];
    size_t seen_count;

    if (via == HAUL_VIA_DPDK) { /* which the kernel, and so the connection, knows nothing of */
        for (size_t i = 0; i < offers->conf.port_count; i++) {
            struct haul_addr own = offers->conf.ports[i];

            own.port = (uint16_t)(own.port + worker);
            candidate_push(&rule, &own, side);
        }
        return;
    }
    if (!is_any(&offers->conf.udp))
        candidate_add(offers, &rule, &offers->conf.udp, worker, side);
    else if (!facts->relayed)
        candidate_add(offers, &rule, &facts->local, worker, side);
    /* The gateway sends it to us, whatever we are bound to. */
    for (size_t i = 0; i < offers->mapped_count && worker == 0; i++)
        candidate_push(&rule, &offers->mapped[i], side);
    if (!is_any(&offers->conf.udp))
        return;
    seen_count = haul_dcutr_observed(host, HAUL_ADDR_PUBLIC, seen, HAUL_COUNT_OF(seen));
    for (size_t i = 0; i < seen_count; i++)
        candidate_add(offers, &rule, &seen[i], worker, side);
    for (size_t i = 0; i < count; i++) {
        struct haul_addr addr;

        if (haul_multiaddr_tcp(&addresses[i], &addr))
            candidate_add(offers, &rule, &addr, worker, side);
    }
}

bool haul_offers_has(const struct haul_offers *offers, enum haul_via via)
{
    return via == HAUL_VIA_DPDK ? offers->conf.port_count > 0 : offers->conf.udp.port != 0;
}

uint16_t haul_offer_payload_of(const struct haul_offers *offers, uint8_t via)
{
    return via == HAUL_VIA_DPDK ? offers->conf.port_payload_max : offers->conf.payload_max;
}

void haul_offer_side_fill(const struct haul_offers *offers, uint8_t via, struct haul_host *host,
                          const struct haul_connection_facts *facts,
                          const struct haul_grant_seat *seat,
                          const uint8_t secret_key[HAUL_KEX_BYTES], struct haul_offer_side *side)
{
    *side = (struct haul_offer_side){ .receiver_id = seat->local_id,
                                      .payload_max = haul_offer_payload_of(offers, via),
                                      .wants_max = seat->wants_max,
                                      .rate_max = offers->conf.rate_max };
    haul_kex_public(secret_key, side->key);
    candidates_fill(offers, via, seat->worker, host, facts, side);
}

uint16_t haul_offer_payload(uint32_t mine, uint32_t theirs)
{
    uint32_t both = mine < theirs ? mine : theirs;

    if (both > HAUL_OFFER_PAYLOAD_MAX)
        both = HAUL_OFFER_PAYLOAD_MAX;
    return both < HAUL_OFFER_PAYLOAD_MIN ? 0 : (uint16_t)(both / 64 * 64);
}

/* The lower of two ceilings, of which zero is none. */
static uint64_t rate_both(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

bool haul_offer_flow(struct haul_offers *offers, const struct haul_connection_facts *facts,
                     const struct haul_offer_terms *terms, struct haul_grant *grant)
{
    const struct haul_candidate_rule rule = rule_of(offers, facts);
    size_t dropped;

    *grant = (struct haul_grant){
        .local_id = terms->mine->receiver_id,
        .remote_id = terms->theirs->receiver_id,
        .cipher = terms->cipher,
        .congestion = offers->conf.congestion,
        .via = terms->via,
        .asker = terms->asker,
        .wants_max = terms->wants_max,
        .payload_max = terms->payload_max,
        .rate_max = rate_both(offers->conf.rate_max, terms->theirs->rate_max),
    };
    grant->candidate_count = (uint8_t)haul_candidates_choose(&rule, terms->theirs->candidates,
                                                             terms->theirs->candidate_count,
                                                             grant->candidates, &dropped);
    haul_counter_add(&offers->counters.candidates_dropped, dropped);
    return haul_offer_secrets(terms->secret_key, terms->theirs->key, terms->hash, terms->asker,
                              grant->seal_secret, grant->open_secret);
}
