/* A message of DCUtR: what is read can be written and read again, and is never a relay's. */
#include "controlplane/p2p/dcutr_message.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct haul_dcutr_message message, again;
    static uint8_t written[2 * HAUL_DCUTR_MESSAGE_MAX];
    struct haul_out out = haul_out_to(written, sizeof written);

    if (!haul_dcutr_decode(data, size, &message))
        return 0;
    haul_assert(message.address_count <= HAUL_DCUTR_ADDRESSES_MAX);
    haul_dcutr_encode(&message, &out);
    haul_assert(!out.bad && haul_dcutr_decode(written, (size_t)(out.at - written), &again));
    haul_assert(again.kind == message.kind && again.address_count == message.address_count);
    for (size_t i = 0; i < message.address_count; i++) {
        haul_assert(!haul_multiaddr_relayed(&message.addresses[i]));
        haul_assert(message.addresses[i].length == again.addresses[i].length &&
                    memcmp(message.addresses[i].bytes, again.addresses[i].bytes,
                           again.addresses[i].length) == 0);
    }
    return 0;
}
