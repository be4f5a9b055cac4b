/* haul perf: rate tests. `loop`: two nodes on this machine; `peer`: libp2p streams with any peer;
 * `ceiling`: the machine alone. */
#include "controlplane/cmd/command.h"
#include "controlplane/cmd/perf_ceiling.h"
#include "controlplane/cmd/perf_loop.h"
#include "controlplane/cmd/perf_peer.h"
#include "controlplane/cmd/print.h"

#include <string.h>

#define BIT(option) HAUL_OPTION_BIT(option)

struct verb {
    const char *name;
    uint64_t options;     /* beside the common ones */
    size_t arguments_min; /* behind the name */
    size_t arguments_max;
    int (*run)(const struct haul_options *options);
};

static const struct verb verbs[] = {
    { "loop",
      BIT(CARRIER) | BIT(SIZE) | BIT(SOURCE) | BIT(SINK) | BIT(HASH) | BIT(CIPHER) | BIT(RUNS) |
          BIT(DEVICE) | BIT(MTU) | BIT(SET),
      0, 0, haul_perf_loop },
    { "peer", BIT(UP) | BIT(DOWN) | BIT(STREAMS) | BIT(SECURITY) | BIT(TIMEOUT) | BIT(RUNS), 1, 1,
      haul_perf_peer },
    { "ceiling", BIT(SIZE) | BIT(RUNS) | BIT(SPAN), 0, HAUL_ARGUMENTS_MAX - 1, haul_perf_ceiling },
};

static int verb_run(const struct verb *verb, const struct haul_options *options)
{
    uint64_t foreign = options->given & ~(verb->options | HAUL_OPTIONS_COMMON);
    size_t count = options->argument_count - 1;
    struct haul_error error;

    for (unsigned i = 0; i < HAUL_OPTION_COUNT; i++) {
        if (foreign >> i & 1) {
            haul_fail(&error, HAUL_E_USAGE, "`haul perf %s` has no --%s", verb->name,
                      haul_option_table[i].name);
            return haul_print_error(options, &error);
        }
    }
    if (count >= verb->arguments_min && count <= verb->arguments_max)
        return verb->run(options);
    haul_fail(&error, HAUL_E_USAGE, "`haul perf %s`: too %s arguments", verb->name,
              count < verb->arguments_min ? "few" : "many");
    return haul_print_error(options, &error);
}

int haul_cmd_perf(const struct haul_options *options)
{
    struct haul_error error;

    for (size_t i = 0; i < HAUL_COUNT_OF(verbs); i++) {
        if (strcmp(options->arguments[0], verbs[i].name) == 0)
            return verb_run(&verbs[i], options);
    }
    haul_fail(&error, HAUL_E_USAGE,
              "there is no rate test '%.40s'; there are `haul perf loop`, `haul perf peer "
              "MULTIADDR` and `haul perf ceiling`",
              options->arguments[0]);
    return haul_print_error(options, &error);
}
