/* trace.c - see trace.h. */
#include "channel/trace.h"

#define TRACE_ID_AT  3
#define PARENT_ID_AT 36
#define FLAGS_AT     53

/* Lower-case hexadecimal digits, not all of them 0. */
static bool is_id(struct fl_str text) {
    bool zero = true;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        if (c != '0') zero = false;
    }
    return !zero;
}

static bool is_digits(struct fl_str text) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
    }
    return true;
}

bool fl_trace_parent_fits(struct fl_str text) {
    return text.n == FL_TRACE_PARENT_LEN && fl_str_starts(text, FL_STR("00-")) &&
           is_id(fl_str_n(text.p + TRACE_ID_AT, 32)) && text.p[PARENT_ID_AT - 1] == '-' &&
           is_id(fl_str_n(text.p + PARENT_ID_AT, 16)) && text.p[FLAGS_AT - 1] == '-' &&
           is_digits(fl_str_n(text.p + FLAGS_AT, 2));
}

bool fl_trace_state_fits(struct fl_str text) {
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < ' ' || text.p[i] > '~') return false;
    }
    return text.n <= FL_TRACE_STATE_LEN_MAX;
}

void fl_trace_child(struct fl_str parent, const uint8_t id[FL_TRACE_PARENT_ID],
                    char out[FL_TRACE_PARENT_LEN]) {
    static const char digits[] = "0123456789abcdef";
    memcpy(out, parent.p, FL_TRACE_PARENT_LEN);
    bool zero = true;
    for (size_t i = 0; i < FL_TRACE_PARENT_ID; i++) {
        out[PARENT_ID_AT + 2 * i] = digits[id[i] >> 4];
        out[PARENT_ID_AT + 2 * i + 1] = digits[id[i] & 15];
        if (id[i] != 0) zero = false;
    }
    if (zero) out[PARENT_ID_AT] = '1'; /* "All bytes as zero is considered an invalid value." */
}
