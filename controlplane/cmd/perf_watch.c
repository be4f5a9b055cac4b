#include "controlplane/cmd/perf_watch.h"

#define PLACEMENT_MS   5u
#define PLACEMENT_TIME 3u

volatile sig_atomic_t haul_perf_interrupted;

static void on_interrupt(int number)
{
    (void)number;
    haul_perf_interrupted = 1;
}

void haul_perf_signals_watch(void)
{
    const struct sigaction on_signal = { .sa_handler = on_interrupt };

    sigaction(SIGINT, &on_signal, NULL);
    sigaction(SIGTERM, &on_signal, NULL);
    sigaction(SIGHUP, &on_signal, NULL);
    signal(SIGPIPE, SIG_IGN);
}

void haul_perf_placement_take(struct haul_placement *placement)
{
    struct haul_placement at;

    haul_placement_measure(placement, PLACEMENT_MS, false);
    for (unsigned i = 1; i < PLACEMENT_TIME; i++) {
        haul_placement_measure(&at, PLACEMENT_MS, false);
        if (at.round_trip_ns < placement->round_trip_ns)
            *placement = at;
    }
}
