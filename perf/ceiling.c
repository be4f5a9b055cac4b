/* The table of ceilings, and what one core does alone. A pipe over another driver adds its rows
 * here and its functions in a file of its own. */
#include "perf/ceiling.h"

#include "common/clock.h"
#include "common/time.h"
#include "dataplane/aead/choose.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define AREA_BYTES_MIN (UINT64_C(256) << 20)
#define AREA_BYTES_MAX (UINT64_C(1) << 30)
#define HOT_BYTES      65536u /* what stays in the cache: a train */
#define BATCH_BYTES    (1u << 20)
#define STREAM_FRAME   65536u

struct haul_ceilings {
    struct haul_aead_choice aead;
};

/* --- one core alone: from an area larger than the cache --- */

static double copy_alone(const struct haul_pipe_shape *shape, const struct haul_aead *aead,
                         uint8_t *area, size_t area_bytes, uint64_t span_ns)
{
    haul_time start = haul_clock_read(), now = start;
    size_t half = area_bytes / 2, at = 0;
    uint64_t done = 0;

    (void)shape;
    (void)aead;
    while (now - start < span_ns) {
        memcpy(area + half + at, area + at, BATCH_BYTES);
        at = at + 2 * BATCH_BYTES <= half ? at + BATCH_BYTES : 0;
        done += BATCH_BYTES;
        now = haul_clock_read();
    }
    return (double)done * (double)HAUL_SECOND / (double)(now - start);
}

static double seal_alone(const struct haul_pipe_shape *shape, const struct haul_aead *aead,
                         uint8_t *area, size_t area_bytes, uint64_t span_ns)
{
    struct haul_aead_context key = { 0 };
    const uint8_t secret[32] = { 1 }, header[HAUL_PIPE_HEADER_BYTES] = { 0 };
    uint8_t nonce[HAUL_AEAD_NONCE_BYTES] = { 0 };
    uint8_t *to = aligned_alloc(4096, 4 * HOT_BYTES);
    haul_time start, now;
    size_t at = 0;
    uint64_t done = 0, number = 0;

    if (to == NULL)
        return 0;
    aead->key(&key, secret);
    start = now = haul_clock_read();
    while (now - start < span_ns) {
        for (size_t batch = 0; batch < BATCH_BYTES; batch += shape->payload, number++) {
            memcpy(nonce, &number, sizeof number);
            aead->seal(&key, nonce, header, sizeof header, area + at, shape->payload,
                       to + batch % HOT_BYTES);
            at = at + 2 * shape->payload <= area_bytes ? at + shape->payload : 0;
            done += shape->payload;
        }
        now = haul_clock_read();
    }
    aead->wipe(&key);
    free(to);
    return (double)done * (double)HAUL_SECOND / (double)(now - start);
}

static double hash_alone(const struct haul_pipe_shape *shape, const struct haul_aead *aead,
                         uint8_t *area, size_t area_bytes, uint64_t span_ns)
{
    haul_time start = haul_clock_read(), now = start;
    struct haul_hash hash;
    size_t at = 0;
    uint64_t done = 0;

    (void)aead;
    while (now - start < span_ns) {
        haul_hash_of(shape->hash, area + at, HAUL_BLOCK_BYTES_MAX, &hash);
        at = at + 2 * HAUL_BLOCK_BYTES_MAX <= area_bytes ? at + HAUL_BLOCK_BYTES_MAX : 0;
        done += HAUL_BLOCK_BYTES_MAX;
        now = haul_clock_read();
    }
    return (double)done * (double)HAUL_SECOND / (double)(now - start);
}

/* --- the table --- */

#define AES    HAUL_CIPHER_AES_128_GCM
#define CHACHA HAUL_CIPHER_CHACHA20_POLY1305
#define BLAKE3 HAUL_HASH_BLAKE3
#define SHA256 HAUL_HASH_SHA2_256

