/* main.c - the fairlead command: finds the subcommand and runs it. */
#include <fairlead/log.h>
#include <fairlead/version.h>
#include <fcntl.h>
#include <signal.h>

#include "cli/command.h"
#include "loop/loop.h"

static void print_overview(FILE *out) {
    fprintf(out, "fairlead keeps connections pointed at the endpoints that are alive now.\n\n"
                 "usage: fairlead COMMAND …\n\n");
    for (size_t i = 0; fl_commands[i]; i++)
        fprintf(out, "  %-10s %s\n", fl_commands[i]->name, fl_commands[i]->summary);
    fprintf(out, "  %-10s %s\n\n", "help", "The options of a command: fairlead help COMMAND");
    fprintf(out,
            "Exit codes: %d an answer, %d a call failed, %d usage, %d absent, %d empty,\n"
            "%d could not find out. Colours only on a terminal; NO_COLOR is honoured.\n",
            FL_EXIT_OK, FL_EXIT_FAILED, FL_EXIT_USAGE, FL_EXIT_ABSENT, FL_EXIT_EMPTY,
            FL_EXIT_UNKNOWN);
}

static int unknown_command(const char *name) {
    fprintf(stderr, "fairlead: unknown command \"%s\"; fairlead help lists them\n", name);
    return FL_EXIT_USAGE;
}

static bool is_help(const char *word) {
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int run_help(int argc, char **argv) {
    if (argc > 1) {
        fprintf(stderr, "fairlead help: unexpected argument \"%s\"; one command at a time\n",
                argv[1]);
        return FL_EXIT_USAGE;
    }
    if (argc == 0 || is_help(argv[0])) {
        print_overview(stdout);
        return FL_EXIT_OK;
    }
    const struct fl_command *command = fl_command_find(argv[0]);
    char help[] = "--help", *arguments[] = {help};
    return command ? command->run(command, 1, arguments) : unknown_command(argv[0]);
}

static int run_version(const struct fl_command *self, int argc, char **argv) {
    struct fl_args args = {0};
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    printf("fairlead %s\n", fl_version());
    return FL_EXIT_OK;
}

const struct fl_command fl_command_version = {"version", "", "The version of this program", NULL,
                                              run_version};

/* A standard descriptor that the caller closed would be the number of our next socket. In its place
 * comes one that can be used for the wrong direction only, so that what fails to be written is
 * told. */
static bool occupy_standard_descriptors(void) {
    static const int wrong[] = {O_WRONLY, O_RDONLY, O_RDONLY};
    for (int fd = 0; fd < (int)FL_COUNT(wrong); fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", wrong[fd]) != fd) return false;
    return true;
}

int main(int argc, char **argv) {
    static const struct fl_log_options quiet = {.level = FL_LOG_OFF};
    if (!occupy_standard_descriptors()) return FL_EXIT_UNKNOWN; /* nowhere to say why */
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write, reported below */
    fl_loop_count_tls_memory();
    fl_log_configure(&quiet); /* until fl_command_parse finds -v */
    if (argc < 2) {
        print_overview(stderr);
        return FL_EXIT_USAGE;
    }
    int exit_code;
    if (is_help(argv[1])) {
        exit_code = run_help(argc - 2, argv + 2);
    } else {
        const struct fl_command *command =
            fl_command_find(strcmp(argv[1], "--version") == 0 ? "version" : argv[1]);
        exit_code = command ? command->run(command, argc - 2, argv + 2) : unknown_command(argv[1]);
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && exit_code == FL_EXIT_OK) {
        fprintf(stderr, "fairlead: standard output cannot be written\n");
        exit_code = FL_EXIT_UNKNOWN;
    }
    return exit_code;
}
