/* A cipher for tests: cheap, not secret, but its tag covers key, nonce, header and payload. The
 * credulous one accepts every tag, so that a fuzzer reaches what lies behind it. */
#pragma once

#include "dataplane/aead/aead.h"

extern const struct haul_aead toy_aead;
extern const struct haul_aead toy_aead_credulous;
