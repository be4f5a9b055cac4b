/* One line on a terminal: bar, share, rate, time left, carrier. Nothing when standard error is not
 * a terminal, with --quiet or with --json. */
#pragma once

#include "common/time.h"
#include "controlplane/cmd/option.h"
#include "ctl.pb-c.h"

struct haul_progress {
    bool on;
    bool drawn;
    haul_time started;
    haul_time drawn_at;
    haul_time window_at[8]; /* the last seconds, for a rate that follows */
    uint64_t window_bytes[8];
    unsigned window_next;
};

void haul_progress_init(struct haul_progress *progress, const struct haul_options *options);
void haul_progress_show(struct haul_progress *progress, const Haul__Ctl__Progress *state);
void haul_progress_clear(struct haul_progress *progress); /* before anything else is printed */
