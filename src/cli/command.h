/* command.h - what a subcommand is, and what all of them share. */
#ifndef FL_CLI_COMMAND_H
#define FL_CLI_COMMAND_H

#include "cli/args.h"

/* Exit codes, as `fairlead help` documents them. */
enum fl_exit {
    FL_EXIT_OK = 0,      /* an answer */
    FL_EXIT_FAILED = 1,  /* a call or a demo failed */
    FL_EXIT_USAGE = 2,   /* wrong arguments */
    FL_EXIT_ABSENT = 3,  /* there is no such service */
    FL_EXIT_EMPTY = 4,   /* the service exists; nothing may take calls */
    FL_EXIT_UNKNOWN = 5, /* could not find out */
};

struct fl_command {
    const char *name;
    const char *usage;   /* what follows the name */
    const char *summary; /* one line */
    const char *details; /* paragraphs below the usage; may be NULL */
    /* Runs with the arguments after the name; an enum fl_exit. */
    int (*run)(const struct fl_command *self, int argc, char **argv);
};

extern const struct fl_command fl_command_get, fl_command_watch, fl_command_call, fl_command_sim,
    fl_command_demo, fl_command_echo, fl_command_version;

/* Parses the arguments of `self`. True: go on. False: return *exit, the help or the error is
 * printed. */
FL_MUST bool fl_command_parse(const struct fl_command *self, struct fl_args *args, int argc,
                              char **argv, int *exit_code);

/* "fairlead: CAUSE: detail" on standard error, one line; returns the exit code for that cause. */
int fl_command_fail(const struct fl_error *err);

#endif
