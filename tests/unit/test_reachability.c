/* What a node makes of what it hears about itself, over loopback. */
#include "controlplane/behaviours/identify.h"
#include "controlplane/nat/reachability.h"
#include "tests/unit/host_pair.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct haul_reachability *reach[2];
static struct haul_loop *outer;

/* The loop of the pair is made with it; the timers of the services need one before. */
static void start(enum haul_reachability_serve serve)
{
    struct haul_protocol lists[2][7];

    memset(lists, 0, sizeof lists);
    CU_ASSERT_EQUAL_FATAL(haul_loop_open(&outer, NULL), 0);
    for (size_t i = 0; i < 2; i++) {
        const struct haul_reachability_conf conf = { .loop = outer,
                                                     .serve = i == 1 ? serve : HAUL_SERVE_AUTO,
                                                     .floor = HAUL_ADDR_LOOPBACK };
        struct haul_autonat *autonat;

        reach[i] = haul_reachability_open(&conf);
        CU_ASSERT_PTR_NOT_NULL_FATAL(reach[i]);
        autonat = haul_reachability_autonat(reach[i]);
        lists[i][0].behaviour = &haul_identify_behaviour;
        lists[i][1].behaviour = &haul_identify_push_behaviour;
        lists[i][2] = (struct haul_protocol){ &haul_autonat_behaviour, autonat, NULL, false };
        lists[i][3] = (struct haul_protocol){ &haul_autonat2_behaviour, autonat, NULL, false };
        lists[i][4] = (struct haul_protocol){ &haul_autonat_back_behaviour, autonat, NULL, false };
    }
    host_pair_open_in(outer, lists[0], lists[1]);
    haul_reachability_start(reach[0], pair.a.host);
    haul_reachability_start(reach[1], pair.b.host);
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
}

static void finish(void)
{
    haul_reachability_stop(reach[0]);
    haul_reachability_stop(reach[1]);
    haul_host_close(pair.a.host);
    haul_host_close(pair.b.host);
    haul_reachability_close(reach[0]);
    haul_reachability_close(reach[1]);
    haul_loop_close(outer);
}

static bool judged(void)
{
    struct haul_reachability_fact fact;

    return haul_reachability_fact(reach[0], 0, &fact) && fact.reach != HAUL_REACH_UNKNOWN;
}

static bool asked(void)
{
    return haul_autonat_counters(haul_reachability_autonat(reach[0]))->autonat_asked > 0;
}

static void an_address_is_asked_about_and_found_reachable(void)
{
    struct haul_reachability_fact fact;

    start(HAUL_SERVE_ON);
    CU_ASSERT_TRUE_FATAL(host_pair_run(judged, 10 * HAUL_SECOND));
    CU_ASSERT_TRUE(haul_reachability_fact(reach[0], 0, &fact));
    CU_ASSERT_EQUAL(fact.reach, HAUL_REACH_REACHABLE);
    CU_ASSERT_EQUAL(fact.points, HAUL_VERDICT_PROVEN);
    CU_ASSERT_STRING_EQUAL(fact.source, "listening");
    CU_ASSERT_FALSE(haul_reachability_fact(reach[0], 1, &fact));
    /* It is no public address: that says nothing of peers elsewhere, and nobody is served. */
    CU_ASSERT_EQUAL(haul_reachability_of(reach[0]), HAUL_REACH_UNKNOWN);
    CU_ASSERT_FALSE(haul_autonat_serves(haul_reachability_autonat(reach[0])));
    finish();
}

static void nobody_is_asked_who_does_not_serve(void)
{
    start(HAUL_SERVE_OFF);
    CU_ASSERT_FALSE(host_pair_run(asked, 500 * HAUL_MILLISECOND));
    CU_ASSERT_FALSE(judged());
    finish();
}

static bool told_mapped(void)
{
    struct haul_multiaddr told[HAUL_HOST_ADDRESSES_MAX];

    return haul_host_told(pair.a.host, told, HAUL_COUNT_OF(told)) == 2;
}

static void a_mapped_address_is_told_and_in_question(void)
{
    struct haul_reachability_fact fact;
    struct haul_multiaddr mapped = { 0 };

    start(HAUL_SERVE_OFF);
    CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse("/ip4/8.8.8.8/tcp/1", &mapped));
    haul_reachability_mapped(reach[0], &mapped, 1);
    CU_ASSERT_TRUE(host_pair_run(told_mapped, 10 * HAUL_SECOND));
    CU_ASSERT_TRUE(haul_reachability_fact(reach[0], 0, &fact) ||
                   haul_reachability_fact(reach[0], 1, &fact));
    haul_reachability_mapped(reach[0], NULL, 0);
    finish();
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(an_address_is_asked_about_and_found_reachable),
        T(nobody_is_asked_who_does_not_serve),
        T(a_mapped_address_is_told_and_in_question),
    };
#undef T

    return unit_main("reachability", tests, HAUL_COUNT_OF(tests));
}
