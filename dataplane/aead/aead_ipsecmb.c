/* AES-128-GCM through libipsec-mb, which uses the widest AES and carry-less multiplication that the
 * processor has. Its GCM functions keep no state but the expanded key, so one manager (a table of
 * functions chosen by CPUID) serves every thread. */
#include "dataplane/aead/tables.h"

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <string.h>

_Static_assert(sizeof(struct gcm_key_data) <= HAUL_AEAD_CONTEXT_BYTES, "the expanded key fits");

static IMB_MGR *manager; /* written once by the function below, then only read */

static void manager_open(void)
{
    IMB_MGR *fresh = alloc_mb_mgr(0);

    if (fresh == NULL)
        return;
    init_mb_mgr_auto(fresh, NULL);
    if (imb_get_errno(fresh) != 0 || fresh->gcm128_enc == NULL) {
        free_mb_mgr(fresh);
        return;
    }
    manager = fresh;
}

bool haul_aead_ipsec_mb_usable(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, manager_open);
    return manager != NULL;
}

static void ipsec_mb_key(struct haul_aead_context *context, const uint8_t *key)
{
    haul_assert(haul_aead_ipsec_mb_usable());
    IMB_AES128_GCM_PRE(manager, key, (struct gcm_key_data *)(void *)context->space);
}

static void ipsec_mb_wipe(struct haul_aead_context *context)
{
    OPENSSL_cleanse(context, sizeof *context);
}

static void ipsec_mb_seal(struct haul_aead_context *context, const uint8_t *nonce,
                          const uint8_t *clear, size_t clear_bytes, const uint8_t *from,
                          size_t bytes, uint8_t *to)
{
    struct gcm_context_data state;

    IMB_AES128_GCM_ENC(manager, (const struct gcm_key_data *)(const void *)context->space, &state,
                       to, from, bytes, nonce, clear, clear_bytes, to + bytes, HAUL_AEAD_TAG_BYTES);
}

static bool ipsec_mb_open(struct haul_aead_context *context, const uint8_t *nonce,
                          const uint8_t *clear, size_t clear_bytes, const uint8_t *from,
                          size_t bytes, uint8_t *to)
{
    struct gcm_context_data state;
    uint8_t tag[HAUL_AEAD_TAG_BYTES];

    IMB_AES128_GCM_DEC(manager, (const struct gcm_key_data *)(const void *)context->space, &state,
                       to, from, bytes, nonce, clear, clear_bytes, tag, HAUL_AEAD_TAG_BYTES);
    return CRYPTO_memcmp(tag, from + bytes, sizeof tag) == 0;
}

const struct haul_aead haul_aead_ipsec_mb_aes_128_gcm = {
    .name = "aes-128-gcm/ipsec-mb",
    .cipher = HAUL_CIPHER_AES_128_GCM,
    .key_bytes = 16,
    .key = ipsec_mb_key,
    .wipe = ipsec_mb_wipe,
    .seal = ipsec_mb_seal,
    .open = ipsec_mb_open,
    .derive = haul_aead_derive,
};
