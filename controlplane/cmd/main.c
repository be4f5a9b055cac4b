/* The program: the table of commands, and the dispatch to them. */
#include "controlplane/cmd/command.h"
#include "controlplane/cmd/print.h"

#include <stdio.h>
#include <string.h>

#define BIT(option) HAUL_OPTION_BIT(option)

const struct haul_command haul_command_table[] = {
    { "init", "", "make a home directory with a fresh identity",
      "Makes the home directory when it is absent and an Ed25519 identity in it. Running it again\n"
      "changes nothing. Every other command does the same on first use.",
      0, 0, 0, haul_cmd_init },
    { "id", "", "print this node's peer id",
      "Prints the peer id in both text forms: base58btc and CIDv1.", 0, 0, 0, haul_cmd_id },
    { "config", "[KEY]", "show the configuration",
      "Prints every key with its value, where that came from, its range and its meaning. Values\n"
      "come from the defaults, HOME/config.yaml, the environment and --set, in this order.",
      BIT(SET), 0, 1, haul_cmd_config },
    { "explain", "[CODE]", "say what an error code means",
      "Prints what the code means and what to do next; without a code, all of them.", 0, 0, 1,
      haul_cmd_explain },
    { "help", "[COMMAND]", "say what a command does",
      "Also: `haul help completion` prints a bash completion, `haul help man` the manual page.", 0,
      0, 1, haul_cmd_help },
    { "version", "", "print the version", "Prints the version of this program.", 0, 0, 0,
      haul_cmd_version },
};
const size_t haul_command_count = HAUL_COUNT_OF(haul_command_table);

static int unknown_command(const char *name)
{
    const char *names[HAUL_COUNT_OF(haul_command_table)];
    struct haul_error error;
    const char *nearest;

    for (size_t i = 0; i < haul_command_count; i++)
        names[i] = haul_command_table[i].name;
    nearest = haul_nearest(name, names, haul_command_count);
    haul_fail(&error, HAUL_E_USAGE, "there is no command '%.40s'%s%s%s", name,
              nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
              nearest != NULL ? "'?" : "");
    return haul_print_error(NULL, &error);
}

static int command_run(const struct haul_command *command, int argc, char *const *argv)
{
    const struct haul_options help = { .arguments = { command->name }, .argument_count = 1 };
    struct haul_options options = { 0 };
    struct haul_error error;

    if (haul_options_parse(argc, argv, command->options | HAUL_OPTIONS_COMMON, &options, &error) <
        0)
        return haul_print_error(&options, &error);
    if (haul_options_has(&options, HAUL_OPTION_HELP))
        return haul_cmd_help(&help);
    if (options.argument_count < command->arguments_min ||
        options.argument_count > command->arguments_max) {
        haul_fail(&error, HAUL_E_USAGE, "too %s arguments; usage: haul %s [OPTIONS] %s",
                  options.argument_count < command->arguments_min ? "few" : "many", command->name,
                  command->arguments);
        return haul_print_error(&options, &error);
    }
    return command->run(&options);
}

int main(int argc, char **argv)
{
    const struct haul_options none = { 0 };
    const struct haul_command *command;
    const char *name = argc > 1 ? argv[1] : "help";

    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return haul_cmd_help(&none);
    if (strcmp(name, "--version") == 0)
        return haul_cmd_version(&none);
    command = haul_command_find(name);
    if (command == NULL)
        return unknown_command(name);
    return command_run(command, argc > 2 ? argc - 2 : 0, argv + 2);
}
