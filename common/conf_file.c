/* config.yaml through libyaml's events: a mapping of sections to mappings of keys to scalars or,
 * for lists, sequences of scalars. Events know their line, which a refusal names. Anchors, aliases,
 * tags and a second document have no meaning here and are refused; so is a key that comes twice. */
#include "common/conf_value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define WHERE_BYTES 64u
#define NAME_BYTES  64u

struct reader {
    struct haul_conf *conf;
    const char *name; /* of the file, for refusals */
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    bool seen[HAUL_CONF_COUNT];
    struct haul_error *error;
};

static void reader_where(const struct reader *reader, char where[WHERE_BYTES])
{
    size_t line =
        reader->has_event ? reader->event.start_mark.line : reader->parser.problem_mark.line;
    size_t length = strlen(reader->name);
    const char *name = length > 40 ? reader->name + length - 40 : reader->name;

    snprintf(where, WHERE_BYTES, "%s:%zu", name, line + 1);
}

static int refuse(const struct reader *reader, const char *what)
{
    char where[WHERE_BYTES];

    reader_where(reader, where);
    return haul_fail(reader->error, HAUL_E_CONFIG_KEY, "%s: %s", where, what);
}

/* Reads the next event; -1 when the text is not YAML. */
static int advance(struct reader *reader)
{
    if (reader->has_event)
        yaml_event_delete(&reader->event);
    reader->has_event = yaml_parser_parse(&reader->parser, &reader->event) == 1;
    if (!reader->has_event)
        return refuse(reader, reader->parser.problem == NULL ? "the text is not YAML"
                                                             : reader->parser.problem);
    return 0;
}

