/* The monotonic clock. For whoever owns a loop or measures something: pure code is told the time
 * (common/time.h). Any thread. */
#pragma once

#include "common/time.h"

haul_time haul_clock_read(void);
