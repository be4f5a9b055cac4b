/* Candidates, challenges and changes of address; datagram sizes and ECN. */
#include "dataplane/flow/path.h"

#include "dataplane/flow/class.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct haul_rng rng;
static struct haul_path path;
static struct haul_path_send out;

static struct haul_addr address(uint8_t last)
{
    return (struct haul_addr){ .family = 4, .ip = { 192, 0, 2, last }, .port = 4501 };
}

static void open_path(size_t candidates)
{
    struct haul_addr addresses[HAUL_CANDIDATES_MAX];

    for (uint8_t i = 0; i < candidates; i++)
        addresses[i] = address((uint8_t)(1 + i));
    haul_rng_init(&rng, 1);
    haul_path_init(&path, addresses, candidates, &rng, HAUL_SECOND);
}

static void prove(void)
{
    open_path(1);
    haul_path_next(&path, HAUL_SECOND, &out);
    CU_ASSERT_EQUAL(haul_path_answered(&path, out.challenge_token, HAUL_SECOND), HAUL_PATH_PROVEN);
}

static void a_silent_candidate_gets_five_challenges_and_no_more(void)
{
    unsigned count = 0;

    open_path(2);
    for (haul_time now = HAUL_SECOND; now < 60 * HAUL_SECOND; now += 10 * HAUL_MILLISECOND) {
        while (haul_path_next(&path, now, &out)) {
            CU_ASSERT_TRUE(out.challenge);
            count++;
        }
        CU_ASSERT_TRUE(haul_path_due(&path) > now);
    }
    CU_ASSERT_EQUAL(count, 2 * HAUL_PATH_TRIES);
    CU_ASSERT_EQUAL(haul_path_due(&path), HAUL_TIME_NEVER);
}

static unsigned challenges_until(haul_time end)
{
    struct haul_path_send send;
    unsigned count = 0;

    while (haul_path_due(&path) <= end)
        count += haul_path_next(&path, haul_path_due(&path), &send);
    return count;
}

/* Else a granter whose first challenges are lost never answers an asker that is proven already. */
static void a_candidate_that_speaks_is_challenged_once_a_second(void)
{
    struct haul_addr other = { .family = 4, .ip = { 192, 0, 2, 9 }, .port = 9 };

    open_path(1);
    CU_ASSERT_EQUAL(challenges_until(HAUL_TIME_NEVER - 1), HAUL_PATH_TRIES);
    haul_path_heard(&path, &other, HAUL_SECOND, 10 * HAUL_SECOND);
    CU_ASSERT_EQUAL(haul_path_due(&path), HAUL_TIME_NEVER);
    for (haul_time now = 10 * HAUL_SECOND; now < 20 * HAUL_SECOND; now += HAUL_SECOND / 100) {
        struct haul_path_send send;

        haul_path_heard(&path, &path.candidates[0].addr, HAUL_SECOND, now);
        CU_ASSERT_PTR_NULL(haul_path_broken(&path));
        if (haul_path_due(&path) > now)
            continue;
        CU_ASSERT_TRUE(haul_path_next(&path, now, &send) && send.challenge);
        CU_ASSERT_EQUAL(now % HAUL_SECOND, 0);
    }
    CU_ASSERT_EQUAL(challenges_until(HAUL_TIME_NEVER - 1), 1);
    CU_ASSERT_EQUAL(haul_path_answered(&path, path.candidates[0].token, 30 * HAUL_SECOND),
                    HAUL_PATH_PROVEN);
}

static void the_candidate_that_answers_first_is_the_peer(void)
{
    struct haul_addr second = address(2);
    uint64_t token;

    open_path(2);
    haul_path_next(&path, HAUL_SECOND, &out);
    haul_path_next(&path, HAUL_SECOND, &out);
    token = out.challenge_token;
    CU_ASSERT_EQUAL(haul_path_answered(&path, token ^ 1, HAUL_SECOND), HAUL_PATH_SAME);
    CU_ASSERT_FALSE(path.proven);
    CU_ASSERT_EQUAL(haul_path_answered(&path, token, HAUL_SECOND), HAUL_PATH_PROVEN);
    CU_ASSERT_TRUE(haul_addr_equal(&path.peer, &second));
    CU_ASSERT_FALSE(haul_path_next(&path, 60 * HAUL_SECOND, &out));
}

