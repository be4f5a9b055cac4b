/* Votes on our addresses, and what is granted to strangers a minute. */
#include "controlplane/p2p/nat/ration.h"
#include "controlplane/p2p/nat/verdict.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct haul_verdicts verdicts;

static struct haul_multiaddr address(uint8_t last)
{
    struct haul_addr at = { .family = 4, .ip = { 9, 9, 9, last }, .port = 4501 };
    struct haul_multiaddr made;

    memset(&made, 0, sizeof made);
    haul_multiaddr_from_tcp(&made, &at);
    return made;
}

static struct haul_verdict *fresh(void)
{
    struct haul_multiaddr at = address(1);

    memset(&verdicts, 0, sizeof verdicts);
    haul_verdicts_about(&verdicts, &at, 1);
    CU_ASSERT_EQUAL_FATAL(verdicts.count, 1);
    return haul_verdict_find(&verdicts, &at);
}

static void one_proof_is_enough_and_one_liar_cannot_undo_it(void)
{
    struct haul_verdict *verdict = fresh();

    CU_ASSERT_EQUAL(haul_verdict_of(verdict, 1), HAUL_REACH_UNKNOWN);
    haul_verdict_vote(verdict, 1, HAUL_VERDICT_PROVEN, 1);
    CU_ASSERT_EQUAL(haul_verdict_of(verdict, 1), HAUL_REACH_REACHABLE);
    haul_verdict_vote(verdict, 2, -1, 2);
    for (unsigned i = 0; i < 10; i++)
        haul_verdict_vote(verdict, 2, -1, 2);
    CU_ASSERT_EQUAL(haul_verdict_of(verdict, 2), HAUL_REACH_REACHABLE);
}

static void claims_and_failures_need_three_networks(void)
{
    struct haul_verdict *verdict = fresh();

    haul_verdict_vote(verdict, 1, 1, 1);
    haul_verdict_vote(verdict, 2, 1, 1);
    CU_ASSERT_EQUAL(haul_verdict_of(verdict, 1), HAUL_REACH_UNKNOWN);
    haul_verdict_vote(verdict, 3, 1, 1);
    CU_ASSERT_EQUAL(haul_verdict_of(verdict, 1), HAUL_REACH_REACHABLE);
    CU_ASSERT_EQUAL(haul_verdict_points(verdict, 1), 3);
    for (uint64_t i = 1; i <= 3; i++)
        haul_verdict_vote(verdict, i, -1, 2);
    CU_ASSERT_EQUAL(haul_verdict_of(verdict, 2), HAUL_REACH_UNREACHABLE);
}

static void votes_expire_and_asking_does_not_prolong_them(void)
{
    struct haul_verdict *verdict = fresh();

    haul_verdict_vote(verdict, 1, HAUL_VERDICT_PROVEN, 1);
    CU_ASSERT_FALSE(haul_verdict_open(verdict, 1, 2));
    CU_ASSERT_TRUE(haul_verdict_open(verdict, 2, 2));
    CU_ASSERT_TRUE(haul_verdict_open(verdict, 1, 1 + HAUL_VERDICT_AGAIN));
    haul_verdict_ask(verdict, 1, HAUL_VERDICT_LIFE);
    CU_ASSERT_FALSE(haul_verdict_open(verdict, 1, HAUL_VERDICT_LIFE));
    CU_ASSERT_EQUAL(haul_verdict_of(verdict, HAUL_VERDICT_LIFE), HAUL_REACH_REACHABLE);
    CU_ASSERT_EQUAL(haul_verdict_of(verdict, HAUL_VERDICT_LIFE + 1), HAUL_REACH_UNKNOWN);
}

static void voters_beyond_the_limit_replace_the_oldest(void)
{
    struct haul_verdict *verdict = fresh();

    for (uint64_t i = 1; i <= 1000; i++)
        haul_verdict_vote(verdict, i, -1, i);
    CU_ASSERT_EQUAL(haul_verdict_points(verdict, 1000), -(int)HAUL_VERDICT_VOTES_MAX);
    CU_ASSERT_TRUE(haul_verdict_open(verdict, 1, 1000));
    CU_ASSERT_FALSE(haul_verdict_open(verdict, 1000, 1000));
}

