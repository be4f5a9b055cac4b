/* haul-sim-dht: a DHT of simulated nodes. One seed is one run; a failure prints how to run it
 * again.
 *
 *     haul-sim-dht [--seed N] [--nodes N] [--hours N] [--lookups N] [--records N] [--churn PERCENT]
 *                  [--short] [--attack [--networks N]] [--twice] */
#include "tests/sim/dht/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    struct dht_plan plan;
    bool attack, twice, brief;
    uint32_t networks; /* of sybils: one row alone; 0: all */
};

static uint32_t passed, failed;

static const struct dht_plan whole = {
    .seed = 1,
    .nodes = 10000,
    .records = 1000,
    .lookups = 20000,
    .hours = 24,
    .churn_ppm = 300000,
    .silent_ppm = 200000,
    .flaky_ppm = 50000,
    .loss_ppm = 5000,
    .republish = DHT_HOUR,
    .republish_late = 22 * DHT_HOUR,
    .refresh = 1800 * HAUL_SECOND,
    .paths = 2,
    .alpha = 10,
    .limits = { 3, 2 },
    .group_max = 6,
    .group_near_max = 2,
};

static void check(bool kept, const char *promise, const struct dht_plan *plan, const char *more)
{
    passed += kept;
    failed += !kept;
    printf("%s %s\n", kept ? "ok     " : "FAILED ", promise);
    if (!kept)
        printf("again: ./dev sim dht --seed %" PRIu64
               " --nodes %u --hours %u --lookups %u --records %u%s\n",
               plan->seed, plan->nodes, plan->hours, plan->lookups, plan->records, more);
}

static uint32_t median_hops(const struct dht_tally *tally)
{
    uint32_t seen = 0;

    for (uint32_t i = 0; i < 32; i++) {
        seen += tally->hops[i];
        if (seen > tally->found / 2)
            return i;
    }
    return 0;
}

static void steady(const struct options *options)
{
    struct dht_world world;
    uint64_t digest;
    uint32_t least;

    (void)dht_world_run(&world, &options->plan);
    dht_report(&world);
    digest = world.digest;
    /* Of few look-ups a single miss is more than one in a thousand. */
    least = world.soon.count - world.soon.count / 1000;
    check(world.soon.count == options->plan.lookups && world.late.count == options->plan.lookups,
          "as many look-ups of each kind were made as were asked for", &options->plan, "");
    check(world.soon.found >= least, "99.9 % of records told every hour are found", &options->plan,
          "");
    check(median_hops(&world.soon) <= 4, "the median look-up takes at most 4 hops", &options->plan,
          "");
    dht_world_fini(&world);
    if (!options->twice)
        return;
    (void)dht_world_run(&world, &options->plan);
    check(world.digest == digest, "the same seed gives the same run", &options->plan, " --twice");
    dht_world_fini(&world);
}

/* The same attack against nodes without the limits and with them. Returns the per mille found. */
static uint32_t attacked(const struct options *options, bool limits, uint8_t paths, uint32_t groups)
{
    struct dht_plan plan = options->plan;
    struct dht_world world;
    uint32_t permille;

    plan.records = 1;
    plan.victims = options->brief ? 4 : 20;
    plan.sybils = 40;
    plan.sybil_groups = groups;
    plan.paths = paths;
    plan.hours = options->brief ? 1 : 2;
    plan.churn_ppm = 100000;
    plan.lookups = options->brief ? 200 : 1000;
    plan.nodes = plan.nodes > 2000 ? 2000 : plan.nodes;
    if (!limits) {
        plan.limits = (struct haul_kad_table_limits){ 0, 0 };
        plan.group_max = plan.group_near_max = 0;
    }
    (void)dht_world_run(&world, &plan);
    permille = world.victim.count > 0 ? world.victim.found * 1000 / world.victim.count : 0;
    printf("  %2u sybils a key in %3u networks, limits %-3s, %u paths: %4u per mille found of %u\n",
           plan.sybils, groups, limits ? "on" : "off", paths, permille, world.victim.count);
    dht_world_fini(&world);
    return permille;
}

/* A routing table whose owner meets 5,000 attackers before anybody else: how much of it is theirs,
 * in per mille? They come from so many networks. */
