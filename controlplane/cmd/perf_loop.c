/* The order of a series: nodes, dataset, iperf3, runs with their carriers in turn, iperf3, tables.
 * Before and after everything that is timed the placement of the cores is measured: what changed
 * class meanwhile is made again. */
#include "controlplane/cmd/perf_loop.h"

#include "common/hash.h"
#include "controlplane/cmd/perf_iperf.h"
#include "controlplane/cmd/perf_nodes.h"
#include "controlplane/cmd/perf_process.h"
#include "controlplane/cmd/perf_watch.h"
#include "controlplane/cmd/print.h"
#include "controlplane/usage.h"
#include "hw/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_DEFAULT      (UINT64_C(2) << 30)
#define TOTAL_DEFAULT     (UINT64_C(8) << 30) /* of each carrier */
#define IPERF_SECONDS     2u
#define PIPE_SPAN         HAUL_SECOND
#define MTU_DEFAULT       1500u
#define MTU_LEAST         1280u
#define MTU_MOST          9600u
#define HUGE_BYTES_ENOUGH (UINT64_C(640) << 20) /* for two nodes, slots included */
#define LONG_SERIES       6u /* runs from which on iperf3 is measured in the middle too */
#define CPU_FULL          0.9
#define HELD_SHARE        0.3 /* of the time: that was the limit */

static const char *text_of(const struct haul_options *options, enum haul_option option,
                           const char *otherwise)
{
    return haul_options_has(options, option) ? options->text[option] : otherwise;
}

static bool chosen(const struct haul_options *options, enum haul_option option, const char *name)
{
    return strcmp(text_of(options, option, ""), name) == 0;
}

/* --- iperf3 --- */

static int iperf_measure(struct haul_perf_series *series, struct haul_error *error)
{
    struct haul_perf_iperf_result result = { 0 };
    struct haul_placement after;

    if (series->iperf_absent || series->iperf_count == HAUL_PERF_IPERF_MAX)
        return 0;
    for (unsigned i = 0; i < HAUL_PERF_REPEATS_MAX && !result.kept; i++) {
        haul_perf_placement_take(&result.before);
        if (haul_perf_iperf(IPERF_SECONDS, &result.bytes_per_second, error) < 0) {
            if (error->code == HAUL_E_CANCELLED)
                return -1;
            series->iperf_absent = true;
            haul_print_note(series->options, "no comparison with iperf3: %s", error->text);
            return 0;
        }
        haul_perf_placement_take(&after);
        result.kept = haul_perf_placement_held(&result.before, &after);
    }
    series->iperf[series->iperf_count++] = result;
    haul_perf_report_iperf(series, &result);
    return 0;
}

/* --- the sealed pipe of the same minute --- */

/* Of the run's carrier (for ports of DPDK: what joins them), cipher, datagram size and hash; false
 * when there is none. */
static bool pipe_of(const struct haul_perf_series *series, struct haul_perf_run *run,
                    struct haul_ceiling *pipe)
{
    enum haul_carrier carrier = haul_record_carrier(&run->record);
    const char *verified = series->hash != 0 ? "-verified" : "";
    const struct haul_ceiling *row;

    if (carrier == HAUL_CARRIER_STREAM)
        snprintf(run->pipe, sizeof run->pipe, "sealed-stream");
    else
        snprintf(run->pipe, sizeof run->pipe, "sealed-%s-%u%s",
                 carrier != HAUL_CARRIER_DPDK ? haul_carrier_name(carrier)
                 : series->port.vhost         ? "vhost"
                 : series->port.af_xdp        ? "af_xdp"
                                              : "memif",
                 (unsigned)run->payload_class, verified);
    row = haul_ceiling_find(run->pipe);
    if (row == NULL)
        return false;
    *pipe = *row;
    if (carrier != HAUL_CARRIER_STREAM) {
        pipe->shape.cipher = series->cipher;
        pipe->shape.hash = series->hash;
    }
    return true;
}

/* A run and its pipe are one measurement: where the cores are moved in between, neither is kept. */
static int pipe_measure(struct haul_perf_series *series, struct haul_perf_run *run,
                        struct haul_error *error)
{
    struct haul_pipe_result result = { 0 };
    struct haul_placement after;
    struct haul_ceiling pipe;

