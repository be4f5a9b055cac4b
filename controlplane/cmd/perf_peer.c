/* haul perf peer: dials from this process, with the home's identity, so that no node needs to run
 * and nothing else shares the connection. The other side is any libp2p peer that answers
 * /perf/1.0.0: a haul node does when it was started with --perf. */
#include "controlplane/cmd/perf_peer.h"

#include "controlplane/behaviours/identify.h"
#include "controlplane/behaviours/perf.h"
#include "controlplane/behaviours/ping.h"
#include "controlplane/cmd/print.h"
#include "controlplane/home.h"
#include "controlplane/host/loop.h"

#include <signal.h>
#include <string.h>

#define DIAL_PATIENCE (20 * HAUL_SECOND)
#define DEFAULT_BYTES (UINT64_C(256) << 20)
#define STREAMS_MAX   HAUL_PERF_STREAMS_MAX

struct test {
    const struct haul_options *options;
    struct haul_loop *loop;
    struct haul_host *host;
    struct haul_key key;
    struct haul_timer *patience;
    struct haul_peer_id peer;
    enum haul_security security;
    uint64_t connection;
    uint64_t up, down; /* of a run, all streams together */
    uint32_t streams, runs, run;
    uint32_t under_way, complete;
    struct haul_perf_result sum; /* of the run: bytes added, earliest and latest times */
    haul_time began, connected;
    bool failed;
    struct haul_error error;
};

static const struct haul_protocol protocols[] = {
    { .behaviour = &haul_identify_behaviour },
    { .behaviour = &haul_identify_push_behaviour },
    { .behaviour = &haul_ping_behaviour },
    { 0 },
};

static void give_up(struct test *test)
{
    test->failed = true;
    haul_loop_stop(test->loop);
}

static double seconds(haul_time from, haul_time to)
{
    return (double)haul_time_since(from, to) / 1e9;
}

static double rate(uint64_t bytes, double took)
{
    return took > 0 ? (double)bytes / took : 0;
}

static void run_print(const struct test *test)
{
    const struct haul_perf_result *sum = &test->sum;
    double up_s = seconds(sum->opened, sum->turned);
    double down_s = seconds(sum->turned, sum->ended);
    char peer[HAUL_PEER_ID_TEXT_BYTES];
    json_t *object;

    if (!haul_options_has(test->options, HAUL_OPTION_JSON)) {
        printf(
            "run %u: up %.3f GB/s (%llu bytes in %.3f s), down %.3f GB/s (%llu bytes in %.3f s), "
            "%u stream%s over %s\n",
            test->run, rate(sum->up, up_s) / 1e9, (unsigned long long)sum->up, up_s,
            rate(sum->down, down_s) / 1e9, (unsigned long long)sum->down, down_s, test->streams,
            test->streams == 1 ? "" : "s", haul_security_name(test->security));
        fflush(stdout);
        return;
    }
    haul_peer_id_print(&test->peer, peer);
    object = json_object();
    json_object_set_new(object, "event", json_string("perf"));
    json_object_set_new(object, "peer", json_string(peer));
    json_object_set_new(object, "security", json_string(haul_security_name(test->security)));
    json_object_set_new(object, "run", json_integer(test->run));
    json_object_set_new(object, "streams", json_integer(test->streams));
    json_object_set_new(object, "up_bytes", json_integer((json_int_t)sum->up));
    json_object_set_new(object, "down_bytes", json_integer((json_int_t)sum->down));
    json_object_set_new(object, "connect_s", json_real(seconds(test->began, test->connected)));
    json_object_set_new(object, "up_s", json_real(up_s));
    json_object_set_new(object, "down_s", json_real(down_s));
    json_object_set_new(object, "seconds", json_real(seconds(sum->opened, sum->ended)));
    json_object_set_new(object, "up_rate_bytes_per_second", json_real(rate(sum->up, up_s)));
    json_object_set_new(object, "down_rate_bytes_per_second", json_real(rate(sum->down, down_s)));
    haul_print_json(object);
    fflush(stdout);
}

static void on_result(void *context, const struct haul_perf_result *result);

/* This stream's share: the first ones take what does not divide. */
static uint64_t share(uint64_t bytes, uint32_t streams, uint32_t index)
{
    return bytes / streams + (index < bytes % streams);
}

static void run_begin(struct test *test)
{
    test->run++;
    test->complete = 0;
    test->sum = (struct haul_perf_result){ .opened = HAUL_TIME_NEVER };
    for (uint32_t i = 0; i < test->streams && !test->failed; i++) {
        if (haul_perf_ask(test->host, test->connection, share(test->up, test->streams, i),
                          share(test->down, test->streams, i), on_result, test)) {
            test->under_way++;
            continue;
        }
        haul_fail(&test->error, HAUL_E_LIMIT, "no more than %u streams could be opened", i);
        give_up(test);
    }
}

