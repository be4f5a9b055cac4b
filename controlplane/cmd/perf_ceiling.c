/* Rounds over the rows of perf/ceiling.h. What two cores do together is preceded and followed by a
 * measurement of the placement and made again when that changed meanwhile. */
#include "controlplane/cmd/perf_ceiling.h"

#include "common/time.h"
#include "controlplane/cmd/perf_stats.h"
#include "controlplane/cmd/perf_watch.h"
#include "controlplane/cmd/print.h"
#include "perf/ceiling.h"

#include <stdlib.h>
#include <string.h>

#define RUNS_DEFAULT 3u
#define RUNS_MAX     32u
#define ROWS_MAX     64u
#define SPAN_DEFAULT HAUL_SECOND
#define SPAN_MAX     (10 * HAUL_SECOND)
#define ALONE_PART   4u /* one core needs less time than two */
#define SIZE_MAX_MIB 4096u
#define PLACEMENT_MS 40u
#define GIGABIT      1e9

struct figure {
    double bytes_per_second;
    uint64_t lost, wrong;
    struct haul_placement before, after;
    bool kept;
};

struct row {
    const struct haul_ceiling *ceiling;
    struct figure figures[RUNS_MAX];
    size_t count; /* of those that were kept */
    unsigned thrown_away;
    bool absent; /* this machine cannot */
    struct haul_error why;
};

struct rounds {
    const struct haul_options *options;
    struct haul_ceilings *ceilings;
    struct row rows[ROWS_MAX];
    size_t row_count;
    uint64_t runs;
    haul_time span;
    size_t area_bytes;
    struct haul_placement placement;
};

static bool json_wanted(const struct rounds *rounds)
{
    return haul_options_has(rounds->options, HAUL_OPTION_JSON);
}

/* --- what was asked for --- */