    if (!run->kept || !pipe_of(series, run, &pipe))
        return 0;
    if (haul_ceiling_measure(series->ceilings, &pipe, haul_ceilings_area(), PIPE_SPAN,
                             &haul_perf_interrupted, &result, error) < 0) {
        if (error->code == HAUL_E_CANCELLED)
            return -1;
        haul_print_note(series->options, "no comparison with %s: %s", run->pipe, error->text);
        return 0;
    }
    haul_perf_placement_take(&after);
    run->kept = haul_perf_placement_held(&run->before, &after);
    run->pipe_bytes_per_second = result.bytes_per_second;
    return 0;
}

/* --- runs --- */

static double seconds_of(haul_time span)
{
    return (double)span / (double)HAUL_SECOND;
}

/* What of a span the flows were held by something; a flow that began meanwhile began at zero. */
static bool held_by(uint64_t before_ns, uint64_t after_ns, double span)
{
    uint64_t held = after_ns >= before_ns ? after_ns - before_ns : after_ns;

    return (double)held / 1e9 > HELD_SHARE * span;
}

/* Both sides in view, which the record of the getter alone does not have. */
static void limit_judge(struct haul_perf_run *run, const struct haul_perf_flows flows[2],
                        double getter_busiest, double seeder_busiest)
{
    /* Of each of several flows, for what they were held is a sum. */
    double moving = seconds_of(run->record.t100 - run->record.ttfb) *
                    (double)(flows[1].count > 0 ? flows[1].count : 1);
    enum haul_limit *limit = &run->record.limited_by;

    if (*limit == HAUL_LIMIT_DISK || *limit == HAUL_LIMIT_NONE)
        return;
    if (getter_busiest >= CPU_FULL && getter_busiest >= seeder_busiest)
        *limit = HAUL_LIMIT_RECEIVER_CPU;
    else if (seeder_busiest >= CPU_FULL)
        *limit = HAUL_LIMIT_SENDER_CPU;
    else if (haul_record_carrier(&run->record) == HAUL_CARRIER_STREAM)
        return;
    else if (held_by(flows[0].limited_window_ns, flows[1].limited_window_ns, moving))
        *limit = HAUL_LIMIT_WINDOW;
    else if (held_by(flows[0].limited_pace_ns, flows[1].limited_pace_ns, moving))
        *limit = HAUL_LIMIT_LINK;
    else if (held_by(flows[0].limited_wants_ns, flows[1].limited_wants_ns, moving))
        *limit = HAUL_LIMIT_WANTS;
}

static int run_once(struct haul_perf_series *series, struct haul_perf_nodes *nodes,
                    const struct haul_perf_get *get, struct haul_perf_run *run,
                    struct haul_error *error)
{
    struct haul_perf_usage before[2], after[2];
    struct haul_perf_flows flows[2];
    haul_time busy, ours;

    if (haul_perf_flows(&nodes->seeder, &flows[0], error) < 0)
        return -1;
    haul_perf_placement_take(&run->before);
    haul_perf_usage(nodes->getter.pid, &before[0]);
    haul_perf_usage(nodes->seeder.pid, &before[1]);
    busy = haul_perf_machine_busy();
    if (haul_perf_get(nodes, get, &run->json, error) < 0)
        return -1;
    busy = haul_time_since(busy, haul_perf_machine_busy());
    haul_perf_usage(nodes->getter.pid, &after[0]);
    haul_perf_usage(nodes->seeder.pid, &after[1]);
    run->getter_peak_bytes = haul_usage_peak_bytes(nodes->getter.pid);
    run->seeder_peak_bytes = haul_usage_peak_bytes(nodes->seeder.pid);
    haul_perf_placement_take(&run->after);
    if (haul_record_parse(run->json, &run->record, error) < 0 ||
        haul_perf_flows(&nodes->seeder, &flows[1], error) < 0)
        return -1;
    if (series->verified && !run->record.verified)
        return haul_fail(error, HAUL_E_BLOCK_WRONG, "the record of the transfer is not verified");
    if (run->record.bytes != series->bytes)
        return haul_fail(error, HAUL_E_INTERNAL, "the transfer moved another number of bytes");
    run->getter_cpu_seconds = seconds_of(haul_time_since(before[0].cpu, after[0].cpu));
    run->seeder_cpu_seconds = seconds_of(haul_time_since(before[1].cpu, after[1].cpu));
    ours = (after[0].cpu - before[0].cpu) + (after[1].cpu - before[1].cpu);
    run->other_cpu_seconds = seconds_of(haul_time_since(ours, busy));
    run->record.core_to_core_ns = run->before.round_trip_ns;
    run->kept = haul_perf_placement_held(&run->before, &run->after);
    if (haul_record_carrier(&run->record) != HAUL_CARRIER_STREAM)
        run->record.lost_datagrams = flows[1].lost_datagrams; /* the sender knows */
    run->payload_class = flows[1].payload_class;
    limit_judge(run, flows, haul_perf_busiest(&before[0], &after[0]),
                haul_perf_busiest(&before[1], &after[1]));
    return 0;
}

