#include "controlplane/p2p/kad/choice.h"

#include <string.h>

void haul_kad_choice_init(struct haul_kad_choice *choice, const uint8_t *key, size_t key_bytes)
{
    memset(choice, 0, sizeof *choice);
    memcpy(choice->key, key, key_bytes);
    choice->key_bytes = key_bytes;
}

static void holder_add(struct haul_kad_choice *choice, const struct haul_kad_key *from)
{
    if (from != NULL && choice->holder_count < HAUL_COUNT_OF(choice->holders))
        choice->holders[choice->holder_count++] = *from;
}

enum haul_kad_offered haul_kad_choice_offer(struct haul_kad_choice *choice,
                                            const struct haul_kad_key *from,
                                            const struct haul_kad_record *record, uint64_t unix_ns)
{
    int order;

    if (record == NULL || record->value == NULL || record->value_bytes == 0)
        return HAUL_KAD_OFFERED_NOTHING;
    if (record->key_bytes != choice->key_bytes ||
        memcmp(record->key, choice->key, choice->key_bytes) != 0 ||
        haul_kad_record_check(choice->key, choice->key_bytes, record->value, record->value_bytes,
                              unix_ns) != HAUL_KAD_RECORD_GOOD) {
        choice->invalid++;
        return HAUL_KAD_OFFERED_INVALID;
    }
    choice->valid++;
    order = choice->best_bytes == 0
                ? 1
                : haul_kad_record_order(choice->key, choice->key_bytes, record->value,
                                        record->value_bytes, choice->best, choice->best_bytes);
    if (order < 0) {
        choice->worse++;
        return HAUL_KAD_OFFERED_WORSE;
    }
    if (order > 0) {
        choice->worse += choice->holder_count;
        choice->holder_count = 0;
        memcpy(choice->best, record->value, record->value_bytes);
        choice->best_bytes = record->value_bytes;
    }
    holder_add(choice, from);
    return order > 0 ? HAUL_KAD_OFFERED_BETTER : HAUL_KAD_OFFERED_SAME;
}

size_t haul_kad_choice_stale(const struct haul_kad_choice *choice,
                             const struct haul_kad_contact *contacts, size_t count,
                             struct haul_kad_contact *stale)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        bool holds = false;

        for (uint32_t j = 0; j < choice->holder_count && !holds; j++)
            holds = haul_kad_key_equal(&choice->holders[j], &contacts[i].key);
        if (!holds)
            stale[found++] = contacts[i];
    }
    return found;
}
