/* args.h - command lines: a table of options per command, parsed and explained from the same table.
 *
 * A command is a struct fl_command; its options point at the variables they set. Parsing never
 * prints: it fails with FL_EUSAGE and one line that names the argument. */
#ifndef FL_CLI_ARGS_H
#define FL_CLI_ARGS_H

#include <stdio.h>

#include "base/error.h"
#include "base/str.h"

enum fl_option_kind {
    FL_OPTION_FLAG,     /* bool: no value */
    FL_OPTION_COUNT,    /* unsigned: no value; how often it was given */
    FL_OPTION_TEXT,     /* const char *, borrowed from argv */
    FL_OPTION_NUMBER,   /* uint64_t, decimal */
    FL_OPTION_DURATION, /* uint64_t in ms: 250ms, 10s, 5m, 1h */
    FL_OPTION_LIST,     /* struct fl_words: may be given several times */
};

#define FL_WORDS_MAX 64

struct fl_words {
    const char *list[FL_WORDS_MAX];
    size_t count;
};

struct fl_option {
    const char *name; /* long, without dashes */
    char letter;      /* 0: none */
    enum fl_option_kind kind;
    void *value;
    const char *metavar; /* what stands for the value in help; NULL for flags */
    const char *help;
};

struct fl_args {
    const struct fl_option *options;
    size_t option_count;
    size_t words_min, words_max;    /* positional arguments */
    const char *const *words_named; /* the first `words_min` of them, as in the help */
    struct fl_words words;          /* filled in */
    /* What every command has, filled in. */
    bool help;              /* -h or --help was given: nothing else was checked */
    unsigned verbose;       /* -v, -vv */
    const char *log_format; /* NULL: not given */
    struct fl_option common[3];
};

/* Makes the table of what every command has; fl_args_parse does it itself. */
void fl_args_init(struct fl_args *args);
/* Parses argv[0..argc), the command's name not included. FL_EUSAGE. */
FL_MUST int fl_args_parse(struct fl_args *args, int argc, char **argv, struct fl_error *err);
/* The i-th option, the command's own ones first, then the common ones; NULL behind the last. */
const struct fl_option *fl_args_option(const struct fl_args *args, size_t i);
/* The options as lines for people. */
void fl_args_print(const struct fl_args *args, FILE *out);
/* "250ms", "10s", "5m", "1h" -> milliseconds; false if it is none. */
FL_MUST bool fl_duration_parse(struct fl_str text, uint64_t *ms);

#endif
