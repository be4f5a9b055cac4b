/* Inside of /haul/offer/1, from the top: offer.c is the service, offer_ask.c and offer_grant.c are
 * the roles, offer_side.c is what both say and make, offer_outbox.c sends it. */
#pragma once

#include "controlplane/behaviours/offer.h"
#include "controlplane/grants/offer_keys.h"
#include "controlplane/p2p/inbox.h"

struct haul_offers {
    const struct haul_behaviour *behaviour; /* whose streams an ask opens */
    struct haul_offers_conf conf;
    struct haul_offers_counters counters;
    struct haul_addr mapped[HAUL_OFFERS_MAPPED_MAX];
    size_t mapped_count;
};

/* A message that waits for room on the connection, which the bulk of other streams may have filled.
 */
struct haul_offer_outbox {
    bool close;     /* our half, behind the message */
    uint16_t bytes; /* 0: nothing waits */
    uint8_t message[2 + HAUL_OFFER_BYTES_MAX];
};

/* State of a stream, in either role; zeroed at first. */
struct haul_offer_stream {
    struct haul_offer_ask *ask; /* asker: until it is done */
    bool answered;              /* granter: the offer was */
    bool confirmed;             /* granter: nothing more is expected */
    bool holds;                 /* granter: `flow` is open and waits for its confirmation */
    struct haul_stream *held;   /* granter, through a relay: itself until `flow` is opened, which */
    struct haul_grant grant;    /* its confirmation does, with this; wiped when it is over */
    uint32_t flow;
    uint8_t hash[32]; /* granter: of the transcript */
    struct haul_inbox inbox;
    uint8_t message[HAUL_OFFER_BYTES_MAX]; /* of the inbox */
    struct haul_offer_outbox outbox;
};

struct haul_offer_ask {
    struct haul_offers *offers;
    struct haul_stream *stream;
    struct haul_offer_wish wish;
    struct haul_connection_facts facts;
    struct haul_grant_seat seat;
    struct haul_offer offer;
    haul_time asked_at;
    uint8_t secret_key[HAUL_KEX_BYTES];
    uint16_t bytes; /* of the offer below, which both sides hash */
    uint8_t message[HAUL_OFFER_BYTES_MAX];
};

static inline struct haul_offers *haul_offers_of(const struct haul_stream *stream)
{
    return haul_stream_service(stream);
}

/* offer_side.c: the largest payload class of one of our nets. */
uint16_t haul_offer_payload_of(const struct haul_offers *offers, uint8_t via);

/* On how many of our workers, from the first, a flow with that peer may run; 0: on any. */
uint32_t haul_offer_workers(const struct haul_offers *offers, uint8_t via,
                            const struct haul_connection_facts *facts);

/* How many flows a transfer with that peer may have over that net, each on a worker of its own
 * here. One under a ceiling of the rate, which is a flow's. */
uint32_t haul_offer_flows(const struct haul_offers *offers, uint8_t via,
                          const struct haul_connection_facts *facts);

/* What this node says about itself in an offer or a grant: key, receiver id, limits, addresses. */
void haul_offer_side_fill(const struct haul_offers *offers, uint8_t via, struct haul_host *host,
                          const struct haul_connection_facts *facts,
                          const struct haul_grant_seat *seat,
                          const uint8_t secret_key[HAUL_KEX_BYTES], struct haul_offer_side *side);

/* The largest payload class that both take, or 0 when that is too small. */
uint16_t haul_offer_payload(uint32_t mine, uint32_t theirs);

/* What the worker is given; false when the peer's key is weak. Wiped by the caller. */
struct haul_offer_terms {
    uint8_t via; /* enum haul_via: our net */
    const struct haul_offer_side *mine, *theirs;
    const uint8_t *secret_key;
    const uint8_t *hash;
    uint16_t wants_max;
    uint16_t payload_max;
    uint8_t cipher;
    bool asker;
};
HAUL_MUST_USE bool haul_offer_flow(struct haul_offers *offers,
                                   const struct haul_connection_facts *facts,
                                   const struct haul_offer_terms *terms, struct haul_grant *grant);

/* offer_outbox.c: sends a message with its length in front, as soon as there is room for it. One at
 * a time: each side's next follows the other's answer, so a peer that makes one wait for another is
 * at fault (false). */
HAUL_MUST_USE bool haul_offer_send(struct haul_stream *stream, const uint8_t *data, size_t bytes);
void haul_offer_close(struct haul_stream *stream); /* our half, behind what waits */
void haul_offer_writable(struct haul_stream *stream);

/* offer_ask.c and offer_grant.c: a stream of that role. A message that was not understood, or has
 * no place now, makes input return false: the stream is reset. */
void haul_offer_ask_begin(struct haul_stream *stream, struct haul_offer_stream *state);
bool haul_offer_ask_input(struct haul_stream *stream, struct haul_offer_stream *state);
void haul_offer_ask_closed(struct haul_offer_stream *state, enum haul_stream_end end);
bool haul_offer_grant_input(struct haul_stream *stream, struct haul_offer_stream *state);
void haul_offer_grant_closed(struct haul_offers *offers, struct haul_offer_stream *state);
