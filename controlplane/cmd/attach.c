#include "controlplane/cmd/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ATTEMPTS      20u
#define ARGUMENTS_MAX 64u

static void node_exec(const char *home, const char *const *settings, bool perf, int output)
{
    const char *argv[ARGUMENTS_MAX] = { "haul", "node", "--quiet", "--home", home };
    size_t count = 5;

    if (perf)
        argv[count++] = "--perf";
    for (size_t i = 0; settings != NULL && settings[i] != NULL && count + 3 < ARGUMENTS_MAX; i++) {
        argv[count++] = "--set";
        argv[count++] = settings[i];
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    /* A terminal's interrupt is the command's to handle: the node then stops in order. */
    setpgid(0, 0);
    dup2(output, STDOUT_FILENO);
    execv("/proc/self/exe", (char *const *)argv);
    _exit(127);
}

/* The ready line, byte by byte: nothing else comes on this pipe before it. */
static bool ready_read(int output)
{
    char line[512];
    size_t used = 0;

    while (used < sizeof line) {
        ssize_t got = read(output, line + used, 1);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        if (line[used] == '\n')
            return used >= 5 && memcmp(line, "ready", 5) == 0;
        used++;
    }
    return false;
}

void haul_node_reap(pid_t pid, int output)
{
    int status;

    kill(pid, SIGTERM);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    close(output);
}

int haul_node_spawn(const char *home, const char *const *settings, bool perf, pid_t *pid,
                    int *output, struct haul_error *error)
{
    int ends[2];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "no pipe for a node: %s", strerror(errno));
    child = fork();
    if (child == 0)
        node_exec(home, settings, perf, ends[1]);
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return haul_fail(error, HAUL_E_SYSTEM, "cannot start a node: %s", strerror(errno));
    }
    if (!ready_read(ends[0])) {
        haul_node_reap(child, ends[0]);
        return haul_fail(error, HAUL_E_SYSTEM, "the node in %s did not start", home);
    }
    *pid = child;
    *output = ends[0];
    return 0;
}

/* Somebody else may start or stop a node in this home at the same moment: a few attempts. */
static int client_or_node(struct haul_attach *attach, bool start, struct haul_error *error)
{
    const struct timespec pause = { .tv_nsec = 100000000 };

    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        int failed = haul_client_open(&attach->client, &attach->home, error);
        struct haul_home probe;

        if (failed == 0 || error->code != HAUL_E_NODE_ABSENT || !start)
            return failed;
        if (haul_home_open(&probe, attach->home.path, false, error) < 0)
            return -1;
        failed = haul_home_lock(&probe, error);
        haul_home_close(&probe);
        if (failed == 0 && attach->child == 0)
            failed = haul_node_spawn(attach->home.path, NULL, false, &attach->child, &attach->alive,
                                     error);
        if (failed < 0 && error->code != HAUL_E_NODE_BUSY)
            return -1;
        if (failed < 0)
            nanosleep(&pause, NULL);
    }
    return haul_fail(error, HAUL_E_NODE_BUSY, "the node in %s does not answer", attach->home.path);
}

int haul_attach_open(struct haul_attach *attach, const struct haul_options *options, bool start,
                     struct haul_error *error)
{
    struct haul_attach opened = { .alive = -1 };

    if (haul_home_open(&opened.home, options->text[HAUL_OPTION_HOME], start, error) < 0)
        return -1;
    if (client_or_node(&opened, start, error) < 0) {
        if (opened.child > 0)
            haul_node_reap(opened.child, opened.alive);
        haul_home_close(&opened.home);
        return -1;
    }
    *attach = opened;
    return 0;
}

int haul_attach_again(struct haul_attach *attach, struct haul_error *error)
{
    haul_client_close(&attach->client);
    return haul_client_open(&attach->client, &attach->home, error);
}

void haul_attach_close(struct haul_attach *attach)
{
    haul_client_close(&attach->client);
    if (attach->child > 0)
        haul_node_reap(attach->child, attach->alive);
    haul_home_close(&attach->home);
}
