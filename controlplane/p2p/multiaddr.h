/* Multiaddrs: self-describing addresses in text and binary (multiformats/multiaddr). All protocols
 * that libp2p peers announce can be parsed and printed; haul itself dials ip4 and ip6 with tcp. */
#pragma once

#include "common/addr.h"
#include "controlplane/p2p/peerid.h"

#define HAUL_MULTIADDR_BYTES_MAX  256u
#define HAUL_MULTIADDR_TEXT_BYTES 640u

struct haul_multiaddr {
    uint16_t length;
    uint8_t bytes[HAUL_MULTIADDR_BYTES_MAX]; /* binary form, validated */
};

/* Refuses unknown codes, malformed values and longer ones than fit. */
HAUL_MUST_USE bool haul_multiaddr_decode(const uint8_t *data, size_t bytes,
                                         struct haul_multiaddr *addr);
HAUL_MUST_USE bool haul_multiaddr_parse(const char *text, struct haul_multiaddr *addr);
void haul_multiaddr_print(const struct haul_multiaddr *addr, char text[HAUL_MULTIADDR_TEXT_BYTES]);

/* /ip4|ip6/.../tcp|udp/PORT from a socket address. */
void haul_multiaddr_from_tcp(struct haul_multiaddr *addr, const struct haul_addr *socket_addr);
void haul_multiaddr_from_udp(struct haul_multiaddr *addr, const struct haul_addr *socket_addr);

/* Its socket address when it is exactly /ip4|ip6/.../tcp/PORT[/p2p/PEER]; false otherwise. */
HAUL_MUST_USE bool haul_multiaddr_tcp(const struct haul_multiaddr *addr,
                                      struct haul_addr *socket_addr);

/* The last /p2p component; false when there is none. And append one, or strip it. */
HAUL_MUST_USE bool haul_multiaddr_peer(const struct haul_multiaddr *addr, struct haul_peer_id *id);
HAUL_MUST_USE bool haul_multiaddr_add_peer(struct haul_multiaddr *addr,
                                           const struct haul_peer_id *id);
void haul_multiaddr_strip_peer(struct haul_multiaddr *addr);

/* Does it lead through a relay (/p2p-circuit)? */
bool haul_multiaddr_relayed(const struct haul_multiaddr *addr);

/* Takes /RELAY-ADDRESS/p2p/RELAY/p2p-circuit[/p2p/TARGET] apart: where the relay is, without its
 * id, and who it is. False for anything else, also for one relay behind another. `where` may be
 * empty: then only the relay's id is given. */
HAUL_MUST_USE bool haul_multiaddr_circuit(const struct haul_multiaddr *addr,
                                          struct haul_multiaddr *where, struct haul_peer_id *relay);
/* Appends /p2p/RELAY/p2p-circuit to where a relay is. */
HAUL_MUST_USE bool haul_multiaddr_add_circuit(struct haul_multiaddr *addr,
                                              const struct haul_peer_id *relay);

/* The IP address that it begins with, port 0; false when it begins with something else. */
HAUL_MUST_USE bool haul_multiaddr_ip(const struct haul_multiaddr *addr, struct haul_addr *ip);

/* The name that it begins with (/dns, /dns4, /dns6, /dnsaddr) as a view into it, and the code of
 * its protocol; the rest of it lies behind. False when it begins with something else. */
struct haul_multiaddr_name {
    uint32_t code;
    const char *text;
    size_t bytes;
    const uint8_t *rest;
    size_t rest_bytes;
};
HAUL_MUST_USE bool haul_multiaddr_name(const struct haul_multiaddr *addr,
                                       struct haul_multiaddr_name *name);
