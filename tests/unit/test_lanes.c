/* The flows of a transfer with one peer: who is asked next, and what is left when one ends. */
#include "controlplane/transfer/lanes.h"
#include "tests/unit/unit.h"

static struct haul_lanes of_first(uint32_t wants_max, uint32_t flows_max)
{
    struct haul_lanes lanes = { 0 };

    haul_lane_take(&lanes, &lanes.first, 40, wants_max, flows_max);
    haul_lanes_begin(&lanes);
    return lanes;
}

static struct haul_lane *further(struct haul_lanes *lanes, uint32_t flow, bool proven)
{
    struct haul_lane *lane = haul_lanes_free(lanes);

    CU_ASSERT_PTR_NOT_NULL_FATAL(lane);
    haul_lane_take(lanes, lane, flow, haul_lanes_share(lanes), lanes->first.flows_max);
    if (proven)
        haul_lanes_proven(lanes, lane);
    return lane;
}

/* The flow that is asked for a block; 0: none. */
static uint32_t asked(struct haul_lanes *lanes, uint32_t *serial)
{
    struct haul_lane *lane = haul_lanes_choose(lanes);

    if (lane == NULL)
        return 0;
    lane->asked++;
    *serial = lane->serial;
    return lane->flow;
}

static void one_flow_is_asked_for_everything(void)
{
    struct haul_lanes lanes = of_first(16, 1);
    uint32_t serial;

    CU_ASSERT_FALSE(haul_lanes_lack(&lanes, 0));
    CU_ASSERT_EQUAL(haul_lanes_wants(&lanes), 16);
    for (unsigned i = 0; i < 40; i++) /* it says itself when it takes no more */
        CU_ASSERT_EQUAL(asked(&lanes, &serial), 40);
    CU_ASSERT_EQUAL(haul_lanes_crowded(&lanes), 0);
    lanes = of_first(16, 0); /* a peer that says nothing of it */
    CU_ASSERT_FALSE(haul_lanes_lack(&lanes, 0));
    CU_ASSERT_EQUAL(haul_lanes_share(&lanes), 16);
}

static void as_many_are_asked_for_as_there_may_be(void)
{
    for (uint32_t most = 1; most <= HAUL_WORKERS_MAX + 3; most++) {
        struct haul_lanes lanes = of_first(128, most);
        uint32_t open = 1;

        while (haul_lanes_lack(&lanes, 0)) {
            further(&lanes, open, open % 2 == 0); /* proven or not */
            open++;
            CU_ASSERT_TRUE_FATAL(open <= HAUL_WORKERS_MAX);
        }
        CU_ASSERT_EQUAL(open, most < HAUL_WORKERS_MAX ? most : HAUL_WORKERS_MAX);
        CU_ASSERT_EQUAL(haul_lanes_share(&lanes), (128 + most - 1) / most);
    }
}

static void together_they_hold_no_more_than_the_first_was_granted(void)
{
    struct haul_lanes lanes = of_first(100, 3);

    CU_ASSERT_EQUAL(haul_lanes_wants(&lanes), 100);
    CU_ASSERT_EQUAL(further(&lanes, 1, true)->wants_max, 34);
    CU_ASSERT_TRUE(lanes.all[0].flow == 40 && lanes.all[1].flow == 1); /* in the order of both */
    further(&lanes, 2, true);
    CU_ASSERT_EQUAL(haul_lanes_wants(&lanes), 100);
    lanes.first.dying = true;
    CU_ASSERT_EQUAL(haul_lanes_wants(&lanes), 68);
}

static void the_faster_one_gets_more(void)
{
    struct haul_lanes lanes = of_first(128, 2);
    uint32_t serials[2][256] = { 0 }, count[2] = { 0 }, back[2] = { 0 }, serial = 0;

    further(&lanes, 1, true);
    for (unsigned turn = 0; turn < 200; turn++) {
        while (count[0] - back[0] + count[1] - back[1] < 32) {
            uint32_t at = asked(&lanes, &serial) == 1;

            serials[at][count[at]++] = serial;
        }
        /* The first brings a block each turn, the other every fourth. */
        haul_lanes_back(&lanes, serials[0][back[0]++], false);
        if (turn % 4 == 0)
            haul_lanes_back(&lanes, serials[1][back[1]++], false);
    }
    CU_ASSERT_TRUE(count[0] > 3 * count[1] && count[1] >= 50);
}

static void one_with_room_comes_before_one_without(void)
{
    struct haul_lanes lanes = of_first(8, 4);
    uint32_t serial = 0, of_first_flow = 0;

    further(&lanes, 1, true); /* with two */
    for (unsigned i = 0; i < 8; i++)
        of_first_flow += asked(&lanes, &serial) == 40;
    CU_ASSERT_EQUAL(of_first_flow, 6);
}

