/* The codec of DHT messages, and keys. */
#include "controlplane/p2p/kad/message.h"

#include "controlplane/p2p/fields.h"
#include "controlplane/p2p/kad/key.h"
#include "tests/unit/hex.h"
#include "tests/unit/kad_rig.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#define PEER "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"

static struct haul_multiaddr address_of(const char *text)
{
    struct haul_multiaddr address;

    haul_assert(haul_multiaddr_parse(text, &address));
    return address;
}

/* A message with everything in it. */
static size_t message_write(uint8_t *data, size_t capacity)
{
    static const uint8_t key[34] = { 0x12, 0x20, 7 };
    const struct haul_kad_record record = {
        .key = key, .key_bytes = sizeof key, .value = (const uint8_t *)"value", .value_bytes = 5
    };
    const struct haul_multiaddr addresses[2] = { address_of("/ip4/192.0.2.1/tcp/4001"),
                                                 address_of("/ip6/2001:db8::1/udp/1/quic-v1") };
    struct haul_out out = haul_out_to(data, capacity);
    struct haul_peer_id one = kad_rig_peer(1), two = kad_rig_peer(2);

    haul_kad_write(&out, HAUL_KAD_GET_PROVIDERS, key, sizeof key);
    haul_kad_write_record(&out, &record);
    CU_ASSERT_TRUE(
        haul_kad_write_peer(&out, HAUL_KAD_CLOSER, &one, addresses, 2, HAUL_KAD_CAN_CONNECT));
    CU_ASSERT_TRUE(
        haul_kad_write_peer(&out, HAUL_KAD_PROVIDERS, &two, addresses, 1, HAUL_KAD_NOT_CONNECTED));
    CU_ASSERT_FALSE(out.bad);
    return (size_t)(out.at - data);
}

static void keys_are_digests_of_ids(void)
{
    struct haul_peer_id id;
    struct haul_kad_key key, wanted;

    CU_ASSERT_TRUE(haul_peer_id_parse(PEER, &id));
    haul_kad_key_of_peer(&id, &key);
    unit_hex("dfd53212a4bd2beda3ea8e82d08285370c70a70cfe9c588e28754b23c8033121", wanted.bytes,
             sizeof wanted.bytes);
    CU_ASSERT_TRUE(haul_kad_key_equal(&key, &wanted));
}

static void distance_orders_by_the_first_differing_bit(void)
{
    struct haul_kad_key target = { { 0 } }, a = { { 0x40 } }, b = { { 0x3f, 0xff } };

    CU_ASSERT_EQUAL(haul_kad_shared_bits(&target, &a), 1);
    CU_ASSERT_EQUAL(haul_kad_shared_bits(&target, &b), 2);
    CU_ASSERT_EQUAL(haul_kad_shared_bits(&a, &a), 256);
    CU_ASSERT(haul_kad_compare(&target, &b, &a) < 0);
    CU_ASSERT(haul_kad_compare(&target, &a, &b) > 0);
    CU_ASSERT_EQUAL(haul_kad_compare(&target, &a, &a), 0);
    b = a;
    b.bytes[31] = 1;
    CU_ASSERT_EQUAL(haul_kad_shared_bits(&a, &b), 255);
    CU_ASSERT(haul_kad_compare(&target, &a, &b) < 0);
}

static void a_region_can_be_asked_for_by_name(void)
{
    struct haul_kad_contact wish = kad_rig_contact(5);
    struct haul_peer_id id;
    struct haul_kad_key key, again;

    for (unsigned bits = 0; bits <= 10; bits++) {
        CU_ASSERT_TRUE_FATAL(haul_kad_preimage(&wish.key, bits, bits, &id, &key));
        haul_kad_key_of_peer(&id, &again);
        CU_ASSERT_TRUE(haul_kad_key_equal(&key, &again));
        CU_ASSERT(haul_kad_shared_bits(&key, &wish.key) >= bits);
    }
    CU_ASSERT_FALSE(haul_kad_preimage(&wish.key, HAUL_KAD_PREIMAGE_BITS_MAX + 1, 0, &id, &key));
}

