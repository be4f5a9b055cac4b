/* Noise: bytes as a payload and as handshake messages to either role; then, stateful, as a script
 * of two ends and a hostile wire between them. Nobody may come through a handshake without the
 * keys, only what was changed may fail, and what opens is what the other one sealed, in order. */
#include "controlplane/p2p/noise.h"
#include "controlplane/p2p/noise_payload.h"

#define WIRE_BYTES 4096u

static const char *const muxers[] = { "/yamux/1.0.0" };

static void payload(const uint8_t *data, size_t size)
{
    struct haul_noise_payload read;
    uint8_t static_public[32] = { 1 };
    struct haul_peer_id peer;

    if (haul_noise_payload_read(data, size, muxers, 1, &read))
        haul_assert(!haul_noise_payload_verify(&read, static_public, &peer));
}

struct end {
    struct haul_noise noise;
    struct haul_key key;
    uint8_t wire[WIRE_BYTES]; /* what is on its way to this end */
    size_t waiting;
    bool touched;         /* somebody was at that wire */
    uint8_t sent, opened; /* messages so far; each is filled with its number */
};

static void end_open(struct end *end, bool initiator)
{
    uint8_t secrets[3][32];

    memset(end, 0, sizeof *end);
    for (size_t i = 0; i < sizeof secrets; i++)
        secrets[i / 32][i % 32] = (uint8_t)(1 + i + initiator);
    haul_key_from_seed(&end->key, secrets[0]);
    haul_noise_init(&end->noise, &(struct haul_noise_conf){
                                     .initiator = initiator,
                                     .identity = &end->key,
                                     .muxers = muxers,
                                     .muxer_count = 1,
                                     .static_private = secrets[1],
                                     .ephemeral_private = secrets[2],
                                 });
}

static void handshake(bool initiator, const uint8_t *data, size_t size)
{
    static struct end end;
    uint8_t sent[2 * HAUL_NOISE_OUT_BYTES];
    struct haul_in in = haul_in_from(data, size);
    struct haul_out out = haul_out_to(sent, sizeof sent);

    end_open(&end, initiator);
    haul_assert(haul_noise_step(&end.noise, &in, &out) != HAUL_NOISE_DONE);
    haul_noise_fini(&end.noise);
}

/* --- the script --- */

static void take(struct end *end, size_t bytes)
{
    memmove(end->wire, end->wire + bytes, end->waiting - bytes);
    end->waiting -= bytes;
}

/* Puts bytes before everything that waits. */
static void insert(struct end *end, const uint8_t *data, size_t bytes)
{
    if (bytes > WIRE_BYTES - end->waiting)
        return;
    memmove(end->wire + bytes, end->wire, end->waiting);
    memcpy(end->wire, data, bytes);
    end->waiting += bytes;
}

/* The handshake, with so much of what waits. */
static void step(struct end *end, struct end *other, size_t bytes)
{
    struct haul_in in = haul_in_from(end->wire, bytes < end->waiting ? bytes : end->waiting);
    struct haul_out out =
        haul_out_to(other->wire + other->waiting, sizeof other->wire - other->waiting);
    size_t given = haul_in_left(&in);

    if (haul_out_left(&out) < HAUL_NOISE_OUT_BYTES)
        return;
    if (haul_noise_step(&end->noise, &in, &out) == HAUL_NOISE_FAILED)
        haul_assert(end->touched || other->touched);
    other->waiting = (size_t)(out.at - other->wire);
    take(end, given - haul_in_left(&in));
    if (end->noise.state != HAUL_NOISE_DONE)
        return;
    haul_assert(haul_peer_id_equal(&end->noise.peer, &other->key.id));
    if (other->noise.state == HAUL_NOISE_DONE)
        haul_assert(memcmp(end->noise.hash, other->noise.hash, sizeof end->noise.hash) == 0 &&
                    end->noise.muxer == 0 && other->noise.muxer == 0);
}

static void seal(struct end *end, struct end *other, size_t bytes)
{
    uint8_t clear[256];
    size_t head = bytes / 3;

    if (end->noise.state != HAUL_NOISE_DONE ||
        bytes + HAUL_NOISE_OVERHEAD > WIRE_BYTES - other->waiting)
        return;
    memset(clear, end->sent++, sizeof clear);
    other->waiting += haul_noise_seal(&end->noise, clear, head, clear + head, bytes - head,
                                      other->wire + other->waiting);
}

static void open_next(struct end *end)
{
    bool failed = end->noise.state == HAUL_NOISE_FAILED;
    size_t bytes;

    if (end->noise.state == HAUL_NOISE_RUNNING || end->waiting < HAUL_NOISE_FRAME_BYTES)
        return;
    bytes = haul_noise_frame(end->wire);
    if (end->waiting < HAUL_NOISE_FRAME_BYTES + bytes)
        return;
    take(end, HAUL_NOISE_FRAME_BYTES);
    if (haul_noise_open(&end->noise, end->wire, bytes, end->wire)) {
        haul_assert(!failed);
        for (size_t i = 0; i + HAUL_NOISE_TAG_BYTES < bytes; i++)
            haul_assert(end->wire[i] == end->opened);
        end->opened++;
    } else {
        haul_assert((failed || end->touched) && end->noise.state == HAUL_NOISE_FAILED);
    }
    take(end, bytes);
}

/* Somebody between the ends changes, inserts, loses or repeats what is on its way. */
static void touch(struct end *end, uint8_t what, uint8_t number, struct haul_in *in)
{
    uint8_t copy[256];
    size_t bytes = number < end->waiting ? number : end->waiting;

    end->touched = true;
    if (what == 4 && end->waiting > 0)
        end->wire[number % end->waiting] ^= (uint8_t)haul_in_be(in, 1);
    if (what == 5 && number <= haul_in_left(in))
        insert(end, haul_in_bytes(in, number), number);
    if (what == 6)
        take(end, bytes);
    if (what == 7) {
        memcpy(copy, end->wire, bytes);
        insert(end, copy, bytes);
    }
}

static void script(const uint8_t *data, size_t size)
{
    static struct end ends[2];
    struct haul_in in = haul_in_from(data, size);

    end_open(&ends[0], true);
    end_open(&ends[1], false);
    while (haul_in_left(&in) >= 2) {
        uint8_t what = (uint8_t)haul_in_be(&in, 1), number = (uint8_t)haul_in_be(&in, 1);
        struct end *end = &ends[what / 8 % 2], *other = &ends[1 - what / 8 % 2];

        if (what % 8 == 0)
            step(end, other, WIRE_BYTES);
        else if (what % 8 == 1)
            step(end, other, number);
        else if (what % 8 == 2)
            seal(end, other, number);
        else if (what % 8 == 3)
            open_next(end);
        else
            touch(end, what % 8, number, &in);
    }
    haul_noise_fini(&ends[0].noise);
    haul_noise_fini(&ends[1].noise);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    payload(data, size);
    handshake(true, data, size);
    handshake(false, data, size);
    script(data, size);
    return 0;
}
