/* Messages by which libp2p peers of one link find each other (libp2p specs, discovery/mdns.md, over
 * RFC 6762 and RFC 1035): a question for _p2p._udp.local, and the answer of a peer, a name of
 * chance with a TXT record of its addresses. Pure; names are followed backwards only, and
 * everything that is read has a limit. */
#pragma once

#include "common/bytes.h"
#include "controlplane/p2p/multiaddr.h"

#define HAUL_MDNS_PORT          5353u
#define HAUL_MDNS_SENT_MAX      1400u /* fits every link */
#define HAUL_MDNS_RECEIVED_MAX  9000u
#define HAUL_MDNS_NAME_BYTES    33u /* ours, with its end mark: 32 letters and digits */
#define HAUL_MDNS_RECORDS_MAX   64u /* that are looked at in one message */
#define HAUL_MDNS_ADDRESSES_MAX 16u
#define HAUL_MDNS_LIFE_SECONDS  120u

struct haul_mdns_message {
    bool asks; /* for peers; otherwise it may tell of some */
    size_t address_count;
    struct haul_multiaddr addresses[HAUL_MDNS_ADDRESSES_MAX]; /* each ends in /p2p/PEER */
};

/* False when it is malformed. */
HAUL_MUST_USE bool haul_mdns_decode(const uint8_t *data, size_t bytes,
                                    struct haul_mdns_message *message);

void haul_mdns_write_question(struct haul_out *out);

/* As many addresses as fit; they are given without /p2p. */
void haul_mdns_write_answer(struct haul_out *out, const char name[HAUL_MDNS_NAME_BYTES],
                            const struct haul_peer_id *peer, const struct haul_multiaddr *addresses,
                            size_t count);
