#include "controlplane/cmd/perf_iperf.h"
#include "controlplane/cmd/perf_watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ATTEMPTS     40u /* the server needs a moment to listen */
#define OUTPUT_BYTES 65536u
#define ABSENT       127

/* Free at this moment; the server takes it in the next. */
static unsigned port_free(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unsigned port = 0;

    if (fd < 0)
        return 0;
    if (bind(fd, (struct sockaddr *)&address, length) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &length) == 0)
        port = ntohs(address.sin_port);
    close(fd);
    return port;
}

static pid_t run(char *const *argv, int output)
{
    pid_t child = fork();
    int nothing;

    if (child != 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(nothing, STDIN_FILENO);
    dup2(output >= 0 ? output : nothing, STDOUT_FILENO);
    dup2(nothing, STDERR_FILENO);
    execvp(argv[0], argv);
    _exit(ABSENT);
}

static int reap(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        if (haul_perf_interrupted)
            kill(child, SIGKILL);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What the client prints, whole; it ends when the client does. */
static void output_read(int fd, pid_t child, char *text)
{
    size_t used = 0;

    while (used < OUTPUT_BYTES - 1) {
        ssize_t got = read(fd, text + used, OUTPUT_BYTES - 1 - used);

        if (got < 0 && errno == EINTR && !haul_perf_interrupted)
            continue;
        if (got < 0 && errno == EINTR)
            kill(child, SIGKILL);
        if (got == 0 || (got < 0 && errno != EINTR))
            break;
        used += got > 0 ? (size_t)got : 0;
    }
    text[used] = '\0';
}

static bool rate_parse(const char *text, double *rate)
{
    json_t *report = json_loads(text, 0, NULL);
    const json_t *received = json_object_get(json_object_get(report, "end"), "sum_received");
    double bits = json_number_value(json_object_get(received, "bits_per_second"));

    json_decref(report);
    if (bits <= 0)
        return false;
    *rate = bits / 8;
    return true;
}

/* One client; its exit status, and the rate when it has one. */
static int client_run(const char *port, const char *seconds, double *rate)
{
    char *const argv[] = { "iperf3",        "-c", "127.0.0.1", "-p", (char *)port, "-t",
                           (char *)seconds, "-J", NULL };
    char *text = malloc(OUTPUT_BYTES);
    int ends[2], status = -1;
    pid_t child;

    if (text == NULL || pipe2(ends, O_CLOEXEC) < 0) {
        free(text);
        return -1;
    }
    child = run(argv, ends[1]);
    close(ends[1]);
    if (child > 0) {
        output_read(ends[0], child, text);
        status = reap(child);
    }
    close(ends[0]);
    if (status == 0 && !rate_parse(text, rate))
        status = 1;
    free(text);
    return status;
}

int haul_perf_iperf(unsigned seconds, double *bytes_per_second, struct haul_error *error)
{
    const struct timespec pause = { .tv_nsec = 50000000 };
    char port[16], span[16];
    char *const argv[] = { "iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", port, NULL };
    int status = 1;
    pid_t server;

    snprintf(port, sizeof port, "%u", port_free());
    snprintf(span, sizeof span, "%u", seconds);
    server = run(argv, -1);
    if (server < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "cannot start iperf3: %s", strerror(errno));
    for (unsigned i = 0; i < ATTEMPTS && status == 1 && !haul_perf_interrupted; i++) {
        nanosleep(&pause, NULL);
        status = client_run(port, span, bytes_per_second);
    }
    kill(server, SIGTERM);
    (void)reap(server);
    if (haul_perf_interrupted)
        return haul_fail(error, HAUL_E_CANCELLED, "interrupted");
    if (status == ABSENT)
        return haul_fail(error, HAUL_E_NOT_POSSIBLE, "iperf3 is not installed");
    return status == 0 ? 0 : haul_fail(error, HAUL_E_SYSTEM, "iperf3 gave no figure");
}
