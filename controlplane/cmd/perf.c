/* haul perf loop: runs between two nodes of this machine, each beside iperf3 and the round trip
 * between the cores, because on a rented machine every figure of two cores moves with these. */
#include "controlplane/cmd/perf.h"

#include "common/units.h"
#include "controlplane/cmd/print.h"
#include "hw/placement.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PLACEMENT_MS    10u
#define IPERF3_SECONDS  2u
#define RUNS_DEFAULT    4u
#define RUNS_MAX        1000u
#define BYTES_DEFAULT   (UINT64_C(2) << 30)
#define REPETITIONS_MAX 3u /* of a run during which the cores moved */

static double rate_of(const struct haul_perf_run *run)
{
    return run->record.t100 == 0 ? 0 : (double)run->record.bytes * 1e9 / (double)run->record.t100;
}

static void conf_fill(const struct haul_options *options, struct haul_perf_conf *conf)
{
    const char *const *text = options->text;

    *conf = (struct haul_perf_conf){
        .carrier = text[HAUL_OPTION_CARRIER] != NULL ? text[HAUL_OPTION_CARRIER] : "udp",
        .cipher = text[HAUL_OPTION_CIPHER] != NULL ? text[HAUL_OPTION_CIPHER] : "auto",
        .hash = text[HAUL_OPTION_HASH] != NULL ? text[HAUL_OPTION_HASH] : "blake3",
        .stored_source =
            text[HAUL_OPTION_SOURCE] != NULL && strcmp(text[HAUL_OPTION_SOURCE], "store") == 0,
        .stored_sink =
            text[HAUL_OPTION_SINK] != NULL && strcmp(text[HAUL_OPTION_SINK], "store") == 0,
        .bytes = haul_options_has(options, HAUL_OPTION_SIZE) ? options->number[HAUL_OPTION_SIZE]
                                                             : BYTES_DEFAULT,
    };
}

/* One run with the cores measured on both sides; repeated while they change class during it. */
static int run_placed(struct haul_perf_loop *loop, const struct haul_options *options,
                      struct haul_perf_run *run, struct haul_error *error)
{
    struct haul_placement before;
    struct haul_placement after;

    for (unsigned i = 0;; i++) {
        haul_placement_measure(&before, PLACEMENT_MS, false);
        if (haul_perf_run(loop, run, error) < 0)
            return -1;
        haul_placement_measure(&after, PLACEMENT_MS, false);
        if (before.class == after.class || i == REPETITIONS_MAX)
            break;
        haul_print_note(options, "the cores moved from %s to %s during the run: once more",
                        haul_placement_name(before.class), haul_placement_name(after.class));
    }
    run->record.core_to_core_ns = (before.round_trip_ns + after.round_trip_ns) / 2;
    run->placement = before.class == after.class ? haul_placement_name(after.class) : "changing";
    return 0;
}

static void run_json(const struct haul_perf_run *run)
{
    char *text = haul_record_json(&run->record);
    json_t *object = text == NULL ? NULL : json_loads(text, 0, NULL);

    free(text);
    if (object == NULL)
        return;
    json_object_set_new(object, "placement", json_string(run->placement));
    json_object_set_new(object, "sender_cpu_seconds", json_real((double)run->sender_cpu / 1e9));
    json_object_set_new(object, "sender_peak_rss_bytes",
                        json_integer((json_int_t)run->sender_peak_bytes));
    if (run->ratio > 0) {
        json_object_set_new(object, "iperf3_before_bits_per_second", json_real(run->iperf3_before));
        json_object_set_new(object, "iperf3_after_bits_per_second", json_real(run->iperf3_after));
        json_object_set_new(object, "ratio_to_iperf3", json_real(run->ratio));
    }
    haul_print_json(object);
}

