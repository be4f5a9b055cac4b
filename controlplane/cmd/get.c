/* haul get: asks the node to fetch a dataset, makes the files it names, and prints the record. */
#include "controlplane/cmd/attach.h"
#include "controlplane/cmd/extract.h"
#include "controlplane/cmd/print.h"
#include "controlplane/cmd/progress.h"
#include "controlplane/transfer/record.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

struct get {
    const struct haul_options *options;
    struct haul_attach attach;
    struct haul_extract extract;
    struct haul_progress progress;
    Haul__Ctl__Sink sink;
    uint64_t moved; /* bytes, as far as the node has told */
};

/* An interrupt closes the connection, which cancels the transfer. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static int data_write(const Haul__Ctl__Data *data, struct haul_error *error)
{
    for (size_t done = 0; done < data->bytes.len;) {
        ssize_t wrote = write(STDOUT_FILENO, data->bytes.data + done, data->bytes.len - done);

        if (wrote < 0 && errno == EINTR && !interrupted)
            continue;
        if (wrote < 0)
            return haul_fail(error, HAUL_E_TARGET_UNWRITABLE, "cannot write standard output: %s",
                             strerror(errno));
        done += (size_t)wrote;
    }
    return 0;
}

static int entry_take(struct get *get, const Haul__Ctl__Entry *entry, struct haul_error *error)
{
    Haul__Ctl__Reply reply = HAUL__CTL__REPLY__INIT;
    Haul__Ctl__Opened opened = HAUL__CTL__OPENED__INIT;
    struct haul_extract_file file;

    if (haul_extract_entry(&get->extract, entry, &file, error) < 0)
        return -1;
    if (entry->kind != HAUL__CTL__KIND__FILE)
        return 0;
    opened.id = entry->id;
    opened.held = file.held;
    reply.what_case = HAUL__CTL__REPLY__WHAT_OPENED;
    reply.opened = &opened;
    return haul_client_reply(&get->attach.client, &reply, file.fd, error);
}

static int flush_take(struct get *get, struct haul_error *error)
{
    Haul__Ctl__Reply reply = HAUL__CTL__REPLY__INIT;
    Haul__Ctl__Empty empty = HAUL__CTL__EMPTY__INIT;

    if (get->sink == HAUL__CTL__SINK__FILES && haul_extract_commit(&get->extract, error) < 0)
        return -1;
    reply.what_case = HAUL__CTL__REPLY__WHAT_FLUSHED;
    reply.flushed = &empty;
    return haul_client_reply(&get->attach.client, &reply, -1, error);
}

/* 1 when the transfer is done. */
static int answer_take(struct get *get, const Haul__Ctl__Answer *answer, struct haul_error *error)
{
    switch (answer->what_case) {
    case HAUL__CTL__ANSWER__WHAT_ENTRY:
        return entry_take(get, answer->entry, error);
    case HAUL__CTL__ANSWER__WHAT_FINISHED:
        return haul_extract_finished(&get->extract, answer->finished->id, error);
    case HAUL__CTL__ANSWER__WHAT_DATA:
        return data_write(answer->data, error);
    case HAUL__CTL__ANSWER__WHAT_PROGRESS:
        get->moved = answer->progress->bytes;
        haul_progress_show(&get->progress, answer->progress);
        return 0;
    case HAUL__CTL__ANSWER__WHAT_NOTE:
        haul_progress_clear(&get->progress);
        haul_print_note(get->options, "%s", answer->note->text);
        return 0;
    case HAUL__CTL__ANSWER__WHAT_FLUSH:
        return flush_take(get, error);
    case HAUL__CTL__ANSWER__WHAT_DONE:
        return 1;
    case HAUL__CTL__ANSWER__WHAT__NOT_SET:
    case HAUL__CTL__ANSWER__WHAT_FAIL:
    case HAUL__CTL__ANSWER__WHAT_FACT:
    case HAUL__CTL__ANSWER__WHAT_DATASET:
    case HAUL__CTL__ANSWER__WHAT_DHT_PEER:
    case _HAUL__CTL__ANSWER__WHAT__CASE_IS_INT_SIZE:
        break;
    }
    return haul_fail(error, HAUL_E_INTERNAL, "the node sent an answer that get does not expect");
}

