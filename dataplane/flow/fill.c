/* Wants of our own: indexes and generations, the bitmap of what arrived, and where bytes go. */
#include "dataplane/flow/fill.h"

#include "dataplane/flow/bits.h"
#include "dataplane/flow/plant.h"

#include <string.h>

void haul_fills_init(struct haul_fills *fills, struct haul_fill *memory, uint16_t *free,
                     uint16_t size)
{
    haul_assert(size > 0 && size <= HAUL_HANDLE_INDEX_MASK + 1);
    memset(memory, 0, size * sizeof *memory);
    *fills = (struct haul_fills){ .fills = memory, .free = free, .free_count = size, .size = size };
    for (uint16_t i = 0; i < size; i++)
        free[i] = i;
}

struct haul_fill *haul_fill_open(struct haul_fills *fills, const struct haul_hash *hash,
                                 uint32_t offset, uint32_t wanted, uint8_t *slot, uint64_t tag)
{
    struct haul_fill *fill;

    if (fills->free_count == 0)
        return NULL;
    fill = &fills->fills[fills->free[fills->free_first]];
    fills->free_first = (uint16_t)((fills->free_first + 1) % fills->size);
    fills->free_count--;
    haul_assert(fill->state == HAUL_FILL_FREE);
    if (!haul_planted(HANDLE_TWICE) || fill->generation == 0)
        fill->generation++;
    fill->state = HAUL_FILL_ASKED;
    fill->filled_due = false;
    fill->ended = 0;
    fill->offset = offset;
    fill->wanted = wanted;
    fill->length = 0;
    fill->told = 0;
    fill->missing = 0;
    fill->first = fill->prefix = fill->end = fill->high = (uint16_t)(offset / HAUL_WIRE_UNIT);
    fill->slot = slot;
    fill->tag = tag;
    fill->hash = *hash;
    memset(fill->units, 0, sizeof fill->units);
    fills->live++;
    return fill;
}

struct haul_fill *haul_fill_find(struct haul_fills *fills, uint32_t handle)
{
    uint32_t index = haul_fill_index(handle);
    struct haul_fill *fill;

    if (index >= fills->size)
        return NULL;
    fill = &fills->fills[index];
    if (fill->state == HAUL_FILL_FREE || fill->generation != handle >> HAUL_HANDLE_INDEX_BITS)
        return NULL;
    return fill;
}

bool haul_fill_was(const struct haul_fills *fills, uint32_t handle)
{
    uint32_t index = haul_fill_index(handle);
    uint32_t generation = handle >> HAUL_HANDLE_INDEX_BITS;

    return index < fills->size && generation > 0 && generation <= fills->fills[index].generation;
}

bool haul_fill_accept(struct haul_fill *fill, uint32_t block_length)
{
    if (block_length > HAUL_BLOCK_BYTES_MAX || block_length < fill->offset ||
        block_length - fill->offset < fill->wanted)
        return false;
    fill->length = fill->wanted > 0 ? fill->wanted : block_length - fill->offset;
    fill->end = (uint16_t)((fill->offset + fill->length + HAUL_WIRE_UNIT - 1) / HAUL_WIRE_UNIT);
    fill->missing = (uint32_t)(fill->end - fill->first);
    fill->state = fill->missing == 0 ? HAUL_FILL_FULL : HAUL_FILL_OPEN;
    return true;
}

static uint32_t units_of(uint32_t bytes)
{
    return (bytes + HAUL_WIRE_UNIT - 1) / HAUL_WIRE_UNIT;
}

enum haul_target haul_fill_target(struct haul_fill *fill, uint32_t unit, uint32_t bytes,
                                  uint8_t **to)
{
    uint32_t stop = unit * HAUL_WIRE_UNIT + bytes;

    if (fill->state != HAUL_FILL_OPEN && fill->state != HAUL_FILL_FULL)
        return HAUL_TARGET_NONE;
    if (unit < fill->first || stop > fill->offset + fill->length ||
        (bytes % HAUL_WIRE_UNIT != 0 && stop != fill->offset + fill->length))
        return HAUL_TARGET_NONE;
    if (haul_bits_any(fill->units, unit, unit + units_of(bytes)))
        return HAUL_TARGET_SCRATCH;
    *to = fill->slot + (size_t)unit * HAUL_WIRE_UNIT;
    if (haul_planted(BIT_BEFORE_TAG))
        fill->missing -= haul_bits_set(fill->units, unit, unit + units_of(bytes));
    return HAUL_TARGET_SLOT;
}

/* Copies the units that are missing and marks them; returns their bytes. */
static uint32_t copy_missing(struct haul_fill *fill, uint32_t unit, uint32_t bytes,
                             const uint8_t *scratch)
{
    uint32_t end = unit + units_of(bytes);
    uint32_t copied = 0;

    for (uint32_t at = haul_bits_next(fill->units, unit, end, false); at < end;) {
        uint32_t stop = haul_bits_next(fill->units, at, end, true);
        uint32_t from = (at - unit) * HAUL_WIRE_UNIT;
        uint32_t to = stop == end ? bytes : (stop - unit) * HAUL_WIRE_UNIT;

        memcpy(fill->slot + (size_t)at * HAUL_WIRE_UNIT, scratch + from, to - from);
        fill->missing -= haul_bits_set(fill->units, at, stop);
        copied += to - from;
        at = haul_bits_next(fill->units, stop, end, false);
    }
    return copied;
}

