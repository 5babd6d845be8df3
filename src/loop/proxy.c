/* proxy.c - see proxy.h. Pure.
 *
 *     HTTP_HEAD -> TUNNEL                     an answer of class 2 has come with all its fields
 *     SOCKS_METHOD -> [SOCKS_USER] -> SOCKS_REPLY -> TUNNEL
 *
 * Of an HTTP answer only the first line is looked at, byte by byte, and nothing else is kept. Of
 * SOCKS' answers the length is known beforehand, that of the last one after its first five bytes.
 */
#include "loop/proxy.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "base/secret.h"
#include "base/sm.h"

/* Bytes each of user name and password: tokens are long; RFC 1929 has one byte for the length. */
#define HTTP_CREDENTIALS_MAX  ((size_t)2 * 1024)
#define SOCKS_CREDENTIALS_MAX ((size_t)255)
#define OUT_MAX               ((size_t)8 * 1024)

enum { HTTP_HEAD, SOCKS_METHOD, SOCKS_USER, SOCKS_REPLY, TUNNEL };

static const uint32_t moves[] = {
    [HTTP_HEAD] = FL_TO(TUNNEL),
    [SOCKS_METHOD] = FL_TO(SOCKS_USER) | FL_TO(SOCKS_REPLY),
    [SOCKS_USER] = FL_TO(SOCKS_REPLY),
    [SOCKS_REPLY] = FL_TO(TUNNEL),
    [TUNNEL] = 0,
};

static void move(struct fl_proxy_session *s, int to) { fl_sm_move(&s->state, moves, to); }

static int fail_garbage(const struct fl_proxy_session *s, const char *what, struct fl_error *err) {
    return fl_fail(err, FL_EPROTO, "%s does not speak %s", s->name, what);
}

/* --- HTTP --- */

static int add_credentials(struct fl_proxy_session *s) {
    char plain[2 * HTTP_CREDENTIALS_MAX + 2];
    unsigned char coded[4 * (sizeof(plain) / 3 + 1) + 1];
    int n = snprintf(plain, sizeof(plain), "%s:%s", s->user, s->password);
    EVP_EncodeBlock(coded, (const unsigned char *)plain, n);
    int rc = fl_buf_printf(&s->out, "Proxy-Authorization: Basic %s\r\n", (const char *)coded);
    explicit_bzero(plain, sizeof(plain));
    explicit_bzero(coded, sizeof(coded));
    return rc;
}

