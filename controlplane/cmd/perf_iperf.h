/* iperf3 over loopback, plaintext TCP with its default options: what every rate here is divided by.
 */
#pragma once

#include "common/error.h"

/* One measurement of `seconds`, with a server of its own on a free port, gone afterwards.
 * NOT_POSSIBLE when iperf3 is not installed, CANCELLED after an interrupt (perf_watch.h). */
HAUL_MUST_USE int haul_perf_iperf(unsigned seconds, double *bytes_per_second,
                                  struct haul_error *error);
