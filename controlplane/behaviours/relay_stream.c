/* Messages of ours on the relay's streams. */
#include "controlplane/behaviours/relay_parts.h"

struct haul_relay *haul_relay_of(struct haul_stream *stream)
{
    return haul_stream_service(stream);
}

bool haul_relay_send(struct haul_stream *stream, bool stop,
                     const struct haul_relay_message *message)
{
    uint8_t body[HAUL_RELAY_MESSAGE_MAX], data[HAUL_RELAY_MESSAGE_MAX + 4];
    struct haul_out out = haul_out_to(body, sizeof body);
    struct haul_out framed = haul_out_to(data, sizeof data);

    haul_relay_encode(message, stop, &out);
    if (out.bad)
        return false;
    haul_out_uvarint(&framed, (uint64_t)(out.at - body));
    haul_out_bytes(&framed, body, (size_t)(out.at - body));
    return haul_stream_send(stream, data, (size_t)(framed.at - data));
}

void haul_relay_answer(struct haul_stream *stream, bool stop, enum haul_relay_status status,
                       const struct haul_relay_limit *limit)
{
    struct haul_relay_message answer = { .kind = HAUL_RELAY_STATUS, .status = status };

    if (limit != NULL && (limit->seconds != 0 || limit->bytes != 0)) {
        answer.has_limit = true;
        answer.limit = *limit;
    }
    if (!haul_relay_send(stream, stop, &answer))
        haul_stream_reset(stream); /* a connection so full is not worth waiting for */
    else if (status != HAUL_RELAY_OK)
        haul_stream_close(stream);
}
