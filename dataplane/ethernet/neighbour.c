/* The table: chains over a seeded hash, so that nobody can choose addresses that share one. */
#include "dataplane/ethernet/neighbour.h"

#include <string.h>

#define ASK_ALL_TRIES 4u
#define ASK_ONE_TRIES 3u
#define ASK_GAP       (200 * HAUL_MILLISECOND) /* doubled with every question to everybody */
#define FAILED_SPAN   (3 * HAUL_SECOND)
#define LIVE_SPAN                                                                                  \
    (20 * HAUL_SECOND) /* and up to as much again, so that not all fall due at once                \
                        */
#define UNUSED_SPAN (10 * HAUL_SECOND) /* after this an entry may make room for another */
#define FORGET_SPAN (600 * HAUL_SECOND)
#define DEAF_SPAN   HAUL_SECOND

void haul_neighbours_init(struct haul_neighbours *table, uint64_t seed)
{
    memset(table, 0, sizeof *table);
    memset(table->heads, 0xff, sizeof table->heads);
    table->due = HAUL_TIME_NEVER;
    haul_rng_init(&table->rng, seed);
    table->seed = haul_rng_next(&table->rng) | 1;
}

static bool same_ip(const struct haul_addr *a, const struct haul_addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static uint16_t *head_of(struct haul_neighbours *table, const struct haul_addr *ip)
{
    uint64_t halves[2], hash;

    memcpy(halves, ip->ip, sizeof halves);
    hash = (halves[0] ^ table->seed) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 29 ^ halves[1] ^ ip->family) * (table->seed | 1);
    return &table->heads[(hash >> 40) % HAUL_NEIGHBOURS_MAX];
}

struct haul_neighbour *haul_neighbours_find(struct haul_neighbours *table,
                                            const struct haul_addr *ip)
{
    for (uint16_t at = *head_of(table, ip); at != HAUL_NEIGHBOUR_NONE;
         at = table->entries[at].next) {
        if (same_ip(&table->entries[at].ip, ip))
            return &table->entries[at];
    }
    return NULL;
}

static void entry_free(struct haul_neighbours *table, struct haul_neighbour *entry)
{
    uint16_t *link = head_of(table, &entry->ip);
    uint16_t number = (uint16_t)(entry - table->entries);

    while (*link != number) {
        haul_assert(*link != HAUL_NEIGHBOUR_NONE);
        link = &table->entries[*link].next;
    }
    *link = entry->next;
    entry->state = HAUL_NEIGHBOUR_FREE;
    entry->due = HAUL_TIME_NEVER;
    entry->generation = ++table->generation;
    table->count--;
}

/* A free entry, or the one that was left alone the longest and is not in use. */
static struct haul_neighbour *entry_room(struct haul_neighbours *table, haul_time now)
{
    struct haul_neighbour *oldest = NULL;

    for (size_t i = 0; i < HAUL_NEIGHBOURS_MAX; i++) {
        struct haul_neighbour *entry = &table->entries[i];

        if (entry->state == HAUL_NEIGHBOUR_FREE)
            return entry;
        if (entry->state != HAUL_NEIGHBOUR_FAILED &&
            haul_time_since(entry->used, now) < UNUSED_SPAN)
            continue;
        if (oldest == NULL || entry->used < oldest->used)
            oldest = entry;
    }
    if (oldest != NULL)
        entry_free(table, oldest);
    return oldest;
}

static void entry_due(struct haul_neighbours *table, struct haul_neighbour *entry, haul_time due)
{
    entry->due = due;
    table->due = haul_time_min(table->due, due);
}

static void entry_enter(struct haul_neighbours *table, struct haul_neighbour *entry,
                        enum haul_neighbour_state state, haul_time due)
{
    entry->state = (uint8_t)state;
    entry->tries = 0;
    entry_due(table, entry, due);
}

void haul_neighbour_touch(struct haul_neighbours *table, struct haul_neighbour *entry,
                          haul_time now)
{
    entry->used = now;
    if (entry->state == HAUL_NEIGHBOUR_LIVE && now >= entry->stale)
        entry_enter(table, entry, HAUL_NEIGHBOUR_CONFIRMING, now);
}

