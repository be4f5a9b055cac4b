#include "controlplane/behaviours/offer.h"

#include "controlplane/behaviours/dcutr.h"
#include "controlplane/behaviours/offer_parts.h"

#include <stdlib.h>

#define IDLE_MAX (10 * HAUL_SECOND)

/* --- the stream --- */

static void opened(struct haul_stream *stream, void *argument)
{
    haul_time idle_max = haul_offers_of(stream)->conf.idle_max;
    struct haul_offer_stream *state = haul_stream_state(stream);

    (void)argument;
    haul_inbox_init(&state->inbox, state->message, sizeof state->message);
    if (idle_max != 0)
        haul_stream_idle_after(stream, idle_max);
    haul_offer_ask_begin(stream, haul_stream_state(stream));
}

static void writable(struct haul_stream *stream)
{
    struct haul_offer_outbox *outbox =
        &((struct haul_offer_stream *)haul_stream_state(stream))->outbox;

    if (outbox->bytes > 0 && !haul_stream_send(stream, outbox->message, outbox->bytes))
        return; /* writable follows */
    outbox->bytes = 0;
    if (outbox->close)
        haul_stream_close(stream);
}

static size_t input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct haul_offer_stream *state = haul_stream_state(stream);
    struct haul_in in = haul_in_from(data, bytes);
    enum haul_inbox_result result;
    bool good = true;

    while (good && (result = haul_inbox_take(&state->inbox, &in)) != HAUL_INBOX_PART)
        good = result == HAUL_INBOX_WHOLE &&
               (haul_stream_inbound(stream) ? haul_offer_grant_input(stream, state)
                                            : haul_offer_ask_input(stream, state));
    if (!good) {
        haul_counter_add(&haul_offers_of(stream)->counters.malformed, 1);
        haul_stream_reset(stream);
    }
    return bytes;
}

static void ended(struct haul_stream *stream)
{
    haul_offer_close(stream);
}

static void closed(struct haul_stream *stream, enum haul_stream_end end)
{
    struct haul_offer_stream *state = haul_stream_state(stream);

    if (haul_stream_inbound(stream))
        haul_offer_grant_closed(haul_offers_of(stream), state);
    else
        haul_offer_ask_closed(state, end);
}

const struct haul_behaviour haul_offer_behaviour = {
    .protocol = HAUL_OFFER_PROTOCOL,
    .state_bytes = sizeof(struct haul_offer_stream),
    .inbound_per_peer_max = HAUL_OFFER_STREAMS_PER_PEER,
    .outbound_per_peer_max = HAUL_OFFER_STREAMS_PER_PEER,
    .idle_max = IDLE_MAX,
    .opened = opened,
    .input = input,
    .ended = ended,
    .writable = writable,
    .closed = closed,
};

/* --- the service --- */

int haul_offers_open(struct haul_offers **offers, const struct haul_offers_conf *conf,
                     struct haul_error *error)
{
    struct haul_offers *made = calloc(1, sizeof *made);

    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the offers");
    haul_assert(conf->cipher_count <= HAUL_OFFER_LIST_MAX &&
                conf->network_count <= HAUL_NETWORKS_MAX && conf->wants_max > 0);
    made->conf = *conf;
    *offers = made;
    return 0;
}

void haul_offers_close(struct haul_offers *offers)
{
    free(offers);
}

const struct haul_offers_counters *haul_offers_counters(const struct haul_offers *offers)
{
    return &offers->counters;
}

/* --- what both roles say and make --- */

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
                          const struct haul_addr *addr, struct haul_offer_side *side)
{
    struct haul_addr candidate = *addr;

    candidate.port = offers->conf.udp.port;
    if (candidate.family == 6 && offers->conf.udp.family == 4)
        return;
    candidate_push(rule, &candidate, side);
}

void haul_offers_mapped(struct haul_offers *offers, const struct haul_addr *udp)
{
    offers->mapped = udp != NULL ? *udp : (struct haul_addr){ 0 };
}

/* Where this node may be reached: the end of the control connection first, which works, then where
 * others see it, which works behind a gateway that keeps port numbers, then what else it listens
 * on: as far as the peer, who probes in the kind of network that it sees the connection come from,
 * will use it. */
static void candidates_fill(const struct haul_offers *offers, uint8_t via, struct haul_host *host,
                            const struct haul_connection_facts *facts, struct haul_offer_side *side)
{
    const struct haul_candidate_rule rule = { .control = facts->remote,
                                              .relayed = facts->relayed,
                                              .networks = offers->conf.networks,
                                              .network_count = offers->conf.network_count };
    struct haul_multiaddr addresses[HAUL_HOST_ADDRESSES_MAX];
    size_t count = haul_host_addresses(host, addresses, HAUL_COUNT_OF(addresses));
    struct haul_addr seen[2];
    size_t seen_count;

    if (via == HAUL_VIA_DPDK) { /* which the kernel, and so the connection, knows nothing of */
        for (size_t i = 0; i < offers->conf.port_count; i++)
            candidate_push(&rule, &offers->conf.ports[i], side);
        return;
    }
    if (!is_any(&offers->conf.udp)) {
        candidate_add(offers, &rule, &offers->conf.udp, side);
        return;
    }
    if (!facts->relayed)
        candidate_add(offers, &rule, &facts->local, side);
    if (offers->mapped.family != 0)
        candidate_push(&rule, &offers->mapped, side);
    seen_count = haul_dcutr_observed(host, HAUL_ADDR_PUBLIC, seen, HAUL_COUNT_OF(seen));
    for (size_t i = 0; i < seen_count; i++)
        candidate_add(offers, &rule, &seen[i], side);
    for (size_t i = 0; i < count; i++) {
        struct haul_addr addr;

        if (haul_multiaddr_tcp(&addresses[i], &addr))
            candidate_add(offers, &rule, &addr, side);
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
    candidates_fill(offers, via, host, facts, side);
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
    const struct haul_candidate_rule rule = { .control = facts->remote,
                                              .relayed = facts->relayed,
                                              .networks = offers->conf.networks,
                                              .network_count = offers->conf.network_count };
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

/* --- messages on a stream --- */

bool haul_offer_send(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct haul_offers *offers = haul_offers_of(stream);
    struct haul_offer_outbox *outbox =
        &((struct haul_offer_stream *)haul_stream_state(stream))->outbox;
    struct haul_out out = haul_out_to(outbox->message, sizeof outbox->message);

    if (outbox->bytes > 0)
        return false;
    haul_out_uvarint(&out, bytes);
    haul_out_bytes(&out, data, bytes);
    haul_assert(!out.bad);
    outbox->bytes = (uint16_t)(out.at - outbox->message);
    if (haul_stream_send(stream, outbox->message, outbox->bytes))
        outbox->bytes = 0;
    else
        haul_counter_add(&offers->counters.waited, 1);
    return true;
}

void haul_offer_close(struct haul_stream *stream)
{
    struct haul_offer_outbox *outbox =
        &((struct haul_offer_stream *)haul_stream_state(stream))->outbox;

    if (outbox->bytes > 0)
        outbox->close = true;
    else
        haul_stream_close(stream);
}
