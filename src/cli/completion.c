/* completion.c - fairlead completion: scripts for bash, zsh and fish, made from the same tables as
 * the help. What follows `explain` are the causes, what follows `help` and `manual` the commands.
 */
#include <stdio.h>

#include "cli/command.h"

static bool takes_value(const struct fl_option *option) { return option->metavar != NULL; }

static bool takes_file(const struct fl_option *option) {
    return takes_value(option) && strcmp(option->metavar, "FILE") == 0;
}

/* Inside single quotes of any shell. */
static void print_quoted(const char *text) {
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*text);
    }
}

static void print_command_names(void) {
    for (size_t i = 0; fl_commands[i]; i++) printf("%s ", fl_commands[i]->name);
    fputs("help", stdout);
}

/* The words that may follow a command; nothing where they cannot be known. */
static void print_words_of(const char *command) {
    if (strcmp(command, "explain") == 0)
        for (int code = -1; code > -(int)FL_ORDINAL_COUNT; code--)
            printf("%s ", fl_error_name(code));
    else if (strcmp(command, "manual") == 0 || strcmp(command, "help") == 0)
        print_command_names();
    else if (strcmp(command, "completion") == 0)
        fputs("bash zsh fish", stdout);
}

/* ---- bash ---- */

static void print_bash_flags(const struct fl_args *args) {
    const struct fl_option *option;
    for (size_t i = 0; (option = fl_args_option(args, i)); i++) {
        if (option->letter) printf("-%c ", option->letter);
        printf("--%s ", option->name);
    }
}

/* "-n|--namespace|…)": a pattern of the options whose value is, or is no, file. */
static void print_bash_pattern(const struct fl_args *args, bool files, const char *then) {
    const struct fl_option *option;
    bool any = false;
    for (size_t i = 0; (option = fl_args_option(args, i)); i++) {
        if (!takes_value(option) || takes_file(option) != files) continue;
        printf("%s--%s", any ? "|" : "        ", option->name);
        if (option->letter) printf("|-%c", option->letter);
        any = true;
    }
    if (any) printf(") %s ;;\n", then);
}

static void print_bash_command(void *arg, const struct fl_command *command,
                               const struct fl_args *args) {
    FL_UNUSED(arg);
    printf("    %s)\n        flags='", command->name);
    print_bash_flags(args);
    fputs("'\n        words='", stdout);
    print_words_of(command->name);
    fputs("'\n        case $previous in\n", stdout);
    print_bash_pattern(args, true, "COMPREPLY=($(compgen -f -- \"$current\")); return");
    print_bash_pattern(args, false, "return");
    fputs("        esac ;;\n", stdout);
}

static void print_bash(void) {
    fputs("_fairlead() {\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local flags= words=\n"
          "    COMPREPLY=()\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        COMPREPLY=($(compgen -W '",
          stdout);
    print_command_names();
    fputs("' -- \"$current\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n    help) "
          "words='",
          stdout);
    print_words_of("help");
    fputs("' ;;\n", stdout);
    for (size_t i = 0; fl_commands[i]; i++)
        fl_command_describe(fl_commands[i], print_bash_command, NULL);
    fputs("    esac\n"
          "    [[ $current == -* ]] && words=$flags\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
          "}\n"
          "complete -o filenames -F _fairlead fairlead\n",
          stdout);
}

/* ---- zsh ---- */

/* In `_arguments`, brackets and colons of a text mean something. */
static void print_zsh_text(const char *text) {
    for (; *text; text++) {
        if (strchr("[]:\\", *text)) putchar('\\');
        if (*text == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*text);
    }
}

static void print_zsh_option(const struct fl_option *option, const char *dashes, const char *name) {
    printf("            '%s%s%s[", option->kind == FL_OPTION_LIST ? "*" : "", dashes, name);
    print_zsh_text(option->help);
    putchar(']');
    if (takes_value(option)) printf(":%s:%s", option->metavar, takes_file(option) ? "_files" : " ");
    fputs("' \\\n", stdout);
}

