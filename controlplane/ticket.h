/* Tickets: one line of text that names a dataset, the peer that shares it and where to reach it.
 *
 *     "haul:" base32( version 1 | root CID | peer id | addresses | checksum )
 *
 * CID is 36 bytes of binary CIDv1; the peer id is uvarint(length) and its bytes; addresses are
 * uvarint(count) and for each uvarint(length) and a binary multiaddr, without /p2p. The checksum is
 * the first four bytes of the SHA2-256 of all before it: it finds slips of the hand, not fraud.
 * Text may be in capitals throughout, which suits QR codes. */
#pragma once

#include "common/cid.h"
#include "common/error.h"
#include "controlplane/p2p/multiaddr.h"

#define HAUL_TICKET_ADDRESSES_MAX 8u
#define HAUL_TICKET_TEXT_BYTES    512u

struct haul_ticket {
    struct haul_cid root;
    struct haul_peer_id peer;
    size_t address_count;
    struct haul_multiaddr addresses[HAUL_TICKET_ADDRESSES_MAX];
};

/* Addresses that do not fit any more are left out, from the end. */
void haul_ticket_print(const struct haul_ticket *ticket, char text[HAUL_TICKET_TEXT_BYTES]);

/* The whole text must be a ticket; TICKET_MALFORMED says what is wrong with it. */
HAUL_MUST_USE int haul_ticket_parse(const char *text, struct haul_ticket *ticket,
                                    struct haul_error *error);

/* What `get` and `ls` are given: CID, CID/path, TICKET or TICKET/path. */
struct haul_target {
    struct haul_cid root;
    const char *path; /* behind the first '/', in the text that was parsed; "" for the root */
    bool has_ticket;
    struct haul_ticket ticket; /* its root is the one above */
};

HAUL_MUST_USE int haul_target_parse(const char *text, struct haul_target *target,
                                    struct haul_error *error);
