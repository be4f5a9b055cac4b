/* Frames that change the peer's state and are owed to it until acknowledged: a want or an end of an
 * index we fill, an answer of an index we serve. Each duty is in at most one list: due (to be
 * sent), or flying with one control datagram, named by its place in the ring of sent bursts. When
 * that datagram is acknowledged the duty is met; when it is lost the duty is due again. What the
 * frame says is read from the fill or serve when it is written, so the newest state is what
 * travels. */
#pragma once

#include "common/base.h"

#define HAUL_NO_DUTY UINT16_MAX

enum haul_duty_kind { HAUL_DUTY_WANT, HAUL_DUTY_END, HAUL_DUTY_ANSWER, HAUL_DUTY_KINDS };

struct haul_link {
    uint16_t next;
    uint16_t prev;
};

struct haul_duties {
    struct haul_link *links; /* of duties, then the head of due, then a head for each burst */
    uint16_t indexes;        /* indexes of each kind */
    uint16_t bursts;
    uint16_t owed; /* in any of the lists */
};

static inline uint16_t haul_duty(const struct haul_duties *duties, enum haul_duty_kind kind,
                                 uint32_t index)
{
    return (uint16_t)((uint32_t)kind * duties->indexes + index);
}

static inline enum haul_duty_kind haul_duty_kind(const struct haul_duties *duties, uint16_t duty)
{
    return (enum haul_duty_kind)(duty / duties->indexes);
}

static inline uint16_t haul_duty_index(const struct haul_duties *duties, uint16_t duty)
{
    return (uint16_t)(duty % duties->indexes);
}

static inline size_t haul_duties_links(uint16_t indexes, uint16_t bursts)
{
    return (size_t)HAUL_DUTY_KINDS * indexes + 1 + bursts;
}

void haul_duties_init(struct haul_duties *duties, struct haul_link *links, uint16_t indexes,
                      uint16_t bursts);

/* It must be said (again), wherever it was; or it need not be said any more. */
void haul_duty_owe(struct haul_duties *duties, uint16_t duty);
void haul_duty_drop(struct haul_duties *duties, uint16_t duty);

bool haul_duty_pending(const struct haul_duties *duties, uint16_t duty); /* due or flying */

/* The duty that has been due longest, or HAUL_NO_DUTY. */
uint16_t haul_duty_first(const struct haul_duties *duties);

/* A due duty leaves with the datagram of `burst`. */
void haul_duty_fly(struct haul_duties *duties, uint16_t duty, uint16_t burst);

/* The datagram of `burst` was acknowledged: takes one of its duties, which is met; HAUL_NO_DUTY
 * when none is left. Or it was lost: they are due again. */
uint16_t haul_duty_met(struct haul_duties *duties, uint16_t burst);
void haul_duties_lost(struct haul_duties *duties, uint16_t burst);
const char *haul_duties_broken(const struct haul_duties *duties);