static void head_print(const struct haul_perf_conf *conf, uint64_t runs)
{
    char size[HAUL_UNITS_TEXT_BYTES];

    haul_units_bytes(conf->bytes, size);
    printf("haul " HAUL_VERSION " perf loop: %s, cipher %s, hash %s, %s to %s, %" PRIu64
           " runs of %s (%" PRIu64 " bytes)\n\n",
           conf->carrier, conf->cipher, conf->hash, conf->stored_source ? "store" : "synthetic",
           conf->stored_sink ? "store" : "discard", runs, size, conf->bytes);
    printf("%4s %10s %9s %9s %8s %8s %8s %12s %15s %6s  %s\n", "run", "Gbit/s", "ttfb ms", "t100 s",
           "cpu snd", "cpu rcv", "lost", "core-core ns", "iperf3 Gbit/s", "ratio", "limited by");
}

static void run_print(unsigned number, const struct haul_perf_run *run)
{
    const struct haul_record *record = &run->record;

    printf("%4u %10.2f %9.1f %9.3f %8.2f %8.2f %8" PRIu64 " %7.0f %-4s", number,
           rate_of(run) * 8e-9, (double)record->ttfb / 1e6, (double)record->t100 / 1e9,
           (double)run->sender_cpu / 1e9, (double)record->cpu / 1e9, record->lost_datagrams,
           record->core_to_core_ns, run->placement);
    if (run->ratio > 0)
        printf(" %7.1f %7.1f %6.2f", run->iperf3_before * 1e-9, run->iperf3_after * 1e-9,
               run->ratio);
    else
        printf(" %15s %6s", "-", "-");
    printf("  %s\n", haul_limit_name(record->limited_by));
    fflush(stdout);
}

static int double_compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return left < right ? -1 : left > right;
}

struct spread {
    double least, quarter, median, three_quarters, most;
};

static double quantile(const double *sorted, size_t count, double share)
{
    double at = share * (double)(count - 1);
    size_t below = (size_t)at;
    double part = at - (double)below;

    return below + 1 < count ? sorted[below] * (1 - part) + sorted[below + 1] * part
                             : sorted[below];
}

static void spread_of(double *values, size_t count, struct spread *spread)
{
    qsort(values, count, sizeof *values, double_compare);
    *spread = (struct spread){ .least = values[0],
                               .quarter = quantile(values, count, 0.25),
                               .median = quantile(values, count, 0.5),
                               .three_quarters = quantile(values, count, 0.75),
                               .most = values[count - 1] };
}

static json_t *spread_json(const struct spread *spread)
{
    json_t *object = json_object();

    json_object_set_new(object, "min", json_real(spread->least));
    json_object_set_new(object, "q1", json_real(spread->quarter));
    json_object_set_new(object, "median", json_real(spread->median));
    json_object_set_new(object, "q3", json_real(spread->three_quarters));
    json_object_set_new(object, "max", json_real(spread->most));
    return object;
}

