/* Two flows on one link: what is asked for arrives byte for byte, whatever the link does. */
#include "dataplane/flow/flow.h"

#include "dataplane/aead/tables.h"
#include "dataplane/flow/seal.h"
#include "tests/unit/flow_pair.h"
#include "tests/unit/toy_aead.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 24u

static bool transfer(struct pair *pair, uint32_t first, uint32_t second, haul_time span)
{
    bool done;

    pair->side[0].to_ask = first;
    pair->side[1].to_ask = second;
    done = pair_run(pair, span);
    CU_ASSERT_TRUE(done);
    if (!done)
        fprintf(stderr, "not done at %llu ns: %u + %u of %u + %u, down %d %d, status %d %d\n",
                (unsigned long long)pair->now, pair->side[0].done, pair->side[1].done, first,
                second, pair->side[0].down, pair->side[1].down, (int)pair->side[0].down_status,
                (int)pair->side[1].down_status);
    CU_ASSERT_PTR_NULL(pair->broken);
    if (pair->broken != NULL)
        fprintf(stderr, "broken: %s\n", pair->broken);
    CU_ASSERT_EQUAL(pair->side[0].done, first);
    CU_ASSERT_EQUAL(pair->side[1].done, second);
    CU_ASSERT_EQUAL(pair->side[0].wrong + pair->side[1].wrong, 0);
    return done;
}

static void a_perfect_link_carries_blocks_both_ways(void)
{
    struct pair *pair = pair_open(&toy_aead, 1, 8, 1408);

    transfer(pair, BLOCKS, BLOCKS, 60 * HAUL_SECOND);
    CU_ASSERT_EQUAL(pair->side[0].stats.rx_block_bytes, BLOCKS * (uint64_t)HAUL_BLOCK_BYTES_MAX);
    CU_ASSERT_EQUAL(pair->side[0].stats.rx_duplicate_bytes, 0);
    CU_ASSERT_EQUAL(pair->side[0].stats.lost_datagrams, 0);
    CU_ASSERT_EQUAL(pair->side[0].stats.rx_forged + pair->side[0].stats.rx_malformed, 0);
    pair_close(pair);
}

static bool drop_every_ninth(struct pair *pair, struct pair_packet *packet)
{
    return pair->fault_at++ % 9 != 8;
}

static bool drop_at_random(struct pair *pair, struct pair_packet *packet)
{
    return !haul_rng_chance(&pair->rng, (uint32_t)pair->fault_at);
}

static bool reorder(struct pair *pair, struct pair_packet *packet)
{
    packet->at += haul_rng_below(&pair->rng, 3 * HAUL_MILLISECOND);
    return true;
}

static bool duplicate(struct pair *pair, struct pair_packet *packet)
{
    pair->inject_delay = pair->delay + HAUL_MILLISECOND;
    if (haul_rng_chance(&pair->rng, 100000))
        pair_inject(pair, packet->to, &packet->from, packet->data, packet->bytes);
    return true;
}

static bool corrupt(struct pair *pair, struct pair_packet *packet)
{
    if (haul_rng_chance(&pair->rng, 20000))
        packet->data[haul_rng_below(&pair->rng, packet->bytes)] ^=
            (uint8_t)(1u << haul_rng_below(&pair->rng, 8));
    return true;
}

static bool everything(struct pair *pair, struct pair_packet *packet)
{
    if (haul_rng_chance(&pair->rng, 20000))
        return false;
    duplicate(pair, packet);
    corrupt(pair, packet);
    return reorder(pair, packet);
}

static void blocks_arrive_when_every_ninth_datagram_is_dropped(void)
{
    struct pair *pair = pair_open(&toy_aead, 2, 8, 1408);

    pair->fault = drop_every_ninth;
    transfer(pair, BLOCKS, BLOCKS, 600 * HAUL_SECOND);
    CU_ASSERT_NOT_EQUAL(pair->side[0].stats.lost_datagrams, 0);
    pair_close(pair);
}

