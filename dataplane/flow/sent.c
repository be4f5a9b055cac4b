/* Bursts in flight: acknowledgements in, losses out. */
#include "dataplane/flow/sent.h"

#include <string.h>

#define REORDER_STEPS_FIRST 1u
#define REORDER_STEPS_MAX   16u
#define REORDER_LEAST       (HAUL_MILLISECOND / 4)
#define GRAIN               HAUL_MILLISECOND

void haul_sent_init(struct haul_sent *sent, struct haul_burst *bursts, struct haul_serves *serves,
                    struct haul_duties *duties)
{
    memset(sent, 0, sizeof *sent);
    sent->bursts = bursts;
    sent->serves = serves;
    sent->duties = duties;
    sent->open_first = HAUL_NO_BURST;
    sent->open_last = HAUL_NO_BURST;
    sent->next = 1;
    sent->rtt_min = HAUL_TIME_NEVER;
    sent->loss_due = HAUL_TIME_NEVER;
    sent->reorder_steps = REORDER_STEPS_FIRST;
}

static struct haul_burst *burst_at(const struct haul_sent *sent, uint32_t count)
{
    return &sent->bursts[count % HAUL_BURSTS];
}

static uint16_t place_of(const struct haul_sent *sent, const struct haul_burst *burst)
{
    return (uint16_t)(burst - sent->bursts);
}

static uint64_t whole(const struct haul_burst *burst)
{
    return UINT64_MAX >> (64 - burst->count);
}

static uint64_t unresolved(const struct haul_burst *burst)
{
    return whole(burst) & ~(burst->acked | burst->lost);
}

/* Bytes on the wire of the datagrams in `mask`; control datagrams count for nothing. */
static uint64_t bytes_of(const struct haul_burst *burst, uint64_t mask)
{
    uint64_t full = (uint64_t)burst->class * HAUL_WIRE_UNIT + HAUL_WIRE_OVERHEAD;
    uint64_t bytes;

    if (burst->kind != HAUL_BURST_DATA)
        return 0;
    bytes = full * (uint64_t)__builtin_popcountll(mask);
    if ((mask >> (burst->count - 1) & 1) != 0)
        bytes -= full - burst->last_bytes - HAUL_WIRE_OVERHEAD;
    return bytes;
}

/* Units from datagram `at` of a burst on, over `count` datagrams. */
static uint32_t units_of(const struct haul_burst *burst, uint32_t at, uint32_t count)
{
    if (at + count < burst->count)
        return count * burst->class;
    return (count - 1) * burst->class + (burst->last_bytes + HAUL_WIRE_UNIT - 1) / HAUL_WIRE_UNIT;
}

static void open_join(struct haul_sent *sent, struct haul_burst *burst)
{
    burst->older = sent->open_last;
    burst->newer = HAUL_NO_BURST;
    if (sent->open_last == HAUL_NO_BURST)
        sent->open_first = place_of(sent, burst);
    else
        sent->bursts[sent->open_last].newer = place_of(sent, burst);
    sent->open_last = place_of(sent, burst);
}

static void open_leave(struct haul_sent *sent, struct haul_burst *burst)
{
    if (burst->older == HAUL_NO_BURST)
        sent->open_first = burst->newer;
    else
        sent->bursts[burst->older].newer = burst->newer;
    if (burst->newer == HAUL_NO_BURST)
        sent->open_last = burst->older;
    else
        sent->bursts[burst->newer].older = burst->older;
}

static struct haul_burst *add(struct haul_sent *sent, haul_time now)
{
    struct haul_burst *burst = burst_at(sent, sent->head);

    haul_assert(haul_sent_room(sent, 1));
    sent->head++;
    if (sent->in_flight == 0) {
        sent->first_time = now;
        sent->delivered_time = now;
    }
    *burst = (struct haul_burst){ .first = sent->next,
                                  .time = now,
                                  .delivered = sent->delivered,
                                  .delivered_time = sent->delivered_time,
                                  .first_time = sent->first_time,
                                  .count = 1 };
    sent->last_eliciting = now;
    return burst;
}

