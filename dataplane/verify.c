/* One thread, asleep on an eventfd while it has nothing to hash. */
#include "dataplane/verify.h"

#include "common/ring.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#define CELLS 8u

_Static_assert(CELLS > HAUL_VERIFY_DEPTH, "one more cell than blocks: for the end");

struct haul_verify {
    struct haul_ring *given;
    struct haul_ring *done;
    int given_fd;
    int wake_fd; /* the worker's */
    uint32_t under_way;
    pthread_t thread;
    bool running;
};

static void wake(int fd)
{
    uint64_t one = 1;

    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

/* A block without memory ends the thread. */
static void *verify_run(void *context)
{
    struct haul_verify *verify = context;
    struct haul_verify_block block;
    uint64_t count;

    prctl(PR_SET_NAME, "haul-verify");
    for (;;) {
        while (read(verify->given_fd, &count, sizeof count) < 0 && errno == EINTR)
            continue;
        while (haul_ring_pull(verify->given, &block)) {
            if (block.memory == NULL)
                return NULL;
            haul_hash_of(block.code, block.memory, block.length, &block.hash);
            haul_assert(haul_ring_push(verify->done, &block));
            wake(verify->wake_fd);
        }
    }
}

/* Signals are the control thread's. */
static int thread_open(struct haul_verify *verify)
{
    sigset_t all, before;
    int code;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    code = pthread_create(&verify->thread, NULL, verify_run, verify);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    verify->running = code == 0;
    return code;
}

int haul_verify_open(struct haul_verify **opened, int wake_fd, struct haul_error *error)
{
    struct haul_verify *verify = calloc(1, sizeof *verify);

    if (verify == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the hashing thread");
    verify->wake_fd = wake_fd;
    verify->given_fd = eventfd(0, EFD_CLOEXEC);
    verify->given = haul_ring_open(CELLS, sizeof(struct haul_verify_block));
    verify->done = haul_ring_open(CELLS, sizeof(struct haul_verify_block));
    if (verify->given_fd < 0 || verify->given == NULL || verify->done == NULL ||
        thread_open(verify) != 0) {
        haul_verify_close(verify);
        return haul_fail(error, HAUL_E_SYSTEM, "cannot start the hashing thread");
    }
    *opened = verify;
    return 0;
}

void haul_verify_close(struct haul_verify *verify)
{
    const struct haul_verify_block last = { .memory = NULL };

    if (verify == NULL)
        return;
    if (verify->running) {
        haul_assert(haul_ring_push(verify->given, &last));
        wake(verify->given_fd);
        pthread_join(verify->thread, NULL);
    }
    if (verify->given_fd >= 0)
        close(verify->given_fd);
    haul_ring_close(verify->given);
    haul_ring_close(verify->done);
    free(verify);
}

bool haul_verify_room(const struct haul_verify *verify)
{
    return verify != NULL && verify->under_way < HAUL_VERIFY_DEPTH;
}

bool haul_verify_give(struct haul_verify *verify, const struct haul_verify_block *block)
{
    if (!haul_verify_room(verify))
        return false;
    haul_assert(block->memory != NULL && haul_ring_push(verify->given, block));
    verify->under_way++;
    wake(verify->given_fd);
    return true;
}

bool haul_verify_take(struct haul_verify *verify, struct haul_verify_block *block)
{
    if (verify == NULL || !haul_ring_pull(verify->done, block))
        return false;
    verify->under_way--;
    return true;
}
