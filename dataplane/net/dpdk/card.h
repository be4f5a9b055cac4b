/* Whether a PCI card can be given to DPDK: what the kernel says about it before we ask DPDK, whose
 * own words help nobody. Reads sysfs. */
#pragma once

#include "common/error.h"

/* `device`: a PCI address, arguments may follow. */
HAUL_MUST_USE int haul_card_check(const char *device, struct haul_error *error);

/* The same with the roots of sysfs and devfs named, for tests. */
HAUL_MUST_USE int haul_card_check_at(const char *sys, const char *dev, const char *device,
                                     struct haul_error *error);
