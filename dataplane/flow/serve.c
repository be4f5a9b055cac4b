/* Wants of the peer: which is live, what of it to send next, what arrived there. */
#include "dataplane/flow/serve.h"

#include "dataplane/flow/bits.h"
#include "dataplane/flow/plant.h"

#include <string.h>

void haul_serves_init(struct haul_serves *serves, struct haul_serve *memory, uint16_t size)
{
    haul_assert(size > 0 && size <= HAUL_HANDLE_INDEX_MASK + 1);
    memset(memory, 0, size * sizeof *memory);
    *serves = (struct haul_serves){
        .serves = memory, .size = size, .first = HAUL_NO_SERVE, .last = HAUL_NO_SERVE
    };
}

static uint16_t index_of(const struct haul_serves *serves, const struct haul_serve *serve)
{
    return (uint16_t)(serve - serves->serves);
}

static void ready_leave(struct haul_serves *serves, struct haul_serve *serve)
{
    if (!serve->ready)
        return;
    if (serve->older == HAUL_NO_SERVE)
        serves->first = serve->newer;
    else
        serves->serves[serve->older].newer = serve->newer;
    if (serve->newer == HAUL_NO_SERVE)
        serves->last = serve->older;
    else
        serves->serves[serve->newer].older = serve->older;
    serve->ready = false;
}

/* Puts it behind `older`, or to the front when that is HAUL_NO_SERVE. */
static void ready_join(struct haul_serves *serves, struct haul_serve *serve, uint16_t older)
{
    uint16_t index = index_of(serves, serve);

    serve->older = older;
    serve->newer = older == HAUL_NO_SERVE ? serves->first : serves->serves[older].newer;
    if (serve->older == HAUL_NO_SERVE)
        serves->first = index;
    else
        serves->serves[serve->older].newer = index;
    if (serve->newer == HAUL_NO_SERVE)
        serves->last = index;
    else
        serves->serves[serve->newer].older = index;
    serve->ready = true;
}

static bool live(const struct haul_serve *serve)
{
    return serve->state == HAUL_SERVE_ASKED || serve->state == HAUL_SERVE_SENDING;
}

struct haul_serve *haul_serve_find(const struct haul_serves *serves, uint32_t handle)
{
    uint32_t index = haul_fill_index(handle);

    if (index >= serves->size || !live(&serves->serves[index]) ||
        serves->serves[index].generation != handle >> HAUL_HANDLE_INDEX_BITS)
        return NULL;
    return &serves->serves[index];
}

enum haul_want_news haul_serve_want(struct haul_serves *serves, const struct haul_frame *frame,
                                    haul_time now, struct haul_serve **out)
{
    uint32_t index = haul_fill_index(frame->want.handle);
    uint32_t generation = frame->want.handle >> HAUL_HANDLE_INDEX_BITS;
    struct haul_serve *serve;

    if (index >= serves->size || generation == 0)
        return HAUL_WANT_BAD;
    serve = &serves->serves[index];
    if (generation < serve->generation)
        return HAUL_WANT_STALE;
    if (generation == serve->generation &&
        !(haul_planted(WANT_AFTER_DONE) && serve->state == HAUL_SERVE_OVER)) {
        *out = serve;
        return live(serve) ? HAUL_WANT_AGAIN : HAUL_WANT_OVER;
    }
    if (live(serve))
        haul_serve_finish(serves, serve, HAUL_STATUS_WITHDRAWN);
    serve->generation = generation;
    serve->state = HAUL_SERVE_ASKED;
    serve->wanted_due = true;
    serve->answer = 0;
    serve->offset = frame->want.offset;
    serve->wanted = frame->want.length;
    serve->class = frame->want.class;
    serve->hash = frame->want.hash;
    serve->slot = NULL;
    serve->lost_count = 0;
    serve->first = serve->next = serve->end = serve->solid =
        (uint16_t)(frame->want.offset / HAUL_WIRE_UNIT);
    serve->progress = now;
    serves->live++;
    *out = serve;
    return HAUL_WANT_NEW;
}

