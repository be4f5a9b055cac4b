/* A command's side of the control socket: blocking, one request a connection. */
#pragma once

#include "controlplane/ctl/channel.h"
#include "controlplane/home.h"
#include "ctl.pb-c.h"

struct haul_client {
    struct haul_channel channel;
    Haul__Ctl__Answer *answer; /* the last one, until the next */
};

/* NODE_ABSENT when no node runs in this home. */
HAUL_MUST_USE int haul_client_open(struct haul_client *client, const struct haul_home *home,
                                   struct haul_error *error);
void haul_client_close(struct haul_client *client); /* a closed connection cancels the request */

HAUL_MUST_USE int haul_client_ask(struct haul_client *client, Haul__Ctl__Ask *ask,
                                  struct haul_error *error);

/* `fd` (or -1) goes with the reply and is closed here. Replies may be held back until the next call
 * that waits, so that many small ones share a write. */
HAUL_MUST_USE int haul_client_reply(struct haul_client *client, const Haul__Ctl__Reply *reply,
                                    int fd, struct haul_error *error);

/* The next answer, borrowed until the next call: 1; nothing within `wait_ms` (-1: no limit): 0;
 * the node failed or went away: -1, with its error. */
HAUL_MUST_USE int haul_client_next(struct haul_client *client, int wait_ms,
                                   const Haul__Ctl__Answer **answer, struct haul_error *error);
