/* Which implementation of each cipher this node uses, and the order in which it offers the ciphers:
 * measured at start for a few milliseconds on datagrams of 1408 bytes, because the best differs
 * from processor to processor by a factor of four. */
#pragma once

#include "common/error.h"
#include "dataplane/aead/aead.h"

#define HAUL_AEAD_CIPHERS 3u /* values of enum haul_cipher */

struct haul_aead_choice {
    const struct haul_aead *of[HAUL_AEAD_CIPHERS]; /* by enum haul_cipher; NULL: not on offer */
    double ns[HAUL_AEAD_CIPHERS];     /* to seal one datagram of 1408 bytes, of what was chosen */
    double ns_ipsec_mb;               /* AES-128-GCM; 0 when the build or the machine lacks it */
    double ns_openssl;                /* AES-128-GCM */
    uint8_t order[HAUL_AEAD_CIPHERS]; /* enum haul_cipher, fastest first; never NONE */
    size_t order_count;
};

/* `implementation` is "auto", "ipsec-mb" or "openssl" (NULL: auto); anything else, or ipsec-mb
 * where there is none, is an error. `none` puts no cipher on offer as well (rate tests): it is in
 * `of`, never in `order`. Takes about ten milliseconds. */
HAUL_MUST_USE int haul_aead_choose(const char *implementation, bool none,
                                   struct haul_aead_choice *choice, struct haul_error *error);
