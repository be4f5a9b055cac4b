/* What it costs that slots are not the buffers of the card (docs/decisions/0019): a datagram is
 * opened into its slot and sealed out of it, so the cipher carries it over. Against it stand what a
 * copy would cost, the same ciphers in place, and what a block in pieces would cost behind them,
 * where a hash and a file want it whole.
 *
 *   slot_bench [frames=1024] [slots=64] [payload=1384|8168] [passes=15]
 *
 * `frames` are those that are in use in turn, 2,368 bytes (8,576) apart as in a pool of DPDK's: a
 * thousand stay in the cache, thirty thousand do not. Slots are 1 MiB. */
#include "common/arena.h"
#include "common/clock.h"
#include "common/hash.h"
#include "dataplane/aead/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCK       HAUL_BLOCK_BYTES_MAX
#define PASSES_MAX  101u
#define FRAME_FRONT 298u /* DPDK's own of a buffer, room before a frame, its headers and ours */
#define ALIGNMENT   64u

static struct {
    uint8_t *frames, *slots;
    size_t frame_count, frame_bytes, payload, slot_bytes;
    size_t slot_at;
    uint32_t passes;
    struct haul_aead_context context;
    const struct haul_aead *aead;
    int fd;
} bench = { .frame_count = 1024, .payload = 1384, .slot_bytes = 64u << 20, .passes = 15, .fd = -1 };

static uint8_t *frame_of(size_t number)
{
    return bench.frames + number * bench.frame_bytes + FRAME_FRONT;
}

/* Where the next datagram of a block lies: after the one before it, and a block has a slot. */
static uint8_t *slot_next(void)
{
    uint8_t *at;

    if (bench.slot_at % BLOCK + bench.payload > BLOCK)
        bench.slot_at = (bench.slot_at / BLOCK + 1) * BLOCK;
    if (bench.slot_at + bench.payload > bench.slot_bytes)
        bench.slot_at = 0;
    at = bench.slots + bench.slot_at;
    bench.slot_at += bench.payload;
    return at;
}

static void nonce_of(size_t number, uint8_t nonce[HAUL_AEAD_NONCE_BYTES])
{
    memset(nonce, 0, HAUL_AEAD_NONCE_BYTES);
    memcpy(nonce, &number, sizeof number);
}

static void seal(size_t number, const uint8_t *from)
{
    uint8_t nonce[HAUL_AEAD_NONCE_BYTES], clear[16] = { 0 };

    nonce_of(number, nonce);
    bench.aead->seal(&bench.context, nonce, clear, sizeof clear, from, bench.payload,
                     frame_of(number));
}

static void open_to(size_t number, uint8_t *to)
{
    uint8_t nonce[HAUL_AEAD_NONCE_BYTES], clear[16] = { 0 };

    nonce_of(number, nonce);
    haul_assert(bench.aead->open(&bench.context, nonce, clear, sizeof clear, frame_of(number),
                                 bench.payload, to));
}

/* --- what is measured: one pass over every frame --- */

static void copy_in(void)
{
    for (size_t i = 0; i < bench.frame_count; i++)
        memcpy(slot_next(), frame_of(i), bench.payload);
}

static void seal_out(void)
{
    for (size_t i = 0; i < bench.frame_count; i++)
        seal(i, slot_next());
}

static void open_in(void)
{
    for (size_t i = 0; i < bench.frame_count; i++)
        open_to(i, slot_next());
}

static void open_there(void)
{
    for (size_t i = 0; i < bench.frame_count; i++)
        open_to(i, frame_of(i));
}

static void seal_there(void)
{
    for (size_t i = 0; i < bench.frame_count; i++)
        seal(i, frame_of(i));
}

static void hash_pieces(void)
{
    size_t pieces = BLOCK / bench.payload;
    struct haul_hasher hasher;
    struct haul_hash hash;

    for (size_t i = 0; i < bench.frame_count; i++) {
        if (i % pieces == 0)
            haul_hasher_init(&hasher, HAUL_HASH_BLAKE3);
        haul_hasher_update(&hasher, frame_of(i), bench.payload);
        if (i % pieces == pieces - 1 || i == bench.frame_count - 1)
            haul_hasher_final(&hasher, &hash);
    }
}

/* As a worker does: 64 KiB at a time, as they become whole. */
static void hash_slots(void)
{
    size_t left = bench.frame_count * bench.payload;
    struct haul_hash hash;

    while (left > 0) {
        size_t bytes = left < BLOCK ? left : BLOCK;
        struct haul_hasher hasher;

        bench.slot_at = (bench.slot_at + BLOCK) % bench.slot_bytes / BLOCK * BLOCK;
        haul_hasher_init(&hasher, HAUL_HASH_BLAKE3);
        for (size_t at = 0; at < bytes; at += 65536)
            haul_hasher_update(&hasher, bench.slots + bench.slot_at + at,
                               bytes - at < 65536 ? bytes - at : 65536);
        haul_hasher_final(&hasher, &hash);
        left -= bytes;
    }
}

