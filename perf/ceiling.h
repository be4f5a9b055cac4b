/* Ceilings of this machine, one row each: what one core does alone (copy, seal, hash) and what two
 * carry (pipe.h). Every rate of haul is quoted as a share of one of them, measured in the same
 * minute. */
#pragma once

#include "perf/pipe.h"

struct haul_ceilings; /* the ciphers of this machine, chosen once */

struct haul_ceiling {
    const char *name;
    const char *what;             /* for people */
    const char *of;               /* the row it is a share of; NULL: none */
    const struct haul_pipe *pipe; /* NULL: one core alone */
    struct haul_pipe_shape shape;

    /* One core alone: passes over `payload` bytes a call for about `span_ns`. */
    double (*alone)(const struct haul_pipe_shape *shape, const struct haul_aead *aead,
                    uint8_t *area, size_t area_bytes, uint64_t span_ns);
};

extern const struct haul_ceiling haul_ceiling_table[];
extern const size_t haul_ceiling_count;
const struct haul_ceiling *haul_ceiling_find(const char *name); /* NULL: no such row */

HAUL_MUST_USE int haul_ceilings_open(struct haul_ceilings **ceilings, struct haul_error *error);
void haul_ceilings_close(struct haul_ceilings *ceilings);

/* Larger than the last-level cache of this machine, by two at least. */
size_t haul_ceilings_area(void);

/* One measurement of one row (not necessarily of the table). NOT_POSSIBLE where this machine lacks
 * what it needs. The rest as for haul_pipe_measure. */
HAUL_MUST_USE int haul_ceiling_measure(const struct haul_ceilings *ceilings,
                                       const struct haul_ceiling *ceiling, size_t area_bytes,
                                       uint64_t span_ns, const volatile int *stop,
                                       struct haul_pipe_result *result, struct haul_error *error);
