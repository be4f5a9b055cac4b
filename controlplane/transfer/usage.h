/* What this process has used: processor time, and memory with huge pages, which the kernel counts
 * apart from the resident set. */
#pragma once

#include "common/time.h"

haul_time haul_usage_cpu(void);

/* The most that was ever resident, huge pages as they are now added. */
uint64_t haul_usage_peak_bytes(void);