static void a_challenge_is_answered_to_its_source_which_becomes_a_candidate(void)
{
    struct haul_addr stranger = address(77);

    open_path(0);
    CU_ASSERT_FALSE(haul_path_next(&path, HAUL_SECOND, &out));
    haul_path_challenged(&path, &stranger, 55, false, HAUL_SECOND);
    CU_ASSERT_TRUE(haul_path_next(&path, HAUL_SECOND, &out));
    CU_ASSERT_TRUE(out.challenge && out.response);
    CU_ASSERT_EQUAL(out.response_token, 55);
    CU_ASSERT_TRUE(haul_addr_equal(&out.addr, &stranger));
    for (uint8_t i = 0; i < 100; i++) {
        struct haul_addr other = address(i);

        haul_path_challenged(&path, &other, i, true, HAUL_SECOND);
        CU_ASSERT_PTR_NULL(haul_path_broken(&path));
    }
    CU_ASSERT_EQUAL(path.count, HAUL_PATH_ADDRESSES);
    CU_ASSERT_EQUAL(path.reply_count, HAUL_PATH_REPLIES);
}

/* Starts a change to `to` and collects the two challenges. */
static void an_old_challenge_from_elsewhere_is_not_answered_once_the_address_is_proven(void)
{
    struct haul_addr peer = address(1), elsewhere = address(9);

    prove();
    haul_path_challenged(&path, &elsewhere, 1, false, HAUL_SECOND);
    CU_ASSERT_FALSE(haul_path_next(&path, HAUL_SECOND, &out));
    CU_ASSERT_EQUAL(haul_path_due(&path), HAUL_TIME_NEVER);
    haul_path_challenged(&path, &elsewhere, 2, true, HAUL_SECOND);
    CU_ASSERT_TRUE(haul_path_next(&path, HAUL_SECOND, &out));
    CU_ASSERT_TRUE(out.response && out.response_token == 2 &&
                   haul_addr_equal(&out.addr, &elsewhere));
    haul_path_challenged(&path, &peer, 3, false, HAUL_SECOND);
    CU_ASSERT_TRUE(haul_path_next(&path, HAUL_SECOND, &out));
    CU_ASSERT_TRUE(out.response && out.response_token == 3 && haul_addr_equal(&out.addr, &peer));
    CU_ASSERT_FALSE(haul_path_next(&path, HAUL_SECOND, &out));
}

static void start_move(struct haul_addr to, haul_time now, uint64_t *fresh, uint64_t *old)
{
    haul_path_heard(&path, &to, 100 * HAUL_MILLISECOND, now);
    CU_ASSERT_TRUE(haul_path_next(&path, now, &out));
    *fresh = out.challenge_token;
    CU_ASSERT_TRUE(haul_addr_equal(&out.addr, &to));
    CU_ASSERT_TRUE(haul_path_next(&path, now, &out));
    *old = out.challenge_token;
    CU_ASSERT_TRUE(haul_addr_equal(&out.addr, &path.peer));
    CU_ASSERT_FALSE(haul_path_next(&path, now, &out));
}

static void a_move_needs_the_new_address_to_answer_and_the_old_to_be_silent(void)
{
    struct haul_addr fresh = address(9);
    haul_time now = 10 * HAUL_SECOND;
    uint64_t token, old;

    prove();
    start_move(fresh, now, &token, &old);
    CU_ASSERT_EQUAL(haul_path_answered(&path, token, now + 1), HAUL_PATH_SAME);
    CU_ASSERT_EQUAL(haul_path_tick(&path, now + 99 * HAUL_MILLISECOND), HAUL_PATH_SAME);
    CU_ASSERT_EQUAL(haul_path_tick(&path, now + 100 * HAUL_MILLISECOND), HAUL_PATH_MOVED);
    CU_ASSERT_TRUE(haul_addr_equal(&path.peer, &fresh));
}

static void the_old_address_is_kept_when_it_answers(void)
{
    struct haul_addr fresh = address(9);
    haul_time now = 10 * HAUL_SECOND;
    uint64_t token, old;

    prove();
    start_move(fresh, now, &token, &old);
    haul_path_answered(&path, token, now + 1);
    haul_path_answered(&path, old, now + 2);
    CU_ASSERT_EQUAL(haul_path_tick(&path, now + HAUL_SECOND), HAUL_PATH_SAME);
    CU_ASSERT_FALSE(path.moving);
    haul_path_heard(&path, &fresh, 100, now + 2 * HAUL_SECOND);
    CU_ASSERT_FALSE(path.moving);
    haul_path_heard(&path, &fresh, 100, now + 2 + HAUL_PATH_KEEP);
    CU_ASSERT_TRUE(path.moving);
}

