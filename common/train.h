/* A train: one buffer of consecutive datagrams to or from one address, all `segment` bytes long but
 * the last, which may be shorter. It is what one UDP_SEGMENT send takes and one UDP_GRO receive
 * gives; a backend that can do neither has trains of one datagram. */
#pragma once

#include "common/addr.h"

struct haul_train {
    uint8_t *data;
    uint32_t bytes;    /* all datagrams together; zero in a reserved train that is not used */
    uint32_t capacity; /* reserved trains: how many bytes may be written */
    uint16_t segment;  /* bytes of each datagram but the last */
    uint8_t ecn;       /* the two ECN bits, to set or as seen */
    uint8_t reserved;
    uint32_t owner; /* the backend's own index; untouched by everyone else */
    struct haul_addr peer;
};
