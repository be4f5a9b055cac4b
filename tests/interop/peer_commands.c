/* The commands of the bare peer. */
#include "controlplane/behaviours/perf.h"
#include "controlplane/behaviours/ping.h"
#include "tests/interop/peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE   (60 * HAUL_SECOND)
#define TICK       (20 * HAUL_MILLISECOND)
#define MOVED_BYTE 100u /* nanoseconds: what is moved may take longer */

/* Ends the command under way. `more` is what follows "ok" in the line: "" or ,"name":value,... */
static void answer(struct peer *peer, const char *more)
{
    printf("{\"case\":\"%s\",\"ok\":true%s}\n", peer->verb, more);
    fflush(stdout);
    peer->verb[0] = 0;
}

static void fail(struct peer *peer, const char *why)
{
    printf("{\"case\":\"%s\",\"ok\":false,\"why\":\"%s\"}\n", peer->verb, why);
    fflush(stdout);
    peer->verb[0] = 0;
}

static bool waits(const struct peer *peer, const char *verb)
{
    return strcmp(peer->verb, verb) == 0;
}

static void perf_begin(struct peer *peer, uint64_t up, uint64_t down, uint32_t streams);

static void on_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    struct peer *peer = context;
    struct haul_connection_facts facts;
    char text[HAUL_PEER_ID_TEXT_BYTES];
    char more[160];

    if (!waits(peer, "dial") && !waits(peer, "first"))
        return;
    if (error != NULL || !haul_host_facts(peer->host, connection, &facts)) {
        fail(peer, error != NULL ? haul_error_name(error->code) : "the connection is gone");
        return;
    }
    peer->connection = connection;
    if (waits(peer, "first")) {
        perf_begin(peer, 1, 1, 1);
        return;
    }
    haul_peer_id_print(&facts.peer, text);
    snprintf(more, sizeof more, ",\"peer\":\"%s\",\"security\":\"%s\",\"seconds\":%.6f", text,
             facts.security == HAUL_SECURITY_TLS ? "tls" : "noise",
             (double)(haul_loop_now(peer->loop) - peer->since) / (double)HAUL_SECOND);
    answer(peer, more);
}

static void dial(struct peer *peer, const char *text)
{
    struct haul_multiaddr address;
    struct haul_peer_id id;
    bool named;

    if (!haul_multiaddr_parse(text, &address)) {
        fail(peer, "no address");
        return;
    }
    named = haul_multiaddr_peer(&address, &id);
    haul_host_dial(peer->host, named ? &id : NULL, &address, 1, HAUL_TIME_NEVER, on_dialled, peer);
}

static void on_pinged(void *context, haul_time round_trip)
{
    struct peer *peer = context;
    char more[512] = ",\"round_trips_us\":[";
    size_t used = strlen(more);

    if (!waits(peer, "ping"))
        return;
    if (round_trip == HAUL_TIME_NEVER) {
        fail(peer, "no right answer");
        return;
    }
    peer->round_trips[peer->pings++] = round_trip;
    if (peer->pings < peer->pings_wanted) {
        if (!haul_ping(peer->host, peer->connection, on_pinged, peer))
            fail(peer, "no stream");
        return;
    }
    for (uint32_t i = 0; i < peer->pings; i++)
        used += (size_t)snprintf(more + used, sizeof more - used, "%s%" PRIu64, i > 0 ? "," : "",
                                 peer->round_trips[i] / HAUL_MICROSECOND);
    snprintf(more + used, sizeof more - used, "]");
    answer(peer, more);
}

static void ping(struct peer *peer, const char *count)
{
    unsigned long wanted = strtoul(count, NULL, 10);

    peer->pings = 0;
    peer->pings_wanted = wanted < PEER_PINGS_MAX ? (uint32_t)wanted : PEER_PINGS_MAX;
    if (!haul_ping(peer->host, peer->connection, on_pinged, peer))
        fail(peer, "no stream");
}

static void on_moved(void *context, const struct haul_perf_result *result)
{
    struct peer *peer = context;
    char more[160];

    peer->closed++;
    peer->torn |= !result->complete;
    if ((!waits(peer, "perf") && !waits(peer, "first")) || peer->closed < peer->streams)
        return;
    if (peer->torn) {
        fail(peer, "not everything was moved");
        return;
    }
    snprintf(more, sizeof more, ",\"seconds\":%.6f,\"bytes\":%" PRIu64,
             (double)(haul_loop_now(peer->loop) - peer->since) / (double)HAUL_SECOND,
             (peer->up + peer->down) * peer->streams);
    if (waits(peer, "first"))
        haul_host_disconnect(peer->host, peer->connection);
    answer(peer, more);
}

