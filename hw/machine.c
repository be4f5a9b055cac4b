/* Facts from /proc and /sys, and trials. */
#include "hw/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CPUINFO_BYTES (64u << 10) /* the first processor's lines come first */

#ifndef AF_XDP
#define AF_XDP 44
#endif

#define CAPABILITY_NET_ADMIN 12
#define CAPABILITY_SYS_ADMIN 21
#define CAPABILITY_BPF       39

/* The value of a line "key : value" of /proc/cpuinfo, up to its end. */
static const char *line_value(const char *text, const char *key)
{
    const char *at = strstr(text, key);

    at = at == NULL ? NULL : strchr(at, ':');
    return at == NULL ? NULL : at + 1 + strspn(at + 1, " \t");
}

static bool word_in(const char *line, const char *word)
{
    size_t length = strlen(word), end = strcspn(line, "\n");

    for (const char *at = line; (at = strstr(at, word)) != NULL && at < line + end; at += length) {
        if ((at == line || at[-1] == ' ') && strchr(" \n", at[length]) != NULL)
            return true;
    }
    return false;
}

static void cpu_read(const char *root, struct haul_machine *machine)
{
    char *text = malloc(CPUINFO_BYTES);
    const char *model, *flags;

    if (text == NULL)
        return;
    haul_sysfs_all(root, text, CPUINFO_BYTES, "/proc/cpuinfo");
    model = line_value(text, "model name");
    if (model != NULL)
        snprintf(machine->cpu_model, sizeof machine->cpu_model, "%.*s", (int)strcspn(model, "\n"),
                 model);
    flags = line_value(text, "\nflags");
    if (flags == NULL)
        flags = line_value(text, "\nFeatures");
#define X(name, word) machine->flags.name = flags != NULL && word_in(flags, word);
    HAUL_CPU_FLAGS(X)
#undef X
    free(text);
}

static void cores_read(const char *root, struct haul_machine *machine)
{
    for (unsigned cpu = 0; cpu < HAUL_MACHINE_CPUS_MAX; cpu++) {
        struct haul_machine_core *core = &machine->cores[machine->core_count];

        if (!haul_sysfs_exists(root, "/sys/devices/system/cpu/cpu%u/topology", cpu))
            continue;
        core->cpu = (uint16_t)cpu;
        core->package = (uint16_t)haul_sysfs_number(
            root, 0, "/sys/devices/system/cpu/cpu%u/topology/physical_package_id", cpu);
        core->core = (uint16_t)haul_sysfs_number(
            root, 0, "/sys/devices/system/cpu/cpu%u/topology/core_id", cpu);
        haul_sysfs_text(root, core->siblings, sizeof core->siblings,
                        "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
        core->node = -1;
        for (int node = 0; node < (int)HAUL_MACHINE_NODES_MAX; node++) {
            if (haul_sysfs_exists(root, "/sys/devices/system/cpu/cpu%u/node%d", cpu, node))
                core->node = (int16_t)node;
        }
        machine->core_count++;
    }
    haul_sysfs_text(root, machine->isolated, sizeof machine->isolated,
                    "/sys/devices/system/cpu/isolated");
    haul_sysfs_text(root, machine->tickless, sizeof machine->tickless,
                    "/sys/devices/system/cpu/nohz_full");
    if (strcmp(machine->tickless, "(null)") == 0)
        machine->tickless[0] = '\0';
}

/* --- huge pages --- */

static void pages_read(const char *root, struct haul_machine *machine, int32_t node,
                       const char *directory)
{
    char names[HAUL_MACHINE_PAGES_MAX][HAUL_SYSFS_NAME_BYTES];
    size_t count = haul_sysfs_list(root, names, HAUL_MACHINE_PAGES_MAX, "%s", directory);

    for (size_t i = 0; i < count; i++) {
        uint64_t kib;

        if (machine->page_count == HAUL_COUNT_OF(machine->pages) ||
            strncmp(names[i], "hugepages-", 10) != 0)
            continue;
        kib = strtoull(names[i] + 10, NULL, 10);
        machine->pages[machine->page_count++] = (struct haul_machine_pages){
            .page_bytes = kib * 1024,
            .node = node,
            .count =
                (uint64_t)haul_sysfs_number(root, 0, "%s/%s/nr_hugepages", directory, names[i]),
            .unused =
                (uint64_t)haul_sysfs_number(root, 0, "%s/%s/free_hugepages", directory, names[i]),
        };
    }
}

static void memory_read(const char *root, struct haul_machine *machine)
{
    char mounts[8192], *line, *rest = mounts, directory[96];

    for (int32_t node = 0; node < (int32_t)HAUL_MACHINE_NODES_MAX; node++) {
        snprintf(directory, sizeof directory, "/sys/devices/system/node/node%d/hugepages", node);
        pages_read(root, machine, node, directory);
    }
    if (machine->page_count == 0)
        pages_read(root, machine, -1, "/sys/kernel/mm/hugepages");
    haul_sysfs_all(root, mounts, sizeof mounts, "/proc/mounts");
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *where = strchr(line, ' '), *type;

        type = where == NULL ? NULL : strchr(where + 1, ' ');
        if (type != NULL && strncmp(type, " hugetlbfs ", 11) == 0) {
            *type = '\0';
            snprintf(machine->huge_mount, sizeof machine->huge_mount, "%s", where + 1);
            return;
        }
    }
}

