/* Announcing: a run walks sorted keys (p2p/kad/sweep.h), looks up where it has to, and tells each
 * peer of a region all keys that are its business over one stream. The keys that are announced for
 * good are one run each time the first of them is due, with all that are due soon. */
#include "controlplane/dht/dht_parts.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK        64u /* keys that are told at once; a bit each */
#define SENDING_MAX  16u /* peers that are told at once */
#define SOON         (3600 * HAUL_SECOND)
#define RETRY        (60 * HAUL_SECOND)
#define REFRESH_LATE 4u /* a key may be as late as this part of the period: nothing expires */

struct telling {
    struct haul_kad_contact contact;
    uint64_t keys; /* of the chunk */
    struct haul_dht_ask *ask;
    bool begun, over;
};

struct haul_dht_run {
    struct haul_dht *dht;
    struct haul_timer *timer;
    haul_dht_run_fn *done;
    void *context;
    struct haul_hash *hashes; /* sorted by key, as keys and taken */
    struct haul_kad_key *keys;
    uint32_t *order; /* where each stood in what was given */
    uint16_t *taken;
    size_t count;
    struct haul_dht_query *query;
    struct haul_kad_key target; /* that was looked up */
    struct haul_kad_contact *memory;
    size_t first, chunk; /* being told; chunk 0: nothing */
    struct telling *tellings;
    size_t telling_count, telling_next, telling_under_way;
    bool over;
    LIST_ENTRY(haul_dht_run) link;
    struct haul_kad_sweep sweep;
};

static void run_due(struct haul_dht_run *run)
{
    haul_loop_timer_set(run->timer, haul_dht_now(run->dht));
}

/* --- telling --- */

static void on_told(void *context, struct haul_dht_ask *ask, const struct haul_kad_message *answer,
                    bool sent)
{
    struct haul_dht_run *run = context;

    (void)answer;
    for (size_t i = 0; i < run->telling_count; i++) {
        struct telling *telling = &run->tellings[i];

        if (telling->ask != ask)
            continue;
        telling->ask = NULL;
        telling->over = true;
        run->telling_under_way--;
        for (size_t key = 0; sent && key < run->chunk; key++)
            run->taken[run->first + key] += (uint16_t)(telling->keys >> key & 1);
    }
    run_due(run);
}

/* Our addresses as far as they concern this peer. */
static size_t own_addresses(const struct haul_dht *dht, const struct haul_kad_contact *contact,
                            struct haul_multiaddr addresses[HAUL_HOST_ADDRESSES_MAX])
{
    uint64_t connection = haul_host_find(dht->host, &contact->id);
    enum haul_addr_scope scope = HAUL_ADDR_SPECIAL;
    struct haul_multiaddr at;
    size_t count = haul_host_told(dht->host, addresses, HAUL_HOST_ADDRESSES_MAX);

    if (connection != HAUL_HOST_NO_CONNECTION)
        scope = haul_dht_scope(dht, connection);
    else if (haul_address_book_find(&dht->book, &contact->id, haul_dht_now(dht), &at, 1) > 0)
        scope = haul_address_reach(&at);
    return haul_addresses_filter(addresses, count, scope, dht->conf.floor);
}

/* ADD_PROVIDER for each of its keys, one behind the other. */
static uint8_t *frames_write(const struct haul_dht_run *run, const struct telling *telling,
                             size_t *bytes)
{
    struct haul_multiaddr addresses[HAUL_HOST_ADDRESSES_MAX];
    size_t count = own_addresses(run->dht, &telling->contact, addresses);
    size_t one = 128, room, used = 0;
    uint8_t *data;

    for (size_t i = 0; i < count; i++)
        one += addresses[i].length + 4u;
    room = one * (size_t)__builtin_popcountll(telling->keys);
    data = count == 0 ? NULL : malloc(room);
    for (size_t key = 0; data != NULL && key < run->chunk; key++) {
        struct haul_out out = haul_out_to(data + used + HAUL_KAD_LENGTH_BYTES_MAX,
                                          room - used - HAUL_KAD_LENGTH_BYTES_MAX);
        const uint8_t *body = out.at;
        uint8_t *frame;
        size_t frame_bytes;

        if ((telling->keys >> key & 1) == 0)
            continue;
        haul_kad_write(&out, HAUL_KAD_ADD_PROVIDER, run->hashes[run->first + key].bytes,
                       HAUL_HASH_BYTES);
        haul_assert(haul_kad_write_peer(&out, HAUL_KAD_PROVIDERS, &run->dht->own, addresses, count,
                                        HAUL_KAD_CAN_CONNECT));
        frame = haul_kad_frame(data + used, (size_t)(out.at - body));
        frame_bytes = (size_t)(out.at - frame);
        memmove(data + used, frame, frame_bytes);
        used += frame_bytes;
    }
    *bytes = used;
    return data;
}

