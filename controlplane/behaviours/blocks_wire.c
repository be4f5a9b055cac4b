#include "controlplane/behaviours/blocks_wire.h"

void haul_blocks_request_encode(const struct haul_blocks_request *request,
                                uint8_t data[HAUL_BLOCKS_REQUEST_BYTES])
{
    struct haul_out out = haul_out_to(data, HAUL_BLOCKS_REQUEST_BYTES);

    haul_cid_encode(&out, &request->root);
    haul_out_bytes(&out, request->hash.bytes, HAUL_HASH_BYTES);
    haul_out_le(&out, 0, 2);
    haul_out_le(&out, request->offset, 4);
    haul_out_le(&out, request->length, 4);
    haul_assert(!out.bad && out.at == out.end);
}

bool haul_blocks_request_decode(const uint8_t *data, size_t bytes,
                                struct haul_blocks_request *request)
{
    struct haul_in in = haul_in_from(data, bytes);
    const uint8_t *root = haul_in_bytes(&in, HAUL_CID_BYTES);
    struct haul_blocks_request read = { .offset = 0 };

    haul_in_copy(&in, read.hash.bytes, HAUL_HASH_BYTES);
    if (haul_in_le(&in, 2) != 0)
        return false;
    read.offset = (uint32_t)haul_in_le(&in, 4);
    read.length = (uint32_t)haul_in_le(&in, 4);
    if (!haul_in_done(&in) || !haul_hash_valid(&read.hash) ||
        !haul_cid_decode(root, HAUL_CID_BYTES, &read.root))
        return false;
    *request = read;
    return true;
}

void haul_blocks_answer_encode(const struct haul_blocks_answer *answer,
                               uint8_t data[HAUL_BLOCKS_ANSWER_BYTES])
{
    struct haul_out out = haul_out_to(data, HAUL_BLOCKS_ANSWER_BYTES);

    haul_assert(answer->status <= HAUL_BLOCKS_FAILED);
    haul_out_le(&out, answer->status, 1);
    haul_out_le(&out, 0, 1);
    haul_out_le(&out, answer->retry_ms, 2);
    haul_out_le(&out, answer->total, 4);
    haul_out_le(&out, answer->offset, 4);
    haul_out_le(&out, answer->count, 4);
    haul_assert(!out.bad && out.at == out.end);
}

static bool answer_holds(const struct haul_blocks_answer *answer)
{
    if (answer->status > HAUL_BLOCKS_FAILED || answer->total > HAUL_BLOCK_BYTES_MAX)
        return false;
    if (answer->status != HAUL_BLOCKS_BUSY && answer->retry_ms != 0)
        return false;
    if (answer->status != HAUL_BLOCKS_OK)
        return answer->total == 0 && answer->offset == 0 && answer->count == 0;
    return answer->offset <= answer->total && answer->count <= answer->total - answer->offset;
}

bool haul_blocks_answer_decode(const uint8_t *data, size_t bytes, struct haul_blocks_answer *answer)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_blocks_answer read;

    read.status = (enum haul_blocks_status)haul_in_le(&in, 1);
    if (haul_in_le(&in, 1) != 0)
        return false;
    read.retry_ms = (uint16_t)haul_in_le(&in, 2);
    read.total = (uint32_t)haul_in_le(&in, 4);
    read.offset = (uint32_t)haul_in_le(&in, 4);
    read.count = (uint32_t)haul_in_le(&in, 4);
    if (!haul_in_done(&in) || !answer_holds(&read))
        return false;
    *answer = read;
    return true;
}

void haul_blocks_range(const struct haul_blocks_request *request, uint32_t total, uint32_t *offset,
                       uint32_t *count)
{
    uint32_t from = request->offset < total ? request->offset : total;
    uint32_t left = total - from;

    *offset = from;
    *count = request->length == 0 || request->length > left ? left : request->length;
}