static void blocks_arrive_at_half_loss(void)
{
    struct pair *pair = pair_open(&toy_aead, 3, 4, 1408);

    pair->fault = drop_at_random;
    pair->fault_at = 500000;
    pair->side[0].to_ask = 2;
    pair->side[1].to_ask = 2;
    CU_ASSERT_TRUE(pair_run(pair, 3600 * HAUL_SECOND));
    CU_ASSERT_EQUAL(pair->side[0].done + pair->side[1].done, 4);
    CU_ASSERT_PTR_NULL(pair->broken);
    pair_close(pair);
}

static void blocks_arrive_out_of_order_without_being_sent_twice_too_often(void)
{
    struct pair *pair = pair_open(&toy_aead, 4, 8, 1408);
    uint64_t early;

    pair->fault = reorder;
    transfer(pair, BLOCKS, BLOCKS, 600 * HAUL_SECOND);
    early = pair->side[1].stats.rx_unplaced * 1408; /* data that overtook its accept */
    CU_ASSERT_TRUE(pair->side[0].stats.tx_resent_bytes <
                   early + BLOCKS * HAUL_BLOCK_BYTES_MAX / 20);
    pair_close(pair);
}

static void duplicates_are_harmless(void)
{
    struct pair *pair = pair_open(&toy_aead, 5, 8, 1408);

    pair->fault = duplicate;
    transfer(pair, BLOCKS, BLOCKS, 600 * HAUL_SECOND);
    CU_ASSERT_TRUE(pair->side[0].stats.rx_duplicate_bytes > 0);
    CU_ASSERT_TRUE(pair->side[0].stats.rx_replayed > 0);
    CU_ASSERT_EQUAL(pair->side[0].stats.tx_resent_bytes, 0);
    pair_close(pair);
}

static void corrupted_datagrams_are_dropped_and_counted(void)
{
    struct pair *pair = pair_open(&toy_aead, 6, 8, 1408);

    pair->fault = corrupt;
    transfer(pair, BLOCKS, BLOCKS, 600 * HAUL_SECOND);
    CU_ASSERT_TRUE(pair->side[0].stats.rx_forged > 0);
    pair_close(pair);
}

static void all_faults_at_once_for_many_seeds(void)
{
    for (uint64_t seed = 10; seed < 22; seed++) {
        struct pair *pair =
            pair_open(&toy_aead, seed, (uint16_t)(1 + seed % 9), seed % 2 ? 8192 : 1408);

        pair->fault = everything;
        pair->delay = haul_rng_below(&pair->rng, 50 * HAUL_MILLISECOND);
        pair->block_bytes = 1 + (uint32_t)haul_rng_below(&pair->rng, HAUL_BLOCK_BYTES_MAX);
        transfer(pair, 6, 6, 600 * HAUL_SECOND);
        pair_close(pair);
    }
}

/* Everything a side sends is recorded, to be replayed. */
static struct haul_train recorded[2048];
static uint8_t recorded_bytes[2048][PAIR_PACKET_MAX];
static uint32_t recorded_count;

static bool record(struct pair *pair, struct pair_packet *packet)
{
    if (packet->to == 0 && recorded_count < HAUL_COUNT_OF(recorded)) {
        memcpy(recorded_bytes[recorded_count], packet->data, packet->bytes);
        recorded[recorded_count++].bytes = packet->bytes;
    }
    return true;
}

