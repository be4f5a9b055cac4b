/* One socket for all links; the question goes out on each. */
#include "controlplane/nat/neighbours.h"

#include "common/counters.h"
#include "controlplane/host/loop.h"
#include "controlplane/p2p/address_book.h"
#include "controlplane/p2p/nat/mdns.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define ASK_FIRST    (1 * HAUL_SECOND)
#define ASK_MAX      (300 * HAUL_SECOND)
#define ANSWER_PAUSE (1 * HAUL_SECOND)
#define READS_A_TURN 16

struct link_of {
    uint32_t address, mask; /* network order */
};

struct neighbour {
    struct haul_peer_id peer; /* length 0: free */
    haul_time ends, dialled_at;
    bool dialling;
    size_t count;
    struct haul_multiaddr addresses[8];
    struct haul_neighbours *neighbours;
};

struct haul_neighbours {
    struct haul_host *host; /* NULL: stopped */
    struct haul_loop *loop;
    int fd;
    struct haul_watch *watch;
    struct haul_timer *timer;
    haul_time ask_pause, ask_at, answered_at;
    bool answer_due;
    uint32_t dials;
    char name[HAUL_MDNS_NAME_BYTES];
    size_t link_count;
    struct link_of links[HAUL_NEIGHBOURS_LINKS_MAX];
    struct neighbour table[HAUL_NEIGHBOURS_MAX];
    struct haul_neighbours_counters counters;
};

/* --- links --- */

/* Those that are up now; the group is joined on each that is new. */
static void links_find(struct haul_neighbours *neighbours)
{
    struct ifaddrs *list = NULL;
    struct ip_mreq group = { .imr_multiaddr.s_addr = htonl(0xe00000fbu) }; /* 224.0.0.251 */
    const unsigned wanted = IFF_UP | IFF_MULTICAST;

    neighbours->link_count = 0;
    if (getifaddrs(&list) < 0)
        return;
    for (struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
        struct sockaddr_in addr, mask;

        if (at->ifa_addr == NULL || at->ifa_netmask == NULL || at->ifa_addr->sa_family != AF_INET ||
            (at->ifa_flags & wanted) != wanted || (at->ifa_flags & IFF_LOOPBACK) != 0 ||
            neighbours->link_count == HAUL_NEIGHBOURS_LINKS_MAX)
            continue;
        memcpy(&addr, at->ifa_addr, sizeof addr);
        memcpy(&mask, at->ifa_netmask, sizeof mask);
        neighbours->links[neighbours->link_count++] =
            (struct link_of){ .address = addr.sin_addr.s_addr, .mask = mask.sin_addr.s_addr };
        group.imr_interface = addr.sin_addr;
        (void)setsockopt(neighbours->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group);
    }
    freeifaddrs(list);
}

static bool on_link(const struct haul_neighbours *neighbours, uint32_t address)
{
    for (size_t i = 0; i < neighbours->link_count; i++) {
        if (((address ^ neighbours->links[i].address) & neighbours->links[i].mask) == 0)
            return true;
    }
    return false;
}

static void send_all(struct haul_neighbours *neighbours, const uint8_t *data,
                     const struct haul_out *out)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(HAUL_MDNS_PORT) };

    if (out->bad)
        return;
    to.sin_addr.s_addr = htonl(0xe00000fbu);
    for (size_t i = 0; i < neighbours->link_count; i++) {
        struct in_addr own = { .s_addr = neighbours->links[i].address };

        (void)setsockopt(neighbours->fd, IPPROTO_IP, IP_MULTICAST_IF, &own, sizeof own);
        (void)sendto(neighbours->fd, data, (size_t)(out->at - data), MSG_DONTWAIT,
                     (const struct sockaddr *)&to, sizeof to);
    }
}

/* --- asking and answering --- */

static void turn_at(struct haul_neighbours *neighbours)
{
    haul_time at = neighbours->ask_at;

    if (neighbours->answer_due)
        at = haul_time_min(at, haul_time_add(neighbours->answered_at, ANSWER_PAUSE));
    haul_loop_timer_set(neighbours->timer, at);
}

static void ask(struct haul_neighbours *neighbours, haul_time now)
{
    uint8_t data[HAUL_MDNS_SENT_MAX];
    struct haul_out out = haul_out_to(data, sizeof data);

    links_find(neighbours);
    haul_mdns_write_question(&out);
    send_all(neighbours, data, &out);
    haul_counter_add(&neighbours->counters.questions, 1);
    neighbours->ask_at = haul_time_add(now, neighbours->ask_pause);
    neighbours->ask_pause = haul_time_min(2 * neighbours->ask_pause, ASK_MAX);
}

