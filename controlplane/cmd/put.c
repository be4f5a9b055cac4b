/* haul put: walks a tree with its caller's rights and passes each file's descriptor to the node,
 * which reads and stores it. Nothing that is not a file, directory or symbolic link is stored. */
#include "controlplane/cmd/put.h"

#include "controlplane/cmd/print.h"
#include "controlplane/cmd/progress.h"
#include "controlplane/content/name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 200u /* directories inside directories; each holds a descriptor */

struct put {
    const struct haul_options *options;
    struct haul_client *client;
    struct haul_progress progress;
    uint64_t sent;
    uint64_t executables;
    char path[PATH_MAX]; /* where the walk is, for messages */
    bool preserve;
};

/* Takes what the node has said meanwhile; 1 when that was the end. */
static int answers_take(struct put *put, int wait_ms, const Haul__Ctl__Answer **answer,
                        struct haul_error *error)
{
    int got;

    while ((got = haul_client_next(put->client, wait_ms, answer, error)) > 0) {
        if ((*answer)->what_case == HAUL__CTL__ANSWER__WHAT_DONE)
            return 1;
        if ((*answer)->what_case == HAUL__CTL__ANSWER__WHAT_PROGRESS)
            haul_progress_show(&put->progress, (*answer)->progress);
    }
    return got;
}

static int entry_send(struct put *put, Haul__Ctl__Entry *entry, const char *name, int fd,
                      struct haul_error *error)
{
    Haul__Ctl__Reply reply = HAUL__CTL__REPLY__INIT;
    const Haul__Ctl__Answer *answer;

    entry->path.data = (uint8_t *)name;
    entry->path.len = strlen(name);
    reply.what_case = HAUL__CTL__REPLY__WHAT_ENTRY;
    reply.entry = entry;
    if (haul_client_reply(put->client, &reply, fd, error) < 0)
        return -1;
    if (++put->sent % 64 == 0 && answers_take(put, 0, &answer, error) != 0)
        return error->code == HAUL_OK
                   ? haul_fail(error, HAUL_E_INTERNAL, "the node ended before the tree did")
                   : -1;
    return 0;
}

static void facts_fill(const struct put *put, const struct stat *facts, Haul__Ctl__Entry *entry)
{
    if (!put->preserve)
        return;
    entry->has_mode = true;
    entry->mode = facts->st_mode & 0777;
    entry->has_mtime = true;
    entry->mtime_seconds = facts->st_mtim.tv_sec;
    entry->mtime_nanoseconds = (uint32_t)facts->st_mtim.tv_nsec;
}

static int unreadable(const struct put *put, struct haul_error *error)
{
    return haul_fail(error, HAUL_E_SOURCE_UNREADABLE, "cannot read '%.180s': %s", put->path,
                     strerror(errno));
}

static int special(const struct put *put, struct haul_error *error)
{
    return haul_fail(error, HAUL_E_SOURCE_SPECIAL,
                     "'%.180s' is not a file, a directory or a symbolic link", put->path);
}

static int file_put(struct put *put, int fd, const char *name, struct haul_error *error)
{
    Haul__Ctl__Entry entry = HAUL__CTL__ENTRY__INIT;
    struct stat facts;

    if (fd < 0)
        return unreadable(put, error);
    if (fstat(fd, &facts) < 0 || !S_ISREG(facts.st_mode)) {
        close(fd);
        return special(put, error);
    }
    entry.kind = HAUL__CTL__KIND__FILE;
    entry.size = (uint64_t)facts.st_size;
    facts_fill(put, &facts, &entry);
    if (!put->preserve && (facts.st_mode & 0111) != 0)
        put->executables++;
    return entry_send(put, &entry, name, fd, error);
}

static int link_put(struct put *put, int parent, const char *name, const struct stat *facts,
                    struct haul_error *error)
{
    Haul__Ctl__Entry entry = HAUL__CTL__ENTRY__INIT;
    char target[PATH_MAX];
    ssize_t bytes = readlinkat(parent, name, target, sizeof target);

    if (bytes < 0)
        return unreadable(put, error);
    entry.kind = HAUL__CTL__KIND__LINK;
    entry.target.data = (uint8_t *)target;
    entry.target.len = (size_t)bytes;
    facts_fill(put, facts, &entry);
    return entry_send(put, &entry, name, -1, error);
}

static int directory_put(struct put *put, int fd, const char *name, unsigned depth,
                         struct haul_error *error);

static int child_put(struct put *put, int parent, const char *name, unsigned depth,
                     struct haul_error *error)
{
    struct stat facts;

