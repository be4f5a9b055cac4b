/* Messages out, one at a time: what the connection has no room for waits in the stream's state. */
#include "controlplane/behaviours/offer_parts.h"

bool haul_offer_send(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct haul_offers *offers = haul_offers_of(stream);
    struct haul_offer_outbox *outbox =
        &((struct haul_offer_stream *)haul_stream_state(stream))->outbox;
    struct haul_out out = haul_out_to(outbox->message, sizeof outbox->message);

    if (outbox->bytes > 0)
        return false;
    haul_out_uvarint(&out, bytes);
    haul_out_bytes(&out, data, bytes);
    haul_assert(!out.bad);
    outbox->bytes = (uint16_t)(out.at - outbox->message);
    if (haul_stream_send(stream, outbox->message, outbox->bytes))
        outbox->bytes = 0;
    else
        haul_counter_add(&offers->counters.waited, 1);
    return true;
}

void haul_offer_close(struct haul_stream *stream)
{
    struct haul_offer_outbox *outbox =
        &((struct haul_offer_stream *)haul_stream_state(stream))->outbox;

    if (outbox->bytes > 0)
        outbox->close = true;
    else
        haul_stream_close(stream);
}

void haul_offer_writable(struct haul_stream *stream)
{
    struct haul_offer_outbox *outbox =
        &((struct haul_offer_stream *)haul_stream_state(stream))->outbox;

    if (outbox->bytes > 0 && !haul_stream_send(stream, outbox->message, outbox->bytes))
        return; /* writable follows */
    outbox->bytes = 0;
    if (outbox->close)
        haul_stream_close(stream);
}
