/* Keys of one direction of a path. A generation is a traffic secret, from which key, nonce base and
 * the next generation's secret are derived; the header carries the generation modulo four. Numbers
 * go on across generations, so a nonce (the base xored with the number) is never used twice. The
 * sender moves on long before the cipher's limits; the receiver tries the next generation when a
 * datagram names it, and keeps the one before for late datagrams. */
#pragma once

#include "common/time.h"
#include "dataplane/aead/aead.h"
#include "dataplane/flow/wire.h"

#define HAUL_SEAL_DATAGRAMS_MAX (1u << 22)         /* of one generation, then new keys */
#define HAUL_SEAL_SPAN_MAX      (60 * HAUL_SECOND) /* of one generation, then new keys */
#define HAUL_SEAL_HARD_MAX      (1u << 24)         /* beyond this the sealer refuses */
#define HAUL_OPEN_KEEP_SPAN     (10 * HAUL_SECOND) /* the generation before stays usable */
#define HAUL_OPEN_FORGED_MAX    (1ull << 36)       /* beyond this many the flow ends */

struct haul_key {
    struct haul_aead_context context;
    uint8_t base[HAUL_AEAD_NONCE_BYTES];
};

struct haul_seal {
    const struct haul_aead *aead;
    struct haul_key key;
    uint8_t secret[32];
    uint32_t generation;
    uint32_t sealed; /* datagrams under this generation */
    haul_time since;
    uint64_t first; /* first number of this generation */
    bool confirmed; /* the peer acknowledged a number of this generation */
};

void haul_seal_init(struct haul_seal *seal, const struct haul_aead *aead, const uint8_t secret[32],
                    haul_time now);
void haul_seal_fini(struct haul_seal *seal);

/* Moves to the next generation when the present one is old or worn, and known to the peer; true
 * when it did. `number` is the next to be sealed. */
bool haul_seal_renew(struct haul_seal *seal, uint64_t number, haul_time now);

/* The peer acknowledged `number`. */
static inline void haul_seal_confirm(struct haul_seal *seal, uint64_t number)
{
    if (number >= seal->first)
        seal->confirmed = true;
}

/* True when this generation must not seal any more; the flow then ends. */
static inline bool haul_seal_spent(const struct haul_seal *seal)
{
    return seal->sealed >= HAUL_SEAL_HARD_MAX;
}

/* Writes header, sealed payload and tag to `to`. The head's phase is filled in here: this is the
 * one place that seals. `from` is elsewhere, or exactly where the payload goes. */
void haul_seal_datagram(struct haul_seal *seal, struct haul_wire_head *head, const uint8_t *from,
                        size_t bytes, uint8_t *to);

struct haul_open {
    const struct haul_aead *aead;
    struct haul_key keys[3]; /* generation g is at g modulo 3: before, present and next */
    uint8_t secret[32];      /* of the next generation */
    uint32_t generation;     /* the present one */
    haul_time since;
    bool before_usable;
};

void haul_open_init(struct haul_open *open, const struct haul_aead *aead, const uint8_t secret[32],
                    haul_time now);
void haul_open_fini(struct haul_open *open);

/* The key of the present generation, if that is what has this phase; else NULL. */
struct haul_key *haul_open_present(struct haul_open *open, uint8_t phase);

/* Opens a datagram with that key. */
bool haul_open_next(const struct haul_open *open, struct haul_key *key, uint64_t number,
                    const uint8_t *datagram, size_t bytes, uint8_t *to);

/* Opens a datagram of `bytes` (header and tag included) to `to`; false when the tag does not hold
 * or no generation has its phase, and then `to` may hold anything. A first datagram of the next
 * generation makes it the present one. */
bool haul_open_datagram(struct haul_open *open, const struct haul_wire_head *head,
                        const uint8_t *datagram, size_t bytes, uint8_t *to, haul_time now);
