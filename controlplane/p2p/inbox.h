/* Messages with their length in front (an unsigned varint), as most libp2p protocols send them, put
 * together from what a stream brings. Pure; the buffer is the caller's and holds one message. */
#pragma once

#include "common/bytes.h"

struct haul_inbox {
    uint8_t *bytes; /* the message, once it is whole */
    uint32_t capacity;
    uint32_t length;
    uint32_t used;
    uint8_t prefix_bytes;
    bool framed; /* the length is known */
};

void haul_inbox_init(struct haul_inbox *inbox, void *buffer, uint32_t capacity);

enum haul_inbox_result {
    HAUL_INBOX_PART,  /* the input is used up */
    HAUL_INBOX_WHOLE, /* bytes and length are a message, until the next call; input may be left */
    HAUL_INBOX_BAD,   /* no length, or more than fits: nothing will come of this stream */
};
HAUL_MUST_USE enum haul_inbox_result haul_inbox_take(struct haul_inbox *inbox, struct haul_in *in);

/* Something of a message has come, and not all of it: an end now is a cut. */
bool haul_inbox_begun(const struct haul_inbox *inbox);
