/* A set of numbers that only grows: which handles or datagrams were ever seen on a flow. */
#pragma once

#include "common/base.h"

struct sim_handles {
    uint32_t *table; /* open addressing; zero is empty, as zero is no handle */
    uint32_t capacity;
    uint32_t count;
};

bool sim_handles_add(struct sim_handles *handles, uint32_t handle); /* false: was there */
bool sim_handles_has(const struct sim_handles *handles, uint32_t handle);
void sim_handles_fini(struct sim_handles *handles);
