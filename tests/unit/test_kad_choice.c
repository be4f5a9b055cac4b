/* Values of the DHT: which keys and records are good, which of two is better, what a store keeps,
 * and the choice of a look-up. */
#include "controlplane/p2p/kad/choice.h"

#include "controlplane/p2p/kad/ipns.h"
#include "tests/unit/kad_rig.h"
#include "tests/unit/unit.h"

#define HOUR (3600 * HAUL_SECOND)
#define NOW  (UINT64_C(1800000000) * HAUL_SECOND) /* in Unix time */

struct made {
    struct haul_kad_record record;
    uint8_t key[64];
    uint8_t value[512];
};

static struct haul_kad_choice choice;
static struct haul_key key;

static void key_of(const char *space, const struct haul_peer_id *id, struct made *made)
{
    size_t bytes = strlen(space);

    memcpy(made->key, space, bytes);
    memcpy(made->key + bytes, id->bytes, id->length);
    made->record = (struct haul_kad_record){ .key = made->key, .key_bytes = bytes + id->length };
}

static const struct haul_kad_record *ipns(struct made *made, uint64_t sequence, uint64_t ends)
{
    const uint8_t seed[32] = { 1 };
    struct haul_out out = haul_out_to(made->value, sizeof made->value);

    haul_key_from_seed(&key, seed);
    key_of("/ipns/", &key.id, made);
    haul_ipns_write(&key, "/ipfs/x", 7, sequence, ends, &out);
    made->record.value = made->value;
    made->record.value_bytes = (size_t)(out.at - made->value);
    return &made->record;
}

static const struct haul_kad_record *pk(struct made *made)
{
    const uint8_t seed[32] = { 1 };

    haul_key_from_seed(&key, seed);
    key_of("/pk/", &key.id, made);
    haul_key_public(&key, made->value);
    made->record.value = made->value;
    made->record.value_bytes = HAUL_KEY_PUBLIC_BYTES;
    return &made->record;
}

static enum haul_kad_record_fault check(const struct haul_kad_record *record)
{
    return haul_kad_record_check(record->key, record->key_bytes, record->value, record->value_bytes,
                                 NOW);
}

static int order(const struct haul_kad_record *one, const struct haul_kad_record *other)
{
    return haul_kad_record_order(one->key, one->key_bytes, one->value, one->value_bytes,
                                 other->value, other->value_bytes);
}

static void keys_are_good_malformed_or_of_nobodys_namespace(void)
{
    static const struct {
        const char *text;
        enum haul_kad_record_fault fault;
    } cases[] = {
        { "", HAUL_KAD_RECORD_NAMESPACE },
        { "/", HAUL_KAD_RECORD_NAMESPACE },
        { "/pk", HAUL_KAD_RECORD_NAMESPACE },
        { "pk/x", HAUL_KAD_RECORD_NAMESPACE },
        { "/pkx/", HAUL_KAD_RECORD_NAMESPACE },
        { "/v/hello", HAUL_KAD_RECORD_NAMESPACE },
        { "/IPNS/hello", HAUL_KAD_RECORD_NAMESPACE },
        { "/pk/", HAUL_KAD_RECORD_KEY },
        { "/ipns/", HAUL_KAD_RECORD_KEY },
        { "/ipns/hello", HAUL_KAD_RECORD_KEY },
        { "/pk/QmTooShort", HAUL_KAD_RECORD_KEY },
    };
    struct made made;

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++)
        CU_ASSERT_EQUAL(haul_kad_key_check((const uint8_t *)cases[i].text, strlen(cases[i].text)),
                        cases[i].fault);
    (void)pk(&made);
    CU_ASSERT_EQUAL(haul_kad_key_check(made.key, made.record.key_bytes), HAUL_KAD_RECORD_GOOD);
    CU_ASSERT_EQUAL(haul_kad_key_check(made.key, made.record.key_bytes - 1), HAUL_KAD_RECORD_KEY);
    CU_ASSERT_EQUAL(haul_kad_key_check(made.key, made.record.key_bytes + 1), HAUL_KAD_RECORD_KEY);
    CU_ASSERT_EQUAL(haul_kad_key_check(NULL, 0), HAUL_KAD_RECORD_NAMESPACE);
}

