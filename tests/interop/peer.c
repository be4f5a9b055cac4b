/* A bare libp2p peer on haul's host, for the interoperability runs: what the `haul` program cannot
 * be asked for by itself. It takes the commands of README.md on its standard input, one at a time,
 * and ends with it. */
#include "tests/interop/peer.h"

#include "controlplane/behaviours/dcutr.h"
#include "controlplane/behaviours/identify.h"
#include "controlplane/behaviours/perf.h"
#include "controlplane/behaviours/ping.h"
#include "controlplane/behaviours/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* A protocol whose name changes, so that a push has something to tell. */
static char pushed_protocol[] = "/interop/pushed/0";

static const struct haul_behaviour pushed_behaviour = {
    .protocol = pushed_protocol,
    .inbound_per_peer_max = 1,
    .idle_max = HAUL_SECOND,
};

void peer_push(struct peer *peer)
{
    pushed_protocol[sizeof pushed_protocol - 2] = '1';
    haul_identify_push(peer->host);
}

/* Why a connection ended, for whoever looks into a failure. */
static void on_disconnected(void *context, uint64_t connection, const struct haul_peer_id *id,
                            enum haul_error_code why)
{
    (void)context;
    (void)connection;
    (void)id;
    fprintf(stderr, "a connection ended: %s\n", haul_error_name(why));
}

static void take_lines(struct peer *peer)
{
    char line[PEER_LINE_BYTES];
    char *end;

    while (peer->verb[0] == 0 && (end = memchr(peer->input, '\n', peer->input_bytes)) != NULL) {
        size_t bytes = (size_t)(end - peer->input);

        memcpy(line, peer->input, bytes);
        line[bytes] = 0;
        peer->input_bytes -= bytes + 1;
        memmove(peer->input, end + 1, peer->input_bytes);
        peer_obey(peer, line);
    }
    if (peer->verb[0] == 0 && peer->input_ended)
        haul_loop_stop(peer->loop);
}

static void on_input(void *context, unsigned ready)
{
    struct peer *peer = context;
    size_t room = sizeof peer->input - peer->input_bytes;
    ssize_t bytes = room > 0 ? read(STDIN_FILENO, peer->input + peer->input_bytes, room) : 0;

    (void)ready;
    if (bytes > 0) {
        peer->input_bytes += (size_t)bytes;
        return;
    }
    peer->input_ended = true;
    haul_loop_unwatch(peer->input_watch);
    peer->input_watch = NULL;
}

/* Says where it listens, once it keeps the place that it was told to. */
static void tell_address(struct peer *peer)
{
    char text[HAUL_MULTIADDR_TEXT_BYTES];
    struct haul_relay_usage usage;

    haul_relay_usage(peer->relay, &usage);
    if (peer->told || (peer->place.length > 0 && usage.places == 0))
        return;
    peer->told = true;
    haul_multiaddr_print(&peer->address, text);
    printf("{\"event\":\"listening\",\"address\":\"%s\"}\n", text);
    fflush(stdout);
}

static void on_turn(void *context)
{
    struct peer *peer = context;

    tell_address(peer);
    peer_poll(peer);
    take_lines(peer);
}

static int listen_start(struct peer *peer, struct haul_error *error)
{
    struct haul_addr address = { .family = 4, .ip = { 127, 0, 0, 1 } };

    if (haul_host_listen(peer->host, &address, &address, error) < 0)
        return -1;
    haul_multiaddr_from_tcp(&peer->address, &address);
    if (!haul_multiaddr_add_peer(&peer->address, &peer->key.id))
        return haul_fail(error, HAUL_E_INTERNAL, "the address does not fit");
    haul_relay_start(peer->relay, peer->host);
    if (peer->punches)
        haul_dcutr_start(peer->dcutr, peer->host);
    tell_address(peer);
    peer->input_watch = haul_loop_watch(peer->loop, STDIN_FILENO, HAUL_LOOP_READ, on_input, peer);
    peer->clock = haul_loop_timer(peer->loop, peer_tick, peer);
    if (peer->input_watch == NULL || peer->clock == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "cannot watch standard input");
    return 0;
}

/* "noise", "tls", or both in the order of preference. */
static bool securities_read(const char *text, struct haul_host_conf *conf)
{
    static const struct {
        const char *text;
        enum haul_security securities[HAUL_SECURITY_COUNT];
        size_t count;
    } known[] = { { "noise", { HAUL_SECURITY_NOISE }, 1 },
                  { "tls", { HAUL_SECURITY_TLS }, 1 },
                  { "noise,tls", { HAUL_SECURITY_NOISE, HAUL_SECURITY_TLS }, 2 },
                  { "tls,noise", { HAUL_SECURITY_TLS, HAUL_SECURITY_NOISE }, 2 } };

    for (size_t i = 0; i < HAUL_COUNT_OF(known); i++) {
        if (strcmp(text, known[i].text) != 0)
            continue;
        memcpy(conf->securities, known[i].securities, sizeof conf->securities);
        conf->security_count = known[i].count;
        return true;
    }
    return false;
}

