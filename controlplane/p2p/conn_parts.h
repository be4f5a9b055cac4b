/* What the files of the connection machine share: conn.c lives and shakes hands, conn_out.c writes,
 * conn_stream.c turns the muxer's events into the connection's. For these files only. */
#pragma once

#include "controlplane/p2p/conn.h"

/* --- conn.c --- */

bool haul_conn_fail(struct haul_conn *conn, enum haul_conn_fault fault); /* returns false */

/* Opens the next Noise message and feeds it to the muxer; false when there is none. */
bool haul_conn_next_message(struct haul_conn *conn);

/* --- conn_out.c --- */

/* Contiguous free bytes of the out buffer; may turn to its start when more are free there. */
size_t haul_conn_out_room(struct haul_conn *conn);
void haul_conn_out_wrote(struct haul_conn *conn, size_t bytes);
bool haul_conn_out_empty(const struct haul_conn *conn);

/* Seals what has been collected; false when the out buffer has no room for it. */
bool haul_conn_flush(struct haul_conn *conn);

/* Control frames go in front of data, as long as they leave room for a small frame behind them. */
void haul_conn_collect_control(struct haul_conn *conn);

/* Collects control frames, then seals everything. */
bool haul_conn_flush_control(struct haul_conn *conn);

/* Writes a few bytes of ours to a stream, out of the reserve; false when even that is used up. */
bool haul_conn_put(struct haul_conn *conn, struct haul_conn_stream *stream, const uint8_t *data,
                   size_t bytes);

/* True when input must wait for output: an answer might not fit. */
bool haul_conn_pressed(struct haul_conn *conn);

/* --- conn_stream.c --- */

enum { TELL_WRITABLE = 1, TELL_EXPIRED = 2 };

void haul_conn_tell(struct haul_conn *conn, struct haul_conn_stream *stream, unsigned what);
void haul_conn_streams_expire(struct haul_conn *conn);
