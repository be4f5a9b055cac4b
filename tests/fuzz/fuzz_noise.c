/* Noise: bytes as a payload, as handshake messages to either role, and as a transport message.
 * Nobody may come through a handshake without the keys. */
#include "controlplane/p2p/noise.h"
#include "controlplane/p2p/noise_payload.h"

static const char *const muxers[] = { "/yamux/1.0.0" };

static void payload(const uint8_t *data, size_t size)
{
    struct haul_noise_payload read;
    uint8_t static_public[32] = { 1 };
    struct haul_peer_id peer;

    if (haul_noise_payload_read(data, size, muxers, 1, &read))
        haul_assert(!haul_noise_payload_verify(&read, static_public, &peer));
}

static void handshake(bool initiator, const uint8_t *data, size_t size)
{
    static const uint8_t one[32] = { 1 }, two[32] = { 2 };
    uint8_t sent[2 * HAUL_NOISE_OUT_BYTES];
    struct haul_in in = haul_in_from(data, size);
    struct haul_out out = haul_out_to(sent, sizeof sent);
    struct haul_noise noise;
    struct haul_key key;

    haul_key_from_seed(&key, one);
    haul_noise_init(&noise, &(struct haul_noise_conf){
                                .initiator = initiator,
                                .identity = &key,
                                .muxers = muxers,
                                .muxer_count = 1,
                                .static_private = one,
                                .ephemeral_private = two,
                            });
    haul_assert(haul_noise_step(&noise, &in, &out) != HAUL_NOISE_DONE);
    haul_noise_fini(&noise);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    payload(data, size);
    handshake(true, data, size);
    handshake(false, data, size);
    return 0;
}
