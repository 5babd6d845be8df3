/* explain.c - fairlead explain: what a cause code means, for people, scripts and doc/errors.md. */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/explanations.h"

static const struct explanation {
    const char *meaning, *remedy;
} explanations[FL_ORDINAL_COUNT] = {
#define FL_X(name, meaning, remedy) [FL_ORDINAL_##name] = {meaning, remedy},
    FL_EXPLANATION_MAP(FL_X)
#undef FL_X
};

#define FL_X(name, meaning, remedy) +1
_Static_assert(FL_EXPLANATION_MAP(FL_X) == FL_ORDINAL_COUNT, "every cause is explained, once");
#undef FL_X

/* What fairlead itself does about it. */
static const char *const reactions[] = {
    [FL_REACT_NONE] = "nothing is to be done",
    [FL_REACT_RETRY] = "tried again, with backoff",
    [FL_REACT_RELIST] = "the whole state is read anew",
    [FL_REACT_CLOSE] = "the connection is given up, another is opened",
    [FL_REACT_FIX] = "a person must change something; it is tried again meanwhile",
    [FL_REACT_FATAL] = "this process is in trouble",
};

static const char *reaction_of(int code) { return reactions[fl_error_reaction(code)]; }

static void print_text(int code) {
    const struct explanation *e = &explanations[-code];
    printf("%s: %s\n\n%s\n\nWhat to do: %s\nWhat fairlead does: %s.\n", fl_error_name(code),
           fl_error_text(code), e->meaning, e->remedy, reaction_of(code));
}

static json_t *to_json(int code) {
    const struct explanation *e = &explanations[-code];
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "cause", fl_error_name(code), "text",
                     fl_error_text(code), "meaning", e->meaning, "remedy", e->remedy, "reaction",
                     reaction_of(code));
}

static void print_json(json_t *json) {
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(json);
}

static void print_markdown(void) {
    puts(
        "# Causes\n\n"
        "The same code stands in the error a function returns, in the log field `cause`, in metric "
        "labels and in what\nthe command prints. `fairlead explain CODE` says the same. Made by "
        "`make docs` from `include/fairlead/error.h`\nand `src/cli/explanations.h`.\n");
    for (int code = -1; code > -(int)FL_ORDINAL_COUNT; code--) {
        const struct explanation *e = &explanations[-code];
        printf("## %s\n%s. In C: `FL_E%s`. Reaction: %s.\n\n%s\n\n**What to do:** %s\n\n",
               fl_error_name(code), fl_error_text(code), fl_error_name(code), reaction_of(code),
               e->meaning, e->remedy);
    }
}

static int print_all(const char *format) {
    if (strcmp(format, "markdown") == 0) {
        print_markdown();
        return FL_EXIT_OK;
    }
    json_t *list = json_array();
    for (int code = -1; code > -(int)FL_ORDINAL_COUNT; code--) {
        if (strcmp(format, "json") == 0)
            json_array_append_new(list, to_json(code));
        else
            printf("%-15s %s\n", fl_error_name(code), fl_error_text(code));
    }
    if (strcmp(format, "json") == 0)
        print_json(list);
    else
        json_decref(list);
    return FL_EXIT_OK;
}

/* "GONE", "gone", "FL_EGONE" -> FL_EGONE; 1: none. */
static int find_code(const char *text) {
    struct fl_str name = fl_str_of(text);
    char upper[32];
    if (fl_str_starts(name, FL_STR("FL_E"))) name = fl_str_from(name, 4);
    if (!fl_str_copy(upper, sizeof upper, name)) return 1;
    for (char *c = upper; *c; c++) *c = (char)toupper((unsigned char)*c);
    for (int code = 0; code > -(int)FL_ORDINAL_COUNT; code--)
        if (strcmp(fl_error_name(code), upper) == 0) return code;
    return 1;
}

static int run(const struct fl_command *self, int argc, char **argv) {
    const char *format = "text";
    const struct fl_option options[] = {
        {"output", 'o', FL_OPTION_TEXT, &format, "FORMAT", "text, json or, of all, markdown"},
    };
    struct fl_args args = {.options = options, .option_count = FL_COUNT(options), .words_max = 1};
    struct fl_error err = {0};
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    bool one = args.words.count == 1;
    int code = one ? find_code(args.words.list[0]) : FL_OK;
    if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0 &&
        (one || strcmp(format, "markdown") != 0))
        fl_fail(&err, FL_EUSAGE, "-o %s: want text or json", format);
    else if (code > 0)
        fl_fail(&err, FL_EUSAGE, "there is no cause \"%s\"; fairlead explain lists them",
                args.words.list[0]);
    if (err.code != FL_OK) return fl_command_fail(&err);
    if (!one) return print_all(format);
    if (strcmp(format, "json") == 0)
        print_json(to_json(code));
    else
        print_text(code);
    return FL_EXIT_OK;
}

const struct fl_command fl_command_explain = {
    "explain", "[CODE] [-o text|json]", "What a cause code means and what to do about it",
    "CODE is what stands before the detail in an error, in the log field cause or in a\n"
    "metric's label, such as GONE or FORBIDDEN. Without it all are listed.",
    run};
