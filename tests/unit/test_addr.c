/* Socket addresses as text, and which network each is in. */
#include "common/addr.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

static void addresses_round_trip(void)
{
    static const char *const texts[] = {
        "192.0.2.1:4501",
        "0.0.0.0:0",
        "255.255.255.255:65535",
        "[2001:db8::1]:4501",
        "[::]:0",
        "[fe80::1%3]:4501",
        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535",
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(texts); i++) {
        char text[HAUL_ADDR_TEXT_BYTES];
        struct haul_addr addr, again;

        CU_ASSERT_TRUE_FATAL(haul_addr_parse(texts[i], &addr));
        haul_addr_print(&addr, text);
        CU_ASSERT_STRING_EQUAL(text, texts[i]);
        CU_ASSERT_TRUE(haul_addr_parse(text, &again));
        CU_ASSERT_TRUE(haul_addr_equal(&addr, &again));
    }
}

static void other_text_is_refused(void)
{
    static const char *const texts[] = {
        "",
        ":",
        ":1",
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:65536",
        "192.0.2.1:+1",
        "192.0.2.1: 1",
        "192.0.2.1:01",
        "192.0.2.1:1 ",
        "192.0.2:1",
        "192.0.2.256:1",
        "localhost:1",
        "2001:db8::1:1",
        "[2001:db8::1]",
        "[2001:db8::1]1",
        "[2001:db8::1:1",
        "[]:1",
        "[fe80::1%0]:1",
        "[fe80::1%]:1",
        "[fe80::1%eth0]:1",
        "[192.0.2.1]:1",
        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%00000000000000000000001]:65535",
    };
    struct haul_addr addr;

    for (size_t i = 0; i < HAUL_COUNT_OF(texts); i++)
        CU_ASSERT_FALSE(haul_addr_parse(texts[i], &addr));
}

static void scopes_follow_the_registries(void)
{
    static const struct {
        const char *text;
        enum haul_addr_scope scope;
    } cases[] = {
        { "0.0.0.0:1", HAUL_ADDR_SPECIAL },
        { "10.255.0.1:1", HAUL_ADDR_PRIVATE },
        { "11.0.0.1:1", HAUL_ADDR_PUBLIC },
        { "100.63.255.255:1", HAUL_ADDR_PUBLIC },
        { "100.64.0.1:1", HAUL_ADDR_PRIVATE },
        { "100.128.0.0:1", HAUL_ADDR_PUBLIC },
        { "127.1.2.3:1", HAUL_ADDR_LOOPBACK },
        { "169.254.1.1:1", HAUL_ADDR_LINK },
        { "172.15.0.1:1", HAUL_ADDR_PUBLIC },
        { "172.31.255.1:1", HAUL_ADDR_PRIVATE },
        { "172.32.0.1:1", HAUL_ADDR_PUBLIC },
        { "192.0.2.1:1", HAUL_ADDR_SPECIAL },
        { "192.168.1.1:1", HAUL_ADDR_PRIVATE },
        { "198.19.0.1:1", HAUL_ADDR_PRIVATE },
        { "203.0.113.9:1", HAUL_ADDR_SPECIAL },
        { "8.8.8.8:1", HAUL_ADDR_PUBLIC },
        { "223.255.255.255:1", HAUL_ADDR_PUBLIC },
        { "224.0.0.1:1", HAUL_ADDR_SPECIAL },
        { "255.255.255.255:1", HAUL_ADDR_SPECIAL },
        { "[::]:1", HAUL_ADDR_SPECIAL },
        { "[::1]:1", HAUL_ADDR_LOOPBACK },
        { "[::2]:1", HAUL_ADDR_SPECIAL },
        { "[::ffff:8.8.8.8]:1", HAUL_ADDR_SPECIAL },
        { "[64:ff9b::808:808]:1", HAUL_ADDR_PUBLIC },
        { "[64:ff9b:1::1]:1", HAUL_ADDR_PRIVATE },
        { "[100::1]:1", HAUL_ADDR_SPECIAL },
        { "[2001::1]:1", HAUL_ADDR_SPECIAL },
        { "[2001:db8::1]:1", HAUL_ADDR_SPECIAL },
        { "[2001:4860:4860::8888]:1", HAUL_ADDR_PUBLIC },
        { "[2002:808:808::1]:1", HAUL_ADDR_SPECIAL },
        { "[fd00::1]:1", HAUL_ADDR_PRIVATE },
        { "[fe80::1%2]:1", HAUL_ADDR_LINK },
        { "[febf::1]:1", HAUL_ADDR_LINK },
        { "[fec0::1]:1", HAUL_ADDR_SPECIAL },
        { "[ff02::1]:1", HAUL_ADDR_SPECIAL },
    };
    struct haul_addr none = { 0 };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_addr addr;

        CU_ASSERT_TRUE_FATAL(haul_addr_parse(cases[i].text, &addr));
        CU_ASSERT_EQUAL(haul_addr_scope(&addr), cases[i].scope);
        if (haul_addr_scope(&addr) != cases[i].scope)
            printf("wrong scope: %s\n", cases[i].text);
    }
    CU_ASSERT_EQUAL(haul_addr_scope(&none), HAUL_ADDR_SPECIAL);
}

static void networks_hold_their_addresses_and_no_others(void)
{
    static const struct {
        const char *network, *inside, *outside;
    } cases[] = {
        { "192.0.2.0/24", "192.0.2.255:1", "192.0.3.0:1" },
        { "0.0.0.0/0", "8.8.8.8:1", "[::1]:1" },
        { "10.0.0.0/9", "10.127.0.1:1", "10.128.0.1:1" },
        { "192.0.2.1/32", "192.0.2.1:9", "192.0.2.2:1" },
        { "2001:db8::/33", "[2001:db8:7fff::1]:1", "[2001:db8:8000::1]:1" },
        { "::1/128", "[::1]:1", "[::2]:1" },
    };
    static const char *const malformed[] = {
        "", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/24", "::/129", "x/8", "10/8",
    };
    struct haul_prefix prefix;
    struct haul_addr addr;

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        CU_ASSERT_TRUE_FATAL(
            haul_prefix_parse(cases[i].network, strlen(cases[i].network), &prefix));
        CU_ASSERT_TRUE(haul_addr_parse(cases[i].inside, &addr));
        CU_ASSERT_TRUE(haul_prefix_holds(&prefix, &addr));
        CU_ASSERT_TRUE(haul_addr_parse(cases[i].outside, &addr));
        CU_ASSERT_FALSE(haul_prefix_holds(&prefix, &addr));
    }
    for (size_t i = 0; i < HAUL_COUNT_OF(malformed); i++)
        CU_ASSERT_FALSE(haul_prefix_parse(malformed[i], strlen(malformed[i]), &prefix));
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "addresses round-trip", addresses_round_trip },
        { "other text is refused", other_text_is_refused },
        { "scopes follow the registries", scopes_follow_the_registries },
        { "networks hold their addresses and no others",
          networks_hold_their_addresses_and_no_others },
    };

    return unit_main("addr", tests, HAUL_COUNT_OF(tests));
}
