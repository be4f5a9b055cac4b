/* A command's node: the one that runs in the home, or one that is run for as long as the command
 * needs it. */
#pragma once

#include "controlplane/cmd/option.h"
#include "controlplane/ctl/client.h"

#include <sys/types.h>

struct haul_attach {
    struct haul_home home;
    struct haul_client client;
    pid_t child; /* the node that was started, or 0 */
    int alive;   /* the child ends when this pipe closes */
};

/* With `start`, a node is started when none runs; without, NODE_ABSENT says so. */
HAUL_MUST_USE int haul_attach_open(struct haul_attach *attach, const struct haul_options *options,
                                   bool start, struct haul_error *error);
void haul_attach_close(struct haul_attach *attach);

/* A further request to the same node: closes the client and opens another. */
HAUL_MUST_USE int haul_attach_again(struct haul_attach *attach, struct haul_error *error);

/* Runs `haul node` on a home as a child: its pid and the read end of its standard output, of which
 * the ready line has been read. Settings are `key=value` texts, a NULL at the end; may be NULL. */
HAUL_MUST_USE int haul_node_spawn(const char *home, const char *const *settings, bool perf,
                                  pid_t *pid, int *output, struct haul_error *error);

/* Asks a child to stop and waits for it. */
void haul_node_reap(pid_t pid, int output);