bool haul_serve_start(struct haul_serves *serves, struct haul_serve *serve, const uint8_t *slot,
                      uint32_t length, haul_time now)
{
    haul_assert(serve->state == HAUL_SERVE_ASKED && length <= HAUL_BLOCK_BYTES_MAX);
    if (length < serve->offset || length - serve->offset < serve->wanted)
        return false;
    serve->state = HAUL_SERVE_SENDING;
    serve->sure = false;
    serve->answer = HAUL_FRAME_ACCEPT;
    serve->slot = slot;
    serve->length = length;
    serve->stop = serve->wanted > 0 ? serve->offset + serve->wanted : length;
    serve->end = (uint16_t)((serve->stop + HAUL_WIRE_UNIT - 1) / HAUL_WIRE_UNIT);
    serve->progress = now;
    memset(serve->have, 0, sizeof serve->have);
    memset(serve->lost, 0, sizeof serve->lost);
    if (serve->next < serve->end)
        ready_join(serves, serve, serves->last);
    return true;
}

void haul_serve_sure(struct haul_serves *serves, uint16_t index)
{
    struct haul_serve *serve = &serves->serves[index];
    uint16_t older;

    if (serve->state != HAUL_SERVE_SENDING || serve->sure)
        return;
    serve->sure = true;
    if (!serve->ready || serve->lost_count > 0)
        return;
    ready_leave(serves, serve);
    older = serves->last;
    while (older != HAUL_NO_SERVE && !serves->serves[older].sure &&
           serves->serves[older].lost_count == 0)
        older = serves->serves[older].older;
    ready_join(serves, serve, older);
}

void haul_serve_finish(struct haul_serves *serves, struct haul_serve *serve,
                       enum haul_status status)
{
    haul_assert(live(serve));
    ready_leave(serves, serve);
    serve->state = HAUL_SERVE_OVER;
    serve->slot = NULL;
    serves->live--;
    if (serve->wanted_due) {
        serve->wanted_due = false;
        return;
    }
    serve->served_due = true;
    serve->served_handle = haul_serve_handle(serves, serve);
    serve->served_status = (uint8_t)status;
}

struct haul_serve *haul_serve_close(struct haul_serves *serves, uint32_t handle,
                                    enum haul_status status)
{
    uint32_t index = haul_fill_index(handle);
    uint32_t generation = handle >> HAUL_HANDLE_INDEX_BITS;
    struct haul_serve *serve;
    bool was_live;

    if (index >= serves->size || generation < serves->serves[index].generation)
        return NULL;
    serve = &serves->serves[index];
    was_live = live(serve);
    if (was_live)
        haul_serve_finish(serves, serve,
                          generation == serve->generation ? status : HAUL_STATUS_WITHDRAWN);
    if (generation > serve->generation) {
        serve->generation = generation;
        serve->state = HAUL_SERVE_OVER;
        serve->answer = 0;
    } else if (was_live) {
        serve->answer = 0;
    }
    return was_live ? serve : NULL;
}

uint16_t haul_serve_peek(const struct haul_serves *serves, uint16_t class)
{
    const struct haul_serve *serve;

    if (serves->first == HAUL_NO_SERVE)
        return 0;
    serve = &serves->serves[serves->first];
    return serve->class < class ? serve->class : class;
}

bool haul_serve_next(struct haul_serves *serves, uint16_t class, uint16_t count,
                     struct haul_chunk *chunk)
{
    struct haul_serve *serve;
    uint32_t unit, stop, bytes;

