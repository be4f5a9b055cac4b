/* Opens and closes everything that a worker needs, in one place, before and after its thread runs.
 */
#include "dataplane/dataplane.h"

#include "common/arena.h"
#include "dataplane/worker.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define FILLING_SLOTS       48u
#define SERVING_SLOTS       48u
#define CONTROL_SLOTS       32u
#define RECEIVE_TRAINS      16u /* 1 MiB: still in the cache when it is opened */
#define SEND_TRAINS         32u
#define PORT_RECEIVE_TRAINS 32u /* of 32 datagrams at most */
#define RECEIVE_BUFFER      (64u << 20)
#define IO_DEPTH            256u
#define ARENA_PAGE          4096u

struct haul_dataplane {
    struct haul_handoff handoff;
    struct haul_arena arena;
    struct haul_aead_choice aead;
    struct haul_worker worker;
    struct haul_store_facts store_names; /* what does not change: backend, direct */
    pthread_t thread;
    bool handoff_open;
    bool running;
};

static uint32_t count_or(uint32_t wanted, uint32_t otherwise, uint32_t most)
{
    uint32_t count = wanted != 0 ? wanted : otherwise;

    return count < most ? count : most;
}

/* Slots and trains from one arena. */
static int memory_open(struct haul_dataplane *plane, const struct haul_dataplane_conf *conf,
                       struct haul_net_conf *net, struct haul_error *error)
{
    uint32_t filling = count_or(conf->filling_slots, FILLING_SLOTS, HAUL_SLOTS_MAX / 2);
    uint32_t serving = count_or(conf->serving_slots, SERVING_SLOTS, HAUL_SLOTS_MAX / 2);
    uint32_t control = count_or(conf->control_slots, CONTROL_SLOTS, HAUL_SLOTS_MAX);
    size_t slots = (size_t)(filling + serving) * HAUL_BLOCK_BYTES_MAX;
    size_t own = (size_t)control * HAUL_BLOCK_BYTES_MAX;
    struct haul_worker *worker = &plane->worker;
    uint8_t *control_memory;
    int code = haul_arena_open(&plane->arena, slots + own + haul_net_bytes(net) + ARENA_PAGE);

    if (code < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "%zu MiB of memory for slots: %s",
                         (slots + own) >> 20, strerror(-code));
    worker->slot_memory = haul_arena_take(&plane->arena, slots, ARENA_PAGE);
    control_memory = haul_arena_take(&plane->arena, own, ARENA_PAGE);
    net->memory = haul_arena_take(&plane->arena, haul_net_bytes(net), ARENA_PAGE);
    haul_assert(worker->slot_memory != NULL && control_memory != NULL && net->memory != NULL);
    haul_slots_init(&worker->slots, filling, serving);
    code = haul_handoff_open(&plane->handoff, control_memory, control);
    if (code < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "rings to the worker: %s", strerror(-code));
    plane->handoff_open = true;
    worker->handoff = &plane->handoff;
    worker->hashers = calloc(filling + control, sizeof *worker->hashers);
    worker->generated = calloc(filling + serving, sizeof *worker->generated);
    worker->jobs = calloc(HAUL_JOBS_MAX, sizeof *worker->jobs);
    worker->wants = calloc(HAUL_WANT_BUCKETS, sizeof *worker->wants);
    if (worker->hashers == NULL || worker->generated == NULL || worker->jobs == NULL ||
        worker->wants == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the worker");
    haul_jobs_init(worker);
    return 0;
}

/* Address space for every flow at its largest; pages come when a flow opens and go when it ends. */
static int flows_open(struct haul_worker *worker, struct haul_error *error)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *memory;

    worker->flow_bytes = (haul_flow_bytes(HAUL_WANTS_MAX) + page - 1) / page * page;
    memory = mmap(NULL, HAUL_FLOWS_MAX * worker->flow_bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return haul_fail(error, HAUL_E_SYSTEM, "address space for flows: %s", strerror(errno));
    worker->flow_memory = memory;
    return 0;
}

/* A second core is what the hashing thread is for. */
static int verify_open(struct haul_worker *worker, struct haul_error *error)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) < 2)
        return 0;
    return haul_verify_open(&worker->verify, worker->handoff->orders_fd, error);
}

