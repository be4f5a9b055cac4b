/* Trains that the card cuts into datagrams: two ports of DPDK joined by memif, each behind a card
 * that cuts (tests/lib/cutting_card.h) and ends the process when a packet is not as it should be.
 * What arrives went through sums of the card's, which the other end verifies. */
#include "dataplane/net/dpdk/cut.h"
#include "tests/lib/cutting_card.h"
#include "tests/unit/port_pair.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT 1408u
#define MOST    32u /* datagrams in a train */

static char directory[] = "/tmp/haul-unit-XXXXXX";
static struct port_pair pair; /* memif, and what a test wants otherwise */
static struct net_end from, to;

/* --- the contract --- */

static bool frames_are_bounded(void)
{
    cutting_card.mtu = pair.mtu[0];
    return true;
}

static void a_card_that_cuts_keeps_the_contract(void)
{
    const struct net_rig rig = {
        .name = "memif behind a card that cuts",
        .open = port_rig_open,
        .close = port_rig_close,
        .where = NET_CHILDREN,
        .prepare = frames_are_bounded,
        .oversize = port_memif.mtu[0] - 4u,
    };

    pair = port_memif;
    port_pair_use(&pair, directory);
    net_contract_run(&rig);
}

/* --- what is given to it --- */

static bool pair_open(int family)
{
    cutting_card.mtu = pair.mtu[0];
    port_pair_use(&pair, directory);
    return port_rig_open(&from, family, 0, NET_TRAINS) && port_rig_open(&to, family, 0, NET_TRAINS);
}

/* A gauge is set by the thread that watches the port. */
static bool gauge_is_soon(const char *name, uint64_t value)
{
    haul_time limit = net_clock() + 10 * HAUL_SECOND;

    while (port_counter(&from, name) != value && net_clock() < limit)
        haul_net_wait(from.net, NULL, 0, 10 * HAUL_MILLISECOND);
    return port_counter(&from, name) == value;
}

/* One train arrives as it was, cut out of so many packets. */
static bool passes(uint32_t segment, uint32_t bytes, uint64_t packets)
{
    uint64_t before = cutting_card.packets, counted = port_counter(&from, "tx_segmented");
    uint32_t count = (bytes + segment - 1) / segment;
    struct net_arrived arrived = { 0 };

    if (!net_send_one(&from, &to.addr, 0, segment, bytes))
        return false;
    net_receive_some(&to, &arrived, count);
    return arrived.datagrams == count && arrived.wrong == 0 && arrived.bytes == bytes &&
           cutting_card.packets - before == packets &&
           port_counter(&from, "tx_segmented") - counted == packets;
}

static int whole_trains(void)
{
    uint64_t before = haul_net_counters(from.net)->tx_datagrams, cut = cutting_card.datagrams;

    if (!passes(SEGMENT, MOST * SEGMENT, 1) || !passes(SEGMENT, 2 * SEGMENT, 1) ||
        !passes(64, MOST * 64, 1))
        return 2;
    if (!passes(SEGMENT, 31 * SEGMENT + 1, 1) || !passes(SEGMENT, SEGMENT + 1407, 1))
        return 3;
    if (cutting_card.datagrams - cut != 100)
        return 4;
    if (!passes(SEGMENT, SEGMENT, 0) || !passes(SEGMENT, 1, 0)) /* there is nothing to cut */
        return 5;
    if (haul_net_counters(from.net)->tx_datagrams - before != 102 ||
        haul_net_counters(from.net)->tx_unsegmented != 0 || !gauge_is_soon("tx_segments", 1))
        return 6;
    return 0;
}

/* The ports have addresses of both families. */
static int both_families(void)
{
    int step = pair_open(4) ? whole_trains() : 1;

    if (step != 0)
        return step;
    port_rig_close(&from);
    port_rig_close(&to);
    return pair_open(6) ? whole_trains() : 1;
}

/* --- limits --- */

static int sixty_four_kilobytes(void)
{
    /* Of 9,000 bytes seven are the most below 64 KiB with their headers, of 2,112 thirty-one. */
    if (!passes(9000, 9 * 9000, 2) || !passes(9000, 14 * 9000, 2) || !passes(9000, 8 * 9000, 1))
        return 12;
    return passes(2112, 31 * 2112, 1) && passes(2113, 31 * 2113 - 1, 1) ? 0 : 13;
}

static int whole(void)
{
    int step = both_families();

    return step == 0 ? sixty_four_kilobytes() : step;
}

/* The card joins two buffers to a datagram: that of the headers, and what is behind them. */
static int in_a_vlan(void)
{
    pair.vlan = 7;
    cutting_card.buffers_datagram_max = 2;
    return both_families();
}

static int five_buffers(void)
{
    cutting_card.buffers_max = 5;
    if (!pair_open(4))
        return 1;
    /* Six of five, and one of two; a last one that is alone is not to be cut. */
    return passes(SEGMENT, MOST * SEGMENT, 7) && passes(SEGMENT, 6 * SEGMENT, 1) ? 0 : 2;
}