static void an_address_that_does_not_answer_is_challenged_once_a_second(void)
{
    unsigned challenges = 0;

    prove();
    for (haul_time now = 10 * HAUL_SECOND; now < 20 * HAUL_SECOND; now += HAUL_MILLISECOND) {
        struct haul_addr stranger = address((uint8_t)(now / HAUL_MILLISECOND));

        haul_path_heard(&path, &stranger, 50 * HAUL_MILLISECOND, now);
        while (haul_path_next(&path, now, &out))
            challenges++;
        CU_ASSERT_EQUAL(haul_path_tick(&path, now), HAUL_PATH_SAME);
    }
    CU_ASSERT_EQUAL(challenges, 2 * 10);
}

static void classes_are_probed_upwards_until_one_is_lost_three_times(void)
{
    struct haul_class class;
    haul_time now = HAUL_SECOND;

    haul_class_init(&class, 1152, 9000, now);
    CU_ASSERT_EQUAL(class.most, 8192);
    CU_ASSERT_EQUAL(haul_class_probe(&class, now), 1344);
    CU_ASSERT_EQUAL(haul_class_probe(&class, now), 0);
    CU_ASSERT_TRUE(haul_class_probe_acked(&class, 1344, now));
    CU_ASSERT_EQUAL(haul_class_probe(&class, now), 1408);
    CU_ASSERT_TRUE(haul_class_probe_acked(&class, 1408, now));
    for (unsigned i = 0; i < HAUL_CLASS_TRIES; i++) {
        CU_ASSERT_EQUAL(haul_class_probe(&class, now), 8192);
        haul_class_probe_lost(&class, now);
    }
    CU_ASSERT_EQUAL(haul_class_probe(&class, now), 0);
    CU_ASSERT_EQUAL(class.payload, 1408);
    CU_ASSERT_EQUAL(haul_class_probe(&class, now + HAUL_CLASS_AGAIN), 8192);
    CU_ASSERT_EQUAL(haul_class_floor(0), 1152);
    CU_ASSERT_EQUAL(haul_class_floor(1407), 1344);
}

static void a_black_hole_is_full_losses_while_small_ones_pass(void)
{
    struct haul_class class;

    haul_class_init(&class, 1408, 1408, 0);
    CU_ASSERT_FALSE(haul_class_learn(&class, 0, 100, false, 0));
    CU_ASSERT_FALSE(haul_class_learn(&class, 0, 0, true, 0));
    CU_ASSERT_FALSE(haul_class_learn(&class, 1, 0, true, 0));
    CU_ASSERT_FALSE(haul_class_learn(&class, 0, 9, true, 0));
    CU_ASSERT_FALSE(haul_class_learn(&class, 0, 1, false, 0));
    CU_ASSERT_TRUE(haul_class_learn(&class, 0, 0, true, 0));
    CU_ASSERT_EQUAL(class.payload, 1152);
}

static void marks_are_counted_once_and_given_up_when_none_arrive(void)
{
    struct haul_class class;

    haul_class_init(&class, 1408, 1408, 0);
    CU_ASSERT_EQUAL(haul_class_marks(&class, 10, 5, 20), 5);
    CU_ASSERT_EQUAL(haul_class_marks(&class, 10, 5, 20), 0);
    CU_ASSERT_EQUAL(haul_class_marks(&class, 10, 1005, 20), 20);
    CU_ASSERT_TRUE(class.ecn);
    haul_class_init(&class, 1408, 1408, 0);
    haul_class_marks(&class, 0, 0, HAUL_ECN_TRIAL);
    CU_ASSERT_FALSE(class.ecn);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a silent candidate gets five challenges and no more",
          a_silent_candidate_gets_five_challenges_and_no_more },
        { "a candidate that speaks is challenged once a second",
          a_candidate_that_speaks_is_challenged_once_a_second },
        { "the candidate that answers first is the peer",
          the_candidate_that_answers_first_is_the_peer },
        { "a challenge is answered to its source, which becomes a candidate",
          a_challenge_is_answered_to_its_source_which_becomes_a_candidate },
        { "an old challenge from elsewhere is not answered once the address is proven",
          an_old_challenge_from_elsewhere_is_not_answered_once_the_address_is_proven },
        { "a move needs the new address to answer and the old to be silent",
          a_move_needs_the_new_address_to_answer_and_the_old_to_be_silent },
        { "the old address is kept when it answers", the_old_address_is_kept_when_it_answers },
        { "an address that does not answer is challenged once a second",
          an_address_that_does_not_answer_is_challenged_once_a_second },
        { "classes are probed upwards until one is lost three times",
          classes_are_probed_upwards_until_one_is_lost_three_times },
        { "a black hole is full losses while small ones pass",
          a_black_hole_is_full_losses_while_small_ones_pass },
        { "marks are counted once, and given up when none arrive",
          marks_are_counted_once_and_given_up_when_none_arrive },
    };

    return unit_main("path", tests, HAUL_COUNT_OF(tests));
}
