/* An IP end of our own on a card that the kernel does not own: what a net over raw Ethernet frames
 * needs beside its driver. Pure: bytes and time in; verdicts, bytes, a deadline and events out.
 *
 *   receive   haul_ether_input tells what a frame is: a datagram for haul, a question that is
 *             answered (the answer is a frame in the caller's buffer), or nothing, with a counter.
 *   send      haul_ether_resolve gives the headers to write before each datagram to a peer, or says
 *             that its MAC address is being asked for.
 *   between   haul_ether_poll gives the frames that are due: questions, announcements. Call it
 * until it gives none: after PENDING, and when haul_ether_deadline has come.
 *
 * It speaks ARP (RFC 826, 5227), neighbour discovery (RFC 4861, 4862; neither router messages nor
 * redirects), echo (RFC 792, 4443) and too-big. Who asks for our address is answered and forgotten:
 * only resolve makes state. One owner thread. With several queues each worker has one of these,
 * with a UDP port of its own; what one of them took notice of (HANDLED: answers of neighbours, and
 * news of paths) is shown to every other one, and a datagram to another one's port is told as such.
 */
#pragma once

#include "common/addr.h"
#include "common/time.h"
#include "dataplane/ethernet/header.h"

struct haul_ether;

#define HAUL_ETHER_ADDRESSES_MAX  8u
#define HAUL_ETHER_NEIGHBOURS_MAX 256u
#define HAUL_ETHER_ASK_BYTES      96u /* room for any frame of poll */
#define HAUL_ETHER_QUOTE_BYTES    24u

struct haul_ether_address {
    struct haul_addr ip; /* the port does not matter */
    uint8_t bits;        /* of its prefix: who is in it is asked for directly */
};

struct haul_ether_conf {
    uint8_t mac[HAUL_MAC_BYTES];
    uint16_t vlan; /* 1..4094; zero: untagged frames */
    uint16_t mtu;  /* the largest IP packet, 1280 at least */
    uint16_t port; /* UDP port of haul */
    /* Ports of all workers, from the first, where there are several; count 0: only our own. */
    uint16_t port_first, port_count;
    struct haul_ether_address addresses[HAUL_ETHER_ADDRESSES_MAX]; /* at least one */
    size_t address_count;
    struct haul_addr gateway_ipv4; /* family 0: none */
    struct haul_addr gateway_ipv6;
    bool quiet;    /* another worker announces these addresses */
    uint64_t seed; /* for hashes and jitter */
};

size_t haul_ether_bytes(void);

/* `memory` is aligned to 64 and borrowed for ever; nothing needs to be undone. */
struct haul_ether *haul_ether_init(void *memory, const struct haul_ether_conf *conf, haul_time now);

/* --- receiving --- */

enum haul_ether_verdict {
    HAUL_ETHER_DATAGRAM, /* *datagram is filled; it points into the frame */
    HAUL_ETHER_REPLY,    /* a frame of *reply_bytes is to be sent */
    HAUL_ETHER_HANDLED,  /* taken notice of; events may be there, and a poll due */
    HAUL_ETHER_DROPPED,  /* and counted */
};

/* What the card found out about a frame. */
struct haul_ether_found {
    bool ip_checked;   /* the IPv4 checksum holds */
    bool udp_checked;  /* the UDP checksum holds, or was never computed for want of a wire */
    int vlan_stripped; /* the tag taken off the frame, or a negative number */
};

struct haul_ether_datagram {
    const uint8_t *data;
    uint16_t bytes;
    uint16_t port; /* ours to which it came, or another worker's */
    uint8_t ecn;
    struct haul_addr peer;
};

/* `reply` has room for `reply_capacity` bytes and does not overlap the frame; an echo reply is as
 * long as its request. */
enum haul_ether_verdict haul_ether_input(struct haul_ether *ether, const uint8_t *frame,
                                         size_t bytes, const struct haul_ether_found *found,
                                         haul_time now, struct haul_ether_datagram *datagram,
                                         uint8_t *reply, size_t reply_capacity,
                                         size_t *reply_bytes);

/* --- sending --- */

enum haul_ether_way {
    HAUL_ETHER_READY,   /* *header is filled, good for this burst; ask again for the next one */
    HAUL_ETHER_PENDING, /* the neighbour is being asked: poll, and try again later */
    HAUL_ETHER_NO_WAY,  /* no route, no answer for a while, or too many neighbours; counted */
};

