/* get, and ls inside a dataset: a transfer on one side, the command on the other. */
#include "controlplane/node/controlplane_parts.h"
#include "controlplane/transfer/transfer.h"

#include <stdlib.h>
#include <string.h>

#define PROGRESS_EVERY (100 * HAUL_MILLISECOND)

struct get {
    struct haul_transfer *transfer;
    struct haul_timer *timer;
    bool list;
};

static void on_entry(void *context, const struct haul_step *step)
{
    Haul__Ctl__Answer answer = HAUL__CTL__ANSWER__INIT;
    Haul__Ctl__Entry entry = HAUL__CTL__ENTRY__INIT;
    const struct get *get = haul_request_state(context);
    char cid[HAUL_CID_TEXT_BYTES];

    /* The end of a directory matters only to its mode and time. */
    if (step->kind == HAUL_STEP_DIRECTORY_END && !step->meta.has_mode && !step->meta.has_mtime)
        return;
    /* A list is of what the directory holds, not of the directory. */
    if (get->list && step->kind == HAUL_STEP_DIRECTORY && step->path_bytes == 0)
        return;
    haul_cid_print(&step->cid, cid);
    entry.id = step->file;
    entry.kind = step->kind == HAUL_STEP_FILE        ? HAUL__CTL__KIND__FILE
                 : step->kind == HAUL_STEP_DIRECTORY ? HAUL__CTL__KIND__DIRECTORY
                 : step->kind == HAUL_STEP_LINK      ? HAUL__CTL__KIND__LINK
                                                     : HAUL__CTL__KIND__DIRECTORY_END;
    entry.path.data = (uint8_t *)step->path;
    entry.path.len = step->path_bytes;
    entry.target.data = (uint8_t *)step->data;
    entry.target.len = step->data_bytes;
    entry.size = step->bytes;
    entry.has_mode = step->meta.has_mode;
    entry.mode = step->meta.mode;
    entry.has_mtime = step->meta.has_mtime;
    entry.mtime_seconds = step->meta.seconds;
    entry.mtime_nanoseconds = step->meta.nanoseconds;
    entry.cid = cid;
    answer.what_case = HAUL__CTL__ANSWER__WHAT_ENTRY;
    answer.entry = &entry;
    haul_request_send(context, &answer);
}

static void on_finished(void *context, uint32_t file)
{
    Haul__Ctl__Answer answer = HAUL__CTL__ANSWER__INIT;
    Haul__Ctl__Finished finished = HAUL__CTL__FINISHED__INIT;

    finished.id = file;
    answer.what_case = HAUL__CTL__ANSWER__WHAT_FINISHED;
    answer.finished = &finished;
    haul_request_send(context, &answer);
}

static void on_data(void *context, const uint8_t *data, size_t bytes)
{
    Haul__Ctl__Answer answer = HAUL__CTL__ANSWER__INIT;
    Haul__Ctl__Data said = HAUL__CTL__DATA__INIT;

    said.bytes.data = (uint8_t *)data;
    said.bytes.len = bytes;
    answer.what_case = HAUL__CTL__ANSWER__WHAT_DATA;
    answer.data = &said;
    haul_request_send(context, &answer);
}

static size_t on_backlog(void *context)
{
    return haul_request_backlog(context);
}

static void on_flush(void *context)
{
    Haul__Ctl__Answer answer = HAUL__CTL__ANSWER__INIT;
    Haul__Ctl__Empty empty = HAUL__CTL__EMPTY__INIT;

    answer.what_case = HAUL__CTL__ANSWER__WHAT_FLUSH;
    answer.flush = &empty;
    haul_request_send(context, &answer);
}

static void on_note(void *context, const char *text)
{
    haul_request_note(context, "%s", text);
}

static void on_ended(void *context, const struct haul_record *record,
                     const struct haul_error *error)
{
    struct haul_request *request = context;
    struct get *get = haul_request_state(request);
    Haul__Ctl__Done done = HAUL__CTL__DONE__INIT;
    char *json;

    haul_loop_timer_set(get->timer, HAUL_TIME_NEVER);
    if (error != NULL) {
        haul_request_fail(request, error);
        return;
    }
    if (record == NULL)
        return;
    json = haul_record_json(record);
    if (json != NULL)
        done.record = json;
    haul_request_done(request, &done);
    free(json);
}

static const struct haul_transfer_events events = {
    .entry = on_entry,
    .finished = on_finished,
    .data = on_data,
    .backlog = on_backlog,
    .flush = on_flush,
    .note = on_note,
    .ended = on_ended,
};

static void progress_due(void *context)
{
    struct haul_request *request = context;
    struct haul_controlplane *plane = haul_request_context(request);
    struct get *get = haul_request_state(request);
    Haul__Ctl__Answer answer = HAUL__CTL__ANSWER__INIT;
    Haul__Ctl__Progress progress = HAUL__CTL__PROGRESS__INIT;

    progress.bytes = haul_transfer_bytes(get->transfer);
    progress.total = haul_transfer_total(get->transfer);
    progress.files = haul_transfer_files(get->transfer);
    progress.carrier = (char *)haul_transfer_carrier(get->transfer);
    answer.what_case = HAUL__CTL__ANSWER__WHAT_PROGRESS;
    answer.progress = &progress;
    if (haul_request_backlog(request) == 0)
        haul_request_send(request, &answer);
    haul_loop_timer_set(get->timer, haul_loop_now(plane->parts.loop) + PROGRESS_EVERY);
}

static int transfer_begin(struct haul_request *request, const struct haul_transfer_ask *ask,
                          struct haul_error *error)
{
    struct haul_controlplane *plane = haul_request_context(request);
    struct get *get = haul_request_state(request);

