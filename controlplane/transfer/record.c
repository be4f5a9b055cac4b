/* Writing and reading share one table of members, so that neither can forget one. */
#include "controlplane/transfer/record.h"

#include "common/units.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *const carrier_names[HAUL_CARRIERS] = {
    [HAUL_CARRIER_UDP] = "udp",
    [HAUL_CARRIER_STREAM] = "stream",
    [HAUL_CARRIER_LOCAL] = "local",
    [HAUL_CARRIER_DPDK] = "dpdk",
};

static const char *const limit_names[HAUL_LIMIT_COUNT] = {
#define X(constant, name, meaning) [HAUL_LIMIT_##constant] = name,
    HAUL_LIMITS(X)
#undef X
};

const char *haul_carrier_name(enum haul_carrier carrier)
{
    return carrier_names[carrier];
}

const char *haul_limit_name(enum haul_limit limit)
{
    return limit_names[limit];
}

void haul_timeline_init(struct haul_timeline *timeline)
{
    *timeline = (struct haul_timeline){ .stride = 1 };
}

/* Every second point goes; each that stays is the end of its pair. */
static void timeline_thin(struct haul_timeline *timeline)
{
    for (uint32_t i = 0; i < HAUL_TIMELINE_POINTS / 2; i++)
        timeline->points[i] = timeline->points[2 * i + 1];
    timeline->used = HAUL_TIMELINE_POINTS / 2;
    timeline->stride *= 2;
    timeline->in_last = timeline->stride;
}

void haul_timeline_add(struct haul_timeline *timeline, haul_time at, uint64_t bytes)
{
    uint32_t last = timeline->used - 1;
    uint64_t before = timeline->used == 0 ? 0 : timeline->points[last].bytes;

    if (timeline->used > 0)
        at = haul_time_max(at, timeline->points[last].at);
    else
        timeline->first = at;
    if (timeline->used == 0 || timeline->in_last >= timeline->stride) {
        if (timeline->used == HAUL_TIMELINE_POINTS)
            timeline_thin(timeline);
        last = timeline->used++;
        timeline->in_last = 0;
    }
    timeline->points[last].at = at;
    timeline->points[last].bytes = before + bytes;
    timeline->in_last++;
}

haul_time haul_timeline_when(const struct haul_timeline *timeline, uint64_t bytes)
{
    for (uint32_t i = 0; i < timeline->used; i++) {
        if (timeline->points[i].bytes >= bytes)
            return timeline->points[i].at;
    }
    return timeline->used == 0 ? 0 : timeline->points[timeline->used - 1].at;
}

enum haul_carrier haul_record_carrier(const struct haul_record *record)
{
    enum haul_carrier most = HAUL_CARRIER_UDP;

    for (unsigned i = 0; i < HAUL_CARRIERS; i++) {
        if (record->bytes_by_carrier[i] > record->bytes_by_carrier[most])
            most = (enum haul_carrier)i;
    }
    return most;
}

enum member_kind { MEMBER_SECONDS, MEMBER_COUNT };

static const struct member {
    const char *name;
    enum member_kind kind;
    size_t at;
} members[] = {
    { "bytes", MEMBER_COUNT, offsetof(struct haul_record, bytes) },
    { "seconds", MEMBER_SECONDS, offsetof(struct haul_record, total) },
    { "lookup_s", MEMBER_SECONDS, offsetof(struct haul_record, lookup) },
    { "dial_s", MEMBER_SECONDS, offsetof(struct haul_record, dial) },
    { "negotiate_s", MEMBER_SECONDS, offsetof(struct haul_record, negotiate) },
    { "ttfb_s", MEMBER_SECONDS, offsetof(struct haul_record, ttfb) },
    { "t50_s", MEMBER_SECONDS, offsetof(struct haul_record, t50) },
    { "t90_s", MEMBER_SECONDS, offsetof(struct haul_record, t90) },
    { "t100_s", MEMBER_SECONDS, offsetof(struct haul_record, t100) },
    { "durable_s", MEMBER_SECONDS, offsetof(struct haul_record, durable) },
    { "wire_bytes", MEMBER_COUNT, offsetof(struct haul_record, wire_bytes) },
    { "duplicate_bytes", MEMBER_COUNT, offsetof(struct haul_record, duplicate_bytes) },
    { "lost_datagrams", MEMBER_COUNT, offsetof(struct haul_record, lost_datagrams) },
    { "cpu_seconds", MEMBER_SECONDS, offsetof(struct haul_record, cpu) },
    { "peak_rss_bytes", MEMBER_COUNT, offsetof(struct haul_record, peak_rss_bytes) },
};

static double seconds_of(haul_time span)
{
    return (double)span / 1e9;
}

/* Payload bytes over the time until the last of them was verified. */
static double rate_of(const struct haul_record *record)
{
    return record->t100 == 0 ? 0 : (double)record->bytes / seconds_of(record->t100);
}

