/* Messages of DCUtR (libp2p specs, relay/DCUtR.md): two peers that meet through a relay tell each
 * other where they seem to be, and when to dial. Sent with their length in front. Pure. */
#pragma once

#include "common/bytes.h"
#include "controlplane/p2p/multiaddr.h"

#define HAUL_DCUTR_MESSAGE_MAX   4096u
#define HAUL_DCUTR_ADDRESSES_MAX 16u

enum haul_dcutr_kind {
    HAUL_DCUTR_CONNECT = 100,
    HAUL_DCUTR_SYNC = 300,
};

struct haul_dcutr_message {
    enum haul_dcutr_kind kind;
    size_t address_count;
    struct haul_multiaddr addresses[HAUL_DCUTR_ADDRESSES_MAX]; /* never relayed ones */
};

/* False when it is malformed or of no known kind. Addresses that we cannot read, those through a
 * relay, and those beyond the limit are passed over. */
HAUL_MUST_USE bool haul_dcutr_decode(const uint8_t *data, size_t bytes,
                                     struct haul_dcutr_message *message);
/* Without the length in front; out->bad when it does not fit. */
void haul_dcutr_encode(const struct haul_dcutr_message *message, struct haul_out *out);
