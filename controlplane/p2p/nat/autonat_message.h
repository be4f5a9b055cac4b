/* The messages of AutoNAT: version 1 (libp2p specs, autonat/autonat-v1.md), where a peer asks
 * whether it can be dialled, and version 2 (autonat-v2.md), where it asks about addresses and a
 * number comes back through them as the proof. Views and copies; pure. */
#pragma once

#include "common/bytes.h"
#include "controlplane/p2p/multiaddr.h"

#define HAUL_AUTONAT_MESSAGE_MAX   8192u
#define HAUL_AUTONAT_ADDRESSES_MAX 16u    /* that are read of a request; more are passed over */
#define HAUL_AUTONAT_PAY_MIN       30000u /* bytes to be paid before another's address is dialled */
#define HAUL_AUTONAT_PAY_MAX       100000u
#define HAUL_AUTONAT_PAY_PART_MAX  4096u /* of these in one message */
#define HAUL_AUTONAT_PAY_PART_MIN  100u  /* ... so that they are not many messages of nothing */

/* Statuses; others are kept as they came. */
enum {
    HAUL_AUTONAT_OK = 0, /* version 1 */
    HAUL_AUTONAT_DIAL_ERROR = 100,
    HAUL_AUTONAT_DIAL_REFUSED = 101,
    HAUL_AUTONAT_BAD_REQUEST = 200,
    HAUL_AUTONAT_INTERNAL_ERROR = 300,
};
enum {
    HAUL_AUTONAT2_INTERNAL_ERROR = 0, /* of a response of version 2 */
    HAUL_AUTONAT2_REQUEST_REJECTED = 100,
    HAUL_AUTONAT2_DIAL_REFUSED = 101,
    HAUL_AUTONAT2_OK = 200,
};
enum {
    HAUL_AUTONAT2_DIAL_UNUSED = 0, /* and of the dial that it tells of */
    HAUL_AUTONAT2_DIAL_ERROR = 100,
    HAUL_AUTONAT2_DIAL_BACK_ERROR = 101,
    HAUL_AUTONAT2_DIAL_OK = 200,
};

enum haul_autonat_kind {
    HAUL_AUTONAT_NOTHING,
    HAUL_AUTONAT_DIAL,     /* both versions: the request */
    HAUL_AUTONAT_RESPONSE, /* both */
    HAUL_AUTONAT_PAY,      /* version 2: what has to be paid first */
    HAUL_AUTONAT_PAID,     /* version 2: a part of it */
};

struct haul_autonat_message {
    enum haul_autonat_kind kind;
    bool peer_named; /* DIAL of version 1 */
    struct haul_peer_id peer;
    uint64_t nonce;       /* DIAL of version 2 */
    uint32_t status;      /* RESPONSE */
    uint32_t dial_status; /* RESPONSE of version 2 */
    uint64_t index;       /* RESPONSE and PAY of version 2: which address of the request */
    uint64_t bytes;       /* PAY: how many; PAID: how many these are */
    /* DIAL: the addresses in their places, of length 0 what we cannot read. RESPONSE of version 1:
     * the address that was reached, if it says. */
    size_t address_count;
    struct haul_multiaddr addresses[HAUL_AUTONAT_ADDRESSES_MAX];
};

/* False when it is malformed; unknown kinds are NOTHING. */
HAUL_MUST_USE bool haul_autonat_decode(const uint8_t *data, size_t bytes,
                                       struct haul_autonat_message *message);
HAUL_MUST_USE bool haul_autonat2_decode(const uint8_t *data, size_t bytes,
                                        struct haul_autonat_message *message);
HAUL_MUST_USE bool haul_autonat_back_decode(const uint8_t *data, size_t bytes, uint64_t *nonce);

/* Each with its length in front; out->bad when it does not fit. */
void haul_autonat_write_dial(struct haul_out *out, const struct haul_peer_id *own,
                             const struct haul_multiaddr *addresses, size_t count);
void haul_autonat_write_response(struct haul_out *out, uint32_t status,
                                 const struct haul_multiaddr *reached); /* or NULL */
void haul_autonat2_write_dial(struct haul_out *out, const struct haul_multiaddr *addresses,
                              size_t count, uint64_t nonce);
void haul_autonat2_write_response(struct haul_out *out, uint32_t status, uint32_t index,
                                  uint32_t dial_status);
void haul_autonat2_write_pay(struct haul_out *out, uint32_t index, uint64_t bytes);
void haul_autonat2_write_paid(struct haul_out *out, size_t bytes); /* so many zeros */
void haul_autonat_back_write(struct haul_out *out, uint64_t nonce);
void haul_autonat_back_write_response(struct haul_out *out);
