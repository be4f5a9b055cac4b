/* Start of DPDK's environment, and what it says when it fails. */
#include "dataplane/net/dpdk/eal.h"

#include "common/log.h"
#include "dataplane/net/dpdk/card.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <net/if.h>
#include <pthread.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_version.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define ARGUMENTS_MAX   24u
#define MEMORY_LEAST    (64u << 20)
#define MEMORY_SPARE    (24u << 20) /* rings, tables and what lies between them */
#define HUGE_PAGE_BYTES (2u << 20)

static struct {
    bool started;
    bool failed; /* it cannot be started twice in one process */
    bool huge;
    char complaint[160];
    pthread_mutex_t lock; /* of the complaint: DPDK speaks from its own thread too */
    void *arguments;      /* it keeps pointers into them: they are never freed */
} eal = { .lock = PTHREAD_MUTEX_INITIALIZER };

bool haul_eal_huge(void)
{
    return eal.huge;
}

/* --- what DPDK says --- */

static bool is_complaint(const char *line)
{
    static const char *const signs[] = { "ailed",  "annot", "rror",   "nvalid", "not supported",
                                         "Unable", "No ",   "denied", "nknown" };

    /* memif says so at each start: several processes share nothing of DPDK here. */
    if (strstr(line, "mp action callback") != NULL)
        return false;
    for (size_t i = 0; i < HAUL_COUNT_OF(signs); i++) {
        if (strstr(line, signs[i]) != NULL)
            return true;
    }
    return false;
}

/* The first complaint since somebody asked is the cause; those after it are what followed. */
static ssize_t line_take(void *cookie, const char *data, size_t bytes)
{
    char line[160];
    size_t kept = bytes < sizeof line ? bytes : sizeof line - 1;

    (void)cookie;
    memcpy(line, data, kept);
    line[kept] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '\0')
        return (ssize_t)bytes;
    haul_log(HAUL_LOG_DEBUG, "dpdk", "said=\"%s\"", line);
    pthread_mutex_lock(&eal.lock);
    if (eal.complaint[0] == '\0' && is_complaint(line))
        memcpy(eal.complaint, line, sizeof line);
    pthread_mutex_unlock(&eal.lock);
    return (ssize_t)bytes;
}

void haul_eal_complaint(char *text, size_t bytes)
{
    pthread_mutex_lock(&eal.lock);
    snprintf(text, bytes, "%s", eal.complaint);
    eal.complaint[0] = '\0';
    pthread_mutex_unlock(&eal.lock);
}

static int listen_to_log(void)
{
    static const cookie_io_functions_t functions = { .write = line_take };
    FILE *stream = fopencookie(NULL, "w", functions);

    if (stream == NULL)
        return -1;
    setvbuf(stream, NULL, _IOLBF, 0);
    return rte_openlog_stream(stream);
}

/* --- memory --- */

static size_t number_in(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned long number = 0;

    if (file == NULL)
        return 0;
    if (fscanf(file, "%lu", &number) != 1)
        number = 0;
    fclose(file);
    return number;
}

static size_t huge_bytes_free(void)
{
    static const struct {
        const char *path;
        size_t bytes;
    } sizes[] = {
        { "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", (size_t)2 << 20 },
        { "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", (size_t)1 << 30 },
    };
    size_t bytes = 0;

    for (size_t i = 0; i < HAUL_COUNT_OF(sizes); i++)
        bytes += number_in(sizes[i].path) * sizes[i].bytes;
    return bytes;
}

/* With how many huge pages in all `bytes` of them would be free. */
static size_t huge_pages_wanted(size_t bytes, size_t free_bytes)
{
    size_t lack = bytes > free_bytes ? bytes - free_bytes : 0;

    return number_in("/proc/sys/vm/nr_hugepages") + lack / HUGE_PAGE_BYTES + 1;
}

static int memory_choose(const struct haul_net_port *port, size_t bytes, struct haul_error *error)
{
    size_t found = huge_bytes_free();
    bool card = haul_eal_is_card(port->device);

    eal.huge = port->pages != HAUL_NET_PAGES_ORDINARY && found >= bytes;
    if (eal.huge || (port->pages != HAUL_NET_PAGES_HUGE && !card))
        return 0;
    return haul_fail(error, HAUL_E_DPDK_MEMORY,
                     "%s needs %zu MiB of huge pages and %zu MiB are free: "
                     "echo %zu >/proc/sys/vm/nr_hugepages (as root)",
                     port->device, bytes >> 20, found >> 20, huge_pages_wanted(bytes, found));
}

