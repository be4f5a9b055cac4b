/* What anybody on the link may send: read within its limits, and every address names a peer. */
#include "controlplane/p2p/nat/mdns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct haul_mdns_message message;
    struct haul_peer_id peer;

    if (size > HAUL_MDNS_RECEIVED_MAX || !haul_mdns_decode(data, size, &message))
        return 0;
    haul_assert(message.address_count <= HAUL_MDNS_ADDRESSES_MAX);
    haul_assert(!message.asks || message.address_count == 0);
    for (size_t i = 0; i < message.address_count; i++)
        haul_assert(haul_multiaddr_peer(&message.addresses[i], &peer));
    return 0;
}
