/* command.c - what all subcommands share: parsing with help, and the one line of a failure. */
#include "cli/command.h"

#include <fairlead/log.h>

#include "cli/terminal.h"

const struct fl_command *const fl_commands[] = {
    &fl_command_demo,       &fl_command_get,    &fl_command_watch,   &fl_command_call,
    &fl_command_conns,      &fl_command_sim,    &fl_command_echo,    &fl_command_explain,
    &fl_command_completion, &fl_command_manual, &fl_command_version, NULL,
};

const struct fl_command *fl_command_find(const char *name) {
    for (size_t i = 0; fl_commands[i]; i++)
        if (strcmp(fl_commands[i]->name, name) == 0) return fl_commands[i];
    return NULL;
}

/* Who wants to see options in place of a run; commands are described one at a time. */
static struct {
    fl_command_see *see;
    void *arg;
} viewer;

void fl_command_describe(const struct fl_command *command, fl_command_see *see, void *arg) {
    viewer.see = see;
    viewer.arg = arg;
    command->run(command, 0, NULL);
    viewer.see = NULL;
}

/* Without -v the log has only what a person must mend and nobody asked about: commands tell the
 * troubles of their own requests themselves, once and in words. */
static enum fl_log_level log_level(const struct fl_args *args) {
    if (args->verbose > 1) return FL_LOG_DEBUG;
    return args->verbose || args->log_format ? FL_LOG_INFO : FL_LOG_ERROR;
}

static int set_log(const struct fl_args *args, struct fl_error *err) {
    struct fl_log_options log = {.level = log_level(args)};
    const char *format = args->log_format ? args->log_format : "text";
    if (strcmp(format, "json") == 0)
        log.format = FL_LOG_JSON;
    else if (strcmp(format, "text") != 0)
        return fl_fail(err, FL_EUSAGE, "--log-format %s: want text or json", format);
    fl_log_configure(&log);
    return FL_OK;
}

static void print_help(const struct fl_command *self, const struct fl_args *args) {
    printf("fairlead %s%s%s\n\n%s.\n", self->name, *self->usage ? " " : "", self->usage,
           self->summary);
    if (self->details) printf("\n%s\n", self->details);
    printf("\nOptions:\n");
    fl_args_print(args, stdout);
}

bool fl_command_parse(const struct fl_command *self, struct fl_args *args, int argc, char **argv,
                      int *exit_code) {
    struct fl_error err = {0};
    if (viewer.see) {
        fl_args_init(args);
        viewer.see(viewer.arg, self, args);
        *exit_code = FL_EXIT_OK;
        return false;
    }
    if (fl_args_parse(args, argc, argv, &err) || (!args->help && set_log(args, &err))) {
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
