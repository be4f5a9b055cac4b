/* A node's home directory: format version, identity key, lock and the names of what lies in it.
 *
 *     format         "haul home 1"
 *     identity.key   libp2p PrivateKey message, 0600
 *     config.yaml    configuration, optional
 *     lock           held by the running node
 *     control.sock   where commands reach it
 *     blocks/        the block store
 *     catalog/       which datasets there are, and with whom they are shared */
#pragma once

#include "common/error.h"
#include "controlplane/p2p/key.h"
#include "controlplane/p2p/psk.h"

#define HAUL_HOME_PATH_BYTES 1024u

struct haul_home {
    char path[HAUL_HOME_PATH_BYTES]; /* absolute */
    int directory;                   /* descriptor of the directory itself */
    int lock;                        /* -1 while it is not held */
};

/* `option` (or NULL), else $HAUL_HOME, else ~/.local/share/haul. With `make`, the directory and
 * its format file are made when they are absent; without, NODE_ABSENT then says so. */
HAUL_MUST_USE int haul_home_open(struct haul_home *home, const char *option, bool make,
                                 struct haul_error *error);
void haul_home_close(struct haul_home *home); /* gives the lock back */

/* An absolute path inside the home. */
void haul_home_path(const struct haul_home *home, const char *name,
                    char path[HAUL_HOME_PATH_BYTES]);

/* The identity key; with `make`, a fresh one when there is none. `made` may be NULL. */
HAUL_MUST_USE int haul_home_key(const struct haul_home *home, bool make, struct haul_key *key,
                                bool *made, struct haul_error *error);

/* The key of a private network from `file`, a relative one inside the home; none when it is empty.
 * A file that others may read is refused. */
HAUL_MUST_USE int haul_home_private_key(const struct haul_home *home, const char *file,
                                        struct haul_psk *psk, bool *is_private,
                                        struct haul_error *error);

/* Held until close; NODE_BUSY when another process holds it. */
HAUL_MUST_USE int haul_home_lock(struct haul_home *home, struct haul_error *error);
