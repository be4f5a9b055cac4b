/* Votes in small arrays: the newest replaces the voter's own, then the oldest. */
#include "controlplane/p2p/nat/verdict.h"

#include "controlplane/p2p/address_book.h"

#include <string.h>

const char *haul_reach_name(enum haul_reach reach)
{
    switch (reach) {
    case HAUL_REACH_REACHABLE:
        return "reachable";
    case HAUL_REACH_UNREACHABLE:
        return "unreachable";
    case HAUL_REACH_UNKNOWN:
        break;
    }
    return "unknown";
}

/* FNV-1a; of IPv6 a whole /64 is one. */
uint64_t haul_verdict_voter(const struct haul_addr *server)
{
    uint32_t group = haul_address_group(server);
    size_t bytes = server->family == 4 ? 4 : 8;
    uint64_t hash = 14695981039346656037u;

    if (group != 0)
        return group;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ server->ip[i]) * 1099511628211u;
    return hash | (UINT64_C(1) << 63);
}

static bool equal(const struct haul_multiaddr *a, const struct haul_multiaddr *b)
{
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

struct haul_verdict *haul_verdict_find(struct haul_verdicts *verdicts,
                                       const struct haul_multiaddr *address)
{
    for (size_t i = 0; i < verdicts->count; i++) {
        if (equal(&verdicts->entries[i].address, address))
            return &verdicts->entries[i];
    }
    return NULL;
}

static bool is_among(const struct haul_multiaddr *address, const struct haul_multiaddr *list,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (equal(address, &list[i]))
            return true;
    }
    return false;
}

void haul_verdicts_about(struct haul_verdicts *verdicts, const struct haul_multiaddr *addresses,
                         size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < verdicts->count; i++) {
        if (!is_among(&verdicts->entries[i].address, addresses, count))
            continue;
        if (kept != i)
            verdicts->entries[kept] = verdicts->entries[i];
        kept++;
    }
    verdicts->count = kept;
    for (size_t i = 0; i < count && verdicts->count < HAUL_VERDICT_ADDRESSES_MAX; i++) {
        if (haul_verdict_find(verdicts, &addresses[i]) == NULL)
            verdicts->entries[verdicts->count++] = (struct haul_verdict){ .address = addresses[i] };
    }
}

bool haul_verdict_open(const struct haul_verdict *verdict, uint64_t voter, haul_time now)
{
    for (size_t i = 0; i < HAUL_VERDICT_VOTES_MAX; i++) {
        if (verdict->votes[i].voter == voter)
            return now >= haul_time_add(verdict->votes[i].asked, HAUL_VERDICT_AGAIN);
    }
    return true;
}

/* The voter's place; a new voter takes a free one, or that of whoever was asked longest ago. */
static struct haul_verdict_vote *vote_of(struct haul_verdict *verdict, uint64_t voter)
{
    struct haul_verdict_vote *place = &verdict->votes[0];

    for (size_t i = 0; i < HAUL_VERDICT_VOTES_MAX; i++) {
        struct haul_verdict_vote *vote = &verdict->votes[i];

        if (vote->voter == voter)
            return vote;
        if (place->voter != 0 && (vote->voter == 0 || vote->asked < place->asked))
            place = vote;
    }
    *place = (struct haul_verdict_vote){ .voter = voter };
    return place;
}

void haul_verdict_ask(struct haul_verdict *verdict, uint64_t voter, haul_time now)
{
    vote_of(verdict, voter)->asked = now;
}

void haul_verdict_vote(struct haul_verdict *verdict, uint64_t voter, int8_t points, haul_time now)
{
    *vote_of(verdict, voter) =
        (struct haul_verdict_vote){ .voter = voter, .points = points, .at = now, .asked = now };
}

int haul_verdict_points(const struct haul_verdict *verdict, haul_time now)
{
    int points = 0;

    for (size_t i = 0; i < HAUL_VERDICT_VOTES_MAX; i++) {
        const struct haul_verdict_vote *vote = &verdict->votes[i];

        if (vote->voter != 0 && now < haul_time_add(vote->at, HAUL_VERDICT_LIFE))
            points += vote->points;
    }
    return points;
}

enum haul_reach haul_verdict_of(const struct haul_verdict *verdict, haul_time now)
{
    int points = haul_verdict_points(verdict, now);

    if (points >= HAUL_VERDICT_DECIDED)
        return HAUL_REACH_REACHABLE;
    return points <= -HAUL_VERDICT_DECIDED ? HAUL_REACH_UNREACHABLE : HAUL_REACH_UNKNOWN;
}
