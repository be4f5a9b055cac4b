/* The example of docs/BEHAVIOURS.md, as it stands there, and what the host promises behaviours. */
#include "controlplane/behaviours/identify.h"
#include "controlplane/p2p/peer_record.h"
#include "tests/unit/host_pair.h"
#include "tests/unit/unit.h"

#include <string.h>

#include <behaviour_example.h>

static struct greeter greeters[2];

static const struct haul_protocol greeting[2][2] = {
    { { .behaviour = &greet, .service = &greeters[0] }, { 0 } },
    { { .behaviour = &greet, .service = &greeters[1] }, { 0 } },
};

static bool a_heard(void)
{
    return greeters[0].heard[0] != 0;
}

static bool b_cut_it(void)
{
    return haul_host_counters(pair.a.host)->streams_opened == 1 &&
           haul_host_counters(pair.b.host)->streams_accepted == 1 && greeters[1].greeted == 0;
}

static void the_example_greets(void)
{
    memset(greeters, 0, sizeof greeters);
    host_pair_open(greeting[0], greeting[1]);
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    CU_ASSERT_PTR_NOT_NULL(haul_host_stream(pair.a.host, pair.a.connection, &greet, "Ada"));
    CU_ASSERT_TRUE(host_pair_run(a_heard, 5 * HAUL_SECOND));
    CU_ASSERT_STRING_EQUAL(greeters[0].heard, "hello, Ada");
    CU_ASSERT_EQUAL(greeters[0].greeted, 0);
    CU_ASSERT_EQUAL(greeters[1].greeted, 1);
    host_pair_close();
}

static void the_example_refuses_a_name_that_is_too_long(void)
{
    static char name[65];

    memset(name, 'x', sizeof name - 1);
    memset(greeters, 0, sizeof greeters);
    host_pair_open(greeting[0], greeting[1]);
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    CU_ASSERT_PTR_NOT_NULL(haul_host_stream(pair.a.host, pair.a.connection, &greet, name));
    CU_ASSERT_TRUE(host_pair_run(b_cut_it, 5 * HAUL_SECOND));
    CU_ASSERT_FALSE(host_pair_run(a_heard, 50 * HAUL_MILLISECOND));
    CU_ASSERT_EQUAL(greeters[1].greeted, 0);
    host_pair_close();
}

/* --- hearing of peers --- */

static struct watch {
    int connected, identified, disconnected;
    uint64_t connection;
    uint32_t speaks;
    size_t addresses;
    bool observed, named;
    struct haul_peer_record record;
    bool recorded;
} watches[2];

static void watch_connected(struct haul_host *host, void *service, uint64_t connection)
{
    struct watch *watch = service;

    (void)host;
    watch->connected++;
    watch->connection = connection;
}

static void watch_identified(struct haul_host *host, void *service, uint64_t connection,
                             const struct haul_identified *identified)
{
    struct watch *watch = service;

    (void)host;
    watch->identified++;
    CU_ASSERT_EQUAL(connection, watch->connection);
    watch->speaks = identified->speaks;
    watch->addresses = identified->address_count;
    watch->observed = identified->observed != NULL;
    watch->named = identified->agent != NULL;
    watch->recorded =
        identified->record != NULL &&
        haul_peer_record_open(identified->record, identified->record_bytes, &watch->record);
}

static void watch_disconnected(struct haul_host *host, void *service, uint64_t connection,
                               const struct haul_peer_id *peer)
{
    struct watch *watch = service;

    (void)host;
    watch->disconnected++;
    CU_ASSERT_EQUAL(connection, watch->connection);
    CU_ASSERT_TRUE(
        haul_peer_id_equal(peer, watch == &watches[0] ? &pair.b.key.id : &pair.a.key.id));
}

static const struct haul_behaviour watching = {
    .protocol = "/test/watch/1",
    .connected = watch_connected,
    .identified = watch_identified,
    .disconnected = watch_disconnected,
};

