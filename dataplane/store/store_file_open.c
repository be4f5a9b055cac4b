/* Opening of the file backend: the directory and its lock, the probe for O_DIRECT, and the footers
 * of all packs. What was never renamed was never acknowledged, and is removed. */
#include "dataplane/store/store_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether this file system takes direct I/O at our alignment: asked with a real write, because some
 * accept the flag and refuse the transfer. */
static bool probe_direct(const struct file_store *store)
{
    static const char name[] = "direct.probe";
    int fd = openat(store->directory, name,
                    O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool works;

    if (fd < 0)
        return false;
    works = pwrite(fd, store->stages[0].data, HAUL_PACK_ALIGN, 0) == HAUL_PACK_ALIGN &&
            pread(fd, store->stages[0].data, HAUL_PACK_ALIGN, 0) == HAUL_PACK_ALIGN;
    close(fd);
    (void)unlinkat(store->directory, name, 0);
    return works;
}

/* Enters every block of a valid footer. A block that two packs hold keeps its first place. */
static int enter_footer(struct file_store *store, const uint8_t *footer,
                        const struct haul_pack_trailer *trailer)
{
    for (uint32_t i = 0; i < trailer->count; i++) {
        struct haul_pack_block block;
        struct haul_index_entry entry;
        int result;

        haul_pack_entry(footer, i, &block);
        entry = (struct haul_index_entry){ .hash = block.hash,
                                           .pack = (uint32_t)trailer->id,
                                           .length = block.length,
                                           .at = block.at };
        result = haul_index_add(&store->index, &entry);
        if (result == 0)
            store->bytes += block.length;
        else if (result != -EEXIST)
            return result;
    }
    return 0;
}

/* 0, -EBADMSG for a footer that does not hold, or another -errno. */
static int load_footer(struct file_store *store, int fd, uint64_t id)
{
    uint8_t data[HAUL_PACK_TRAILER_BYTES];
    struct haul_pack_trailer trailer;
    struct stat facts;
    uint64_t bytes;
    uint8_t *footer;
    int result = -EBADMSG;

    if (fstat(fd, &facts) != 0)
        return -errno;
    if (facts.st_size < (off_t)sizeof data)
        return -EBADMSG;
    if (pread(fd, data, sizeof data, facts.st_size - (off_t)sizeof data) != (ssize_t)sizeof data)
        return -EBADMSG;
    if (!haul_pack_trailer_decode(data, (uint64_t)facts.st_size, &trailer) || trailer.id != id)
        return -EBADMSG;
    bytes = (uint64_t)facts.st_size - trailer.at;
    footer = malloc(bytes);
    if (footer == NULL)
        return -ENOMEM;
    if (pread(fd, footer, bytes, (off_t)trailer.at) == (ssize_t)bytes &&
        haul_pack_footer_valid(footer, bytes, &trailer))
        result = enter_footer(store, footer, &trailer);
    free(footer);
    return result;
}

static int load_pack(struct file_store *store, const char *name, uint64_t id)
{
    int fd = openat(store->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int result;

    if (fd < 0)
        return -errno;
    result = load_footer(store, fd, id);
    close(fd);
    if (result == -EBADMSG) {
        store->damaged_packs++;
        return 0;
    }
    return result;
}

static int load_entry(struct file_store *store, const char *name)
{
    uint64_t id;
    bool sealed;

    if (!haul_pack_name_parse(name, &id, &sealed) || id == 0 || id > HAUL_PACK_ID_MAX)
        return 0;
    if (id > store->last_id)
        store->last_id = id;
    if (sealed)
        return load_pack(store, name, id);
    return unlinkat(store->directory, name, 0) == 0 ? 0 : -errno;
}

/* The final flush makes renames durable that a crash cut off from theirs: from here on their blocks
 * count as stored. */
static int load(struct file_store *store)
{
    int fd = openat(store->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    int result = listing == NULL ? -errno : 0;

    if (listing == NULL) {
        if (fd >= 0)
            close(fd);
        return result;
    }
    while (result == 0) {
        const struct dirent *entry;

        errno = 0;
        entry = readdir(listing);
        if (entry == NULL) {
            result = -errno;
            break;
        }
        result = load_entry(store, entry->d_name);
    }
    closedir(listing);
    if (result == 0 && fsync(store->directory) != 0)
        result = -errno;
    return result;
}

/* Stages first, each aligned for O_DIRECT, then the writers' footers. */
static int carve(struct file_store *store)
{
    size_t bytes = (size_t)STORE_STAGES * STORE_STAGE_BYTES +
                   (size_t)STORE_WRITERS * HAUL_PACK_FOOTER_BYTES_MAX;
    uint8_t *at = aligned_alloc(HAUL_PACK_ALIGN, bytes);

    if (at == NULL)
        return -ENOMEM;
    store->memory = at;
    memset(at, 0, bytes);
    for (uint32_t i = 0; i < STORE_STAGES; i++, at += STORE_STAGE_BYTES)
        store->stages[i].data = at;
    for (uint32_t i = 0; i < STORE_WRITERS; i++, at += HAUL_PACK_FOOTER_BYTES_MAX)
        store->writers[i].footer = at;
    for (uint32_t i = 0; i < STORE_FILES; i++)
        store->files[i].fd = -1;
    for (uint32_t i = HAUL_STORE_QUEUE; i > 0; i--)
        store->free_ops[store->free_op_count++] = (uint16_t)(i - 1);
    return haul_index_open(&store->index);
}

static int open_directory(struct file_store *store, const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return -errno;
    store->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->directory < 0)
        return -errno;
    return flock(store->directory, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
}

int haul_store_file_open(struct haul_store **out, const struct haul_store_conf *conf,
                         struct haul_error *error)
{
    struct file_store *store = calloc(1, sizeof *store);
    int result;

    if (store == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the store");
    haul_assert(conf->io_tag_bit > UINT32_MAX);
    store->base.backend = &haul_store_file_backend;
    store->io = conf->io;
    store->tag_bit = conf->io_tag_bit;
    store->directory = -1;
    (void)snprintf(store->name, sizeof store->name, "file/%s", haul_io_name(conf->io));
    result = carve(store);
    if (result == 0)
        result = open_directory(store, conf->directory);
    if (result == 0) {
        store->direct = probe_direct(store);
        result = load(store);
    }
    if (result == 0) {
        *out = &store->base;
        return 0;
    }
    if (store->directory >= 0)
        close(store->directory);
    haul_index_close(&store->index);
    free(store->memory);
    free(store);
    if (result == -EWOULDBLOCK)
        return haul_fail(error, HAUL_E_NODE_BUSY, "the store %s is in use", conf->directory);
    return haul_fail(error, HAUL_E_STORE_FAILED, "the store %s cannot be opened: %s",
                     conf->directory, strerror(-result));
}