struct haul_neighbour *haul_neighbours_use(struct haul_neighbours *table,
                                           const struct haul_addr *ip, haul_time now)
{
    struct haul_neighbour *entry = haul_neighbours_find(table, ip);

    if (entry == NULL) {
        uint16_t *head;

        entry = entry_room(table, now);
        if (entry == NULL)
            return NULL;
        head = head_of(table, ip);
        *entry = (struct haul_neighbour){
            .ip = *ip,
            .next = *head,
            .generation = ++table->generation,
        };
        entry->ip.port = 0;
        entry->ip.scope = 0;
        *head = (uint16_t)(entry - table->entries);
        table->count++;
        entry_enter(table, entry, HAUL_NEIGHBOUR_ASKING, now);
    }
    haul_neighbour_touch(table, entry, now);
    return entry;
}

/* --- claims --- */

static void entry_confirm(struct haul_neighbours *table, struct haul_neighbour *entry,
                          const uint8_t *mac, haul_time now)
{
    memcpy(entry->mac, mac, HAUL_MAC_BYTES);
    entry_enter(table, entry, HAUL_NEIGHBOUR_LIVE, haul_time_add(now, FORGET_SPAN));
    entry->stale = haul_time_add(now, LIVE_SPAN + haul_rng_below(&table->rng, LIVE_SPAN));
}

/* While everybody is asked, the first answer counts. */
static enum haul_claim sought(struct haul_neighbours *table, struct haul_neighbour *entry,
                              const uint8_t *mac, bool answer, haul_time now)
{
    bool moved =
        entry->state == HAUL_NEIGHBOUR_SEEKING && memcmp(entry->mac, mac, HAUL_MAC_BYTES) != 0;

    if (!answer)
        return HAUL_CLAIM_UNASKED;
    entry_confirm(table, entry, mac, now);
    entry->generation = ++table->generation;
    return moved ? HAUL_CLAIM_MOVED : HAUL_CLAIM_CONFIRMED;
}

enum haul_claim haul_neighbours_claim(struct haul_neighbours *table, const struct haul_addr *ip,
                                      const uint8_t mac[HAUL_MAC_BYTES], bool answer, haul_time now)
{
    struct haul_neighbour *entry = haul_neighbours_find(table, ip);
    bool same;

    if (entry == NULL)
        return HAUL_CLAIM_UNASKED;
    same = memcmp(entry->mac, mac, HAUL_MAC_BYTES) == 0;
    switch ((enum haul_neighbour_state)entry->state) {
    case HAUL_NEIGHBOUR_FREE:
        break;
    case HAUL_NEIGHBOUR_ASKING:
    case HAUL_NEIGHBOUR_SEEKING:
        return sought(table, entry, mac, answer, now);
    case HAUL_NEIGHBOUR_FAILED:
        /* It may be back: it is asked for again, not believed. */
        if (now >= entry->listen) {
            entry->listen = haul_time_add(now, DEAF_SPAN);
            entry_enter(table, entry, HAUL_NEIGHBOUR_ASKING, now);
        }
        break;
    case HAUL_NEIGHBOUR_LIVE:
    case HAUL_NEIGHBOUR_CONFIRMING:
        if (same && answer && entry->state == HAUL_NEIGHBOUR_CONFIRMING) {
            entry_confirm(table, entry, mac, now);
            return HAUL_CLAIM_CONFIRMED;
        }
        if (same || now < entry->listen)
            break;
        entry_enter(table, entry, HAUL_NEIGHBOUR_CHALLENGED, now);
        return HAUL_CLAIM_CHALLENGE;
    case HAUL_NEIGHBOUR_CHALLENGED:
        if (!same || !answer || entry->tries == 0)
            break;
        entry_confirm(table, entry, mac, now);
        entry->listen = haul_time_add(now, DEAF_SPAN);
        return HAUL_CLAIM_REFUSED;
    }
    return HAUL_CLAIM_UNASKED;
}

/* --- time --- */

static enum haul_neighbour_step ask_all(struct haul_neighbours *table, struct haul_neighbour *entry,
                                        haul_time now)
{
    if (entry->tries == ASK_ALL_TRIES) {
        entry_enter(table, entry, HAUL_NEIGHBOUR_FAILED, haul_time_add(now, FAILED_SPAN));
        entry->listen = haul_time_add(now, DEAF_SPAN);
        entry->generation = ++table->generation;
        return HAUL_STEP_LOST;
    }
    entry_due(table, entry, haul_time_add(now, ASK_GAP << entry->tries));
    entry->tries++;
    return HAUL_STEP_ASK_ALL;
}

