/* DCUtR: two nodes that met through a relay meet directly, and nobody is made to knock at doors
 * that are none of the peer's business. Holes in real gateways are punched in
 * tests/system/test_relays.py. */
#include "controlplane/behaviours/dcutr.h"
#include "tests/unit/relay_rig.h"

static struct haul_dcutr *dcutrs[2]; /* of a, of b */
static struct haul_protocol speaking[2][2];
static const struct haul_protocol *instead; /* of what b speaks, if it does not speak DCUtR */

static void begin(enum haul_addr_scope floor, bool b_speaks)
{
    struct haul_dcutr_conf conf = { .floor = floor,
                                    .plain = floor,
                                    .grace = 50 * HAUL_MILLISECOND };
    struct haul_relay_limits limits = rig_limits;

    rig_begin();
    conf.loop = pair.loop;
    for (size_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL_FATAL(haul_dcutr_open(&dcutrs[i], &conf, NULL), 0);
        speaking[i][0] =
            (struct haul_protocol){ .behaviour = &haul_dcutr_behaviour, .service = dcutrs[i] };
    }
    rig_open(&r, 1, &limits, NULL, NULL);
    rig_open(&b, 2, NULL, &r, b_speaks ? speaking[1] : instead);
    rig_open(&a, 3, NULL, NULL, speaking[0]);
    haul_dcutr_start(dcutrs[0], a.host);
    if (b_speaks)
        haul_dcutr_start(dcutrs[1], b.host);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_has_place, 10 * HAUL_SECOND));
}

static void end(void)
{
    rig_part();
    rig_close(&a);
    rig_close(&b);
    rig_close(&r);
    haul_dcutr_close(dcutrs[0]);
    haul_dcutr_close(dcutrs[1]);
    rig_end();
}

static bool direct(void)
{
    return haul_host_find_direct(a.host, &b.key.id) != HAUL_HOST_NO_CONNECTION &&
           haul_host_find_direct(b.host, &a.key.id) != HAUL_HOST_NO_CONNECTION;
}

static bool direct_alone(void)
{
    return direct() && haul_dcutr_counters(dcutrs[1])->relayed_closed == 1 && a.disconnected == 1 &&
           b.disconnected == 1;
}

static void a_peer_with_an_address_of_its_own_is_dialled(void)
{
    struct haul_connection_facts facts;

    begin(HAUL_ADDR_LOOPBACK, true);
    CU_ASSERT_TRUE_FATAL(rig_dial());
    CU_ASSERT_TRUE_FATAL(host_pair_run(direct, 10 * HAUL_SECOND));
    CU_ASSERT_EQUAL(haul_dcutr_counters(dcutrs[1])->began, 1);
    CU_ASSERT_EQUAL(haul_dcutr_counters(dcutrs[1])->reached, 1);
    CU_ASSERT_EQUAL(haul_dcutr_counters(dcutrs[0])->began, 0);
    CU_ASSERT_TRUE(haul_host_facts(a.host, haul_host_find(a.host, &b.key.id), &facts));
    CU_ASSERT_FALSE(facts.relayed);
    CU_ASSERT_TRUE(host_pair_run(direct_alone, 10 * HAUL_SECOND));
    end();
}

/* The address is hidden until identify has been read, and then found again. */
static bool direct_after_hiding(void)
{
    if (haul_dcutr_counters(dcutrs[1])->began == 1)
        (void)haul_host_withhold(a.host, NULL, 0);
    return direct();
}

static void the_others_meet_by_a_punch_in_which_the_dialled_one_answers(void)
{
    struct haul_connection_facts facts;

    begin(HAUL_ADDR_LOOPBACK, true);
    CU_ASSERT_TRUE(haul_host_withhold(a.host, &a.address, 1));
    CU_ASSERT_TRUE_FATAL(rig_dial());
    CU_ASSERT_TRUE_FATAL(host_pair_run(direct_after_hiding, 10 * HAUL_SECOND));
    CU_ASSERT_EQUAL(haul_dcutr_counters(dcutrs[1])->reached, 0);
    CU_ASSERT_EQUAL(haul_dcutr_counters(dcutrs[0])->asked, 1);
    CU_ASSERT_EQUAL(haul_dcutr_counters(dcutrs[0])->punches, 1);
    CU_ASSERT_TRUE(haul_host_facts(b.host, haul_host_find_direct(b.host, &a.key.id), &facts));
    CU_ASSERT_TRUE(facts.inbound);
    CU_ASSERT_TRUE(host_pair_run(direct_alone, 10 * HAUL_SECOND));
    end();
}

static bool b_gave_up(void)
{
    return haul_dcutr_counters(dcutrs[1])->failed == 1;
}

static void addresses_below_the_floor_are_neither_told_nor_knocked_at(void)
{
    begin(HAUL_ADDR_PUBLIC, true);
    CU_ASSERT_TRUE_FATAL(rig_dial());
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_gave_up, 10 * HAUL_SECOND));
    CU_ASSERT_EQUAL(haul_dcutr_counters(dcutrs[1])->punches, 0);
    CU_ASSERT_EQUAL(haul_dcutr_counters(dcutrs[0])->punches, 0);
    CU_ASSERT_TRUE(haul_dcutr_counters(dcutrs[1])->addresses_dropped > 0);
    CU_ASSERT_FALSE(direct());
    CU_ASSERT_NOT_EQUAL(haul_host_find(a.host, &b.key.id), HAUL_HOST_NO_CONNECTION);
    end();
}

/* --- peers that break the rules --- */

static struct script {
    const char *say;
    size_t bytes;
    bool over;
} script;

