/* Hosts that meet over Noise or TLS, whatever each prefers, hosts of private networks, and peers
 * that speak what nobody here does. */
#include "controlplane/p2p/psk.h"
#include "controlplane/p2p/secure.h"
#include "tests/unit/host_rig.h"

static const struct haul_protocol protocols[] = {
    { .behaviour = &haul_identify_behaviour },
    { .behaviour = &haul_identify_push_behaviour },
    { .behaviour = &haul_ping_behaviour },
    { 0 },
};

static bool agents_known(void)
{
    struct haul_connection_facts facts[2];

    return haul_host_facts(a.host, a.connection, &facts[0]) &&
           haul_host_facts(b.host, b.connection, &facts[1]) && facts[0].agent[0] != 0 &&
           facts[1].agent[0] != 0;
}

/* The dial offers one alone, so that it need not wait; refused, it dials again with the other. */
static void a_dial_finds_the_security_that_the_peer_speaks(void)
{
    for (unsigned i = 0; i < 8; i++) {
        struct haul_connection_facts facts;

        pair_prepare(protocols);
        a.conf.security_count = 2;
        a.conf.securities[0] = i & 1 ? HAUL_SECURITY_TLS : HAUL_SECURITY_NOISE;
        a.conf.securities[1] = i & 1 ? HAUL_SECURITY_NOISE : HAUL_SECURITY_TLS;
        b.conf.security_count = i & 2 ? 2 : 1;
        b.conf.securities[0] = i & 4 ? HAUL_SECURITY_TLS : HAUL_SECURITY_NOISE;
        b.conf.securities[1] = i & 4 ? HAUL_SECURITY_NOISE : HAUL_SECURITY_TLS;
        pair_start();
        CU_ASSERT_TRUE_FATAL(pair_connect());
        CU_ASSERT_TRUE(pair_run(agents_known, 20 * HAUL_SECOND));
        CU_ASSERT_TRUE(haul_host_facts(a.host, a.connection, &facts));
        CU_ASSERT_EQUAL(facts.security, i & 2 ? a.conf.securities[0] : b.conf.securities[0]);
        pair_finish();
    }
}

static void a_dial_with_no_security_in_common_ends(void)
{
    pair_prepare(protocols);
    a.conf.security_count = b.conf.security_count = 1;
    a.conf.securities[0] = HAUL_SECURITY_TLS;
    b.conf.securities[0] = HAUL_SECURITY_NOISE;
    pair_start();
    CU_ASSERT_FALSE(pair_connect());
    CU_ASSERT_EQUAL(a.failures, 1);
    CU_ASSERT_EQUAL(haul_host_counters(a.host)->dialled, 1);
    pair_finish();
}

static void members_of_a_private_network_meet_and_strangers_do_not(void)
{
    static const struct haul_psk keys[2] = { { { 1 } }, { { 2 } } };
    static const struct haul_psk *const pairs[][2] = {
        { &keys[0], &keys[0] }, { &keys[0], &keys[1] }, { &keys[0], NULL }, { NULL, &keys[0] }
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(pairs); i++) {
        pair_prepare(protocols);
        a.conf.psk = pairs[i][0];
        b.conf.psk = pairs[i][1];
        pair_start();
        CU_ASSERT_EQUAL(pair_connect(), i == 0);
        if (i == 0)
            CU_ASSERT_TRUE(pair_run(agents_known, 20 * HAUL_SECOND));
        if (i != 0 && a.conf.psk != NULL) {
            CU_ASSERT_EQUAL(a.error.code, HAUL_E_PEER_NETWORK);
            CU_ASSERT_EQUAL(haul_host_counters(a.host)->foreign_network, 1);
        }
        CU_ASSERT_EQUAL(a.connected + b.connected, i == 0 ? 2 : 0);
        pair_finish();
    }
}

/* --- protocols of others --- */

#define QUESTIONS 200u /* in a row, from one peer */

static uint32_t foreign_closed, foreign_refused, foreign_heard;

/* DISCOVER of rendezvous with a cookie, or a subscription without end: whatever is behind the name.
 */
static void foreign_opened(struct haul_stream *stream, void *argument)
{
    static const uint8_t message[600] = { 0xd6, 0x04, 0x08, 0x04, 0x32, 0xd0, 0x04 };

    (void)argument;
    CU_ASSERT_TRUE(haul_stream_send(stream, message, sizeof message));
}

