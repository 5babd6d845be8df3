/* config.c - see config.h: which configuration there is, and reading the files it names. */
#include "kube/config.h"

#include <stdio.h>

#include "base/alloc.h"
#include "kube/kubeconfig.h"
#include "kube/secret.h"

void fl_kube_config_deinit(struct fl_kube_config *config) {
    fl_free(config->host);
    fl_free(config->path);
    fl_free(config->ns);
    fl_free(config->server_name);
    fl_free(config->token_file);
    fl_free(config->source);
    fl_secret_free(config->token);
    fl_buf_deinit(&config->ca_pem);
    fl_buf_deinit(&config->cert_pem);
    fl_secret_buf_deinit(&config->key_pem);
    *config = (struct fl_kube_config){0};
}

int fl_kube_file_read(struct fl_io *io, const char *what, const char *path, struct fl_buf *out,
                      struct fl_error *err) {
    struct fl_error why;
    int rc = fl_io_file_read(io, path, out, &why);
    if (rc == FL_OK) return FL_OK;
    if (rc != FL_ENOMEM) why.code = FL_ECONFIG;
    fl_error_prefix(&why, "%s", what);
    return fl_error_copy(err, &why);
}

static int read_pem(struct fl_io *io, const struct fl_kube_config *config, const char *what,
                    const char *path, struct fl_buf *out, struct fl_error *err) {
    if (!path) return FL_OK;
    int rc = fl_kube_file_read(io, what, path, out, err);
    if (rc < 0 || out->len) return rc;
    return fl_fail(err, FL_ECONFIG, "%s: %s \"%s\" is empty", config->source, what, path);
}

static int load_file(struct fl_io *io, const char *path, const char *context,
                     struct fl_kube_config *out, struct fl_error *err) {
    struct fl_buf text;
    struct fl_kubeconfig_files files = {0};
    fl_buf_init(&text, FL_KUBECONFIG_MAX);
    int rc = fl_io_file_read(io, path, &text, err);
    if (rc == FL_OK) rc = fl_kubeconfig_parse(fl_buf_str(&text), path, context, out, &files, err);
    fl_secret_buf_deinit(&text);
    if (rc == FL_OK) rc = read_pem(io, out, "certificate-authority", files.ca, &out->ca_pem, err);
    if (rc == FL_OK) rc = read_pem(io, out, "client-certificate", files.cert, &out->cert_pem, err);
    if (rc == FL_OK) rc = read_pem(io, out, "client-key", files.key, &out->key_pem, err);
    fl_kubeconfig_files_deinit(&files);
    return rc;
}

static bool readable(struct fl_io *io, const char *path) {
    struct fl_buf text;
    fl_buf_init(&text, FL_KUBECONFIG_MAX);
    bool ok = fl_io_file_read(io, path, &text, NULL) == FL_OK;
    fl_secret_buf_deinit(&text);
    return ok;
}

/* The first readable file of a colon-separated list is used alone; when none is, the first, so that
 * the message names a file. */
static int load_list(struct fl_io *io, const char *list, const char *context,
                     struct fl_kube_config *out, struct fl_error *err) {
    struct fl_str rest = fl_str_of(list), head;
    char *first = NULL, *found = NULL;
    while (rest.n && !found) {
        fl_str_split(rest, ':', &head, &rest);
        if (head.n == 0) continue;
        char *path = fl_str_dup(head);
        if (!path) {
            fl_free(first);
            return fl_fail_nomem(err);
        }
        if (readable(io, path))
            found = path;
        else if (!first)
            first = path;
        else
            fl_free(path);
    }
    int rc = found || first ? load_file(io, found ? found : first, context, out, err)
                            : fl_fail(err, FL_ECONFIG, "KUBECONFIG names no file");
    fl_free(first);
    fl_free(found);
    return rc;
}

static int load_home(struct fl_io *io, const char *context, struct fl_kube_config *out,
                     struct fl_error *err) {
    const char *home = fl_io_env(io, "HOME");
    char path[1024];
    struct fl_error why;
    snprintf(path, sizeof(path), "%.900s/.kube/config", home ? home : "");
    int rc = load_file(io, path, context, out, &why);
    if (rc == FL_OK) return FL_OK;
    if (rc != FL_ESYS) return fl_error_copy(err, &why);
    return fl_fail(err, FL_ECONFIG, "no kubeconfig (%.120s): set KUBECONFIG or give --kubeconfig",
                   why.detail);
}

int fl_kube_config_load(struct fl_io *io, const struct fl_kube_config_options *options,
                        struct fl_kube_config *out, struct fl_error *err) {
    fl_kube_config_init(out);
    const char *list = fl_io_env(io, "KUBECONFIG");
    if (options->kubeconfig) return load_file(io, options->kubeconfig, options->context, out, err);
    if (list && list[0]) return load_list(io, list, options->context, out, err);
    if (fl_incluster_present(io)) return fl_incluster_load(io, out, err);
    return load_home(io, options->context, out, err);
}
