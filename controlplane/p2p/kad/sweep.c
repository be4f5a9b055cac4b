/* The walk, and what is known of the regions around it. */
#include "controlplane/p2p/kad/sweep.h"

#include <string.h>

#define WIDER_BITS  4u /* a region with too few peers grows so often: look-ups may have failed */
#define BEHIND_BITS 6u /* peers are kept until the walk has left so much wider a region */

void haul_kad_sweep_init(struct haul_kad_sweep *sweep, const struct haul_kad_key *sorted,
                         size_t count, struct haul_kad_contact *memory, size_t memory_count)
{
    haul_assert(memory_count > HAUL_KAD_K);
    memset(sweep, 0, sizeof *sweep);
    sweep->keys = sorted;
    sweep->count = count;
    sweep->known = memory;
    sweep->known_max = memory_count;
}

static bool in_region(const struct haul_kad_key *key, const struct haul_kad_key *prefix,
                      unsigned bits)
{
    return haul_kad_shared_bits(key, prefix) >= bits;
}

/* How many of the keys from the present one on lie in the region around it. */
static size_t keys_in_region(const struct haul_kad_sweep *sweep, unsigned bits)
{
    size_t end = sweep->at;

    while (end < sweep->count && in_region(&sweep->keys[end], &sweep->keys[sweep->at], bits))
        end++;
    return end - sweep->at;
}

static size_t known_in_region(const struct haul_kad_sweep *sweep, const struct haul_kad_key *prefix,
                              unsigned bits)
{
    size_t count = 0;

    for (size_t i = 0; i < sweep->known_count; i++)
        count += in_region(&sweep->known[i].key, prefix, bits);
    return count;
}

/* --- what is covered --- */

static void cover_add(struct haul_kad_sweep *sweep, const struct haul_kad_key *prefix,
                      unsigned bits)
{
    size_t kept = 0;

    for (size_t i = 0; i < sweep->cover_count; i++) {
        const struct haul_kad_cover *cover = &sweep->covers[i];

        if (in_region(prefix, &cover->prefix, cover->bits) && cover->bits <= bits)
            return; /* known before */
        if (!(in_region(&cover->prefix, prefix, bits) && bits <= cover->bits))
            sweep->covers[kept++] = *cover;
    }
    if (kept == HAUL_KAD_SWEEP_COVERS_MAX) {
        memmove(&sweep->covers[0], &sweep->covers[1], (kept - 1) * sizeof sweep->covers[0]);
        kept--;
    }
    sweep->covers[kept] = (struct haul_kad_cover){ .prefix = *prefix, .bits = bits };
    sweep->cover_count = kept + 1;
}

/* Does one cover hold all of the region, or lie (partly) in it? */
static bool region_covered(const struct haul_kad_sweep *sweep, const struct haul_kad_key *prefix,
                           unsigned bits, bool *partly)
{
    *partly = false;
    for (size_t i = 0; i < sweep->cover_count; i++) {
        const struct haul_kad_cover *cover = &sweep->covers[i];

        if (cover->bits <= bits && in_region(prefix, &cover->prefix, cover->bits))
            return true;
        if (cover->bits > bits && in_region(&cover->prefix, prefix, bits))
            *partly = true;
    }
    return false;
}

/* The first part of the region that no cover touches; false when all is covered. Walks down the two
 * halves without recursion: the path is the prefix itself. */
static bool gap_find(const struct haul_kad_sweep *sweep, const struct haul_kad_key *prefix,
                     unsigned bits, struct haul_kad_sweep_wish *wish)
{
    struct haul_kad_key at = *prefix;
    unsigned depth = bits;

    for (unsigned bit = bits; bit < HAUL_KAD_KEY_BITS; bit++)
        haul_kad_key_set_bit(&at, bit, false);
    for (;;) {
        bool partly;
        bool covered = region_covered(sweep, &at, depth, &partly);

        if (!covered && (!partly || depth == HAUL_KAD_KEY_BITS)) {
            wish->target = at;
            wish->bits = depth;
            return true;
        }
        if (!covered) {
            depth++; /* its lower half first */
            continue;
        }
        /* Up while this was an upper half, then over to the upper half. */
        while (depth > bits && haul_kad_key_bit(&at, depth - 1)) {
            depth--;
            haul_kad_key_set_bit(&at, depth, false);
        }
        if (depth == bits)
            return false;
        haul_kad_key_set_bit(&at, depth - 1, true);
    }
}

/* --- the walk --- */

/* Takes a region that holds enough peers, all of them known; widens it where it holds too few. */
static enum haul_kad_sweep_step explore(struct haul_kad_sweep *sweep,
                                        struct haul_kad_sweep_wish *wish)
{
    const struct haul_kad_key *key = &sweep->keys[sweep->at];

    for (;;) {
        if (gap_find(sweep, key, sweep->region_bits, wish))
            return HAUL_KAD_SWEEP_LOOK;
        if (sweep->region_bits == sweep->region_bits_min ||
            known_in_region(sweep, key, sweep->region_bits) >= HAUL_KAD_K)
            break;
        sweep->region_bits--;
    }
    wish->first = sweep->at;
    wish->count = keys_in_region(sweep, sweep->region_bits);
    return HAUL_KAD_SWEEP_READY;
}

enum haul_kad_sweep_step haul_kad_sweep_next(struct haul_kad_sweep *sweep,
                                             struct haul_kad_sweep_wish *wish)
{
    unsigned bits = sweep->depth > 1 ? sweep->depth - 1 : 0;
    struct haul_kad_sweep_wish gap;

