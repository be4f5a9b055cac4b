/* multistream-select: the bytes of the specification, both roles, every cut of the input, early
 * application bytes, and what a peer must not do. */
#include "controlplane/p2p/select.h"
#include "tests/unit/unit.h"

#define HEADER "\x13/multistream/1.0.0\n"
#define NOISE  "\x07/noise\n"
#define YAMUX  "\x0d/yamux/1.0.0\n"
#define NA     "\x03na\n"
#define LS     "\x03ls\n"

static const char *const noise_only[] = { "/noise" };
static const char *const two[] = { "/yamux/1.0.0", "/noise" };

struct side {
    struct haul_select select;
    uint8_t sent[4096];
    size_t sent_bytes;
    size_t left; /* what the last step left in its input */
    enum haul_select_state state;
};

static void feed(struct side *side, const void *data, size_t bytes)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_out out =
        haul_out_to(side->sent + side->sent_bytes, sizeof side->sent - side->sent_bytes);

    side->state = haul_select_step(&side->select, &in, &out);
    side->sent_bytes = (size_t)(out.at - side->sent);
    side->left = haul_in_left(&in);
}

static void say(struct side *side, const char *text)
{
    feed(side, text, strlen(text));
}

static bool sent(const struct side *side, const char *text)
{
    return side->sent_bytes == strlen(text) && memcmp(side->sent, text, side->sent_bytes) == 0;
}

static struct side dialer(const char *const *protocols, size_t count)
{
    struct side side = { 0 };

    haul_select_dial(&side.select, protocols, count);
    say(&side, "");
    return side;
}

static struct side listener(const char *const *protocols, size_t count)
{
    struct side side = { 0 };

    haul_select_listen(&side.select, protocols, count);
    say(&side, "");
    return side;
}

static void the_bytes_are_those_of_the_specification(void)
{
    struct side d = dialer(noise_only, 1);
    struct side l = listener(noise_only, 1);

    CU_ASSERT_TRUE(sent(&d, HEADER NOISE));
    CU_ASSERT_TRUE(sent(&l, HEADER));
    say(&l, HEADER NOISE);
    CU_ASSERT_EQUAL(l.state, HAUL_SELECT_AGREED);
    CU_ASSERT_TRUE(sent(&l, HEADER NOISE));
    say(&d, HEADER NOISE);
    CU_ASSERT_EQUAL(d.state, HAUL_SELECT_AGREED);
}

static void a_refused_proposal_is_followed_by_the_next(void)
{
    struct side d = dialer(two, 2);
    struct side l = listener(noise_only, 1);

    say(&l, HEADER YAMUX);
    CU_ASSERT_EQUAL(l.state, HAUL_SELECT_RUNNING);
    CU_ASSERT_TRUE(sent(&l, HEADER NA));
    CU_ASSERT_FALSE(haul_select_early(&d.select));
    say(&d, HEADER NA);
    CU_ASSERT_EQUAL(d.state, HAUL_SELECT_RUNNING);
    CU_ASSERT_TRUE(haul_select_early(&d.select));
    CU_ASSERT_TRUE(sent(&d, HEADER YAMUX NOISE));
    say(&l, NOISE);
    CU_ASSERT_EQUAL(l.state, HAUL_SELECT_AGREED);
    say(&d, NOISE);
    CU_ASSERT_EQUAL(d.state, HAUL_SELECT_AGREED);
    CU_ASSERT_EQUAL(d.select.index, 1);
}

static void a_dialer_whose_every_proposal_is_refused_is_told(void)
{
    struct side d = dialer(noise_only, 1);

    say(&d, HEADER NA);
    CU_ASSERT_EQUAL(d.state, HAUL_SELECT_REFUSED);
}

