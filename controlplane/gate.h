/* Which peers this node has to do with: an allow list and a deny list of peer ids. Denied wins; an
 * allow list with an entry keeps everybody else out. Made once at start; any thread may ask. */
#pragma once

#include "common/error.h"
#include "controlplane/home.h"

#define HAUL_GATE_PEERS_MAX      65536u
#define HAUL_GATE_FILE_BYTES_MAX (8u << 20)

struct haul_gate;

/* Each list: peer ids separated by commas, spaces or line ends, or "@FILE" for a file that holds
 * such (a relative one is inside the home; `#` begins a comment). NULL gate: both are empty. */
HAUL_MUST_USE int haul_gate_open(struct haul_gate **gate, const struct haul_home *home,
                                 const char *allow, const char *deny, struct haul_error *error);
void haul_gate_close(struct haul_gate *gate); /* NULL is welcome */

bool haul_gate_allows(const struct haul_gate *gate, const struct haul_peer_id *peer);
size_t haul_gate_allow_count(const struct haul_gate *gate);
size_t haul_gate_deny_count(const struct haul_gate *gate);
