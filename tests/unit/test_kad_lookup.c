/* Look-ups in a small network that is a list: what is found, who is asked, and what a liar, a
 * silent peer and a crowd can do to it. */
#include "controlplane/p2p/kad/lookup.h"

#include "controlplane/p2p/kad/table.h"
#include "tests/unit/kad_rig.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#define PEERS 600u

static struct haul_kad_contact peers[PEERS];
static struct haul_kad_lookup lookup;
static const struct haul_kad_key *sort_target;

static int by_distance(const void *a, const void *b)
{
    const struct haul_kad_contact *left = a, *right = b;

    return haul_kad_compare(sort_target, &left->key, &right->key);
}

/* The peers nearest first, as everybody would tell it who knew everybody. */
static void network_init(const struct haul_kad_key *target)
{
    for (uint64_t i = 0; i < PEERS; i++)
        peers[i] = kad_rig_contact(i + 1);
    sort_target = target;
    qsort(peers, PEERS, sizeof peers[0], by_distance);
}

static size_t index_of(const struct haul_kad_contact *contact)
{
    for (size_t i = 0; i < PEERS; i++) {
        if (haul_kad_key_equal(&peers[i].key, &contact->key))
            return i;
    }
    return PEERS;
}

/* A peer knows those that are up to a quarter as far. */
static void answer(const struct haul_kad_contact *contact)
{
    size_t own = index_of(contact), from = own / 4;
    size_t count = PEERS - from < HAUL_KAD_K ? PEERS - from : HAUL_KAD_K;

    haul_kad_lookup_answered(&lookup, &contact->key, &peers[from], count);
}

static void lookup_init(struct haul_kad_lookup_conf conf)
{
    struct haul_kad_contact target = kad_rig_contact(424242);

    network_init(&target.key);
    haul_kad_lookup_init(&lookup, &target.key, &conf, 0);
    for (size_t i = 0; i < HAUL_KAD_K; i++)
        haul_kad_lookup_seed(&lookup, &peers[PEERS - 1 - i * 7]);
}

static void the_nearest_twenty_are_found(void)
{
    for (uint8_t paths = 1; paths <= 4; paths++) {
        struct haul_kad_lookup_conf conf = haul_kad_lookup_default;
        struct haul_kad_contact contact, found[HAUL_KAD_K];

        conf.paths = paths;
        lookup_init(conf);
        while (haul_kad_lookup_next(&lookup, 0, &contact))
            answer(&contact);
        CU_ASSERT_TRUE(haul_kad_lookup_done(&lookup));
        CU_ASSERT_EQUAL_FATAL(haul_kad_lookup_closest(&lookup, found, HAUL_KAD_K), HAUL_KAD_K);
        for (size_t i = 0; i < HAUL_KAD_K; i++)
            CU_ASSERT_TRUE(haul_kad_key_equal(&found[i].key, &peers[i].key));
        CU_ASSERT(lookup.asked < 100);
        CU_ASSERT_EQUAL(haul_kad_lookup_hops(&lookup, &peers[0].key), lookup.hops);
        CU_ASSERT(lookup.hops >= 3 && lookup.hops <= 8);
    }
}

static void no_more_than_alpha_are_asked_at_once(void)
{
    struct haul_kad_lookup_conf conf = haul_kad_lookup_default;
    struct haul_kad_contact contact[16];
    size_t count = 0;

    conf.alpha = 3;
    conf.paths = 1;
    lookup_init(conf);
    while (haul_kad_lookup_next(&lookup, 0, &contact[count]))
        count++;
    CU_ASSERT_EQUAL_FATAL(count, 3);
    answer(&contact[1]);
    CU_ASSERT_TRUE(haul_kad_lookup_next(&lookup, 0, &contact[3]));
    CU_ASSERT_FALSE(haul_kad_lookup_next(&lookup, 0, &contact[4]));
}

static void a_slow_peer_gives_its_turn_away_and_may_still_answer(void)
{
    struct haul_kad_lookup_conf conf = haul_kad_lookup_default;
    struct haul_kad_contact slow, other;

    conf.alpha = 1;
    conf.paths = 1;
    lookup_init(conf);
    CU_ASSERT_TRUE(haul_kad_lookup_next(&lookup, 0, &slow));
    CU_ASSERT_EQUAL(haul_kad_lookup_deadline(&lookup), conf.patience);
    CU_ASSERT_FALSE(haul_kad_lookup_next(&lookup, 0, &other));
    haul_kad_lookup_tick(&lookup, conf.patience);
    CU_ASSERT_TRUE(haul_kad_lookup_next(&lookup, conf.patience, &other));
    CU_ASSERT_EQUAL(lookup.answered, 0);
    answer(&slow);
    CU_ASSERT_EQUAL(lookup.answered, 1);
    haul_kad_lookup_failed(&lookup, &slow.key); /* too late to fail */
    CU_ASSERT_EQUAL(lookup.failed, 0);
    answer(&other);
    CU_ASSERT_EQUAL(lookup.under_way, 0);
}

