/* AutoNAT between two hosts over loopback, its codec, and servers and clients that misbehave. */
#include "controlplane/behaviours/autonat.h"

#include "controlplane/behaviours/autonat_parts.h"
#include "controlplane/behaviours/identify.h"
#include "controlplane/p2p/nat/autonat_message.h"
#include "tests/unit/host_pair.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct haul_autonat *nats[2];

static struct {
    int identified, told, raw_closed;
    enum haul_autonat_outcome outcome;
    uint8_t raw[512], out[512]; /* what came, what goes */
    size_t raw_bytes, out_bytes;
    uint64_t asking;                /* a's connection to b */
    struct haul_stream *raw_stream; /* the last one */
    uint64_t dials;                 /* that b should have begun */
    enum haul_stream_end end;
} seen;

static void on_told(void *context, const struct haul_multiaddr *address,
                    const struct haul_addr *server, enum haul_autonat_outcome outcome)
{
    (void)context;
    (void)address;
    CU_ASSERT_EQUAL(server->port, pair.b.bound.port);
    seen.told++;
    seen.outcome = outcome;
}

static void on_identified(struct haul_host *host, void *service, uint64_t connection,
                          const struct haul_identified *identified)
{
    (void)service;
    (void)connection;
    (void)identified;
    seen.identified += host == pair.a.host;
}

/* Speaks either version with bytes of the test's own. */
static void raw_opened(struct haul_stream *stream, void *argument)
{
    const struct haul_out *out = argument;

    seen.raw_stream = stream;
    if (out != NULL)
        CU_ASSERT_TRUE(haul_stream_send(stream, seen.out, seen.out_bytes));
}

static size_t raw_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    (void)stream;
    CU_ASSERT_TRUE_FATAL(bytes <= sizeof seen.raw - seen.raw_bytes);
    memcpy(seen.raw + seen.raw_bytes, data, bytes);
    seen.raw_bytes += bytes;
    return bytes;
}

static void raw_closed(struct haul_stream *stream, enum haul_stream_end end)
{
    (void)stream;
    seen.raw_closed++;
    seen.end = end;
}

static void raw_ended(struct haul_stream *stream)
{
    haul_stream_close(stream);
}

static const struct haul_behaviour raw1 = { .protocol = "/libp2p/autonat/1.0.0",
                                            .opened = raw_opened,
                                            .input = raw_input,
                                            .ended = raw_ended,
                                            .closed = raw_closed };
static const struct haul_behaviour raw2 = { .protocol = "/libp2p/autonat/2/dial-request",
                                            .opened = raw_opened,
                                            .input = raw_input,
                                            .ended = raw_ended,
                                            .closed = raw_closed };
static const struct haul_behaviour raw_back = { .protocol = "/libp2p/autonat/2/dial-back",
                                                .opened = raw_opened,
                                                .input = raw_input,
                                                .ended = raw_ended,
                                                .closed = raw_closed };

static const struct haul_behaviour hearing = { .protocol = "/test/hearing/1",
                                               .identified = on_identified };

static bool identified(void)
{
    return seen.identified > 0;
}

static bool told(void)
{
    return seen.told > 0;
}

static bool raw_over(void)
{
    return seen.raw_closed > 0;
}

static bool raw_came(void)
{
    return seen.raw_bytes > 0 || seen.raw_closed > 0;
}

/* a asks, b serves; of version 1 alone, or both. */
static void start_with(bool old, const struct haul_ration_limits *limits, haul_time read_max)
{
    struct haul_autonat_conf conf = { .pay_wait_max = HAUL_TIME_NEVER, .read_max = read_max };
    struct haul_protocol lists[2][6] = { 0 };

    memset(&seen, 0, sizeof seen);
    if (limits != NULL)
        conf.limits = *limits;
    for (size_t i = 0; i < 2; i++) {
        struct haul_protocol *at = lists[i];

        nats[i] = haul_autonat_open(&conf);
        CU_ASSERT_PTR_NOT_NULL_FATAL(nats[i]);
        *at++ = (struct haul_protocol){ .behaviour = &haul_identify_behaviour };
        *at++ = (struct haul_protocol){ .behaviour = &hearing };
        *at++ = (struct haul_protocol){ .behaviour = &haul_autonat_behaviour, .service = nats[i] };
        *at++ = (struct haul_protocol){ .behaviour = &haul_autonat2_behaviour, .service = nats[i] };
        *at++ =
            (struct haul_protocol){ .behaviour = &haul_autonat_back_behaviour, .service = nats[i] };
    }
    host_pair_open(lists[0], lists[1]);
    haul_autonat_serve(nats[0], pair.a.host, false);
    haul_autonat_serve(nats[1], pair.b.host, true);
    if (old) /* as an older node: answered, but not told */
        haul_host_hide(pair.b.host, &haul_autonat2_behaviour, true);
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    seen.asking = pair.a.connection;
    CU_ASSERT_TRUE_FATAL(host_pair_run(identified, HOST_PAIR_SOON));
}

