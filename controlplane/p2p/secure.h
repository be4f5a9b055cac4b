/* The secure channel of a connection: Noise or TLS behind one face. Handshake, then messages that
 * are opened where they arrived and sealed from where the payload lies. What is said of haul_noise
 * and haul_tls holds here. */
#pragma once

#include "controlplane/p2p/noise.h"
#include "controlplane/p2p/tls.h"

enum haul_security { HAUL_SECURITY_NOISE, HAUL_SECURITY_TLS, HAUL_SECURITY_COUNT };

#define HAUL_SECURE_NO_MUXER  SIZE_MAX
#define HAUL_SECURE_OUT_BYTES HAUL_TLS_OUT_BYTES   /* room that every step needs */
#define HAUL_SECURE_CLEAR_MAX HAUL_NOISE_CLEAR_MAX /* sealed at once */
#define HAUL_SECURE_WIRE_MAX  (HAUL_NOISE_FRAME_BYTES + HAUL_NOISE_MESSAGE_MAX) /* one message */

/* What sealing at most HAUL_SECURE_CLEAR_MAX bytes may add. */
#define HAUL_SECURE_OVERHEAD_MAX HAUL_TLS_OVERHEAD_OF(HAUL_SECURE_CLEAR_MAX)

enum haul_secure_state { HAUL_SECURE_RUNNING, HAUL_SECURE_DONE, HAUL_SECURE_FAILED };

enum haul_secure_fault {
    HAUL_SECURE_SOUND,
    HAUL_SECURE_MALFORMED,
    HAUL_SECURE_FORGED,
    HAUL_SECURE_IDENTITY,   /* identity key, signature or certificate not good */
    HAUL_SECURE_OTHER_PEER, /* a good identity, but not the one expected */
    HAUL_SECURE_MUXER,      /* both listed muxers and share none */
};

struct haul_secure_conf {
    bool dialer;
    const struct haul_key *key; /* what is pointed to is borrowed until the handshake ends */
    const struct haul_peer_id *expected; /* NULL: whoever it is */
    const char *const *muxers;
    size_t muxer_count;
    const struct haul_tls_identity *tls; /* NULL: TLS is not spoken */
    uint64_t unix_seconds;               /* for certificates */
    const uint8_t *static_private;       /* of Noise; read by init only */
    const uint8_t *ephemeral_private;
    const struct haul_chacha_poly *fast; /* of Noise; NULL: OpenSSL */
};

struct haul_secure {
    enum haul_security security; /* once it has begun */
    enum haul_secure_state state;
    enum haul_secure_fault fault;
    struct haul_peer_id peer; /* DONE: who it is */
    size_t muxer;             /* DONE: index in conf.muxers, or HAUL_SECURE_NO_MUXER */

    struct haul_secure_conf conf;
    uint8_t secrets[2][32]; /* Noise's, until it has begun */
    bool begun;
    union {
        struct haul_noise noise;
        struct haul_tls tls;
    };
};

void haul_secure_init(struct haul_secure *secure, const struct haul_secure_conf *conf);
void haul_secure_fini(struct haul_secure *secure); /* wipes */

/* Once, when it is known which. */
void haul_secure_begin(struct haul_secure *secure, enum haul_security security);

/* What `out` holds is to be sent whatever comes of it. */
enum haul_secure_state haul_secure_step(struct haul_secure *secure, struct haul_in *in,
                                        struct haul_out *out);

/* Two pieces, one behind the other, together at most HAUL_SECURE_CLEAR_MAX; returns the bytes
 * written, 0 when the connection has sealed as much as it ever may. */
HAUL_MUST_USE size_t haul_secure_seal(struct haul_secure *secure, const uint8_t *head,
                                      size_t head_bytes, const uint8_t *body, size_t body_bytes,
                                      uint8_t *to);

/* How long the message is that begins at `at`, as far as the `left` bytes tell: 0 when more are
 * needed. False when no message begins so. */
HAUL_MUST_USE bool haul_secure_length(const struct haul_secure *secure, const uint8_t *at,
                                      size_t left, size_t *bytes);

/* Opens a whole message in place; the data in it, maybe none. False: the connection must end. */
HAUL_MUST_USE bool haul_secure_open(struct haul_secure *secure, uint8_t *at, size_t bytes,
                                    uint8_t **data, size_t *data_bytes);

const char *haul_security_protocol(enum haul_security security); /* "/noise" */
const char *haul_security_name(enum haul_security security);     /* "noise" */
