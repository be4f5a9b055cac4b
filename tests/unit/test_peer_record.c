/* Envelopes and peer records: the vector of another implementation, and what must be refused. */
#include "controlplane/p2p/envelope.h"
#include "controlplane/p2p/fields.h"
#include "controlplane/p2p/peer_record.h"
#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

/* Made by js-libp2p with the Ed25519 key of the peer id specification: sequence 1, two addresses.
 */
#define PRIVATE                                                                                    \
    "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d1ed1e8fae2c4a144b8be" \
    "8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
#define ENVELOPE                                                                                   \
    "0a24080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e120203011a51"     \
    "0a260024080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e10011a0a0a"   \
    "0804c0000201060fa11a190a172920010db800000000000000000000000191020fa1cd03"                     \
    "2a400721f373bccb8686a2985a902e0f8dc7a104968d4aa78b35de6fdd0ca74d38d0d46a9fff18248e92a6066b3c" \
    "789b3ec51411f251afd8113fc3015b2dd3ffb709"

static struct haul_key key;
static uint8_t vector[512];
static size_t vector_bytes;

static void prepare(void)
{
    uint8_t private[100];

    CU_ASSERT_TRUE_FATAL(
        haul_key_decode(&key, private, unit_hex(PRIVATE, private, sizeof private)));
    vector_bytes = unit_hex(ENVELOPE, vector, sizeof vector);
}

static void the_record_of_another_implementation_is_read(void)
{
    struct haul_peer_record record;
    char text[HAUL_MULTIADDR_TEXT_BYTES];

    prepare();
    CU_ASSERT_TRUE_FATAL(haul_peer_record_open(vector, vector_bytes, &record));
    CU_ASSERT_TRUE(haul_peer_id_equal(&record.peer, &key.id));
    CU_ASSERT_EQUAL(record.sequence, 1);
    CU_ASSERT_EQUAL_FATAL(record.address_count, 2);
    haul_multiaddr_print(&record.addresses[0], text);
    CU_ASSERT_STRING_EQUAL(text, "/ip4/192.0.2.1/tcp/4001");
    haul_multiaddr_print(&record.addresses[1], text);
    CU_ASSERT_STRING_EQUAL(text, "/ip6/2001:db8::1/udp/4001/quic-v1");
}

static void ours_is_byte_for_byte_the_same(void)
{
    struct haul_multiaddr addresses[2];
    uint8_t data[512];
    struct haul_out out = haul_out_to(data, sizeof data);

    prepare();
    CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse("/ip4/192.0.2.1/tcp/4001", &addresses[0]));
    CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse("/ip6/2001:db8::1/udp/4001/quic-v1", &addresses[1]));
    haul_peer_record_seal(&key, 1, addresses, 2, &out);
    CU_ASSERT_FALSE(out.bad);
    CU_ASSERT_EQUAL_FATAL((size_t)(out.at - data), vector_bytes);
    CU_ASSERT_EQUAL(memcmp(data, vector, vector_bytes), 0);
}

static void no_prefix_and_no_changed_bit_is_believed(void)
{
    struct haul_peer_record record;

    prepare();
    for (size_t cut = 0; cut < vector_bytes; cut++)
        CU_ASSERT_FALSE(haul_peer_record_open(vector, cut, &record));
    for (size_t i = 0; i < vector_bytes; i++) {
        vector[i] ^= 4;
        CU_ASSERT_FALSE(haul_peer_record_open(vector, vector_bytes, &record));
        vector[i] ^= 4;
    }
}

/* A well signed record of `key` that names `peer`. */
static size_t record_naming(const struct haul_peer_id *peer, uint8_t *data, size_t capacity)
{
    static const struct haul_envelope_kind kind = { "libp2p-peer-record", { 3, 1 } };
    uint8_t payload[256];
    struct haul_out inner = haul_out_to(payload, sizeof payload);
    struct haul_out out = haul_out_to(data, capacity);

    if (peer != NULL)
        haul_field_write_bytes(&inner, 1, peer->bytes, peer->length);
    haul_field_write_value(&inner, 2, 7);
    haul_envelope_seal(&key, &kind, payload, (size_t)(inner.at - payload), &out);
    CU_ASSERT_FALSE(out.bad);
    return (size_t)(out.at - data);
}

