/* The security of a libp2p connection by TLS 1.3 (libp2p specs, tls/tls.md): both sides show one
 * self-signed certificate in which the identity key vouches for the certificate's; the muxer is
 * agreed on by ALPN. A machine of bytes: the library makes the handshake over memory, records
 * behind it are ours (tls_record.h).
 *
 * Give haul_tls_step what arrived until it is DONE or FAILED. It takes whole records only and
 * leaves the rest in `in`: what follows the last one are records of data already. One thread. The
 * library allocates while the handshake lasts. */
#pragma once

#include "controlplane/p2p/key.h"
#include "controlplane/p2p/tls_record.h"

#define HAUL_TLS_PROTOCOL      "/tls/1.0.0"
#define HAUL_TLS_NO_MUXER      SIZE_MAX
#define HAUL_TLS_OUT_BYTES     4096u       /* room that every step needs in `out` */
#define HAUL_TLS_HANDSHAKE_MAX (32u << 10) /* bytes of a peer's handshake */
#define HAUL_TLS_MUXERS_MAX    8u

struct ssl_ctx_st;
struct ssl_st;

/* Our certificate, made once and used for every connection. */
struct haul_tls_identity {
    struct ssl_ctx_st *context; /* NULL: there is none */
};

/* False without memory. `unix_seconds`: now. */
HAUL_MUST_USE bool haul_tls_identity_open(struct haul_tls_identity *identity,
                                          const struct haul_key *key, uint64_t unix_seconds);
void haul_tls_identity_close(struct haul_tls_identity *identity); /* a zeroed one is welcome */

enum haul_tls_state { HAUL_TLS_RUNNING, HAUL_TLS_DONE, HAUL_TLS_FAILED };

enum haul_tls_fault {
    HAUL_TLS_FAULT_NONE,
    HAUL_TLS_FAULT_MALFORMED,  /* not TLS 1.3, or out of its rules; or the peer refused us */
    HAUL_TLS_FAULT_IDENTITY,   /* the certificate is not good */
    HAUL_TLS_FAULT_OTHER_PEER, /* a good identity, but not the one expected */
    HAUL_TLS_FAULT_MUXER,      /* no protocol in common */
};

struct haul_tls_conf {
    bool client;
    const struct haul_tls_identity *identity; /* borrowed until the handshake ends */
    const struct haul_peer_id *expected;      /* borrowed likewise; NULL: whoever it is */
    const char *const *muxers;                /* borrowed likewise; best first */
    size_t muxer_count;                       /* at most HAUL_TLS_MUXERS_MAX; 0: agree later */
    uint64_t unix_seconds;                    /* now: certificates are valid for a time */
};

struct haul_tls {
    enum haul_tls_state state;
    enum haul_tls_fault fault;
    struct haul_peer_id peer; /* DONE: who it is */
    size_t muxer;             /* DONE: index in conf.muxers; HAUL_TLS_NO_MUXER: by select */
    struct haul_tls_conf conf;
    struct ssl_st *ssl; /* NULL once the handshake has ended */
    size_t read_bytes;
    uint8_t secrets[2][48]; /* of the client, of the server */
    size_t secret_bytes;
    struct haul_tls_record record;
};

void haul_tls_init(struct haul_tls *tls, const struct haul_tls_conf *conf);
void haul_tls_fini(struct haul_tls *tls); /* wipes; a zeroed one is welcome */

/* The handshake, as far as it goes. The client's first step writes even when nothing arrived. After
 * DONE and after FAILED (an alert) what `out` holds must still be sent. */
enum haul_tls_state haul_tls_step(struct haul_tls *tls, struct haul_in *in, struct haul_out *out);
