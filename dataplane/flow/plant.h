/* Bugs planted to prove that the simulator finds bugs. In production every haul_planted(NAME) is
 * the constant false and compiles to nothing; a build with -DHAUL_PLANT=NAME has exactly that one
 * bug. */
#pragma once

enum haul_plant {
    HAUL_PLANT_NONE,
    HAUL_PLANT_BIT_BEFORE_TAG,    /* a unit counts as arrived before its tag has held */
    HAUL_PLANT_LOST_WANT,         /* a want is not sent again */
    HAUL_PLANT_LOST_LENGTH,       /* an accept, with the length in it, is not sent again */
    HAUL_PLANT_HANDLE_TWICE,      /* a handle is used again with the same generation */
    HAUL_PLANT_WANT_AFTER_DONE,   /* a want that comes again after its end is served again */
    HAUL_PLANT_DUPLICATE_UNACKED, /* a duplicate is not acknowledged */
    HAUL_PLANT_ONE_POOL,          /* filling and serving share one pool of slots */
};

#ifndef HAUL_PLANT
#define HAUL_PLANT NONE
#endif
#define HAUL_PLANT_ID_OF(name) HAUL_PLANT_##name
#define HAUL_PLANT_ID(name)    HAUL_PLANT_ID_OF(name)
#define haul_planted(name)     (HAUL_PLANT_##name == HAUL_PLANT_ID(HAUL_PLANT))
