/* A signed peer record: what is believed names its signer, and views stay inside the input. */
#include "controlplane/p2p/peer_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct haul_envelope_kind kind = { "libp2p-peer-record", { 3, 1 } };
    static struct haul_peer_record record;
    struct haul_envelope envelope;

    if (haul_envelope_open(data, size, &kind, &envelope))
        haul_assert(envelope.payload >= data &&
                    envelope.payload + envelope.payload_bytes <= data + size);
    if (haul_peer_record_open(data, size, &record))
        haul_assert(haul_peer_id_equal(&record.peer, &envelope.signer) &&
                    record.address_count <= HAUL_PEER_RECORD_ADDRESSES_MAX);
    return 0;
}
