#include "controlplane/cmd/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first entry that is not itself or its parent, or NULL. */
static const struct dirent *entry_next(DIR *directory)
{
    const struct dirent *entry;

    do {
        entry = readdir(directory);
    } while (entry != NULL &&
             (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry;
}

void haul_tree_remove(int parent, const char *name)
{
    const struct dirent *entry;
    DIR *directory;
    int fd;

    if (unlinkat(parent, name, 0) == 0 || (errno != EISDIR && errno != EPERM))
        return;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    fchmod(fd, 0700);
    directory = fdopendir(fd);
    if (directory == NULL) {
        close(fd);
        return;
    }
    while ((entry = entry_next(directory)) != NULL)
        haul_tree_remove(fd, entry->d_name);
    closedir(directory);
    unlinkat(parent, name, AT_REMOVEDIR);
}
