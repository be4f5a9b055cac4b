/* Help, version, completion and the manual page: loops over the tables of commands, options and
 * errors, of which the first is handed in by whoever has it (main.c). */
#include "controlplane/cmd/command.h"
#include "controlplane/cmd/print.h"

#include <string.h>

const struct haul_command *haul_command_find(const struct haul_commands *commands, const char *name)
{
    for (size_t i = 0; i < commands->count; i++) {
        if (strcmp(commands->rows[i].name, name) == 0)
            return &commands->rows[i];
    }
    return NULL;
}

static void print_summary(const struct haul_commands *commands)
{
    puts("haul moves content-addressed datasets between machines.\n\n"
         "usage: haul COMMAND [OPTIONS] [ARGUMENTS]\n");
    for (size_t i = 0; i < commands->count; i++)
        printf("  %-9s %s\n", commands->rows[i].name, commands->rows[i].summary);
    puts(
        "\n`haul help COMMAND` says more; `haul help completion` and `haul help man` print a bash\n"
        "completion and the manual page.");
}

static void print_options(uint64_t options, const char *indent)
{
    for (unsigned i = 0; i < HAUL_OPTION_COUNT; i++) {
        const struct haul_option_info *info = &haul_option_table[i];
        char left[64];

        if ((options >> i & 1) == 0)
            continue;
        snprintf(left, sizeof left, "%s--%s%s%s", i == HAUL_OPTION_OUTPUT ? "-o, " : "", info->name,
                 info->value != NULL ? " " : "",
                 info->choices != NULL ? info->choices
                 : info->value != NULL ? info->value
                                       : "");
        printf("%s%-30s %s\n", indent, left, info->help);
    }
}

static void print_command(const struct haul_command *command)
{
    printf("usage: haul %s [OPTIONS]%s%s\n\n%s.\n\n%s\n\noptions:\n", command->name,
           command->arguments[0] != '\0' ? " " : "", command->arguments, command->summary,
           command->details);
    print_options(command->options | HAUL_OPTIONS_COMMON, "  ");
}

static void print_completion(const struct haul_commands *commands)
{
    puts("# bash completion of haul; source it, or install it as\n"
         "# /usr/share/bash-completion/completions/haul\n"
         "_haul() {\n"
         "    local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]}\n"
         "    case $last in");
    for (unsigned i = 0; i < HAUL_OPTION_COUNT; i++) {
        const char *choices = haul_option_table[i].choices;

        if (choices == NULL)
            continue;
        printf("    --%s) COMPREPLY=($(compgen -W '", haul_option_table[i].name);
        for (; *choices != '\0'; choices++)
            putchar(*choices == '|' ? ' ' : *choices);
        puts("' -- \"$word\")); return ;;");
    }
    puts("    --home|--output|-o) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
         "    esac\n"
         "    if [ \"$COMP_CWORD\" = 1 ]; then");
    fputs("        COMPREPLY=($(compgen -W '", stdout);
    for (size_t i = 0; i < commands->count; i++)
        printf("%s%s", i > 0 ? " " : "", commands->rows[i].name);
    puts("' -- \"$word\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in");
    for (size_t i = 0; i < commands->count; i++) {
        uint64_t options = commands->rows[i].options | HAUL_OPTIONS_COMMON;

        printf("    %s) words='", commands->rows[i].name);
        for (unsigned j = 0; j < HAUL_OPTION_COUNT; j++) {
            if (options >> j & 1)
                printf("--%s ", haul_option_table[j].name);
        }
        puts("' ;;");
    }
    puts("    esac\n"
         "    case $word in\n"
         "    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$word\")) ;;\n"
         "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
         "    esac\n"
         "}\n"
         "complete -o filenames -F _haul haul");
}

/* A hyphen of an option must stay one in every output device. */
static void print_roff(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '-')
            fputs("\\-", stdout);
        else if (*text == '\\')
            fputs("\\e", stdout);
        else
            putchar(*text);
    }
}

static void print_man_command(const struct haul_command *command)
{
    uint64_t options = command->options | HAUL_OPTIONS_COMMON;

    printf(".SS haul %s ", command->name);
    print_roff(command->arguments);
    putchar('\n');
    print_roff(command->details);
    putchar('\n');
    for (unsigned i = 0; i < HAUL_OPTION_COUNT; i++) {
        const struct haul_option_info *info = &haul_option_table[i];

        if ((options >> i & 1) == 0)
            continue;
        fputs(".TP\n.B \\-\\-", stdout);
        print_roff(info->name);
        if (info->value != NULL) {
            putchar(' ');
            print_roff(info->choices != NULL ? info->choices : info->value);
        }
        putchar('\n');
        print_roff(info->help);
        putchar('\n');
    }
}

static void print_man(const struct haul_commands *commands)
{
    puts(".TH HAUL 1 \"\" \"haul " HAUL_VERSION "\" \"User Commands\"\n.SH NAME\n"
         "haul \\- move content\\-addressed datasets between machines\n.SH SYNOPSIS\n"
         ".B haul\n.I COMMAND\n[OPTIONS] [ARGUMENTS]\n.SH COMMANDS");
    for (size_t i = 0; i < commands->count; i++)
        print_man_command(&commands->rows[i]);
    puts(".SH EXIT STATUS\n0 done, 1 failed, 2 usage, 77 not possible on this machine.\n"
         ".SH ERRORS");
    for (int code = 1; code < HAUL_E_COUNT; code++) {
        fputs(".TP\n.B ", stdout);
        print_roff(haul_error_name((enum haul_error_code)code));
        putchar('\n');
        print_roff(haul_error_meaning((enum haul_error_code)code));
        fputs(": ", stdout);
        print_roff(haul_error_next((enum haul_error_code)code));
        putchar('\n');
    }
}

int haul_help(const struct haul_commands *commands, const struct haul_options *options)
{
    const char *topic = options->argument_count > 0 ? options->arguments[0] : NULL;
    const struct haul_command *command = topic == NULL ? NULL : haul_command_find(commands, topic);
    struct haul_error error;

    if (topic == NULL) {
        print_summary(commands);
    } else if (command != NULL) {
        print_command(command);
    } else if (strcmp(topic, "completion") == 0) {
        print_completion(commands);
    } else if (strcmp(topic, "man") == 0) {
        print_man(commands);
    } else {
        haul_fail(&error, HAUL_E_USAGE, "there is no command '%.40s'", topic);
        return haul_print_error(options, &error);
    }
    return HAUL_EXIT_DONE;
}

int haul_cmd_version(const struct haul_options *options)
{
    if (haul_options_has(options, HAUL_OPTION_JSON)) {
        json_t *object = json_object();

        json_object_set_new(object, "version", json_string(HAUL_VERSION));
        haul_print_json(object);
    } else {
        puts("haul " HAUL_VERSION);
    }
    return HAUL_EXIT_DONE;
}
