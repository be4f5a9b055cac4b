/* Congestion control against a path of hand-set numbers: a bottleneck with a buffer, a delay and a
 * loss of one in so many, stepped by tenths of a millisecond. */
#include "dataplane/flow/rate.h"
#include "tests/unit/unit.h"

#include <string.h>

#define DATAGRAM 1472u
#define RING     65536u
#define TICK     (HAUL_MILLISECOND / 10)

struct sent {
    haul_time at;
    haul_time acked_at; /* when its acknowledgement is back; 0: lost */
    uint64_t delivered;
    haul_time delivered_time;
    haul_time before; /* when the newest datagram acknowledged by then had left */
    bool done;
};

struct path {
    struct haul_rate rate;
    uint64_t link;   /* bytes a second */
    uint64_t buffer; /* bytes */
    haul_time rtt;
    uint32_t lose_one_in; /* 0: none */
    uint64_t source;      /* bytes a second that the application has; 0: unlimited */

    haul_time now, busy_until, next_ack, send_from;
    uint64_t first, next; /* of the ring: in flight are [first, next) */
    uint64_t in_flight, delivered, delivered_here, lost, source_used;
    haul_time delivered_time, newest_acked, rtt_seen;
};

static struct sent ring[RING];
static struct path path;

static void path_open(enum haul_congestion kind, uint64_t link, haul_time rtt, uint64_t buffer,
                      uint64_t rate_max)
{
    struct haul_rate_conf conf = { kind, DATAGRAM, rate_max };

    memset(&path, 0, sizeof path);
    path.link = link;
    path.rtt = rtt;
    path.buffer = buffer;
    path.now = HAUL_SECOND;
    path.delivered_time = path.now;
    path.newest_acked = path.now;
    haul_rate_init(&path.rate, &conf, path.now);
}

static void path_send_one(void)
{
    struct sent *sent = &ring[path.next % RING];
    haul_time start = haul_time_max(path.busy_until, path.now);
    haul_time queued = start - path.now;

    *sent =
        (struct sent){ path.now, 0, path.delivered, path.delivered_time, path.newest_acked, false };
    haul_rate_on_sent(&path.rate, DATAGRAM, path.in_flight, path.now);
    path.in_flight += DATAGRAM;
    path.next++;
    if (queued * path.link / HAUL_SECOND > path.buffer)
        return;
    path.busy_until = start + DATAGRAM * HAUL_SECOND / path.link;
    if (path.lose_one_in > 0 && path.next % path.lose_one_in == 0)
        return;
    sent->acked_at = path.busy_until + path.rtt;
}

static void path_send(void)
{
    uint64_t pace = haul_rate_pace(&path.rate);

    path.send_from = haul_time_max(path.send_from, path.now - TICK);
    while (path.send_from < path.now && path.in_flight + DATAGRAM <= haul_rate_window(&path.rate) &&
           path.next - path.first < RING) {
        if (path.source > 0 &&
            path.source_used > path.source * (path.now / HAUL_MICROSECOND) / 1000000u)
            return;
        path.source_used += DATAGRAM;
        path_send_one();
        path.send_from += DATAGRAM * HAUL_SECOND / pace;
    }
}

/* An acknowledgement of everything that is back; what is an eighth of a round trip older than the
 * newest of it and is not back is lost. */
static void path_acknowledge(void)
{
    struct haul_rate_sample sample = { .now = path.now, .app_limited = path.source > 0 };
    const struct sent *newest = NULL;

    for (uint64_t at = path.first; at < path.next; at++) {
        struct sent *sent = &ring[at % RING];

        if (sent->done || sent->acked_at == 0)
            continue;
        if (sent->acked_at > path.now)
            break;
        sent->done = true;
        sample.acked_bytes += DATAGRAM;
        newest = sent;
    }
    if (newest == NULL)
        return;
    for (; path.first < path.next; path.first++) {
        const struct sent *sent = &ring[path.first % RING];

        if (!sent->done && (sent->acked_at != 0 || sent->at + path.rtt / 8 > newest->at))
            break;
        sample.lost_bytes += sent->done ? 0 : DATAGRAM;
    }
    path.in_flight -= sample.acked_bytes + sample.lost_bytes;
    path.lost += sample.lost_bytes;
    path.delivered += sample.acked_bytes;
    sample.delivered = path.delivered;
    sample.in_flight = path.in_flight;
    sample.rtt = newest->acked_at - newest->at;
    sample.delivered_at_send = newest->delivered;
    sample.interval = haul_time_max(path.now - newest->delivered_time, newest->at - newest->before);
    path.delivered_time = path.now;
    path.newest_acked = newest->at;
    path.rtt_seen = sample.rtt;
    haul_rate_on_sample(&path.rate, &sample);
}

