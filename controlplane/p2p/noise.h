/* The security of a libp2p connection by Noise (libp2p specs, noise/README.md): the handshake XX
 * whose payloads prove the identity keys and agree on the muxer, then sealed messages. A machine of
 * bytes; both handshake and transport messages are framed by a 2-byte big-endian length.
 *
 * Handshake: give haul_noise_step what arrived until it is DONE or FAILED. It takes whole frames
 * only and leaves the rest in `in`: what follows the last one are transport messages already.
 * Transport: haul_noise_seal makes a framed message, haul_noise_open opens one without its frame.
 *
 * Key bytes come from the caller, fresh for every connection. One thread. Without a fast
 * cipher the library beneath keeps two expanded keys on its heap until fini. */
#pragma once

#include "controlplane/p2p/key.h"
#include "controlplane/p2p/noise_xx.h"

#define HAUL_NOISE_PROTOCOL        "/noise"
#define HAUL_NOISE_FRAME_BYTES     2u
#define HAUL_NOISE_MESSAGE_MAX     65535u
#define HAUL_NOISE_CLEAR_MAX       (HAUL_NOISE_MESSAGE_MAX - HAUL_NOISE_TAG_BYTES)
#define HAUL_NOISE_HANDSHAKE_MAX   8192u /* longest handshake message that is accepted */
#define HAUL_NOISE_MUXERS_MAX      8u    /* of ours */
#define HAUL_NOISE_PEER_MUXERS_MAX 100u  /* in a peer's list */
#define HAUL_NOISE_NO_MUXER        SIZE_MAX

/* Room that every step needs in `out`. */
#define HAUL_NOISE_OUT_BYTES 1024u

/* What a frame adds to the bytes in it. */
#define HAUL_NOISE_OVERHEAD (HAUL_NOISE_FRAME_BYTES + HAUL_NOISE_TAG_BYTES)

enum haul_noise_state { HAUL_NOISE_RUNNING, HAUL_NOISE_DONE, HAUL_NOISE_FAILED };

enum haul_noise_fault {
    HAUL_NOISE_FAULT_NONE,
    HAUL_NOISE_FAULT_MALFORMED,  /* a frame too long, or a payload that cannot be parsed */
    HAUL_NOISE_FAULT_FORGED,     /* a tag that does not hold, or a weak key */
    HAUL_NOISE_FAULT_IDENTITY,   /* an identity key or signature that is not good */
    HAUL_NOISE_FAULT_OTHER_PEER, /* a good identity, but not the one expected */
    HAUL_NOISE_FAULT_MUXER,      /* both listed muxers and share none */
};

struct haul_noise_conf {
    bool initiator;
    const struct haul_key *identity;     /* borrowed until the handshake ends */
    const struct haul_peer_id *expected; /* borrowed likewise; NULL: whoever it is */
    const char *const *muxers;           /* borrowed likewise; best first */
    size_t muxer_count;                  /* at most HAUL_NOISE_MUXERS_MAX; 0: agree later */
    const uint8_t *prologue;             /* read by init only; empty for TCP */
    size_t prologue_bytes;
    const uint8_t *static_private;       /* 32 bytes each, read by init only */
    const uint8_t *ephemeral_private;    /* never used for another connection */
    const struct haul_chacha_poly *fast; /* for messages; NULL: OpenSSL */
};

struct haul_noise {
    enum haul_noise_state state;
    enum haul_noise_fault fault;
    struct haul_peer_id peer; /* DONE: who it is */
    size_t muxer;             /* DONE: index in conf.muxers; HAUL_NOISE_NO_MUXER: by select */
    uint8_t hash[32];         /* DONE: the handshake hash */
    struct haul_noise_conf conf;
    struct haul_noise_xx xx;
    struct haul_noise_cipher seal, open;
};

void haul_noise_init(struct haul_noise *noise, const struct haul_noise_conf *conf);
void haul_noise_fini(struct haul_noise *noise); /* wipes; a zeroed one is welcome */

/* The handshake, as far as it goes. The initiator's first step writes even when nothing arrived.
 * After DONE what `out` holds must still be sent; after FAILED there is nothing to send. */
enum haul_noise_state haul_noise_step(struct haul_noise *noise, struct haul_in *in,
                                      struct haul_out *out);

/* Seals two pieces, one behind the other, as one framed message: writes HAUL_NOISE_OVERHEAD more
 * bytes than there are in both (together at most HAUL_NOISE_CLEAR_MAX) and returns how many. Zero
 * when the counter has run out or a message was forged: the connection must end. */
HAUL_MUST_USE size_t haul_noise_seal(struct haul_noise *noise, const uint8_t *head,
                                     size_t head_bytes, const uint8_t *body, size_t body_bytes,
                                     uint8_t *to);

/* Opens one message (the bytes behind a frame's length) to `to`, which may equal `message`, and
 * yields bytes - HAUL_NOISE_TAG_BYTES bytes, maybe none. False when it is forged or too short, from
 * then on always: the connection must end. */
HAUL_MUST_USE bool haul_noise_open(struct haul_noise *noise, const uint8_t *message, size_t bytes,
                                   uint8_t *to);

/* How long the message behind the frame's two bytes is. */
static inline size_t haul_noise_frame(const uint8_t frame[HAUL_NOISE_FRAME_BYTES])
{
    return (size_t)frame[0] << 8 | frame[1];
}
