/* A train: consecutive datagrams to or from one address, all `segment` bytes long but the last,
 * which may be shorter. They lie behind each other in one buffer, which is what one UDP_SEGMENT
 * send takes and one UDP_GRO receive gives; or each in a buffer of the card's (`parts`). A backend
 * that can do neither has trains of one datagram. */
#pragma once

#include "common/addr.h"

struct haul_train {
    uint8_t *data;         /* of all datagrams, or of the first one when there are parts */
    uint8_t *const *parts; /* NULL, or where each datagram lies */
    uint32_t bytes;        /* all datagrams together; zero in a reserved train that is not used */
    uint32_t capacity;     /* reserved trains: how many bytes may be written */
    uint16_t segment;      /* bytes of each datagram but the last */
    uint8_t ecn;           /* the two ECN bits, to set or as seen */
    uint8_t reserved;
    uint32_t owner; /* the backend's own index; untouched by everyone else */
    struct haul_addr peer;
};

/* Where the datagram begins that has `at` bytes of the train before it. */
static inline uint8_t *haul_train_at(const struct haul_train *train, size_t at)
{
    return train->parts != NULL ? train->parts[(uint32_t)at / train->segment] : train->data + at;
}
