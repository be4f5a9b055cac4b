/* The granter's side: offer in, the flow opened and granted or a refusal out, confirmation in. */
#include "controlplane/behaviours/offer_parts.h"

static void flow_unhold(struct haul_offer_stream *state)
{
    haul_kex_wipe(&state->grant, sizeof state->grant);
    state->held = NULL;
}

/* The flow ended before it was confirmed. One that was not even open ends for the stream was too
 * slow: whatever is still to come of the confirmation, it is not waited for. */
static void flow_ended(void *context, uint32_t flow, enum haul_status why)
{
    struct haul_offer_stream *state = context;
    struct haul_stream *held = state->held;

    (void)why;
    if (state->flow != flow)
        return;
    state->holds = false;
    if (held != NULL) {
        flow_unhold(state);
        haul_stream_reset(held);
    }
}

static bool refuse(struct haul_stream *stream, enum haul_offer_reason reason, uint32_t retry_ms)
{
    struct haul_offer_answer answer = { .reason = reason, .retry_ms = retry_ms };
    struct haul_offers_counters *counters = &haul_offers_of(stream)->counters;
    uint8_t data[64];
    struct haul_out out = haul_out_to(data, sizeof data);

    switch (reason) {
    case HAUL_OFFER_UNKNOWN:
        haul_counter_add(&counters->refused_unknown, 1);
        break;
    case HAUL_OFFER_BUSY:
        haul_counter_add(&counters->refused_busy, 1);
        break;
    case HAUL_OFFER_INCOMPATIBLE:
        haul_counter_add(&counters->refused_incompatible, 1);
        break;
    case HAUL_OFFER_UNAVAILABLE:
        haul_counter_add(&counters->refused_unavailable, 1);
        break;
    }
    haul_offer_answer_write(&out, &answer);
    haul_assert(!out.bad);
    if (!haul_offer_send(stream, data, (size_t)(out.at - data)))
        return false;
    ((struct haul_offer_stream *)haul_stream_state(stream))->confirmed = true;
    haul_offer_close(stream);
    return true;
}

static bool speaks_our_version(const struct haul_offer *offer)
{
    for (uint8_t i = 0; i < offer->wire_version_count; i++) {
        if (offer->wire_versions[i] == HAUL_OFFER_WIRE_VERSION)
            return offer->version == HAUL_OFFER_VERSION;
    }
    return false;
}

/* The asker's first that we have: it opens most of what is sealed. */
static bool pick_cipher(const struct haul_offers *offers, const struct haul_offer *offer,
                        uint8_t *cipher)
{
    for (uint8_t i = 0; i < offer->cipher_count; i++) {
        for (uint8_t j = 0; j < offers->conf.cipher_count; j++) {
            if (offer->ciphers[i] == offers->conf.ciphers[j]) {
                *cipher = offers->conf.ciphers[j];
                return true;
            }
        }
    }
    return false;
}

/* The asker's kind of net where we have it, else the one we have. */
static bool pick_net(const struct haul_offers *offers, const struct haul_offer *offer, uint8_t *via)
{
    *via = offer->via;
    if (!haul_offers_has(offers, (enum haul_via) * via))
        *via = *via == HAUL_VIA_DPDK ? HAUL_VIA_KERNEL : HAUL_VIA_DPDK;
    return haul_offers_has(offers, (enum haul_via) * via);
}

/* What our workers and our limits leave to one transfer. */
static uint32_t flows_of(const struct haul_offers *offers, uint8_t via,
                         const struct haul_connection_facts *facts)
{
    uint32_t flows = haul_offer_flows(offers, via, facts);
    uint32_t limit = haul_grants_of_transfer(offers->conf.grants);

    return flows < limit ? flows : limit;
}

static uint16_t least_wants(const struct haul_offers *offers, const struct haul_offer *offer)
{
    return offer->side.wants_max < offers->conf.wants_max ? (uint16_t)offer->side.wants_max
                                                          : offers->conf.wants_max;
}

/* Everything that a grant is made of while it is made. */
struct making {
    uint8_t via; /* enum haul_via: over which of our nets */
    struct haul_connection_facts facts;
    struct haul_offer offer;
    struct haul_grant_seat seat;
    struct haul_offer_grant grant;
    struct haul_offer_answer answer;
    struct haul_grant flow;
    uint8_t secret_key[HAUL_KEX_BYTES];
};