static void silence_ends_at_the_deadline(void)
{
    struct haul_kad_contact contact;
    haul_time now = 0;

    lookup_init(haul_kad_lookup_default);
    while (!haul_kad_lookup_done(&lookup)) {
        while (haul_kad_lookup_next(&lookup, now, &contact))
            continue;
        if (haul_kad_lookup_done(&lookup))
            break;
        CU_ASSERT_FATAL(haul_kad_lookup_deadline(&lookup) > now);
        now = haul_kad_lookup_deadline(&lookup);
        haul_kad_lookup_tick(&lookup, now);
    }
    CU_ASSERT(now <= haul_kad_lookup_default.duration);
    CU_ASSERT_EQUAL(haul_kad_lookup_closest(&lookup, &contact, 1), 0);
}

/* Every answer names twenty new peers that are nearer than all before and do not exist. */
static void an_endless_trail_ends_at_the_limit_of_questions(void)
{
    struct haul_kad_lookup_conf conf = haul_kad_lookup_default;
    struct haul_kad_contact contact, lies[HAUL_KAD_K];
    uint64_t asked = 0;

    conf.asked_max = 150;
    lookup_init(conf);
    while (haul_kad_lookup_next(&lookup, 0, &contact)) {
        for (size_t i = 0; i < HAUL_KAD_K; i++) {
            lies[i] = kad_rig_contact(1000000 + asked * 20 + i);
            lies[i].key = lookup.target;
            for (size_t byte = 0; byte < 8; byte++)
                lies[i].key.bytes[24 + byte] = (uint8_t)((asked * 20 + i) >> 8 * (7 - byte));
            lies[i].key.bytes[20] ^= (uint8_t)(200 - asked);
        }
        asked++;
        haul_kad_lookup_answered(&lookup, &contact.key, lies, HAUL_KAD_K);
        CU_ASSERT_FATAL(lookup.count <= HAUL_KAD_CANDIDATES_MAX);
    }
    CU_ASSERT(asked <= 150);
    CU_ASSERT_TRUE(haul_kad_lookup_done(&lookup));
}

static void a_crowd_of_one_network_does_not_fill_the_list(void)
{
    struct haul_kad_lookup_conf conf = haul_kad_lookup_default;
    struct haul_kad_contact contact, crowd[HAUL_KAD_K];
    unsigned of_the_crowd = 0;

    conf.group_max = 3;
    lookup_init(conf);
    CU_ASSERT_TRUE(haul_kad_lookup_next(&lookup, 0, &contact));
    for (size_t i = 0; i < HAUL_KAD_K; i++) {
        crowd[i] = kad_rig_contact(5000 + i);
        crowd[i].key = lookup.target;
        crowd[i].key.bytes[31] ^= (uint8_t)(i + 1);
        crowd[i].group = 99;
    }
    haul_kad_lookup_answered(&lookup, &contact.key, crowd, HAUL_KAD_K);
    while (haul_kad_lookup_next(&lookup, 0, &contact)) {
        of_the_crowd += contact.group == 99;
        if (contact.group == 99)
            haul_kad_lookup_answered(&lookup, &contact.key, crowd, HAUL_KAD_K);
        else
            answer(&contact);
    }
    CU_ASSERT_EQUAL(of_the_crowd, 3);
    CU_ASSERT_EQUAL(haul_kad_lookup_hops(&lookup, &peers[10].key) > 0, true);
}

/* Asks and is answered until nothing is to be asked. Of four networks of a crowd one peer fails and
 * one is slow: the next of their networks count instead. Returns how many of the crowd were asked.
 */
static unsigned crowd_ask(const struct haul_kad_contact *crowd, haul_time now)
{
    struct haul_kad_contact contact;
    unsigned asked = 0;

    while (haul_kad_lookup_next(&lookup, now, &contact)) {
        asked += contact.group >= 90;
        if (haul_kad_key_equal(&contact.key, &crowd[3].key))
            haul_kad_lookup_failed(&lookup, &contact.key);
        else if (contact.group < 90)
            answer(&contact);
        else if (!haul_kad_key_equal(&contact.key, &crowd[2].key))
            haul_kad_lookup_answered(&lookup, &contact.key, crowd, HAUL_KAD_K);
    }
    return asked;
}