uint16_t haul_sent_chunk(struct haul_sent *sent, const struct haul_chunk *chunk, bool app_limited,
                         haul_time now)
{
    struct haul_burst *burst = add(sent, now);

    haul_assert(chunk->count > 0 && chunk->count <= HAUL_BURST_MAX);
    burst->kind = HAUL_BURST_DATA;
    burst->handle = haul_serve_handle(sent->serves, chunk->serve);
    burst->unit = chunk->unit;
    burst->class = (uint8_t)chunk->class;
    burst->count = (uint8_t)chunk->count;
    burst->last_bytes = chunk->last_bytes;
    burst->app_limited = app_limited;
    open_join(sent, burst);
    sent->next += chunk->count;
    sent->in_flight += bytes_of(burst, whole(burst));
    return place_of(sent, burst);
}

uint16_t haul_sent_control(struct haul_sent *sent, enum haul_burst_kind kind, uint8_t class,
                           haul_time now)
{
    struct haul_burst *burst = add(sent, now);

    burst->kind = (uint8_t)kind;
    burst->class = class;
    open_join(sent, burst);
    sent->next++;
    return place_of(sent, burst);
}

void haul_sent_skip(struct haul_sent *sent)
{
    sent->skipped[sent->skipped_count++ % HAUL_SKIPPED_MAX] = sent->next++;
}

/* Forgets resolved bursts at the old end. One with losses stays for a while, so that a late
 * acknowledgement can undo them. */
static void trim(struct haul_sent *sent, haul_time now)
{
    haul_time keep = 3 * haul_sent_probe_span(sent);
    bool crowded = sent->head - sent->tail > HAUL_BURSTS / 4 * 3;

    while (sent->tail != sent->head) {
        struct haul_burst *burst = burst_at(sent, sent->tail);

        if (unresolved(burst) != 0)
            return;
        if (burst->lost != 0 && !crowded && haul_time_since(burst->time, now) < keep)
            return;
        sent->tail++;
    }
}

/* The newest number acknowledged here gives the round trip; the newest data datagram gives what the
 * delivery rate is measured against. Both were not acknowledged before. */
static void note_newest(struct haul_sent *sent, const struct haul_burst *burst, uint64_t number,
                        haul_time now, struct haul_sent_news *news)
{
    if (!news->any) {
        news->rtt = haul_time_since(burst->time, now);
        if (number >= sent->newest_number) {
            sent->newest_number = number;
            sent->newest_time = burst->time;
            sent->rtt_latest = news->rtt;
        }
    }
    if (burst->kind == HAUL_BURST_DATA && news->interval == 0) {
        haul_time sent_span = haul_time_since(burst->first_time, burst->time);
        haul_time ack_span = haul_time_since(burst->delivered_time, now);

        news->delivered_at_send = burst->delivered;
        news->interval = haul_time_max(sent_span, ack_span);
        news->app_limited = burst->app_limited;
        sent->first_time = burst->time;
    }
}

/* A control datagram arrived, and so did what it said. */
static void take_met(struct haul_sent *sent, uint16_t place)
{
    uint16_t duty;

    while ((duty = haul_duty_met(sent->duties, place)) != HAUL_NO_DUTY) {
        if (haul_duty_kind(sent->duties, duty) == HAUL_DUTY_ANSWER)
            haul_serve_sure(sent->serves, haul_duty_index(sent->duties, duty));
    }
}

/* The datagrams of `mask` were acknowledged for the first time. */
static void take_acked(struct haul_sent *sent, struct haul_burst *burst, uint64_t mask,
                       haul_time now, struct haul_sent_news *news)
{
    uint64_t undone = mask & burst->lost;
    uint64_t bytes = bytes_of(burst, mask);
    bool was_open = unresolved(burst) != 0;

    news->any = true;
    news->acked_bytes += bytes;
    news->spurious_bytes += bytes_of(burst, undone);
    news->spurious_datagrams += (uint32_t)__builtin_popcountll(undone);
    sent->delivered += bytes;
    sent->in_flight -= bytes_of(burst, mask & ~undone);
    burst->acked |= mask;
    burst->lost &= ~mask;
    if (burst->kind == HAUL_BURST_DATA) {
        if (burst->class == sent->full_class)
            news->full_acked += (uint32_t)__builtin_popcountll(mask);
        for (uint64_t left = mask; left != 0;) {
            uint32_t at = (uint32_t)__builtin_ctzll(left);
            uint64_t run = ~(left >> at);
            uint32_t count = run == 0 ? 64 - at : (uint32_t)__builtin_ctzll(run);

            haul_serve_acked(sent->serves, burst->handle, burst->unit + at * burst->class,
                             units_of(burst, at, count), now);
            left &= count + at >= 64 ? 0 : UINT64_MAX << (at + count);
        }
    } else {
        take_met(sent, place_of(sent, burst));
        news->control |= burst->kind == HAUL_BURST_CONTROL;
        if (burst->kind == HAUL_BURST_PROBE) {
            news->probe_acked = true;
            news->probe_class = burst->class;
        }
    }
    if (was_open && unresolved(burst) == 0)
        open_leave(sent, burst);
}

