#include "controlplane/p2p/nat/natpmp.h"

#define ANSWER 128u

void haul_natpmp_write_address(struct haul_out *out)
{
    haul_out_be(out, 0, 2);
}

void haul_natpmp_write_map(struct haul_out *out, enum haul_natpmp_op op, uint16_t inside,
                           uint16_t outside, uint32_t seconds)
{
    haul_assert(op != HAUL_NATPMP_ADDRESS);
    haul_out_be(out, 0, 1);
    haul_out_be(out, op, 1);
    haul_out_be(out, 0, 2);
    haul_out_be(out, inside, 2);
    haul_out_be(out, outside, 2);
    haul_out_be(out, seconds, 4);
}

bool haul_natpmp_decode(const uint8_t *data, size_t bytes, struct haul_natpmp_answer *answer)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_natpmp_answer read = { 0 };
    uint64_t version = haul_in_be(&in, 1);
    uint64_t op = haul_in_be(&in, 1);

    read.result = (uint16_t)haul_in_be(&in, 2);
    read.epoch = (uint32_t)haul_in_be(&in, 4);
    if (version != 0 || op < ANSWER || op > ANSWER + HAUL_NATPMP_TCP)
        return false;
    read.op = (enum haul_natpmp_op)(op - ANSWER);
    if (read.op == HAUL_NATPMP_ADDRESS) {
        read.external.family = 4;
        haul_in_copy(&in, read.external.ip, 4);
    } else {
        read.inside = (uint16_t)haul_in_be(&in, 2);
        read.outside = (uint16_t)haul_in_be(&in, 2);
        read.seconds = (uint32_t)haul_in_be(&in, 4);
    }
    if (!haul_in_done(&in))
        return false;
    *answer = read;
    return true;
}