static void start(bool old, const struct haul_ration_limits *limits)
{
    start_with(old, limits, 0);
}

static void finish(void)
{
    host_pair_close();
    haul_autonat_close(nats[0]);
    haul_autonat_close(nats[1]);
}

static const struct haul_autonat_counters *of(size_t node)
{
    return haul_autonat_counters(nats[node]);
}

static void ask(const struct haul_multiaddr *address)
{
    seen.told = 0;
    CU_ASSERT_TRUE_FATAL(
        haul_autonat_ask(nats[0], pair.a.host, seen.asking, address, on_told, NULL));
    CU_ASSERT_TRUE_FATAL(host_pair_run(told, 20 * HAUL_SECOND));
}

/* A port of loopback on which nobody listens. */
static struct haul_multiaddr closed_port(void)
{
    struct haul_addr address = { .family = 4, .ip = { 127, 0, 0, 1 }, .port = 1 };
    struct haul_multiaddr made;

    memset(&made, 0, sizeof made);
    haul_multiaddr_from_tcp(&made, &address);
    return made;
}

static struct haul_multiaddr address_of(const char *text)
{
    struct haul_multiaddr address = { 0 };

    CU_ASSERT_TRUE_FATAL(haul_multiaddr_parse(text, &address));
    return address;
}

/* --- promises --- */

static void the_second_version_proves_an_address(void)
{
    start(false, NULL);
    ask(&pair.a.address);
    CU_ASSERT_EQUAL(seen.outcome, HAUL_AUTONAT_PROVEN);
    CU_ASSERT_EQUAL(of(0)->autonat_proofs, 1);
    CU_ASSERT_EQUAL(of(1)->autonat_reached, 1);
    CU_ASSERT_EQUAL(of(1)->autonat_paid_bytes, 0);
    finish();
}

static void both_versions_tell_when_a_port_is_closed(void)
{
    struct haul_multiaddr nowhere = closed_port();

    for (unsigned old = 0; old < 2; old++) {
        start(old, NULL);
        ask(&nowhere);
        CU_ASSERT_EQUAL(seen.outcome, HAUL_AUTONAT_FAILED);
        CU_ASSERT_EQUAL(of(1)->autonat_dials, 1);
        CU_ASSERT_EQUAL(of(1)->autonat_reached, 0);
        finish();
    }
}

static void the_first_version_claims(void)
{
    start(true, NULL);
    ask(&pair.a.address);
    CU_ASSERT_EQUAL(seen.outcome, HAUL_AUTONAT_CLAIMED);
    CU_ASSERT_EQUAL(of(0)->autonat_proofs, 0);
    finish();
}

/* The connection that proved it is closed, the one that asked stays. */
static bool one_connection(void)
{
    struct haul_host_usage usage;

    haul_host_usage(pair.a.host, &usage);
    return usage.connections == 1;
}

static void the_connection_that_proved_it_is_closed(void)
{
    start(false, NULL);
    ask(&pair.a.address);
    CU_ASSERT_TRUE(host_pair_run(one_connection, HOST_PAIR_SOON));
    CU_ASSERT_EQUAL(haul_host_find(pair.a.host, &pair.b.key.id), seen.asking);
    finish();
}

/* Nothing goes to another address of a private network, paid or not, and of the first version to
 * no other address at all. */
