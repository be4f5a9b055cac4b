/* Interfaces from /sys/class/net, then the PCI functions of class network that have none. */
#include "hw/card.h"

#include <stdio.h>
#include <string.h>

#define CLASS_NETWORK    0x02
#define CLASS_ETHERNET   0x0200
#define CLASS_OTHER      0x0280
#define CLASS_INFINIBAND 0x0207
#define TYPE_LOOPBACK    772
#define UPPER_DEPTH      4u /* a VLAN on a bridge on a bond on a port */

/* X(driver of the kernel, driver of DPDK, shared with the kernel, AF_XDP without copies) */
#define DRIVERS(X)                                                                                 \
    X("mlx5_core", "mlx5", true, true)                                                             \
    X("mlx4_core", "mlx4", true, false)                                                            \
    X("mlx4_en", "mlx4", true, false)                                                              \
    X("ice", "ice", false, true)                                                                   \
    X("i40e", "i40e", false, true)                                                                 \
    X("iavf", "iavf", false, false)                                                                \
    X("idpf", "idpf", false, false)                                                                \
    X("ixgbe", "ixgbe", false, true)                                                               \
    X("ixgbevf", "ixgbe", false, false)                                                            \
    X("igb", "e1000-", false, false)                                                               \
    X("e1000", "e1000-", false, false)                                                             \
    X("e1000e", "e1000-", false, false)                                                            \
    X("igc", "igc", false, true)                                                                   \
    X("bnxt_en", "bnxt", false, false)                                                             \
    X("bnx2x", "bnx2x", false, false)                                                              \
    X("ena", "ena", false, false)                                                                  \
    X("enic", "enic", false, false)                                                                \
    X("gve", "gve", false, false)                                                                  \
    X("hns3", "hns3-", false, false)                                                               \
    X("nfp", "nfp", false, true)                                                                   \
    X("qede", "qede", false, false)                                                                \
    X("sfc", "sfc", false, false)                                                                  \
    X("virtio-pci", "virtio", false, false)                                                        \
    X("virtio_net", "virtio", false, false)                                                        \
    X("vmxnet3", "vmxnet3-", false, false)                                                         \
    X("atlantic", "atlantic", false, false)                                                        \
    X("ionic", "ionic", false, false)                                                              \
    X("cxgb4", "cxgbe", false, false)

/* Once a card is bound to vfio-pci its driver's name is gone; the maker still is there. */
#define MAKERS(X)                                                                                  \
    X(0x1af4, "virtio")                                                                            \
    X(0x15b3, "mlx5")                                                                              \
    X(0x14e4, "bnxt")                                                                              \
    X(0x1d0f, "ena")                                                                               \
    X(0x15ad, "vmxnet3-")                                                                          \
    X(0x1ae0, "gve")

#define MAKER_INTEL 0x8086

/* Intel's I225 and I226, as DPDK's driver igc knows them. */
static const uint16_t igc[] = { 0x15f2, 0x15f3, 0x15f8, 0x0d9f, 0x3100, 0x3102,
                                0x5503, 0x125b, 0x125c, 0x125d, 0x125f };

static const struct {
    const char *driver;
    const char *pmd;
    bool shared;
    bool zero_copy;
} drivers[] = {
#define X(driver, pmd, shared, zero_copy) { driver, pmd, shared, zero_copy },
    DRIVERS(X)
#undef X
};

static const struct {
    uint16_t vendor;
    const char *pmd;
} makers[] = {
#define X(vendor, pmd) { vendor, pmd },
    MAKERS(X)
#undef X
};

static size_t driver_find(const char *name)
{
    size_t i = 0;

    while (i < HAUL_COUNT_OF(drivers) && strcmp(drivers[i].driver, name) != 0)
        i++;
    return i;
}

const char *haul_card_pmd(const struct haul_card *card)
{
    size_t i = driver_find(card->driver);

    if (i < HAUL_COUNT_OF(drivers))
        return drivers[i].pmd;
    for (i = 0; i < HAUL_COUNT_OF(makers); i++) {
        if (makers[i].vendor == card->vendor)
            return makers[i].pmd;
    }
    return NULL;
}

bool haul_card_cuts(const struct haul_card *card)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(igc) && card->vendor == MAKER_INTEL; i++) {
        if (igc[i] == card->device)
            return true;
    }
    return false;
}

bool haul_card_zero_copy(const struct haul_card *card)
{
    size_t i = driver_find(card->driver);

    return i < HAUL_COUNT_OF(drivers) && drivers[i].zero_copy;
}

static bool driver_is_dpdk(const char *name)
{
    return strcmp(name, "vfio-pci") == 0 || strcmp(name, "uio_pci_generic") == 0 ||
           strcmp(name, "igb_uio") == 0;
}

/* --- PCI --- */

static void pci_read(const char *root, const char *address, struct haul_card *card)
{
    char driver[HAUL_SYSFS_NAME_BYTES];
    size_t known;

    snprintf(card->pci, sizeof card->pci, "%s", address);
    snprintf(card->kind, sizeof card->kind, "pci");
    if (haul_sysfs_link(root, driver, sizeof driver, "/sys/bus/pci/devices/%s/driver", address))
        snprintf(card->driver, sizeof card->driver, "%s", driver);
    haul_sysfs_link(root, card->iommu_group, sizeof card->iommu_group,
                    "/sys/bus/pci/devices/%s/iommu_group", address);
    card->vendor = (uint16_t)haul_sysfs_number(root, 0, "/sys/bus/pci/devices/%s/vendor", address);
    card->device = (uint16_t)haul_sysfs_number(root, 0, "/sys/bus/pci/devices/%s/device", address);
    card->numa_node =
        (int32_t)haul_sysfs_number(root, -1, "/sys/bus/pci/devices/%s/numa_node", address);
    card->link_width =
        (unsigned)haul_sysfs_number(root, 0, "/sys/bus/pci/devices/%s/current_link_width", address);
    card->link_width_max =
        (unsigned)haul_sysfs_number(root, 0, "/sys/bus/pci/devices/%s/max_link_width", address);
    known = driver_find(card->driver);
    card->bifurcated = known < HAUL_COUNT_OF(drivers) && drivers[known].shared;
    card->for_dpdk = driver_is_dpdk(card->driver);
}

