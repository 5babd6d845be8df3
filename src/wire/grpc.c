/* grpc.c - gRPC's framing, timeouts, message encoding and status mapping. Any thread.
 *
 * A message that lies within one chunk is handed out from it; only the pieces of one that does not
 * are collected. Memory follows the bytes, whatever length a prefix claims; only as much as an
 * earlier message of the stream did fill is taken at once, so that its bytes are moved once. */
#include "wire/grpc.h"

#include <fairlead/call.h>
#include <inttypes.h>

#define PARTIAL_KEPT ((size_t)64 * 1024) /* a larger buffer is given back after its message */

void fl_grpc_reader_init(struct fl_grpc_reader *reader, size_t message_max) {
    fl_buf_init(&reader->partial, message_max + FL_GRPC_PREFIX);
    reader->message_max = message_max;
    reader->proven = 0;
    reader->given = false;
}

void fl_grpc_reader_deinit(struct fl_grpc_reader *reader) { fl_buf_deinit(&reader->partial); }

bool fl_grpc_reader_partial(const struct fl_grpc_reader *reader) {
    return reader->partial.len > 0 && !reader->given;
}

/* Length-Prefixed-Message -> Compressed-Flag Message-Length Message */
static int read_prefix(const struct fl_grpc_reader *reader, const char *at, size_t *whole,
                       struct fl_error *err) {
    const uint8_t *p = (const uint8_t *)at;
    if (p[0] > 1) return fl_fail(err, FL_EPROTO, "gRPC message flag %u", p[0]);
    uint32_t length =
        (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | (uint32_t)p[4];
    if (length > reader->message_max)
        return fl_fail(err, FL_ETOO_LARGE, "gRPC message of %" PRIu32 " bytes, at most %zu", length,
                       reader->message_max);
    *whole = FL_GRPC_PREFIX + (size_t)length;
    return 0;
}

static int give(struct fl_str framed, struct fl_grpc_message *out) {
    FL_ASSERT(framed.p); /* a whole message: its prefix at least */
    out->compressed = framed.p[0] == 1;
    out->bytes = fl_str_from(framed, FL_GRPC_PREFIX);
    return 1;
}

/* Moves bytes from the front of *bytes into the partial message until it has `want`. */
static int collect(struct fl_grpc_reader *reader, struct fl_str *bytes, size_t want,
                   struct fl_error *err) {
    if (reader->partial.len >= want || bytes->n == 0) return 0;
    size_t n = FL_MIN(want - reader->partial.len, bytes->n);
    if (fl_buf_append(&reader->partial, fl_str_n(bytes->p, n))) return fl_fail_nomem(err);
    *bytes = fl_str_from(*bytes, n);
    return 0;
}

/* For a message of `whole` bytes, as far as it is proven that the peer sends that much. */
static int expect(struct fl_grpc_reader *reader, size_t whole, struct fl_error *err) {
    size_t size = FL_MIN(whole, reader->proven);
    if (size <= reader->partial.cap) return 0;
    return fl_buf_reserve(&reader->partial, size - reader->partial.len) ? 0 : fl_fail_nomem(err);
}

/* Goes on with a message that does not lie within one chunk. */
static int next_collected(struct fl_grpc_reader *reader, struct fl_str *bytes,
                          struct fl_grpc_message *out, struct fl_error *err) {
    struct fl_buf *partial = &reader->partial;
    size_t whole = 0;
    int rc = collect(reader, bytes, FL_GRPC_PREFIX, err);
    if (rc || partial->len < FL_GRPC_PREFIX) return rc;
    rc = read_prefix(reader, fl_buf_str(partial).p, &whole, err);
    if (!rc) rc = expect(reader, whole, err);
    if (!rc) rc = collect(reader, bytes, whole, err);
    if (rc || partial->len < whole) return rc;
    reader->proven = FL_MAX(reader->proven, whole);
    reader->given = true;
    return give(fl_buf_str(partial), out);
}

/* What was collected for the last message is not needed any more. */
static void forget_given(struct fl_grpc_reader *reader) {
    if (!reader->given) return;
    reader->given = false;
    fl_buf_truncate(&reader->partial, 0);
    if (reader->partial.cap > PARTIAL_KEPT) fl_buf_release(&reader->partial);
}

int fl_grpc_reader_next(struct fl_grpc_reader *reader, struct fl_str *bytes,
                        struct fl_grpc_message *out, struct fl_error *err) {
    forget_given(reader);
    if (bytes->n == 0) return 0;
    size_t whole = SIZE_MAX;
    if (reader->partial.len == 0 && bytes->n >= FL_GRPC_PREFIX) {
        int rc = read_prefix(reader, bytes->p, &whole, err);
        if (rc) return rc;
    }
    if (whole > bytes->n) return next_collected(reader, bytes, out, err);
    struct fl_str framed = fl_str_n(bytes->p, whole);
    *bytes = fl_str_from(*bytes, whole);
    return give(framed, out);
}

void fl_grpc_prefix(uint32_t message_len, uint8_t out[FL_GRPC_PREFIX]) {
    out[0] = 0;
    for (int i = 0; i < 4; i++) out[1 + i] = (uint8_t)(message_len >> (24 - 8 * i));
}

/* --- binary metadata --- */

size_t fl_grpc_bin_encode(struct fl_str bytes, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;
    uint32_t held = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        held = held << 8 | (unsigned char)bytes.p[i];
        for (bits += 8; bits >= 6; bits -= 6) out[n++] = digits[held >> (bits - 6) & 63];
    }
    if (bits > 0) out[n++] = digits[held << (6 - bits) & 63];
    return n;
}