static void every_cut_of_the_input_gives_the_same(void)
{
    static const char said[] = HEADER YAMUX LS NOISE "application";
    static const char answer[] = HEADER NA "\x09\x07/noise\n\n" NOISE;

    for (size_t cut = 0; cut < sizeof said - 1; cut++) {
        struct side l = listener(noise_only, 1);
        size_t left;

        feed(&l, said, cut);
        left = l.left;
        feed(&l, said + cut - left, sizeof said - 1 - cut + left);
        CU_ASSERT_EQUAL(l.state, HAUL_SELECT_AGREED);
        CU_ASSERT_TRUE(sent(&l, answer));
        CU_ASSERT_EQUAL(l.left, strlen("application"));
    }
    for (size_t i = 0; i < 2; i++) { /* byte by byte, too */
        struct side l = listener(noise_only, 1);

        for (size_t at = 0; l.state == HAUL_SELECT_RUNNING; at++)
            feed(&l, said + at, 1);
        CU_ASSERT_TRUE(sent(&l, answer));
    }
}

static void what_is_asked_for_and_not_spoken_is_noted(void)
{
    static const char odd[] = "\x05/\x1b\xffz\n";
    struct haul_select_unspoken unspoken = { 0 };
    struct side l = listener(noise_only, 1);
    char name[102];

    l.select.unspoken = &unspoken;
    say(&l, HEADER YAMUX);
    CU_ASSERT_EQUAL(unspoken.count, 1);
    CU_ASSERT_STRING_EQUAL(unspoken.last, "/yamux/1.0.0");
    say(&l, odd);
    CU_ASSERT_EQUAL(unspoken.count, 2);
    CU_ASSERT_STRING_EQUAL(unspoken.last, "/??z");
    memset(name, 'a', sizeof name); /* a length of 'e', 101 bytes with the last one */
    name[0] = 'e';
    name[sizeof name - 1] = '\n';
    feed(&l, name, sizeof name);
    CU_ASSERT_EQUAL(strlen(unspoken.last), HAUL_SELECT_LAST_BYTES - 1);
    say(&l, LS NOISE);
    CU_ASSERT_EQUAL(l.state, HAUL_SELECT_AGREED);
    CU_ASSERT_EQUAL(unspoken.count, 3);
}

static void application_bytes_behind_the_agreement_are_left_untouched(void)
{
    struct side d = dialer(noise_only, 1);
    struct side l = listener(noise_only, 1);

    CU_ASSERT_TRUE(haul_select_early(&d.select)); /* optimistic: before any answer */
    say(&l, HEADER NOISE "\x13/multistream/1.0.0\n");
    CU_ASSERT_EQUAL(l.state, HAUL_SELECT_AGREED);
    CU_ASSERT_EQUAL(l.left, 20);
    say(&d, HEADER NOISE "xy");
    CU_ASSERT_EQUAL(d.state, HAUL_SELECT_AGREED);
    CU_ASSERT_EQUAL(d.left, 2);
}

static void a_list_is_answered_once_and_fits_a_frame(void)
{
    enum { NAMES = 40 };
    static char text[NAMES][HAUL_SELECT_NAME_MAX + 1];
    const char *names[NAMES];
    struct side l;
    struct haul_in in;
    size_t bytes;

    for (size_t i = 0; i < NAMES; i++) {
        memset(text[i], 'a', 100);
        text[i][0] = '/';
        names[i] = text[i];
    }
    l = listener(names, NAMES);
    say(&l, HEADER LS LS);
    CU_ASSERT_EQUAL(l.state, HAUL_SELECT_RUNNING);
    in = haul_in_from(l.sent + 20, l.sent_bytes - 20);
    bytes = haul_in_uvarint(&in);
    CU_ASSERT_TRUE(bytes <= HAUL_SELECT_FRAME_MAX);
    CU_ASSERT_EQUAL(bytes, 1 + 10 * 102);
    haul_in_bytes(&in, bytes);
    CU_ASSERT_EQUAL(haul_in_left(&in), 4); /* the second one: na */
}

