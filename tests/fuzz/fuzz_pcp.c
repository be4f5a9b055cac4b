/* What a gateway may say in PCP: what was understood is said again, and understood alike. */
#include "controlplane/p2p/nat/pcp.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct haul_addr client = { .family = 6, .ip = { 0x2a } };
    struct haul_pcp_answer answer, again;
    uint8_t copy[HAUL_PCP_MAP_BYTES];
    struct haul_out out = haul_out_to(copy, sizeof copy);

    if (!haul_pcp_decode(data, size, &answer) || answer.result != HAUL_PCP_SUCCESS)
        return 0;
    haul_assert(size >= HAUL_PCP_MAP_BYTES && size <= HAUL_PCP_BYTES_MAX);
    haul_assert(answer.map.outside.family == 4 || answer.map.outside.family == 6);
    haul_pcp_write_map(&out, &client, &answer.map);
    haul_assert(!out.bad && out.at == copy + sizeof copy);
    copy[1] |= 0x80; /* a question becomes an answer; its epoch is where our address was */
    haul_assert(haul_pcp_decode(copy, sizeof copy, &again) && again.result == HAUL_PCP_SUCCESS);
    again.epoch = answer.epoch;
    haul_assert(again.map.tcp == answer.map.tcp && again.map.inside == answer.map.inside &&
                again.map.seconds == answer.map.seconds &&
                haul_addr_equal(&again.map.outside, &answer.map.outside) &&
                memcmp(again.map.nonce, answer.map.nonce, sizeof again.map.nonce) == 0);
    return 0;
}