static bool pci_is_network(const char *root, const char *address)
{
    int64_t class = haul_sysfs_number(root, 0, "/sys/bus/pci/devices/%s/class", address) >> 8;

    return class >> 8 == CLASS_NETWORK &&
           (class == CLASS_ETHERNET || class == CLASS_OTHER || class == CLASS_INFINIBAND);
}

/* The PCI function behind an interface: itself, or (virtio) its parent. */
static bool pci_of(const char *root, const char *name, char *address, size_t bytes)
{
    static const char *const ways[] = { "device", "device/.." };
    char uevent[512], *slot;

    for (size_t i = 0; i < HAUL_COUNT_OF(ways); i++) {
        if (haul_sysfs_all(root, uevent, sizeof uevent, "/sys/class/net/%s/%s/uevent", name,
                           ways[i]) == 0)
            continue;
        slot = strstr(uevent, "PCI_SLOT_NAME=");
        if (slot == NULL)
            continue;
        slot += strlen("PCI_SLOT_NAME=");
        slot[strcspn(slot, "\n")] = '\0';
        snprintf(address, bytes, "%s", slot);
        return true;
    }
    return false;
}

/* --- interfaces --- */

static bool route_is_default(const char *root, const char *name)
{
    char table[8192], *line, *rest = table;

    haul_sysfs_all(root, table, sizeof table, "/proc/net/route");
    while ((line = strsep(&rest, "\n")) != NULL) {
        size_t length = strcspn(line, "\t ");

        if (length == strlen(name) && strncmp(line, name, length) == 0 &&
            strncmp(line + length, "\t00000000\t", 10) == 0)
            return true;
    }
    return false;
}

/* Itself, or what stands on it: bonds, bridges, VLANs. */
static bool carries_default(const char *root, const char *name, unsigned depth)
{
    char names[HAUL_CARDS_MAX][HAUL_SYSFS_NAME_BYTES];
    size_t count;

    if (route_is_default(root, name))
        return true;
    if (depth == 0)
        return false;
    count = haul_sysfs_list(root, names, HAUL_CARDS_MAX, "/sys/class/net/%s", name);
    for (size_t i = 0; i < count; i++) {
        if (strncmp(names[i], "upper_", 6) == 0 && carries_default(root, names[i] + 6, depth - 1))
            return true;
    }
    return false;
}

static void interface_read(const char *root, bool asks, const char *name, struct haul_card *card)
{
    char pci[HAUL_SYSFS_NAME_BYTES], driver[HAUL_SYSFS_NAME_BYTES] = "";
    bool loopback = haul_sysfs_number(root, 0, "/sys/class/net/%s/type", name) == TYPE_LOOPBACK;

    *card = (struct haul_card){ .numa_node = -1 };
    snprintf(card->name, sizeof card->name, "%s", name);
    snprintf(card->kind, sizeof card->kind, "%s", loopback ? "loopback" : "virtual");
    if (pci_of(root, name, pci, sizeof pci))
        pci_read(root, pci, card);
    haul_sysfs_text(root, card->mac, sizeof card->mac, "/sys/class/net/%s/address", name);
    haul_sysfs_text(root, card->state, sizeof card->state, "/sys/class/net/%s/operstate", name);
    card->mtu = haul_sysfs_number(root, 0, "/sys/class/net/%s/mtu", name);
    card->speed_mbit = haul_sysfs_number(root, -1, "/sys/class/net/%s/speed", name);
    card->receive_queues = haul_sysfs_count(root, "rx-", "/sys/class/net/%s/queues", name);
    card->send_queues = haul_sysfs_count(root, "tx-", "/sys/class/net/%s/queues", name);
    card->default_route = carries_default(root, name, UPPER_DEPTH);
    if (asks)
        haul_card_ask(name, &card->features, driver, sizeof driver);
    if (card->driver[0] == '\0')
        snprintf(card->driver, sizeof card->driver, "%s", driver);
}

static bool pci_seen(const struct haul_card *cards, size_t count, const char *address)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(cards[i].pci, address) == 0)
            return true;
    }
    return false;
}

size_t haul_cards_read(const char *root, bool asks, struct haul_card *cards, size_t capacity,
                       size_t *left_out)
{
    static char names[1024][HAUL_SYSFS_NAME_BYTES];
    size_t count = 0, left = 0;
    size_t found = haul_sysfs_list(root, names, HAUL_COUNT_OF(names), "/sys/class/net");

    for (size_t i = 0; i < found; i++) {
        /* bonding_masters is a file between the interfaces. */
        if (!haul_sysfs_exists(root, "/sys/class/net/%s/type", names[i]))
            continue;
        if (count == capacity)
            left++;
        else
            interface_read(root, asks, names[i], &cards[count++]);
    }
    found = haul_sysfs_list(root, names, HAUL_COUNT_OF(names), "/sys/bus/pci/devices");
    for (size_t i = 0; i < found; i++) {
        if (!pci_is_network(root, names[i]) || pci_seen(cards, count, names[i]))
            continue;
        if (count == capacity) {
            left++;
            continue;
        }
        cards[count] = (struct haul_card){ .numa_node = -1, .speed_mbit = -1 };
        pci_read(root, names[i], &cards[count++]);
    }
    *left_out = left;
    return count;
}