static void perf_begin(struct peer *peer, uint64_t up, uint64_t down, uint32_t streams)
{
    peer->up = up;
    peer->down = down;
    peer->streams = streams;
    peer->closed = 0;
    peer->torn = false;
    for (uint32_t i = 0; i < streams; i++) {
        if (!haul_perf_ask(peer->host, peer->connection, up, down, on_moved, peer)) {
            fail(peer, "no stream");
            return;
        }
    }
}

static void perf(struct peer *peer, char *const *words)
{
    perf_begin(peer, strtoull(words[0], NULL, 10), strtoull(words[1], NULL, 10),
               (uint32_t)strtoul(words[2], NULL, 10));
    peer->deadline += (peer->up + peer->down) * peer->streams * MOVED_BYTE;
}

static void identify_poll(struct peer *peer)
{
    struct haul_connection_facts facts;
    char observed[HAUL_ADDR_TEXT_BYTES] = "";
    char more[256];

    if (!haul_host_facts(peer->host, peer->connection, &facts)) {
        fail(peer, "the connection is gone");
        return;
    }
    if (facts.agent[0] == 0)
        return;
    if (facts.observed.family != 0)
        haul_addr_print(&facts.observed, observed);
    snprintf(more, sizeof more, ",\"agent\":\"%s\",\"observed\":\"%s\"", facts.agent, observed);
    answer(peer, more);
}

/* Waits until nothing connects us to the peer. */
static void close_poll(struct peer *peer)
{
    if (haul_host_find(peer->host, &peer->id) == HAUL_HOST_NO_CONNECTION)
        answer(peer, "");
}

/* Waits for a connection that no relay carries. */
static void direct_poll(struct peer *peer)
{
    uint64_t direct = haul_host_find_direct(peer->host, &peer->id);

    if (direct != HAUL_HOST_NO_CONNECTION)
        answer(peer, "");
}

void peer_poll(struct peer *peer)
{
    if (peer->verb[0] == 0)
        return;
    if (waits(peer, "identify"))
        identify_poll(peer);
    else if (waits(peer, "close"))
        close_poll(peer);
    else if (waits(peer, "direct"))
        direct_poll(peer);
    if (peer->verb[0] != 0 && haul_loop_now(peer->loop) >= peer->deadline)
        fail(peer, "took too long");
    if (peer->verb[0] != 0)
        haul_loop_timer_set(peer->clock, haul_loop_now(peer->loop) + TICK);
}

/* The turn that the timer makes is all that is wanted. */
void peer_tick(void *peer)
{
    (void)peer;
}

static size_t split(char *line, char *words[PEER_WORDS_MAX])
{
    size_t count = 0;
    char *place = NULL;

    for (char *word = strtok_r(line, " ", &place); word != NULL && count < PEER_WORDS_MAX;
         word = strtok_r(NULL, " ", &place))
        words[count++] = word;
    return count;
}

void peer_obey(struct peer *peer, char *line)
{
    static const struct {
        const char *verb;
        size_t words;
    } commands[] = { { "dial", 2 }, { "close", 2 }, { "ping", 3 },  { "identify", 2 },
                     { "push", 2 }, { "perf", 5 },  { "first", 2 }, { "direct", 2 } };
    char *words[PEER_WORDS_MAX];
    size_t count = split(line, words);
    bool known = false;

    if (count == 0)
        return;
    snprintf(peer->verb, sizeof peer->verb, "%s", words[0]);
    for (size_t i = 0; i < HAUL_COUNT_OF(commands); i++)
        known |= strcmp(commands[i].verb, peer->verb) == 0 && commands[i].words == count;
    peer->since = haul_loop_now(peer->loop);
    peer->deadline = peer->since + PATIENCE;
    if (!known) {
        fail(peer, "no such command");
        return;
    }
    if (waits(peer, "dial") || waits(peer, "first")) {
        dial(peer, words[1]);
        return;
    }
    if (!haul_peer_id_parse(words[1], &peer->id) ||
        (peer->connection = haul_host_find(peer->host, &peer->id)) == HAUL_HOST_NO_CONNECTION) {
        fail(peer, "not connected");
        return;
    }
    if (waits(peer, "ping")) {
        ping(peer, words[2]);
    } else if (waits(peer, "perf")) {
        perf(peer, words + 2);
    } else if (waits(peer, "close")) {
        haul_host_disconnect(peer->host, peer->connection);
    } else if (waits(peer, "push")) {
        peer_push(peer);
        answer(peer, "");
    }
}
