/* What the two halves of the yamux machine share: yamux.c keeps streams and writes, yamux_input.c
 * reads. For these two files only. */
#pragma once

#include "controlplane/p2p/yamux.h"

enum { FRAME_DATA = 0, FRAME_WINDOW = 1, FRAME_PING = 2, FRAME_GOAWAY = 3 };
enum { FLAG_SYN = 1, FLAG_ACK = 2, FLAG_FIN = 4, FLAG_RST = 8 };

/* Waiting of a stream, beside the wire's own flags: a window update. */
enum { TODO_GRANT = 16 };

struct haul_yamux_stream *haul_yamux_stream_find(const struct haul_yamux *yamux, uint32_t id);

/* Takes a free slot for `id`; NULL when there is none. */
struct haul_yamux_stream *haul_yamux_stream_take(struct haul_yamux *yamux, uint32_t id,
                                                 bool inbound);

/* Gives the slot back once the owner has released it and nothing waits to be sent for it. */
void haul_yamux_stream_settle(struct haul_yamux *yamux, struct haul_yamux_stream *stream);

/* Queues control flags of a stream. */
void haul_yamux_stream_todo(struct haul_yamux *yamux, struct haul_yamux_stream *stream,
                            unsigned flags);

/* Ends the connection: GoAway is queued, input is ignored from now on. */
void haul_yamux_fail(struct haul_yamux *yamux, enum haul_yamux_fault fault);