char *haul_record_json(const struct haul_record *record)
{
    json_t *object = json_object();
    json_t *carriers = json_object();
    char *text;

    json_object_set_new(object, "event", json_string("transfer"));
    json_object_set_new(object, "cid", json_string(record->cid));
    json_object_set_new(object, "carrier",
                        json_string(haul_carrier_name(haul_record_carrier(record))));
    for (unsigned i = 0; i < HAUL_CARRIERS; i++) {
        if (record->bytes_by_carrier[i] > 0)
            json_object_set_new(carriers, carrier_names[i],
                                json_integer((json_int_t)record->bytes_by_carrier[i]));
    }
    json_object_set_new(object, "bytes_by_carrier", carriers);
    for (size_t i = 0; i < HAUL_COUNT_OF(members); i++) {
        uint64_t value;

        memcpy(&value, (const char *)record + members[i].at, sizeof value);
        json_object_set_new(object, members[i].name,
                            members[i].kind == MEMBER_COUNT ? json_integer((json_int_t)value)
                                                            : json_real(seconds_of(value)));
        if (strcmp(members[i].name, "seconds") == 0)
            json_object_set_new(object, "rate_bytes_per_second", json_real(rate_of(record)));
    }
    json_object_set_new(object, "verified", json_boolean(record->verified));
    json_object_set_new(object, "limited_by", json_string(haul_limit_name(record->limited_by)));
    if (record->core_to_core_ns > 0)
        json_object_set_new(object, "core_to_core_ns", json_real(record->core_to_core_ns));
    text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(object);
    return text;
}

static void members_parse(const json_t *object, struct haul_record *record)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(members); i++) {
        double number = json_number_value(json_object_get(object, members[i].name));
        uint64_t value = 0;

        if (members[i].kind == MEMBER_COUNT)
            value = (uint64_t)json_integer_value(json_object_get(object, members[i].name));
        else if (number > 0 && number < 1e9)
            value = (uint64_t)(number * 1e9 + 0.5);
        memcpy((char *)record + members[i].at, &value, sizeof value);
    }
}

int haul_record_parse(const char *json, struct haul_record *record, struct haul_error *error)
{
    struct haul_record parsed = { 0 };
    json_t *object = json_loads(json, 0, NULL);
    const char *text = json_string_value(json_object_get(object, "cid"));
    const json_t *carriers = json_object_get(object, "bytes_by_carrier");

    if (text == NULL) {
        json_decref(object);
        return haul_fail(error, HAUL_E_INTERNAL, "the record of the transfer is malformed");
    }
    snprintf(parsed.cid, sizeof parsed.cid, "%s", text);
    for (unsigned i = 0; i < HAUL_CARRIERS; i++)
        parsed.bytes_by_carrier[i] =
            (uint64_t)json_integer_value(json_object_get(carriers, carrier_names[i]));
    members_parse(object, &parsed);
    parsed.verified = json_is_true(json_object_get(object, "verified"));
    parsed.core_to_core_ns = json_number_value(json_object_get(object, "core_to_core_ns"));
    text = json_string_value(json_object_get(object, "limited_by"));
    for (unsigned i = 0; text != NULL && i < HAUL_LIMIT_COUNT; i++) {
        if (strcmp(text, limit_names[i]) == 0)
            parsed.limited_by = (enum haul_limit)i;
    }
    json_decref(object);
    *record = parsed;
    return 0;
}

static void print_time(FILE *out, const char *name, haul_time span, const char *help)
{
    fprintf(out, "  %-18s %10.3f s   %s\n", name, seconds_of(span), help);
}

void haul_record_print(const struct haul_record *record, FILE *out)
{
    char text[HAUL_UNITS_TEXT_BYTES];

    fprintf(out, "  %-18s %s\n", "dataset", record->cid);
    haul_units_bytes(record->bytes, text);
    fprintf(out, "  %-18s %s (%" PRIu64 " bytes), %s\n", "size", text, record->bytes,
            record->verified ? "every block verified" : "not verified");
    haul_units_rate(rate_of(record), text);
    fprintf(out, "  %-18s %s\n", "rate", text);
    for (unsigned i = 0; i < HAUL_CARRIERS; i++) {
        uint64_t bytes = record->bytes_by_carrier[i];

        if (bytes > 0)
            fprintf(out, "  %-18s %5.1f %% (%" PRIu64 " bytes)\n", carrier_names[i],
                    100.0 * (double)bytes / (double)record->bytes, bytes);
    }
    print_time(out, "dial", record->dial, "");
    print_time(out, "negotiate", record->negotiate, "offer, grant and proof of the path");
    print_time(out, "first byte", record->ttfb, "ttfb, verified");
    print_time(out, "t50", record->t50, "half verified");
    print_time(out, "t90", record->t90, "");
    print_time(out, "t100", record->t100, "all verified");
    print_time(out, "durable", record->durable, "flushed to disk");
    print_time(out, "cpu", record->cpu, "processor time of this node");
    haul_units_bytes(record->peak_rss_bytes, text);
    fprintf(out, "  %-18s %s, huge pages included\n", "peak memory", text);
    fprintf(out, "  %-18s %" PRIu64 " bytes, %" PRIu64 " twice, %" PRIu64 " datagrams lost\n",
            "on the wire", record->wire_bytes, record->duplicate_bytes, record->lost_datagrams);
    if (record->core_to_core_ns > 0)
        fprintf(out, "  %-18s %.0f ns\n", "core to core", record->core_to_core_ns);
    fprintf(out, "  %-18s %s\n", "limited by", haul_limit_name(record->limited_by));
}
