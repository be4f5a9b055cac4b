/* What a series says: a line as each run ends, then one table for each placement that was seen.
 * With --json, one object for each of them. */
#include "controlplane/cmd/perf_loop.h"
#include "controlplane/cmd/print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GIGABIT 1e9
#define MIB     1048576.0

static bool json_wanted(const struct haul_perf_series *series)
{
    return haul_options_has(series->options, HAUL_OPTION_JSON);
}

static double rate_of(const struct haul_perf_run *run)
{
    return run->record.t100 == 0
               ? 0
               : (double)run->record.bytes * (double)HAUL_SECOND / (double)run->record.t100;
}

/* Of the sealed pipe of the same minute; 0 where there is none. */
static double share_of(const struct haul_perf_run *run)
{
    return run->pipe_bytes_per_second > 0 ? rate_of(run) / run->pipe_bytes_per_second : 0;
}

static double seconds_of(haul_time span)
{
    return (double)span / (double)HAUL_SECOND;
}

/* --- lines --- */

static void run_json(const struct haul_perf_run *run)
{
    json_t *object = json_loads(run->json, 0, NULL);

    json_object_set_new(object, "limited_by", json_string(haul_limit_name(run->record.limited_by)));
    json_object_set_new(object, "lost_datagrams",
                        json_integer((json_int_t)run->record.lost_datagrams));
    json_object_set_new(object, "run", json_integer(run->number));
    json_object_set_new(object, "kept", json_boolean(run->kept));
    json_object_set_new(object, "core_to_core_ns", json_real(run->before.round_trip_ns));
    json_object_set_new(object, "core_to_core_after_ns", json_real(run->after.round_trip_ns));
    json_object_set_new(object, "placement", json_string(haul_placement_name(run->before.class)));
    json_object_set_new(object, "load", json_real(run->before.load_one_minute));
    json_object_set_new(object, "getter_cpu_seconds", json_real(run->getter_cpu_seconds));
    json_object_set_new(object, "seeder_cpu_seconds", json_real(run->seeder_cpu_seconds));
    json_object_set_new(object, "other_cpu_seconds", json_real(run->other_cpu_seconds));
    json_object_set_new(object, "getter_peak_rss_bytes",
                        json_integer((json_int_t)run->getter_peak_bytes));
    json_object_set_new(object, "seeder_peak_rss_bytes",
                        json_integer((json_int_t)run->seeder_peak_bytes));
    if (run->pipe_bytes_per_second > 0) {
        json_object_set_new(object, "pipe", json_string(run->pipe));
        json_object_set_new(object, "pipe_bytes_per_second", json_real(run->pipe_bytes_per_second));
        json_object_set_new(object, "share_of_pipe", json_real(share_of(run)));
    }
    haul_print_json(object);
}

void haul_perf_report_run(const struct haul_perf_series *series, const struct haul_perf_run *run)
{
    const struct haul_record *record = &run->record;

    if (json_wanted(series)) {
        run_json(run);
        return;
    }
    if (run->number == 1)
        puts(" run  carrier     Gbit/s    pipe  share    first     t50     t100   core-to-core   "
             "cpu s "
             "get/seed/other"
             "   MiB get/seed  limited by");
    printf("%4u  %-8s  %8.2f  %6.2f  %5.2f  %6.3f  %6.3f  %6.3f s  %5.0f ns %-5s  %5.2f %5.2f "
           "%5.2f  %11.0f %4.0f"
           "  %s%s\n",
           run->number, haul_carrier_name(haul_record_carrier(record)), 8 * rate_of(run) / GIGABIT,
           8 * run->pipe_bytes_per_second / GIGABIT, share_of(run), seconds_of(record->ttfb),
           seconds_of(record->t50), seconds_of(record->t100), run->before.round_trip_ns,
           haul_placement_name(run->before.class), run->getter_cpu_seconds, run->seeder_cpu_seconds,
           run->other_cpu_seconds, (double)run->getter_peak_bytes / MIB,
           (double)run->seeder_peak_bytes / MIB, haul_limit_name(record->limited_by),
           run->kept ? "" : "  (placement changed: thrown away)");
    fflush(stdout);
}

