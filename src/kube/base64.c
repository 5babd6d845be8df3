/* base64.c - see base64.h. */
#include "kube/base64.h"

static int digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
}

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* Four digits make three bytes; each '=' at the end takes one away. */
static int put(struct fl_buf *out, uint32_t bits, unsigned padding) {
    char bytes[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
    if (padding > 2) return FL_EPROTO;
    return fl_buf_append(out, fl_str_n(bytes, 3 - padding));
}

int fl_base64_decode(struct fl_buf *out, struct fl_str text) {
    uint32_t bits = 0;
    unsigned count = 0, padding = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (blank(text.p[i])) continue;
        int value = text.p[i] == '=' ? 0 : digit(text.p[i]);
        if (value < 0) return FL_EPROTO;
        if (text.p[i] == '=')
            padding++;
        else if (padding)
            return FL_EPROTO;
        bits = bits << 6 | (uint32_t)value;
        if (++count % 4) continue;
        int rc = put(out, bits, padding);
        if (rc < 0) return rc;
        bits = 0;
    }
    return count % 4 ? FL_EPROTO : FL_OK;
}

int fl_base64_encode(struct fl_buf *out, struct fl_str bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = (bytes.n + 2) / 3 * 4;
    char *to = fl_buf_reserve(out, n);
    if (!to) return n > out->max - out->len ? FL_EFULL : FL_ENOMEM;
    for (size_t i = 0; i < bytes.n; i += 3, to += 4) {
        size_t left = FL_MIN(bytes.n - i, (size_t)3);
        uint32_t bits = (uint32_t)(uint8_t)bytes.p[i] << 16;
        if (left > 1) bits |= (uint32_t)(uint8_t)bytes.p[i + 1] << 8;
        if (left > 2) bits |= (uint8_t)bytes.p[i + 2];
        to[0] = digits[bits >> 18];
        to[1] = digits[bits >> 12 & 63];
        to[2] = left > 1 ? digits[bits >> 6 & 63] : '=';
        to[3] = left > 2 ? digits[bits & 63] : '=';
    }
    fl_buf_commit(out, n);
    return FL_OK;
}
