/* Messages of relays and of DCUtR: round trips, every prefix, and the largest numbers. */
#include "controlplane/p2p/dcutr_message.h"
#include "controlplane/p2p/fields.h"
#include "controlplane/p2p/relay_message.h"
#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

#define ID "0024080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"

static struct haul_key key;
static struct haul_relay_message made, read;
static uint8_t data[HAUL_RELAY_MESSAGE_MAX];

static void prepare(void)
{
    uint8_t seed[32] = { 7 };

    haul_key_from_seed(&key, seed);
    memset(&made, 0, sizeof made);
}

static size_t encode(bool stop)
{
    struct haul_out out = haul_out_to(data, sizeof data);

    haul_relay_encode(&made, stop, &out);
    CU_ASSERT_FALSE_FATAL(out.bad);
    return (size_t)(out.at - data);
}

/* Bytes written by hand from the specification. */
static void messages_are_what_the_specification_says(void)
{
    uint8_t expected[128];
    size_t bytes;

    prepare();
    made.kind = HAUL_RELAY_RESERVE;
    bytes = encode(false);
    CU_ASSERT_EQUAL(bytes, unit_hex("0800", expected, sizeof expected));
    CU_ASSERT_EQUAL(memcmp(data, expected, bytes), 0);

    made.kind = HAUL_RELAY_CONNECT;
    made.has_peer = true;
    bytes = unit_hex(ID, expected, sizeof expected);
    CU_ASSERT_TRUE_FATAL(haul_peer_id_decode(expected, bytes, &made.peer));
    made.has_limit = true;
    made.limit = (struct haul_relay_limit){ .seconds = 120, .bytes = 1 << 17 };
    bytes = encode(true);
    CU_ASSERT_EQUAL(bytes,
                    unit_hex("080012280a26" ID "1a06087810808008", expected, sizeof expected));
    CU_ASSERT_EQUAL(memcmp(data, expected, bytes), 0);
    bytes = encode(false);
    CU_ASSERT_EQUAL(bytes,
                    unit_hex("080112280a26" ID "2206087810808008", expected, sizeof expected));
    CU_ASSERT_EQUAL(memcmp(data, expected, bytes), 0);

    prepare();
    made.kind = HAUL_RELAY_STATUS;
    made.status = HAUL_RELAY_NO_RESERVATION;
    bytes = encode(false);
    CU_ASSERT_EQUAL(bytes, unit_hex("080228cc01", expected, sizeof expected));
    CU_ASSERT_EQUAL(memcmp(data, expected, bytes), 0);
    bytes = encode(true);
    CU_ASSERT_EQUAL(bytes, unit_hex("080120cc01", expected, sizeof expected));
    CU_ASSERT_EQUAL(memcmp(data, expected, bytes), 0);
}

static size_t make_reservation(void)
{
    static uint8_t voucher[HAUL_RELAY_VOUCHER_MAX];
    struct haul_out out = haul_out_to(voucher, sizeof voucher);
    const struct haul_relay_voucher word = { .relay = key.id, .peer = key.id, .expires = 1234567 };

    made.kind = HAUL_RELAY_STATUS;
    made.status = HAUL_RELAY_OK;
    made.has_reservation = true;
    made.expires = 1234567;
    made.address_count = 2;
    CU_ASSERT_TRUE(haul_multiaddr_parse("/ip4/192.0.2.1/tcp/1", &made.addresses[0]));
    CU_ASSERT_TRUE(haul_multiaddr_parse("/ip6/2001:db8::1/tcp/2", &made.addresses[1]));
    haul_relay_voucher_seal(&key, &word, &out);
    CU_ASSERT_FALSE_FATAL(out.bad);
    made.voucher = voucher;
    made.voucher_bytes = (size_t)(out.at - voucher);
    made.has_limit = true;
    made.limit.seconds = 60;
    return encode(false);
}

static void a_reservation_comes_back_as_it_was(void)
{
    struct haul_relay_voucher word;
    size_t bytes;

    prepare();
    bytes = make_reservation();
    CU_ASSERT_TRUE_FATAL(haul_relay_decode(data, bytes, false, &read));
    CU_ASSERT_EQUAL(read.status, HAUL_RELAY_OK);
    CU_ASSERT_EQUAL(read.expires, 1234567);
    CU_ASSERT_EQUAL(read.address_count, 2);
    CU_ASSERT_EQUAL(read.limit.seconds, 60);
    CU_ASSERT_EQUAL(read.limit.bytes, 0);
    CU_ASSERT_TRUE_FATAL(haul_relay_voucher_open(read.voucher, read.voucher_bytes, &word));
    CU_ASSERT_TRUE(haul_peer_id_equal(&word.relay, &key.id));
    CU_ASSERT_EQUAL(word.expires, 1234567);
}

