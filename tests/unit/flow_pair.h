/* Two flows and a link between them, in memory and in virtual time: for tests of the flow. The link
 * has a delay and a fault hook; it carries datagrams one by one, and joins to trains what arrives
 * at once. */
#pragma once

#include "common/rng.h"
#include "dataplane/flow/flow.h"

#define PAIR_PACKETS     32768u
#define PAIR_PACKET_MAX  8232u
#define PAIR_SLOTS       16u
#define PAIR_TRAIN_BYTES 65000u

struct pair;

struct pair_packet {
    haul_time at; /* of arrival */
    uint64_t order;
    uint32_t bytes;
    uint8_t to; /* side */
    uint8_t ecn;
    struct haul_addr from;
    uint8_t data[PAIR_PACKET_MAX];
};

/* One block on its way from one side to the other. */
struct pair_job {
    uint32_t handle;
    uint32_t offset;
    uint32_t length;
    uint32_t whole;
    bool busy;
    uint8_t *slot;
};

struct pair_side {
    struct haul_flow *flow;
    void *memory;
    struct haul_flow_stats stats;
    struct haul_grant grant;
    struct haul_addr addr;
    struct pair_job jobs[PAIR_SLOTS];
    uint32_t to_ask; /* blocks still to be asked for */
    uint32_t asked;  /* number of the next */
    uint32_t done;   /* arrived and right */
    uint32_t wrong;
    uint32_t refused;
    enum haul_refusal refusal; /* of the last refused want, with its retry_ms */
    uint32_t retry_ms;
    enum haul_status serve_status; /* of the last SERVED */
    uint32_t withdrawn;
    uint32_t wanted; /* WANTED less SERVED */
    uint32_t served;
    bool up;
    bool down;
    enum haul_status down_status;
    bool refuse_all;
    enum haul_refusal refuse_with; /* 0: busy */
    bool hold_verdicts;
    bool hold_serves;
};

struct pair {
    haul_time now;
    haul_time delay;
    struct pair_side side[2];
    uint8_t *source; /* the one megabyte that every block is a rotation of */
    struct pair_packet *packets;
    uint32_t heap[PAIR_PACKETS];
    uint32_t heap_count;
    uint32_t free_packets[PAIR_PACKETS];
    uint32_t free_count;
    uint64_t order;
    uint64_t steps;
    struct haul_rng rng;
    uint32_t block_bytes;
    uint32_t want_length; /* told in the want; 0: unknown */
    uint32_t want_offset;
    const char *broken;
    uint64_t sent; /* datagrams given to the link */
    /* Called for each datagram on its way; may change it, delay it, or say false to drop it. */
    bool (*fault)(struct pair *pair, struct pair_packet *packet);
    uint64_t fault_at;
    uint64_t overflowed; /* datagrams that the link had no room for */
    haul_time inject_delay;
};

struct pair *pair_open(const struct haul_aead *aead, uint64_t seed, uint16_t wants_max,
                       uint16_t payload_max);
void pair_close(struct pair *pair);

/* One step: lets both sides send, then moves time to the next arrival or deadline. */
void pair_step(struct pair *pair);

/* Until both sides have everything they ask for, or `span` of virtual time passed; true if done. */
bool pair_run(struct pair *pair, haul_time span);

/* Puts a packet on the link by hand; it arrives after inject_delay. */
void pair_inject(struct pair *pair, unsigned to, const struct haul_addr *from, const uint8_t *data,
                 uint32_t bytes);
