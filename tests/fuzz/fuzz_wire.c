/* Headers and frames: whatever is read and written again gives the same bytes. */
#include "dataplane/flow/wire.h"

static void frames(const uint8_t *data, size_t size)
{
    static struct haul_frame frame;
    static uint8_t again[1 << 17];
    struct haul_in in = haul_in_from(data, size);
    const uint8_t *at = in.at;

    while (haul_frame_read(&in, &frame)) {
        struct haul_out out = haul_out_to(again, sizeof again);
        size_t bytes = (size_t)(in.at - at);
        struct haul_in second;

        haul_assert(haul_frame_write(&out, &frame));
        /* Varints of an acknowledgement are minimal, and padding comes back as zeros. */
        haul_assert((size_t)(out.at - again) == bytes);
        haul_assert(frame.type == HAUL_FRAME_PADDING || memcmp(again, at, bytes) == 0);
        second = haul_in_from(again, bytes);
        haul_assert(haul_frame_read(&second, &frame));
        at = in.at;
    }
    haul_assert(in.bad || haul_in_left(&in) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct haul_wire_head head;
    uint8_t again[HAUL_WIRE_HEAD_BYTES];

    if (haul_wire_head_read(data, size, &head)) {
        haul_wire_head_write(&head, again);
        haul_assert(memcmp(again, data, sizeof again) == 0);
    }
    frames(data, size);
    return 0;
}
