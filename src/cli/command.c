/* command.c - what all subcommands share: parsing with help, and the one line of a failure. */
#include "cli/command.h"

#include "cli/terminal.h"

static void print_help(const struct fl_command *self, const struct fl_args *args) {
    printf("fairlead %s %s\n\n%s.\n", self->name, self->usage, self->summary);
    if (self->details) printf("\n%s\n", self->details);
    printf("\nOptions:\n");
    fl_args_print(args, stdout);
}

bool fl_command_parse(const struct fl_command *self, struct fl_args *args, int argc, char **argv,
                      int *exit_code) {
    struct fl_error err = {0};
    if (fl_args_parse(args, argc, argv, &err)) {
        fprintf(stderr, "fairlead %s: %s; see fairlead help %s\n", self->name, err.detail,
                self->name);
        *exit_code = FL_EXIT_USAGE;
        return false;
    }
    if (args->help) {
        print_help(self, args);
        *exit_code = FL_EXIT_OK;
        return false;
    }
    return true;
}

static int exit_of(int code) {
    switch (code) {
    case FL_EUSAGE:
    case FL_EPORT:
        return FL_EXIT_USAGE;
    case FL_EABSENT:
        return FL_EXIT_ABSENT;
    case FL_EEMPTY:
        return FL_EXIT_EMPTY;
    default:
        return FL_EXIT_UNKNOWN;
    }
}

int fl_command_fail(const struct fl_error *err) {
    fl_terminal_clear_progress();
    fflush(stdout); /* the reason comes last, in a log of both as well */
    fprintf(stderr, "fairlead: %s: %s\n", fl_error_name(err->code), err->detail);
    return exit_of(err->code);
}
