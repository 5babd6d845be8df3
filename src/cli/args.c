/* args.c - command lines. Pure but for fl_args_print. */
#include "cli/args.h"

void fl_args_init(struct fl_args *args) {
    const struct fl_option common[] = {
        {"verbose", 'v', FL_OPTION_COUNT, &args->verbose, NULL,
         "log what it does to standard error; -vv: every step"},
        {"log-format", 0, FL_OPTION_TEXT, &args->log_format, "FORMAT",
         "of that log: text or json; implies -v"},
        {"help", 'h', FL_OPTION_FLAG, &args->help, NULL, "this text"},
    };
    _Static_assert(sizeof common == sizeof args->common, "as many as there is room for");
    memcpy(args->common, common, sizeof common);
}

bool fl_duration_parse(struct fl_str text, uint64_t *ms) {
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    size_t digits = 0;
    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9') digits++;
    uint64_t number;
    if (!fl_str_u64(fl_str_n(text.p, digits), &number) || number > UINT32_MAX) return false;
    for (size_t i = 0; i < FL_COUNT(units); i++) {
        if (!fl_str_eq(fl_str_from(text, digits), fl_str_of(units[i].unit))) continue;
        *ms = number * units[i].ms;
        return true;
    }
    return false;
}

const struct fl_option *fl_args_option(const struct fl_args *args, size_t i) {
    if (i < args->option_count) return &args->options[i];
    i -= args->option_count;
    return i < FL_COUNT(args->common) ? &args->common[i] : NULL;
}

static const struct fl_option *find_long(const struct fl_args *args, struct fl_str name) {
    const struct fl_option *option;
    for (size_t i = 0; (option = fl_args_option(args, i)); i++)
        if (fl_str_eq(name, fl_str_of(option->name))) return option;
    return NULL;
}

static const struct fl_option *find_letter(const struct fl_args *args, char letter) {
    const struct fl_option *option;
    for (size_t i = 0; (option = fl_args_option(args, i)); i++)
        if (option->letter == letter) return option;
    return NULL;
}

static bool takes_value(const struct fl_option *option) {
    return option->kind != FL_OPTION_FLAG && option->kind != FL_OPTION_COUNT;
}

static int take_list(const struct fl_option *option, const char *value, struct fl_error *err) {
    struct fl_words *texts = option->value;
    if (texts->count == FL_WORDS_MAX)
        return fl_fail(err, FL_EUSAGE, "--%s: given more than %d times", option->name,
                       FL_WORDS_MAX);
    texts->list[texts->count++] = value;
    return FL_OK;
}

static int take_value(const struct fl_option *option, const char *value, struct fl_error *err) {
    struct fl_str text = fl_str_of(value);
    switch (option->kind) {
    case FL_OPTION_FLAG:
    case FL_OPTION_COUNT:
        break;
    case FL_OPTION_TEXT:
        *(const char **)option->value = value;
        return FL_OK;
    case FL_OPTION_LIST:
        return take_list(option, value, err);
    case FL_OPTION_NUMBER:
        if (fl_str_u64(text, option->value)) return FL_OK;
        return fl_fail(err, FL_EUSAGE, "--%s: \"%s\" is not a number", option->name, value);
    case FL_OPTION_DURATION:
        if (fl_duration_parse(text, option->value)) return FL_OK;
        return fl_fail(err, FL_EUSAGE, "--%s: \"%s\" is not a duration such as 250ms, 10s or 5m",
                       option->name, value);
    }
    return fl_fail(err, FL_EUSAGE, "--%s takes no value", option->name);
}

/* Applies one option; `value` is what was attached to it, or NULL. *next is the following argument,
 * NULL if there is none; *used says that it was taken. */
static int apply(const struct fl_option *option, const char *value, const char *next, bool *used,
                 struct fl_error *err) {
    if (!takes_value(option)) {
        if (value) return fl_fail(err, FL_EUSAGE, "--%s takes no value", option->name);
        if (option->kind == FL_OPTION_FLAG)
            *(bool *)option->value = true;
        else
            ++*(unsigned *)option->value;
        return FL_OK;
    }
    if (value) return take_value(option, value, err);
    if (!next)
        return fl_fail(err, FL_EUSAGE, "--%s needs a value: %s", option->name, option->metavar);
    *used = true;
    return take_value(option, next, err);
}

static int parse_long(struct fl_args *args, const char *arg, const char *next, bool *used,
                      struct fl_error *err) {
    struct fl_str name, value;
    bool attached = fl_str_split(fl_str_of(arg + 2), '=', &name, &value);
    const struct fl_option *option = find_long(args, name);
    if (!option) return fl_fail(err, FL_EUSAGE, "unknown option --%.*s", FL_STR_ARG(name));
    return apply(option, attached ? value.p : NULL, next, used, err);
}

static int parse_letters(struct fl_args *args, const char *arg, const char *next, bool *used,
                         struct fl_error *err) {
    for (const char *at = arg + 1; *at; at++) {
        const struct fl_option *option = find_letter(args, *at);
        if (!option) return fl_fail(err, FL_EUSAGE, "unknown option -%c", *at);
        const char *rest = takes_value(option) && at[1] ? at + 1 : NULL;
        int rc = apply(option, rest, next, used, err);
        if (rc || rest) return rc;
    }
    return FL_OK;
}

static int parse_word(struct fl_args *args, const char *word, struct fl_error *err) {
    if (args->words.count == args->words_max)
        return fl_fail(err, FL_EUSAGE, "unexpected argument \"%s\"", word);
    args->words.list[args->words.count++] = word;
    return FL_OK;
}

int fl_args_parse(struct fl_args *args, int argc, char **argv, struct fl_error *err) {
    FL_ASSERT(args->words_max <= FL_WORDS_MAX);
    bool only_words = false;
    fl_args_init(args);
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        bool used = false;
        int rc;
        if (!only_words && strcmp(arg, "--") == 0) {
            only_words = true;
            continue;
        }
        if (only_words || arg[0] != '-' || arg[1] == '\0')
            rc = parse_word(args, arg, err);
        else if (arg[1] == '-')
            rc = parse_long(args, arg, next, &used, err);
        else
            rc = parse_letters(args, arg, next, &used, err);
        if (rc) return rc;
        if (args->help) return FL_OK;
        i += used;
    }
    if (args->words.count < args->words_min)
        return fl_fail(err, FL_EUSAGE, "%s is missing", args->words_named[args->words.count]);
    return FL_OK;
}

static void print_option(const struct fl_option *option, FILE *out) {
    char left[64];
    snprintf(left, sizeof left, "%c%c%s --%s %s", option->letter ? '-' : ' ',
             option->letter ? option->letter : ' ', option->letter ? "," : " ", option->name,
             option->metavar ? option->metavar : "");
    fprintf(out, "  %-32s %s\n", left, option->help);
}

void fl_args_print(const struct fl_args *args, FILE *out) {
    const struct fl_option *option;
    for (size_t i = 0; (option = fl_args_option(args, i)); i++) print_option(option, out);
}