static void each_fault_of_a_record_has_its_name(void)
{
    static uint8_t large[HAUL_KAD_RECORD_VALUE_MAX + 1];
    struct haul_peer_id stranger = kad_rig_peer(5);
    struct made made, other;

    CU_ASSERT_EQUAL(check(pk(&made)), HAUL_KAD_RECORD_GOOD);
    key_of("/pk/", &stranger, &other);
    other.record.value = made.value;
    other.record.value_bytes = made.record.value_bytes;
    CU_ASSERT_EQUAL(check(&other.record), HAUL_KAD_RECORD_STRANGER);
    made.record.value_bytes--;
    CU_ASSERT_EQUAL(check(&made.record), HAUL_KAD_RECORD_MALFORMED);
    made.record.value_bytes = 0;
    CU_ASSERT_EQUAL(check(&made.record), HAUL_KAD_RECORD_SIZE);
    made.record.value = large;
    made.record.value_bytes = HAUL_KAD_PUBLIC_KEY_MAX + 1;
    CU_ASSERT_EQUAL(check(&made.record), HAUL_KAD_RECORD_SIZE);
    CU_ASSERT_EQUAL(check(ipns(&made, 1, NOW + 1)), HAUL_KAD_RECORD_GOOD);
    CU_ASSERT_EQUAL(check(ipns(&made, 1, NOW)), HAUL_KAD_RECORD_OVER);
    (void)ipns(&made, 1, NOW + HOUR);
    made.value[10] ^= 1;
    CU_ASSERT_EQUAL(check(&made.record), HAUL_KAD_RECORD_FORGED);
    (void)ipns(&made, 1, NOW + HOUR);
    made.record.value = large;
    made.record.value_bytes = HAUL_KAD_RECORD_VALUE_MAX + 1;
    CU_ASSERT_EQUAL(check(&made.record), HAUL_KAD_RECORD_SIZE);
    made.record.value_bytes = HAUL_KAD_RECORD_VALUE_MAX;
    CU_ASSERT_EQUAL(check(&made.record), HAUL_KAD_RECORD_MALFORMED);
}

static void the_newer_record_is_better_and_of_two_the_longer_one(void)
{
    struct made a, b, c;

    CU_ASSERT(order(ipns(&a, 2, NOW + HOUR), ipns(&b, 1, NOW + 2 * HOUR)) > 0);
    CU_ASSERT(order(&b.record, &a.record) < 0);
    CU_ASSERT(order(ipns(&a, 2, NOW + HOUR), ipns(&b, 2, NOW + 2 * HOUR)) < 0);
    CU_ASSERT_EQUAL(order(ipns(&a, 2, NOW), ipns(&b, 2, NOW)), 0);
    CU_ASSERT(order(ipns(&a, UINT64_MAX, NOW), ipns(&b, UINT64_MAX - 1, NOW)) > 0);
    CU_ASSERT_EQUAL(order(pk(&a), pk(&c)), 0);
}

static void a_store_keeps_the_better_record_and_none_that_is_over(void)
{
    static struct haul_kad_value values[2];
    struct haul_kad_records records;
    const struct haul_kad_value *here;
    struct made made;

    haul_kad_records_init(&records, &(struct haul_kad_key){ 0 }, values, HAUL_COUNT_OF(values));
    records.unix_ahead = NOW;
    CU_ASSERT_TRUE(haul_kad_records_put(&records, ipns(&made, 5, NOW + 3 * HOUR), NULL, 0, HOUR));
    CU_ASSERT_FALSE(haul_kad_records_put(&records, ipns(&made, 4, NOW + 3 * HOUR), NULL, 0, HOUR));
    CU_ASSERT_TRUE(haul_kad_records_put(&records, ipns(&made, 6, NOW + 2 * HOUR), NULL, 0, HOUR));
    CU_ASSERT_TRUE(haul_kad_records_put(&records, &made.record, NULL, 0, HOUR));
    CU_ASSERT_TRUE(haul_kad_records_put(&records, pk(&made), NULL, 0, HOUR));
    CU_ASSERT_EQUAL(records.count, 2);
    (void)ipns(&made, 6, NOW + 2 * HOUR);
    here = haul_kad_records_get(&records, made.key, made.record.key_bytes, HOUR);
    CU_ASSERT_PTR_NOT_NULL_FATAL(here);
    CU_ASSERT_EQUAL(here->value_bytes, made.record.value_bytes);
    CU_ASSERT_EQUAL(memcmp(here->value, made.value, here->value_bytes), 0);
    /* An hour later its time has run out, though 48 hours have not. */
    CU_ASSERT_PTR_NULL(haul_kad_records_get(&records, made.key, made.record.key_bytes, 2 * HOUR));
    CU_ASSERT_FALSE(haul_kad_records_put(&records, &made.record, NULL, 0, 2 * HOUR));
    /* And then an older one that is not over may come. */
    CU_ASSERT_TRUE(
        haul_kad_records_put(&records, ipns(&made, 5, NOW + 3 * HOUR), NULL, 0, 2 * HOUR));
}

