/* One write a line, so that lines of two processes on one terminal do not mix. Everything that is
 * not printable ASCII is escaped: a peer's text can neither start a line nor move the cursor. */
#include "common/log.h"

#include "common/counters.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 2048u

static const char *const level_names[] = { "error", "warn", "info", "debug" };
static uint64_t log_level = HAUL_LOG_INFO;

void haul_log_level_set(enum haul_log_level level)
{
    haul_counter_set(&log_level, level);
}

/* Appends `text` escaped; leaves room for the newline. */
static size_t line_escape(char line[LINE_BYTES], size_t at, const char *text)
{
    static const char hex[] = "0123456789abcdef";

    for (; *text != 0 && at + 5 < LINE_BYTES; text++) {
        unsigned char c = (unsigned char)*text;

        if (c >= 0x20 && c < 0x7f) {
            line[at++] = *text;
            continue;
        }
        line[at++] = '\\';
        line[at++] = 'x';
        line[at++] = hex[c >> 4];
        line[at++] = hex[c & 15];
    }
    return at;
}

void haul_log(enum haul_log_level level, const char *event, const char *format, ...)
{
    char line[LINE_BYTES], text[LINE_BYTES / 2];
    struct timespec now;
    struct tm utc;
    va_list list;
    size_t at;
    int saved = errno;

    if (level > haul_counter_read(&log_level))
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    at = strftime(line, sizeof line, "time=%Y-%m-%dT%H:%M:%S", &utc);
    at += (size_t)snprintf(line + at, sizeof line - at,
                           ".%03ldZ level=%s event=", now.tv_nsec / 1000000, level_names[level]);
    at = line_escape(line, at, event);
    errno = saved; /* so that %m means what it meant at the caller's */
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (text[0] != 0)
        at = line_escape(line, at, " ");
    at = line_escape(line, at, text);
    line[at++] = '\n';
    while (write(STDERR_FILENO, line, at) < 0 && errno == EINTR)
        continue;
    errno = saved;
}
