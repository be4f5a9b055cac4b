/* The configuration as people see it: the range of a key in words, the listing of `haul config`,
 * and the default file with everything commented out. */
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

/* "a|b|c" as "a, b or c", "1..8" as "1 to 8". */
static void range_words(const char *range, char text[HAUL_CONF_RANGE_BYTES])
{
    const char *last = strrchr(range, '|');
    size_t at = 0;

    for (const char *from = range; *from != 0 && at + 8 < HAUL_CONF_RANGE_BYTES; from++) {
        const char *word = NULL;

        if (*from == '|')
            word = from == last ? " or " : ", ";
        else if (strncmp(from, "..", 2) == 0)
            word = " to ";
        if (word == NULL) {
            text[at++] = *from;
            continue;
        }
        from += *from == '.';
        memcpy(text + at, word, strlen(word));
        at += strlen(word);
    }
    text[at] = 0;
}

void haul_conf_range(enum haul_conf_key key, char text[HAUL_CONF_RANGE_BYTES])
{
    const struct haul_conf_info *info = &haul_conf_table[key];
    const char *words = NULL;

    switch (info->kind) {
    case HAUL_CONF_KIND_BOOL:
        words = "true or false";
        break;
    case HAUL_CONF_KIND_TEXT:
        words = info->range == NULL ? "any text, or none" : info->range;
        break;
    case HAUL_CONF_KIND_LIST:
        words = info->range;
        break;
    case HAUL_CONF_KIND_ADDRESSES:
        words = "addresses such as 192.0.2.1:4501, [2001:db8::1]:4501 or /ip4/192.0.2.1/tcp/4501";
        break;
    case HAUL_CONF_KIND_NETWORKS:
        words = "networks such as 192.0.2.0/24 or 2001:db8::/32";
        break;
    case HAUL_CONF_KIND_COUNT:
    case HAUL_CONF_KIND_SIZE:
    case HAUL_CONF_KIND_RATE:
    case HAUL_CONF_KIND_DURATION:
    case HAUL_CONF_KIND_CHOICE:
        break;
    }
    if (words != NULL)
        snprintf(text, HAUL_CONF_RANGE_BYTES, "%s", words);
    else
        range_words(info->range == NULL ? "any number" : info->range, text);
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
