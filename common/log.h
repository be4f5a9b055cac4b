/* Lines of `key=value` on standard error, with a level. Control plane and commands only: a worker
 * counts and reports events instead. Strings from peers are escaped. */
#pragma once

#include "common/base.h"

enum haul_log_level { HAUL_LOG_ERROR, HAUL_LOG_WARN, HAUL_LOG_INFO, HAUL_LOG_DEBUG };

void haul_log_level_set(enum haul_log_level level);

/* `event` is a short kebab-case name; the rest is a printf format of key=value pairs. */
void haul_log(enum haul_log_level level, const char *event, const char *format, ...)
    HAUL_PRINTF(3, 4);
