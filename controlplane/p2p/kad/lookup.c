/* The look-up. The list of candidates is sorted by distance and bounded: when it is full, the
 * farthest that nobody has been asked about makes room. */
#include "controlplane/p2p/kad/lookup.h"

#include "controlplane/p2p/kad/table.h"

#include <string.h>

const struct haul_kad_lookup_conf haul_kad_lookup_default = {
    .want = HAUL_KAD_K,
    .alpha = 10,
    .paths = 2,
    .group_max = 0,
    .asked_max = 200,
    .patience = 1 * HAUL_SECOND,
    .duration = 60 * HAUL_SECOND,
};

void haul_kad_lookup_init(struct haul_kad_lookup *lookup, const struct haul_kad_key *target,
                          const struct haul_kad_lookup_conf *conf, haul_time now)
{
    haul_assert(conf->paths >= 1 && conf->paths <= HAUL_KAD_PATHS_MAX);
    haul_assert(conf->want >= 1 && conf->alpha >= 1);
    memset(lookup, 0, offsetof(struct haul_kad_lookup, candidates));
    lookup->conf = *conf;
    lookup->target = *target;
    lookup->ends = haul_time_add(now, conf->duration);
}

static size_t place_of(const struct haul_kad_lookup *lookup, const struct haul_kad_key *key)
{
    size_t low = 0, high = lookup->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (haul_kad_compare(&lookup->target, &lookup->candidates[middle].contact.key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct haul_kad_candidate *find(struct haul_kad_lookup *lookup,
                                       const struct haul_kad_key *key)
{
    size_t at = place_of(lookup, key);

    if (at == lookup->count || !haul_kad_key_equal(&lookup->candidates[at].contact.key, key))
        return NULL;
    return &lookup->candidates[at];
}

static void remove_at(struct haul_kad_lookup *lookup, size_t at)
{
    memmove(&lookup->candidates[at], &lookup->candidates[at + 1],
            (lookup->count - at - 1) * sizeof lookup->candidates[0]);
    lookup->count--;
}

/* The farthest candidate behind `from` that has not been asked, of a group or (0) of any. */
static size_t farthest_new(const struct haul_kad_lookup *lookup, size_t from, uint32_t group)
{
    for (size_t i = lookup->count; i-- > from;) {
        const struct haul_kad_candidate *candidate = &lookup->candidates[i];

        if (candidate->state == HAUL_KAD_NEW && (group == 0 || candidate->contact.group == group))
            return i;
    }
    return SIZE_MAX;
}

/* Makes sure that one more of this group may come in at this place. */
static bool group_allows(struct haul_kad_lookup *lookup, uint32_t group, size_t at)
{
    unsigned count = 0;
    size_t farther;

    if (group == 0 || lookup->conf.group_max == 0)
        return true;
    for (size_t i = 0; i < lookup->count; i++)
        count += lookup->candidates[i].contact.group == group;
    if (count < lookup->conf.group_max)
        return true;
    farther = farthest_new(lookup, at, group);
    if (farther == SIZE_MAX)
        return false;
    remove_at(lookup, farther);
    return true;
}

static bool room_for(struct haul_kad_lookup *lookup, size_t at)
{
    size_t farther;

    if (lookup->count < HAUL_KAD_CANDIDATES_MAX)
        return true;
    farther = farthest_new(lookup, at, 0);
    if (farther == SIZE_MAX)
        return false;
    remove_at(lookup, farther);
    return true;
}

static void insert(struct haul_kad_lookup *lookup, const struct haul_kad_contact *contact,
                   uint8_t path, uint8_t hops)
{
    size_t at = place_of(lookup, &contact->key);

    if ((at < lookup->count &&
         haul_kad_key_equal(&lookup->candidates[at].contact.key, &contact->key)) ||
        !group_allows(lookup, contact->group, at) || !room_for(lookup, at))
        return;
    memmove(&lookup->candidates[at + 1], &lookup->candidates[at],
            (lookup->count - at) * sizeof lookup->candidates[0]);
    lookup->count++;
    lookup->candidates[at] = (struct haul_kad_candidate){
        .contact = *contact, .state = HAUL_KAD_NEW, .path = path, .hops = hops
    };
}

void haul_kad_lookup_seed(struct haul_kad_lookup *lookup, const struct haul_kad_contact *contact)
{
    insert(lookup, contact, lookup->seed_path, 1);
    lookup->seed_path = (uint8_t)((lookup->seed_path + 1) % lookup->conf.paths);
}

static bool is_alive(const struct haul_kad_candidate *candidate)
{
    return candidate->state != HAUL_KAD_FAILED && candidate->state != HAUL_KAD_SLOW;
}

/* Does its network count among the nearest already, by as many nearer ones as it may? */
static bool is_surplus(const struct haul_kad_lookup *lookup, size_t at)
{
    uint32_t group = lookup->candidates[at].contact.group;
    unsigned nearer = 0;

    if (group == 0 || lookup->conf.group_near_max == 0)
        return false;
    for (size_t i = 0; i < at; i++)
        nearer += lookup->candidates[i].contact.group == group && is_alive(&lookup->candidates[i]);
    return nearer >= lookup->conf.group_near_max;
}

/* The nearest that a path may ask: among its own nearest `within` that live. */
static struct haul_kad_candidate *path_next(struct haul_kad_lookup *lookup, unsigned path,
                                            unsigned within)
{
    unsigned seen = 0;

    for (size_t i = 0; i < lookup->count && seen < within; i++) {
        struct haul_kad_candidate *candidate = &lookup->candidates[i];

        if (candidate->path != path || !is_alive(candidate) || is_surplus(lookup, i))
            continue;
        if (candidate->state == HAUL_KAD_NEW)
            return candidate;
        seen++;
    }
    return NULL;
}

/* The nearest of all that has not been asked, among the nearest `want` that live. */
static struct haul_kad_candidate *nearest_next(struct haul_kad_lookup *lookup)
{
    unsigned seen = 0;

    for (size_t i = 0; i < lookup->count && seen < lookup->conf.want; i++) {
        struct haul_kad_candidate *candidate = &lookup->candidates[i];

        if (!is_alive(candidate) || is_surplus(lookup, i))
            continue;
        if (candidate->state == HAUL_KAD_NEW)
            return candidate;
        seen++;
    }
    return NULL;
}

static struct haul_kad_candidate *choose(struct haul_kad_lookup *lookup)
{
    unsigned paths = lookup->conf.paths;
    unsigned share = (lookup->conf.alpha + paths - 1) / paths;
    unsigned within = (lookup->conf.want + paths - 1) / paths;
    struct haul_kad_candidate *candidate = NULL;

    for (unsigned path = 0; path < paths && candidate == NULL; path++) {
        if (lookup->path_under_way[path] < share)
            candidate = path_next(lookup, path, within);
    }
    return candidate != NULL ? candidate : nearest_next(lookup);
}

bool haul_kad_lookup_next(struct haul_kad_lookup *lookup, haul_time now,
                          struct haul_kad_contact *contact)
{
    struct haul_kad_candidate *candidate;

    if (lookup->over || lookup->under_way >= lookup->conf.alpha ||
        lookup->asked >= lookup->conf.asked_max)
        return false;
    candidate = choose(lookup);
    if (candidate == NULL)
        return false;
    candidate->state = HAUL_KAD_ASKED;
    candidate->asked = now;
    lookup->asked++;
    lookup->under_way++;
    lookup->path_under_way[candidate->path]++;
    *contact = candidate->contact;
    return true;
}

/* False when the peer was not asked, or has ended already. */
static bool end_question(struct haul_kad_lookup *lookup, struct haul_kad_candidate *candidate,
                         enum haul_kad_candidate_state state)
{
    if (candidate->state == HAUL_KAD_ASKED) {
        lookup->under_way--;
        lookup->path_under_way[candidate->path]--;
    } else if (candidate->state != HAUL_KAD_SLOW) {
        return false;
    }
    candidate->state = (uint8_t)state;
    return true;
}

void haul_kad_lookup_answered(struct haul_kad_lookup *lookup, const struct haul_kad_key *from,
                              const struct haul_kad_contact *heard, size_t count)
{
    struct haul_kad_candidate *candidate = find(lookup, from);
    uint8_t path, hops;

    if (candidate == NULL || !end_question(lookup, candidate, HAUL_KAD_ANSWERED))
        return;
    lookup->answered++;
    path = candidate->path;
    hops = candidate->hops;
    if (hops > lookup->hops)
        lookup->hops = hops;
    if (lookup->over)
        return;
    for (size_t i = 0; i < count && i < HAUL_KAD_HEARD_MAX; i++)
        insert(lookup, &heard[i], path, (uint8_t)(hops < UINT8_MAX ? hops + 1 : hops));
}

void haul_kad_lookup_failed(struct haul_kad_lookup *lookup, const struct haul_kad_key *key)
{
    struct haul_kad_candidate *candidate = find(lookup, key);

    if (candidate != NULL && end_question(lookup, candidate, HAUL_KAD_FAILED))
        lookup->failed++;
}

haul_time haul_kad_lookup_deadline(const struct haul_kad_lookup *lookup)
{
    haul_time deadline = lookup->ends;

    if (lookup->over)
        return HAUL_TIME_NEVER;
    for (size_t i = 0; i < lookup->count && lookup->under_way > 0; i++) {
        if (lookup->candidates[i].state == HAUL_KAD_ASKED)
            deadline = haul_time_min(
                deadline, haul_time_add(lookup->candidates[i].asked, lookup->conf.patience));
    }
    return deadline;
}

void haul_kad_lookup_tick(struct haul_kad_lookup *lookup, haul_time now)
{
    if (now >= lookup->ends && !lookup->over) {
        lookup->over = true;
        lookup->late = true;
    }
    for (size_t i = 0; i < lookup->count && lookup->under_way > 0; i++) {
        struct haul_kad_candidate *candidate = &lookup->candidates[i];

        if (candidate->state == HAUL_KAD_ASKED &&
            now >= haul_time_add(candidate->asked, lookup->conf.patience))
            end_question(lookup, candidate, HAUL_KAD_SLOW);
    }
}

/* Have the nearest `want` that live all answered? With slow ones nobody waits for. */
static bool is_settled(const struct haul_kad_lookup *lookup)
{
    unsigned seen = 0;

    for (size_t i = 0; i < lookup->count && seen < lookup->conf.want; i++) {
        const struct haul_kad_candidate *candidate = &lookup->candidates[i];

        if (!is_alive(candidate) || is_surplus(lookup, i))
            continue;
        if (candidate->state != HAUL_KAD_ANSWERED)
            return false;
        seen++;
    }
    return true;
}

bool haul_kad_lookup_done(const struct haul_kad_lookup *lookup)
{
    if (lookup->over || is_settled(lookup))
        return true;
    return lookup->under_way == 0 && lookup->asked >= lookup->conf.asked_max;
}

size_t haul_kad_lookup_closest(const struct haul_kad_lookup *lookup,
                               struct haul_kad_contact *contacts, size_t capacity)
{
    size_t count = 0;

    for (size_t i = 0; i < lookup->count && count < capacity; i++) {
        if (lookup->candidates[i].state == HAUL_KAD_ANSWERED && !is_surplus(lookup, i))
            contacts[count++] = lookup->candidates[i].contact;
    }
    return count;
}

unsigned haul_kad_lookup_hops(const struct haul_kad_lookup *lookup, const struct haul_kad_key *key)
{
    size_t at = place_of(lookup, key);

    if (at == lookup->count || !haul_kad_key_equal(&lookup->candidates[at].contact.key, key) ||
        lookup->candidates[at].state != HAUL_KAD_ANSWERED)
        return 0;
    return lookup->candidates[at].hops;
}
