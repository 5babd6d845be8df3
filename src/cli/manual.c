/* manual.c - fairlead manual: manual pages in roff, made from the same tables as the help. */
#include <fairlead/version.h>
#include <stdio.h>

#include "cli/command.h"

/* Text in which no character means anything to roff. */
static void print_escaped(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool at_start = i == 0 || text[i - 1] == '\n';
        if (at_start && (text[i] == '.' || text[i] == '\'')) fputs("\\&", stdout);
        if (text[i] == '\\')
            fputs("\\e", stdout);
        else if (text[i] == '-')
            fputs("\\-", stdout);
        else
            putchar(text[i]);
    }
}

static void print_word(const char *text) { print_escaped(text, strlen(text)); }

static void print_head(const char *page, const char *summary) {
    printf(".TH %s 1 \"\" \"fairlead %s\" \"User Commands\"\n.SH NAME\n", page, fl_version());
    print_word(page);
    fputs(" \\- ", stdout);
    print_word(summary);
    putchar('\n');
}

/* Paragraphs are parted by empty lines. */
static void print_paragraphs(const char *text) {
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        if (n == 0)
            puts(".PP");
        else
            print_escaped(line, n);
        if (n) putchar('\n');
        line += n + (line[n] == '\n');
    }
}

static void print_option(const struct fl_option *option) {
    fputs(".TP\n", stdout);
    if (option->letter) printf("\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", stdout);
    print_word(option->name);
    fputs("\\fR", stdout);
    if (option->metavar) {
        fputs(" \\fI", stdout);
        print_word(option->metavar);
        fputs("\\fR", stdout);
    }
    putchar('\n');
    print_word(option->help);
    putchar('\n');
}

static void print_common_tail(void) {
    printf(
        ".SH EXIT STATUS\n"
        ".TP\n%d\nan answer\n.TP\n%d\na call or a demo failed\n.TP\n%d\nwrong arguments\n"
        ".TP\n%d\nthere is no such service\n.TP\n%d\nthe service exists, nothing may take calls\n"
        ".TP\n%d\nit could not be found out\n",
        FL_EXIT_OK, FL_EXIT_FAILED, FL_EXIT_USAGE, FL_EXIT_ABSENT, FL_EXIT_EMPTY, FL_EXIT_UNKNOWN);
    puts(".SH ENVIRONMENT\n"
         ".TP\nKUBECONFIG\nconfigurations, separated by colons and merged, the first wins\n"
         ".TP\nKUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT\nset in a pod: its service account "
         "is used\n"
         ".TP\nHTTPS_PROXY, NO_PROXY\nthe way to the API server, unless the configuration names "
         "one\n"
         ".TP\nNO_COLOR\nno colours, also on a terminal\n"
         ".SH FILES\n.TP\n~/.kube/config\nthe configuration where none of the above is given");
}

static void print_page(void *arg, const struct fl_command *command, const struct fl_args *args) {
    const struct fl_option *option;
    char page[64];
    FL_UNUSED(arg);
    snprintf(page, sizeof page, "fairlead-%s", command->name);
    print_head(page, command->summary);
    printf(".SH SYNOPSIS\n.B fairlead %s\n", command->name);
    print_word(command->usage);
    fputs("\n.SH DESCRIPTION\n", stdout);
    print_word(command->summary);
    puts(".");
    if (command->details) {
        puts(".PP");
        print_paragraphs(command->details);
    }
    puts(".SH OPTIONS");
    for (size_t i = 0; (option = fl_args_option(args, i)); i++) print_option(option);
    print_common_tail();
    puts(".SH SEE ALSO\n.BR fairlead (1)");
}

static void print_overview(void) {
    print_head("fairlead", "connections to the endpoints that are alive now");
    puts(".SH SYNOPSIS\n.B fairlead\n.I COMMAND\n[\\fIargument\\fR ...]\n.SH DESCRIPTION\n"
         "Watches where services live, through failures of network and API server, and keeps "
         "connections pointed at the endpoints that are alive now.\n.SH COMMANDS");
    for (size_t i = 0; fl_commands[i]; i++) {
        printf(".TP\n.BR fairlead\\-%s (1)\n", fl_commands[i]->name);
        print_word(fl_commands[i]->summary);
        putchar('\n');
    }
    print_common_tail();
}

static int run(const struct fl_command *self, int argc, char **argv) {
    struct fl_args args = {.words_max = 1};
    struct fl_error err = {0};
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    if (args.words.count == 0) {
        print_overview();
        return FL_EXIT_OK;
    }
    const struct fl_command *command = fl_command_find(args.words.list[0]);
    if (!command) {
        fl_fail(&err, FL_EUSAGE, "there is no command \"%s\"; fairlead help lists them",
                args.words.list[0]);
        return fl_command_fail(&err);
    }
    fl_command_describe(command, print_page, NULL);
    return FL_EXIT_OK;
}

const struct fl_command fl_command_manual = {
    "manual", "[COMMAND]", "The manual page of a command, as roff",
    "To read it where it is not installed: fairlead manual get | man -l -", run};
