/* What a host tells of where it is, and dials that make a connection of their own. */
#include "controlplane/behaviours/identify.h"
#include "controlplane/host/host.h"
#include "tests/unit/host_pair.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct {
    int identified;
    size_t count;
    uint32_t speaks;
    struct haul_multiaddr last;
} heard;

static void on_identified(struct haul_host *host, void *service, uint64_t connection,
                          const struct haul_identified *identified)
{
    (void)service;
    (void)connection;
    if (host != pair.a.host)
        return;
    heard.identified++;
    heard.count = identified->address_count;
    heard.speaks = identified->speaks;
    if (heard.count > 0)
        heard.last = identified->addresses[heard.count - 1];
}

static const struct haul_behaviour hearing = { .protocol = "/test/hearing/1",
                                               .identified = on_identified };

static const struct haul_protocol spoken[] = { { .behaviour = &haul_identify_behaviour },
                                               { .behaviour = &haul_identify_push_behaviour },
                                               { .behaviour = &hearing },
                                               { 0 } };

static bool equal(const struct haul_multiaddr *a, const struct haul_multiaddr *b)
{
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

static struct haul_multiaddr address_of(const char *text)
{
    struct haul_multiaddr address = { 0 };

    CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse(text, &address));
    return address;
}

static void what_sources_find_is_told_once_beside_what_is_listened_on(void)
{
    struct haul_multiaddr told[HAUL_HOST_ADDRESSES_MAX];
    struct haul_multiaddr found[] = { address_of("/ip4/8.8.8.8/tcp/1"),
                                      address_of("/ip4/8.8.4.4/tcp/2") };

    host_pair_open(spoken, spoken);
    CU_ASSERT_EQUAL(haul_host_told(pair.a.host, told, 16), 1);
    CU_ASSERT_TRUE(equal(&told[0], &pair.a.address));
    CU_ASSERT_TRUE(haul_host_tell(pair.a.host, HAUL_TOLD_MAPPED, found, 2));
    CU_ASSERT_FALSE(haul_host_tell(pair.a.host, HAUL_TOLD_MAPPED, found, 2));
    CU_ASSERT_TRUE(haul_host_tell(pair.a.host, HAUL_TOLD_OBSERVED, &found[1], 1));
    CU_ASSERT_EQUAL(haul_host_told(pair.a.host, told, 16), 3);
    CU_ASSERT_TRUE(equal(&told[2], &found[1]));
    /* A short list keeps what was found. */
    CU_ASSERT_EQUAL(haul_host_told(pair.a.host, told, 2), 2);
    CU_ASSERT_TRUE(equal(&told[0], &found[0]));
    CU_ASSERT_TRUE(haul_host_tell(pair.a.host, HAUL_TOLD_MAPPED, NULL, 0));
    CU_ASSERT_EQUAL(haul_host_told(pair.a.host, told, 16), 2);
    host_pair_close();
}

static void a_source_tells_a_bounded_number(void)
{
    struct haul_multiaddr told[HAUL_HOST_ADDRESSES_MAX];
    struct haul_multiaddr found[HAUL_HOST_TOLD_MAX + 3];

    host_pair_open(spoken, spoken);
    for (size_t i = 0; i < HAUL_COUNT_OF(found); i++) {
        found[i] = address_of("/ip4/8.8.8.8/tcp/1");
        found[i].bytes[found[i].length - 1] = (uint8_t)(i + 1);
    }
    CU_ASSERT_TRUE(haul_host_tell(pair.a.host, HAUL_TOLD_RELAYED, found, HAUL_COUNT_OF(found)));
    CU_ASSERT_EQUAL(haul_host_told(pair.a.host, told, 16), HAUL_HOST_TOLD_MAX + 1);
    host_pair_close();
}

static void what_is_withheld_is_told_by_nobody(void)
{
    struct haul_multiaddr told[HAUL_HOST_ADDRESSES_MAX];
    struct haul_multiaddr found = address_of("/ip4/8.8.8.8/tcp/1");
    struct haul_multiaddr both[2];

    host_pair_open(spoken, spoken);
    both[0] = found;
    both[1] = pair.a.address;
    CU_ASSERT_TRUE(haul_host_tell(pair.a.host, HAUL_TOLD_OBSERVED, &found, 1));
    CU_ASSERT_TRUE(haul_host_withhold(pair.a.host, both, 2));
    CU_ASSERT_FALSE(haul_host_withhold(pair.a.host, both, 2));
    CU_ASSERT_EQUAL(haul_host_told(pair.a.host, told, 16), 0);
    CU_ASSERT_EQUAL(haul_host_addresses(pair.a.host, told, 16), 1);
    CU_ASSERT_TRUE(haul_host_withhold(pair.a.host, &found, 1));
    CU_ASSERT_EQUAL(haul_host_told(pair.a.host, told, 16), 1);
    host_pair_close();
}

static bool heard_once(void)
{
    return heard.identified > 0;
}

static void identify_tells_what_the_host_tells_and_not_what_is_hidden(void)
{
    struct haul_multiaddr found = address_of("/ip4/8.8.8.8/tcp/1");
    uint32_t bit;

    memset(&heard, 0, sizeof heard);
    host_pair_open(spoken, spoken);
    bit = haul_host_protocol_bit(pair.a.host, "/test/hearing/1", 15);
    haul_host_hide(pair.b.host, &hearing, true);
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    CU_ASSERT_TRUE_FATAL(host_pair_run(heard_once, 5 * HAUL_SECOND));
    CU_ASSERT_EQUAL(heard.count, 1);
    CU_ASSERT_EQUAL(heard.speaks & bit, 0);
    heard.identified = 0;
    haul_host_hide(pair.b.host, &hearing, false);
    CU_ASSERT_TRUE(haul_host_tell(pair.b.host, HAUL_TOLD_MAPPED, &found, 1));
    haul_identify_push(pair.b.host);
    CU_ASSERT_TRUE_FATAL(host_pair_run(heard_once, 5 * HAUL_SECOND));
    CU_ASSERT_EQUAL(heard.count, 2);
    CU_ASSERT_TRUE(equal(&heard.last, &found));
    CU_ASSERT_EQUAL(heard.speaks & bit, bit);
    host_pair_close();
}

static bool dialled_twice(void)
{
    return pair.a.dials == 2 && pair.b.connected == 2;
}

static void a_dial_anew_makes_a_connection_of_its_own(void)
{
    uint64_t first;

    host_pair_open(spoken, spoken);
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    first = pair.a.connection;
    haul_host_dial_anew(pair.a.host, &pair.b.key.id, &pair.b.address, 1, HAUL_TIME_NEVER,
                        host_pair_dialled, &pair.a);
    CU_ASSERT_TRUE_FATAL(host_pair_run(dialled_twice, 5 * HAUL_SECOND));
    CU_ASSERT_NOT_EQUAL(pair.a.connection, first);
    CU_ASSERT_NOT_EQUAL(pair.a.connection, HAUL_HOST_NO_CONNECTION);
    host_pair_close();
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(what_sources_find_is_told_once_beside_what_is_listened_on),
        T(a_source_tells_a_bounded_number),
        T(what_is_withheld_is_told_by_nobody),
        T(identify_tells_what_the_host_tells_and_not_what_is_hidden),
        T(a_dial_anew_makes_a_connection_of_its_own),
    };
#undef T

    return unit_main("told", tests, HAUL_COUNT_OF(tests));
}
