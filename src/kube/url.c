/* url.c - see url.h. */
#include "kube/url.h"

#include "base/address.h"

static bool scheme_take(struct fl_str *rest, struct fl_str *scheme) {
    static const struct fl_str mark = FL_STR("://");
    size_t n = 0;
    while (n < rest->n && rest->p[n] != ':' && rest->p[n] != '/') n++;
    *scheme = fl_str_n(rest->p, n);
    *rest = fl_str_from(*rest, n);
    if (n == 0 || !fl_str_starts(*rest, mark)) return false;
    *rest = fl_str_from(*rest, mark.n);
    return true;
}

/* Everything before the last '@' of the authority, as browsers and Go read it. */
static void userinfo_take(struct fl_str *authority, struct fl_url *out) {
    size_t n = authority->n;
    while (n > 0 && authority->p[n - 1] != '@') n--;
    out->has_userinfo = n > 0;
    out->userinfo = n ? fl_str_n(authority->p, n - 1) : FL_STR_NONE;
    *authority = fl_str_from(*authority, n);
}

/* "host", "host:port", "[v6]", "[v6]:port". */
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

static bool port_parse(struct fl_str text, uint16_t *port) {
    uint64_t number = 0;
    if (text.n && (!fl_str_u64(text, &number) || number == 0 || number > 65535)) return false;
    *port = (uint16_t)number;
    return true;
}

int fl_url_parse(struct fl_str text, struct fl_url *out, struct fl_error *err) {
    struct fl_str rest = fl_str_trim(text), port;
    *out = (struct fl_url){.port = 0};
    if (!scheme_take(&rest, &out->scheme)) return fl_fail(err, FL_ECONFIG, "is no URL");
    const char *slash = rest.n ? memchr(rest.p, '/', rest.n) : NULL;
    struct fl_str authority = slash ? fl_str_n(rest.p, (size_t)(slash - rest.p)) : rest;
    out->path = fl_str_from(rest, authority.n);
    /* A password with a '/' in it ends the authority too early: then nothing is repeated. */
    struct fl_str shown = rest.n && memchr(rest.p, '@', rest.n) ? FL_STR("...") : authority;
    userinfo_take(&authority, out);
    if (!authority_split(authority, &out->host, &port) ||
        !host_valid(out->host, authority.n && authority.p[0] == '['))
        return fl_fail(err, FL_ECONFIG, "\"%.*s\" names no host or address", FL_STR_ARG(shown));
    if (!port_parse(port, &out->port))
        return fl_fail(err, FL_ECONFIG, "\"%.*s\" has no port from 1 to 65535", FL_STR_ARG(shown));
    return FL_OK;
}
