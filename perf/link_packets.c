/* The packet form of the link: two TUN devices, each in a network namespace, and a queue a
 * direction. What finds the buffer full is lost, as at any bottleneck. */
#include "common/clock.h"
#include "perf/link.h"

#include "common/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PACKET_MAX 9216u
#define QUEUE      65536u /* packets on their way, each direction */
#define BATCH      64u

struct packet {
    haul_time due;
    uint32_t bytes;
    uint8_t *data;
};

struct side {
    int tun;
    struct packet *queue; /* that go to this side, oldest first: the delay is the same for all */
    uint32_t head, count;
    haul_time busy;
};

/* A device named link0 in the namespace. */
static int tun_open(const char *namespace, struct haul_error *error)
{
    struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int there = open(namespace, O_RDONLY | O_CLOEXEC);
    int tun = -1;

    memcpy(request.ifr_name, "link0", sizeof "link0");
    if (home >= 0 && there >= 0 && setns(there, CLONE_NEWNET) == 0) {
        tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (tun >= 0 && ioctl(tun, TUNSETIFF, &request) < 0) {
            close(tun);
            tun = -1;
        }
        if (setns(home, CLONE_NEWNET) < 0)
            tun = -1;
    }
    if (tun < 0)
        (void)haul_fail(error, HAUL_E_SYSTEM, "no device in %s: %s", namespace, strerror(errno));
    if (home >= 0)
        close(home);
    if (there >= 0)
        close(there);
    return tun;
}

/* Takes packets of `from` onto the queue of `to`. */
static void take(struct link_conf *conf, struct haul_rng *rng, int from, struct side *to)
{
    static uint8_t data[PACKET_MAX];
    haul_time now = haul_clock_read();

    for (uint32_t i = 0; i < BATCH; i++) {
        ssize_t bytes = read(from, data, sizeof data);
        struct packet *packet;

        if (bytes <= 0)
            return;
        if (conf->loss_ppm > 0 && haul_rng_chance(rng, conf->loss_ppm)) {
            conf->lost++;
            continue;
        }
        if (to->count == QUEUE || !link_room(conf, now, to->busy)) {
            conf->full++;
            continue;
        }
        packet = &to->queue[(to->head + to->count) % QUEUE];
        packet->data = malloc((size_t)bytes);
        if (packet->data == NULL)
            continue;
        memcpy(packet->data, data, (size_t)bytes);
        packet->bytes = (uint32_t)bytes;
        packet->due = link_due(conf, now, (size_t)bytes, &to->busy);
        to->count++;
        conf->forwarded++;
    }
}

/* Delivers what is due; returns when the next is. */
static haul_time give(struct side *to)
{
    haul_time now = haul_clock_read();

    while (to->count > 0) {
        struct packet *packet = &to->queue[to->head];

        if (packet->due > now)
            return packet->due - now;
        if (write(to->tun, packet->data, packet->bytes) < 0 && errno == EAGAIN)
            return 50 * HAUL_MICROSECOND;
        free(packet->data);
        to->head = (to->head + 1) % QUEUE;
        to->count--;
    }
    return HAUL_SECOND;
}

int link_packets_run(struct link_conf *conf, struct haul_error *error)
{
    static struct side sides[2];
    struct haul_rng rng;

    haul_rng_init(&rng, conf->seed);
    for (size_t i = 0; i < 2; i++) {
        sides[i].tun = tun_open(conf->namespaces[i], error);
        sides[i].queue = calloc(QUEUE, sizeof *sides[i].queue);
        if (sides[i].tun < 0 || sides[i].queue == NULL)
            return -1;
    }
    printf("{\"event\":\"ready\",\"device\":\"link0\"}\n");
    fflush(stdout);
    for (;;) {
        struct pollfd polls[2] = { { .fd = sides[0].tun, .events = POLLIN },
                                   { .fd = sides[1].tun, .events = POLLIN } };
        haul_time wait = haul_time_min(give(&sides[0]), give(&sides[1]));
        struct timespec rest = { .tv_nsec = (long)(wait < HAUL_SECOND ? wait : HAUL_SECOND - 1) };

        if (ppoll(polls, 2, &rest, NULL) < 0 && errno != EINTR)
            return haul_fail(error, HAUL_E_SYSTEM, "cannot wait: %s", strerror(errno));
        for (size_t i = 0; i < 2; i++) {
            if (polls[i].revents & POLLIN)
                take(conf, &rng, polls[i].fd, &sides[1 - i]);
        }
    }
}
