/* The configuration as people see it: the listing of `haul config`, and the default file with
 * everything commented out. */
#include "common/conf_value.h"

#include <string.h>

#define WIDTH 90u /* of the prose in the default file */

const char *haul_conf_origin_name(enum haul_conf_origin origin)
{
    switch (origin) {
    case HAUL_CONF_DEFAULT:
        return "default";
    case HAUL_CONF_FILE:
        return "file";
    case HAUL_CONF_ENVIRONMENT:
        return "environment";
    case HAUL_CONF_OPTION:
        return "option";
    }
    return "unknown";
}

/* A value for a line: an empty one must be seen. */
static const char *shown(const char *text)
{
    return *text == 0 ? "\"\"" : text;
}

void haul_conf_print(const struct haul_conf *conf, FILE *out)
{
    for (unsigned i = 0; i < HAUL_CONF_COUNT; i++) {
        enum haul_conf_key key = (enum haul_conf_key)i;
        char range[HAUL_CONF_RANGE_BYTES];

        haul_conf_range(key, range);
        fprintf(out, "%s = %s  (%s)\n    %s\n    %s\n", haul_conf_table[key].name,
                shown(haul_conf_text(conf, key)),
                haul_conf_origin_name(haul_conf_origin(conf, key)), haul_conf_table[key].meaning,
                range);
    }
}

/* Prose in comment lines of at most WIDTH signs. */
static void comment(FILE *out, const char *indent, const char *text)
{
    while (*text != 0) {
        size_t length = strlen(text), room = WIDTH - strlen(indent) - 2;

        if (length > room) {
            for (length = room; text[length] != ' ';)
                length--;
        }
        fprintf(out, "%s# %.*s\n", indent, (int)length, text);
        text += length;
        while (*text == ' ')
            text++;
    }
}

static void generate_value(FILE *out, const struct haul_conf_info *info)
{
    bool list = info->kind == HAUL_CONF_KIND_LIST || info->kind == HAUL_CONF_KIND_ADDRESSES ||
                info->kind == HAUL_CONF_KIND_NETWORKS;
    const char *cursor = info->value, *item;
    bool first = true;
    size_t bytes;

    fprintf(out, "  #%s:", strchr(info->name, '.') + 1);
    if (!list) {
        fprintf(out, " %s\n", shown(info->value));
        return;
    }
    fprintf(out, " [");
    while (haul_conf_item_next(&cursor, &item, &bytes)) {
        fprintf(out, "%s\"%.*s\"", first ? "" : ", ", (int)bytes, item);
        first = false;
    }
    fprintf(out, "]\n");
}

void haul_conf_generate(FILE *out)
{
    const char *last = "";

    fprintf(out,
            "# The configuration of a haul node: config.yaml in its home directory. Every key is\n"
            "# here with its default; take away the # before a key to set it. The environment\n"
            "# (HAUL_SECTION_KEY) and --set section.key=value are stronger than this file. A key\n"
            "# takes effect when the node starts. `haul config` lists what is in force and why.\n"
            "#\n"
            "# Sizes are binary (64K, 64KiB), rates decimal (10Gbit, 1.5GB/s), times have a unit\n"
            "# (200ms, 5m).\n");
    for (unsigned i = 0; i < HAUL_CONF_COUNT; i++) {
        enum haul_conf_key key = (enum haul_conf_key)i;
        const struct haul_conf_info *info = &haul_conf_table[key];
        size_t section = strcspn(info->name, ".");
        char range[HAUL_CONF_RANGE_BYTES];

        if (strncmp(info->name, last, section + 1) != 0)
            fprintf(out, "\n%.*s:\n", (int)section, info->name);
        else
            fprintf(out, "\n");
        last = info->name;
        haul_conf_range(key, range);
        comment(out, "  ", info->meaning);
        comment(out, "  ", range);
        generate_value(out, info);
    }
}
