/* Requests and answers of /haul/blocks/1: whatever is accepted encodes to the same bytes. */
#include "controlplane/behaviours/blocks_wire.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct haul_blocks_request request;
    struct haul_blocks_answer answer;
    uint8_t again[HAUL_BLOCKS_REQUEST_BYTES];

    if (haul_blocks_request_decode(data, size, &request)) {
        haul_blocks_request_encode(&request, again);
        haul_assert(memcmp(again, data, size) == 0);
    }
    if (haul_blocks_answer_decode(data, size, &answer)) {
        haul_assert(answer.total <= HAUL_BLOCK_BYTES_MAX && answer.count <= answer.total);
        haul_blocks_answer_encode(&answer, again);
        haul_assert(memcmp(again, data, size) == 0);
    }
    return 0;
}
