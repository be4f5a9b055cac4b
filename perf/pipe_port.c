/* Pipes over virtual devices of DPDK: memif, and virtio-user to vhost. Each end starts DPDK in its
 * own process, with one device, one pair of queues and one core, and polls. The sender seals into
 * the device's buffers, the receiver opens from them into the sink. What a device has no room for
 * stays with the sender, so nothing is lost and there is no window. */
#include "common/clock.h"
#include "perf/pipe.h"

#include "common/time.h"

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PORT          0u
#define QUEUE         0u
#define QUEUE_FRAMES  1024u
#define POOL_FRAMES   8191u
#define POOL_CACHE    256u
#define BURST         32u
#define AHEAD         2u  /* datagrams between the one that is opened and the one that is fetched */
#define HEADERS_BYTES 42u /* as of Ethernet, IPv4 and UDP: zeros here */
#define FRAME_LEAST   2176u
#define MEMIF_BYTES   9216u /* of its own buffers, at both ends alike */
#define MEMORY_MIB    256u
#define HUGE_MIB      2u
#define LINK_SPAN     (10 * HAUL_SECOND)
#define PART_SPAN     HAUL_SECOND /* for the other end to stop touching the rings */
#define ARGUMENTS_MAX 16u
#define TEXT_BYTES    256u
#define LEFT          2u /* of `ready`: this end touches the rings no more */

struct arguments {
    char text[ARGUMENTS_MAX][TEXT_BYTES];
    char *list[ARGUMENTS_MAX + 1];
    int count;
};

struct device {
    const struct haul_pipe_end *end;
    struct rte_mempool *pool;
    bool huge;
    char complaint[160]; /* the last line of DPDK's */
};

static void pause_short(void)
{
    const struct timespec pause = { .tv_nsec = 1000000 };

    nanosleep(&pause, NULL);
}

/* --- starting DPDK --- */

static ssize_t line_take(void *cookie, const char *data, size_t bytes)
{
    struct device *device = cookie;
    size_t kept = bytes < sizeof device->complaint ? bytes : sizeof device->complaint - 1;

    memcpy(device->complaint, data, kept);
    device->complaint[kept] = '\0';
    device->complaint[strcspn(device->complaint, "\n")] = '\0';
    return (ssize_t)bytes;
}

/* What DPDK says goes to nobody but an error. */
static bool log_take(struct device *device)
{
    static const cookie_io_functions_t functions = { .write = line_take };
    FILE *stream = fopencookie(device, "w", functions);

    if (stream == NULL)
        return false;
    setvbuf(stream, NULL, _IOLBF, 0);
    return rte_openlog_stream(stream) == 0;
}