uint32_t haul_fill_arrived(struct haul_fill *fill, uint32_t unit, uint32_t bytes,
                           const uint8_t *scratch)
{
    uint32_t end = unit + units_of(bytes);
    uint32_t placed = bytes;

    if (scratch != NULL) {
        placed = copy_missing(fill, unit, bytes, scratch);
    } else if (!haul_planted(BIT_BEFORE_TAG)) {
        haul_bits_fill(fill->units, unit, end); /* all of them were clear */
        fill->missing -= end - unit;
    }
    if (fill->high < end)
        fill->high = (uint16_t)end;
    if (unit <= fill->prefix) /* in order nothing lies beyond, and there is nothing to search */
        fill->prefix = (uint16_t)(fill->high == end ? end
                                                    : haul_bits_next(fill->units, fill->prefix,
                                                                     fill->end, false));
    if (fill->missing == 0)
        fill->state = HAUL_FILL_FULL;
    return placed;
}

uint32_t haul_fill_row_room(const struct haul_fill *fill, uint32_t class, uint8_t **to)
{
    uint32_t from = (uint32_t)fill->prefix * HAUL_WIRE_UNIT;

    if (fill->state != HAUL_FILL_OPEN || fill->high != fill->prefix || class == 0 ||
        haul_planted(BIT_BEFORE_TAG))
        return 0;
    *to = fill->slot + from;
    return (fill->offset + fill->length - from) / (class * HAUL_WIRE_UNIT);
}

void haul_fill_row(struct haul_fill *fill, uint32_t units)
{
    haul_bits_fill(fill->units, fill->prefix, fill->prefix + units);
    fill->missing -= units;
    fill->prefix = fill->high = (uint16_t)(fill->prefix + units);
    if (fill->missing == 0)
        fill->state = HAUL_FILL_FULL;
}

uint32_t haul_fill_prefix(const struct haul_fill *fill)
{
    uint32_t bytes = (uint32_t)(fill->prefix - fill->first) * HAUL_WIRE_UNIT;

    return bytes < fill->length ? bytes : fill->length;
}

void haul_fill_window(const struct haul_fill *fill, uint32_t handle, uint8_t *bits, size_t bits_max,
                      struct haul_slot_window *window)
{
    size_t bytes = fill->high > fill->prefix ? (size_t)(fill->high - fill->prefix + 7) / 8 : 0;

    if (bytes > bits_max)
        bytes = bits_max;
    for (size_t i = 0; i < bytes; i += 8) {
        uint32_t at = fill->prefix + (uint32_t)i * 8;
        uint64_t value = fill->units[at / 64] >> at % 64;

        if (at % 64 > 0 && at / 64 + 1 < HAUL_BITMAP_WORDS)
            value |= fill->units[at / 64 + 1] << (64 - at % 64);
        for (size_t k = 0; k < 8 && i + k < bytes; k++)
            bits[i + k] = (uint8_t)(value >> (8 * k));
    }
    *window = (struct haul_slot_window){
        .handle = handle, .from = fill->prefix, .bytes = (uint16_t)bytes, .bits = bits
    };
}

void haul_fill_close(struct haul_fills *fills, struct haul_fill *fill)
{
    haul_assert(fill->state != HAUL_FILL_FREE);
    fill->state = HAUL_FILL_FREE;
    fill->slot = NULL;
    fills->live--;
    if (fill->generation + 1 == HAUL_HANDLE_GENERATIONS)
        return;
    fills->free[(fills->free_first + fills->free_count) % fills->size] =
        (uint16_t)(fill - fills->fills);
    fills->free_count++;
}

static const char *fill_broken(const struct haul_fill *fill)
{
    uint32_t there = 0;

    if (fill->state == HAUL_FILL_FREE)
        return fill->slot == NULL ? NULL : "fill: a free index holds a slot";
    if (fill->state == HAUL_FILL_ENDED)
        return NULL;
    for (size_t i = 0; i < HAUL_BITMAP_WORDS; i++)
        there += (uint32_t)__builtin_popcountll(fill->units[i]);
    if (there + fill->missing != (uint32_t)(fill->end - fill->first))
        return "fill: the count of missing units is wrong";
    if ((fill->state == HAUL_FILL_FULL) != (fill->missing == 0 && fill->state != HAUL_FILL_ASKED))
        return "fill: full and not complete, or complete and not full";
    if (fill->prefix != haul_bits_next(fill->units, fill->first, fill->end, false))
        return "fill: the prefix is wrong";
    if (fill->high > fill->end ||
        (fill->high > fill->first && !haul_bits_any(fill->units, fill->high - 1u, fill->high)))
        return "fill: the highest unit is wrong";
    if (fill->state == HAUL_FILL_ASKED && there != 0)
        return "fill: bytes arrived before the accept";
    return NULL;
}

const char *haul_fills_broken(const struct haul_fills *fills)
{
    uint32_t live = 0;

    for (size_t i = 0; i < fills->size; i++) {
        const char *broken = fill_broken(&fills->fills[i]);

        if (broken != NULL)
            return broken;
        live += fills->fills[i].state != HAUL_FILL_FREE;
    }
    if (live != fills->live || live + fills->free_count > fills->size)
        return "fill: indexes were lost";
    return NULL;
}
