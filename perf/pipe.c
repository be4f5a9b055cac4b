/* One run of a pipe: two processes by fork, a page between them, and a parent that reads the
 * receiver's count at two moments. */
#include "perf/pipe.h"

#include "common/clock.h"
#include "common/synthetic.h"
#include "common/time.h"

#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READY_SPAN   (20 * HAUL_SECOND) /* a driver may take its time to set up */
#define STOP_SPAN    (5 * HAUL_SECOND)  /* ... and to end */
#define WARM_UP_MAX  (200 * HAUL_MILLISECOND)
#define WARM_UP_PART 4u /* of the span */
#define PAUSE_NS     1000000u
#define ALIGNMENT    (2u << 20) /* of huge pages */

struct run {
    struct haul_pipe_end end; /* as both inherit it */
    pid_t children[2];        /* by role; 0: none, or gone */
    const volatile int *stop;
};

static void pause_short(void)
{
    const struct timespec pause = { .tv_nsec = PAUSE_NS };

    nanosleep(&pause, NULL);
}

static bool stopped(const struct run *run)
{
    return run->stop != NULL && *run->stop != 0;
}

/* --- in a child --- */

/* The first two cores this process may use; -1 when there is no second. */
static int cpu_of(enum haul_pipe_role role)
{
    unsigned wanted = role == HAUL_PIPE_SENDER ? 0 : 1;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) < 0 || CPU_COUNT(&set) < 2)
        return -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((size_t)cpu, &set) && wanted-- == 0)
            return cpu;
    }
    return -1;
}

