/* What the files of the connection machine share, from the top: conn.c is its life, conn_stream.c
 * turns the muxer's events into the connection's, conn_in.c shakes hands and opens messages,
 * conn_out.c writes them, conn_batch.c hands them out to be sealed and opened elsewhere,
 * conn_fault.c ends it. For these files only. */
#pragma once

#include "controlplane/p2p/conn.h"

/* --- conn_fault.c --- */

bool haul_conn_fail(struct haul_conn *conn, enum haul_conn_fault fault); /* returns false */

/* What a stream is still to be told, by an event. */
enum { TELL_WRITABLE = 1, TELL_EXPIRED = 2 };

static inline void haul_conn_tell(struct haul_conn *conn, struct haul_conn_stream *stream,
                                  unsigned what)
{
    if (stream->tell == 0)
        conn->telling++;
    if ((what & ~(unsigned)stream->tell & TELL_EXPIRED) != 0)
        conn->expiring++;
    stream->tell = (uint8_t)(stream->tell | what);
}

/* --- conn_in.c --- */

#define HAUL_CONN_MUXERS 1u
extern const char *const haul_conn_muxers[HAUL_CONN_MUXERS];

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

/* --- conn_batch.c --- */

bool haul_conn_defers(const struct haul_conn *conn); /* what is sealed now */

/* Seals what is laid out and behind no batch. False at the end of the counters. */
bool haul_conn_seal_laid(struct haul_conn *conn);

/* How much may be sent from out_at on: up to what is not sealed, or not back. */
size_t haul_conn_sendable(const struct haul_conn *conn);

/* While a batch is out: the next message of those that are back. */
enum haul_conn_opened { HAUL_CONN_OPENED_LATER, HAUL_CONN_OPENED_FORGED, HAUL_CONN_OPENED_DATA };
enum haul_conn_opened haul_conn_next_opened(struct haul_conn *conn, uint8_t **data, size_t *bytes);

/* --- conn_stream.c --- */

void haul_conn_streams_expire(struct haul_conn *conn);
