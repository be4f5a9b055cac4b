/* A bare libp2p peer on haul's host, for the interoperability runs: what the `haul` program cannot
 * be asked for by itself.
 *
 *   peer listen         prints its address, serves identify and ping until standard input ends
 *   peer dial ADDRESS   dials, identifies, pings three times; one JSON line a result
 *
 * Exit status 0 when everything asked for was done. */
#include "controlplane/behaviours/identify.h"
#include "controlplane/behaviours/ping.h"
#include "controlplane/host/host.h"
#include "controlplane/host/loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define PINGS    3
#define PATIENCE (20 * HAUL_SECOND)

struct peer {
    struct haul_loop *loop;
    struct haul_host *host;
    struct haul_key key;
    uint64_t connection;
    int pings;
    bool identified, failed, input_ended;
};

static const struct haul_behaviour *const behaviours[] = { &haul_identify_behaviour,
                                                           &haul_identify_push_behaviour,
                                                           &haul_ping_behaviour, NULL };

static void fail(struct peer *peer, const char *what, const char *why)
{
    printf("{\"case\":\"%s\",\"ok\":false,\"why\":\"%s\"}\n", what, why);
    fflush(stdout);
    peer->failed = true;
    haul_loop_stop(peer->loop);
}

static void on_connected(void *context, uint64_t connection, const struct haul_peer_id *id,
                         const struct haul_addr *address, bool inbound)
{
    char text[HAUL_PEER_ID_TEXT_BYTES];

    (void)context;
    (void)connection;
    (void)address;
    haul_peer_id_print(id, text);
    printf("{\"event\":\"connected\",\"peer\":\"%s\",\"inbound\":%s}\n", text,
           inbound ? "true" : "false");
    fflush(stdout);
}

static void on_disconnected(void *context, uint64_t connection, const struct haul_peer_id *id,
                            enum haul_error_code why)
{
    struct peer *peer = context;

    (void)id;
    printf("{\"event\":\"disconnected\",\"why\":\"%s\"}\n", haul_error_name(why));
    fflush(stdout);
    if (connection == peer->connection)
        fail(peer, "connection", haul_error_name(why));
}

static void on_pinged(void *context, haul_time round_trip)
{
    struct peer *peer = context;

    if (round_trip == HAUL_TIME_NEVER) {
        fail(peer, "ping", "no right answer");
        return;
    }
    printf("{\"case\":\"ping\",\"ok\":true,\"round_trip_us\":%" PRIu64 "}\n",
           round_trip / HAUL_MICROSECOND);
    fflush(stdout);
    if (++peer->pings < PINGS && !haul_ping(peer->host, peer->connection, on_pinged, peer))
        fail(peer, "ping", "no stream");
}

static void on_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    struct peer *peer = context;

    if (error != NULL) {
        fail(peer, "dial", error->text);
        return;
    }
    peer->connection = connection;
    if (!haul_ping(peer->host, connection, on_pinged, peer))
        fail(peer, "ping", "no stream");
}

static void on_turn(void *context)
{
    struct peer *peer = context;
    struct haul_connection_facts facts;

    if (peer->connection != HAUL_HOST_NO_CONNECTION && !peer->identified &&
        haul_host_facts(peer->host, peer->connection, &facts) && facts.agent[0] != 0) {
        char observed[HAUL_ADDR_TEXT_BYTES];

        haul_addr_print(&facts.observed, observed);
        printf("{\"case\":\"identify\",\"ok\":true,\"agent\":\"%s\",\"observed\":\"%s\"}\n",
               facts.agent, observed);
        fflush(stdout);
        peer->identified = true;
    }
    if (peer->input_ended || (peer->identified && peer->pings >= PINGS))
        haul_loop_stop(peer->loop);
}

static void on_patience_over(void *context)
{
    fail(context, "peer", "took too long");
}

static void on_input(void *context, unsigned ready)
{
    struct peer *peer = context;
    char scrap[256];

    (void)ready;
    if (read(STDIN_FILENO, scrap, sizeof scrap) <= 0)
        peer->input_ended = true;
}

static int listen_start(struct peer *peer, struct haul_error *error)
{
    struct haul_addr address = { .family = 4, .ip = { 127, 0, 0, 1 } };
    struct haul_multiaddr multiaddr;
    char text[HAUL_MULTIADDR_TEXT_BYTES];

    if (haul_host_listen(peer->host, &address, &address, error) < 0)
        return -1;
    haul_multiaddr_from_tcp(&multiaddr, &address);
    if (!haul_multiaddr_add_peer(&multiaddr, &peer->key.id))
        return haul_fail(error, HAUL_E_INTERNAL, "the address does not fit");
    haul_multiaddr_print(&multiaddr, text);
    printf("{\"event\":\"listening\",\"address\":\"%s\"}\n", text);
    fflush(stdout);
    if (haul_loop_watch(peer->loop, STDIN_FILENO, HAUL_LOOP_READ, on_input, peer) == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "cannot watch standard input");
    return 0;
}

static int dial_start(struct peer *peer, const char *text, struct haul_error *error)
{
    struct haul_timer *patience = haul_loop_timer(peer->loop, on_patience_over, peer);
    struct haul_multiaddr address;
    struct haul_peer_id id;
    bool named;

    if (patience == NULL || !haul_multiaddr_parse(text, &address))
        return haul_fail(error, HAUL_E_ADDRESS_MALFORMED, "%s", text);
    named = haul_multiaddr_peer(&address, &id);
    haul_loop_timer_set(patience, haul_loop_now(peer->loop) + PATIENCE);
    haul_host_dial(peer->host, named ? &id : NULL, &address, 1, HAUL_TIME_NEVER, on_dialled, peer);
    return 0;
}

int main(int count, char **arguments)
{
    struct peer peer = { .connection = HAUL_HOST_NO_CONNECTION };
    struct haul_error error = { 0 };
    struct haul_host_conf conf = {
        .key = &peer.key,
        .agent = "haul-interop/0.1.0",
        .behaviours = behaviours,
        .connections_max = 16,
        .half_open_max = 8,
        .streams_per_connection_max = 64,
        .context = &peer,
        .connected = on_connected,
        .disconnected = on_disconnected,
    };
    uint8_t seed[32];
    int status;

    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return 1;
    haul_key_from_seed(&peer.key, seed);
    if (haul_loop_open(&peer.loop, &error) < 0)
        return 1;
    conf.loop = peer.loop;
    if (haul_host_open(&peer.host, &conf, &error) < 0)
        return 1;
    if (count == 2 && strcmp(arguments[1], "listen") == 0)
        status = listen_start(&peer, &error);
    else if (count == 3 && strcmp(arguments[1], "dial") == 0)
        status = dial_start(&peer, arguments[2], &error);
    else
        status = haul_fail(&error, HAUL_E_USAGE, "usage: peer listen | peer dial ADDRESS");
    if (status == 0)
        haul_loop_run(peer.loop, on_turn, &peer);
    else
        fprintf(stderr, "peer: %s\n", error.text);
    peer.connection = HAUL_HOST_NO_CONNECTION;
    haul_host_close(peer.host);
    haul_loop_close(peer.loop);
    return status == 0 && !peer.failed ? 0 : 1;
}
