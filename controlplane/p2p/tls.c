#include "controlplane/p2p/tls.h"

#include "controlplane/p2p/tls_certificate.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#define ALPN_BYTES_MAX 256u
#define LIBP2P         "libp2p" /* "the muxer is selected later" */

/* --- what the library asks for --- */

static struct haul_tls *tls_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

static int refuse(struct haul_tls *tls, enum haul_tls_fault fault)
{
    if (tls->fault == HAUL_TLS_FAULT_NONE)
        tls->fault = fault;
    return 0;
}

/* Replaces the library's own idea of chains and authorities, of which libp2p has none. */
static int on_certificate(X509_STORE_CTX *store, void *context)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct haul_tls *tls = tls_of(ssl);
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    const STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);
    uint8_t *der = NULL;
    int bytes;
    bool good;

    (void)context;
    if (certificate == NULL || sk_X509_num(chain) != 1)
        return refuse(tls, HAUL_TLS_FAULT_IDENTITY);
    bytes = i2d_X509(certificate, &der);
    good = bytes > 0 &&
           haul_tls_certificate_verify(der, (size_t)bytes, tls->conf.unix_seconds, &tls->peer);
    OPENSSL_free(der);
    if (!good)
        return refuse(tls, HAUL_TLS_FAULT_IDENTITY);
    if (tls->conf.expected != NULL && !haul_peer_id_equal(&tls->peer, tls->conf.expected))
        return refuse(tls, HAUL_TLS_FAULT_OTHER_PEER);
    return 1;
}

static int digit(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* "LABEL RANDOM SECRET" in hexadecimal: the two secrets under which data will flow. */
static void on_secret(const SSL *ssl, const char *line)
{
    static const char *const labels[] = { "CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 " };
    struct haul_tls *tls = tls_of(ssl);

    for (size_t i = 0; i < HAUL_COUNT_OF(labels); i++) {
        const char *text = line + strlen(labels[i]);
        size_t bytes = 0;

        if (strncmp(line, labels[i], strlen(labels[i])) != 0)
            continue;
        text = strchr(text, ' ');
        if (text == NULL)
            continue;
        for (text++; bytes < sizeof tls->secrets[i] && digit(text[0]) >= 0 && digit(text[1]) >= 0;
             text += 2)
            tls->secrets[i][bytes++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
        tls->secret_bytes = bytes;
    }
}

/* The server takes the first of the client's that it speaks: a muxer, or the word for "later". */
static int on_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_bytes,
                   const unsigned char *offered, unsigned int offered_bytes, void *context)
{
    struct haul_tls *tls = tls_of(ssl);
    struct haul_in in = haul_in_from(offered, offered_bytes);

    (void)context;
    while (haul_in_left(&in) > 0) {
        size_t bytes = haul_in_be(&in, 1);
        const uint8_t *name = haul_in_bytes(&in, bytes);

        if (in.bad)
            break;
        *chosen = name;
        *chosen_bytes = (unsigned char)bytes;
        if (bytes == strlen(LIBP2P) && memcmp(name, LIBP2P, bytes) == 0)
            return SSL_TLSEXT_ERR_OK;
        for (size_t i = 0; i < tls->conf.muxer_count; i++) {
            if (bytes == strlen(tls->conf.muxers[i]) &&
                memcmp(name, tls->conf.muxers[i], bytes) == 0)
                return SSL_TLSEXT_ERR_OK;
        }
    }
    refuse(tls, HAUL_TLS_FAULT_MUXER);
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* --- our certificate --- */

static bool context_set(SSL_CTX *context, const struct haul_key *key, uint64_t unix_seconds)
{
    EVP_PKEY *own = NULL;
    X509 *certificate = NULL;
    bool good;

    haul_tls_certificate_make(key, unix_seconds, &own, &certificate);
    good = own != NULL && SSL_CTX_use_certificate(context, certificate) == 1 &&
           SSL_CTX_use_PrivateKey(context, own) == 1 &&
           SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:"
                                             "TLS_AES_256_GCM_SHA384") == 1 &&
           SSL_CTX_set1_groups_list(context, "X25519:P-256") == 1 &&
           SSL_CTX_set_num_tickets(context, 0) == 1;
    X509_free(certificate);
    EVP_PKEY_free(own);
    if (!good)
        return false;
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_clear_options(context, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(context, HAUL_TLS_CERTIFICATE_MAX);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(context, on_certificate, NULL);
    SSL_CTX_set_keylog_callback(context, on_secret);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, NULL);
    return true;
}

bool haul_tls_identity_open(struct haul_tls_identity *identity, const struct haul_key *key,
                            uint64_t unix_seconds)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());

    if (context != NULL && context_set(context, key, unix_seconds)) {
        identity->context = context;
        return true;
    }
    SSL_CTX_free(context);
    return false;
}

void haul_tls_identity_close(struct haul_tls_identity *identity)
{
    SSL_CTX_free(identity->context);
    identity->context = NULL;
}

/* --- the handshake --- */