static void telling_begin(struct haul_dht_run *run, struct telling *telling)
{
    size_t bytes = 0;
    uint8_t *frames = frames_write(run, telling, &bytes);

    telling->begun = true;
    telling->ask = haul_dht_ask(run->dht, &telling->contact, frames, bytes, false);
    telling->over = telling->ask == NULL;
    if (telling->over)
        return;
    telling->ask->done = on_told;
    telling->ask->context = run;
    run->telling_under_way++;
    haul_counter_add(&run->dht->counters.announce_streams, 1);
}

/* Who is to be told what of the chunk. */
static void chunk_begin(struct haul_dht_run *run, size_t first, size_t count)
{
    struct haul_kad_contact closest[HAUL_KAD_K];

    run->first = first;
    run->chunk = count < CHUNK ? count : CHUNK;
    run->telling_count = run->telling_next = 0;
    for (size_t key = 0; key < run->chunk; key++) {
        size_t peers = haul_kad_sweep_closest(&run->sweep, first + key, closest);

        for (size_t i = 0; i < peers; i++) {
            size_t at = 0;

            while (at < run->telling_count &&
                   !haul_kad_key_equal(&run->tellings[at].contact.key, &closest[i].key))
                at++;
            if (at == run->telling_count)
                run->tellings[run->telling_count++] = (struct telling){ .contact = closest[i] };
            run->tellings[at].keys |= UINT64_C(1) << key;
        }
    }
}

/* True when all have been told. */
static bool chunk_pump(struct haul_dht_run *run)
{
    while (run->telling_next < run->telling_count && run->telling_under_way < SENDING_MAX)
        telling_begin(run, &run->tellings[run->telling_next++]);
    return run->telling_under_way == 0;
}

/* --- looking --- */

static void on_looked(void *context, const struct haul_dht_result *result)
{
    struct haul_dht_run *run = context;
    struct haul_kad_contact contacts[HAUL_KAD_K];
    size_t count = haul_kad_lookup_closest(result->lookup, contacts, HAUL_KAD_K);

    run->query = NULL;
    haul_kad_sweep_looked(&run->sweep, &run->target, contacts, count);
    run_due(run);
}

static bool look(struct haul_dht_run *run, const struct haul_kad_sweep_wish *wish)
{
    struct haul_dht_search search = { .kind = HAUL_DHT_NEAREST, .context = run, .done = on_looked };
    struct haul_peer_id name;

    if (wish->bits == HAUL_KAD_KEY_BITS) {
        search.key = run->hashes[run->sweep.at].bytes;
        search.key_bytes = HAUL_HASH_BYTES;
        run->target = wish->target;
    } else if (haul_kad_preimage(&wish->target, wish->bits, ++run->dht->seed, &name,
                                 &run->target)) {
        search.key = name.bytes;
        search.key_bytes = name.length;
    } else {
        return false;
    }
    haul_counter_add(&run->dht->counters.announce_lookups, 1);
    return haul_dht_search(run->dht, &search, &run->query, NULL) == 0;
}

/* --- the run --- */

static void run_free(struct haul_dht_run *run)
{
    LIST_REMOVE(run, link);
    if (run->query != NULL)
        haul_dht_cancel(run->query);
    for (size_t i = 0; i < run->telling_count; i++) {
        if (run->tellings[i].ask == NULL)
            continue;
        run->tellings[i].ask->done = NULL;
        run->tellings[i].ask->dropped = true;
    }
    haul_loop_timer_free(run->timer);
    free(run->hashes);
    free(run->keys);
    free(run->order);
    free(run->taken);
    free(run->memory);
    free(run->tellings);
    free(run);
}

