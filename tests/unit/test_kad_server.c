/* What a DHT node answers and what it refuses. The advisories about DHT servers are tests here:
 * records of other peers, keys that nobody validates, oversized requests, answers beyond 16 KiB. */
#include "controlplane/p2p/kad/server.h"

#include "controlplane/p2p/fields.h"
#include "controlplane/p2p/key.h"
#include "tests/unit/hex.h"
#include "tests/unit/kad_rig.h"
#include "tests/unit/unit.h"

#include <stdio.h>

#define HOUR (3600 * HAUL_SECOND)

static struct haul_kad_server server;
static struct haul_kad_table table;
static struct haul_kad_entry entries[400];
static struct haul_kad_providers providers;
static struct haul_kad_provider provider_entries[64];
static uint32_t provider_chains[16], book_chains[64];
static struct haul_kad_records records;
static struct haul_kad_value values[4];
static struct haul_address_book book;
static struct haul_address_book_entry book_entries[512];

static uint8_t request[HAUL_KAD_REQUEST_BYTES_MAX + 64];
static struct haul_out asking;
static uint8_t answer[HAUL_KAD_SENT_BYTES_MAX];
static struct haul_kad_message answered;
static struct haul_kad_asker asker;

static struct haul_multiaddr address(const char *text)
{
    struct haul_multiaddr made;

    haul_assert(haul_multiaddr_parse(text, &made));
    return made;
}

static void rig_init(void)
{
    const struct haul_kad_table_limits limits = { 0 };
    struct haul_kad_contact own = kad_rig_contact(0);

    haul_kad_table_init(&table, &own.key, entries, HAUL_COUNT_OF(entries), &limits);
    haul_kad_providers_init(&providers, &own.key, provider_entries, 64, provider_chains, 16);
    haul_kad_records_init(&records, &own.key, values, HAUL_COUNT_OF(values));
    haul_address_book_init(&book, book_entries, HAUL_COUNT_OF(book_entries), book_chains, 64);
    server = (struct haul_kad_server){ .table = &table,
                                       .providers = &providers,
                                       .records = &records,
                                       .book = &book,
                                       .own = own.id,
                                       .floor = HAUL_ADDR_LOOPBACK };
    asker = (struct haul_kad_asker){ .id = kad_rig_peer(7000), .scope = HAUL_ADDR_PUBLIC };
    haul_kad_key_of_peer(&asker.id, &asker.key);
    asking = haul_out_to(request, sizeof request);
}

static void know(uint64_t count, const char *const *texts, size_t text_count)
{
    struct haul_multiaddr addresses[16];

    for (size_t i = 0; i < text_count; i++)
        addresses[i] = address(texts[i]);
    for (uint64_t n = 1; n <= count; n++) {
        struct haul_kad_contact contact = kad_rig_contact(n);

        if (haul_kad_table_answered(&table, &contact, 1))
            haul_address_book_tell(&book, &contact.id, addresses, text_count, 0, HOUR);
    }
}

static enum haul_kad_verdict ask(void)
{
    struct haul_out out = haul_out_to(answer, sizeof answer);
    enum haul_kad_verdict verdict =
        haul_kad_serve(&server, &asker, request, (size_t)(asking.at - request), HAUL_SECOND, &out);

    CU_ASSERT_FALSE(asking.bad);
    CU_ASSERT_FALSE(out.bad);
    CU_ASSERT_EQUAL(out.at == answer, verdict != HAUL_KAD_ANSWER);
    if (verdict == HAUL_KAD_ANSWER)
        CU_ASSERT_TRUE(haul_kad_message_decode(answer, (size_t)(out.at - answer), &answered));
    asking = haul_out_to(request, sizeof request);
    return verdict;
}

static unsigned count_of(enum haul_kad_list list)
{
    struct haul_kad_peers peers = haul_kad_peers_of(&answered, list);
    struct haul_kad_peer peer;
    unsigned count = 0;

    while (haul_kad_peers_next(&peers, &peer)) {
        struct haul_multiaddr addresses[16];

        CU_ASSERT_FALSE(haul_peer_id_equal(&peer.id, &asker.id));
        CU_ASSERT(list == HAUL_KAD_PROVIDERS || haul_kad_peer_addresses(&peer, addresses, 16) > 0);
        count++;
    }
    return count;
}