static void no_prefix_is_taken_for_a_whole_message(void)
{
    size_t bytes;

    prepare();
    bytes = make_reservation();
    for (size_t cut = 0; cut < bytes; cut++) {
        if (!haul_relay_decode(data, cut, false, &read))
            continue;
        /* Only between two fields. */
        CU_ASSERT_TRUE(cut >= 2 && (!read.has_reservation || read.voucher != NULL));
    }
}

static void a_voucher_of_somebody_else_is_refused(void)
{
    struct haul_relay_voucher word = { .expires = UINT64_MAX };
    struct haul_out out = haul_out_to(data, sizeof data);
    uint8_t seed[32] = { 8 };
    struct haul_key other;
    size_t bytes;

    prepare();
    haul_key_from_seed(&other, seed);
    word.relay = other.id;
    word.peer = key.id;
    haul_relay_voucher_seal(&key, &word, &out);
    CU_ASSERT_FALSE(haul_relay_voucher_open(data, (size_t)(out.at - data), &word));
    out = haul_out_to(data, sizeof data);
    haul_relay_voucher_seal(&other, &word, &out);
    bytes = (size_t)(out.at - data);
    CU_ASSERT_TRUE(haul_relay_voucher_open(data, bytes, &word));
    CU_ASSERT_EQUAL(word.expires, UINT64_MAX);
    for (size_t i = 0; i < bytes; i++) {
        data[i] ^= 1;
        CU_ASSERT_FALSE(haul_relay_voucher_open(data, bytes, &word) &&
                        haul_peer_id_equal(&word.relay, &other.id) &&
                        haul_peer_id_equal(&word.peer, &key.id) && word.expires == UINT64_MAX);
        data[i] ^= 1;
    }
}

static void the_largest_numbers_are_only_numbers(void)
{
    uint8_t message[64];
    size_t bytes = unit_hex("0802"
                            "1a0b08ffffffffffffffffff01"
                            "221608ffffffffffffffffff0110ffffffffffffffffff01"
                            "28ffffffffffffffffff01",
                            message, sizeof message);

    CU_ASSERT_TRUE_FATAL(haul_relay_decode(message, bytes, false, &read));
    CU_ASSERT_EQUAL(read.expires, UINT64_MAX);
    CU_ASSERT_EQUAL(read.limit.seconds, UINT32_MAX);
    CU_ASSERT_EQUAL(read.limit.bytes, UINT64_MAX);
    CU_ASSERT_EQUAL(read.status, HAUL_RELAY_UNUSED);
    bytes = unit_hex("08ffffffffffffffffff01", message, sizeof message);
    CU_ASSERT_FALSE(haul_relay_decode(message, bytes, false, &read));
    CU_ASSERT_FALSE(haul_relay_decode(message, bytes, true, &read));
    bytes = unit_hex("0802", message, sizeof message);
    CU_ASSERT_FALSE(haul_relay_decode(message, bytes, true, &read));
    CU_ASSERT_FALSE(haul_relay_decode(message, 0, false, &read));
    /* a CONNECT to somebody who is nobody */
    bytes = unit_hex("080112040a020001", message, sizeof message);
    CU_ASSERT_FALSE(haul_relay_decode(message, bytes, false, &read));
}

static void addresses_beyond_the_limit_are_passed_over(void)
{
    static uint8_t inner[HAUL_RELAY_MESSAGE_MAX];
    struct haul_out in = haul_out_to(inner, sizeof inner);
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_multiaddr address;

    CU_ASSERT_TRUE(haul_multiaddr_parse("/ip4/192.0.2.1/tcp/1", &address));
    for (int i = 0; i < 50; i++)
        haul_field_write_bytes(&in, 2, address.bytes, address.length);
    haul_field_write_value(&out, 1, 2);
    haul_field_write_bytes(&out, 3, inner, (size_t)(in.at - inner));
    CU_ASSERT_TRUE(haul_relay_decode(data, (size_t)(out.at - data), false, &read));
    CU_ASSERT_EQUAL(read.address_count, HAUL_RELAY_ADDRESSES_MAX);
}

/* --- DCUtR --- */

