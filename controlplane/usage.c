#include "controlplane/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static haul_time span_of(struct timeval value)
{
    return (haul_time)value.tv_sec * HAUL_SECOND + (haul_time)value.tv_usec * HAUL_MICROSECOND;
}

haul_time haul_usage_cpu(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return 0;
    return span_of(usage.ru_utime) + span_of(usage.ru_stime);
}

/* "VmHWM:    123456 kB" */
static uint64_t line_bytes(const char *line, const char *name)
{
    size_t length = strlen(name);

    if (strncmp(line, name, length) != 0)
        return 0;
    return strtoull(line + length, NULL, 10) * 1024;
}

uint64_t haul_usage_peak_bytes(pid_t process)
{
    char path[32], line[256];
    uint64_t bytes = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", (int)process);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        bytes += line_bytes(line, "VmHWM:") + line_bytes(line, "HugetlbPages:");
    fclose(file);
    return bytes;
}
