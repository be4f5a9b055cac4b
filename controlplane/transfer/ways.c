#include "controlplane/transfer/ways.h"

struct haul_way *haul_ways_find(struct haul_ways *ways, uint64_t connection)
{
    for (size_t i = 0; i < HAUL_WAYS_MAX; i++) {
        if (ways->all[i].connection == connection)
            return &ways->all[i];
    }
    return NULL;
}

static bool alive(const struct haul_way *way)
{
    return way->stream != NULL && !way->lost;
}

struct haul_way *haul_ways_choose(struct haul_ways *ways)
{
    struct haul_way *best = NULL;

    for (size_t i = 0; i < HAUL_WAYS_MAX; i++) {
        struct haul_way *way = &ways->all[i];

        if (alive(way) && (best == NULL || way->asked < best->asked))
            best = way;
    }
    return best;
}

uint32_t haul_ways_alive(const struct haul_ways *ways)
{
    uint32_t count = 0;

    for (size_t i = 0; i < HAUL_WAYS_MAX; i++)
        count += alive(&ways->all[i]);
    return count;
}

uint32_t haul_ways_further(const struct haul_ways *ways)
{
    uint32_t count = 0;

    for (size_t i = 0; i < HAUL_WAYS_MAX; i++)
        count += ways->all[i].connection != HAUL_WAYS_NONE && ways->all[i].further;
    return count;
}

bool haul_ways_ending(const struct haul_ways *ways)
{
    bool ending = false;

    for (size_t i = 0; i < HAUL_WAYS_MAX; i++)
        ending |= ways->all[i].stream != NULL && ways->all[i].lost;
    return ending;
}

bool haul_ways_lack(const struct haul_ways *ways, haul_time now)
{
    uint32_t count = haul_ways_alive(ways);

    return !ways->dialling && now >= ways->again && count > 0 && count < ways->most &&
           count < HAUL_WAYS_MAX;
}

void haul_ways_failed(struct haul_ways *ways, haul_time now)
{
    ways->pause = haul_time_max(ways->pause, HAUL_WAYS_PAUSE_MIN);
    ways->again = haul_time_add(now, ways->pause);
    ways->pause = haul_time_min(2 * ways->pause, HAUL_WAYS_PAUSE_MAX);
}

void haul_ways_proven(struct haul_ways *ways)
{
    ways->pause = 0;
}
