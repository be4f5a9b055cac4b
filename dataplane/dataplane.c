/* Opens and closes everything that a worker needs, in one place, before and after its thread runs.
 */
#include "dataplane/dataplane.h"

#include "common/arena.h"
#include "dataplane/worker_parts.h"

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

/* What the thread of a worker works on, and the thread. */
struct station {
    struct haul_handoff handoff;
    struct haul_worker worker;
    pthread_t thread;
    bool handoff_open;
    bool running;
};

struct haul_dataplane {
    struct haul_arena arena;
    struct haul_aead_choice aead;
    struct haul_store_facts store_names; /* what does not change: backend, direct */
    uint32_t count;
    struct station of[]; /* the first owns the store */
};

static uint32_t count_or(uint32_t wanted, uint32_t otherwise, uint32_t most)
{
    uint32_t count = wanted != 0 ? wanted : otherwise;

    return count < most ? count : most;
}

static struct haul_net_conf net_conf(const struct haul_dataplane_conf *conf)
{
    return (struct haul_net_conf){
        .kind = conf->net_kind,
        .bind = conf->bind,
        .receive_trains = RECEIVE_TRAINS,
        .send_trains = SEND_TRAINS,
        .receive_buffer_bytes = count_or(conf->receive_buffer_bytes, RECEIVE_BUFFER, INT32_MAX),
    };
}

/* What one worker has of the slots; those of the control plane are one's for all. */
struct shares {
    uint32_t filling, serving, control;
};

static struct shares shares_of(const struct haul_dataplane_conf *conf, uint32_t workers)
{
    struct shares shares = {
        .filling = count_or(conf->filling_slots, FILLING_SLOTS, HAUL_SLOTS_MAX / 2) / workers,
        .serving = count_or(conf->serving_slots, SERVING_SLOTS, HAUL_SLOTS_MAX / 2) / workers,
        .control = count_or(conf->control_slots, CONTROL_SLOTS, HAUL_SLOTS_MAX),
    };

    shares.filling += shares.filling == 0;
    shares.serving += shares.serving == 0;
    return shares;
}

static int tables_open(struct haul_worker *worker, const struct shares *shares,
                       struct haul_error *error)
{
    haul_slots_init(&worker->slots, shares->filling, shares->serving);
    worker->hashers = calloc(shares->filling + shares->control, sizeof *worker->hashers);
    worker->generated = calloc(shares->filling + shares->serving, sizeof *worker->generated);
    worker->jobs = calloc(HAUL_JOBS_MAX, sizeof *worker->jobs);
    worker->wants = calloc(HAUL_WANT_BUCKETS, sizeof *worker->wants);
    if (worker->hashers == NULL || worker->generated == NULL || worker->jobs == NULL ||
        worker->wants == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the worker");
    haul_jobs_init(worker);
    return 0;
}

/* Slots from one arena, and rings. What is left of it is for the trains of the nets. */
static int memory_open(struct haul_dataplane *plane, const struct haul_dataplane_conf *conf,
                       size_t train_bytes, struct haul_error *error)
{
    struct shares shares = shares_of(conf, plane->count);
    size_t slots = (size_t)(shares.filling + shares.serving) * HAUL_BLOCK_BYTES_MAX;
    size_t own = (size_t)shares.control * HAUL_BLOCK_BYTES_MAX;
    uint8_t *control_memory;
    int code =
        haul_arena_open(&plane->arena, own + plane->count * (slots + train_bytes + ARENA_PAGE));

    if (code < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "%zu MiB of memory for slots: %s",
                         (plane->count * slots + own) >> 20, strerror(-code));
    for (uint32_t i = 0; i < plane->count; i++)
        plane->of[i].worker.slot_memory = haul_arena_take(&plane->arena, slots, ARENA_PAGE);
    control_memory = haul_arena_take(&plane->arena, own, ARENA_PAGE);
    haul_assert(control_memory != NULL);
    for (uint32_t i = 0; i < plane->count; i++) {
        struct station *station = &plane->of[i];

        haul_assert(station->worker.slot_memory != NULL);
        code = haul_handoff_open(&station->handoff, control_memory, shares.control);
        if (code < 0)
            return haul_fail(error, HAUL_E_SYSTEM, "rings to the worker: %s", strerror(-code));
        station->handoff_open = true;
        station->worker.handoff = &station->handoff;
        if (i > 0)
            plane->of[i - 1].handoff.next = &station->handoff;
        if (tables_open(&station->worker, &shares, error) < 0)
            return -1;
    }
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

/* A core for each worker comes first; one that is left is what a hashing thread is for. */
static int verify_open(struct haul_worker *worker, uint32_t workers, struct haul_error *error)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0 &&
        (uint32_t)CPU_COUNT(&set) < workers + worker->number + 1)
        return 0;
    return haul_verify_open(&worker->verify, worker->handoff->orders_fd, error);
}

