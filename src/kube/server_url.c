/* server_url.c - the `server` of a cluster entry: scheme, host, port, path prefix. Pure. */
#include "base/address.h"
#include "base/alloc.h"
#include "kube/kubeconfig.h"

static bool scheme_take(struct fl_str *url, bool *tls) {
    static const struct {
        struct fl_str prefix;
        bool tls;
    } schemes[] = {{FL_STR("https://"), true}, {FL_STR("http://"), false}};
    for (size_t i = 0; i < FL_COUNT(schemes); i++) {
        size_t n = schemes[i].prefix.n;
        if (url->n < n || !fl_str_eq_nocase(fl_str_n(url->p, n), schemes[i].prefix)) continue;
        *tls = schemes[i].tls;
        *url = fl_str_from(*url, n);
        return true;
    }
    return false;
}

/* "host", "host:port", "[v6]", "[v6]:port"; *port stays without one. */
static bool authority_split(struct fl_str authority, struct fl_str *host, struct fl_str *port) {
    *port = FL_STR_NONE;
    if (authority.n == 0 || authority.p[0] != '[') {
        bool has_port = fl_str_split(authority, ':', host, port);
        return !has_port || port->n > 0;
    }
    if (!fl_str_split(fl_str_from(authority, 1), ']', host, port)) return false;
    if (port->n == 0) return true;
    if (port->p[0] != ':' || port->n == 1) return false;
    *port = fl_str_from(*port, 1);
    return true;
}

static bool host_valid(struct fl_str host, bool bracketed) {
    struct fl_address address;
    return fl_address_parse(host, &address) && bracketed == (address.kind == FL_ADDRESS_V6);
}

static bool port_parse(struct fl_str text, bool tls, uint16_t *port) {
    uint64_t number = tls ? 443 : 80;
    if (text.n && (!fl_str_u64(text, &number) || number == 0 || number > 65535)) return false;
    *port = (uint16_t)number;
    return true;
}

/* What may stand in a request line as it is; no query, no fragment. */
static bool path_valid(struct fl_str path) {
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] <= ' ' || path.p[i] == 0x7f || path.p[i] == '?' || path.p[i] == '#')
            return false;
    return true;
}

static struct fl_str path_of(struct fl_str url, struct fl_str *authority) {
    const char *slash = url.n ? memchr(url.p, '/', url.n) : NULL;
    *authority = slash ? fl_str_n(url.p, (size_t)(slash - url.p)) : url;
    struct fl_str path = fl_str_from(url, authority->n);
    while (path.n && path.p[path.n - 1] == '/') path.n--;
    return path;
}

int fl_server_url_parse(struct fl_str url, struct fl_kube_config *out, struct fl_error *err) {
    struct fl_str authority, host, port, rest = fl_str_trim(url);
    if (!scheme_take(&rest, &out->tls))
        return fl_fail(err, FL_ECONFIG, "server must begin with https:// or http://");
    struct fl_str path = path_of(rest, &authority);
    if (authority.n && memchr(authority.p, '@', authority.n)) /* a password: not to be repeated */
        return fl_fail(err, FL_ECONFIG,
                       "server holds user information: use a token or certificate");
    if (!authority_split(authority, &host, &port) ||
        !host_valid(host, authority.n && authority.p[0] == '['))
        return fl_fail(err, FL_ECONFIG, "server \"%.*s\" names no host or address",
                       FL_STR_ARG(authority));
    if (!port_parse(port, out->tls, &out->port))
        return fl_fail(err, FL_ECONFIG, "server \"%.*s\" has no port from 1 to 65535",
                       FL_STR_ARG(authority));
    if (!path_valid(path))
        return fl_fail(err, FL_ECONFIG, "server may have a path, but no query, fragment or blank");
    fl_free(out->host);
    fl_free(out->path);
    out->host = fl_str_dup(host);
    out->path = fl_str_dup(path);
    return out->host && out->path ? FL_OK : fl_fail_nomem(err);
}