static int rows_choose(struct rounds *rounds, struct haul_error *error)
{
    const struct haul_options *options = rounds->options;
    const char *names[ROWS_MAX];

    haul_assert(haul_ceiling_count <= ROWS_MAX);
    for (size_t i = 0; i < haul_ceiling_count; i++) {
        names[i] = haul_ceiling_table[i].name;
        if (options->argument_count == 1)
            rounds->rows[rounds->row_count++].ceiling = &haul_ceiling_table[i];
    }
    for (size_t i = 1; i < options->argument_count; i++) {
        const struct haul_ceiling *ceiling = haul_ceiling_find(options->arguments[i]);

        if (ceiling == NULL) {
            const char *nearest = haul_nearest(options->arguments[i], names, haul_ceiling_count);

            return haul_fail(error, HAUL_E_USAGE, "there is no ceiling '%.40s'%s%s%s",
                             options->arguments[i], nearest != NULL ? "; did you mean '" : "",
                             nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
        }
        rounds->rows[rounds->row_count++].ceiling = ceiling;
    }
    return 0;
}

static int rounds_prepare(struct rounds *rounds, struct haul_error *error)
{
    const struct haul_options *options = rounds->options;

    rounds->runs = RUNS_DEFAULT;
    rounds->span = SPAN_DEFAULT;
    rounds->area_bytes = haul_ceilings_area();
    if (haul_options_has(options, HAUL_OPTION_RUNS))
        rounds->runs = options->number[HAUL_OPTION_RUNS];
    if (haul_options_has(options, HAUL_OPTION_SPAN))
        rounds->span = options->number[HAUL_OPTION_SPAN];
    if (rounds->runs > RUNS_MAX)
        return haul_fail(error, HAUL_E_USAGE, "--runs is at most %u here", RUNS_MAX);
    if (rounds->span == 0 || rounds->span > SPAN_MAX)
        return haul_fail(error, HAUL_E_USAGE, "--span is at most 10s, and more than nothing");
    if (haul_options_has(options, HAUL_OPTION_SIZE)) {
        uint64_t bytes = options->number[HAUL_OPTION_SIZE];

        if (bytes == 0 || bytes % HAUL_BLOCK_BYTES_MAX != 0 || bytes >> 20 > SIZE_MAX_MIB)
            return haul_fail(error, HAUL_E_USAGE, "--size must be whole MiB, at most %u of them",
                             SIZE_MAX_MIB);
        rounds->area_bytes = (size_t)bytes;
    }
    return rows_choose(rounds, error);
}

/* --- measuring --- */

static void figure_print(const struct rounds *rounds, const struct row *row,
                         const struct figure *figure)
{
    json_t *object;

    if (!json_wanted(rounds)) {
        haul_print_note(rounds->options, "%-26s %8.2f Gbit/s  %4.0f ns %s%s", row->ceiling->name,
                        8 * figure->bytes_per_second / GIGABIT, figure->before.round_trip_ns,
                        haul_placement_name(figure->before.class),
                        figure->kept ? "" : "  (placement changed: thrown away)");
        return;
    }
    object = json_object();
    json_object_set_new(object, "event", json_string("ceiling"));
    json_object_set_new(object, "name", json_string(row->ceiling->name));
    json_object_set_new(object, "rate_bytes_per_second", json_real(figure->bytes_per_second));
    json_object_set_new(object, "lost_datagrams", json_integer((json_int_t)figure->lost));
    json_object_set_new(object, "damaged", json_integer((json_int_t)figure->wrong));
    json_object_set_new(object, "kept", json_boolean(figure->kept));
    json_object_set_new(object, "core_to_core_ns", json_real(figure->before.round_trip_ns));
    json_object_set_new(object, "core_to_core_after_ns", json_real(figure->after.round_trip_ns));
    json_object_set_new(object, "placement",
                        json_string(haul_placement_name(figure->before.class)));
    json_object_set_new(object, "load", json_real(figure->before.load_one_minute));
    haul_print_json(object);
}

static int figure_make(const struct rounds *rounds, struct row *row, struct figure *figure,
                       struct haul_error *error)
{
    bool alone = row->ceiling->pipe == NULL;
    struct haul_pipe_result result = { 0 };

    *figure = (struct figure){ 0 };
    haul_perf_placement_take(&figure->before);
    if (haul_ceiling_measure(rounds->ceilings, row->ceiling, rounds->area_bytes,
                             alone ? rounds->span / ALONE_PART : rounds->span,
                             &haul_perf_interrupted, &result, error) < 0)
        return -1;
    haul_perf_placement_take(&figure->after);
    figure->bytes_per_second = result.bytes_per_second;
    figure->lost = result.lost;
    figure->wrong = result.wrong;
    figure->kept = haul_perf_placement_held(&figure->before, &figure->after);
    if (haul_perf_interrupted)
        return haul_fail(error, HAUL_E_CANCELLED, "interrupted");
    return 0;
}

/* Until the placement holds; a row that is not possible here is left out from then on. */
static int row_measure(const struct rounds *rounds, struct row *row, struct haul_error *error)
{
    struct figure *figure = &row->figures[row->count];

    for (unsigned i = 0; i < HAUL_PERF_REPEATS_MAX && !row->absent; i++) {
        if (figure_make(rounds, row, figure, error) < 0) {
            if (error->code != HAUL_E_NOT_POSSIBLE)
                return -1;
            row->absent = true;
            row->why = *error;
            haul_print_note(rounds->options, "%s: %s", row->ceiling->name, error->text);
            return 0;
        }
        figure_print(rounds, row, figure);
        if (figure->kept) {
            row->count++;
            return 0;
        }
        row->thrown_away++;
    }
    return 0;
}

static int rounds_run(struct rounds *rounds, struct haul_error *error)
{
    haul_placement_measure(&rounds->placement, PLACEMENT_MS, true);
    for (uint64_t round = 0; round < rounds->runs; round++) {
        for (size_t i = 0; i < rounds->row_count; i++) {
            if (row_measure(rounds, &rounds->rows[i], error) < 0)
                return -1;
        }
    }
    return 0;
}

/* --- the table: one row in one placement --- */

static size_t rates_of(const struct row *row, enum haul_placement_class class, double *rates)
{
    size_t count = 0;

    for (size_t i = 0; i < row->count; i++) {
        if (row->figures[i].before.class == class)
            rates[count++] = row->figures[i].bytes_per_second;
    }
    return count;
}

static void spread_of(const struct rounds *rounds, const char *name,
                      enum haul_placement_class class, struct haul_perf_spread *spread)
{
    double rates[RUNS_MAX];

    *spread = (struct haul_perf_spread){ 0 };
    for (size_t i = 0; name != NULL && i < rounds->row_count; i++) {
        const struct row *row = &rounds->rows[i];

        if (strcmp(row->ceiling->name, name) == 0)
            haul_perf_spread(rates, rates_of(row, class, rates), spread);
    }
}

static json_t *group_json(const struct row *row, enum haul_placement_class class,
                          const struct haul_perf_spread *rate, const struct haul_perf_spread *of)
{
    json_t *object = json_object(), *spread = json_object();

    json_object_set_new(object, "name", json_string(row->ceiling->name));
    json_object_set_new(object, "what", json_string(row->ceiling->what));
    json_object_set_new(object, "placement", json_string(haul_placement_name(class)));
    json_object_set_new(spread, "count", json_integer((json_int_t)rate->count));
    json_object_set_new(spread, "min", json_real(rate->min));
    json_object_set_new(spread, "q1", json_real(rate->q1));
    json_object_set_new(spread, "median", json_real(rate->median));
    json_object_set_new(spread, "q3", json_real(rate->q3));
    json_object_set_new(spread, "max", json_real(rate->max));
    json_object_set_new(object, "rate_bytes_per_second", spread);
    if (of->median > 0) {
        json_object_set_new(object, "limit", json_string(row->ceiling->of));
        json_object_set_new(object, "share_of_limit", json_real(rate->median / of->median));
    }
    return object;
}

static void group_print(const struct row *row, enum haul_placement_class class,
                        const struct haul_perf_spread *rate, const struct haul_perf_spread *of)
{
    double scale = 8 / GIGABIT;

    printf("%-26s  %-5s  %4zu  %7.2f  %6.2f  %6.2f  ", row->ceiling->name,
           haul_placement_name(class), rate->count, rate->median * scale, rate->min * scale,
           rate->max * scale);
    if (of->median > 0)
        printf("%5.2f x %-16s  ", rate->median / of->median, row->ceiling->of);
    else
        printf("%-26s", "");
    printf("%s\n", row->ceiling->what);
}

static void groups_report(const struct rounds *rounds, json_t *groups)
{
    static const enum haul_placement_class classes[] = { HAUL_PLACEMENT_ALONE, HAUL_PLACEMENT_NEAR,
                                                         HAUL_PLACEMENT_FAR };
    struct haul_perf_spread rate, of;

    for (size_t i = 0; i < HAUL_COUNT_OF(classes) * rounds->row_count; i++) {
        const struct row *row = &rounds->rows[i % rounds->row_count];
        enum haul_placement_class class = classes[i / rounds->row_count];

        spread_of(rounds, row->ceiling->name, class, &rate);
        spread_of(rounds, row->ceiling->of, class, &of);
        if (rate.count == 0)
            continue;
        if (groups != NULL)
            json_array_append_new(groups, group_json(row, class, &rate, &of));
        else
            group_print(row, class, &rate, &of);
    }
}

static void absent_report(const struct rounds *rounds, json_t *absent)
{
    for (size_t i = 0; i < rounds->row_count; i++) {
        const struct row *row = &rounds->rows[i];

        if (!row->absent)
            continue;
        if (absent != NULL)
            json_object_set_new(absent, row->ceiling->name, json_string(row->why.text));
        else
            printf("%-26s  not possible here: %s\n", row->ceiling->name, row->why.text);
    }
}

static void rounds_report(const struct rounds *rounds)
{
    const struct haul_placement *placement = &rounds->placement;
    unsigned thrown_away = 0;
    json_t *object, *groups, *absent;

    for (size_t i = 0; i < rounds->row_count; i++)
        thrown_away += rounds->rows[i].thrown_away;
    if (!json_wanted(rounds)) {
        printf("core to core and back %.0f ns (%s); two cores do %.2f times the work of one\n"
               "Gbit/s of payload; source and sink %zu MiB each\n"
               "ceiling                     cores  runs   median     min     max  share\n",
               placement->round_trip_ns, haul_placement_name(placement->class),
               placement->both_over_one, rounds->area_bytes >> 20);
        groups_report(rounds, NULL);
        absent_report(rounds, NULL);
        if (thrown_away > 0)
            printf("%u measurements thrown away: the cores were moved meanwhile\n", thrown_away);
        return;
    }
    object = json_object();
    groups = json_array();
    absent = json_object();
    groups_report(rounds, groups);
    absent_report(rounds, absent);
    json_object_set_new(object, "event", json_string("perf-ceiling"));
    json_object_set_new(object, "core_to_core_ns", json_real(placement->round_trip_ns));
    json_object_set_new(object, "placement", json_string(haul_placement_name(placement->class)));
    json_object_set_new(object, "both_over_one", json_real(placement->both_over_one));
    json_object_set_new(object, "area_bytes", json_integer((json_int_t)rounds->area_bytes));
    json_object_set_new(object, "span_s", json_real((double)rounds->span / HAUL_SECOND));
    json_object_set_new(object, "thrown_away", json_integer(thrown_away));
    json_object_set_new(object, "groups", groups);
    json_object_set_new(object, "not_possible", absent);
    haul_print_json(object);
}

int haul_perf_ceiling(const struct haul_options *options)
{
    struct rounds *rounds = calloc(1, sizeof *rounds);
    struct haul_error error;
    int failed;

    if (rounds == NULL) {
        haul_fail(&error, HAUL_E_SYSTEM, "no memory for the rounds");
        return haul_print_error(options, &error);
    }
    rounds->options = options;
    haul_perf_signals_watch();
    failed = rounds_prepare(rounds, &error);
    if (failed == 0)
        failed = haul_ceilings_open(&rounds->ceilings, &error);
    if (failed == 0)
        failed = rounds_run(rounds, &error);
    if (failed == 0)
        rounds_report(rounds);
    haul_ceilings_close(rounds->ceilings);
    free(rounds);
    return failed < 0 ? haul_print_error(options, &error) : HAUL_EXIT_DONE;
}