static void the_best_wins_whoever_comes_first_and_the_others_are_stale(void)
{
    struct haul_kad_contact contacts[6], stale[6];
    struct made good, old, bad, foreign;

    for (size_t i = 0; i < HAUL_COUNT_OF(contacts); i++)
        contacts[i] = kad_rig_contact(i);
    (void)ipns(&good, 7, NOW + HOUR);
    (void)ipns(&old, 6, NOW + HOUR);
    (void)ipns(&bad, 8, NOW + HOUR);
    bad.value[bad.record.value_bytes - 1] ^= 1;
    haul_kad_choice_init(&choice, good.key, good.record.key_bytes);
#define OFFER(n, offered) haul_kad_choice_offer(&choice, &contacts[n].key, offered, NOW)
    CU_ASSERT_EQUAL(OFFER(0, NULL), HAUL_KAD_OFFERED_NOTHING);
    CU_ASSERT_EQUAL(OFFER(1, &old.record), HAUL_KAD_OFFERED_BETTER);
    CU_ASSERT_EQUAL(OFFER(2, &good.record), HAUL_KAD_OFFERED_BETTER);
    CU_ASSERT_EQUAL(OFFER(3, &bad.record), HAUL_KAD_OFFERED_INVALID);
    CU_ASSERT_EQUAL(OFFER(3, pk(&foreign)), HAUL_KAD_OFFERED_INVALID); /* of another key */
    CU_ASSERT_EQUAL(OFFER(4, &good.record), HAUL_KAD_OFFERED_SAME);
    CU_ASSERT_EQUAL(OFFER(5, &old.record), HAUL_KAD_OFFERED_WORSE);
#undef OFFER
    CU_ASSERT_EQUAL(choice.valid, 4);
    CU_ASSERT_EQUAL(choice.invalid, 2);
    CU_ASSERT_EQUAL(choice.worse, 2);
    CU_ASSERT_EQUAL(choice.holder_count, 2);
    CU_ASSERT_EQUAL(choice.best_bytes, good.record.value_bytes);
    CU_ASSERT_EQUAL(memcmp(choice.best, good.value, choice.best_bytes), 0);
    CU_ASSERT_EQUAL(haul_kad_choice_stale(&choice, contacts, 6, stale), 4);
    CU_ASSERT_TRUE(haul_kad_key_equal(&stale[0].key, &contacts[0].key));
    CU_ASSERT_TRUE(haul_kad_key_equal(&stale[1].key, &contacts[1].key));
    CU_ASSERT_TRUE(haul_kad_key_equal(&stale[2].key, &contacts[3].key));
    CU_ASSERT_TRUE(haul_kad_key_equal(&stale[3].key, &contacts[5].key));
}

static const struct unit_test tests[] = {
    { "keys are good, malformed, or of nobody's namespace",
      keys_are_good_malformed_or_of_nobodys_namespace },
    { "each fault of a record has its name", each_fault_of_a_record_has_its_name },
    { "the newer record is better, and of two the longer one",
      the_newer_record_is_better_and_of_two_the_longer_one },
    { "a store keeps the better record and none that is over",
      a_store_keeps_the_better_record_and_none_that_is_over },
    { "the best wins whoever comes first, and the others are stale",
      the_best_wins_whoever_comes_first_and_the_others_are_stale },
};

int main(void)
{
    return unit_main("kad_choice", tests, HAUL_COUNT_OF(tests));
}
