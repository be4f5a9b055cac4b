/* The asker's side: offer out, answer in, confirmation out. */
#include "controlplane/behaviours/offer_parts.h"

#include "controlplane/host/loop.h"

#include <stdlib.h>
#include <string.h>

#define HALF_ROUND_MAX (2 * HAUL_SECOND) /* a granter that takes longer is not waited for */

static void ask_free(struct haul_offer_ask *ask)
{
    haul_kex_wipe(ask, sizeof *ask);
    free(ask);
}

/* Gives the seat back unless the flow was started, and tells how it went. */
static void ask_finish(struct haul_offer_ask *ask, const struct haul_offer_result *result)
{
    struct haul_offer_wish wish = ask->wish;

    if (result->code != HAUL_OK)
        haul_grants_release(ask->offers->conf.grants, ask->seat.flow);
    ask_free(ask);
    wish.done(wish.context, result);
}

static void ask_fail(struct haul_offer_ask *ask, enum haul_error_code code)
{
    ask_finish(ask, &(struct haul_offer_result){ .code = code });
}

static bool ciphers_fill(const struct haul_offers *offers, const struct haul_offer_wish *wish,
                         struct haul_offer *offer)
{
    for (uint8_t i = 0; i < offers->conf.cipher_count; i++) {
        if (!wish->one_cipher || offers->conf.ciphers[i] == wish->cipher)
            offer->ciphers[offer->cipher_count++] = offers->conf.ciphers[i];
    }
    return offer->cipher_count > 0;
}

static void offer_fill(struct haul_offer_ask *ask, struct haul_host *host)
{
    struct haul_offers *offers = ask->offers;
    struct haul_out out = haul_out_to(ask->message, sizeof ask->message);

    haul_random(offers->conf.random, offers->conf.random_context, ask->secret_key,
                sizeof ask->secret_key);
    ask->offer.version = HAUL_OFFER_VERSION;
    ask->offer.root = ask->wish.root;
    ask->offer.wire_version_count = 1;
    ask->offer.wire_versions[0] = HAUL_OFFER_WIRE_VERSION;
    ask->offer.via = ask->wish.via;
    ask->offer.beside = ask->wish.beside;
    haul_offer_side_fill(offers, ask->wish.via, host, &ask->facts, &ask->seat, ask->secret_key,
                         &ask->offer.side);
    if (ask->wish.rate_max != 0)
        ask->offer.side.rate_max = ask->wish.rate_max;
    haul_offer_write(&out, &ask->offer);
    haul_assert(!out.bad);
    ask->bytes = (uint16_t)(out.at - ask->message);
}

static int seat_take(struct haul_offer_ask *ask, struct haul_error *error)
{
    const struct haul_offer_wish *wish = &ask->wish;
    const struct haul_grant_holder holder = {
        .peer = ask->facts.peer,
        .remote = ask->facts.remote,
        .root = wish->root,
        .asker = true,
        .beside = wish->beside,
        .wants_max = wish->wants_max != 0 ? wish->wants_max : ask->offers->conf.wants_max,
        .connection = haul_stream_connection(ask->stream),
        .workers = haul_offer_workers(ask->offers, wish->via, &ask->facts),
        .up = wish->up,
        .ended = wish->ended,
        .context = wish->context,
    };

    if (haul_grants_reserve(ask->offers->conf.grants, &holder, &ask->seat) != HAUL_SEAT_GIVEN)
        return haul_fail(error, HAUL_E_LIMIT, "as many flows are open as there may be");
    return 0;
}

/* The ask belongs to its stream from here on: it ends with the stream at the latest. */
struct haul_offer_ask *haul_offer_ask(struct haul_offers *offers, struct haul_host *host,
                                      uint64_t connection, const struct haul_offer_wish *wish,
                                      struct haul_error *error)
{
    struct haul_offer_ask *ask = calloc(1, sizeof *ask);

