/* haul perf peer: a rate test over libp2p streams with any peer that speaks /perf/1.0.0. */
#pragma once

#include "controlplane/cmd/command.h"

int haul_perf_peer(const struct haul_options *options);