static void what_is_written_is_read_back(void)
{
    uint8_t data[1024];
    size_t bytes = message_write(data, sizeof data);
    struct haul_kad_message message;
    struct haul_kad_peers peers;
    struct haul_kad_peer peer;
    struct haul_multiaddr addresses[4];
    struct haul_peer_id one = kad_rig_peer(1), two = kad_rig_peer(2);

    CU_ASSERT_TRUE_FATAL(haul_kad_message_decode(data, bytes, &message));
    CU_ASSERT_EQUAL(message.type, HAUL_KAD_GET_PROVIDERS);
    CU_ASSERT_EQUAL(message.key_bytes, 34);
    CU_ASSERT_EQUAL(message.record.value_bytes, 5);
    peers = haul_kad_peers_of(&message, HAUL_KAD_CLOSER);
    CU_ASSERT_TRUE_FATAL(haul_kad_peers_next(&peers, &peer));
    CU_ASSERT_TRUE(haul_peer_id_equal(&peer.id, &one));
    CU_ASSERT_EQUAL(peer.connection, HAUL_KAD_CAN_CONNECT);
    CU_ASSERT_EQUAL(haul_kad_peer_addresses(&peer, addresses, 4), 2);
    CU_ASSERT_FALSE(haul_kad_peers_next(&peers, &peer));
    peers = haul_kad_peers_of(&message, HAUL_KAD_PROVIDERS);
    CU_ASSERT_TRUE_FATAL(haul_kad_peers_next(&peers, &peer));
    CU_ASSERT_TRUE(haul_peer_id_equal(&peer.id, &two));
    CU_ASSERT_EQUAL(haul_kad_peer_addresses(&peer, addresses, 4), 1);
}

/* A cut falls between fields or inside one: read as less, or refused, never beyond. */
static void every_prefix_is_refused_or_holds_less(void)
{
    uint8_t data[1024];
    size_t bytes = message_write(data, sizeof data), whole = 0;

    for (size_t cut = 0; cut < bytes; cut++) {
        uint8_t *copy = malloc(cut + 1);
        struct haul_kad_message message;

        memcpy(copy, data, cut);
        whole += haul_kad_message_decode(copy, cut, &message);
        free(copy);
    }
    CU_ASSERT_EQUAL(whole, 5); /* nothing, and behind each of its first four fields */
}

static void a_type_of_zero_may_be_absent(void)
{
    uint8_t data[8];
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_kad_message message;

    haul_field_write_bytes(&out, 2, "abc", 3);
    CU_ASSERT_TRUE_FATAL(haul_kad_message_decode(data, (size_t)(out.at - data), &message));
    CU_ASSERT_EQUAL(message.type, HAUL_KAD_PUT_VALUE);
}

static void unknown_types_and_malformed_peers_are_refused(void)
{
    static const struct {
        const char *hex;
        bool good;
    } cases[] = {
        { "0804", true },
        { "0806", false },
        { "08ffffffffffffffffff01", false }, /* u64::MAX as a type */
        { "0804500a", true },                /* clusterLevelRaw is skipped */
        { "080442020a00", false },           /* a peer whose id is empty */
        { "08044200", false },               /* a peer without an id */
        { "0804420a0a0812067777777777", false },
        { "1a0c889230ffffffffffffffff", false }, /* a record cut short */
        { "0b", false },                         /* a group */
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        uint8_t data[64];
        size_t bytes = strlen(cases[i].hex) / 2;
        struct haul_kad_message message;

        unit_hex(cases[i].hex, data, bytes);
        CU_ASSERT_EQUAL(haul_kad_message_decode(data, bytes, &message), cases[i].good);
    }
}

static void the_largest_ttl_is_cut_and_not_wrapped(void)
{
    uint8_t data[64], inner[32];
    struct haul_out out = haul_out_to(data, sizeof data), record = haul_out_to(inner, sizeof inner);
    struct haul_kad_message message;

    haul_field_write_bytes(&record, 1, "k", 1);
    haul_field_write_value(&record, 777, UINT64_MAX);
    haul_field_write_bytes(&out, 3, inner, (size_t)(record.at - inner));
    CU_ASSERT_TRUE_FATAL(haul_kad_message_decode(data, (size_t)(out.at - data), &message));
    CU_ASSERT_EQUAL(message.record.ttl_seconds, UINT32_MAX);
}

