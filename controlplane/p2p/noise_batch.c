#include "controlplane/p2p/noise_batch.h"

size_t haul_noise_lay(const uint8_t *head, size_t head_bytes, const uint8_t *body,
                      size_t body_bytes, uint8_t *to)
{
    size_t bytes = head_bytes + body_bytes + HAUL_NOISE_TAG_BYTES;

    haul_assert(bytes <= HAUL_NOISE_MESSAGE_MAX);
    to[0] = (uint8_t)(bytes >> 8);
    to[1] = (uint8_t)bytes;
    to += HAUL_NOISE_FRAME_BYTES;
    if (head_bytes > 0)
        memcpy(to, head, head_bytes);
    if (body_bytes > 0)
        memcpy(to + head_bytes, body, body_bytes);
    return HAUL_NOISE_FRAME_BYTES + bytes;
}

uint32_t haul_noise_count(const uint8_t *at, size_t bytes, size_t most, size_t *took)
{
    uint32_t count = 0;
    size_t done = 0;

    while (done < most && bytes - done >= HAUL_NOISE_FRAME_BYTES) {
        size_t whole = HAUL_NOISE_FRAME_BYTES + haul_noise_frame(at + done);

        if (whole > bytes - done)
            break;
        done += whole;
        count++;
    }
    *took = done;
    return count;
}

bool haul_noise_batch_init(struct haul_noise_batch *batch, struct haul_noise *noise, bool opening,
                           uint8_t *at, size_t bytes, uint32_t messages)
{
    struct haul_noise_cipher *cipher = opening ? &noise->open : &noise->seal;

    *batch = (struct haul_noise_batch){
        .at = at, .bytes = bytes, .messages = messages, .opening = opening
    };
    return noise->state == HAUL_NOISE_DONE &&
           haul_noise_cipher_part(cipher, messages, &batch->cipher);
}

void haul_noise_batch_run(struct haul_noise_batch *batch)
{
    uint8_t *at = batch->at;

    for (batch->good = 0; batch->good < batch->messages; batch->good++) {
        size_t bytes = haul_noise_frame(at);
        uint8_t *message = at + HAUL_NOISE_FRAME_BYTES;
        bool good = batch->opening
                        ? haul_noise_cipher_open(&batch->cipher, NULL, 0, message, bytes, message)
                        : haul_noise_cipher_seal(&batch->cipher, NULL, 0, NULL, 0, message,
                                                 bytes - HAUL_NOISE_TAG_BYTES, message);

        if (!good)
            break;
        at = message + bytes;
    }
    haul_noise_cipher_fini(&batch->cipher);
}