/* There were enough when we looked. DPDK does not start a second time in one process: whether
 * ordinary pages are tried instead, in another one, is the caller's to decide (DPDK_PAGES). What is
 * free now says nothing: DPDK gave back what it had got. */
static int memory_gone(const struct haul_net_port *port, size_t bytes, struct haul_error *error)
{
    bool card = haul_eal_is_card(port->device);

    if (port->pages == HAUL_NET_PAGES_AUTO && !card)
        return haul_fail(error, HAUL_E_DPDK_PAGES,
                         "%s found %zu MiB of huge pages free, and somebody took some before it "
                         "had them",
                         port->device, bytes >> 20);
    return haul_fail(error, HAUL_E_DPDK_MEMORY,
                     "%s found %zu MiB of huge pages free, and somebody took some before it had "
                     "them: start again%s, or echo %zu >/proc/sys/vm/nr_hugepages (as root)",
                     port->device, bytes >> 20, card ? "" : " (dpdk.pages: ordinary needs none)",
                     huge_pages_wanted(bytes, 0));
}

/* --- start --- */

struct arguments {
    char text[ARGUMENTS_MAX][256];
    char *list[ARGUMENTS_MAX + 1];
    int count;
};

static void argument(struct arguments *arguments, const char *format, ...) HAUL_PRINTF(2, 3);

static void argument(struct arguments *arguments, const char *format, ...)
{
    va_list values;

    haul_assert(arguments->count < (int)ARGUMENTS_MAX);
    va_start(values, format);
    vsnprintf(arguments->text[arguments->count], sizeof arguments->text[0], format, values);
    va_end(values);
    arguments->list[arguments->count] = arguments->text[arguments->count];
    arguments->count++;
    arguments->list[arguments->count] = NULL;
}

/* One thread of DPDK's own kind, on whatever processors the caller may use. */
static void argument_lcores(struct arguments *arguments, const cpu_set_t *set)
{
    char list[200];
    size_t used = 0;

    for (unsigned cpu = 0; cpu < CPU_SETSIZE && used < sizeof list - 8; cpu++) {
        if (CPU_ISSET(cpu, set))
            used +=
                (size_t)snprintf(list + used, sizeof list - used, "%s%u", used > 0 ? "," : "", cpu);
    }
    argument(arguments, "--lcores=0@(%s)", list);
}

static void arguments_fill(struct arguments *arguments, const struct haul_net_port *port,
                           size_t bytes, const cpu_set_t *set)
{
    argument(arguments, "haul");
    /* No file that another process could open; ordinary pages need none. */
    argument(arguments, eal.huge ? "--in-memory" : "--no-shconf");
    argument(arguments, "--no-telemetry");
    argument(arguments, "--file-prefix=haul-%d", (int)getpid());
    argument(arguments, "--log-level=*:%s", "notice");
    argument_lcores(arguments, set);
    if (eal.huge) {
        argument(arguments, "--single-file-segments"); /* memif shares memory by descriptor */
        argument(arguments, "-m");
        argument(arguments, "%zu", bytes >> 20);
    } else {
        argument(arguments, "--no-huge");
        argument(arguments, "-m");
        argument(arguments, "%zu", bytes >> 20);
    }
    if (haul_eal_is_card(port->device)) {
        argument(arguments, "-a");
        argument(arguments, "%s", port->device);
    } else {
        argument(arguments, "--no-pci");
        argument(arguments, "--iova-mode=va");
    }
}

/* DPDK makes a directory for files that --in-memory never writes. */
static void directory_remove(void)
{
    char path[PATH_MAX];
    char *slash;

    snprintf(path, sizeof path, "%s", rte_eal_get_runtime_dir());
    rmdir(path);
    slash = strrchr(path, '/');
    if (slash != NULL && slash != path) {
        *slash = '\0';
        rmdir(path);
    }
}

