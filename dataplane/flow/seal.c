/* Sealing, opening and the change of keys. */
#include "dataplane/flow/seal.h"

#include <string.h>

#define KEY_BYTES_MAX 64u

/* The compiler must not drop it, and there is no libc call for it that pure code may use. */
static void wipe(void *data, size_t bytes)
{
    memset(data, 0, bytes);
    __asm__ volatile("" : : "r"(data) : "memory");
}

static void make_key(struct haul_key *key, const struct haul_aead *aead, const uint8_t secret[32])
{
    uint8_t bytes[KEY_BYTES_MAX] = { 0 };

    haul_assert(aead->key_bytes <= sizeof bytes);
    aead->wipe(&key->context);
    if (aead->key_bytes > 0)
        aead->derive(secret, "key", bytes, aead->key_bytes);
    aead->key(&key->context, bytes);
    aead->derive(secret, "nonce", key->base, sizeof key->base);
    wipe(bytes, sizeof bytes);
}

static void next_secret(const struct haul_aead *aead, uint8_t secret[32])
{
    uint8_t next[32];

    aead->derive(secret, "next", next, sizeof next);
    memcpy(secret, next, sizeof next);
    wipe(next, sizeof next);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the nonce is made for little-endian");

/* The number, little-endian, xored into the last eight bytes of the base. */
static void make_nonce(const struct haul_key *key, uint64_t number,
                       uint8_t nonce[HAUL_AEAD_NONCE_BYTES])
{
    uint64_t head;
    uint32_t tail;

    /* Two stores that the cipher's loads can take over: 8 bytes and 4. */
    memcpy(&head, key->base, sizeof head);
    memcpy(&tail, key->base + 8, sizeof tail);
    head ^= number << 32;
    tail ^= (uint32_t)(number >> 32);
    memcpy(nonce, &head, sizeof head);
    memcpy(nonce + 8, &tail, sizeof tail);
}

void haul_seal_init(struct haul_seal *seal, const struct haul_aead *aead, const uint8_t secret[32],
                    haul_time now)
{
    memset(seal, 0, sizeof *seal);
    seal->aead = aead;
    seal->since = now;
    memcpy(seal->secret, secret, sizeof seal->secret);
    make_key(&seal->key, aead, secret);
}

void haul_seal_fini(struct haul_seal *seal)
{
    seal->aead->wipe(&seal->key.context);
    wipe(seal, sizeof *seal);
}

bool haul_seal_renew(struct haul_seal *seal, uint64_t number, haul_time now)
{
    if (!seal->confirmed || (seal->sealed < HAUL_SEAL_DATAGRAMS_MAX &&
                             haul_time_since(seal->since, now) < HAUL_SEAL_SPAN_MAX))
        return false;
    next_secret(seal->aead, seal->secret);
    make_key(&seal->key, seal->aead, seal->secret);
    seal->generation++;
    seal->sealed = 0;
    seal->since = now;
    seal->first = number;
    seal->confirmed = false;
    return true;
}

void haul_seal_datagram(struct haul_seal *seal, struct haul_wire_head *head, const uint8_t *from,
                        size_t bytes, uint8_t *to)
{
    uint8_t nonce[HAUL_AEAD_NONCE_BYTES];

    head->phase = (uint8_t)(seal->generation % HAUL_WIRE_PHASES);
    haul_wire_head_write(head, to);
    make_nonce(&seal->key, head->number, nonce);
    seal->aead->seal(&seal->key.context, nonce, to, HAUL_WIRE_HEAD_BYTES, from, bytes,
                     to + HAUL_WIRE_HEAD_BYTES);
    seal->sealed++;
}

void haul_open_init(struct haul_open *open, const struct haul_aead *aead, const uint8_t secret[32],
                    haul_time now)
{
    memset(open, 0, sizeof *open);
    open->aead = aead;
    open->since = now;
    memcpy(open->secret, secret, sizeof open->secret);
    make_key(&open->keys[0], aead, open->secret);
    next_secret(aead, open->secret);
    make_key(&open->keys[1], aead, open->secret);
}

void haul_open_fini(struct haul_open *open)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(open->keys); i++)
        open->aead->wipe(&open->keys[i].context);
    wipe(open, sizeof *open);
}

/* The next generation has shown itself: it is the present one, the present one is the one before,
 * and the key after it is made ready in the place of the one that was before until now. */
static void move_on(struct haul_open *open, haul_time now)
{
    open->generation++;
    next_secret(open->aead, open->secret);
    make_key(&open->keys[(open->generation + 1) % 3], open->aead, open->secret);
    open->since = now;
    open->before_usable = true;
}

struct haul_key *haul_open_present(struct haul_open *open, uint8_t phase)
{
    return phase == open->generation % HAUL_WIRE_PHASES ? &open->keys[open->generation % 3] : NULL;
}

bool haul_open_next(const struct haul_open *open, struct haul_key *key, uint64_t number,
                    const uint8_t *datagram, size_t bytes, uint8_t *to)
{
    uint8_t nonce[HAUL_AEAD_NONCE_BYTES];

    make_nonce(key, number, nonce);
    return open->aead->open(&key->context, nonce, datagram, HAUL_WIRE_HEAD_BYTES,
                            datagram + HAUL_WIRE_HEAD_BYTES, bytes - HAUL_WIRE_OVERHEAD, to);
}

bool haul_open_datagram(struct haul_open *open, const struct haul_wire_head *head,
                        const uint8_t *datagram, size_t bytes, uint8_t *to, haul_time now)
{
    uint32_t ahead = (head->phase - open->generation) % HAUL_WIRE_PHASES;
    uint8_t nonce[HAUL_AEAD_NONCE_BYTES];
    struct haul_key *key;

    if (ahead == 2)
        return false;
    if (ahead == 3) {
        if (!open->before_usable || haul_time_since(open->since, now) > HAUL_OPEN_KEEP_SPAN)
            return false;
        key = &open->keys[(open->generation + 2) % 3];
    } else {
        key = &open->keys[(open->generation + ahead) % 3];
    }
    make_nonce(key, head->number, nonce);
    if (!open->aead->open(&key->context, nonce, datagram, HAUL_WIRE_HEAD_BYTES,
                          datagram + HAUL_WIRE_HEAD_BYTES, bytes - HAUL_WIRE_OVERHEAD, to))
        return false;
    if (ahead == 1)
        move_on(open, now);
    return true;
}
