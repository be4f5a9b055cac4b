/* multistream-select 1.0 (libp2p specs, connections/README.md): two peers agree on the protocol of
 * a connection or a stream. A machine of bytes: it reads what arrived from `in`, writes what must
 * be sent to `out`, and leaves everything behind the agreement in `in`, untouched.
 *
 *   dialer    header, proposal ->  <- header, echo (agreed) or na (next proposal, or refused)
 *   listener  header ->            <- header, proposal; answers with an echo (agreed), na or a list
 *
 * A dialer with one protocol may send application bytes right behind the first step's output,
 * before the answer (optimistic negotiation); haul_select_early tells. A listener's bytes may
 * follow its answer at once. The machine knows nothing of half-closed streams: what a step wrote
 * must be sent even when the peer has closed its half.
 *
 * A frame is uvarint(n) and n bytes, of which the last is '\n'; at most 1024 of them. */
#pragma once

#include "common/bytes.h"

#define HAUL_SELECT_FRAME_MAX     1024u
#define HAUL_SELECT_FIRST_BYTE    19u  /* what every negotiation begins with: its header's length */
#define HAUL_SELECT_NAME_MAX      127u /* longest protocol name of ours, without the '\n' */
#define HAUL_SELECT_DIAL_MAX      10u  /* protocols that a dialer may propose */
#define HAUL_SELECT_PROPOSALS_MAX 32u  /* answers that a listener gives before it gives up */

/* Room that every step needs in `out`: more than one negotiation writes in all. */
#define HAUL_SELECT_OUT_BYTES 1408u

enum haul_select_state {
    HAUL_SELECT_RUNNING,
    HAUL_SELECT_AGREED,  /* on protocols[index] */
    HAUL_SELECT_REFUSED, /* dialer: the peer speaks none; listener: too many proposals */
    HAUL_SELECT_BROKEN,  /* not multistream-select, or out of its rules */
};

/* What dialers asked a listener for and it does not speak. */
#define HAUL_SELECT_LAST_BYTES 64u
struct haul_select_unspoken {
    uint64_t count;
    char last[HAUL_SELECT_LAST_BYTES]; /* cut, and without characters that do not print */
};

struct haul_select {
    const char *const *protocols;          /* borrowed */
    struct haul_select_unspoken *unspoken; /* listener: the caller's to set, or NULL */
    uint16_t count;
    uint16_t index;       /* dialer: the one proposed; AGREED: the one agreed */
    uint16_t answers;     /* listener: proposals answered with na */
    uint16_t frame_bytes; /* length of the frame that is being read, as far as it is known */
    uint16_t frame_read;
    uint8_t length_bytes; /* bytes of the length read so far: 0 or 1 until it is known */
    uint8_t state;        /* enum haul_select_state */
    bool dialer;
    bool greeted;                        /* our header was written */
    bool met;                            /* the peer's header was read */
    bool proposed;                       /* dialer: protocols[index] was written */
    bool framed;                         /* the length of the frame is known */
    bool listed;                         /* listener: an `ls` was answered; a second one is not */
    uint8_t last;                        /* last byte read of the frame */
    char name[HAUL_SELECT_NAME_MAX + 1]; /* beginning of the frame that is being read */
};

/* `protocols`: at least one, best first, each at most HAUL_SELECT_NAME_MAX characters. */
void haul_select_dial(struct haul_select *select, const char *const *protocols, size_t count);
void haul_select_listen(struct haul_select *select, const char *const *protocols, size_t count);

/* Reads and writes as far as it can; the first step writes the header even when nothing arrived.
 * A partial frame is taken in, so `in` is empty after the step unless the machine has ended: what
 * is left then belongs to whatever follows. */
enum haul_select_state haul_select_step(struct haul_select *select, struct haul_in *in,
                                        struct haul_out *out);

/* True when application bytes may be written: agreed, or a dialer with one protocol left to propose
 * whose proposal was written. */
bool haul_select_early(const struct haul_select *select);