static void addresses_of_others_are_left_out(void)
{
    static const char *const texts[] = {
        "/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.1/tcp/2/p2p/" PEER,
        "/ip4/192.0.2.1/tcp/3/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
        "/ip4/192.0.2.1/tcp/4/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N/p2p-circuit"
    };
    struct haul_multiaddr addresses[8];
    uint8_t data[1024];
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_kad_message message;
    struct haul_kad_peers peers;
    struct haul_kad_peer peer;
    struct haul_peer_id id;

    CU_ASSERT_TRUE(haul_peer_id_parse(PEER, &id));
    for (size_t i = 0; i < HAUL_COUNT_OF(texts); i++)
        addresses[i] = address_of(texts[i]);
    haul_kad_write(&out, HAUL_KAD_FIND_NODE, "x", 1);
    CU_ASSERT_TRUE(
        haul_kad_write_peer(&out, HAUL_KAD_CLOSER, &id, addresses, 4, HAUL_KAD_NOT_CONNECTED));
    CU_ASSERT_TRUE_FATAL(haul_kad_message_decode(data, (size_t)(out.at - data), &message));
    peers = haul_kad_peers_of(&message, HAUL_KAD_CLOSER);
    CU_ASSERT_TRUE_FATAL(haul_kad_peers_next(&peers, &peer));
    CU_ASSERT_EQUAL_FATAL(haul_kad_peer_addresses(&peer, addresses, 8), 3);
    CU_ASSERT_FALSE(haul_multiaddr_peer(&addresses[1], &id));
    CU_ASSERT_TRUE(haul_multiaddr_relayed(&addresses[2]));
}

static void long_lists_are_read_to_their_limit(void)
{
    static uint8_t data[1u << 20];
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_multiaddr addresses[64];
    struct haul_kad_message message;
    struct haul_kad_peers peers;
    struct haul_kad_peer peer;
    unsigned count = 0;

    for (size_t i = 0; i < HAUL_COUNT_OF(addresses); i++)
        addresses[i] = address_of("/ip4/192.0.2.1/tcp/1");
    haul_kad_write(&out, HAUL_KAD_FIND_NODE, "x", 1);
    for (uint64_t i = 0; i < 1000; i++) {
        struct haul_peer_id id = kad_rig_peer(i);

        CU_ASSERT_TRUE(
            haul_kad_write_peer(&out, HAUL_KAD_CLOSER, &id, addresses, 64, HAUL_KAD_NOT_CONNECTED));
    }
    CU_ASSERT_TRUE_FATAL(haul_kad_message_decode(data, (size_t)(out.at - data), &message));
    peers = haul_kad_peers_of(&message, HAUL_KAD_CLOSER);
    while (haul_kad_peers_next(&peers, &peer)) {
        count++;
        CU_ASSERT_EQUAL(haul_kad_peer_addresses(&peer, addresses, 64), HAUL_KAD_ADDRESSES_READ_MAX);
    }
    CU_ASSERT_EQUAL(count, HAUL_KAD_PEERS_READ_MAX);
}

static void a_peer_is_written_whole_or_not_at_all(void)
{
    struct haul_multiaddr address = address_of("/ip4/192.0.2.1/tcp/1");
    struct haul_peer_id id = kad_rig_peer(1);
    uint8_t data[64];

    for (size_t room = 0; room < sizeof data; room++) {
        struct haul_out out = haul_out_to(data, room);
        bool written =
            haul_kad_write_peer(&out, HAUL_KAD_CLOSER, &id, &address, 1, HAUL_KAD_CONNECTED);

        CU_ASSERT_FALSE(out.bad);
        CU_ASSERT_EQUAL(written, room >= 54);
        CU_ASSERT_EQUAL(out.at - data, written ? 54 : 0);
    }
}

static void a_frame_begins_with_its_length(void)
{
    uint8_t data[512] = { 0 }, *frame;

    frame = haul_kad_frame(data, 300);
    CU_ASSERT_EQUAL(frame - data, 3);
    CU_ASSERT_EQUAL(frame[0], 0xac);
    CU_ASSERT_EQUAL(frame[1], 0x02);
    frame = haul_kad_frame(data, 5);
    CU_ASSERT_EQUAL(frame - data, 4);
}

static const struct unit_test tests[] = {
    { "keys are digests of ids", keys_are_digests_of_ids },
    { "distance orders by the first differing bit", distance_orders_by_the_first_differing_bit },
    { "a region can be asked for by name", a_region_can_be_asked_for_by_name },
    { "what is written is read back", what_is_written_is_read_back },
    { "every prefix is refused or holds less", every_prefix_is_refused_or_holds_less },
    { "a type of zero may be absent", a_type_of_zero_may_be_absent },
    { "unknown types and malformed peers are refused",
      unknown_types_and_malformed_peers_are_refused },
    { "the largest ttl is cut and not wrapped", the_largest_ttl_is_cut_and_not_wrapped },
    { "addresses of others are left out", addresses_of_others_are_left_out },
    { "long lists are read to their limit", long_lists_are_read_to_their_limit },
    { "a peer is written whole or not at all", a_peer_is_written_whole_or_not_at_all },
    { "a frame begins with its length", a_frame_begins_with_its_length },
};

int main(void)
{
    return unit_main("kad message", tests, HAUL_COUNT_OF(tests));
}