static void votes_stay_with_an_address_as_long_as_it_is_in_question(void)
{
    struct haul_multiaddr list[HAUL_VERDICT_ADDRESSES_MAX + 4];

    haul_verdict_vote(fresh(), 1, HAUL_VERDICT_PROVEN, 1);
    for (uint8_t i = 0; i < HAUL_COUNT_OF(list); i++)
        list[i] = address((uint8_t)(i + 1));
    haul_verdicts_about(&verdicts, list, HAUL_COUNT_OF(list));
    CU_ASSERT_EQUAL(verdicts.count, HAUL_VERDICT_ADDRESSES_MAX);
    CU_ASSERT_EQUAL(haul_verdict_points(haul_verdict_find(&verdicts, &list[0]), 1), 4);
    haul_verdicts_about(&verdicts, &list[1], 2);
    CU_ASSERT_EQUAL(verdicts.count, 2);
    CU_ASSERT_PTR_NULL(haul_verdict_find(&verdicts, &list[0]));
    haul_verdicts_about(&verdicts, list, 1);
    CU_ASSERT_EQUAL(haul_verdict_points(haul_verdict_find(&verdicts, &list[0]), 1), 0);
}

static void a_public_network_is_one_voter_and_a_private_address_is_one(void)
{
    struct haul_addr a = { .family = 4, .ip = { 9, 9, 1, 1 } },
                     b = { .family = 4, .ip = { 9, 9, 2, 2 } };

    CU_ASSERT_EQUAL(haul_verdict_voter(&a), haul_verdict_voter(&b));
    a.ip[0] = b.ip[0] = 10;
    CU_ASSERT_NOT_EQUAL(haul_verdict_voter(&a), haul_verdict_voter(&b));
    CU_ASSERT_STRING_EQUAL(haul_reach_name(HAUL_REACH_UNKNOWN), "unknown");
    CU_ASSERT_STRING_EQUAL(haul_reach_name(HAUL_REACH_REACHABLE), "reachable");
    CU_ASSERT_STRING_EQUAL(haul_reach_name(HAUL_REACH_UNREACHABLE), "unreachable");
}

/* --- rations --- */

static struct haul_ration ration;

static bool take(uint8_t peer, uint8_t place, bool foreign, haul_time now)
{
    struct haul_peer_id id = { .length = 38, .bytes = { 0, 0x24, 8, 1, 0x12, 0x20, peer } };
    struct haul_addr at = { .family = 4, .ip = { 9, 9, 9, place }, .port = peer };

    return haul_ration_take(&ration, &id, &at, foreign, now);
}

static void a_ration_is_limited_a_peer_an_address_for_third_parties_and_in_all(void)
{
    const struct haul_ration_limits limits = {
        .total = 10, .per_peer = 2, .per_address = 4, .foreign = 3
    };

    haul_ration_init(&ration, &limits);
    CU_ASSERT_TRUE(take(1, 1, false, 1) && take(1, 2, false, 1));
    CU_ASSERT_FALSE(take(1, 3, false, 1)); /* the peer's */
    CU_ASSERT_TRUE(take(2, 5, false, 1) && take(3, 5, false, 1) && take(4, 5, false, 1) &&
                   take(5, 5, true, 1));
    CU_ASSERT_FALSE(take(6, 5, false, 1)); /* the address's */
    CU_ASSERT_TRUE(take(7, 7, true, 1) && take(8, 8, true, 1));
    CU_ASSERT_FALSE(take(9, 9, true, 1)); /* that for third parties */
    CU_ASSERT_TRUE(take(9, 9, false, 1) && take(10, 10, false, 2));
    CU_ASSERT_FALSE(take(11, 11, false, HAUL_RATION_SPAN)); /* that of all */
    CU_ASSERT_TRUE(take(11, 11, false, HAUL_RATION_SPAN + 1));
    CU_ASSERT_TRUE(take(1, 1, true, HAUL_RATION_SPAN + 1));
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(one_proof_is_enough_and_one_liar_cannot_undo_it),
        T(claims_and_failures_need_three_networks),
        T(votes_expire_and_asking_does_not_prolong_them),
        T(voters_beyond_the_limit_replace_the_oldest),
        T(votes_stay_with_an_address_as_long_as_it_is_in_question),
        T(a_public_network_is_one_voter_and_a_private_address_is_one),
        T(a_ration_is_limited_a_peer_an_address_for_third_parties_and_in_all),
    };
#undef T

    return unit_main("verdict", tests, HAUL_COUNT_OF(tests));
}
