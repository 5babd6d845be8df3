/* timestamp.c - see timestamp.h. */
#include "kube/timestamp.h"

struct civil {
    uint32_t year, month, day, hour, minute, second;
};

static bool take(struct fl_str *rest, struct fl_str literal) {
    if (!fl_str_starts(*rest, literal)) return false;
    *rest = fl_str_from(*rest, literal.n);
    return true;
}

static bool take_digits(struct fl_str *rest, size_t n, uint32_t *out) {
    uint64_t number;
    if (rest->n < n || !fl_str_u64(fl_str_n(rest->p, n), &number)) return false;
    *rest = fl_str_from(*rest, n);
    *out = (uint32_t)number;
    return true;
}

static bool is_leap(uint32_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

static bool civil_valid(const struct civil *c) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (c->month < 1 || c->month > 12 || c->day < 1) return false;
    uint32_t last = days[c->month - 1] + (c->month == 2 && is_leap(c->year));
    return c->day <= last && c->hour < 24 && c->minute < 60 && c->second <= 60;
}

/* Days of the proleptic Gregorian calendar, counted in years that begin in March. */
static int64_t civil_ms(const struct civil *c) {
    int64_t year = (int64_t)c->year - (c->month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * ((c->month + 9) % 12) + 2) / 5 + c->day - 1;
    int64_t days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    return (((days * 24 + c->hour) * 60 + c->minute) * 60 + c->second) * 1000;
}

static bool take_clock(struct fl_str *rest, struct civil *c) {
    return take_digits(rest, 2, &c->hour) && take(rest, FL_STR(":")) &&
           take_digits(rest, 2, &c->minute) && take(rest, FL_STR(":")) &&
           take_digits(rest, 2, &c->second);
}

/* ".123": milliseconds, the rest is passed over. */
static bool take_fraction(struct fl_str *rest, int64_t *ms) {
    int64_t unit = 100;
    size_t digits = 0;
    *ms = 0;
    if (!take(rest, FL_STR("."))) return true;
    for (; rest->n && rest->p[0] >= '0' && rest->p[0] <= '9'; digits++, unit /= 10) {
        *ms += (rest->p[0] - '0') * unit;
        *rest = fl_str_from(*rest, 1);
    }
    return digits > 0;
}

static bool take_offset(struct fl_str *rest, int64_t *ms) {
    uint32_t hours, minutes;
    *ms = 0;
    if (take(rest, FL_STR("Z")) || take(rest, FL_STR("z"))) return true;
    bool east = take(rest, FL_STR("+"));
    if ((!east && !take(rest, FL_STR("-"))) || !take_digits(rest, 2, &hours) ||
        !take(rest, FL_STR(":")) || !take_digits(rest, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ms = (int64_t)(hours * 60 + minutes) * (east ? 60000 : -60000);
    return true;
}

bool fl_rfc3339_parse(struct fl_str text, int64_t *wall_ms) {
    struct civil c;
    int64_t fraction_ms, offset_ms;
    bool good = take_digits(&text, 4, &c.year) && take(&text, FL_STR("-")) &&
                take_digits(&text, 2, &c.month) && take(&text, FL_STR("-")) &&
                take_digits(&text, 2, &c.day) &&
                (take(&text, FL_STR("T")) || take(&text, FL_STR("t"))) && take_clock(&text, &c) &&
                take_fraction(&text, &fraction_ms) && take_offset(&text, &offset_ms);
    if (!good || text.n || !civil_valid(&c)) return false;
    *wall_ms = civil_ms(&c) + fraction_ms - offset_ms;
    return true;
}

static bool take_month(struct fl_str *rest, uint32_t *month) {
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (*month = 1; *month <= 12; ++*month)
        if (take(rest, fl_str_n(names + 3 * (size_t)(*month - 1), 3))) return true;
    return false;
}

bool fl_http_date_parse(struct fl_str text, int64_t *wall_ms) {
    struct civil c;
    struct fl_str rest = fl_str_from(text, 3); /* the day of the week says nothing more */
    bool good = take(&rest, FL_STR(", ")) && take_digits(&rest, 2, &c.day) &&
                take(&rest, FL_STR(" ")) && take_month(&rest, &c.month) &&
                take(&rest, FL_STR(" ")) && take_digits(&rest, 4, &c.year) &&
                take(&rest, FL_STR(" ")) && take_clock(&rest, &c) && take(&rest, FL_STR(" GMT"));
    if (!good || rest.n || !civil_valid(&c)) return false;
    *wall_ms = civil_ms(&c);
    return true;
}
