#include "controlplane/p2p/inbox.h"

void haul_inbox_init(struct haul_inbox *inbox, void *buffer, uint32_t capacity)
{
    *inbox = (struct haul_inbox){ .bytes = buffer, .capacity = capacity };
}

/* One byte of a length; false when it is none, or more than fits. */
static bool take_prefix(struct haul_inbox *inbox, uint8_t byte)
{
    struct haul_in in;
    uint64_t length;

    if (inbox->prefix_bytes == sizeof inbox->prefix)
        return false;
    inbox->prefix[inbox->prefix_bytes++] = byte;
    if ((byte & 0x80) != 0)
        return true;
    in = haul_in_from(inbox->prefix, inbox->prefix_bytes);
    length = haul_in_uvarint(&in);
    if (in.bad || length > inbox->capacity)
        return false;
    inbox->framed = true;
    inbox->length = (uint32_t)length;
    return true;
}

enum haul_inbox_result haul_inbox_take(struct haul_inbox *inbox, struct haul_in *in)
{
    size_t bytes;

    if (inbox->framed && inbox->used == inbox->length) {
        /* The last message has been seen: the next begins. */
        inbox->framed = false;
        inbox->prefix_bytes = 0;
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
