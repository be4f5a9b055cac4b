/* The transfer record and the timeline behind its fractions. */
#include "controlplane/transfer/record.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static const struct haul_record full = {
    .cid = "bafkr4iexample",
    .bytes = 1500000000,
    .bytes_by_carrier = { 1400000000, 100000000, 0 },
    .total = 2000000000,
    .dial = 1000000,
    .negotiate = 3000000,
    .ttfb = 5000000,
    .t50 = 700000000,
    .t90 = 1300000000,
    .t100 = 1500000000,
    .durable = 1900000000,
    .verified = true,
    .wire_bytes = 1600000000,
    .duplicate_bytes = 12,
    .lost_datagrams = 3,
    .cpu = 2500000000,
    .peak_rss_bytes = 123456789,
    .limited_by = HAUL_LIMIT_RECEIVER_CPU,
};

static void a_record_round_trips_through_json(void)
{
    struct haul_record parsed;
    struct haul_error error;
    char *json = haul_record_json(&full);

    CU_ASSERT_PTR_NOT_NULL_FATAL(json);
    CU_ASSERT_EQUAL(haul_record_parse(json, &parsed, &error), 0);
    CU_ASSERT_EQUAL(memcmp(&parsed, &full, sizeof full), 0);
    free(json);
}

static void json_names_every_field_of_the_design(void)
{
    static const char *const fields[] = {
        "\"event\":\"transfer\"",
        "\"cid\"",
        "\"bytes\"",
        "\"carrier\":\"udp\"",
        "\"bytes_by_carrier\":{",
        "\"seconds\"",
        "\"rate_bytes_per_second\"",
        "\"lookup_s\"",
        "\"dial_s\"",
        "\"negotiate_s\"",
        "\"ttfb_s\"",
        "\"t50_s\"",
        "\"t90_s\"",
        "\"t100_s\"",
        "\"durable_s\"",
        "\"verified\":true",
        "\"wire_bytes\"",
        "\"duplicate_bytes\"",
        "\"lost_datagrams\"",
        "\"cpu_seconds\"",
        "\"peak_rss_bytes\"",
        "\"limited_by\":\"receiver cpu\"",
    };
    char *json = haul_record_json(&full);

    for (size_t i = 0; i < HAUL_COUNT_OF(fields); i++)
        CU_ASSERT_PTR_NOT_NULL(strstr(json, fields[i]));
    CU_ASSERT_PTR_NULL(strchr(json, '\n'));
    free(json);
}

static void json_that_is_no_record_is_refused(void)
{
    struct haul_record parsed;
    struct haul_error error;

    CU_ASSERT_EQUAL(haul_record_parse("{", &parsed, &error), -1);
    CU_ASSERT_EQUAL(haul_record_parse("[]", &parsed, &error), -1);
    CU_ASSERT_EQUAL(haul_record_parse("{\"bytes\":1}", &parsed, &error), -1);
}

static void a_timeline_answers_within_its_resolution_at_any_length(void)
{
    static struct haul_timeline timeline;
    uint64_t blocks = 1000000;

    haul_timeline_init(&timeline);
    CU_ASSERT_EQUAL(haul_timeline_when(&timeline, 1), 0);
    for (uint64_t i = 1; i <= blocks; i++)
        haul_timeline_add(&timeline, 1000 + i, 10);
    CU_ASSERT_EQUAL(timeline.first, 1001);
    for (uint64_t percent = 1; percent <= 100; percent++) {
        uint64_t exact = 1000 + blocks * percent / 100;
        uint64_t when = haul_timeline_when(&timeline, blocks * 10 * percent / 100);

        CU_ASSERT_TRUE(when >= exact && when <= exact + blocks / 400);
    }
    CU_ASSERT_EQUAL(haul_timeline_when(&timeline, blocks * 10), 1000 + blocks);
}

static void a_late_report_of_an_early_arrival_does_not_go_back_in_time(void)
{
    static struct haul_timeline timeline;

    haul_timeline_init(&timeline);
    haul_timeline_add(&timeline, 100, 1);
    haul_timeline_add(&timeline, 90, 1);
    CU_ASSERT_EQUAL(haul_timeline_when(&timeline, 2), 100);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a record round-trips through JSON", a_record_round_trips_through_json },
        { "JSON names every field of the design", json_names_every_field_of_the_design },
        { "JSON that is no record is refused", json_that_is_no_record_is_refused },
        { "a timeline answers within its resolution at any length",
          a_timeline_answers_within_its_resolution_at_any_length },
        { "a late report of an early arrival does not go back in time",
          a_late_report_of_an_early_arrival_does_not_go_back_in_time },
    };

    return unit_main("record", tests, HAUL_COUNT_OF(tests));
}