/* Returns the bytes a second that arrived. */
static uint64_t path_run(haul_time span)
{
    haul_time end = path.now + span;
    uint64_t before = path.delivered;

    while (path.now < end) {
        path.now += TICK;
        if (path.now >= path.next_ack) {
            path_acknowledge();
            path.next_ack = path.now + path.rtt / 8;
        }
        path_send();
    }
    return (path.delivered - before) * 1000 / (span / HAUL_MILLISECOND);
}

#define GBIT 125000000u

static void bbr_starts_with_64_datagrams_paced(void)
{
    path_open(HAUL_CONGESTION_BBR, GBIT, 50 * HAUL_MILLISECOND, 1 << 20, 0);
    CU_ASSERT_EQUAL(haul_rate_window(&path.rate), 64 * DATAGRAM);
    CU_ASSERT_EQUAL(haul_rate_pace(&path.rate), 64 * DATAGRAM * 200ull);
    CU_ASSERT_FALSE(haul_rate_tripped(&path.rate));
}

static void bbr_fills_a_long_path_with_random_loss(void)
{
    path_open(HAUL_CONGESTION_BBR, GBIT, 50 * HAUL_MILLISECOND, 2 << 20, 0);
    path.lose_one_in = 200;
    path_run(HAUL_SECOND);
    CU_ASSERT_TRUE(path_run(5 * HAUL_SECOND) > GBIT / 100 * 93);
    CU_ASSERT_TRUE(path.lost < path.delivered / 50);
}

static void bbr_reaches_the_rate_within_15_round_trips(void)
{
    path_open(HAUL_CONGESTION_BBR, GBIT, 50 * HAUL_MILLISECOND, 8 << 20, 0);
    path_run(750 * HAUL_MILLISECOND);
    CU_ASSERT_TRUE(path_run(250 * HAUL_MILLISECOND) > GBIT / 100 * 85);
}

/* Runs at 1 Gbit/s, halves the link and returns the pace three round trips later. */
static uint64_t pace_after_halving(uint64_t buffer, uint32_t lose_one_in)
{
    uint64_t worst = 0;

    for (haul_time offset = 0; offset < 500; offset += 37) {
        path_open(HAUL_CONGESTION_BBR, GBIT, 50 * HAUL_MILLISECOND, buffer, 0);
        path.lose_one_in = lose_one_in;
        path_run(3 * HAUL_SECOND + offset * HAUL_MILLISECOND);
        path.link = GBIT / 2;
        path_run(3 * path.rtt);
        if (haul_rate_pace(&path.rate) > worst)
            worst = haul_rate_pace(&path.rate);
    }
    return worst;
}

static void bbr_halves_within_three_round_trips_when_the_link_does(void)
{
    CU_ASSERT_TRUE(pace_after_halving(16 << 20, 0) <= GBIT / 2 + GBIT / 20);
    CU_ASSERT_TRUE(pace_after_halving(16 << 20, 200) <= GBIT / 2 + GBIT / 20);
    CU_ASSERT_TRUE(pace_after_halving(1 << 20, 0) <= GBIT / 2 + GBIT / 20);
    CU_ASSERT_TRUE(pace_after_halving(1 << 20, 200) <= GBIT / 2 + GBIT / 20);
}

static void bbr_finds_a_link_that_grew_again(void)
{
    path_open(HAUL_CONGESTION_BBR, GBIT / 8, 20 * HAUL_MILLISECOND, 4 << 20, 0);
    path_run(3 * HAUL_SECOND);
    path.link = GBIT;
    path_run(HAUL_SECOND);
    CU_ASSERT_TRUE(path_run(HAUL_SECOND) > GBIT / 100 * 85);
}

static void bbr_keeps_queues_short_and_shallow_buffers_loss_low(void)
{
    path_open(HAUL_CONGESTION_BBR, GBIT, 20 * HAUL_MILLISECOND, 64 << 20, 0);
    path_run(3 * HAUL_SECOND);
    CU_ASSERT_TRUE(path.rtt_seen < 40 * HAUL_MILLISECOND);
    path_open(HAUL_CONGESTION_BBR, GBIT, 20 * HAUL_MILLISECOND, 250000, 0);
    path_run(2 * HAUL_SECOND);
    path.lost = 0;
    CU_ASSERT_TRUE(path_run(5 * HAUL_SECOND) > GBIT / 100 * 85);
    CU_ASSERT_TRUE(path.lost / 5 < GBIT / 50);
}

static void bbr_keeps_its_estimate_while_the_application_is_slow(void)
{
    uint64_t pace;

    path_open(HAUL_CONGESTION_BBR, GBIT, 20 * HAUL_MILLISECOND, 4 << 20, 0);
    path_run(2 * HAUL_SECOND);
    pace = haul_rate_pace(&path.rate);
    path.source_used = path.source = GBIT / 50;
    path.source_used = path.source * (path.now / HAUL_MICROSECOND) / 1000000u;
    path_run(2 * HAUL_SECOND);
    CU_ASSERT_TRUE(haul_rate_pace(&path.rate) > pace / 2);
}

