/* Two nodes with their own keys, sockets and stores, started as anybody would start them but for
 * --perf, which lets them generate and discard. */
#include "common/hash.h"
#include "common/rng.h"
#include "controlplane/cmd/attach.h"
#include "controlplane/cmd/perf.h"
#include "controlplane/cmd/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const node_names[HAUL_PERF_NODES] = { "sender", "receiver" };

/* Loopback only, any free port, and nothing but errors on standard error. */
static const char *const settings[] = { "listen.tcp=127.0.0.1:0", "listen.udp=127.0.0.1:0", NULL };

static int node_open(struct haul_perf_loop *loop, unsigned which, struct haul_error *error)
{
    struct haul_perf_node *node = &loop->nodes[which];
    char path[300];

    snprintf(path, sizeof path, "%s/%s", loop->directory, node_names[which]);
    if (haul_home_open(&node->home, path, true, error) < 0)
        return -1;
    if (haul_node_spawn(path, settings, true, &node->pid, &node->output, error) < 0) {
        haul_home_close(&node->home);
        return -1;
    }
    node->open = true;
    return 0;
}

static void node_close(struct haul_perf_loop *loop, unsigned which)
{
    struct haul_perf_node *node = &loop->nodes[which];

    if (!node->open)
        return;
    haul_node_reap(node->pid, node->output);
    haul_home_close(&node->home);
    haul_tree_remove(AT_FDCWD, node->home.path);
    node->open = false;
}

/* One request that ends with `done`; what it says before is dropped. */
static int ask_done(struct haul_perf_node *node, Haul__Ctl__Ask *ask, struct haul_client *client,
                    const Haul__Ctl__Done **done, struct haul_error *error)
{
    const Haul__Ctl__Answer *answer;

    if (haul_client_open(client, &node->home, error) < 0)
        return -1;
    if (haul_client_ask(client, ask, error) < 0) {
        haul_client_close(client);
        return -1;
    }
    for (;;) {
        int got = haul_client_next(client, -1, &answer, error);

        if (got < 0) {
            haul_client_close(client);
            return -1;
        }
        if (got > 0 && answer->what_case == HAUL__CTL__ANSWER__WHAT_DONE) {
            *done = answer->done;
            return 0;
        }
    }
}

static uint8_t hash_code(const struct haul_perf_conf *conf)
{
    uint8_t code = haul_hash_code(conf->hash);

    return code == 0 ? HAUL_HASH_BLAKE3 : code;
}

static int synthetic_offer(struct haul_perf_loop *loop, struct haul_error *error)
{
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__SyntheticAsk synthetic = HAUL__CTL__SYNTHETIC_ASK__INIT;
    const Haul__Ctl__Done *done;
    struct haul_client client;

    synthetic.bytes = loop->conf.bytes;
    synthetic.hash = hash_code(&loop->conf);
    ask.what_case = HAUL__CTL__ASK__WHAT_SYNTHETIC;
    ask.synthetic = &synthetic;
    if (ask_done(&loop->nodes[HAUL_PERF_SENDER], &ask, &client, &done, error) < 0)
        return -1;
    snprintf(loop->ticket, sizeof loop->ticket, "%s", done->ticket);
    haul_client_close(&client);
    return 0;
}

static int file_write(int fd, uint64_t bytes, struct haul_error *error)
{
    uint8_t *block = malloc(HAUL_BLOCK_BYTES_MAX);
    struct haul_rng rng;
    int failed = block == NULL ? -1 : 0;

    haul_rng_init(&rng, 1);
    while (failed == 0 && bytes > 0) {
        size_t length = bytes < HAUL_BLOCK_BYTES_MAX ? (size_t)bytes : HAUL_BLOCK_BYTES_MAX;

        haul_rng_fill(&rng, block, length);
        if (write(fd, block, length) != (ssize_t)length)
            failed = -1;
        bytes -= length;
    }
    free(block);
    return failed == 0
               ? 0
               : haul_fail(error, HAUL_E_SYSTEM, "cannot write the source: %s", strerror(errno));
}

/* A put of one file, straight over the control socket. */
static int file_put(struct haul_perf_loop *loop, int fd, char cid[HAUL_PEER_ID_TEXT_BYTES],
                    struct haul_error *error)
{
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__PutAsk put = HAUL__CTL__PUT_ASK__INIT;
    Haul__Ctl__Reply reply = HAUL__CTL__REPLY__INIT;
    Haul__Ctl__Entry entry = HAUL__CTL__ENTRY__INIT;
    Haul__Ctl__Empty empty = HAUL__CTL__EMPTY__INIT;
    const Haul__Ctl__Answer *answer = NULL;
    struct haul_client client;
    int got = 0;

