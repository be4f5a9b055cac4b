/* Verdicts, backend by backend. */
#include "hw/fitness.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MIB      (1024u * 1024u)
#define POOL_MIB 64u /* huge pages that a small net wants */

struct rows {
    struct haul_fitness *at;
    size_t count;
    size_t capacity;
};

/* A row that nobody has judged yet. */
static struct haul_fitness *row_add(struct rows *rows, const char *backend, const char *port)
{
    struct haul_fitness *row;

    if (rows->count == rows->capacity)
        return NULL;
    row = &rows->at[rows->count++];
    *row = (struct haul_fitness){ .backend = backend, .port = port };
    return row;
}

static void fit(struct haul_fitness *row, const char *format, ...) HAUL_PRINTF(2, 3);
static void unfit(struct haul_fitness *row, const char *remedy, const char *format, ...)
    HAUL_PRINTF(3, 4);

static void fit(struct haul_fitness *row, const char *format, ...)
{
    va_list arguments;

    row->usable = true;
    va_start(arguments, format);
    vsnprintf(row->reason, sizeof row->reason, format, arguments);
    va_end(arguments);
}

static void unfit(struct haul_fitness *row, const char *remedy, const char *format, ...)
{
    va_list arguments;

    row->usable = false;
    snprintf(row->remedy, sizeof row->remedy, "%s", remedy);
    va_start(arguments, format);
    vsnprintf(row->reason, sizeof row->reason, format, arguments);
    va_end(arguments);
}

/* --- kernel UDP --- */

static void uring_judge(const struct haul_fitness_facts *facts, struct haul_fitness *row)
{
    if (facts->trials->uring == 0)
        fit(row, "the kernel lets this process use io_uring");
    else if (facts->trials->uring == ENOSYS)
        unfit(row, "nothing needs to be done: datagrams go by sendmmsg and recvmmsg",
              "this kernel has no io_uring");
    else
        unfit(row,
              "allow it (sysctl kernel.io_uring_disabled=0; in a container, its seccomp profile), "
              "or let datagrams go by sendmmsg and recvmmsg",
              "io_uring is refused: %s", strerror(facts->trials->uring));
}

/* --- DPDK as such --- */

/* Whether DPDK's driver of that name is installed. */
static bool pmd_installed(const struct haul_fitness_facts *facts, const char *pmd)
{
    static const char *const places[] = { "/usr/lib/x86_64-linux-gnu/dpdk",
                                          "/usr/lib/aarch64-linux-gnu/dpdk", "/usr/lib64/dpdk",
                                          "/usr/lib/dpdk" };
    char names[8][HAUL_SYSFS_NAME_BYTES], driver[32];

    snprintf(driver, sizeof driver, "%.*s", (int)strcspn(pmd, "-"), pmd);
    for (size_t i = 0; i < HAUL_COUNT_OF(places); i++) {
        size_t count = haul_sysfs_list(facts->root, names, HAUL_COUNT_OF(names), "%s", places[i]);

        for (size_t j = 0; j < count; j++) {
            if (haul_sysfs_exists(facts->root, "%s/%s/librte_net_%s.so", places[i], names[j],
                                  driver))
                return true;
        }
    }
    return false;
}

/* What every use of DPDK needs; false when the row is judged already. */
static bool dpdk_possible(const struct haul_fitness_facts *facts, struct haul_fitness *row,
                          const char *pmd)
{
    char remedy[128];

    if (!facts->dpdk_built) {
        unfit(row, "build it where libdpdk-dev is installed", "this haul was built without DPDK");
        return false;
    }
    if (!pmd_installed(facts, pmd)) {
        snprintf(remedy, sizeof remedy, "apt install librte-net-%s23 (or your DPDK's own)", pmd);
        unfit(row, remedy, "DPDK's driver %.*s is not installed", (int)strcspn(pmd, "-"), pmd);
        return false;
    }
    return true;
}

