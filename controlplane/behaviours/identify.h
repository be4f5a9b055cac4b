/* Identify (libp2p specs, identify/README.md): what a peer is called, what it speaks, where it
 * listens and how it sees us. Both ask on every new connection; push says that something changed.
 */
#pragma once

#include "controlplane/host/host.h"

#define HAUL_IDENTIFY_MESSAGE_MAX   8192u /* of a peer's message */
#define HAUL_IDENTIFY_MESSAGES_MAX  10u   /* that a peer may split it into */
#define HAUL_IDENTIFY_SENT_MAX      4096u /* of ours: rust-libp2p reads no more */
#define HAUL_IDENTIFY_ADDRESSES_MAX 32u
#define HAUL_IDENTIFY_PROTOCOLS_MAX 128u

extern const struct haul_behaviour haul_identify_behaviour;
extern const struct haul_behaviour haul_identify_push_behaviour;

/* Tells every connected peer what we are now: our addresses or protocols have changed. */
void haul_identify_push(struct haul_host *host);

/* One message, as views into it; absent fields are NULL or none. False when it is malformed. What
 * is listed beyond the limits is passed over. */
struct haul_identify {
    const uint8_t *public_key;
    size_t public_key_bytes;
    const char *agent;
    size_t agent_bytes;
    bool observed_known;
    struct haul_addr observed;
    const uint8_t *record; /* not yet opened */
    size_t record_bytes;
    size_t address_count;
    struct haul_multiaddr addresses[HAUL_IDENTIFY_ADDRESSES_MAX]; /* those that we can read */
    size_t protocol_count;
    struct {
        const char *name;
        size_t bytes;
    } protocols[HAUL_IDENTIFY_PROTOCOLS_MAX];
};
HAUL_MUST_USE bool haul_identify_decode(const uint8_t *data, size_t bytes,
                                        struct haul_identify *identify);
