#include "tests/sim/handles.h"

#include <stdlib.h>

static uint32_t place_of(const struct sim_handles *handles, uint32_t handle)
{
    uint32_t place = (uint32_t)(handle * 2654435761u) & (handles->capacity - 1);

    while (handles->table[place] != 0 && handles->table[place] != handle)
        place = (place + 1) & (handles->capacity - 1);
    return place;
}

bool sim_handles_has(const struct sim_handles *handles, uint32_t handle)
{
    return handles->capacity > 0 && handles->table[place_of(handles, handle)] == handle;
}

static void grow(struct sim_handles *handles)
{
    struct sim_handles wider = { .capacity = handles->capacity == 0 ? 64 : 2 * handles->capacity };

    wider.table = calloc(wider.capacity, sizeof *wider.table);
    haul_assert(wider.table != NULL);
    for (uint32_t i = 0; i < handles->capacity; i++) {
        if (handles->table[i] != 0)
            wider.table[place_of(&wider, handles->table[i])] = handles->table[i];
    }
    wider.count = handles->count;
    free(handles->table);
    *handles = wider;
}

bool sim_handles_add(struct sim_handles *handles, uint32_t handle)
{
    uint32_t place;

    haul_assert(handle != 0);
    if (2 * handles->count >= handles->capacity)
        grow(handles);
    place = place_of(handles, handle);
    if (handles->table[place] == handle)
        return false;
    handles->table[place] = handle;
    handles->count++;
    return true;
}

void sim_handles_fini(struct sim_handles *handles)
{
    free(handles->table);
    *handles = (struct sim_handles){ 0 };
}
