/* The search for the largest datagram, and the trial of ECN. */
#include "dataplane/flow/class.h"

#include <string.h>

static const uint16_t classes[] = { HAUL_CLASS_LEAST, 1344, 1408, 8192 };

uint16_t haul_class_floor(uint32_t bytes)
{
    uint16_t found = classes[0];

    for (size_t i = 0; i < HAUL_COUNT_OF(classes); i++) {
        if (classes[i] <= bytes)
            found = classes[i];
    }
    return found;
}

static uint16_t next_class(const struct haul_class *class)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(classes); i++) {
        if (classes[i] > class->payload && classes[i] <= class->most)
            return classes[i];
    }
    return 0;
}

void haul_class_init(struct haul_class *class, uint16_t first, uint16_t most, haul_time now)
{
    memset(class, 0, sizeof *class);
    class->most = haul_class_floor(most);
    class->payload = haul_class_floor(first < class->most ? first : class->most);
    class->due = now;
    class->ecn = true;
}

uint16_t haul_class_probe(struct haul_class *class, haul_time now)
{
    if (class->probing != 0 || now < class->due)
        return 0;
    class->probing = next_class(class);
    if (class->probing == 0)
        class->due = HAUL_TIME_NEVER;
    return class->probing;
}

void haul_class_probe_lost(struct haul_class *class, haul_time now)
{
    if (class->probing == 0)
        return;
    class->probing = 0;
    class->due = now;
    if (++class->tries < HAUL_CLASS_TRIES)
        return;
    class->tries = 0;
    class->due = now + HAUL_CLASS_AGAIN;
}

bool haul_class_probe_acked(struct haul_class *class, uint16_t payload, haul_time now)
{
    class->probing = 0;
    class->tries = 0;
    class->due = now;
    class->full_lost = 0;
    class->small_passed = 0;
    if (payload <= class->payload || payload > class->most)
        return false;
    class->payload = payload;
    return true;
}

bool haul_class_learn(struct haul_class *class, uint32_t full_acked, uint32_t full_lost,
                      bool small_passed, haul_time now)
{
    if (full_acked > 0) {
        class->full_lost = 0;
        class->small_passed = 0;
        return false;
    }
    class->full_lost += full_lost;
    class->small_passed += small_passed && class->full_lost > 0;
    if (class->payload == HAUL_CLASS_LEAST || class->full_lost < HAUL_CLASS_LOST_FULL ||
        class->small_passed < HAUL_CLASS_SMALL_PASSED)
        return false;
    class->payload = HAUL_CLASS_LEAST;
    class->full_lost = 0;
    class->small_passed = 0;
    class->tries = 0;
    class->due = now + HAUL_CLASS_AGAIN;
    return true;
}

uint64_t haul_class_marks(struct haul_class *class, uint64_t ect, uint64_t ce,
                          uint64_t datagrams_acked)
{
    uint64_t fresh = ce > class->ce ? ce - class->ce : 0;

    if (!class->ecn)
        return 0;
    class->marked_acked += datagrams_acked;
    class->ect = ect > class->ect ? ect : class->ect;
    class->ce = ce > class->ce ? ce : class->ce;
    if (class->marked_acked >= HAUL_ECN_TRIAL && class->ect + class->ce == 0)
        class->ecn = false;
    return fresh <= datagrams_acked ? fresh : datagrams_acked;
}