static void script_opened(struct haul_stream *stream, void *argument)
{
    (void)argument;
    CU_ASSERT_TRUE(haul_stream_send(stream, script.say, script.bytes));
}

static void script_closed(struct haul_stream *stream, enum haul_stream_end why)
{
    (void)stream;
    (void)why;
    script.over = true;
}

static void script_ended(struct haul_stream *stream)
{
    haul_stream_close(stream);
}

static const struct haul_behaviour dcutr_script = { .protocol = "/libp2p/dcutr",
                                                    .opened = script_opened,
                                                    .ended = script_ended,
                                                    .closed = script_closed };

static bool script_over(void)
{
    return script.over;
}

/* b, which does not speak it, says this to a over that connection. */
static void say(uint64_t connection, const char *text, size_t bytes)
{
    script.say = text;
    script.bytes = bytes;
    script.over = false;
    CU_ASSERT_PTR_NOT_NULL_FATAL(haul_host_stream(b.host, connection, &dcutr_script, NULL));
    CU_ASSERT_TRUE(host_pair_run(script_over, 10 * HAUL_SECOND));
}

static bool b_knows_a(void)
{
    return haul_host_find(b.host, &a.key.id) != HAUL_HOST_NO_CONNECTION;
}

static bool b_connected_twice(void)
{
    return b.dials == 1;
}

static void what_is_out_of_place_ends_the_stream(void)
{
    const struct haul_dcutr_counters *counters;
    uint64_t relayed;

    begin(HAUL_ADDR_LOOPBACK, false);
    CU_ASSERT_TRUE_FATAL(rig_dial());
    counters = haul_dcutr_counters(dcutrs[0]);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_knows_a, 10 * HAUL_SECOND));
    relayed = haul_host_find(b.host, &a.key.id);
    say(relayed, "\x03\x08\xac\x02", 4); /* SYNC, and nothing before */
    CU_ASSERT_EQUAL(counters->malformed, 1);
    say(relayed, "\x02\x08\x64\x02\x08\x64", 6); /* CONNECT twice */
    CU_ASSERT_EQUAL(counters->malformed, 2);
    say(relayed, "\x02\x08\x07", 3);
    CU_ASSERT_EQUAL(counters->malformed, 3);
    say(relayed, "\xff\xff\x7f", 3); /* longer than any */
    CU_ASSERT_EQUAL(counters->malformed, 4);
    CU_ASSERT_EQUAL(counters->punches, 0);
    haul_host_dial_anew(b.host, &a.key.id, &a.address, 1, HAUL_TIME_NEVER, rig_dialled, &b);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_connected_twice, 10 * HAUL_SECOND));
    say(b.connection, "\x02\x08\x64", 3); /* over a direct connection there is nothing to upgrade */
    CU_ASSERT_EQUAL(counters->refused, 1);
    CU_ASSERT_EQUAL(counters->punches, 0);
    end();
}

/* --- what becomes of it --- */

static bool a_knows_that_it_is_over(void)
{
    return haul_dcutr_over(dcutrs[0], haul_host_find(a.host, &b.key.id));
}

static bool a_has_three_failures(void)
{
    return haul_dcutr_counters(dcutrs[0])->punches == 3 && a_knows_that_it_is_over();
}

static void nothing_is_waited_for_from_a_peer_that_does_not_speak_it(void)
{
    begin(HAUL_ADDR_LOOPBACK, false);
    CU_ASSERT_TRUE_FATAL(rig_dial());
    CU_ASSERT_TRUE(host_pair_run(a_knows_that_it_is_over, 10 * HAUL_SECOND));
    CU_ASSERT_TRUE(haul_dcutr_over(NULL, a.connection)); /* nor by one who does not look */
    end();
}

static void after_three_punches_it_is_over_for_the_one_who_dialled_as_well(void)
{
    static const struct haul_protocol scripted[] = { { .behaviour = &dcutr_script }, { 0 } };
    /* CONNECT from /ip4/127.0.0.1/tcp/1, where nobody listens; SYNC */
    static const char words[] = "\x0c\x08\x64\x12\x08\x04\x7f\x00\x00\x01\x06\x00\x01"
                                "\x03\x08\xac\x02";
    uint64_t relayed;

    instead = scripted;
    begin(HAUL_ADDR_LOOPBACK, false);
    instead = NULL;
    CU_ASSERT_TRUE_FATAL(rig_dial());
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_knows_a, 10 * HAUL_SECOND));
    relayed = haul_host_find(b.host, &a.key.id);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_FALSE(a_knows_that_it_is_over());
        say(relayed, words, sizeof words - 1);
    }
    CU_ASSERT_TRUE(host_pair_run(a_has_three_failures, 10 * HAUL_SECOND));
    CU_ASSERT_EQUAL(haul_dcutr_counters(dcutrs[0])->malformed, 0);
    end();
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a peer with an address of its own is dialled, and the relayed connection goes",
          a_peer_with_an_address_of_its_own_is_dialled },
        { "the others meet by a punch in which the dialled one answers",
          the_others_meet_by_a_punch_in_which_the_dialled_one_answers },
        { "addresses below the floor are neither told nor knocked at",
          addresses_below_the_floor_are_neither_told_nor_knocked_at },
        { "what is out of place ends the stream", what_is_out_of_place_ends_the_stream },
        { "nothing is waited for from a peer that does not speak it",
          nothing_is_waited_for_from_a_peer_that_does_not_speak_it },
        { "after three punches it is over, for the one who dialled as well",
          after_three_punches_it_is_over_for_the_one_who_dialled_as_well },
    };

    return unit_main("dcutr", tests, HAUL_COUNT_OF(tests));
}
