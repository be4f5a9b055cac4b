/* The program: the table of commands, and the dispatch to them. */
#include "controlplane/cmd/command.h"
#include "controlplane/cmd/print.h"

#include <stdio.h>
#include <string.h>

#define BIT(option) HAUL_OPTION_BIT(option)

static int help_run(const struct haul_options *options);

static const struct haul_command table[] = {
    { "init", "", "make a home directory with a fresh identity",
      "Makes the home directory when it is absent and an Ed25519 identity in it. Running it again\n"
      "changes nothing. Every other command does the same on first use.",
      0, 0, 0, haul_cmd_init },
    { "id", "", "print this node's peer id",
      "Prints the peer id in both text forms: base58btc and CIDv1.", 0, 0, 0, haul_cmd_id },
    { "perf", "loop | peer MULTIADDR | ceiling [NAME]...",
      "measure how fast two nodes, two peers or this machine are",
      "`haul perf loop` starts two nodes on this machine, moves generated data between them as in\n"
      "production, and prints one record a run and a table with medians and spread beside iperf3.\n"
      "Without --carrier, udp and stream take turns. The nodes and what they stored are gone\n"
      "afterwards.\n"
      "`haul perf peer MULTIADDR` sends --up bytes over libp2p streams to any peer that answers\n"
      "/perf/1.0.0 and asks it for --down bytes; a haul node answers when started with --perf.\n"
      "`haul perf ceiling` measures what the machine itself can do: copies, ciphers, hashes, raw\n"
      "UDP and TCP, and the sealed pipes, which carry with nothing above them; or only those that\n"
      "are named. There --size is that of source and sink, and --runs counts the rounds.",
      BIT(CARRIER) | BIT(SIZE) | BIT(SOURCE) | BIT(SINK) | BIT(HASH) | BIT(CIPHER) | BIT(RUNS) |
          BIT(DEVICE) | BIT(MTU) | BIT(SET) | BIT(UP) | BIT(DOWN) | BIT(STREAMS) | BIT(SECURITY) |
          BIT(TIMEOUT) | BIT(SPAN),
      1, HAUL_ARGUMENTS_MAX, haul_cmd_perf },
    { "hw", "probe", "say what this machine has, and which datagram backends it can use",
      "Lists processors, huge pages, IOMMU and ports with their drivers, queues and offloads; "
      "then\n"
      "each backend, on each port that it could use: whether it can, why not, and what to do "
      "about\n"
      "it. Changes nothing. docs/DPDK.md tells the rest.",
      0, 1, 1, haul_cmd_hw },
    { "config", "[KEY]", "show the configuration",
      "Prints every key with its value, where that came from, its range and its meaning. Values\n"
      "come from the defaults, HOME/config.yaml, the environment and --set, in this order.",
      BIT(SET), 0, 1, haul_cmd_config },
    { "node", "", "run a node in the foreground",
      "Runs until SIGTERM or an interrupt. Prints one line that begins with `ready` to standard\n"
      "output when it listens, and its log to standard error. One node runs in a home at a time;\n"
      "ports that another node has taken are replaced by free ones, unless they were configured.",
      BIT(SET) | BIT(PERF), 0, 0, haul_cmd_node },
    { "put", "PATH|-", "store a file, a directory or standard input",
      "Stores the tree and prints its CID. Nothing is announced and nobody may fetch it before\n"
      "`haul share`. Symbolic links are kept as links; devices, sockets, pipes and names that are\n"
      "not UTF-8 are refused by name. Runs a node for its own duration when none runs.",
      BIT(HASH) | BIT(PRESERVE), 1, 1, haul_cmd_put },
    { "share", "PATH|CID", "make a dataset fetchable and print its ticket",
      "Shares a stored dataset, with everybody or with named peers; a path is put first. The "
      "ticket\n"
      "holds CID, peer id and addresses. A node must run in this home to serve it.\n"
      "`--deny PEER` keeps one peer from it, whoever else may have it, until `--off --deny PEER`.\n"
      "Alone it shares with nobody: what is private stays so. For all but one: deny, then share.",
      BIT(HASH) | BIT(PRESERVE) | BIT(TO) | BIT(DENY) | BIT(OFF) | BIT(ANNOUNCE), 1, 1,
      haul_cmd_share },
    { "get", "TICKET|CID[/PATH]", "fetch a dataset, or a part of it",
      "Writes to the path given with -o, by way of a part beside it that is renamed at the end; "
      "to\n"
      "standard output with -o -; or to the block store without -o. Waits for a peer that is not\n"
      "there yet, and says for whom. Runs a node for its own duration when none runs.\n"
      "One that ended early, with a mebibyte or more, leaves its part: the same command goes on\n"
      "from there, and so does one to the store. To begin anew, remove the part.",
      BIT(OUTPUT) | BIT(KEEP) | BIT(CARRIER) | BIT(TIMEOUT), 1, 1, haul_cmd_get },
    { "ls", "[TICKET|CID[/PATH]]", "list datasets, or a directory in one",
      "Without an argument: the datasets of this node. Otherwise the entries of a directory, here\n"
      "or at the peer that the ticket names; only its nodes are fetched.",
      BIT(TIMEOUT), 0, 1, haul_cmd_ls },
    { "dht", "find|provide|providers|peers|put-value|get-value|publish [PEER|CID|KEY [FILE]]",
      "ask the DHT",
      "`haul dht find PEER` looks for a peer, `haul dht providers CID` for who announces a "
      "dataset,\n"
      "`haul dht provide CID` announces a dataset that is shared with everybody, once and now, "
      "and\n"
      "`haul dht peers` prints the routing table; `put-value KEY FILE` and `get-value KEY` put and "
      "get\n"
      "the record of a key (/pk/PEER, /ipns/PEER); `publish CID` signs and puts that the node's\n"
      "name (/ipns/ and its peer id) stands for the CID. The node must have joined one (dht.mode).",
      BIT(TIMEOUT) | BIT(OUTPUT), 1, 3, haul_cmd_dht },
    { "status", "", "show what the running node is, uses and does",
      "Prints addresses, what is in use (receive, segmentation, cipher, store), connections, and\n"
      "the counters of every flow.",
      0, 0, 0, haul_cmd_status },
    { "explain", "[CODE]", "say what an error code means",
      "Prints what the code means and what to do next; without a code, all of them.", 0, 0, 1,
      haul_cmd_explain },
    { "help", "[COMMAND]", "say what a command does",
      "Also: `haul help completion` prints a bash completion, `haul help man` the manual page.", 0,
      0, 1, help_run },
    { "version", "", "print the version", "Prints the version of this program.", 0, 0, 0,
      haul_cmd_version },
};
static const struct haul_commands commands = { table, HAUL_COUNT_OF(table) };