enum haul_ether_way haul_ether_resolve(struct haul_ether *ether, const struct haul_addr *peer,
                                       haul_time now, struct haul_ether_header *header);

/* --- time --- */

/* Writes one frame that is due to `frame` (HAUL_ETHER_ASK_BYTES of room) and returns its length;
 * zero when nothing is due. */
size_t haul_ether_poll(struct haul_ether *ether, haul_time now, uint8_t *frame);

/* The link is up again, perhaps elsewhere: our addresses are announced, neighbours asked anew. */
void haul_ether_link_up(struct haul_ether *ether, haul_time now);

/* When poll is due next; HAUL_TIME_NEVER when only input or resolve can change anything. */
haul_time haul_ether_deadline(const struct haul_ether *ether);

/* --- what else is to be known --- */

enum haul_ether_event_type {
    HAUL_ETHER_CONFLICT, /* mac uses our address ip: tell a person; we go on, and say so on the wire
                          */
    HAUL_ETHER_MOVED,    /* the neighbour ip has a new mac: the old one no longer answers */
    HAUL_ETHER_REFUSED,  /* mac claimed to be the neighbour ip, who still answers elsewhere */
    HAUL_ETHER_LOST,     /* the neighbour ip answers no more */
    HAUL_ETHER_TOO_BIG,  /* packets to peer may be mtu bytes long, somebody on the way says: a hint
                            (RFC 8899 section 4.6.1); quote holds the first bytes of our payload */
};

struct haul_ether_event {
    enum haul_ether_event_type type;
    struct haul_addr ip; /* TOO_BIG: the peer, with its port */
    uint8_t mac[HAUL_MAC_BYTES];
    uint16_t mtu;
    uint8_t quote[HAUL_ETHER_QUOTE_BYTES];
    uint8_t quote_bytes;
};

/* Takes the oldest event; false when there is none. Events beyond the 32 that are kept are
 * counted and forgotten. */
bool haul_ether_event(struct haul_ether *ether, struct haul_ether_event *event);

/* X(name, help), beside HAUL_ETHER_DROPS. */
#define HAUL_ETHER_COUNTS(X)                                                                       \
    X(rx_udp_partial, "UDP datagrams whose checksum their sender had left to a card (taken)")      \
    X(arp_answered, "ARP requests answered")                                                       \
    X(ndp_answered, "neighbour solicitations answered")                                            \
    X(echo_answered, "echo requests answered")                                                     \
    X(too_big, "too-big messages about our own packets")                                           \
    X(asked, "ARP requests and neighbour solicitations sent")                                      \
    X(announced, "our addresses announced or probed for")                                          \
    X(confirmed, "answers that made or confirmed a neighbour")                                     \
    X(unasked, "answers that nobody had asked for")                                                \
    X(challenges, "claims to a neighbour's address that made us ask the old MAC address")          \
    X(refused, "such claims refused since the old MAC address answered")                           \
    X(moved, "neighbours that moved to another MAC address")                                       \
    X(lost, "neighbours that stopped answering, or never did")                                     \
    X(conflicts, "frames of others that use an address of ours")                                   \
    X(no_route, "datagrams to addresses without a route")                                          \
    X(table_full, "datagrams to new neighbours while the table was full of live ones")             \
    X(events_lost, "events beyond those kept")

struct haul_ether_counters {
#define X(name, help) uint64_t name;
    HAUL_ETHER_DROPS(X)
    HAUL_ETHER_COUNTS(X)
#undef X
};

const struct haul_ether_counters *haul_ether_counters(const struct haul_ether *ether);

/* The multicast MAC addresses that the card must let through (besides broadcast): those of
 * neighbour discovery for our IPv6 addresses. Returns their count, at most HAUL_ETHER_GROUPS_MAX.
 */
#define HAUL_ETHER_GROUPS_MAX (2u + HAUL_ETHER_ADDRESSES_MAX)
size_t haul_ether_groups(const struct haul_ether *ether,
                         uint8_t macs[HAUL_ETHER_GROUPS_MAX][HAUL_MAC_BYTES]);

/* A gauge for status: neighbours known or asked for. */
uint32_t haul_ether_neighbours(const struct haul_ether *ether);
