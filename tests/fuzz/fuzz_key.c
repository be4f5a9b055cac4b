/* Keys of peers: whatever is accepted has one peer id, and a signature of nonsense never verifies.
 * Private keys that are read encode to what they were read from. */
#include "common/bytes.h"
#include "controlplane/p2p/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t encoded[HAUL_KEY_PRIVATE_BYTES];
    struct haul_peer_id id;
    struct haul_key key;

    if (haul_key_peer_id(data, size, &id)) {
        uint8_t signature[64] = { 0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01 };

        haul_assert(id.length >= 34);
        haul_assert(!haul_key_verify(data, size, "said", 4, signature, 64));
        haul_assert(!haul_key_verify(data, size, "said", 4, signature, 8));
    }
    if (haul_key_decode(&key, data, size)) {
        haul_key_encode(&key, encoded);
        haul_assert(memcmp(encoded + 4, data + 4, 64) == 0);
    }
    return 0;
}