const struct haul_ceiling haul_ceiling_table[] = {
    { "copy", "memory to memory, one core", NULL, NULL, { .payload = BATCH_BYTES }, copy_alone },
    { "aead-1408",
      "AES-128-GCM, datagrams of 1408 bytes, one core",
      NULL,
      NULL,
      { .payload = 1408, .cipher = AES },
      seal_alone },
    { "aead-8192",
      "AES-128-GCM, datagrams of 8192 bytes, one core",
      NULL,
      NULL,
      { .payload = 8192, .cipher = AES },
      seal_alone },
    { "aead-stream",
      "ChaCha20-Poly1305, frames of 64 KiB, one core",
      NULL,
      NULL,
      { .payload = STREAM_FRAME, .cipher = CHACHA },
      seal_alone },
    { "hash-blake3",
      "BLAKE3, blocks of 1 MiB, one core",
      NULL,
      NULL,
      { .hash = BLAKE3 },
      hash_alone },
    { "hash-sha2-256",
      "SHA-256, blocks of 1 MiB, one core",
      NULL,
      NULL,
      { .hash = SHA256 },
      hash_alone },
    { "tcp", "plaintext TCP", NULL, &haul_pipe_stream, { .payload = STREAM_FRAME, .raw = true } },
    { "udp-1408",
      "raw UDP, GSO and GRO, 1408 bytes",
      "copy",
      &haul_pipe_udp,
      { .payload = 1408, .raw = true } },
    { "udp-8192",
      "raw UDP, GSO and GRO, 8192 bytes",
      "copy",
      &haul_pipe_udp,
      { .payload = 8192, .raw = true } },
    { "sealed-udp-1408",
      "sealed UDP, 1408 bytes",
      "udp-1408",
      &haul_pipe_udp,
      { .payload = 1408, .cipher = AES } },
    { "sealed-udp-1408-verified",
      "the same, verified by the receiving core",
      "sealed-udp-1408",
      &haul_pipe_udp,
      { .payload = 1408, .cipher = AES, .hash = BLAKE3 } },
    { "sealed-udp-8192",
      "sealed UDP, 8192 bytes",
      "udp-8192",
      &haul_pipe_udp,
      { .payload = 8192, .cipher = AES } },
    { "sealed-udp-8192-verified",
      "the same, verified by the receiving core",
      "sealed-udp-8192",
      &haul_pipe_udp,
      { .payload = 8192, .cipher = AES, .hash = BLAKE3 } },
    { "memif-1408",
      "raw memif, 1408 bytes",
      "copy",
      &haul_pipe_memif,
      { .payload = 1408, .raw = true } },
    { "memif-8192",
      "raw memif, 8192 bytes",
      "copy",
      &haul_pipe_memif,
      { .payload = 8192, .raw = true } },
    { "copied-memif-1408",
      "memif, copied to its place without a cipher",
      "memif-1408",
      &haul_pipe_memif,
      { .payload = 1408 } },
    { "copied-memif-8192",
      "the same, 8192 bytes",
      "memif-8192",
      &haul_pipe_memif,
      { .payload = 8192 } },
    { "sealed-memif-1408",
      "sealed memif, 1408 bytes",
      "copied-memif-1408",
      &haul_pipe_memif,
      { .payload = 1408, .cipher = AES } },
    { "sealed-memif-1408-verified",
      "the same, verified by the receiving core",
      "sealed-memif-1408",
      &haul_pipe_memif,
      { .payload = 1408, .cipher = AES, .hash = BLAKE3 } },
    { "sealed-memif-8192",
      "sealed memif, 8192 bytes",
      "copied-memif-8192",
      &haul_pipe_memif,
      { .payload = 8192, .cipher = AES } },
    { "sealed-memif-8192-verified",
      "the same, verified by the receiving core",
      "sealed-memif-8192",
      &haul_pipe_memif,
      { .payload = 8192, .cipher = AES, .hash = BLAKE3 } },
    { "vhost-1408",
      "raw virtio-user to vhost, 1408 bytes",
      "copy",
      &haul_pipe_vhost,
      { .payload = 1408, .raw = true } },
    { "sealed-vhost-1408",
      "sealed virtio-user to vhost, 1408 bytes",
      "vhost-1408",
      &haul_pipe_vhost,
      { .payload = 1408, .cipher = AES } },
    { "sealed-vhost-1408-verified",
      "the same, verified by the receiving core",
      "sealed-vhost-1408",
      &haul_pipe_vhost,
      { .payload = 1408, .cipher = AES, .hash = BLAKE3 } },
    { "sealed-stream",
      "sealed frames of 64 KiB over one TCP connection",
      "tcp",
      &haul_pipe_stream,
      { .payload = STREAM_FRAME, .cipher = CHACHA } },
    { "sealed-stream-verified",
      "the same, verified by the receiving core",
      "sealed-stream",
      &haul_pipe_stream,
      { .payload = STREAM_FRAME, .cipher = CHACHA, .hash = BLAKE3 } },
};
const size_t haul_ceiling_count = HAUL_COUNT_OF(haul_ceiling_table);

const struct haul_ceiling *haul_ceiling_find(const char *name)
{
    for (size_t i = 0; i < haul_ceiling_count; i++) {
        if (strcmp(haul_ceiling_table[i].name, name) == 0)
            return &haul_ceiling_table[i];
    }
    return NULL;
}

/* --- measuring --- */

int haul_ceilings_open(struct haul_ceilings **ceilings, struct haul_error *error)
{
    struct haul_ceilings *opened = calloc(1, sizeof *opened);

    if (opened == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for ceilings");
    if (haul_aead_choose(NULL, true, &opened->aead, error) < 0) {
        free(opened);
        return -1;
    }
    *ceilings = opened;
    return 0;
}

void haul_ceilings_close(struct haul_ceilings *ceilings)
{
    free(ceilings);
}

size_t haul_ceilings_area(void)
{
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    uint64_t bytes = cache > 0 ? 2 * (uint64_t)cache : 0;

    bytes = bytes > AREA_BYTES_MIN ? bytes : AREA_BYTES_MIN;
    return (size_t)(bytes < AREA_BYTES_MAX ? bytes : AREA_BYTES_MAX);
}

static int alone_measure(const struct haul_ceiling *ceiling, const struct haul_aead *aead,
                         size_t area_bytes, uint64_t span_ns, struct haul_pipe_result *result,
                         struct haul_error *error)
{
    size_t bytes = area_bytes > 2 * BATCH_BYTES ? area_bytes : 2 * BATCH_BYTES;
    uint8_t *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (area == MAP_FAILED)
        return haul_fail(error, HAUL_E_SYSTEM, "%zu MiB of memory: %s", bytes >> 20,
                         strerror(errno));
    (void)madvise(area, bytes, MADV_HUGEPAGE);
    memset(area, 1, bytes);
    *result = (struct haul_pipe_result){
        .bytes_per_second = ceiling->alone(&ceiling->shape, aead, area, bytes, span_ns),
    };
    munmap(area, bytes);
    return 0;
}

int haul_ceiling_measure(const struct haul_ceilings *ceilings, const struct haul_ceiling *ceiling,
                         size_t area_bytes, uint64_t span_ns, const volatile int *stop,
                         struct haul_pipe_result *result, struct haul_error *error)
{
    const struct haul_aead *aead = ceilings->aead.of[ceiling->shape.cipher];

    if (ceiling->pipe == NULL)
        return alone_measure(ceiling, aead, area_bytes, span_ns, result, error);
    return haul_pipe_measure(ceiling->pipe, &ceiling->shape, aead, area_bytes, span_ns, stop,
                             result, error);
}