/* Worker n has the port n after the configured one, so that a firewall can be told of them, or any
 * other one when that is taken. */
static int kernel_open(struct haul_worker *worker, const struct haul_net_conf *net,
                       struct haul_error *error)
{
    struct haul_net_conf own = *net;

    if (worker->number > 0 && net->bind.port != 0) {
        own.bind.port = (uint16_t)(net->bind.port + worker->number);
        if (own.bind.port > net->bind.port &&
            haul_net_open(&worker->nets[HAUL_VIA_KERNEL], &own, error) == 0)
            return 0;
        own.bind.port = 0;
    }
    return haul_net_open(&worker->nets[HAUL_VIA_KERNEL], &own, error);
}

/* Worker n has queue pair n of the port and the UDP port n after the first one's, as far as the
 * device has queues. */
static int port_open(struct haul_dataplane *plane, struct haul_worker *worker,
                     const struct haul_dataplane_conf *conf, struct haul_error *error)
{
    struct haul_net *first = plane->of[0].worker.nets[HAUL_VIA_DPDK];
    struct haul_net_conf port = {
        .kind = HAUL_NET_DPDK,
        .port = conf->port,
        .bind = { .port = conf->port_udp },
        .receive_trains = PORT_RECEIVE_TRAINS,
        .send_trains = SEND_TRAINS,
        .queues = plane->count,
        .queue = worker->number,
        .beside = first,
    };

    if (conf->port_udp > UINT16_MAX - (plane->count - 1))
        return haul_fail(error, HAUL_E_CONFIG_KEY, "dpdk.port %u leaves no room for %u workers",
                         conf->port_udp, plane->count);
    if (first == NULL || worker->number < haul_net_facts(first)->queues)
        return haul_net_open(&worker->nets[HAUL_VIA_DPDK], &port, error);
    if (conf->bind.family != 0)
        return 0;
    return haul_fail(error, HAUL_E_CONFIG_KEY,
                     "%s has %u queue pair(s): without listen.udp that is work for no more than "
                     "so many workers, and worker.count is %u",
                     conf->port->device, haul_net_facts(first)->queues, plane->count);
}

static int nets_open(struct haul_dataplane *plane, struct haul_worker *worker,
                     const struct haul_dataplane_conf *conf, struct haul_error *error)
{
    struct haul_net_conf net = net_conf(conf);

    haul_assert(conf->bind.family != 0 || conf->port != NULL);
    net.memory = haul_arena_take(&plane->arena, haul_net_bytes(&net), ARENA_PAGE);
    haul_assert(net.memory != NULL);
    if (conf->bind.family != 0 && kernel_open(worker, &net, error) < 0)
        return -1;
    return conf->port == NULL ? 0 : port_open(plane, worker, conf, error);
}

static int store_open(struct haul_dataplane *plane, struct haul_worker *worker,
                      const struct haul_dataplane_conf *conf, struct haul_error *error)
{
    struct haul_worker *first = &plane->of[0].worker;
    struct haul_store_conf store = {
        .kind = conf->store_kind,
        .directory = conf->store_directory,
        .io = worker->io,
        .io_tag_bit = HAUL_IO_TAG_BIT,
    };

    if (worker != first) {
        if (haul_post_open(&worker->post, worker->number, first->handoff->orders_fd,
                           worker->handoff->orders_fd, first->store, error) < 0)
            return -1;
        first->posts[worker->number] = worker->post;
        store = (struct haul_store_conf){ .kind = HAUL_STORE_POST, .post = worker->post };
    }
    if (haul_store_open(&worker->store, &store, error) < 0)
        return -1;
    haul_store_facts(worker->store, &worker->store_facts);
    if (worker == first)
        plane->store_names = worker->store_facts;
    return 0;
}

