/* Network ports of this machine: what the kernel has an interface for, and PCI functions of class
 * network that it has none for (those given to DPDK, or without a driver). */
#pragma once

#include "hw/sysfs.h"

#define HAUL_CARDS_MAX 64u

struct haul_card_features { /* of the interface, as ethtool tells them */
    bool known;
    bool gso;
    bool gro;
    bool udp_segmentation;
    bool checksum_send;
    bool checksum_receive;
    uint32_t rss_table; /* entries; zero: no receive hashing that can be set */
    uint32_t channels;  /* queue pairs in use */
    uint32_t channels_max;
};

struct haul_card {
    char name[HAUL_SYSFS_NAME_BYTES]; /* of the interface; empty: there is none */
    char pci[HAUL_SYSFS_NAME_BYTES];  /* 0000:3b:00.0; empty: not on PCI */
    char driver[HAUL_SYSFS_NAME_BYTES];
    char kind[HAUL_SYSFS_NAME_BYTES]; /* "pci", "virtual", "loopback" */
    char mac[24];
    char state[16];       /* up, down, unknown */
    char iommu_group[16]; /* empty: none */
    uint16_t vendor;
    uint16_t device;
    int32_t numa_node;  /* -1: none known */
    int64_t speed_mbit; /* -1: unknown */
    int64_t mtu;
    unsigned receive_queues;
    unsigned send_queues;
    unsigned link_width; /* PCI lanes in use and possible; zero: unknown */
    unsigned link_width_max;
    bool bifurcated;    /* DPDK uses it beside the kernel's driver */
    bool for_dpdk;      /* bound to vfio-pci or a uio driver */
    bool default_route; /* packets to everywhere leave by it, or by what stands on it */
    struct haul_card_features features;
};

/* Reads them under `root` ("" for this machine); `asks`: also ask the kernel for features, which no
 * file tells. Returns the count; *left_out is how many did not fit. */
size_t haul_cards_read(const char *root, bool asks, struct haul_card *cards, size_t capacity,
                       size_t *left_out);

/* What DPDK calls its driver for the card ("ice", "mlx5"), the name of Debian's package behind
 * librte-net-; NULL when we know of none. */
const char *haul_card_pmd(const struct haul_card *card);

/* Whether DPDK's driver for the card offers to cut trains into UDP datagrams, and is known to do it
 * as haul needs it (docs/decisions/0028-segmentation.md). Asks nobody: it is a list. */
bool haul_card_cuts(const struct haul_card *card);

/* Whether the driver's AF_XDP is known to copy nothing. */
bool haul_card_zero_copy(const struct haul_card *card);

/* Asks the kernel about an interface of this machine and network namespace. */
void haul_card_ask(const char *name, struct haul_card_features *features, char *driver,
                   size_t driver_bytes);