static void a_server_dials_no_other_private_address(void)
{
    struct haul_multiaddr other = address_of("/ip4/127.0.0.2/tcp/4501");
    struct haul_multiaddr neighbour = address_of("/ip4/10.1.2.3/tcp/22");
    struct haul_multiaddr far = address_of("/ip4/8.8.8.8/tcp/4501");

    start(false, NULL);
    ask(&other);
    CU_ASSERT_EQUAL(seen.outcome, HAUL_AUTONAT_UNANSWERED);
    ask(&neighbour);
    CU_ASSERT_EQUAL(seen.outcome, HAUL_AUTONAT_UNANSWERED);
    CU_ASSERT_EQUAL(of(1)->autonat_dials, 0);
    CU_ASSERT_EQUAL(of(1)->autonat_refused, 2);
    finish();
    start(true, NULL);
    ask(&far);
    CU_ASSERT_EQUAL(seen.outcome, HAUL_AUTONAT_UNANSWERED);
    CU_ASSERT_EQUAL(of(1)->autonat_dials, 0);
    CU_ASSERT_EQUAL(of(1)->autonat_refused, 1);
    finish();
}

/* An asker behind a relay is seen at the relay's address. */
static void who_asks_over_a_relay_is_not_dialled_for(void)
{
    struct haul_connection_facts asker = { .remote = { .family = 4, .ip = { 8, 8, 8, 8 } } };
    struct haul_multiaddr same = address_of("/ip4/8.8.8.8/tcp/4501");
    struct haul_multiaddr other = address_of("/ip4/9.9.9.9/tcp/4501");
    struct haul_peer_id peer = { 0 };
    bool own = false;

    CU_ASSERT_TRUE(autonat_may_dial(&same, &peer, &asker, &own) && own);
    CU_ASSERT_TRUE(autonat_may_dial(&other, &peer, &asker, &own) && !own);
    asker.relayed = true;
    CU_ASSERT_FALSE(autonat_may_dial(&same, &peer, &asker, &own));
    CU_ASSERT_FALSE(autonat_may_dial(&other, &peer, &asker, &own));
}

static void special_addresses_and_no_port_are_never_dialled(void)
{
    struct haul_multiaddr far = address_of("/ip4/255.255.255.254/tcp/4501");
    struct haul_multiaddr public = address_of("/ip4/8.8.8.8/tcp/0");

    start(false, NULL);
    ask(&far);
    CU_ASSERT_EQUAL(seen.outcome, HAUL_AUTONAT_UNANSWERED);
    ask(&public);
    CU_ASSERT_EQUAL(seen.outcome, HAUL_AUTONAT_UNANSWERED);
    CU_ASSERT_EQUAL(of(1)->autonat_refused, 2);
    CU_ASSERT_EQUAL(of(1)->autonat_paid_bytes, 0);
    finish();
}

static void requests_beyond_the_ration_are_rejected(void)
{
    const struct haul_ration_limits limits = {
        .total = 10, .per_peer = 3, .per_address = 5, .foreign = 1
    };

    start(false, &limits);
    for (unsigned i = 0; i < 4; i++) {
        ask(&pair.a.address);
        CU_ASSERT_EQUAL(seen.outcome, i < 3 ? HAUL_AUTONAT_PROVEN : HAUL_AUTONAT_UNANSWERED);
    }
    CU_ASSERT_EQUAL(of(1)->autonat_limited, 1);
    CU_ASSERT_EQUAL(of(1)->autonat_dials, 3);
    finish();
}

static void a_node_that_does_not_serve_hides_it_and_resets(void)
{
    struct haul_out out;

    start(false, NULL);
    CU_ASSERT_FALSE(
        haul_autonat_ask(nats[1], pair.b.host, pair.b.connection, &pair.b.address, on_told, NULL));
    out = haul_out_to(seen.out, sizeof seen.out);
    haul_autonat2_write_dial(&out, &pair.b.address, 1, 7);
    seen.out_bytes = (size_t)(out.at - seen.out);
    CU_ASSERT_PTR_NOT_NULL(haul_host_stream(pair.b.host, pair.b.connection, &raw2, &out));
    CU_ASSERT_TRUE(host_pair_run(raw_over, HOST_PAIR_SOON));
    CU_ASSERT_EQUAL(seen.end, HAUL_STREAM_RESET);
    CU_ASSERT_EQUAL(of(0)->autonat_requests, 0);
    finish();
}

