/* Bursts in flight, with times set by hand: acknowledgement, loss by time, probe timeout, undo. */
#include "dataplane/flow/sent.h"

#include "dataplane/flow/pacer.h"
#include "tests/unit/unit.h"

#include <string.h>

#define SIZE   2u
#define HANDLE 0x800u
#define MS     HAUL_MILLISECOND

static struct haul_serve serve_memory[SIZE];
static struct haul_serves serves;
static struct haul_link links[HAUL_DUTY_KINDS * SIZE + 1 + HAUL_BURSTS];
static struct haul_duties duties;
static struct haul_burst bursts[HAUL_BURSTS];
static struct haul_sent sent;
static struct haul_sent_news news;
static uint8_t slot[HAUL_BLOCK_BYTES_MAX];

static void begin(void)
{
    struct haul_frame frame = {
        .type = HAUL_FRAME_WANT,
        .want = { .handle = HANDLE, .class = 22, .hash = { { HAUL_HASH_BLAKE3, 32 } } }
    };
    struct haul_serve *serve = NULL;

    haul_serves_init(&serves, serve_memory, SIZE);
    haul_duties_init(&duties, links, SIZE, HAUL_BURSTS);
    haul_sent_init(&sent, bursts, &serves, &duties);
    sent.full_class = 22;
    haul_serve_want(&serves, &frame, 0, &serve);
    serve->wanted_due = false;
    haul_serve_start(&serves, serve, slot, sizeof slot, 0);
}

static void send(uint16_t count, haul_time now)
{
    struct haul_chunk chunk;

    CU_ASSERT_TRUE_FATAL(haul_serve_next(&serves, 22, count, &chunk));
    haul_sent_chunk(&sent, &chunk, false, now);
}

static void ack(uint64_t first, uint64_t last, uint64_t first2, uint64_t last2, haul_time now)
{
    static struct haul_ack ranges;

    memset(&news, 0, sizeof news);
    ranges.count = 1;
    ranges.ranges[0] = (struct haul_range){ first, last };
    if (last2 > 0)
        ranges.ranges[ranges.count++] = (struct haul_range){ first2, last2 };
    haul_sent_ack(&sent, &ranges, now, &news);
    haul_sent_late(&sent, now, &news);
    CU_ASSERT_PTR_NULL(haul_sent_broken(&sent));
    CU_ASSERT_PTR_NULL(haul_serves_broken(&serves));
}

static void an_acknowledgement_measures_and_frees(void)
{
    begin();
    send(10, 100 * MS);
    CU_ASSERT_EQUAL(sent.in_flight, 10 * 1448);
    ack(1, 10, 0, 0, 150 * MS);
    CU_ASSERT_EQUAL(news.acked_bytes, 10 * 1448);
    CU_ASSERT_EQUAL(news.rtt, 50 * MS);
    CU_ASSERT_EQUAL(news.interval, 50 * MS);
    CU_ASSERT_EQUAL(news.full_acked, 10);
    CU_ASSERT_EQUAL(sent.in_flight, 0);
    CU_ASSERT_EQUAL(sent.rtt_smoothed, 50 * MS);
    CU_ASSERT_EQUAL(sent.head, sent.tail);
    CU_ASSERT_EQUAL(haul_sent_probe_due(&sent), HAUL_TIME_NEVER);
    CU_ASSERT_TRUE(haul_serve_holds(&serves, HANDLE, 0, 220));
    ack(1, 10, 0, 0, 160 * MS);
    CU_ASSERT_FALSE(news.any);
}

static void a_hole_is_lost_when_the_reordering_window_has_passed(void)
{
    begin();
    send(10, 100 * MS);
    ack(5, 10, 1, 3, 140 * MS); /* number 4 is missing */
    CU_ASSERT_EQUAL(news.lost_datagrams, 0);
    CU_ASSERT_EQUAL(sent.loss_due, 150 * MS); /* a round trip and a quarter after it left */
    memset(&news, 0, sizeof news);
    haul_sent_late(&sent, 149 * MS, &news);
    CU_ASSERT_EQUAL(news.lost_datagrams, 0);
    haul_sent_late(&sent, 150 * MS, &news);
    CU_ASSERT_EQUAL(news.lost_datagrams, 1);
    CU_ASSERT_EQUAL(news.lost_bytes, 1448);
    CU_ASSERT_EQUAL(news.full_lost, 1);
    CU_ASSERT_EQUAL(sent.in_flight, 0);
    CU_ASSERT_EQUAL(serve_memory[0].lost_count, 22);
    CU_ASSERT_PTR_NULL(haul_sent_broken(&sent));
}