static int switched_off(void)
{
    pair.segmentation_off = true;
    if (!pair_open(4))
        return 1;
    return passes(SEGMENT, MOST * SEGMENT, 0) && cutting_card.asked == 0 &&
                   gauge_is_soon("tx_segments", 0)
               ? 0
               : 2;
}

static void how_many_make_a_packet(void)
{
    const struct haul_ether_header four = { .length = 42, .payload_max = 8972 };
    const struct haul_ether_header six = { .length = 66, .payload_max = 8952 };

    CU_ASSERT_EQUAL(haul_cut_count(32, &four, 1472, 32), 32);
    CU_ASSERT_EQUAL(haul_cut_count(32, &four, 1472, 5), 5);
    CU_ASSERT_EQUAL(haul_cut_count(8, &four, 1472, 32), 8);
    CU_ASSERT_EQUAL(haul_cut_count(0, &four, 1472, 32), 0); /* a card that does not cut */
    CU_ASSERT_EQUAL(haul_cut_count(32, &four, 8186, 32), 8);
    CU_ASSERT_EQUAL(haul_cut_count(32, &four, 8187, 32), 7); /* 65,538 with the headers */
    CU_ASSERT_EQUAL(haul_cut_count(32, &six, 8183, 32), 8);
    CU_ASSERT_EQUAL(haul_cut_count(32, &six, 8184, 32), 7);
    CU_ASSERT_EQUAL(haul_cut_count(32, &four, 8972, 32), 7);
    CU_ASSERT_EQUAL(haul_cut_count(32, &four, 8973, 32), 0); /* larger than the path */
    CU_ASSERT_EQUAL(haul_cut_count(32, &four, 1, 32), 32);
    CU_ASSERT_EQUAL(haul_cut_count(32, &four, 1472, 1), 1);
}

#define ALL                                                                                        \
    (RTE_ETH_TX_OFFLOAD_UDP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM |  \
     RTE_ETH_TX_OFFLOAD_UDP_CKSUM)

/* What is asked of a driver that offers this, and states those limits. */
static uint64_t asked_of(const char *driver, uint64_t offers, uint16_t packet, uint16_t datagram)
{
    const struct rte_eth_dev_info info = {
        .driver_name = driver,
        .tx_offload_capa = offers,
        .tx_desc_lim = { .nb_seg_max = packet, .nb_mtu_seg_max = datagram },
    };

    return haul_cut_offloads(&info);
}

static uint32_t most_of(uint16_t packet, uint16_t datagram)
{
    const struct rte_eth_dev_info info = {
        .tx_desc_lim = { .nb_seg_max = packet, .nb_mtu_seg_max = datagram },
    };

    return haul_cut_most(&info);
}

/* --- refusals --- */

static int refuses_all(void)
{
    cutting_card.refuses_all = true;
    if (!pair_open(4) || cutting_card.asked != 2) /* once a port */
        return 1;
    return passes(SEGMENT, MOST * SEGMENT, 0) && cutting_card.asked == 2 &&
                   haul_net_counters(from.net)->tx_unsegmented == 0 &&
                   gauge_is_soon("tx_segments", 0)
               ? 0
               : 2;
}

/* The driver takes 1300 bytes and no more: the trial at start is smaller. */
static int refuses_large_ones(void)
{
    if (!passes(1300, 20 * 1300, 1) || haul_net_counters(from.net)->tx_unsegmented != 0)
        return 2;
    return passes(1301, 20 * 1301, 0) && haul_net_counters(from.net)->tx_unsegmented == 1 ? 0 : 3;
}

static int refuses_some(void)
{
    struct net_arrived arrived = { 0 };

    cutting_card.segment_max = 0;
    cutting_card.refuses_each = 3;
    cutting_card.asked = cutting_card.refused = cutting_card.packets = 0;
    for (uint32_t sent = 0; sent < 60 * 8; sent += 8) {
        if (!net_send_one(&from, &to.addr, sent, SEGMENT, 7 * SEGMENT + 5))
            return 4;
        net_receive_some(&to, &arrived, sent + 8);
    }
    if (arrived.datagrams != 60 * 8 || arrived.wrong != 0)
        return 5;
    if (cutting_card.refused != 20 || cutting_card.packets != 40)
        return 6;
    return haul_net_counters(from.net)->tx_unsegmented == 21 &&
                   haul_net_counters(from.net)->tx_errors == 0
               ? 0
               : 7;
}

static int refuses(void)
{
    int step;

    cutting_card.segment_max = 1300;
    if (!pair_open(4))
        return 1;
    step = refuses_large_ones();
    return step == 0 ? refuses_some() : step;
}

/* --- a full ring --- */