/* Until its placement holds. */
static int run_make(struct haul_perf_series *series, struct haul_perf_nodes *nodes,
                    struct haul_perf_get *get, const char *carrier, struct haul_error *error)
{
    for (unsigned i = 0; i < HAUL_PERF_REPEATS_MAX && series->run_count < HAUL_PERF_RUNS_MAX; i++) {
        struct haul_perf_run *run = &series->runs[series->run_count];

        if (get->stored && series->run_count > 0 && haul_perf_getter_renew(nodes, error) < 0)
            return -1;
        *run =
            (struct haul_perf_run){ .number = (unsigned)series->run_count + 1, .carrier = carrier };
        get->carrier = carrier;
        if (run_once(series, nodes, get, run, error) < 0 || pipe_measure(series, run, error) < 0) {
            free(run->json);
            return -1;
        }
        series->run_count++;
        haul_perf_report_run(series, run);
        if (run->kept)
            return 0;
        series->thrown_away++;
    }
    series->given_up++;
    return 0;
}

static int runs_make(struct haul_perf_series *series, struct haul_perf_nodes *nodes,
                     struct haul_perf_get *get, uint64_t runs, struct haul_error *error)
{
    uint64_t all = runs * series->carrier_count;

    for (uint64_t i = 0; i < all; i++) {
        if (i == all / 2 && all >= LONG_SERIES && iperf_measure(series, error) < 0)
            return -1;
        if (run_make(series, nodes, get, series->carriers[i % series->carrier_count], error) < 0)
            return -1;
    }
    return 0;
}

/* --- the series --- */

static bool over_dpdk(const struct haul_perf_series *series)
{
    return strcmp(series->carriers[0], "dpdk") == 0;
}