static void replays_from_elsewhere_leave_no_trace_and_move_nothing(void)
{
    struct pair *pair = pair_open(&toy_aead, 31, 8, 1408);
    struct haul_flow_stats before;
    uint64_t sent;

    recorded_count = 0;
    pair->fault = record;
    transfer(pair, 2, 0, 60 * HAUL_SECOND);
    pair->fault = NULL;
    pair_run(pair, HAUL_SECOND);
    for (unsigned i = 0; i < 40; i++)
        pair_step(pair);
    before = pair->side[0].stats;
    sent = pair->sent;
    for (uint32_t i = 0; i < recorded_count; i++) {
        struct haul_addr from = { .family = 4, .ip = { 198, 51, 100, (uint8_t)i }, .port = 9 };
        struct haul_train train = { .data = recorded_bytes[i],
                                    .bytes = recorded[i].bytes,
                                    .segment = (uint16_t)recorded[i].bytes,
                                    .peer = from };

        haul_flow_input(pair->side[0].flow, &train, 0, pair->now);
    }
    for (unsigned i = 0; i < 8; i++) {
        uint8_t data[PAIR_TRAIN_BYTES];
        struct haul_train train = { .data = data, .capacity = sizeof data };

        while (haul_flow_output(pair->side[0].flow, &train, 44, pair->now))
            CU_ASSERT_TRUE(haul_addr_equal(&train.peer, &pair->side[1].addr));
        pair->now += HAUL_MILLISECOND;
    }
    CU_ASSERT_EQUAL(pair->side[0].stats.path_challenges, before.path_challenges);
    CU_ASSERT_EQUAL(pair->side[0].stats.path_moves, 0);
    CU_ASSERT_TRUE(pair->side[0].stats.rx_replayed > before.rx_replayed);
    CU_ASSERT_EQUAL(pair->side[0].stats.rx_block_bytes, before.rx_block_bytes);
    CU_ASSERT_EQUAL(sent, pair->sent);
    CU_ASSERT_PTR_NULL(haul_flow_broken(pair->side[0].flow));
    pair_close(pair);
}

/* Forged, cut and replayed copies of each datagram arrive beside it, from a stranger. */
static bool hostile(struct pair *pair, struct pair_packet *packet)
{
    struct haul_addr stranger = { .family = 4, .ip = { 203, 0, 113, 1 }, .port = 53 };
    uint8_t data[PAIR_PACKET_MAX];
    uint64_t kind = haul_rng_below(&pair->rng, 16);
    uint32_t bytes = packet->bytes;

    memcpy(data, packet->data, bytes);
    pair->inject_delay = pair->delay / 2;
    if (kind == 0) {
        data[24 + haul_rng_below(&pair->rng, bytes - 24)] ^= 1;
        pair_inject(pair, packet->to, &stranger, data, bytes);
    } else if (kind == 1) {
        pair_inject(pair, packet->to, &stranger, data, (uint32_t)haul_rng_below(&pair->rng, bytes));
    } else if (kind == 2) {
        haul_rng_fill(&pair->rng, data + 8, bytes - 8);
        pair_inject(pair, packet->to, &stranger, data, bytes);
    } else if (kind == 3) {
        pair->inject_delay = 2 * pair->delay;
        pair_inject(pair, packet->to, &stranger, data, bytes);
    }
    return true;
}

static void forged_cut_and_replayed_datagrams_change_nothing(void)
{
    struct pair *pair = pair_open(&toy_aead, 32, 8, 1408);

    pair->fault = hostile;
    transfer(pair, BLOCKS, BLOCKS, 600 * HAUL_SECOND);
    for (unsigned i = 0; i < 2; i++) {
        CU_ASSERT_TRUE(pair->side[i].stats.rx_forged > 100);
        CU_ASSERT_EQUAL(pair->side[i].stats.path_moves, 0);
        /* The opening one, and perhaps a second beside the answer to the peer's. */
        CU_ASSERT_TRUE(pair->side[i].stats.path_challenges <= 2);
    }
    pair_close(pair);
}

static void a_refused_want_ends_with_the_reason_and_frees_its_handle(void)
{
    struct pair *pair = pair_open(&toy_aead, 33, 4, 1408);

    pair->fault = drop_every_ninth;
    pair->side[1].refuse_all = true;
    pair->side[0].to_ask = 40;
    CU_ASSERT_TRUE(pair_run(pair, 60 * HAUL_SECOND));
    CU_ASSERT_EQUAL(pair->side[0].refused, 40);
    CU_ASSERT_EQUAL(pair->side[1].wanted, 40);
    CU_ASSERT_EQUAL(pair->side[1].served, 40);
    pair_close(pair);
}