    if (ask == NULL) {
        haul_fail(error, HAUL_E_SYSTEM, "no memory for an offer");
        return NULL;
    }
    ask->offers = offers;
    ask->wish = *wish;
    if (!haul_offers_has(offers, (enum haul_via)wish->via) ||
        !ciphers_fill(offers, wish, &ask->offer)) {
        haul_fail(error, HAUL_E_CARRIER_FAILED,
                  wish->via == HAUL_VIA_DPDK ? "this node has no port of DPDK (dpdk.device)"
                                             : "this node has no fast path for that");
        ask_free(ask);
        return NULL;
    }
    if (!haul_host_facts(host, connection, &ask->facts)) {
        haul_fail(error, HAUL_E_PEER_GONE, "the connection is gone");
        ask_free(ask);
        return NULL;
    }
    ask->stream = haul_host_stream(host, connection, offers->behaviour, NULL);
    if (ask->stream == NULL) {
        haul_fail(error, HAUL_E_LIMIT, "the connection has as many streams as there may be");
        ask_free(ask);
        return NULL;
    }
    if (seat_take(ask, error) < 0) {
        haul_stream_reset(ask->stream);
        ask_free(ask);
        return NULL;
    }
    offer_fill(ask, host);
    haul_counter_add(&offers->counters.asked, 1);
    ((struct haul_offer_stream *)haul_stream_state(ask->stream))->ask = ask;
    return ask;
}

void haul_offer_cancel(struct haul_offer_ask *ask)
{
    struct haul_offer_stream *state = haul_stream_state(ask->stream);

    state->ask = NULL;
    haul_stream_reset(ask->stream);
    haul_grants_release(ask->offers->conf.grants, ask->seat.flow);
    ask_free(ask);
}

static haul_time now_of(struct haul_stream *stream)
{
    return haul_loop_now(haul_host_loop(haul_stream_host(stream)));
}

void haul_offer_ask_begin(struct haul_stream *stream, struct haul_offer_stream *state)
{
    struct haul_offer_ask *ask = state->ask;

    if (ask == NULL)
        return;
    ask->asked_at = now_of(stream);
    if (!haul_offer_send(stream, ask->message, ask->bytes))
        haul_stream_reset(stream);
}

static bool was_offered(const struct haul_offer *offer, uint32_t cipher)
{
    for (uint8_t i = 0; i < offer->cipher_count; i++) {
        if (offer->ciphers[i] == cipher)
            return true;
    }
    return false;
}

/* Whether the grant keeps to what was offered. */
static bool is_sound(const struct haul_offer_ask *ask, const struct haul_offer_grant *grant)
{
    return grant->version == HAUL_OFFER_VERSION && grant->wire_version == HAUL_OFFER_WIRE_VERSION &&
           was_offered(&ask->offer, grant->cipher) && grant->side.wants_max >= 1 &&
           grant->side.wants_max <= ask->offer.side.wants_max &&
           grant->side.payload_max % 64 == 0 &&
           grant->side.payload_max <= ask->offer.side.payload_max &&
           haul_offer_payload(ask->offer.side.payload_max, grant->side.payload_max) != 0;
}

static void transcript_hash(const struct haul_offer_ask *ask,
                            const struct haul_offer_answer *answer,
                            const struct haul_offer_grant *grant, uint8_t hash[32])
{
    haul_offer_transcript_hash(
        &(struct haul_offer_transcript){
            .offer = ask->message,
            .offer_bytes = ask->bytes,
            .grant = answer->grant,
            .grant_bytes = answer->grant_bytes,
            .asker = &ask->offers->conf.key->id,
            .granter = &ask->facts.peer,
            .asker_receiver_id = ask->offer.side.receiver_id,
            .granter_receiver_id = grant->side.receiver_id,
            .cipher = (uint8_t)grant->cipher,
        },
        hash);
}

static bool confirm(struct haul_stream *stream, const struct haul_offer_ask *ask,
                    const uint8_t hash[32])
{
    uint8_t signature[HAUL_KEY_SIGNATURE_BYTES], data[128];
    struct haul_out out = haul_out_to(data, sizeof data);

    haul_offer_sign(ask->offers->conf.key, true, hash, signature);
    haul_offer_confirm_write(&out, signature);
    haul_assert(!out.bad);
    return haul_offer_send(stream, data, (size_t)(out.at - data));
}

/* As many as both ends have workers for; one under a ceiling of either, which is a flow's. */
static uint32_t flows_of(const struct haul_offer_ask *ask, const struct haul_offer_grant *grant)
{
    uint32_t ours = haul_offer_flows(ask->offers, ask->wish.via, &ask->facts);
    uint32_t both = grant->flows < ours ? grant->flows : ours;

    return both == 0 || grant->side.rate_max != 0 || ask->wish.rate_max != 0 ? 1 : both;
}