static void on_result(void *context, const struct haul_perf_result *result)
{
    struct test *test = context;

    test->under_way--;
    if (test->failed)
        return;
    if (!result->complete) {
        haul_fail(&test->error, HAUL_E_PEER_PROTOCOL,
                  result->refused ? "the peer does not answer /perf/1.0.0 (a haul node does with "
                                    "`haul node --perf`)"
                                  : "the peer ended a stream after %llu bytes up and %llu down",
                  (unsigned long long)result->up, (unsigned long long)result->down);
        give_up(test);
        return;
    }
    test->complete++;
    test->sum.up += result->up;
    test->sum.down += result->down;
    test->sum.opened = haul_time_min(test->sum.opened, result->opened);
    test->sum.turned = haul_time_max(test->sum.turned, result->turned);
    test->sum.ended = haul_time_max(test->sum.ended, result->ended);
    if (test->complete < test->streams)
        return;
    run_print(test);
    if (test->run < test->runs)
        run_begin(test);
    else
        haul_loop_stop(test->loop);
}

static void on_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    struct test *test = context;
    struct haul_connection_facts facts;

    if (error != NULL) {
        test->error = *error;
        give_up(test);
        return;
    }
    test->connection = connection;
    test->connected = haul_loop_now(test->loop);
    if (haul_host_facts(test->host, connection, &facts)) {
        test->peer = facts.peer;
        test->security = facts.security;
    }
    run_begin(test);
}

static void on_patience_over(void *context)
{
    struct test *test = context;

    haul_fail(&test->error, HAUL_E_TIMEOUT, "the rate test took longer than --timeout");
    give_up(test);
}

static void test_options(struct test *test, const struct haul_options *options)
{
    test->options = options;
    test->up = options->number[HAUL_OPTION_UP];
    test->down = options->number[HAUL_OPTION_DOWN];
    if (!haul_options_has(options, HAUL_OPTION_UP) && !haul_options_has(options, HAUL_OPTION_DOWN))
        test->up = test->down = DEFAULT_BYTES;
    test->streams = haul_options_has(options, HAUL_OPTION_STREAMS)
                        ? (uint32_t)options->number[HAUL_OPTION_STREAMS]
                        : 1;
    test->runs = haul_options_has(options, HAUL_OPTION_RUNS)
                     ? (uint32_t)options->number[HAUL_OPTION_RUNS]
                     : 1;
}

static int test_dial(struct test *test, struct haul_error *error)
{
    const char *text = test->options->arguments[1];
    struct haul_multiaddr address;
    struct haul_peer_id peer;
    bool named;

    if (!haul_multiaddr_parse(text, &address))
        return haul_fail(error, HAUL_E_ADDRESS_MALFORMED, "'%.200s' is not a multiaddr", text);
    named = haul_multiaddr_peer(&address, &peer);
    test->patience = haul_loop_timer(test->loop, on_patience_over, test);
    if (test->patience == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for a timer");
    test->began = haul_loop_now(test->loop);
    if (haul_options_has(test->options, HAUL_OPTION_TIMEOUT))
        haul_loop_timer_set(test->patience,
                            haul_time_add(test->began, test->options->number[HAUL_OPTION_TIMEOUT]));
    haul_host_dial(test->host, named ? &peer : NULL, &address, 1,
                   haul_time_add(test->began, DIAL_PATIENCE), on_dialled, test);
    return 0;
}

static int identity(struct test *test, struct haul_error *error)
{
    struct haul_home home;
    int failed;

    if (haul_home_open(&home, test->options->text[HAUL_OPTION_HOME], true, error) < 0)
        return -1;
    failed = haul_home_key(&home, true, &test->key, NULL, error);
    haul_home_close(&home);
    return failed;
}

static int test_open(struct test *test, struct haul_error *error)
{
    struct haul_host_conf conf = {
        .key = &test->key,
        .agent = "haul/" HAUL_VERSION,
        .protocols = protocols,
        .securities = { HAUL_SECURITY_NOISE, HAUL_SECURITY_TLS },
        .security_count = 2,
        .connections_max = 8,
        .half_open_max = 8,
        .streams_per_connection_max = 2 * STREAMS_MAX,
        .context = test,
    };

    if (haul_options_has(test->options, HAUL_OPTION_SECURITY)) {
        conf.security_count = 1;
        if (strcmp(test->options->text[HAUL_OPTION_SECURITY], "tls") == 0)
            conf.securities[0] = HAUL_SECURITY_TLS;
    }
    if (test->streams > STREAMS_MAX)
        return haul_fail(error, HAUL_E_USAGE, "at most %u streams", STREAMS_MAX);
    if (identity(test, error) < 0 || haul_loop_open(&test->loop, error) < 0)
        return -1;
    conf.loop = test->loop;
    return haul_host_open(&test->host, &conf, error) < 0 ? -1 : test_dial(test, error);
}

int haul_perf_peer(const struct haul_options *options)
{
    struct test test = { .connection = HAUL_HOST_NO_CONNECTION };
    int failed;

    signal(SIGPIPE, SIG_IGN);
    test_options(&test, options);
    failed = test_open(&test, &test.error);
    if (failed == 0) {
        haul_loop_run(test.loop, NULL, NULL);
        failed = test.failed ? -1 : 0;
        test.failed = true; /* what ends from here on is our doing */
    }
    haul_host_close(test.host);
    if (test.loop != NULL)
        haul_loop_timer_free(test.patience);
    haul_loop_close(test.loop);
    haul_key_wipe(&test.key);
    return failed < 0 ? haul_print_error(options, &test.error) : HAUL_EXIT_DONE;
}