static void a_part_of_a_block_lands_at_its_offset(void)
{
    struct pair *pair = pair_open(&toy_aead, 34, 4, 1408);

    pair->block_bytes = 900000;
    pair->want_offset = 64 * 1001;
    pair->want_length = 300001;
    transfer(pair, 5, 5, 60 * HAUL_SECOND);
    CU_ASSERT_EQUAL(pair->side[0].jobs[0].slot[64 * 1001 - 1], 0xee);
    CU_ASSERT_EQUAL(pair->side[0].jobs[0].slot[64 * 1001 + 300001], 0xee);
    pair_close(pair);
}

static void an_empty_block_is_filled_at_once(void)
{
    struct pair *pair = pair_open(&toy_aead, 35, 4, 1408);

    pair->block_bytes = 0;
    transfer(pair, 5, 5, 60 * HAUL_SECOND);
    CU_ASSERT_EQUAL(pair->side[0].stats.rx_block_bytes, 0);
    pair_close(pair);
}

static void both_sides_agree_on_the_largest_class_that_passes(void)
{
    struct pair *pair = pair_open(&toy_aead, 36, 8, 8192);

    transfer(pair, 8, 8, 60 * HAUL_SECOND);
    CU_ASSERT_EQUAL(pair->side[0].stats.payload_class, 8192);
    CU_ASSERT_EQUAL(pair->side[1].stats.payload_class, 8192);
    pair_close(pair);
}

static bool small_only(struct pair *pair, struct pair_packet *packet)
{
    return packet->bytes <= (pair->fault_at == 0 ? 1408u + 40 : 1300u);
}

static void a_black_hole_for_large_datagrams_is_found_and_left(void)
{
    struct pair *pair = pair_open(&toy_aead, 37, 8, 8192);

    pair->fault = small_only;
    transfer(pair, 4, 4, 60 * HAUL_SECOND);
    CU_ASSERT_EQUAL(pair->side[0].stats.payload_class, 1408);
    pair->fault_at = 1;
    pair->side[0].done = pair->side[1].done = 0;
    transfer(pair, 4, 4, 60 * HAUL_SECOND);
    CU_ASSERT_EQUAL(pair->side[0].stats.payload_class, 1152);
    pair_close(pair);
}

static void withdrawn_wants_end_at_both_sides(void)
{
    struct pair *pair = pair_open(&toy_aead, 38, 8, 1408);

    pair->fault = drop_every_ninth;
    pair->side[1].hold_serves = true;
    pair->side[0].to_ask = 8;
    CU_ASSERT_FALSE(pair_run(pair, HAUL_SECOND));
    CU_ASSERT_EQUAL(pair->side[1].wanted, 8);
    for (unsigned i = 0; i < 8; i++)
        haul_flow_withdraw(pair->side[0].flow, pair->side[0].jobs[i].handle, pair->now);
    CU_ASSERT_TRUE(pair_run(pair, HAUL_SECOND));
    for (unsigned i = 0; i < 200; i++)
        pair_step(pair);
    CU_ASSERT_EQUAL(pair->side[0].withdrawn, 8);
    CU_ASSERT_EQUAL(pair->side[1].served, 8);
    pair->side[1].hold_serves = false;
    transfer(pair, 8, 0, 60 * HAUL_SECOND);
    pair_close(pair);
}

static bool the_end_of_a_block_is_lost(struct pair *pair, struct pair_packet *packet)
{
    return packet->to != 1 || pair->side[0].done < 3;
}

static void what_was_finished_before_the_close_is_served_whole(void)
{
    struct pair *pair = pair_open(&toy_aead, 17, 8, 1408);

    pair->fault = the_end_of_a_block_is_lost;
    pair->side[0].to_ask = 3;
    while (pair->side[0].done < 3)
        pair_step(pair);
    for (unsigned i = 0; i < 20; i++) /* the end is sent, perhaps more than once, and lost */
        pair_step(pair);
    CU_ASSERT_TRUE(pair->side[1].wanted > pair->side[1].served);
    haul_flow_close(pair->side[0].flow, pair->now);
    pair->fault = NULL;
    while (!pair->side[0].down || !pair->side[1].down)
        pair_step(pair);
    CU_ASSERT_EQUAL(pair->side[1].served, 3);
    CU_ASSERT_EQUAL(pair->side[1].serve_status, HAUL_STATUS_DONE);
    CU_ASSERT_PTR_NULL(pair->broken);
    pair_close(pair);
}

