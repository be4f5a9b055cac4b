#include "controlplane/cmd/perf_process.h"

#include "common/clock.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES 64u

static haul_time cpu_read(clockid_t clock)
{
    struct timespec at;

    if (clock_gettime(clock, &at) != 0)
        return 0;
    return (haul_time)at.tv_sec * HAUL_SECOND + (haul_time)at.tv_nsec;
}

/* The scheduler's own account, in nanoseconds: the ticks of /proc/PID/stat are 10 ms each. */
static haul_time thread_cpu(pid_t process, pid_t thread)
{
    unsigned long long on_cpu = 0;
    char path[PATH_BYTES];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", (int)process, (int)thread);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu", &on_cpu) != 1)
        on_cpu = 0;
    fclose(file);
    return on_cpu;
}

static void threads_read(pid_t process, struct haul_perf_usage *usage)
{
    char path[PATH_BYTES];
    struct dirent *entry;
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    tasks = opendir(path);
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        pid_t id = (pid_t)strtol(entry->d_name, NULL, 10);

        if (id <= 0 || usage->thread_count == HAUL_PERF_THREADS_MAX)
            continue;
        usage->threads[usage->thread_count].id = id;
        usage->threads[usage->thread_count++].cpu = thread_cpu(process, id);
    }
    if (tasks != NULL)
        closedir(tasks);
}

void haul_perf_usage(pid_t process, struct haul_perf_usage *usage)
{
    clockid_t clock;

    *usage = (struct haul_perf_usage){ .when = haul_clock_read() };
    if (clock_getcpuclockid(process, &clock) == 0)
        usage->cpu = cpu_read(clock);
    threads_read(process, usage);
}

double haul_perf_busiest(const struct haul_perf_usage *before, const struct haul_perf_usage *after)
{
    haul_time span = haul_time_since(before->when, after->when);
    haul_time most = 0;

    for (size_t i = 0; i < after->thread_count; i++) {
        haul_time was = 0;

        for (size_t j = 0; j < before->thread_count; j++) {
            if (before->threads[j].id == after->threads[i].id)
                was = before->threads[j].cpu;
        }
        most = haul_time_max(most, haul_time_since(was, after->threads[i].cpu));
    }
    return span == 0 ? 0 : (double)most / (double)span;
}

haul_time haul_perf_machine_busy(void)
{
    unsigned long long user, nice, system, idle, waiting, irq, soft;
    long ticks = sysconf(_SC_CLK_TCK);
    FILE *file = fopen("/proc/stat", "re");
    int fields;

    if (file == NULL)
        return 0;
    fields = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle,
                    &waiting, &irq, &soft);
    fclose(file);
    if (fields != 7 || ticks <= 0)
        return 0;
    return (user + nice + system + irq + soft) * (HAUL_SECOND / (haul_time)ticks);
}