/* The datagrams of `mask` are lost, unless their bytes are known to have arrived. */
static void take_lost(struct haul_sent *sent, struct haul_burst *burst, uint64_t mask,
                      haul_time now, struct haul_sent_news *news)
{
    uint64_t arrived = 0;

    if (burst->kind == HAUL_BURST_DATA && haul_serve_find(sent->serves, burst->handle) != NULL) {
        for (uint64_t left = mask; left != 0; left &= left - 1) {
            uint32_t at = (uint32_t)__builtin_ctzll(left);

            if (haul_serve_holds(sent->serves, burst->handle, burst->unit + at * burst->class,
                                 units_of(burst, at, 1)))
                arrived |= 1ull << at;
        }
    }
    if (arrived != 0)
        take_acked(sent, burst, arrived, now, news);
    mask &= ~arrived;
    if (mask == 0)
        return;
    burst->lost |= mask;
    if (burst->kind == HAUL_BURST_DATA) {
        news->lost_bytes += bytes_of(burst, mask);
        news->lost_datagrams += (uint32_t)__builtin_popcountll(mask);
        sent->in_flight -= bytes_of(burst, mask);
        if (burst->class == sent->full_class)
            news->full_lost += (uint32_t)__builtin_popcountll(mask);
        for (uint64_t left = mask; left != 0; left &= left - 1) {
            uint32_t at = (uint32_t)__builtin_ctzll(left);

            haul_serve_lost(sent->serves, burst->handle, burst->unit + at * burst->class,
                            units_of(burst, at, 1));
        }
    } else {
        haul_duties_lost(sent->duties, place_of(sent, burst));
        news->lost_datagrams += burst->kind == HAUL_BURST_CONTROL;
        if (burst->kind == HAUL_BURST_PROBE) {
            news->probe_lost = true;
            news->probe_class = burst->class;
        }
    }
    if (unresolved(burst) == 0)
        open_leave(sent, burst);
}

/* The count of the newest burst whose first number is not above `number`; tail - 1 if none. */
static uint32_t find(const struct haul_sent *sent, uint64_t number)
{
    uint32_t low = 0;
    uint32_t high = sent->head - sent->tail;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (burst_at(sent, sent->tail + middle)->first <= number)
            low = middle + 1;
        else
            high = middle;
    }
    return sent->tail + low - 1;
}

/* Numbers first..last arrived, and were not known to. */
static void take_range(struct haul_sent *sent, uint64_t first, uint64_t last, haul_time now,
                       struct haul_sent_news *news)
{
    uint32_t count =
        sent->skipped_count < HAUL_SKIPPED_MAX ? sent->skipped_count : HAUL_SKIPPED_MAX;

    for (uint32_t i = 0; i < count; i++)
        news->lied |= sent->skipped[i] >= first && sent->skipped[i] <= last;
    for (uint32_t at = find(sent, last); at + 1 != sent->tail; at--) {
        struct haul_burst *burst = burst_at(sent, at);
        uint64_t end = burst->first + burst->count - 1;
        uint64_t mask = whole(burst);

        if (end < first)
            return;
        if (burst->first < first)
            mask &= UINT64_MAX << (first - burst->first);
        if (end > last)
            mask &= whole(burst) >> (end - last);
        mask &= ~burst->acked;
        if (mask == 0)
            continue;
        note_newest(sent, burst, end < last ? end : last, now, news);
        take_acked(sent, burst, mask, now, news);
    }
}

