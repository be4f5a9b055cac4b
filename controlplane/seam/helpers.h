/* Helper threads of the control plane: they take whole blocks or whole stream buffers (hashing,
 * reading a file that a command handed in, writing to a pipe), so that the control thread never
 * waits. Work crosses on rings; `work` runs on a helper, `done` on the control thread. */
#pragma once

#include "common/error.h"
#include "controlplane/host/loop.h"

struct haul_helpers;

typedef void haul_work_fn(void *job);      /* on a helper thread: touches only what `job` owns */
typedef void haul_work_done_fn(void *job); /* on the control thread */

HAUL_MUST_USE int haul_helpers_open(struct haul_helpers **helpers, struct haul_loop *loop,
                                    uint32_t threads, struct haul_error *error);

/* False when the queue is full: the caller bounds its own jobs well below that. Jobs of one `lane`
 * run in order on one thread; the lanes spread over the threads. */
HAUL_MUST_USE bool haul_helpers_run(struct haul_helpers *helpers, uint32_t lane, haul_work_fn *work,
                                    haul_work_done_fn *done, void *job);
/* A lane of the thread that has the fewest jobs, for those that need no order. */
uint32_t haul_helpers_idlest(const struct haul_helpers *helpers);
void haul_helpers_close(struct haul_helpers *helpers); /* finishes what was taken */
