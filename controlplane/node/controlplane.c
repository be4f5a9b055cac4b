/* Opens every machine of the control plane in the order in which they lean on each other, and
 * closes them the other way round. */
#include "controlplane/node/controlplane.h"

#include "common/log.h"
#include "controlplane/behaviours/blocks.h"
#include "controlplane/behaviours/dcutr.h"
#include "controlplane/behaviours/identify.h"
#include "controlplane/behaviours/offer.h"
#include "controlplane/behaviours/perf.h"
#include "controlplane/behaviours/ping.h"
#include "controlplane/behaviours/relay.h"
#include "controlplane/dht/dht.h"
#include "controlplane/nat/reachability.h"
#include "controlplane/node/controlplane_parts.h"
#include "controlplane/transfer/transfer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define HELPER_THREADS 2u
#define STREAMS_MAX    256u
#define STOP_WAIT      (2 * HAUL_SECOND) /* for orders that are under way */

static const struct haul_ctl_verb *const verbs[] = {
    &haul_verb_status, &haul_verb_put,       &haul_verb_get, &haul_verb_list,
    &haul_verb_share,  &haul_verb_synthetic, &haul_verb_dht, NULL,
};

static void signal_came(void *context, unsigned ready)
{
    struct haul_controlplane *plane = context;
    struct signalfd_siginfo info;

    (void)ready;
    if (read(plane->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    haul_log(HAUL_LOG_INFO, "stopping", "signal=%u", info.ssi_signo);
    haul_loop_stop(plane->parts.loop);
}

static int signals_open(struct haul_controlplane *plane, struct haul_error *error)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    plane->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (plane->signal_fd >= 0)
        plane->signals = haul_loop_watch(plane->parts.loop, plane->signal_fd, HAUL_LOOP_READ,
                                         signal_came, plane);
    return plane->signals != NULL
               ? 0
               : haul_fail(error, HAUL_E_SYSTEM, "cannot watch signals: %s", strerror(errno));
}

/* The default port may be taken by another node of this machine: then any free one. A port that
 * somebody configured is meant. */
static int listen_tcp(struct haul_controlplane *plane, struct haul_error *error)
{
    const struct haul_conf *conf = plane->conf.conf;
    bool meant = haul_conf_origin(conf, HAUL_CONF_LISTEN_TCP) != HAUL_CONF_DEFAULT;
    struct haul_addr addresses[HAUL_CONF_ITEMS_MAX];
    size_t count = haul_conf_addresses(conf, HAUL_CONF_LISTEN_TCP, addresses);
    struct haul_addr bound = { 0 };
    size_t listening = 0;

    for (size_t i = 0; i < count; i++) {
        struct haul_addr address = addresses[i];
        int failed;

        /* Both families on one port, where that is possible. */
        if (!meant && bound.port != 0)
            address.port = bound.port;
        failed = haul_host_listen(plane->parts.host, &address, &bound, error);
        if (failed < 0 && !meant) {
            address.port = 0;
            failed = haul_host_listen(plane->parts.host, &address, &bound, error);
        }
        if (failed < 0 && meant)
            return -1;
        listening += failed == 0;
    }
    /* A machine without one of the families is served by the other. */
    return count > 0 && listening == 0 ? -1 : 0;
}

/* The flows of a grant live on while its control connection is away for a moment. */
static void on_connected(void *context, uint64_t connection, const struct haul_peer_id *peer,
                         const struct haul_addr *address, bool inbound)
{
    struct haul_controlplane *plane = context;

    (void)address;
    (void)inbound;
    haul_grants_connected(plane->parts.grants, connection, peer);
}

static void on_disconnected(void *context, uint64_t connection, const struct haul_peer_id *peer,
                            enum haul_error_code why)
{
    struct haul_controlplane *plane = context;

    (void)why;
    haul_grants_disconnected(plane->parts.grants, connection,
                             haul_host_find(plane->parts.host, peer));
}

static int grants_open(struct haul_controlplane *plane, struct haul_error *error)
{
    const struct haul_conf *conf = plane->conf.conf;
    const struct haul_grants_conf grants = {
        .loop = plane->parts.loop,
        .orders = plane->parts.orders,
        .catalog = plane->parts.catalog,
        .per_peer_max = (uint32_t)haul_conf_number(conf, HAUL_CONF_LIMITS_GRANTS_PER_PEER),
        .per_address_max = (uint32_t)haul_conf_number(conf, HAUL_CONF_LIMITS_GRANTS_PER_ADDRESS),
    };

    return haul_grants_open(&plane->parts.grants, &grants, error);
}

static void network_of(const struct haul_prefix *prefix, struct haul_network *network)
{
    *network = (struct haul_network){ .base.family = prefix->family, .bits = prefix->bits };
    memcpy(network->base.ip, prefix->ip, sizeof network->base.ip);
}

static int offers_open(struct haul_controlplane *plane, struct haul_error *error)
{
    const struct haul_conf *conf = plane->conf.conf;
    struct haul_prefix networks[HAUL_CONF_ITEMS_MAX];
    struct haul_offers_conf offers = {
        .grants = plane->parts.grants,
        .catalog = plane->parts.catalog,
        .key = plane->conf.key,
        .congestion = plane->conf.congestion,
        .payload_max = HAUL_OFFER_PAYLOAD_MAX,
        .wants_max = (uint16_t)haul_conf_number(conf, HAUL_CONF_FLOW_WANTS),
        .udp = plane->conf.udp,
        .port_count = plane->conf.port_count,
        .port_workers = plane->conf.port_workers,
        .port_payload_max = plane->conf.port_payload_max,
        .flows_max = (uint32_t)haul_conf_number(conf, HAUL_CONF_FLOW_LANES),
    };
    uint64_t rate = haul_conf_number(conf, HAUL_CONF_FLOW_RATE);
    size_t count = haul_conf_networks(conf, HAUL_CONF_FAST_NETWORKS, networks);

    memcpy(offers.ports, plane->conf.ports, sizeof offers.ports);
    memcpy(offers.udp_ports, plane->conf.udp_ports, sizeof offers.udp_ports);
    offers.rate_max = rate == HAUL_CONF_NONE ? 0 : rate;
    for (size_t i = 0; i < plane->conf.cipher_count; i++)
        offers.ciphers[offers.cipher_count++] = plane->conf.ciphers[i];
    if (plane->conf.perf)
        offers.ciphers[offers.cipher_count++] = HAUL_CIPHER_NONE;
    for (size_t i = 0; i < count && i < HAUL_NETWORKS_MAX; i++)
        network_of(&networks[i], &offers.networks[offers.network_count++]);
    return haul_offers_open(&plane->parts.offers, &offers, error);
}

static bool is_allowed(void *context, const struct haul_peer_id *peer)
{
    return haul_gate_allows(((const struct haul_controlplane *)context)->gate, peer);
}

static void limits_of(const struct haul_conf *conf, struct haul_host_limits *limits)
{
    uint64_t held = haul_conf_number(conf, HAUL_CONF_LIMITS_STREAM_MEMORY);

    *limits = (struct haul_host_limits){
        .inbound_max = (uint32_t)haul_conf_number(conf, HAUL_CONF_LIMITS_CONNECTIONS_OF_PEERS),
        .per_peer_max = (uint32_t)haul_conf_number(conf, HAUL_CONF_LIMITS_CONNECTIONS_PER_PEER),
        .per_address_max =
            (uint32_t)haul_conf_number(conf, HAUL_CONF_LIMITS_CONNECTIONS_PER_ADDRESS),
        .half_open_per_address_max =
            (uint32_t)haul_conf_number(conf, HAUL_CONF_LIMITS_HALF_OPEN_PER_ADDRESS),
        .streams_max = (uint32_t)haul_conf_number(conf, HAUL_CONF_LIMITS_STREAMS),
        .held_bytes_max = held,
        .held_per_connection_max = held / 4,
        .window_bytes_max = haul_conf_number(conf, HAUL_CONF_LIMITS_STREAM_WINDOWS),
    };
}

static void security_order(const struct haul_conf *conf, struct haul_host_conf *host)
{
    bool tls = haul_conf_is(conf, HAUL_CONF_SECURITY_ORDER, "tls") ||
               haul_conf_is(conf, HAUL_CONF_SECURITY_ORDER, "tls,noise");
    bool both = haul_conf_is(conf, HAUL_CONF_SECURITY_ORDER, "noise,tls") ||
                haul_conf_is(conf, HAUL_CONF_SECURITY_ORDER, "tls,noise");

    host->securities[0] = tls ? HAUL_SECURITY_TLS : HAUL_SECURITY_NOISE;
    host->securities[1] = tls ? HAUL_SECURITY_NOISE : HAUL_SECURITY_TLS;
    host->security_count = both ? 2 : 1;
}

static int private_open(struct haul_controlplane *plane, struct haul_error *error)
{
    return haul_home_private_key(plane->conf.home,
                                 haul_conf_text(plane->conf.conf, HAUL_CONF_PRIVATE_KEY_FILE),
                                 &plane->psk, &plane->is_private, error);
}

/* What this node speaks: a line a protocol. */
static int host_open(struct haul_controlplane *plane, struct haul_error *error)
{
    struct haul_autonat *autonat = haul_reachability_autonat(plane->reach);
    struct haul_protocol protocols[HAUL_HOST_PROTOCOLS_MAX + 1] = {
        { .behaviour = &haul_identify_behaviour },
        { .behaviour = &haul_identify_push_behaviour },
        { .behaviour = &haul_ping_behaviour },
        { .behaviour = &haul_offer_behaviour, .service = plane->parts.offers },
        { .behaviour = &haul_blocks_behaviour, .service = plane->parts.blocks },
        { .behaviour = &haul_relay_stop_behaviour, .service = plane->relay },
        { .behaviour = &haul_relay_hop_behaviour,
          .service = plane->relay,
          .dial_only = haul_conf_is(plane->conf.conf, HAUL_CONF_RELAY_SERVE, "false") },
        { .behaviour = &haul_autonat_behaviour, .service = autonat },
        { .behaviour = &haul_autonat2_behaviour, .service = autonat },
        { .behaviour = &haul_autonat_back_behaviour, .service = autonat },
    };
    size_t count = 10;
    struct haul_host_conf conf = {
        .loop = plane->parts.loop,
        .key = plane->conf.key,
        .agent = "haul/" HAUL_VERSION,
        .protocols = protocols,
        .connections_max =
            (uint32_t)haul_conf_number(plane->conf.conf, HAUL_CONF_LIMITS_CONNECTIONS),
        .half_open_max = (uint32_t)haul_conf_number(plane->conf.conf, HAUL_CONF_LIMITS_HALF_OPEN),
        .streams_per_connection_max = STREAMS_MAX,
        .threads = haul_node_sealing_threads(plane),
        .context = plane,
        .connected = on_connected,
        .disconnected = on_disconnected,
        .allowed = is_allowed,
    };

    limits_of(plane->conf.conf, &conf.limits);
    if (haul_conf_bool(plane->conf.conf, HAUL_CONF_PUNCH_ENABLED))
        protocols[count++] =
            (struct haul_protocol){ .behaviour = &haul_dcutr_behaviour, .service = plane->dcutr };
    if (plane->perf != NULL)
        protocols[count++] =
            (struct haul_protocol){ .behaviour = &haul_perf_behaviour, .service = plane->perf };
    if (plane->parts.dht != NULL)
        protocols[count++] =
            (struct haul_protocol){ .behaviour = &haul_kad_behaviour,
                                    .service = haul_dht_kad(plane->parts.dht),
                                    .name = plane->dht_protocol,
                                    .dial_only = haul_conf_is(plane->conf.conf, HAUL_CONF_DHT_MODE,
                                                              "client") };
    security_order(plane->conf.conf, &conf);
    conf.psk = plane->is_private ? &plane->psk : NULL;
    return haul_host_open(&plane->parts.host, &conf, error);
}

/* Rate tests cost line and processor: only a node that was started for them answers. */
static int perf_open(struct haul_controlplane *plane, struct haul_error *error)
{
    const struct haul_perf_conf conf = { 0 };

    if (!plane->conf.perf)
        return 0;
    plane->perf = haul_perf_open(&conf);
    return plane->perf != NULL ? 0 : haul_fail(error, HAUL_E_SYSTEM, "no memory for rate tests");
}

static int parts_open(struct haul_controlplane *plane, struct haul_error *error)
{
    const struct haul_controlplane_conf *conf = &plane->conf;
    char path[HAUL_HOME_PATH_BYTES];

    haul_home_path(conf->home, "catalog", path);
    if (haul_loop_open(&plane->parts.loop, error) < 0 || signals_open(plane, error) < 0 ||
        haul_orders_open(&plane->parts.orders, plane->parts.loop, conf->handoff, error) < 0 ||
        haul_helpers_open(&plane->parts.helpers, plane->parts.loop, HELPER_THREADS, error) < 0 ||
        haul_catalog_open(&plane->parts.catalog, path, error) < 0 ||
        grants_open(plane, error) < 0 || offers_open(plane, error) < 0 ||
        haul_blocks_open(&plane->parts.blocks, plane->parts.orders, plane->parts.catalog, error) <
            0 ||
        perf_open(plane, error) < 0 ||
        haul_gate_open(&plane->gate, conf->home, haul_conf_text(conf->conf, HAUL_CONF_PEERS_ALLOW),
                       haul_conf_text(conf->conf, HAUL_CONF_PEERS_DENY), error) < 0 ||
        private_open(plane, error) < 0 || haul_node_dht_open(plane, error) < 0 ||
        haul_node_relays_open(plane, error) < 0 || haul_node_nat_open(plane, error) < 0 ||
        haul_node_sealing_open(plane, error) < 0 || host_open(plane, error) < 0 ||
        listen_tcp(plane, error) < 0)
        return -1;
    haul_node_relays_start(plane);
    if (haul_node_nat_start(plane, error) < 0)
        return -1;
    haul_node_dht_start(plane);
    return haul_ctl_open(&plane->ctl, plane->parts.loop, conf->home,
                         haul_conf_text(conf->conf, HAUL_CONF_CONTROL_GROUP), verbs, plane, error);
}

int haul_controlplane_open(struct haul_controlplane **plane,
                           const struct haul_controlplane_conf *conf, struct haul_error *error)
{
    struct haul_controlplane *made = calloc(1, sizeof *made);

    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the control plane");
    made->conf = *conf;
    made->signal_fd = -1;
    made->parts.transfers = &made->transfers;
    made->parts.faster = &made->faster;
    made->parts.plane_cpu = conf->plane_cpu;
    made->parts.plane_context = conf->plane_context;
    if (parts_open(made, error) < 0) {
        haul_controlplane_close(made);
        return -1;
    }
    made->started = haul_loop_now(made->parts.loop);
    *plane = made;
    return 0;
}

void haul_controlplane_run(struct haul_controlplane *plane)
{
    haul_loop_run(plane->parts.loop, NULL, NULL);
}

static void stop_due(void *context)
{
    haul_loop_stop(((struct haul_controlplane *)context)->parts.loop);
}

/* Runs on until nothing waits for the data plane or the gateway any more, or a moment has passed.
 */
static void stop_turn(void *context)
{
    struct haul_controlplane *plane = context;

    if (plane->transfers == NULL && haul_node_nat_released(plane))
        haul_loop_stop(plane->parts.loop);
}

void haul_controlplane_stop(struct haul_controlplane *plane)
{
    struct haul_timer *timer = haul_loop_timer(plane->parts.loop, stop_due, plane);

    bool released = haul_node_nat_release(plane);

    haul_ctl_close(plane->ctl);
    plane->ctl = NULL;
    if (timer != NULL && (plane->transfers != NULL || !released)) {
        haul_loop_timer_set(timer, haul_time_add(haul_loop_now(plane->parts.loop), STOP_WAIT));
        haul_loop_run(plane->parts.loop, stop_turn, plane);
    }
    haul_loop_timer_free(timer);
    haul_dht_stop(plane->parts.dht);
    haul_node_nat_stop(plane);
    haul_host_close(plane->parts.host);
    plane->parts.host = NULL;
}

void haul_controlplane_close(struct haul_controlplane *plane)
{
    if (plane == NULL)
        return;
    haul_ctl_close(plane->ctl);
    haul_dht_stop(plane->parts.dht);
    haul_node_nat_stop(plane);
    if (plane->parts.host != NULL)
        haul_host_close(plane->parts.host);
    haul_helpers_close(plane->sealing);
    haul_helpers_close(plane->parts.helpers);
    haul_transfers_abandon(&plane->transfers);
    haul_dht_close(plane->parts.dht);
    if (plane->parts.blocks != NULL)
        haul_blocks_close(plane->parts.blocks);
    haul_orders_close(plane->parts.orders);
    if (plane->parts.offers != NULL)
        haul_offers_close(plane->parts.offers);
    if (plane->parts.grants != NULL)
        haul_grants_close(plane->parts.grants);
    haul_relay_close(plane->relay);
    haul_dcutr_close(plane->dcutr);
    haul_node_nat_close(plane);
    haul_perf_close(plane->perf);
    haul_catalog_close(plane->parts.catalog);
    haul_loop_unwatch(plane->signals);
    if (plane->signal_fd >= 0)
        close(plane->signal_fd);
    haul_loop_close(plane->parts.loop);
    haul_gate_close(plane->gate);
    haul_psk_wipe(&plane->psk);
    free(plane);
}

size_t haul_controlplane_addresses(const struct haul_controlplane *plane,
                                   struct haul_multiaddr *addresses, size_t capacity)
{
    return haul_host_addresses(plane->parts.host, addresses, capacity);
}
