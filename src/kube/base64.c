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