/* Figures of different classes are never mixed: one summary a class. */
static void summary_show(const struct haul_options *options, const struct haul_perf_run *runs,
                         size_t count, const char *class)
{
    double *rates = calloc(count, sizeof *rates);
    double *ratios = calloc(count, sizeof *ratios);
    uint64_t peak = 0;
    size_t chosen = 0;
    size_t with_ratio = 0;
    struct spread rate;
    struct spread ratio = { 0 };

    for (size_t i = 0; rates != NULL && ratios != NULL && i < count; i++) {
        if (strcmp(runs[i].placement, class) != 0)
            continue;
        rates[chosen++] = rate_of(&runs[i]);
        if (runs[i].ratio > 0)
            ratios[with_ratio++] = runs[i].ratio;
        if (runs[i].sender_peak_bytes > peak)
            peak = runs[i].sender_peak_bytes;
        if (runs[i].record.peak_rss_bytes > peak)
            peak = runs[i].record.peak_rss_bytes;
    }
    if (chosen > 0) {
        spread_of(rates, chosen, &rate);
        if (with_ratio > 0)
            spread_of(ratios, with_ratio, &ratio);
    }
    if (chosen > 0 && haul_options_has(options, HAUL_OPTION_JSON)) {
        json_t *object = json_object();

        json_object_set_new(object, "event", json_string("summary"));
        json_object_set_new(object, "placement", json_string(class));
        json_object_set_new(object, "runs", json_integer((json_int_t)chosen));
        json_object_set_new(object, "rate_bytes_per_second", spread_json(&rate));
        if (with_ratio > 0)
            json_object_set_new(object, "ratio_to_iperf3", spread_json(&ratio));
        json_object_set_new(object, "peak_rss_bytes", json_integer((json_int_t)peak));
        haul_print_json(object);
    } else if (chosen > 0) {
        char text[HAUL_UNITS_TEXT_BYTES];

        haul_units_bytes(peak, text);
        printf(
            "\n%zu runs with the cores %s: median %.2f Gbit/s (min %.2f, quartiles %.2f and %.2f,"
            " max %.2f)\n",
            chosen, class, rate.median * 8e-9, rate.least * 8e-9, rate.quarter * 8e-9,
            rate.three_quarters * 8e-9, rate.most * 8e-9);
        if (with_ratio > 0)
            printf("ratio to plaintext iperf3: median %.2f (min %.2f, quartiles %.2f and %.2f, max "
                   "%.2f)\n",
                   ratio.median, ratio.least, ratio.quarter, ratio.three_quarters, ratio.most);
        printf("peak memory of a node: %s, huge pages included\n", text);
    }
    free(rates);
    free(ratios);
}

static int runs_run(struct haul_perf_loop *loop, const struct haul_options *options,
                    struct haul_perf_run *runs, size_t count, struct haul_error *error)
{
    double before = haul_iperf3_measure(IPERF3_SECONDS);

    for (size_t i = 0; i < count; i++) {
        struct haul_perf_run *run = &runs[i];

        if (i > 0)
            run->record.bytes = runs[i - 1].record.bytes;
        if (run_placed(loop, options, run, error) < 0)
            return -1;
        run->iperf3_before = before;
        run->iperf3_after = before > 0 ? haul_iperf3_measure(IPERF3_SECONDS) : 0;
        before = run->iperf3_after;
        if (run->iperf3_before > 0 && run->iperf3_after > 0)
            run->ratio = rate_of(run) * 8 * 2 / (run->iperf3_before + run->iperf3_after);
        if (haul_options_has(options, HAUL_OPTION_JSON))
            run_json(run);
        else
            run_print((unsigned)i + 1, run);
    }
    return 0;
}

static int loop_run(const struct haul_options *options, struct haul_error *error)
{
    static const char *const classes[] = { "alone", "near", "far", "changing" };
    uint64_t count = haul_options_has(options, HAUL_OPTION_RUNS) ? options->number[HAUL_OPTION_RUNS]
                                                                 : RUNS_DEFAULT;
    struct haul_perf_conf conf;
    static struct haul_perf_loop loop;
    struct haul_perf_run *runs;
    int failed;

    conf_fill(options, &conf);
    if (count > RUNS_MAX)
        return haul_fail(error, HAUL_E_USAGE, "--runs takes at most %u", RUNS_MAX);
    runs = calloc(count, sizeof *runs);
    if (runs == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the runs");
    failed = haul_perf_open(&loop, &conf, error);
    if (failed == 0) {
        if (!haul_options_has(options, HAUL_OPTION_JSON))
            head_print(&conf, count);
        failed = runs_run(&loop, options, runs, count, error);
    }
    haul_perf_close(&loop);
    for (size_t i = 0; failed == 0 && i < HAUL_COUNT_OF(classes); i++)
        summary_show(options, runs, count, classes[i]);
    free(runs);
    return failed;
}

int haul_cmd_perf(const struct haul_options *options)
{
    struct haul_error error;

    if (strcmp(options->arguments[0], "loop") != 0) {
        haul_fail(&error, HAUL_E_USAGE, "there is no measurement '%.40s'; there is `perf loop`",
                  options->arguments[0]);
        return haul_print_error(options, &error);
    }
    return loop_run(options, &error) < 0 ? haul_print_error(options, &error) : HAUL_EXIT_DONE;
}