static int worker_open(struct haul_dataplane *plane, uint32_t number,
                       const struct haul_dataplane_conf *conf, struct haul_error *error)
{
    struct haul_worker *worker = &plane->of[number].worker;

    return flows_open(worker, error) < 0 || nets_open(plane, worker, conf, error) < 0 ||
                   haul_io_open(&worker->io, conf->io_kind, IO_DEPTH, error) < 0 ||
                   store_open(plane, worker, conf, error) < 0
               ? -1
               : verify_open(worker, plane->count, error);
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
static int thread_open(struct station *station, int cpu, struct haul_error *error)
{
    sigset_t all, before;
    int code;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    code = pthread_create(&station->thread, NULL, haul_worker_run, &station->worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0)
        return haul_fail(error, HAUL_E_SYSTEM, "a thread for the worker: %s", strerror(code));
    station->running = true;
    thread_place(station->thread, cpu < 0 ? cpu : cpu + (int)station->worker.number);
    while (sem_wait(&station->worker.started) != 0)
        haul_assert(errno == EINTR);
    return 0;
}

static int stations_open(struct haul_dataplane *plane, const struct haul_dataplane_conf *conf,
                         struct haul_error *error)
{
    const struct haul_net_conf net = net_conf(conf);

    if (haul_aead_choose(conf->aead, conf->synthetic, &plane->aead, error) < 0 ||
        memory_open(plane, conf, haul_net_bytes(&net), error) < 0)
        return -1;
    for (uint32_t i = 0; i < plane->count; i++) {
        if (worker_open(plane, i, conf, error) < 0)
            return -1;
    }
    for (uint32_t i = 0; i < plane->count; i++) {
        if (thread_open(&plane->of[i], conf->cpu, error) < 0)
            return -1;
    }
    return 0;
}

int haul_dataplane_open(struct haul_dataplane **opened, const struct haul_dataplane_conf *conf,
                        struct haul_error *error)
{
    uint32_t count = conf->workers == 0 ? 1 : conf->workers;
    struct haul_dataplane *plane;

    if (conf->workers > HAUL_WORKERS_MAX)
        return haul_fail(error, HAUL_E_CONFIG_KEY, "%u workers: there may be %u", conf->workers,
                         HAUL_WORKERS_MAX);
    plane = calloc(1, sizeof *plane + count * sizeof plane->of[0]);
    if (plane == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the data plane");
    plane->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct haul_worker *worker = &plane->of[i].worker;

        haul_assert(sem_init(&worker->started, 0, 0) == 0);
        worker->number = i;
        worker->aead = &plane->aead;
        worker->spin = conf->spin;
        worker->synthetic = conf->synthetic;
    }
    if (stations_open(plane, conf, error) < 0) {
        haul_dataplane_close(plane);
        return -1;
    }
    *opened = plane;
    return 0;
}

static void thread_close(struct station *station)
{
    uint64_t one = 1;

    if (!station->running)
        return;
    haul_counter_set(&station->worker.stop, 1);
    haul_assert(write(station->handoff.orders_fd, &one, sizeof one) == (ssize_t)sizeof one);
    pthread_join(station->thread, NULL);
    station->running = false;
}

static void station_close(struct station *station)
{
    struct haul_worker *worker = &station->worker;

    haul_verify_close(worker->verify);
    haul_store_close(worker->store);
    haul_io_close(worker->io);
    if (worker->flow_memory != NULL)
        munmap(worker->flow_memory, HAUL_FLOWS_MAX * worker->flow_bytes);
    free(worker->wants);
    free(worker->jobs);
    free(worker->generated);
    free(worker->hashers);
    if (station->handoff_open)
        haul_handoff_close(&station->handoff);
    sem_destroy(&worker->started);
}

/* The first worker ends last: until then the others may wait for its store, and the store, which is
 * closed before their posts, for their memory. Its net may have a port that others share. */
void haul_dataplane_close(struct haul_dataplane *plane)
{
    struct haul_post *posts[HAUL_WORKERS_MAX] = { 0 };

    if (plane == NULL)
        return;
    for (uint32_t i = plane->count; i-- > 0;)
        thread_close(&plane->of[i]);
    for (uint32_t i = plane->count; i-- > 0;) {
        for (unsigned via = 0; via < HAUL_VIAS; via++)
            haul_net_close(plane->of[i].worker.nets[via]);
    }
    for (uint32_t i = 0; i < plane->count; i++) {
        posts[i] = plane->of[i].worker.post;
        station_close(&plane->of[i]);
    }
    for (uint32_t i = 0; i < plane->count; i++)
        haul_post_close(posts[i]);
    haul_arena_close(&plane->arena);
    free(plane);
}

struct haul_handoff *haul_dataplane_handoff(struct haul_dataplane *plane)
{
    return &plane->of[0].handoff;
}

uint32_t haul_dataplane_workers(const struct haul_dataplane *plane)
{
    return plane->count;
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

static uint64_t thread_cpu(const struct station *station)
{
    struct timespec used = { 0 };
    clockid_t clock;

    if (!station->running || pthread_getcpuclockid(station->thread, &clock) != 0 ||
        clock_gettime(clock, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * HAUL_SECOND + (uint64_t)used.tv_nsec;
}

static void net_counters(const struct haul_net *net, struct haul_net_counters *read)
{
    const struct haul_net_counters *counters;

    if (net == NULL)
        return;
    counters = haul_net_counters(net);
#define X(name, help) read->name = haul_counter_read(&counters->name);
    HAUL_NET_COUNTERS(X)
#undef X
}

void haul_dataplane_worker_facts(struct haul_dataplane *plane, uint32_t number,
                                 struct haul_worker_facts *facts)
{
    const struct haul_worker *worker = &plane->of[number].worker;

    haul_assert(number < plane->count);
    *facts = (struct haul_worker_facts){ .cpu_ns = thread_cpu(&plane->of[number]) };
    if (worker->nets[HAUL_VIA_KERNEL] != NULL)
        facts->local = haul_net_facts(worker->nets[HAUL_VIA_KERNEL])->local;
    net_counters(worker->nets[HAUL_VIA_KERNEL], &facts->net);
    if (worker->nets[HAUL_VIA_DPDK] != NULL)
        facts->port_local = haul_net_facts(worker->nets[HAUL_VIA_DPDK])->local;
    net_counters(worker->nets[HAUL_VIA_DPDK], &facts->port);
#define X(name, help) facts->counters.name = haul_counter_read(&worker->counters.name);
    HAUL_WORKER_COUNTERS(X)
#undef X
}

static void worker_add(struct haul_dataplane_facts *sum, const struct haul_worker_facts *one)
{
    const struct haul_net_counters *net = sum->kernel ? &one->net : &one->port;

    sum->worker_cpu_ns += one->cpu_ns;
#define X(name, help) sum->net_counters.name += net->name;
    HAUL_NET_COUNTERS(X)
#undef X
#define X(name, help) sum->port_counters.name += one->port.name;
    HAUL_NET_COUNTERS(X)
#undef X
#define X(name, help) sum->worker.name += one->counters.name;
    HAUL_WORKER_COUNTERS(X)
#undef X
}

void haul_dataplane_facts(struct haul_dataplane *plane, struct haul_dataplane_facts *facts)
{
    const struct haul_worker *first = &plane->of[0].worker;
    const struct haul_net *kernel = first->nets[HAUL_VIA_KERNEL];
    const struct haul_net *port = first->nets[HAUL_VIA_DPDK];
    struct haul_dataplane_facts now = {
        .net = *haul_net_facts(kernel != NULL ? kernel : port),
        .kernel = kernel != NULL,
        .dpdk = port != NULL,
        .store = plane->store_names,
        .aead = plane->aead.of[plane->aead.order[0]]->name,
        .aead_ns_per_datagram = { plane->aead.ns_ipsec_mb, plane->aead.ns_openssl },
        .arena_bytes = plane->arena.bytes,
        .arena_huge = plane->arena.huge,
    };

    if (port != NULL)
        now.port = *haul_net_facts(port);
    for (uint32_t i = 0; i < plane->count; i++) {
        struct haul_worker_facts one;

        haul_dataplane_worker_facts(plane, i, &one);
        worker_add(&now, &one);
    }
    now.rx_unknown = now.worker.rx_unknown;
    now.filling_free = (uint32_t)now.worker.filling_free;
    now.serving_free = (uint32_t)now.worker.serving_free;
    now.store.blocks = haul_counter_read(&first->store_facts.blocks);
    now.store.bytes = haul_counter_read(&first->store_facts.bytes);
    now.store.failed_packs = haul_counter_read(&first->store_facts.failed_packs);
    now.store.damaged_packs = haul_counter_read(&first->store_facts.damaged_packs);
    *facts = now;
}

/* What the nets of a port tell, added up: each tells the same names in the same order. */
#define TOLD_MAX 128u

struct told {
    const char *names[TOLD_MAX];
    const char *helps[TOLD_MAX];
    uint64_t values[TOLD_MAX];
    uint32_t at;
};

static void told_add(void *context, const char *name, const char *help, uint64_t value)
{
    struct told *told = context;

    haul_assert(told->at < TOLD_MAX);
    told->names[told->at] = name;
    told->helps[told->at] = help;
    told->values[told->at++] += value;
}

void haul_dataplane_port_each(struct haul_dataplane *plane, haul_net_take_fn *take, void *context)
{
    struct told told = { .at = 0 };

    for (uint32_t i = 0; i < plane->count; i++) {
        told.at = 0;
        if (plane->of[i].worker.nets[HAUL_VIA_DPDK] == NULL)
            break;
        haul_net_each(plane->of[i].worker.nets[HAUL_VIA_DPDK], told_add, &told);
    }
    for (uint32_t i = 0; i < TOLD_MAX && told.names[i] != NULL; i++)
        take(context, told.names[i], told.helps[i], told.values[i]);
}

void haul_dataplane_queue_each(struct haul_dataplane *plane, uint32_t number,
                               haul_net_take_fn *take, void *context)
{
    haul_assert(number < plane->count);
    if (plane->of[number].worker.nets[HAUL_VIA_DPDK] != NULL)
        haul_net_each(plane->of[number].worker.nets[HAUL_VIA_DPDK], take, context);
}
