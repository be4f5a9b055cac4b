/* Which datagram backends this machine can use, on which port, and if not, why and what to do about
 * it. Pure: facts in, verdicts out. docs/DPDK.md has the long form of every remedy. */
#pragma once

#include "hw/card.h"
#include "hw/machine.h"

struct haul_fitness {
    const char *backend; /* "udp-uring", "udp-mmsg", "dpdk-memif", "af_xdp", ... */
    const char *port;    /* the port it is about: an interface or PCI address; "" for the machine */
    bool usable;
    char reason[192]; /* why, or why not: one clause */
    char remedy[256]; /* what to do; empty when there is nothing */
};

struct haul_fitness_facts {
    const struct haul_machine *machine;
    const struct haul_machine_trials *trials;
    const struct haul_card *cards;
    size_t card_count;
    const char *root; /* where DPDK's drivers and /dev/vfio are looked for */
    bool dpdk_built;  /* this program can use DPDK at all */
};

#define HAUL_FITNESS_MAX (4u + 3u * HAUL_CARDS_MAX)

/* Returns the count; one row a backend and port that could make sense together. */
size_t haul_fitness_judge(const struct haul_fitness_facts *facts, struct haul_fitness *rows,
                          size_t capacity);