uint64_t haul_machine_huge_bytes(const struct haul_machine *machine)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < machine->page_count; i++)
        bytes += machine->pages[i].page_bytes * machine->pages[i].unused;
    return bytes;
}

void haul_machine_read(const char *root, struct haul_machine *machine)
{
    char mode[8];

    *machine = (struct haul_machine){ 0 };
    haul_sysfs_text(root, machine->kernel, sizeof machine->kernel, "/proc/sys/kernel/osrelease");
    cpu_read(root, machine);
    cores_read(root, machine);
    memory_read(root, machine);
    machine->iommus = haul_sysfs_count(root, "", "/sys/class/iommu");
    machine->iommus -= machine->iommus >= 2 ? 2 : machine->iommus; /* . and .. */
    machine->iommu_groups = haul_sysfs_count(root, "", "/sys/kernel/iommu_groups");
    machine->iommu_groups -= machine->iommu_groups >= 2 ? 2 : machine->iommu_groups;
    machine->module_vfio_pci = haul_sysfs_exists(root, "/sys/bus/pci/drivers/vfio-pci");
    machine->module_uio_pci_generic =
        haul_sysfs_exists(root, "/sys/bus/pci/drivers/uio_pci_generic");
    machine->vfio_no_iommu =
        haul_sysfs_text(root, mode, sizeof mode,
                        "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode") &&
        mode[0] == 'Y';
    machine->device_vfio = haul_sysfs_exists(root, "/dev/vfio/vfio");
}

/* --- trials --- */

static int socket_try(int family)
{
    int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int uring_try(void)
{
    uint32_t parameters[30] = { 0 }; /* of the size of the kernel's own struct */
    long fd = syscall(SYS_io_uring_setup, 4u, parameters);

    if (fd < 0)
        return errno;
    close((int)fd);
    return 0;
}

static uint64_t capabilities(void)
{
    char status[4096];
    const char *at;

    haul_sysfs_all("", status, sizeof status, "/proc/self/status");
    at = strstr(status, "\nCapEff:");
    return at == NULL ? 0 : strtoull(at + 8, NULL, 16);
}

void haul_machine_try(struct haul_machine_trials *trials)
{
    struct rlimit lock = { 0 };
    uint64_t may = capabilities();
    bool load = (may >> CAPABILITY_BPF & 1) != 0 || (may >> CAPABILITY_SYS_ADMIN & 1) != 0;

    *trials = (struct haul_machine_trials){
        .uring = uring_try(),
        .packet = socket_try(AF_PACKET),
        .xdp = socket_try(AF_XDP),
        .xdp_attach = load && (may >> CAPABILITY_NET_ADMIN & 1) != 0 ? 0 : EPERM,
        .root = geteuid() == 0,
    };
    if (getrlimit(RLIMIT_MEMLOCK, &lock) == 0)
        trials->lock_bytes = lock.rlim_cur == RLIM_INFINITY ? UINT64_MAX : lock.rlim_cur;
}
