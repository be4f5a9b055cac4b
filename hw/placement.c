/* Two pinned threads hand one cache line to and fro; the median of short batches is the round trip.
 * Atomics are this file's subject: it measures what they cost. */
#include "hw/placement.h"

#include "common/clock.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#define BATCHES_MAX 512u
#define HANDOVERS   200u  /* a batch: some tens of microseconds */
#define NEAR_NS_MAX 130.0 /* seen: 50-75 for hyperthreads, 90-120 within a complex, 220 and up */
#define SPIN_MAX    200000000u /* a core that never answers ends the measurement */

struct line {
    _Alignas(128) uint64_t turn; /* even: ours, odd: the other's; UINT64_MAX: stop */
};

struct work {
    int cpu;
    uint64_t span_ns;
    uint64_t rounds; /* out: arithmetic rounds done */
    uint64_t sink;
    uint64_t *gate; /* both start when it is 2 */
};

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

/* The first two cores this process may use; false when there is only one. */
static bool two_cores(int cpus[2])
{
    cpu_set_t set;
    int found = 0;

    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return false;
    for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++) {
        if (CPU_ISSET((size_t)cpu, &set))
            cpus[found++] = cpu;
    }
    return found == 2;
}

struct pong {
    struct line *line;
    int cpu;
};

static void *pong_run(void *argument)
{
    struct pong *pong = argument;
    uint64_t *turn = &pong->line->turn;

    pin(pong->cpu);
    for (;;) {
        uint64_t value = __atomic_load_n(turn, __ATOMIC_ACQUIRE);

        if (value == UINT64_MAX)
            return NULL;
        if (value & 1)
            __atomic_store_n(turn, value + 1, __ATOMIC_RELEASE);
    }
}

/* Nanoseconds of one batch divided by its handovers, or a negative number when nobody answers. */
static double batch_run(uint64_t *turn)
{
    uint64_t begin = haul_clock_read();

    for (unsigned i = 0; i < HANDOVERS; i++) {
        uint64_t value = __atomic_load_n(turn, __ATOMIC_ACQUIRE);
        unsigned spins = 0;

        __atomic_store_n(turn, value + 1, __ATOMIC_RELEASE);
        while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) != value + 2) {
            if (++spins == SPIN_MAX)
                return -1;
        }
    }
    return (double)(haul_clock_read() - begin) / HANDOVERS;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct ping {
    struct line *line;
    int cpu;
    uint64_t span_ns;
    double median_ns;
};

static void *ping_run(void *argument)
{
    struct ping *ping = argument;
    double batches[BATCHES_MAX];
    unsigned count = 0;
    uint64_t end;

    pin(ping->cpu);
    (void)batch_run(&ping->line->turn); /* both threads are awake after this one */
    end = haul_clock_read() + ping->span_ns;
    do { /* one at least, though other threads may have had the core until now */
        double batch = batch_run(&ping->line->turn);

        if (batch < 0)
            break;
        batches[count++] = batch;
    } while (count < BATCHES_MAX && haul_clock_read() < end);
    __atomic_store_n(&ping->line->turn, UINT64_MAX, __ATOMIC_RELEASE);
    qsort(batches, count, sizeof batches[0], by_value);
    ping->median_ns = count > 0 ? batches[count / 2] : 0;
    return NULL;
}

static double round_trip(const int cpus[2], uint64_t span_ns)
{
    struct line line = { 0 };
    struct pong pong = { .line = &line, .cpu = cpus[1] };
    struct ping ping = { .line = &line, .cpu = cpus[0], .span_ns = span_ns };
    pthread_t threads[2];

    if (pthread_create(&threads[0], NULL, pong_run, &pong) != 0)
        return 0;
    if (pthread_create(&threads[1], NULL, ping_run, &ping) == 0)
        pthread_join(threads[1], NULL);
    else
        __atomic_store_n(&line.turn, UINT64_MAX, __ATOMIC_RELEASE);
    pthread_join(threads[0], NULL);
    return ping.median_ns;
}

/* Multiplications that depend on each other in four chains: they fill a core's integer units. */
static void *work_run(void *argument)
{
    struct work *work = argument;
    uint64_t a = 3, b = 5, c = 7, d = 11, end;

    pin(work->cpu);
    __atomic_add_fetch(work->gate, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(work->gate, __ATOMIC_ACQUIRE) < 2)
        sched_yield();
    end = haul_clock_read() + work->span_ns;
    do {
        for (unsigned i = 0; i < 2000; i++) {
            a = a * 0x9e3779b97f4a7c15u + 1;
            b = b * 0xbf58476d1ce4e5b9u + 1;
            c = c * 0x94d049bb133111ebu + 1;
            d = d * 0xff51afd7ed558ccdu + 1;
        }
        work->rounds++;
    } while (haul_clock_read() < end);
    work->sink = a ^ b ^ c ^ d;
    return NULL;
}

static double rounds_of(const int cpus[2], bool both, uint64_t span_ns)
{
    uint64_t gate = both ? 0 : 1;
    struct work work[2] = { { .cpu = cpus[0], .span_ns = span_ns, .gate = &gate },
                            { .cpu = cpus[1], .span_ns = span_ns, .gate = &gate } };
    pthread_t threads[2];
    bool second = false;

    if (pthread_create(&threads[0], NULL, work_run, &work[0]) != 0)
        return 0;
    if (both) {
        second = pthread_create(&threads[1], NULL, work_run, &work[1]) == 0;
        if (!second)
            __atomic_add_fetch(&gate, 1, __ATOMIC_ACQ_REL);
    }
    pthread_join(threads[0], NULL);
    if (second)
        pthread_join(threads[1], NULL);
    return (double)(work[0].rounds + work[1].rounds);
}

void haul_placement_measure(struct haul_placement *placement, unsigned milliseconds, bool compute)
{
    uint64_t span_ns = (uint64_t)milliseconds * 1000000u;
    int cpus[2];

    *placement = (struct haul_placement){ .class = HAUL_PLACEMENT_ALONE };
    if (getloadavg(&placement->load_one_minute, 1) != 1)
        placement->load_one_minute = 0;
    if (!two_cores(cpus))
        return;
    placement->round_trip_ns = round_trip(cpus, span_ns);
    placement->class = placement->round_trip_ns > 0 && placement->round_trip_ns < NEAR_NS_MAX
                           ? HAUL_PLACEMENT_NEAR
                           : HAUL_PLACEMENT_FAR;
    if (compute) {
        double one = rounds_of(cpus, false, span_ns / 2);

        placement->both_over_one = one > 0 ? rounds_of(cpus, true, span_ns / 2) / one : 0;
    }
}

const char *haul_placement_name(enum haul_placement_class class)
{
    switch (class) {
    case HAUL_PLACEMENT_ALONE:
        return "alone";
    case HAUL_PLACEMENT_NEAR:
        return "near";
    case HAUL_PLACEMENT_FAR:
        return "far";
    }
    return "unknown";
}
