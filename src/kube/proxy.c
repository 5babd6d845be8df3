/* proxy.c - see proxy.h. */
#include "kube/proxy.h"

#include "base/alloc.h"
#include "kube/no_proxy.h"
#include "kube/secret.h"
#include "kube/url.h"

struct scheme {
    struct fl_str name;
    enum fl_proxy_kind kind;
    bool tls;
    uint16_t port;
};

static const struct scheme *scheme_of(struct fl_str name) {
    static const struct scheme schemes[] = {{FL_STR("http"), FL_PROXY_HTTP, false, 80},
                                            {FL_STR("https"), FL_PROXY_HTTP, true, 443},
                                            {FL_STR("socks5"), FL_PROXY_SOCKS5, false, 1080}};
    for (size_t i = 0; i < FL_COUNT(schemes); i++)
        if (fl_str_eq_nocase(name, schemes[i].name)) return &schemes[i];
    return NULL;
}

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') return (c | 0x20) - 'a' + 10;
    return -1;
}

/* Percent-decoded, terminated; *valid says whether it was well-formed and without a zero. */
static char *decode(struct fl_str text, bool *valid) {
    char *out = fl_alloc(text.n + 1), *to = out;
    if (!out) return NULL;
    for (size_t i = 0; i < text.n; i++) {
        int value = (unsigned char)text.p[i];
        if (text.p[i] == '%') {
            int high = i + 2 < text.n ? hex(text.p[i + 1]) : -1;
            int low = i + 2 < text.n ? hex(text.p[i + 2]) : -1;
            value = high < 0 || low < 0 ? 0 : high << 4 | low;
            i += 2;
        }
        if (value == 0) *valid = false;
        *to++ = (char)value;
    }
    *to = '\0';
    return out;
}

static int take_userinfo(struct fl_str userinfo, struct fl_kube_proxy *out, struct fl_error *err) {
    struct fl_str user, password;
    bool valid = true;
    fl_str_split(userinfo, ':', &user, &password);
    out->user = decode(user, &valid);
    out->password = decode(password, &valid);
    if (!out->user || !out->password) return fl_fail_nomem(err);
    return valid ? FL_OK : fl_fail(err, FL_ECONFIG, "holds a user or password that is no URL's");
}

int fl_kube_proxy_parse(struct fl_str text, struct fl_kube_proxy *out, struct fl_error *err) {
    struct fl_url url;
    int rc = fl_url_parse(text, &url, err);
    if (rc < 0) return rc;
    const struct scheme *scheme = scheme_of(url.scheme);
    if (!scheme)
        return fl_fail(err, FL_ECONFIG, "has the scheme \"%.*s\", must be http, https or socks5",
                       (int)FL_MIN(url.scheme.n, (size_t)32), url.scheme.p);
    out->kind = scheme->kind;
    out->tls = scheme->tls;
    out->port = url.port ? url.port : scheme->port;
    out->host = fl_str_dup(url.host);
    if (!out->host) return fl_fail_nomem(err);
    return url.has_userinfo ? take_userinfo(url.userinfo, out, err) : FL_OK;
}

/* Lower case first, as Go reads them; an empty one is none. */
static const char *env_any(struct fl_io *io, const char *lower, const char *upper,
                           const char **name) {
    const char *value = fl_io_env(io, lower);
    *name = value && value[0] ? lower : upper;
    if (!value || !value[0]) value = fl_io_env(io, upper);
    return value && value[0] ? value : NULL;
}

/* As a URL: "proxy:3128" means http://proxy:3128, and socks5h, which says that the proxy resolves
 * names, is socks5, which does so too. */
static int parse_env(const char *value, struct fl_kube_proxy *out, struct fl_error *err) {
    static const struct fl_str socks5h = FL_STR("socks5h://");
    struct fl_str head = FL_STR_NONE, tail = fl_str_of(value);
    struct fl_buf url;
    if (fl_str_starts(tail, socks5h)) {
        head = FL_STR("socks5://");
        tail = fl_str_from(tail, socks5h.n);
    } else if (!strstr(value, "://")) {
        head = FL_STR("http://");
    }
    fl_buf_init(&url, SIZE_MAX);
    int rc = fl_buf_reserve(&url, head.n + tail.n) ? FL_OK : FL_ENOMEM;
    if (rc == FL_OK) rc = fl_buf_append(&url, head);
    if (rc == FL_OK) rc = fl_buf_append(&url, tail);
    rc = rc < 0 ? fl_fail_nomem(err) : fl_kube_proxy_parse(fl_buf_str(&url), out, err);
    fl_secret_buf_deinit(&url);
    return rc;
}

int fl_kube_proxy_from_env(struct fl_io *io, struct fl_kube_config *config, struct fl_error *err) {
    const char *name, *ignored;
    struct fl_error why;
    if (config->proxy.host) return FL_OK;
    const char *url = config->tls ? env_any(io, "https_proxy", "HTTPS_PROXY", &name)
                                  : env_any(io, "http_proxy", "HTTP_PROXY", &name);
    const char *list = env_any(io, "no_proxy", "NO_PROXY", &ignored);
    if (!url || fl_no_proxy(fl_str_of(list), fl_str_of(config->host), config->port)) return FL_OK;
    int rc = parse_env(url, &config->proxy, &why);
    if (rc == FL_OK) return FL_OK;
    if (rc == FL_ECONFIG) fl_error_prefix(&why, "the environment's %s", name);
    return fl_error_copy(err, &why);
}

static bool copy(const char *from, char **to) {
    *to = from ? fl_strdup(from) : NULL;
    return !from || *to;
}

int fl_kube_proxy_copy(const struct fl_kube_proxy *from, struct fl_kube_proxy *out) {
    *out = (struct fl_kube_proxy){.port = from->port, .kind = from->kind, .tls = from->tls};
    return copy(from->host, &out->host) && copy(from->user, &out->user) &&
                   copy(from->password, &out->password)
               ? FL_OK
               : FL_ENOMEM;
}

void fl_kube_proxy_deinit(struct fl_kube_proxy *proxy) {
    fl_free(proxy->host);
    fl_secret_free(proxy->user);
    fl_secret_free(proxy->password);
    *proxy = (struct fl_kube_proxy){.port = 0};
}
