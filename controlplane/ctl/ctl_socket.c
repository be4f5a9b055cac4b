/* A path longer than a Unix address holds is reached through the home's own descriptor. */
#include "controlplane/ctl/ctl_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_FILE "control.sock"

static void address_of(const struct haul_home *home, struct sockaddr_un *address)
{
    char path[HAUL_HOME_PATH_BYTES];
    size_t length;

    haul_home_path(home, SOCKET_FILE, path);
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    length = strlen(path);
    if (length < sizeof address->sun_path)
        memcpy(address->sun_path, path, length + 1);
    else
        snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/" SOCKET_FILE,
                 home->directory);
}

static int group_grant(const struct haul_home *home, const char *name, struct haul_error *error)
{
    const struct group *group = getgrnam(name);

    if (group == NULL)
        return haul_fail(error, HAUL_E_CONFIG_KEY, "control.group: there is no group '%.40s'",
                         name);
    if (fchownat(home->directory, SOCKET_FILE, (uid_t)-1, group->gr_gid, 0) < 0 ||
        fchmodat(home->directory, SOCKET_FILE, 0660, 0) < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "cannot give the control socket to '%.40s': %s",
                         name, strerror(errno));
    return 0;
}

int haul_ctl_socket_listen(const struct haul_home *home, const char *group, int *fd,
                           struct haul_error *error)
{
    struct sockaddr_un address;
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (made < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "no Unix socket: %s", strerror(errno));
    address_of(home, &address);
    haul_ctl_socket_unlink(home);
    if (bind(made, (const struct sockaddr *)&address, sizeof address) < 0 ||
        fchmodat(home->directory, SOCKET_FILE, 0600, 0) < 0) {
        haul_fail(error, HAUL_E_SYSTEM, "cannot bind %s/" SOCKET_FILE ": %s", home->path,
                  strerror(errno));
        close(made);
        return -1;
    }
    if (group != NULL && group[0] != '\0' && group_grant(home, group, error) < 0) {
        close(made);
        return -1;
    }
    if (listen(made, 64) < 0) {
        close(made);
        return haul_fail(error, HAUL_E_SYSTEM, "cannot listen on the control socket: %s",
                         strerror(errno));
    }
    *fd = made;
    return 0;
}

void haul_ctl_socket_unlink(const struct haul_home *home)
{
    unlinkat(home->directory, SOCKET_FILE, 0);
}

int haul_ctl_socket_connect(const struct haul_home *home, int *fd, struct haul_error *error)
{
    struct sockaddr_un address;
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int why;

    if (made < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "no Unix socket: %s", strerror(errno));
    address_of(home, &address);
    if (connect(made, (const struct sockaddr *)&address, sizeof address) == 0) {
        *fd = made;
        return 0;
    }
    why = errno;
    close(made);
    if (why == ENOENT || why == ECONNREFUSED)
        return haul_fail(error, HAUL_E_NODE_ABSENT, "no node runs in %s", home->path);
    return haul_fail(error, HAUL_E_SYSTEM, "cannot reach the node in %s: %s", home->path,
                     strerror(why));
}