/* Grant bytes, transcript, signature and keys; false when the asker's key is weak. */
static bool make(struct haul_stream *stream, struct haul_offer_stream *state, struct making *making)
{
    struct haul_offers *offers = haul_offers_of(stream);
    struct haul_out out = haul_out_to(making->answer.grant, sizeof making->answer.grant);
    const struct haul_offer_terms terms = {
        .via = making->via,
        .mine = &making->grant.side,
        .theirs = &making->offer.side,
        .secret_key = making->secret_key,
        .hash = state->hash,
        .wants_max = making->seat.wants_max,
        .payload_max = (uint16_t)making->grant.side.payload_max,
        .cipher = (uint8_t)making->grant.cipher,
    };

    haul_offer_grant_write(&out, &making->grant);
    haul_assert(!out.bad);
    making->answer.granted = true;
    making->answer.grant_bytes = (uint16_t)(out.at - making->answer.grant);
    haul_offer_transcript_hash(
        &(struct haul_offer_transcript){
            .offer = state->inbox.bytes,
            .offer_bytes = state->inbox.length,
            .grant = making->answer.grant,
            .grant_bytes = making->answer.grant_bytes,
            .asker = &making->facts.peer,
            .granter = &offers->conf.key->id,
            .asker_receiver_id = making->offer.side.receiver_id,
            .granter_receiver_id = making->grant.side.receiver_id,
            .cipher = (uint8_t)making->grant.cipher,
        },
        state->hash);
    haul_offer_sign(offers->conf.key, false, state->hash, making->answer.signature);
    return haul_offer_flow(offers, &making->facts, &terms, &making->flow);
}

static bool send_answer(struct haul_stream *stream, const struct haul_offer_answer *answer)
{
    uint8_t data[HAUL_OFFER_BYTES_MAX];
    struct haul_out out = haul_out_to(data, sizeof data);

    haul_offer_answer_write(&out, answer);
    haul_assert(!out.bad);
    return haul_offer_send(stream, data, (size_t)(out.at - data));
}

/* Through a relay both ends are behind gateways, mostly, and a probe that comes before the other
 * end has sent one may spoil the hole it is meant for: it has to wait for the confirmation. */
static void flow_hold(struct haul_stream *stream, struct haul_offer_stream *state,
                      const struct making *making)
{
    state->grant = making->flow;
    state->held = stream;
    haul_grants_hold(haul_offers_of(stream)->conf.grants, state->flow);
}

/* Opens the flow and answers: the flow probes the asker while the answer is on its way. */
static bool grant(struct haul_stream *stream, struct haul_offer_stream *state,
                  struct making *making)
{
    struct haul_offers *offers = haul_offers_of(stream);
    uint32_t flow = making->seat.flow;

    haul_random(offers->conf.random, offers->conf.random_context, making->secret_key,
                sizeof making->secret_key);
    making->grant.version = HAUL_OFFER_VERSION;
    making->grant.wire_version = HAUL_OFFER_WIRE_VERSION;
    making->grant.flows = flows_of(offers, making->via, &making->facts);
    haul_offer_side_fill(offers, making->via, haul_stream_host(stream), &making->facts,
                         &making->seat, making->secret_key, &making->grant.side);
    making->grant.side.payload_max = haul_offer_payload(haul_offer_payload_of(offers, making->via),
                                                        making->offer.side.payload_max);
    if (!make(stream, state, making)) {
        haul_grants_release(offers->conf.grants, flow);
        return false;
    }
    state->flow = flow;
    if (making->facts.relayed) {
        flow_hold(stream, state, making);
    } else if (haul_grants_start(offers->conf.grants, flow, &making->flow)) {
        state->holds = true;
    } else {
        haul_grants_release(offers->conf.grants, flow);
        return refuse(stream, HAUL_OFFER_BUSY, HAUL_GRANTS_RETRY_MS);
    }
    if (!send_answer(stream, &making->answer))
        return false;
    haul_counter_add(&offers->counters.given, 1);
    return true;
}

