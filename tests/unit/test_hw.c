/* Facts and verdicts from a machine of files: each test builds the tree it is about. */
#include "hw/card.h"
#include "hw/fitness.h"
#include "hw/machine.h"
#include "hw/sysfs.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[PATH_MAX];

static void tree_open(void)
{
    const char *place = getenv("TMPDIR");

    snprintf(root, sizeof root, "%s/haul-hw-XXXXXX", place != NULL ? place : "/tmp");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(root));
}

static int entry_remove(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

static void tree_close(void)
{
    CU_ASSERT_EQUAL(nftw(root, entry_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* The path of a name in the tree, with every directory above it made. */
static const char *placed(const char *format, va_list arguments)
{
    static char path[PATH_MAX];
    int at = snprintf(path, sizeof path, "%s", root);

    vsnprintf(path + at, sizeof path - (size_t)at, format, arguments);
    for (char *slash = path + at + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    return path;
}

static void put(const char *text, const char *format, ...) HAUL_PRINTF(2, 3);
static void link_to(const char *target, const char *format, ...) HAUL_PRINTF(2, 3);

static void put(const char *text, const char *format, ...)
{
    va_list arguments;
    FILE *file;

    va_start(arguments, format);
    file = fopen(placed(format, arguments), "w");
    va_end(arguments);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
}

static void link_to(const char *target, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    CU_ASSERT_EQUAL(symlink(target, placed(format, arguments)), 0);
    va_end(arguments);
}

static void interface_make(const char *name, const char *pci)
{
    put("1\n", "/sys/class/net/%s/type", name);
    put("1500\n", "/sys/class/net/%s/mtu", name);
    put("up\n", "/sys/class/net/%s/operstate", name);
    put("02:00:00:00:00:01\n", "/sys/class/net/%s/address", name);
    put("25000\n", "/sys/class/net/%s/speed", name);
    put("", "/sys/class/net/%s/queues/rx-0/x", name);
    put("", "/sys/class/net/%s/queues/rx-1/x", name);
    put("", "/sys/class/net/%s/queues/tx-0/x", name);
    if (pci != NULL) {
        char uevent[96];

        snprintf(uevent, sizeof uevent, "DRIVER=x\nPCI_SLOT_NAME=%s\n", pci);
        put(uevent, "/sys/class/net/%s/device/uevent", name);
    }
}

static void pci_make(const char *address, const char *driver, const char *vendor)
{
    put("0x020000\n", "/sys/bus/pci/devices/%s/class", address);
    put(vendor, "/sys/bus/pci/devices/%s/vendor", address);
    put("0x159b\n", "/sys/bus/pci/devices/%s/device", address);
    put("1\n", "/sys/bus/pci/devices/%s/numa_node", address);
    put("8\n", "/sys/bus/pci/devices/%s/current_link_width", address);
    put("16\n", "/sys/bus/pci/devices/%s/max_link_width", address);
    if (driver != NULL) {
        char target[96];

        snprintf(target, sizeof target, "../../../bus/pci/drivers/%s", driver);
        link_to(target, "/sys/bus/pci/devices/%s/driver", address);
    }
}

static void pmd_make(const char *name)
{
    put("", "/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_%s.so", name);
}

static struct haul_card cards[HAUL_CARDS_MAX];
static struct haul_machine machine;
static struct haul_machine_trials trials;
static struct haul_fitness rows[HAUL_FITNESS_MAX];
static size_t card_count, row_count;

static void judge(bool dpdk_built)
{
    struct haul_fitness_facts facts = {
        .machine = &machine,
        .trials = &trials,
        .cards = cards,
        .root = root,
        .dpdk_built = dpdk_built,
    };
    size_t left_out;

    haul_machine_read(root, &machine);
    card_count = haul_cards_read(root, false, cards, HAUL_CARDS_MAX, &left_out);
    facts.card_count = card_count;
    row_count = haul_fitness_judge(&facts, rows, HAUL_FITNESS_MAX);
}

static const struct haul_fitness *row_of(const char *backend, const char *port)
{
    for (size_t i = 0; i < row_count; i++) {
        if (strcmp(rows[i].backend, backend) == 0 && strcmp(rows[i].port, port) == 0)
            return &rows[i];
    }
    CU_FAIL_FATAL("there is no such row");
    return NULL;
}

static bool refused_for(const char *backend, const char *port, const char *reason,
                        const char *remedy)
{
    const struct haul_fitness *row = row_of(backend, port);

    return !row->usable && strstr(row->reason, reason) != NULL &&
           strstr(row->remedy, remedy) != NULL;
}

static void an_empty_machine_has_nothing_and_kernel_udp(void)
{
    tree_open();
    trials = (struct haul_machine_trials){ .uring = EPERM };
    judge(true);
    CU_ASSERT_EQUAL(card_count, 0);
    CU_ASSERT_EQUAL(row_count, 4);
    CU_ASSERT_TRUE(row_of("udp-mmsg", "")->usable);
    CU_ASSERT_TRUE(refused_for("udp-uring", "", "refused", "io_uring_disabled"));
    CU_ASSERT_TRUE(refused_for("dpdk-memif", "", "not installed", "librte-net-memif23"));
    trials.uring = ENOSYS;
    judge(false);
    CU_ASSERT_TRUE(refused_for("udp-uring", "", "no io_uring", ""));
    CU_ASSERT_TRUE(refused_for("dpdk-memif", "", "built without", "libdpdk-dev"));
    tree_close();
}

static void processors_and_their_flags_are_read(void)
{
    tree_open();
    put("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu aes xaes avx2 vaes\n"
        "processor\t: 1\n",
        "/proc/cpuinfo");
    for (unsigned cpu = 0; cpu < 4; cpu++) {
        put(cpu % 2 == 0 ? "0,2\n" : "1,3\n",
            "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
        put(cpu % 2 == 0 ? "0\n" : "1\n", "/sys/devices/system/cpu/cpu%u/topology/core_id", cpu);
        put("", "/sys/devices/system/cpu/cpu%u/node%u/x", cpu, cpu / 2);
    }
    put("1,3\n", "/sys/devices/system/cpu/isolated");
    put("(null)\n", "/sys/devices/system/cpu/nohz_full");
    haul_machine_read(root, &machine);
    CU_ASSERT_STRING_EQUAL(machine.cpu_model, "Some CPU @ 2 GHz");
    CU_ASSERT_TRUE(machine.flags.aes && machine.flags.avx2 && machine.flags.vaes);
    CU_ASSERT_FALSE(machine.flags.avx512f || machine.flags.sha_ni || machine.flags.pclmulqdq);
    CU_ASSERT_EQUAL(machine.core_count, 4);
    CU_ASSERT_EQUAL(machine.cores[2].node, 1);
    CU_ASSERT_EQUAL(machine.cores[3].core, 1);
    CU_ASSERT_STRING_EQUAL(machine.cores[3].siblings, "1,3");
    CU_ASSERT_STRING_EQUAL(machine.isolated, "1,3");
    CU_ASSERT_STRING_EQUAL(machine.tickless, "");
    tree_close();
}

static void huge_pages_are_read_by_size_and_node(void)
{
    tree_open();
    for (unsigned node = 0; node < 2; node++) {
        put("8\n", "/sys/devices/system/node/node%u/hugepages/hugepages-2048kB/nr_hugepages", node);
        put(node == 0 ? "3\n" : "8\n",
            "/sys/devices/system/node/node%u/hugepages/hugepages-2048kB/free_hugepages", node);
    }
    put("1\n", "/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages");
    put("1\n", "/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/free_hugepages");
    put("proc /proc proc rw 0 0\nnone /dev/huge hugetlbfs rw 0 0\n", "/proc/mounts");
    haul_machine_read(root, &machine);
    CU_ASSERT_EQUAL(machine.page_count, 3);
    CU_ASSERT_EQUAL(machine.pages[0].unused, 3);
    CU_ASSERT_EQUAL(machine.pages[1].page_bytes, 1u << 30);
    CU_ASSERT_EQUAL(machine.pages[1].node, 1);
    CU_ASSERT_EQUAL(haul_machine_huge_bytes(&machine), (11u << 21) + (1u << 30));
    CU_ASSERT_STRING_EQUAL(machine.huge_mount, "/dev/huge");
    tree_close();
}

static void a_card_of_the_kernel_says_how_to_give_it_away(void)
{
    tree_open();
    pci_make("0000:3b:00.0", "ice", "0x8086\n");
    interface_make("ens1", "0000:3b:00.0");
    trials = (struct haul_machine_trials){ 0 };
    judge(true);
    CU_ASSERT_EQUAL_FATAL(card_count, 1);
    CU_ASSERT_STRING_EQUAL(cards[0].name, "ens1");
    CU_ASSERT_STRING_EQUAL(cards[0].pci, "0000:3b:00.0");
    CU_ASSERT_STRING_EQUAL(cards[0].driver, "ice");
    CU_ASSERT_EQUAL(cards[0].vendor, 0x8086);
    CU_ASSERT_EQUAL(cards[0].numa_node, 1);
    CU_ASSERT_EQUAL(cards[0].speed_mbit, 25000);
    CU_ASSERT_EQUAL(cards[0].receive_queues, 2);
    CU_ASSERT_EQUAL(cards[0].send_queues, 1);
    CU_ASSERT_EQUAL(cards[0].link_width, 8);
    CU_ASSERT_EQUAL(cards[0].link_width_max, 16);
    CU_ASSERT_TRUE(refused_for("dpdk-pci", "0000:3b:00.0", "ice is not", "librte-net-ice23"));
    pmd_make("ice");
    judge(true);
    CU_ASSERT_TRUE(refused_for("dpdk-pci", "0000:3b:00.0", "no IOMMU", "intel_iommu=on"));
    put("", "/sys/kernel/iommu_groups/7/x");
    judge(true);
    CU_ASSERT_TRUE(
        refused_for("dpdk-pci", "0000:3b:00.0", "bound to the kernel's driver ice", "modprobe"));
    put("", "/sys/bus/pci/drivers/vfio-pci/x");
    judge(true);
    CU_ASSERT_TRUE(refused_for("dpdk-pci", "0000:3b:00.0", "bound",
                               "ip link set ens1 down; dpdk-devbind.py -b vfio-pci 0000:3b:00.0"));
    tree_close();
}

static void a_card_without_any_driver_is_only_to_be_bound(void)
{
    tree_open();
    pci_make("0000:3b:00.0", NULL, "0x8086\n");
    put("", "/sys/kernel/iommu_groups/7/x");
    trials = (struct haul_machine_trials){ 0 };
    judge(true);
    CU_ASSERT_EQUAL_FATAL(card_count, 1);
    CU_ASSERT_TRUE(refused_for("dpdk-pci", "0000:3b:00.0", "it has no driver",
                               "modprobe vfio-pci; dpdk-devbind.py -b vfio-pci 0000:3b:00.0"));
    tree_close();
}

/* Giving away the card that the session comes by would be the last thing it did. */
static void the_card_of_the_default_route_is_not_to_be_given_away(void)
{
    tree_open();
    pci_make("0000:3b:00.0", "ice", "0x8086\n");
    pmd_make("ice");
    pmd_make("af_xdp");
    put("", "/sys/kernel/iommu_groups/7/x");
    interface_make("ens1", "0000:3b:00.0");
    interface_make("bond0", NULL);
    interface_make("bond0.7", NULL);
    put("", "/sys/class/net/ens1/upper_bond0/x");
    put("", "/sys/class/net/bond0/upper_bond0.7/x");
    put("Iface\tDestination\tGateway\nbond0.7\t00000000\t0100000A\n", "/proc/net/route");
    trials = (struct haul_machine_trials){ 0 };
    judge(true);
    CU_ASSERT_TRUE(refused_for("dpdk-pci", "0000:3b:00.0", "default route", "af_xdp"));
    CU_ASSERT_TRUE(row_of("dpdk-af_xdp", "ens1")->usable);
    CU_ASSERT_NOT_EQUAL(strstr(row_of("dpdk-af_xdp", "ens1")->reason, "copies nothing"), NULL);
    tree_close();
}

static void a_card_bound_to_vfio_is_found_without_an_interface(void)
{
    tree_open();
    pci_make("0000:3b:00.1", "vfio-pci", "0x8086\n");
    put("0x030000\n", "/sys/bus/pci/devices/0000:01:00.0/class"); /* a graphics card */
    trials = (struct haul_machine_trials){ 0 };
    judge(true);
    CU_ASSERT_EQUAL_FATAL(card_count, 1);
    CU_ASSERT_STRING_EQUAL(cards[0].name, "");
    CU_ASSERT_TRUE(cards[0].for_dpdk);
    CU_ASSERT_TRUE(refused_for("dpdk-pci", "0000:3b:00.1", "no IOMMU group", "iommu"));
    link_to("../../../../kernel/iommu_groups/7", "/sys/bus/pci/devices/0000:3b:00.1/iommu_group");
    judge(true);
    CU_ASSERT_TRUE(refused_for("dpdk-pci", "0000:3b:00.1", "huge pages", "nr_hugepages"));
    put("64\n", "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
    put("64\n", "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    judge(true);
    CU_ASSERT_TRUE(row_of("dpdk-pci", "0000:3b:00.1")->usable);
    CU_ASSERT_PTR_NULL(strstr(row_of("dpdk-pci", "0000:3b:00.1")->reason, "cuts trains"));
    put("0x15f3\n", "/sys/bus/pci/devices/0000:3b:00.1/device");
    judge(true);
    CU_ASSERT_PTR_NOT_NULL(strstr(row_of("dpdk-pci", "0000:3b:00.1")->reason, "cuts trains"));
    tree_close();
}

static void a_bifurcated_card_stays_and_is_usable(void)
{
    tree_open();
    pci_make("0000:3b:00.0", "mlx5_core", "0x15b3\n");
    interface_make("ens2", "0000:3b:00.0");
    pmd_make("mlx5");
    put("Iface\tDestination\tGateway\nens2\t00000000\t0100000A\n", "/proc/net/route");
    put("64\n", "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    trials = (struct haul_machine_trials){ 0 };
    judge(true);
    CU_ASSERT_TRUE(cards[0].bifurcated && cards[0].default_route);
    CU_ASSERT_TRUE(row_of("dpdk-pci", "0000:3b:00.0")->usable);
    tree_close();
}

static void what_the_kernel_forbids_is_said(void)
{
    tree_open();
    pmd_make("af_xdp");
    pmd_make("af_packet");
    interface_make("veth0", NULL);
    interface_make("veth1", NULL);
    put("9000\n", "/sys/class/net/veth1/mtu");
    pci_make("0000:3b:00.1", "e1000e", "0x8086\n");
    interface_make("ens2", "0000:3b:00.1");
    trials = (struct haul_machine_trials){ .packet = EPERM, .xdp = EAFNOSUPPORT };
    judge(true);
    CU_ASSERT_TRUE(refused_for("dpdk-af_xdp", "veth0", "no AF_XDP", "CONFIG_XDP_SOCKETS"));
    CU_ASSERT_TRUE(refused_for("dpdk-af_packet", "veth0", "refused", "NET_RAW"));
    trials = (struct haul_machine_trials){ .xdp_attach = EPERM };
    judge(true);
    CU_ASSERT_TRUE(refused_for("dpdk-af_xdp", "veth0", "may not attach", "NET_ADMIN"));
    CU_ASSERT_TRUE(row_of("dpdk-af_packet", "veth0")->usable);
    trials = (struct haul_machine_trials){ 0 };
    judge(true);
    CU_ASSERT_TRUE(row_of("dpdk-af_xdp", "ens2")->usable);
    CU_ASSERT_NOT_EQUAL(strstr(row_of("dpdk-af_xdp", "ens2")->reason, "only with a filter"), NULL);
    CU_ASSERT_TRUE(row_of("dpdk-af_xdp", "veth0")->usable);
    CU_ASSERT_TRUE(refused_for("dpdk-af_xdp", "veth1", "does not fit", "lower the MTU"));
    tree_close();
}

static void ports_beyond_the_limit_are_counted(void)
{
    size_t left_out = 0;

    tree_open();
    for (unsigned i = 0; i < 5; i++)
        put("1\n", "/sys/class/net/e%u/type", i);
    put("", "/sys/class/net/bonding_masters");
    CU_ASSERT_EQUAL(haul_cards_read(root, false, cards, 3, &left_out), 3);
    CU_ASSERT_EQUAL(left_out, 2);
    tree_close();
}

static void odd_files_are_read_as_absent(void)
{
    char text[16];

    tree_open();
    put("", "/a/empty");
    put("twelve\n", "/a/word");
    put("0x10\nmore\n", "/a/number");
    put("a line longer than the room for it\n", "/a/long");
    CU_ASSERT_FALSE(haul_sysfs_text(root, text, sizeof text, "/a/empty"));
    CU_ASSERT_FALSE(haul_sysfs_text(root, text, sizeof text, "/a/none"));
    CU_ASSERT_FALSE(haul_sysfs_text(root, text, sizeof text, "/a"));
    CU_ASSERT_TRUE(haul_sysfs_text(root, text, sizeof text, "/a/long"));
    CU_ASSERT_EQUAL(strlen(text), sizeof text - 1);
    CU_ASSERT_EQUAL(haul_sysfs_number(root, -1, "/a/word"), -1);
    CU_ASSERT_EQUAL(haul_sysfs_number(root, -1, "/a/number"), 16);
    CU_ASSERT_FALSE(haul_sysfs_link(root, text, sizeof text, "/a/word"));
    CU_ASSERT_EQUAL(haul_sysfs_count(root, "", "/a/none"), 0);
    tree_close();
}

static void this_machine_can_be_read(void)
{
    size_t left_out;

    haul_machine_read("", &machine);
    CU_ASSERT_TRUE(machine.core_count > 0);
    haul_machine_try(&trials);
    CU_ASSERT_TRUE(haul_cards_read("", true, cards, HAUL_CARDS_MAX, &left_out) > 0);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "an empty machine has nothing but kernel UDP",
          an_empty_machine_has_nothing_and_kernel_udp },
        { "processors and their flags are read", processors_and_their_flags_are_read },
        { "huge pages are read by size and node", huge_pages_are_read_by_size_and_node },
        { "a card of the kernel's says how to give it to DPDK",
          a_card_of_the_kernel_says_how_to_give_it_away },
        { "a card without any driver is only to be bound, and no interface is named",
          a_card_without_any_driver_is_only_to_be_bound },
        { "the card of the default route is not to be given away",
          the_card_of_the_default_route_is_not_to_be_given_away },
        { "a card bound to vfio is found without an interface",
          a_card_bound_to_vfio_is_found_without_an_interface },
        { "a bifurcated card stays with the kernel and is usable",
          a_bifurcated_card_stays_and_is_usable },
        { "what the kernel forbids is said, with the remedy", what_the_kernel_forbids_is_said },
        { "ports beyond the limit are counted", ports_beyond_the_limit_are_counted },
        { "odd files are read as absent", odd_files_are_read_as_absent },
        { "this machine can be read", this_machine_can_be_read },
    };

    return unit_main("hw", tests, HAUL_COUNT_OF(tests));
}