    if (sweep->at == sweep->count)
        return HAUL_KAD_SWEEP_DONE;
    if (!sweep->exploring && !sweep->looked && sweep->cover_count > 0 &&
        ((sweep->depth > 0 && keys_in_region(sweep, bits) >= HAUL_KAD_SWEEP_WORTH) ||
         !gap_find(sweep, &sweep->keys[sweep->at], bits, &gap))) {
        sweep->exploring = true;
        sweep->region_bits = bits;
        sweep->region_bits_min = bits > WIDER_BITS ? bits - WIDER_BITS : 0;
    }
    if (sweep->exploring)
        return explore(sweep, wish);
    if (sweep->looked) {
        wish->first = sweep->at;
        wish->count = 1;
        return HAUL_KAD_SWEEP_READY;
    }
    wish->target = sweep->keys[sweep->at];
    wish->bits = HAUL_KAD_KEY_BITS;
    return HAUL_KAD_SWEEP_LOOK;
}

static void know(struct haul_kad_sweep *sweep, const struct haul_kad_contact *contact)
{
    size_t low = 0, high = sweep->known_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (memcmp(sweep->known[middle].key.bytes, contact->key.bytes, HAUL_KAD_KEY_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < sweep->known_count && haul_kad_key_equal(&sweep->known[low].key, &contact->key))
        return;
    memmove(&sweep->known[low + 1], &sweep->known[low],
            (sweep->known_count - low) * sizeof sweep->known[0]);
    sweep->known[low] = *contact;
    sweep->known_count++;
}

void haul_kad_sweep_looked(struct haul_kad_sweep *sweep, const struct haul_kad_key *target,
                           const struct haul_kad_contact *contacts, size_t count)
{
    unsigned bits = 0;

    sweep->lookups++;
    if (count > HAUL_KAD_K)
        count = HAUL_KAD_K;
    /* What is full begins anew: nothing may be covered whose peers are not all here. */
    if (sweep->known_count + count > sweep->known_max) {
        sweep->known_count = 0;
        sweep->cover_count = 0;
    }
    for (size_t i = 0; i < count; i++)
        know(sweep, &contacts[i]);
    if (count == HAUL_KAD_K) {
        bits = haul_kad_shared_bits(target, &contacts[count - 1].key);
        sweep->depth = bits > 0 ? bits : 1;
        bits++;
    } else if (count == 0) {
        bits = sweep->depth + 2; /* it failed: no use asking again at once */
    }
    cover_add(sweep, target, bits < HAUL_KAD_KEY_BITS ? bits : HAUL_KAD_KEY_BITS);
    if (!sweep->exploring) {
        memcpy(sweep->exact, contacts, count * sizeof contacts[0]);
        sweep->exact_count = count;
        sweep->looked = true;
    }
}

size_t haul_kad_sweep_closest(const struct haul_kad_sweep *sweep, size_t key,
                              struct haul_kad_contact closest[HAUL_KAD_K])
{
    const struct haul_kad_key *target = &sweep->keys[key];
    size_t count = 0;

    if (!sweep->exploring && sweep->exact_count > 0) {
        memcpy(closest, sweep->exact, sweep->exact_count * sizeof closest[0]);
        return sweep->exact_count;
    }
    for (size_t i = 0; i < sweep->known_count; i++) {
        size_t at = haul_kad_place_of(target, closest, count, &sweep->known[i].key);

        if (at == HAUL_KAD_K)
            continue;
        if (count < HAUL_KAD_K)
            count++;
        memmove(&closest[at + 1], &closest[at], (count - 1 - at) * sizeof closest[0]);
        closest[at] = sweep->known[i];
    }
    return count;
}

/* Forgets what lies behind the walk: everything below the start of a region wide around it. */
static void forget_behind(struct haul_kad_sweep *sweep)
{
    unsigned bits = sweep->depth > BEHIND_BITS ? sweep->depth - BEHIND_BITS : 0;
    struct haul_kad_key start = sweep->keys[sweep->at];
    size_t behind = 0, kept = 0;

    for (unsigned bit = bits; bit < HAUL_KAD_KEY_BITS; bit++)
        haul_kad_key_set_bit(&start, bit, false);
    for (size_t i = 0; i < sweep->cover_count; i++) {
        if (sweep->covers[i].bits < bits)
            return; /* it reaches over the start: its peers are needed */
    }
    while (behind < sweep->known_count &&
           memcmp(sweep->known[behind].key.bytes, start.bytes, HAUL_KAD_KEY_BYTES) < 0)
        behind++;
    memmove(&sweep->known[0], &sweep->known[behind],
            (sweep->known_count - behind) * sizeof sweep->known[0]);
    sweep->known_count -= behind;
    for (size_t i = 0; i < sweep->cover_count; i++) {
        if (memcmp(sweep->covers[i].prefix.bytes, start.bytes, HAUL_KAD_KEY_BYTES) >= 0)
            sweep->covers[kept++] = sweep->covers[i];
    }
    sweep->cover_count = kept;
}

void haul_kad_sweep_taken(struct haul_kad_sweep *sweep, size_t count)
{
    haul_assert(count <= sweep->count - sweep->at);
    sweep->at += count;
    sweep->looked = false;
    sweep->exact_count = 0;
    if (sweep->at == sweep->count)
        return;
    /* The rest of a region stays ready. */
    if (sweep->exploring &&
        in_region(&sweep->keys[sweep->at], &sweep->keys[sweep->at - 1], sweep->region_bits))
        return;
    sweep->exploring = false;
    forget_behind(sweep);
}
