/* What the files of AutoNAT share, from the top: autonat.c is the service, autonat_first.c and
 * autonat_second.c are the streams of the two versions, autonat_ask.c asks, autonat_job.c dials for
 * others, autonat_stream.c reads and writes for all of them. */
#pragma once

#include "common/counters.h"
#include "controlplane/behaviours/autonat.h"
#include "controlplane/host/loop.h"
#include "controlplane/p2p/inbox.h"
#include "controlplane/p2p/nat/autonat_message.h"

#include <sys/queue.h>

struct autonat_ask {
    struct haul_autonat *autonat;
    struct haul_host *host;
    struct haul_stream *stream; /* NULL once it has closed */
    struct haul_timer *timer;
    bool second; /* version 2 */
    bool told, proven;
    bool claimed; /* the server says OK; the number has still to come */
    uint64_t nonce, connection;
    uint64_t pay_left;
    uint8_t part[HAUL_AUTONAT_PAY_PART_MAX + 16]; /* of the payment, being written */
    size_t part_bytes, part_at;
    struct haul_multiaddr address;
    struct haul_addr server;
    haul_autonat_fn *done;
    void *context;
    LIST_ENTRY(autonat_ask) link;
};

/* A dial for a peer. It lives until its dial has ended and its streams are gone. */
struct autonat_job {
    struct haul_autonat *autonat;
    struct haul_host *host;
    struct haul_stream *stream; /* the request's; NULL once it has closed */
    struct haul_timer *timer;
    bool second;
    bool dialling, backing; /* haul_host_dial_anew is under way; a dial-back stream is open */
    bool back_arrived;
    uint64_t nonce, connection;
    uint32_t index;
    struct haul_peer_id peer;
    size_t count;
    struct haul_multiaddr addresses[HAUL_AUTONAT_ADDRESSES_MAX];
    LIST_ENTRY(autonat_job) link;
};

struct haul_autonat {
    struct haul_autonat_conf conf;
    const struct haul_behaviour *first, *second, *back; /* whose streams asks and jobs open */
    struct haul_ration ration;
    struct haul_autonat_counters counters;
    bool serves;
    uint32_t asks, jobs;
    LIST_HEAD(, autonat_ask) ask_list;
    LIST_HEAD(, autonat_job) job_list;
};

/* The state of a stream of either version, in either direction. */
struct autonat_reading {
    struct haul_inbox inbox;
    haul_time ends_at; /* of an inbound one: what is asked must have come by then */
    bool asked;        /* the request has come */
    bool paying;
    uint64_t pay_left;
    struct autonat_job *job; /* inbound, once there is one */
    uint8_t message[HAUL_AUTONAT_MESSAGE_MAX];
};

/* autonat_stream.c: the clock of a host's loop; a stream begins, and is reset where nobody serves;
 * its next whole message; PART also when the stream has been reset. */
haul_time autonat_now(const struct haul_host *host);
void autonat_begin(struct haul_stream *stream);
enum haul_inbox_result autonat_next(struct haul_stream *stream, struct haul_in *in);
bool autonat_send(struct haul_stream *stream, const uint8_t *data, const struct haul_out *out);

/* autonat_ask.c */
void autonat_ask_answered(struct autonat_ask *ask, const struct haul_autonat_message *message);
void autonat_ask_writable(struct autonat_ask *ask);
void autonat_ask_closed(struct autonat_ask *ask);
void autonat_ask_free(struct autonat_ask *ask);
bool autonat_ask_proven(struct haul_autonat *autonat, struct haul_host *host, uint64_t connection,
                        uint64_t nonce);

/* autonat_job.c: may this address be dialled for the peer of that connection, and has it the
 * asker's own IP address? */
bool autonat_may_dial(const struct haul_multiaddr *address, const struct haul_peer_id *peer,
                      const struct haul_connection_facts *asker, bool *own);

/* NULL at a limit. A job dials when told to and answers on its stream. */
struct autonat_job *autonat_job_open(struct haul_autonat *autonat, struct haul_stream *stream);
void autonat_job_dial(struct autonat_job *job, haul_time wait);
void autonat_job_closed(struct autonat_job *job);      /* the request's stream */
void autonat_job_back_closed(struct autonat_job *job); /* the dial-back's stream */
void autonat_job_free(struct autonat_job *job);
