/* Descriptors of pack files: a table of open ones, the least recently used closed when its place is
 * needed. There is a place for every operation that can be in progress, so one is always to be had.
 */
#include "dataplane/store/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* An empty place, or that of the least recently used file that nobody uses, closed. */
static struct pack_file *vacate(struct file_store *store)
{
    struct pack_file *oldest = NULL;

    for (uint32_t i = 0; i < STORE_FILES; i++) {
        struct pack_file *file = &store->files[i];

        if (file->fd < 0)
            return file;
        if (file->users == 0 && (oldest == NULL || file->used_at < oldest->used_at))
            oldest = file;
    }
    haul_assert(oldest != NULL);
    close(oldest->fd);
    oldest->fd = -1;
    return oldest;
}

static int open_into(struct file_store *store, uint64_t id, bool sealed, int flags,
                     struct pack_file **out)
{
    struct pack_file *file = vacate(store);
    char name[HAUL_PACK_NAME_BYTES];
    int fd;

    haul_pack_name(id, sealed, name);
    if (store->direct)
        flags |= O_DIRECT;
    fd = openat(store->directory, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    *file = (struct pack_file){ .id = id, .fd = fd, .users = 1, .used_at = ++store->clock };
    *out = file;
    return 0;
}

int pack_file_borrow(struct file_store *store, uint64_t id, struct pack_file **out)
{
    for (uint32_t i = 0; i < STORE_FILES; i++) {
        struct pack_file *file = &store->files[i];

        if (file->fd >= 0 && file->id == id && !file->dead) {
            file->users++;
            file->used_at = ++store->clock;
            *out = file;
            return 0;
        }
    }
    return open_into(store, id, true, O_RDONLY, out);
}

int pack_file_create(struct file_store *store, uint64_t id, struct pack_file **out)
{
    return open_into(store, id, false, O_RDWR | O_CREAT | O_EXCL, out);
}

void pack_file_release(struct pack_file *file)
{
    haul_assert(file->users > 0);
    file->users--;
    if (file->users == 0 && file->dead) {
        close(file->fd);
        file->fd = -1;
    }
}
