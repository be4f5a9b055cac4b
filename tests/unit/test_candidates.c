/* Candidate addresses: the whole table of scopes against each other, named networks, special
 * ranges, and the limit. */
#include "controlplane/grants/candidates.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

static struct haul_addr addr_of(const char *text)
{
    struct haul_addr addr;

    haul_assert(haul_addr_parse(text, &addr));
    return addr;
}

/* Members of each kind of network; ports differ so that nothing is equal by accident. */
static const struct {
    const char *text;
    enum haul_addr_scope scope;
} members[] = {
    { "127.0.0.1:1001", HAUL_ADDR_LOOPBACK },
    { "127.255.0.9:1002", HAUL_ADDR_LOOPBACK },
    { "[::1]:1003", HAUL_ADDR_LOOPBACK },
    { "169.254.7.7:1004", HAUL_ADDR_LINK },
    { "10.1.2.3:1005", HAUL_ADDR_PRIVATE },
    { "172.16.0.1:1006", HAUL_ADDR_PRIVATE },
    { "172.31.255.254:1007", HAUL_ADDR_PRIVATE },
    { "192.168.1.1:1008", HAUL_ADDR_PRIVATE },
    { "[fd12:3456::1]:1009", HAUL_ADDR_PRIVATE },
    { "172.32.0.1:1010", HAUL_ADDR_PUBLIC },
    { "8.8.8.8:1011", HAUL_ADDR_PUBLIC },
    { "[2606:4700::1]:1012", HAUL_ADDR_PUBLIC },
    { "0.0.0.0:1013", HAUL_ADDR_SPECIAL },
    { "224.0.0.1:1014", HAUL_ADDR_SPECIAL },
    { "239.255.255.250:1015", HAUL_ADDR_SPECIAL },
    { "255.255.255.255:1016", HAUL_ADDR_SPECIAL },
    { "240.0.0.1:1017", HAUL_ADDR_SPECIAL },
    { "192.0.2.1:1018", HAUL_ADDR_SPECIAL },
    { "[::]:1019", HAUL_ADDR_SPECIAL },
    { "[ff02::1]:1020", HAUL_ADDR_SPECIAL },
    { "[ff05::1:3]:1021", HAUL_ADDR_SPECIAL },
    { "[::ffff:10.0.0.1]:1022", HAUL_ADDR_SPECIAL },
    { "[::ffff:8.8.8.8]:1023", HAUL_ADDR_SPECIAL },
    { "[2001:db8::1]:1024", HAUL_ADDR_SPECIAL },
};

static void only_the_scope_of_the_control_connection_is_allowed(void)
{
    for (size_t c = 0; c < HAUL_COUNT_OF(members); c++) {
        struct haul_candidate_rule rule = { .control = addr_of(members[c].text) };

        for (size_t i = 0; i < HAUL_COUNT_OF(members); i++) {
            struct haul_addr addr = addr_of(members[i].text);
            bool expected =
                members[i].scope == members[c].scope && members[i].scope != HAUL_ADDR_SPECIAL;

            CU_ASSERT_EQUAL(haul_addr_scope(&addr), members[i].scope);
            CU_ASSERT_EQUAL(haul_candidate_allowed(&rule, &addr), expected);
        }
    }
}

static void over_a_relay_only_public_addresses_are_allowed(void)
{
    for (size_t c = 0; c < HAUL_COUNT_OF(members); c++) {
        struct haul_candidate_rule rule = { .control = addr_of(members[c].text), .relayed = true };

        for (size_t i = 0; i < HAUL_COUNT_OF(members); i++) {
            struct haul_addr addr = addr_of(members[i].text);

            CU_ASSERT_EQUAL(haul_candidate_allowed(&rule, &addr),
                            members[i].scope == HAUL_ADDR_PUBLIC);
        }
    }
}

