/* The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit
 * words. Sums are kept unfolded in the byte order of the machine, so that parts add up in any
 * order; a part of odd length may only come last. */
#pragma once

#include "common/base.h"

/* Adds bytes to a sum. Any alignment. */
uint64_t haul_checksum_add(uint64_t sum, const void *data, size_t bytes);

/* Adds a 16-bit number as it would stand in network order. */
static inline uint64_t haul_checksum_add_be16(uint64_t sum, uint16_t value)
{
    return sum + __builtin_bswap16(value);
}

/* Folds a sum to 16 bits: what a checksum field of zero would have to hold, not yet inverted. The
 * result is stored with memcpy as it is, for it is in network order in memory. */
static inline uint16_t haul_checksum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* The pseudo header of UDP and ICMPv6 (RFC 768, RFC 8200 section 8.1): addresses of 4 or 16 bytes,
 * protocol and length. */
uint64_t haul_checksum_pseudo(const uint8_t *source, const uint8_t *target, size_t address_bytes,
                              uint8_t protocol, uint32_t length);
