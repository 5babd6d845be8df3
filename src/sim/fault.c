/* fault.c - names, texts and notation of the API server's faults. See fault.h. Pure. */
#include "sim/fault.h"

#define TIMES_MAX 1000000

static const struct {
    const char *name, *text;
} faults[] = {
#define FL_X(name, kind, text) [FL_FAULT_##name] = {kind, text},
    FL_FAULT_MAP(FL_X)
#undef FL_X
};

const char *fl_fault_name(enum fl_fault_kind kind) { return faults[kind].name; }

const char *fl_fault_text(enum fl_fault_kind kind) { return faults[kind].text; }

static int parse_kind(struct fl_str text, enum fl_fault_kind *out, struct fl_error *err) {
    for (size_t i = 0; i < FL_FAULT_KINDS; i++) {
        if (!fl_str_eq(text, fl_str_of(faults[i].name))) continue;
        *out = (enum fl_fault_kind)i;
        return 0;
    }
    return fl_fail(err, FL_EUSAGE, "\"%.*s\" is no kind of fault, as \"cut\" or \"410-event\" are",
                   FL_STR_ARG(text));
}

static int parse_time(struct fl_str text, uint64_t *ms, struct fl_error *err) {
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    size_t digits = 0;
    uint64_t number;
    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9') digits++;
    if (fl_str_u64(fl_str_n(text.p, digits), &number) && number <= UINT32_MAX)
        for (size_t i = 0; i < FL_COUNT(units); i++) {
            if (!fl_str_eq(fl_str_from(text, digits), fl_str_of(units[i].unit))) continue;
            *ms = number * units[i].ms;
            return 0;
        }
    return fl_fail(err, FL_EUSAGE, "\"%.*s\" is no time such as 250ms, 5s or 2m", FL_STR_ARG(text));
}

static int parse_times(struct fl_str text, unsigned *out, struct fl_error *err) {
    uint64_t number;
    if (!fl_str_u64(text, &number) || !number || number > TIMES_MAX)
        return fl_fail(err, FL_EUSAGE, "\"%.*s\" is no number of times, 1 to %d", FL_STR_ARG(text),
                       TIMES_MAX);
    *out = (unsigned)number;
    return 0;
}

int fl_fault_parse(struct fl_str text, struct fl_fault *out, struct fl_error *err) {
    struct fl_str kind, rest, when, times;
    *out = (struct fl_fault){.times = 1};
    if (!fl_str_split(text, '@', &kind, &rest))
        return fl_fail(err, FL_EUSAGE, "\"%.*s\": want KIND@WHEN or KIND@WHENxTIMES",
                       FL_STR_ARG(text));
    bool counted = fl_str_split(rest, 'x', &when, &times);
    int rc = parse_kind(kind, &out->kind, err);
    if (!rc) rc = parse_time(when, &out->at_ms, err);
    if (!rc && counted) rc = parse_times(times, &out->times, err);
    return rc;
}