    if (!haul_name_allowed(name, strlen(name)))
        return haul_fail(error, HAUL_E_SOURCE_NAME, "the name of '%.180s' is not UTF-8", put->path);
    if (fstatat(parent, name, &facts, AT_SYMLINK_NOFOLLOW) < 0)
        return unreadable(put, error);
    switch (facts.st_mode & S_IFMT) {
    case S_IFREG:
        return file_put(put, openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC),
                        name, error);
    case S_IFLNK:
        return link_put(put, parent, name, &facts, error);
    case S_IFDIR:
        return directory_put(put,
                             openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                             name, depth + 1, error);
    default:
        return special(put, error);
    }
}

static int children_put(struct put *put, DIR *directory, unsigned depth, struct haul_error *error)
{
    size_t length = strlen(put->path);
    const struct dirent *child;

    for (;;) {
        errno = 0;
        child = readdir(directory);
        if (child == NULL)
            return errno == 0 ? 0 : unreadable(put, error);
        if (strcmp(child->d_name, ".") == 0 || strcmp(child->d_name, "..") == 0)
            continue;
        snprintf(put->path + length, sizeof put->path - length, "/%s", child->d_name);
        if (child_put(put, dirfd(directory), child->d_name, depth, error) < 0)
            return -1;
        put->path[length] = '\0';
    }
}

/* Takes the descriptor over. */
static int directory_put(struct put *put, int fd, const char *name, unsigned depth,
                         struct haul_error *error)
{
    Haul__Ctl__Entry begin = HAUL__CTL__ENTRY__INIT;
    Haul__Ctl__Entry end = HAUL__CTL__ENTRY__INIT;
    struct stat facts;
    DIR *directory;
    int failed;

    if (fd < 0)
        return unreadable(put, error);
    directory = fdopendir(fd);
    if (directory == NULL || fstat(fd, &facts) < 0 || depth > DEPTH_MAX) {
        failed = depth > DEPTH_MAX
                     ? haul_fail(error, HAUL_E_SOURCE_DEPTH,
                                 "more than %u directories inside each other", DEPTH_MAX)
                     : unreadable(put, error);
        directory == NULL ? close(fd) : closedir(directory);
        return failed;
    }
    begin.kind = HAUL__CTL__KIND__DIRECTORY;
    end.kind = HAUL__CTL__KIND__DIRECTORY_END;
    facts_fill(put, &facts, &begin);
    failed = entry_send(put, &begin, name, -1, error);
    if (failed == 0)
        failed = children_put(put, directory, depth, error);
    if (failed == 0)
        failed = entry_send(put, &end, "", -1, error);
    closedir(directory);
    return failed;
}

/* Copies standard input into the pipe whose other end the node reads, until either end stops. */
static int input_pump(struct put *put, int to, struct haul_error *error)
{
    static uint8_t space[65536];

    for (;;) {
        struct pollfd ready[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
                                   { .fd = put->client->channel.fd, .events = POLLIN } };
        const Haul__Ctl__Answer *answer;
        ssize_t got;

        if (poll(ready, 2, -1) < 0)
            continue;
        if (ready[1].revents != 0 && answers_take(put, 0, &answer, error) != 0)
            return -1;
        if (ready[0].revents == 0)
            continue;
        got = read(STDIN_FILENO, space, sizeof space);
        if (got <= 0)
            return got == 0 ? 0 : unreadable(put, error);
        for (ssize_t done = 0; done < got;) {
            ssize_t wrote = write(to, space + done, (size_t)(got - done));

            if (wrote < 0 && errno != EINTR)
                return haul_fail(error, HAUL_E_NODE_ABSENT, "the node stopped reading");
            done += wrote < 0 ? 0 : wrote;
        }
    }
}

/* The node reads a pipe of ours, never the terminal: it must not be held up by somebody typing. */
static int input_put(struct put *put, struct haul_error *error)
{
    Haul__Ctl__Entry entry = HAUL__CTL__ENTRY__INIT;
    const Haul__Ctl__Answer *answer;
    int ends[2];
    int failed;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "no pipe: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    entry.kind = HAUL__CTL__KIND__INPUT;
    failed = entry_send(put, &entry, "", ends[0], error);
    if (failed == 0)
        failed = answers_take(put, 0, &answer, error);
    if (failed == 0)
        failed = input_pump(put, ends[1], error);
    close(ends[1]);
    return failed;
}

static int tree_put(struct put *put, const char *path, struct haul_error *error)
{
    size_t length;
    struct stat facts;
    int fd;

    snprintf(put->path, sizeof put->path, "%s", path);
    for (length = strlen(put->path); length > 1 && put->path[length - 1] == '/';)
        put->path[--length] = '\0';
    if (strcmp(path, "-") == 0)
        return input_put(put, error);
    if (stat(path, &facts) < 0)
        return unreadable(put, error);
    fd = S_ISREG(facts.st_mode) || S_ISDIR(facts.st_mode)
             ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
             : -1;
    if (S_ISREG(facts.st_mode))
        return file_put(put, fd, "", error);
    return S_ISDIR(facts.st_mode) ? directory_put(put, fd, "", 0, error) : special(put, error);
}