/* Human talk goes to standard error, because standard output may be the data itself. */
static int record_show(const struct get *get, const Haul__Ctl__Done *done, struct haul_error *error)
{
    struct haul_record record;

    if (haul_options_has(get->options, HAUL_OPTION_JSON)) {
        FILE *out = get->sink == HAUL__CTL__SINK__STREAM ? stderr : stdout;

        fprintf(out, "%s\n", done->record);
        return 0;
    }
    if (haul_record_parse(done->record, &record, error) < 0)
        return -1;
    if (get->sink == HAUL__CTL__SINK__STORE)
        printf("%s\n", record.cid);
    if (!haul_options_has(get->options, HAUL_OPTION_QUIET))
        haul_record_print(&record, stderr);
    return 0;
}

static int get_run(struct get *get, struct haul_error *error)
{
    const struct haul_options *options = get->options;
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__GetAsk get_ask = HAUL__CTL__GET_ASK__INIT;
    const Haul__Ctl__Answer *answer;
    int got = 0;

    get_ask.what = (char *)options->arguments[0];
    get_ask.sink = get->sink;
    get_ask.keep = haul_options_has(options, HAUL_OPTION_KEEP);
    if (haul_options_has(options, HAUL_OPTION_CARRIER))
        get_ask.carrier = (char *)options->text[HAUL_OPTION_CARRIER];
    get_ask.timeout_ms = options->number[HAUL_OPTION_TIMEOUT] / 1000000;
    ask.what_case = HAUL__CTL__ASK__WHAT_GET;
    ask.get = &get_ask;
    if (haul_client_ask(&get->attach.client, &ask, error) < 0)
        return -1;
    while (got == 0) {
        got = haul_client_next(&get->attach.client, -1, &answer, error);
        if (got < 0 || interrupted)
            break;
        if (got > 0)
            got = answer_take(get, answer, error);
    }
    haul_progress_clear(&get->progress);
    if (got < 0)
        return -1;
    if (interrupted)
        return haul_fail(error, HAUL_E_CANCELLED, "interrupted");
    return record_show(get, answer->done, error);
}

/* What came is kept for the same command, unless it is the dataset that is at fault. */
static void keep(struct get *get, const struct haul_error *error)
{
    bool stores =
        get->sink == HAUL__CTL__SINK__STORE || haul_options_has(get->options, HAUL_OPTION_KEEP);
    char part[PATH_MAX];

    if (!haul_error_again(error->code))
        return;
    if (get->sink == HAUL__CTL__SINK__FILES && haul_extract_keep(&get->extract, part))
        haul_print_note(get->options,
                        "what came is kept in %s: the same command goes on from there", part);
    else if (stores && get->moved > 0)
        haul_print_note(get->options,
                        "what came is kept in the store: the same command goes on from there");
}

int haul_cmd_get(const struct haul_options *options)
{
    const struct sigaction on_signal = { .sa_handler = on_interrupt };
    const char *output = options->text[HAUL_OPTION_OUTPUT];
    struct get get = { .options = options };
    struct haul_error error;
    int failed;

    get.sink = output == NULL             ? HAUL__CTL__SINK__STORE
               : strcmp(output, "-") == 0 ? HAUL__CTL__SINK__STREAM
                                          : HAUL__CTL__SINK__FILES;
    if (get.sink == HAUL__CTL__SINK__FILES && haul_extract_open(&get.extract, output, &error) < 0)
        return haul_print_error(options, &error);
    sigaction(SIGINT, &on_signal, NULL);
    sigaction(SIGTERM, &on_signal, NULL);
    signal(SIGPIPE, SIG_IGN);
    haul_progress_init(&get.progress, options);
    failed = haul_attach_open(&get.attach, options, true, &error);
    if (failed == 0) {
        failed = get_run(&get, &error);
        haul_attach_close(&get.attach);
    }
    if (failed < 0)
        keep(&get, &error);
    if (get.sink == HAUL__CTL__SINK__FILES)
        haul_extract_close(&get.extract);
    return failed < 0 ? haul_print_error(options, &error) : HAUL_EXIT_DONE;
}
