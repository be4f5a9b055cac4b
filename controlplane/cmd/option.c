/* The parser knows no option by name: everything comes from the table. */
#include "controlplane/cmd/option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct haul_option_info haul_option_table[HAUL_OPTION_COUNT] = {
#define X(constant, name, kind, value, choices, help)                                              \
    [HAUL_OPTION_##constant] = { name, HAUL_OPTION_KIND_##kind, value, choices, help },
    HAUL_OPTIONS(X)
#undef X
};

/* Digits, then a suffix: the value and where the suffix begins. */
static bool number_parse(const char *text, uint64_t *value, const char **suffix)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    *suffix = end;
    return errno == 0;
}

bool haul_size_parse(const char *text, uint64_t *bytes)
{
    static const char letters[] = "KMGT";
    const char *suffix;
    const char *letter;
    uint64_t value;
    unsigned shift;

    if (!number_parse(text, &value, &suffix))
        return false;
    if (*suffix == '\0' || strcmp(suffix, "B") == 0) {
        *bytes = value;
        return true;
    }
    letter = strchr(letters, *suffix == 'k' ? 'K' : *suffix);
    if (letter == NULL)
        return false;
    shift = 10 * (unsigned)(letter - letters + 1);
    suffix++;
    if (*suffix != '\0' && strcmp(suffix, "B") != 0 && strcmp(suffix, "iB") != 0)
        return false;
    if (value > UINT64_MAX >> shift)
        return false;
    *bytes = value << shift;
    return true;
}

bool haul_duration_parse(const char *text, uint64_t *nanoseconds)
{
    static const struct {
        const char *suffix;
        uint64_t scale;
    } units[] = {
        { "", 1000000000 },          { "s", 1000000000 },           { "ms", 1000000 },
        { "m", 60 * 1000000000ull }, { "h", 3600 * 1000000000ull },
    };
    const char *suffix;
    uint64_t value;

    if (!number_parse(text, &value, &suffix))
        return false;
    for (size_t i = 0; i < HAUL_COUNT_OF(units); i++) {
        if (strcmp(suffix, units[i].suffix) == 0 && value <= UINT64_MAX / units[i].scale) {
            *nanoseconds = value * units[i].scale;
            return true;
        }
    }
    return false;
}

/* Levenshtein's distance over one row; texts longer than the row are never near. */
static size_t edits_between(const char *a, const char *b)
{
    size_t row[64];
    size_t width = strlen(b);

    if (width >= HAUL_COUNT_OF(row))
        return SIZE_MAX;
    for (size_t i = 0; i <= width; i++)
        row[i] = i;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t corner = row[0];

        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t change = corner + (a[i - 1] != b[j - 1]);
            size_t least = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;

            corner = row[j];
            row[j] = change < least ? change : least;
        }
    }
    return row[width];
}

const char *haul_nearest(const char *text, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    size_t least = strlen(text) / 2 + 1;

    if (least > 4)
        least = 4;
    for (size_t i = 0; i < count; i++) {
        size_t edits = edits_between(text, candidates[i]);

        if (edits < least) {
            least = edits;
            nearest = candidates[i];
        }
    }
    return nearest;
}

bool haul_options_has(const struct haul_options *options, enum haul_option option)
{
    return (options->given >> option & 1) != 0;
}

static int unknown_option(const char *name, size_t length, uint64_t allowed,
                          struct haul_error *error)
{
    const char *candidates[HAUL_OPTION_COUNT];
    const char *nearest;
    size_t count = 0;
    char text[48];

    for (size_t i = 0; i < HAUL_OPTION_COUNT; i++) {
        if (allowed >> i & 1)
            candidates[count++] = haul_option_table[i].name;
    }
    snprintf(text, sizeof text, "%.*s", (int)(length < 40 ? length : 40), name);
    nearest = haul_nearest(text, candidates, count);
    if (nearest != NULL)
        return haul_fail(error, HAUL_E_USAGE, "no option --%s here; did you mean --%s?", text,
                         nearest);
    return haul_fail(error, HAUL_E_USAGE, "no option --%s here", text);
}

static enum haul_option option_find(const char *name, size_t length, uint64_t allowed)
{
    for (unsigned i = 0; i < HAUL_OPTION_COUNT; i++) {
        const char *known = haul_option_table[i].name;

        if ((allowed >> i & 1) != 0 && strlen(known) == length && memcmp(known, name, length) == 0)
            return (enum haul_option)i;
    }
    return HAUL_OPTION_COUNT;
}

