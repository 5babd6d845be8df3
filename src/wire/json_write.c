/* json_write.c - writes JSON text. Pure; any thread. See json_write.h. */
#include "wire/json_write.h"

#include <inttypes.h>

static void put(struct fl_json_writer *w, struct fl_str bytes) {
    if (!w->rc) w->rc = fl_buf_append(w->out, bytes);
}

static void put_char(struct fl_json_writer *w, char c) { put(w, fl_str_n(&c, 1)); }

static void before_value(struct fl_json_writer *w) {
    if (w->comma) put_char(w, ',');
    w->comma = true;
}

int fl_json_finish(struct fl_json_writer *w) {
    if (w->rc) fl_buf_truncate(w->out, w->start);
    return w->rc;
}

void fl_json_put_begin(struct fl_json_writer *w, char bracket) {
    before_value(w);
    put_char(w, bracket);
    w->comma = false;
}

void fl_json_put_end(struct fl_json_writer *w, char bracket) {
    put_char(w, bracket);
    w->comma = true;
}

static void put_escape(struct fl_json_writer *w, unsigned char c) {
    static const char digits[] = "0123456789abcdef";
    char text[6] = {'\\', (char)c};
    size_t n = 2;
    switch (c) {
    case '"':
    case '\\':
        break;
    case '\n':
        text[1] = 'n';
        break;
    case '\r':
        text[1] = 'r';
        break;
    case '\t':
        text[1] = 't';
        break;
    default:
        memcpy(text + 1, "u00", 3);
        text[4] = digits[c >> 4];
        text[5] = digits[c & 15];
        n = 6;
    }
    put(w, fl_str_n(text, n));
}

static void put_quoted(struct fl_json_writer *w, struct fl_str text) {
    put_char(w, '"');
    size_t plain = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        put(w, fl_str_n(text.p + plain, i - plain));
        put_escape(w, c);
        plain = i + 1;
    }
    put(w, fl_str_from(text, plain));
    put_char(w, '"');
}

void fl_json_put_key(struct fl_json_writer *w, struct fl_str key) {
    before_value(w);
    put_quoted(w, key);
    put_char(w, ':');
    w->comma = false;
}

void fl_json_put_string(struct fl_json_writer *w, struct fl_str text) {
    before_value(w);
    put_quoted(w, text);
}

void fl_json_put_int(struct fl_json_writer *w, int64_t value) {
    before_value(w);
    if (!w->rc) w->rc = fl_buf_printf(w->out, "%" PRId64, value);
}

void fl_json_put_bool(struct fl_json_writer *w, bool value) {
    before_value(w);
    put(w, value ? FL_STR("true") : FL_STR("false"));
}

void fl_json_put_raw(struct fl_json_writer *w, struct fl_str value) {
    before_value(w);
    put(w, value);
}