/* Decides about an offer. What is not shared and what is not there are refused alike. */
static bool decide(struct haul_stream *stream, struct haul_offer_stream *state,
                   struct making *making)
{
    struct haul_offers *offers = haul_offers_of(stream);
    struct haul_grant_holder holder = { .ended = flow_ended, .context = state };
    uint8_t cipher;

    if (!pick_net(offers, &making->offer, &making->via))
        return refuse(stream, HAUL_OFFER_UNAVAILABLE, 0);
    if (!speaks_our_version(&making->offer) || !pick_cipher(offers, &making->offer, &cipher) ||
        making->offer.side.wants_max == 0 ||
        haul_offer_payload(haul_offer_payload_of(offers, making->via),
                           making->offer.side.payload_max) == 0)
        return refuse(stream, HAUL_OFFER_INCOMPATIBLE, 0);
    if (!haul_catalog_allows(offers->conf.catalog, &making->offer.root, &making->facts.peer))
        return refuse(stream, HAUL_OFFER_UNKNOWN, 0);
    holder.peer = making->facts.peer;
    holder.remote = making->facts.remote;
    holder.connection = haul_stream_connection(stream);
    holder.root = making->offer.root;
    holder.beside = making->offer.beside;
    holder.workers = haul_offer_workers(offers, making->via, &making->facts);
    holder.wants_max = least_wants(offers, &making->offer);
    if (haul_grants_reserve(offers->conf.grants, &holder, &making->seat) != HAUL_SEAT_GIVEN)
        return refuse(stream, HAUL_OFFER_BUSY, HAUL_GRANTS_RETRY_MS);
    making->grant.cipher = cipher;
    return grant(stream, state, making);
}

/* The flow that was held probes now, as the asker does half a round trip after its confirmation. */
static bool flow_open(struct haul_offers *offers, struct haul_offer_stream *state)
{
    state->holds = haul_grants_start(offers->conf.grants, state->flow, &state->grant);
    if (!state->holds)
        haul_grants_release(offers->conf.grants, state->flow);
    flow_unhold(state);
    return state->holds;
}

static bool confirm(struct haul_stream *stream, struct haul_offer_stream *state)
{
    struct haul_offers *offers = haul_offers_of(stream);
    const struct haul_inbox *inbox = &state->inbox;
    uint8_t signature[HAUL_KEY_SIGNATURE_BYTES];

    if (state->confirmed || !haul_offer_confirm_read(inbox->bytes, inbox->length, signature))
        return false;
    if (!haul_offer_verify(haul_stream_peer(stream), true, state->hash, signature)) {
        haul_counter_add(&offers->counters.bad_signatures, 1);
        return false;
    }
    state->confirmed = true;
    if (state->held != NULL && !flow_open(offers, state))
        return false;
    if (state->holds) { /* else: the flow has ended meanwhile */
        haul_grants_forget(offers->conf.grants, state->flow);
        haul_grants_confirm(offers->conf.grants, state->flow);
        state->holds = false;
    }
    haul_offer_close(stream);
    return true;
}

bool haul_offer_grant_input(struct haul_stream *stream, struct haul_offer_stream *state)
{
    const struct haul_inbox *inbox = &state->inbox;
    struct making making = { 0 };
    bool good;

    if (state->answered)
        return confirm(stream, state);
    state->answered = true;
    haul_counter_add(&haul_offers_of(stream)->counters.received, 1);
    if (!haul_offer_read(inbox->bytes, inbox->length, &making.offer) ||
        !haul_host_facts(haul_stream_host(stream), haul_stream_connection(stream), &making.facts))
        return false;
    good = decide(stream, state, &making);
    haul_kex_wipe(&making, sizeof making);
    return good;
}

/* A grant that was not confirmed when its stream ended never will be. */
void haul_offer_grant_closed(struct haul_offers *offers, struct haul_offer_stream *state)
{
    if (state->held != NULL) {
        haul_grants_release(offers->conf.grants, state->flow);
        flow_unhold(state);
    }
    if (!state->holds)
        return;
    haul_grants_forget(offers->conf.grants, state->flow);
    haul_grants_end(offers->conf.grants, state->flow);
    state->holds = false;
}
