/* What this machine offers a data plane: cores, cipher instructions, huge pages, the IOMMU,
 * modules, and what this process may do. */
#pragma once

#include "hw/sysfs.h"

#define HAUL_MACHINE_CPUS_MAX  1024u
#define HAUL_MACHINE_NODES_MAX 16u
#define HAUL_MACHINE_PAGES_MAX 4u

/* X(name, name in /proc/cpuinfo): what the ciphers and hashes use. */
#define HAUL_CPU_FLAGS(X)                                                                          \
    X(aes, "aes")                                                                                  \
    X(pclmulqdq, "pclmulqdq")                                                                      \
    X(vaes, "vaes")                                                                                \
    X(vpclmulqdq, "vpclmulqdq")                                                                    \
    X(sha_ni, "sha_ni")                                                                            \
    X(avx2, "avx2")                                                                                \
    X(avx512f, "avx512f")                                                                          \
    X(avx512bw, "avx512bw")                                                                        \
    X(gfni, "gfni")                                                                                \
    X(hypervisor, "hypervisor")

struct haul_machine_core {
    uint16_t cpu;
    uint16_t package;
    uint16_t core;
    int16_t node;
    char siblings[32]; /* of the same core, itself included: "0,4" */
};

struct haul_machine_pages {
    uint64_t page_bytes;
    int32_t node; /* -1: the machine as a whole, where nodes are not told */
    uint64_t count;
    uint64_t unused;
};

struct haul_machine {
    char kernel[64];
    char cpu_model[96];
    struct {
#define X(name, text) bool name;
        HAUL_CPU_FLAGS(X)
#undef X
    } flags;
    struct haul_machine_core cores[HAUL_MACHINE_CPUS_MAX];
    size_t core_count;
    char isolated[64]; /* isolcpus, as the kernel tells it; empty: none */
    char tickless[64]; /* nohz_full */
    struct haul_machine_pages pages[HAUL_MACHINE_NODES_MAX * HAUL_MACHINE_PAGES_MAX];
    size_t page_count;
    char huge_mount[64]; /* hugetlbfs; empty: not mounted */
    unsigned iommus;
    unsigned iommu_groups;
    bool module_vfio_pci;
    bool module_uio_pci_generic;
    bool vfio_no_iommu; /* cards may be given away without an IOMMU, and without its protection */
    bool device_vfio;   /* /dev/vfio/vfio is there */
};

void haul_machine_read(const char *root, struct haul_machine *machine);

/* What only trying tells. Errors are errno values, zero for "it works". */
struct haul_machine_trials {
    int uring;      /* io_uring_setup */
    int packet;     /* a socket of AF_PACKET: capability NET_RAW */
    int xdp;        /* a socket of AF_XDP */
    int xdp_attach; /* capability to load and attach a program (BPF or SYS_ADMIN, and NET_ADMIN) */
    uint64_t lock_bytes; /* RLIMIT_MEMLOCK; UINT64_MAX: no limit */
    bool root;
};

void haul_machine_try(struct haul_machine_trials *trials);

/* Free huge pages, all sizes and nodes, in bytes. */
uint64_t haul_machine_huge_bytes(const struct haul_machine *machine);
