/* Ranges of arrived numbers, and the replay window of control datagrams. */
#include "dataplane/flow/seen.h"

#include <string.h>

void haul_seen_init(struct haul_seen *seen)
{
    memset(seen, 0, sizeof *seen);
}

static uint64_t *control_word(struct haul_seen *seen, uint64_t number)
{
    return &seen->control[number % HAUL_SEEN_WINDOW / 64];
}

bool haul_seen_replayed(const struct haul_seen *seen, uint64_t number)
{
    if (!seen->any || number > seen->top)
        return false;
    if (haul_seen_old(seen, number))
        return true;
    return (seen->control[number % HAUL_SEEN_WINDOW / 64] >> number % 64 & 1) != 0;
}

/* Moves the window up: the places of the numbers that enter it are cleared. */
static void raise_top(struct haul_seen *seen, uint64_t number)
{
    uint64_t from = seen->any ? seen->top + 1 : 0;

    if (!seen->any || number - seen->top >= HAUL_SEEN_WINDOW) {
        memset(seen->control, 0, sizeof seen->control);
    } else {
        while (from <= number) {
            uint64_t last = from | 63;
            uint64_t mask = UINT64_MAX << from % 64;

            if (last > number) {
                last = number;
                mask &= UINT64_MAX >> (63 - number % 64);
            }
            *control_word(seen, from) &= ~mask;
            from = last + 1;
        }
    }
    seen->any = true;
    seen->top = number;
}

void haul_seen_row(struct haul_seen *seen, uint32_t count)
{
    haul_assert(seen->any);
    seen->ranges[0].last = seen->top + count;
    raise_top(seen, seen->top + count);
}

/* Puts a number that extends no newest range into its place. */
static void insert(struct haul_seen *seen, uint64_t number)
{
    struct haul_range *ranges = seen->ranges;
    size_t at = 0;

    while (at < seen->range_count && ranges[at].first > number + 1)
        at++;
    if (at < seen->range_count && number >= ranges[at].first && number <= ranges[at].last)
        return;
    if (at < seen->range_count && ranges[at].first == number + 1) {
        ranges[at].first = number;
        if (at + 1 < seen->range_count && ranges[at + 1].last + 1 == number) {
            ranges[at].first = ranges[at + 1].first;
            seen->range_count--;
            memmove(&ranges[at + 1], &ranges[at + 2],
                    (seen->range_count - at - 1) * sizeof ranges[0]);
        }
        return;
    }
    if (at < seen->range_count && ranges[at].last + 1 == number) {
        ranges[at].last = number;
        return;
    }
    if (at == HAUL_SEEN_RANGES_MAX)
        return;
    if (seen->range_count == HAUL_SEEN_RANGES_MAX)
        seen->range_count--;
    memmove(&ranges[at + 1], &ranges[at], (seen->range_count - at) * sizeof ranges[0]);
    ranges[at] = (struct haul_range){ .first = number, .last = number };
    seen->range_count++;
}

bool haul_seen_add(struct haul_seen *seen, uint64_t number, bool control)
{
    bool newest = !seen->any || number > seen->top;

    if (newest && seen->range_count > 0 && seen->ranges[0].last + 1 == number)
        seen->ranges[0].last = number;
    else
        insert(seen, number);
    if (newest)
        raise_top(seen, number);
    if (control)
        *control_word(seen, number) |= 1ull << number % 64;
    return newest;
}

size_t haul_seen_ranges(const struct haul_seen *seen, struct haul_range *ranges, size_t capacity)
{
    size_t count = seen->range_count < capacity ? seen->range_count : capacity;

    if (count > 0)
        memcpy(ranges, seen->ranges, count * sizeof ranges[0]);
    return count;
}

const char *haul_seen_broken(const struct haul_seen *seen)
{
    if (seen->range_count > HAUL_SEEN_RANGES_MAX)
        return "seen: more ranges than there is room for";
    if (seen->any != (seen->range_count > 0))
        return "seen: ranges without numbers";
    if (seen->any && seen->ranges[0].last != seen->top)
        return "seen: the newest range does not end at the highest number";
    for (size_t i = 0; i < seen->range_count; i++) {
        if (seen->ranges[i].first > seen->ranges[i].last)
            return "seen: a range that ends before it begins";
        if (i > 0 && seen->ranges[i].last + 1 >= seen->ranges[i - 1].first)
            return "seen: ranges that touch or are out of order";
    }
    return NULL;
}