static void one_that_is_not_proven_or_has_ended_is_not_asked(void)
{
    struct haul_lanes lanes = of_first(128, 2);
    struct haul_lane *lane = further(&lanes, 1, false);
    uint32_t first = 0, other = 0;

    CU_ASSERT_EQUAL(asked(&lanes, &first), 40);
    CU_ASSERT_EQUAL(asked(&lanes, &first), 40);
    CU_ASSERT_EQUAL(haul_lanes_alive(&lanes), 1);
    haul_lanes_proven(&lanes, lane);
    CU_ASSERT_EQUAL(asked(&lanes, &other), 1);
    haul_lanes_back(&lanes, other, true);
    CU_ASSERT_EQUAL(asked(&lanes, &first), 40);
    CU_ASSERT_EQUAL(haul_lanes_alive(&lanes), 1);
    haul_lanes_back(&lanes, first, true);
    CU_ASSERT_PTR_NULL(haul_lanes_choose(&lanes));
    CU_ASSERT_EQUAL(haul_lanes_alive(&lanes) + haul_lanes_wants(&lanes), 0);
}

static void a_number_that_is_used_again_is_another_flow(void)
{
    struct haul_lanes lanes = of_first(128, 2);
    struct haul_lane *lane = further(&lanes, 1, true);
    uint32_t old = lane->serial;

    lane->open = false;
    lane = further(&lanes, 1, true);
    lane->asked = 3;
    haul_lanes_back(&lanes, old, true);
    CU_ASSERT_TRUE(!lane->dying && lane->asked == 3);
    CU_ASSERT_PTR_EQUAL(haul_lanes_find(&lanes, 1), lane);
    CU_ASSERT_PTR_NULL(haul_lanes_find(&lanes, 2));
}

static void when_the_first_ends_another_takes_its_place(void)
{
    struct haul_lanes lanes = of_first(128, 3);
    uint32_t serial;

    further(&lanes, 1, false);
    lanes.first.open = false;
    CU_ASSERT_FALSE(haul_lanes_promote(&lanes)); /* that one may never be proven */
    lanes.first.open = true;
    serial = further(&lanes, 2, true)->serial;
    lanes.first.open = false;
    CU_ASSERT_TRUE(haul_lanes_promote(&lanes));
    CU_ASSERT_TRUE(lanes.first.flow == 2 && lanes.first.serial == serial);
    CU_ASSERT_PTR_EQUAL(haul_lanes_find(&lanes, 2), &lanes.first);
    CU_ASSERT_TRUE(haul_lanes_lack(&lanes, 0));
    CU_ASSERT_EQUAL(haul_lanes_share(&lanes), 43); /* as before */
}

static void after_a_failure_the_next_one_waits_longer(void)
{
    struct haul_lanes lanes = of_first(128, 2);
    haul_time now = 100 * HAUL_SECOND, wait = HAUL_SECOND;

    for (unsigned i = 0; i < 10; i++) {
        haul_lanes_failed(&lanes, now, 0);
        CU_ASSERT_FALSE(haul_lanes_lack(&lanes, now + wait - 1));
        CU_ASSERT_TRUE(haul_lanes_lack(&lanes, now + wait));
        wait = haul_time_min(2 * wait, HAUL_LANES_PAUSE_MAX);
    }
    haul_lanes_proven(&lanes, further(&lanes, 1, false));
    haul_lanes_find(&lanes, 1)->open = false;
    haul_lanes_failed(&lanes, now, 5 * HAUL_SECOND); /* the peer says when to come back */
    CU_ASSERT_FALSE(haul_lanes_lack(&lanes, now + 5 * HAUL_SECOND - 1));
    CU_ASSERT_TRUE(haul_lanes_lack(&lanes, now + 5 * HAUL_SECOND));
}

static void one_with_nothing_to_do_shows_who_has_too_much(void)
{
    struct haul_lanes lanes = of_first(128, 2);
    struct haul_lane *lane = further(&lanes, 1, true);

    lanes.first.asked = 3;
    CU_ASSERT_EQUAL(haul_lanes_crowded(&lanes), 0);
    lanes.first.asked = 4;
    CU_ASSERT_EQUAL(haul_lanes_crowded(&lanes), lanes.first.serial);
    lane->asked = 1;
    CU_ASSERT_EQUAL(haul_lanes_crowded(&lanes), 0);
    lanes.first.asked = 0;
    lane->asked = 9;
    CU_ASSERT_EQUAL(haul_lanes_crowded(&lanes), lane->serial);
    lanes.first.dying = true;
    CU_ASSERT_EQUAL(haul_lanes_crowded(&lanes), 0);
}

