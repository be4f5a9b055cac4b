/* Messages of peers on one link, and a node among neighbours that lie. */
#include "controlplane/nat/neighbours.h"
#include "controlplane/p2p/nat/mdns.h"
#include "tests/unit/unit.h"

#include <string.h>

static const char name[HAUL_MDNS_NAME_BYTES] = "abcdefghijklmnopqrstuvwxyz012345";
static const struct haul_peer_id peer = { .length = 38,
                                          .bytes = { 0x00, 0x24, 0x08, 0x01, 0x12, 0x20, 7 } };

static struct haul_multiaddr address_of(const char *text)
{
    struct haul_multiaddr address;

    memset(&address, 0, sizeof address);
    CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse(text, &address));
    return address;
}

static size_t answer_make(uint8_t data[HAUL_MDNS_SENT_MAX], size_t count)
{
    struct haul_multiaddr list[32];
    struct haul_out out = haul_out_to(data, HAUL_MDNS_SENT_MAX);

    for (size_t i = 0; i < count; i++) {
        list[i] = address_of("/ip4/10.0.0.1/tcp/4501");
        list[i].bytes[4] = (uint8_t)i;
    }
    haul_mdns_write_answer(&out, name, &peer, list, count);
    CU_ASSERT_FALSE_FATAL(out.bad);
    return (size_t)(out.at - data);
}

static void a_question_and_an_answer_come_back_as_they_were_written(void)
{
    static struct haul_mdns_message message;
    uint8_t data[HAUL_MDNS_SENT_MAX];
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_peer_id named;
    size_t bytes;

    haul_mdns_write_question(&out);
    bytes = (size_t)(out.at - data);
    CU_ASSERT_TRUE(haul_mdns_decode(data, bytes, &message));
    CU_ASSERT_TRUE(message.asks);
    CU_ASSERT_EQUAL(message.address_count, 0);
    for (size_t cut = 0; cut < bytes; cut++)
        CU_ASSERT_FALSE(haul_mdns_decode(data, cut, &message));
    bytes = answer_make(data, 2);
    CU_ASSERT_TRUE(haul_mdns_decode(data, bytes, &message));
    CU_ASSERT_FALSE(message.asks);
    CU_ASSERT_EQUAL_FATAL(message.address_count, 2);
    CU_ASSERT_TRUE(haul_multiaddr_peer(&message.addresses[1], &named));
    CU_ASSERT_TRUE(haul_peer_id_equal(&named, &peer));
    for (size_t cut = 0; cut < bytes; cut++)
        CU_ASSERT_FALSE(haul_mdns_decode(data, cut, &message));
}

static void an_answer_fits_whatever_is_told(void)
{
    static struct haul_mdns_message message;
    uint8_t data[HAUL_MDNS_SENT_MAX];
    size_t bytes = answer_make(data, 32);

    CU_ASSERT_TRUE(bytes <= HAUL_MDNS_SENT_MAX);
    CU_ASSERT_TRUE(haul_mdns_decode(data, bytes, &message));
    CU_ASSERT_TRUE(message.address_count > 8 && message.address_count <= HAUL_MDNS_ADDRESSES_MAX);
}

static void questions_for_other_things_are_not_ours(void)
{
    static struct haul_mdns_message message;
    uint8_t data[HAUL_MDNS_SENT_MAX];
    struct haul_out out = haul_out_to(data, sizeof data);
    size_t bytes;

    haul_mdns_write_question(&out);
    bytes = (size_t)(out.at - data);
    data[13] = '_';
    data[14] = 'P'; /* capitals make no difference */
    CU_ASSERT_TRUE(haul_mdns_decode(data, bytes, &message));
    CU_ASSERT_TRUE(message.asks);
    data[15] = 'q';
    CU_ASSERT_TRUE(haul_mdns_decode(data, bytes, &message));
    CU_ASSERT_FALSE(message.asks);
}

/* A header, one question, and a name of the test's own. */
static bool named(const uint8_t *what, size_t bytes)
{
    static struct haul_mdns_message message;
    uint8_t data[512] = { 0, 0, 0, 0, 0, 1 };

    memcpy(data + 12, what, bytes);
    return haul_mdns_decode(data, 12 + bytes + 4, &message);
}

static void names_go_backwards_and_come_to_an_end(void)
{
    static const uint8_t itself[] = { 0xc0, 12 };
    static const uint8_t forwards[] = { 0xc0, 14, 0 };
    static const uint8_t header[] = { 0xc0, 0 };
    static const uint8_t reserved[] = { 0x40, 'a', 0 };
    static const uint8_t loop[] = { 1, 'a', 0xc0, 12 };
    uint8_t endless[300];

    CU_ASSERT_FALSE(named(itself, sizeof itself));
    CU_ASSERT_FALSE(named(forwards, sizeof forwards));
    CU_ASSERT_TRUE(named(header, sizeof header)); /* there lies an empty name */
    CU_ASSERT_FALSE(named(reserved, sizeof reserved));
    CU_ASSERT_FALSE(named(loop, sizeof loop));
    for (size_t i = 0; i < sizeof endless; i += 2) {
        endless[i] = 1;
        endless[i + 1] = 'a';
    }
    CU_ASSERT_FALSE(named(endless, sizeof endless));
}

static void a_message_of_many_records_is_read_to_its_limit(void)
{
    static struct haul_mdns_message message;
    static uint8_t data[HAUL_MDNS_RECEIVED_MAX] = { 0, 0, 0x84, 0, 0, 0, 0xff, 0xff };

    /* 65,535 records of the root, without data: eleven zeros each. */
    CU_ASSERT_TRUE(haul_mdns_decode(data, sizeof data, &message));
    CU_ASSERT_FALSE(haul_mdns_decode(data, 12 + 11 * HAUL_MDNS_RECORDS_MAX - 1, &message));
    CU_ASSERT_TRUE(haul_mdns_decode(data, 12 + 11 * HAUL_MDNS_RECORDS_MAX, &message));
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(a_question_and_an_answer_come_back_as_they_were_written),
        T(an_answer_fits_whatever_is_told),
        T(questions_for_other_things_are_not_ours),
        T(names_go_backwards_and_come_to_an_end),
        T(a_message_of_many_records_is_read_to_its_limit),
    };
#undef T

    return unit_main("mdns", tests, HAUL_COUNT_OF(tests));
}
