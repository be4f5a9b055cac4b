/* Measures the ciphers of this build and picks by what it found. */
#include "dataplane/aead/choose.h"

#include "common/chacha_poly.h"
#include "common/clock.h"
#include "common/time.h"
#include "dataplane/aead/tables.h"

#include <string.h>

#define DATAGRAM_BYTES 1408u
#define HEADER_BYTES   24u
#define BURST          16u                    /* datagrams between two looks at the clock */
#define TRIAL_SPAN     (HAUL_MILLISECOND / 2) /* one trial; the best of several counts, */
#define TRIALS         4u                     /* so that a stolen time slice does not */

static double aead_trial(const struct haul_aead *aead, struct haul_aead_context *context,
                         uint8_t *sealed, const uint8_t *block)
{
    uint8_t nonce[HAUL_AEAD_NONCE_BYTES] = { 0 };
    uint8_t header[HEADER_BYTES] = { 0 };
    haul_time start = haul_clock_read(), now;
    uint64_t count = 0;

    do {
        for (uint32_t i = 0; i < BURST; i++, count++) {
            memcpy(nonce, &count, sizeof count);
            aead->seal(context, nonce, header, sizeof header, block, DATAGRAM_BYTES, sealed);
        }
        now = haul_clock_read();
    } while (now - start < TRIAL_SPAN);
    return (double)(now - start) / (double)count;
}

static double aead_measure(const struct haul_aead *aead)
{
    static const uint8_t key[32] = { 1, 2, 3 };
    struct haul_aead_context context = { 0 };
    uint8_t block[DATAGRAM_BYTES] = { 0 };
    uint8_t sealed[DATAGRAM_BYTES + HAUL_AEAD_TAG_BYTES];
    double best = 0;

    aead->key(&context, key);
    for (uint32_t i = 0; i < TRIALS; i++) {
        double ns = aead_trial(aead, &context, sealed, block);

        best = i == 0 || ns < best ? ns : best;
    }
    aead->wipe(&context);
    return best;
}

/* ipsec-mb's own figure; 0 when it is absent, and then `*aead` is untouched. */
static double ipsec_mb_measure(const struct haul_aead **aead)
{
#ifdef HAUL_HAVE_IPSEC_MB
    if (haul_aead_ipsec_mb_usable()) {
        *aead = &haul_aead_ipsec_mb_aes_128_gcm;
        return aead_measure(*aead);
    }
#endif
    return 0;
}

/* The faster of two where there are two; `only`: ipsec-mb's whatever it takes. */
static const struct haul_aead *chacha_choose(bool openssl, bool only, double *ns)
{
    const struct haul_aead *chacha = &haul_aead_openssl_chacha20_poly1305;

    *ns = aead_measure(chacha);
#ifdef HAUL_HAVE_IPSEC_MB
    if (!openssl && haul_aead_ipsec_mb_usable() && haul_chacha_poly_ipsec_mb() != NULL) {
        double fast = aead_measure(&haul_aead_ipsec_mb_chacha20_poly1305);

        if (only || fast < *ns) {
            *ns = fast;
            chacha = &haul_aead_ipsec_mb_chacha20_poly1305;
        }
    }
#else
    (void)openssl;
    (void)only;
#endif
    return chacha;
}

int haul_aead_choose(const char *implementation, bool none, struct haul_aead_choice *choice,
                     struct haul_error *error)
{
    const char *want = implementation != NULL ? implementation : "auto";
    bool automatic = strcmp(want, "auto") == 0, ipsec_mb = strcmp(want, "ipsec-mb") == 0;
    struct haul_aead_choice made = { 0 };
    const struct haul_aead *fast = NULL;
    const struct haul_aead *aes = &haul_aead_openssl_aes_128_gcm;
    bool aes_first;

    if (!automatic && !ipsec_mb && strcmp(want, "openssl") != 0)
        return haul_fail(error, HAUL_E_CONFIG_KEY,
                         "fast.aead is \"%s\"; it can be auto, ipsec-mb or openssl", want);
    made.ns_ipsec_mb = ipsec_mb_measure(&fast);
    if (ipsec_mb && fast == NULL)
        return haul_fail(error, HAUL_E_CONFIG_KEY,
                         "fast.aead is ipsec-mb, which this build or machine does not have");
    made.ns_openssl = aead_measure(aes);
    if (ipsec_mb || (automatic && fast != NULL && made.ns_ipsec_mb <= made.ns_openssl))
        aes = fast;

    made.of[HAUL_CIPHER_AES_128_GCM] = aes;
    made.ns[HAUL_CIPHER_AES_128_GCM] = aes == fast ? made.ns_ipsec_mb : made.ns_openssl;
    made.of[HAUL_CIPHER_CHACHA20_POLY1305] =
        chacha_choose(!automatic && !ipsec_mb, ipsec_mb, &made.ns[HAUL_CIPHER_CHACHA20_POLY1305]);
    if (none) {
        made.of[HAUL_CIPHER_NONE] = &haul_aead_none;
        made.ns[HAUL_CIPHER_NONE] = aead_measure(&haul_aead_none);
    }
    aes_first = made.ns[HAUL_CIPHER_AES_128_GCM] <= made.ns[HAUL_CIPHER_CHACHA20_POLY1305];
    made.order[0] = aes_first ? HAUL_CIPHER_AES_128_GCM : HAUL_CIPHER_CHACHA20_POLY1305;
    made.order[1] = aes_first ? HAUL_CIPHER_CHACHA20_POLY1305 : HAUL_CIPHER_AES_128_GCM;
    made.order_count = 2;
    *choice = made;
    return 0;
}