static void the_other_net_s_flow_takes_the_place_of_the_first(void)
{
    struct haul_lanes lanes = of_first(128, 2);
    struct haul_lane other = { 0 };
    uint32_t serial;

    lanes.first.asked = 5;
    haul_lane_take(&lanes, &other, 7, 64, 4);
    other.proven = true;
    haul_lanes_swap(&lanes, &other);
    CU_ASSERT_TRUE(lanes.first.flow == 7 && other.flow == 40);
    CU_ASSERT_TRUE(lanes.first.flows_max == 4 && haul_lanes_wants(&lanes) == 64);
    serial = other.serial;
    haul_lanes_swap(&lanes, &other);
    CU_ASSERT_TRUE(lanes.first.flow == 40 && lanes.first.asked == 0);
    haul_lanes_back(&lanes, serial, true); /* of before */
    CU_ASSERT_FALSE(lanes.first.dying);
}

/* Listened to so often that nothing new is silence. */
static void hear(struct haul_lane *lane, uint64_t datagrams, uint64_t timeouts)
{
    for (unsigned i = 0; i < 5; i++)
        haul_lane_hear(lane, datagrams, timeouts);
}

static void a_lane_that_was_listened_to_for_less_than_a_second_is_not_quiet(void)
{
    struct haul_lanes lanes = of_first(100, 2);
    struct haul_lane *other = further(&lanes, 7, true);

    lanes.first.asked = 10;
    haul_lane_hear(other, 500, 0);
    haul_lane_hear(&lanes.first, 1000, 0);
    for (unsigned i = 0; i < 3; i++)
        haul_lane_hear(&lanes.first, 1000, 20);
    CU_ASSERT_EQUAL(haul_lanes_quiet(&lanes), 0);
    haul_lane_hear(&lanes.first, 1000, 20);
    CU_ASSERT_EQUAL(haul_lanes_quiet(&lanes), lanes.first.serial);
}

static void a_quiet_lane_lends_its_blocks_while_another_is_heard(void)
{
    struct haul_lanes lanes = of_first(100, 2);
    struct haul_lane *other = further(&lanes, 7, true);

    lanes.first.asked = other->asked = 10;
    hear(&lanes.first, 1000, 4); /* timeouts from before count for nothing */
    hear(other, 500, 9);
    CU_ASSERT_EQUAL(haul_lanes_quiet(&lanes), 0);
    hear(&lanes.first, 1000, 6);
    CU_ASSERT_EQUAL(haul_lanes_quiet(&lanes), 0);
    hear(other, 500, 11);
    hear(&lanes.first, 1000, 7);
    CU_ASSERT_EQUAL(haul_lanes_quiet(&lanes), 0); /* so is the other, nearly: what would it help? */
    hear(other, 501, 11);
    CU_ASSERT_EQUAL(haul_lanes_quiet(&lanes), lanes.first.serial);
    lanes.first.asked = 0;
    CU_ASSERT_EQUAL(haul_lanes_quiet(&lanes), 0);   /* it has none any more */
    CU_ASSERT_EQUAL(haul_lanes_crowded(&lanes), 0); /* and is not idle for that */
    CU_ASSERT_PTR_EQUAL(haul_lanes_choose(&lanes), other);
    other->asked = other->wants_max;
    CU_ASSERT_PTR_EQUAL(haul_lanes_choose(&lanes), other);
    CU_ASSERT_EQUAL(haul_lanes_wants(&lanes), other->wants_max);
    hear(&lanes.first, 1001, 7);
    CU_ASSERT_PTR_EQUAL(haul_lanes_choose(&lanes), &lanes.first);
    CU_ASSERT_EQUAL(haul_lanes_wants(&lanes), 100);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "one flow is asked for everything", one_flow_is_asked_for_everything },
        { "a lane that was listened to for less than a second is not quiet",
          a_lane_that_was_listened_to_for_less_than_a_second_is_not_quiet },
        { "a quiet lane lends its blocks while another is heard",
          a_quiet_lane_lends_its_blocks_while_another_is_heard },
        { "as many are asked for as there may be", as_many_are_asked_for_as_there_may_be },
        { "together they hold no more than the first was granted",
          together_they_hold_no_more_than_the_first_was_granted },
        { "the faster one gets more", the_faster_one_gets_more },
        { "one with room comes before one without", one_with_room_comes_before_one_without },
        { "one that is not proven or has ended is not asked",
          one_that_is_not_proven_or_has_ended_is_not_asked },
        { "a number that is used again is another flow",
          a_number_that_is_used_again_is_another_flow },
        { "when the first ends another takes its place",
          when_the_first_ends_another_takes_its_place },
        { "after a failure the next one waits longer", after_a_failure_the_next_one_waits_longer },
        { "one with nothing to do shows who has too much",
          one_with_nothing_to_do_shows_who_has_too_much },
        { "the other net's flow takes the place of the first",
          the_other_net_s_flow_takes_the_place_of_the_first },
    };

    return unit_main("lanes", tests, HAUL_COUNT_OF(tests));
}
