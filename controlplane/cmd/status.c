/* haul status: what the running node is, uses and does. */
#include "controlplane/cmd/attach.h"
#include "controlplane/cmd/print.h"

#include <inttypes.h>
#include <string.h>

static json_t *value_json(const Haul__Ctl__Fact *fact)
{
    switch (fact->value_case) {
    case HAUL__CTL__FACT__VALUE_NUMBER:
        return json_integer((json_int_t)fact->number);
    case HAUL__CTL__FACT__VALUE_TEXT:
        return json_string(fact->text);
    case HAUL__CTL__FACT__VALUE_FLAG:
        return json_boolean(fact->flag);
    case HAUL__CTL__FACT__VALUE_REAL:
        return json_real(fact->real);
    case HAUL__CTL__FACT__VALUE__NOT_SET:
    case _HAUL__CTL__FACT__VALUE__CASE_IS_INT_SIZE:
        break;
    }
    return json_null();
}

/* Facts that share a group and a name become an array: addresses, ciphers. */
static void fact_add(json_t *groups, const Haul__Ctl__Fact *fact)
{
    json_t *group = json_object_get(groups, fact->group);
    json_t *known;
    json_t *list;

    if (group == NULL) {
        group = json_object();
        json_object_set_new(groups, fact->group, group);
    }
    known = json_object_get(group, fact->name);
    if (known == NULL) {
        json_object_set_new(group, fact->name, value_json(fact));
    } else if (json_is_array(known)) {
        json_array_append_new(known, value_json(fact));
    } else {
        list = json_array();
        json_array_append(list, known);
        json_array_append_new(list, value_json(fact));
        json_object_set_new(group, fact->name, list);
    }
}

static void fact_print(const Haul__Ctl__Fact *fact, char *group, size_t capacity)
{
    if (strcmp(group, fact->group) != 0) {
        snprintf(group, capacity, "%s", fact->group);
        printf("%s\n", group);
    }
    printf("  %-26s ", fact->name);
    switch (fact->value_case) {
    case HAUL__CTL__FACT__VALUE_NUMBER:
        printf("%" PRIu64, fact->number);
        break;
    case HAUL__CTL__FACT__VALUE_TEXT:
        haul_print_escaped(fact->text, stdout);
        break;
    case HAUL__CTL__FACT__VALUE_FLAG:
        fputs(fact->flag ? "yes" : "no", stdout);
        break;
    case HAUL__CTL__FACT__VALUE_REAL:
        printf("%.1f", fact->real);
        break;
    case HAUL__CTL__FACT__VALUE__NOT_SET:
    case _HAUL__CTL__FACT__VALUE__CASE_IS_INT_SIZE:
        break;
    }
    if (fact->help[0] != '\0')
        printf("   (%s)", fact->help);
    putchar('\n');
}

static int status_run(const struct haul_options *options, struct haul_client *client,
                      struct haul_error *error)
{
    bool json = haul_options_has(options, HAUL_OPTION_JSON);
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__Empty empty = HAUL__CTL__EMPTY__INIT;
    const Haul__Ctl__Answer *answer;
    json_t *groups = json_object();
    char group[32] = "";
    int got;

    ask.what_case = HAUL__CTL__ASK__WHAT_STATUS;
    ask.status = &empty;
    got = haul_client_ask(client, &ask, error);
    while (got == 0) {
        got = haul_client_next(client, -1, &answer, error);
        if (got < 0 || answer->what_case != HAUL__CTL__ANSWER__WHAT_FACT)
            break;
        got = 0;
        if (json)
            fact_add(groups, answer->fact);
        else
            fact_print(answer->fact, group, sizeof group);
    }
    if (json && got > 0)
        haul_print_json(groups);
    else
        json_decref(groups);
    return got < 0 ? -1 : 0;
}

int haul_cmd_status(const struct haul_options *options)
{
    struct haul_attach attach;
    struct haul_error error;
    int failed = haul_attach_open(&attach, options, false, &error);

    if (failed == 0) {
        failed = status_run(options, &attach.client, &error);
        haul_attach_close(&attach);
    }
    return failed < 0 ? haul_print_error(options, &error) : HAUL_EXIT_DONE;
}
