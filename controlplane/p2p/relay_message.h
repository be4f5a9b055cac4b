/* Messages of circuit relay v2 (libp2p specs, relay/circuit-v2.md). On a hop stream a node reserves
 * a place at a relay, or asks it to connect to somebody who has one; on a stop stream the relay
 * tells that one who is there. Both are sent with their length in front, at most 4096 bytes; what
 * follows an OK belongs to the connection inside. Pure. */
#pragma once

#include "common/bytes.h"
#include "controlplane/p2p/envelope.h"
#include "controlplane/p2p/multiaddr.h"

#define HAUL_RELAY_MESSAGE_MAX   4096u
#define HAUL_RELAY_ADDRESSES_MAX 16u /* read of a reservation */

enum haul_relay_status {
    HAUL_RELAY_UNUSED = 0,
    HAUL_RELAY_OK = 100,
    HAUL_RELAY_RESERVATION_REFUSED = 200,
    HAUL_RELAY_RESOURCE_LIMIT = 201,
    HAUL_RELAY_PERMISSION_DENIED = 202,
    HAUL_RELAY_CONNECTION_FAILED = 203,
    HAUL_RELAY_NO_RESERVATION = 204,
    HAUL_RELAY_MALFORMED = 400,
    HAUL_RELAY_UNEXPECTED = 401,
};
const char *haul_relay_status_name(enum haul_relay_status status);

enum haul_relay_kind {
    HAUL_RELAY_RESERVE, /* hop only */
    HAUL_RELAY_CONNECT,
    HAUL_RELAY_STATUS,
};

/* What one connection through the relay may take; 0: no limit. */
struct haul_relay_limit {
    uint32_t seconds;
    uint64_t bytes; /* each way */
};

struct haul_relay_message {
    enum haul_relay_kind kind;
    bool has_peer;
    struct haul_peer_id peer; /* whom a CONNECT is about */
    bool has_limit;           /* absent: none */
    struct haul_relay_limit limit;
    enum haul_relay_status status; /* of STATUS; UNUSED for a number that is not known */
    bool has_reservation;          /* with a STATUS that answers RESERVE */
    uint64_t expires;              /* Unix seconds, as the peer says: any number */
    size_t address_count;          /* of the relay; those that we can read */
    struct haul_multiaddr addresses[HAUL_RELAY_ADDRESSES_MAX];
    const uint8_t *voucher; /* a view into the input; NULL: none */
    size_t voucher_bytes;
};

/* `stop`: a message of the stop protocol, whose numbers differ. False when it is malformed: no
 * type, a type out of range, a peer that is none. */
HAUL_MUST_USE bool haul_relay_decode(const uint8_t *data, size_t bytes, bool stop,
                                     struct haul_relay_message *message);

/* Without the length in front; out->bad when it does not fit. */
void haul_relay_encode(const struct haul_relay_message *message, bool stop, struct haul_out *out);

/* The relay's signed word that it keeps a place for a peer. */
struct haul_relay_voucher {
    struct haul_peer_id relay;
    struct haul_peer_id peer;
    uint64_t expires; /* Unix seconds */
};
#define HAUL_RELAY_VOUCHER_MAX 512u

void haul_relay_voucher_seal(const struct haul_key *key, const struct haul_relay_voucher *voucher,
                             struct haul_out *out);
/* False when it is malformed, its signature does not hold, or somebody else than the relay that it
 * names has signed it. */
HAUL_MUST_USE bool haul_relay_voucher_open(const uint8_t *data, size_t bytes,
                                           struct haul_relay_voucher *voucher);
