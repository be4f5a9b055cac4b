/* Multibase text: base16 (f), base32 lower (b), base36 (k), base58btc (z), base64url (u). The
 * functions without a prefix serve peer ids, whose older text is bare base58btc. Input is capped
 * before the quadratic decoders run. */
#pragma once

#include "common/base.h"

#define HAUL_MULTIBASE_TEXT_MAX 512u /* longest text that is looked at */

/* Bytes written, or -1 when the text is malformed or does not fit. */
HAUL_MUST_USE ptrdiff_t haul_multibase_decode(const char *text, uint8_t *data, size_t capacity);
HAUL_MUST_USE ptrdiff_t haul_base58_decode(const char *text, uint8_t *data, size_t capacity);

/* Characters written without the end mark, or -1 when it does not fit. `base` is the prefix. */
HAUL_MUST_USE ptrdiff_t haul_multibase_encode(char base, const uint8_t *data, size_t bytes,
                                              char *text, size_t capacity);
HAUL_MUST_USE ptrdiff_t haul_base58_encode(const uint8_t *data, size_t bytes, char *text,
                                           size_t capacity);
