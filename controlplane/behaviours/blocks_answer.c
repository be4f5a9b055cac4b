/* Answering: requests are taken from the stream into a bounded line, blocks are read ahead into a
 * few control slots by READ orders, and the answer at the head of the line is written as the peer
 * takes it. A peer that takes nothing holds its few slots until the stream's idle limit, and no
 * more than a quarter of ours. */
#include "common/counters.h"
#include "controlplane/behaviours/blocks_parts.h"

#include <string.h>

static void serve(struct haul_blocks *blocks, struct blocks_stream *line);

/* --- slots --- */

static void give_slot(struct blocks_answer *answer)
{
    if (answer->slot == BLOCKS_NO_SLOT)
        return;
    haul_orders_slot_give(answer->blocks->orders, answer->slot);
    answer->slot = BLOCKS_NO_SLOT;
    answer->blocks->slots_held--;
}

static uint32_t slots_of_peer(const struct haul_blocks *blocks, const struct haul_peer_id *peer)
{
    uint32_t held = 0;

    for (uint32_t i = 0; i < BLOCKS_ANSWERS; i++) {
        const struct blocks_answer *answer = &blocks->answers[i];

        held += answer->state != ANSWER_FREE && answer->slot != BLOCKS_NO_SLOT &&
                haul_peer_id_equal(&answer->peer, peer);
    }
    return held;
}

static void on_room(void *context)
{
    struct haul_blocks *blocks = context;
    struct blocks_stream *line;

    LIST_FOREACH(line, &blocks->streams, link)
    serve(blocks, line);
}

/* The share of a peer is counted only when slots begin to run short. */
static bool take_slot(struct haul_blocks *blocks, struct blocks_answer *answer)
{
    uint32_t share = blocks->slots_max > 1 ? blocks->slots_max / 2 : 1;

    if (blocks->slots_held < blocks->slots_max &&
        (blocks->slots_held < share || slots_of_peer(blocks, &answer->peer) < share))
        answer->slot = haul_orders_slot_take(blocks->orders);
    if (answer->slot == BLOCKS_NO_SLOT) {
        haul_orders_when_room(blocks->orders, on_room, blocks);
        return false;
    }
    blocks->slots_held++;
    return true;
}

/* --- reading --- */

static void set_status(struct blocks_answer *answer, enum haul_blocks_status status)
{
    struct haul_blocks_answer header = { .status = status };

    haul_blocks_answer_encode(&header, answer->header);
    answer->state = ANSWER_READY;
    if (status == HAUL_BLOCKS_UNKNOWN)
        haul_counter_add(&answer->blocks->counters.unknown, 1);
    else
        haul_counter_add(&answer->blocks->counters.failed, 1);
}

static void set_bytes(struct blocks_answer *answer, uint32_t total)
{
    struct haul_blocks_answer header = { .status = HAUL_BLOCKS_OK, .total = total };

    haul_blocks_range(&answer->request, total, &header.offset, &header.count);
    answer->offset = header.offset;
    answer->count = header.count;
    haul_blocks_answer_encode(&header, answer->header);
    answer->state = ANSWER_READY;
}

static void on_read(void *context, const struct haul_event *event)
{
    struct blocks_answer *answer = context;
    struct haul_blocks *blocks = answer->blocks;

    if (answer->stream == NULL) {
        give_slot(answer);
        answer->state = ANSWER_FREE;
        on_room(blocks); /* a held stream may have waited for a free answer */
        return;
    }
    if (event->status == HAUL_STATUS_DONE && event->length <= HAUL_BLOCK_BYTES_MAX) {
        set_bytes(answer, event->length);
    } else {
        give_slot(answer);
        set_status(answer, HAUL_BLOCKS_FAILED);
    }
    serve(blocks, haul_stream_state(answer->stream));
}

static bool start_read(struct haul_blocks *blocks, struct blocks_answer *answer)
{
    struct haul_order order = { .kind = HAUL_ORDER_READ };

    if (!take_slot(blocks, answer))
        return false;
    order.slot = answer->slot;
    order.hash = answer->request.hash;
    order.place = answer->place;
    if (haul_orders_submit(blocks->orders, &order, on_read, answer) == 0) {
        give_slot(answer);
        haul_orders_when_room(blocks->orders, on_room, blocks);
        return false;
    }
    answer->state = ANSWER_READING;
    return true;
}

/* --- the line --- */

static struct blocks_answer *answer_at(struct haul_blocks *blocks, const struct blocks_stream *line,
                                       uint32_t number)
{
    return &blocks->answers[line->line[(line->head + number) % HAUL_BLOCKS_ANSWERS_MAX]];
}

/* Writes what the peer takes of an answer; true when all of it is out. */
static bool send_answer(struct blocks_answer *answer)
{
    if (answer->sent < HAUL_BLOCKS_ANSWER_BYTES) {
        answer->sent += (uint32_t)haul_stream_write(answer->stream, answer->header + answer->sent,
                                                    HAUL_BLOCKS_ANSWER_BYTES - answer->sent);
        if (answer->sent < HAUL_BLOCKS_ANSWER_BYTES)
            return false;
    }
    if (answer->count > 0) {
        uint32_t done = answer->sent - HAUL_BLOCKS_ANSWER_BYTES;
        const uint8_t *slot = haul_orders_slot_view(answer->blocks->orders, answer->slot);

        answer->sent += (uint32_t)haul_stream_write(answer->stream, slot + answer->offset + done,
                                                    answer->count - done);
    }
    return answer->sent == HAUL_BLOCKS_ANSWER_BYTES + answer->count;
}

