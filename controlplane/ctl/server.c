/* Requests are freed in one place, by a timer after the turn in which they ended, so that a verb
 * may end a request from any of its own calls. */
#include "controlplane/ctl/server.h"

#include "common/log.h"
#include "controlplane/ctl/channel.h"
#include "controlplane/ctl/ctl_socket.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define END_WAIT (5 * HAUL_SECOND) /* for a command to take its last answer */

struct haul_request {
    struct haul_request *next;
    struct haul_ctl *ctl;
    struct haul_watch *watch;
    struct haul_channel channel;
    const struct haul_ctl_verb *verb; /* NULL until the ask came */
    haul_time ended_at;
    bool ended;  /* done or fail was queued */
    bool closed; /* nothing more can be said: to be freed */
    bool paused;
    _Alignas(16) uint8_t state[];
};

struct haul_ctl {
    struct haul_loop *loop;
    const struct haul_home *home;
    const struct haul_ctl_verb *const *verbs;
    void *context;
    struct haul_watch *watch;
    struct haul_timer *reap;
    struct haul_request *requests;
    uint32_t request_count;
    int fd;
};

static void request_close(struct haul_request *request)
{
    request->closed = true;
    haul_loop_unwatch(request->watch);
    request->watch = NULL;
    haul_loop_timer_set(request->ctl->reap, haul_loop_now(request->ctl->loop));
}

static void request_interest(struct haul_request *request)
{
    unsigned interest = request->paused ? 0 : HAUL_LOOP_READ;

    if (request->closed)
        return;
    if (haul_channel_backlog(&request->channel) > 0)
        interest |= HAUL_LOOP_WRITE;
    haul_loop_interest(request->watch, interest);
}

static void request_flush(struct haul_request *request)
{
    bool had = haul_channel_backlog(&request->channel) > 0;
    int left;

    if (request->closed)
        return;
    left = haul_channel_flush(&request->channel);
    if (left < 0 || (left == 0 && request->ended)) {
        request_close(request);
        return;
    }
    request_interest(request);
    if (left == 0 && had && request->verb != NULL && request->verb->drained != NULL)
        request->verb->drained(request);
}

static void answer_queue(struct haul_request *request, const Haul__Ctl__Answer *answer)
{
    size_t bytes = haul__ctl__answer__get_packed_size(answer);
    uint8_t *room = haul_channel_reserve(&request->channel, bytes);

    if (room == NULL) {
        request_close(request);
        return;
    }
    haul__ctl__answer__pack(answer, room);
    if (haul_channel_queue(&request->channel, bytes, -1) < 0)
        request_close(request);
}

void haul_request_send(struct haul_request *request, const Haul__Ctl__Answer *answer)
{
    bool idle = haul_channel_backlog(&request->channel) == 0;

    if (request->ended || request->closed)
        return;
    answer_queue(request, answer);
    /* While something waits for the socket already, the loop tells when it is writable. */
    if (!request->closed && idle) {
        if (haul_channel_flush(&request->channel) < 0)
            request_close(request);
        else
            request_interest(request);
    }
}

static void request_end(struct haul_request *request, const Haul__Ctl__Answer *answer)
{
    if (request->ended || request->closed)
        return;
    answer_queue(request, answer);
    request->ended = true;
    request->ended_at = haul_loop_now(request->ctl->loop);
    request_flush(request);
    if (!request->closed)
        haul_loop_timer_set(request->ctl->reap, haul_time_add(request->ended_at, END_WAIT));
}

void haul_request_done(struct haul_request *request, Haul__Ctl__Done *done)
{
    Haul__Ctl__Answer answer = HAUL__CTL__ANSWER__INIT;

    answer.what_case = HAUL__CTL__ANSWER__WHAT_DONE;
    answer.done = done;
    request_end(request, &answer);
}