static const char *const public_address[] = { "/ip4/8.8.8.8/tcp/4001" };

static void find_node_tells_twenty_and_never_the_asker(void)
{
    struct haul_kad_contact own;

    rig_init();
    know(300, public_address, 1);
    asker.id = kad_rig_peer(5);
    haul_kad_contact_of(&asker.id, 0, &own);
    asker.key = own.key;
    haul_kad_write(&asking, HAUL_KAD_FIND_NODE, asker.id.bytes, asker.id.length);
    CU_ASSERT_EQUAL(ask(), HAUL_KAD_ANSWER);
    CU_ASSERT_EQUAL(count_of(HAUL_KAD_CLOSER), 20);
}

static void a_peer_that_serves_nobody_is_found_by_its_id(void)
{
    struct haul_peer_id wanted = kad_rig_peer(9000);
    struct haul_multiaddr at = address("/ip4/8.8.4.4/tcp/1");
    struct haul_kad_peers peers;
    struct haul_kad_peer first;

    rig_init();
    know(300, public_address, 1);
    haul_address_book_tell(&book, &wanted, &at, 1, 0, HOUR);
    haul_kad_write(&asking, HAUL_KAD_FIND_NODE, wanted.bytes, wanted.length);
    CU_ASSERT_EQUAL(ask(), HAUL_KAD_ANSWER);
    peers = haul_kad_peers_of(&answered, HAUL_KAD_CLOSER);
    CU_ASSERT_TRUE(haul_kad_peers_next(&peers, &first));
    CU_ASSERT_TRUE(haul_peer_id_equal(&first.id, &wanted));
}

static void an_answer_stays_below_16_kib(void)
{
    static char texts[16][200];
    const char *list[16];

    for (size_t i = 0; i < 16; i++) {
        snprintf(texts[i], sizeof texts[i], "/dns4/%063zu.%063d.example.com/tcp/4001", i, 0);
        list[i] = texts[i];
    }
    rig_init();
    know(300, list, 16);
    haul_kad_write(&asking, HAUL_KAD_FIND_NODE, "x", 1);
    CU_ASSERT_EQUAL(ask(), HAUL_KAD_ANSWER);
    CU_ASSERT_EQUAL(count_of(HAUL_KAD_CLOSER), 20);
}

static void private_addresses_are_not_told_to_the_public(void)
{
    static const char *const both[] = { "/ip4/192.168.0.1/tcp/1", "/ip4/8.8.8.8/tcp/1",
                                        "/ip4/127.0.0.1/tcp/1" };
    static const struct {
        enum haul_addr_scope asker, floor;
        size_t told;
    } cases[] = { { HAUL_ADDR_PUBLIC, HAUL_ADDR_LOOPBACK, 1 },
                  { HAUL_ADDR_PRIVATE, HAUL_ADDR_LOOPBACK, 2 },
                  { HAUL_ADDR_LOOPBACK, HAUL_ADDR_LOOPBACK, 3 },
                  { HAUL_ADDR_LOOPBACK, HAUL_ADDR_PUBLIC, 1 } };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_multiaddr addresses[8];
        struct haul_kad_peers peers;
        struct haul_kad_peer peer;

        rig_init();
        know(1, both, 3);
        asker.scope = cases[i].asker;
        server.floor = cases[i].floor;
        haul_kad_write(&asking, HAUL_KAD_FIND_NODE, "x", 1);
        CU_ASSERT_EQUAL(ask(), HAUL_KAD_ANSWER);
        peers = haul_kad_peers_of(&answered, HAUL_KAD_CLOSER);
        CU_ASSERT_TRUE_FATAL(haul_kad_peers_next(&peers, &peer));
        CU_ASSERT_EQUAL(haul_kad_peer_addresses(&peer, addresses, 8), cases[i].told);
    }
}

