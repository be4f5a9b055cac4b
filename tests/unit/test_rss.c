/* The key that makes a card's hash tell ports, under the hash as cards compute it. */
#include "dataplane/ethernet/rss.h"

#include "common/addr.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

/* Toeplitz, bit by bit, over source and target address and ports as they stand in a packet. */
static uint32_t hash(const uint8_t *key, const struct haul_addr *source,
                     const struct haul_addr *target)
{
    size_t ip_bytes = source->family == 4 ? 4 : 16, bytes = 2 * ip_bytes + 4;
    uint8_t input[36], *at = input;
    uint64_t window = 0;
    uint32_t sum = 0;

    memcpy(at, source->ip, ip_bytes);
    memcpy(at + ip_bytes, target->ip, ip_bytes);
    at += 2 * ip_bytes;
    at[0] = (uint8_t)(source->port >> 8);
    at[1] = (uint8_t)source->port;
    at[2] = (uint8_t)(target->port >> 8);
    at[3] = (uint8_t)target->port;
    for (size_t i = 0; i < 8; i++)
        window = window << 8 | key[i];
    for (size_t i = 0; i < bytes; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            if ((input[i] >> (7 - bit) & 1) != 0)
                sum ^= (uint32_t)(window >> (32 - bit));
        }
        window = window << 8 | (i + 8 < HAUL_RSS_KEY_BYTES ? key[i + 8] : 0);
    }
    return sum;
}

static struct haul_addr addr(const char *text)
{
    struct haul_addr parsed = { 0 };

    CU_ASSERT_TRUE_FATAL(haul_addr_parse(text, &parsed));
    return parsed;
}

/* The verification suite that every card's data sheet repeats: that this test's hash is theirs. */
static void the_hash_is_the_one_that_cards_compute(void)
{
    static const uint8_t key[HAUL_RSS_KEY_BYTES] = {
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
        0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
        0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    };
    static const struct {
        const char *source, *target;
        uint32_t hash;
    } cases[] = {
        { "66.9.149.187:2794", "161.142.100.80:1766", 0x51ccc178 },
        { "199.92.111.2:14230", "65.69.140.83:4739", 0xc626b0ea },
        { "24.19.198.95:12898", "12.22.207.184:38024", 0x5c2b394a },
        { "[3ffe:2501:200:1fff::7]:2794", "[3ffe:2501:200:3::1]:1766", 0x40207d3d },
        { "[3ffe:501:8::260:97ff:fe40:efab]:14230", "[ff02::1]:4739", 0xdde51bbf },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_addr source = addr(cases[i].source), target = addr(cases[i].target);

        CU_ASSERT_EQUAL(hash(key, &source, &target), cases[i].hash);
    }
}

static uint8_t any(void)
{
    return (uint8_t)(rand() >> 7);
}

/* Whoever sends, to whichever of our addresses, from whatever port. */
static void every_port_comes_to_its_queue(void)
{
    static const uint16_t firsts[] = { 4501, 1, 65528, 4504 };
    uint8_t key[HAUL_RSS_KEY_BYTES];

    haul_rss_key(key, sizeof key);
    srand(7);
    for (uint32_t turn = 0; turn < 20000; turn++) {
        uint16_t queues = (uint16_t)(1 + turn % HAUL_RSS_QUEUES_MAX);
        uint16_t queue = (uint16_t)(any() % queues), first = firsts[turn / 8 % 4];
        uint32_t entries = HAUL_RSS_QUEUES_MAX << turn % 7;
        struct haul_addr source = { .family = 4 }, target = { .family = 4 };
        uint32_t found;

        for (size_t i = 0; i < 4; i++) {
            source.ip[i] = any();
            target.ip[i] = any();
        }
        source.port = (uint16_t)(any() << 8 | any());
        target.port = (uint16_t)(first + queue);
        found = hash(key, &source, &target) & (entries - 1);
        CU_ASSERT_EQUAL_FATAL(haul_rss_queue(found, first, queues), queue);
    }
}

static void every_entry_names_a_queue_that_is_there(void)
{
    for (uint16_t queues = 1; queues <= HAUL_RSS_QUEUES_MAX; queues++) {
        for (uint32_t entry = 0; entry < 512; entry++)
            CU_ASSERT_FATAL(haul_rss_queue(entry, 4501, queues) < queues);
    }
}

static void a_longer_key_is_the_same_and_zeros(void)
{
    uint8_t key[HAUL_RSS_KEY_BYTES], longer[52];

    haul_rss_key(key, sizeof key);
    memset(longer, 0xff, sizeof longer);
    haul_rss_key(longer, sizeof longer);
    CU_ASSERT_EQUAL(memcmp(key, longer, sizeof key), 0);
    for (size_t i = sizeof key; i < sizeof longer; i++)
        CU_ASSERT_EQUAL(longer[i], 0);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "the hash of this test is the one that cards compute",
          the_hash_is_the_one_that_cards_compute },
        { "every port comes to its queue, whoever sends", every_port_comes_to_its_queue },
        { "every entry of the table names a queue that is there",
          every_entry_names_a_queue_that_is_there },
        { "a longer key is the same, and zeros", a_longer_key_is_the_same_and_zeros },
    };

    return unit_main("rss", tests, HAUL_COUNT_OF(tests));
}