static bool offer_alpn(struct haul_tls *tls)
{
    uint8_t names[ALPN_BYTES_MAX];
    struct haul_out out = haul_out_to(names, sizeof names);

    for (size_t i = 0; i <= tls->conf.muxer_count; i++) {
        const char *name = i < tls->conf.muxer_count ? tls->conf.muxers[i] : LIBP2P;

        haul_out_be(&out, strlen(name), 1);
        haul_out_bytes(&out, name, strlen(name));
    }
    return !out.bad && SSL_set_alpn_protos(tls->ssl, names, (unsigned)(out.at - names)) == 0;
}

void haul_tls_init(struct haul_tls *tls, const struct haul_tls_conf *conf)
{
    haul_assert(conf->identity->context != NULL && conf->muxer_count <= HAUL_TLS_MUXERS_MAX);
    memset(tls, 0, sizeof *tls);
    tls->conf = *conf;
    tls->muxer = HAUL_TLS_NO_MUXER;
    tls->ssl = SSL_new(conf->identity->context);
    haul_assert(tls->ssl != NULL);
    SSL_set_app_data(tls->ssl, tls);
    SSL_set_bio(tls->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    haul_assert(SSL_get_rbio(tls->ssl) != NULL && SSL_get_wbio(tls->ssl) != NULL);
    if (conf->client) {
        SSL_set_connect_state(tls->ssl);
        haul_assert(offer_alpn(tls));
    } else {
        SSL_set_accept_state(tls->ssl);
    }
}

static void handshake_end(struct haul_tls *tls)
{
    SSL_free(tls->ssl);
    tls->ssl = NULL;
    OPENSSL_cleanse(tls->secrets, sizeof tls->secrets);
    ERR_clear_error();
}

void haul_tls_fini(struct haul_tls *tls)
{
    handshake_end(tls);
    haul_tls_record_fini(&tls->record);
}

static void fail(struct haul_tls *tls, enum haul_tls_fault fault)
{
    refuse(tls, fault);
    tls->state = HAUL_TLS_FAILED;
    handshake_end(tls);
}

/* False when the server chose what was not offered; none at all means "later" too. */
static bool alpn_agreed(struct haul_tls *tls)
{
    const uint8_t *name;
    unsigned bytes;

    SSL_get0_alpn_selected(tls->ssl, &name, &bytes);
    if (bytes == 0 || (bytes == strlen(LIBP2P) && memcmp(name, LIBP2P, bytes) == 0))
        return true;
    for (size_t i = 0; i < tls->conf.muxer_count; i++) {
        if (bytes == strlen(tls->conf.muxers[i]) && memcmp(name, tls->conf.muxers[i], bytes) == 0) {
            tls->muxer = i;
            return true;
        }
    }
    return false;
}

static void finish(struct haul_tls *tls)
{
    enum haul_tls_suite suite =
        (enum haul_tls_suite)(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(tls->ssl)));

    if (!alpn_agreed(tls)) {
        fail(tls, HAUL_TLS_FAULT_MUXER);
        return;
    }
    haul_assert(tls->secret_bytes == haul_tls_secret_bytes(suite));
    haul_tls_record_init(&tls->record, suite, tls->conf.client, tls->secrets[!tls->conf.client],
                         tls->secrets[tls->conf.client]);
    handshake_end(tls);
    tls->state = HAUL_TLS_DONE;
}

/* Hands the library one whole record; false when none has arrived, or none ever will. */
static bool feed(struct haul_tls *tls, struct haul_in *in)
{
    size_t bytes;

    if (haul_in_left(in) < HAUL_TLS_HEADER_BYTES)
        return false;
    if (!haul_tls_length(in->at, &bytes) ||
        tls->read_bytes + HAUL_TLS_HEADER_BYTES + bytes > HAUL_TLS_HANDSHAKE_MAX) {
        fail(tls, HAUL_TLS_FAULT_MALFORMED);
        return false;
    }
    bytes += HAUL_TLS_HEADER_BYTES;
    if (haul_in_left(in) < bytes)
        return false;
    tls->read_bytes += bytes;
    haul_assert(BIO_write(SSL_get_rbio(tls->ssl), haul_in_bytes(in, bytes), (int)bytes) ==
                (int)bytes);
    return true;
}

static void drain(struct haul_tls *tls, struct haul_out *out)
{
    BIO *from = SSL_get_wbio(tls->ssl);
    size_t waiting = BIO_ctrl_pending(from);

    haul_assert(waiting <= haul_out_left(out));
    if (waiting > 0 && BIO_read(from, out->at, (int)waiting) == (int)waiting)
        out->at += waiting;
}

enum haul_tls_state haul_tls_step(struct haul_tls *tls, struct haul_in *in, struct haul_out *out)
{
    haul_assert(haul_out_left(out) >= HAUL_TLS_OUT_BYTES && !out->bad);
    while (tls->state == HAUL_TLS_RUNNING) {
        int result;
        bool waits;

        ERR_clear_error();
        result = SSL_do_handshake(tls->ssl);
        waits = result != 1 && SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ;
        drain(tls, out);
        if (result == 1)
            finish(tls);
        else if (!waits)
            fail(tls, HAUL_TLS_FAULT_MALFORMED);
        else if (!feed(tls, in))
            break;
    }
    return tls->state;
}
