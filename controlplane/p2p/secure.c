#include "controlplane/p2p/secure.h"

#include <openssl/crypto.h>

void haul_secure_init(struct haul_secure *secure, const struct haul_secure_conf *conf)
{
    memset(secure, 0, sizeof *secure);
    secure->conf = *conf;
    secure->muxer = HAUL_SECURE_NO_MUXER;
    memcpy(secure->secrets[0], conf->static_private, sizeof secure->secrets[0]);
    memcpy(secure->secrets[1], conf->ephemeral_private, sizeof secure->secrets[1]);
    secure->conf.static_private = NULL;
    secure->conf.ephemeral_private = NULL;
}

void haul_secure_fini(struct haul_secure *secure)
{
    if (secure->begun && secure->security == HAUL_SECURITY_NOISE)
        haul_noise_fini(&secure->noise);
    if (secure->begun && secure->security == HAUL_SECURITY_TLS)
        haul_tls_fini(&secure->tls);
    secure->begun = false;
    OPENSSL_cleanse(secure->secrets, sizeof secure->secrets);
}

void haul_secure_begin(struct haul_secure *secure, enum haul_security security)
{
    const struct haul_secure_conf *conf = &secure->conf;
    struct haul_noise_conf noise = {
        .initiator = conf->dialer,
        .identity = conf->key,
        .expected = conf->expected,
        .muxers = conf->muxers,
        .muxer_count = conf->muxer_count,
        .static_private = secure->secrets[0],
        .ephemeral_private = secure->secrets[1],
        .fast = conf->fast,
    };
    struct haul_tls_conf tls = {
        .client = conf->dialer,
        .identity = conf->tls,
        .expected = conf->expected,
        .muxers = conf->muxers,
        .muxer_count = conf->muxer_count,
        .unix_seconds = conf->unix_seconds,
    };

    haul_assert(!secure->begun);
    secure->begun = true;
    secure->security = security;
    if (security == HAUL_SECURITY_NOISE)
        haul_noise_init(&secure->noise, &noise);
    else
        haul_tls_init(&secure->tls, &tls);
    OPENSSL_cleanse(secure->secrets, sizeof secure->secrets);
}

static enum haul_secure_state noise_step(struct haul_secure *secure, struct haul_in *in,
                                         struct haul_out *out)
{
    static const enum haul_secure_fault faults[] = {
        [HAUL_NOISE_FAULT_NONE] = HAUL_SECURE_MALFORMED,
        [HAUL_NOISE_FAULT_MALFORMED] = HAUL_SECURE_MALFORMED,
        [HAUL_NOISE_FAULT_FORGED] = HAUL_SECURE_FORGED,
        [HAUL_NOISE_FAULT_IDENTITY] = HAUL_SECURE_IDENTITY,
        [HAUL_NOISE_FAULT_OTHER_PEER] = HAUL_SECURE_OTHER_PEER,
        [HAUL_NOISE_FAULT_MUXER] = HAUL_SECURE_MUXER,
    };

    switch (haul_noise_step(&secure->noise, in, out)) {
    case HAUL_NOISE_DONE:
        secure->peer = secure->noise.peer;
        secure->muxer = secure->noise.muxer;
        return HAUL_SECURE_DONE;
    case HAUL_NOISE_FAILED:
        secure->fault = faults[secure->noise.fault];
        return HAUL_SECURE_FAILED;
    case HAUL_NOISE_RUNNING:
        break;
    }
    return HAUL_SECURE_RUNNING;
}

static enum haul_secure_state tls_step(struct haul_secure *secure, struct haul_in *in,
                                       struct haul_out *out)
{
    static const enum haul_secure_fault faults[] = {
        [HAUL_TLS_FAULT_NONE] = HAUL_SECURE_MALFORMED,
        [HAUL_TLS_FAULT_MALFORMED] = HAUL_SECURE_MALFORMED,
        [HAUL_TLS_FAULT_IDENTITY] = HAUL_SECURE_IDENTITY,
        [HAUL_TLS_FAULT_OTHER_PEER] = HAUL_SECURE_OTHER_PEER,
        [HAUL_TLS_FAULT_MUXER] = HAUL_SECURE_MUXER,
    };

    switch (haul_tls_step(&secure->tls, in, out)) {
    case HAUL_TLS_DONE:
        secure->peer = secure->tls.peer;
        secure->muxer = secure->tls.muxer;
        return HAUL_SECURE_DONE;
    case HAUL_TLS_FAILED:
        secure->fault = faults[secure->tls.fault];
        return HAUL_SECURE_FAILED;
    case HAUL_TLS_RUNNING:
        break;
    }
    return HAUL_SECURE_RUNNING;
}

enum haul_secure_state haul_secure_step(struct haul_secure *secure, struct haul_in *in,
                                        struct haul_out *out)
{
    haul_assert(secure->begun);
    if (secure->state == HAUL_SECURE_RUNNING)
        secure->state = secure->security == HAUL_SECURITY_NOISE ? noise_step(secure, in, out)
                                                                : tls_step(secure, in, out);
    return secure->state;
}

size_t haul_secure_seal(struct haul_secure *secure, const uint8_t *head, size_t head_bytes,
                        const uint8_t *body, size_t body_bytes, uint8_t *to)
{
    haul_assert(head_bytes + body_bytes <= HAUL_SECURE_CLEAR_MAX);
    if (secure->security == HAUL_SECURITY_NOISE)
        return haul_noise_seal(&secure->noise, head, head_bytes, body, body_bytes, to);
    return haul_tls_seal(&secure->tls.record, head, head_bytes, body, body_bytes, to);
}

bool haul_secure_length(const struct haul_secure *secure, const uint8_t *at, size_t left,
                        size_t *bytes)
{
    size_t body = 0;

    *bytes = 0;
    if (secure->security == HAUL_SECURITY_NOISE) {
        if (left >= HAUL_NOISE_FRAME_BYTES)
            *bytes = HAUL_NOISE_FRAME_BYTES + haul_noise_frame(at);
        return true;
    }
    if (left < HAUL_TLS_HEADER_BYTES)
        return true;
    if (!haul_tls_length(at, &body))
        return false;
    *bytes = HAUL_TLS_HEADER_BYTES + body;
    return true;
}

bool haul_secure_open(struct haul_secure *secure, uint8_t *at, size_t bytes, uint8_t **data,
                      size_t *data_bytes)
{
    uint8_t *message = at + HAUL_NOISE_FRAME_BYTES;
    size_t message_bytes = bytes - HAUL_NOISE_FRAME_BYTES;

    if (secure->security == HAUL_SECURITY_TLS)
        return haul_tls_open(&secure->tls.record, at, bytes, data, data_bytes);
    if (!haul_noise_open(&secure->noise, message, message_bytes, message))
        return false;
    *data = message;
    *data_bytes = message_bytes - HAUL_NOISE_TAG_BYTES;
    return true;
}

const char *haul_security_protocol(enum haul_security security)
{
    return security == HAUL_SECURITY_NOISE ? HAUL_NOISE_PROTOCOL : HAUL_TLS_PROTOCOL;
}

const char *haul_security_name(enum haul_security security)
{
    return security == HAUL_SECURITY_NOISE ? "noise" : "tls";
}
