/* haul perf loop: a series of transfers between two nodes of this machine, and what came of it. */
#pragma once

#include "controlplane/cmd/command.h"
#include "controlplane/cmd/perf_nodes.h"
#include "controlplane/cmd/perf_stats.h"
#include "controlplane/transfer/record.h"
#include "perf/ceiling.h"

#define HAUL_PERF_RUNS_MAX  512u
#define HAUL_PERF_IPERF_MAX 16u

struct haul_perf_run {
    unsigned number;     /* from 1, in the order in which they were made */
    const char *carrier; /* as it was asked for */
    bool kept;           /* false: the cores were moved meanwhile */
    char *json;          /* the transfer's record */
    struct haul_record record;
    struct haul_placement before, after;
    double getter_cpu_seconds, seeder_cpu_seconds; /* of the whole processes, during the run */
    double other_cpu_seconds;                      /* of everybody else on this machine */
    uint64_t getter_peak_bytes, seeder_peak_bytes; /* huge pages included */
    double pipe_bytes_per_second; /* its carrier's sealed pipe, just afterwards; 0: none */
    char pipe[48];                /* which, as `haul perf ceiling` names it */
    uint64_t payload_class;       /* bytes of a full datagram */
};

struct haul_perf_iperf_result {
    double bytes_per_second;
    struct haul_placement before;
    bool kept;
};

struct haul_perf_series {
    const struct haul_options *options;
    uint64_t bytes; /* of a run */
    const char *carriers[2];
    size_t carrier_count;
    bool verified; /* expected of every record */
    struct haul_perf_run runs[HAUL_PERF_RUNS_MAX];
    size_t run_count;
    unsigned thrown_away;
    unsigned given_up; /* runs whose placement changed every time */
    struct haul_perf_iperf_result iperf[HAUL_PERF_IPERF_MAX];
    size_t iperf_count;
    bool iperf_absent;
    struct haul_ceilings *ceilings;
    struct haul_perf_port port; /* of both nodes, where the carrier is dpdk */
    uint8_t cipher;             /* of the fast path: enum haul_cipher */
    uint8_t hash;               /* multihash code; 0: not verified */
};

int haul_perf_loop(const struct haul_options *options);

/* perf_report.c: lines as things happen, and the tables at the end. */
void haul_perf_report_run(const struct haul_perf_series *series, const struct haul_perf_run *run);
void haul_perf_report_iperf(const struct haul_perf_series *series,
                            const struct haul_perf_iperf_result *result);
void haul_perf_report_end(const struct haul_perf_series *series);
