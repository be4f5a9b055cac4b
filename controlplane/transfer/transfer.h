/* One get as a state machine: meet the peer, agree on a carrier, fetch what the plan asks for, hand
 * entries and bytes to whoever asked, flush, and close with a record. Control thread only.
 *
 * The transfer opens no file: descriptors come from its user, one a file, and are closed here. */
#pragma once

#include "common/error.h"
#include "controlplane/transfer/parts.h"
#include "controlplane/transfer/plan.h"
#include "controlplane/transfer/record.h"

enum haul_sink {
    HAUL_SINK_FILES,   /* entries, and a descriptor for each file */
    HAUL_SINK_STREAM,  /* one file, in order, as bytes */
    HAUL_SINK_STORE,   /* the block store alone */
    HAUL_SINK_DISCARD, /* verified, then dropped: rate tests */
    HAUL_SINK_LIST,    /* the entries of one directory; nothing is fetched below them */
};

enum haul_carrier_choice {
    HAUL_CHOOSE_AUTO,
    HAUL_CHOOSE_UDP,
    HAUL_CHOOSE_STREAM,
    HAUL_CHOOSE_DPDK
};

struct haul_transfer_ask {
    const char *what; /* TICKET or CID, with /path; copied */
    enum haul_sink sink;
    bool keep; /* the blocks go to the store as well */
    enum haul_carrier_choice carrier;
    haul_time timeout; /* 0: waits for the peer for ever */
    uint8_t cipher;    /* enum haul_cipher; rate tests alone may say NONE, else 0 means any */
    bool any_cipher;
    bool unverified; /* DISCARD: leaves are not hashed; rate tests alone */
};

/* What the transfer says to whoever asked. */
struct haul_transfer_events {
    void (*entry)(void *context, const struct haul_step *step); /* FILE, DIRECTORY(_END), LINK */
    void (*finished)(void *context, uint32_t file);
    void (*data)(void *context, const uint8_t *data, size_t bytes);
    size_t (*backlog)(void *context); /* bytes said and not yet taken */
    void (*flush)(void *context);     /* answer with haul_transfer_flushed */
    void (*note)(void *context, const char *text);

    /* Last, and once: a record, or NULL and what went wrong. */
    void (*ended)(void *context, const struct haul_record *record, const struct haul_error *error);
};

struct haul_transfer;

HAUL_MUST_USE int haul_transfer_open(struct haul_transfer **transfer,
                                     const struct haul_parts *parts,
                                     const struct haul_transfer_ask *ask,
                                     const struct haul_transfer_events *events, void *context,
                                     struct haul_error *error);

/* Cancels what is under way; nothing is said any more. The memory goes when the data plane has let
 * go of the last descriptor and slot. */
void haul_transfer_close(struct haul_transfer *transfer);

/* Answer to a FILE entry; takes the descriptor over. The first `held` bytes of the file may be
 * those of an earlier get: each block is looked for there first. */
void haul_transfer_opened(struct haul_transfer *transfer, uint32_t file, int fd, uint64_t held);
void haul_transfer_flushed(struct haul_transfer *transfer);
void haul_transfer_drained(struct haul_transfer *transfer); /* the backlog has gone down */

/* For progress. */
uint64_t haul_transfer_bytes(const struct haul_transfer *transfer);
uint64_t haul_transfer_total(const struct haul_transfer *transfer); /* 0: not known */
uint64_t haul_transfer_files(const struct haul_transfer *transfer);
const char *haul_transfer_carrier(const struct haul_transfer *transfer);

/* Does one of them use this connection? */
bool haul_transfers_use(const struct haul_transfer *list, uint64_t connection);
/* Further connections of theirs with peers whom they have one to. */
uint32_t haul_transfers_further(const struct haul_transfer *list);

/* After the data plane has stopped: frees every transfer that still waits for it. */
void haul_transfers_abandon(struct haul_transfer **list);
