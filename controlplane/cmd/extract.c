#include "controlplane/cmd/extract.h"

#include "controlplane/cmd/tree.h"
#include "controlplane/content/name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEP_BYTES_MIN (UINT64_C(1) << 20) /* less comes again at once */
#define CID_TAIL       16u                 /* of a CID, in the name of a part: 80 bits */

static int unwritable(const struct haul_extract *extract, const char *what,
                      struct haul_error *error)
{
    return haul_fail(error, HAUL_E_TARGET_UNWRITABLE, "%s '%.120s': %s", what, extract->target,
                     strerror(errno));
}

/* Splits the target into the directory that holds it, opened, and its name in there. */
static int target_split(struct haul_extract *extract, struct haul_error *error)
{
    char path[PATH_MAX];
    size_t length = strlen(extract->target);
    char *slash;

    while (length > 1 && extract->target[length - 1] == '/')
        length--;
    if (length == 0 || length >= sizeof path)
        return haul_fail(error, HAUL_E_TARGET_NAME, "the target path is empty or too long");
    memcpy(path, extract->target, length);
    path[length] = '\0';
    slash = strrchr(path, '/');
    if (strlen(slash == NULL ? path : slash + 1) > NAME_MAX - 32)
        return haul_fail(error, HAUL_E_TARGET_NAME, "the name of the target is too long");
    snprintf(extract->name, sizeof extract->name, "%s", slash == NULL ? path : slash + 1);
    if (extract->name[0] == '\0' || strcmp(extract->name, ".") == 0 ||
        strcmp(extract->name, "..") == 0)
        return haul_fail(error, HAUL_E_TARGET_EXISTS, "the target '%.120s' is a directory",
                         extract->target);
    if (slash != NULL)
        slash[slash == path ? 1 : 0] = '\0';
    extract->parent = open(slash == NULL ? "." : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return extract->parent < 0 ? unwritable(extract, "cannot open the directory of", error) : 0;
}

int haul_extract_open(struct haul_extract *extract, const char *target, struct haul_error *error)
{
    struct stat facts;

    *extract =
        (struct haul_extract){ .target = target, .parent = -1, .root = -1, .lock = -1, .near = -1 };
    for (size_t i = 0; i < HAUL_EXTRACT_FILES_MAX; i++)
        extract->files[i] = -1;
    if (target_split(extract, error) < 0)
        return -1;
    if (fstatat(extract->parent, extract->name, &facts, AT_SYMLINK_NOFOLLOW) == 0) {
        haul_fail(error, HAUL_E_TARGET_EXISTS, "the target '%.120s' exists", target);
    } else if (faccessat(extract->parent, ".", W_OK | X_OK, AT_EACCESS) < 0) {
        unwritable(extract, "cannot write into the directory of", error);
    } else {
        return 0;
    }
    close(extract->parent);
    extract->parent = -1;
    return -1;
}

static void facts_keep(struct haul_extract *extract, size_t file, const Haul__Ctl__Entry *entry)
{
    extract->facts[file] = *entry;
    extract->facts[file].path = extract->facts[file].target = (ProtobufCBinaryData){ 0 };
    extract->facts[file].cid = NULL;
}

static int facts_apply(struct haul_extract *extract, int fd, const Haul__Ctl__Entry *entry,
                       struct haul_error *error)
{
    const struct timespec times[2] = {
        { .tv_nsec = UTIME_OMIT },
        { .tv_sec = entry->mtime_seconds, .tv_nsec = (long)entry->mtime_nanoseconds },
    };

    if (entry->has_mode && fchmod(fd, entry->mode & 0777) < 0)
        return unwritable(extract, "cannot set a mode in", error);
    if (entry->has_mtime && futimens(fd, times) < 0)
        return unwritable(extract, "cannot set a time in", error);
    return 0;
}

static int hostile(struct haul_error *error)
{
    return haul_fail(error, HAUL_E_MANIFEST_HOSTILE, "a path of the dataset is not allowed");
}

/* What a link points to, as a C string: none that is cut short, or that a zero byte would cut. */
static bool link_target(const Haul__Ctl__Entry *entry, char target[PATH_MAX])
{
    if (entry->target.len == 0 || entry->target.len >= PATH_MAX ||
        memchr(entry->target.data, 0, entry->target.len) != NULL)
        return false;
    memcpy(target, entry->target.data, entry->target.len);
    target[entry->target.len] = '\0';
    return true;
}

/* --- the part --- */

/* The part of one dataset has one name, so that the next get of it finds what this one leaves; one
 * that is in other hands is not touched: then the name is our own. */
static void part_name(struct haul_extract *extract, const Haul__Ctl__Entry *entry, bool own)
{
    size_t length = strlen(entry->cid);

    extract->own = own || length < CID_TAIL;
    if (extract->own)
        snprintf(extract->part, sizeof extract->part, "%.220s.haul-part-%d", extract->name,
                 (int)getpid());
    else
        snprintf(extract->part, sizeof extract->part, "%.220s.haul-part-%s", extract->name,
                 entry->cid + length - CID_TAIL);
}

static int part_make(const struct haul_extract *extract, const Haul__Ctl__Entry *entry)
{
    if (entry->kind == HAUL__CTL__KIND__FILE)
        return openat(extract->parent, extract->part,
                      O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (mkdirat(extract->parent, extract->part, entry->has_mode ? 0700 : 0777) < 0)
        return -1;
    return openat(extract->parent, extract->part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Ours, and under one name alone: what is written into it is written nowhere else. */
static bool is_ours(const struct stat *facts)
{
    return facts->st_uid == geteuid() &&
           (S_ISDIR(facts->st_mode) || (S_ISREG(facts->st_mode) && facts->st_nlink == 1));
}

/* A file that an earlier get left, complete or not, with a mode of its own perhaps. -1 when it is
 * nothing to write into. */
static int file_reopen(int directory, const char *name)
{
    struct stat facts;
    int made;

    if (fstatat(directory, name, &facts, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(facts.st_mode) ||
        !is_ours(&facts))
        return -1;
    made = openat(directory, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (made >= 0 || errno != EACCES)
        return made;
    made = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (made < 0)
        return -1;
    (void)fchmod(made, 0600);
    close(made);
    return openat(directory, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
}

/* Its mode may be set already; it is set again at its end. */
static int directory_reopen(int directory, const char *name, bool has_mode)
{
    struct stat facts;
    int made = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (made >= 0 &&
        (fstat(made, &facts) < 0 || !is_ours(&facts) || (has_mode && fchmod(made, 0700) < 0))) {
        close(made);
        return -1;
    }
    return made;
}

/* One get at a time works in a part. The lock is on a description of its own, which is handed to
 * nobody, so it ends with this command. Who had it before may have renamed the part meanwhile. */
static bool part_lock(struct haul_extract *extract, int made)
{
    struct stat named, opened;
    bool locked;

    extract->lock =
        openat(extract->parent, extract->part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (extract->lock < 0)
        return false;
    /* Without locks on this file system nobody can tell. */
    locked = flock(extract->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (locked && fstat(made, &opened) == 0 &&
        fstatat(extract->parent, extract->part, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        named.st_dev == opened.st_dev && named.st_ino == opened.st_ino)
        return true;
    close(extract->lock);
    extract->lock = -1;
    return false;
}

static int part_open(struct haul_extract *extract, const Haul__Ctl__Entry *entry)
{
    int made;

    part_name(extract, entry, false);
    made = part_make(extract, entry);
    if (extract->own || (made < 0 && errno != EEXIST))
        return made;
    if (made < 0) {
        made = entry->kind == HAUL__CTL__KIND__FILE
                   ? file_reopen(extract->parent, extract->part)
                   : directory_reopen(extract->parent, extract->part, entry->has_mode);
        extract->resumed = made >= 0;
    }
    if (made >= 0 && part_lock(extract, made))
        return made;
    if (made >= 0)
        close(made);
    extract->resumed = false;
    part_name(extract, entry, true);
    return part_make(extract, entry);
}

/* A part that is a link is made at the end of nothing and kept by nobody. */
static int part_link(struct haul_extract *extract, const Haul__Ctl__Entry *entry,
                     const char *target)
{
    part_name(extract, entry, true);
    return symlinkat(target, extract->parent, extract->part) < 0 ? -1 : dup(extract->parent);
}

/* What an earlier get left in a file, to be looked at before it is fetched; never more than the
 * file is to have. */
static int held_of(int fd, const Haul__Ctl__Entry *entry, uint64_t *held)
{
    struct stat facts;

    if (fstat(fd, &facts) < 0)
        return -1;
    if ((uint64_t)facts.st_size > entry->size) {
        if (ftruncate(fd, (off_t)entry->size) < 0)
            return -1;
        facts.st_size = (off_t)entry->size;
    }
    *held = (uint64_t)facts.st_size;
    return 0;
}

static int file_hand_out(struct haul_extract *extract, const Haul__Ctl__Entry *entry, int made,
                         struct haul_extract_file *file, struct haul_error *error)
{
    if (extract->resumed && held_of(made, entry, &file->held) < 0)
        return unwritable(extract, "cannot read what is left of a file in", error);
    file->fd = dup(made);
    return file->fd < 0 ? unwritable(extract, "cannot keep a file open in", error) : 0;
}

/* The target itself, as its part. */
static int root_make(struct haul_extract *extract, const Haul__Ctl__Entry *entry,
                     struct haul_extract_file *file, struct haul_error *error)
{
    char target[PATH_MAX];
    size_t number = entry->id % HAUL_EXTRACT_FILES_MAX;
    int made = -1;

    switch (entry->kind) {
    case HAUL__CTL__KIND__DIRECTORY:
    case HAUL__CTL__KIND__FILE:
        extract->is_directory = entry->kind == HAUL__CTL__KIND__DIRECTORY;
        made = part_open(extract, entry);
        break;
    case HAUL__CTL__KIND__LINK:
        extract->is_link = true;
        if (!link_target(entry, target))
            return hostile(error);
        made = part_link(extract, entry, target);
        break;
    case HAUL__CTL__KIND__DIRECTORY_END:
    case HAUL__CTL__KIND__INPUT:
    case _HAUL__CTL__KIND_IS_INT_SIZE:
        errno = EINVAL;
        break;
    }
    if (made < 0)
        return unwritable(extract, "cannot make the part beside", error);
    extract->root = made;
    if (entry->kind != HAUL__CTL__KIND__FILE)
        return 0;
    extract->files[number] = dup(made);
    facts_keep(extract, number, entry);
    return file_hand_out(extract, entry, made, file, error);
}

/* --- what is in it --- */

/* Names with one separator between each two of them, and none at either end. */
static bool path_allowed(const char *path)
{
    for (;;) {
        size_t bytes = strcspn(path, "/");

        if (!haul_name_allowed(path, bytes))
            return false;
        if (path[bytes] == '\0')
            return true;
        path += bytes + 1;
    }
}

/* The directory `path` (below the part), reached name by name and never through a link. */
static int near_open(struct haul_extract *extract, const char *path, struct haul_error *error)
{
    int at;

    if (extract->near >= 0 && strcmp(path, extract->near_path) == 0)
        return 0;
    at = dup(extract->root);
    for (const char *name = path; at >= 0 && *name != '\0';) {
        char text[HAUL_NAME_BYTES_MAX + 1];
        size_t bytes = strcspn(name, "/");
        int next;

        memcpy(text, name, bytes);
        text[bytes] = '\0';
        next = openat(at, text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close(at);
        at = next;
        name += bytes + (name[bytes] == '/');
    }
    if (at < 0)
        return unwritable(extract, "cannot open a directory in", error);
    if (extract->near >= 0)
        close(extract->near);
    extract->near = at;
    snprintf(extract->near_path, sizeof extract->near_path, "%s", path);
    return 0;
}

/* In a part that was taken over the file may be there; what cannot be written into makes room. */
static int file_open(const struct haul_extract *extract, const char *name)
{
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int made = openat(extract->near, name, flags, 0666);

    if (made >= 0 || errno != EEXIST || !extract->resumed)
        return made;
    made = file_reopen(extract->near, name);
    if (made >= 0 || unlinkat(extract->near, name, 0) < 0)
        return made;
    return openat(extract->near, name, flags, 0666);
}

static int file_make(struct haul_extract *extract, const Haul__Ctl__Entry *entry, const char *name,
                     struct haul_extract_file *file, struct haul_error *error)
{
    size_t number = entry->id;
    int made;

    if (number >= HAUL_EXTRACT_FILES_MAX || extract->files[number] >= 0)
        return haul_fail(error, HAUL_E_INTERNAL, "the node opened one file twice");
    made = file_open(extract, name);
    if (made < 0)
        return unwritable(extract, "cannot make a file in", error);
    extract->files[number] = made;
    facts_keep(extract, number, entry);
    return file_hand_out(extract, entry, made, file, error);
}

static int directory_make(const struct haul_extract *extract, const Haul__Ctl__Entry *entry,
                          const char *name)
{
    int made;

    if (mkdirat(extract->near, name, entry->has_mode ? 0700 : 0777) == 0)
        return 0;
    if (errno != EEXIST || !extract->resumed)
        return -1;
    made = directory_reopen(extract->near, name, entry->has_mode);
    if (made >= 0)
        close(made);
    return made < 0 ? -1 : 0;
}

static int link_make(const struct haul_extract *extract, const char *target, const char *name)
{
    if (symlinkat(target, extract->near, name) == 0)
        return 0;
    if (errno != EEXIST || !extract->resumed || unlinkat(extract->near, name, 0) < 0)
        return -1;
    return symlinkat(target, extract->near, name);
}

static int directory_end(struct haul_extract *extract, const Haul__Ctl__Entry *entry,
                         const char *path, struct haul_error *error)
{
    if (near_open(extract, path, error) < 0)
        return -1;
    return facts_apply(extract, extract->near, entry, error);
}

static int entry_make(struct haul_extract *extract, const Haul__Ctl__Entry *entry, char *path,
                      struct haul_extract_file *file, struct haul_error *error)
{
    char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    char target[PATH_MAX];

    if (slash != NULL)
        *slash = '\0';
    if (near_open(extract, slash == NULL ? "" : path, error) < 0)
        return -1;
    switch (entry->kind) {
    case HAUL__CTL__KIND__FILE:
        return file_make(extract, entry, name, file, error);
    case HAUL__CTL__KIND__DIRECTORY:
        if (directory_make(extract, entry, name) < 0)
            return unwritable(extract, "cannot make a directory in", error);
        return 0;
    case HAUL__CTL__KIND__LINK:
        if (!link_target(entry, target))
            return hostile(error);
        if (link_make(extract, target, name) < 0)
            return unwritable(extract, "cannot make a link in", error);
        return 0;
    case HAUL__CTL__KIND__DIRECTORY_END:
    case HAUL__CTL__KIND__INPUT:
    case _HAUL__CTL__KIND_IS_INT_SIZE:
        break;
    }
    return haul_fail(error, HAUL_E_INTERNAL, "the node sent an unknown kind of entry");
}

int haul_extract_entry(struct haul_extract *extract, const Haul__Ctl__Entry *entry,
                       struct haul_extract_file *file, struct haul_error *error)
{
    char path[PATH_MAX];

    *file = (struct haul_extract_file){ .fd = -1 };
    if (entry->path.len >= sizeof path)
        return hostile(error);
    if (entry->path.len > 0)
        memcpy(path, entry->path.data, entry->path.len);
    path[entry->path.len] = '\0';
    if (strlen(path) != entry->path.len || (path[0] != '\0' && !path_allowed(path)))
        return hostile(error);
    if (entry->kind == HAUL__CTL__KIND__DIRECTORY_END)
        return directory_end(extract, entry, path, error);
    extract->made++;
    if (path[0] == '\0')
        return extract->root >= 0 ? haul_fail(error, HAUL_E_INTERNAL, "the node named two targets")
                                  : root_make(extract, entry, file, error);
    if (extract->root < 0 || !extract->is_directory)
        return hostile(error);
    return entry_make(extract, entry, path, file, error);
}

static uint64_t bytes_on_disk(int fd)
{
    struct stat facts;

    return fstat(fd, &facts) == 0 ? (uint64_t)facts.st_blocks * 512 : 0;
}

int haul_extract_finished(struct haul_extract *extract, uint64_t id, struct haul_error *error)
{
    int failed;

    if (id >= HAUL_EXTRACT_FILES_MAX || extract->files[id] < 0)
        return haul_fail(error, HAUL_E_INTERNAL, "the node finished a file that is not open");
    extract->bytes += bytes_on_disk(extract->files[id]);
    failed = facts_apply(extract, extract->files[id], &extract->facts[id], error);
    close(extract->files[id]);
    extract->files[id] = -1;
    return failed;
}

int haul_extract_commit(struct haul_extract *extract, struct haul_error *error)
{
    int failed;

    if (extract->root < 0)
        return haul_fail(error, HAUL_E_INTERNAL, "the node sent nothing");
    failed = extract->is_directory ? syncfs(extract->root)
             : extract->is_link    ? 0
                                   : fsync(extract->root);
    if (failed < 0)
        return unwritable(extract, "cannot flush", error);
    failed =
        renameat2(extract->parent, extract->part, extract->parent, extract->name, RENAME_NOREPLACE);
    /* Some file systems cannot refuse to replace; the target was not there when this began. */
    if (failed < 0 && errno == EINVAL)
        failed = renameat(extract->parent, extract->part, extract->parent, extract->name);
    if (failed < 0 && errno == EEXIST)
        return haul_fail(error, HAUL_E_TARGET_EXISTS, "the target '%.120s' exists by now",
                         extract->target);
    if (failed < 0 || fsync(extract->parent) < 0)
        return unwritable(extract, "cannot rename the part to", error);
    extract->part[0] = '\0';
    return 0;
}

bool haul_extract_keep(struct haul_extract *extract, char part[PATH_MAX])
{
    size_t before = strlen(extract->target);

    if (extract->root < 0 || extract->part[0] == '\0' || extract->own)
        return false;
    for (size_t i = 0; i < HAUL_EXTRACT_FILES_MAX; i++) {
        if (extract->files[i] >= 0)
            extract->bytes += bytes_on_disk(extract->files[i]);
    }
    if (!extract->resumed && extract->bytes < KEEP_BYTES_MIN)
        return false;
    while (before > 0 && extract->target[before - 1] == '/')
        before--;
    while (before > 0 && extract->target[before - 1] != '/')
        before--;
    snprintf(part, PATH_MAX, "%.*s%s", (int)before, extract->target, extract->part);
    extract->part[0] = '\0';
    return true;
}

void haul_extract_close(struct haul_extract *extract)
{
    for (size_t i = 0; i < HAUL_EXTRACT_FILES_MAX; i++) {
        if (extract->files[i] >= 0)
            close(extract->files[i]);
    }
    if (extract->near >= 0)
        close(extract->near);
    if (extract->root >= 0 && extract->part[0] != '\0')
        haul_tree_remove(extract->parent, extract->part);
    if (extract->root >= 0)
        close(extract->root);
    if (extract->lock >= 0)
        close(extract->lock);
    if (extract->parent >= 0)
        close(extract->parent);
    extract->root = extract->parent = extract->near = extract->lock = -1;
}