    if (serves->first == HAUL_NO_SERVE || count == 0)
        return false;
    serve = &serves->serves[serves->first];
    class = serve->class < class ? serve->class : class;
    chunk->again = serve->lost_count > 0;
    if (chunk->again) {
        unit = haul_bits_next(serve->lost, serve->solid, serve->next, true);
        stop = haul_bits_next(serve->lost, unit, serve->next, false);
        haul_assert(unit < stop);
    } else {
        unit = serve->next;
        stop = serve->end;
    }
    if (stop - unit > (uint32_t)count * class)
        stop = unit + (uint32_t)count * class;
    if (chunk->again)
        serve->lost_count -= haul_bits_clear(serve->lost, unit, stop);
    else
        serve->next = (uint16_t)stop;
    bytes = (stop * HAUL_WIRE_UNIT < serve->stop ? stop * HAUL_WIRE_UNIT : serve->stop) -
            unit * HAUL_WIRE_UNIT;
    chunk->serve = serve;
    chunk->unit = (uint16_t)unit;
    chunk->class = class;
    chunk->count = (uint16_t)((stop - unit + class - 1) / class);
    chunk->last_bytes = (uint16_t)(bytes - (chunk->count - 1u) * class * HAUL_WIRE_UNIT);
    if (serve->lost_count == 0 && serve->next == serve->end)
        ready_leave(serves, serve);
    return true;
}

/* Advances past what is acknowledged, and leaves the ready list when nothing is left to send. */
static void settle(struct haul_serves *serves, struct haul_serve *serve, haul_time now)
{
    serve->progress = now;
    serve->solid = (uint16_t)haul_bits_next(serve->have, serve->solid, serve->end, false);
    if (serve->ready && serve->lost_count == 0 && serve->next == serve->end)
        ready_leave(serves, serve);
}

static struct haul_serve *sending(const struct haul_serves *serves, uint32_t handle)
{
    struct haul_serve *serve = haul_serve_find(serves, handle);

    return serve != NULL && serve->state == HAUL_SERVE_SENDING ? serve : NULL;
}

/* Bursts name only what was sent, unless a planted bug starts a want over under its old handle. */
static bool was_sent(const struct haul_serve *serve, uint32_t unit, uint32_t units)
{
    bool sent = unit >= serve->first && unit + units <= serve->next;

    haul_assert(sent || haul_planted(WANT_AFTER_DONE) || haul_planted(HANDLE_TWICE));
    return sent;
}

void haul_serve_acked(struct haul_serves *serves, uint32_t handle, uint32_t unit, uint32_t units,
                      haul_time now)
{
    struct haul_serve *serve = sending(serves, handle);

    if (serve == NULL || !was_sent(serve, unit, units))
        return;
    if (haul_bits_all(serve->have, unit, unit + units))
        return;
    haul_bits_fill(serve->have, unit, unit + units);
    if (serve->lost_count > 0)
        serve->lost_count -= haul_bits_clear(serve->lost, unit, unit + units);
    settle(serves, serve, now);
}

void haul_serve_lost(struct haul_serves *serves, uint32_t handle, uint32_t unit, uint32_t units)
{
    struct haul_serve *serve = sending(serves, handle);
    uint32_t end = unit + units;

    if (serve == NULL || !was_sent(serve, unit, units))
        return;
    for (uint32_t at = haul_bits_next(serve->have, unit, end, false); at < end;) {
        uint32_t stop = haul_bits_next(serve->have, at, end, true);

        serve->lost_count += haul_bits_set(serve->lost, at, stop);
        at = haul_bits_next(serve->have, stop, end, false);
    }
    if (serve->lost_count == 0)
        return;
    ready_leave(serves, serve);
    ready_join(serves, serve, HAUL_NO_SERVE);
}

bool haul_serve_holds(const struct haul_serves *serves, uint32_t handle, uint32_t unit,
                      uint32_t units)
{
    const struct haul_serve *serve = sending(serves, handle);

    return serve == NULL || haul_bits_all(serve->have, unit, unit + units);
}