/* --- misbehaviour --- */

/* Sends what lies in seen.raw and waits for an answer or the end. */
static void send_raw(const struct haul_behaviour *behaviour, const struct haul_out *out)
{
    CU_ASSERT_FALSE(out->bad);
    seen.out_bytes = (size_t)(out->at - seen.out);
    seen.raw_closed = 0;
    seen.raw_bytes = 0;
    CU_ASSERT_PTR_NOT_NULL(
        haul_host_stream(pair.a.host, seen.asking, behaviour, (void *)(uintptr_t)out));
    (void)host_pair_run(raw_came, HOST_PAIR_SOON);
}

static void a_stray_number_proves_nothing(void)
{
    struct haul_out out;

    start(false, NULL);
    out = haul_out_to(seen.out, sizeof seen.out);
    haul_autonat_back_write(&out, 12345);
    send_raw(&raw_back, &out);
    CU_ASSERT_TRUE(host_pair_run(raw_over, HOST_PAIR_SOON));
    CU_ASSERT_EQUAL(seen.end, HAUL_STREAM_RESET);
    CU_ASSERT_EQUAL(of(1)->autonat_strays, 1);
    CU_ASSERT_EQUAL(of(1)->autonat_proofs, 0);
    finish();
}

static void a_request_in_another_peers_name_is_refused(void)
{
    struct haul_autonat_message message;
    struct haul_out out;

    start(false, NULL);
    out = haul_out_to(seen.out, sizeof seen.out);
    haul_autonat_write_dial(&out, &pair.b.key.id, &pair.a.address, 1);
    send_raw(&raw1, &out);
    CU_ASSERT_TRUE_FATAL(haul_autonat_decode(seen.raw + 1, seen.raw_bytes - 1, &message));
    CU_ASSERT_EQUAL(message.status, HAUL_AUTONAT_BAD_REQUEST);
    CU_ASSERT_EQUAL(of(1)->autonat_dials, 0);
    finish();
}

/* A dial to a public address that is not the asker's is demanded payment; small change, other
 * messages and an end before it is paid are faults, and nothing is dialled. */
static void who_does_not_pay_is_not_dialled_for(void)
{
    struct haul_multiaddr far = address_of("/ip4/9.9.9.9/tcp/4501");

    for (unsigned way = 0; way < 3; way++) {
        struct haul_autonat_message message;
        struct haul_out out;

        start(false, NULL);
        out = haul_out_to(seen.out, sizeof seen.out);
        haul_autonat2_write_dial(&out, &far, 1, 7);
        if (way == 0) {
            haul_autonat2_write_paid(&out, 99);
        } else if (way == 1) {
            haul_autonat2_write_dial(&out, &far, 1, 8);
        } else {
            haul_out_uvarint(&out, HAUL_AUTONAT_MESSAGE_MAX + 1);
        }
        send_raw(&raw2, &out);
        CU_ASSERT_TRUE(host_pair_run(raw_over, HOST_PAIR_SOON));
        CU_ASSERT_EQUAL(seen.end, HAUL_STREAM_RESET);
        CU_ASSERT_EQUAL(of(1)->autonat_dials, 0);
        CU_ASSERT_EQUAL(of(1)->autonat_faulty, 1);
        if (seen.raw_bytes > 0) {
            CU_ASSERT_TRUE(haul_autonat2_decode(seen.raw + 1, seen.raw_bytes - 1, &message));
            CU_ASSERT_EQUAL(message.kind, HAUL_AUTONAT_PAY);
            CU_ASSERT_TRUE(message.bytes >= HAUL_AUTONAT_PAY_MIN &&
                           message.bytes <= HAUL_AUTONAT_PAY_MAX);
        }
        finish();
    }
}

