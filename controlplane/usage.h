/* What a process has used: processor time (this one), and memory with huge pages, which the kernel
 * counts apart from the resident set. */
#pragma once

#include "common/time.h"

#include <sys/types.h>

haul_time haul_usage_cpu(void);

/* The most that was ever resident, huge pages as they are now added; 0 when it is no more. */
uint64_t haul_usage_peak_bytes(pid_t process);
