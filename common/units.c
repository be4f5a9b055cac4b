#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>

void haul_units_bytes(uint64_t bytes, char text[HAUL_UNITS_TEXT_BYTES])
{
    static const char letters[] = "KMGTPE";
    double value = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        snprintf(text, HAUL_UNITS_TEXT_BYTES, "%" PRIu64 " B", bytes);
        return;
    }
    while (value >= 1024 && letters[unit + 1] != '\0') {
        value /= 1024;
        unit++;
    }
    snprintf(text, HAUL_UNITS_TEXT_BYTES, "%.2f %ciB", value, letters[unit]);
}

void haul_units_rate(double bytes_per_second, char text[HAUL_UNITS_TEXT_BYTES])
{
    static const struct {
        double scale;
        const char *letter;
    } units[] = { { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" }, { 1, "" } };
    size_t unit = 0;

    while (unit + 1 < HAUL_COUNT_OF(units) && bytes_per_second < units[unit].scale)
        unit++;
    snprintf(text, HAUL_UNITS_TEXT_BYTES, "%.2f %sB/s (%.2f Gbit/s)",
             bytes_per_second / units[unit].scale, units[unit].letter, bytes_per_second * 8e-9);
}

void haul_units_span(double seconds, char text[HAUL_UNITS_TEXT_BYTES])
{
    uint64_t whole = seconds < 0 ? 0 : seconds > 1e9 ? 1000000000 : (uint64_t)(seconds + 0.5);

    if (whole < 60)
        snprintf(text, HAUL_UNITS_TEXT_BYTES, "%" PRIu64 " s", whole);
    else if (whole < 3600)
        snprintf(text, HAUL_UNITS_TEXT_BYTES, "%" PRIu64 " min %02" PRIu64 " s", whole / 60,
                 whole % 60);
    else
        snprintf(text, HAUL_UNITS_TEXT_BYTES, "%" PRIu64 " h %02" PRIu64 " min", whole / 3600,
                 whole / 60 % 60);
}