static int begin_http(struct fl_proxy_session *s) {
    struct fl_address address;
    bool v6 = fl_address_parse(fl_str_of(s->host), &address) && address.kind == FL_ADDRESS_V6;
    const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";
    s->state = HTTP_HEAD;
    s->http.is_first = true;
    int rc = fl_buf_printf(&s->out, "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n", open,
                           s->host, close, s->port, open, s->host, close, s->port);
    if (rc == 0 && (s->user[0] || s->password[0])) rc = add_credentials(s);
    return rc < 0 ? rc : fl_buf_append(&s->out, FL_STR("\r\n"));
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* "HTTP/1.1 200 Connection established": the status, 0 for anything else. */
static int status_of(struct fl_str line) {
    static const struct fl_str start = {"HTTP/1.", 7};
    if (!fl_str_starts(line, start) || line.n < 12 || !is_digit(line.p[7]) || line.p[8] != ' ' ||
        (line.n > 12 && line.p[12] != ' ')) {
        return 0;
    }
    const char *p = line.p + 9;
    if (!is_digit(p[0]) || !is_digit(p[1]) || !is_digit(p[2]) || p[0] == '0') return 0;
    return (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
}

/* The head is complete. 1, 0 after an interim answer, or what it says. */
static int judge_http(struct fl_proxy_session *s, struct fl_error *err) {
    struct fl_str line = fl_str_trim(fl_str_n(s->http.first, s->http.kept));
    int status = status_of(line);
    s->http.is_first = true;
    s->http.kept = 0;
    if (status / 100 == 1) return 0;
    if (status / 100 == 2) {
        move(s, TUNNEL);
        return 1;
    }
    return fl_fail(err, status == 407 ? FL_ECONFIG : FL_EUNREACHABLE, "%s answered %.*s", s->name,
                   FL_STR_ARG(fl_str_from(line, 9)));
}

/* A line has ended, that of the status or of a field. */
static int end_line(struct fl_proxy_session *s, struct fl_error *err) {
    size_t len = s->http.line_len;
    s->http.line_len = 0;
    if (s->http.is_first) {
        s->http.is_first = false;
        if (!status_of(fl_str_trim(fl_str_n(s->http.first, s->http.kept)))) {
            return fail_garbage(s, "HTTP", err);
        }
        return 0;
    }
    return len == 0 ? judge_http(s, err) : 0;
}

static int take_http(struct fl_proxy_session *s, char byte, struct fl_error *err) {
    if (++s->http.read > FL_PROXY_HEAD_MAX) {
        return fl_fail(err, FL_ETOO_LARGE, "%s answered with more than %zu bytes of header fields",
                       s->name, FL_PROXY_HEAD_MAX);
    }
    if (byte == '\n') return end_line(s, err);
    if (s->http.is_first && s->http.kept < FL_PROXY_LINE_MAX) {
        s->http.first[s->http.kept++] = byte;
    }
    if (byte != '\r') s->http.line_len++;
    return 0;
}

static int feed_http(struct fl_proxy_session *s, struct fl_str bytes, size_t *used,
                     struct fl_error *err) {
    int rc = 0;
    while (rc == 0 && *used < bytes.n) rc = take_http(s, bytes.p[(*used)++], err);
    return rc;
}

/* --- SOCKS --- */

static int say(struct fl_proxy_session *s, const void *bytes, size_t n) {
    return fl_buf_append(&s->out, fl_str_n(bytes, n));
}

static int begin_socks(struct fl_proxy_session *s) {
    static const uint8_t open[] = {5, 1, 0}, both[] = {5, 2, 0, 2};
    s->state = SOCKS_METHOD;
    s->socks.need = 2;
    return s->user[0] ? say(s, both, sizeof(both)) : say(s, open, sizeof(open));
}

static int say_text(struct fl_proxy_session *s, const char *text) { /* its length before */
    size_t n = strlen(text);
    int rc = fl_buf_byte(&s->out, (char)n);
    return rc < 0 ? rc : say(s, text, n);
}

static int say_user(struct fl_proxy_session *s) {
    move(s, SOCKS_USER);
    s->socks.need = 2;
    int rc = fl_buf_byte(&s->out, 1);
    if (rc == 0) rc = say_text(s, s->user);
    return rc < 0 ? rc : say_text(s, s->password);
}

static int say_peer(struct fl_proxy_session *s) {
    struct fl_address address = {.kind = FL_ADDRESS_NAME};
    bool known = fl_address_parse(fl_str_of(s->host), &address);
    bool is_name = !known || address.kind == FL_ADDRESS_NAME;
    bool v4 = address.kind == FL_ADDRESS_V4;
    const uint8_t head[] = {5, 1, 0, is_name ? 3 : v4 ? 1 : 4};
    const uint8_t port[] = {(uint8_t)(s->port >> 8), (uint8_t)s->port};
    move(s, SOCKS_REPLY);
    s->socks.need = 5; /* with the length, if a name follows */
    int rc = say(s, head, sizeof(head));
    if (rc == 0) rc = is_name ? say_text(s, s->host) : say(s, address.ip, v4 ? 4 : 16);
    return rc < 0 ? rc : say(s, port, sizeof(port));
}

static int on_method(struct fl_proxy_session *s, struct fl_error *err) {
    const uint8_t *answer = s->socks.answer;
    if (answer[0] != 5) return fail_garbage(s, "SOCKS5", err);
    if (answer[1] == 0) return say_peer(s);
    if (answer[1] == 2 && s->user[0]) return say_user(s);
    if (answer[1] != 0xff) return fail_garbage(s, "SOCKS5", err);
    return fl_fail(err, FL_ECONFIG,
                   s->user[0] ? "%s takes no user name and password"
                              : "%s wants a user name and a password",
                   s->name);
}

static int on_user(struct fl_proxy_session *s, struct fl_error *err) {
    if (s->socks.answer[0] != 1) return fail_garbage(s, "SOCKS5", err);
    if (s->socks.answer[1] == 0) return say_peer(s);
    return fl_fail(err, FL_ECONFIG, "%s did not accept the user name and the password", s->name);
}

/* RFC 1928, section 6. */
static const struct {
    int code;
    const char *text;
} replies[] = {
    [1] = {FL_EUNREACHABLE, "general failure"},
    [2] = {FL_EUNREACHABLE, "connection not allowed by its rules"},
    [3] = {FL_EUNREACHABLE, "network unreachable"},
    [4] = {FL_EUNREACHABLE, "host unreachable"},
    [5] = {FL_EREFUSED, "connection refused"},
    [6] = {FL_EUNREACHABLE, "time to live expired"},
    [7] = {FL_EPROTO, "command not supported"},
    [8] = {FL_EPROTO, "address type not supported"},
};

/* Of the last answer: its whole length, once the beginning is there; 0: it is none. */
static size_t reply_len(const uint8_t *answer) {
    switch (answer[3]) {
    case 1:
        return 4 + 4 + 2;
    case 3:
        return (size_t)(4 + 1) + answer[4] + 2;
    case 4:
        return 4 + 16 + 2;
    default:
        return 0;
    }
}

static int on_reply(struct fl_proxy_session *s, struct fl_error *err) {
    const uint8_t *answer = s->socks.answer;
    size_t len = reply_len(answer);
    uint8_t reply = answer[1];
    if (answer[0] != 5) return fail_garbage(s, "SOCKS5", err);
    if (reply >= FL_COUNT(replies)) {
        return fl_fail(err, FL_EPROTO, "%s answered %u", s->name, reply);
    }
    if (reply) {
        return fl_fail(err, replies[reply].code, "%s answered %u %s", s->name, reply,
                       replies[reply].text);
    }
    if (len == 0) return fail_garbage(s, "SOCKS5", err);
    if (s->socks.len < len) {
        s->socks.need = len;
        return 0;
    }
    move(s, TUNNEL);
    return 1;
}

/* An answer, or the beginning of the last one, is complete. */
static int judge_socks(struct fl_proxy_session *s, struct fl_error *err) {
    int state = s->state;
    int rc = state == SOCKS_METHOD ? on_method(s, err)
             : state == SOCKS_USER ? on_user(s, err)
                                   : on_reply(s, err);
    if (state != SOCKS_REPLY) s->socks.len = 0;
    return rc == FL_ENOMEM ? fl_fail_nomem(err) : rc;
}

static int feed_socks(struct fl_proxy_session *s, struct fl_str bytes, size_t *used,
                      struct fl_error *err) {
    int rc = 0;
    while (rc == 0 && *used < bytes.n) {
        size_t n = FL_MIN(s->socks.need - s->socks.len, bytes.n - *used);
        memcpy(s->socks.answer + s->socks.len, bytes.p + *used, n);
        s->socks.len += n;
        *used += n;
        if (s->socks.len == s->socks.need) rc = judge_socks(s, err);
    }
    return rc;
}

/* --- the session --- */

int fl_proxy_session_feed(struct fl_proxy_session *s, struct fl_str bytes, size_t *used,
                          struct fl_error *err) {
    *used = 0;
    if (s->state == HTTP_HEAD) return feed_http(s, bytes, used, err);
    return feed_socks(s, bytes, used, err);
}

static bool has(struct fl_str s, char byte) {
    struct fl_str head, tail;
    return fl_str_split(s, byte, &head, &tail);
}

/* Basic separates them by a colon; a terminator would cut either short. */
static int check_credentials(const struct fl_proxy *proxy, struct fl_error *err) {
    bool http = proxy->kind == FL_PROXY_HTTP;
    size_t max = http ? HTTP_CREDENTIALS_MAX : SOCKS_CREDENTIALS_MAX;
    if (proxy->user.n > max || proxy->password.n > max) {
        return fl_fail(err, FL_EUSAGE, "user name or password of the proxy is over %zu bytes", max);
    }
    if (has(proxy->user, '\0') || has(proxy->password, '\0')) {
        return fl_fail(err, FL_EUSAGE, "user name or password of the proxy holds a zero byte");
    }
    if (http && has(proxy->user, ':')) {
        return fl_fail(err, FL_EUSAGE, "user name of the proxy holds a ':'");
    }
    if (!http && proxy->password.n && !proxy->user.n) {
        return fl_fail(err, FL_EUSAGE, "password of the proxy is without a user name");
    }
    return 0;
}

int fl_proxy_session_new(const struct fl_proxy *proxy, struct fl_str host, uint16_t port,
                         struct fl_proxy_session **out, struct fl_error *err) {
    int rc = check_credentials(proxy, err);
    if (rc < 0) return rc;
    struct fl_proxy_session *s = FL_NEW(struct fl_proxy_session);
    if (!s) return fl_fail_nomem(err);
    fl_buf_init(&s->out, OUT_MAX);
    snprintf(s->name, sizeof(s->name), "proxy %.*s:%u", FL_STR_ARG(proxy->host), proxy->port);
    s->port = port;
    s->host = fl_str_dup(host);
    s->user = fl_str_dup(proxy->user);
    s->password = fl_str_dup(proxy->password);
    /* All at once, so that no copy of it stays behind where it has grown. */
    if (!s->host || !s->user || !s->password || !fl_buf_reserve(&s->out, OUT_MAX)) goto fail;
    rc = proxy->kind == FL_PROXY_HTTP ? begin_http(s) : begin_socks(s);
    if (rc < 0) goto fail;
    *out = s;
    return 0;
fail:
    fl_proxy_session_free(s);
    return fl_fail_nomem(err);
}

void fl_proxy_session_free(struct fl_proxy_session *s) {
    if (!s) return;
    fl_free(s->host);
    fl_secret_free(s->user);
    fl_secret_free(s->password);
    fl_secret_buf_deinit(&s->out);
    fl_free(s);
}
