#include "controlplane/cmd/print.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool haul_print_fancy(FILE *stream)
{
    const char *none = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");

    return isatty(fileno(stream)) && (none == NULL || none[0] == '\0') && terminal != NULL &&
           strcmp(terminal, "dumb") != 0;
}

void haul_print_json(json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    fputc('\n', stdout);
    fflush(stdout);
    json_decref(object);
}

static json_t *text_json(const char *text)
{
    char *escaped = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&escaped, &bytes);
    json_t *value;

    if (stream == NULL)
        return json_null();
    haul_print_escaped(text, stream);
    fclose(stream);
    value = json_stringn(escaped, bytes);
    free(escaped);
    return value;
}

json_t *haul_print_name(const char *name)
{
    json_t *value = json_string(name);

    return value != NULL ? value : text_json(name);
}

int haul_print_error(const struct haul_options *options, const struct haul_error *error)
{
    bool fancy = haul_print_fancy(stderr);

    if (options != NULL && haul_options_has(options, HAUL_OPTION_JSON)) {
        json_t *object = json_object();

        json_object_set_new(object, "event", json_string("error"));
        json_object_set_new(object, "code", json_string(haul_error_name(error->code)));
        json_object_set_new(object, "text", text_json(error->text));
        json_object_set_new(object, "next", json_string(haul_error_next(error->code)));
        haul_print_json(object);
    } else {
        fprintf(stderr, "%shaul:%s ", fancy ? "\033[31m" : "", fancy ? "\033[0m" : "");
        haul_print_escaped(error->text, stderr);
        fprintf(stderr, " [%s]\n      %s\n", haul_error_name(error->code),
                haul_error_next(error->code));
    }
    if (error->code == HAUL_E_USAGE)
        return HAUL_EXIT_USAGE;
    return error->code == HAUL_E_NOT_POSSIBLE ? HAUL_EXIT_NOT_POSSIBLE : HAUL_EXIT_FAILED;
}

void haul_print_note(const struct haul_options *options, const char *format, ...)
{
    va_list arguments;

    if (haul_options_has(options, HAUL_OPTION_QUIET) || haul_options_has(options, HAUL_OPTION_JSON))
        return;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

/* Bytes of the well-formed UTF-8 sequence at `text`, 0 when it is not one. */
static size_t sequence_bytes(const unsigned char *text)
{
    static const struct {
        unsigned char first, last, low, high;
        size_t bytes;
    } forms[] = {
        { 0x20, 0x7e, 0, 0, 1 },       { 0xc2, 0xc2, 0xa0, 0xbf, 2 }, { 0xc3, 0xdf, 0x80, 0xbf, 2 },
        { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
        { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
        { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(forms); i++) {
        if (text[0] < forms[i].first || text[0] > forms[i].last)
            continue;
        if (forms[i].bytes > 1 && (text[1] < forms[i].low || text[1] > forms[i].high))
            return 0;
        for (size_t j = 2; j < forms[i].bytes; j++) {
            if (text[j] < 0x80 || text[j] > 0xbf)
                return 0;
        }
        return forms[i].bytes;
    }
    return 0;
}

void haul_print_escaped(const char *text, FILE *stream)
{
    while (*text != '\0') {
        size_t bytes = sequence_bytes((const unsigned char *)text);

        if (bytes == 0) {
            fprintf(stream, "\\x%02x", (unsigned char)*text);
            text++;
        } else {
            fwrite(text, 1, bytes, stream);
            text += bytes;
        }
    }
}
