/* haul config: every key with its value, where that came from, its range and its meaning; or one
 * key. --set tries a setting without storing it. */
#include "common/conf.h"
#include "controlplane/cmd/print.h"
#include "controlplane/home.h"

#include <stdlib.h>
#include <string.h>

extern char **environ;

static int conf_fill(struct haul_conf *conf, const struct haul_options *options,
                     struct haul_error *error)
{
    char path[HAUL_HOME_PATH_BYTES];
    struct haul_home home;
    int failed;

    /* A home that is not there yet has no file: its defaults are what is asked for. */
    if (haul_home_open(&home, options->text[HAUL_OPTION_HOME], false, error) == 0) {
        haul_home_path(&home, "config.yaml", path);
        haul_home_close(&home);
        failed = haul_conf_load(conf, path, error);
        if (failed < 0)
            return -1;
    } else if (error->code != HAUL_E_NODE_ABSENT) {
        return -1;
    }
    if (haul_conf_environment(conf, environ, error) < 0)
        return -1;
    for (size_t i = 0; i < options->list_count; i++) {
        if (haul_conf_set(conf, options->list[i], error) < 0)
            return -1;
    }
    return 0;
}

static void key_json(const struct haul_conf *conf, enum haul_conf_key key)
{
    json_t *object = json_object();
    char range[HAUL_CONF_RANGE_BYTES];

    haul_conf_range(key, range);
    json_object_set_new(object, "key", json_string(haul_conf_table[key].name));
    json_object_set_new(object, "value", json_string(haul_conf_text(conf, key)));
    json_object_set_new(object, "origin",
                        json_string(haul_conf_origin_name(haul_conf_origin(conf, key))));
    json_object_set_new(object, "default", json_string(haul_conf_table[key].value));
    json_object_set_new(object, "range", json_string(range));
    json_object_set_new(object, "meaning", json_string(haul_conf_table[key].meaning));
    haul_print_json(object);
}

static void key_print(const struct haul_conf *conf, enum haul_conf_key key)
{
    char range[HAUL_CONF_RANGE_BYTES];

    haul_conf_range(key, range);
    printf("%s: %s\n    %s; %s\n    default %s, now from %s\n", haul_conf_table[key].name,
           haul_conf_text(conf, key), haul_conf_table[key].meaning, range,
           haul_conf_table[key].value[0] == '\0' ? "empty" : haul_conf_table[key].value,
           haul_conf_origin_name(haul_conf_origin(conf, key)));
}

static int key_find(const char *name, enum haul_conf_key *key, struct haul_error *error)
{
    const char *names[HAUL_CONF_COUNT];
    const char *nearest;

    for (unsigned i = 0; i < HAUL_CONF_COUNT; i++) {
        names[i] = haul_conf_table[i].name;
        if (strcmp(names[i], name) == 0) {
            *key = (enum haul_conf_key)i;
            return 0;
        }
    }
    nearest = haul_nearest(name, names, HAUL_CONF_COUNT);
    return haul_fail(error, HAUL_E_CONFIG_KEY, "there is no key '%.60s'%s%s%s", name,
                     nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                     nearest != NULL ? "'?" : "");
}

static int config_run(struct haul_conf *conf, const struct haul_options *options,
                      struct haul_error *error)
{
    bool json = haul_options_has(options, HAUL_OPTION_JSON);
    enum haul_conf_key key = HAUL_CONF_COUNT;

    if (conf_fill(conf, options, error) < 0)
        return -1;
    if (options->argument_count > 0) {
        if (key_find(options->arguments[0], &key, error) < 0)
            return -1;
        json ? key_json(conf, key) : key_print(conf, key);
    } else if (json) {
        for (unsigned i = 0; i < HAUL_CONF_COUNT; i++)
            key_json(conf, (enum haul_conf_key)i);
    } else {
        haul_conf_print(conf, stdout);
    }
    return 0;
}

int haul_cmd_config(const struct haul_options *options)
{
    struct haul_conf *conf = haul_conf_open();
    struct haul_error error;
    int failed;

    if (conf == NULL)
        failed = haul_fail(&error, HAUL_E_SYSTEM, "no memory for the configuration");
    else
        failed = config_run(conf, options, &error);
    haul_conf_close(conf);
    return failed < 0 ? haul_print_error(options, &error) : HAUL_EXIT_DONE;
}
