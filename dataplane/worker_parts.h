/* A worker: one core's thread of the data plane. It runs to completion: takes orders, receives,
 * moves blocks between slots and places, sends, and sleeps when there is nothing to do. It owns its
 * nets, io, slots and flows; the rings are the only crossing. The store is the first worker's: the
 * others reach it over a post (dataplane/store/post.h). It allocates nothing after it was opened.
 * Internal to the data plane; the door is dataplane/dataplane.h.
 *
 * A job is an order that takes time, or a peer's want that becomes one. Jobs live in one table;
 * each is in one state, and at most in one queue:
 *
 *   FETCH  QUEUED -> ASKING (-> CHECKING) -> PUTTING  a filling slot from ASKING to the end
 *   SERVE  ASKED -> QUEUED -> READING -> SENDING  a serving slot from READING to the end
 *   READ   READING        WRITE  PUTTING        SYNC  SYNCING */
#pragma once

#include "common/counters.h"
#include "dataplane/aead/choose.h"
#include "dataplane/dataplane.h"
#include "dataplane/flow/flow.h"
#include "dataplane/flow/slots.h"
#include "dataplane/store/post.h"
#include "dataplane/verify.h"

#include <pthread.h>
#include <semaphore.h>

#define HAUL_JOBS_MAX     (HAUL_ORDERS_MAX + HAUL_WANTS_MAX)
#define HAUL_NO_JOB       UINT16_MAX
#define HAUL_WANT_BUCKETS 4096u
#define HAUL_IO_TAG_BIT   (UINT64_C(1) << 63)

_Static_assert(HAUL_JOBS_MAX < HAUL_NO_JOB, "a job's number fits 16 bits");

enum haul_job_state {
    HAUL_JOB_FREE,
    HAUL_JOB_QUEUED,   /* waits for a slot, or for the flow to take one more want */
    HAUL_JOB_ASKING,   /* the flow fills the slot */
    HAUL_JOB_CHECKING, /* the hashing thread has the slot */
    HAUL_JOB_ASKED,    /* the control plane decides about a peer's want */
    HAUL_JOB_READING,  /* a place is read into the slot */
    HAUL_JOB_SENDING,  /* the flow reads the slot */
    HAUL_JOB_PUTTING,  /* the slot is written to its place */
    HAUL_JOB_SYNCING,
};

/* What a job still has to submit, or waits for. */
#define HAUL_PART_STORE 1u
#define HAUL_PART_FILE  2u

struct haul_job {
    struct haul_order order;
    uint8_t state;   /* enum haul_job_state */
    uint8_t status;  /* enum haul_status of its DONE event */
    uint8_t unsent;  /* parts that a full queue did not take yet */
    uint8_t running; /* parts that are under way */
    bool ended;      /* SERVE: the flow ended the want while its block was read */
    uint16_t next;   /* in a queue or the free list */
    uint16_t chain;  /* SERVE: in its bucket of `wants` */
    uint32_t slot;   /* HAUL_NO_SLOT: none, or one of the control plane's */
    uint8_t *memory; /* the slot's memory */
    uint32_t handle; /* in the flow */
    uint32_t length; /* of the block, once known */
    uint32_t hashed; /* bytes of it that the hasher has seen */
    uint32_t reuse;  /* counts uses of this entry: part of a want's id */
    int64_t fault;   /* errno of an I/O that failed */
    bool fault_also; /* it was the store's, as well as which the place is another */
    haul_time when;  /* FETCH: when it was verified */
    struct haul_hasher *hasher;
};

/* First in, first out, through the jobs' `next`. */
struct haul_queue {
    uint16_t first, last;
    uint32_t count;
};

struct haul_worker_flow {
    struct haul_flow *flow; /* NULL: closed, or ending */
    bool taken;             /* from OPEN until its DONE */
    bool closing;           /* CLOSE was ordered */
    uint8_t status;         /* of OPEN's DONE, once the flow is down */
    uint8_t via;            /* enum haul_via: which net it runs over */
    uint16_t wants_max;
    uint32_t local_id;
    uint64_t open_id, close_id;
    uint32_t jobs;                  /* that belong to it and have not ended */
    uint32_t held[HAUL_SLOT_SIDES]; /* slots that its jobs hold */
    struct haul_queue fetches;      /* wait for a filling slot */
    struct haul_queue own;          /* bring a control slot, wait for the flow only */
    struct haul_queue serves;       /* wait for a serving slot */
    uint8_t *memory;
};

struct haul_worker {
    uint32_t number;
    struct haul_handoff *handoff;
    struct haul_net *nets[HAUL_VIAS]; /* one of them may be missing */
    struct haul_io *io;
    struct haul_store *store;
    struct haul_post *post;                    /* to the first worker's store; NULL: this is it */
    struct haul_post *posts[HAUL_WORKERS_MAX]; /* the first: of the others, by their numbers */
    struct haul_verify *verify;                /* NULL: this machine has no core for it */
    const struct haul_aead_choice *aead;
    uint8_t *slot_memory; /* filling and serving slots, 1 MiB each */
    bool spin;
    bool synthetic;
    uint64_t stop; /* set once by the thread that closes the plane */
    sem_t started; /* the worker has made the net its own: privileges may go */