static int help_run(const struct haul_options *options)
{
    return haul_help(&commands, options);
}

/* Mistakes in the options are told in the form that was asked for, so it is looked for first. */
static struct haul_options form_of(int argc, char *const *argv)
{
    struct haul_options options = { 0 };

    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0)
            options.given = BIT(JSON);
    }
    return options;
}

static int unknown_command(const char *name, const struct haul_options *form)
{
    const char *names[HAUL_COUNT_OF(table)];
    struct haul_error error;
    const char *nearest;

    for (size_t i = 0; i < commands.count; i++)
        names[i] = table[i].name;
    nearest = haul_nearest(name, names, commands.count);
    haul_fail(&error, HAUL_E_USAGE, "there is no command '%.40s'%s%s%s", name,
              nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
              nearest != NULL ? "'?" : "");
    return haul_print_error(form, &error);
}

static int command_run(const struct haul_command *command, int argc, char *const *argv)
{
    const struct haul_options help = { .arguments = { command->name }, .argument_count = 1 };
    struct haul_options options = form_of(argc, argv);
    struct haul_error error;

    if (haul_options_parse(argc, argv, command->options | HAUL_OPTIONS_COMMON, &options, &error) <
        0)
        return haul_print_error(&options, &error);
    if (haul_options_has(&options, HAUL_OPTION_HELP))
        return help_run(&help);
    if (options.argument_count < command->arguments_min ||
        options.argument_count > command->arguments_max) {
        haul_fail(&error, HAUL_E_USAGE, "too %s arguments; usage: haul %s [OPTIONS]%s%s",
                  options.argument_count < command->arguments_min ? "few" : "many", command->name,
                  command->arguments[0] != '\0' ? " " : "", command->arguments);
        return haul_print_error(&options, &error);
    }
    return command->run(&options);
}

int main(int argc, char **argv)
{
    const struct haul_options form = form_of(argc, argv);
    const struct haul_options none = { 0 };
    const struct haul_command *command;
    const char *name = argc > 1 ? argv[1] : "help";

    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help_run(&none);
    if (strcmp(name, "--version") == 0)
        return haul_cmd_version(&none);
    command = haul_command_find(&commands, name);
    if (command == NULL)
        return unknown_command(name, &form);
    return command_run(command, argc > 2 ? argc - 2 : 0, argv + 2);
}
