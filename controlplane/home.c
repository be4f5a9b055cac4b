/* The directory is opened once and everything in it is reached through that descriptor, so a home
 * that is renamed under a running node stays its home. */
#include "controlplane/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT_LINE "haul home 1\n"
#define KEY_FILE    "identity.key"

static int path_resolve(const char *option, char path[HAUL_HOME_PATH_BYTES],
                        struct haul_error *error)
{
    const char *from = option != NULL ? option : getenv("HAUL_HOME");
    char here[HAUL_HOME_PATH_BYTES];
    int length;

    if (from != NULL && from[0] == '/') {
        length = snprintf(path, HAUL_HOME_PATH_BYTES, "%s", from);
    } else if (from != NULL && from[0] != '\0') {
        if (getcwd(here, sizeof here) == NULL)
            return haul_fail(error, HAUL_E_SYSTEM, "the working directory is gone");
        length = snprintf(path, HAUL_HOME_PATH_BYTES, "%s/%s", here, from);
    } else {
        from = getenv("HOME");
        if (from == NULL || from[0] != '/')
            return haul_fail(error, HAUL_E_USAGE, "$HOME is not set and no --home was given");
        length = snprintf(path, HAUL_HOME_PATH_BYTES, "%s/.local/share/haul", from);
    }
    /* Room is kept for the names inside. */
    if (length < 0 || (size_t)length > HAUL_HOME_PATH_BYTES - 64)
        return haul_fail(error, HAUL_E_USAGE, "the path of the home directory is too long");
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    return 0;
}

/* Every missing directory on the way, private to its owner. */
static int path_make(const char *path, struct haul_error *error)
{
    char part[HAUL_HOME_PATH_BYTES];
    size_t length = strlen(path);

    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return haul_fail(error, HAUL_E_SYSTEM, "cannot make %s: %s", part, strerror(errno));
        part[i] = path[i];
    }
    return 0;
}

/* A new file with this content, complete or not there at all. */
static int file_publish(int directory, const char *name, const void *data, size_t bytes,
                        struct haul_error *error)
{
    char part[64];
    int fd;
    bool good;

    snprintf(part, sizeof part, ".%s.%d", name, (int)getpid());
    fd = openat(directory, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "cannot make %s in the home: %s", name,
                         strerror(errno));
    good = write(fd, data, bytes) == (ssize_t)bytes && fsync(fd) == 0;
    close(fd);
    /* A link never replaces what another process published meanwhile. */
    good = good && (linkat(directory, part, directory, name, 0) == 0 || errno == EEXIST);
    unlinkat(directory, part, 0);
    if (!good)
        return haul_fail(error, HAUL_E_SYSTEM, "cannot write %s in the home: %s", name,
                         strerror(errno));
    return fsync(directory) == 0
               ? 0
               : haul_fail(error, HAUL_E_SYSTEM, "cannot flush the home: %s", strerror(errno));
}

/* Bytes read, at most `capacity`; -1 with errno. Opening a pipe must not wait for its writer. */
static ssize_t file_read(int directory, const char *name, void *data, size_t capacity,
                         struct stat *facts)
{
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t got;

    if (fd < 0)
        return -1;
    got = fstat(fd, facts) < 0 ? -1 : S_ISREG(facts->st_mode) ? read(fd, data, capacity) : 0;
    close(fd);
    return got;
}

static int format_check(struct haul_home *home, bool make, struct haul_error *error)
{
    char text[64];
    struct stat facts;
    ssize_t got = file_read(home->directory, "format", text, sizeof text, &facts);

    if (got < 0 && errno == ENOENT && make) {
        if (file_publish(home->directory, "format", FORMAT_LINE, strlen(FORMAT_LINE), error) < 0)
            return -1;
        got = file_read(home->directory, "format", text, sizeof text, &facts);
    }
    if (got < 0 && errno == ENOENT)
        return haul_fail(error, HAUL_E_NODE_ABSENT, "%s is not the home of a node", home->path);
    if (got != (ssize_t)strlen(FORMAT_LINE) || memcmp(text, FORMAT_LINE, (size_t)got) != 0)
        return haul_fail(error, HAUL_E_HOME_FORMAT, "%s/format does not say '%.11s'", home->path,
                         FORMAT_LINE);
    return 0;
}

int haul_home_open(struct haul_home *home, const char *option, bool make, struct haul_error *error)
{
    struct haul_home opened = { .directory = -1, .lock = -1 };

    if (path_resolve(option, opened.path, error) < 0 || (make && path_make(opened.path, error) < 0))
        return -1;
    opened.directory = open(opened.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened.directory < 0 && errno == ENOENT)
        return haul_fail(error, HAUL_E_NODE_ABSENT, "there is no directory %s", opened.path);
    if (opened.directory < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "cannot open %s: %s", opened.path, strerror(errno));
    if (format_check(&opened, make, error) < 0) {
        haul_home_close(&opened);
        return -1;
    }
    *home = opened;
    return 0;
}