static void print_zsh_command(void *arg, const struct fl_command *command,
                              const struct fl_args *args) {
    const struct fl_option *option;
    FL_UNUSED(arg);
    printf("    %s)\n        _arguments \\\n", command->name);
    for (size_t i = 0; (option = fl_args_option(args, i)); i++) {
        char letter[] = {option->letter, '\0'};
        if (option->letter) print_zsh_option(option, "-", letter);
        print_zsh_option(option, "--", option->name);
    }
    fputs("            '*: :(", stdout);
    print_words_of(command->name);
    fputs(")' ;;\n", stdout);
}

static void print_zsh(void) {
    fputs("#compdef fairlead\n_fairlead() {\n    local -a commands=(\n", stdout);
    for (size_t i = 0; fl_commands[i]; i++) {
        printf("        '%s:", fl_commands[i]->name);
        print_quoted(fl_commands[i]->summary);
        fputs("'\n", stdout);
    }
    fputs("        'help:The options of a command')\n"
          "    if ((CURRENT == 2)); then\n"
          "        _describe command commands\n"
          "        return\n"
          "    fi\n"
          "    local command=$words[2]\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    case $command in\n"
          "    help) _arguments '*: :(",
          stdout);
    print_words_of("help");
    fputs(")' ;;\n", stdout);
    for (size_t i = 0; fl_commands[i]; i++)
        fl_command_describe(fl_commands[i], print_zsh_command, NULL);
    fputs("    esac\n}\n_fairlead \"$@\"\n", stdout);
}

/* ---- fish ---- */

static void print_fish_command(void *arg, const struct fl_command *command,
                               const struct fl_args *args) {
    const struct fl_option *option;
    FL_UNUSED(arg);
    printf("complete -c fairlead -n __fish_use_subcommand -a %s -d '", command->name);
    print_quoted(command->summary);
    printf("'\ncomplete -c fairlead -n '__fish_seen_subcommand_from %s' -a '", command->name);
    print_words_of(command->name);
    fputs("'\n", stdout);
    for (size_t i = 0; (option = fl_args_option(args, i)); i++) {
        printf("complete -c fairlead -n '__fish_seen_subcommand_from %s' -l %s", command->name,
               option->name);
        if (option->letter) printf(" -s %c", option->letter);
        if (takes_value(option)) fputs(takes_file(option) ? " -rF" : " -x", stdout);
        fputs(" -d '", stdout);
        print_quoted(option->help);
        fputs("'\n", stdout);
    }
}

static void print_fish(void) {
    fputs("complete -c fairlead -f\n"
          "complete -c fairlead -n __fish_use_subcommand -a help -d 'The options of a command'\n"
          "complete -c fairlead -n '__fish_seen_subcommand_from help' -a '",
          stdout);
    print_words_of("help");
    fputs("'\n", stdout);
    for (size_t i = 0; fl_commands[i]; i++)
        fl_command_describe(fl_commands[i], print_fish_command, NULL);
}

static int run(const struct fl_command *self, int argc, char **argv) {
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    static const char *const words[] = {"SHELL"};
    struct fl_args args = {.words_min = 1, .words_max = 1, .words_named = words};
    struct fl_error err = {0};
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    for (size_t i = 0; i < FL_COUNT(shells); i++) {
        if (strcmp(args.words.list[0], shells[i].name) != 0) continue;
        shells[i].print();
        return FL_EXIT_OK;
    }
    fl_fail(&err, FL_EUSAGE, "%s: want bash, zsh or fish", args.words.list[0]);
    return fl_command_fail(&err);
}

const struct fl_command fl_command_completion = {
    "completion", "bash|zsh|fish", "A completion script for a shell",
    "bash: source <(fairlead completion bash)\n\n"
    "zsh: fairlead completion zsh > \"${fpath[1]}/_fairlead\"\n\n"
    "fish: fairlead completion fish > ~/.config/fish/completions/fairlead.fish",
    run};