static void run_end(struct haul_dht_run *run)
{
    uint16_t *given = calloc(run->count, sizeof *given);

    for (size_t i = 0; i < run->count; i++) {
        haul_counter_add(run->taken[i] > 0 ? &run->dht->counters.announced
                                           : &run->dht->counters.announce_failed,
                         1);
        if (given != NULL)
            given[run->order[i]] = run->taken[i];
    }
    if (run->dht->announcing == run)
        run->dht->announcing = NULL;
    run->done(run->context, given, given != NULL ? run->count : 0);
    free(given);
    run_free(run);
}

static void on_timer(void *context)
{
    struct haul_dht_run *run = context;
    struct haul_kad_sweep_wish wish;

    while (run->query == NULL) {
        if (run->chunk > 0) {
            if (!chunk_pump(run))
                return;
            haul_kad_sweep_taken(&run->sweep, run->chunk);
            run->chunk = run->telling_count = 0;
        }
        switch (haul_kad_sweep_next(&run->sweep, &wish)) {
        case HAUL_KAD_SWEEP_LOOK:
            if (!look(run, &wish))
                haul_kad_sweep_looked(&run->sweep, &wish.target, NULL, 0);
            break;
        case HAUL_KAD_SWEEP_READY:
            chunk_begin(run, wish.first, wish.count);
            break;
        case HAUL_KAD_SWEEP_DONE:
            run_end(run);
            return;
        }
    }
}

struct sorting {
    struct haul_kad_key key;
    uint32_t at;
};

static int by_key(const void *a, const void *b)
{
    return memcmp(((const struct sorting *)a)->key.bytes, ((const struct sorting *)b)->key.bytes,
                  HAUL_KAD_KEY_BYTES);
}

static bool run_sort(struct haul_dht_run *run, const struct haul_hash *hashes)
{
    struct sorting *sorting = calloc(run->count, sizeof *sorting);

    if (sorting == NULL)
        return false;
    for (size_t i = 0; i < run->count; i++) {
        haul_kad_key_of(hashes[i].bytes, HAUL_HASH_BYTES, &sorting[i].key);
        sorting[i].at = (uint32_t)i;
    }
    qsort(sorting, run->count, sizeof *sorting, by_key);
    for (size_t i = 0; i < run->count; i++) {
        run->keys[i] = sorting[i].key;
        run->order[i] = sorting[i].at;
        run->hashes[i] = hashes[sorting[i].at];
    }
    free(sorting);
    return true;
}

int haul_dht_provide(struct haul_dht *dht, const struct haul_hash *hashes, size_t count,
                     haul_dht_run_fn *done, void *context, struct haul_dht_run **out,
                     struct haul_error *error)
{
    struct haul_dht_run *run;

