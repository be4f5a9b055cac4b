/* The service, and its table: a stream of ours asks (offer_ask.c), any other grants. */
#include "controlplane/behaviours/offer.h"

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
    .writable = haul_offer_writable,
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
    made->behaviour = &haul_offer_behaviour;
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

void haul_offers_mapped(struct haul_offers *offers, const struct haul_addr *udp, size_t count)
{
    haul_assert(count <= HAUL_OFFERS_MAPPED_MAX);
    offers->mapped_count = count;
    for (size_t i = 0; i < count; i++)
        offers->mapped[i] = udp[i];
}
