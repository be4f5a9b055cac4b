/* Epochs of gateways: which answers mean that the mappings were lost. */
#include "controlplane/p2p/nat/epoch.h"

#include "common/base.h"
#include "tests/unit/unit.h"

/* The gateway said 1000 at our second 500; `ours` seconds later it says `told`. */
static bool pcp(uint64_t ours, uint32_t told)
{
    struct haul_epoch epoch = { 0 };

    CU_ASSERT_FALSE(haul_epoch_pcp(&epoch, 1000, 500 * HAUL_SECOND));
    return haul_epoch_pcp(&epoch, told, (500 + ours) * HAUL_SECOND);
}

static bool natpmp(uint64_t ours, uint32_t told)
{
    struct haul_epoch epoch = { 0 };

    CU_ASSERT_FALSE(haul_epoch_natpmp(&epoch, 1000, 500 * HAUL_SECOND));
    return haul_epoch_natpmp(&epoch, told, (500 + ours) * HAUL_SECOND);
}

static void the_first_answer_is_believed_whatever_it_says(void)
{
    static const uint32_t told[] = { 0, 1, 3600, UINT32_MAX };

    for (size_t i = 0; i < HAUL_COUNT_OF(told); i++) {
        struct haul_epoch epoch = { 0 };

        CU_ASSERT_FALSE(haul_epoch_pcp(&epoch, told[i], i * HAUL_SECOND));
        CU_ASSERT_EQUAL(epoch.told, told[i]);
        epoch = (struct haul_epoch){ 0 };
        CU_ASSERT_FALSE(haul_epoch_natpmp(&epoch, told[i], i * HAUL_SECOND));
    }
}

static void pcp_loses_its_state_when_the_epoch_goes_back_or_at_another_pace(void)
{
    CU_ASSERT_FALSE(pcp(0, 1000));
    CU_ASSERT_FALSE(pcp(0, 999)); /* overtaken on the way */
    CU_ASSERT_TRUE(pcp(0, 998));
    CU_ASSERT_TRUE(pcp(0, 0));
    CU_ASSERT_FALSE(pcp(1600, 2600));
    /* Too slow: theirs + 2 < ours - ours / 16, here 1500. */
    CU_ASSERT_FALSE(pcp(1600, 1000 + 1498));
    CU_ASSERT_TRUE(pcp(1600, 1000 + 1497));
    /* Too fast: ours + 2 < theirs - theirs / 16. */
    CU_ASSERT_FALSE(pcp(1498, 1000 + 1600));
    CU_ASSERT_TRUE(pcp(1497, 1000 + 1600));
    CU_ASSERT_TRUE(pcp(10, UINT32_MAX));
    CU_ASSERT_TRUE(pcp(1800, 1795)); /* a restart five seconds after the first */
}

static void natpmp_loses_its_state_when_too_little_time_has_passed(void)
{
    CU_ASSERT_FALSE(natpmp(0, 1000));
    CU_ASSERT_FALSE(natpmp(0, 998));
    CU_ASSERT_TRUE(natpmp(0, 997));
    CU_ASSERT_FALSE(natpmp(800, 1000 + 698)); /* seven eighths, and two seconds */
    CU_ASSERT_TRUE(natpmp(800, 1000 + 697));
    CU_ASSERT_FALSE(natpmp(10, UINT32_MAX)); /* a fast clock loses nothing */
    CU_ASSERT_TRUE(natpmp(1800, 0));
}

static void after_a_loss_the_new_epoch_counts(void)
{
    struct haul_epoch epoch = { 0 };

    CU_ASSERT_FALSE(haul_epoch_pcp(&epoch, 5000, 0));
    CU_ASSERT_TRUE(haul_epoch_pcp(&epoch, 3, 10 * HAUL_SECOND));
    CU_ASSERT_FALSE(haul_epoch_pcp(&epoch, 13, 20 * HAUL_SECOND));
    CU_ASSERT_TRUE(haul_epoch_pcp(&epoch, 0, 30 * HAUL_SECOND));
    /* A clock of ours that stands still, or the end of theirs. */
    CU_ASSERT_FALSE(haul_epoch_pcp(&epoch, 0, 30 * HAUL_SECOND));
    CU_ASSERT_TRUE(haul_epoch_natpmp(&epoch, UINT32_MAX, HAUL_TIME_NEVER - 1));
    CU_ASSERT_TRUE(haul_epoch_natpmp(&epoch, 0, HAUL_TIME_NEVER - 1));
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "the first answer is believed, whatever it says",
          the_first_answer_is_believed_whatever_it_says },
        { "PCP loses its state when the epoch goes back, or at another pace",
          pcp_loses_its_state_when_the_epoch_goes_back_or_at_another_pace },
        { "NAT-PMP loses its state when too little time has passed",
          natpmp_loses_its_state_when_too_little_time_has_passed },
        { "after a loss the new epoch counts", after_a_loss_the_new_epoch_counts },
    };

    return unit_main("epoch", tests, HAUL_COUNT_OF(tests));
}