    haul_time now;
    haul_time reclaim_at; /* when to look for silent peers next */
    struct haul_slots slots;
    struct haul_hasher *hashers; /* one a filling slot, then one a control slot */
    bool *generated;             /* one a slot: it holds a whole generated block */
    struct haul_job *jobs;
    uint16_t free_job;
    struct haul_queue unsent; /* jobs that a full store or io queue did not take */
    uint16_t *wants;          /* SERVE jobs by flow and handle: HAUL_WANT_BUCKETS lists */
    uint32_t failed_packs;    /* of the store, as its last write or sync reported */
    bool posted;              /* events that the control thread was not told of yet */
    bool submitted;           /* a part was submitted in this turn: it may be done already */
    bool blocked;             /* a net had no train to send from in this turn */

    struct haul_worker_flow flows[HAUL_FLOWS_MAX];
    uint8_t *flow_memory; /* HAUL_FLOWS_MAX times flow_bytes, touched when a flow opens */
    size_t flow_bytes;
    uint32_t wants_granted;       /* sum over the live flows */
    uint8_t open[HAUL_FLOWS_MAX]; /* numbers of the flows that are not closed */
    uint32_t open_count;
    uint32_t send_next;  /* whose turn it is to send first */
    uint32_t serve_next; /* ... and to be given a slot */

    struct haul_worker_counters counters;
    struct haul_store_facts store_facts; /* the numbers in it: by common/counters.h */
};

/* The files of the worker from the top; each calls only those below it. */

/* worker.c: the thread. */
void *haul_worker_run(void *worker);

/* orders.c: takes what the control plane orders. */
bool haul_orders_take(struct haul_worker *worker);

/* serve_slots.c: gives serving slots to wants that wait. */
void haul_serve_pump(struct haul_worker *worker);

/* flows.c: opening and closing, whose datagram it is, what flows report. */
void haul_flows_open(struct haul_worker *worker, const struct haul_order *order);
void haul_flows_close(struct haul_worker *worker, const struct haul_order *order);
struct haul_worker_flow *haul_flows_find(struct haul_worker *worker, uint32_t receiver_id);
void haul_flows_events(struct haul_worker *worker, struct haul_worker_flow *flow);

/* fetch.c: blocks that arrive. */
void haul_fetch_order(struct haul_worker *worker, const struct haul_order *order);
void haul_fetch_pump(struct haul_worker *worker); /* gives slots to fetches that wait */
void haul_fetch_event(struct haul_worker *worker, struct haul_worker_flow *flow,
                      const struct haul_flow_event *event);
bool haul_fetch_checked(struct haul_worker *worker); /* takes what the hashing thread has done */

/* serve.c: blocks that leave. */
void haul_serve_wanted(struct haul_worker *worker, struct haul_worker_flow *flow,
                       const struct haul_flow_event *event);
void haul_serve_order(struct haul_worker *worker, const struct haul_order *order);
void haul_serve_refuse(struct haul_worker *worker, const struct haul_order *order);
void haul_serve_ended(struct haul_worker *worker, struct haul_worker_flow *flow, uint32_t handle,
                      enum haul_status status);

/* place.c: reads, writes and flushes of places, and what follows when nothing is under way. */
void haul_place_read(struct haul_worker *worker, struct haul_job *job);
void haul_place_write(struct haul_worker *worker, struct haul_job *job);
void haul_place_sync(struct haul_worker *worker, struct haul_job *job);
bool haul_place_reap(struct haul_worker *worker);

/* end.c: events; a final one for an order that never became a job, for a job, and for a flow when
 * it is down and nothing of its own is left. */
void haul_worker_event(struct haul_worker *worker, const struct haul_event *event);
void haul_order_done(struct haul_worker *worker, const struct haul_order *order,
                     enum haul_status status, uint64_t at);
void haul_job_done(struct haul_worker *worker, struct haul_job *job, enum haul_status status);
void haul_job_free(struct haul_worker *worker, struct haul_job *job); /* without an event */
void haul_flows_ended(struct haul_worker *worker, struct haul_worker_flow *flow);

/* wants.c: SERVE jobs by what the peer asked for. */
void haul_want_enter(struct haul_worker *worker, struct haul_job *job);
struct haul_job *haul_want_take(struct haul_worker *worker, uint32_t flow, uint32_t handle);
void haul_want_forget(struct haul_worker *worker, struct haul_job *job); /* it is there */
uint64_t haul_want_id(const struct haul_worker *worker, const struct haul_job *job);
struct haul_job *haul_want_find(struct haul_worker *worker, uint64_t id); /* NULL: not asked */

/* jobs.c: the table of jobs, their queues and slots; the numbers of jobs and flows. */
void haul_jobs_init(struct haul_worker *worker);
struct haul_job *haul_job_new(struct haul_worker *worker, const struct haul_order *order);
uint16_t haul_job_number(const struct haul_worker *worker, const struct haul_job *job);
uint32_t haul_flows_number(const struct haul_worker *worker, const struct haul_worker_flow *flow);
bool haul_job_slot_take(struct haul_worker *worker, struct haul_job *job, enum haul_slot_side side);
void haul_job_slot_give(struct haul_worker *worker, struct haul_job *job);
void haul_queue_init(struct haul_queue *queue);
void haul_queue_push(struct haul_worker *worker, struct haul_queue *queue, struct haul_job *job);
struct haul_job *haul_queue_first(struct haul_worker *worker, struct haul_queue *queue);
void haul_queue_remove(struct haul_worker *worker, struct haul_queue *queue, struct haul_job *job);
