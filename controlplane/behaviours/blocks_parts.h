/* The inside of /haul/blocks/1: blocks.c is the service, blocks_answer.c answers, blocks_client.c
 * asks. */
#pragma once

#include "controlplane/behaviours/blocks.h"

#include <sys/queue.h>

#define BLOCKS_ANSWERS 256u /* of all streams together */
#define BLOCKS_AHEAD   4u   /* slots that one stream may hold */
#define BLOCKS_NO_SLOT UINT32_MAX

enum answer_state {
    ANSWER_FREE,
    ANSWER_WAITING, /* for a slot or for room among the orders */
    ANSWER_READING,
    ANSWER_READY,
};

/* A request from its arrival to its last byte. Outlives its stream while the worker reads. */
struct blocks_answer {
    enum answer_state state;
    struct haul_blocks *blocks;
    struct haul_stream *stream; /* NULL: the stream is gone */
    struct haul_peer_id peer;
    struct haul_blocks_request request;
    struct haul_place place;
    uint32_t slot;
    uint8_t header[HAUL_BLOCKS_ANSWER_BYTES];
    uint32_t offset;
    uint32_t count;
    uint32_t sent; /* header and bytes */
};

/* Kept by the host for each stream. */
struct blocks_stream {
    uint8_t part[HAUL_BLOCKS_REQUEST_BYTES];
    uint32_t part_bytes;
    uint32_t head;
    uint32_t count;
    uint16_t line[HAUL_BLOCKS_ANSWERS_MAX]; /* numbers of answers, oldest first */
    bool listed;
    bool ended;
    bool held; /* has requests that were not taken */
    LIST_ENTRY(blocks_stream) link;
    struct haul_stream *stream;
};

struct haul_blocks {
    const struct haul_behaviour *behaviour; /* whose streams a client opens */
    struct haul_orders *orders;
    const struct haul_catalog *catalog;
    uint32_t slots_held;
    uint32_t slots_max;
    haul_time patience; /* HAUL_BLOCKS_PATIENCE; shorter in tests */
    struct haul_blocks_counters counters;
    LIST_HEAD(, blocks_stream) streams; /* those that answer */
    struct blocks_answer answers[BLOCKS_ANSWERS];
};

/* blocks_answer.c: streams of peers. */
void blocks_answer_opened(struct haul_stream *stream);
size_t blocks_answer_input(struct haul_blocks *blocks, struct blocks_stream *line,
                           const uint8_t *data, size_t bytes);
void blocks_answer_writable(struct haul_blocks *blocks, struct blocks_stream *line);
void blocks_answer_ended(struct haul_blocks *blocks, struct blocks_stream *line);
void blocks_answer_closed(struct haul_blocks *blocks, struct blocks_stream *line);

/* blocks_client.c: streams of ours. */
void blocks_client_opened(struct haul_stream *stream, struct haul_blocks_client *client);
size_t blocks_client_input(struct haul_blocks_client *client, const uint8_t *data, size_t bytes);
void blocks_client_writable(struct haul_blocks_client *client);
void blocks_client_ended(struct haul_blocks_client *client);
void blocks_client_closed(struct haul_blocks_client *client, enum haul_stream_end end);
