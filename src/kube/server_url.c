/* server_url.c - the `server` of a cluster entry: scheme, host, port, path prefix. Pure. */
#include "base/alloc.h"
#include "kube/kubeconfig.h"
#include "kube/url.h"

/* What may stand in a request line as it is; no query, no fragment. */
static bool path_valid(struct fl_str path) {
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] <= ' ' || path.p[i] == 0x7f || path.p[i] == '?' || path.p[i] == '#')
            return false;
    return true;
}

static int parse(struct fl_str text, struct fl_url *url, bool *tls, struct fl_error *err) {
    int rc = fl_url_parse(text, url, err);
    *tls = fl_str_eq_nocase(url->scheme, FL_STR("https"));
    if (!*tls && !fl_str_eq_nocase(url->scheme, FL_STR("http")))
        return fl_fail(err, FL_ECONFIG, "server must begin with https:// or http://");
    if (rc < 0) return err ? fl_error_prefix(err, "server") : rc;
    if (url->has_userinfo) /* a password: not to be repeated */
        return fl_fail(err, FL_ECONFIG,
                       "server holds user information: use a token or certificate");
    if (!path_valid(url->path))
        return fl_fail(err, FL_ECONFIG, "server may have a path, but no query, fragment or blank");
    return FL_OK;
}

static bool replace(char **to, struct fl_str text) {
    fl_free(*to);
    *to = fl_str_dup(text);
    return *to != NULL;
}

int fl_server_url_parse(struct fl_str text, struct fl_kube_config *out, struct fl_error *err) {
    struct fl_url url;
    int rc = parse(text, &url, &out->tls, err);
    if (rc < 0) return rc;
    out->port = url.port ? url.port : out->tls ? 443 : 80;
    while (url.path.n && url.path.p[url.path.n - 1] == '/') url.path.n--;
    if (!replace(&out->server, fl_str_trim(text)) || !replace(&out->host, url.host) ||
        !replace(&out->path, url.path))
        return fl_fail_nomem(err);
    return FL_OK;
}
