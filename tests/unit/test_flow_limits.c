/* Two flows on one link, at the limits of their keys and under the marks of a busy link; and every
 * reason for a refusal. */
#include "dataplane/flow/flow_state.h"

#include "dataplane/aead/tables.h"
#include "tests/unit/flow_pair.h"
#include "tests/unit/toy_aead.h"
#include "tests/unit/unit.h"

#define ECT0 2u
#define CE   3u

static void transfer(struct pair *pair, uint32_t blocks)
{
    pair->side[0].done = 0;
    pair->side[0].to_ask = blocks;
    CU_ASSERT_TRUE(pair_run(pair, 60 * HAUL_SECOND));
    CU_ASSERT_PTR_NULL(pair->broken);
    CU_ASSERT_EQUAL(pair->side[0].done, blocks);
    CU_ASSERT_EQUAL(pair->side[0].wrong, 0);
}

/* --- keys --- */

static void new_keys_come_after_their_datagrams_and_nothing_is_lost(void)
{
    struct pair *pair = pair_open(&haul_aead_openssl_aes_128_gcm, 60, 8, 1408);
    struct haul_seal *seal = &pair->side[1].flow->seal;

    transfer(pair, 1);
    CU_ASSERT_EQUAL(seal->generation, 0);
    /* As if so many had been sealed: the whole number takes more than a test may. */
    seal->sealed = HAUL_SEAL_DATAGRAMS_MAX - 1000;
    transfer(pair, 1);
    CU_ASSERT_EQUAL(seal->generation, 0);
    CU_ASSERT_TRUE(seal->sealed < HAUL_SEAL_DATAGRAMS_MAX);
    transfer(pair, 3);
    CU_ASSERT_EQUAL(seal->generation, 1);
    CU_ASSERT_EQUAL(pair->side[1].stats.key_updates, 1);
    CU_ASSERT_TRUE(seal->sealed < 5000);
    CU_ASSERT_EQUAL(pair->side[0].stats.rx_forged, 0);
    CU_ASSERT_EQUAL(pair->side[1].stats.lost_datagrams, 0);
    CU_ASSERT_EQUAL(pair->side[1].stats.tx_resent_bytes, 0);
    pair_close(pair);
}

static bool nothing_to_one(struct pair *pair, struct pair_packet *packet)
{
    return packet->to != 1;
}

static void keys_that_the_peer_never_confirms_end_the_flow_before_they_wear_out(void)
{
    struct pair *pair = pair_open(&toy_aead, 61, 8, 1408);
    struct haul_flow *flow = pair->side[1].flow;

    transfer(pair, 1);
    flow->seal.sealed = HAUL_SEAL_DATAGRAMS_MAX;
    transfer(pair, 1);
    CU_ASSERT_EQUAL(flow->seal.generation, 1);
    pair->side[0].to_ask = 8;
    pair_run(pair, 6 * HAUL_MILLISECOND); /* the wants are there */
    CU_ASSERT_TRUE(flow->serves.live > 0);
    pair->fault = nothing_to_one;
    flow->seal.confirmed = false;
    flow->seal.sealed = HAUL_SEAL_HARD_MAX - 20;
    pair->side[0].to_ask = 0;
    pair_run(pair, HAUL_SECOND);
    CU_ASSERT_TRUE(pair->side[1].down);
    CU_ASSERT_EQUAL(pair->side[1].down_status, HAUL_STATUS_CLOSED);
    CU_ASSERT_TRUE(flow->seal.sealed <= HAUL_SEAL_HARD_MAX + HAUL_BURST_MAX);
    CU_ASSERT_EQUAL(pair->side[1].wanted, pair->side[1].served);
    pair_close(pair);
}

static bool forge(struct pair *pair, struct pair_packet *packet)
{
    packet->data[packet->bytes - 1] ^= 1;
    return true;
}

static void a_flow_ends_when_more_was_forged_than_its_cipher_bears(void)
{
    struct pair *pair = pair_open(&toy_aead, 62, 8, 1408);

    transfer(pair, 1);
    pair->side[0].flow->forged = HAUL_OPEN_FORGED_MAX - 5;
    pair->fault = forge;
    pair->side[0].to_ask = pair->side[1].to_ask = 8;
    pair_run(pair, 5 * HAUL_SECOND);
    CU_ASSERT_TRUE(pair->side[0].down);
    CU_ASSERT_EQUAL(pair->side[0].down_status, HAUL_STATUS_CLOSED);
    CU_ASSERT_EQUAL(pair->side[0].stats.rx_forged, 5);
    pair_close(pair);
}

/* --- marks --- */

static uint64_t marked_out, plain_out;

static bool count_marks(struct pair *pair, struct pair_packet *packet)
{
    if (packet->bytes > 1000) {
        marked_out += packet->ecn == ECT0;
        plain_out += packet->ecn == 0;
    }
    return true;
}

static bool bleach(struct pair *pair, struct pair_packet *packet)
{
    count_marks(pair, packet);
    packet->ecn = 0;
    return true;
}

