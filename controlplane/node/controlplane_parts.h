/* Inside of a node: controlplane.c opens it, and for that dht.c, relays.c and nat.c, each what it
 * is named after as the configuration wants it; a serve_NAME.c is a verb of the control socket;
 * status.c collects what all of them say of themselves. For these files only. */
#pragma once

#include "controlplane/ctl/server.h"
#include "controlplane/gate.h"
#include "controlplane/node/controlplane.h"
#include "controlplane/transfer/parts.h"

struct haul_controlplane {
    struct haul_controlplane_conf conf;
    struct haul_parts parts;
    struct haul_ctl *ctl;
    struct haul_relay *relay;
    struct haul_dcutr *dcutr;
    struct haul_reachability *reach;
    struct haul_mapping *mappings[2];   /* IPv4, IPv6; NULL unless the gateway may be asked */
    struct haul_neighbours *neighbours; /* NULL unless they are looked for */
    struct haul_helpers *sealing;       /* NULL unless bulk is sealed apart */
    uint32_t seal_threads;
    struct haul_perf *perf; /* NULL unless the node was started for rate tests */
    struct haul_gate *gate;
    struct haul_psk psk; /* where is_private */
    bool is_private;
    char dht_protocol[64]; /* what the streams of the DHT are called */
    struct haul_watch *signals;
    int signal_fd;
    struct haul_transfer *transfers;
    struct haul_faster faster;
    struct haul_way_counters ways;
    haul_time started;
};

/* One a file, serve_NAME.c. */
extern const struct haul_ctl_verb haul_verb_status;
extern const struct haul_ctl_verb haul_verb_put;
extern const struct haul_ctl_verb haul_verb_get;
extern const struct haul_ctl_verb haul_verb_list;
extern const struct haul_ctl_verb haul_verb_share;
extern const struct haul_ctl_verb haul_verb_synthetic;
extern const struct haul_ctl_verb haul_verb_dht;

/* ls: the datasets of this node. */
void haul_list_datasets(struct haul_request *request);

/* status.c: the facts of the control plane, then those of the data plane. */
void haul_controlplane_facts(struct haul_controlplane *plane, const struct haul_facts *facts);

/* sealing.c: the threads that seal streams as the configuration wants them, and the host's end of
 * them. Opened before the host, closed after it. */
HAUL_MUST_USE int haul_node_sealing_open(struct haul_controlplane *plane, struct haul_error *error);
struct haul_host_threads haul_node_sealing_threads(const struct haul_controlplane *plane);

/* dht.c: the DHT as the configuration wants it. Opened before the host, started when it listens.
 */
HAUL_MUST_USE int haul_node_dht_open(struct haul_controlplane *plane, struct haul_error *error);
void haul_node_dht_start(struct haul_controlplane *plane);
void haul_node_dht_facts(const struct haul_controlplane *plane, const struct haul_facts *facts);

/* relays.c: relays as the configuration wants them; likewise. */
HAUL_MUST_USE int haul_node_relays_open(struct haul_controlplane *plane, struct haul_error *error);
void haul_node_relays_start(struct haul_controlplane *plane);
void haul_node_relays_facts(const struct haul_controlplane *plane, const struct haul_facts *facts);

/* nat.c: how the node is seen; likewise. Stopped before the host is closed. */
HAUL_MUST_USE int haul_node_nat_open(struct haul_controlplane *plane, struct haul_error *error);
HAUL_MUST_USE int haul_node_nat_start(struct haul_controlplane *plane, struct haul_error *error);
/* Gives back what the gateway forwards; false while the loop has to run for it. */
bool haul_node_nat_release(struct haul_controlplane *plane);
bool haul_node_nat_released(const struct haul_controlplane *plane);
void haul_node_nat_stop(struct haul_controlplane *plane);
void haul_node_nat_close(struct haul_controlplane *plane);
void haul_node_nat_facts(const struct haul_controlplane *plane, const struct haul_facts *facts);
