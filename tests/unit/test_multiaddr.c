/* Multiaddrs: every published vector both ways, every prefix, and what must be refused. */
#include "controlplane/p2p/multiaddr.h"
#include "controlplane/p2p/multiaddr_value.h"
#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

#define PEER "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"

static const struct {
    const char *text, *hex;
} vectors[] = {
    { "/ip4/127.0.0.1/udp/1234", "047f000001910204d2" },
    { "/ip4/127.0.0.1/tcp/4321", "047f0000010610e1" },
    { "/ip4/127.0.0.1/udp/1234/ip4/127.0.0.1/tcp/4321", "047f000001910204d2047f0000010610e1" },
    { "/onion/aaimaq4ygg2iegci:80", "bc030010c0439831b48218480050" },
    { "/ip4/127.0.0.1/udp/1234/quic-v1", "047f000001910204d2cd03" },
    { "/ip6/::1/tcp/4001", "2900000000000000000000000000000001060fa1" },
    { "/dns4/example.com/tcp/443/tls/ws", "360b6578616d706c652e636f6d0601bbc003dd03" },
    { "/dns/example.com/udp/4001/quic-v1", "350b6578616d706c652e636f6d91020fa1cd03" },
    { "/dnsaddr/bootstrap.libp2p.io/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
      "3813626f6f7473747261702e6c69627032702e696fa5032212209dff3b17d74cf4d38a50d8b6383e92d181a10395"
      "a5e73a726dcccbd21bf6f0b9" },
    { "/ip4/192.0.2.1/tcp/4001/p2p/" PEER "/p2p-circuit",
      "04c0000201060fa1a503260024080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474"
      "fce27ea202" },
    { "/ip4/1.2.3.4/udp/4001/quic-v1/webtransport", "040102030491020fa1cd03d103" },
    { "/memory/1234", "89060431323334" },
    { "/ip6zone/eth0/ip6/fe80::1/tcp/1", "2a046574683029fe800000000000000000000000000001060001" },
    { "/ip4/1.2.3.4/ipcidr/24", "04010203042b18" },
    { "/ip4/1.2.3.4/tcp/443/tls/sni/example.com/ws",
      "04010203040601bbc003c1030b6578616d706c652e636f6ddd03" },
    /* go keeps the path as it is, js puts a slash in front: both are read as what they say */
    { "/ip4/127.0.0.1/tcp/9090/http/http-path/a%2Fb", "047f000001062382e003e10303612f62" },
    { "/ip4/127.0.0.1/tcp/9090/http/http-path/%2Fa%2Fb", "047f000001062382e003e103042f612f62" },
    { "/unix/tmp%2Fp2p.sock", "90030c746d702f7032702e736f636b" },
};

static void published_vectors_hold_both_ways(void)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(vectors); i++) {
        struct haul_multiaddr parsed, decoded;
        char text[HAUL_MULTIADDR_TEXT_BYTES];
        uint8_t data[HAUL_MULTIADDR_BYTES_MAX];
        size_t bytes = unit_hex(vectors[i].hex, data, sizeof data);

        CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse(vectors[i].text, &parsed));
        CU_ASSERT_EQUAL(parsed.length, bytes);
        CU_ASSERT_EQUAL(memcmp(parsed.bytes, data, bytes), 0);
        CU_ASSERT_TRUE_FATAL(haul_multiaddr_decode(data, bytes, &decoded));
        haul_multiaddr_print(&decoded, text);
        CU_ASSERT_STRING_EQUAL(text, vectors[i].text);
    }
}

