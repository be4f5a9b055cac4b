/* Sums of 32-bit words in 64-bit lanes: no carry can be lost below 2^32 words. With AVX2 32 bytes
 * go at once, for every datagram that no card sums passes here. */
#include "dataplane/ethernet/checksum.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define WIDE_BYTES 64u

/* Adds a sum to another so that what overflows comes round. */
static uint64_t add_around(uint64_t sum, uint64_t more)
{
    uint64_t total = sum + more;

    return total + (total < sum);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint64_t sum_wide(const uint8_t *at, size_t bytes)
{
    const __m256i low = _mm256_set1_epi64x(0xffffffff);
    __m256i a = _mm256_setzero_si256(), b = _mm256_setzero_si256();
    uint64_t lanes[4];

    for (; bytes >= WIDE_BYTES; at += WIDE_BYTES, bytes -= WIDE_BYTES) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)at);
        __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(at + 32));

        a = _mm256_add_epi64(a,
                             _mm256_add_epi64(_mm256_and_si256(x, low), _mm256_srli_epi64(x, 32)));
        b = _mm256_add_epi64(b,
                             _mm256_add_epi64(_mm256_and_si256(y, low), _mm256_srli_epi64(y, 32)));
    }
    _mm256_storeu_si256((__m256i *)(void *)lanes, _mm256_add_epi64(a, b));
    return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}
#endif

uint64_t haul_checksum_add(uint64_t sum, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    uint64_t words = 0, word = 0;

#ifdef __x86_64__
    if (bytes >= 2 * (size_t)WIDE_BYTES && __builtin_cpu_supports("avx2")) {
        size_t wide = bytes / WIDE_BYTES * WIDE_BYTES;

        words = sum_wide(at, wide);
        at += wide;
        bytes -= wide;
    }
#endif
    for (; bytes >= 8; at += 8, bytes -= 8) {
        memcpy(&word, at, 8);
        words += (word & 0xffffffff) + (word >> 32);
    }
    if (bytes > 0) {
        word = 0;
        memcpy(&word, at, bytes);
        words += (word & 0xffffffff) + (word >> 32);
    }
    return add_around(sum, words);
}

uint64_t haul_checksum_pseudo(const uint8_t *source, const uint8_t *target, size_t address_bytes,
                              uint8_t protocol, uint32_t length)
{
    uint64_t sum = haul_checksum_add(0, source, address_bytes);

    sum = haul_checksum_add(sum, target, address_bytes);
    sum = haul_checksum_add_be16(sum, protocol);
    sum = haul_checksum_add_be16(sum, (uint16_t)(length >> 16));
    return haul_checksum_add_be16(sum, (uint16_t)length);
}
