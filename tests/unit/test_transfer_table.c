/* The fetches of a transfer that wait to be asked for again, and what wakes them. */
#include "controlplane/transfer/transfer_parts.h"
#include "tests/unit/unit.h"

static struct haul_transfer transfer;

static struct haul_fetch *waits(size_t i, haul_time until)
{
    transfer.fetches[i].state = HAUL_FETCH_RETRY;
    transfer.fetches[i].retry_at = until;
    return &transfer.fetches[i];
}

static void what_waits_for_a_carrier_is_woken_and_what_waits_for_a_time_is_not(void)
{
    struct haul_fetch *busy = waits(3, 70 * HAUL_SECOND); /* the peer said when to come back */
    struct haul_fetch *room = waits(5, 0);
    struct haul_fetch *left = waits(HAUL_FETCHES_MAX - 1, HAUL_TIME_NEVER);
    struct haul_fetch *asked = waits(9, HAUL_TIME_NEVER);

    asked->state = HAUL_FETCH_ASKED;
    haul_transfer_wake(&transfer);
    CU_ASSERT_EQUAL(busy->retry_at, 70 * HAUL_SECOND);
    CU_ASSERT_EQUAL(room->retry_at, 0);
    CU_ASSERT_EQUAL(left->retry_at, 0);
    CU_ASSERT_EQUAL(asked->retry_at, HAUL_TIME_NEVER);
    CU_ASSERT_EQUAL(haul_transfer_retry_at(&transfer), 70 * HAUL_SECOND);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "what waits for a carrier is woken, and what waits for a time is not",
          what_waits_for_a_carrier_is_woken_and_what_waits_for_a_time_is_not },
    };

    return unit_main("transfer_table", tests, HAUL_COUNT_OF(tests));
}