static void provide(const struct haul_peer_id *who, const char *const *texts, size_t count)
{
    struct haul_multiaddr addresses[8];

    for (size_t i = 0; i < count; i++)
        addresses[i] = address(texts[i]);
    haul_kad_write(&asking, HAUL_KAD_ADD_PROVIDER, "content", 7);
    CU_ASSERT_TRUE(haul_kad_write_peer(&asking, HAUL_KAD_PROVIDERS, who, addresses, count,
                                       HAUL_KAD_CAN_CONNECT));
    CU_ASSERT_EQUAL(ask(), HAUL_KAD_SILENCE);
}

static unsigned provided(void)
{
    haul_kad_write(&asking, HAUL_KAD_GET_PROVIDERS, "content", 7);
    CU_ASSERT_EQUAL(ask(), HAUL_KAD_ANSWER);
    return count_of(HAUL_KAD_PROVIDERS);
}

static void a_provider_is_kept_and_told(void)
{
    rig_init();
    provide(&asker.id, public_address, 1);
    asker.id = kad_rig_peer(7001); /* somebody else asks */
    CU_ASSERT_EQUAL(provided(), 1);
    CU_ASSERT_EQUAL(server.counters.served_add_provider, 1);
}

static void a_provider_announced_by_somebody_else_is_refused(void)
{
    struct haul_peer_id victim = kad_rig_peer(8000);

    rig_init();
    provide(&victim, public_address, 1);
    CU_ASSERT_EQUAL(provided(), 0);
    CU_ASSERT_EQUAL(book.count, 0);
    CU_ASSERT_EQUAL(server.counters.refused_providers, 1);
}

static void a_provider_without_an_address_that_concerns_us_is_refused(void)
{
    static const char *const useless[] = { "/ip4/10.0.0.1/tcp/1", "/ip4/224.0.0.1/tcp/1" };

    rig_init();
    provide(&asker.id, NULL, 0);
    provide(&asker.id, useless, 2);
    CU_ASSERT_EQUAL(provided(), 0);
    CU_ASSERT_EQUAL(server.counters.refused_providers, 2);
}

static void keys_that_are_empty_or_longer_than_80_are_refused(void)
{
    static const uint8_t key[81];

    for (int type = HAUL_KAD_PUT_VALUE; type <= HAUL_KAD_FIND_NODE; type++) {
        rig_init();
        haul_kad_write(&asking, (enum haul_kad_type)type, key, 0);
        CU_ASSERT_EQUAL(ask(), HAUL_KAD_REFUSAL);
        haul_kad_write(&asking, (enum haul_kad_type)type, key, 81);
        CU_ASSERT_EQUAL(ask(), HAUL_KAD_REFUSAL);
        CU_ASSERT_EQUAL(server.counters.refused_requests, 2);
    }
}

static void an_oversized_request_is_refused(void)
{
    static const uint8_t much[HAUL_KAD_REQUEST_BYTES_MAX];

    rig_init();
    haul_kad_write(&asking, HAUL_KAD_FIND_NODE, "x", 1);
    haul_field_write_bytes(&asking, 99, much, sizeof much);
    CU_ASSERT_EQUAL(ask(), HAUL_KAD_REFUSAL);
}

static size_t pk_key(const struct haul_peer_id *id, uint8_t key[64])
{
    memcpy(key, "/pk/", 4);
    memcpy(key + 4, id->bytes, id->length);
    return 4u + id->length;
}

static void put(const uint8_t *key, size_t key_bytes, const uint8_t *record_key,
                const uint8_t *value, size_t value_bytes)
{
    const struct haul_kad_record record = {
        .key = record_key, .key_bytes = key_bytes, .value = value, .value_bytes = value_bytes
    };

    haul_kad_write(&asking, HAUL_KAD_PUT_VALUE, key, key_bytes);
    haul_kad_write_record(&asking, &record);
}

