/* Inside of a node: for node.c and the verbs of the control socket. */
#pragma once

#include "controlplane/controlplane.h"
#include "controlplane/ctl/server.h"
#include "controlplane/gate.h"
#include "controlplane/transfer/parts.h"

struct haul_controlplane {
    struct haul_controlplane_conf conf;
    struct haul_parts parts;
    struct haul_ctl *ctl;
    struct haul_relay *relay;
    struct haul_dcutr *dcutr;
    struct haul_reachability *reach;
    struct haul_mapping *mapping;       /* NULL unless the gateway may be asked */
    struct haul_neighbours *neighbours; /* NULL unless they are looked for */
    struct haul_perf *perf;             /* NULL unless the node was started for rate tests */
    struct haul_gate *gate;
    struct haul_psk psk; /* where is_private */
    bool is_private;
    char dht_protocol[64]; /* what the streams of the DHT are called */
    struct haul_watch *signals;
    int signal_fd;
    struct haul_transfer *transfers;
    struct haul_faster faster;
    haul_time started;
};

/* One a file, ctl/serve_NAME.c. */
extern const struct haul_ctl_verb haul_verb_status;
extern const struct haul_ctl_verb haul_verb_put;
extern const struct haul_ctl_verb haul_verb_get;
extern const struct haul_ctl_verb haul_verb_list;
extern const struct haul_ctl_verb haul_verb_share;
extern const struct haul_ctl_verb haul_verb_synthetic;
extern const struct haul_ctl_verb haul_verb_dht;

/* ls: the datasets of this node. */
void haul_list_datasets(struct haul_request *request);

/* The facts of the control plane, then those of the data plane. */
void haul_controlplane_facts(struct haul_controlplane *plane, const struct haul_facts *facts);

/* join.c: the DHT as the configuration wants it. Opened before the host, started when it listens.
 */
HAUL_MUST_USE int haul_join_open(struct haul_controlplane *plane, struct haul_error *error);
void haul_join_start(struct haul_controlplane *plane);
void haul_join_facts(const struct haul_controlplane *plane, const struct haul_facts *facts);

/* through.c: relays as the configuration wants them; likewise. */
HAUL_MUST_USE int haul_through_open(struct haul_controlplane *plane, struct haul_error *error);
void haul_through_start(struct haul_controlplane *plane);
void haul_through_facts(const struct haul_controlplane *plane, const struct haul_facts *facts);

/* outside.c: how the node is seen; likewise. Stopped before the host is closed. */
HAUL_MUST_USE int haul_outside_open(struct haul_controlplane *plane, struct haul_error *error);
HAUL_MUST_USE int haul_outside_start(struct haul_controlplane *plane, struct haul_error *error);
/* Gives back what the gateway forwards; false while the loop has to run for it. */
bool haul_outside_release(struct haul_controlplane *plane);
bool haul_outside_released(const struct haul_controlplane *plane);
void haul_outside_stop(struct haul_controlplane *plane);
void haul_outside_close(struct haul_controlplane *plane);
void haul_outside_facts(const struct haul_controlplane *plane, const struct haul_facts *facts);
