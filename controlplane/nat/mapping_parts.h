/* What the files of the port mapping share, from the top: mapping.c has the schedule; mapping_pcp.c
 * speaks PCP, mapping_pmp.c NAT-PMP, mapping_igd.c finds and asks an Internet gateway device;
 * mapping_epoch.c notices when the gateway has forgotten; mapping_exchange.c is what they speak
 * through, mapping_gateway.c says with whom. One exchange runs at a time. */
#pragma once

#include "controlplane/host/loop.h"
#include "controlplane/nat/mapping.h"
#include "controlplane/p2p/nat/epoch.h"
#include "controlplane/p2p/nat/igd.h"
#include "controlplane/p2p/nat/natpmp.h"
#include "controlplane/p2p/nat/pcp.h"

/* In the order in which they are tried. */
enum mapping_method { MAPPING_NONE, MAPPING_PCP, MAPPING_PMP, MAPPING_IGD };

struct mapping_port {
    bool tcp;
    uint16_t inside;  /* 0: not wanted */
    uint16_t outside; /* 0: not mapped */
    uint8_t nonce[HAUL_PCP_NONCE_BYTES];
    struct haul_addr external; /* PCP: at which address, as it may differ from the other port's */
};

struct haul_mapping {
    struct haul_mapping_conf conf;
    struct haul_mapping_counters counters;
    /* A method calls it behind its last step; `spoke`: the gateway does speak it. */
    void (*over)(struct haul_mapping *mapping, bool spoke);
    struct haul_timer *timer;
    struct mapping_port ports[2];
    enum mapping_method method; /* that worked last */
    enum mapping_method running;
    bool releasing, released;
    bool alone;                    /* there is no gateway */
    struct haul_addr gateway, own; /* own: our address towards the gateway */
    struct haul_addr external;
    haul_time release_by, pause;
    uint32_t lease_seconds; /* the shortest of this round */

    struct haul_epoch epoch; /* of that gateway, in that method */
    bool forgotten;          /* since it was asked last */
    haul_time anew_at;       /* not before: it is asked out of turn */
    int news;                /* socket of what it announces; -1: none */
    struct haul_watch *news_watch;

    /* The exchange that runs. */
    int fd;
    struct haul_watch *watch;
    unsigned step;   /* which of the round's */
    unsigned tries;  /* of this step */
    haul_time until; /* when the step has failed */
    uint8_t request[HAUL_IGD_REQUEST_BYTES];
    size_t request_bytes, request_at;
    char *answer; /* HAUL_IGD_ANSWER_MAX bytes while a device is asked over HTTP */
    size_t answer_bytes;
    struct haul_igd_url description;
    struct haul_igd_service service;
    bool permanent; /* the device gives no leases */
};

/* mapping_exchange.c */
void mapping_wait(struct haul_mapping *mapping, haul_time span);
haul_time mapping_now(const struct haul_mapping *mapping);
void mapping_hang_up(struct haul_mapping *mapping); /* closes the exchange's socket */
int mapping_socket(struct haul_mapping *mapping, int kind, const struct haul_addr *to,
                   haul_watch_fn *ready, unsigned interest);
/* The next datagram. False: there is none, or nobody listens at the gateway: the method is over. */
bool mapping_heard(struct haul_mapping *mapping, uint8_t *data, size_t capacity, size_t *bytes);

/* mapping_epoch.c: what an answer says of the gateway's age. */
void mapping_aged(struct haul_mapping *mapping, uint32_t epoch);
void mapping_anew(struct haul_mapping *mapping); /* has the next round soon */
/* Hears what gateways announce; where that cannot be heard, answers must do. */
void mapping_news_open(struct haul_mapping *mapping);
void mapping_news_close(struct haul_mapping *mapping);

/* mapping_gateway.c: the gateway, and over IPv6 our own address; false: there is none. */
bool mapping_gateway_find(struct haul_mapping *mapping);

/* The methods: begin a round, and what the timer does while it runs. */
void mapping_pcp_begin(struct haul_mapping *mapping);
void mapping_pcp_due(struct haul_mapping *mapping);
void mapping_pmp_begin(struct haul_mapping *mapping);
void mapping_pmp_due(struct haul_mapping *mapping);
void mapping_igd_begin(struct haul_mapping *mapping);
void mapping_igd_due(struct haul_mapping *mapping);