static int hash_of(const struct haul_options *options, uint32_t *code, struct haul_error *error)
{
    const char *name = options->text[HAUL_OPTION_HASH];

    *code = name == NULL ? 0 : haul_hash_code(name);
    if (name != NULL && *code == 0)
        return haul_fail(error, HAUL_E_USAGE, "--hash takes blake3 or sha2-256 here, not '%s'",
                         name);
    return 0;
}

static void done_show(const struct put *put, const Haul__Ctl__Done *done)
{
    if (put->executables > 0)
        haul_print_note(put->options,
                        "%" PRIu64
                        " executable bits are not kept; --preserve keeps modes and times",
                        put->executables);
    haul_print_note(put->options,
                    "%" PRIu64 " bytes in %" PRIu64 " files, %" PRIu64 " directories and %" PRIu64
                    " links; %" PRIu64 " blocks",
                    done->bytes, done->files, done->directories, done->links, done->blocks);
}

static int conversation(struct put *put, const char *path, Haul__Ctl__Ask *ask,
                        const Haul__Ctl__Answer **answer, struct haul_error *error)
{
    Haul__Ctl__Reply reply = HAUL__CTL__REPLY__INIT;
    Haul__Ctl__Empty empty = HAUL__CTL__EMPTY__INIT;
    struct haul_error later;
    int got;

    reply.what_case = HAUL__CTL__REPLY__WHAT_END;
    reply.end = &empty;
    if (haul_client_ask(put->client, ask, error) < 0)
        return -1;
    if (tree_put(put, path, error) < 0 || haul_client_reply(put->client, &reply, -1, error) < 0) {
        /* When the node went first, what it said says why. */
        if (error->code == HAUL_E_NODE_ABSENT &&
            haul_client_next(put->client, 1000, answer, &later) < 0)
            *error = later;
        return -1;
    }
    do {
        got = answers_take(put, -1, answer, error);
    } while (got == 0);
    return got < 0 ? -1 : 0;
}

int haul_put_run(const struct haul_options *options, struct haul_attach *attach, const char *path,
                 char cid[HAUL_CID_TEXT_BYTES], struct haul_error *error)
{
    static struct put put;
    Haul__Ctl__Ask ask = HAUL__CTL__ASK__INIT;
    Haul__Ctl__PutAsk put_ask = HAUL__CTL__PUT_ASK__INIT;
    const Haul__Ctl__Answer *answer;
    const char *slash;
    int failed;

    error->code = HAUL_OK;
    put = (struct put){ .options = options, .client = &attach->client };
    put.preserve = haul_options_has(options, HAUL_OPTION_PRESERVE);
    haul_progress_init(&put.progress, options);
    if (hash_of(options, &put_ask.hash, error) < 0)
        return -1;
    slash = strrchr(path, '/');
    put_ask.name = (char *)(slash != NULL && slash[1] != '\0' ? slash + 1 : path);
    put_ask.preserve = put.preserve;
    ask.what_case = HAUL__CTL__ASK__WHAT_PUT;
    ask.put = &put_ask;
    failed = conversation(&put, path, &ask, &answer, error);
    haul_progress_clear(&put.progress);
    if (failed < 0)
        return -1;
    snprintf(cid, HAUL_CID_TEXT_BYTES, "%s", answer->done->cid);
    done_show(&put, answer->done);
    if (haul_options_has(options, HAUL_OPTION_JSON)) {
        json_t *object = json_object();

        json_object_set_new(object, "event", json_string("put"));
        json_object_set_new(object, "cid", json_string(cid));
        json_object_set_new(object, "bytes", json_integer((json_int_t)answer->done->bytes));
        json_object_set_new(object, "blocks", json_integer((json_int_t)answer->done->blocks));
        json_object_set_new(object, "files", json_integer((json_int_t)answer->done->files));
        json_object_set_new(object, "directories",
                            json_integer((json_int_t)answer->done->directories));
        json_object_set_new(object, "links", json_integer((json_int_t)answer->done->links));
        json_object_set_new(object, "executables_dropped",
                            json_integer((json_int_t)put.executables));
        haul_print_json(object);
    }
    return 0;
}

int haul_cmd_put(const struct haul_options *options)
{
    char cid[HAUL_CID_TEXT_BYTES];
    struct haul_attach attach;
    struct haul_error error;
    int failed = haul_attach_open(&attach, options, true, &error);

    if (failed == 0) {
        failed = haul_put_run(options, &attach, options->arguments[0], cid, &error);
        haul_attach_close(&attach);
    }
    if (failed < 0)
        return haul_print_error(options, &error);
    if (!haul_options_has(options, HAUL_OPTION_JSON))
        printf("%s\n", cid);
    return HAUL_EXIT_DONE;
}