static void a_late_acknowledgement_undoes_a_loss_and_widens_the_window(void)
{
    a_hole_is_lost_when_the_reordering_window_has_passed();
    ack(1, 10, 0, 0, 151 * MS);
    CU_ASSERT_EQUAL(news.spurious_datagrams, 1);
    CU_ASSERT_EQUAL(news.spurious_bytes, 1448);
    CU_ASSERT_EQUAL(news.acked_bytes, 1448);
    CU_ASSERT_EQUAL(serve_memory[0].lost_count, 0);
    CU_ASSERT_EQUAL(sent.reorder_steps, 2);
    CU_ASSERT_EQUAL(sent.in_flight, 0);
}

static void bytes_known_from_a_bitmap_are_not_lost(void)
{
    struct haul_slot_window window = { .handle = HANDLE, .from = 220, .bits = slot };

    begin();
    send(10, 100 * MS);
    ack(10, 10, 0, 0, 140 * MS);
    CU_ASSERT_TRUE(haul_serve_window(&serves, &window, 141 * MS));
    memset(&news, 0, sizeof news);
    haul_sent_late(&sent, 200 * MS, &news);
    CU_ASSERT_EQUAL(news.lost_datagrams, 0);
    CU_ASSERT_EQUAL(news.acked_bytes, 9 * 1448);
    CU_ASSERT_EQUAL(sent.in_flight, 0);
}

static void silence_sends_the_oldest_again_and_then_gives_up_on_all(void)
{
    haul_time due;

    begin();
    send(10, 100 * MS);
    ack(1, 2, 0, 0, 140 * MS);
    due = haul_sent_probe_due(&sent);
    CU_ASSERT_TRUE(due > 140 * MS && due < 300 * MS);
    memset(&news, 0, sizeof news);
    haul_sent_probe(&sent, 3, due, &news);
    CU_ASSERT_EQUAL(news.lost_datagrams, 0);
    CU_ASSERT_EQUAL(serve_memory[0].lost_count, 22);
    CU_ASSERT_EQUAL(sent.in_flight, 8 * 1448);
    CU_ASSERT_EQUAL(haul_sent_probe_due(&sent) - due, 2 * haul_sent_probe_span(&sent));
    haul_sent_probe(&sent, 3, due, &news);
    haul_sent_probe(&sent, 3, due, &news);
    CU_ASSERT_EQUAL(news.lost_datagrams, 8);
    CU_ASSERT_EQUAL(serve_memory[0].lost_count, 8 * 22);
    CU_ASSERT_EQUAL(sent.in_flight, 0);
    CU_ASSERT_EQUAL(haul_sent_probe_due(&sent), HAUL_TIME_NEVER);
    CU_ASSERT_PTR_NULL(haul_sent_broken(&sent));
}

static void back_off_stops_at_two_seconds(void)
{
    begin();
    send(1, 0);
    sent.probes = 60;
    CU_ASSERT_EQUAL(haul_sent_probe_due(&sent), HAUL_PROBE_SPAN_MAX);
}

static void acknowledging_what_was_never_sent_is_a_lie(void)
{
    begin();
    send(10, 100 * MS);
    ack(1, 11, 0, 0, 140 * MS);
    CU_ASSERT_TRUE(news.lied);
    begin();
    send(3, 100 * MS);
    haul_sent_skip(&sent);
    send(3, 100 * MS);
    ack(5, 7, 1, 3, 140 * MS);
    CU_ASSERT_FALSE(news.lied);
    ack(1, 7, 0, 0, 141 * MS);
    CU_ASSERT_TRUE(news.lied);
}

