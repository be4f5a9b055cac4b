/* Frames owed to the peer. */
#include "dataplane/flow/duty.h"

#include "tests/unit/unit.h"

#define INDEXES 4u
#define BURSTS  8u

static struct haul_link links[HAUL_DUTY_KINDS * INDEXES + 1 + BURSTS];

static void a_duty_is_due_until_its_datagram_is_acknowledged(void)
{
    struct haul_duties duties;
    uint16_t want;
    uint16_t answer;

    haul_duties_init(&duties, links, INDEXES, BURSTS);
    CU_ASSERT_EQUAL(haul_duties_links(INDEXES, BURSTS), HAUL_COUNT_OF(links));
    want = haul_duty(&duties, HAUL_DUTY_WANT, 3);
    answer = haul_duty(&duties, HAUL_DUTY_ANSWER, 0);
    CU_ASSERT_EQUAL(haul_duty_kind(&duties, answer), HAUL_DUTY_ANSWER);
    CU_ASSERT_EQUAL(haul_duty_index(&duties, want), 3);
    CU_ASSERT_EQUAL(haul_duty_first(&duties), HAUL_NO_DUTY);
    haul_duty_owe(&duties, want);
    haul_duty_owe(&duties, answer);
    CU_ASSERT_EQUAL(haul_duty_first(&duties), want);
    haul_duty_fly(&duties, want, 2);
    haul_duty_fly(&duties, answer, 2);
    CU_ASSERT_EQUAL(haul_duty_first(&duties), HAUL_NO_DUTY);
    haul_duties_lost(&duties, 2);
    CU_ASSERT_EQUAL(haul_duty_first(&duties), want);
    haul_duty_fly(&duties, want, 3);
    haul_duty_fly(&duties, answer, 3);
    CU_ASSERT_EQUAL(haul_duty_met(&duties, 3), want);
    CU_ASSERT_EQUAL(haul_duty_met(&duties, 3), answer);
    CU_ASSERT_EQUAL(haul_duty_met(&duties, 3), HAUL_NO_DUTY);
    haul_duties_lost(&duties, 3);
    CU_ASSERT_EQUAL(haul_duty_first(&duties), HAUL_NO_DUTY);
    CU_ASSERT_PTR_NULL(haul_duties_broken(&duties));
}

static void what_is_said_anew_no_longer_hangs_on_the_old_datagram(void)
{
    struct haul_duties duties;
    uint16_t end;

    haul_duties_init(&duties, links, INDEXES, BURSTS);
    end = haul_duty(&duties, HAUL_DUTY_END, 1);
    haul_duty_owe(&duties, end);
    haul_duty_fly(&duties, end, 0);
    haul_duty_owe(&duties, end);
    CU_ASSERT_EQUAL(haul_duty_met(&duties, 0), HAUL_NO_DUTY);
    CU_ASSERT_EQUAL(haul_duty_first(&duties), end);
    haul_duty_drop(&duties, end);
    CU_ASSERT_EQUAL(haul_duty_first(&duties), HAUL_NO_DUTY);
    CU_ASSERT_PTR_NULL(haul_duties_broken(&duties));
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a duty is due until its datagram is acknowledged",
          a_duty_is_due_until_its_datagram_is_acknowledged },
        { "what is said anew no longer hangs on the old datagram",
          what_is_said_anew_no_longer_hangs_on_the_old_datagram },
    };

    return unit_main("duty", tests, HAUL_COUNT_OF(tests));
}