static uint32_t eclipsed(uint64_t seed, bool limits, uint32_t groups)
{
    static struct haul_kad_entry entries[DHT_TABLE_ENTRIES * 2];
    static struct haul_kad_table table;
    const struct haul_kad_table_limits some = { 3, 2 }, none = { 0, 0 };
    struct haul_kad_contact contact = { .id.length = 38 };
    struct haul_rng rng;
    uint32_t theirs = 0;

    haul_rng_init(&rng, seed);
    haul_rng_fill(&rng, contact.key.bytes, sizeof contact.key.bytes);
    haul_kad_table_init(&table, &contact.key, entries, HAUL_COUNT_OF(entries),
                        limits ? &some : &none);
    for (uint32_t i = 0; i < 15000; i++) {
        haul_rng_fill(&rng, contact.key.bytes, sizeof contact.key.bytes);
        contact.group = i < 5000 ? 10000 + i % groups : 1 + (uint32_t)haul_rng_below(&rng, 4096);
        (void)haul_kad_table_answered(&table, &contact, HAUL_SECOND);
    }
    for (uint32_t i = 0; i < table.fresh; i++)
        theirs += entries[i].contact.group >= 10000;
    printf("  5,000 attackers in %3u networks come first, limits %-3s: %u of %u contacts\n", groups,
           limits ? "on" : "off", theirs, table.count);
    return theirs * 1000 / table.count;
}

static void eclipse(const struct options *options)
{
    uint32_t without, with;

    printf("a routing table that attackers fill before anybody else comes:\n");
    without = eclipsed(options->plan.seed, false, 4);
    with = eclipsed(options->plan.seed, true, 4);
    (void)eclipsed(options->plan.seed, true, 40);
    check(with <= 100, "attackers of four networks get at most a tenth of a table", &options->plan,
          " --attack");
    /* They are a third of all that answered: the buckets near the owner are never full of them. */
    check(without >= 700, "and without the limits most of it", &options->plan, " --attack");
}

static void attack(const struct options *options)
{
    uint32_t without, with, several, many;

    if (options->networks > 0) {
        (void)attacked(options, true, 2, options->networks);
        return;
    }
    printf("sybils nearer to a key than every honest node:\n");
    without = attacked(options, false, 2, 1);
    with = attacked(options, true, 2, 1);
    several = attacked(options, true, 2, 7);
    many = attacked(options, true, 2, 40);
    if (!options->brief) {
        (void)attacked(options, false, 8, 1);
        (void)attacked(options, true, 1, 1);
        (void)attacked(options, true, 2, 2);
        (void)attacked(options, true, 2, 4);
        (void)attacked(options, true, 2, 10);
    }
    check(with >= 990, "with the limits an attacker in one network hides nothing", &options->plan,
          " --attack");
    check(several >= 990, "nor does one in seven", &options->plan, " --attack");
    check(without + 100 <= with, "and without them it does", &options->plan, " --attack");
    printf("  (an attacker with addresses in many networks still hides %u per mille)\n",
           1000 - many);
}

static bool number(const char *text, uint64_t *value)
{
    char *rest;

    *value = strtoull(text, &rest, 10);
    return rest != text && *rest == '\0';
}

static bool parse(int count, char **words, struct options *options)
{
    for (int i = 1; i < count; i++) {
        struct dht_plan *plan = &options->plan;
        uint64_t value = 0;

        if (strcmp(words[i], "--short") == 0) {
            options->brief = true;
            plan->nodes = 300;
            plan->hours = 3;
            plan->lookups = 1500;
            plan->records = 100;
            continue;
        }
        if (strcmp(words[i], "--attack") == 0) {
            options->attack = true;
            continue;
        }
        if (strcmp(words[i], "--twice") == 0) {
            options->twice = true;
            continue;
        }
        if (i + 1 == count || !number(words[i + 1], &value))
            return false;
        if (strcmp(words[i], "--seed") == 0)
            plan->seed = value;
        else if (strcmp(words[i], "--nodes") == 0 && value >= 20 && value <= 100000)
            plan->nodes = (uint32_t)value;
        else if (strcmp(words[i], "--hours") == 0 && value >= 1 && value <= 1000)
            plan->hours = (uint32_t)value;
        else if (strcmp(words[i], "--lookups") == 0 && value >= 1 && value <= 1000000)
            plan->lookups = (uint32_t)value;
        else if (strcmp(words[i], "--records") == 0 && value >= 1 && value <= 100000)
            plan->records = (uint32_t)value;
        else if (strcmp(words[i], "--churn") == 0 && value < 100)
            plan->churn_ppm = (uint32_t)value * 10000;
        else if (strcmp(words[i], "--networks") == 0 && value >= 1 && value <= 1000)
            options->networks = (uint32_t)value;
        else
            return false;
        i++;
    }
    return true;
}

int main(int count, char **words)
{
    struct options options = { .plan = whole };

    if (!parse(count, words, &options)) {
        fputs("haul-sim-dht [--short] [--attack [--networks N]] [--twice] [--seed N] [--nodes N]\n"
              "             [--hours N] [--lookups N] [--records N] [--churn PERCENT]\n",
              stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 1 << 12);
    if (options.attack) {
        attack(&options);
        if (options.networks == 0)
            eclipse(&options);
    } else {
        steady(&options);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
