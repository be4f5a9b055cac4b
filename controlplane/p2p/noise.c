#include "controlplane/p2p/noise.h"

#include "controlplane/p2p/kex.h"
#include "controlplane/p2p/noise_payload.h"

void haul_noise_init(struct haul_noise *noise, const struct haul_noise_conf *conf)
{
    haul_assert(conf->muxer_count <= HAUL_NOISE_MUXERS_MAX);
    memset(noise, 0, sizeof *noise);
    noise->conf = *conf;
    noise->muxer = HAUL_NOISE_NO_MUXER;
    haul_noise_xx_init(&noise->xx, conf->initiator, conf->prologue, conf->prologue_bytes,
                       conf->static_private, conf->ephemeral_private);
    noise->conf.static_private = NULL;
    noise->conf.ephemeral_private = NULL;
    noise->conf.prologue = NULL;
}

void haul_noise_fini(struct haul_noise *noise)
{
    haul_noise_cipher_fini(&noise->seal);
    haul_noise_cipher_fini(&noise->open);
    haul_noise_xx_fini(&noise->xx);
}

static bool fail(struct haul_noise *noise, enum haul_noise_fault fault)
{
    noise->fault = fault;
    noise->state = HAUL_NOISE_FAILED;
    return false;
}

/* The first of the initiator's list that both speak; select decides when either listed none. */
static bool agree_on_muxer(struct haul_noise *noise, const struct haul_noise_payload *payload)
{
    if (noise->conf.muxer_count == 0 || payload->muxers_seen == 0)
        return true;
    if (payload->muxers_shared == 0)
        return fail(noise, HAUL_NOISE_FAULT_MUXER);
    if (noise->conf.initiator)
        noise->muxer = (size_t)__builtin_ctz(payload->muxers_shared);
    else
        noise->muxer = payload->muxer_first;
    return true;
}

static bool judge_payload(struct haul_noise *noise, const uint8_t *data, size_t bytes)
{
    struct haul_noise_payload payload;
    struct haul_peer_id peer;

    if (!haul_noise_payload_read(data, bytes, noise->conf.muxers, noise->conf.muxer_count,
                                 &payload))
        return fail(noise, HAUL_NOISE_FAULT_MALFORMED);
    if (!haul_noise_payload_verify(&payload, noise->xx.peer_static, &peer))
        return fail(noise, HAUL_NOISE_FAULT_IDENTITY);
    noise->peer = peer;
    if (noise->conf.expected != NULL && !haul_peer_id_equal(&peer, noise->conf.expected))
        return fail(noise, HAUL_NOISE_FAULT_OTHER_PEER);
    return agree_on_muxer(noise, &payload);
}

static bool write_message(struct haul_noise *noise, struct haul_out *out)
{
    uint8_t data[HAUL_NOISE_PAYLOAD_BYTES_MAX];
    struct haul_out payload = haul_out_to(data, sizeof data);
    size_t bytes;

    if (noise->xx.message > 0)
        haul_noise_payload_write(&payload, noise->conf.identity, noise->xx.static_public,
                                 noise->conf.muxers, noise->conf.muxer_count);
    haul_assert(!payload.bad);
    bytes = (size_t)(payload.at - data);
    haul_out_be(out, haul_noise_xx_overhead(&noise->xx) + bytes, HAUL_NOISE_FRAME_BYTES);
    if (!haul_noise_xx_write(&noise->xx, data, bytes, out))
        return fail(noise, HAUL_NOISE_FAULT_FORGED);
    return true;
}

/* Reads one framed message; false when it has not arrived whole, or the handshake failed. */
static bool read_message(struct haul_noise *noise, struct haul_in *in)
{
    uint8_t payload[HAUL_NOISE_HANDSHAKE_MAX];
    bool first = noise->xx.message == 0;
    size_t bytes;

    if (haul_in_left(in) < HAUL_NOISE_FRAME_BYTES)
        return false;
    bytes = haul_noise_frame(in->at);
    if (bytes > HAUL_NOISE_HANDSHAKE_MAX)
        return fail(noise, HAUL_NOISE_FAULT_MALFORMED);
    if (haul_in_left(in) < HAUL_NOISE_FRAME_BYTES + bytes)
        return false;
    haul_in_bytes(in, HAUL_NOISE_FRAME_BYTES);
    if (!haul_noise_xx_read(&noise->xx, haul_in_bytes(in, bytes), bytes, payload, &bytes))
        return fail(noise, HAUL_NOISE_FAULT_FORGED);
    return first || judge_payload(noise, payload, bytes); /* the first one's is not ours to trust */
}

static void finish(struct haul_noise *noise)
{
    memcpy(noise->hash, noise->xx.hash, sizeof noise->hash);
    haul_noise_xx_split(&noise->xx, noise->conf.fast, &noise->seal, &noise->open);
    haul_noise_xx_fini(&noise->xx);
    noise->state = HAUL_NOISE_DONE;
}

enum haul_noise_state haul_noise_step(struct haul_noise *noise, struct haul_in *in,
                                      struct haul_out *out)
{
    uint8_t *before = out->at;

    haul_assert(haul_out_left(out) >= HAUL_NOISE_OUT_BYTES && !out->bad);
    while (noise->state == HAUL_NOISE_RUNNING) {
        bool ours = noise->conf.initiator == (noise->xx.message % 2 == 0);

        if (noise->xx.message == HAUL_NOISE_XX_MESSAGES)
            finish(noise);
        else if (!(ours ? write_message(noise, out) : read_message(noise, in)))
            break;
    }
    if (noise->state == HAUL_NOISE_FAILED)
        out->at = before;
    haul_assert(!out->bad);
    return noise->state;
}

size_t haul_noise_seal(struct haul_noise *noise, const uint8_t *head, size_t head_bytes,
                       const uint8_t *body, size_t body_bytes, uint8_t *to)
{
    size_t bytes = head_bytes + body_bytes + HAUL_NOISE_TAG_BYTES;

    haul_assert(bytes <= HAUL_NOISE_MESSAGE_MAX);
    if (noise->state != HAUL_NOISE_DONE ||
        !haul_noise_cipher_seal(&noise->seal, NULL, 0, head, head_bytes, body, body_bytes,
                                to + HAUL_NOISE_FRAME_BYTES))
        return 0;
    to[0] = (uint8_t)(bytes >> 8);
    to[1] = (uint8_t)bytes;
    return HAUL_NOISE_FRAME_BYTES + bytes;
}

bool haul_noise_open(struct haul_noise *noise, const uint8_t *message, size_t bytes, uint8_t *to)
{
    if (noise->state != HAUL_NOISE_DONE)
        return false;
    if (!haul_noise_cipher_open(&noise->open, NULL, 0, message, bytes, to))
        return fail(noise, HAUL_NOISE_FAULT_FORGED);
    return true;
}
