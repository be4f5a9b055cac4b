/* haul-sim: runs seeds. One seed is one run: the same seed gives the same run on any machine. */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAUL_SIM_WINDOW
extern uint64_t sim_window_bytes; /* rate_window.c */
#endif

struct options {
    uint64_t first, last;
    const char *list; /* a file of seeds instead: the first number of each line */
    bool trace;
    bool must_fail;  /* a planted bug: stop at the first seed that finds it */
    bool counters;   /* every counter must have moved by the end */
    bool twice;      /* run each seed twice and compare the digests */
    bool congestion; /* the long path instead of the seed's plan */
};

static struct sim_world world;

static int usage(void)
{
    fputs("haul-sim [--seed N | --seeds A..B] [--trace] [--twice] [--counters] [--must-fail]\n"
          "haul-sim --congestion [--seed N | --seeds A..B] [--trace] [--must-fail]\n",
          stderr);
    return 2;
}

static bool parse(int count, char **words, struct options *options)
{
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : "";
        char *rest;

        if (strcmp(words[i], "--trace") == 0) {
            options->trace = true;
        } else if (strcmp(words[i], "--twice") == 0) {
            options->twice = true;
        } else if (strcmp(words[i], "--congestion") == 0) {
            options->congestion = true;
#ifdef HAUL_SIM_WINDOW
        } else if (strcmp(words[i], "--window") == 0) {
            sim_window_bytes = strtoull(value, &rest, 10);
            i++;
#endif
        } else if (strcmp(words[i], "--counters") == 0) {
            options->counters = true;
        } else if (strcmp(words[i], "--must-fail") == 0) {
            options->must_fail = true;
        } else if (strcmp(words[i], "--list") == 0) {
            options->list = value;
            i++;
        } else if (strcmp(words[i], "--seed") == 0) {
            options->first = options->last = strtoull(value, &rest, 10);
            if (rest == value || *rest != '\0')
                return false;
            i++;
        } else if (strcmp(words[i], "--seeds") == 0) {
            options->first = strtoull(value, &rest, 10);
            if (rest == value || strncmp(rest, "..", 2) != 0)
                return false;
            value = rest + 2;
            options->last = strtoull(value, &rest, 10);
            if (rest == value || *rest != '\0' || options->last < options->first)
                return false;
            i++;
        } else {
            return false;
        }
    }
    return true;
}

static bool run(uint64_t seed, const struct options *options)
{
    uint64_t digest;
    bool good;

    sim_plan_draw(&world.plan, seed);
    if (options->trace)
        sim_plan_print(&world.plan);
    good = options->congestion ? sim_congestion_run(&world) : sim_world_run(&world);
    if (!good || !options->twice || options->congestion)
        return good;
    digest = world.digest;
    sim_plan_draw(&world.plan, seed);
    good = sim_world_run(&world);
    if (good && world.digest != digest)
        sim_world_fail(&world, "the same seed gave two different runs");
    return !world.failed;
}

static void report(uint64_t seed, const char *program, bool congestion)
{
    const char *how = congestion ? " --congestion" : "";

    printf("seed %" PRIu64 " FAILED after %" PRIu64 " events, at %" PRIu64 " us: %s\n", seed,
           world.events, (world.now - world.start) / HAUL_MICROSECOND, world.failure);
    printf("replay: ./dev sim%s --seed %" PRIu64 "    (%s%s --seed %" PRIu64
           "), --trace for more\n",
           how, seed, program, how, seed);
}

static unsigned unmoved(void)
{
    static const struct {
        const char *name;
        size_t at;
    } list[] = {
#define X(name, help) { #name, offsetof(struct haul_flow_stats, name) },
        HAUL_FLOW_STATS(X)
#undef X
    };
    unsigned count = 0;

    for (size_t i = 0; i < HAUL_COUNT_OF(list); i++) {
        uint64_t value;

        memcpy(&value, (const char *)&world.moved + list[i].at, sizeof value);
        if (value == 0) {
            printf("counter %s never moved\n", list[i].name);
            count++;
        }
    }
    return count;
}

struct tally {
    unsigned passed, failed;
    uint64_t events;
};

/* False when it is time to stop. */
static bool run_one(uint64_t seed, const struct options *options, const char *program,
                    struct tally *tally)
{
    bool good = run(seed, options);

    tally->events += world.events;
    tally->passed += good;
    tally->failed += !good;
    if (!good)
        report(seed, program, options->congestion);
    return good || (!options->must_fail && tally->failed < 20);
}

static bool run_list(const struct options *options, const char *program, struct tally *tally)
{
    FILE *file = fopen(options->list, "r");
    char line[256];

    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] >= '0' && line[0] <= '9' &&
            !run_one(strtoull(line, NULL, 10), options, program, tally))
            break;
    }
    fclose(file);
    return true;
}

int main(int count, char **words)
{
    struct options options = { .first = 1, .last = 100 };
    struct tally tally = { 0 };

    if (!parse(count, words, &options))
        return usage();
    setvbuf(stdout, NULL, options.trace ? _IOFBF : _IOLBF, 1 << 16);
    sim_world_init(&world);
    world.trace = options.trace;
    if (options.list != NULL) {
        if (!run_list(&options, words[0], &tally))
            return usage();
    } else {
        for (uint64_t seed = options.first; seed <= options.last; seed++) {
            if (!run_one(seed, &options, words[0], &tally))
                break;
        }
    }
    if (options.counters)
        tally.failed += unmoved();
    printf("%" PRIu64 " events, %" PRIu64 " datagrams\n", tally.events, world.sent_datagrams);
    sim_world_fini(&world);
    if (options.must_fail) {
        printf("%d passed, %d failed\n", tally.failed > 0, tally.failed == 0);
        return tally.failed > 0 ? 0 : 1;
    }
    printf("%u passed, %u failed\n", tally.passed, tally.failed);
    return tally.failed == 0 ? 0 : 1;
}
