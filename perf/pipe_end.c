/* What the ends of every datagram pipe do alike: seal the next payload of the source, open one into
 * the sink, hash in groups while the bytes are warm. */
#include "perf/pipe.h"

#include <string.h>
#include <time.h>

#define GROUP_BYTES 65536u /* hashed together: still in the second-level cache */

bool haul_pipe_ready(struct haul_pipe_end *end)
{
    const struct timespec pause = { .tv_nsec = 100000 };

    haul_counter_set(&end->shared->ready[end->role], 1);
    while (haul_counter_read(&end->shared->phase) == HAUL_PIPE_WAIT)
        nanosleep(&pause, NULL);
    return haul_pipe_running(end);
}

/* The next payload would leave the area: back to its beginning. The room behind the area takes what
 * lies across its end, so every block of it is written whole. */
static size_t place_after(const struct haul_pipe_end *end, size_t at)
{
    at += end->shape.payload;
    return at >= end->area_bytes ? 0 : at;
}

size_t haul_pipe_seal(struct haul_pipe_end *end, uint8_t *to)
{
    uint32_t payload = end->shape.payload;
    uint8_t nonce[HAUL_AEAD_NONCE_BYTES] = { 0 };
    uint64_t at = end->at;

    memcpy(to, &end->number, 8);
    memcpy(to + 8, &at, 8);
    memset(to + 16, 0, 8);
    memcpy(nonce, &end->number, 8);
    if (end->shape.cipher == HAUL_CIPHER_NONE)
        memcpy(to + HAUL_PIPE_HEADER_BYTES, end->area + at, payload);
    else
        end->aead->seal(&end->key, nonce, to, HAUL_PIPE_HEADER_BYTES, end->area + at, payload,
                        to + HAUL_PIPE_HEADER_BYTES);
    end->number++;
    end->at = place_after(end, at);
    return payload + HAUL_PIPE_OVERHEAD;
}

static void block_verify(struct haul_pipe_end *end)
{
    struct haul_hash hash;

    haul_hasher_final(&end->hasher, &hash);
    if (!haul_hash_equal(&hash, &end->expected))
        haul_counter_add(&end->shared->wrong, 1);
}

/* Everything below `limit` has come. */
static void groups_hash(struct haul_pipe_end *end, size_t limit)
{
    while (limit >= end->hashed + GROUP_BYTES) {
        size_t in_block = end->hashed % HAUL_BLOCK_BYTES_MAX;

        if (in_block == 0)
            haul_hasher_init(&end->hasher, end->shape.hash);
        haul_hasher_update(&end->hasher, end->area + end->hashed, GROUP_BYTES);
        end->hashed += GROUP_BYTES;
        if (in_block + GROUP_BYTES == HAUL_BLOCK_BYTES_MAX)
            block_verify(end);
    }
}

/* The datagram at `at` has come: in order, or behind a hole. A block with a hole is not hashed. */
static void place_follow(struct haul_pipe_end *end, size_t at)
{
    size_t limit = at + end->shape.payload;
    size_t whole = (limit + HAUL_BLOCK_BYTES_MAX - 1) / HAUL_BLOCK_BYTES_MAX;

    if (at == 0 || at < end->at)
        end->hashed = 0;
    if (at != end->at)
        end->hashed = whole * HAUL_BLOCK_BYTES_MAX;
    end->at = place_after(end, at);
    if (end->shape.hash != 0)
        groups_hash(end, limit < end->area_bytes ? limit : end->area_bytes);
}

size_t haul_pipe_open(struct haul_pipe_end *end, const uint8_t *datagram, size_t bytes)
{
    uint8_t nonce[HAUL_AEAD_NONCE_BYTES] = { 0 };
    uint32_t payload = end->shape.payload;
    uint64_t number, at;

    if (bytes != payload + HAUL_PIPE_OVERHEAD) {
        haul_counter_add(&end->shared->wrong, 1);
        return 0;
    }
    memcpy(&number, datagram, 8);
    memcpy(&at, datagram + 8, 8);
    memcpy(nonce, &number, 8);
    if (at >= end->area_bytes) {
        haul_counter_add(&end->shared->wrong, 1);
        return 0;
    }
    if (end->shape.cipher == HAUL_CIPHER_NONE) {
        memcpy(end->area + at, datagram + HAUL_PIPE_HEADER_BYTES, payload);
    } else if (!end->aead->open(&end->key, nonce, datagram, HAUL_PIPE_HEADER_BYTES,
                                datagram + HAUL_PIPE_HEADER_BYTES, payload, end->area + at)) {
        haul_counter_add(&end->shared->wrong, 1);
        return 0;
    }
    if (number > end->number)
        haul_counter_add(&end->shared->lost, number - end->number);
    end->number = number + 1;
    place_follow(end, at);
    return payload;
}