/* The parts of the ranges of `ack` that the acknowledgement before it did not have. */
static void take_ranges(struct haul_sent *sent, const struct haul_ack *ack, haul_time now,
                        struct haul_sent_news *news)
{
    size_t known = 0;

    for (size_t i = 0; i < ack->count; i++) {
        uint64_t first = ack->ranges[i].first;
        uint64_t at = ack->ranges[i].last + 1; /* everything from here up is done */

        while (at > first) {
            const struct haul_range *range;

            while (known < sent->known_count && sent->known[known].first >= at)
                known++;
            range = &sent->known[known];
            if (known == sent->known_count || range->last < first) {
                take_range(sent, first, at - 1, now, news);
                break;
            }
            if (range->last + 1 < at)
                take_range(sent, range->last + 1, at - 1, now, news);
            at = range->first;
        }
    }
    memcpy(sent->known, ack->ranges, ack->count * sizeof ack->ranges[0]);
    sent->known_count = ack->count;
}

static void measure(struct haul_sent *sent, haul_time rtt, haul_time delay)
{
    haul_time least = haul_time_max(rtt, 1);
    haul_time off;

    sent->rtt_min = haul_time_min(sent->rtt_min, least);
    /* The first one takes the peer's word for the delay: it may have had to prove its path first.
     */
    if (delay < rtt && (rtt - delay >= sent->rtt_min || sent->rtt_smoothed == 0))
        rtt -= delay;
    rtt = haul_time_max(rtt, 1);
    if (sent->rtt_smoothed == 0) {
        sent->rtt_smoothed = rtt;
        sent->rtt_variation = rtt / 2;
        return;
    }
    off = sent->rtt_smoothed > rtt ? sent->rtt_smoothed - rtt : rtt - sent->rtt_smoothed;
    sent->rtt_variation = (3 * sent->rtt_variation + off) / 4;
    sent->rtt_smoothed = (7 * sent->rtt_smoothed + rtt) / 8;
}

static haul_time reorder_span(const struct haul_sent *sent)
{
    haul_time least = sent->rtt_min == HAUL_TIME_NEVER ? HAUL_RTT_FIRST : sent->rtt_min;
    haul_time span = haul_time_max(sent->reorder_steps * least / 4, REORDER_LEAST);

    return haul_time_min(span, haul_time_max(sent->rtt_smoothed, REORDER_LEAST));
}

/* A loss was undone: reordering reaches further than was thought. */
static void widen(struct haul_sent *sent, haul_time now)
{
    if (haul_time_since(sent->reorder_grown, now) < sent->rtt_smoothed && sent->reorder_grown != 0)
        return;
    sent->reorder_grown = now;
    if (sent->reorder_steps < REORDER_STEPS_MAX)
        sent->reorder_steps++;
}

void haul_sent_ack(struct haul_sent *sent, const struct haul_ack *ack, haul_time now,
                   struct haul_sent_news *news)
{
    if (ack->ranges[0].last >= sent->next) {
        news->lied = true;
        return;
    }
    take_ranges(sent, ack, now, news);
    if (news->lied || !news->any)
        return;
    if (ack->ranges[0].last > sent->largest) {
        sent->largest = ack->ranges[0].last;
        measure(sent, news->rtt, (haul_time)ack->delay_us * HAUL_MICROSECOND);
    }
    sent->probes = 0;
    if (news->acked_bytes > 0)
        sent->delivered_time = now;
    if (news->spurious_datagrams > 0)
        widen(sent, now);
    else if (haul_time_since(sent->reorder_grown, now) > 32 * sent->rtt_smoothed)
        sent->reorder_steps = REORDER_STEPS_FIRST;
}

void haul_sent_late(struct haul_sent *sent, haul_time now, struct haul_sent_news *news)
{
    haul_time span = haul_time_max(sent->rtt_latest, sent->rtt_smoothed) + reorder_span(sent);
    uint16_t place = sent->open_first;

    sent->loss_due = HAUL_TIME_NEVER;
    while (place != HAUL_NO_BURST) {
        struct haul_burst *burst = &sent->bursts[place];
        uint64_t mask = unresolved(burst);
        haul_time due = haul_time_add(burst->time, span);

        if (burst->first > sent->newest_number)
            break;
        place = burst->newer;
        if (sent->newest_number < burst->first + burst->count - 1)
            mask &= whole(burst) >> (burst->first + burst->count - 1 - sent->newest_number);
        if (mask == 0)
            continue;
        if (due > now) {
            sent->loss_due = due;
            break;
        }
        take_lost(sent, burst, mask, now, news);
    }
    trim(sent, now);
}