static int port_prepare(struct haul_perf_series *series, struct haul_error *error)
{
    const struct haul_options *options = series->options;
    bool sized = haul_options_has(options, HAUL_OPTION_MTU);
    struct haul_machine *machine;

    if (!over_dpdk(series))
        return sized || haul_options_has(options, HAUL_OPTION_DEVICE)
                   ? haul_fail(error, HAUL_E_USAGE, "--%s goes with --carrier dpdk",
                               sized ? "mtu" : "device")
                   : 0;
    series->port.vhost = chosen(options, HAUL_OPTION_DEVICE, "vhost");
    series->port.af_xdp = chosen(options, HAUL_OPTION_DEVICE, "af_xdp");
    series->port.mtu = sized ? (uint32_t)options->number[HAUL_OPTION_MTU] : MTU_DEFAULT;
    if (series->port.mtu < MTU_LEAST || series->port.mtu > MTU_MOST)
        return haul_fail(error, HAUL_E_USAGE, "--mtu is %u to %u", MTU_LEAST, MTU_MOST);
    if (series->port.vhost && chosen(options, HAUL_OPTION_SINK, "store"))
        return haul_fail(error, HAUL_E_USAGE,
                         "--sink store starts the getter anew, which ends vhost: use memif");
    machine = calloc(1, sizeof *machine);
    if (machine == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for facts about this machine");
    haul_machine_read("", machine);
    series->port.zero_copy = haul_machine_huge_bytes(machine) >= HUGE_BYTES_ENOUGH;
    free(machine);
    return 0;
}

static int series_prepare(struct haul_perf_series *series, const struct haul_options *options,
                          uint64_t *runs, struct haul_error *error)
{
    bool sized = haul_options_has(options, HAUL_OPTION_SIZE);

    series->options = options;
    series->bytes = sized ? options->number[HAUL_OPTION_SIZE] : SIZE_DEFAULT;
    series->carriers[0] = text_of(options, HAUL_OPTION_CARRIER, "udp");
    series->carriers[1] = "stream";
    series->carrier_count = haul_options_has(options, HAUL_OPTION_CARRIER) ? 1 : 2;
    series->verified = !chosen(options, HAUL_OPTION_HASH, "none");
    series->hash = haul_hash_code(text_of(options, HAUL_OPTION_HASH, "blake3"));
    series->cipher = chosen(options, HAUL_OPTION_CIPHER, "none") ? HAUL_CIPHER_NONE
                     : chosen(options, HAUL_OPTION_CIPHER, "chacha20-poly1305")
                         ? HAUL_CIPHER_CHACHA20_POLY1305
                         : HAUL_CIPHER_AES_128_GCM;
    *runs = haul_options_has(options, HAUL_OPTION_RUNS)
                ? options->number[HAUL_OPTION_RUNS]
                : haul_perf_runs_for(series->bytes, TOTAL_DEFAULT);
    if (series->bytes == 0 || series->bytes % HAUL_BLOCK_BYTES_MAX != 0)
        return haul_fail(error, HAUL_E_USAGE,
                         "--size takes whole MiB, such as 64M, and at least one");
    if (*runs > HAUL_PERF_RUNS_MAX / series->carrier_count)
        return haul_fail(error, HAUL_E_USAGE, "at most %zu runs in a series",
                         HAUL_PERF_RUNS_MAX / series->carrier_count);
    return 0;
}

static int series_run(struct haul_perf_series *series, struct haul_perf_nodes *nodes, uint64_t runs,
                      struct haul_error *error)
{
    const struct haul_options *options = series->options;
    const char *hash = text_of(options, HAUL_OPTION_HASH, "blake3");
    char ticket[HAUL_TICKET_TEXT_BYTES];
    struct haul_perf_get get = {
        .ticket = ticket,
        .cipher = text_of(options, HAUL_OPTION_CIPHER, ""),
        .stored = chosen(options, HAUL_OPTION_SINK, "store"),
        .unverified = !series->verified,
    };

    if (haul_perf_seed(nodes, series->bytes,
                       series->verified ? haul_hash_code(hash) : HAUL_HASH_BLAKE3,
                       chosen(options, HAUL_OPTION_SOURCE, "store"), ticket, error) < 0 ||
        iperf_measure(series, error) < 0 || runs_make(series, nodes, &get, runs, error) < 0)
        return -1;
    return iperf_measure(series, error);
}

static int series_make(struct haul_perf_series *series, struct haul_error *error)
{
    const struct haul_options *options = series->options;
    const char *settings[HAUL_OPTION_LIST_MAX + 3] = { "listen.tcp=127.0.0.1:0",
                                                       "listen.udp=127.0.0.1:0" };
    uint64_t copies = (chosen(options, HAUL_OPTION_SOURCE, "store") ? 1u : 0u) +
                      (chosen(options, HAUL_OPTION_SINK, "store") ? 1u : 0u);
    struct haul_perf_nodes nodes;
    uint64_t runs;
    int failed;

    for (size_t i = 0; i < options->list_count; i++)
        settings[2 + i] = options->list[i];
    if (series_prepare(series, options, &runs, error) < 0 || port_prepare(series, error) < 0 ||
        haul_ceilings_open(&series->ceilings, error) < 0 ||
        haul_perf_nodes_open(&nodes, settings, over_dpdk(series) ? &series->port : NULL,
                             copies * (series->bytes + series->bytes / 8), error) < 0)
        return -1;
    failed = series_run(series, &nodes, runs, error);
    haul_perf_nodes_close(&nodes);
    return failed;
}

int haul_perf_loop(const struct haul_options *options)
{
    struct haul_perf_series *series = calloc(1, sizeof *series);
    struct haul_error error;
    int failed;

    if (series == NULL) {
        haul_fail(&error, HAUL_E_SYSTEM, "no memory for a series");
        return haul_print_error(options, &error);
    }
    haul_perf_signals_watch();
    series->options = options;
    failed = series_make(series, &error);
    if (series->run_count > 0)
        haul_perf_report_end(series);
    for (size_t i = 0; i < series->run_count; i++)
        free(series->runs[i].json);
    haul_ceilings_close(series->ceilings);
    free(series);
    return failed < 0 ? haul_print_error(options, &error) : HAUL_EXIT_DONE;
}