static int start(const struct haul_net_port *port, size_t bytes, struct haul_error *error)
{
    struct arguments *arguments = calloc(1, sizeof *arguments);
    char complaint[160];
    cpu_set_t set;
    int code;

    if (arguments == NULL || listen_to_log() != 0) {
        free(arguments);
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for DPDK");
    }
    CPU_ZERO(&set);
    haul_assert(pthread_getaffinity_np(pthread_self(), sizeof set, &set) == 0);
    arguments_fill(arguments, port, bytes, &set);
    /* Were it to keep anything on disk in spite of all, then where nobody else looks. */
    if (port->directory != NULL)
        setenv("RUNTIME_DIRECTORY", port->directory, 1);
    code = rte_eal_init(arguments->count, arguments->list);
    directory_remove();
    haul_assert(pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0);
    eal.arguments = arguments;
    if (code >= 0) {
        eal.started = true;
        haul_log(HAUL_LOG_INFO, "dpdk-started", "version=\"%s\" memory_mib=%zu huge_pages=%s",
                 rte_version(), bytes >> 20, eal.huge ? "yes" : "no");
        return 0;
    }
    code = rte_errno;
    eal.failed = true;
    haul_eal_complaint(complaint, sizeof complaint);
    if (code == EACCES || code == EPERM)
        return haul_fail(error, HAUL_E_DPDK_PERMISSION, "DPDK may not start: %s", complaint);
    if (code == ENOMEM && eal.huge)
        return memory_gone(port, bytes, error);
    if (code == ENOMEM)
        return haul_fail(error, HAUL_E_DPDK_MEMORY, "%zu MiB for DPDK: %s", bytes >> 20, complaint);
    return haul_fail(error, HAUL_E_DPDK_FAILED, "%s (%s)",
                     complaint[0] != '\0' ? complaint : "DPDK did not start", rte_strerror(code));
}

int haul_eal_start(const struct haul_net_port *port, size_t bytes, struct haul_error *error)
{
    bytes = (bytes + MEMORY_SPARE + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    bytes = bytes < MEMORY_LEAST ? MEMORY_LEAST : bytes;
    if ((size_t)port->memory_mib << 20 > bytes)
        bytes = (size_t)port->memory_mib << 20;
    if (eal.started)
        return 0;
    if (eal.failed)
        return haul_fail(error, HAUL_E_DPDK_FAILED, "DPDK failed before in this process");
    if (haul_eal_is_card(port->device) && haul_card_check(port->device, error) < 0)
        return -1;
    if (memory_choose(port, bytes, error) < 0)
        return -1;
    return start(port, bytes, error);
}

/* --- devices --- */

bool haul_eal_is_card(const char *device)
{
    size_t digits = strspn(device, "0123456789abcdefABCDEF:.");

    return digits >= 7 && (device[digits] == '\0' || device[digits] == ',') &&
           memchr(device, ':', digits) != NULL && memchr(device, '.', digits) != NULL;
}

bool haul_eal_argument(const char *device, const char *key, char *value, size_t bytes)
{
    size_t length = strlen(key);

    for (const char *at = strchr(device, ','); at != NULL; at = strchr(at + 1, ',')) {
        if (strncmp(at + 1, key, length) == 0 && at[1 + length] == '=') {
            const char *from = at + 2 + length;

            snprintf(value, bytes, "%.*s", (int)strcspn(from, ","), from);
            return true;
        }
    }
    return false;
}

/* The socket of a node that was killed stops server ends of memif, vhost and virtio-user from
 * starting: it is taken away when nobody listens on it. When somebody does, vhost's driver would
 * fail, and take the other one's socket away. */
static int socket_is_free(const char *path, const char *device, struct haul_error *error)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    bool taken;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return 0;
    memcpy(name.sun_path, path, strlen(path));
    taken = connect(fd, (const struct sockaddr *)&name, sizeof name) == 0;
    if (!taken && errno == ECONNREFUSED && unlink(path) == 0)
        haul_log(HAUL_LOG_INFO, "dpdk-stale-socket", "removed=\"%s\"", path);
    close(fd);
    return !taken ? 0
                  : haul_fail(error, HAUL_E_DPDK_DEVICE,
                              "%.*s did not start, somebody has it: another process listens on %s",
                              (int)strcspn(device, ","), device, path);
}

/* Whether a server end may have its socket there. Nothing but a socket is given to the driver:
 * vhost's fails to bind to whatever else is there, and removes it. */
