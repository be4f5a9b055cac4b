#include "common/chacha_poly.h"

#include "common/clock.h"
#include "common/time.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAUL_HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>

#define TRIALS      4u
#define TRIAL_BYTES 65504u /* about what a message of bulk holds */

static IMB_MGR *manager; /* a table of functions; written once, then only read */
static bool faster;

static void state_begin(struct chacha20_poly1305_context_data *state, const uint8_t *key,
                        const uint8_t *nonce, const struct haul_chacha_poly_text *text)
{
    static const uint8_t nothing[1];

    IMB_CHACHA20_POLY1305_INIT(manager, key, state, nonce,
                               text->clear_bytes > 0 ? text->clear : nothing, text->clear_bytes);
}

static void ipsec_mb_seal(const uint8_t *key, const uint8_t *nonce,
                          const struct haul_chacha_poly_text *text, uint8_t *to)
{
    struct chacha20_poly1305_context_data state;

    state_begin(&state, key, nonce, text);
    if (text->head_bytes > 0)
        IMB_CHACHA20_POLY1305_ENC_UPDATE(manager, key, &state, to, text->head, text->head_bytes);
    if (text->body_bytes > 0)
        IMB_CHACHA20_POLY1305_ENC_UPDATE(manager, key, &state, to + text->head_bytes, text->body,
                                         text->body_bytes);
    IMB_CHACHA20_POLY1305_ENC_FINALIZE(manager, &state, to + text->head_bytes + text->body_bytes,
                                       HAUL_CHACHA_POLY_TAG_BYTES);
    OPENSSL_cleanse(&state, sizeof state);
}

static bool ipsec_mb_open(const uint8_t *key, const uint8_t *nonce,
                          const struct haul_chacha_poly_text *text, uint8_t *to)
{
    struct chacha20_poly1305_context_data state;
    uint8_t tag[HAUL_CHACHA_POLY_TAG_BYTES], made[HAUL_CHACHA_POLY_TAG_BYTES];

    memcpy(tag, text->body + text->body_bytes, sizeof tag);
    state_begin(&state, key, nonce, text);
    if (text->body_bytes > 0)
        IMB_CHACHA20_POLY1305_DEC_UPDATE(manager, key, &state, to, text->body, text->body_bytes);
    IMB_CHACHA20_POLY1305_DEC_FINALIZE(manager, &state, made, sizeof made);
    OPENSSL_cleanse(&state, sizeof state);
    return CRYPTO_memcmp(tag, made, sizeof tag) == 0;
}

static const struct haul_chacha_poly ipsec_mb = {
    .name = "chacha20-poly1305/ipsec-mb",
    .seal = ipsec_mb_seal,
    .open = ipsec_mb_open,
};

/* --- which is faster --- */

static bool openssl_seal(EVP_CIPHER_CTX *cipher, const uint8_t *key, const uint8_t *nonce,
                         const uint8_t *from, size_t bytes, uint8_t *to)
{
    int done = 0;

    return EVP_EncryptInit_ex(cipher, EVP_chacha20_poly1305(), NULL, key, nonce) == 1 &&
           EVP_EncryptUpdate(cipher, to, &done, from, (int)bytes) == 1 &&
           EVP_EncryptFinal_ex(cipher, to + bytes, &done) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, (int)HAUL_CHACHA_POLY_TAG_BYTES,
                               to + bytes) == 1;
}

/* The best of a few trials counts, in turn, so that a stolen time slice does not. Who does not make
 * the same bytes as the other is not used at all. */
static void measure(void)
{
    static const uint8_t key[HAUL_CHACHA_POLY_KEY_BYTES] = { 1, 2, 3 };
    static const uint8_t nonce[HAUL_CHACHA_POLY_NONCE_BYTES] = { 4 };
    size_t room = TRIAL_BYTES + HAUL_CHACHA_POLY_TAG_BYTES;
    uint8_t *bytes = calloc(3, room), *ours = bytes + room, *theirs = ours + room;
    struct haul_chacha_poly_text text = { .body = bytes, .body_bytes = TRIAL_BYTES };
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    haul_time best[2] = { HAUL_TIME_NEVER, HAUL_TIME_NEVER };
    bool good = bytes != NULL && cipher != NULL;

    for (uint32_t i = 0; i < TRIALS && good; i++) {
        haul_time start = haul_clock_read(), middle;

        ipsec_mb_seal(key, nonce, &text, ours);
        middle = haul_clock_read();
        good = openssl_seal(cipher, key, nonce, bytes, TRIAL_BYTES, theirs) &&
               memcmp(ours, theirs, room) == 0;
        best[0] = haul_time_min(best[0], middle - start);
        best[1] = haul_time_min(best[1], haul_clock_read() - middle);
    }
    faster = good && best[0] < best[1];
    EVP_CIPHER_CTX_free(cipher);
    free(bytes);
}

static void manager_open(void)
{
    IMB_MGR *fresh = alloc_mb_mgr(0);

    if (fresh == NULL)
        return;
    init_mb_mgr_auto(fresh, NULL);
    if (imb_get_errno(fresh) != 0 || fresh->chacha20_poly1305_init == NULL) {
        free_mb_mgr(fresh);
        return;
    }
    manager = fresh;
    measure();
}

static void manager_ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, manager_open);
}

const struct haul_chacha_poly *haul_chacha_poly_ipsec_mb(void)
{
    manager_ready();
    return manager != NULL ? &ipsec_mb : NULL;
}

const struct haul_chacha_poly *haul_chacha_poly_fast(void)
{
    manager_ready();
    return faster ? &ipsec_mb : NULL;
}

#else

const struct haul_chacha_poly *haul_chacha_poly_ipsec_mb(void)
{
    return NULL;
}

const struct haul_chacha_poly *haul_chacha_poly_fast(void)
{
    return NULL;
}

#endif