static void bbr_starts_again_after_silence(void)
{
    path_open(HAUL_CONGESTION_BBR, GBIT, 50 * HAUL_MILLISECOND, 4 << 20, 0);
    path_run(2 * HAUL_SECOND);
    haul_rate_on_silence(&path.rate, path.now);
    CU_ASSERT_EQUAL(haul_rate_window(&path.rate), 64 * DATAGRAM);
    path_run(HAUL_SECOND);
    CU_ASSERT_TRUE(path_run(HAUL_SECOND) > GBIT / 100 * 85);
}

static void bbr_takes_a_cut_back_when_the_loss_was_spurious(void)
{
    struct haul_rate_sample sample = { 0 };
    uint64_t pace, low;

    path_open(HAUL_CONGESTION_BBR, GBIT, 50 * HAUL_MILLISECOND, 8 << 20, 0);
    path_run(3 * HAUL_SECOND);
    pace = haul_rate_pace(&path.rate);
    sample.now = path.now;
    sample.lost_bytes = 1000 * DATAGRAM;
    sample.in_flight = path.in_flight - sample.lost_bytes;
    sample.delivered = path.delivered;
    haul_rate_on_sample(&path.rate, &sample);
    low = haul_rate_window(&path.rate);
    haul_rate_on_spurious(&path.rate, sample.lost_bytes, path.now);
    CU_ASSERT_TRUE(haul_rate_window(&path.rate) > low);
    path_run(HAUL_SECOND);
    CU_ASSERT_TRUE(haul_rate_pace(&path.rate) > pace / 10 * 7);
}

static void bbr_obeys_its_ceiling_and_survives_nonsense(void)
{
    struct haul_rate_sample sample = { 0 };

    path_open(HAUL_CONGESTION_BBR, GBIT, 50 * HAUL_MILLISECOND, 8 << 20, GBIT / 4);
    CU_ASSERT_TRUE(path_run(5 * HAUL_SECOND) <= GBIT / 4);
    CU_ASSERT_TRUE(path.lost == 0);
    memset(&sample, 0xff, sizeof sample);
    sample.app_limited = false;
    haul_rate_on_sample(&path.rate, &sample);
    memset(&sample, 0, sizeof sample);
    haul_rate_on_sample(&path.rate, &sample);
    CU_ASSERT_TRUE(haul_rate_window(&path.rate) >= 4 * DATAGRAM);
    CU_ASSERT_TRUE(haul_rate_pace(&path.rate) > 0);
}

static void ledbat_fills_an_empty_path_and_bounds_its_queue(void)
{
    path_open(HAUL_CONGESTION_LEDBAT, GBIT / 10, 20 * HAUL_MILLISECOND, 64 << 20, 0);
    path_run(5 * HAUL_SECOND);
    CU_ASSERT_TRUE(path_run(10 * HAUL_SECOND) > GBIT / 10 / 100 * 70);
    CU_ASSERT_TRUE(path.rtt_seen < 110 * HAUL_MILLISECOND);
}

static void ledbat_yields_when_others_queue_and_halves_on_loss(void)
{
    struct haul_rate_conf conf = { HAUL_CONGESTION_LEDBAT, DATAGRAM, 0 };
    struct haul_rate_sample sample = { .now = HAUL_SECOND, .rtt = 20 * HAUL_MILLISECOND };
    struct haul_rate rate;
    uint64_t before;

    haul_rate_init(&rate, &conf, 0);
    sample.acked_bytes = haul_rate_window(&rate);
    haul_rate_on_sample(&rate, &sample);
    before = haul_rate_window(&rate);
    CU_ASSERT_EQUAL(before, 128 * DATAGRAM);
    for (int i = 0; i < 8; i++) {
        sample.now += 300 * HAUL_MILLISECOND;
        sample.rtt = 300 * HAUL_MILLISECOND; /* somebody else's queue */
        sample.acked_bytes = haul_rate_window(&rate);
        haul_rate_on_sample(&rate, &sample);
    }
    CU_ASSERT_TRUE(haul_rate_window(&rate) < before / 10);
    haul_rate_on_silence(&rate, sample.now);
    sample = (struct haul_rate_sample){ .now = 10 * HAUL_SECOND, .lost_bytes = DATAGRAM };
    haul_rate_on_sample(&rate, &sample);
    CU_ASSERT_EQUAL(haul_rate_window(&rate), 32 * DATAGRAM);
    haul_rate_on_sample(&rate, &sample); /* once a round trip */
    CU_ASSERT_EQUAL(haul_rate_window(&rate), 32 * DATAGRAM);
}