static int place_check(const char *path, const char *device, struct haul_error *error)
{
    size_t most = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
    int name = (int)strcspn(device, ",");
    struct stat is;

    if (strlen(path) > most)
        return haul_fail(error, HAUL_E_DPDK_DEVICE,
                         "%.*s: the path of a socket has %zu bytes at most: %s", name, device, most,
                         path);
    if (lstat(path, &is) != 0)
        return 0;
    if (!S_ISSOCK(is.st_mode))
        return haul_fail(error, HAUL_E_DPDK_DEVICE,
                         "%.*s: %s exists and is no socket: it is left as it is; name a path where "
                         "nothing is",
                         name, device, path);
    return socket_is_free(path, device, error);
}

/* Drivers have a second name from older days. */
static bool driver_is(const char *device, const char *driver)
{
    return (strncmp(device, "net_", 4) == 0 || strncmp(device, "eth_", 4) == 0) &&
           strncmp(device + 4, driver, strlen(driver)) == 0;
}

/* Drivers say that a socket is to be removed, or that its directory is invalid. memif's
 * wants to read it. */
static int directory_check(const char *path, const char *device, struct haul_error *error)
{
    const char *slash = strrchr(path, '/');
    int length = slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path);
    char directory[PATH_MAX];
    int name = (int)strcspn(device, ",");
    int mode = W_OK | X_OK | (driver_is(device, "memif") ? R_OK : 0);

    snprintf(directory, sizeof directory, "%.*s", length, slash == NULL ? "." : path);
    if (faccessat(AT_FDCWD, directory, F_OK, AT_EACCESS) != 0 && errno != EACCES)
        return haul_fail(error, HAUL_E_DPDK_DEVICE, "%.*s: the directory of its socket, %s: %s",
                         name, device, directory, strerror(errno));
    if (faccessat(AT_FDCWD, directory, mode, AT_EACCESS) != 0)
        return haul_fail(error, HAUL_E_DPDK_PERMISSION,
                         "%.*s: this user may not have a socket in %s: %s", name, device, directory,
                         strerror(errno));
    return 0;
}

static bool argument_is(const char *device, const char *key, const char *wanted)
{
    char value[16];

    return haul_eal_argument(device, key, value, sizeof value) && strcmp(value, wanted) == 0;
}

/* memif's is in the abstract space unless it is told otherwise. */
static bool memif_socket(const char *device, char *path, size_t bytes)
{
    return driver_is(device, "memif") && argument_is(device, "socket-abstract", "no") &&
           haul_eal_argument(device, "socket", path, bytes);
}

/* The path of the socket that a server end listens on; false for any other device. */
static bool served_socket(const char *device, char *path, size_t bytes)
{
    if (driver_is(device, "memif"))
        return argument_is(device, "role", "server") && memif_socket(device, path, bytes);
    if (driver_is(device, "vhost"))
        return !argument_is(device, "client", "1") &&
               haul_eal_argument(device, "iface", path, bytes);
    return (driver_is(device, "virtio_user") || strncmp(device, "virtio_user", 11) == 0) &&
           argument_is(device, "server", "1") && haul_eal_argument(device, "path", path, bytes);
}

/* --- rights --- */

static bool may(const struct __user_cap_data_struct *sets, unsigned capability)
{
    return (sets[capability / 32].effective & UINT32_C(1) << capability % 32) != 0;
}

void haul_eal_rights_missing(const char *device, char *text, size_t bytes)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { 0 };
    bool xdp = strncmp(device, "net_af_xdp", 10) == 0;

    text[0] = '\0';
    if (strncmp(device, "net_af_", 7) != 0 || syscall(SYS_capget, &header, sets) != 0)
        return;
    snprintf(text, bytes, "%s%s%s", may(sets, CAP_NET_RAW) ? "" : " CAP_NET_RAW",
             !xdp || may(sets, CAP_NET_ADMIN) ? "" : " CAP_NET_ADMIN",
             !xdp || may(sets, CAP_BPF) || may(sets, CAP_SYS_ADMIN) ? "" : " CAP_BPF");
    memmove(text, text + (text[0] == ' '), strlen(text) + (text[0] != ' '));
}

