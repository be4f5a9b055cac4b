/* What a rate test reads of other processes and of the machine, from /proc and the kernel's
 * clocks. Linux only; every function gives 0 where the kernel does not say. */
#pragma once

#include "common/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define HAUL_PERF_THREADS_MAX 64u

/* Processor time used so far. */
struct haul_perf_usage {
    haul_time when; /* CLOCK_MONOTONIC */
    haul_time cpu;  /* of all threads, those that have ended too */
    size_t thread_count;
    struct {
        pid_t id;
        haul_time cpu;
    } threads[HAUL_PERF_THREADS_MAX];
};

void haul_perf_usage(pid_t process, struct haul_perf_usage *usage);

/* Share of one core that the busiest thread had between the two: 1 is all of it. */
double haul_perf_busiest(const struct haul_perf_usage *before, const struct haul_perf_usage *after);

/* Time that the processors of the machine were busy since it started, all together. */
haul_time haul_perf_machine_busy(void);