/* Of the data, two datagrams in three meet a queue. */
static bool congested(struct pair *pair, struct pair_packet *packet)
{
    if (packet->ecn == ECT0 && pair->fault_at++ % 3 != 0)
        packet->ecn = CE;
    return true;
}

static void data_is_marked_as_long_as_the_marks_arrive(void)
{
    struct pair *pair = pair_open(&toy_aead, 63, 8, 1408);

    marked_out = plain_out = 0;
    pair->fault = count_marks;
    transfer(pair, 8);
    CU_ASSERT_TRUE(marked_out > 5000);
    CU_ASSERT_TRUE(plain_out < 10); /* probes of larger classes */
    CU_ASSERT_TRUE(pair->side[1].flow->class.ecn);
    CU_ASSERT_EQUAL(pair->side[0].flow->ce, 0);
    CU_ASSERT_TRUE(pair->side[1].flow->class.ect > 3000); /* the last acks still fly */
    pair_close(pair);

    pair = pair_open(&toy_aead, 63, 8, 1408);
    marked_out = plain_out = 0;
    pair->fault = bleach;
    transfer(pair, 8);
    CU_ASSERT_FALSE(pair->side[1].flow->class.ecn);
    CU_ASSERT_TRUE(marked_out < 1000 && plain_out > 4000);
    CU_ASSERT_EQUAL(pair->side[1].stats.lost_datagrams, 0);
    pair_close(pair);
}

static void marks_of_a_queue_slow_the_sender_without_a_loss(void)
{
    haul_time spans[2];

    for (unsigned i = 0; i < 2; i++) {
        struct pair *pair = pair_open(&toy_aead, 64, 8, 1408);
        haul_time began = pair->now;

        pair->fault = i == 0 ? count_marks : congested;
        transfer(pair, 24);
        spans[i] = pair->now - began;
        CU_ASSERT_EQUAL(pair->side[1].stats.lost_datagrams, 0);
        CU_ASSERT_EQUAL(pair->side[0].flow->ce > 10000, i == 1);
        CU_ASSERT_EQUAL(pair->side[1].flow->class.ce > 10000, i == 1);
        pair_close(pair);
    }
    CU_ASSERT_TRUE(spans[1] > 2 * spans[0]);
}

/* --- refusals --- */

static void each_refusal_is_told_with_its_reason_on_both_sides(void)
{
    static const struct {
        enum haul_refusal reason;
        enum haul_status status;
    } cases[] = {
        { HAUL_REFUSAL_UNKNOWN, HAUL_STATUS_REFUSED_UNKNOWN },
        { HAUL_REFUSAL_BUSY, HAUL_STATUS_REFUSED_BUSY },
        { HAUL_REFUSAL_FAILED, HAUL_STATUS_REFUSED_FAILED },
    };
    struct pair *pair = pair_open(&toy_aead, 65, 8, 1408);

    pair->side[1].refuse_all = true;
    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        pair->side[1].refuse_with = cases[i].reason;
        pair->side[0].to_ask = 1;
        CU_ASSERT_TRUE(pair_run(pair, HAUL_SECOND));
        CU_ASSERT_EQUAL(pair->side[0].refused, i + 1);
        CU_ASSERT_EQUAL(pair->side[0].refusal, cases[i].reason);
        CU_ASSERT_EQUAL(pair->side[0].retry_ms, 250);
        CU_ASSERT_EQUAL(pair->side[1].serve_status, cases[i].status);
    }
    pair_close(pair);
}

static void a_block_of_another_length_than_the_want_has_failed(void)
{
    struct pair *pair = pair_open(&toy_aead, 66, 8, 1408);

    pair->block_bytes = 1000;
    pair->want_length = 2000;
    pair->side[0].to_ask = 1;
    CU_ASSERT_TRUE(pair_run(pair, HAUL_SECOND));
    CU_ASSERT_EQUAL(pair->side[0].refused, 1);
    CU_ASSERT_EQUAL(pair->side[0].refusal, HAUL_REFUSAL_FAILED);
    pair_close(pair);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "new keys come after their datagrams and nothing is lost",
          new_keys_come_after_their_datagrams_and_nothing_is_lost },
        { "keys that the peer never confirms end the flow before they wear out",
          keys_that_the_peer_never_confirms_end_the_flow_before_they_wear_out },
        { "a flow ends when more was forged than its cipher bears",
          a_flow_ends_when_more_was_forged_than_its_cipher_bears },
        { "data is marked as long as the marks arrive",
          data_is_marked_as_long_as_the_marks_arrive },
        { "marks of a queue slow the sender without a loss",
          marks_of_a_queue_slow_the_sender_without_a_loss },
        { "each refusal is told with its reason on both sides",
          each_refusal_is_told_with_its_reason_on_both_sides },
        { "a block of another length than the want has failed",
          a_block_of_another_length_than_the_want_has_failed },
    };

    return unit_main("flow_limits", tests, HAUL_COUNT_OF(tests));
}