haul_time haul_sent_probe_span(const struct haul_sent *sent)
{
    haul_time smoothed = sent->rtt_smoothed;
    haul_time delay;

    if (smoothed == 0)
        return HAUL_RTT_FIRST;
    delay = haul_time_min(HAUL_ACK_SPAN_MAX, smoothed / 2 + GRAIN);
    return smoothed + haul_time_max(4 * sent->rtt_variation, GRAIN) + delay;
}

haul_time haul_sent_probe_due(const struct haul_sent *sent)
{
    haul_time span = haul_sent_probe_span(sent);
    haul_time most = haul_time_max(HAUL_PROBE_SPAN_MAX, span);

    if (sent->open_first == HAUL_NO_BURST)
        return HAUL_TIME_NEVER;
    for (uint32_t i = 0; i < sent->probes && span < most; i++)
        span *= 2;
    return haul_time_add(sent->last_eliciting, haul_time_min(span, most));
}

void haul_sent_probe(struct haul_sent *sent, uint32_t persistent, haul_time now,
                     struct haul_sent_news *news)
{
    bool data = false;
    uint16_t place = sent->open_first;

    sent->probes++;
    sent->last_eliciting = now;
    while (place != HAUL_NO_BURST) {
        struct haul_burst *burst = &sent->bursts[place];
        uint64_t mask = unresolved(burst);

        place = burst->newer;
        if (sent->probes >= persistent) {
            take_lost(sent, burst, mask, now, news);
        } else if (burst->kind != HAUL_BURST_DATA) {
            haul_duties_lost(sent->duties, place_of(sent, burst));
        } else if (!data) {
            uint32_t at = (uint32_t)__builtin_ctzll(mask);

            haul_serve_lost(sent->serves, burst->handle, burst->unit + at * burst->class,
                            units_of(burst, at, 1));
            data = true;
        }
    }
    trim(sent, now);
}

void haul_sent_forget(struct haul_sent *sent)
{
    while (sent->open_first != HAUL_NO_BURST) {
        struct haul_burst *burst = &sent->bursts[sent->open_first];
        uint64_t mask = unresolved(burst);

        burst->lost |= mask;
        sent->in_flight -= bytes_of(burst, mask);
        if (burst->kind != HAUL_BURST_DATA)
            take_met(sent, sent->open_first);
        open_leave(sent, burst);
    }
    sent->loss_due = HAUL_TIME_NEVER;
    sent->tail = sent->head;
}

const char *haul_sent_broken(const struct haul_sent *sent)
{
    uint64_t flying = 0;
    uint64_t above = 0;
    uint32_t open = 0;
    uint16_t place = sent->open_first;

    if (sent->head - sent->tail > HAUL_BURSTS)
        return "sent: more bursts than there is room for";
    for (uint32_t at = sent->tail; at != sent->head; at++) {
        const struct haul_burst *burst = burst_at(sent, at);

        if (burst->count == 0 || burst->first < above)
            return "sent: bursts out of order";
        if ((burst->acked & burst->lost) != 0 || ((burst->acked | burst->lost) & ~whole(burst)))
            return "sent: a datagram both acknowledged and lost, or that never was";
        above = burst->first + burst->count;
        flying += bytes_of(burst, unresolved(burst));
        open += unresolved(burst) != 0;
    }
    if (above > sent->next)
        return "sent: a number was used before its turn";
    if (flying != sent->in_flight)
        return "sent: bytes in flight are miscounted";
    for (; place != HAUL_NO_BURST && open > 0; place = sent->bursts[place].newer, open--) {
        if (unresolved(&sent->bursts[place]) == 0)
            return "sent: a resolved burst among the open ones";
    }
    return place == HAUL_NO_BURST && open == 0 ? NULL : "sent: the list of open bursts is torn";
}