/* What others on the link can dial: no loopback, and nothing that leads through others. */
static void answer(struct haul_neighbours *neighbours, haul_time now)
{
    struct haul_multiaddr addresses[HAUL_HOST_ADDRESSES_MAX];
    size_t count = haul_host_addresses(neighbours->host, addresses, HAUL_COUNT_OF(addresses));
    uint8_t data[HAUL_MDNS_SENT_MAX];
    struct haul_out out = haul_out_to(data, sizeof data);

    count = haul_addresses_filter(addresses, count, HAUL_ADDR_PRIVATE, HAUL_ADDR_PRIVATE);
    neighbours->answer_due = false;
    neighbours->answered_at = now;
    if (count == 0)
        return;
    haul_mdns_write_answer(&out, neighbours->name, haul_host_id(neighbours->host), addresses,
                           count);
    send_all(neighbours, data, &out);
    haul_counter_add(&neighbours->counters.answers, 1);
}

static void on_timer(void *context)
{
    struct haul_neighbours *neighbours = context;
    haul_time now = haul_loop_now(neighbours->loop);

    if (neighbours->host == NULL)
        return;
    if (now >= neighbours->ask_at)
        ask(neighbours, now);
    if (neighbours->answer_due && now >= haul_time_add(neighbours->answered_at, ANSWER_PAUSE))
        answer(neighbours, now);
    turn_at(neighbours);
}

/* --- hearing --- */

static void on_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    struct neighbour *neighbour = context;

    (void)connection;
    (void)error;
    neighbour->dialling = false;
    neighbour->neighbours->dials--;
}

static void dial(struct haul_neighbours *neighbours, struct neighbour *neighbour, haul_time now)
{
    if (neighbour->dialling || neighbours->dials == HAUL_NEIGHBOURS_DIALS_MAX ||
        now < haul_time_add(neighbour->dialled_at, HAUL_NEIGHBOURS_REDIAL) ||
        haul_host_find(neighbours->host, &neighbour->peer) != HAUL_HOST_NO_CONNECTION)
        return;
    neighbour->dialling = true;
    neighbour->dialled_at = now;
    neighbours->dials++;
    haul_host_dial(neighbours->host, &neighbour->peer, neighbour->addresses, neighbour->count,
                   haul_time_add(now, 10 * HAUL_SECOND), on_dialled, neighbour);
}

/* The peer's place; a new one takes a free one, or one that has run out. */
static struct neighbour *place_of(struct haul_neighbours *neighbours,
                                  const struct haul_peer_id *peer, haul_time now)
{
    struct neighbour *free = NULL;

    for (size_t i = 0; i < HAUL_NEIGHBOURS_MAX; i++) {
        struct neighbour *at = &neighbours->table[i];

        if (at->peer.length > 0 && haul_peer_id_equal(&at->peer, peer))
            return at;
        if (free == NULL && !at->dialling && at->ends <= now)
            free = at;
    }
    if (free == NULL)
        return NULL;
    *free = (struct neighbour){ .peer = *peer, .neighbours = neighbours };
    haul_counter_add(&neighbours->counters.found, 1);
    return free;
}

static bool counts(const struct haul_multiaddr *address, uint32_t sender)
{
    struct haul_addr addr;

    return haul_multiaddr_tcp(address, &addr) &&
           (haul_addr_scope(&addr) == HAUL_ADDR_PRIVATE ||
            (addr.family == 4 && memcmp(addr.ip, &sender, 4) == 0));
}

static void heard(struct haul_neighbours *neighbours, const struct haul_mdns_message *message,
                  uint32_t sender, haul_time now)
{
    struct neighbour *place = NULL;
    struct haul_peer_id peer;

    /* One message tells of one peer: the first that it names. */
    for (size_t i = 0; i < message->address_count; i++) {
        if (!haul_multiaddr_peer(&message->addresses[i], &peer) ||
            haul_peer_id_equal(&peer, haul_host_id(neighbours->host)))
            continue;
        if (!counts(&message->addresses[i], sender) ||
            (place != NULL && !haul_peer_id_equal(&place->peer, &peer))) {
            haul_counter_add(&neighbours->counters.passed_over, 1);
            continue;
        }
        if (place == NULL) {
            place = place_of(neighbours, &peer, now);
            if (place == NULL) {
                haul_counter_add(&neighbours->counters.crowded, 1);
                return;
            }
            place->count = 0;
        }
        if (place->count < HAUL_COUNT_OF(place->addresses))
            place->addresses[place->count++] = message->addresses[i];
    }
    if (place == NULL)
        return;
    place->ends = haul_time_add(now, 2 * HAUL_MDNS_LIFE_SECONDS * HAUL_SECOND);
    dial(neighbours, place, now);
}