static bool choice_holds(const char *choices, const char *value)
{
    size_t length = strlen(value);

    while (length > 0) {
        size_t one = strcspn(choices, "|");

        if (one == length && memcmp(choices, value, one) == 0)
            return true;
        if (choices[one] == '\0')
            break;
        choices += one + 1;
    }
    return false;
}

static int value_take(enum haul_option option, const char *value, struct haul_options *options,
                      struct haul_error *error)
{
    const struct haul_option_info *info = &haul_option_table[option];
    uint64_t *number = &options->number[option];
    bool good = true;

    switch (info->kind) {
    case HAUL_OPTION_KIND_FLAG:
        break;
    case HAUL_OPTION_KIND_TEXT: /* an empty one is a variable that was never set */
        if (value[0] == '\0')
            return haul_fail(error, HAUL_E_USAGE, "--%s needs a value (%s)", info->name,
                             info->value);
        break;
    case HAUL_OPTION_KIND_LIST:
        if (options->list_count == HAUL_OPTION_LIST_MAX)
            return haul_fail(error, HAUL_E_USAGE, "--%s was given more than %u times", info->name,
                             HAUL_OPTION_LIST_MAX);
        options->list_of[options->list_count] = option;
        options->list[options->list_count++] = value;
        break;
    case HAUL_OPTION_KIND_CHOICE:
        if (!choice_holds(info->choices, value))
            return haul_fail(error, HAUL_E_USAGE, "--%s takes %s, not '%.60s'", info->name,
                             info->choices, value);
        break;
    case HAUL_OPTION_KIND_SIZE:
        good = haul_size_parse(value, number);
        break;
    case HAUL_OPTION_KIND_DURATION:
        good = haul_duration_parse(value, number);
        break;
    case HAUL_OPTION_KIND_COUNT:
        good = haul_size_parse(value, number) && *number >= 1 && *number <= 1000000;
        break;
    }
    if (!good)
        return haul_fail(error, HAUL_E_USAGE, "--%s takes a %s, not '%.60s'", info->name,
                         info->kind == HAUL_OPTION_KIND_SIZE       ? "size such as 64M or 2G"
                         : info->kind == HAUL_OPTION_KIND_DURATION ? "time such as 30s or 5m"
                                                                   : "number from 1 to 1000000",
                         value);
    options->text[option] = value;
    options->given |= UINT64_C(1) << option;
    return 0;
}

/* One option at argv[*at]; moves *at over its value when that is a word of its own. */
static int option_take(int argc, char *const *argv, int *at, uint64_t allowed,
                       struct haul_options *options, struct haul_error *error)
{
    bool brief = strcmp(argv[*at], "-o") == 0;
    const char *name = brief ? "output" : argv[*at] + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    enum haul_option option = option_find(name, length, allowed);

    if (option == HAUL_OPTION_COUNT)
        return unknown_option(name, length, allowed, error);
    if (haul_option_table[option].kind == HAUL_OPTION_KIND_FLAG) {
        if (value != NULL)
            return haul_fail(error, HAUL_E_USAGE, "--%s takes no value",
                             haul_option_table[option].name);
        return value_take(option, "", options, error);
    }
    if (value == NULL) {
        if (*at + 1 >= argc)
            return haul_fail(error, HAUL_E_USAGE, "--%s needs a value (%s)",
                             haul_option_table[option].name, haul_option_table[option].value);
        value = argv[++*at];
    }
    return value_take(option, value, options, error);
}

int haul_options_parse(int argc, char *const *argv, uint64_t allowed, struct haul_options *options,
                       struct haul_error *error)
{
    struct haul_options parsed = { 0 };
    bool only_arguments = false;

    for (int at = 0; at < argc; at++) {
        const char *word = argv[at];
        bool option = word[0] == '-' && word[1] != '\0';

        if (!only_arguments && strcmp(word, "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments && option) {
            if (word[1] != '-' && strcmp(word, "-o") != 0)
                return haul_fail(error, HAUL_E_USAGE, "no short option '%.20s'", word);
            if (option_take(argc, argv, &at, allowed, &parsed, error) < 0)
                return -1;
        } else if (parsed.argument_count == HAUL_ARGUMENTS_MAX) {
            return haul_fail(error, HAUL_E_USAGE, "more than %u arguments", HAUL_ARGUMENTS_MAX);
        } else {
            parsed.arguments[parsed.argument_count++] = word;
        }
    }
    *options = parsed;
    return 0;
}

size_t haul_options_list(const struct haul_options *options, enum haul_option option,
                         const char *values[HAUL_OPTION_LIST_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < options->list_count; i++) {
        if (options->list_of[i] == option)
            values[count++] = options->list[i];
    }
    return count;
}
