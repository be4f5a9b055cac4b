/* The table of keys, and the range of each in words. */
#include "common/conf.h"

#include <string.h>

const struct haul_conf_info haul_conf_table[HAUL_CONF_COUNT] = {
#define X(constant, name, kind, value, range, meaning)                                             \
    { name, HAUL_CONF_KIND_##kind, value, range, meaning },
    HAUL_CONF_KEYS(X)
#undef X
};

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
