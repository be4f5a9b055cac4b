/* The event loop over epoll: level-triggered watches, timers in a binary heap, one clock reading a
 * turn. Callbacks may free anything: a removed watch stays in memory, marked dead, until the end of
 * the turn, and timers that are due are moved to a list from which freeing them takes them away. */
#include "controlplane/host/loop.h"

#include "common/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#define LOOP_EVENTS_MAX 128
#define HEAP_NONE       SIZE_MAX

struct haul_watch {
    struct haul_loop *loop;
    haul_watch_fn *function; /* NULL once removed */
    void *context;
    int fd;
    unsigned interest;
    bool added; /* in the epoll set; with no interest it is not, as a hang-up would spin */
    LIST_ENTRY(haul_watch) link;
};

struct haul_timer {
    struct haul_loop *loop;
    haul_timer_fn *function;
    void *context;
    haul_time when;
    size_t heap_index; /* HEAP_NONE when not armed */
    bool due;          /* on the list of those to call this turn */
    TAILQ_ENTRY(haul_timer) link;
};

LIST_HEAD(watch_list, haul_watch);
TAILQ_HEAD(timer_list, haul_timer);

struct haul_loop {
    int epoll_fd;
    haul_time now;
    bool stopped;
    struct watch_list watches;
    struct watch_list dead;
    struct timer_list idle; /* every timer that is not due, armed or not */
    struct timer_list due;
    struct haul_timer **heap;
    size_t heap_count;
    size_t heap_capacity; /* at least the number of timers, so that arming cannot fail */
    size_t timer_count;
};

int haul_loop_open(struct haul_loop **loop, struct haul_error *error)
{
    struct haul_loop *made = calloc(1, sizeof *made);

    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the event loop");
    made->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (made->epoll_fd < 0) {
        free(made);
        return haul_fail(error, HAUL_E_SYSTEM, "epoll_create1: %s", strerror(errno));
    }
    made->now = haul_clock_read();
    LIST_INIT(&made->watches);
    LIST_INIT(&made->dead);
    TAILQ_INIT(&made->idle);
    TAILQ_INIT(&made->due);
    *loop = made;
    return 0;
}

static void watches_free(struct watch_list *list)
{
    struct haul_watch *watch;

    while ((watch = LIST_FIRST(list)) != NULL) {
        LIST_REMOVE(watch, link);
        free(watch);
    }
}

void haul_loop_close(struct haul_loop *loop)
{
    struct haul_timer *timer;

    if (loop == NULL)
        return;
    watches_free(&loop->watches);
    watches_free(&loop->dead);
    TAILQ_CONCAT(&loop->idle, &loop->due, link);
    while ((timer = TAILQ_FIRST(&loop->idle)) != NULL) {
        TAILQ_REMOVE(&loop->idle, timer, link);
        free(timer);
    }
    free(loop->heap);
    close(loop->epoll_fd);
    free(loop);
}

haul_time haul_loop_now(const struct haul_loop *loop)
{
    return loop->now;
}

/* --- watches --- */

static int watch_apply(struct haul_watch *watch, unsigned interest)
{
    struct epoll_event event = { .data.ptr = watch };
    int operation = watch->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (interest & HAUL_LOOP_READ)
        event.events |= EPOLLIN;
    if (interest & HAUL_LOOP_WRITE)
        event.events |= EPOLLOUT;
    if (interest == 0) {
        if (!watch->added)
            return 0;
        operation = EPOLL_CTL_DEL;
    }
    if (epoll_ctl(watch->loop->epoll_fd, operation, watch->fd, &event) < 0)
        return -errno;
    watch->added = interest != 0;
    return 0;
}

struct haul_watch *haul_loop_watch(struct haul_loop *loop, int fd, unsigned interest,
                                   haul_watch_fn *function, void *context)
{
    struct haul_watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL)
        return NULL;
    watch->loop = loop;
    watch->fd = fd;
    watch->function = function;
    watch->context = context;
    watch->interest = interest;
    if (watch_apply(watch, interest) < 0) {
        free(watch);
        return NULL;
    }
    LIST_INSERT_HEAD(&loop->watches, watch, link);
    return watch;
}

void haul_loop_interest(struct haul_watch *watch, unsigned interest)
{
    if (watch->interest == interest)
        return;
    watch->interest = interest;
    /* Only a descriptor closed behind our back, or no kernel memory, can fail here. */
    haul_assert(watch_apply(watch, interest) == 0);
}

void haul_loop_unwatch(struct haul_watch *watch)
{
    if (watch == NULL)
        return;
    watch_apply(watch, 0); /* a failure means that the descriptor has gone already */
    watch->function = NULL;
    LIST_REMOVE(watch, link);
    LIST_INSERT_HEAD(&watch->loop->dead, watch, link);
}

/* --- timers --- */

static void heap_place(struct haul_loop *loop, size_t index, struct haul_timer *timer)
{
    loop->heap[index] = timer;
    timer->heap_index = index;
}