static bool huge_pages_free(void)
{
    FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
    unsigned long pages = 0;

    if (file == NULL)
        return false;
    if (fscanf(file, "%lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages >= 2 * MEMORY_MIB / HUGE_MIB; /* for both ends */
}

static void argument(struct arguments *arguments, const char *format, ...) HAUL_PRINTF(2, 3);

static void argument(struct arguments *arguments, const char *format, ...)
{
    va_list values;

    haul_assert(arguments->count < (int)ARGUMENTS_MAX);
    va_start(values, format);
    vsnprintf(arguments->text[arguments->count], TEXT_BYTES, format, values);
    va_end(values);
    arguments->list[arguments->count] = arguments->text[arguments->count];
    arguments->list[++arguments->count] = NULL;
}

/* DPDK keeps pointers into the arguments: they live as long as the process. */
static int environment_start(struct device *device, const char *vdev, struct haul_error *error)
{
    const struct haul_pipe_end *end = device->end;
    struct arguments *arguments = calloc(1, sizeof *arguments);

    if (arguments == NULL || !log_take(device))
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for DPDK");
    argument(arguments, "haul");
    argument(arguments, device->huge ? "--in-memory" : "--no-huge");
    argument(arguments, device->huge ? "--single-file-segments" : "--no-shconf");
    argument(arguments, "-m");
    argument(arguments, "%u", MEMORY_MIB);
    argument(arguments, "--no-telemetry");
    argument(arguments, "--no-pci");
    argument(arguments, "--iova-mode=va");
    argument(arguments, "--file-prefix=haul-pipe-%d", end->role);
    argument(arguments, "--log-level=*:notice");
    argument(arguments, "--lcores=0@%d", end->cpu >= 0 ? end->cpu : 0);
    argument(arguments, "--vdev=%s", vdev);
    setenv("RUNTIME_DIRECTORY", end->directory, 1); /* what it may put on disk goes with the run */
    if (rte_eal_init(arguments->count, arguments->list) < 0)
        return haul_fail(error, HAUL_E_NOT_POSSIBLE, "DPDK did not start: %s", device->complaint);
    return rte_eth_dev_is_valid_port(PORT)
               ? 0
               : haul_fail(error, HAUL_E_NOT_POSSIBLE, "no driver took %s: %s", vdev,
                           device->complaint);
}

/* --- the device --- */

static uint16_t room_of(const struct haul_pipe_shape *shape)
{
    uint32_t bytes =
        shape->payload + HAUL_PIPE_OVERHEAD + HEADERS_BYTES + RTE_PKTMBUF_HEADROOM + 2047u;

    bytes = bytes / 2048u * 2048u;
    return (uint16_t)(bytes < FRAME_LEAST ? FRAME_LEAST : bytes + 128u);
}

static int device_open(struct device *device, const char *vdev, struct haul_error *error)
{
    const struct rte_eth_conf conf = { 0 };
    int code;

    device->huge = huge_pages_free();
    if (environment_start(device, vdev, error) < 0)
        return -1;
    device->pool = rte_pktmbuf_pool_create("pipe", POOL_FRAMES, POOL_CACHE, 0,
                                           room_of(&device->end->shape), SOCKET_ID_ANY);
    if (device->pool == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for frames: %s", device->complaint);
    code = rte_eth_dev_configure(PORT, 1, 1, &conf);
    if (code == 0)
        code = rte_eth_rx_queue_setup(PORT, QUEUE, QUEUE_FRAMES, (unsigned)SOCKET_ID_ANY, NULL,
                                      device->pool);
    if (code == 0)
        code = rte_eth_tx_queue_setup(PORT, QUEUE, QUEUE_FRAMES, (unsigned)SOCKET_ID_ANY, NULL);
    if (code == 0)
        code = rte_eth_dev_start(PORT);
    return code == 0 ? 0
                     : haul_fail(error, HAUL_E_SYSTEM, "the device did not start: %s %s",
                                 strerror(-code), device->complaint);
}

static bool link_wait(void)
{
    haul_time limit = haul_time_add(haul_clock_read(), LINK_SPAN);
    struct rte_eth_link link = { 0 };

    while (haul_clock_read() < limit) {
        if (rte_eth_link_get_nowait(PORT, &link) == 0 && link.link_status == RTE_ETH_LINK_UP)
            return true;
        pause_short();
    }
    return false;
}

/* The memif driver of DPDK 22.11 falls when its peer goes while it reads: both leave the rings
 * before either process ends. */
static void part(const struct haul_pipe_end *end)
{
    haul_time limit = haul_time_add(haul_clock_read(), PART_SPAN);

    haul_counter_set(&end->shared->ready[end->role], LEFT);
    while (haul_counter_read(&end->shared->ready[1 - end->role]) != LEFT &&
           haul_clock_read() < limit)
        pause_short();
}

/* --- receiving --- */

static uint64_t frames_open(struct haul_pipe_end *end, struct rte_mbuf **frames, uint16_t count)
{
    uint64_t opened = 0;

    if (end->shape.raw)
        return (uint64_t)count * end->shape.payload;
    for (uint16_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            rte_prefetch0(rte_pktmbuf_mtod(frames[i + AHEAD], void *));
        if (frames[i]->nb_segs != 1 || frames[i]->data_len < HEADERS_BYTES) {
            haul_counter_add(&end->shared->wrong, 1);
            continue;
        }
        opened += haul_pipe_open(end, rte_pktmbuf_mtod_offset(frames[i], uint8_t *, HEADERS_BYTES),
                                 frames[i]->data_len - HEADERS_BYTES);
    }
    return opened;
}

static int frames_receive(struct haul_pipe_end *end, const char *vdev, struct haul_error *error)
{
    struct device device = { .end = end };
    struct rte_mbuf *frames[BURST];

    if (device_open(&device, vdev, error) < 0)
        return -1;
    if (!haul_pipe_ready(end))
        return 0;
    while (haul_pipe_running(end)) {
        uint16_t count = rte_eth_rx_burst(PORT, QUEUE, frames, BURST);

        if (count == 0)
            continue;
        haul_counter_add(&end->shared->received, frames_open(end, frames, count));
        rte_pktmbuf_free_bulk(frames, count);
    }
    part(end);
    return 0;
}

/* --- sending --- */

static void frames_fill(struct haul_pipe_end *end, struct rte_mbuf **frames)
{
    uint16_t bytes = (uint16_t)(HEADERS_BYTES + end->shape.payload + HAUL_PIPE_OVERHEAD);

    for (unsigned i = 0; i < BURST; i++) {
        uint8_t *data = rte_pktmbuf_mtod(frames[i], uint8_t *);

        frames[i]->data_len = bytes;
        frames[i]->pkt_len = bytes;
        memset(data, 0, HEADERS_BYTES);
        if (!end->shape.raw)
            (void)haul_pipe_seal(end, data + HEADERS_BYTES);
    }
}

static void frames_give(const struct haul_pipe_end *end, struct rte_mbuf **frames)
{
    uint16_t given = 0;

    while (given < BURST && haul_pipe_running(end))
        given = (uint16_t)(given + rte_eth_tx_burst(PORT, QUEUE, frames + given,
                                                    (uint16_t)(BURST - given)));
}

static int frames_send(struct haul_pipe_end *end, const char *vdev, struct haul_error *error)
{
    struct device device = { .end = end };
    struct rte_mbuf *frames[BURST];

    if (device_open(&device, vdev, error) < 0)
        return -1;
    if (!link_wait())
        return haul_fail(error, HAUL_E_SYSTEM, "the ends of %s did not meet: %s", vdev,
                         device.complaint);
    if (!haul_pipe_ready(end))
        return 0;
    while (haul_pipe_running(end)) {
        if (rte_pktmbuf_alloc_bulk(device.pool, frames, BURST) != 0) {
            (void)rte_eth_tx_done_cleanup(PORT, QUEUE, 0);
            continue;
        }
        frames_fill(end, frames);
        frames_give(end, frames);
        haul_counter_add(&end->shared->sent, (uint64_t)BURST * end->shape.payload);
    }
    part(end);
    return 0;
}

/* --- the kinds --- */

static void memif_name(const struct haul_pipe_end *end, char *vdev)
{
    bool sender = end->role == HAUL_PIPE_SENDER;

    snprintf(vdev, TEXT_BYTES, "net_memif0,role=%s,bsize=%u,socket=%s/memif,socket-abstract=no%s",
             sender ? "client" : "server", MEMIF_BYTES, end->directory,
             sender && huge_pages_free() ? ",zero-copy=yes" : "");
}

static void vhost_name(const struct haul_pipe_end *end, char *vdev)
{
    if (end->role == HAUL_PIPE_SENDER)
        snprintf(vdev, TEXT_BYTES, "net_virtio_user0,path=%s/vhost,queues=1,queue_size=%u",
                 end->directory, QUEUE_FRAMES);
    else
        snprintf(vdev, TEXT_BYTES, "net_vhost0,iface=%s/vhost,queues=1", end->directory);
}

static int memif_receive(struct haul_pipe_end *end, struct haul_error *error)
{
    char vdev[TEXT_BYTES];

    memif_name(end, vdev);
    return frames_receive(end, vdev, error);
}

static int memif_send(struct haul_pipe_end *end, struct haul_error *error)
{
    char vdev[TEXT_BYTES];

    memif_name(end, vdev);
    return frames_send(end, vdev, error);
}

static int vhost_receive(struct haul_pipe_end *end, struct haul_error *error)
{
    char vdev[TEXT_BYTES];

    vhost_name(end, vdev);
    return frames_receive(end, vdev, error);
}

static int vhost_send(struct haul_pipe_end *end, struct haul_error *error)
{
    char vdev[TEXT_BYTES];

    vhost_name(end, vdev);
    return frames_send(end, vdev, error);
}

const struct haul_pipe haul_pipe_memif = {
    .name = "memif",
    .receive = memif_receive,
    .send = memif_send,
};

const struct haul_pipe haul_pipe_vhost = {
    .name = "vhost",
    .receive = vhost_receive,
    .send = vhost_send,
};