static void a_closed_flow_ends_on_both_sides_and_gives_everything_back(void)
{
    struct pair *pair = pair_open(&toy_aead, 39, 8, 1408);

    pair->side[0].to_ask = 8;
    pair->side[1].to_ask = 8;
    pair_run(pair, 14 * HAUL_MILLISECOND);
    haul_flow_close(pair->side[0].flow, pair->now);
    pair->side[0].to_ask = pair->side[1].to_ask = 0;
    pair_run(pair, HAUL_SECOND);
    for (unsigned i = 0; i < 50; i++)
        pair_step(pair);
    for (unsigned i = 0; i < 2; i++) {
        CU_ASSERT_TRUE(pair->side[i].down);
        CU_ASSERT_EQUAL(pair->side[i].down_status, HAUL_STATUS_CLOSED);
        CU_ASSERT_EQUAL(pair->side[i].wanted, pair->side[i].served);
        CU_ASSERT_EQUAL(pair->side[i].done + pair->side[i].withdrawn, 8);
        CU_ASSERT_EQUAL(haul_flow_deadline(pair->side[i].flow), HAUL_TIME_NEVER);
    }
    pair_close(pair);
}

static bool nothing_passes(struct pair *pair, struct pair_packet *packet)
{
    return false;
}

static void a_path_that_never_answers_is_unproven_after_five_small_probes(void)
{
    struct pair *pair = pair_open(&toy_aead, 40, 8, 1408);

    pair->fault = nothing_passes;
    pair->side[0].to_ask = 3;
    pair_run(pair, 10 * HAUL_SECOND);
    CU_ASSERT_EQUAL(pair->side[0].down_status, HAUL_STATUS_UNPROVEN);
    CU_ASSERT_EQUAL(pair->side[0].withdrawn, 3);
    CU_ASSERT_EQUAL(pair->side[0].stats.tx_datagrams, 5);
    CU_ASSERT_EQUAL(pair->side[0].stats.tx_bytes, 500);
    pair_close(pair);
}

/* A control datagram as the peer of side 0 can seal it: so many challenges, and padding up to
 * `payload`; it comes from an address that may be anybody's. */
static size_t challenge(struct pair *pair, struct haul_seal *seal, uint64_t number,
                        unsigned challenges, size_t payload, uint8_t *datagram)
{
    struct haul_wire_head head = { .type = HAUL_WIRE_CONTROL,
                                   .receiver = pair->side[0].grant.local_id,
                                   .number = number };
    uint8_t plain[HAUL_WIRE_PROBE_BYTES];
    struct haul_out out = haul_out_to(plain, payload);
    struct haul_frame frame = { .type = HAUL_FRAME_CHALLENGE };

    for (unsigned i = 0; i < challenges; i++) {
        frame.token = number + i;
        CU_ASSERT_TRUE(haul_frame_write(&out, &frame));
    }
    if (challenges == 0) {
        frame.type = HAUL_FRAME_PING;
        CU_ASSERT_TRUE(haul_frame_write(&out, &frame));
    }
    if (haul_out_left(&out) >= HAUL_FRAME_HEAD_BYTES) {
        frame.type = HAUL_FRAME_PADDING;
        frame.padding = (uint32_t)haul_out_left(&out) - HAUL_FRAME_HEAD_BYTES;
        CU_ASSERT_TRUE(haul_frame_write(&out, &frame));
    }
    haul_seal_datagram(seal, &head, plain, payload, datagram);
    return payload + HAUL_WIRE_OVERHEAD;
}

