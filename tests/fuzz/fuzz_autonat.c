/* Messages of AutoNAT, the version in the first byte: what is read stays within its limits. */
#include "controlplane/p2p/nat/autonat_message.h"

static void check(const struct haul_autonat_message *message)
{
    haul_assert(message->address_count <= HAUL_AUTONAT_ADDRESSES_MAX);
    for (size_t i = 0; i < message->address_count; i++)
        haul_assert(message->addresses[i].length <= HAUL_MULTIADDR_BYTES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct haul_autonat_message message;
    uint64_t nonce;

    if (size == 0)
        return 0;
    if (data[0] == 1 && haul_autonat_decode(data + 1, size - 1, &message))
        check(&message);
    else if (data[0] == 2 && haul_autonat2_decode(data + 1, size - 1, &message))
        check(&message);
    else if (haul_autonat_back_decode(data + 1, size - 1, &nonce))
        haul_assert(size > 1 || nonce == 0);
    return 0;
}