static void a_prefix_is_refused_or_ends_between_components(void)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(vectors); i++) {
        uint8_t data[HAUL_MULTIADDR_BYTES_MAX];
        size_t bytes = unit_hex(vectors[i].hex, data, sizeof data);

        for (size_t cut = 0; cut < bytes; cut++) {
            struct haul_multiaddr addr, again;
            char text[HAUL_MULTIADDR_TEXT_BYTES];

            if (!haul_multiaddr_decode(data, cut, &addr))
                continue;
            haul_multiaddr_print(&addr, text);
            CU_ASSERT_TRUE(strncmp(text, vectors[i].text, strlen(text)) == 0 ||
                           strstr(text, "http") != NULL);
            CU_ASSERT_TRUE(haul_multiaddr_parse(text, &again));
            CU_ASSERT_EQUAL(memcmp(&again, &addr, sizeof addr), 0);
        }
    }
}

static void malformed_addresses_are_refused(void)
{
    static const char *const texts[] = {
        "",
        "/",
        "//",
        "ip4/127.0.0.1",
        "/ip4",
        "/ip4/",
        "/ip4/127.0.0.256",
        "/ip4/1.2.3",
        "/ip4/::1",
        "/ip6/127.0.0.1",
        "/ip6/fe80::1%1",
        "/ip4/127.0.0.1/tcp",
        "/ip4/127.0.0.1/tcp/",
        "/ip4/127.0.0.1/tcp/65536",
        "/ip4/127.0.0.1/tcp/-1",
        "/ip4/127.0.0.1/tcp/080",
        "/ip4/127.0.0.1/tcp/99999999999999",
        "/ip4/127.0.0.1//tcp/1",
        "/ip4/127.0.0.1/tcp/1//",
        "/nonsense/1",
        "/p2p/QmBroken",
        "/p2p/",
        "/ipcidr/129",
        "/dns4/",
        "/dns4/two words",
        "/unix/%2",
        "/unix/%zz",
        "/onion/aaimaq4ygg2iegci",
        "/onion/aaimaq4ygg2iegci:0x1",
        "/certhash/uAA",
    };
    static const char *const hexes[] = {
        "",
        "00",
        "ff7f",
        "047f0000",
        "84007f000001", /* a padded code */
        "3500",
        "350120",
        "35012f",
        "3503616200",
        "35027f61",
        "2b81",
        "a503221221c05877cbae039d70a5e600ea02c6f9f2942439285c9e344e26f8d280c850fad6",
        "a50300",
        "d203021201",
        "bb0300",
    };
    struct haul_multiaddr addr;

    for (size_t i = 0; i < HAUL_COUNT_OF(texts); i++)
        CU_ASSERT_FALSE(haul_multiaddr_parse(texts[i], &addr));
    for (size_t i = 0; i < HAUL_COUNT_OF(hexes); i++) {
        uint8_t data[64];
        size_t bytes = unit_hex(hexes[i], data, sizeof data);

        CU_ASSERT_FALSE(haul_multiaddr_decode(data, bytes, &addr));
    }
}

static void what_does_not_fit_is_refused(void)
{
    uint8_t data[HAUL_MULTIADDR_BYTES_MAX + 8];
    struct haul_multiaddr addr;
    char text[2000] = "/memory/";

    for (size_t i = 0; i < sizeof data; i += 8) { /* /p2p-circuit four times */
        memcpy(data + i, "\xa2\x02\xa2\x02\xa2\x02\xa2\x02", 8);
    }
    CU_ASSERT_TRUE(haul_multiaddr_decode(data, 104, &addr));  /* 52 times 12 characters */
    CU_ASSERT_FALSE(haul_multiaddr_decode(data, 108, &addr)); /* 648 */
    memset(text + 8, 'a', 252);
    CU_ASSERT_TRUE(haul_multiaddr_parse(text, &addr)); /* 2 + 2 + 252 */
    CU_ASSERT_EQUAL(addr.length, HAUL_MULTIADDR_BYTES_MAX);
    CU_ASSERT_FALSE(haul_multiaddr_decode(data, sizeof data, &addr));
    text[260] = 'a';
    CU_ASSERT_FALSE(haul_multiaddr_parse(text, &addr));
    memset(text + 8, 'a', 1900);
    CU_ASSERT_FALSE(haul_multiaddr_parse(text, &addr));
}