    put.hash = hash_code(&loop->conf);
    ask.what_case = HAUL__CTL__ASK__WHAT_PUT;
    ask.put = &put;
    reply.what_case = HAUL__CTL__REPLY__WHAT_ENTRY;
    reply.entry = &entry;
    if (haul_client_open(&client, &loop->nodes[HAUL_PERF_SENDER].home, error) < 0)
        return -1;
    if (haul_client_ask(&client, &ask, error) < 0 ||
        haul_client_reply(&client, &reply, dup(fd), error) < 0)
        got = -1;
    reply.what_case = HAUL__CTL__REPLY__WHAT_END;
    reply.end = &empty;
    if (got == 0)
        got = haul_client_reply(&client, &reply, -1, error);
    while (got == 0 || (got > 0 && answer->what_case != HAUL__CTL__ANSWER__WHAT_DONE))
        got = haul_client_next(&client, -1, &answer, error);
    if (got > 0)
        snprintf(cid, HAUL_PEER_ID_TEXT_BYTES, "%s", answer->done->cid);
    haul_client_close(&client);
    return got < 0 ? -1 : 0;
}

static int stored_offer(struct haul_perf_loop *loop, struct haul_error *error)
{
    char cid[HAUL_PEER_ID_TEXT_BYTES];
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__ShareAsk share = HAUL__CTL__SHARE_ASK__INIT;
    const Haul__Ctl__Done *done;
    struct haul_client client;
    char path[300];
    int failed;
    int fd;

    snprintf(path, sizeof path, "%s/source", loop->directory);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "cannot make the source: %s", strerror(errno));
    unlink(path);
    failed = file_write(fd, loop->conf.bytes, error);
    if (failed == 0)
        failed = file_put(loop, fd, cid, error);
    close(fd);
    if (failed < 0)
        return -1;
    share.cid = cid;
    ask.what_case = HAUL__CTL__ASK__WHAT_SHARE;
    ask.share = &share;
    if (ask_done(&loop->nodes[HAUL_PERF_SENDER], &ask, &client, &done, error) < 0)
        return -1;
    snprintf(loop->ticket, sizeof loop->ticket, "%s", done->ticket);
    haul_client_close(&client);
    return 0;
}

int haul_perf_open(struct haul_perf_loop *loop, const struct haul_perf_conf *conf,
                   struct haul_error *error)
{
    const char *parent = getenv("TMPDIR");

    *loop = (struct haul_perf_loop){ .conf = *conf };
    snprintf(loop->directory, sizeof loop->directory, "%s/haul-perf-XXXXXX",
             parent != NULL && parent[0] == '/' ? parent : "/var/tmp");
    if (mkdtemp(loop->directory) == NULL) {
        haul_fail(error, HAUL_E_SYSTEM, "cannot make a temporary directory %s: %s", loop->directory,
                  strerror(errno));
        loop->directory[0] = '\0';
        return -1;
    }
    if (node_open(loop, HAUL_PERF_SENDER, error) < 0 ||
        node_open(loop, HAUL_PERF_RECEIVER, error) < 0)
        return -1;
    return conf->stored_source ? stored_offer(loop, error) : synthetic_offer(loop, error);
}

void haul_perf_close(struct haul_perf_loop *loop)
{
    for (unsigned i = 0; i < HAUL_PERF_NODES; i++)
        node_close(loop, i);
    if (loop->directory[0] != '\0')
        haul_tree_remove(AT_FDCWD, loop->directory);
}

/* What a node says of itself that the record of its peer needs. */
struct usage {
    double cpu;
    uint64_t worker_cpu;
    uint64_t peak;
    uint64_t window_ns, pace_ns, wants_ns, lost;
};

static void usage_take(const Haul__Ctl__Fact *fact, struct usage *usage)
{
    const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {
        { "limited_window_ns", &usage->window_ns },
        { "limited_pace_ns", &usage->pace_ns },
        { "limited_wants_ns", &usage->wants_ns },
        { "lost_datagrams", &usage->lost },
    };

    if (strcmp(fact->name, "cpu_s") == 0)
        usage->cpu = fact->real;
    else if (strcmp(fact->name, "peak_rss_bytes") == 0)
        usage->peak = fact->number;
    else if (strcmp(fact->name, "cpu_ns") == 0)
        usage->worker_cpu = fact->number;
    for (size_t i = 0; i < HAUL_COUNT_OF(numbers); i++) {
        if (strcmp(fact->name, numbers[i].name) == 0)
            *numbers[i].value += fact->number;
    }
}