/* Moves the timer at `index` to where its time belongs. */
static void heap_settle(struct haul_loop *loop, size_t index)
{
    struct haul_timer *timer = loop->heap[index];

    while (index > 0 && timer->when < loop->heap[(index - 1) / 2]->when) {
        heap_place(loop, index, loop->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * index + 1;

        if (child + 1 < loop->heap_count && loop->heap[child + 1]->when < loop->heap[child]->when)
            child++;
        if (child >= loop->heap_count || loop->heap[child]->when >= timer->when)
            break;
        heap_place(loop, index, loop->heap[child]);
        index = child;
    }
    heap_place(loop, index, timer);
}

static void heap_remove(struct haul_loop *loop, struct haul_timer *timer)
{
    size_t index = timer->heap_index;
    struct haul_timer *last;

    if (index == HEAP_NONE)
        return;
    timer->heap_index = HEAP_NONE;
    last = loop->heap[--loop->heap_count];
    if (last == timer)
        return;
    heap_place(loop, index, last);
    heap_settle(loop, index);
}

struct haul_timer *haul_loop_timer(struct haul_loop *loop, haul_timer_fn *function, void *context)
{
    struct haul_timer *timer;

    if (loop->timer_count == loop->heap_capacity) {
        size_t capacity = loop->heap_capacity == 0 ? 64 : 2 * loop->heap_capacity;
        struct haul_timer **heap = reallocarray(loop->heap, capacity, sizeof *heap);

        if (heap == NULL)
            return NULL;
        loop->heap = heap;
        loop->heap_capacity = capacity;
    }
    timer = calloc(1, sizeof *timer);
    if (timer == NULL)
        return NULL;
    timer->loop = loop;
    timer->function = function;
    timer->context = context;
    timer->when = HAUL_TIME_NEVER;
    timer->heap_index = HEAP_NONE;
    TAILQ_INSERT_HEAD(&loop->idle, timer, link);
    loop->timer_count++;
    return timer;
}

/* Takes a timer out of whatever would call it. */
static void timer_disarm(struct haul_timer *timer)
{
    heap_remove(timer->loop, timer);
    if (timer->due) {
        timer->due = false;
        TAILQ_REMOVE(&timer->loop->due, timer, link);
        TAILQ_INSERT_HEAD(&timer->loop->idle, timer, link);
    }
}

void haul_loop_timer_set(struct haul_timer *timer, haul_time when)
{
    struct haul_loop *loop = timer->loop;

    if (timer->heap_index != HEAP_NONE && when != HAUL_TIME_NEVER) {
        timer->when = when;
        heap_settle(loop, timer->heap_index);
        return;
    }
    timer_disarm(timer);
    timer->when = when;
    if (when == HAUL_TIME_NEVER)
        return;
    heap_place(loop, loop->heap_count++, timer);
    heap_settle(loop, timer->heap_index);
}

void haul_loop_timer_free(struct haul_timer *timer)
{
    if (timer == NULL)
        return;
    timer_disarm(timer);
    TAILQ_REMOVE(&timer->loop->idle, timer, link);
    timer->loop->timer_count--;
    free(timer);
}

/* --- the turn --- */

/* Calls every timer that is due now. One that is armed again during this waits for the next turn,
 * so a timer set to the present cannot starve the descriptors. */
static void loop_expire(struct haul_loop *loop)
{
    struct haul_timer *timer;

    while (loop->heap_count > 0 && loop->heap[0]->when <= loop->now) {
        timer = loop->heap[0];
        heap_remove(loop, timer);
        TAILQ_REMOVE(&loop->idle, timer, link);
        TAILQ_INSERT_TAIL(&loop->due, timer, link);
        timer->due = true;
    }
    while ((timer = TAILQ_FIRST(&loop->due)) != NULL) {
        timer_disarm(timer);
        timer->when = HAUL_TIME_NEVER;
        timer->function(timer->context);
    }
}

/* Milliseconds until the first timer, rounded up so that a turn never comes too early. */
static int loop_patience(const struct haul_loop *loop)
{
    haul_time wait;

    if (loop->stopped)
        return 0;
    if (loop->heap_count == 0)
        return -1;
    wait = haul_time_since(haul_clock_read(), loop->heap[0]->when);
    wait = wait / HAUL_MILLISECOND + (wait % HAUL_MILLISECOND != 0);
    return wait > INT_MAX ? INT_MAX : (int)wait;
}

static void loop_dispatch(const struct epoll_event *event)
{
    struct haul_watch *watch = event->data.ptr;
    unsigned ready = 0;

    if (event->events & EPOLLIN)
        ready |= HAUL_LOOP_READ;
    if (event->events & EPOLLOUT)
        ready |= HAUL_LOOP_WRITE;
    if (event->events & (EPOLLHUP | EPOLLERR))
        ready = HAUL_LOOP_READ | HAUL_LOOP_WRITE;
    ready &= watch->interest;
    if (watch->function != NULL && ready != 0)
        watch->function(watch->context, ready);
}

void haul_loop_run(struct haul_loop *loop, haul_timer_fn *turn, void *context)
{
    struct epoll_event events[LOOP_EVENTS_MAX];

    loop->stopped = false;
    while (!loop->stopped) {
        int count = epoll_wait(loop->epoll_fd, events, LOOP_EVENTS_MAX, loop_patience(loop));

        haul_assert(count >= 0 || errno == EINTR);
        loop->now = haul_clock_read();
        for (int i = 0; i < count; i++)
            loop_dispatch(&events[i]);
        loop_expire(loop);
        if (turn != NULL)
            turn(context);
        watches_free(&loop->dead);
    }
}

void haul_loop_stop(struct haul_loop *loop)
{
    loop->stopped = true;
}