static void a_record_that_names_another_peer_or_none_is_refused(void)
{
    static const uint8_t seed[32] = { 9 };
    struct haul_peer_record record;
    struct haul_key other;
    uint8_t data[512];

    prepare();
    haul_key_from_seed(&other, seed);
    CU_ASSERT_TRUE(haul_peer_record_open(data, record_naming(&key.id, data, sizeof data), &record));
    CU_ASSERT_EQUAL(record.sequence, 7);
    CU_ASSERT_FALSE(
        haul_peer_record_open(data, record_naming(&other.id, data, sizeof data), &record));
    CU_ASSERT_FALSE(haul_peer_record_open(data, record_naming(NULL, data, sizeof data), &record));
}

static void an_envelope_of_another_kind_proves_nothing(void)
{
    static const struct haul_envelope_kind voucher = { "libp2p-relay-rsvp", { 3, 2 } };
    static const struct haul_envelope_kind other_domain = { "libp2p-other", { 3, 1 } };
    static const struct haul_envelope_kind record = { "libp2p-peer-record", { 3, 1 } };
    struct haul_envelope envelope;
    uint8_t data[256];
    struct haul_out out = haul_out_to(data, sizeof data);
    size_t bytes;

    prepare();
    haul_envelope_seal(&key, &voucher, (const uint8_t *)"payload", 7, &out);
    bytes = (size_t)(out.at - data);
    CU_ASSERT_FALSE(out.bad);
    CU_ASSERT_TRUE(haul_envelope_open(data, bytes, &voucher, &envelope));
    CU_ASSERT_EQUAL(envelope.payload_bytes, 7);
    CU_ASSERT_FALSE(haul_envelope_open(data, bytes, &record, &envelope));
    CU_ASSERT_TRUE(haul_envelope_open(vector, vector_bytes, &record, &envelope));
    CU_ASSERT_FALSE(haul_envelope_open(vector, vector_bytes, &other_domain, &envelope));
}

static void what_does_not_fit_is_said_and_what_is_too_long_is_not_read(void)
{
    static const struct haul_envelope_kind kind = { "test", { 1, 1 } };
    static uint8_t payload[HAUL_ENVELOPE_PAYLOAD_MAX + 1];
    static uint8_t data[2 * HAUL_ENVELOPE_BYTES_MAX];
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_envelope envelope;
    size_t bytes;

    prepare();
    haul_envelope_seal(&key, &kind, payload, sizeof payload, &out);
    CU_ASSERT_TRUE(out.bad);
    out = haul_out_to(data, 100);
    haul_envelope_seal(&key, &kind, payload, 100, &out);
    CU_ASSERT_TRUE(out.bad);
    out = haul_out_to(data, sizeof data);
    haul_envelope_seal(&key, &kind, payload, HAUL_ENVELOPE_PAYLOAD_MAX, &out);
    CU_ASSERT_FALSE(out.bad);
    bytes = (size_t)(out.at - data);
    CU_ASSERT_TRUE(haul_envelope_open(data, bytes, &kind, &envelope));
    /* A field that nobody knows makes it longer than any envelope may be. */
    haul_field_write_bytes(&out, 15, payload, 200);
    CU_ASSERT_FALSE(haul_envelope_open(data, (size_t)(out.at - data), &kind, &envelope));
}

static void addresses_beyond_the_limit_are_passed_over(void)
{
    struct haul_multiaddr addresses[HAUL_PEER_RECORD_ADDRESSES_MAX + 3];
    struct haul_peer_record record;
    uint8_t data[2048];
    struct haul_out out = haul_out_to(data, sizeof data);

    prepare();
    for (size_t i = 0; i < HAUL_COUNT_OF(addresses); i++)
        CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse("/ip4/192.0.2.1/tcp/4001", &addresses[i]));
    haul_peer_record_seal(&key, 1, addresses, HAUL_COUNT_OF(addresses), &out);
    CU_ASSERT_FALSE(out.bad);
    CU_ASSERT_TRUE(haul_peer_record_open(data, (size_t)(out.at - data), &record));
    CU_ASSERT_EQUAL(record.address_count, HAUL_PEER_RECORD_ADDRESSES_MAX);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "the record of another implementation is read",
          the_record_of_another_implementation_is_read },
        { "ours is byte for byte the same", ours_is_byte_for_byte_the_same },
        { "no prefix and no changed bit is believed", no_prefix_and_no_changed_bit_is_believed },
        { "a record that names another peer or none is refused",
          a_record_that_names_another_peer_or_none_is_refused },
        { "an envelope of another kind proves nothing",
          an_envelope_of_another_kind_proves_nothing },
        { "what does not fit is said and what is too long is not read",
          what_does_not_fit_is_said_and_what_is_too_long_is_not_read },
        { "addresses beyond the limit are passed over",
          addresses_beyond_the_limit_are_passed_over },
    };

    return unit_main("peer_record", tests, HAUL_COUNT_OF(tests));
}
