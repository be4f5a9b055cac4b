/* The address of a node's control socket, for both ends. */
#pragma once

#include "controlplane/home.h"

/* Listens on control.sock: 0600, or 0660 for `group` (a name; NULL or "" for none). Nobody can
 * connect before the permissions are right. The caller holds the home's lock. */
HAUL_MUST_USE int haul_ctl_socket_listen(const struct haul_home *home, const char *group, int *fd,
                                         struct haul_error *error);
void haul_ctl_socket_unlink(const struct haul_home *home);

/* A blocking connection; NODE_ABSENT when nobody listens. */
HAUL_MUST_USE int haul_ctl_socket_connect(const struct haul_home *home, int *fd,
                                          struct haul_error *error);
