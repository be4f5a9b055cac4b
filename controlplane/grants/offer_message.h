/* The messages of /haul/offer/1 (docs/WIRE.md, "Offer and grant") as plain structs. Reading checks
 * everything that does not depend on this node; what is optional and malformed (a candidate of an
 * unknown kind) is left out, what is needed and malformed makes the message malformed. */
#pragma once

#include "common/bytes.h"
#include "common/cid.h"
#include "common/handoff.h"
#include "controlplane/p2p/key.h"

#define HAUL_OFFER_VERSION         1u
#define HAUL_OFFER_WIRE_VERSION    1u
#define HAUL_OFFER_BYTES_MAX       4096u /* longest message */
#define HAUL_OFFER_GRANT_BYTES_MAX 2048u
#define HAUL_OFFER_LIST_MAX        8u /* entries of a list that are looked at */

/* What both an offer and a grant say about their sender. */
struct haul_offer_side {
    uint8_t key[32];
    uint32_t receiver_id;
    uint32_t payload_max;
    uint32_t wants_max;
    uint64_t rate_max;
    uint8_t candidate_count;
    struct haul_addr candidates[HAUL_CANDIDATES_MAX];
};

struct haul_offer {
    uint32_t version;
    struct haul_cid root;
    struct haul_offer_side side;
    uint8_t via; /* enum haul_via: the asker's net; one that we do not know is the kernel's */
    bool beside; /* a further flow of a transfer that has one */
    uint8_t wire_version_count;
    uint8_t cipher_count;
    uint32_t wire_versions[HAUL_OFFER_LIST_MAX];
    uint32_t ciphers[HAUL_OFFER_LIST_MAX];
};

struct haul_offer_grant {
    uint32_t version;
    uint32_t wire_version;
    uint32_t cipher;
    uint32_t flows; /* that a transfer may have, each on a worker of its own; 0: as an older node */
    struct haul_offer_side side;
};

enum haul_offer_reason {
    HAUL_OFFER_UNKNOWN = 1, /* not shared with us, or not there: the same answer */
    HAUL_OFFER_BUSY,
    HAUL_OFFER_INCOMPATIBLE,
    HAUL_OFFER_UNAVAILABLE,
};

struct haul_offer_answer {
    bool granted;
    uint16_t grant_bytes;
    uint8_t grant[HAUL_OFFER_GRANT_BYTES_MAX]; /* serialized, exactly as it travels */
    uint8_t signature[HAUL_KEY_SIGNATURE_BYTES];
    enum haul_offer_reason reason;
    uint32_t retry_ms;
};

/* Writers: the message without its length in front. */
void haul_offer_write(struct haul_out *out, const struct haul_offer *offer);
void haul_offer_grant_write(struct haul_out *out, const struct haul_offer_grant *grant);
void haul_offer_answer_write(struct haul_out *out, const struct haul_offer_answer *answer);
void haul_offer_confirm_write(struct haul_out *out,
                              const uint8_t signature[HAUL_KEY_SIGNATURE_BYTES]);

/* Readers: false when malformed. */
HAUL_MUST_USE bool haul_offer_read(const uint8_t *data, size_t bytes, struct haul_offer *offer);
HAUL_MUST_USE bool haul_offer_grant_read(const uint8_t *data, size_t bytes,
                                         struct haul_offer_grant *grant);
HAUL_MUST_USE bool haul_offer_answer_read(const uint8_t *data, size_t bytes,
                                          struct haul_offer_answer *answer);
HAUL_MUST_USE bool haul_offer_confirm_read(const uint8_t *data, size_t bytes,
                                           uint8_t signature[HAUL_KEY_SIGNATURE_BYTES]);