static const struct haul_protocol watched[2][4] = {
    { { .behaviour = &haul_identify_behaviour },
      { .behaviour = &greet, .service = &greeters[0] },
      { .behaviour = &watching, .service = &watches[0] },
      { 0 } },
    { { .behaviour = &haul_identify_behaviour },
      { .behaviour = &greet, .service = &greeters[1], .name = "/private/greet/1" },
      { .behaviour = &watching, .service = &watches[1] },
      { 0 } },
};

static bool both_identified(void)
{
    return watches[0].identified > 0 && watches[1].identified > 0;
}

static bool both_disconnected(void)
{
    return watches[0].disconnected > 0 && watches[1].disconnected > 0;
}

static void watched_open(void)
{
    memset(watches, 0, sizeof watches);
    memset(greeters, 0, sizeof greeters);
    host_pair_open(watched[0], watched[1]);
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    CU_ASSERT_TRUE_FATAL(host_pair_run(both_identified, 5 * HAUL_SECOND));
}

static void a_service_hears_of_its_peers_once_each(void)
{
    watched_open();
    CU_ASSERT_EQUAL(watches[0].connected, 1);
    CU_ASSERT_TRUE(watches[0].named && watches[0].observed);
    CU_ASSERT_EQUAL(watches[0].addresses, 1);
    /* b answers identify (bit 0) and the watch (bit 2), and calls its greeting otherwise. */
    CU_ASSERT_EQUAL(watches[0].speaks, 1u << 0 | 1u << 2);
    CU_ASSERT_TRUE(haul_host_speaks(pair.a.host, pair.a.connection, &watching));
    CU_ASSERT_FALSE(haul_host_speaks(pair.a.host, pair.a.connection, &greet));
    CU_ASSERT_FALSE(haul_host_speaks(pair.a.host, pair.a.connection + 100, &watching));
    haul_host_disconnect(pair.a.host, pair.a.connection);
    CU_ASSERT_TRUE(host_pair_run(both_disconnected, 5 * HAUL_SECOND));
    host_pair_close();
    CU_ASSERT_EQUAL(watches[0].disconnected, 1);
    CU_ASSERT_EQUAL(watches[1].disconnected, 1);
}

static void identify_carries_the_signed_record_of_its_peer(void)
{
    watched_open();
    CU_ASSERT_TRUE_FATAL(watches[0].recorded);
    CU_ASSERT_TRUE(haul_peer_id_equal(&watches[0].record.peer, &pair.b.key.id));
    CU_ASSERT_EQUAL_FATAL(watches[0].record.address_count, 1);
    CU_ASSERT_EQUAL(
        memcmp(watches[0].record.addresses[0].bytes, pair.b.address.bytes, pair.b.address.length),
        0);
    CU_ASSERT(watches[0].record.sequence > 1600000000 * HAUL_SECOND); /* the time, as others do */
    host_pair_close();
}

static void a_name_of_the_list_is_spoken_instead_of_the_tables(void)
{
    watched_open();
    CU_ASSERT_PTR_NOT_NULL(haul_host_stream(pair.b.host, pair.b.connection, &greet, "Ada"));
    CU_ASSERT_FALSE(host_pair_run(a_heard, 50 * HAUL_MILLISECOND)); /* a knows no such name */
    CU_ASSERT_EQUAL(greeters[0].greeted, 0);
    CU_ASSERT_STRING_EQUAL(haul_host_protocol(pair.b.host, 1), "/private/greet/1");
    host_pair_close();
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "the example greets", the_example_greets },
        { "the example refuses a name that is too long",
          the_example_refuses_a_name_that_is_too_long },
        { "a service hears of its peers once each", a_service_hears_of_its_peers_once_each },
        { "identify carries the signed record of its peer",
          identify_carries_the_signed_record_of_its_peer },
        { "a name of the list is spoken instead of the table's",
          a_name_of_the_list_is_spoken_instead_of_the_tables },
    };

    return unit_main("behaviour", tests, HAUL_COUNT_OF(tests));
}