    get->timer = haul_loop_timer(plane->parts.loop, progress_due, request);
    if (get->timer == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no timer");
    if (haul_transfer_open(&get->transfer, &plane->parts, ask, &events, request, error) < 0)
        return -1;
    haul_loop_timer_set(get->timer, haul_loop_now(plane->parts.loop) + PROGRESS_EVERY);
    return 0;
}

static int choose(const char *name, enum haul_carrier_choice *choice, struct haul_error *error)
{
    static const char *const names[] = {
        [HAUL_CHOOSE_AUTO] = "auto",
        [HAUL_CHOOSE_UDP] = "udp",
        [HAUL_CHOOSE_STREAM] = "stream",
        [HAUL_CHOOSE_DPDK] = "dpdk",
    };

    for (unsigned i = 0; i < HAUL_COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0 || (i == 0 && name[0] == '\0')) {
            *choice = (enum haul_carrier_choice)i;
            return 0;
        }
    }
    return haul_fail(error, HAUL_E_USAGE, "there is no carrier '%.20s'", name);
}

static int cipher_of(const char *name, struct haul_transfer_ask *ask, struct haul_error *error)
{
    static const char *const names[] = {
        [HAUL_CIPHER_NONE] = "none",
        [HAUL_CIPHER_AES_128_GCM] = "aes-128-gcm",
        [HAUL_CIPHER_CHACHA20_POLY1305] = "chacha20-poly1305",
    };

    ask->any_cipher = name[0] == '\0' || strcmp(name, "auto") == 0;
    for (unsigned i = 0; !ask->any_cipher && i < HAUL_COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            ask->cipher = (uint8_t)i;
            return 0;
        }
    }
    return ask->any_cipher ? 0 : haul_fail(error, HAUL_E_USAGE, "there is no cipher '%.20s'", name);
}

static int begin(struct haul_request *request, const Haul__Ctl__Ask *ask, struct haul_error *error)
{
    static const enum haul_sink sinks[] = {
        [HAUL__CTL__SINK__FILES] = HAUL_SINK_FILES,
        [HAUL__CTL__SINK__STREAM] = HAUL_SINK_STREAM,
        [HAUL__CTL__SINK__STORE] = HAUL_SINK_STORE,
        [HAUL__CTL__SINK__DISCARD] = HAUL_SINK_DISCARD,
    };
    const struct haul_controlplane *plane = haul_request_context(request);
    const Haul__Ctl__GetAsk *get = ask->get;
    struct haul_transfer_ask transfer = {
        .what = get->what,
        .keep = get->keep,
        .timeout = get->timeout_ms * HAUL_MILLISECOND,
        .unverified = get->unverified,
    };

    if ((size_t)get->sink >= HAUL_COUNT_OF(sinks))
        return haul_fail(error, HAUL_E_USAGE, "there is no such sink");
    transfer.sink = sinks[get->sink];
    if (choose(get->carrier, &transfer.carrier, error) < 0 ||
        cipher_of(get->cipher, &transfer, error) < 0)
        return -1;
    if (!plane->conf.perf && (transfer.sink == HAUL_SINK_DISCARD || transfer.unverified ||
                              (!transfer.any_cipher && transfer.cipher == HAUL_CIPHER_NONE)))
        return haul_fail(error, HAUL_E_USAGE, "that is for rate tests alone (haul perf)");
    return transfer_begin(request, &transfer, error);
}

static int listing_begin(struct haul_request *request, const char *what, haul_time timeout,
                         struct haul_error *error)
{
    const struct haul_transfer_ask ask = {
        .what = what, .sink = HAUL_SINK_LIST, .timeout = timeout, .any_cipher = true
    };
    struct get *get = haul_request_state(request);

    get->list = true;
    return transfer_begin(request, &ask, error);
}

static void reply(struct haul_request *request, const Haul__Ctl__Reply *said)
{
    struct get *get = haul_request_state(request);
    int fd;

    if (said->what_case == HAUL__CTL__REPLY__WHAT_OPENED) {
        fd = haul_request_take_fd(request);
        if (fd >= 0)
            haul_transfer_opened(get->transfer, (uint32_t)said->opened->id, fd, said->opened->held);
    } else if (said->what_case == HAUL__CTL__REPLY__WHAT_FLUSHED) {
        haul_transfer_flushed(get->transfer);
    }
}

static void drained(struct haul_request *request)
{
    struct get *get = haul_request_state(request);

    if (get->transfer != NULL)
        haul_transfer_drained(get->transfer);
}

static void gone(struct haul_request *request)
{
    struct get *get = haul_request_state(request);

    haul_transfer_close(get->transfer);
    haul_loop_timer_free(get->timer);
}

const struct haul_ctl_verb haul_verb_get = {
    .what = HAUL__CTL__ASK__WHAT_GET,
    .state_bytes = sizeof(struct get),
    .begin = begin,
    .reply = reply,
    .drained = drained,
    .gone = gone,
};

static int list_begin(struct haul_request *request, const Haul__Ctl__Ask *ask,
                      struct haul_error *error)
{
    if (ask->list->what[0] != '\0')
        return listing_begin(request, ask->list->what, ask->list->timeout_ms * HAUL_MILLISECOND,
                             error);
    haul_list_datasets(request);
    return 0;
}

const struct haul_ctl_verb haul_verb_list = {
    .what = HAUL__CTL__ASK__WHAT_LIST,
    .state_bytes = sizeof(struct get),
    .begin = list_begin,
    .drained = drained,
    .gone = gone,
};
