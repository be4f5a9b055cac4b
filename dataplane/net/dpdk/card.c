/* The driver and the IOMMU group of a PCI card, read from sysfs. */
#include "dataplane/net/dpdk/card.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The last name of what a link in the card's directory points to; false when there is none. */
static bool link_name(const char *sys, const char *card, const char *link, char *name, size_t bytes)
{
    char path[PATH_MAX], target[PATH_MAX];
    ssize_t length;
    const char *slash;

    snprintf(path, sizeof path, "%s/bus/pci/devices/%s/%s", sys, card, link);
    length = readlink(path, target, sizeof target - 1);
    if (length < 0)
        return false;
    target[length] = '\0';
    slash = strrchr(target, '/');
    snprintf(name, bytes, "%.*s", (int)bytes - 1, slash != NULL ? slash + 1 : target);
    return true;
}

/* Drivers that share the card with DPDK: it stays the kernel's. */
static bool is_shared(const char *driver)
{
    return strcmp(driver, "mlx5_core") == 0 || strcmp(driver, "mlx4_core") == 0;
}

/* Whether vfio-pci takes cards without an IOMMU. */
static bool unsafe_allowed(const char *sys)
{
    char path[PATH_MAX];
    FILE *file;
    int first;

    snprintf(path, sizeof path, "%s/module/vfio/parameters/enable_unsafe_noiommu_mode", sys);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    first = fgetc(file);
    fclose(file);
    return first == 'Y' || first == '1';
}

static int vfio_check(const char *sys, const char *dev, const char *card, struct haul_error *error)
{
    char group[64], path[PATH_MAX];

    if (!link_name(sys, card, "iommu_group", group, sizeof group))
        return haul_fail(error, HAUL_E_DPDK_IOMMU,
                         "card %s is bound to vfio-pci and has no IOMMU group", card);
    snprintf(path, sizeof path, "%s/vfio/%s", dev, group);
    if (access(path, R_OK | W_OK) == 0)
        return 0;
    /* Without protection by an IOMMU the kernel names the group otherwise. */
    snprintf(path, sizeof path, "%s/vfio/noiommu-%s", dev, group);
    if (access(path, R_OK | W_OK) == 0)
        return 0;
    snprintf(path, sizeof path, "%s/vfio/%s", dev, group);
    return haul_fail(error, HAUL_E_DPDK_PERMISSION, "card %s: %s: %s; chown it to this user", card,
                     path, strerror(errno));
}

int haul_card_check_at(const char *sys, const char *dev, const char *device,
                       struct haul_error *error)
{
    char card[32], driver[64], group[64], path[PATH_MAX];
    size_t length = strcspn(device, ",");

    /* A short address means domain zero. */
    snprintf(card, sizeof card, "%s%.*s", length <= 7 ? "0000:" : "", (int)length, device);
    snprintf(path, sizeof path, "%s/bus/pci/devices/%s", sys, card);
    if (access(path, F_OK) != 0)
        return haul_fail(error, HAUL_E_DPDK_DEVICE, "there is no PCI card %s; lspci lists them",
                         card);
    if (!link_name(sys, card, "driver", driver, sizeof driver)) {
        /* vfio-pci refuses one without a group, and then it has none any more. */
        if (!link_name(sys, card, "iommu_group", group, sizeof group) && !unsafe_allowed(sys))
            return haul_fail(error, HAUL_E_DPDK_IOMMU,
                             "card %s has no driver, and no IOMMU group, without which vfio-pci "
                             "does not take it",
                             card);
        return haul_fail(error, HAUL_E_DPDK_BOUND,
                         "card %s has no driver: modprobe vfio-pci; dpdk-devbind.py -b vfio-pci %s",
                         card, card);
    }
    if (strcmp(driver, "vfio-pci") == 0)
        return vfio_check(sys, dev, card, error);
    if (is_shared(driver) || strncmp(driver, "uio_", 4) == 0 || strcmp(driver, "igb_uio") == 0)
        return 0;
    return haul_fail(error, HAUL_E_DPDK_BOUND,
                     "card %s belongs to the kernel's driver %s: dpdk-devbind.py -b vfio-pci %s, "
                     "unless the machine is reached by it (then see af_xdp in docs/DPDK.md)",
                     card, driver, card);
}

int haul_card_check(const char *device, struct haul_error *error)
{
    return haul_card_check_at("/sys", "/dev", device, error);
}