static bool option_read(struct peer *peer, struct haul_host_conf *conf, const char *name,
                        const char *value)
{
    if (strcmp(name, "--security") == 0)
        return securities_read(value, conf);
    if (strcmp(name, "--place") == 0)
        return haul_multiaddr_parse(value, &peer->place);
    peer->serves |= strcmp(name, "--relay") == 0;
    peer->punches |= strcmp(name, "--dcutr") == 0;
    return (strcmp(name, "--relay") == 0 || strcmp(name, "--dcutr") == 0) &&
           strcmp(value, "on") == 0;
}

/* Everybody is on loopback here, where no address is public: punched are all, dialled before none.
 */
static int services_open(struct peer *peer, struct haul_error *error)
{
    const struct haul_perf_conf perf = { 0 };
    const struct haul_dcutr_conf dcutr = { .loop = peer->loop,
                                           .floor = HAUL_ADDR_LOOPBACK,
                                           .plain = HAUL_ADDR_PUBLIC,
                                           .grace = 60 * HAUL_SECOND };
    const struct haul_relay_conf relay = {
        .loop = peer->loop,
        .key = &peer->key,
        .serve = peer->serves,
        .limits = { .pace = { .per_peer = 100, .per_network = 100 },
                    .reservations_max = 16,
                    .reservations_per_address_max = 16,
                    .circuits_max = 16,
                    .circuits_per_peer_max = 16,
                    .reservation_life = 3600 * HAUL_SECOND,
                    .circuit = { .seconds = 120, .bytes = 128u << 10 } },
        .relays = &peer->place,
        .relay_count = peer->place.length > 0 ? 1 : 0,
    };

    peer->perf = haul_perf_open(&perf);
    if (peer->perf == NULL)
        return haul_fail(error, HAUL_E_INTERNAL, "rate tests");
    if (haul_dcutr_open(&peer->dcutr, &dcutr, error) < 0)
        return -1;
    return haul_relay_open(&peer->relay, &relay, error);
}

static int start(struct peer *peer, int count, char **arguments, struct haul_error *error)
{
    struct haul_protocol protocols[] = {
        { .behaviour = &haul_identify_behaviour },
        { .behaviour = &haul_identify_push_behaviour },
        { .behaviour = &haul_ping_behaviour },
        { .behaviour = &pushed_behaviour },
        { .behaviour = &haul_perf_behaviour },
        { .behaviour = &haul_relay_stop_behaviour },
        { .behaviour = &haul_relay_hop_behaviour },
        { 0 },
        { 0 },
    };
    struct haul_host_conf conf = {
        .loop = peer->loop,
        .key = &peer->key,
        .agent = "haul-interop/0.1.0",
        .protocols = protocols,
        .connections_max = 128,
        .half_open_max = 32,
        .streams_per_connection_max = 256,
        .context = peer,
        .disconnected = on_disconnected,
    };

    for (int i = 1; i < count; i += 2) {
        if (i + 1 == count || !option_read(peer, &conf, arguments[i], arguments[i + 1]))
            return haul_fail(error, HAUL_E_USAGE,
                             "usage: peer [--security noise,tls] [--relay on] [--dcutr on] "
                             "[--place MULTIADDR]");
    }
    if (services_open(peer, error) < 0)
        return -1;
    protocols[4].service = peer->perf;
    protocols[5].service = peer->relay;
    protocols[6].service = peer->relay;
    protocols[6].dial_only = !peer->serves;
    if (peer->punches)
        protocols[7] =
            (struct haul_protocol){ .behaviour = &haul_dcutr_behaviour, .service = peer->dcutr };
    if (haul_host_open(&peer->host, &conf, error) < 0)
        return -1;
    return listen_start(peer, error);
}

int main(int count, char **arguments)
{
    static struct peer peer;
    struct haul_error error = { 0 };
    uint8_t seed[32];
    int status;

    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return 1;
    haul_key_from_seed(&peer.key, seed);
    if (haul_loop_open(&peer.loop, &error) < 0)
        return 1;
    status = start(&peer, count, arguments, &error);
    if (status == 0)
        haul_loop_run(peer.loop, on_turn, &peer);
    else
        fprintf(stderr, "peer: %s\n", error.text);
    haul_loop_unwatch(peer.input_watch);
    haul_loop_timer_free(peer.clock);
    haul_host_close(peer.host);
    haul_relay_close(peer.relay);
    haul_dcutr_close(peer.dcutr);
    haul_perf_close(peer.perf);
    haul_loop_close(peer.loop);
    return status == 0 ? 0 : 1;
}