static void finish_answer(struct haul_blocks *blocks, struct blocks_stream *line,
                          struct blocks_answer *answer)
{
    if (answer->slot != BLOCKS_NO_SLOT) {
        haul_counter_add(&blocks->counters.answered, 1);
        haul_counter_add(&blocks->counters.answered_bytes, answer->count);
    }
    give_slot(answer);
    answer->state = ANSWER_FREE;
    line->head = (line->head + 1) % HAUL_BLOCKS_ANSWERS_MAX;
    line->count--;
    if (line->held) {
        line->held = false;
        haul_stream_resume(line->stream);
    }
}

/* The oldest requests first, a few slots ahead of what the peer has taken. */
static void read_ahead(struct haul_blocks *blocks, const struct blocks_stream *line)
{
    uint32_t held = 0;

    for (uint32_t i = 0; i < line->count && held < BLOCKS_AHEAD; i++) {
        struct blocks_answer *answer = answer_at(blocks, line, i);

        if (answer->state == ANSWER_WAITING && !start_read(blocks, answer))
            return;
        held += answer->slot != BLOCKS_NO_SLOT;
    }
}

static void serve(struct haul_blocks *blocks, struct blocks_stream *line)
{
    struct blocks_answer *head;

    read_ahead(blocks, line);
    while (line->count > 0) {
        head = answer_at(blocks, line, 0);
        if (head->state != ANSWER_READY || !send_answer(head))
            return;
        finish_answer(blocks, line, head);
        read_ahead(blocks, line);
    }
    if (line->ended)
        haul_stream_close(line->stream);
}

static struct blocks_answer *free_answer(struct haul_blocks *blocks)
{
    for (uint32_t i = 0; i < BLOCKS_ANSWERS; i++) {
        if (blocks->answers[i].state == ANSWER_FREE)
            return &blocks->answers[i];
    }
    return NULL;
}

/* A whole request: to the end of the line. False when it is malformed. */
static bool take_request(struct haul_blocks *blocks, struct blocks_stream *line,
                         struct blocks_answer *answer)
{
    struct haul_blocks_request request;

    if (!haul_blocks_request_decode(line->part, sizeof line->part, &request))
        return false;
    *answer = (struct blocks_answer){ .state = ANSWER_WAITING,
                                      .blocks = blocks,
                                      .stream = line->stream,
                                      .peer = *haul_stream_peer(line->stream),
                                      .request = request,
                                      .slot = BLOCKS_NO_SLOT };
    haul_counter_add(&blocks->counters.requests, 1);
    if (!haul_catalog_allows(blocks->catalog, &request.root, &answer->peer) ||
        !haul_catalog_place(blocks->catalog, &request.root, &request.hash, &answer->place))
        set_status(answer, HAUL_BLOCKS_UNKNOWN);
    line->line[(line->head + line->count++) % HAUL_BLOCKS_ANSWERS_MAX] =
        (uint16_t)(answer - blocks->answers);
    return true;
}

void blocks_answer_opened(struct haul_stream *stream)
{
    struct haul_blocks *blocks = haul_stream_service(stream);
    struct blocks_stream *line = haul_stream_state(stream);

    line->stream = stream;
    line->listed = true;
    LIST_INSERT_HEAD(&blocks->streams, line, link);
}

size_t blocks_answer_input(struct haul_blocks *blocks, struct blocks_stream *line,
                           const uint8_t *data, size_t bytes)
{
    size_t taken = 0;

    while (taken < bytes) {
        struct blocks_answer *answer = free_answer(blocks);
        size_t part = sizeof line->part - line->part_bytes;

        if (line->count == HAUL_BLOCKS_ANSWERS_MAX || answer == NULL) {
            line->held = true;
            haul_counter_add(&blocks->counters.held, 1);
            break;
        }
        if (part > bytes - taken)
            part = bytes - taken;
        memcpy(line->part + line->part_bytes, data + taken, part);
        line->part_bytes += (uint32_t)part;
        taken += part;
        if (line->part_bytes < sizeof line->part)
            break;
        line->part_bytes = 0;
        if (!take_request(blocks, line, answer)) {
            haul_counter_add(&blocks->counters.malformed, 1);
            haul_stream_reset(line->stream);
            return bytes;
        }
    }
    serve(blocks, line);
    return taken;
}

void blocks_answer_writable(struct haul_blocks *blocks, struct blocks_stream *line)
{
    serve(blocks, line);
}

/* The asker closed its half: what is asked is still answered. */
void blocks_answer_ended(struct haul_blocks *blocks, struct blocks_stream *line)
{
    if (line->part_bytes > 0) {
        haul_counter_add(&blocks->counters.malformed, 1);
        haul_stream_reset(line->stream);
        return;
    }
    line->ended = true;
    serve(blocks, line);
}

/* Answers that the worker is still reading are left to on_read. */
void blocks_answer_closed(struct haul_blocks *blocks, struct blocks_stream *line)
{
    if (line->listed)
        LIST_REMOVE(line, link);
    for (uint32_t i = 0; i < line->count; i++) {
        struct blocks_answer *answer = answer_at(blocks, line, i);

        answer->stream = NULL;
        if (answer->state == ANSWER_READING)
            continue;
        give_slot(answer);
        answer->state = ANSWER_FREE;
    }
    LIST_FOREACH(line, &blocks->streams, link)
    {
        if (line->held && line->count < HAUL_BLOCKS_ANSWERS_MAX) {
            line->held = false;
            haul_stream_resume(line->stream);
        }
    }
}
