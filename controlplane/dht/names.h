/* Names in multiaddrs, resolved without ever waiting: c-ares on the control thread's loop.
 *
 * /dnsaddr/NAME stands for the multiaddrs in the TXT records of _dnsaddr.NAME ("dnsaddr=..."),
 * which may be names again; where the name is followed by /p2p/PEER, only those that end with the
 * same peer count. /dns, /dns4 and /dns6 stand for the IP addresses of a host. The number of
 * questions and answers of one resolution, and how often names may lead to names, are bounded. */
#pragma once

#include "common/error.h"
#include "controlplane/p2p/multiaddr.h"

#define HAUL_NAMES_DEPTH_MAX     4u
#define HAUL_NAMES_QUESTIONS_MAX 32u
#define HAUL_NAMES_ADDRESSES_MAX 32u

struct haul_loop;
struct haul_names;

/* `servers`: "192.0.2.1:53,..."; NULL or "": those that the system is configured with. */
HAUL_MUST_USE int haul_names_open(struct haul_names **names, struct haul_loop *loop,
                                  const char *servers, struct haul_error *error);
/* What is under way is told with no addresses. NULL is welcome. */
void haul_names_close(struct haul_names *names);

/* Called once, never from inside haul_names_resolve; an address without a name is given as it is.
 */
typedef void haul_names_fn(void *context, const struct haul_multiaddr *addresses, size_t count);
void haul_names_resolve(struct haul_names *names, const struct haul_multiaddr *address,
                        haul_names_fn *done, void *context);

/* One TXT string behind an address with a name: is it an answer, and which? Pure. */
HAUL_MUST_USE bool haul_names_answer(const struct haul_multiaddr *asked, const uint8_t *text,
                                     size_t bytes, struct haul_multiaddr *answer);
