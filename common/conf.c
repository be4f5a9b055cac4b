/* The values in force, and the two sources that need no parser: the environment and --set. */
#include "common/conf.h"

#include "common/conf_value.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 64u /* of a key, with its end mark */

struct value {
    enum haul_conf_origin origin;
    uint64_t number;
    char text[HAUL_CONF_TEXT_BYTES];
};

struct haul_conf {
    struct value values[HAUL_CONF_COUNT];
};

struct haul_conf *haul_conf_open(void)
{
    struct haul_conf *conf = calloc(1, sizeof *conf);

    for (unsigned key = 0; conf != NULL && key < HAUL_CONF_COUNT; key++) {
        struct value *value = &conf->values[key];

        memcpy(value->text, haul_conf_table[key].value, strlen(haul_conf_table[key].value));
        haul_assert(haul_conf_value_check((enum haul_conf_key)key, value->text, &value->number));
    }
    return conf;
}

void haul_conf_close(struct haul_conf *conf)
{
    free(conf);
}

/* How many signs must be changed, added or taken away: the older rows of the table are not needed.
 */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NAME_BYTES];
    size_t length = strlen(b);

    for (unsigned i = 0; i <= length; i++)
        row[i] = i;
    for (unsigned i = 1; *a != 0; a++, i++) {
        unsigned corner = row[0];

        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            unsigned best = corner + (*a != b[j - 1]);

            corner = row[j];
            best = best < row[j] + 1 ? best : row[j] + 1;
            row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
        }
    }
    return row[length];
}

static int refuse_key(const char *where, const char *name, struct haul_error *error)
{
    unsigned best = 4; /* what differs in more signs was hardly meant */
    const char *nearest = NULL;

    for (unsigned key = 0; key < HAUL_CONF_COUNT && strlen(name) < NAME_BYTES; key++) {
        unsigned now = distance(name, haul_conf_table[key].name);

        if (now < best) {
            best = now;
            nearest = haul_conf_table[key].name;
        }
    }
    if (nearest == NULL)
        return haul_fail(error, HAUL_E_CONFIG_KEY, "%s: there is no key %.64s", where, name);
    return haul_fail(error, HAUL_E_CONFIG_KEY, "%s: there is no key %.64s; did you mean %s?", where,
                     name, nearest);
}

int haul_conf_key_find(const char *where, const char *name, enum haul_conf_key *key,
                       struct haul_error *error)
{
    for (unsigned i = 0; i < HAUL_CONF_COUNT; i++) {
        if (strcmp(haul_conf_table[i].name, name) != 0)
            continue;
        *key = (enum haul_conf_key)i;
        return 0;
    }
    return refuse_key(where, name, error);
}

int haul_conf_take(struct haul_conf *conf, const char *where, enum haul_conf_key key,
                   const char *text, enum haul_conf_origin origin, struct haul_error *error)
{
    struct value *value = &conf->values[key];
    char range[HAUL_CONF_RANGE_BYTES];
    uint64_t number = 0;
    size_t bytes = strlen(text);

    if (bytes >= HAUL_CONF_TEXT_BYTES || !haul_conf_value_check(key, text, &number)) {
        haul_conf_range(key, range);
        return haul_fail(error, HAUL_E_CONFIG_KEY, "%s: %s cannot be \"%.48s\": %s", where,
                         haul_conf_table[key].name, text, range);
    }
    if (origin < value->origin)
        return 0;
    value->origin = origin;
    value->number = number;
    memcpy(value->text, text, bytes + 1);
    return 0;
}

int haul_conf_set(struct haul_conf *conf, const char *key_value, struct haul_error *error)
{
    const char *equals = strchr(key_value, '=');
    char name[NAME_BYTES];
    enum haul_conf_key key;

    if (equals == NULL || equals - key_value >= (ptrdiff_t)sizeof name)
        return haul_fail(error, HAUL_E_CONFIG_KEY, "--set: \"%.64s\" is not section.key=value",
                         key_value);
    memcpy(name, key_value, (size_t)(equals - key_value));
    name[equals - key_value] = 0;
    if (haul_conf_key_find("--set", name, &key, error) != 0)
        return -1;
    return haul_conf_take(conf, "--set", key, equals + 1, HAUL_CONF_OPTION, error);
}

