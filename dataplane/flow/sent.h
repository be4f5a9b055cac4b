/* What is in flight, remembered per burst (a run of consecutive numbers that carried consecutive
 * bytes of one block, or one control datagram), and what acknowledgements say about it. Loss is
 * declared by time with an adaptive reordering window (RFC 8985), or by silence (probe timeout,
 * RFC 9002 section 6.2); a datagram that is acknowledged after it was declared lost undoes that.
 * Acknowledged and lost bytes go straight to the serves, met and lost frames to the duties. */
#pragma once

#include "dataplane/flow/duty.h"
#include "dataplane/flow/serve.h"

#define HAUL_BURST_MAX      64u   /* datagrams of one burst */
#define HAUL_BURSTS         4096u /* bursts in flight: at 44 datagrams of 1408 bytes, 250 MB */
#define HAUL_SKIPPED_MAX    16u   /* numbers never sent, remembered */
#define HAUL_ACK_SPAN_MAX   (25 * HAUL_MILLISECOND)
#define HAUL_PROBE_SPAN_MAX (2 * HAUL_SECOND)
#define HAUL_RTT_FIRST      (333 * HAUL_MILLISECOND) /* before the first measurement */

enum haul_burst_kind {
    HAUL_BURST_DATA,
    HAUL_BURST_CONTROL,
    HAUL_BURST_PROBE, /* a padded control datagram that measures the path's largest class */
};

struct haul_burst {
    uint64_t first; /* number */
    uint64_t acked; /* bit i: number first + i */
    uint64_t lost;
    haul_time time;
    uint64_t delivered;       /* bytes delivered in all when it left, */
    haul_time delivered_time; /* when the last of them were reported, */
    haul_time first_time;     /* and when the datagram that reported them had left */
    uint32_t handle;
    uint16_t unit;       /* of the first datagram */
    uint16_t last_bytes; /* payload of the last datagram; of the others it is `class` units */
    uint16_t newer;      /* neighbours among the unresolved bursts */
    uint16_t older;
    uint8_t count;
    uint8_t class;
    uint8_t kind; /* enum haul_burst_kind */
    bool app_limited;
};

#define HAUL_NO_BURST UINT16_MAX

/* What one call taught; the flow makes a rate sample of it. */
struct haul_sent_news {
    uint64_t acked_bytes;
    uint64_t lost_bytes;
    uint64_t spurious_bytes;
    uint32_t lost_datagrams;
    uint32_t spurious_datagrams;
    uint32_t full_acked; /* datagrams of the full class acknowledged, and lost */
    uint32_t full_lost;
    bool any;         /* something was acknowledged for the first time */
    bool control;     /* a control datagram among it */
    bool probe_acked; /* a path probe came through, or was lost; its class in units */
    bool probe_lost;
    uint8_t probe_class;
    bool lied;     /* a number was acknowledged that was never sent */
    haul_time rtt; /* of the newest number acknowledged first here, or 0 */
    haul_time interval;
    uint64_t delivered_at_send;
    bool app_limited;
};

struct haul_sent {
    struct haul_burst *bursts; /* a ring of HAUL_BURSTS */
    struct haul_serves *serves;
    struct haul_duties *duties;
    uint32_t head; /* counts of bursts ever added and removed; places are modulo HAUL_BURSTS */
    uint32_t tail;
    uint16_t open_first; /* unresolved bursts, oldest first */
    uint16_t open_last;
    uint16_t full_class;
    uint64_t next;      /* number of the next datagram */
    uint64_t largest;   /* acknowledged so far */
    uint64_t in_flight; /* bytes of data datagrams, headers included */
    uint64_t delivered;
    haul_time delivered_time;
    haul_time first_time;
    uint64_t app_limited_until; /* delivered count */
    haul_time last_eliciting;   /* when a datagram that wants an acknowledgement left last */
    haul_time rtt_smoothed;
    haul_time rtt_variation;
    haul_time rtt_min;
    haul_time rtt_latest;  /* as measured, the peer's delay included */
    haul_time newest_time; /* when the newest acknowledged burst left */
    uint64_t newest_number;
    haul_time loss_due; /* when the next datagram will count as lost, or never */
    haul_time reorder_grown;
    uint32_t reorder_steps; /* the reordering window, in quarters of the least round trip */
    uint32_t probes;        /* probe timeouts since something was acknowledged */
    uint32_t skipped_count;
    uint64_t skipped[HAUL_SKIPPED_MAX];
    size_t known_count; /* ranges of the last acknowledgement: only what is new is looked at */
    struct haul_range known[HAUL_ACK_RANGES_MAX];
};

void haul_sent_init(struct haul_sent *sent, struct haul_burst *bursts, struct haul_serves *serves,
                    struct haul_duties *duties);

/* Room for `bursts` more. */
static inline bool haul_sent_room(const struct haul_sent *sent, uint32_t bursts)
{
    return sent->head - sent->tail + bursts <= HAUL_BURSTS;
}

/* Records datagrams that leave now, whose first number is sent->next; returns the place in the
 * ring. There is room. */
uint16_t haul_sent_chunk(struct haul_sent *sent, const struct haul_chunk *chunk, bool app_limited,
                         haul_time now);
uint16_t haul_sent_control(struct haul_sent *sent, enum haul_burst_kind kind, uint8_t class,
                           haul_time now);

/* A number that will never be used: whoever acknowledges it lies. Or one used by a datagram that
 * asks for no acknowledgement. */
void haul_sent_skip(struct haul_sent *sent);
static inline uint64_t haul_sent_plain(struct haul_sent *sent)
{
    return sent->next++;
}

/* Ranges of an acknowledgement. Losses are declared by haul_sent_late, which the caller calls when
 * the bitmaps that came with it have been read too. */
void haul_sent_ack(struct haul_sent *sent, const struct haul_ack *ack, haul_time now,
                   struct haul_sent_news *news);

/* Declares lost what is late. */
void haul_sent_late(struct haul_sent *sent, haul_time now, struct haul_sent_news *news);

/* The round trip after which a silent peer is probed, without back-off. */
haul_time haul_sent_probe_span(const struct haul_sent *sent);

/* When the next probe timeout fires; never when nothing is in flight. */
haul_time haul_sent_probe_due(const struct haul_sent *sent);

/* It fired: everything owed is due again, the oldest datagram in flight is to be sent again, and
 * after `persistent` timeouts everything in flight counts as lost. */
void haul_sent_probe(struct haul_sent *sent, uint32_t persistent, haul_time now,
                     struct haul_sent_news *news);

/* Everything that is in flight is forgotten, as if it had been lost, but nothing is sent again: the
 * peer is idle and owes nothing. */
void haul_sent_forget(struct haul_sent *sent);
const char *haul_sent_broken(const struct haul_sent *sent);