static void of_the_nearest_at_most_two_come_from_one_network(void)
{
    struct haul_kad_lookup_conf conf = haul_kad_lookup_default;
    struct haul_kad_contact contact, crowd[HAUL_KAD_K], nearest[HAUL_KAD_K];
    unsigned of_network[4] = { 0 };

    conf.group_max = 6;
    conf.group_near_max = 2;
    lookup_init(conf);
    CU_ASSERT_TRUE(haul_kad_lookup_next(&lookup, 0, &contact));
    for (size_t i = 0; i < HAUL_KAD_K; i++) {
        crowd[i] = kad_rig_contact(5000 + i);
        crowd[i].key = lookup.target;
        crowd[i].key.bytes[31] ^= (uint8_t)(i + 1);
        crowd[i].group = 90 + (uint32_t)i % 4;
    }
    haul_kad_lookup_answered(&lookup, &contact.key, crowd, HAUL_KAD_K);
    CU_ASSERT_EQUAL(crowd_ask(crowd, 0), 9);
    CU_ASSERT_FALSE(haul_kad_lookup_done(&lookup));
    haul_kad_lookup_tick(&lookup, conf.patience);
    CU_ASSERT_EQUAL(crowd_ask(crowd, conf.patience), 1);
    CU_ASSERT_TRUE(haul_kad_lookup_done(&lookup));
    haul_kad_lookup_answered(&lookup, &crowd[2].key, crowd,
                             HAUL_KAD_K); /* late: three of it have */
    CU_ASSERT_EQUAL_FATAL(haul_kad_lookup_closest(&lookup, nearest, HAUL_KAD_K), HAUL_KAD_K);
    for (size_t i = 0; i < HAUL_KAD_K; i++) {
        if (nearest[i].group >= 90)
            of_network[nearest[i].group - 90]++;
    }
    for (size_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(of_network[i], 2);
}

static void answers_nobody_asked_for_change_nothing(void)
{
    struct haul_kad_contact stranger = kad_rig_contact(99999), contact;

    lookup_init(haul_kad_lookup_default);
    haul_kad_lookup_answered(&lookup, &stranger.key, peers, HAUL_KAD_K);
    haul_kad_lookup_failed(&lookup, &stranger.key);
    CU_ASSERT_EQUAL(lookup.count, HAUL_KAD_K);
    CU_ASSERT_TRUE(haul_kad_lookup_next(&lookup, 0, &contact));
    answer(&contact);
    answer(&contact);
    CU_ASSERT_EQUAL(lookup.answered, 1);
    CU_ASSERT_EQUAL(lookup.under_way, 0);
}

static void without_anybody_to_ask_it_is_done_at_once(void)
{
    struct haul_kad_contact target = kad_rig_contact(1);

    haul_kad_lookup_init(&lookup, &target.key, &haul_kad_lookup_default, 0);
    CU_ASSERT_TRUE(haul_kad_lookup_done(&lookup));
}

/* The second path never hears of whom the first was led to. */
static void a_liar_leads_only_its_own_path_astray(void)
{
    struct haul_kad_lookup_conf conf = haul_kad_lookup_default;
    struct haul_kad_contact contact, found[HAUL_KAD_K];
    const size_t liar = 3; /* of the seeds */
    bool lied = false;

    conf.paths = 2;
    lookup_init(conf);
    while (haul_kad_lookup_next(&lookup, 0, &contact)) {
        if (index_of(&contact) == PEERS - 1 - liar * 7) {
            struct haul_kad_contact none[1];

            haul_kad_lookup_answered(&lookup, &contact.key, none, 0);
            lied = true;
        } else {
            answer(&contact);
        }
    }
    CU_ASSERT_TRUE(lied || lookup.asked > 0);
    CU_ASSERT_EQUAL_FATAL(haul_kad_lookup_closest(&lookup, found, HAUL_KAD_K), HAUL_KAD_K);
    CU_ASSERT_TRUE(haul_kad_key_equal(&found[0].key, &peers[0].key));
}

static const struct unit_test tests[] = {
    { "the nearest twenty are found", the_nearest_twenty_are_found },
    { "no more than alpha are asked at once", no_more_than_alpha_are_asked_at_once },
    { "a slow peer gives its turn away and may still answer",
      a_slow_peer_gives_its_turn_away_and_may_still_answer },
    { "silence ends at the deadline", silence_ends_at_the_deadline },
    { "an endless trail ends at the limit of questions",
      an_endless_trail_ends_at_the_limit_of_questions },
    { "a crowd of one network does not fill the list",
      a_crowd_of_one_network_does_not_fill_the_list },
    { "of the nearest at most two come from one network",
      of_the_nearest_at_most_two_come_from_one_network },
    { "answers nobody asked for change nothing", answers_nobody_asked_for_change_nothing },
    { "without anybody to ask it is done at once", without_anybody_to_ask_it_is_done_at_once },
    { "a liar leads only its own path astray", a_liar_leads_only_its_own_path_astray },
};

int main(void)
{
    return unit_main("kad lookup", tests, HAUL_COUNT_OF(tests));
}