static void on_ready(void *context, unsigned ready)
{
    struct haul_neighbours *neighbours = context;
    static uint8_t data[HAUL_MDNS_RECEIVED_MAX];
    static struct haul_mdns_message message;
    haul_time now = haul_loop_now(neighbours->loop);

    (void)ready;
    for (unsigned i = 0; i < READS_A_TURN; i++) {
        struct sockaddr_in from;
        socklen_t from_bytes = sizeof from;
        ssize_t got = recvfrom(neighbours->fd, data, sizeof data, MSG_DONTWAIT,
                               (struct sockaddr *)&from, &from_bytes);

        if (got < 0)
            return;
        if (!on_link(neighbours, from.sin_addr.s_addr) ||
            !haul_mdns_decode(data, (size_t)got, &message)) {
            haul_counter_add(&neighbours->counters.malformed, 1);
            continue;
        }
        neighbours->answer_due |= message.asks;
        if (message.address_count > 0)
            heard(neighbours, &message, from.sin_addr.s_addr, now);
    }
    on_timer(neighbours);
}

/* --- the whole --- */

/* Not our peer id: whoever listens to the link need not know how to tell us apart tomorrow. */
static bool name_make(char name[HAUL_MDNS_NAME_BYTES])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
    uint8_t chance[HAUL_MDNS_NAME_BYTES - 1];

    if (getrandom(chance, sizeof chance, 0) != (ssize_t)sizeof chance)
        return false;
    for (size_t i = 0; i < sizeof chance; i++)
        name[i] = letters[chance[i] % 32];
    name[sizeof chance] = '\0';
    return true;
}

static bool socket_open(struct haul_neighbours *neighbours)
{
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(HAUL_MDNS_PORT) };
    int one = 1, hops = 255;

    neighbours->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (neighbours->fd < 0 ||
        setsockopt(neighbours->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        setsockopt(neighbours->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) < 0 ||
        setsockopt(neighbours->fd, IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof hops) < 0)
        return false;
    return bind(neighbours->fd, (const struct sockaddr *)&any, sizeof any) == 0;
}

int haul_neighbours_open(struct haul_neighbours **neighbours, struct haul_host *host,
                         struct haul_error *error)
{
    struct haul_neighbours *made = calloc(1, sizeof *made);

    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for neighbours");
    made->host = host;
    made->loop = haul_host_loop(host);
    made->fd = -1;
    made->ask_pause = ASK_FIRST;
    made->timer = haul_loop_timer(made->loop, on_timer, made);
    if (made->timer == NULL || !name_make(made->name) || !socket_open(made) ||
        (made->watch = haul_loop_watch(made->loop, made->fd, HAUL_LOOP_READ, on_ready, made)) ==
            NULL) {
        haul_fail(error, HAUL_E_SYSTEM, "cannot use multicast DNS (peers.mdns): %s",
                  strerror(errno));
        haul_neighbours_close(made);
        return -1;
    }
    haul_loop_timer_set(made->timer, haul_loop_now(made->loop));
    *neighbours = made;
    return 0;
}

void haul_neighbours_stop(struct haul_neighbours *neighbours)
{
    if (neighbours == NULL)
        return;
    neighbours->host = NULL;
    haul_loop_timer_set(neighbours->timer, HAUL_TIME_NEVER);
    haul_loop_unwatch(neighbours->watch);
    neighbours->watch = NULL;
}

void haul_neighbours_close(struct haul_neighbours *neighbours)
{
    if (neighbours == NULL)
        return;
    haul_loop_unwatch(neighbours->watch);
    haul_loop_timer_free(neighbours->timer);
    if (neighbours->fd >= 0)
        close(neighbours->fd);
    free(neighbours);
}

const struct haul_neighbours_counters *haul_neighbours_counters(
    const struct haul_neighbours *neighbours)
{
    return &neighbours->counters;
}

bool haul_neighbours_peer(const struct haul_neighbours *neighbours, size_t index,
                          struct haul_peer_id *peer)
{
    haul_time now = haul_loop_now(neighbours->loop);

    for (size_t i = 0; i < HAUL_NEIGHBOURS_MAX; i++) {
        const struct neighbour *at = &neighbours->table[i];

        if (at->peer.length > 0 && at->ends > now && index-- == 0) {
            *peer = at->peer;
            return true;
        }
    }
    return false;
}
