#include "tests/sim/toy_aead.h"

#include <string.h>

#define MIX_A 0x9e3779b97f4a7c15ull
#define MIX_B 0xbf58476d1ce4e5b9ull

struct toy {
    uint64_t key[2];
    uint64_t next_number; /* no number below this may be sealed again */
    uint64_t alive;
};

#define TOY_ALIVE 0x746f792d61656164ull

static const char *broken;

const char *sim_toy_broken(void)
{
    return broken;
}

void sim_toy_reset(void)
{
    broken = NULL;
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * MIX_B;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

static uint64_t load(const uint8_t *from, size_t bytes)
{
    uint64_t word = 0;

    memcpy(&word, from, bytes);
    return word;
}

static struct toy *toy_of(struct haul_aead_context *context)
{
    return (struct toy *)(void *)context->space;
}

static void toy_key(struct haul_aead_context *context, const uint8_t *key)
{
    *toy_of(context) = (struct toy){
        .key = { mix(load(key, 8) + MIX_A), mix(load(key + 8, 8) + MIX_B) },
        .alive = TOY_ALIVE,
    };
}

static void toy_wipe(struct haul_aead_context *context)
{
    memset(context->space, 0, sizeof(struct toy));
}

static uint64_t start(const struct toy *toy, const uint8_t *nonce)
{
    return mix(toy->key[0] ^ mix(load(nonce, 8) + mix(load(nonce + 8, 4) + toy->key[1])));
}

/* Each step is one-to-one in the word, so a change of one word cannot vanish. */
static uint64_t absorb(uint64_t sum, const uint8_t *from, size_t bytes)
{
    for (; bytes >= 8; from += 8, bytes -= 8) {
        sum = (sum ^ load(from, 8)) * MIX_A;
        sum ^= sum >> 32;
    }
    sum = mix(sum + bytes);
    if (bytes > 0)
        sum = (sum ^ load(from, bytes)) * MIX_A;
    return sum;
}

static void tag_of(const struct toy *toy, uint64_t stream, const uint8_t *clear, size_t clear_bytes,
                   const uint8_t *cipher, size_t bytes, uint8_t *tag)
{
    uint64_t sum = absorb(stream ^ toy->key[1], clear, clear_bytes);
    uint64_t both[2];

    sum = absorb(mix(sum), cipher, bytes);
    both[0] = mix(sum + toy->key[0]);
    both[1] = mix(both[0] ^ sum ^ toy->key[1]);
    memcpy(tag, both, sizeof both);
}

static void crypt(uint64_t stream, const uint8_t *from, size_t bytes, uint8_t *to)
{
    size_t whole = bytes / 8;

    for (size_t i = 0; i < whole; i++) {
        uint64_t word = load(from + 8 * i, 8) ^ ((stream + i) * MIX_A);

        memcpy(to + 8 * i, &word, 8);
    }
    for (size_t i = 8 * whole; i < bytes; i++)
        to[i] = (uint8_t)(from[i] ^ (uint8_t)((stream + i) * MIX_A >> 56));
}

static void toy_seal(struct haul_aead_context *context, const uint8_t nonce[HAUL_AEAD_NONCE_BYTES],
                     const uint8_t *clear, size_t clear_bytes, const uint8_t *from, size_t bytes,
                     uint8_t *to)
{
    struct toy *toy = toy_of(context);
    uint64_t stream = start(toy, nonce);
    uint64_t number = clear_bytes >= 16 ? load(clear + 8, 8) : 0;

    if (toy->alive != TOY_ALIVE)
        broken = "sealed with a key that was wiped or never made";
    else if (number < toy->next_number)
        broken = "one key sealed two datagrams under one number, or numbers went back";
    toy->next_number = number + 1;
    crypt(stream, from, bytes, to);
    tag_of(toy, stream, clear, clear_bytes, to, bytes, to + bytes);
}

static bool toy_open(struct haul_aead_context *context, const uint8_t nonce[HAUL_AEAD_NONCE_BYTES],
                     const uint8_t *clear, size_t clear_bytes, const uint8_t *from, size_t bytes,
                     uint8_t *to)
{
    struct toy *toy = toy_of(context);
    uint64_t stream = start(toy, nonce);
    uint8_t tag[HAUL_AEAD_TAG_BYTES];
    bool holds;

    if (toy->alive != TOY_ALIVE)
        broken = "opened with a key that was wiped or never made";
    tag_of(toy, stream, clear, clear_bytes, from, bytes, tag);
    holds = memcmp(tag, from + bytes, sizeof tag) == 0;
    if (holds)
        crypt(stream, from, bytes, to);
    else if (bytes > 0)
        memset(to, (int)(0xc0 | (stream & 0x0f)), bytes);
    return holds;
}

static void toy_derive(const uint8_t secret[32], const char *label, uint8_t *to, size_t bytes)
{
    uint64_t sum = absorb(MIX_A, secret, 32);

    sum = absorb(sum, (const uint8_t *)label, strlen(label));
    for (size_t i = 0; i < bytes; i++) {
        sum = mix(sum + MIX_A + i);
        to[i] = (uint8_t)(sum >> 13);
    }
}

const struct haul_aead sim_toy_aead = {
    .name = "toy",
    .cipher = HAUL_CIPHER_AES_128_GCM,
    .key_bytes = 16,
    .key = toy_key,
    .wipe = toy_wipe,
    .seal = toy_seal,
    .open = toy_open,
    .derive = toy_derive,
};
