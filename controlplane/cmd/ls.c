/* haul ls: the datasets of this node, or the entries of a directory in one, here or at a peer. */
#include "controlplane/cmd/attach.h"
#include "controlplane/cmd/print.h"
#include "controlplane/content/read.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct row {
    char *name;
    char *target;
    char cid[HAUL_CID_TEXT_BYTES];
    Haul__Ctl__Kind kind;
    uint64_t size;
    uint32_t mode;
    bool has_mode;
};

struct rows {
    struct row *rows;
    size_t count;
    size_t capacity;
};

static char *text_of(ProtobufCBinaryData data)
{
    return strndup(data.data == NULL ? "" : (const char *)data.data, data.len);
}

/* Entries come in the order in which their nodes arrived. */
static int row_add(struct rows *rows, const Haul__Ctl__Entry *entry, struct haul_error *error)
{
    struct row row = { .kind = entry->kind,
                       .size = entry->size,
                       .mode = entry->mode,
                       .has_mode = entry->has_mode,
                       .name = text_of(entry->path),
                       .target = text_of(entry->target) };

    if (rows->count == rows->capacity) {
        size_t wanted = rows->capacity * 2 + 64;
        struct row *grown = realloc(rows->rows, wanted * sizeof *grown);

        if (grown == NULL)
            return haul_fail(error, HAUL_E_SYSTEM, "no memory for the list");
        rows->rows = grown;
        rows->capacity = wanted;
    }
    snprintf(row.cid, sizeof row.cid, "%s", entry->cid);
    rows->rows[rows->count++] = row;
    return 0;
}

static int row_compare(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static void row_show(const struct haul_options *options, const struct row *row)
{
    static const char *const kinds[] = { "file", "directory", "link", "", "" };
    bool sized = row->kind == HAUL__CTL__KIND__FILE && row->size != HAUL_READ_SIZE_UNKNOWN;

    if (haul_options_has(options, HAUL_OPTION_JSON)) {
        json_t *object = json_object();

        json_object_set_new(object, "name", haul_print_name(row->name));
        json_object_set_new(object, "kind", json_string(kinds[row->kind]));
        json_object_set_new(object, "cid", json_string(row->cid));
        if (sized)
            json_object_set_new(object, "bytes", json_integer((json_int_t)row->size));
        if (row->kind == HAUL__CTL__KIND__LINK)
            json_object_set_new(object, "target", haul_print_name(row->target));
        if (row->has_mode)
            json_object_set_new(object, "mode", json_integer(row->mode));
        haul_print_json(object);
        return;
    }
    if (sized)
        printf("%14" PRIu64 "  ", row->size);
    else
        printf("%14s  ", "-");
    haul_print_escaped(row->name, stdout);
    if (row->kind == HAUL__CTL__KIND__DIRECTORY)
        putchar('/');
    if (row->kind == HAUL__CTL__KIND__LINK) {
        fputs(" -> ", stdout);
        haul_print_escaped(row->target, stdout);
    }
    putchar('\n');
}

static json_t *texts_json(char *const *texts, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(texts[i]));
    return list;
}

static void dataset_show(const struct haul_options *options, const Haul__Ctl__Dataset *dataset)
{
    const char *shared = dataset->shared_to_all ? "to all"
                         : dataset->n_peers > 0 ? "to peers"
                                                : "private";
    char denied[48] = "";

    if (haul_options_has(options, HAUL_OPTION_JSON)) {
        json_t *object = json_object();
        json_object_set_new(object, "cid", json_string(dataset->cid));
        json_object_set_new(object, "name", haul_print_name(dataset->name));
        json_object_set_new(object, "bytes", json_integer((json_int_t)dataset->bytes));
        json_object_set_new(object, "blocks", json_integer((json_int_t)dataset->blocks));
        json_object_set_new(object, "stored", json_integer((json_int_t)dataset->stored_unix));
        json_object_set_new(object, "complete", json_boolean(dataset->complete));
        json_object_set_new(object, "shared_to_all", json_boolean(dataset->shared_to_all));
        json_object_set_new(object, "shared_to", texts_json(dataset->peers, dataset->n_peers));
        json_object_set_new(object, "denied_to", texts_json(dataset->denied, dataset->n_denied));
        haul_print_json(object);
        return;
    }
    if (dataset->n_denied > 0)
        snprintf(denied, sizeof denied, "(denied to %zu) ", dataset->n_denied);
    printf("%s %14" PRIu64 "  %-9s %s%s", dataset->cid, dataset->bytes, shared, denied,
           dataset->complete ? "" : "(incomplete) ");
    haul_print_escaped(dataset->name, stdout);
    putchar('\n');
}

static int ls_run(const struct haul_options *options, struct haul_client *client, struct rows *rows,
                  struct haul_error *error)
{
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__ListAsk list = HAUL__CTL__LIST_ASK__INIT;
    const Haul__Ctl__Answer *answer;
    int got;

    if (options->argument_count > 0)
        list.what = (char *)options->arguments[0];
    list.timeout_ms = options->number[HAUL_OPTION_TIMEOUT] / 1000000;
    ask.what_case = HAUL__CTL__ASK__WHAT_LIST;
    ask.list = &list;
    if (haul_client_ask(client, &ask, error) < 0)
        return -1;
    for (;;) {
        got = haul_client_next(client, -1, &answer, error);
        if (got < 0)
            return -1;
        if (got == 0)
            continue;
        if (answer->what_case == HAUL__CTL__ANSWER__WHAT_DONE)
            return 0;
        if (answer->what_case == HAUL__CTL__ANSWER__WHAT_NOTE)
            haul_print_note(options, "%s", answer->note->text);
        else if (answer->what_case == HAUL__CTL__ANSWER__WHAT_DATASET)
            dataset_show(options, answer->dataset);
        else if (answer->what_case == HAUL__CTL__ANSWER__WHAT_ENTRY &&
                 row_add(rows, answer->entry, error) < 0)
            return -1;
    }
}

int haul_cmd_ls(const struct haul_options *options)
{
    struct haul_attach attach;
    struct rows rows = { 0 };
    struct haul_error error;
    int failed = haul_attach_open(&attach, options, true, &error);

    if (failed == 0) {
        failed = ls_run(options, &attach.client, &rows, &error);
        haul_attach_close(&attach);
    }
    if (rows.count > 0)
        qsort(rows.rows, rows.count, sizeof *rows.rows, row_compare);
    for (size_t i = 0; i < rows.count; i++) {
        if (failed == 0)
            row_show(options, &rows.rows[i]);
        free(rows.rows[i].name);
        free(rows.rows[i].target);
    }
    free(rows.rows);
    return failed < 0 ? haul_print_error(options, &error) : HAUL_EXIT_DONE;
}
