#include "controlplane/p2p/key_pair.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#define KEY_BYTES 32u

EVP_PKEY *haul_key_pair(const char *type, const uint8_t secret_key[32],
                        const uint8_t public_key[32])
{
    /* Read only; the library's interface has no const for them. */
    const OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, (void *)(uintptr_t)secret_key, KEY_BYTES),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)public_key, KEY_BYTES),
        OSSL_PARAM_END,
    };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pair = NULL;

    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pair, EVP_PKEY_KEYPAIR, (OSSL_PARAM *)(uintptr_t)params) != 1)
        pair = NULL;
    EVP_PKEY_CTX_free(context);
    return pair;
}