static void a_named_network_opens_itself_and_nothing_special(void)
{
    struct haul_network networks[3];
    struct haul_candidate_rule rule = { .control = addr_of("8.8.8.8:1"),
                                        .networks = networks,
                                        .network_count = 3 };
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        { "10.9.0.1:1", true },    { "10.10.0.1:1", false },   { "127.0.0.1:1", false },
        { "[fd00:7::1]:1", true }, { "[fd00:8::1]:1", false }, { "224.0.0.1:1", false },
        { "239.1.1.1:1", false },  { "8.8.4.4:1", true },      { "10.9.0.1:0", false },
    };

    CU_ASSERT_TRUE_FATAL(haul_network_parse("10.9.0.0/16", &networks[0]));
    CU_ASSERT_TRUE_FATAL(haul_network_parse("fd00:7::/32", &networks[1]));
    CU_ASSERT_TRUE_FATAL(haul_network_parse("224.0.0.0/4", &networks[2])); /* in vain */
    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_addr addr = addr_of(cases[i].text);

        CU_ASSERT_EQUAL(haul_candidate_allowed(&rule, &addr), cases[i].good);
    }
}

static void networks_are_parsed_strictly(void)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        { "0.0.0.0/0", true },
        { "::/0", true },
        { "10.0.0.0/8", true },
        { "10.0.0.1/32", true },
        { "10.0.0.1/31", false },
        { "10.0.0.0/33", false },
        { "fd00::/129", false },
        { "fd00::/8", true },
        { "fd00::1/64", false },
        { "10.0.0.0", false },
        { "10.0.0.0/", false },
        { "/8", false },
        { "10.0.0.0/-1", false },
        { "10.0.0.0/ 8", false },
        { "10.0.0.0/8x", false },
        { "", false },
        { "fe80::%1/64", false },
        { "10.0.0/8", false },
        { "10.0.0.0/99999999999999999999", false },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_network network;

        CU_ASSERT_EQUAL(haul_network_parse(cases[i].text, &network), cases[i].good);
    }
}

static void at_most_eight_are_looked_at_and_each_is_taken_once(void)
{
    struct haul_candidate_rule rule = { .control = addr_of("10.0.0.1:1") };
    struct haul_addr offered[12], chosen[HAUL_CANDIDATES_MAX];
    size_t dropped;

    for (size_t i = 0; i < 12; i++) {
        offered[i] = addr_of("10.0.0.2:4501");
        offered[i].port = (uint16_t)(4000 + i);
    }
    CU_ASSERT_EQUAL(haul_candidates_choose(&rule, offered, 12, chosen, &dropped), 8);
    CU_ASSERT_EQUAL(dropped, 4);
    offered[3] = offered[2];
    offered[4] = addr_of("8.8.8.8:53");
    CU_ASSERT_EQUAL(haul_candidates_choose(&rule, offered, 8, chosen, &dropped), 6);
    CU_ASSERT_EQUAL(dropped, 2);
    CU_ASSERT_EQUAL(chosen[3].port, 4005);
    CU_ASSERT_EQUAL(haul_candidates_choose(&rule, offered, 0, chosen, &dropped), 0);
}

static void a_link_local_address_takes_our_interface(void)
{
    struct haul_candidate_rule rule = { .control = addr_of("[fe80::1%3]:1") };
    struct haul_addr offered = addr_of("[fe80::2%9]:4501"), chosen[HAUL_CANDIDATES_MAX];
    size_t dropped;

    CU_ASSERT_EQUAL(haul_candidates_choose(&rule, &offered, 1, chosen, &dropped), 1);
    CU_ASSERT_EQUAL(chosen[0].scope, 3);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "only the scope of the control connection is allowed",
          only_the_scope_of_the_control_connection_is_allowed },
        { "over a relay only public addresses are allowed",
          over_a_relay_only_public_addresses_are_allowed },
        { "a named network opens itself and nothing special",
          a_named_network_opens_itself_and_nothing_special },
        { "networks are parsed strictly", networks_are_parsed_strictly },
        { "at most eight are looked at and each is taken once",
          at_most_eight_are_looked_at_and_each_is_taken_once },
        { "a link-local address takes our interface", a_link_local_address_takes_our_interface },
    };

    return unit_main("candidates", tests, HAUL_COUNT_OF(tests));
}