static void a_lost_control_datagram_owes_its_frames_again(void)
{
    uint16_t duty;
    uint16_t burst;

    begin();
    duty = haul_duty(&duties, HAUL_DUTY_WANT, 1);
    haul_duty_owe(&duties, duty);
    burst = haul_sent_control(&sent, HAUL_BURST_CONTROL, 0, 100 * MS);
    haul_duty_fly(&duties, duty, burst);
    send(4, 100 * MS);
    ack(2, 5, 0, 0, 140 * MS);
    memset(&news, 0, sizeof news);
    haul_sent_late(&sent, 200 * MS, &news);
    CU_ASSERT_EQUAL(news.lost_datagrams, 1);
    CU_ASSERT_EQUAL(news.lost_bytes, 0);
    CU_ASSERT_EQUAL(haul_duty_first(&duties), duty);
}

static void ranges_that_come_again_cost_nothing_and_new_ones_count(void)
{
    uint64_t acked = 0;

    begin();
    for (unsigned i = 0; i < 40; i++)
        send(10, 100 * MS + i);
    for (uint64_t top = 1; top <= 400; top += 7) {
        uint64_t low = top > 200 ? 150 : 0;

        ack(low > 0 ? low : 1, top, low > 0 ? 1 : 0, low > 0 ? 120 : 0, 140 * MS);
        acked += news.acked_bytes;
    }
    CU_ASSERT_EQUAL(acked, 400 * 1448);
}

static void a_full_ring_has_no_room_and_empties_again(void)
{
    begin();
    while (haul_sent_room(&sent, 1))
        haul_sent_control(&sent, HAUL_BURST_CONTROL, 0, 100 * MS);
    CU_ASSERT_EQUAL(sent.head - sent.tail, HAUL_BURSTS);
    ack(1, HAUL_BURSTS, 0, 0, 101 * MS);
    CU_ASSERT_TRUE(haul_sent_room(&sent, HAUL_BURSTS));
}

static void the_pacer_lets_whole_trains_go_at_the_given_rate(void)
{
    struct haul_pacer pacer = { 0 };
    uint64_t bytes = 0;

    CU_ASSERT_EQUAL(haul_pacer_train(UINT64_MAX, 1448, 44), 44);
    CU_ASSERT_EQUAL(haul_pacer_train(1000, 1448, 44), HAUL_PACER_BURST / 1448);
    CU_ASSERT_EQUAL(haul_pacer_train(1000, 8232, 44), HAUL_PACER_TRAIN_MIN);
    CU_ASSERT_EQUAL(haul_pacer_train(1000, 1448, 1), 1);
    for (haul_time now = HAUL_SECOND; now < 2 * HAUL_SECOND; now += 10000) {
        while (haul_pacer_free(&pacer, now)) {
            haul_pacer_sent(&pacer, 50000, 100000000, now);
            bytes += 50000;
        }
    }
    CU_ASSERT_TRUE(bytes > 99000000 && bytes < 101000000);
    haul_pacer_sent(&pacer, 50000, UINT64_MAX, 3 * HAUL_SECOND);
    CU_ASSERT_TRUE(haul_pacer_free(&pacer, 3 * HAUL_SECOND));
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "an acknowledgement measures and frees", an_acknowledgement_measures_and_frees },
        { "a hole is lost when the reordering window has passed",
          a_hole_is_lost_when_the_reordering_window_has_passed },
        { "a late acknowledgement undoes a loss and widens the window",
          a_late_acknowledgement_undoes_a_loss_and_widens_the_window },
        { "bytes known from a bitmap are not lost", bytes_known_from_a_bitmap_are_not_lost },
        { "silence sends the oldest again and then gives up on all",
          silence_sends_the_oldest_again_and_then_gives_up_on_all },
        { "back-off stops at two seconds", back_off_stops_at_two_seconds },
        { "acknowledging what was never sent is a lie",
          acknowledging_what_was_never_sent_is_a_lie },
        { "a lost control datagram owes its frames again",
          a_lost_control_datagram_owes_its_frames_again },
        { "ranges that come again cost nothing and new ones count",
          ranges_that_come_again_cost_nothing_and_new_ones_count },
        { "a full ring has no room and empties again", a_full_ring_has_no_room_and_empties_again },
        { "the pacer lets whole trains go at the given rate",
          the_pacer_lets_whole_trains_go_at_the_given_rate },
    };

    return unit_main("sent", tests, HAUL_COUNT_OF(tests));
}
