/* Quantities as people read them: sizes in binary units, rates in decimal ones. */
#pragma once

#include "common/base.h"

#define HAUL_UNITS_TEXT_BYTES 48u

/* "1.50 GiB"; plain bytes below one KiB. */
void haul_units_bytes(uint64_t bytes, char text[HAUL_UNITS_TEXT_BYTES]);

/* "1.23 GB/s (9.84 Gbit/s)". */
void haul_units_rate(double bytes_per_second, char text[HAUL_UNITS_TEXT_BYTES]);

/* "12 s", "3 min 20 s", "2 h 05 min". */
void haul_units_span(double seconds, char text[HAUL_UNITS_TEXT_BYTES]);