void haul_request_fail(struct haul_request *request, const struct haul_error *error)
{
    Haul__Ctl__Answer answer = HAUL__CTL__ANSWER__INIT;
    Haul__Ctl__Fail fail = HAUL__CTL__FAIL__INIT;
    char text[sizeof error->text];

    memcpy(text, error->text, sizeof text);
    fail.code = (char *)haul_error_name(error->code);
    fail.text = text;
    answer.what_case = HAUL__CTL__ANSWER__WHAT_FAIL;
    answer.fail = &fail;
    request_end(request, &answer);
}

bool haul_request_ended(const struct haul_request *request)
{
    return request->ended || request->closed;
}

void haul_request_note(struct haul_request *request, const char *format, ...)
{
    Haul__Ctl__Answer answer = HAUL__CTL__ANSWER__INIT;
    Haul__Ctl__Note note = HAUL__CTL__NOTE__INIT;
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    note.text = text;
    answer.what_case = HAUL__CTL__ANSWER__WHAT_NOTE;
    answer.note = &note;
    haul_request_send(request, &answer);
}

void *haul_request_state(struct haul_request *request)
{
    return request->state;
}

void *haul_request_context(struct haul_request *request)
{
    return request->ctl->context;
}

size_t haul_request_backlog(const struct haul_request *request)
{
    return haul_channel_backlog(&request->channel);
}

int haul_request_take_fd(struct haul_request *request)
{
    return haul_channel_take_fd(&request->channel);
}

static void protocol_fail(struct haul_request *request, const char *what)
{
    struct haul_error error;

    haul_fail(&error, HAUL_E_INTERNAL, "the command and its node do not understand each other: %s",
              what);
    haul_request_fail(request, &error);
}

/* The first frame: finds the verb and gives the request the room that it wants for its state. */
static void ask_take(struct haul_request *request, const uint8_t *data, size_t bytes)
{
    Haul__Ctl__Ask *ask = haul__ctl__ask__unpack(NULL, bytes, data);
    const struct haul_ctl_verb *const *verb = request->ctl->verbs;
    struct haul_error error;

    if (ask == NULL || ask->version != 1) {
        protocol_fail(request, "the version of the command differs");
        haul__ctl__ask__free_unpacked(ask, NULL);
        return;
    }
    while (*verb != NULL && (*verb)->what != ask->what_case)
        verb++;
    if (*verb == NULL) {
        protocol_fail(request, "this node does not know the request");
    } else {
        request->verb = *verb;
        if ((*verb)->begin(request, ask, &error) < 0)
            haul_request_fail(request, &error);
    }
    haul__ctl__ask__free_unpacked(ask, NULL);
}

static void reply_take(struct haul_request *request, const uint8_t *data, size_t bytes)
{
    Haul__Ctl__Reply *reply = haul__ctl__reply__unpack(NULL, bytes, data);

    if (reply == NULL || request->verb->reply == NULL)
        protocol_fail(request, "a reply that was not expected");
    else
        request->verb->reply(request, reply);
    haul__ctl__reply__free_unpacked(reply, NULL);
}

static void frames_take(struct haul_request *request)
{
    const uint8_t *data;
    size_t bytes;

    while (!request->ended && !request->closed && !request->paused &&
           haul_channel_next(&request->channel, &data, &bytes)) {
        if (request->verb == NULL)
            ask_take(request, data, bytes);
        else
            reply_take(request, data, bytes);
    }
}

void haul_request_pause(struct haul_request *request, bool paused)
{
    bool was = request->paused;

    request->paused = paused;
    if (was && !paused && !request->closed) {
        /* What came before the pause is taken next turn, never inside the verb's own call. */
        haul_loop_timer_set(request->ctl->reap, haul_loop_now(request->ctl->loop));
    }
    request_interest(request);
}

static void request_ready(void *context, unsigned ready)
{
    struct haul_request *request = context;
    ssize_t got;

    if ((ready & HAUL_LOOP_WRITE) != 0)
        request_flush(request);
    if (request->closed || (ready & HAUL_LOOP_READ) == 0)
        return;
    got = haul_channel_receive(&request->channel);
    if (got == -EAGAIN)
        return;
    if (got <= 0)
        request_close(request);
    else
        frames_take(request);
}

