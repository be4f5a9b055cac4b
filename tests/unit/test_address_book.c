/* The book of addresses: who may say where a peer is, for how long, and to whom it is told. */
#include "controlplane/p2p/address_book.h"

#include "tests/unit/kad_rig.h"
#include "tests/unit/unit.h"

#include <stdio.h>

#define CAPACITY 64u
#define CHAINS   16u

static struct haul_address_book book;
static struct haul_address_book_entry entries[CAPACITY];
static uint32_t chains[CHAINS];

static struct haul_multiaddr address(unsigned n)
{
    struct haul_multiaddr made;
    char text[64];

    snprintf(text, sizeof text, "/ip4/8.8.%u.%u/tcp/4001", n / 256, n % 256);
    haul_assert(haul_multiaddr_parse(text, &made));
    return made;
}

static void hear(uint64_t peer, unsigned n, haul_time now)
{
    struct haul_peer_id id = kad_rig_peer(peer);
    struct haul_multiaddr said = address(n);

    haul_address_book_hear(&book, &id, &said, 1, now, 100);
}

static size_t find(uint64_t peer, haul_time now, struct haul_multiaddr *found)
{
    struct haul_peer_id id = kad_rig_peer(peer);

    return haul_address_book_find(&book, &id, now, found, 32);
}

static void book_init(void)
{
    haul_address_book_init(&book, entries, CAPACITY, chains, CHAINS);
}

static void addresses_expire(void)
{
    struct haul_multiaddr found[32];

    book_init();
    hear(1, 1, 0);
    hear(1, 2, 50);
    CU_ASSERT_EQUAL(find(1, 149, found), 2);
    CU_ASSERT_EQUAL(found[0].bytes[4], 2); /* the newest first */
    CU_ASSERT_EQUAL(find(1, 150, found), 0);
    hear(1, 3, 200);
    CU_ASSERT_EQUAL(find(1, 201, found), 1);
}

static void others_do_not_displace_what_a_peer_told_of_itself(void)
{
    struct haul_peer_id id = kad_rig_peer(1);
    struct haul_multiaddr own = address(1), found[32];

    book_init();
    hear(1, 9, 0);
    haul_address_book_tell(&book, &id, &own, 1, 0, 100);
    CU_ASSERT_EQUAL(find(1, 1, found), 1);
    for (unsigned n = 10; n < 100; n++)
        hear(1, n, 1);
    CU_ASSERT_EQUAL_FATAL(find(1, 1, found), 1);
    CU_ASSERT_EQUAL(memcmp(&found[0], &own, sizeof own), 0);
    hear(1, 10, 100); /* it has expired by now */
    CU_ASSERT_EQUAL_FATAL(find(1, 101, found), 1);
    CU_ASSERT_NOT_EQUAL(memcmp(&found[0], &own, sizeof own), 0);
}

static void a_peer_has_at_most_16(void)
{
    struct haul_multiaddr found[32];

    book_init();
    for (unsigned n = 0; n < 100; n++)
        hear(1, n, n);
    CU_ASSERT_EQUAL(find(1, 100, found), HAUL_ADDRESS_BOOK_ADDRESSES_MAX);
    hear(1, 99, 100);
    CU_ASSERT_EQUAL(find(1, 100, found), HAUL_ADDRESS_BOOK_ADDRESSES_MAX);
}

static void strangers_do_not_drive_out_those_who_told_themselves(void)
{
    struct haul_multiaddr found[32], own = address(1);

    book_init();
    for (uint64_t peer = 1; peer <= CAPACITY / 2; peer++) {
        struct haul_peer_id id = kad_rig_peer(peer);

        haul_address_book_tell(&book, &id, &own, 1, 0, 100);
    }
    for (uint64_t peer = 100; peer < 5000; peer++)
        hear(peer, 1, 1);
    CU_ASSERT_EQUAL(book.count, CAPACITY);
    CU_ASSERT(book.counters.addresses_evicted > 1000);
    /* Where eight in a row are of this kind one goes: most stay. */
    unsigned kept = 0;
    for (uint64_t peer = 1; peer <= CAPACITY / 2; peer++)
        kept += find(peer, 1, found) == 1;
    CU_ASSERT(kept >= CAPACITY / 4);
}

