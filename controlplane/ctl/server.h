/* The node's side of the control socket: accepts commands, reads their ask, and hands each to the
 * verb that it names. One connection is one request. Control thread only. */
#pragma once

#include "common/error.h"
#include "controlplane/home.h"
#include "controlplane/host/loop.h"
#include "ctl.pb-c.h"

#define HAUL_CTL_REQUESTS_MAX  64u
#define HAUL_CTL_ASK_BYTES_MAX 65536u /* the largest frame a command may send */

struct haul_ctl;
struct haul_request;

/* How a verb answers. `state_bytes` of zeroed memory come with each request. */
struct haul_ctl_verb {
    Haul__Ctl__Ask__WhatCase what;
    size_t state_bytes;

    /* The ask; borrowed during the call. -1 with an error ends the request with `fail`. */
    int (*begin)(struct haul_request *request, const Haul__Ctl__Ask *ask, struct haul_error *error);

    /* A reply of the command; borrowed. May be NULL: then every reply is a fault. */
    void (*reply)(struct haul_request *request, const Haul__Ctl__Reply *reply);

    /* What was queued has left. May be NULL. */
    void (*drained)(struct haul_request *request);

    /* The connection has gone, after an end or without one: let everything go. May be NULL. */
    void (*gone)(struct haul_request *request);
};

/* Listens on control.sock in the home: 0600, or 0660 and owned by `group` when that is not empty.
 * `verbs` ends with a NULL; `context` is what haul_request_context gives. */
HAUL_MUST_USE int haul_ctl_open(struct haul_ctl **ctl, struct haul_loop *loop,
                                const struct haul_home *home, const char *group,
                                const struct haul_ctl_verb *const *verbs, void *context,
                                struct haul_error *error);
void haul_ctl_close(struct haul_ctl *ctl); /* every request is gone afterwards; NULL is welcome */

void *haul_request_state(struct haul_request *request);
void *haul_request_context(struct haul_request *request);

/* Queues an answer and writes what the socket takes. A command that does not read is bounded by its
 * verb, which looks at the backlog. Harmless after an end. */
void haul_request_send(struct haul_request *request, const Haul__Ctl__Answer *answer);
size_t haul_request_backlog(const struct haul_request *request);

/* The oldest descriptor that came, now the caller's; -1 when there is none. */
int haul_request_take_fd(struct haul_request *request);

/* Back-pressure: no replies are read while paused. */
void haul_request_pause(struct haul_request *request, bool paused);

/* The end: sends it, and closes when it has left. Only `gone` is called afterwards. */
void haul_request_done(struct haul_request *request, Haul__Ctl__Done *done);
void haul_request_fail(struct haul_request *request, const struct haul_error *error);
bool haul_request_ended(const struct haul_request *request);

/* A line for a person who waits. */
void haul_request_note(struct haul_request *request, const char *format, ...) HAUL_PRINTF(2, 3);
