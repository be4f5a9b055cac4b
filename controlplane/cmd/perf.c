/* haul perf: rate tests. One verb so far: `loop`, two nodes on this machine. */
#include "controlplane/cmd/command.h"
#include "controlplane/cmd/perf_loop.h"
#include "controlplane/cmd/print.h"

#include <string.h>

int haul_cmd_perf(const struct haul_options *options)
{
    struct haul_error error;

    if (strcmp(options->arguments[0], "loop") == 0)
        return haul_perf_loop(options);
    haul_fail(&error, HAUL_E_USAGE, "there is no rate test '%.40s'; there is `haul perf loop`",
              options->arguments[0]);
    return haul_print_error(options, &error);
}