static void cpu_take(int cpu)
{
    cpu_set_t set;

    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static int area_make(struct haul_pipe_end *end, struct haul_error *error)
{
    size_t bytes = end->area_bytes + HAUL_PIPE_PAYLOAD_MAX;
    uint8_t *memory =
        mmap(NULL, bytes + ALIGNMENT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return haul_fail(error, HAUL_E_SYSTEM, "%zu MiB of memory for a pipe: %s", bytes >> 20,
                         strerror(errno));
    memory += (ALIGNMENT - (uintptr_t)memory % ALIGNMENT) % ALIGNMENT;
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
    end->area = memory;
    haul_synthetic_fill(memory, HAUL_BLOCK_BYTES_MAX, 0);
    haul_hash_of(end->shape.hash != 0 ? end->shape.hash : HAUL_HASH_BLAKE3, memory,
                 HAUL_BLOCK_BYTES_MAX, &end->expected);
    if (end->role == HAUL_PIPE_RECEIVER) {
        memset(memory, 0, bytes); /* pages come now, not while it runs */
        return 0;
    }
    for (size_t at = HAUL_BLOCK_BYTES_MAX; at < bytes; at += HAUL_BLOCK_BYTES_MAX)
        memcpy(memory + at, memory,
               bytes - at < HAUL_BLOCK_BYTES_MAX ? bytes - at : HAUL_BLOCK_BYTES_MAX);
    return 0;
}

static _Noreturn void child_run(struct run *run, const struct haul_pipe *pipe,
                                enum haul_pipe_role role, pid_t parent)
{
    static const uint8_t key[32] = { 1, 2, 3 };
    struct haul_pipe_end *end = &run->end;
    struct haul_error error = { 0 };
    int failed;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    signal(SIGINT, SIG_IGN); /* the parent is told, and ends us */
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    end->role = role;
    end->cpu = cpu_of(role);
    cpu_take(end->cpu);
    for (unsigned i = 0; i < 2; i++) {
        if (i != role && end->fds[i] >= 0)
            close(end->fds[i]);
    }
    failed = area_make(end, &error);
    if (failed == 0) {
        end->aead->key(&end->key, key);
        failed = role == HAUL_PIPE_RECEIVER ? pipe->receive(end, &error) : pipe->send(end, &error);
    }
    if (failed < 0)
        end->shared->error[role] = error;
    _exit(failed < 0 ? 1 : 0);
}

/* --- in the parent --- */

/* True while both run. */
static bool children_live(struct run *run)
{
    for (unsigned role = 0; role < 2; role++) {
        int status;

        if (run->children[role] != 0 && waitpid(run->children[role], &status, WNOHANG) != 0)
            run->children[role] = 0;
    }
    return run->children[0] != 0 && run->children[1] != 0;
}

static void children_end(struct run *run)
{
    haul_time limit = haul_time_add(haul_clock_read(), STOP_SPAN);

    haul_counter_set(&run->end.shared->phase, HAUL_PIPE_STOP);
    while ((children_live(run), run->children[0] != 0 || run->children[1] != 0)) {
        for (unsigned role = 0; role < 2; role++) {
            if (run->children[role] != 0 && haul_clock_read() >= limit)
                kill(run->children[role], SIGKILL);
        }
        pause_short();
    }
}

static bool both_ready(const struct run *run)
{
    return haul_counter_read(&run->end.shared->ready[0]) != 0 &&
           haul_counter_read(&run->end.shared->ready[1]) != 0;
}

/* Sleeps; false when an end is gone or the caller is to stop. */
static bool span_wait(struct run *run, haul_time until)
{
    while (haul_clock_read() < until) {
        haul_time left = haul_time_since(haul_clock_read(), until);
        struct timespec pause = { .tv_nsec = (long)haul_time_min(left, 20 * HAUL_MILLISECOND) };

        nanosleep(&pause, NULL);
        if (stopped(run) || !children_live(run))
            return false;
    }
    return true;
}

static bool counts_read(struct run *run, haul_time span, struct haul_pipe_result *result)
{
    struct haul_pipe_shared *shared = run->end.shared;
    haul_time warm_up = haul_time_min(span / WARM_UP_PART, WARM_UP_MAX), begin, end;
    uint64_t before, after;

    haul_counter_set(&shared->phase, HAUL_PIPE_RUN);
    if (!span_wait(run, haul_time_add(haul_clock_read(), warm_up)))
        return false;
    begin = haul_clock_read();
    before = haul_counter_read(&shared->received);
    if (!span_wait(run, haul_time_add(begin, span)))
        return false;
    end = haul_clock_read();
    after = haul_counter_read(&shared->received);
    *result = (struct haul_pipe_result){
        .bytes = after - before,
        .bytes_per_second = (double)(after - before) * (double)HAUL_SECOND / (double)(end - begin),
        .lost = haul_counter_read(&shared->lost),
        .wrong = haul_counter_read(&shared->wrong),
    };
    return true;
}

static int run_fail(const struct run *run, const char *name, struct haul_error *error)
{
    if (stopped(run))
        return haul_fail(error, HAUL_E_CANCELLED, "interrupted");
    for (unsigned role = 0; role < 2; role++) {
        if (run->end.shared->error[role].text[0] != '\0') {
            *error = run->end.shared->error[role];
            return -1;
        }
    }
    return haul_fail(error, HAUL_E_SYSTEM, "the pipe %s did not run", name);
}

static int run_make(struct run *run, const struct haul_pipe *pipe, haul_time span,
                    struct haul_pipe_result *result, struct haul_error *error)
{
    haul_time limit = haul_time_add(haul_clock_read(), READY_SPAN);
    pid_t parent = getpid();
    bool good = true;

    fflush(NULL); /* what is buffered belongs to the parent */
    for (unsigned role = 0; role < 2 && good; role++) {
        run->children[role] = fork();
        if (run->children[role] == 0)
            child_run(run, pipe, role, parent);
        if (run->children[role] < 0)
            run->children[role] = 0;
        while (good && haul_counter_read(&run->end.shared->ready[role]) == 0 && role == 0) {
            int status; /* the sender starts when the receiver is set up */

            good = run->children[0] != 0 && haul_clock_read() < limit && !stopped(run) &&
                   waitpid(run->children[0], &status, WNOHANG) == 0;
            if (good)
                pause_short();
            else
                run->children[0] = 0;
        }
    }
    while (good && !both_ready(run)) {
        good = children_live(run) && haul_clock_read() < limit && !stopped(run);
        pause_short();
    }
    good = good && counts_read(run, span, result);
    children_end(run);
    return good ? 0 : run_fail(run, pipe->name, error);
}

static int entry_remove(const char *path, const struct stat *facts, int kind, struct FTW *where)
{
    (void)facts;
    (void)kind;
    (void)where;
    return remove(path);
}

/* In TMPDIR, or where that is too long for a socket's path, in /tmp. */
static bool directory_make(struct haul_pipe_end *end)
{
    const char *base = getenv("TMPDIR");

    if (base == NULL || base[0] != '/' ||
        strlen(base) + sizeof "/haul-pipe-XXXXXX" > sizeof end->directory)
        base = "/tmp";
    snprintf(end->directory, sizeof end->directory, "%s/haul-pipe-XXXXXX", base);
    if (mkdtemp(end->directory) != NULL)
        return true;
    end->directory[0] = '\0';
    return false;
}

static int run_open(struct run *run, const struct haul_pipe *pipe, struct haul_error *error)
{
    struct haul_pipe_end *end = &run->end;

    end->shared =
        mmap(NULL, sizeof *end->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (end->shared == MAP_FAILED) {
        end->shared = NULL;
        return haul_fail(error, HAUL_E_SYSTEM, "a shared page: %s", strerror(errno));
    }
    if (!directory_make(end))
        return haul_fail(error, HAUL_E_SYSTEM, "a temporary directory: %s", strerror(errno));
    return pipe->prepare != NULL ? pipe->prepare(end, error) : 0;
}

static void run_close(struct run *run)
{
    struct haul_pipe_end *end = &run->end;

    for (unsigned i = 0; i < 2; i++) {
        if (end->fds[i] >= 0)
            close(end->fds[i]);
    }
    if (end->directory[0] != '\0')
        (void)nftw(end->directory, entry_remove, 4, FTW_DEPTH | FTW_PHYS);
    if (end->shared != NULL)
        munmap(end->shared, sizeof *end->shared);
}

int haul_pipe_measure(const struct haul_pipe *pipe, const struct haul_pipe_shape *shape,
                      const struct haul_aead *aead, size_t area_bytes, uint64_t span_ns,
                      const volatile int *stop, struct haul_pipe_result *result,
                      struct haul_error *error)
{
    size_t blocks = (area_bytes + HAUL_BLOCK_BYTES_MAX - 1) / HAUL_BLOCK_BYTES_MAX;
    struct run run = {
        .end = { .shape = *shape,
                 .aead = aead,
                 .fds = { -1, -1 },
                 .cpu = -1,
                 .area_bytes = (blocks > 0 ? blocks : 1) * HAUL_BLOCK_BYTES_MAX },
        .stop = stop,
    };
    int failed;

    haul_assert(shape->payload > 0 && shape->payload <= HAUL_PIPE_PAYLOAD_MAX);
    failed = run_open(&run, pipe, error);
    if (failed == 0)
        failed = run_make(&run, pipe, span_ns, result, error);
    run_close(&run);
    return failed;
}