static enum haul_neighbour_step ask_one(struct haul_neighbours *table, struct haul_neighbour *entry,
                                        haul_time now)
{
    if (entry->tries == ASK_ONE_TRIES) {
        entry_enter(table, entry, HAUL_NEIGHBOUR_SEEKING, now);
        return ask_all(table, entry, now);
    }
    entry_due(table, entry, haul_time_add(now, ASK_GAP));
    entry->tries++;
    return HAUL_STEP_ASK_ONE;
}

static enum haul_neighbour_step entry_step(struct haul_neighbours *table,
                                           struct haul_neighbour *entry, haul_time now)
{
    switch ((enum haul_neighbour_state)entry->state) {
    case HAUL_NEIGHBOUR_ASKING:
    case HAUL_NEIGHBOUR_SEEKING:
        return ask_all(table, entry, now);
    case HAUL_NEIGHBOUR_CONFIRMING:
    case HAUL_NEIGHBOUR_CHALLENGED:
        return ask_one(table, entry, now);
    case HAUL_NEIGHBOUR_LIVE:
        if (haul_time_since(entry->used, now) < FORGET_SPAN) {
            entry_due(table, entry, haul_time_add(entry->used, FORGET_SPAN));
            return HAUL_STEP_NONE;
        }
        entry_free(table, entry);
        return HAUL_STEP_NONE;
    case HAUL_NEIGHBOUR_FAILED:
        entry_free(table, entry);
        return HAUL_STEP_NONE;
    case HAUL_NEIGHBOUR_FREE:
        break;
    }
    return HAUL_STEP_NONE;
}

enum haul_neighbour_step haul_neighbours_step(struct haul_neighbours *table, haul_time now,
                                              struct haul_addr *ip, uint8_t mac[HAUL_MAC_BYTES])
{
    haul_time due = HAUL_TIME_NEVER;

    if (now < table->due)
        return HAUL_STEP_NONE;
    for (size_t i = 0; i < HAUL_NEIGHBOURS_MAX; i++) {
        struct haul_neighbour *entry = &table->entries[i];
        enum haul_neighbour_step step;

        if (entry->state == HAUL_NEIGHBOUR_FREE)
            continue;
        if (now >= entry->due) {
            *ip = entry->ip;
            memcpy(mac, entry->mac, HAUL_MAC_BYTES);
            step = entry_step(table, entry, now);
            if (step != HAUL_STEP_NONE)
                return step;
        }
        due = haul_time_min(due, entry->state == HAUL_NEIGHBOUR_FREE ? due : entry->due);
    }
    table->due = due;
    return HAUL_STEP_NONE;
}

void haul_neighbours_doubt(struct haul_neighbours *table, haul_time now)
{
    for (size_t i = 0; i < HAUL_NEIGHBOURS_MAX; i++) {
        struct haul_neighbour *entry = &table->entries[i];

        if (entry->state == HAUL_NEIGHBOUR_LIVE)
            entry->stale = now;
        else if (entry->state == HAUL_NEIGHBOUR_FAILED)
            entry_free(table, entry);
    }
}

const char *haul_neighbours_broken(const struct haul_neighbours *table)
{
    size_t used = 0, chained = 0;

    for (size_t i = 0; i < HAUL_NEIGHBOURS_MAX; i++) {
        const struct haul_neighbour *entry = &table->entries[i];

        used += entry->state != HAUL_NEIGHBOUR_FREE;
        if (entry->state != HAUL_NEIGHBOUR_FREE && entry->due < table->due)
            return "an entry is due before the table";
        for (uint16_t at = table->heads[i]; at != HAUL_NEIGHBOUR_NONE;
             at = table->entries[at].next) {
            if (table->entries[at].state == HAUL_NEIGHBOUR_FREE)
                return "a free entry is in a chain";
            if (++chained > HAUL_NEIGHBOURS_MAX)
                return "a chain has no end";
        }
    }
    return used == table->count && chained == used ? NULL : "the count is wrong";
}
