/* Tickets and targets: a fixed one, round trips, every slip of the hand, and limits. */
#include "controlplane/ticket.h"
#include "tests/unit/unit.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define PEER "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
#define CID  "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"

static struct haul_ticket ticket_with(size_t addresses)
{
    struct haul_ticket ticket = { .address_count = addresses };

    haul_assert(haul_cid_parse(CID, &ticket.root) && haul_peer_id_parse(PEER, &ticket.peer));
    for (size_t i = 0; i < addresses; i++) {
        char text[64];

        snprintf(text, sizeof text, "/ip4/192.0.2.%zu/tcp/4501", i + 1);
        haul_assert(haul_multiaddr_parse(text, &ticket.addresses[i]));
    }
    return ticket;
}

static void what_is_printed_is_read_back(void)
{
    for (size_t count = 0; count <= HAUL_TICKET_ADDRESSES_MAX; count++) {
        struct haul_ticket ticket = ticket_with(count), back;
        char text[HAUL_TICKET_TEXT_BYTES];

        haul_ticket_print(&ticket, text);
        CU_ASSERT_EQUAL(strncmp(text, "haul:", 5), 0);
        CU_ASSERT_EQUAL(haul_ticket_parse(text, &back, NULL), 0);
        CU_ASSERT_TRUE(haul_cid_equal(&back.root, &ticket.root));
        CU_ASSERT_TRUE(haul_peer_id_equal(&back.peer, &ticket.peer));
        CU_ASSERT_EQUAL(back.address_count, count);
        CU_ASSERT_EQUAL(memcmp(back.addresses, ticket.addresses, sizeof back.addresses), 0);
        for (char *c = text; *c != '\0'; c++)
            *c = (char)toupper(*c);
        CU_ASSERT_EQUAL(haul_ticket_parse(text, &back, NULL), 0);
    }
}

static void version_1_stays_readable(void)
{
    struct haul_ticket ticket = ticket_with(1);
    char text[HAUL_TICKET_TEXT_BYTES];

    haul_ticket_print(&ticket, text);
    CU_ASSERT_STRING_EQUAL(
        text, "haul:aeavkeray7ibjciibbmmkaagla3mmwhyi6tmuz6eqzdbsijl4t4cadslxlhcmabebaa"
              "reia62hupvyweufclrpup2s2hx46twnfyohb4vt3acdyoilkhj7hcpyaqqbgaaabacbqrswk"
              "zttaw");
}

static void every_single_wrong_character_is_noticed(void)
{
    struct haul_ticket ticket = ticket_with(2), back;
    char text[HAUL_TICKET_TEXT_BYTES];
    struct haul_error error;
    size_t length;

    haul_ticket_print(&ticket, text);
    length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        char kept = text[i];

        text[i] = kept == 'a' ? 'b' : 'a';
        CU_ASSERT_EQUAL(haul_ticket_parse(text, &back, &error), -1);
        CU_ASSERT_EQUAL(error.code, HAUL_E_TICKET_MALFORMED);
        text[i] = kept;
    }
    for (size_t cut = 0; cut < length; cut++) {
        char kept = text[cut];

        text[cut] = '\0';
        CU_ASSERT_EQUAL(haul_ticket_parse(text, &back, &error), -1);
        text[cut] = kept;
    }
    memmove(text + 6, text + 5, length - 4); /* one character twice */
    CU_ASSERT_EQUAL(haul_ticket_parse(text, &back, &error), -1);
}

static void too_long_texts_are_refused(void)
{
    static char text[5000] = "haul:";
    struct haul_ticket back;
    struct haul_error error;

    memset(text + 5, 'a', sizeof text - 6);
    CU_ASSERT_EQUAL(haul_ticket_parse(text, &back, &error), -1);
    CU_ASSERT_EQUAL(haul_ticket_parse(text + 5, &back, &error), -1);
}

static void addresses_that_do_not_fit_are_left_out(void)
{
    struct haul_ticket ticket = ticket_with(8), back;
    char text[HAUL_TICKET_TEXT_BYTES], name[256] = "/dns4/";

    memset(name + 6, 'n', 200);
    memcpy(name + 206, "/tcp/1", 7);
    CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse(name, &ticket.addresses[1]));
    haul_ticket_print(&ticket, text);
    CU_ASSERT_EQUAL(haul_ticket_parse(text, &back, NULL), 0);
    CU_ASSERT_EQUAL(back.address_count, 2);
}

static void a_target_is_split_at_the_first_slash(void)
{
    struct haul_ticket ticket = ticket_with(1);
    char text[HAUL_TICKET_TEXT_BYTES + 32];
    struct haul_target target;

    CU_ASSERT_EQUAL(haul_target_parse(CID, &target, NULL), 0);
    CU_ASSERT_FALSE(target.has_ticket);
    CU_ASSERT_STRING_EQUAL(target.path, "");
    CU_ASSERT_EQUAL(haul_target_parse(CID "/a/b", &target, NULL), 0);
    CU_ASSERT_STRING_EQUAL(target.path, "a/b");
    CU_ASSERT_TRUE(haul_cid_equal(&target.root, &ticket.root));
    haul_ticket_print(&ticket, text);
    CU_ASSERT_EQUAL(haul_target_parse(text, &target, NULL), 0);
    CU_ASSERT_TRUE(target.has_ticket);
    CU_ASSERT_STRING_EQUAL(target.path, "");
    memcpy(text + strlen(text), "/dir/file", 10);
    CU_ASSERT_EQUAL(haul_target_parse(text, &target, NULL), 0);
    CU_ASSERT_STRING_EQUAL(target.path, "dir/file");
    CU_ASSERT_TRUE(haul_cid_equal(&target.root, &ticket.root));
    CU_ASSERT_EQUAL(target.ticket.address_count, 1);
}

static void a_target_that_is_neither_is_named(void)
{
    static const struct {
        const char *text;
        enum haul_error_code code;
    } cases[] = {
        { "", HAUL_E_CID_MALFORMED },
        { "/", HAUL_E_CID_MALFORMED },
        { "nonsense", HAUL_E_CID_MALFORMED },
        { "haul:", HAUL_E_TICKET_MALFORMED },
        { "haul:abc/def", HAUL_E_TICKET_MALFORMED },
        { "HAUL:0", HAUL_E_TICKET_MALFORMED },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_target target;
        struct haul_error error;

        CU_ASSERT_EQUAL(haul_target_parse(cases[i].text, &target, &error), -1);
        CU_ASSERT_EQUAL(error.code, cases[i].code);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "what is printed is read back", what_is_printed_is_read_back },
        { "version 1 stays readable", version_1_stays_readable },
        { "every single wrong character is noticed", every_single_wrong_character_is_noticed },
        { "too long texts are refused", too_long_texts_are_refused },
        { "addresses that do not fit are left out", addresses_that_do_not_fit_are_left_out },
        { "a target is split at the first slash", a_target_is_split_at_the_first_slash },
        { "a target that is neither is named", a_target_that_is_neither_is_named },
    };

    return unit_main("ticket", tests, HAUL_COUNT_OF(tests));
}