/* HAUL_SECTION_KEY of section.key. */
static void variable_name(const char *key, char name[NAME_BYTES + 5])
{
    size_t at = 5;

    memcpy(name, "HAUL_", 5);
    for (; *key != 0; key++) {
        if (*key >= 'a' && *key <= 'z')
            name[at++] = (char)(*key - 'a' + 'A');
        else
            name[at++] = '_';
    }
    name[at] = 0;
}

/* Does the variable begin like those of a section? Then it must be one of its keys; other HAUL_
 * variables (HAUL_HOME) are none of ours. */
static bool names_section(const char *variable)
{
    char name[NAME_BYTES + 5];

    for (unsigned key = 0; key < HAUL_CONF_COUNT; key++) {
        const char *dot = strchr(haul_conf_table[key].name, '.');

        variable_name(haul_conf_table[key].name, name);
        if (strncmp(variable, name, 5 + (size_t)(dot - haul_conf_table[key].name) + 1) == 0)
            return true;
    }
    return false;
}

static int take_variable(struct haul_conf *conf, const char *variable, struct haul_error *error)
{
    const char *equals = strchr(variable, '=');
    char name[NAME_BYTES + 5];

    for (unsigned key = 0; equals != NULL && key < HAUL_CONF_COUNT; key++) {
        variable_name(haul_conf_table[key].name, name);
        if (strlen(name) == (size_t)(equals - variable) &&
            memcmp(name, variable, strlen(name)) == 0)
            return haul_conf_take(conf, name, (enum haul_conf_key)key, equals + 1,
                                  HAUL_CONF_ENVIRONMENT, error);
    }
    if (equals == NULL || !names_section(variable))
        return 0;
    return haul_fail(error, HAUL_E_CONFIG_KEY, "the environment: no key is set by %.*s",
                     equals - variable < 64 ? (int)(equals - variable) : 64, variable);
}

int haul_conf_environment(struct haul_conf *conf, char *const *environment,
                          struct haul_error *error)
{
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, "HAUL_", 5) == 0 && take_variable(conf, *environment, error) != 0)
            return -1;
    }
    return 0;
}

bool haul_conf_bool(const struct haul_conf *conf, enum haul_conf_key key)
{
    haul_assert(haul_conf_table[key].kind == HAUL_CONF_KIND_BOOL);
    return conf->values[key].number != 0;
}

uint64_t haul_conf_number(const struct haul_conf *conf, enum haul_conf_key key)
{
    enum haul_conf_kind kind = haul_conf_table[key].kind;

    haul_assert(kind == HAUL_CONF_KIND_COUNT || kind == HAUL_CONF_KIND_SIZE ||
                kind == HAUL_CONF_KIND_RATE || kind == HAUL_CONF_KIND_DURATION);
    return conf->values[key].number;
}

const char *haul_conf_text(const struct haul_conf *conf, enum haul_conf_key key)
{
    return conf->values[key].text;
}

bool haul_conf_is(const struct haul_conf *conf, enum haul_conf_key key, const char *choice)
{
    haul_assert(haul_conf_table[key].kind == HAUL_CONF_KIND_CHOICE);
    return strcmp(conf->values[key].text, choice) == 0;
}

size_t haul_conf_addresses(const struct haul_conf *conf, enum haul_conf_key key,
                           struct haul_addr addresses[HAUL_CONF_ITEMS_MAX])
{
    const char *cursor = conf->values[key].text, *item;
    size_t bytes, count = 0;

    haul_assert(haul_conf_table[key].kind == HAUL_CONF_KIND_ADDRESSES);
    while (haul_conf_item_next(&cursor, &item, &bytes))
        haul_assert(haul_conf_address_parse(item, bytes, &addresses[count++]));
    return count;
}

size_t haul_conf_networks(const struct haul_conf *conf, enum haul_conf_key key,
                          struct haul_prefix networks[HAUL_CONF_ITEMS_MAX])
{
    const char *cursor = conf->values[key].text, *item;
    size_t bytes, count = 0;

    haul_assert(haul_conf_table[key].kind == HAUL_CONF_KIND_NETWORKS);
    while (haul_conf_item_next(&cursor, &item, &bytes))
        haul_assert(haul_prefix_parse(item, bytes, &networks[count++]));
    return count;
}

enum haul_conf_origin haul_conf_origin(const struct haul_conf *conf, enum haul_conf_key key)
{
    return conf->values[key].origin;
}