void haul_perf_report_iperf(const struct haul_perf_series *series,
                            const struct haul_perf_iperf_result *result)
{
    json_t *object;

    if (!json_wanted(series)) {
        printf("      iperf3    %8.2f  plaintext TCP, 2 s            %5.0f ns %-5s%s\n",
               8 * result->bytes_per_second / GIGABIT, result->before.round_trip_ns,
               haul_placement_name(result->before.class),
               result->kept ? "" : "  (placement changed: not used)");
        fflush(stdout);
        return;
    }
    object = json_object();
    json_object_set_new(object, "event", json_string("iperf3"));
    json_object_set_new(object, "rate_bytes_per_second", json_real(result->bytes_per_second));
    json_object_set_new(object, "kept", json_boolean(result->kept));
    json_object_set_new(object, "core_to_core_ns", json_real(result->before.round_trip_ns));
    json_object_set_new(object, "placement",
                        json_string(haul_placement_name(result->before.class)));
    json_object_set_new(object, "load", json_real(result->before.load_one_minute));
    haul_print_json(object);
}

/* --- the end: figures of one carrier in one placement --- */

struct group {
    const char *carrier;
    enum haul_placement_class class;
    struct haul_perf_spread rate, iperf, pipe, share, ttfb, getter_cpu, seeder_cpu, core_to_core;
    uint64_t getter_peak_bytes, seeder_peak_bytes;
    uint64_t bytes;
};

/* One figure of a run, as a spread over the group's runs takes it. */
typedef double figure_fn(const struct haul_perf_run *run);

static double figure_pipe(const struct haul_perf_run *run)
{
    return run->pipe_bytes_per_second;
}

static double figure_ttfb(const struct haul_perf_run *run)
{
    return seconds_of(run->record.ttfb);
}

static double figure_getter_cpu(const struct haul_perf_run *run)
{
    return run->getter_cpu_seconds;
}

static double figure_seeder_cpu(const struct haul_perf_run *run)
{
    return run->seeder_cpu_seconds;
}

static double figure_core_to_core(const struct haul_perf_run *run)
{
    return run->before.round_trip_ns;
}

static bool belongs(const struct group *group, const struct haul_perf_run *run)
{
    return run->kept && run->before.class == group->class &&
           strcmp(run->carrier, group->carrier) == 0;
}

static void spread_of(const struct haul_perf_series *series, const struct group *group,
                      figure_fn *figure, struct haul_perf_spread *spread)
{
    double values[HAUL_PERF_RUNS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < series->run_count; i++) {
        if (belongs(group, &series->runs[i]))
            values[count++] = figure(&series->runs[i]);
    }
    haul_perf_spread(values, count, spread);
}

/* False when no run belongs to it. */
static bool group_make(const struct haul_perf_series *series, struct group *group)
{
    double values[HAUL_PERF_IPERF_MAX];
    size_t count = 0;

    spread_of(series, group, rate_of, &group->rate);
    spread_of(series, group, figure_pipe, &group->pipe);
    spread_of(series, group, share_of, &group->share);
    spread_of(series, group, figure_ttfb, &group->ttfb);
    spread_of(series, group, figure_getter_cpu, &group->getter_cpu);
    spread_of(series, group, figure_seeder_cpu, &group->seeder_cpu);
    spread_of(series, group, figure_core_to_core, &group->core_to_core);
    for (size_t i = 0; i < series->iperf_count; i++) {
        if (series->iperf[i].kept && series->iperf[i].before.class == group->class)
            values[count++] = series->iperf[i].bytes_per_second;
    }
    haul_perf_spread(values, count, &group->iperf);
    for (size_t i = 0; i < series->run_count; i++) {
        const struct haul_perf_run *run = &series->runs[i];

        if (!belongs(group, run))
            continue;
        group->bytes += run->record.bytes;
        if (run->getter_peak_bytes > group->getter_peak_bytes)
            group->getter_peak_bytes = run->getter_peak_bytes;
        if (run->seeder_peak_bytes > group->seeder_peak_bytes)
            group->seeder_peak_bytes = run->seeder_peak_bytes;
    }
    return group->rate.count > 0;
}

static json_t *spread_json(const struct haul_perf_spread *spread)
{
    json_t *object = json_object();

    json_object_set_new(object, "count", json_integer((json_int_t)spread->count));
    json_object_set_new(object, "min", json_real(spread->min));
    json_object_set_new(object, "q1", json_real(spread->q1));
    json_object_set_new(object, "median", json_real(spread->median));
    json_object_set_new(object, "q3", json_real(spread->q3));
    json_object_set_new(object, "max", json_real(spread->max));
    return object;
}

