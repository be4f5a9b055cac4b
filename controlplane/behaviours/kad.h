/* Kademlia on a stream (libp2p specs, kad-dht): messages with their length before them, requests
 * answered in their order. A node in server mode lists the protocol and answers; one in client mode
 * only asks. What is asked next and what is remembered is the business of controlplane/dht; what is
 * answered, of p2p/kad/server.h. Control thread only. */
#pragma once

#include "controlplane/host/host.h"
#include "controlplane/p2p/kad/server.h"

#define HAUL_KAD_PROTOCOL         "/haul/kad/1.0.0" /* unless the configuration names a prefix */
#define HAUL_KAD_STREAMS_PER_PEER 16u
#define HAUL_KAD_QUESTIONS_MAX    256u
#define HAUL_KAD_ANSWER_WAIT      (10 * HAUL_SECOND)
#define HAUL_KAD_RATE             100u /* requests a second that one stream gets answered */
#define HAUL_KAD_BURST            200u

#define HAUL_KAD_COUNTERS(X)                                                                       \
    X(questions, "requests sent")                                                                  \
    X(answers, "answers received")                                                                 \
    X(unanswered, "requests without an answer in time")                                            \
    X(faulty_answers, "answers that were malformed or too large")                                  \
    X(requests, "requests received")                                                               \
    X(throttled, "times a stream waited because it asked too fast")

struct haul_kad_counters {
#define X(name, help) uint64_t name;
    HAUL_KAD_COUNTERS(X)
#undef X
};

struct haul_kad;

struct haul_kad_conf {
    struct haul_loop *loop;
    struct haul_kad_server *server; /* NULL: client mode */
    void *context;
    /* May be NULL. `serves`: the peer lists the protocol. */
    void (*identified)(void *context, uint64_t connection, const struct haul_identified *told,
                       bool serves);
};

extern const struct haul_behaviour haul_kad_behaviour;

HAUL_MUST_USE int haul_kad_open(struct haul_kad **kad, const struct haul_kad_conf *conf,
                                struct haul_error *error);
/* Server mode from now on, or with NULL client mode: what streams ask then is not answered. Whether
 * the protocol is told is the owner's business (haul_host_hide). */
void haul_kad_server_change(struct haul_kad *kad, struct haul_kad_server *server);
void haul_kad_close(struct haul_kad *kad); /* after the host; NULL is welcome */
const struct haul_kad_counters *haul_kad_counters(const struct haul_kad *kad);

/* Called once: with the answer, borrowed; or with NULL and whether all was written, which is the
 * best that can be known of what has no answer. */
typedef void haul_kad_answer_fn(void *context, const struct haul_kad_message *answer, bool sent);

/* Sends framed messages over a stream of their own; one answer is waited for when `answered`. The
 * bytes are copied. False when nothing could be sent; then `done` is not called. */
struct haul_kad_question;
HAUL_MUST_USE bool haul_kad_ask(struct haul_kad *kad, struct haul_host *host, uint64_t connection,
                                const void *frames, size_t bytes, bool answered,
                                haul_kad_answer_fn *done, void *context);
