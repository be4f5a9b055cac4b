/* Two data planes in one process, joined over loopback UDP by grants made by hand: what the tests
 * of the data plane share. Each side has workers of its own; the test plays both control planes.
 */
#pragma once

#include "common/synthetic.h"
#include "dataplane/dataplane.h"

#define BLOCKS_MAX 256u
#define EVENTS_MAX 1024u
#define BLOCK      HAUL_BLOCK_BYTES_MAX

/* A block that a side can serve. */
struct offered {
    struct haul_hash hash;
    struct haul_place place;
    uint32_t length;
};

struct side {
    struct haul_dataplane *plane;
    struct haul_handoff *handoff; /* the first worker's */
    char directory[64];
    struct haul_addr addr; /* the first worker's */
    struct haul_addr addrs[HAUL_WORKERS_MAX];
    uint32_t workers;
    struct offered offered[BLOCKS_MAX];
    uint32_t offered_count;
    struct haul_event done[EVENTS_MAX];
    uint32_t done_count;
    uint32_t wanted_count;
    uint32_t up_count;
    uint64_t last_id;
    struct haul_order fetches[EVENTS_MAX]; /* as ordered, by id */
    bool mute;                             /* wants are not answered, but kept */
    struct haul_event kept[64];
    uint32_t kept_count;
    enum haul_refusal says; /* wants are refused with it, unless zero */
};

struct planes {
    struct side a, b;
};

struct setting {
    enum haul_net_kind net;
    enum haul_io_kind io;
    uint32_t slots;   /* a worker has on each side */
    uint32_t workers; /* 0: one */
    bool synthetic;
};

extern struct setting setting; /* of the tests that run now */
extern const struct haul_place discard;
extern const struct haul_place store;

haul_time clock_now(void);
void side_open(struct side *side);
void directory_remove(const char *directory);
void side_close(struct side *side);
struct haul_handoff *side_handoff(const struct side *side, uint32_t flow); /* of its worker */
void side_grant(struct side *side, uint32_t flow, const struct haul_grant *grant,
                const struct side *peer); /* whose addresses become the candidates */
uint64_t side_order(struct side *side, struct haul_order order);
void side_answer(struct side *side, const struct haul_event *wanted);
bool side_drain(struct side *side);
const struct haul_event *side_done(const struct side *side, uint64_t id);
void planes_turn(struct planes *pair);
bool planes_run(struct planes *pair, struct side *side, uint32_t count);
void grants_make_for(struct haul_grant grants[2], uint32_t wants, uint8_t cipher);
void grants_make(struct planes *pair, uint32_t flow, uint32_t wants, uint8_t cipher);
void flow_open(struct planes *pair, uint32_t flow, uint32_t wants);
struct planes *planes_open(void);
void planes_close(struct planes *pair);
struct haul_hash offer_synthetic(struct side *side, uint64_t number, uint32_t length);
struct haul_hash offer_stored(struct planes *pair, struct side *side, uint64_t number,
                              uint32_t length);
uint64_t fetch(struct side *side, uint32_t flow, struct haul_hash hash, uint32_t length,
               struct haul_place place);
void check_status(const struct side *side, uint64_t id, enum haul_status status);
void check_stored(struct planes *pair, struct side *side, struct haul_hash hash, uint64_t number,
                  uint32_t length);
