/* haul perf ceiling: the limits of this machine, in rounds, each figure within one placement. */
#pragma once

#include "controlplane/cmd/command.h"

int haul_perf_ceiling(const struct haul_options *options);
