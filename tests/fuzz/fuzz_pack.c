/* The footer of a pack, as if it were a whole file: whatever is accepted has only blocks inside. */
#include "dataplane/store/pack.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct haul_pack_trailer trailer;

    if (size < HAUL_PACK_TRAILER_BYTES ||
        !haul_pack_trailer_decode(data + size - HAUL_PACK_TRAILER_BYTES, size, &trailer))
        return 0;
    haul_assert(trailer.at <= size);
    if (!haul_pack_footer_valid(data + trailer.at, size - trailer.at, &trailer))
        return 0;
    for (uint32_t i = 0; i < trailer.count; i++) {
        struct haul_pack_block block;

        haul_pack_entry(data + trailer.at, i, &block);
        haul_assert(block.length <= HAUL_BLOCK_BYTES_MAX && block.at + block.length <= trailer.at);
    }
    return 0;
}