static size_t foreign_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    (void)stream;
    (void)data;
    foreign_heard++;
    return bytes;
}

static void foreign_over(struct haul_stream *stream, enum haul_stream_end end)
{
    (void)stream;
    foreign_closed++;
    /* RESET: too many of them were under way at once */
    foreign_refused += end == HAUL_STREAM_REFUSED || end == HAUL_STREAM_RESET;
}

#define FOREIGN(text)                                                                              \
    {                                                                                              \
        .protocol = (text), .opened = foreign_opened, .input = foreign_input,                      \
        .closed = foreign_over                                                                     \
    }
static const struct haul_behaviour foreign[] = { FOREIGN("/rendezvous/1.0.0"),
                                                 FOREIGN("/meshsub/1.1.0"),
                                                 FOREIGN("/floodsub/1.0.0") };

static bool foreign_all_closed(void)
{
    return foreign_closed == QUESTIONS;
}

static bool foreign_one_more_closed(void)
{
    return foreign_closed == QUESTIONS + 1;
}

static bool no_streams_left(void)
{
    struct haul_host_usage usage;

    haul_host_usage(b.host, &usage);
    return usage.inbound_streams == 0 && usage.held_bytes == 0;
}

/* A node without rendezvous and pubsub keeps no cookie and no subscription: there is nothing that
 * could grow. */
static void what_nobody_here_speaks_is_refused_and_leaves_nothing(void)
{
    static const struct haul_protocol theirs[] = {
        { .behaviour = &haul_identify_behaviour },
        { .behaviour = &haul_identify_push_behaviour },
        { .behaviour = &haul_ping_behaviour },
        { .behaviour = &foreign[0] },
        { .behaviour = &foreign[1] },
        { .behaviour = &foreign[2] },
        { 0 },
    };

    uint64_t refused;

    foreign_closed = foreign_refused = foreign_heard = 0;
    pair_prepare(protocols);
    a.conf.protocols = theirs;
    pair_start();
    CU_ASSERT_TRUE_FATAL(pair_connect());
    CU_ASSERT_TRUE_FATAL(pair_run(agents_known, 20 * HAUL_SECOND));
    for (uint32_t i = 0; i < QUESTIONS; i++) {
        const struct haul_behaviour *by = &foreign[i % HAUL_COUNT_OF(foreign)];
        struct haul_stream *stream;

        CU_ASSERT_FALSE(haul_host_speaks(a.host, a.connection, by));
        while ((stream = haul_host_stream(a.host, a.connection, by, NULL)) == NULL &&
               foreign_closed < i)
            (void)pair_run(NULL, HAUL_MILLISECOND);
        CU_ASSERT_PTR_NOT_NULL_FATAL(stream);
    }
    CU_ASSERT_TRUE(pair_run(foreign_all_closed, 20 * HAUL_SECOND));
    CU_ASSERT_EQUAL(foreign_refused, QUESTIONS);
    CU_ASSERT_EQUAL(foreign_heard, 0);
    CU_ASSERT_TRUE(pair_run(no_streams_left, 20 * HAUL_SECOND));
    CU_ASSERT_EQUAL(b.disconnected, 0);
    refused = haul_host_unspoken(b.host)->count;
    CU_ASSERT(refused > 0 && refused <= QUESTIONS);
    CU_ASSERT_PTR_NOT_NULL(haul_host_stream(a.host, a.connection, &foreign[1], NULL));
    CU_ASSERT_TRUE(pair_run(foreign_one_more_closed, 20 * HAUL_SECOND));
    CU_ASSERT_EQUAL(haul_host_unspoken(b.host)->count, refused + 1);
    CU_ASSERT_STRING_EQUAL(haul_host_unspoken(b.host)->last, "/meshsub/1.1.0");
    CU_ASSERT_EQUAL(haul_host_unspoken(a.host)->count, 0);
    pair_finish();
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a dial finds the security that the peer speaks",
          a_dial_finds_the_security_that_the_peer_speaks },
        { "a dial with no security in common ends", a_dial_with_no_security_in_common_ends },
        { "members of a private network meet and strangers do not",
          members_of_a_private_network_meet_and_strangers_do_not },
        { "what nobody here speaks is refused, and leaves nothing",
          what_nobody_here_speaks_is_refused_and_leaves_nothing },
    };

    return unit_main("host_security", tests, HAUL_COUNT_OF(tests));
}
