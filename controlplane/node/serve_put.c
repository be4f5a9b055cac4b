/* put: entries and descriptors from the command go to the ingest, which stores them. */
#include "controlplane/datasets/ingest.h"
#include "controlplane/node/controlplane_parts.h"

#include <string.h>
#include <unistd.h>

#define PROGRESS_EVERY (200 * HAUL_MILLISECOND)

struct put {
    struct haul_ingest *ingest;
    struct haul_timer *timer;
};

static void progress_due(void *context)
{
    struct haul_request *request = context;
    struct haul_controlplane *plane = haul_request_context(request);
    struct put *put = haul_request_state(request);
    Haul__Ctl__Answer answer = HAUL__CTL__ANSWER__INIT;
    Haul__Ctl__Progress progress = HAUL__CTL__PROGRESS__INIT;
    struct haul_ingest_facts facts;

    haul_ingest_facts(put->ingest, &facts);
    progress.bytes = facts.bytes;
    progress.files = facts.files;
    answer.what_case = HAUL__CTL__ANSWER__WHAT_PROGRESS;
    answer.progress = &progress;
    if (haul_request_backlog(request) == 0)
        haul_request_send(request, &answer);
    haul_loop_timer_set(put->timer, haul_loop_now(plane->parts.loop) + PROGRESS_EVERY);
}

static void on_ready(void *context)
{
    haul_request_pause(context, false);
}

static void on_done(void *context, const struct haul_dataset *dataset,
                    const struct haul_error *error)
{
    struct haul_request *request = context;
    struct put *put = haul_request_state(request);
    Haul__Ctl__Done done = HAUL__CTL__DONE__INIT;
    struct haul_ingest_facts facts;
    char cid[HAUL_CID_TEXT_BYTES];

    haul_loop_timer_set(put->timer, HAUL_TIME_NEVER);
    if (error != NULL) {
        haul_request_fail(request, error);
        return;
    }
    haul_ingest_facts(put->ingest, &facts);
    haul_cid_print(&dataset->root, cid);
    done.cid = cid;
    done.bytes = dataset->bytes;
    done.blocks = dataset->blocks;
    done.files = facts.files;
    done.directories = facts.directories;
    done.links = facts.links;
    done.executables_dropped = facts.executables_dropped;
    haul_request_done(request, &done);
}

static int begin(struct haul_request *request, const Haul__Ctl__Ask *ask, struct haul_error *error)
{
    struct haul_controlplane *plane = haul_request_context(request);
    struct put *put = haul_request_state(request);
    const char *hash = haul_conf_text(plane->conf.conf, HAUL_CONF_HASH_DEFAULT);
    const struct haul_ingest_conf conf = {
        .loop = plane->parts.loop,
        .orders = plane->parts.orders,
        .helpers = plane->parts.helpers,
        .catalog = plane->parts.catalog,
        .hash_code = ask->put->hash == 0 ? haul_hash_code(hash) : (uint8_t)ask->put->hash,
        .preserve = ask->put->preserve,
        .name = ask->put->name,
        .context = request,
        .ready = on_ready,
        .done = on_done,
    };

    if (haul_hash_name(conf.hash_code) == NULL)
        return haul_fail(error, HAUL_E_USAGE, "an unknown kind of hash");
    put->timer = haul_loop_timer(plane->parts.loop, progress_due, request);
    if (put->timer == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no timer");
    if (haul_ingest_open(&put->ingest, &conf, error) < 0)
        return -1;
    haul_loop_timer_set(put->timer, haul_loop_now(plane->parts.loop) + PROGRESS_EVERY);
    return 0;
}

static void fault(struct haul_request *request, const char *text)
{
    struct haul_error error;

    haul_fail(&error, HAUL_E_INTERNAL, "%s", text);
    haul_request_fail(request, &error);
}

static void entry_take(struct haul_request *request, struct put *put, const Haul__Ctl__Entry *entry)
{
    const struct haul_meta meta = {
        .has_mode = entry->has_mode,
        .has_mtime = entry->has_mtime,
        .mode = (uint16_t)(entry->mode & 0777),
        .nanoseconds = entry->mtime_nanoseconds,
        .seconds = entry->mtime_seconds,
    };
    char text[256];
    const char *name = entry->path.len == 0 ? NULL : text;
    bool with_fd = entry->kind == HAUL__CTL__KIND__FILE || entry->kind == HAUL__CTL__KIND__INPUT;
    int fd = with_fd ? haul_request_take_fd(request) : -1;

    if (entry->path.len >= sizeof text || (with_fd && fd < 0)) {
        if (fd >= 0)
            close(fd);
        fault(request, "an entry of the tree is malformed");
        return;
    }
    if (name != NULL)
        memcpy(text, entry->path.data, entry->path.len);
    text[entry->path.len] = '\0';
    switch (entry->kind) {
    case HAUL__CTL__KIND__FILE:
        haul_ingest_file(put->ingest, name, fd);
        break;
    case HAUL__CTL__KIND__INPUT:
        haul_ingest_stream(put->ingest, fd);
        break;
    case HAUL__CTL__KIND__DIRECTORY:
        haul_ingest_directory_begin(put->ingest, name, &meta);
        break;
    case HAUL__CTL__KIND__DIRECTORY_END:
        haul_ingest_directory_end(put->ingest);
        break;
    case HAUL__CTL__KIND__LINK:
        haul_ingest_symlink(put->ingest, name, (const char *)entry->target.data, entry->target.len,
                            &meta);
        break;
    case _HAUL__CTL__KIND_IS_INT_SIZE:
    default:
        fault(request, "an entry of an unknown kind");
    }
}

static void reply(struct haul_request *request, const Haul__Ctl__Reply *said)
{
    struct put *put = haul_request_state(request);

    if (said->what_case == HAUL__CTL__REPLY__WHAT_ENTRY)
        entry_take(request, put, said->entry);
    else if (said->what_case == HAUL__CTL__REPLY__WHAT_END)
        haul_ingest_end(put->ingest);
    else
        fault(request, "put expects entries");
    if (!haul_request_ended(request) && !haul_ingest_ready(put->ingest))
        haul_request_pause(request, true);
}

static void gone(struct haul_request *request)
{
    struct put *put = haul_request_state(request);

    haul_ingest_close(put->ingest);
    haul_loop_timer_free(put->timer);
}

const struct haul_ctl_verb haul_verb_put = {
    .what = HAUL__CTL__ASK__WHAT_PUT,
    .state_bytes = sizeof(struct put),
    .begin = begin,
    .reply = reply,
    .gone = gone,
};
