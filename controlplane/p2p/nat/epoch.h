/* The epoch of a gateway: the seconds since it began to know its mappings, told with every answer
 * of PCP (RFC 6887, section 8.5) and NAT-PMP (RFC 6886, section 3.6). When it does not go on as our
 * own clock does, the gateway has forgotten what it had mapped. Pure. */
#pragma once

#include "common/time.h"

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: nothing was heard, and the next answer is believed. */
struct haul_epoch {
    bool known;
    uint32_t told;
    haul_time at;
};

/* Take what an answer says; true: since the answer before, the mappings were lost. */
bool haul_epoch_pcp(struct haul_epoch *epoch, uint32_t told, haul_time now);
bool haul_epoch_natpmp(struct haul_epoch *epoch, uint32_t told, haul_time now);
