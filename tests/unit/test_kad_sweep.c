/* Announcing many keys in a network that is a list: everybody gets what it should get, at the price
 * of few look-ups. */
#include "controlplane/p2p/kad/sweep.h"

#include "tests/unit/kad_rig.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#define PEERS_MAX 10000u
#define KEYS_MAX  100000u

static struct haul_kad_contact *peers; /* sorted by key */
static size_t peer_count;
static struct haul_kad_key *keys;
static struct haul_kad_sweep sweep;
static struct haul_kad_contact memory[HAUL_KAD_SWEEP_KNOWN];

static int by_contact(const void *a, const void *b)
{
    const struct haul_kad_contact *left = a, *right = b;

    return memcmp(left->key.bytes, right->key.bytes, HAUL_KAD_KEY_BYTES);
}

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, HAUL_KAD_KEY_BYTES);
}

static void network_init(size_t count, size_t key_count)
{
    struct haul_rng rng;

    peers = calloc(PEERS_MAX, sizeof *peers);
    keys = calloc(KEYS_MAX, sizeof *keys);
    haul_rng_init(&rng, 9);
    peer_count = count;
    for (size_t i = 0; i < count; i++)
        haul_rng_fill(&rng, peers[i].key.bytes, HAUL_KAD_KEY_BYTES);
    qsort(peers, count, sizeof peers[0], by_contact);
    for (size_t i = 0; i < key_count; i++)
        haul_rng_fill(&rng, keys[i].bytes, HAUL_KAD_KEY_BYTES);
    qsort(keys, key_count, sizeof keys[0], by_key);
    haul_kad_sweep_init(&sweep, keys, key_count, memory, HAUL_COUNT_OF(memory));
}

static void network_fini(void)
{
    free(peers);
    free(keys);
}

/* The nearest lie around the place of the key in the sorted list: the region with enough of them
 * is searched and no other. */
static size_t truth(const struct haul_kad_key *target, struct haul_kad_contact closest[HAUL_KAD_K])
{
    size_t low = 0, high = peer_count, count = 0, from, to;
    unsigned bits = HAUL_KAD_KEY_BITS;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (memcmp(peers[middle].key.bytes, target->bytes, HAUL_KAD_KEY_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    from = to = low;
    do {
        bits--;
        while (from > 0 && haul_kad_shared_bits(&peers[from - 1].key, target) >= bits)
            from--;
        while (to < peer_count && haul_kad_shared_bits(&peers[to].key, target) >= bits)
            to++;
    } while (bits > 0 && to - from < HAUL_KAD_K);
    for (size_t i = from; i < to; i++) {
        size_t at = haul_kad_place_of(target, closest, count, &peers[i].key);

        if (at == HAUL_KAD_K)
            continue;
        if (count < HAUL_KAD_K)
            count++;
        memmove(&closest[at + 1], &closest[at], (count - 1 - at) * sizeof closest[0]);
        closest[at] = peers[i];
    }
    return count;
}

/* Walks to the end; returns how many keys got exactly the peers they should. */
static size_t walk(bool check)
{
    struct haul_kad_contact closest[HAUL_KAD_K], wanted[HAUL_KAD_K];
    struct haul_kad_sweep_wish wish;
    enum haul_kad_sweep_step step;
    size_t right = 0;

    while ((step = haul_kad_sweep_next(&sweep, &wish)) != HAUL_KAD_SWEEP_DONE) {
        if (step == HAUL_KAD_SWEEP_LOOK) {
            size_t count = truth(&wish.target, closest);

            haul_kad_sweep_looked(&sweep, &wish.target, closest, count);
            CU_ASSERT_FATAL(sweep.lookups < 200000);
            continue;
        }
        CU_ASSERT_EQUAL_FATAL(wish.first, sweep.at);
        CU_ASSERT_FATAL(wish.count > 0);
        for (size_t i = 0; check && i < wish.count; i++) {
            size_t count = haul_kad_sweep_closest(&sweep, wish.first + i, closest);

            right += count == truth(&keys[wish.first + i], wanted) &&
                     memcmp(closest, wanted, count * sizeof closest[0]) == 0;
        }
        haul_kad_sweep_taken(&sweep, wish.count);
    }
    return right;
}

static void every_key_goes_to_its_twenty_nearest(void)
{
    static const size_t counts[][2] = { { 10000, 1 },   { 10000, 100 }, { 10000, 3000 },
                                        { 2000, 2000 }, { 300, 500 },   { 25, 100 },
                                        { 5, 100 },     { 0, 10 } };

    for (size_t i = 0; i < HAUL_COUNT_OF(counts); i++) {
        network_init(counts[i][0], counts[i][1]);
        CU_ASSERT_EQUAL(walk(true), counts[i][1]);
        network_fini();
    }
}

static void many_keys_cost_far_less_than_a_lookup_each(void)
{
    static const struct {
        size_t keys, lookups_max;
    } curve[] = { { 10, 10 }, { 100, 100 }, { 1000, 800 }, { 10000, 900 }, { 100000, 900 } };

    printf("\n  keys  look-ups  a key, of 10,000 peers\n");
    for (size_t i = 0; i < HAUL_COUNT_OF(curve); i++) {
        network_init(10000, curve[i].keys);
        (void)walk(false);
        printf("%6zu  %8llu  %llu/1000\n", curve[i].keys, (unsigned long long)sweep.lookups,
               (unsigned long long)(sweep.lookups * 1000 / curve[i].keys));
        CU_ASSERT(sweep.lookups <= curve[i].lookups_max);
        network_fini();
    }
}

static void a_lookup_that_fails_does_not_stop_the_walk(void)
{
    struct haul_kad_contact closest[HAUL_KAD_K];
    struct haul_kad_sweep_wish wish;
    enum haul_kad_sweep_step step;
    size_t ready = 0;

    network_init(5000, 2000);
    while ((step = haul_kad_sweep_next(&sweep, &wish)) != HAUL_KAD_SWEEP_DONE) {
        if (step == HAUL_KAD_SWEEP_LOOK) {
            size_t count = sweep.lookups % 3 == 0 ? 0 : truth(&wish.target, closest);

            haul_kad_sweep_looked(&sweep, &wish.target, closest, count);
            CU_ASSERT_FATAL(sweep.lookups < 10000);
            continue;
        }
        ready += wish.count;
        haul_kad_sweep_taken(&sweep, wish.count);
    }
    CU_ASSERT_EQUAL(ready, 2000);
    network_fini();
}

static const struct unit_test tests[] = {
    { "every key goes to its twenty nearest", every_key_goes_to_its_twenty_nearest },
    { "many keys cost far less than a look-up each", many_keys_cost_far_less_than_a_lookup_each },
    { "a look-up that fails does not stop the walk", a_lookup_that_fails_does_not_stop_the_walk },
};

int main(void)
{
    return unit_main("kad sweep", tests, HAUL_COUNT_OF(tests));
}