static bool huge_enough(const struct haul_fitness_facts *facts, struct haul_fitness *row)
{
    uint64_t bytes = haul_machine_huge_bytes(facts->machine);

    if (bytes >= (uint64_t)POOL_MIB * MIB)
        return true;
    unfit(row, "sysctl vm.nr_hugepages=512 (1 GiB of 2 MiB pages; at boot for 1 GiB pages)",
          "%llu MiB of huge pages are free, it wants %u", (unsigned long long)(bytes / MIB),
          POOL_MIB);
    return false;
}

static void memif_judge(const struct haul_fitness_facts *facts, struct haul_fitness *row)
{
    if (dpdk_possible(facts, row, "memif"))
        fit(row, "two processes of this machine share memory; no card, no huge pages, no root "
                 "needed");
}

static void vhost_judge(const struct haul_fitness_facts *facts, struct haul_fitness *row)
{
    if (dpdk_possible(facts, row, "vhost") && dpdk_possible(facts, row, "virtio"))
        fit(row, "two processes of this machine share memory; no card, no huge pages, no root "
                 "needed");
}

/* --- interfaces that stay with the kernel --- */

static bool is_port(const struct haul_card *card)
{
    static const char *const none[] = { "bridge",      "bonding", "tun", "dummy", "ifb",
                                        "802.1Q VLAN", "ipip",    "sit", "gre",   "wireguard" };

    if (card->name[0] == '\0' || strcmp(card->kind, "loopback") == 0)
        return false;
    for (size_t i = 0; i < HAUL_COUNT_OF(none); i++) {
        if (strcmp(card->driver, none[i]) == 0)
            return false;
    }
    return true;
}

/* Such drivers have no XDP of their own: what DPDK loads wants it, a filter of ours does not. */
static bool knows_no_xdp(const struct haul_card *card)
{
    static const char *const drivers[] = { "macvlan", "ipvlan", "e1000", "e1000e", "r8169", "tg3" };

    for (size_t i = 0; i < HAUL_COUNT_OF(drivers); i++) {
        if (strcmp(card->driver, drivers[i]) == 0)
            return true;
    }
    return false;
}

static void af_xdp_judge(const struct haul_fitness_facts *facts, const struct haul_card *card,
                         struct haul_fitness *row)
{
    if (!dpdk_possible(facts, row, "af_xdp"))
        return;
    if (facts->trials->xdp == EAFNOSUPPORT)
        unfit(row, "use a kernel with CONFIG_XDP_SOCKETS", "this kernel has no AF_XDP");
    else if (facts->trials->xdp != 0 || facts->trials->xdp_attach != 0)
        unfit(row, "run as root, or with the capabilities NET_RAW, NET_ADMIN and BPF",
              "this process may not attach a program to an interface");
    else if (card->mtu > 3498)
        unfit(row, "lower the MTU of the interface to 3498 or less",
              "an MTU of %lld does not fit an AF_XDP frame", (long long)card->mtu);
    else if (knows_no_xdp(card))
        fit(row,
            "only with a filter (xdp_prog=; docs/DPDK.md, My only card), and the kernel copies: "
            "%s knows no XDP",
            card->driver);
    else
        fit(row, "%s; with a filter the kernel keeps all but haul's address",
            haul_card_zero_copy(card) ? "the driver copies nothing" : "the kernel copies");
}

static void af_packet_judge(const struct haul_fitness_facts *facts, struct haul_fitness *row)
{
    if (!dpdk_possible(facts, row, "af_packet"))
        return;
    if (facts->trials->packet != 0)
        unfit(row, "run as root, or with the capability NET_RAW", "a packet socket is refused: %s",
              strerror(facts->trials->packet));
    else
        fit(row, "works everywhere and is slow: for tests");
}

/* --- cards --- */