    if (dht->host == NULL || count == 0 || count > HAUL_DHT_ANNOUNCED_MAX)
        return haul_fail(error, HAUL_E_LIMIT, "cannot announce %zu keys at once", count);
    run = calloc(1, sizeof *run);
    if (run == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory to announce");
    LIST_INSERT_HEAD(&dht->runs, run, link);
    run->dht = dht;
    run->done = done;
    run->context = context;
    run->count = count;
    run->timer = haul_loop_timer(dht->conf.loop, on_timer, run);
    run->hashes = calloc(count, sizeof *run->hashes);
    run->keys = calloc(count, sizeof *run->keys);
    run->order = calloc(count, sizeof *run->order);
    run->taken = calloc(count, sizeof *run->taken);
    run->memory = calloc(HAUL_KAD_SWEEP_KNOWN, sizeof *run->memory);
    run->tellings = calloc((size_t)CHUNK * HAUL_KAD_K, sizeof *run->tellings);
    if (run->timer == NULL || run->hashes == NULL || run->keys == NULL || run->order == NULL ||
        run->taken == NULL || run->memory == NULL || run->tellings == NULL ||
        !run_sort(run, hashes)) {
        run_free(run);
        return haul_fail(error, HAUL_E_SYSTEM, "no memory to announce");
    }
    haul_kad_sweep_init(&run->sweep, run->keys, count, run->memory, HAUL_KAD_SWEEP_KNOWN);
    run_due(run);
    *out = run;
    return 0;
}

void haul_dht_run_cancel(struct haul_dht_run *run)
{
    if (run->dht->announcing == run)
        run->dht->announcing = NULL;
    run_free(run);
}

/* --- for good --- */

static size_t place_of(const struct haul_dht *dht, const struct haul_hash *hash)
{
    size_t low = 0, high = dht->announced_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (memcmp(dht->announced[middle].hash.bytes, hash->bytes, HAUL_HASH_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct haul_dht *dht, size_t at, const struct haul_hash *hash)
{
    return at < dht->announced_count && haul_hash_equal(&dht->announced[at].hash, hash);
}

int haul_dht_announce(struct haul_dht *dht, const struct haul_hash *hash, struct haul_error *error)
{
    size_t at = place_of(dht, hash);

    if (is_at(dht, at, hash))
        return 0;
    if (dht->announced_count == HAUL_DHT_ANNOUNCED_MAX)
        return haul_fail(error, HAUL_E_LIMIT, "too many datasets are announced");
    if (dht->announced_count == dht->announced_room) {
        size_t room = dht->announced_room == 0 ? 64 : dht->announced_room * 2;
        struct haul_dht_announced *grown = realloc(dht->announced, room * sizeof dht->announced[0]);

        if (grown == NULL)
            return haul_fail(error, HAUL_E_SYSTEM, "no memory to announce");
        dht->announced = grown;
        dht->announced_room = room;
    }
    memmove(&dht->announced[at + 1], &dht->announced[at],
            (dht->announced_count - at) * sizeof dht->announced[0]);
    dht->announced[at] = (struct haul_dht_announced){ .hash = *hash, .due = haul_dht_now(dht) };
    dht->announced_count++;
    dht->announce_at = 0;
    if (dht->host != NULL)
        haul_loop_timer_set(dht->timer, haul_dht_now(dht));
    return 0;
}

void haul_dht_withdraw(struct haul_dht *dht, const struct haul_hash *hash)
{
    size_t at = place_of(dht, hash);

    if (!is_at(dht, at, hash))
        return;
    dht->announced_count--;
    memmove(&dht->announced[at], &dht->announced[at + 1],
            (dht->announced_count - at) * sizeof dht->announced[0]);
}

static void next_due(struct haul_dht *dht)
{
    dht->announce_at = HAUL_TIME_NEVER;
    for (size_t i = 0; i < dht->announced_count; i++)
        dht->announce_at = haul_time_min(dht->announce_at, dht->announced[i].due);
}

/* What is announced may have changed meanwhile: each is looked for by its hash. */
static void on_announced(void *context, const uint16_t *taken, size_t count)
{
    struct haul_dht *dht = context;
    haul_time now = haul_dht_now(dht);

    for (size_t i = 0; i < dht->announcing_count; i++) {
        size_t at = place_of(dht, &dht->announcing_hashes[i]);

        if (is_at(dht, at, &dht->announcing_hashes[i]))
            dht->announced[at].due =
                haul_time_add(now, i < count && taken[i] > 0 ? dht->conf.republish : RETRY);
    }
    free(dht->announcing_hashes);
    dht->announcing_hashes = NULL;
    dht->announcing_count = 0;
    next_due(dht);
}

void haul_dht_announce_due(struct haul_dht *dht)
{
    haul_time now = haul_dht_now(dht);
    haul_time until = haul_time_add(now, haul_time_min(SOON, dht->conf.republish / REFRESH_LATE));
    struct haul_hash *hashes;
    size_t count = 0;

    if (dht->announcing != NULL)
        return;
    next_due(dht);
    /* Without anybody to tell, not even a look-up is begun. */
    if (dht->announce_at > now || dht->table.count == 0)
        return;
    hashes = calloc(dht->announced_count, sizeof *hashes);
    for (size_t i = 0; hashes != NULL && i < dht->announced_count; i++) {
        if (dht->announced[i].due > until)
            continue;
        dht->announced[i].due = HAUL_TIME_NEVER; /* under way */
        hashes[count++] = dht->announced[i].hash;
    }
    dht->announcing_hashes = hashes;
    dht->announcing_count = count;
    if (count > 0 &&
        haul_dht_provide(dht, hashes, count, on_announced, dht, &dht->announcing, NULL) < 0)
        on_announced(dht, NULL, 0);
}