static int nets_open(struct haul_worker *worker, const struct haul_dataplane_conf *conf,
                     const struct haul_net_conf *net, struct haul_error *error)
{
    struct haul_net_conf port = {
        .kind = HAUL_NET_DPDK,
        .port = conf->port,
        .bind = { .port = conf->port_udp },
        .receive_trains = PORT_RECEIVE_TRAINS,
        .send_trains = SEND_TRAINS,
    };

    haul_assert(conf->bind.family != 0 || conf->port != NULL);
    if (conf->bind.family != 0 && haul_net_open(&worker->nets[HAUL_VIA_KERNEL], net, error) < 0)
        return -1;
    if (conf->port != NULL && haul_net_open(&worker->nets[HAUL_VIA_DPDK], &port, error) < 0)
        return -1;
    return 0;
}

static int backends_open(struct haul_dataplane *plane, const struct haul_dataplane_conf *conf,
                         const struct haul_net_conf *net, struct haul_error *error)
{
    struct haul_worker *worker = &plane->worker;
    struct haul_store_conf store = {
        .kind = conf->store_kind,
        .directory = conf->store_directory,
        .io_tag_bit = HAUL_IO_TAG_BIT,
    };

    if (nets_open(worker, conf, net, error) < 0 ||
        haul_io_open(&worker->io, conf->io_kind, IO_DEPTH, error) < 0)
        return -1;
    store.io = worker->io;
    if (haul_store_open(&worker->store, &store, error) < 0)
        return -1;
    haul_store_facts(worker->store, &plane->store_names);
    worker->store_facts = plane->store_names;
    return 0;
}

static void thread_place(pthread_t thread, int cpu)
{
    cpu_set_t set;

    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    pthread_setaffinity_np(thread, sizeof set, &set); /* a CPU that is not ours: anywhere then */
}

/* Signals are the control thread's. */
static int thread_open(struct haul_dataplane *plane, int cpu, struct haul_error *error)
{
    sigset_t all, before;
    int code;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    code = pthread_create(&plane->thread, NULL, haul_worker_run, &plane->worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0)
        return haul_fail(error, HAUL_E_SYSTEM, "a thread for the worker: %s", strerror(code));
    plane->running = true;
    thread_place(plane->thread, cpu);
    while (sem_wait(&plane->worker.started) != 0)
        haul_assert(errno == EINTR);
    return 0;
}

int haul_dataplane_open(struct haul_dataplane **opened, const struct haul_dataplane_conf *conf,
                        struct haul_error *error)
{
    struct haul_dataplane *plane = calloc(1, sizeof *plane);
    struct haul_net_conf net = {
        .kind = conf->net_kind,
        .bind = conf->bind,
        .receive_trains = RECEIVE_TRAINS,
        .send_trains = SEND_TRAINS,
        .receive_buffer_bytes = count_or(conf->receive_buffer_bytes, RECEIVE_BUFFER, INT32_MAX),
    };

