#include "controlplane/cmd/node_again.h"

#include <linux/close_range.h>
#include <unistd.h>

#define ARGUMENTS_MAX (2 * HAUL_OPTION_LIST_MAX + 10u)

void haul_node_again(const struct haul_options *options, const char *setting)
{
    const char *argv[ARGUMENTS_MAX] = { "haul", "node" };
    size_t count = 2;

    if (options->list_count == HAUL_OPTION_LIST_MAX)
        return; /* no room for one more setting */
    if (haul_options_has(options, HAUL_OPTION_HOME)) {
        argv[count++] = "--home";
        argv[count++] = options->text[HAUL_OPTION_HOME];
    }
    if (haul_options_has(options, HAUL_OPTION_JSON))
        argv[count++] = "--json";
    if (haul_options_has(options, HAUL_OPTION_QUIET))
        argv[count++] = "--quiet";
    if (haul_options_has(options, HAUL_OPTION_PERF))
        argv[count++] = "--perf";
    for (size_t i = 0; i < options->list_count; i++) {
        argv[count++] = "--set";
        argv[count++] = options->list[i];
    }
    argv[count++] = "--set";
    argv[count++] = setting;
    /* Libraries leave descriptors that would outlive them. */
    if (close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
        return;
    execv("/proc/self/exe", (char *const *)argv);
}