static void what_is_not_multistream_is_refused(void)
{
    static const char *const wrong[] = {
        "\x13/multistream/2.0.0\n", /* another version */
        "\x07/noise\n",             /* no header */
        "\x12/multistream/1.0.0",   /* no end of line */
        "\x93\x80\x00",             /* a padded length */
        "\x81\x08",                 /* 1025 bytes */
        "\xff\xff\x03",             /* a length of three bytes */
        "GET / HTTP/1.1\r\n",
    };
    static const uint8_t empty[] = { 0 };

    for (size_t i = 0; i < HAUL_COUNT_OF(wrong); i++) {
        struct side l = listener(noise_only, 1);
        struct side d = dialer(noise_only, 1);

        say(&l, wrong[i]);
        say(&d, wrong[i]);
        if (i == HAUL_COUNT_OF(wrong) - 1) { /* 71 bytes announced: wait for them */
            uint8_t more[71] = { 0 };

            feed(&l, more, sizeof more);
            feed(&d, more, sizeof more);
        }
        CU_ASSERT_EQUAL(l.state, HAUL_SELECT_BROKEN);
        CU_ASSERT_EQUAL(d.state, HAUL_SELECT_BROKEN);
    }
    {
        struct side l = listener(noise_only, 1);
        struct side d = dialer(noise_only, 1);

        feed(&l, empty, 1);
        CU_ASSERT_EQUAL(l.state, HAUL_SELECT_BROKEN);
        say(&d, HEADER YAMUX); /* an echo of what was not proposed */
        CU_ASSERT_EQUAL(d.state, HAUL_SELECT_BROKEN);
    }
}

static void a_frame_of_1024_bytes_is_read_and_matches_nothing(void)
{
    struct side l = listener(noise_only, 1);
    uint8_t frame[2 + 1024];

    memset(frame, 'x', sizeof frame);
    frame[0] = 0x80;
    frame[1] = 0x08;
    frame[sizeof frame - 1] = '\n';
    say(&l, HEADER);
    feed(&l, frame, sizeof frame);
    CU_ASSERT_EQUAL(l.state, HAUL_SELECT_RUNNING);
    CU_ASSERT_TRUE(sent(&l, HEADER NA));
    say(&l, NOISE);
    CU_ASSERT_EQUAL(l.state, HAUL_SELECT_AGREED);
}

static void a_dialer_without_end_is_given_up(void)
{
    struct side l = listener(noise_only, 1);

    say(&l, HEADER);
    for (unsigned i = 0; i < HAUL_SELECT_PROPOSALS_MAX; i++) {
        CU_ASSERT_EQUAL(l.state, HAUL_SELECT_RUNNING);
        say(&l, YAMUX);
    }
    CU_ASSERT_EQUAL(l.state, HAUL_SELECT_REFUSED);
    CU_ASSERT_EQUAL(l.sent_bytes, 20 + 4 * HAUL_SELECT_PROPOSALS_MAX);
    say(&l, NOISE); /* an ended machine takes nothing */
    CU_ASSERT_EQUAL(l.left, 8);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "the bytes are those of the specification", the_bytes_are_those_of_the_specification },
        { "a refused proposal is followed by the next",
          a_refused_proposal_is_followed_by_the_next },
        { "a dialer whose every proposal is refused is told",
          a_dialer_whose_every_proposal_is_refused_is_told },
        { "every cut of the input gives the same", every_cut_of_the_input_gives_the_same },
        { "what is asked for and not spoken is noted", what_is_asked_for_and_not_spoken_is_noted },
        { "application bytes behind the agreement are left untouched",
          application_bytes_behind_the_agreement_are_left_untouched },
        { "a list is answered once and fits a frame", a_list_is_answered_once_and_fits_a_frame },
        { "what is not multistream is refused", what_is_not_multistream_is_refused },
        { "a frame of 1024 bytes is read and matches nothing",
          a_frame_of_1024_bytes_is_read_and_matches_nothing },
        { "a dialer without end is given up", a_dialer_without_end_is_given_up },
    };

    return unit_main("select", tests, HAUL_COUNT_OF(tests));
}
