/* Values. To get one is a search that asks every peer for what it holds under the key, keeps the
 * best record (p2p/kad/choice.h), and ends when enough have answered with a valid one; those of the
 * nearest that hold a worse one or none are told the best behind it. To put one is the same search
 * with our record in the race from the beginning, without an early end: where the DHT holds a newer
 * one nothing is told. One that is to be newer than all others is made when they are known. */
#include "controlplane/dht/dht_parts.h"

#include <stdlib.h>
#include <string.h>

struct haul_dht_value {
    struct haul_dht *dht;
    haul_dht_value_fn *done; /* NULL: told already, or nobody is interested any more */
    void (*make)(void *context, const uint8_t *best, size_t best_bytes, uint64_t unix_ns,
                 struct haul_out *out);
    void *context;
    struct haul_timer *timer;
    struct haul_dht_query *query;
    uint32_t quorum; /* 0: as many as there are */
    bool put, looked;
    struct haul_dht_value_result result;
    LIST_HEAD(, haul_dht_ask) asks;
    LIST_ENTRY(haul_dht_value) link;
    struct haul_kad_choice choice;
};

static const char *fault_text(enum haul_kad_record_fault fault)
{
    switch (fault) {
    case HAUL_KAD_RECORD_GOOD:
    case HAUL_KAD_RECORD_KEY:
    case HAUL_KAD_RECORD_NAMESPACE:
        break;
    case HAUL_KAD_RECORD_SIZE:
        return "the value is empty or too large";
    case HAUL_KAD_RECORD_MALFORMED:
        return "the value is no record of the kind that the key asks for";
    case HAUL_KAD_RECORD_STRANGER:
        return "the value belongs to another key";
    case HAUL_KAD_RECORD_FORGED:
        return "the value's signature is not of the key";
    case HAUL_KAD_RECORD_OVER:
        return "the value's time has run out";
    }
    return "the value is good";
}

static uint64_t unix_now(const struct haul_dht *dht)
{
    return haul_time_add(haul_dht_now(dht), dht->records.unix_ahead);
}

static struct haul_kad_record best_of(const struct haul_dht_value *value)
{
    return (struct haul_kad_record){ .key = value->choice.key,
                                     .key_bytes = value->choice.key_bytes,
                                     .value = value->choice.best,
                                     .value_bytes = value->choice.best_bytes };
}

static void value_free(struct haul_dht_value *value)
{
    struct haul_dht_ask *ask;

    while ((ask = LIST_FIRST(&value->asks)) != NULL) {
        LIST_REMOVE(ask, link);
        ask->done = NULL;
        ask->dropped = true;
    }
    if (value->query != NULL)
        haul_dht_cancel(value->query);
    LIST_REMOVE(value, link);
    haul_loop_timer_free(value->timer);
    free(value);
}

/* --- telling --- */

static void on_told(void *context, struct haul_dht_ask *ask, const struct haul_kad_message *answer,
                    bool sent)
{
    struct haul_dht_value *value = context;

    (void)sent;
    LIST_REMOVE(ask, link);
    /* The record comes back from whom takes it. */
    if (answer != NULL && answer->has_record &&
        answer->record.value_bytes == value->choice.best_bytes &&
        memcmp(answer->record.value, value->choice.best, value->choice.best_bytes) == 0) {
        value->result.taken++;
        haul_counter_add(&value->dht->counters.values_taken, 1);
    } else {
        value->result.refused++;
    }
    haul_loop_timer_set(value->timer, haul_dht_now(value->dht));
}

static void tell(struct haul_dht_value *value, const struct haul_kad_contact *contact)
{
    const struct haul_kad_record best = best_of(value);
    size_t bytes = 0;
    uint8_t *frame = haul_dht_request(HAUL_KAD_PUT_VALUE, best.key, best.key_bytes, &best, &bytes);
    struct haul_dht_ask *ask = haul_dht_ask(value->dht, contact, frame, bytes, true);

    if (ask == NULL) {
        value->result.refused++;
        return;
    }
    ask->done = on_told;
    ask->context = value;
    LIST_INSERT_HEAD(&value->asks, ask, link);
    haul_counter_add(&value->dht->counters.values_told, 1);
}

/* --- looking --- */

static bool on_heard(void *context, const struct haul_kad_contact *from,
                     const struct haul_kad_record *record)
{
    struct haul_dht_value *value = context;
    enum haul_kad_offered offered =
        haul_kad_choice_offer(&value->choice, &from->key, record, unix_now(value->dht));

    haul_counter_add(&value->dht->counters.values_invalid, offered == HAUL_KAD_OFFERED_INVALID);
    if (value->put && value->make == NULL && offered == HAUL_KAD_OFFERED_BETTER) {
        value->result.newer = true; /* than ours, which was there first */
        return true;
    }
    return value->quorum != 0 && value->choice.valid >= value->quorum;
}

/* Ours, behind all others. */
static void make_own(struct haul_dht_value *value)
{
    static uint8_t made[HAUL_KAD_RECORD_VALUE_MAX];
    struct haul_kad_choice *choice = &value->choice;
    struct haul_kad_record record = best_of(value);
    struct haul_out out = haul_out_to(made, sizeof made);
    uint64_t now = unix_now(value->dht);

    value->make(value->context, choice->best, choice->best_bytes, now, &out);
    record.value = made;
    record.value_bytes = out.bad ? 0 : (size_t)(out.at - made);
    value->result.newer =
        haul_kad_choice_offer(choice, NULL, &record, now) != HAUL_KAD_OFFERED_BETTER;
}

