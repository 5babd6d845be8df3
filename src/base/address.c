/* address.c - an IPv4 or IPv6 address or a host name. Pure; any thread.
 *
 * Text that starts as digits and a dot is tried as IPv4 (no leading zeros, which other programs
 * read as octal), text with a colon is IPv6 (RFC 4291, section 2.2), the rest a host name. A name
 * whose last label is a number is refused: no such top-level domain may exist, and it is how a
 * mistyped address looks. */
#include "base/address.h"

#include <endian.h>
#include <stdio.h>

#include "base/error.h"

#define NAME_MAX_BYTES  253
#define LABEL_MAX_BYTES 63

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Appends a digit from the front of [*p, end) to the number; false if there is none. */
static inline bool take_digit(const char **p, const char *end, unsigned *number) {
    const char *at = *p;
    unsigned digit = at < end ? (unsigned)(uint8_t)*at - '0' : 10;
    if (digit > 9) return false;
    *number = *number * 10 + digit;
    *p = at + 1;
    return true;
}

/* Takes an octet without leading zeros from the front of [*p, end); above 255 if there is none. */
static inline unsigned take_octet(const char **p, const char *end) {
    unsigned value = 0;
    if (!take_digit(p, end, &value)) return 256;
    bool zero = value == 0;
    if (!take_digit(p, end, &value)) return value;
    take_digit(p, end, &value);
    return zero ? 256 : value;
}

static bool parse_v4(struct fl_str s, uint8_t out[4]) {
    const char *p = s.p, *end = s.p + s.n;
    unsigned value = take_octet(&p, end);
    uint32_t all = value;
    for (int part = 1; part < 4 && value <= 255; part++) {
        if (p == end || *p++ != '.') return false;
        value = take_octet(&p, end);
        all = all << 8 | value;
    }
    if (value > 255 || p != end) return false;
    all = htobe32(all); /* in one piece: it will soon be read as one */
    memcpy(out, &all, 4);
    return true;
}

static int hex_value(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Takes one group of up to four hex digits from the front; false if there is none. */
static bool parse_group(struct fl_str *s, uint8_t out[2]) {
    unsigned value = 0;
    size_t i = 0;
    for (; i < s->n && i < 4 && hex_value(s->p[i]) >= 0; i++) {
        value = value << 4 | (unsigned)hex_value(s->p[i]);
    }
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    *s = fl_str_from(*s, i);
    return i > 0;
}

/* Groups are written from the left; "::" is remembered as `gap`, and what follows it is moved to
 * the right end when the text is over. */
static bool parse_v6(struct fl_str s, uint8_t out[16]) {
    size_t at = 0, gap = 17; /* 17: no "::" yet */
    memset(out, 0, 16);
    if (s.n >= 2 && s.p[0] == ':' && s.p[1] == ':') {
        gap = 0;
        s = fl_str_from(s, 2);
    }
    while (s.n) {
        if (at <= 12 && memchr(s.p, '.', s.n) && !memchr(s.p, ':', s.n)) {
            if (!parse_v4(s, out + at)) return false;
            at += 4;
            break;
        }
        if (at == 16 || !parse_group(&s, out + at)) return false;
        at += 2;
        if (s.n == 0) break;
        if (s.p[0] != ':' || s.n == 1) return false;
        s = fl_str_from(s, 1);
        if (s.p[0] != ':') continue;
        if (gap != 17) return false;
        gap = at;
        s = fl_str_from(s, 1);
    }
    if (gap == 17) return at == 16;
    if (at > 14) return false; /* "::" stands for one group or more */
    memmove(out + 16 - (at - gap), out + gap, at - gap);
    memset(out + gap, 0, 16 - at);
    return true;
}

static bool is_name_byte(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* A label of 1 to 63 permitted bytes; *number says whether all are digits. */
static bool is_label(struct fl_str label, bool *number) {
    if (label.n == 0 || label.n > LABEL_MAX_BYTES) return false;
    *number = true;
    for (size_t i = 0; i < label.n; i++) {
        if (!is_name_byte(label.p[i])) return false;
        *number = *number && is_digit(label.p[i]);
    }
    return true;
}

static bool is_name(struct fl_str s) {
    if (s.n && s.p[s.n - 1] == '.') s.n--; /* a full name may end in the root's dot */
    if (s.n == 0 || s.n > NAME_MAX_BYTES) return false;
    struct fl_str label, rest = s;
    bool more, number = false;
    do {
        more = fl_str_split(rest, '.', &label, &rest);
        if (!is_label(label, &number)) return false;
    } while (more);
    return !number;
}

bool fl_address_parse(struct fl_str text, struct fl_address *out) {
    *out = (struct fl_address){0};
    if (text.n == 0) return false;
    if (is_digit(text.p[0]) && parse_v4(text, out->ip)) {
        out->kind = FL_ADDRESS_V4;
        return true;
    }
    if (memchr(text.p, ':', text.n)) {
        out->kind = FL_ADDRESS_V6;
        return parse_v6(text, out->ip);
    }
    out->kind = FL_ADDRESS_NAME;
    out->name = text;
    return is_name(text);
}

/* The longest run of two or more zero groups, the first of equal ones; its length, 0 if none. */
static int zero_run(const uint16_t groups[8], int *start) {
    int best = 0;
    for (int i = 0; i < 8; i++) {
        int n = 0;
        while (i + n < 8 && groups[i + n] == 0) n++;
        if (n > best) {
            best = n;
            *start = i;
        }
        i += n;
    }
    return best >= 2 ? best : 0;
}

static void format_v6(const uint8_t ip[16], char *out) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(ip, mapped, sizeof(mapped)) == 0) { /* RFC 5952, section 5 */
        snprintf(out, FL_ADDRESS_TEXT_MAX, "::ffff:%u.%u.%u.%u", ip[12], ip[13], ip[14], ip[15]);
        return;
    }
    uint16_t groups[8];
    for (int i = 0; i < 8; i++) groups[i] = (uint16_t)(ip[2 * i] << 8 | ip[2 * i + 1]);
    int start = -1, run = zero_run(groups, &start);
    char *p = out;
    for (int i = 0; i < 8; i++) {
        if (run && i == start) {
            p += sprintf(p, "::");
            i += run - 1;
        } else {
            p += sprintf(p, p == out || p[-1] == ':' ? "%x" : ":%x", groups[i]);
        }
    }
}