/* A granted offer: verify, confirm, open our end. HAUL_OK with the result filled in. */
static enum haul_error_code take_grant(struct haul_stream *stream, struct haul_offer_ask *ask,
                                       const struct haul_offer_answer *answer,
                                       struct haul_offer_result *result)
{
    struct haul_offers *offers = ask->offers;
    struct haul_offer_grant grant;
    struct haul_offer_terms terms = { .via = ask->wish.via, .asker = true };
    struct haul_grant flow;
    uint8_t hash[32];
    bool started;

    if (!haul_offer_grant_read(answer->grant, answer->grant_bytes, &grant) ||
        !is_sound(ask, &grant))
        return HAUL_E_PEER_PROTOCOL;
    transcript_hash(ask, answer, &grant, hash);
    if (!haul_offer_verify(&ask->facts.peer, false, hash, answer->signature)) {
        haul_counter_add(&offers->counters.bad_signatures, 1);
        return HAUL_E_PEER_PROTOCOL;
    }
    terms.mine = &ask->offer.side;
    terms.theirs = &grant.side;
    terms.secret_key = ask->secret_key;
    terms.hash = hash;
    terms.wants_max = (uint16_t)grant.side.wants_max;
    terms.payload_max = (uint16_t)grant.side.payload_max;
    terms.cipher = (uint8_t)grant.cipher;
    if (!haul_offer_flow(offers, &ask->facts, &terms, &flow))
        return HAUL_E_PEER_PROTOCOL;
    if (ask->facts.relayed) /* when the granter has our confirmation, and probes as well */
        flow.probe_after =
            haul_time_min(haul_time_since(ask->asked_at, now_of(stream)) / 2, HALF_ROUND_MAX);
    started =
        confirm(stream, ask, hash) && haul_grants_start(offers->conf.grants, ask->seat.flow, &flow);
    haul_kex_wipe(&flow, sizeof flow);
    if (!started)
        return HAUL_E_LIMIT;
    *result = (struct haul_offer_result){ .flow = ask->seat.flow,
                                          .flows_max = flows_of(ask, &grant),
                                          .wants_max = terms.wants_max,
                                          .payload_max = terms.payload_max,
                                          .cipher = terms.cipher };
    return HAUL_OK;
}

bool haul_offer_ask_input(struct haul_stream *stream, struct haul_offer_stream *state)
{
    const struct haul_inbox *inbox = &state->inbox;
    struct haul_offer_result result = { 0 };
    struct haul_offer_ask *ask = state->ask;
    struct haul_offer_answer answer;

    if (ask == NULL)
        return false; /* a second answer */
    state->ask = NULL;
    if (!haul_offer_answer_read(inbox->bytes, inbox->length, &answer)) {
        ask_fail(ask, HAUL_E_PEER_PROTOCOL);
        return false;
    }
    if (answer.granted) {
        result.code = take_grant(stream, ask, &answer, &result);
    } else {
        result.code = HAUL_E_REFUSED;
        result.reason = answer.reason;
        result.retry_ms = answer.retry_ms;
    }
    if (result.code == HAUL_OK)
        haul_counter_add(&ask->offers->counters.ask_granted, 1);
    else if (result.code == HAUL_E_REFUSED)
        haul_counter_add(&ask->offers->counters.ask_refused, 1);
    if (result.code == HAUL_OK || result.code == HAUL_E_REFUSED)
        haul_offer_close(stream);
    else
        haul_stream_reset(stream);
    ask_finish(ask, &result);
    return true;
}

void haul_offer_ask_closed(struct haul_offer_stream *state, enum haul_stream_end end)
{
    struct haul_offer_ask *ask = state->ask;

    if (ask == NULL)
        return;
    state->ask = NULL;
    switch (end) {
    case HAUL_STREAM_DONE:
    case HAUL_STREAM_RESET:
        ask_fail(ask, HAUL_E_PEER_PROTOCOL);
        return;
    case HAUL_STREAM_REFUSED:
        ask_fail(ask, HAUL_E_CARRIER_FAILED);
        return;
    case HAUL_STREAM_LOST:
        ask_fail(ask, HAUL_E_PEER_GONE);
        return;
    case HAUL_STREAM_LIMIT:
        ask_fail(ask, HAUL_E_TIMEOUT);
        return;
    }
}
