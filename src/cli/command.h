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

extern const struct fl_command fl_command_call, fl_command_completion, fl_command_conns,
    fl_command_demo, fl_command_echo, fl_command_explain, fl_command_get, fl_command_manual,
    fl_command_sim, fl_command_version, fl_command_watch;

/* All of them, as `fairlead help` lists them; ends with NULL. */
extern const struct fl_command *const fl_commands[];
const struct fl_command *fl_command_find(const char *name); /* NULL: there is none */

/* Parses the arguments of `self` and sets the log. True: go on. False: return *exit, the help or
 * the error is printed. Every command calls it before it does anything else. */
FL_MUST bool fl_command_parse(const struct fl_command *self, struct fl_args *args, int argc,
                              char **argv, int *exit_code);

/* Calls `see` with the command's options, which only its run knows, instead of running it. */
typedef void fl_command_see(void *arg, const struct fl_command *command,
                            const struct fl_args *args);
void fl_command_describe(const struct fl_command *command, fl_command_see *see, void *arg);

/* "fairlead: CAUSE: detail" on standard error, one line; returns the exit code for that cause. */
int fl_command_fail(const struct fl_error *err);

#endif
