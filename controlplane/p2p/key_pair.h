/* A key pair for the crypto library, of 32 bytes each. Given the secret alone the library computes
 * the public key again each time, which takes as long as what the pair is for. */
#pragma once

#include "common/base.h"

#include <openssl/evp.h>

/* `type` is "X25519" or "ED25519". To be freed with EVP_PKEY_free; NULL when there is no memory. */
EVP_PKEY *haul_key_pair(const char *type, const uint8_t secret_key[32],
                        const uint8_t public_key[32]);
