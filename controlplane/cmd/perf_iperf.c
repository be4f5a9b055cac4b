/* The yardstick that everybody knows: iperf3 over loopback with its default options. */
#include "controlplane/cmd/perf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REPORT_BYTES (1u << 20)

static int free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = -1;

    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &length) == 0)
        port = ntohs(address.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

/* Runs iperf3 with its output to `output`; the pid, or -1. */
static pid_t iperf3_start(const char *const *argv, int output)
{
    pid_t pid = fork();
    int nothing;

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDIN_FILENO);
    dup2(output >= 0 ? output : nothing, STDOUT_FILENO);
    dup2(nothing, STDERR_FILENO);
    execvp("iperf3", (char *const *)argv);
    _exit(127);
}

static void wait_for(pid_t pid)
{
    int status;

    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
}

static double rate_of(const char *report, size_t bytes)
{
    json_t *root = json_loadb(report, bytes, 0, NULL);
    const json_t *sum = json_object_get(json_object_get(root, "end"), "sum_received");
    double rate = json_number_value(json_object_get(sum, "bits_per_second"));

    json_decref(root);
    return rate;
}

static double client_run(const char *port, const char *seconds)
{
    const char *argv[] = { "iperf3", "-c", "127.0.0.1", "-p", port, "-t", seconds, "-J", NULL };
    char *report = malloc(REPORT_BYTES);
    size_t used = 0;
    double rate = 0;
    int ends[2];
    pid_t pid;

    if (report == NULL || pipe2(ends, O_CLOEXEC) < 0) {
        free(report);
        return 0;
    }
    pid = iperf3_start(argv, ends[1]);
    close(ends[1]);
    while (pid > 0 && used < REPORT_BYTES) {
        ssize_t got = read(ends[0], report + used, REPORT_BYTES - used);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    close(ends[0]);
    wait_for(pid);
    rate = rate_of(report, used);
    free(report);
    return rate;
}

double haul_iperf3_measure(unsigned seconds)
{
    const struct timespec pause = { .tv_nsec = 50000000 };
    int number = free_port();
    char port[16];
    char span[16];
    const char *argv[] = { "iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", port, NULL };
    double rate = 0;
    pid_t server;

    if (number < 0)
        return 0;
    snprintf(port, sizeof port, "%d", number);
    snprintf(span, sizeof span, "%u", seconds);
    server = iperf3_start(argv, -1);
    /* The server says nothing when it listens: a few attempts. */
    for (unsigned attempt = 0; server > 0 && rate <= 0 && attempt < 10; attempt++) {
        nanosleep(&pause, NULL);
        if (waitpid(server, NULL, WNOHANG) != 0) {
            server = -1; /* not installed */
            break;
        }
        rate = client_run(port, span);
    }
    if (server > 0) {
        kill(server, SIGTERM);
        wait_for(server);
    }
    return rate;
}
