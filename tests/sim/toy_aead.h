/* A cipher for the simulator: fast, deterministic and worthless against people, but any change of a
 * bit in header, payload, tag, key or nonce is noticed. A failed open writes rubbish over the
 * destination, as it may. It watches that one key never seals two datagrams under one number. */
#pragma once

#include "dataplane/aead/aead.h"

extern const struct haul_aead sim_toy_aead;

/* What was done wrong with it since the last reset, or NULL. */
const char *sim_toy_broken(void);
void sim_toy_reset(void);