/* What side 0 sends to `stranger` in six seconds, in which so many datagrams come from there. */
static void amplification(bool proven, unsigned datagrams, unsigned challenges, size_t payload)
{
    struct haul_addr stranger = { .family = 4, .ip = { 203, 0, 113, 1 }, .port = 53 };
    struct pair *pair = pair_open(&toy_aead, 41, 8, 1408);
    struct pair_side *side = &pair->side[0];
    static uint8_t data[PAIR_TRAIN_BYTES];
    size_t in = 0, out = 0;
    struct haul_seal seal;

    if (proven)
        transfer(pair, 1, 1, 10 * HAUL_SECOND);
    haul_seal_init(&seal, &toy_aead, side->grant.open_secret, pair->now);
    for (unsigned i = 0; i < 600; i++, pair->now += 10 * HAUL_MILLISECOND) {
        struct haul_train train = { .data = data, .peer = stranger };

        if (i % 20 == 0 && i / 20 < datagrams) {
            train.bytes = (uint32_t)challenge(pair, &seal, 100000 + i, challenges, payload, data);
            train.segment = (uint16_t)train.bytes;
            in += train.bytes;
            haul_flow_input(side->flow, &train, 0, pair->now);
        }
        train = (struct haul_train){ .data = data, .capacity = sizeof data };
        while (haul_flow_output(side->flow, &train, 44, pair->now)) {
            if (haul_addr_equal(&train.peer, &stranger))
                out += train.bytes;
            train = (struct haul_train){ .data = data, .capacity = sizeof data };
        }
    }
    if (challenges == 1 && payload + HAUL_WIRE_OVERHEAD == HAUL_WIRE_PROBE_BYTES)
        CU_ASSERT_TRUE(out >= in); /* an honest one is answered */
    CU_ASSERT_TRUE(out <= 3 * in);
    if (out > 3 * in)
        fprintf(stderr, "proven %d: %u datagrams of %u challenges, %zu bytes: %zu in, %zu out\n",
                proven, datagrams, challenges, payload, in, out);
    haul_seal_fini(&seal);
    pair_close(pair);
}

static void an_address_that_is_not_proven_gets_at_most_three_times_what_came_from_it(void)
{
    static const size_t payloads[] = { 22, 55, 60 };
    static const unsigned counts[] = { 1, 20 };

    for (int proven = 0; proven < 2; proven++) {
        for (size_t i = 0; i < HAUL_COUNT_OF(counts); i++) {
            for (size_t j = 0; j < HAUL_COUNT_OF(payloads); j++) {
                for (unsigned k = 0; k <= payloads[j] / 11; k++)
                    amplification(proven != 0, counts[i], k, payloads[j]);
            }
        }
    }
}

static void a_peer_that_falls_silent_ends_a_busy_flow_and_spares_an_idle_one(void)
{
    struct pair *pair = pair_open(&toy_aead, 41, 8, 1408);

    transfer(pair, 2, 0, 60 * HAUL_SECOND);
    while (pair->now < 90 * HAUL_SECOND) /* the end of the last block is told, too */
        pair_step(pair);
    pair->fault = nothing_passes;
    for (unsigned i = 0; i < 4000 && pair->now < 200 * HAUL_SECOND; i++)
        pair_step(pair);
    CU_ASSERT_FALSE(pair->side[0].down);
    pair->side[0].to_ask = 1;
    pair_run(pair, 60 * HAUL_SECOND);
    CU_ASSERT_TRUE(pair->side[0].down);
    CU_ASSERT_EQUAL(pair->side[0].down_status, HAUL_STATUS_SILENT);
    CU_ASSERT_FALSE(pair->side[1].down);
    pair_close(pair);
}

static bool nothing_passes_once_all_is_there(struct pair *pair, struct pair_packet *packet)
{
    return pair->side[0].done < 2;
}