static void garbage_is_reset_and_dials_nothing(void)
{
    static const struct haul_behaviour *const versions[] = { &raw1, &raw2, &raw_back };

    start(false, NULL);
    for (size_t i = 0; i < 3; i++) {
        struct haul_out out = haul_out_to(seen.out, sizeof seen.out);

        haul_out_uvarint(&out, 5);
        haul_out_bytes(&out, "\xff\xff\xff\xff\xff", 5);
        send_raw(versions[i], &out);
        CU_ASSERT_TRUE(host_pair_run(raw_came, HOST_PAIR_SOON));
    }
    CU_ASSERT_EQUAL(of(1)->autonat_dials, 0);
    CU_ASSERT_EQUAL(of(1)->autonat_faulty, 2);
    CU_ASSERT_EQUAL(of(1)->autonat_strays, 1);
    finish();
}

/* --- limits --- */

/* A port that takes connections and never says a word: a dial to it lasts. */
static int silent_port(struct haul_multiaddr *address)
{
    struct haul_addr at = { .family = 4, .ip = { 127, 0, 0, 1 } };
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t bytes = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CU_ASSERT_FATAL(bind(fd, (const struct sockaddr *)&name, bytes) == 0 && listen(fd, 64) == 0 &&
                    getsockname(fd, (struct sockaddr *)&name, &bytes) == 0);
    at.port = ntohs(name.sin_port);
    memset(address, 0, sizeof *address);
    haul_multiaddr_from_tcp(address, &at);
    return fd;
}

static bool dialled(void)
{
    return of(1)->autonat_dials == seen.dials || seen.raw_closed > 0;
}

/* Whoever resets the streams of its requests does not get more dials out of a server: those under
 * way count, also when nobody waits for them any more. */
static void no_more_dials_are_under_way_than_the_limit(void)
{
    const struct haul_ration_limits plenty = {
        .total = 64, .per_peer = 64, .per_address = 64, .foreign = 64
    };
    struct haul_autonat_message message;
    struct haul_multiaddr silent;
    int fd = silent_port(&silent);

    start(false, &plenty);
    for (seen.dials = 1; seen.dials <= HAUL_AUTONAT_JOBS_MAX; seen.dials++) {
        struct haul_out out = haul_out_to(seen.out, sizeof seen.out);

        haul_autonat2_write_dial(&out, &silent, 1, 7);
        seen.out_bytes = (size_t)(out.at - seen.out);
        seen.raw_closed = 0;
        CU_ASSERT_PTR_NOT_NULL(haul_host_stream(pair.a.host, seen.asking, &raw2, &out));
        CU_ASSERT_TRUE(host_pair_run(dialled, 20 * HAUL_SECOND));
        CU_ASSERT_EQUAL_FATAL(seen.raw_closed, 0);
        haul_stream_reset(seen.raw_stream);
        CU_ASSERT_TRUE(host_pair_run(raw_over, 20 * HAUL_SECOND));
    }
    CU_ASSERT_EQUAL(of(1)->autonat_dials, HAUL_AUTONAT_JOBS_MAX);
    CU_ASSERT_EQUAL(of(1)->autonat_limited, 0);
    for (unsigned version = 1; version <= 2; version++) {
        struct haul_out out = haul_out_to(seen.out, sizeof seen.out);

        if (version == 1)
            haul_autonat_write_dial(&out, &pair.a.key.id, &silent, 1);
        else
            haul_autonat2_write_dial(&out, &silent, 1, 7);
        send_raw(version == 1 ? &raw1 : &raw2, &out);
        CU_ASSERT_TRUE_FATAL(seen.raw_bytes > 1);
        if (version == 1) {
            CU_ASSERT_TRUE(haul_autonat_decode(seen.raw + 1, seen.raw_bytes - 1, &message));
            CU_ASSERT_EQUAL(message.status, HAUL_AUTONAT_DIAL_REFUSED);
        } else {
            CU_ASSERT_TRUE(haul_autonat2_decode(seen.raw + 1, seen.raw_bytes - 1, &message));
            CU_ASSERT_EQUAL(message.status, HAUL_AUTONAT2_REQUEST_REJECTED);
        }
        CU_ASSERT_EQUAL(of(1)->autonat_limited, version);
    }
    CU_ASSERT_EQUAL(of(1)->autonat_dials, HAUL_AUTONAT_JOBS_MAX);
    finish();
    close(fd);
}

static bool opened_or_over(void)
{
    return seen.raw_stream != NULL || seen.raw_closed > 0;
}

