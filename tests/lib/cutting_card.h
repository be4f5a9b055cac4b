/* A card that cuts trains into UDP datagrams, for machines that have none: it stands before the
 * driver of any port of DPDK, offers what that driver does not (RTE_ETH_TX_OFFLOAD_UDP_TSO and what
 * goes with it), and does with packets what rte_mbuf.h and the Intel I225 do. The driver behind it
 * gets ordinary frames. What is not as documented ends the process with a word of what it was: a
 * card would send rubbish, or hang.
 *
 * It is linked into a test, or loaded before a node (LD_PRELOAD), and takes the place of three
 * functions of DPDK and of the entries of a port's table of functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cutting_card {
    /* what it is; to be set before the port is opened */
    bool absent;                   /* nothing is offered */
    bool refuses_all;              /* it offers to cut, and its driver knows no such flag */
    uint32_t refuses_each;         /* its driver refuses every so many-th packet to cut; 0: none */
    uint16_t buffers_max;          /* of one packet, as it states; 0: it states nothing */
    uint16_t buffers_datagram_max; /* ... that one datagram may span */
    uint16_t segment_max;          /* its driver refuses larger datagrams; 0: takes all */
    uint16_t mtu;                  /* no datagram may be larger; 0: not looked at */
    uint32_t long_each;            /* every so many-th frame goes a second time, with 4000 bytes */
    bool stands_still;             /* now it sends nothing */
    /* what was seen */
    uint64_t asked;     /* packets to cut that its driver was shown */
    uint64_t refused;   /* ... and did not take */
    uint64_t packets;   /* cut */
    uint64_t datagrams; /* made of them */
};

/* CUTTING_CARD in the environment sets one of these: "refuses-all", "refuses-each=3",
 * "long-each=100". While a file of the name in CUTTING_CARD_STILL exists, it stands still, and what
 * it was given with every buffer that was free is its own. */
extern struct cutting_card cutting_card;
