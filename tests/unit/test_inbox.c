/* Messages behind their lengths: every cut gives the same, and no length is believed beyond the
 * buffer. */
#include "controlplane/p2p/inbox.h"
#include "tests/unit/unit.h"

static uint8_t buffer[300];

/* Two messages, of 3 and of 200 bytes, and an empty one. */
static size_t stream_make(uint8_t data[256])
{
    struct haul_out out = haul_out_to(data, 256);
    uint8_t body[200];

    memset(body, 7, sizeof body);
    haul_out_uvarint(&out, 3);
    haul_out_bytes(&out, "abc", 3);
    haul_out_uvarint(&out, sizeof body);
    haul_out_bytes(&out, body, sizeof body);
    haul_out_uvarint(&out, 0);
    CU_ASSERT_FALSE(out.bad);
    return (size_t)(out.at - data);
}

static void every_cut_of_a_stream_gives_the_same_messages(void)
{
    static const uint32_t lengths[] = { 3, 200, 0 };
    uint8_t data[256];
    size_t bytes = stream_make(data);

    for (size_t cut = 0; cut <= bytes; cut++) {
        struct haul_inbox inbox;
        size_t seen = 0;

        haul_inbox_init(&inbox, buffer, sizeof buffer);
        for (int part = 0; part < 2; part++) {
            struct haul_in in =
                part == 0 ? haul_in_from(data, cut) : haul_in_from(data + cut, bytes - cut);
            enum haul_inbox_result result;

            while ((result = haul_inbox_take(&inbox, &in)) == HAUL_INBOX_WHOLE) {
                CU_ASSERT_EQUAL_FATAL(inbox.length, lengths[seen]);
                if (seen == 0)
                    CU_ASSERT_NSTRING_EQUAL(inbox.bytes, "abc", 3);
                CU_ASSERT_FALSE(haul_inbox_begun(&inbox));
                seen++;
            }
            CU_ASSERT_EQUAL(result, HAUL_INBOX_PART);
            CU_ASSERT_EQUAL(haul_in_left(&in), 0);
        }
        CU_ASSERT_EQUAL(seen, 3);
        CU_ASSERT_FALSE(haul_inbox_begun(&inbox));
    }
}

static void an_end_within_a_message_is_noticed(void)
{
    static const uint8_t cut[] = { 0x81, 0x01, 'a' };

    for (size_t bytes = 0; bytes <= sizeof cut; bytes++) {
        struct haul_in in = haul_in_from(cut, bytes);
        struct haul_inbox inbox;

        haul_inbox_init(&inbox, buffer, sizeof buffer);
        CU_ASSERT_EQUAL(haul_inbox_take(&inbox, &in), HAUL_INBOX_PART);
        CU_ASSERT_EQUAL(haul_inbox_begun(&inbox), bytes > 0);
    }
}

static void a_length_beyond_the_buffer_padded_or_endless_is_refused(void)
{
    static const struct {
        uint8_t bytes[8];
        size_t count;
    } lies[] = {
        { { 0xad, 0x02 }, 2 },                         /* 301 */
        { { 0x83, 0x00 }, 2 },                         /* 3, padded */
        { { 0xff, 0xff }, 2 },                         /* too long, and not at its end */
        { { 0xff, 0xff, 0xff, 0xff, 0x0f }, 5 },       /* 2^32 - 1 */
        { { 0x80, 0x80, 0x80, 0x80, 0x80, 0x01 }, 6 }, /* empty bytes without end */
        { { 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 }, 6 }, /* longer than any length */
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(lies); i++) {
        struct haul_in in = haul_in_from(lies[i].bytes, lies[i].count);
        struct haul_inbox inbox;

        haul_inbox_init(&inbox, buffer, sizeof buffer);
        CU_ASSERT_EQUAL(haul_inbox_take(&inbox, &in), HAUL_INBOX_BAD);
    }
    {
        static const uint8_t most[] = { 0xac, 0x02 }; /* 300: as much as there is room for */
        struct haul_in in = haul_in_from(most, sizeof most);
        struct haul_inbox inbox;

        haul_inbox_init(&inbox, buffer, sizeof buffer);
        CU_ASSERT_EQUAL(haul_inbox_take(&inbox, &in), HAUL_INBOX_PART);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "every cut of a stream gives the same messages",
          every_cut_of_a_stream_gives_the_same_messages },
        { "an end within a message is noticed", an_end_within_a_message_is_noticed },
        { "a length beyond the buffer, padded or endless is refused",
          a_length_beyond_the_buffer_padded_or_endless_is_refused },
    };

    return unit_main("inbox", tests, HAUL_COUNT_OF(tests));
}