static int bin_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool fl_grpc_bin_decode(struct fl_str text, char *out, size_t *len) {
    if (text.n % 4 == 0) /* padding stands only at the end of whole groups */
        for (int i = 0; i < 2 && text.n > 0 && text.p[text.n - 1] == '='; i++) text.n--;
    if (text.n % 4 == 1) return false;
    uint32_t held = 0;
    unsigned bits = 0;
    *len = 0;
    for (size_t i = 0; i < text.n; i++) {
        int digit = bin_digit(text.p[i]);
        if (digit < 0) return false;
        held = held << 6 | (uint32_t)digit;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        out[(*len)++] = (char)(held >> bits);
    }
    return true;
}

/* TimeoutValue -> {positive integer as ASCII string of at most 8 digits} */
#define TIMEOUT_VALUE_MAX UINT64_C(99999999)

/* Nanoseconds in a unit. */
static const struct timeout_unit {
    char name;
    uint64_t ns;
} timeout_units[] = {
    {'n', 1},
    {'u', 1000},
    {'m', 1000000},
    {'S', 1000000000},
    {'M', UINT64_C(60) * 1000000000},
    {'H', UINT64_C(3600) * 1000000000},
};
#define UNIT_MS    2
#define NS_IN_A_MS UINT64_C(1000000)
#define UNIT_COUNT FL_COUNT(timeout_units)

/* `value` is at most TIMEOUT_VALUE_MAX. By hand, for nearly every call has one. */
static void write_timeout(uint64_t value, char unit, char out[FL_GRPC_TIMEOUT_MAX]) {
    char digits[FL_GRPC_TIMEOUT_MAX];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0) *out++ = digits[--n];
    *out++ = unit;
    *out = '\0';
}

/* In the finest unit from milliseconds up that has room; rounded up, so that a server never gives
 * up before its client does. */
void fl_grpc_timeout_format(uint64_t ms, char out[FL_GRPC_TIMEOUT_MAX]) {
    uint64_t value = ms;
    size_t unit = UNIT_MS;
    while (value > TIMEOUT_VALUE_MAX && unit + 1 < UNIT_COUNT) {
        uint64_t unit_ms = timeout_units[++unit].ns / NS_IN_A_MS;
        value = ms / unit_ms + (ms % unit_ms != 0);
    }
    value = FL_MIN(value, TIMEOUT_VALUE_MAX);
    write_timeout(value, timeout_units[unit].name, out);
}

bool fl_grpc_timeout_parse(struct fl_str text, uint64_t *ms) {
    uint64_t value;
    if (text.n < 2 || text.n > 9 || !fl_str_u64(fl_str_n(text.p, text.n - 1), &value)) return false;
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        uint64_t ns = timeout_units[i].ns;
        if (timeout_units[i].name != text.p[text.n - 1]) continue;
        *ms = ns >= NS_IN_A_MS ? value * (ns / NS_IN_A_MS)
                               : (value * ns + NS_IN_A_MS - 1) / NS_IN_A_MS;
        return true;
    }
    return false;
}

/* Percent-Byte-Unencoded -> space and VCHAR, except "%" */
static bool is_plain(unsigned char c) { return c >= 0x20 && c <= 0x7e && c != '%'; }

int fl_grpc_message_encode(struct fl_buf *out, struct fl_str text) {
    static const char digits[] = "0123456789ABCDEF";
    size_t before = out->len;
    int rc = 0;
    for (size_t i = 0; i < text.n && !rc; i++) {
        unsigned char c = (unsigned char)text.p[i];
        const char escape[] = {'%', digits[c >> 4], digits[c & 15]};
        rc = is_plain(c) ? fl_buf_byte(out, (char)c) : fl_buf_append(out, fl_str_n(escape, 3));
    }
    if (rc) fl_buf_truncate(out, before);
    return rc;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "%XX" at text.p[i] stands for, or -1. */
static int decode_escape(struct fl_str text, size_t i) {
    if (text.p[i] != '%' || text.n - i < 3) return -1;
    int high = hex_value(text.p[i + 1]), low = hex_value(text.p[i + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

int fl_grpc_message_decode(struct fl_buf *out, struct fl_str text) {
    size_t before = out->len;
    int rc = 0;
    for (size_t i = 0; i < text.n && !rc; i++) {
        int decoded = decode_escape(text, i);
        rc = fl_buf_byte(out, decoded < 0 ? text.p[i] : (char)decoded);
        if (decoded >= 0) i += 2;
    }
    if (rc) fl_buf_truncate(out, before);
    return rc;
}

/* grpc/doc/http-grpc-status-mapping.md */
int fl_grpc_status_of_http(int http_status) {
    switch (http_status) {
    case 400:
        return FL_STATUS_INTERNAL;
    case 401:
        return FL_STATUS_UNAUTHENTICATED;
    case 403:
        return FL_STATUS_PERMISSION_DENIED;
    case 404:
        return FL_STATUS_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return FL_STATUS_UNAVAILABLE;
    default:
        return FL_STATUS_UNKNOWN;
    }
}

/* PROTOCOL-HTTP2.md, "HTTP2 Transport Mapping", Errors. Codes of RFC 9113, section 7. */
int fl_grpc_status_of_h2(uint32_t h2_code) {
    enum { REFUSED_STREAM = 7, CANCEL = 8, ENHANCE_YOUR_CALM = 11, INADEQUATE_SECURITY = 12 };
    switch (h2_code) {
    case REFUSED_STREAM:
        return FL_STATUS_UNAVAILABLE;
    case CANCEL:
        return FL_STATUS_CANCELLED;
    case ENHANCE_YOUR_CALM:
        return FL_STATUS_RESOURCE_EXHAUSTED;
    case INADEQUATE_SECURITY:
        return FL_STATUS_PERMISSION_DENIED;
    default:
        return FL_STATUS_INTERNAL;
    }
}
