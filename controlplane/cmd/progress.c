#include "controlplane/cmd/progress.h"

#include "common/clock.h"
#include "common/units.h"
#include "controlplane/cmd/print.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW    (100 * HAUL_MILLISECOND)
#define BAR_CELLS 24u

void haul_progress_init(struct haul_progress *progress, const struct haul_options *options)
{
    *progress = (struct haul_progress){ .started = haul_clock_read() };
    progress->on = haul_print_fancy(stderr) && !haul_options_has(options, HAUL_OPTION_QUIET) &&
                   !haul_options_has(options, HAUL_OPTION_JSON);
    for (size_t i = 0; i < HAUL_COUNT_OF(progress->window_at); i++)
        progress->window_at[i] = progress->started;
}

static double rate_now(struct haul_progress *progress, uint64_t bytes, haul_time now)
{
    unsigned oldest = progress->window_next;
    haul_time since = haul_time_since(progress->window_at[oldest], now);
    uint64_t moved = bytes - progress->window_bytes[oldest];

    /* One window entry about every 300 ms. */
    unsigned newest = (oldest + 7) % 8;
    if (haul_time_since(progress->window_at[newest], now) >= 3 * REDRAW) {
        progress->window_at[oldest] = now;
        progress->window_bytes[oldest] = bytes;
        progress->window_next = (oldest + 1) % 8;
    }
    return since == 0 ? 0 : (double)moved * 1e9 / (double)since;
}

static void bar_draw(const Haul__Ctl__Progress *state)
{
    double share = (double)state->bytes / (double)state->total;
    unsigned cells;

    share = share > 1 ? 1 : share;
    cells = (unsigned)(share * BAR_CELLS);
    fprintf(stderr, "%3.0f %% ", share * 100);
    for (unsigned i = 0; i < BAR_CELLS; i++)
        fputs(i < cells ? "█" : "·", stderr);
    fputs("  ", stderr);
}

void haul_progress_show(struct haul_progress *progress, const Haul__Ctl__Progress *state)
{
    haul_time now = haul_clock_read();
    char text[HAUL_UNITS_TEXT_BYTES];
    double rate;

    if (!progress->on || haul_time_since(progress->drawn_at, now) < REDRAW)
        return;
    progress->drawn_at = now;
    progress->drawn = true;
    rate = rate_now(progress, state->bytes, now);
    fputs("\r\033[K", stderr);
    if (state->total > 0)
        bar_draw(state);
    haul_units_bytes(state->bytes, text);
    fputs(text, stderr);
    if (state->total > 0) {
        haul_units_bytes(state->total, text);
        fprintf(stderr, "/%s", text);
    }
    if (rate > 0) {
        haul_units_rate(rate, text);
        fprintf(stderr, "  %s", text);
    }
    if (rate > 0 && state->total > state->bytes) {
        haul_units_span((double)(state->total - state->bytes) / rate, text);
        fprintf(stderr, "  %s left", text);
    }
    if (state->carrier != NULL && state->carrier[0] != '\0')
        fprintf(stderr, "  %s", state->carrier);
    fflush(stderr);
}

void haul_progress_clear(struct haul_progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}
