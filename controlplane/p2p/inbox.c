#include "controlplane/p2p/inbox.h"

#define PREFIX_BYTES_MAX 5u

void haul_inbox_init(struct haul_inbox *inbox, void *buffer, uint32_t capacity)
{
    *inbox = (struct haul_inbox){ .bytes = buffer, .capacity = capacity };
}

/* One byte of a length; false as soon as it can be none: padded, or more than fits. */
static bool take_prefix(struct haul_inbox *inbox, uint8_t byte)
{
    uint64_t length = inbox->length | (uint64_t)(byte & 0x7f) << (7 * inbox->prefix_bytes);

    if (length > inbox->capacity || inbox->prefix_bytes == PREFIX_BYTES_MAX ||
        (byte == 0 && inbox->prefix_bytes > 0))
        return false;
    inbox->length = (uint32_t)length;
    inbox->prefix_bytes++;
    inbox->framed = (byte & 0x80) == 0;
    return true;
}

enum haul_inbox_result haul_inbox_take(struct haul_inbox *inbox, struct haul_in *in)
{
    size_t bytes;

    if (inbox->framed && inbox->used == inbox->length) {
        /* The last message has been seen: the next begins. */
        inbox->framed = false;
        inbox->prefix_bytes = 0;
        inbox->length = 0;
        inbox->used = 0;
    }
    while (!inbox->framed) {
        if (haul_in_left(in) == 0)
            return HAUL_INBOX_PART;
        if (!take_prefix(inbox, (uint8_t)haul_in_be(in, 1)))
            return HAUL_INBOX_BAD;
    }
    bytes = inbox->length - inbox->used;
    if (bytes > haul_in_left(in))
        bytes = haul_in_left(in);
    if (bytes > 0)
        haul_in_copy(in, inbox->bytes + inbox->used, bytes);
    inbox->used += (uint32_t)bytes;
    return inbox->used == inbox->length ? HAUL_INBOX_WHOLE : HAUL_INBOX_PART;
}

bool haul_inbox_begun(const struct haul_inbox *inbox)
{
    return inbox->framed ? inbox->used < inbox->length : inbox->prefix_bytes > 0;
}