static void every_window_holds_the_least_datagrams_after_a_resize(void)
{
    for (unsigned kind = HAUL_CONGESTION_BBR; kind <= HAUL_CONGESTION_FIXED; kind++) {
        struct haul_rate_conf conf = { (enum haul_congestion)kind, DATAGRAM, 1000 };
        struct haul_rate_sample sample = { .now = HAUL_SECOND, .rtt = HAUL_SECOND };
        struct haul_rate rate;

        haul_rate_init(&rate, &conf, 0);
        for (int i = 0; i < 50; i++) {
            sample.now += 2 * HAUL_SECOND;
            sample.lost_bytes = DATAGRAM;
            sample.acked_bytes = DATAGRAM;
            sample.delivered += DATAGRAM;
            sample.interval = HAUL_SECOND;
            haul_rate_on_sample(&rate, &sample);
        }
        haul_rate_resize(&rate, 8232);
        CU_ASSERT_TRUE(haul_rate_window(&rate) >= 4 * 8232);
    }
}

static void fixed_keeps_its_rate_until_the_breaker_trips(void)
{
    path_open(HAUL_CONGESTION_FIXED, GBIT, 50 * HAUL_MILLISECOND, 8 << 20, GBIT / 2);
    path.lose_one_in = 10;
    CU_ASSERT_EQUAL(haul_rate_pace(&path.rate), GBIT / 2);
    CU_ASSERT_TRUE(path_run(10 * HAUL_SECOND) > GBIT / 2 / 100 * 85);
    CU_ASSERT_FALSE(haul_rate_tripped(&path.rate));
    path.lose_one_in = 3;
    path_run(2500 * HAUL_MILLISECOND);
    CU_ASSERT_FALSE(haul_rate_tripped(&path.rate));
    path_run(2 * HAUL_SECOND);
    CU_ASSERT_TRUE(haul_rate_tripped(&path.rate));
}

static void fixed_trips_on_silence(void)
{
    path_open(HAUL_CONGESTION_FIXED, GBIT, 50 * HAUL_MILLISECOND, 8 << 20, GBIT / 2);
    haul_rate_on_silence(&path.rate, 2 * HAUL_SECOND);
    haul_rate_on_silence(&path.rate, 3 * HAUL_SECOND);
    CU_ASSERT_FALSE(haul_rate_tripped(&path.rate));
    haul_rate_on_silence(&path.rate, 5 * HAUL_SECOND);
    CU_ASSERT_TRUE(haul_rate_tripped(&path.rate));
}

static void every_algorithm_has_its_name(void)
{
    CU_ASSERT_STRING_EQUAL(haul_rate_name(HAUL_CONGESTION_BBR), "bbr");
    CU_ASSERT_STRING_EQUAL(haul_rate_name(HAUL_CONGESTION_LEDBAT), "ledbat");
    CU_ASSERT_STRING_EQUAL(haul_rate_name(HAUL_CONGESTION_FIXED), "fixed");
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "bbr starts with 64 datagrams, paced", bbr_starts_with_64_datagrams_paced },
        { "bbr fills a long path with random loss", bbr_fills_a_long_path_with_random_loss },
        { "bbr reaches the rate within 15 round trips",
          bbr_reaches_the_rate_within_15_round_trips },
        { "bbr halves within three round trips when the link does",
          bbr_halves_within_three_round_trips_when_the_link_does },
        { "bbr finds a link that grew again", bbr_finds_a_link_that_grew_again },
        { "bbr keeps queues short, and loss in shallow buffers low",
          bbr_keeps_queues_short_and_shallow_buffers_loss_low },
        { "bbr keeps its estimate while the application is slow",
          bbr_keeps_its_estimate_while_the_application_is_slow },
        { "bbr starts again after silence", bbr_starts_again_after_silence },
        { "bbr takes a cut back when the loss was spurious",
          bbr_takes_a_cut_back_when_the_loss_was_spurious },
        { "bbr obeys its ceiling and survives nonsense",
          bbr_obeys_its_ceiling_and_survives_nonsense },
        { "ledbat fills an empty path and bounds its queue",
          ledbat_fills_an_empty_path_and_bounds_its_queue },
        { "ledbat yields when others queue and halves on loss",
          ledbat_yields_when_others_queue_and_halves_on_loss },
        { "every window holds the least datagrams after a resize",
          every_window_holds_the_least_datagrams_after_a_resize },
        { "fixed keeps its rate until the breaker trips",
          fixed_keeps_its_rate_until_the_breaker_trips },
        { "fixed trips on silence", fixed_trips_on_silence },
        { "every algorithm has its name", every_algorithm_has_its_name },
    };

    return unit_main("rate", tests, HAUL_COUNT_OF(tests));
}
