/* Private networks (libp2p specs, pnet/Private-Networks-PSK-V1-Spec.md): beneath everything else
 * each side sends 24 random bytes and from then on all its bytes are under XSalsa20 with the key
 * that all members share and those bytes as the nonce. It keeps strangers out before they can say a
 * word; the connection's own security is unchanged above it. Not authenticated: bytes that were
 * changed are noticed above. Pure; one direction of one connection each. */
#pragma once

#include "common/base.h"

#define HAUL_PSK_KEY_BYTES   32u
#define HAUL_PSK_NONCE_BYTES 24u
#define HAUL_PSK_FILE_MAX    512u
#define HAUL_PSK_PRINT_BYTES 33u

struct haul_psk {
    uint8_t key[HAUL_PSK_KEY_BYTES];
};

struct haul_psk_stream {
    const struct haul_psk *psk; /* borrowed */
    uint8_t nonce[HAUL_PSK_NONCE_BYTES];
    uint8_t nonce_bytes; /* of the nonce, so far */
    uint64_t at;         /* bytes done */
};

/* A key file: "/key/swarm/psk/1.0.0/", then "/base16/", "/base64/" or "/bin/", each on a line of
 * its own, then the key. False when it is anything else. */
HAUL_MUST_USE bool haul_psk_parse(const uint8_t *file, size_t bytes, struct haul_psk *psk);
void haul_psk_wipe(struct haul_psk *psk);

/* Names the key without telling it: for logs and for comparing two nodes. */
void haul_psk_print(const struct haul_psk *psk, char text[HAUL_PSK_PRINT_BYTES]);

void haul_psk_begin(struct haul_psk_stream *stream, const struct haul_psk *psk);

/* Takes what it needs for the nonce; returns how many bytes that were. */
size_t haul_psk_nonce(struct haul_psk_stream *stream, const uint8_t *data, size_t bytes);

/* Seals or opens in place, the next bytes of the stream. The nonce is complete. */
void haul_psk_apply(struct haul_psk_stream *stream, uint8_t *data, size_t bytes);
