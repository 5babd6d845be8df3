/* kubeconfig_cluster.c - a cluster entry: where the server is, whom to trust, the way there. */
#include "base/alloc.h"
#include "kube/kubeconfig_entry.h"
#include "kube/proxy.h"

static int read_server(const struct fl_kubeconfig_entry *e, struct fl_kube_config *out) {
    const char *server;
    struct fl_error why;
    int rc = fl_entry_text(e, "server", &server);
    if (rc < 0) return rc;
    if (!server) return fl_entry_fail(e, "has no server");
    rc = fl_server_url_parse(fl_str_of(server), out, &why);
    if (rc == FL_OK) return FL_OK;
    if (rc == FL_ECONFIG) fl_error_prefix(&why, "%s: %s \"%.64s\"", e->path, e->kind, e->name);
    return fl_error_copy(e->err, &why);
}

static int read_proxy(const struct fl_kubeconfig_entry *e, struct fl_kube_config *out) {
    struct fl_error why;
    int rc = fl_entry_copy(e, "proxy-url", &out->proxy_url);
    if (rc < 0 || !out->proxy_url) return rc;
    rc = fl_kube_proxy_parse(fl_str_of(out->proxy_url), &out->proxy, &why);
    if (rc == FL_OK) return FL_OK;
    if (rc == FL_ENOMEM) return fl_fail_nomem(e->err);
    return fl_entry_fail(e, "has a proxy-url that %s", why.detail);
}

static int read_compression(const struct fl_kubeconfig_entry *e, struct fl_kube_config *out) {
    bool disabled = false;
    int rc = fl_entry_flag(e, "disable-compression", &disabled);
    if (rc < 0 || !fl_entry_has(e, "disable-compression")) return rc;
    out->compression = disabled ? FL_KUBE_COMPRESSION_OFF : FL_KUBE_COMPRESSION_ON;
    return FL_OK;
}

static const json_t *extension_of(const json_t *cluster, const char *name) {
    size_t i;
    const json_t *item, *list = json_object_get(cluster, "extensions");
    json_array_foreach (list, i, item) {
        const char *is = json_string_value(json_object_get(item, "name"));
        if (is && strcmp(is, name) == 0) return json_object_get(item, "extension");
    }
    return NULL;
}

/* What is handed to an exec plugin as it is. */
static int read_exec_extension(const struct fl_kubeconfig_entry *e, struct fl_kube_config *out) {
    const json_t *extension = extension_of(e->json, "client.authentication.k8s.io/exec");
    const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
    if (!extension) return FL_OK;
    size_t n = json_dumpb(extension, NULL, 0, flags);
    char *text = n ? fl_alloc(n + 1) : NULL;
    if (!text) return fl_fail_nomem(e->err);
    out->exec.cluster_config = text;
    text[json_dumpb(extension, text, n, flags)] = '\0';
    return FL_OK;
}

int fl_kubeconfig_cluster(const struct fl_kubeconfig_entry *e, struct fl_kube_config *out) {
    int rc;
    if ((rc = read_server(e, out)) < 0 || (rc = read_proxy(e, out)) < 0 ||
        (rc = read_compression(e, out)) < 0 || (rc = read_exec_extension(e, out)) < 0 ||
        (rc = fl_entry_copy(e, "tls-server-name", &out->server_name)) < 0 ||
        (rc = fl_entry_flag(e, "insecure-skip-tls-verify", &out->insecure_skip_verify)) < 0 ||
        (rc = fl_entry_pem(e, "certificate-authority", &out->ca_pem, &out->ca_file)) < 0)
        return rc;
    if (out->insecure_skip_verify && (out->ca_pem.len || out->ca_file))
        return fl_entry_fail(e, "has both insecure-skip-tls-verify and a certificate-authority: "
                                "remove one");
    return FL_OK;
}
