/* The record layer of TLS 1.3 (RFC 8446, 5) once the handshake is done: sealing and opening of
 * application data under the traffic secrets, and the few messages that may still come: key
 * updates, session tickets (read over), alerts. The library makes the handshake; records are ours
 * so that they are opened where they arrived and sealed from where the payload lies, as Noise
 * messages are, and so that an idle connection holds two keys and no library's buffers.
 *
 * One connection, one thread. The library beneath keeps two expanded keys on its heap until fini.
 */
#pragma once

#include "common/bytes.h"

#define HAUL_TLS_HEADER_BYTES 5u
#define HAUL_TLS_TAG_BYTES    16u
#define HAUL_TLS_CLEAR_MAX    16384u                      /* of one record */
#define HAUL_TLS_RECORD_MAX   (HAUL_TLS_CLEAR_MAX + 256u) /* behind the header */

/* What a record adds to the bytes in it: header, content type, tag. */
#define HAUL_TLS_OVERHEAD (HAUL_TLS_HEADER_BYTES + 1 + HAUL_TLS_TAG_BYTES)

/* What sealing so many bytes may add: every record's overhead and a key update of ours. */
#define HAUL_TLS_OVERHEAD_OF(bytes)                                                                \
    (((bytes) / HAUL_TLS_CLEAR_MAX + 1) * HAUL_TLS_OVERHEAD + HAUL_TLS_OVERHEAD + 5u)

#define HAUL_TLS_RECORDS_PER_KEY (UINT64_C(1) << 23) /* below AES-GCM's 2^24.5 (RFC 8446, 5.5) */
#define HAUL_TLS_QUIET_MAX       32u /* records in a row that hold no data, for us to bear */

enum haul_tls_suite {
    HAUL_TLS_AES_128_GCM_SHA256 = 0x1301,
    HAUL_TLS_AES_256_GCM_SHA384 = 0x1302,
    HAUL_TLS_CHACHA20_POLY1305_SHA256 = 0x1303,
};

struct evp_cipher_ctx_st;

struct haul_tls_direction {
    struct evp_cipher_ctx_st *context;
    uint64_t number;
    uint8_t iv[12];
    uint8_t secret[48];
};

struct haul_tls_record {
    enum haul_tls_suite suite;
    bool client;
    bool closed;        /* the peer has said that it sends no more */
    bool update_wanted; /* the peer asked for a key update of ours, or it is due */
    uint8_t quiet;      /* records without data in a row */
    /* Of a post-handshake message that is being read. */
    uint8_t head[4];
    uint8_t head_bytes;
    uint32_t skip;
    struct haul_tls_direction seal, open;
};

/* Secrets: of as many bytes as the suite's hash. */
void haul_tls_record_init(struct haul_tls_record *record, enum haul_tls_suite suite, bool client,
                          const uint8_t *seal_secret, const uint8_t *open_secret);
void haul_tls_record_fini(struct haul_tls_record *record); /* a zeroed one is welcome */
size_t haul_tls_secret_bytes(enum haul_tls_suite suite);

/* Seals two pieces, one behind the other, in as many records as it takes; returns what it wrote. */
size_t haul_tls_seal(struct haul_tls_record *record, const uint8_t *head, size_t head_bytes,
                     const uint8_t *body, size_t body_bytes, uint8_t *to);

/* Opens one whole record in place, header included in `bytes`: the data in it, maybe none. False
 * when it is forged, malformed, or an alert that ends the connection: from then on always. */
HAUL_MUST_USE bool haul_tls_open(struct haul_tls_record *record, uint8_t *at, size_t bytes,
                                 uint8_t **data, size_t *data_bytes);

/* Bytes behind the header; false when no record may have such a one. */
HAUL_MUST_USE bool haul_tls_length(const uint8_t header[HAUL_TLS_HEADER_BYTES], size_t *bytes);