static void request_free(struct haul_request *request)
{
    if (request->verb != NULL && request->verb->gone != NULL)
        request->verb->gone(request);
    haul_loop_unwatch(request->watch);
    haul_channel_fini(&request->channel);
    request->ctl->request_count--;
    free(request);
}

/* Frees what has closed, gives up on commands that do not take their end, and continues requests
 * whose pause is over. */
static void reap_due(void *context)
{
    struct haul_ctl *ctl = context;
    struct haul_request **link = &ctl->requests;
    haul_time now = haul_loop_now(ctl->loop);
    haul_time next = HAUL_TIME_NEVER;

    while (*link != NULL) {
        struct haul_request *request = *link;
        haul_time limit = haul_time_add(request->ended_at, END_WAIT);

        if (!request->closed)
            frames_take(request);
        if (request->closed || (request->ended && now >= limit)) {
            *link = request->next;
            request_free(request);
            continue;
        }
        if (request->ended)
            next = haul_time_min(next, limit);
        link = &request->next;
    }
    haul_loop_timer_set(ctl->reap, next);
}

static size_t state_bytes_max(const struct haul_ctl *ctl)
{
    size_t most = 0;

    for (size_t i = 0; ctl->verbs[i] != NULL; i++) {
        if (ctl->verbs[i]->state_bytes > most)
            most = ctl->verbs[i]->state_bytes;
    }
    return most;
}

static void accept_ready(void *context, unsigned ready)
{
    struct haul_ctl *ctl = context;
    int fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct haul_request *request;

    (void)ready;
    if (fd < 0)
        return;
    if (ctl->request_count == HAUL_CTL_REQUESTS_MAX) {
        haul_log(HAUL_LOG_WARN, "control-full", "requests=%u", ctl->request_count);
        close(fd);
        return;
    }
    request = calloc(1, sizeof *request + state_bytes_max(ctl));
    if (request == NULL) {
        close(fd);
        return;
    }
    request->ctl = ctl;
    haul_channel_init(&request->channel, fd, HAUL_CTL_ASK_BYTES_MAX);
    request->watch = haul_loop_watch(ctl->loop, fd, HAUL_LOOP_READ, request_ready, request);
    if (request->watch == NULL) {
        haul_channel_fini(&request->channel);
        free(request);
        return;
    }
    request->next = ctl->requests;
    ctl->requests = request;
    ctl->request_count++;
}

int haul_ctl_open(struct haul_ctl **ctl, struct haul_loop *loop, const struct haul_home *home,
                  const char *group, const struct haul_ctl_verb *const *verbs, void *context,
                  struct haul_error *error)
{
    struct haul_ctl *made = calloc(1, sizeof *made);

    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the control socket");
    *made = (struct haul_ctl){
        .loop = loop, .home = home, .verbs = verbs, .context = context, .fd = -1
    };
    if (haul_ctl_socket_listen(home, group, &made->fd, error) < 0) {
        free(made);
        return -1;
    }
    made->reap = haul_loop_timer(loop, reap_due, made);
    made->watch = haul_loop_watch(loop, made->fd, HAUL_LOOP_READ, accept_ready, made);
    if (made->reap == NULL || made->watch == NULL) {
        haul_ctl_close(made);
        return haul_fail(error, HAUL_E_SYSTEM, "cannot watch the control socket");
    }
    *ctl = made;
    return 0;
}

void haul_ctl_close(struct haul_ctl *ctl)
{
    if (ctl == NULL)
        return;
    haul_ctl_socket_unlink(ctl->home);
    haul_loop_unwatch(ctl->watch);
    while (ctl->requests != NULL) {
        struct haul_request *request = ctl->requests;

        ctl->requests = request->next;
        request->closed = true;
        request_free(request);
    }
    haul_loop_timer_free(ctl->reap);
    if (ctl->fd >= 0)
        close(ctl->fd);
    free(ctl);
}