static void socket_addresses_convert_both_ways(void)
{
    static const char *const texts[] = { "192.0.2.1:4501", "[2001:db8::7]:1" };

    for (size_t i = 0; i < HAUL_COUNT_OF(texts); i++) {
        struct haul_addr addr, back;
        struct haul_multiaddr tcp, udp;

        CU_ASSERT_TRUE_FATAL(haul_addr_parse(texts[i], &addr));
        haul_multiaddr_from_tcp(&tcp, &addr);
        haul_multiaddr_from_udp(&udp, &addr);
        CU_ASSERT_TRUE(haul_multiaddr_tcp(&tcp, &back));
        CU_ASSERT_TRUE(haul_addr_equal(&addr, &back));
        CU_ASSERT_FALSE(haul_multiaddr_tcp(&udp, &back));
    }
}

static void only_plain_tcp_addresses_can_be_dialled(void)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        { "/ip4/1.2.3.4/tcp/5", true },
        { "/ip4/1.2.3.4/tcp/5/p2p/" PEER, true },
        { "/ip4/1.2.3.4/tcp/5/ipfs/" PEER, true },
        { "/ip4/1.2.3.4/tcp/5/ws", false },
        { "/ip4/1.2.3.4/tcp/5/p2p/" PEER "/p2p-circuit", false },
        { "/ip4/1.2.3.4", false },
        { "/dns4/example.com/tcp/5", false },
        { "/ip6zone/eth0/ip6/fe80::1/tcp/1", false },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_multiaddr addr;
        struct haul_addr out;

        CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse(cases[i].text, &addr));
        CU_ASSERT_EQUAL(haul_multiaddr_tcp(&addr, &out), cases[i].good);
    }
}

static void a_peer_is_found_added_and_stripped(void)
{
    struct haul_multiaddr addr, kept;
    struct haul_peer_id id, found;
    char text[HAUL_MULTIADDR_TEXT_BYTES];

    CU_ASSERT_TRUE_FATAL(haul_peer_id_parse(PEER, &id));
    CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse("/ip4/1.2.3.4/tcp/5", &addr));
    kept = addr;
    CU_ASSERT_FALSE(haul_multiaddr_peer(&addr, &found));
    haul_multiaddr_strip_peer(&addr);
    CU_ASSERT_EQUAL(memcmp(&kept, &addr, sizeof addr), 0);
    CU_ASSERT_TRUE(haul_multiaddr_add_peer(&addr, &id));
    CU_ASSERT_TRUE(haul_multiaddr_peer(&addr, &found));
    CU_ASSERT_TRUE(haul_peer_id_equal(&id, &found));
    haul_multiaddr_print(&addr, text);
    CU_ASSERT_STRING_EQUAL(text, "/ip4/1.2.3.4/tcp/5/p2p/" PEER);
    haul_multiaddr_strip_peer(&addr);
    CU_ASSERT_EQUAL(memcmp(&kept, &addr, sizeof addr), 0);
    for (unsigned i = 0; i < 6; i++)
        CU_ASSERT_TRUE(haul_multiaddr_add_peer(&addr, &id));
    CU_ASSERT_FALSE(haul_multiaddr_add_peer(&addr, &id)); /* no room for a seventh */
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "published vectors hold both ways", published_vectors_hold_both_ways },
        { "a prefix is refused or ends between components",
          a_prefix_is_refused_or_ends_between_components },
        { "malformed addresses are refused", malformed_addresses_are_refused },
        { "what does not fit is refused", what_does_not_fit_is_refused },
        { "socket addresses convert both ways", socket_addresses_convert_both_ways },
        { "only plain TCP addresses can be dialled", only_plain_tcp_addresses_can_be_dialled },
        { "a peer is found, added and stripped", a_peer_is_found_added_and_stripped },
    };

    return unit_main("multiaddr", tests, HAUL_COUNT_OF(tests));
}