/* What gives it to DPDK. */
static void bind_say(const struct haul_machine *machine, const struct haul_card *card, char *text,
                     size_t bytes)
{
    char down[HAUL_SYSFS_NAME_BYTES + 24] = "";

    if (card->name[0] != '\0')
        snprintf(down, sizeof down, "ip link set %s down; ", card->name);
    snprintf(text, bytes, "%s%sdpdk-devbind.py -b vfio-pci %s",
             machine->module_vfio_pci ? "" : "modprobe vfio-pci; ", down, card->pci);
}

static void pci_judge(const struct haul_fitness_facts *facts, const struct haul_card *card,
                      struct haul_fitness *row)
{
    const struct haul_machine *machine = facts->machine;
    const char *pmd = haul_card_pmd(card);
    char remedy[256];

    /* Without a driver only a few makers tell which of DPDK's it wants. */
    if (pmd == NULL && !card->for_dpdk && card->driver[0] != '\0') {
        unfit(row, "use kernel UDP or af_xdp on it",
              "no driver of DPDK's is known for %04x:%04x (%s)", card->vendor, card->device,
              card->driver);
        return;
    }
    if (pmd != NULL && !dpdk_possible(facts, row, pmd))
        return;
    if (!facts->dpdk_built) {
        (void)dpdk_possible(facts, row, "");
        return;
    }
    if (card->bifurcated) {
        if (huge_enough(facts, row))
            fit(row, "DPDK shares it with %s: it stays an interface of the kernel", card->driver);
        return;
    }
    if (!card->for_dpdk) {
        if (card->default_route) {
            unfit(row, "use af_xdp on it, or a second port: see docs/DPDK.md, My only card",
                  "the default route leaves by it; given to DPDK it would be gone for all else");
            return;
        }
        if (machine->iommu_groups == 0 && !machine->vfio_no_iommu) {
            unfit(row,
                  "boot with intel_iommu=on or amd_iommu=on (and VT-d or AMD-Vi in the firmware), "
                  "then bind the card to vfio-pci",
                  "the machine has no IOMMU on, and the card is bound to %s",
                  card->driver[0] != '\0' ? card->driver : "no driver");
            return;
        }
        bind_say(machine, card, remedy, sizeof remedy);
        if (card->driver[0] == '\0')
            unfit(row, remedy, "it has no driver");
        else
            unfit(row, remedy, "it is bound to the kernel's driver %s", card->driver);
        return;
    }
    if (strcmp(card->driver, "vfio-pci") == 0 && card->iommu_group[0] == '\0') {
        unfit(row, "boot with intel_iommu=on or amd_iommu=on",
              "it is bound to vfio-pci and has no IOMMU group");
        return;
    }
    if (huge_enough(facts, row))
        fit(row, "it is bound to %s%s%s", card->driver,
            machine->vfio_no_iommu ? " without the protection of an IOMMU" : "",
            haul_card_cuts(card) ? ", and cuts trains into datagrams" : "");
}

size_t haul_fitness_judge(const struct haul_fitness_facts *facts, struct haul_fitness *rows,
                          size_t capacity)
{
    struct rows all = { .at = rows, .capacity = capacity };
    struct haul_fitness *row;

    haul_assert(capacity >= 4);
    uring_judge(facts, row_add(&all, "udp-uring", ""));
    fit(row_add(&all, "udp-mmsg", ""), "sendmmsg and recvmmsg are always there");
    memif_judge(facts, row_add(&all, "dpdk-memif", ""));
    vhost_judge(facts, row_add(&all, "dpdk-vhost", ""));
    for (size_t i = 0; i < facts->card_count; i++) {
        const struct haul_card *card = &facts->cards[i];

        if (is_port(card) && (row = row_add(&all, "dpdk-af_xdp", card->name)) != NULL)
            af_xdp_judge(facts, card, row);
        if (is_port(card) && (row = row_add(&all, "dpdk-af_packet", card->name)) != NULL)
            af_packet_judge(facts, row);
        if (card->pci[0] != '\0' && (row = row_add(&all, "dpdk-pci", card->pci)) != NULL)
            pci_judge(facts, card, row);
    }
    return all.count;
}