/* Takes eight bytes of a window at unit `at`; false when they claim what was never sent. */
static bool take_word(struct haul_serve *serve, uint32_t at, uint64_t word, bool *changed)
{
    uint32_t index = at / 64;
    uint64_t low = word << at % 64;
    uint64_t high = at % 64 > 0 ? word >> (64 - at % 64) : 0;

    if (word == 0)
        return true;
    if (at + 63 - (uint32_t)__builtin_clzll(word) >= serve->next)
        return false;
    *changed |= (low & ~serve->have[index]) != 0;
    serve->have[index] |= low;
    if (high == 0)
        return true;
    *changed |= (high & ~serve->have[index + 1]) != 0;
    serve->have[index + 1] |= high;
    return true;
}

bool haul_serve_window(struct haul_serves *serves, const struct haul_slot_window *window,
                       haul_time now)
{
    struct haul_serve *serve = sending(serves, window->handle);
    bool changed = false;

    if (serve == NULL)
        return true;
    if (window->from > serve->next || window->from < serve->first)
        return false;
    if (window->from > serve->solid) {
        changed = !haul_bits_all(serve->have, serve->solid, window->from);
        haul_bits_fill(serve->have, serve->solid, window->from);
    }
    for (uint32_t i = 0; i < window->bytes; i += 8) {
        size_t bytes = window->bytes - i < 8 ? window->bytes - i : 8;
        uint64_t word = 0;

        for (size_t k = bytes; k-- > 0;)
            word = word << 8 | window->bits[i + k];
        if (!take_word(serve, window->from + i * 8, word, &changed))
            return false;
    }
    if (!changed)
        return true;
    if (serve->lost_count > 0) {
        serve->lost_count = 0;
        for (uint32_t i = 0; i < HAUL_BITMAP_WORDS; i++) {
            serve->lost[i] &= ~serve->have[i];
            serve->lost_count += (uint32_t)__builtin_popcountll(serve->lost[i]);
        }
    }
    settle(serves, serve, now);
    return true;
}

static const char *serve_broken(const struct haul_serve *serve)
{
    uint32_t lost = 0;

    if (serve->ready && (serve->state != HAUL_SERVE_SENDING ||
                         (serve->lost_count == 0 && serve->next == serve->end)))
        return "serve: ready without anything to send";
    if (serve->state == HAUL_SERVE_OVER && serve->slot != NULL)
        return "serve: a want that is over holds a slot";
    if (serve->state != HAUL_SERVE_SENDING)
        return NULL;
    if (!serve->ready && (serve->lost_count > 0 || serve->next < serve->end))
        return "serve: something to send and not ready";
    if (serve->first > serve->next || serve->next > serve->end || serve->wanted_due)
        return "serve: sending out of bounds";
    for (uint32_t i = 0; i < HAUL_BITMAP_WORDS; i++) {
        if ((serve->lost[i] & serve->have[i]) != 0)
            return "serve: lost and acknowledged at once";
        lost += (uint32_t)__builtin_popcountll(serve->lost[i]);
    }
    if (lost != serve->lost_count)
        return "serve: the count of lost units is wrong";
    if (haul_bits_any(serve->have, serve->next, HAUL_WIRE_UNITS) ||
        haul_bits_any(serve->lost, serve->next, HAUL_WIRE_UNITS))
        return "serve: acknowledged or lost before it was sent";
    return NULL;
}

const char *haul_serves_broken(const struct haul_serves *serves)
{
    uint32_t alive = 0;
    uint32_t ready = 0;
    uint16_t before = HAUL_NO_SERVE;

    for (size_t i = 0; i < serves->size; i++) {
        const char *broken = serve_broken(&serves->serves[i]);

        if (broken != NULL)
            return broken;
        alive += live(&serves->serves[i]);
        ready += serves->serves[i].ready;
    }
    if (alive != serves->live)
        return "serve: the count of live wants is wrong";
    for (uint16_t at = serves->first; at != HAUL_NO_SERVE; at = serves->serves[at].newer) {
        if (serves->serves[at].older != before || !serves->serves[at].ready || ready == 0)
            return "serve: the ready list is torn";
        before = at;
        ready--;
    }
    return before == serves->last && ready == 0 ? NULL : "serve: the ready list is torn";
}
