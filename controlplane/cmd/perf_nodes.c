#include "controlplane/cmd/perf_nodes.h"

#include "common/synthetic.h"
#include "controlplane/cmd/attach.h"
#include "controlplane/cmd/perf_watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SETTINGS_MAX       (HAUL_OPTION_LIST_MAX + 16u)
#define PORT_SETTINGS      4u
#define MEMIF_LEAST        2048u /* bytes of its own buffers */
#define MEMIF_EXTRA        216u  /* more than a packet: headers, and room to round up */
#define PORT_SETTING_BYTES (HAUL_PERF_PATH_BYTES + 100u)
#define STOP_SPAN_MS       10000u /* a node that takes longer to stop is killed */

/* --- processes and homes --- */

/* One that cannot be removed keeps none of the others. */
static int entry_remove(const char *path, const struct stat *facts, int kind, struct FTW *where)
{
    (void)facts;
    (void)kind;
    (void)where;
    (void)remove(path);
    return 0;
}

static void tree_remove(const char *path)
{
    (void)nftw(path, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static void node_stop(struct haul_perf_node *node)
{
    const struct timespec pause = { .tv_nsec = 10000000 };
    int status;

    if (node->pid <= 0)
        return;
    kill(node->pid, SIGTERM);
    for (unsigned waited = 0; waitpid(node->pid, &status, WNOHANG) == 0; waited += 10) {
        if (waited >= STOP_SPAN_MS)
            kill(node->pid, SIGKILL);
        nanosleep(&pause, NULL);
    }
    close(node->output);
    node->pid = 0;
}

/* The sender is the client of memif, which can lend its buffers, and virtio-user beside vhost. */
static void device_name(const struct haul_perf_nodes *nodes, bool seeder,
                        char text[PORT_SETTING_BYTES])
{
    const struct haul_perf_port *port = nodes->port;

    if (port->af_xdp)
        snprintf(text, PORT_SETTING_BYTES, "dpdk.device=net_af_xdp0,iface=haul%d", seeder ? 0 : 1);
    else if (!port->vhost)
        snprintf(text, PORT_SETTING_BYTES,
                 "dpdk.device=net_memif0,role=%s,socket=%s/memif,socket-abstract=no,bsize=%u%s",
                 seeder ? "client" : "server", nodes->directory,
                 port->mtu + MEMIF_EXTRA > MEMIF_LEAST ? port->mtu + MEMIF_EXTRA : MEMIF_LEAST,
                 seeder && port->zero_copy ? ",zero-copy=yes" : "");
    else if (seeder)
        snprintf(text, PORT_SETTING_BYTES,
                 "dpdk.device=net_virtio_user0,path=%s/vhost,queues=1,queue_size=1024",
                 nodes->directory);
    else
        snprintf(text, PORT_SETTING_BYTES, "dpdk.device=net_vhost0,iface=%s/vhost,queues=1",
                 nodes->directory);
}

/* The settings of all, and of a port. */
static void port_settings(const struct haul_perf_nodes *nodes, const char *name,
                          char text[PORT_SETTINGS][PORT_SETTING_BYTES],
                          const char *list[SETTINGS_MAX + 1])
{
    bool seeder = strcmp(name, "seeder") == 0;
    size_t count = 0;

    for (; nodes->settings[count] != NULL; count++) {
        haul_assert(count < SETTINGS_MAX - PORT_SETTINGS);
        list[count] = nodes->settings[count];
    }
    device_name(nodes, seeder, text[0]);
    snprintf(text[1], PORT_SETTING_BYTES, "dpdk.addresses=10.77.0.%d/24", seeder ? 1 : 2);
    snprintf(text[2], PORT_SETTING_BYTES, "dpdk.mtu=%u", nodes->port->mtu);
    snprintf(text[3], PORT_SETTING_BYTES, "fast.networks=10.77.0.0/24");
    for (size_t i = 0; i < PORT_SETTINGS; i++)
        list[count++] = text[i];
    list[count] = NULL;
}

static int node_start(struct haul_perf_nodes *nodes, struct haul_perf_node *node, const char *name,
                      struct haul_error *error)
{
    snprintf(node->home, sizeof node->home, "%s/%s", nodes->directory, name);
    if (mkdir(node->home, 0700) < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "cannot make %s: %s", node->home, strerror(errno));
    if (nodes->port != NULL) {
        char text[PORT_SETTINGS][PORT_SETTING_BYTES];
        const char *list[SETTINGS_MAX + 1];

        port_settings(nodes, name, text, list);
        return haul_node_spawn(node->home, list, true, &node->pid, &node->output, error);
    }
    return haul_node_spawn(node->home, nodes->settings, true, &node->pid, &node->output, error);
}

static bool loopback_exists(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;

    if (fd >= 0)
        close(fd);
    return bound;
}

static int directory_make(struct haul_perf_nodes *nodes, uint64_t disk_bytes,
                          struct haul_error *error)
{
    const char *base = getenv("TMPDIR");
    struct statvfs facts;

    if (base == NULL || base[0] != '/')
        base = "/var/tmp";
    if (!loopback_exists())
        return haul_fail(error, HAUL_E_NOT_POSSIBLE, "there is no loopback network (127.0.0.1)");
    if (disk_bytes > 0 && statvfs(base, &facts) == 0 &&
        (uint64_t)facts.f_bavail * facts.f_frsize < disk_bytes)
        return haul_fail(error, HAUL_E_NOT_POSSIBLE, "%s has no room for %llu MiB", base,
                         (unsigned long long)disk_bytes >> 20);
    if (snprintf(nodes->directory, sizeof nodes->directory, "%s/haul-perf-XXXXXX", base) >=
        (int)sizeof nodes->directory) {
        nodes->directory[0] = '\0';
        return haul_fail(error, HAUL_E_SYSTEM, "TMPDIR is too long");
    }
    if (mkdtemp(nodes->directory) == NULL) {
        nodes->directory[0] = '\0';
        return haul_fail(error, HAUL_E_SYSTEM, "cannot make a directory in %s: %s", base,
                         strerror(errno));
    }
    return 0;
}

int haul_perf_nodes_open(struct haul_perf_nodes *nodes, const char *const *settings,
                         const struct haul_perf_port *port, uint64_t disk_bytes,
                         struct haul_error *error)
{
    *nodes = (struct haul_perf_nodes){ .settings = settings, .port = port };
    /* The getter has the server's end of what joins two ports. */
    if (directory_make(nodes, disk_bytes, error) < 0 ||
        node_start(nodes, &nodes->getter, "getter", error) < 0 ||
        node_start(nodes, &nodes->seeder, "seeder", error) < 0) {
        haul_perf_nodes_close(nodes);
        return -1;
    }
    return 0;
}

void haul_perf_nodes_close(struct haul_perf_nodes *nodes)
{
    node_stop(&nodes->getter);
    node_stop(&nodes->seeder);
    if (nodes->directory[0] != '\0')
        tree_remove(nodes->directory);
    nodes->directory[0] = '\0';
}

int haul_perf_getter_renew(struct haul_perf_nodes *nodes, struct haul_error *error)
{
    node_stop(&nodes->getter);
    tree_remove(nodes->getter.home);
    return node_start(nodes, &nodes->getter, "getter", error);
}

/* --- requests --- */

static int client_open(const struct haul_perf_node *node, struct haul_client *client,
                       struct haul_error *error)
{
    struct haul_home home;
    int failed;

    if (haul_home_open(&home, node->home, false, error) < 0)
        return -1;
    failed = haul_client_open(client, &home, error);
    haul_home_close(&home);
    return failed;
}

/* Waits for the end of the request; progress and notes are nobody's business here. */
static int client_finish(struct haul_client *client, const Haul__Ctl__Done **done,
                         struct haul_error *error)
{
    const Haul__Ctl__Answer *answer;

    for (;;) {
        int got = haul_client_next(client, -1, &answer, error);

        if (got < 0)
            return -1;
        if (haul_perf_interrupted)
            return haul_fail(error, HAUL_E_CANCELLED, "interrupted");
        if (got > 0 && answer->what_case == HAUL__CTL__ANSWER__WHAT_DONE) {
            *done = answer->done;
            return 0;
        }
    }
}

static int text_take(const char *text, char *copy, size_t capacity, struct haul_error *error)
{
    if (snprintf(copy, capacity, "%s", text) >= (int)capacity || text[0] == '\0')
        return haul_fail(error, HAUL_E_INTERNAL, "the seeder's answer lacks what was asked for");
    return 0;
}

static int seed_synthetic(struct haul_client *client, uint64_t bytes, uint8_t hash,
                          const Haul__Ctl__Done **done, struct haul_error *error)
{
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__SyntheticAsk synthetic = HAUL__CTL__SYNTHETIC_ASK__INIT;

    synthetic.bytes = bytes;
    synthetic.hash = hash;
    ask.what_case = HAUL__CTL__ASK__WHAT_SYNTHETIC;
    ask.synthetic = &synthetic;
    return haul_client_ask(client, &ask, error) < 0 ? -1 : client_finish(client, done, error);
}

/* Writes generated blocks into a pipe until all are through or the node has gone. */
static int blocks_write(int fd, uint64_t bytes)
{
    uint8_t *block = malloc(HAUL_BLOCK_BYTES_MAX);
    int failed = block == NULL ? -1 : 0;

    for (uint64_t at = 0; failed == 0 && at < bytes; at += HAUL_BLOCK_BYTES_MAX) {
        size_t left = bytes - at < HAUL_BLOCK_BYTES_MAX ? bytes - at : HAUL_BLOCK_BYTES_MAX;
        const uint8_t *from = block;

        haul_synthetic_fill(block, left, at / HAUL_BLOCK_BYTES_MAX);
        while (failed == 0 && left > 0) {
            ssize_t wrote = write(fd, from, left);

            if (wrote > 0) {
                from += wrote;
                left -= (size_t)wrote;
            } else if (errno != EINTR || haul_perf_interrupted) {
                failed = -1;
            }
        }
    }
    free(block);
    return failed;
}

static int input_send(struct haul_client *client, int fd, struct haul_error *error)
{
    Haul__Ctl__Reply reply = HAUL__CTL__REPLY__INIT;
    Haul__Ctl__Reply over = HAUL__CTL__REPLY__INIT;
    Haul__Ctl__Entry entry = HAUL__CTL__ENTRY__INIT;
    Haul__Ctl__Empty empty = HAUL__CTL__EMPTY__INIT;

    entry.kind = HAUL__CTL__KIND__INPUT;
    reply.what_case = HAUL__CTL__REPLY__WHAT_ENTRY;
    reply.entry = &entry;
    over.what_case = HAUL__CTL__REPLY__WHAT_END;
    over.end = &empty;
    if (haul_client_reply(client, &reply, fd, error) < 0 ||
        haul_client_reply(client, &over, -1, error) < 0)
        return -1;
    return haul_channel_flush(&client->channel) < 0
               ? haul_fail(error, HAUL_E_NODE_ABSENT, "the seeder went away")
               : 0;
}

static int seed_stored(struct haul_client *client, uint64_t bytes, uint8_t hash,
                       const Haul__Ctl__Done **done, struct haul_error *error)
{
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__PutAsk put = HAUL__CTL__PUT_ASK__INIT;
    int ends[2];

    put.name = "generated";
    put.hash = hash;
    ask.what_case = HAUL__CTL__ASK__WHAT_PUT;
    ask.put = &put;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "no pipe: %s", strerror(errno));
    if (haul_client_ask(client, &ask, error) < 0) {
        close(ends[0]);
        close(ends[1]);
        return -1;
    }
    if (input_send(client, ends[0], error) < 0) {
        close(ends[1]);
        return -1;
    }
    /* What went wrong, if anything, is in the node's answer. */
    (void)blocks_write(ends[1], bytes);
    close(ends[1]);
    return client_finish(client, done, error);
}

static int share(const struct haul_perf_node *node, const char *cid,
                 char ticket[HAUL_TICKET_TEXT_BYTES], struct haul_error *error)
{
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__ShareAsk asked = HAUL__CTL__SHARE_ASK__INIT;
    const Haul__Ctl__Done *done = NULL;
    struct haul_client client;
    int failed;

    asked.cid = (char *)cid;
    ask.what_case = HAUL__CTL__ASK__WHAT_SHARE;
    ask.share = &asked;
    if (client_open(node, &client, error) < 0)
        return -1;
    failed = haul_client_ask(&client, &ask, error);
    if (failed == 0)
        failed = client_finish(&client, &done, error);
    if (failed == 0)
        failed = text_take(done->ticket, ticket, HAUL_TICKET_TEXT_BYTES, error);
    haul_client_close(&client);
    return failed;
}

int haul_perf_seed(struct haul_perf_nodes *nodes, uint64_t bytes, uint8_t hash, bool stored,
                   char ticket[HAUL_TICKET_TEXT_BYTES], struct haul_error *error)
{
    char cid[HAUL_CID_TEXT_BYTES];
    const Haul__Ctl__Done *done = NULL;
    struct haul_client client;
    int failed;

    if (client_open(&nodes->seeder, &client, error) < 0)
        return -1;
    if (stored) {
        failed = seed_stored(&client, bytes, hash, &done, error);
        if (failed == 0)
            failed = text_take(done->cid, cid, sizeof cid, error);
    } else {
        failed = seed_synthetic(&client, bytes, hash, &done, error);
        if (failed == 0)
            failed = text_take(done->ticket, ticket, HAUL_TICKET_TEXT_BYTES, error);
    }
    haul_client_close(&client);
    if (failed == 0 && stored)
        failed = share(&nodes->seeder, cid, ticket, error);
    return failed;
}

static void fact_take(const Haul__Ctl__Fact *fact, struct haul_perf_flows *flows)
{
    const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {
        { "limited_window_ns", &flows->limited_window_ns },
        { "limited_pace_ns", &flows->limited_pace_ns },
        { "limited_wants_ns", &flows->limited_wants_ns },
        { "lost_datagrams", &flows->lost_datagrams },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(numbers); i++) {
        if (strcmp(fact->name, numbers[i].name) == 0)
            *numbers[i].value += fact->number;
    }
    flows->count += strcmp(fact->name, "limited_window_ns") == 0;
    if (strcmp(fact->name, "payload_class") == 0 && fact->number > flows->payload_class)
        flows->payload_class = fact->number;
}

int haul_perf_flows(const struct haul_perf_node *node, struct haul_perf_flows *flows,
                    struct haul_error *error)
{
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__Empty empty = HAUL__CTL__EMPTY__INIT;
    const Haul__Ctl__Answer *answer;
    struct haul_client client;
    int got;

    *flows = (struct haul_perf_flows){ 0 };
    ask.what_case = HAUL__CTL__ASK__WHAT_STATUS;
    ask.status = &empty;
    if (client_open(node, &client, error) < 0)
        return -1;
    got = haul_client_ask(&client, &ask, error);
    while (got == 0) {
        got = haul_client_next(&client, -1, &answer, error);
        if (got <= 0 || answer->what_case != HAUL__CTL__ANSWER__WHAT_FACT)
            break;
        fact_take(answer->fact, flows);
        got = 0;
    }
    haul_client_close(&client);
    return got < 0 ? -1 : 0;
}

int haul_perf_get(struct haul_perf_nodes *nodes, const struct haul_perf_get *get, char **record,
                  struct haul_error *error)
{
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__GetAsk asked = HAUL__CTL__GET_ASK__INIT;
    const Haul__Ctl__Done *done = NULL;
    struct haul_client client;
    int failed;

    asked.what = (char *)get->ticket;
    asked.sink = get->stored ? HAUL__CTL__SINK__STORE : HAUL__CTL__SINK__DISCARD;
    asked.carrier = (char *)get->carrier;
    asked.cipher = (char *)get->cipher;
    asked.unverified = get->unverified;
    ask.what_case = HAUL__CTL__ASK__WHAT_GET;
    ask.get = &asked;
    if (client_open(&nodes->getter, &client, error) < 0)
        return -1;
    failed = haul_client_ask(&client, &ask, error);
    if (failed == 0)
        failed = client_finish(&client, &done, error);
    if (failed == 0) {
        *record = strdup(done->record);
        if (*record == NULL)
            failed = haul_fail(error, HAUL_E_SYSTEM, "no memory for a record");
    }
    haul_client_close(&client);
    return failed;
}