/* Byte by byte it is never idle, and still it ends: the request itself, or the payment. */
static void a_request_that_drips_is_ended(void)
{
    struct haul_multiaddr far = address_of("/ip4/9.9.9.9/tcp/4501");
    const haul_time read_max = HAUL_SECOND / 10;

    for (unsigned way = 0; way < 3; way++) {
        struct haul_out out = haul_out_to(seen.out, sizeof seen.out);
        haul_time begun;

        start_with(false, NULL, read_max);
        if (way == 2)
            haul_autonat2_write_dial(&out, &far, 1, 7);
        haul_out_uvarint(&out, 4000); /* so long is what never comes */
        seen.out_bytes = (size_t)(out.at - seen.out);
        begun = haul_loop_now(pair.loop);
        CU_ASSERT_PTR_NOT_NULL(
            haul_host_stream(pair.a.host, seen.asking, way == 0 ? &raw1 : &raw2, &out));
        CU_ASSERT_TRUE(host_pair_run(opened_or_over, 20 * HAUL_SECOND));
        for (unsigned i = 0; i < 2000 && seen.raw_closed == 0; i++) {
            if (!haul_stream_send(seen.raw_stream, "", 1))
                break;
            (void)host_pair_run(raw_over, 10 * HAUL_MILLISECOND);
        }
        CU_ASSERT_EQUAL(seen.raw_closed, 1);
        CU_ASSERT_EQUAL(seen.end, HAUL_STREAM_RESET);
        CU_ASSERT_TRUE(haul_loop_now(pair.loop) - begun >= read_max);
        CU_ASSERT_EQUAL(of(1)->autonat_faulty, 1);
        CU_ASSERT_EQUAL(of(1)->autonat_dials, 0);
        CU_ASSERT_EQUAL(of(1)->autonat_requests, way == 2);
        finish();
    }
}

/* --- the codec --- */

static void messages_come_back_as_they_were_written(void)
{
    struct haul_multiaddr list[2] = { address_of("/ip4/9.9.9.9/tcp/1"),
                                      address_of("/ip6/2a00::1/tcp/2") };
    uint8_t data[HAUL_AUTONAT_MESSAGE_MAX];
    struct haul_autonat_message message;
    struct haul_peer_id id = { .length = 38, .bytes = { 0, 0x24, 8, 1, 0x12, 0x20, 5 } };
    struct haul_out out = haul_out_to(data, sizeof data);
    uint64_t nonce = 0;
    size_t at;

    haul_autonat_write_dial(&out, &id, list, 2);
    CU_ASSERT_EQUAL_FATAL(data[0], out.at - data - 1);
    CU_ASSERT_TRUE_FATAL(haul_autonat_decode(data + 1, data[0], &message));
    CU_ASSERT_EQUAL(message.kind, HAUL_AUTONAT_DIAL);
    CU_ASSERT_TRUE(message.peer_named && haul_peer_id_equal(&message.peer, &id));
    CU_ASSERT_EQUAL(message.address_count, 2);
    CU_ASSERT_EQUAL(memcmp(&message.addresses[1], &list[1], sizeof list[1]), 0);
    for (size_t cut = 1; cut < data[0]; cut++)
        CU_ASSERT_TRUE(!haul_autonat_decode(data + 1, cut, &message) ||
                       message.kind != HAUL_AUTONAT_DIAL || !message.peer_named);
    out = haul_out_to(data, sizeof data);
    haul_autonat_write_response(&out, HAUL_AUTONAT_DIAL_ERROR, &list[0]);
    CU_ASSERT_TRUE(haul_autonat_decode(data + 1, data[0], &message));
    CU_ASSERT_EQUAL(message.kind, HAUL_AUTONAT_RESPONSE);
    CU_ASSERT_EQUAL(message.status, HAUL_AUTONAT_DIAL_ERROR);
    CU_ASSERT_EQUAL(message.address_count, 1);

    out = haul_out_to(data, sizeof data);
    haul_autonat2_write_dial(&out, list, 2, UINT64_MAX);
    CU_ASSERT_TRUE(haul_autonat2_decode(data + 1, data[0], &message));
    CU_ASSERT_EQUAL(message.kind, HAUL_AUTONAT_DIAL);
    CU_ASSERT_EQUAL(message.nonce, UINT64_MAX);
    CU_ASSERT_EQUAL(message.address_count, 2);
    for (size_t cut = 1; cut < data[0]; cut++)
        CU_ASSERT_FALSE(haul_autonat2_decode(data + 1, cut, &message));
    out = haul_out_to(data, sizeof data);
    haul_autonat2_write_response(&out, HAUL_AUTONAT2_OK, 3, HAUL_AUTONAT2_DIAL_BACK_ERROR);
    CU_ASSERT_TRUE(haul_autonat2_decode(data + 1, data[0], &message));
    CU_ASSERT_EQUAL(message.status, HAUL_AUTONAT2_OK);
    CU_ASSERT_EQUAL(message.index, 3);
    CU_ASSERT_EQUAL(message.dial_status, HAUL_AUTONAT2_DIAL_BACK_ERROR);
    out = haul_out_to(data, sizeof data);
    haul_autonat2_write_pay(&out, 1, 31337);
    CU_ASSERT_TRUE(haul_autonat2_decode(data + 1, data[0], &message));
    CU_ASSERT_EQUAL(message.kind, HAUL_AUTONAT_PAY);
    CU_ASSERT_EQUAL(message.bytes, 31337);
    out = haul_out_to(data, sizeof data);
    haul_autonat2_write_paid(&out, HAUL_AUTONAT_PAY_PART_MAX);
    at = (size_t)(out.at - data);
    CU_ASSERT_TRUE(haul_autonat2_decode(data + 2, at - 2, &message));
    CU_ASSERT_EQUAL(message.bytes, HAUL_AUTONAT_PAY_PART_MAX);
    out = haul_out_to(data, sizeof data);
    haul_autonat_back_write(&out, UINT64_MAX - 1);
    CU_ASSERT_EQUAL(out.at - data, 10);
    CU_ASSERT_TRUE(haul_autonat_back_decode(data + 1, data[0], &nonce));
    CU_ASSERT_EQUAL(nonce, UINT64_MAX - 1);
}

