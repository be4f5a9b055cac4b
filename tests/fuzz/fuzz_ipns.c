/* An IPNS record under the name of the key that made the corpus: what is believed lies inside of
 * the input and below the limits, and stands in one order with itself. */
#include "controlplane/p2p/kad/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32] = { 1 };
    struct haul_ipns ipns;
    uint8_t name[64] = "/ipns/";
    struct haul_key key;
    uint64_t time;

    haul_key_from_seed(&key, seed);
    memcpy(name + 6, key.id.bytes, key.id.length);
    if (haul_ipns_time_read(data, size, &time))
        haul_assert(time / HAUL_SECOND < UINT64_C(16725225600)); /* the year 2500 */
    if (haul_kad_record_check(name, 6u + key.id.length, data, size, 0) == HAUL_KAD_RECORD_GOOD)
        haul_assert(size <= HAUL_IPNS_BYTES_MAX &&
                    haul_kad_record_order(name, 6u + key.id.length, data, size, data, size) == 0);
    if (haul_ipns_read(&key.id, data, size, &ipns) == HAUL_IPNS_GOOD)
        haul_assert(ipns.value >= data && ipns.value + ipns.value_bytes <= data + size);
    return 0;
}