static void write_pieces(void)
{
    size_t pieces = BLOCK / bench.payload, at = 0;
    struct iovec list[1024];

    while (at < bench.frame_count) {
        size_t count = bench.frame_count - at < pieces ? bench.frame_count - at : pieces;

        for (size_t i = 0; i < count; i++)
            list[i] = (struct iovec){ frame_of(at + i), bench.payload };
        haul_assert(pwritev(bench.fd, list, (int)count, 0) == (ssize_t)(count * bench.payload));
        at += count;
    }
}

static void write_slots(void)
{
    size_t left = bench.frame_count * bench.payload;

    while (left > 0) {
        size_t bytes = left < BLOCK ? left : BLOCK;

        bench.slot_at = (bench.slot_at + BLOCK) % bench.slot_bytes / BLOCK * BLOCK;
        haul_assert(pwrite(bench.fd, bench.slots + bench.slot_at, bytes, 0) == (ssize_t)bytes);
        left -= bytes;
    }
}

/* --- measuring --- */

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

static void tell(const char *cipher, const char *what, double *ns)
{
    qsort(ns, bench.passes, sizeof *ns, by_value);
    printf("%-30s %-26s %8.1f ns (%.1f to %.1f) %8.1f Gbit/s\n", cipher, what, ns[bench.passes / 2],
           ns[0], ns[bench.passes - 1], 8 * (double)bench.payload / ns[bench.passes / 2]);
}

static double pass(void (*run)(void))
{
    haul_time begin = haul_clock_read();

    run();
    return (double)(haul_clock_read() - begin) / (double)bench.frame_count;
}

static void measure(const char *what, void (*run)(void))
{
    double ns[PASSES_MAX];

    run();
    for (uint32_t i = 0; i < bench.passes; i++)
        ns[i] = pass(run);
    tell("", what, ns);
}

/* Side by side, so that what the machine does meanwhile does it to all of them. */
static void measure_cipher(const struct haul_aead *aead)
{
    static const uint8_t key[32] = { 1 };
    static double out[PASSES_MAX], in[PASSES_MAX], there[2][PASSES_MAX];

    bench.aead = aead;
    memset(&bench.context, 0, sizeof bench.context);
    aead->key(&bench.context, key);
    for (uint32_t i = 0; i < bench.passes; i++) {
        out[i] = pass(seal_out);
        in[i] = pass(open_in);
        there[0][i] = pass(open_there);
        there[1][i] = pass(seal_there);
    }
    tell(aead->name, "opened into the slot", in);
    tell("", "opened in place", there[0]);
    tell("", "sealed out of the slot", out);
    tell("", "sealed in place", there[1]);
    aead->wipe(&bench.context);
}

static bool argument_take(const char *text)
{
    char *end;
    const char *value = strchr(text, '=');
    unsigned long number = value != NULL ? strtoul(value + 1, &end, 10) : 0;

    if (number == 0 || *end != '\0')
        return false;
    if (strncmp(text, "frames=", 7) == 0 && number <= 1u << 20)
        bench.frame_count = number;
    else if (strncmp(text, "slots=", 6) == 0 && number <= 4096)
        bench.slot_bytes = number << 20;
    else if (strncmp(text, "payload=", 8) == 0 && number >= 1024 && number <= 9000)
        bench.payload = number;
    else if (strncmp(text, "passes=", 7) == 0 && number <= PASSES_MAX)
        bench.passes = (uint32_t)number;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct haul_arena frames = { 0 }, slots = { 0 };

    for (int i = 1; i < argc; i++) {
        if (!argument_take(argv[i])) {
            fprintf(stderr,
                    "usage: slot_bench [frames=N] [slots=MIB] [payload=BYTES] [passes=N]\n");
            return 2;
        }
    }
    bench.frame_bytes = (bench.payload < 2048 ? 2048 : bench.payload + 64) + 320;
    bench.frame_bytes = (bench.frame_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    bench.fd = memfd_create("slot_bench", MFD_CLOEXEC);
    if (bench.fd < 0 || haul_arena_open(&frames, bench.frame_count * bench.frame_bytes) != 0 ||
        haul_arena_open(&slots, bench.slot_bytes) != 0) {
        fprintf(stderr, "no memory\n");
        return 1;
    }
    bench.frames = frames.base;
    bench.slots = slots.base;
    memset(bench.frames, 1, frames.bytes);
    memset(bench.slots, 2, slots.bytes);
    printf("%zu frames in %zu MiB, slots in %zu MiB, %zu bytes a datagram; median of %u passes\n",
           bench.frame_count, frames.bytes >> 20, slots.bytes >> 20, bench.payload, bench.passes);
    measure("copied into the slot", copy_in);
#ifdef HAUL_HAVE_IPSEC_MB
    if (haul_aead_ipsec_mb_usable())
        measure_cipher(&haul_aead_ipsec_mb_aes_128_gcm);
#endif
    measure_cipher(&haul_aead_openssl_aes_128_gcm);
    measure_cipher(&haul_aead_openssl_chacha20_poly1305);
    measure_cipher(&haul_aead_none);
    measure("hashed in slots", hash_slots);
    measure("hashed in pieces", hash_pieces);
    measure("written from slots", write_slots);
    measure("written in pieces", write_pieces);
    haul_arena_close(&frames);
    haul_arena_close(&slots);
    close(bench.fd);
    return 0;
}
