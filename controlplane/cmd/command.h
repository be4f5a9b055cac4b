/* One row a command. `main` finds the row and runs it; help, completion and the manual page print
 * it. Every command returns the exit status: 0 done, 1 failed, 2 usage, 77 not possible here. */
#pragma once

#include "controlplane/cmd/option.h"

enum haul_exit {
    HAUL_EXIT_DONE = 0,
    HAUL_EXIT_FAILED = 1,
    HAUL_EXIT_USAGE = 2,
    HAUL_EXIT_NOT_POSSIBLE = 77,
};

struct haul_command {
    const char *name;
    const char *arguments; /* "TICKET|CID[/PATH]" */
    const char *summary;   /* one line, without a full stop */
    const char *details;   /* whole sentences */
    uint64_t options;      /* HAUL_OPTION_BITs beside the common ones */
    size_t arguments_min;
    size_t arguments_max;
    int (*run)(const struct haul_options *options);
};

/* All of them; main.c has the table. */
struct haul_commands {
    const struct haul_command *rows;
    size_t count;
};

const struct haul_command *haul_command_find(const struct haul_commands *commands,
                                             const char *name);

/* The command `help`. */
int haul_help(const struct haul_commands *commands, const struct haul_options *options);

int haul_cmd_init(const struct haul_options *options);
int haul_cmd_id(const struct haul_options *options);
int haul_cmd_node(const struct haul_options *options);
int haul_cmd_put(const struct haul_options *options);
int haul_cmd_get(const struct haul_options *options);
int haul_cmd_ls(const struct haul_options *options);
int haul_cmd_share(const struct haul_options *options);
int haul_cmd_dht(const struct haul_options *options);
int haul_cmd_status(const struct haul_options *options);
int haul_cmd_perf(const struct haul_options *options);
int haul_cmd_hw(const struct haul_options *options);
int haul_cmd_config(const struct haul_options *options);
int haul_cmd_explain(const struct haul_options *options);
int haul_cmd_version(const struct haul_options *options);
