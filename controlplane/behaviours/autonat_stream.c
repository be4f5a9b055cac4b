/* What the streams of AutoNAT have in common, in either version and role: their clock, the next
 * whole message in, a message out. */
#include "controlplane/behaviours/autonat_parts.h"

haul_time autonat_now(const struct haul_host *host)
{
    return haul_loop_now(haul_host_loop(host));
}

bool autonat_send(struct haul_stream *stream, const uint8_t *data, const struct haul_out *out)
{
    if (!out->bad && haul_stream_send(stream, data, (size_t)(out->at - data)))
        return true;
    haul_stream_reset(stream);
    return false;
}

void autonat_begin(struct haul_stream *stream)
{
    const struct haul_autonat *autonat = haul_stream_service(stream);
    struct autonat_reading *reading = haul_stream_state(stream);

    haul_inbox_init(&reading->inbox, reading->message, sizeof reading->message);
    if (!haul_stream_inbound(stream))
        return;
    reading->ends_at = haul_time_add(autonat_now(haul_stream_host(stream)), autonat->conf.read_max);
    if (!autonat->serves)
        haul_stream_reset(stream);
}

enum haul_inbox_result autonat_next(struct haul_stream *stream, struct haul_in *in)
{
    struct haul_autonat *autonat = haul_stream_service(stream);
    struct autonat_reading *reading = haul_stream_state(stream);
    bool late =
        haul_stream_inbound(stream) && autonat_now(haul_stream_host(stream)) > reading->ends_at;
    enum haul_inbox_result result = late ? HAUL_INBOX_BAD : haul_inbox_take(&reading->inbox, in);

    if (result == HAUL_INBOX_BAD) {
        if (haul_stream_inbound(stream))
            haul_counter_add(&autonat->counters.autonat_faulty, 1);
        haul_stream_reset(stream);
        return HAUL_INBOX_PART;
    }
    return result;
}