/* Many drivers return -1, which is EPERM too, whatever it was. */
static bool is_permission(int code, const char *complaint)
{
    return code == EACCES || strstr(complaint, "not permitted") != NULL ||
           strstr(complaint, "ermission denied") != NULL;
}

/* What a refused virtual device most likely lacks. */
static int attach_refused(const char *device, int code, struct haul_error *error)
{
    char complaint[160], missing[48];
    int name = (int)strcspn(device, ",");

    haul_eal_complaint(complaint, sizeof complaint);
    if (strstr(complaint, "No such device") != NULL)
        return haul_fail(error, HAUL_E_DPDK_DEVICE,
                         "%.*s did not start, there is no such device: %s", name, device,
                         complaint);
    if (strstr(complaint, "in use") != NULL)
        return haul_fail(error, HAUL_E_DPDK_DEVICE, "%.*s did not start, somebody has it: %s", name,
                         device, complaint);
    haul_eal_rights_missing(device, missing, sizeof missing);
    if (missing[0] != '\0')
        return haul_fail(error, HAUL_E_DPDK_PERMISSION,
                         "%.*s is not allowed to this user, who has not %s: %s", name, device,
                         missing, complaint);
    if (is_permission(code, complaint))
        return haul_fail(error, HAUL_E_DPDK_PERMISSION, "%.*s is not allowed to this user: %s",
                         name, device, complaint);
    return haul_fail(error, HAUL_E_DPDK_DEVICE, "%.*s did not start: %s (%s)", name, device,
                     complaint[0] != '\0' ? complaint : "no driver of that name is installed",
                     code == EPERM ? "no more is said" : strerror(code));
}

/* What DPDK refuses without saying why. */
static int device_check(const char *device, struct haul_error *error)
{
    char interface[IF_NAMESIZE];

    if (strstr(device, ", ") != NULL)
        return haul_fail(error, HAUL_E_DPDK_DEVICE,
                         "%s: no blank may follow a comma of dpdk.device", device);
    if (if_nametoindex(device) != 0)
        return haul_fail(error, HAUL_E_DPDK_DEVICE,
                         "%s is an interface of the kernel's: name it to a driver, such as "
                         "net_af_xdp0,iface=%s, or the card by its PCI address",
                         device, device);
    if (strncmp(device, "net_af_", 7) == 0 &&
        !haul_eal_argument(device, "iface", interface, sizeof interface))
        return haul_fail(error, HAUL_E_DPDK_DEVICE,
                         "%s names no interface: net_af_packet0,iface=eth1", device);
    return 0;
}

int haul_eal_attach(const char *device, uint16_t *port, struct haul_error *error)
{
    char complaint[160];
    char name[RTE_ETH_NAME_MAX_LEN], path[PATH_MAX];
    size_t bytes = strcspn(device, ",");
    int code;

    if (bytes > sizeof name - 1)
        bytes = sizeof name - 1;
    memcpy(name, device, bytes);
    name[bytes] = '\0';
    if (haul_eal_is_card(device)) {
        if (rte_eth_dev_get_port_by_name(name, port) == 0)
            return 0;
        haul_eal_complaint(complaint, sizeof complaint);
        return haul_fail(error, HAUL_E_DPDK_DEVICE, "no driver of DPDK took the card %s: %s", name,
                         complaint);
    }
    if (device_check(device, error) < 0)
        return -1;
    if (served_socket(device, path, sizeof path) &&
        (place_check(path, device, error) < 0 || directory_check(path, device, error) < 0))
        return -1;
    if (memif_socket(device, path, sizeof path) && directory_check(path, device, error) < 0)
        return -1; /* a client of memif's wants as much */
    haul_eal_complaint(complaint, sizeof complaint);
    code = rte_dev_probe(device);
    if (code != 0)
        return attach_refused(device, -code, error);
    code = rte_eth_dev_get_port_by_name(name, port);
    return code == 0 ? 0 : attach_refused(device, -code, error);
}

void haul_eal_detach(uint16_t port)
{
    struct rte_eth_dev_info info;

    if (rte_eth_dev_info_get(port, &info) == 0 && info.device != NULL)
        rte_dev_remove(info.device);
}

void haul_eal_thread(void)
{
    if (rte_lcore_id() == LCORE_ID_ANY)
        rte_thread_register(); /* without a number it works too, more slowly */
}