static void a_public_key_is_kept_under_its_own_name_alone(void)
{
    static uint8_t secp[37], ed[36];
    struct haul_peer_id id, other = kad_rig_peer(1);
    uint8_t key[64], other_key[64];
    size_t key_bytes, other_bytes;

    rig_init();
    unit_hex("08021221037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99", secp,
             sizeof secp);
    unit_hex("080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e", ed,
             sizeof ed);
    CU_ASSERT_TRUE(haul_key_peer_id(secp, sizeof secp, &id));
    key_bytes = pk_key(&id, key);
    other_bytes = pk_key(&other, other_key);
    put(other_key, other_bytes, other_key, ed, sizeof ed); /* not its key */
    CU_ASSERT_EQUAL(ask(), HAUL_KAD_REFUSAL);
    put(key, key_bytes, other_key, secp, sizeof secp); /* the record names another */
    CU_ASSERT_EQUAL(ask(), HAUL_KAD_REFUSAL);
    put(key, key_bytes, key, secp, sizeof secp - 1);
    CU_ASSERT_EQUAL(ask(), HAUL_KAD_REFUSAL);
    asker.network = 9;
    put(key, key_bytes, key, secp, sizeof secp);
    CU_ASSERT_EQUAL(ask(), HAUL_KAD_ANSWER);
    CU_ASSERT_TRUE(haul_peer_id_equal(&values[0].from, &asker.id));
    CU_ASSERT_EQUAL(values[0].network, 9);
    haul_kad_write(&asking, HAUL_KAD_GET_VALUE, key, key_bytes);
    CU_ASSERT_EQUAL(ask(), HAUL_KAD_ANSWER);
    CU_ASSERT_TRUE_FATAL(answered.has_record);
    CU_ASSERT_EQUAL(answered.record.value_bytes, sizeof secp);
    CU_ASSERT_EQUAL(memcmp(answered.record.value, secp, sizeof secp), 0);
}

static void namespaces_that_nobody_validates_are_refused(void)
{
    static const char *const keys[] = { "/ipns/abc", "/example/data", "/v/x",   "pk/x",
                                        "/pk/",      "/pk",           "/PK/abc" };

    rig_init();
    for (size_t i = 0; i < HAUL_COUNT_OF(keys); i++) {
        put((const uint8_t *)keys[i], strlen(keys[i]), (const uint8_t *)keys[i],
            (const uint8_t *)"data", 4);
        CU_ASSERT_EQUAL(ask(), HAUL_KAD_REFUSAL);
    }
    CU_ASSERT_EQUAL(records.count, 0);
    CU_ASSERT_EQUAL(server.counters.refused_requests, HAUL_COUNT_OF(keys));
}

static void our_own_key_is_a_value_without_being_put(void)
{
    static uint8_t ed[36];
    uint8_t key[64];
    size_t key_bytes;

    rig_init();
    unit_hex("080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e", ed,
             sizeof ed);
    CU_ASSERT_TRUE(haul_key_peer_id(ed, sizeof ed, &server.own));
    server.public_key = ed;
    server.public_key_bytes = sizeof ed;
    key_bytes = pk_key(&server.own, key);
    haul_kad_write(&asking, HAUL_KAD_GET_VALUE, key, key_bytes);
    CU_ASSERT_EQUAL(ask(), HAUL_KAD_ANSWER);
    CU_ASSERT_TRUE(answered.has_record);
}

static const struct unit_test tests[] = {
    { "find node tells twenty and never the asker", find_node_tells_twenty_and_never_the_asker },
    { "a peer that serves nobody is found by its id",
      a_peer_that_serves_nobody_is_found_by_its_id },
    { "an answer stays below 16 KiB", an_answer_stays_below_16_kib },
    { "private addresses are not told to the public",
      private_addresses_are_not_told_to_the_public },
    { "a provider is kept and told", a_provider_is_kept_and_told },
    { "a provider announced by somebody else is refused",
      a_provider_announced_by_somebody_else_is_refused },
    { "a provider without an address that concerns us is refused",
      a_provider_without_an_address_that_concerns_us_is_refused },
    { "keys that are empty or longer than 80 are refused",
      keys_that_are_empty_or_longer_than_80_are_refused },
    { "an oversized request is refused", an_oversized_request_is_refused },
    { "a public key is kept under its own name alone",
      a_public_key_is_kept_under_its_own_name_alone },
    { "namespaces that nobody validates are refused",
      namespaces_that_nobody_validates_are_refused },
    { "our own key is a value without being put", our_own_key_is_a_value_without_being_put },
};

int main(void)
{
    return unit_main("kad server", tests, HAUL_COUNT_OF(tests));
}
