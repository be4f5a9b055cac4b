/* One pair of rings a thread. The control thread never lets more jobs be under way on a thread than
 * its rings have cells, so neither direction can be full; the last cell is kept for the job that
 * ends the thread. */
#include "controlplane/seam/helpers.h"

#include "common/ring.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LANE_CELLS  1024u
#define THREADS_MAX 64u

struct job {
    haul_work_fn *work; /* NULL ends the thread */
    haul_work_done_fn *done;
    void *job;
};

struct helper {
    pthread_t thread;
    struct haul_ring *given;
    struct haul_ring *finished;
    int wake_fd;
    int done_fd; /* shared by all helpers; owned by haul_helpers */
    uint32_t under_way;
    bool running;
};

struct haul_helpers {
    struct haul_watch *watch;
    int done_fd;
    uint32_t count;
    struct helper helpers[THREADS_MAX];
};

static void wake(int fd)
{
    uint64_t one = 1;

    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

static void *helper_main(void *argument)
{
    struct helper *helper = argument;
    uint64_t count;
    struct job job;

    for (;;) {
        while (read(helper->wake_fd, &count, sizeof count) < 0 && errno == EINTR)
            continue;
        while (haul_ring_pull(helper->given, &job)) {
            if (job.work == NULL)
                return NULL;
            job.work(job.job);
            haul_assert(haul_ring_push(helper->finished, &job));
            wake(helper->done_fd);
        }
    }
}

static void helper_drain(struct helper *helper)
{
    struct job job;

    while (haul_ring_pull(helper->finished, &job)) {
        helper->under_way--;
        job.done(job.job);
    }
}

static void done_ready(void *context, unsigned ready)
{
    struct haul_helpers *helpers = context;
    uint64_t count;

    (void)ready;
    if (read(helpers->done_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    for (uint32_t i = 0; i < helpers->count; i++)
        helper_drain(&helpers->helpers[i]);
}

static int helper_open(struct helper *helper, int done_fd)
{
    sigset_t all;
    sigset_t before;
    int failed;

    helper->done_fd = done_fd;
    helper->wake_fd = eventfd(0, EFD_CLOEXEC);
    helper->given = haul_ring_open(LANE_CELLS, sizeof(struct job));
    helper->finished = haul_ring_open(LANE_CELLS, sizeof(struct job));
    if (helper->wake_fd < 0 || helper->given == NULL || helper->finished == NULL)
        return -1;
    /* Signals are the control thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&helper->thread, NULL, helper_main, helper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    helper->running = failed == 0;
    return failed == 0 ? 0 : -1;
}

static void helper_close(struct helper *helper)
{
    struct job last = { 0 };

    if (helper->running) {
        haul_assert(haul_ring_push(helper->given, &last));
        wake(helper->wake_fd);
        pthread_join(helper->thread, NULL);
        helper_drain(helper);
    }
    if (helper->wake_fd >= 0)
        close(helper->wake_fd);
    haul_ring_close(helper->given);
    haul_ring_close(helper->finished);
}

int haul_helpers_open(struct haul_helpers **helpers, struct haul_loop *loop, uint32_t threads,
                      struct haul_error *error)
{
    struct haul_helpers *made = calloc(1, sizeof *made);

    haul_assert(threads >= 1 && threads <= THREADS_MAX);
    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for helper threads");
    made->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made->done_fd >= 0)
        made->watch = haul_loop_watch(loop, made->done_fd, HAUL_LOOP_READ, done_ready, made);
    if (made->watch == NULL)
        goto fail;
    while (made->count < threads) {
        struct helper *helper = &made->helpers[made->count++];

        helper->wake_fd = -1;
        if (helper_open(helper, made->done_fd) < 0)
            goto fail;
    }
    *helpers = made;
    return 0;

fail:
    haul_helpers_close(made);
    return haul_fail(error, HAUL_E_SYSTEM, "cannot start %u helper threads", threads);
}

bool haul_helpers_run(struct haul_helpers *helpers, uint32_t lane, haul_work_fn *work,
                      haul_work_done_fn *done, void *job)
{
    struct helper *helper = &helpers->helpers[lane % helpers->count];
    struct job given = { .work = work, .done = done, .job = job };

    if (helper->under_way == LANE_CELLS - 1)
        return false;
    haul_assert(haul_ring_push(helper->given, &given));
    helper->under_way++;
    wake(helper->wake_fd);
    return true;
}

uint32_t haul_helpers_idlest(const struct haul_helpers *helpers)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < helpers->count; i++) {
        if (helpers->helpers[i].under_way < helpers->helpers[best].under_way)
            best = i;
    }
    return best;
}

void haul_helpers_close(struct haul_helpers *helpers)
{
    if (helpers == NULL)
        return;
    haul_loop_unwatch(helpers->watch);
    for (uint32_t i = 0; i < helpers->count; i++)
        helper_close(&helpers->helpers[i]);
    if (helpers->done_fd >= 0)
        close(helpers->done_fd);
    free(helpers);
}