/* The text of a plain or quoted scalar; NULL for every other event, an anchor or a tag. */
static const char *scalar(const struct reader *reader)
{
    const yaml_event_t *event = &reader->event;

    if (event->type != YAML_SCALAR_EVENT || event->data.scalar.anchor != NULL ||
        event->data.scalar.tag != NULL ||
        strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
        return NULL;
    return (const char *)event->data.scalar.value;
}

/* Nothing behind the colon: a section or list all of whose lines are comments. */
static bool is_nothing(const struct reader *reader)
{
    const char *text = scalar(reader);

    return text != NULL && reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (*text == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static bool is_list(enum haul_conf_key key)
{
    return haul_conf_table[key].kind == HAUL_CONF_KIND_LIST ||
           haul_conf_table[key].kind == HAUL_CONF_KIND_ADDRESSES ||
           haul_conf_table[key].kind == HAUL_CONF_KIND_NETWORKS;
}

/* Joins a sequence of scalars; its start was read. */
static int read_sequence(struct reader *reader, char text[HAUL_CONF_TEXT_BYTES])
{
    size_t used = 0;

    for (;;) {
        const char *item;
        size_t bytes;

        if (advance(reader) != 0)
            return -1;
        if (reader->event.type == YAML_SEQUENCE_END_EVENT)
            break;
        item = scalar(reader);
        if (item == NULL || *item == 0 || strchr(item, ',') != NULL)
            return refuse(reader, "an item of a list is not a single value");
        bytes = strlen(item);
        if (used + bytes + sizeof ", " > HAUL_CONF_TEXT_BYTES)
            return refuse(reader, "a list is too long");
        if (used > 0) {
            memcpy(text + used, ", ", 2);
            used += 2;
        }
        memcpy(text + used, item, bytes);
        used += bytes;
    }
    text[used] = 0;
    return 0;
}

static int read_value(struct reader *reader, enum haul_conf_key key)
{
    char where[WHERE_BYTES], list[HAUL_CONF_TEXT_BYTES] = "";
    const char *text = scalar(reader);

    reader_where(reader, where);
    if (reader->event.type == YAML_SEQUENCE_START_EVENT && is_list(key) &&
        reader->event.data.sequence_start.anchor == NULL &&
        reader->event.data.sequence_start.tag == NULL) {
        if (read_sequence(reader, list) != 0)
            return -1;
        text = list;
    } else if (is_list(key) && is_nothing(reader)) {
        text = list;
    }
    if (text == NULL)
        return refuse(reader, is_list(key) ? "a list of values belongs here"
                                           : "a single value belongs here");
    return haul_conf_take(reader->conf, where, key, text, HAUL_CONF_FILE, reader->error);
}

/* "section.key", when it fits. */
static bool join_name(char name[NAME_BYTES], const char *section, const char *key)
{
    size_t at = strlen(section), bytes = strlen(key);

    if (at + 1 + bytes >= NAME_BYTES)
        return false;
    memcpy(name, section, at);
    name[at] = '.';
    memcpy(name + at + 1, key, bytes + 1);
    return true;
}

/* Keys of a section, up to its end. */
static int read_section(struct reader *reader, const char *section)
{
    for (;;) {
        char name[NAME_BYTES], where[WHERE_BYTES];
        enum haul_conf_key key;
        const char *text;

        if (advance(reader) != 0)
            return -1;
        if (reader->event.type == YAML_MAPPING_END_EVENT)
            return 0;
        text = scalar(reader);
        if (text == NULL || !join_name(name, section, text))
            return refuse(reader, "the name of a key belongs here");
        reader_where(reader, where);
        if (haul_conf_key_find(where, name, &key, reader->error) != 0)
            return -1;
        if (reader->seen[key])
            return refuse(reader, "this key was set above already");
        reader->seen[key] = true;
        if (advance(reader) != 0 || read_value(reader, key) != 0)
            return -1;
    }
}

static bool is_mapping(const struct reader *reader)
{
    return reader->event.type == YAML_MAPPING_START_EVENT &&
           reader->event.data.mapping_start.anchor == NULL &&
           reader->event.data.mapping_start.tag == NULL;
}

/* Sections, up to the end of the document. */
static int read_sections(struct reader *reader)
{
    for (;;) {
        char section[NAME_BYTES];
        const char *text;

        if (advance(reader) != 0)
            return -1;
        if (reader->event.type == YAML_MAPPING_END_EVENT)
            return 0;
        text = scalar(reader);
        if (text == NULL || strlen(text) >= sizeof section)
            return refuse(reader, "the name of a section belongs here");
        memcpy(section, text, strlen(text) + 1);
        if (advance(reader) != 0)
            return -1;
        if (is_nothing(reader))
            continue;
        if (!is_mapping(reader))
            return refuse(reader, "keys belong into a section (section: { key: value })");
        if (read_section(reader, section) != 0)
            return -1;
    }
}

static int read_stream(struct reader *reader)
{
    if (advance(reader) != 0 || advance(reader) != 0)
        return -1;
    if (reader->event.type == YAML_STREAM_END_EVENT)
        return 0; /* an empty file, or comments alone */
    if (advance(reader) != 0)
        return -1;
    if (!is_nothing(reader)) {
        if (!is_mapping(reader))
            return refuse(reader, "the file must be sections of keys");
        if (read_sections(reader) != 0)
            return -1;
    }
    if (advance(reader) != 0 ||
        advance(reader) != 0) /* the end of the document, and what follows */
        return -1;
    if (reader->event.type != YAML_STREAM_END_EVENT)
        return refuse(reader, "a second document has no meaning here");
    return 0;
}

int haul_conf_parse(struct haul_conf *conf, const char *name, const void *yaml, size_t bytes,
                    struct haul_error *error)
{
    struct reader reader = { .conf = conf, .name = name, .error = error };
    int result;

    if (bytes > HAUL_CONF_FILE_BYTES)
        return haul_fail(error, HAUL_E_CONFIG_KEY, "%.128s is larger than %u KiB", name,
                         HAUL_CONF_FILE_BYTES >> 10);
    if (yaml_parser_initialize(&reader.parser) != 1)
        return haul_fail(error, HAUL_E_LIMIT, "no memory to read %.128s", name);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, yaml, bytes);
    result = read_stream(&reader);
    if (reader.has_event)
        yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return result;
}

int haul_conf_load(struct haul_conf *conf, const char *path, struct haul_error *error)
{
    FILE *file = fopen(path, "rbe");
    char *text;
    size_t bytes;
    int result;

    if (file == NULL) {
        if (errno == ENOENT)
            return 0;
        return haul_fail(error, HAUL_E_CONFIG_KEY, "%.128s: %m", path);
    }
    text = malloc(HAUL_CONF_FILE_BYTES + 1); /* one more shows that there is more */
    bytes = text == NULL ? 0 : fread(text, 1, HAUL_CONF_FILE_BYTES + 1, file);
    if (text == NULL || ferror(file) != 0)
        result = haul_fail(error, HAUL_E_CONFIG_KEY, "%.128s cannot be read: %m", path);
    else
        result = haul_conf_parse(conf, path, text, bytes, error);
    free(text);
    fclose(file);
    return result;
}