static void a_punch_is_told_without_relayed_addresses(void)
{
    static struct haul_dcutr_message message, back;
    struct haul_out out = haul_out_to(data, sizeof data);
    static const char *const texts[] = {
        "/ip4/192.0.2.1/tcp/1",
        "/ip4/192.0.2.2/tcp/2/p2p/12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq/p2p-circuit",
        "/ip6/2001:db8::1/udp/4001/quic-v1",
    };
    size_t bytes;

    message.kind = HAUL_DCUTR_CONNECT;
    for (size_t i = 0; i < HAUL_COUNT_OF(texts); i++)
        CU_ASSERT_TRUE_FATAL(
            haul_multiaddr_parse(texts[i], &message.addresses[message.address_count++]));
    haul_dcutr_encode(&message, &out);
    bytes = (size_t)(out.at - data);
    CU_ASSERT_EQUAL(data[0], 8);
    CU_ASSERT_EQUAL(data[1], 100);
    CU_ASSERT_TRUE_FATAL(haul_dcutr_decode(data, bytes, &back));
    CU_ASSERT_EQUAL(back.kind, HAUL_DCUTR_CONNECT);
    CU_ASSERT_EQUAL(back.address_count, 2);
    for (size_t cut = 0; cut < 2; cut++)
        CU_ASSERT_FALSE(haul_dcutr_decode(data, cut, &back));
    bytes = unit_hex("08ac02", data, sizeof data);
    CU_ASSERT_TRUE(haul_dcutr_decode(data, bytes, &back));
    CU_ASSERT_EQUAL(back.kind, HAUL_DCUTR_SYNC);
    bytes = unit_hex("08c801", data, sizeof data);
    CU_ASSERT_FALSE(haul_dcutr_decode(data, bytes, &back));
    bytes = unit_hex("08ffffffffffffffffff01", data, sizeof data);
    CU_ASSERT_FALSE(haul_dcutr_decode(data, bytes, &back));
}

/* --- addresses through a relay --- */

#define RELAY "/p2p/12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"

static bool apart(const char *text, struct haul_multiaddr *where)
{
    struct haul_multiaddr address;
    struct haul_peer_id relay;

    CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse(text, &address));
    return haul_multiaddr_circuit(&address, where, &relay);
}

static void an_address_through_a_relay_comes_apart(void)
{
    char text[HAUL_MULTIADDR_TEXT_BYTES];
    struct haul_multiaddr where;
    struct haul_peer_id relay;

    CU_ASSERT_TRUE_FATAL(apart("/ip4/192.0.2.1/tcp/1" RELAY "/p2p-circuit" RELAY, &where));
    haul_multiaddr_print(&where, text);
    CU_ASSERT_STRING_EQUAL(text, "/ip4/192.0.2.1/tcp/1");
    CU_ASSERT_TRUE(apart("/ip4/192.0.2.1/tcp/1" RELAY "/p2p-circuit", &where));
    CU_ASSERT_TRUE(haul_peer_id_parse(RELAY + 5, &relay));
    CU_ASSERT_TRUE(haul_multiaddr_add_circuit(&where, &relay));
    haul_multiaddr_print(&where, text);
    CU_ASSERT_STRING_EQUAL(text, "/ip4/192.0.2.1/tcp/1" RELAY "/p2p-circuit");
    CU_ASSERT_TRUE(apart(RELAY "/p2p-circuit", &where));
    CU_ASSERT_EQUAL(where.length, 0);
    CU_ASSERT_FALSE(apart("/ip4/192.0.2.1/tcp/1" RELAY, &where));
    CU_ASSERT_FALSE(apart("/ip4/192.0.2.1/tcp/1/p2p-circuit" RELAY, &where));
    CU_ASSERT_FALSE(apart("/ip4/1.2.3.4/tcp/1" RELAY "/p2p-circuit" RELAY "/p2p-circuit", &where));
    CU_ASSERT_FALSE(apart("/ip4/1.2.3.4/tcp/1" RELAY "/p2p-circuit/ip4/1.2.3.4/tcp/1", &where));
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "messages are what the specification says", messages_are_what_the_specification_says },
        { "a reservation comes back as it was", a_reservation_comes_back_as_it_was },
        { "no prefix is taken for a whole message", no_prefix_is_taken_for_a_whole_message },
        { "a voucher of somebody else is refused", a_voucher_of_somebody_else_is_refused },
        { "the largest numbers are only numbers", the_largest_numbers_are_only_numbers },
        { "addresses beyond the limit are passed over",
          addresses_beyond_the_limit_are_passed_over },
        { "a punch is told without relayed addresses", a_punch_is_told_without_relayed_addresses },
        { "an address through a relay comes apart", an_address_through_a_relay_comes_apart },
    };

    return unit_main("relay_message", tests, HAUL_COUNT_OF(tests));
}