/* A train for which there is no room waits whole. One that is dropped counts as its datagrams. */
static int full_ring(void)
{
    struct net_arrived arrived = { 0 };
    haul_time limit = net_clock() + 10 * HAUL_SECOND;
    uint32_t sent, found;

    if (!pair_open(4))
        return 1;
    cutting_card.stands_still = true;
    sent = port_fill_up(&from, &to, 0, MOST);
    if (sent < 1024 - MOST || sent >= 100000 || port_counter(&from, "tx_full") == 0)
        return 2;
    while (port_counter(&from, "tx_stalls") == 0 && net_clock() < limit)
        haul_net_wait(from.net, NULL, 0, 10 * HAUL_MILLISECOND);
    cutting_card.stands_still = false;
    haul_net_wait(from.net, NULL, 0, 0);
    port_drain(&from, &to, &arrived, sent);
    /* A question or announcement about addresses may be among what had room, or was dropped. */
    if (arrived.wrong != 0 || arrived.datagrams < 1024 - 2 * MOST)
        return 3;
    found = arrived.datagrams + (uint32_t)port_counter(&from, "tx_dropped");
    if (found < sent || found > sent + MOST / 2)
        return 4;
    return passes(SEGMENT, MOST * SEGMENT, 1) ? 0 : 5;
}

/* Each begins with the same pair, and a card that has all. */
static void in_a_child(int (*run)(void))
{
    pair = port_memif;
    port_in_a_child(run);
}

static void a_train_is_one_packet_with_a_shorter_last_datagram_too(void)
{
    in_a_child(whole);
}

static void behind_a_tag_it_is_one_as_well(void)
{
    in_a_child(in_a_vlan);
}

static void a_packet_keeps_to_what_the_card_states_and_to_64_kilobytes(void)
{
    in_a_child(five_buffers);
    how_many_make_a_packet();
}

static void without_all_that_it_takes_nothing_is_asked_of_the_card(void)
{
    static const uint64_t parts[] = { RTE_ETH_TX_OFFLOAD_UDP_TSO, RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
                                      RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, RTE_ETH_TX_OFFLOAD_UDP_CKSUM };

    CU_ASSERT_EQUAL(asked_of("net_igc", UINT64_MAX, 255, 255), ALL);
    CU_ASSERT_EQUAL(asked_of("net_igc", ALL, 0, 0), ALL); /* no limit is stated */
    for (size_t i = 0; i < HAUL_COUNT_OF(parts); i++)
        CU_ASSERT_EQUAL(asked_of("net_igc", ALL & ~parts[i], 255, 255), 0);
    CU_ASSERT_EQUAL(asked_of("net_igc", ALL, 1, 255), 0);
    CU_ASSERT_EQUAL(asked_of("net_igc", ALL, 255, 1), 0);
    CU_ASSERT_EQUAL(asked_of("net_zxdh", ALL, 255, 255), 0); /* makes IP fragments */
    CU_ASSERT_EQUAL(most_of(0, 0), MOST);
    CU_ASSERT_EQUAL(most_of(255, 2), MOST);
    CU_ASSERT_EQUAL(most_of(18, 8), 18);
    CU_ASSERT_EQUAL(most_of(2, 2), 2);
    CU_ASSERT_TRUE(most_of(1, 0) < 2 && most_of(18, 1) < 2);
    in_a_child(switched_off);
}

static void a_driver_that_offers_it_and_refuses_is_found_out_at_start(void)
{
    in_a_child(refuses_all);
}

static void a_train_that_the_driver_refuses_goes_a_frame_a_datagram_and_is_counted(void)
{
    in_a_child(refuses);
}

static void a_train_without_room_waits_whole_and_dropped_it_counts_as_its_datagrams(void)
{
    in_a_child(full_ring);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a card that cuts keeps the contract", a_card_that_cuts_keeps_the_contract },
        { "a train is one packet, with a shorter last datagram too",
          a_train_is_one_packet_with_a_shorter_last_datagram_too },
        { "behind a tag it is one as well", behind_a_tag_it_is_one_as_well },
        { "a packet keeps to what the card states, and to 64 kilobytes",
          a_packet_keeps_to_what_the_card_states_and_to_64_kilobytes },
        { "without all that it takes nothing is asked of the card",
          without_all_that_it_takes_nothing_is_asked_of_the_card },
        { "a driver that offers it and refuses is found out at start",
          a_driver_that_offers_it_and_refuses_is_found_out_at_start },
        { "a train that the driver refuses goes a frame a datagram, and is counted",
          a_train_that_the_driver_refuses_goes_a_frame_a_datagram_and_is_counted },
        { "a train without room waits whole, and dropped it counts as its datagrams",
          a_train_without_room_waits_whole_and_dropped_it_counts_as_its_datagrams },
    };
    char command[64];
    int failed;

    if (mkdtemp(directory) == NULL)
        return 1;
    failed = unit_main("net_cut", tests, HAUL_COUNT_OF(tests));
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command) == 0 ? failed : 1;
}