static json_t *group_json(const struct group *group)
{
    json_t *object = json_object();

    json_object_set_new(object, "carrier", json_string(group->carrier));
    json_object_set_new(object, "placement", json_string(haul_placement_name(group->class)));
    json_object_set_new(object, "bytes", json_integer((json_int_t)group->bytes));
    json_object_set_new(object, "rate_bytes_per_second", spread_json(&group->rate));
    if (group->iperf.count > 0) {
        json_object_set_new(object, "iperf3_bytes_per_second", spread_json(&group->iperf));
        json_object_set_new(object, "ratio_to_iperf3",
                            json_real(group->rate.median / group->iperf.median));
    }
    if (group->pipe.min > 0) {
        json_object_set_new(object, "pipe_bytes_per_second", spread_json(&group->pipe));
        json_object_set_new(object, "share_of_pipe", spread_json(&group->share));
    }
    json_object_set_new(object, "ttfb_s", spread_json(&group->ttfb));
    json_object_set_new(object, "core_to_core_ns", spread_json(&group->core_to_core));
    json_object_set_new(object, "getter_cpu_seconds", spread_json(&group->getter_cpu));
    json_object_set_new(object, "seeder_cpu_seconds", spread_json(&group->seeder_cpu));
    json_object_set_new(object, "getter_peak_rss_bytes",
                        json_integer((json_int_t)group->getter_peak_bytes));
    json_object_set_new(object, "seeder_peak_rss_bytes",
                        json_integer((json_int_t)group->seeder_peak_bytes));
    return object;
}

static void group_print(const struct group *group)
{
    const struct haul_perf_spread *rate = &group->rate;
    double scale = 8 / GIGABIT;

    printf("%-8s  %-5s  %3zu  %7.2f  %6.2f  %6.2f  %6.2f  %6.2f  ", group->carrier,
           haul_placement_name(group->class), rate->count, rate->median * scale, rate->min * scale,
           rate->q1 * scale, rate->q3 * scale, rate->max * scale);
    if (group->iperf.count > 0)
        printf("%7.2f  %6.2f", group->iperf.median * scale, rate->median / group->iperf.median);
    else
        printf("%7s  %6s", "-", "-");
    if (group->pipe.min > 0)
        printf("  %6.2f  %5.2f (%.2f-%.2f)", group->pipe.median * scale, group->share.median,
               group->share.min, group->share.max);
    else
        printf("  %6s  %-17s", "-", "-");
    printf("  %6.1f ms  %5.2f %5.2f  %5.0f %5.0f\n", group->ttfb.median * 1e3,
           group->getter_cpu.median, group->seeder_cpu.median,
           (double)group->getter_peak_bytes / MIB, (double)group->seeder_peak_bytes / MIB);
}

void haul_perf_report_end(const struct haul_perf_series *series)
{
    static const enum haul_placement_class classes[] = { HAUL_PLACEMENT_ALONE, HAUL_PLACEMENT_NEAR,
                                                         HAUL_PLACEMENT_FAR };
    json_t *groups = json_array();

    if (!json_wanted(series))
        puts("\nGbit/s of payload; what was moved while the cores were placed differently is never "
             "mixed\ncarrier   cores  runs  median     min      q1      q3     max   iperf3   ratio"
             "    pipe  share of the pipe    first     cpu get/seed  MiB get/seed");
    for (size_t i = 0; i < HAUL_COUNT_OF(classes) * series->carrier_count; i++) {
        struct group group = { .carrier = series->carriers[i % series->carrier_count],
                               .class = classes[i / series->carrier_count] };

        if (!group_make(series, &group))
            continue;
        if (json_wanted(series))
            json_array_append_new(groups, group_json(&group));
        else
            group_print(&group);
    }
    if (json_wanted(series)) {
        json_t *object = json_object();

        json_object_set_new(object, "event", json_string("perf-loop"));
        json_object_set_new(object, "bytes_per_run", json_integer((json_int_t)series->bytes));
        json_object_set_new(object, "runs", json_integer((json_int_t)series->run_count));
        json_object_set_new(object, "thrown_away", json_integer(series->thrown_away));
        json_object_set_new(object, "given_up", json_integer(series->given_up));
        json_object_set_new(object, "groups", groups);
        haul_print_json(object);
        return;
    }
    json_decref(groups);
    if (series->thrown_away > 0)
        printf("%u runs thrown away: the cores were moved meanwhile\n", series->thrown_away);
    if (series->given_up > 0)
        printf("%u runs given up: the cores were moved each time\n", series->given_up);
}
