/* Parts of `haul perf loop`: two real nodes on this machine, a run between them, and the yardstick
 * beside it. */
#pragma once

#include "controlplane/cmd/option.h"
#include "controlplane/home.h"
#include "controlplane/xfer/record.h"

#include <sys/types.h>

enum { HAUL_PERF_SENDER, HAUL_PERF_RECEIVER, HAUL_PERF_NODES };

struct haul_perf_node {
    struct haul_home home;
    pid_t pid;
    int output;
    bool open;
};

struct haul_perf_conf {
    const char *carrier; /* "udp", "stream", "auto" */
    const char *cipher;
    const char *hash; /* "blake3", "sha2-256", "none" */
    bool stored_source;
    bool stored_sink;
    uint64_t bytes; /* of one run */
};

struct haul_perf_loop {
    struct haul_perf_conf conf;
    char directory[256]; /* temporary; holds both homes */
    struct haul_perf_node nodes[HAUL_PERF_NODES];
    char ticket[512];
};

/* What one run told, beyond the record of the receiver. */
struct haul_perf_run {
    struct haul_record record;
    uint64_t sender_peak_bytes;
    haul_time sender_cpu;
    double iperf3_before; /* bits a second, 0: not measured */
    double iperf3_after;
    double ratio; /* of the rate to the mean of both, 0: not measured */
    const char *placement;
};

/* Starts both nodes and offers the dataset. Close also after a failure. */
HAUL_MUST_USE int haul_perf_open(struct haul_perf_loop *loop, const struct haul_perf_conf *conf,
                                 struct haul_error *error);
void haul_perf_close(struct haul_perf_loop *loop);

/* One transfer; fills record, sender_peak_bytes and sender_cpu. */
HAUL_MUST_USE int haul_perf_run(struct haul_perf_loop *loop, struct haul_perf_run *run,
                                struct haul_error *error);

/* Plaintext TCP of this machine in bits a second by `iperf3 -c 127.0.0.1 -t SECONDS`; 0 when iperf3
 * is not installed or fails. */
double haul_iperf3_measure(unsigned seconds);