static void a_seeder_learns_of_the_end_though_the_path_was_away_when_it_was_told(void)
{
    struct pair *pair = pair_open(&toy_aead, 44, 8, 1408);
    haul_time away;

    pair->fault = nothing_passes_once_all_is_there;
    pair->side[0].to_ask = 2;
    while (pair->side[0].done < 2 && pair->now < 60 * HAUL_SECOND)
        pair_step(pair);
    away = pair->now + 8 * HAUL_SECOND;
    while (pair->now < away)
        pair_step(pair);
    CU_ASSERT_TRUE(pair->side[1].wanted > pair->side[1].served);
    pair->fault = NULL;
    away = pair->now + 10 * HAUL_SECOND;
    while (pair->now < away && pair->side[1].wanted > pair->side[1].served)
        pair_step(pair);
    CU_ASSERT_EQUAL(pair->side[1].wanted, pair->side[1].served);
    CU_ASSERT_EQUAL(pair->side[1].serve_status, HAUL_STATUS_DONE);
    CU_ASSERT_FALSE(pair->side[0].down || pair->side[1].down);
    pair_close(pair);
}

/* Side 1 is behind a translator that gives it a new address. */
static bool rebound(struct pair *pair, struct pair_packet *packet)
{
    if (packet->to == 0 && pair->fault_at == 1)
        packet->from.port = 9999;
    return true;
}

static void a_new_address_is_taken_when_only_it_answers(void)
{
    struct pair *pair = pair_open(&toy_aead, 42, 8, 1408);

    pair->fault = rebound;
    transfer(pair, 2, 2, 60 * HAUL_SECOND);
    pair->fault_at = 1;
    pair->side[1].addr.port = 9999; /* datagrams to the old address go nowhere from now on */
    pair->side[0].done = pair->side[1].done = 0;
    transfer(pair, 4, 4, 60 * HAUL_SECOND);
    CU_ASSERT_EQUAL(pair->side[0].stats.path_moves, 1);
    CU_ASSERT_EQUAL(pair->side[1].stats.path_moves, 0);
    pair_close(pair);
}

static void the_old_address_is_kept_when_it_answers(void)
{
    struct pair *pair = pair_open(&toy_aead, 43, 8, 1408);

    pair->fault = rebound;
    transfer(pair, 2, 2, 60 * HAUL_SECOND);
    pair->fault_at = 1; /* its datagrams look as if they came from elsewhere */
    pair->side[0].done = pair->side[1].done = 0;
    transfer(pair, 4, 4, 60 * HAUL_SECOND);
    CU_ASSERT_EQUAL(pair->side[0].stats.path_moves, 0);
    CU_ASSERT_TRUE(pair->side[0].stats.path_challenges > 1);
    pair_close(pair);
}

static void a_duplicate_is_acknowledged_while_the_verdict_is_awaited(void)
{
    struct pair *pair = pair_open(&toy_aead, 44, 8, 1408);

    pair->fault = drop_at_random;
    pair->fault_at = 200000;
    pair->side[0].hold_verdicts = true;
    pair->side[0].to_ask = 8;
    CU_ASSERT_FALSE(pair_run(pair, 120 * HAUL_SECOND));
    CU_ASSERT_FALSE(pair->side[1].down);
    CU_ASSERT_EQUAL(pair->side[0].done, 8);
    pair_close(pair);
}

static void keys_change_by_time_without_losing_anything(void)
{
    struct pair *pair = pair_open(&haul_aead_openssl_aes_128_gcm, 45, 8, 1408);

    for (unsigned round = 0; round < 6; round++) {
        pair->side[0].done = pair->side[1].done = 0;
        transfer(pair, 3, 3, 60 * HAUL_SECOND);
        for (haul_time end = pair->now + 70 * HAUL_SECOND; pair->now < end;)
            pair_step(pair);
    }
    for (unsigned i = 0; i < 2; i++) {
        CU_ASSERT_TRUE(pair->side[i].stats.key_updates >= 4);
        CU_ASSERT_EQUAL(pair->side[i].stats.rx_forged, 0);
        CU_ASSERT_EQUAL(pair->side[i].stats.lost_datagrams, 0);
    }
    pair_close(pair);
}