void fl_address_format(const struct fl_address *a, char out[FL_ADDRESS_TEXT_MAX]) {
    switch (a->kind) {
    case FL_ADDRESS_V4:
        snprintf(out, FL_ADDRESS_TEXT_MAX, "%u.%u.%u.%u", a->ip[0], a->ip[1], a->ip[2], a->ip[3]);
        break;
    case FL_ADDRESS_V6:
        format_v6(a->ip, out);
        break;
    case FL_ADDRESS_NAME:
        fl_str_copy(out, FL_ADDRESS_TEXT_MAX, a->name);
        break;
    }
}

int fl_address_cmp(const struct fl_address *a, const struct fl_address *b) {
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    if (a->kind == FL_ADDRESS_NAME) return fl_str_cmp(a->name, b->name);
    return memcmp(a->ip, b->ip, a->kind == FL_ADDRESS_V4 ? 4 : 16);
}

/* Splits at the last colon, which IPv6 needs brackets for. */
static int split_host_port(struct fl_str text, struct fl_str *host, struct fl_str *port,
                           struct fl_error *err) {
    if (fl_str_starts(text, FL_STR("["))) {
        if (!fl_str_split(fl_str_from(text, 1), ']', host, port)) {
            return fl_fail(err, FL_EUSAGE, "\"%.*s\": no ']' after the address", FL_STR_ARG(text));
        }
        if (!fl_str_starts(*port, FL_STR(":"))) {
            return fl_fail(err, FL_EUSAGE, "\"%.*s\": no port after ']'", FL_STR_ARG(text));
        }
        *port = fl_str_from(*port, 1);
        return 0;
    }
    if (!fl_str_split(text, ':', host, port)) {
        return fl_fail(err, FL_EUSAGE, "\"%.*s\": no port, want host:port", FL_STR_ARG(text));
    }
    if (port->n && memchr(port->p, ':', port->n)) {
        return fl_fail(err, FL_EUSAGE, "\"%.*s\": an IPv6 address needs brackets, want [::1]:80",
                       FL_STR_ARG(text));
    }
    return 0;
}

int fl_host_port_parse(struct fl_str text, struct fl_str *host, uint16_t *port,
                       struct fl_error *err) {
    struct fl_str port_text;
    struct fl_address address;
    uint64_t number;
    int rc = split_host_port(text, host, &port_text, err);
    if (rc < 0) return rc;
    bool bracketed = text.p[0] == '[';
    if (!fl_address_parse(*host, &address) || bracketed != (address.kind == FL_ADDRESS_V6)) {
        return fl_fail(err, FL_EUSAGE, "\"%.*s\": \"%.*s\" is not %s", FL_STR_ARG(text),
                       FL_STR_ARG(*host),
                       bracketed ? "an IPv6 address" : "a host name or an address");
    }
    if (!fl_str_u64(port_text, &number) || number > UINT16_MAX) {
        return fl_fail(err, FL_EUSAGE, "\"%.*s\": \"%.*s\" is not a port from 0 to 65535",
                       FL_STR_ARG(text), FL_STR_ARG(port_text));
    }
    *port = (uint16_t)number;
    return 0;
}