static int usage_ask(struct haul_perf_node *node, struct usage *usage, struct haul_error *error)
{
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__Empty empty = HAUL__CTL__EMPTY__INIT;
    const Haul__Ctl__Answer *answer;
    struct haul_client client;
    int got;

    *usage = (struct usage){ 0 };
    ask.what_case = HAUL__CTL__ASK__WHAT_STATUS;
    ask.status = &empty;
    if (haul_client_open(&client, &node->home, error) < 0)
        return -1;
    got = haul_client_ask(&client, &ask, error);
    while (got == 0) {
        got = haul_client_next(&client, -1, &answer, error);
        if (got <= 0 || answer->what_case != HAUL__CTL__ANSWER__WHAT_FACT)
            break;
        usage_take(answer->fact, usage);
        got = 0;
    }
    haul_client_close(&client);
    return got < 0 ? -1 : 0;
}

/* With both sides in view, the limit is read off, not guessed. */
static void limit_refine(struct haul_record *record, const struct usage *before,
                         const struct usage *after)
{
    double moving = (double)(record->t100 - (record->dial + record->negotiate)) / 1e9;
    double busy = (double)(after->worker_cpu - before->worker_cpu) / 1e9;
    double whole = after->cpu - before->cpu;
    bool stream = haul_record_carrier(record) == HAUL_CARRIER_STREAM;

    if (moving <= 0 || record->limited_by == HAUL_LIMIT_DISK)
        return;
    if ((stream ? whole : busy) > 0.9 * moving)
        record->limited_by = HAUL_LIMIT_SENDER_CPU;
    else if (record->limited_by == HAUL_LIMIT_RECEIVER_CPU)
        return;
    else if ((double)(after->window_ns - before->window_ns) / 1e9 > 0.3 * moving)
        record->limited_by = HAUL_LIMIT_WINDOW;
    else if ((double)(after->pace_ns - before->pace_ns) / 1e9 > 0.3 * moving)
        record->limited_by = HAUL_LIMIT_LINK;
    else if ((double)(after->wants_ns - before->wants_ns) / 1e9 > 0.3 * moving)
        record->limited_by = HAUL_LIMIT_WANTS;
}

int haul_perf_run(struct haul_perf_loop *loop, struct haul_perf_run *run, struct haul_error *error)
{
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__GetAsk get = HAUL__CTL__GET_ASK__INIT;
    const Haul__Ctl__Done *done;
    struct haul_client client;
    struct usage before;
    struct usage after;
    int failed;

    /* What is stored already would not be fetched: a storing receiver starts anew each time. */
    if (loop->conf.stored_sink && run->record.bytes > 0) {
        node_close(loop, HAUL_PERF_RECEIVER);
        if (node_open(loop, HAUL_PERF_RECEIVER, error) < 0)
            return -1;
    }
    get.what = loop->ticket;
    get.sink = loop->conf.stored_sink ? HAUL__CTL__SINK__STORE : HAUL__CTL__SINK__DISCARD;
    get.carrier = (char *)loop->conf.carrier;
    get.cipher = (char *)loop->conf.cipher;
    get.unverified = strcmp(loop->conf.hash, "none") == 0;
    ask.what_case = HAUL__CTL__ASK__WHAT_GET;
    ask.get = &get;
    if (usage_ask(&loop->nodes[HAUL_PERF_SENDER], &before, error) < 0 ||
        ask_done(&loop->nodes[HAUL_PERF_RECEIVER], &ask, &client, &done, error) < 0)
        return -1;
    failed = haul_record_parse(done->record, &run->record, error);
    haul_client_close(&client);
    if (failed < 0 || usage_ask(&loop->nodes[HAUL_PERF_SENDER], &after, error) < 0)
        return -1;
    run->sender_peak_bytes = after.peak;
    run->sender_cpu = (haul_time)((after.cpu - before.cpu) * 1e9);
    if (after.lost >= before.lost)
        run->record.lost_datagrams = after.lost - before.lost;
    limit_refine(&run->record, &before, &after);
    return 0;
}
