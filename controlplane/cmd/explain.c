/* haul explain: what an error code means and what to do next. */
#include "controlplane/cmd/print.h"

#include <string.h>

static json_t *code_object(enum haul_error_code code)
{
    json_t *object = json_object();

    json_object_set_new(object, "code", json_string(haul_error_name(code)));
    json_object_set_new(object, "meaning", json_string(haul_error_meaning(code)));
    json_object_set_new(object, "next", json_string(haul_error_next(code)));
    return object;
}

static void code_print(const struct haul_options *options, enum haul_error_code code)
{
    if (haul_options_has(options, HAUL_OPTION_JSON))
        haul_print_json(code_object(code));
    else
        printf("%s: %s\n    %s\n", haul_error_name(code), haul_error_meaning(code),
               haul_error_next(code));
}

int haul_cmd_explain(const struct haul_options *options)
{
    const char *names[HAUL_E_COUNT];
    enum haul_error_code code;
    struct haul_error error;
    const char *nearest;

    for (int i = 1; i < HAUL_E_COUNT; i++)
        names[i - 1] = haul_error_name((enum haul_error_code)i);
    if (options->argument_count == 0) {
        for (int i = 1; i < HAUL_E_COUNT; i++)
            code_print(options, (enum haul_error_code)i);
        return HAUL_EXIT_DONE;
    }
    code = haul_error_find(options->arguments[0]);
    if (code == HAUL_E_COUNT) {
        nearest = haul_nearest(options->arguments[0], names, HAUL_E_COUNT - 1);
        haul_fail(&error, HAUL_E_USAGE, "there is no error code '%.40s'%s%s%s",
                  options->arguments[0], nearest != NULL ? "; did you mean '" : "",
                  nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
        return haul_print_error(options, &error);
    }
    code_print(options, code);
    return HAUL_EXIT_DONE;
}