static void the_first_probe_waits_as_long_as_the_grant_says(void)
{
    const haul_time begin = 5 * HAUL_SECOND, wait = 100 * HAUL_MILLISECOND;
    struct pair *pair = pair_open(&toy_aead, 3, 8, 1408);
    struct haul_grant grant = pair->side[0].grant;
    struct haul_flow_stats stats = { 0 };
    const struct haul_flow_conf conf = { .grant = &grant,
                                         .aead = &toy_aead,
                                         .stats = &stats,
                                         .seed = 1,
                                         .wants_max = 8,
                                         .payload_first = 1408 };
    uint8_t data[2048];
    struct haul_train train = { .data = data, .capacity = sizeof data };
    void *memory = aligned_alloc(64, haul_flow_bytes(8));
    struct haul_flow *flow;

    grant.probe_after = wait;
    flow = haul_flow_init(memory, &conf, begin);
    CU_ASSERT_EQUAL(haul_flow_deadline(flow), begin + wait);
    CU_ASSERT_FALSE(haul_flow_output(flow, &train, 1, begin));
    CU_ASSERT_FALSE(haul_flow_output(flow, &train, 1, begin + wait - 1));
    CU_ASSERT_TRUE(haul_flow_output(flow, &train, 1, begin + wait));
    CU_ASSERT_EQUAL(train.bytes, 100);
    haul_flow_fini(flow);
    free(memory);
    pair_close(pair);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a perfect link carries blocks both ways", a_perfect_link_carries_blocks_both_ways },
        { "blocks arrive when every ninth datagram is dropped",
          blocks_arrive_when_every_ninth_datagram_is_dropped },
        { "blocks arrive at half loss", blocks_arrive_at_half_loss },
        { "blocks arrive out of order without being sent twice too often",
          blocks_arrive_out_of_order_without_being_sent_twice_too_often },
        { "duplicates are harmless", duplicates_are_harmless },
        { "corrupted datagrams are dropped and counted",
          corrupted_datagrams_are_dropped_and_counted },
        { "all faults at once for many seeds", all_faults_at_once_for_many_seeds },
        { "replays from elsewhere leave no trace and move nothing",
          replays_from_elsewhere_leave_no_trace_and_move_nothing },
        { "forged, cut and replayed datagrams change nothing",
          forged_cut_and_replayed_datagrams_change_nothing },
        { "a refused want ends with the reason and frees its handle",
          a_refused_want_ends_with_the_reason_and_frees_its_handle },
        { "a part of a block lands at its offset", a_part_of_a_block_lands_at_its_offset },
        { "an empty block is filled at once", an_empty_block_is_filled_at_once },
        { "both sides agree on the largest class that passes",
          both_sides_agree_on_the_largest_class_that_passes },
        { "a black hole for large datagrams is found and left",
          a_black_hole_for_large_datagrams_is_found_and_left },
        { "withdrawn wants end at both sides", withdrawn_wants_end_at_both_sides },
        { "what was finished before the close is served whole",
          what_was_finished_before_the_close_is_served_whole },
        { "a closed flow ends on both sides and gives everything back",
          a_closed_flow_ends_on_both_sides_and_gives_everything_back },
        { "a path that never answers is unproven after five small probes",
          a_path_that_never_answers_is_unproven_after_five_small_probes },
        { "an address that is not proven gets at most three times what came from it",
          an_address_that_is_not_proven_gets_at_most_three_times_what_came_from_it },
        { "the first probe waits as long as the grant says",
          the_first_probe_waits_as_long_as_the_grant_says },
        { "a peer that falls silent ends a busy flow and spares an idle one",
          a_peer_that_falls_silent_ends_a_busy_flow_and_spares_an_idle_one },
        { "a seeder learns of the end though the path was away when it was told",
          a_seeder_learns_of_the_end_though_the_path_was_away_when_it_was_told },
        { "a new address is taken when only it answers",
          a_new_address_is_taken_when_only_it_answers },
        { "the old address is kept when it answers", the_old_address_is_kept_when_it_answers },
        { "keys change by time without losing anything",
          keys_change_by_time_without_losing_anything },
        { "a duplicate is acknowledged while the verdict is awaited",
          a_duplicate_is_acknowledged_while_the_verdict_is_awaited },
    };

    return unit_main("flow", tests, HAUL_COUNT_OF(tests));
}