static void what_is_forgotten_is_gone(void)
{
    struct haul_multiaddr found[32];
    struct haul_peer_id id = kad_rig_peer(1);

    book_init();
    hear(1, 1, 0);
    haul_address_book_forget(&book, &id);
    haul_address_book_forget(&book, &id);
    CU_ASSERT_EQUAL(find(1, 1, found), 0);
    CU_ASSERT_EQUAL(book.count, 0);
}

static void an_address_concerns_those_who_can_use_it(void)
{
    static const struct {
        const char *text;
        bool to_loopback, to_private, to_public;
    } cases[] = {
        { "/ip4/127.0.0.1/tcp/1", true, false, false },
        { "/ip4/192.168.1.1/tcp/1", true, true, false },
        { "/ip4/8.8.8.8/tcp/1", true, true, true },
        { "/ip6/::1/tcp/1", true, false, false },
        { "/ip6/fd00::1/tcp/1", true, true, false },
        { "/ip6/2a00::1/tcp/1", true, true, true },
        { "/ip4/224.0.0.1/tcp/1", false, false, false },
        { "/dns4/example.com/tcp/1", true, true, true },
        { "/memory/1", false, false, false },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_multiaddr one;

        CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse(cases[i].text, &one));
        CU_ASSERT_EQUAL(haul_address_fits(&one, HAUL_ADDR_LOOPBACK, HAUL_ADDR_LOOPBACK),
                        cases[i].to_loopback);
        CU_ASSERT_EQUAL(haul_address_fits(&one, HAUL_ADDR_PRIVATE, HAUL_ADDR_LOOPBACK),
                        cases[i].to_private);
        CU_ASSERT_EQUAL(haul_address_fits(&one, HAUL_ADDR_PUBLIC, HAUL_ADDR_LOOPBACK),
                        cases[i].to_public);
        CU_ASSERT_EQUAL(haul_address_fits(&one, HAUL_ADDR_LOOPBACK, HAUL_ADDR_PUBLIC),
                        cases[i].to_public);
    }
}

static void networks_are_told_apart_where_they_are_public(void)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        { "8.8.1.1:1", "8.8.2.2:2", true },
        { "8.8.1.1:1", "8.9.1.1:1", false },
        { "[2a00:1:2::1]:1", "[2a00:1:3::1]:1", true },
        { "[2a00:1::1]:1", "[2a00:2::1]:1", false },
    };
    struct haul_addr a, b;

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        CU_ASSERT_TRUE(haul_addr_parse(cases[i].a, &a) && haul_addr_parse(cases[i].b, &b));
        CU_ASSERT_NOT_EQUAL(haul_address_group(&a), 0);
        CU_ASSERT_EQUAL(haul_address_group(&a) == haul_address_group(&b), cases[i].same);
    }
    CU_ASSERT_TRUE(haul_addr_parse("192.168.1.1:1", &a));
    CU_ASSERT_EQUAL(haul_address_group(&a), 0);
}

static const struct unit_test tests[] = {
    { "addresses expire", addresses_expire },
    { "others do not displace what a peer told of itself",
      others_do_not_displace_what_a_peer_told_of_itself },
    { "a peer has at most 16", a_peer_has_at_most_16 },
    { "strangers do not drive out those who told themselves",
      strangers_do_not_drive_out_those_who_told_themselves },
    { "what is forgotten is gone", what_is_forgotten_is_gone },
    { "an address concerns those who can use it", an_address_concerns_those_who_can_use_it },
    { "networks are told apart where they are public",
      networks_are_told_apart_where_they_are_public },
};

int main(void)
{
    return unit_main("address book", tests, HAUL_COUNT_OF(tests));
}
