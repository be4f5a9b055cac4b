/* How often strangers may ask. */
#include "controlplane/p2p/nat/pace.h"

#include "tests/unit/unit.h"

static struct haul_pace pace;

static bool take(uint32_t peer, uint8_t network, haul_time now)
{
    struct haul_peer_id id = { .length = 38, .bytes = { 0, 0x24, 8, 1, 0x12, 0x20 } };
    struct haul_addr at = { .family = 4, .ip = { 9, network, (uint8_t)peer, 1 }, .port = 1 };

    id.bytes[6] = (uint8_t)(peer >> 8);
    id.bytes[7] = (uint8_t)peer;
    return haul_pace_take(&pace, &id, &at, now);
}

static void begin(uint32_t per_peer, uint32_t per_network)
{
    const struct haul_pace_limits limits = { per_peer, per_network };

    haul_pace_init(&pace, &limits);
}

static void a_peer_asks_so_often_a_minute_and_as_many_times_at_once(void)
{
    uint32_t took = 0;

    begin(6, 1000);
    for (int i = 0; i < 20; i++)
        took += take(1, 1, 1);
    CU_ASSERT_EQUAL(took, 6);
    CU_ASSERT_TRUE(take(2, 1, 1));
    CU_ASSERT_FALSE(take(1, 1, 1 + 9 * HAUL_SECOND));
    CU_ASSERT_TRUE(take(1, 1, 1 + 10 * HAUL_SECOND));
    CU_ASSERT_FALSE(take(1, 1, 1 + 10 * HAUL_SECOND));
    /* Another address does not make it another peer. */
    CU_ASSERT_FALSE(take(1, 7, 1 + 10 * HAUL_SECOND));
    took = 0;
    for (haul_time at = 20; at < 620; at++)
        took += take(1, 1, at * HAUL_SECOND);
    CU_ASSERT_TRUE(took >= 60 && took <= 62);
}

static void all_peers_of_a_network_share(void)
{
    uint32_t took = 0;

    begin(2, 10);
    for (uint32_t peer = 0; peer < 200; peer++)
        took += take(peer, 1, 1);
    CU_ASSERT_EQUAL(took, 10);
    CU_ASSERT_TRUE(take(7, 2, 1));
    /* Who was refused for his network's sake has lost nothing. */
    CU_ASSERT_TRUE(take(199, 3, 1) && take(199, 3, 1));
    CU_ASSERT_FALSE(take(199, 3, 1));
}

static void private_addresses_are_networks_of_their_own(void)
{
    struct haul_peer_id id = { .length = 38, .bytes = { 0, 0x24, 8, 1, 0x12, 0x20 } };
    struct haul_addr at = { .family = 4, .ip = { 10, 0, 0, 1 } };

    begin(100, 1);
    CU_ASSERT_TRUE(haul_pace_take(&pace, &id, &at, 1));
    CU_ASSERT_FALSE(haul_pace_take(&pace, &id, &at, 1));
    at.ip[3] = 2;
    CU_ASSERT_TRUE(haul_pace_take(&pace, &id, &at, 1));
}

static void a_full_table_makes_newcomers_wait_and_nobody_else(void)
{
    uint32_t took = 0;

    begin(60, 100000);
    for (uint32_t peer = 0; peer < HAUL_PACE_ENTRIES + 100; peer++)
        took += take(peer, 1, 1);
    CU_ASSERT_EQUAL(took, HAUL_PACE_ENTRIES - 1); /* the network has an entry too */
    CU_ASSERT_TRUE(take(5, 1, 1));
    CU_ASSERT_FALSE(take(9999, 1, 1));
    CU_ASSERT_TRUE(take(9999, 1, 1 + 2 * HAUL_SECOND));
}

static void nobody_may_where_the_limit_is_nothing_and_time_does_not_wrap(void)
{
    begin(0, 10);
    CU_ASSERT_FALSE(take(1, 1, 1));
    begin(10, 0);
    CU_ASSERT_FALSE(take(1, 1, 1));
    begin(10, 10);
    CU_ASSERT_FALSE(take(1, 1, HAUL_TIME_NEVER - 1));
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a peer asks so often a minute, and as many times at once",
          a_peer_asks_so_often_a_minute_and_as_many_times_at_once },
        { "all peers of a network share", all_peers_of_a_network_share },
        { "private addresses are networks of their own",
          private_addresses_are_networks_of_their_own },
        { "a full table makes newcomers wait, and nobody else",
          a_full_table_makes_newcomers_wait_and_nobody_else },
        { "nobody may where the limit is nothing, and time does not wrap",
          nobody_may_where_the_limit_is_nothing_and_time_does_not_wrap },
    };

    return unit_main("pace", tests, HAUL_COUNT_OF(tests));
}