void haul_home_close(struct haul_home *home)
{
    if (home->lock >= 0)
        close(home->lock);
    if (home->directory >= 0)
        close(home->directory);
    home->lock = home->directory = -1;
}

void haul_home_path(const struct haul_home *home, const char *name, char path[HAUL_HOME_PATH_BYTES])
{
    int length = snprintf(path, HAUL_HOME_PATH_BYTES, "%s/%s", home->path, name);

    haul_assert(length > 0 && (size_t)length < HAUL_HOME_PATH_BYTES);
}

static int key_make(const struct haul_home *home, struct haul_error *error)
{
    uint8_t seed[32];
    uint8_t data[HAUL_KEY_PRIVATE_BYTES];
    struct haul_key key;
    int failed;

    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return haul_fail(error, HAUL_E_SYSTEM, "the kernel gives no randomness");
    haul_key_from_seed(&key, seed);
    haul_key_encode(&key, data);
    failed = file_publish(home->directory, KEY_FILE, data, sizeof data, error);
    haul_key_wipe(&key);
    explicit_bzero(seed, sizeof seed);
    explicit_bzero(data, sizeof data);
    return failed;
}

int haul_home_key(const struct haul_home *home, bool make, struct haul_key *key, bool *made,
                  struct haul_error *error)
{
    uint8_t data[HAUL_KEY_PRIVATE_BYTES + 64];
    struct stat facts;
    ssize_t got = file_read(home->directory, KEY_FILE, data, sizeof data, &facts);
    bool fresh = got < 0 && errno == ENOENT && make;
    bool good;

    if (fresh) {
        if (key_make(home, error) < 0)
            return -1;
        got = file_read(home->directory, KEY_FILE, data, sizeof data, &facts);
    }
    if (got < 0)
        return haul_fail(error, HAUL_E_KEY_UNSAFE, "cannot read %s/" KEY_FILE ": %s", home->path,
                         strerror(errno));
    if (!S_ISREG(facts.st_mode) || facts.st_uid != geteuid()) {
        explicit_bzero(data, sizeof data);
        return haul_fail(error, HAUL_E_KEY_UNSAFE, "%s/" KEY_FILE " is not a file of this user",
                         home->path);
    }
    if ((facts.st_mode & 077) != 0) {
        explicit_bzero(data, sizeof data);
        return haul_fail(error, HAUL_E_KEY_UNSAFE, "%s/" KEY_FILE " is open to others (mode %03o)",
                         home->path, (unsigned)facts.st_mode & 0777);
    }
    good = haul_key_decode(key, data, (size_t)got);
    explicit_bzero(data, sizeof data);
    if (!good)
        return haul_fail(error, HAUL_E_KEY_UNSAFE, "%s/" KEY_FILE " is not an Ed25519 key",
                         home->path);
    if (made != NULL)
        *made = fresh;
    return 0;
}

int haul_home_private_key(const struct haul_home *home, const char *file, struct haul_psk *psk,
                          bool *is_private, struct haul_error *error)
{
    uint8_t data[HAUL_PSK_FILE_MAX + 1];
    struct stat facts;
    ssize_t got;
    bool good;

    *is_private = false;
    if (file[0] == '\0')
        return 0;
    got = file_read(home->directory, file, data, sizeof data, &facts);
    if (got < 0)
        return haul_fail(error, HAUL_E_KEY_UNSAFE, "cannot read the private network's key %s: %s",
                         file, strerror(errno));
    good = S_ISREG(facts.st_mode) && (facts.st_mode & 077) == 0;
    if (!good)
        haul_fail(error, HAUL_E_KEY_UNSAFE,
                  "the private network's key %s is open to others (mode %03o)", file,
                  (unsigned)facts.st_mode & 0777);
    else if (!(good = haul_psk_parse(data, (size_t)got, psk)))
        haul_fail(error, HAUL_E_KEY_UNSAFE,
                  "%s is not a key of a private network (/key/swarm/psk/1.0.0/)", file);
    explicit_bzero(data, sizeof data);
    *is_private = good;
    return good ? 0 : -1;
}

int haul_home_lock(struct haul_home *home, struct haul_error *error)
{
    int fd = openat(home->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "cannot open %s/lock: %s", home->path,
                         strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int why = errno;

        close(fd);
        if (why == EWOULDBLOCK)
            return haul_fail(error, HAUL_E_NODE_BUSY, "a node runs in %s", home->path);
        return haul_fail(error, HAUL_E_SYSTEM, "cannot lock %s: %s", home->path, strerror(why));
    }
    home->lock = fd;
    return 0;
}