    if (plane == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the data plane");
    haul_assert(sem_init(&plane->worker.started, 0, 0) == 0);
    plane->worker.aead = &plane->aead;
    plane->worker.spin = conf->spin;
    plane->worker.synthetic = conf->synthetic;
    if (haul_aead_choose(conf->aead, conf->synthetic, &plane->aead, error) < 0 ||
        memory_open(plane, conf, &net, error) < 0 || flows_open(&plane->worker, error) < 0 ||
        backends_open(plane, conf, &net, error) < 0 || verify_open(&plane->worker, error) < 0 ||
        thread_open(plane, conf->cpu, error) < 0) {
        haul_dataplane_close(plane);
        return -1;
    }
    *opened = plane;
    return 0;
}

static void thread_close(struct haul_dataplane *plane)
{
    uint64_t one = 1;

    haul_counter_set(&plane->worker.stop, 1);
    haul_assert(write(plane->handoff.orders_fd, &one, sizeof one) == (ssize_t)sizeof one);
    pthread_join(plane->thread, NULL);
    plane->running = false;
}

void haul_dataplane_close(struct haul_dataplane *plane)
{
    struct haul_worker *worker;

    if (plane == NULL)
        return;
    worker = &plane->worker;
    if (plane->running)
        thread_close(plane);
    haul_verify_close(worker->verify);
    haul_store_close(worker->store);
    haul_io_close(worker->io);
    for (unsigned via = 0; via < HAUL_VIAS; via++)
        haul_net_close(worker->nets[via]);
    if (worker->flow_memory != NULL)
        munmap(worker->flow_memory, HAUL_FLOWS_MAX * worker->flow_bytes);
    free(worker->wants);
    free(worker->jobs);
    free(worker->generated);
    free(worker->hashers);
    if (plane->handoff_open)
        haul_handoff_close(&plane->handoff);
    haul_arena_close(&plane->arena);
    sem_destroy(&worker->started);
    free(plane);
}

struct haul_handoff *haul_dataplane_handoff(struct haul_dataplane *plane)
{
    return &plane->handoff;
}

size_t haul_dataplane_ciphers(const struct haul_dataplane *plane, uint8_t *ciphers, size_t capacity)
{
    size_t count = 0;

    while (count < capacity && count < plane->aead.order_count) {
        ciphers[count] = plane->aead.order[count];
        count++;
    }
    return count;
}

static uint64_t thread_cpu(const struct haul_dataplane *plane)
{
    struct timespec used = { 0 };
    clockid_t clock;

    if (!plane->running || pthread_getcpuclockid(plane->thread, &clock) != 0 ||
        clock_gettime(clock, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * HAUL_SECOND + (uint64_t)used.tv_nsec;
}

void haul_dataplane_facts(struct haul_dataplane *plane, struct haul_dataplane_facts *facts)
{
    const struct haul_worker *worker = &plane->worker;
    const struct haul_net *kernel = worker->nets[HAUL_VIA_KERNEL];
    const struct haul_net *port = worker->nets[HAUL_VIA_DPDK];
    const struct haul_net_counters *net = haul_net_counters(kernel != NULL ? kernel : port);
    struct haul_dataplane_facts now = {
        .net = *haul_net_facts(kernel != NULL ? kernel : port),
        .kernel = kernel != NULL,
        .dpdk = port != NULL,
        .store = plane->store_names,
        .aead = plane->aead.of[plane->aead.order[0]]->name,
        .aead_ns_per_datagram = { plane->aead.ns_ipsec_mb, plane->aead.ns_openssl },
        .arena_bytes = plane->arena.bytes,
        .arena_huge = plane->arena.huge,
        .rx_unknown = haul_counter_read(&worker->counters.rx_unknown),
        .worker_cpu_ns = thread_cpu(plane),
        .filling_free = (uint32_t)haul_counter_read(&worker->counters.filling_free),
        .serving_free = (uint32_t)haul_counter_read(&worker->counters.serving_free),
    };

#define X(name, help) now.net_counters.name = haul_counter_read(&net->name);
    HAUL_NET_COUNTERS(X)
#undef X
    if (port != NULL) {
        now.port = *haul_net_facts(port);
        net = haul_net_counters(port);
#define X(name, help) now.port_counters.name = haul_counter_read(&net->name);
        HAUL_NET_COUNTERS(X)
#undef X
    }
#define X(name, help) now.worker.name = haul_counter_read(&worker->counters.name);
    HAUL_WORKER_COUNTERS(X)
#undef X
    now.store.blocks = haul_counter_read(&worker->store_facts.blocks);
    now.store.bytes = haul_counter_read(&worker->store_facts.bytes);
    now.store.failed_packs = haul_counter_read(&worker->store_facts.failed_packs);
    now.store.damaged_packs = haul_counter_read(&worker->store_facts.damaged_packs);
    *facts = now;
}

void haul_dataplane_port_each(struct haul_dataplane *plane, haul_net_take_fn *take, void *context)
{
    if (plane->worker.nets[HAUL_VIA_DPDK] != NULL)
        haul_net_each(plane->worker.nets[HAUL_VIA_DPDK], take, context);
}
