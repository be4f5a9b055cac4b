/* The control thread's event loop: descriptors, timers and one clock reading a turn. With the files
 * that own sockets, the only place in the control plane that waits. One owner thread; the callbacks
 * run on it and may add and remove anything, themselves included. */
#pragma once

#include "common/error.h"
#include "common/time.h"

struct haul_loop;

enum { HAUL_LOOP_READ = 1, HAUL_LOOP_WRITE = 2 };

struct haul_watch; /* one descriptor being watched; owned by the loop until removed */
struct haul_timer;

typedef void haul_watch_fn(void *context, unsigned ready); /* READ, WRITE or both */
typedef void haul_timer_fn(void *context);

HAUL_MUST_USE int haul_loop_open(struct haul_loop **loop, struct haul_error *error);
void haul_loop_close(struct haul_loop *loop);

/* CLOCK_MONOTONIC as of the start of this turn. */
haul_time haul_loop_now(const struct haul_loop *loop);

/* NULL when the kernel refuses. The descriptor stays the caller's and outlives the watch. */
struct haul_watch *haul_loop_watch(struct haul_loop *loop, int fd, unsigned interest,
                                   haul_watch_fn *function, void *context);
void haul_loop_interest(struct haul_watch *watch, unsigned interest);
void haul_loop_unwatch(struct haul_watch *watch); /* NULL is welcome */

/* Calls once at `when`; setting again moves it. HAUL_TIME_NEVER disarms. */
struct haul_timer *haul_loop_timer(struct haul_loop *loop, haul_timer_fn *function, void *context);
void haul_loop_timer_set(struct haul_timer *timer, haul_time when);
void haul_loop_timer_free(struct haul_timer *timer); /* NULL is welcome */

/* Runs until haul_loop_stop. `turn` (may be NULL) is called once at the end of every turn. */
void haul_loop_run(struct haul_loop *loop, haul_timer_fn *turn, void *context);
void haul_loop_stop(struct haul_loop *loop);