static void on_looked(void *context, const struct haul_dht_result *result)
{
    struct haul_dht_value *value = context;
    struct haul_kad_contact nearest[HAUL_KAD_K], stale[HAUL_KAD_K];
    size_t count = haul_kad_lookup_closest(result->lookup, nearest, HAUL_KAD_K);
    struct haul_kad_record best;

    value->query = NULL;
    value->looked = true;
    if (value->make != NULL)
        make_own(value);
    best = best_of(value);
    value->result.asked = result->lookup->asked;
    value->result.answered = result->lookup->answered;
    value->result.took = result->took;
    value->result.holders = value->choice.holder_count;
    value->result.worse = value->choice.worse;
    value->result.invalid = value->choice.invalid;
    value->result.value = value->choice.best;
    value->result.value_bytes = value->choice.best_bytes;
    if (value->choice.best_bytes > 0 && !value->result.newer) {
        (void)haul_kad_records_put(&value->dht->records, &best, NULL, 0, haul_dht_now(value->dht));
        count = haul_kad_choice_stale(&value->choice, nearest, count, stale);
        for (size_t i = 0; i < count; i++)
            tell(value, &stale[i]);
        value->result.told = (uint32_t)count;
    }
    haul_loop_timer_set(value->timer, haul_dht_now(value->dht));
}

/* A get is told as soon as it is known what the best is; a put when all have answered. */
static void on_timer(void *context)
{
    struct haul_dht_value *value = context;
    haul_dht_value_fn *done = value->done;

    if (!value->looked)
        return;
    if (done != NULL && (!value->put || LIST_EMPTY(&value->asks))) {
        value->done = NULL;
        done(value->context, &value->result);
    }
    if (LIST_EMPTY(&value->asks))
        value_free(value);
}

/* Our own record in the race: what a put brings, or what we hold. False when ours is older. */
static bool offer_own(struct haul_dht_value *value, const struct haul_kad_record *own)
{
    struct haul_dht *dht = value->dht;
    const struct haul_kad_value *here = haul_kad_records_get(
        &dht->records, value->choice.key, value->choice.key_bytes, haul_dht_now(dht));
    struct haul_kad_record record = *own;

    if (own->value != NULL)
        (void)haul_kad_choice_offer(&value->choice, NULL, own, unix_now(dht));
    if (here == NULL)
        return true;
    record.value = here->value;
    record.value_bytes = here->value_bytes;
    return haul_kad_choice_offer(&value->choice, NULL, &record, unix_now(dht)) !=
               HAUL_KAD_OFFERED_BETTER ||
           own->value == NULL;
}

static int check(const struct haul_dht_value_wish *wish, uint64_t unix_ns, struct haul_error *error)
{
    enum haul_kad_record_fault fault = haul_kad_key_check(wish->key, wish->key_bytes);

    if (fault == HAUL_KAD_RECORD_NAMESPACE)
        return haul_fail(error, HAUL_E_VALUE_KEY,
                         "the key lies in no namespace that can be validated");
    if (fault != HAUL_KAD_RECORD_GOOD)
        return haul_fail(error, HAUL_E_VALUE_KEY, "no peer id stands behind the key's namespace");
    if (wish->value == NULL)
        return 0;
    fault =
        haul_kad_record_check(wish->key, wish->key_bytes, wish->value, wish->value_bytes, unix_ns);
    if (fault != HAUL_KAD_RECORD_GOOD)
        return haul_fail(error, HAUL_E_VALUE_INVALID, "%s", fault_text(fault));
    return 0;
}

static int search_begin(struct haul_dht_value *value, const struct haul_dht_value_wish *wish,
                        struct haul_error *error)
{
    const struct haul_dht_search search = { .kind = HAUL_DHT_VALUE,
                                            .key = wish->key,
                                            .key_bytes = wish->key_bytes,
                                            .timeout = wish->timeout,
                                            .context = value,
                                            .heard = on_heard,
                                            .done = on_looked };

    return haul_dht_search(value->dht, &search, &value->query, error);
}

int haul_dht_value_begin(struct haul_dht *dht, const struct haul_dht_value_wish *wish,
                         struct haul_dht_value **out, struct haul_error *error)
{
    const struct haul_kad_record own = { .key = wish->key,
                                         .key_bytes = wish->key_bytes,
                                         .value = wish->value,
                                         .value_bytes = wish->value_bytes };
    struct haul_dht_value *value;

    if (check(wish, unix_now(dht), error) < 0)
        return -1;
    value = calloc(1, sizeof *value);
    if (value != NULL)
        value->timer = haul_loop_timer(dht->conf.loop, on_timer, value);
    if (value == NULL || value->timer == NULL) {
        free(value);
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for a value of the DHT");
    }
    value->dht = dht;
    value->done = wish->done;
    value->make = wish->make;
    value->context = wish->context;
    value->put = wish->value != NULL || wish->make != NULL;
    value->quorum = value->put ? 0 : wish->quorum;
    LIST_INIT(&value->asks);
    LIST_INSERT_HEAD(&dht->values, value, link);
    haul_kad_choice_init(&value->choice, wish->key, wish->key_bytes);
    if (!offer_own(value, &own)) {
        value_free(value);
        return haul_fail(error, HAUL_E_VALUE_OLD, "this node holds a newer value of the key");
    }
    if (search_begin(value, wish, error) < 0) {
        value_free(value);
        return -1;
    }
    *out = value;
    return 0;
}

void haul_dht_value_cancel(struct haul_dht_value *value)
{
    value->done = NULL; /* what is being told is told all the same */
    if (!value->looked)
        value_free(value);
}

void haul_dht_values_free(struct haul_dht *dht)
{
    while (!LIST_EMPTY(&dht->values))
        value_free(LIST_FIRST(&dht->values));
}
