/* What both forms of the link share: when what leaves now arrives, and whether the buffer has room.
 */
#include "perf/link.h"

haul_time link_due(const struct link_conf *conf, haul_time now, size_t bytes, haul_time *busy)
{
    if (conf->rate == 0)
        return now + conf->delay;
    if (*busy < now)
        *busy = now;
    *busy += (haul_time)bytes * HAUL_SECOND / conf->rate;
    return *busy + conf->delay;
}

bool link_room(const struct link_conf *conf, haul_time now, haul_time busy)
{
    if (conf->rate == 0 || busy <= now)
        return true;
    return (busy - now) / HAUL_MICROSECOND * conf->rate / 1000000 < conf->buffer_bytes;
}
