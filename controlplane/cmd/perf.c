/* haul perf: rate tests. `loop`: two nodes on this machine; `peer`: libp2p streams with any peer.
 */
#include "controlplane/cmd/command.h"
#include "controlplane/cmd/perf_loop.h"
#include "controlplane/cmd/perf_peer.h"
#include "controlplane/cmd/print.h"

#include <string.h>

int haul_cmd_perf(const struct haul_options *options)
{
    struct haul_error error;

    if (strcmp(options->arguments[0], "loop") == 0 && options->argument_count == 1)
        return haul_perf_loop(options);
    if (strcmp(options->arguments[0], "peer") == 0 && options->argument_count == 2)
        return haul_perf_peer(options);
    haul_fail(&error, HAUL_E_USAGE,
              "there is no rate test '%.40s'; there are `haul perf loop` and "
              "`haul perf peer MULTIADDR`",
              options->arguments[0]);
    return haul_print_error(options, &error);
}