static void long_lists_are_read_to_their_limit_and_keep_their_places(void)
{
    struct haul_multiaddr list[HAUL_AUTONAT_ADDRESSES_MAX + 9];
    uint8_t data[HAUL_AUTONAT_MESSAGE_MAX];
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_autonat_message message;

    for (size_t i = 0; i < HAUL_COUNT_OF(list); i++)
        list[i] = address_of("/ip4/9.9.9.9/tcp/1");
    list[2].bytes[0] = 0x7f; /* no protocol that we know */
    haul_autonat2_write_dial(&out, list, HAUL_COUNT_OF(list), 1);
    CU_ASSERT_TRUE(haul_autonat2_decode(data + 2, (size_t)(out.at - data) - 2, &message));
    CU_ASSERT_EQUAL(message.address_count, HAUL_AUTONAT_ADDRESSES_MAX);
    CU_ASSERT_EQUAL(message.addresses[2].length, 0);
    CU_ASSERT_EQUAL(message.addresses[3].length, list[3].length);
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(the_second_version_proves_an_address),
        T(both_versions_tell_when_a_port_is_closed),
        T(the_first_version_claims),
        T(the_connection_that_proved_it_is_closed),
        T(a_server_dials_no_other_private_address),
        T(who_asks_over_a_relay_is_not_dialled_for),
        T(special_addresses_and_no_port_are_never_dialled),
        T(requests_beyond_the_ration_are_rejected),
        T(a_node_that_does_not_serve_hides_it_and_resets),
        T(a_stray_number_proves_nothing),
        T(a_request_in_another_peers_name_is_refused),
        T(who_does_not_pay_is_not_dialled_for),
        T(garbage_is_reset_and_dials_nothing),
        T(no_more_dials_are_under_way_than_the_limit),
        T(a_request_that_drips_is_ended),
        T(messages_come_back_as_they_were_written),
        T(long_lists_are_read_to_their_limit_and_keep_their_places),
    };
#undef T

    return unit_main("autonat", tests, HAUL_COUNT_OF(tests));
}
