/* Messages of the Kademlia DHT (libp2p specs, kad-dht): one protobuf `Message` for every request
 * and answer. A decoded message is views into its bytes; nothing is copied and nothing allocated,
 * so its cost is bounded by its length. Pure.
 *
 *     Message  1 type, 2 key, 3 record, 8 closerPeers, 9 providerPeers (repeated Peer)
 *     Peer     1 id, 2 addrs (repeated), 3 connection
 *     Record   1 key, 2 value, 5 timeReceived, 666 publisher, 777 ttl in seconds
 *
 * On a stream each message has its length before it, as an unsigned varint. */
#pragma once

#include "common/bytes.h"
#include "controlplane/p2p/multiaddr.h"

#define HAUL_KAD_SENT_BYTES_MAX    16384u /* of ours: rust-libp2p reads no more */
#define HAUL_KAD_REQUEST_BYTES_MAX 65536u /* of a request that we read */
#define HAUL_KAD_ANSWER_BYTES_MAX                                                                  \
    (1u << 20) /* of an answer to us: many providers, many addresses */
#define HAUL_KAD_LENGTH_BYTES_MAX   5u
#define HAUL_KAD_PEERS_READ_MAX     128u /* in one list; what a message holds beyond is not read */
#define HAUL_KAD_ADDRESSES_READ_MAX 32u  /* of one peer */
#define HAUL_KAD_KEY_TEXT_BYTES_MAX 80u  /* of a key that we serve, as go-libp2p */

enum haul_kad_type {
    HAUL_KAD_PUT_VALUE,
    HAUL_KAD_GET_VALUE,
    HAUL_KAD_ADD_PROVIDER,
    HAUL_KAD_GET_PROVIDERS,
    HAUL_KAD_FIND_NODE,
    HAUL_KAD_PING,
    HAUL_KAD_TYPES
};

enum haul_kad_connection {
    HAUL_KAD_NOT_CONNECTED,
    HAUL_KAD_CONNECTED,
    HAUL_KAD_CAN_CONNECT,
    HAUL_KAD_CANNOT_CONNECT,
};

enum haul_kad_list { HAUL_KAD_CLOSER = 8, HAUL_KAD_PROVIDERS = 9 };

struct haul_kad_record {
    const uint8_t *key;
    size_t key_bytes;
    const uint8_t *value;
    size_t value_bytes;
    uint32_t ttl_seconds; /* 0: not given; larger numbers are cut */
};

struct haul_kad_message {
    enum haul_kad_type type;
    const uint8_t *key; /* NULL: none */
    size_t key_bytes;
    bool has_record;
    struct haul_kad_record record;
    const uint8_t *data; /* the whole message, for the lists */
    size_t bytes;
};

struct haul_kad_peer {
    struct haul_peer_id id;
    enum haul_kad_connection connection;
    const uint8_t *data; /* the Peer, for its addresses */
    size_t bytes;
};

/* False when it is malformed anywhere, lists included, or of a type that does not exist. A peer
 * whose id is no peer id makes it malformed; an address that we do not know does not. */
HAUL_MUST_USE bool haul_kad_message_decode(const uint8_t *data, size_t bytes,
                                           struct haul_kad_message *message);

/* The peers of a list in their order; false at the end. */
struct haul_kad_peers {
    struct haul_in in;
    enum haul_kad_list list;
    uint32_t read;
};
struct haul_kad_peers haul_kad_peers_of(const struct haul_kad_message *message,
                                        enum haul_kad_list list);
bool haul_kad_peers_next(struct haul_kad_peers *peers, struct haul_kad_peer *peer);

/* Those of its addresses that can be read, up to capacity. A /p2p at the end is taken away when it
 * names the peer; an address of somebody else is left out. */
size_t haul_kad_peer_addresses(const struct haul_kad_peer *peer, struct haul_multiaddr *addresses,
                               size_t capacity);

/* Writers, in this order: begin, record, peers. A peer is written whole or not at all (false). */
void haul_kad_write(struct haul_out *out, enum haul_kad_type type, const void *key,
                    size_t key_bytes);
void haul_kad_write_record(struct haul_out *out, const struct haul_kad_record *record);
bool haul_kad_write_peer(struct haul_out *out, enum haul_kad_list list,
                         const struct haul_peer_id *id, const struct haul_multiaddr *addresses,
                         size_t count, enum haul_kad_connection connection);

/* Puts the length before a message that was written HAUL_KAD_LENGTH_BYTES_MAX behind `frame`, and
 * returns where the frame begins. */
uint8_t *haul_kad_frame(uint8_t *frame, size_t message_bytes);
