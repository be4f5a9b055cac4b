/* haul node: the composition root. Opens the two planes, gives each its end of the rings, and runs
 * until a signal. Neither plane knows the other. */
#include "common/conf.h"
#include "common/counters.h"
#include "common/log.h"
#include "controlplane/cmd/node_again.h"
#include "controlplane/cmd/node_port.h"
#include "controlplane/cmd/print.h"
#include "controlplane/node/controlplane.h"
#include "controlplane/p2p/multiaddr.h"
#include "dataplane/dataplane.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT_OVERHEAD 40u /* header and tag of a datagram (docs/WIRE.md) */

extern char **environ;

struct node {
    struct haul_home home;
    struct haul_key key;
    struct haul_conf *conf;
    struct haul_dataplane *data;
    struct haul_net_port port; /* DPDK's, where the configuration names one */
    bool has_port;
    char directory[HAUL_HOME_PATH_BYTES];
    struct haul_controlplane *control;
    char store[HAUL_HOME_PATH_BYTES];
};

static uint64_t plane_cpu(void *context, uint32_t worker)
{
    struct haul_worker_facts facts;

    haul_dataplane_worker_facts(context, worker, &facts);
    return facts.cpu_ns;
}

static void net_facts(const struct haul_dataplane_facts *known, const struct haul_facts *facts)
{
    char text[HAUL_ADDR_TEXT_BYTES];

    haul_addr_print(&known->net.local, text);
    haul_facts_text(facts, "net", "address", text, "UDP");
    haul_facts_text(facts, "net", "backend", known->net.backend, "");
    haul_facts_flag(facts, "net", "multishot", known->net.multishot, "one receive stays armed");
    haul_facts_flag(facts, "net", "gro", known->net.gro, "UDP_GRO");
    haul_facts_flag(facts, "net", "gso", known->net.gso, "UDP_SEGMENT");
    haul_facts_number(facts, "net", "segments_max", known->net.segments_max,
                      "datagrams in one send");
    haul_facts_number(facts, "net", "train_bytes_max", known->net.train_bytes_max,
                      "bytes in one send");
    haul_facts_number(facts, "net", "receive_buffer_bytes", known->net.receive_buffer_bytes, "");
#define X(name, help)                                                                              \
    haul_facts_number(facts, "net", #name, haul_counter_read(&known->net_counters.name), help);
    HAUL_NET_COUNTERS(X)
#undef X
}

static void port_fact(void *context, const char *name, const char *help, uint64_t value)
{
    haul_facts_number(context, "dpdk", name, value, help);
}

static void port_facts(struct haul_dataplane *data, const struct haul_dataplane_facts *known,
                       const struct haul_facts *facts)
{
    struct haul_facts to = *facts;
    char text[HAUL_ADDR_TEXT_BYTES];

    if (!known->dpdk)
        return;
    haul_addr_print(&known->port.local, text);
    haul_facts_text(facts, "dpdk", "address", text, "UDP");
    haul_facts_number(facts, "dpdk", "datagram_max", known->port.datagram_max, "");
    haul_facts_number(facts, "dpdk", "queues", known->port.queues, "pairs, one a worker");
#define X(name, help)                                                                              \
    haul_facts_number(facts, "dpdk", #name, haul_counter_read(&known->port_counters.name), help);
    HAUL_NET_COUNTERS(X)
#undef X
    haul_dataplane_port_each(data, port_fact, &to);
}

struct queue_facts {
    const struct haul_facts *facts;
    const char *group;
};

static void queue_fact(void *context, const char *name, const char *help, uint64_t value)
{
    const struct queue_facts *to = context;

    haul_facts_number(to->facts, to->group, name, value, help);
}

/* One queue pair of a port that has several; the sums are in the group `dpdk`. */
static void queue_facts(struct haul_dataplane *data, uint32_t number,
                        const struct haul_worker_facts *known, const struct haul_facts *facts)
{
    char group[16], text[HAUL_ADDR_TEXT_BYTES];
    struct queue_facts to = { .facts = facts, .group = group };

    if (known->port_local.family == 0)
        return;
    snprintf(group, sizeof group, "dpdk-%u", number);
    haul_addr_print(&known->port_local, text);
    haul_facts_text(facts, group, "address", text, "UDP");
#define X(name, help) haul_facts_number(facts, group, #name, known->port.name, help);
    HAUL_NET_COUNTERS(X)
#undef X
    haul_dataplane_queue_each(data, number, queue_fact, &to);
}

/* Where there are several: the sums are those of the groups `net` and `worker`. */
static void workers_facts(struct haul_dataplane *data, const struct haul_facts *facts)
{
    uint32_t count = haul_dataplane_workers(data);

    haul_facts_number(facts, "worker", "count", count, "workers: the rest is of all together");
    for (uint32_t i = 0; i < count && count > 1; i++) {
        char worker[16], net[16], text[HAUL_ADDR_TEXT_BYTES];
        struct haul_worker_facts known;

        haul_dataplane_worker_facts(data, i, &known);
        snprintf(worker, sizeof worker, "worker-%u", i);
        snprintf(net, sizeof net, "net-%u", i);
        haul_facts_number(facts, worker, "cpu_ns", known.cpu_ns, "");
#define X(name, help) haul_facts_number(facts, worker, #name, known.counters.name, help);
        HAUL_WORKER_COUNTERS(X)
#undef X
        queue_facts(data, i, &known, facts);
        if (known.local.family == 0)
            continue;
        haul_addr_print(&known.local, text);
        haul_facts_text(facts, net, "address", text, "UDP");
#define X(name, help) haul_facts_number(facts, net, #name, known.net.name, help);
        HAUL_NET_COUNTERS(X)
#undef X
    }
}

static void plane_facts(void *context, const struct haul_facts *facts)
{
    struct haul_dataplane_facts known;

    haul_dataplane_facts(context, &known);
    if (known.kernel)
        net_facts(&known, facts);
    port_facts(context, &known, facts);
    haul_facts_text(facts, "cipher", "in_use", known.aead, "");
    haul_facts_real(facts, "cipher", "ipsec_mb_ns", known.aead_ns_per_datagram[0],
                    "a datagram, measured at start");
    haul_facts_real(facts, "cipher", "openssl_ns", known.aead_ns_per_datagram[1],
                    "a datagram, measured at start");
    haul_facts_text(facts, "store", "backend", known.store.backend, "");
    haul_facts_number(facts, "store", "blocks", known.store.blocks, "");
    haul_facts_number(facts, "store", "bytes", known.store.bytes, "");
    haul_facts_flag(facts, "store", "direct", known.store.direct, "O_DIRECT");
    haul_facts_number(facts, "worker", "arena_bytes", known.arena_bytes, "");
    haul_facts_flag(facts, "worker", "arena_huge", known.arena_huge, "huge pages");
    haul_facts_number(facts, "worker", "cpu_ns", known.worker_cpu_ns, "");
#define X(name, help)                                                                              \
    haul_facts_number(facts, "worker", #name, haul_counter_read(&known.worker.name), help);
    HAUL_WORKER_COUNTERS(X)
#undef X
    workers_facts(context, facts);
}

static int conf_read(struct node *node, const struct haul_options *options,
                     struct haul_error *error)
{
    char path[HAUL_HOME_PATH_BYTES];

    node->conf = haul_conf_open();
    if (node->conf == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the configuration");
    haul_home_path(&node->home, "config.yaml", path);
    if (haul_conf_load(node->conf, path, error) < 0 ||
        haul_conf_environment(node->conf, environ, error) < 0)
        return -1;
    for (size_t i = 0; i < options->list_count; i++) {
        if (haul_conf_set(node->conf, options->list[i], error) < 0)
            return -1;
    }
    return 0;
}

static void log_level(const struct node *node, const struct haul_options *options)
{
    static const char *const names[] = {
        [HAUL_LOG_ERROR] = "error",
        [HAUL_LOG_WARN] = "warn",
        [HAUL_LOG_INFO] = "info",
        [HAUL_LOG_DEBUG] = "debug",
    };

    for (unsigned i = 0; i < HAUL_COUNT_OF(names); i++) {
        if (haul_conf_is(node->conf, HAUL_CONF_LOG_LEVEL, names[i]))
            haul_log_level_set((enum haul_log_level)i);
    }
    if (haul_options_has(options, HAUL_OPTION_QUIET))
        haul_log_level_set(HAUL_LOG_ERROR);
}

/* Which of the names a CHOICE key holds; the names are in the order of an enum. */
static unsigned choice_of(const struct node *node, enum haul_conf_key key, const char *const *names,
                          unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (haul_conf_is(node->conf, key, names[i]))
            return i;
    }
    return 0;
}

static void plane_conf(struct node *node, bool perf, struct haul_dataplane_conf *conf)
{
    static const char *const nets[] = {
        [HAUL_NET_AUTO] = "auto", [HAUL_NET_URING] = "uring", [HAUL_NET_MMSG] = "mmsg"
    };
    static const char *const ios[] = {
        [HAUL_IO_AUTO] = "auto", [HAUL_IO_URING] = "uring", [HAUL_IO_POSIX] = "posix"
    };
    static const char *const stores[] = {
        [HAUL_STORE_FILE] = "file", [HAUL_STORE_MEMORY] = "memory"
    };
    const char *directory = haul_conf_text(node->conf, HAUL_CONF_STORE_DIRECTORY);
    uint64_t cpu = haul_conf_number(node->conf, HAUL_CONF_WORKER_CPU);

    if (directory[0] == '/')
        snprintf(node->store, sizeof node->store, "%s", directory);
    else
        haul_home_path(&node->home, directory, node->store);
    *conf = (struct haul_dataplane_conf){
        .net_kind = (enum haul_net_kind)choice_of(node, HAUL_CONF_NET_BACKEND, nets, 3),
        .io_kind = (enum haul_io_kind)choice_of(node, HAUL_CONF_STORE_BACKEND, ios, 3),
        .store_kind = (enum haul_store_kind)choice_of(node, HAUL_CONF_STORE_KIND, stores, 2),
        .store_directory = node->store,
        .filling_slots = (uint32_t)haul_conf_number(node->conf, HAUL_CONF_SLOTS_FILLING),
        .serving_slots = (uint32_t)haul_conf_number(node->conf, HAUL_CONF_SLOTS_SERVING),
        .control_slots = (uint32_t)haul_conf_number(node->conf, HAUL_CONF_SLOTS_CONTROL),
        .receive_buffer_bytes =
            (uint32_t)haul_conf_number(node->conf, HAUL_CONF_NET_RECEIVE_BUFFER),
        .aead = haul_conf_text(node->conf, HAUL_CONF_CIPHER_BACKEND),
        .workers = (uint32_t)haul_conf_number(node->conf, HAUL_CONF_WORKER_COUNT),
        .spin = haul_conf_bool(node->conf, HAUL_CONF_WORKER_SPIN),
        .cpu = cpu == HAUL_CONF_NONE ? -1 : (int)cpu,
        .synthetic = perf,
        .port = node->has_port ? &node->port : NULL,
        .port_udp = (uint16_t)haul_conf_number(node->conf, HAUL_CONF_DPDK_PORT),
    };
}

/* One socket serves both families where it can. The default port may be taken by another node of
 * this machine: then any free one; and a machine without IPv6 has IPv4. */
static int data_open(struct node *node, bool perf, struct haul_error *error)
{
    struct haul_addr addresses[HAUL_CONF_ITEMS_MAX];
    size_t count = haul_conf_addresses(node->conf, HAUL_CONF_LISTEN_UDP, addresses);
    bool meant = haul_conf_origin(node->conf, HAUL_CONF_LISTEN_UDP) != HAUL_CONF_DEFAULT;
    struct haul_dataplane_conf conf;

    if (haul_node_port_read(node->conf, &node->port, &node->has_port, error) < 0)
        return -1;
    haul_home_path(&node->home, "", node->directory);
    node->port.directory = node->directory;
    plane_conf(node, perf, &conf);
    if (meant) {
        if (count == 0 && node->has_port)
            return haul_dataplane_open(&node->data, &conf, error);
        if (count == 0)
            return haul_fail(error, HAUL_E_CONFIG_KEY, "listen.udp names no address");
        conf.bind = addresses[0];
        return haul_dataplane_open(&node->data, &conf, error);
    }
    for (unsigned attempt = 0; attempt < 4; attempt++) {
        conf.bind = (struct haul_addr){ .family = attempt < 2 ? 6 : 4,
                                        .port = attempt % 2 == 0 ? addresses[0].port : 0 };
        if (haul_dataplane_open(&node->data, &conf, error) == 0)
            return 0;
        if (error->code != HAUL_E_SYSTEM) /* no socket: a port of DPDK is not tried twice */
            return -1;
    }
    return -1;
}

static int control_open(struct node *node, bool perf, struct haul_error *error)
{
    struct haul_controlplane_conf conf = {
        .conf = node->conf,
        .home = &node->home,
        .key = &node->key,
        .handoff = haul_dataplane_handoff(node->data),
        .perf = perf,
        .plane_facts = plane_facts,
        .plane_cpu = plane_cpu,
        .plane_context = node->data,
    };
    static const char *const rates[] = { [HAUL_CONGESTION_BBR] = "bbr",
                                         [HAUL_CONGESTION_LEDBAT] = "ledbat",
                                         [HAUL_CONGESTION_FIXED] = "fixed" };
    struct haul_dataplane_facts facts;

    haul_dataplane_facts(node->data, &facts);
    conf.congestion = (uint8_t)choice_of(node, HAUL_CONF_FLOW_CONGESTION, rates, 3);
    if (facts.kernel)
        conf.udp = facts.net.local;
    for (uint32_t i = 0; i < haul_dataplane_workers(node->data); i++) {
        struct haul_worker_facts worker;

        haul_dataplane_worker_facts(node->data, i, &worker);
        conf.udp_ports[i] = worker.local.port;
    }
    for (size_t i = 0; facts.dpdk && i < node->port.address_count; i++) {
        conf.ports[conf.port_count] = node->port.addresses[i].ip;
        conf.ports[conf.port_count++].port = facts.port.local.port;
    }
    conf.port_workers = facts.dpdk ? facts.port.queues : 0;
    conf.port_payload_max = (uint16_t)(facts.dpdk ? facts.port.datagram_max - PORT_OVERHEAD : 0);
    conf.cipher_count =
        haul_dataplane_ciphers(node->data, conf.ciphers, HAUL_CONTROLPLANE_CIPHERS_MAX);
    return haul_controlplane_open(&node->control, &conf, error);
}

static void ready_print(const struct node *node)
{
    struct haul_multiaddr addresses[16];
    char text[HAUL_MULTIADDR_TEXT_BYTES];
    size_t count = haul_controlplane_addresses(node->control, addresses, 16);

    haul_peer_id_print(&node->key.id, text);
    printf("ready peer=%s", text);
    for (size_t i = 0; i < count; i++) {
        haul_multiaddr_print(&addresses[i], text);
        printf(" address=%s", text);
    }
    putchar('\n');
    fflush(stdout);
}

static int node_open(struct node *node, const struct haul_options *options,
                     struct haul_error *error)
{
    bool perf = haul_options_has(options, HAUL_OPTION_PERF);

    if (haul_home_open(&node->home, options->text[HAUL_OPTION_HOME], true, error) < 0 ||
        haul_home_lock(&node->home, error) < 0 ||
        haul_home_key(&node->home, true, &node->key, NULL, error) < 0 ||
        conf_read(node, options, error) < 0)
        return -1;
    log_level(node, options);
    if (data_open(node, perf, error) < 0) {
        if (error->code == HAUL_E_DPDK_PAGES) {
            haul_log(HAUL_LOG_WARN, "dpdk-pages-taken",
                     "what=\"%s; the node starts again with ordinary ones\"", error->text);
            haul_node_again(options, "dpdk.pages=ordinary");
        }
        return -1;
    }
    return control_open(node, perf, error);
}

static void node_close(struct node *node)
{
    if (node->control != NULL)
        haul_controlplane_stop(node->control);
    if (node->data != NULL)
        haul_dataplane_close(node->data);
    haul_controlplane_close(node->control);
    haul_conf_close(node->conf);
    haul_key_wipe(&node->key);
    haul_home_close(&node->home);
}

int haul_cmd_node(const struct haul_options *options)
{
    static struct node node = { .home = { .directory = -1, .lock = -1 } };
    struct haul_error error;
    sigset_t set;
    int failed;

    /* Blocked before the first thread is made, so that only the control thread's signalfd sees
     * them. */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    failed = node_open(&node, options, &error);
    if (failed == 0) {
        ready_print(&node);
        haul_controlplane_run(node.control);
    }
    node_close(&node);
    return failed < 0 ? haul_print_error(options, &error) : HAUL_EXIT_DONE;
}
