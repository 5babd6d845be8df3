/* config.c - see config.h: which configuration there is, and reading the files it names. */
#include "kube/config.h"

#include <stdio.h>

#include "base/alloc.h"
#include "kube/kubeconfig.h"
#include "kube/proxy.h"
#include "kube/secret.h"

#define FILES_MAX 64
/* Of a kubeconfig: buffers that grow leave copies behind. */
#define TEXT_USUAL ((size_t)64 * 1024)

/* --- life --- */

/* Every text of a configuration: for init, copy and deinit alike. All are wiped. */
#define TEXTS(X)                                                                                   \
    X(server)                                                                                      \
    X(host)                                                                                        \
    X(path)                                                                                        \
    X(ns)                                                                                          \
    X(server_name)                                                                                 \
    X(proxy_url)                                                                                   \
    X(ca_file)                                                                                     \
    X(cert_file)                                                                                   \
    X(key_file)                                                                                    \
    X(token)                                                                                       \
    X(token_file)                                                                                  \
    X(user)                                                                                        \
    X(password)                                                                                    \
    X(exec.api_version)                                                                            \
    X(exec.install_hint)                                                                           \
    X(exec.cluster_config)                                                                         \
    X(source)                                                                                      \
    X(files)                                                                                       \
    X(context)
#define LISTS(X) X(impersonate) X(exec.argv) X(exec.env)
#define BUFS(X)  X(ca_pem) X(cert_pem) X(key_pem)

void fl_kube_config_init(struct fl_kube_config *config) {
    *config = (struct fl_kube_config){.port = 0};
#define X(field) fl_buf_init(&config->field, FL_PEM_MAX);
    BUFS(X)
#undef X
}

void fl_kube_config_deinit(struct fl_kube_config *config) {
#define X(field) fl_secret_free(config->field);
    TEXTS(X)
#undef X
#define X(field) fl_texts_deinit(&config->field);
    LISTS(X)
#undef X
#define X(field) fl_secret_buf_deinit(&config->field);
    BUFS(X)
#undef X
    fl_kube_proxy_deinit(&config->proxy);
    *config = (struct fl_kube_config){.port = 0};
}

bool fl_kube_config_tells(const struct fl_kube_config *config) {
    return config->token || config->token_file || config->user || config->exec.argv.count;
}

void fl_kube_config_forget_identity(struct fl_kube_config *config) {
    char **texts[] = {&config->token, &config->token_file, &config->user, &config->password};
    for (size_t i = 0; i < FL_COUNT(texts); i++) {
        fl_secret_free(*texts[i]);
        *texts[i] = NULL;
    }
    fl_texts_deinit(&config->exec.argv);
}

static void copy_values(const struct fl_kube_config *from, struct fl_kube_config *out) {
    out->port = from->port;
    out->tls = from->tls;
    out->insecure_skip_verify = from->insecure_skip_verify;
    out->compression = from->compression;
    out->files_by_colon = from->files_by_colon;
    out->exec.wants_cluster = from->exec.wants_cluster;
}

static bool copy_text(const char *from, char **to) {
    *to = from ? fl_strdup(from) : NULL;
    return !from || *to;
}

/* Without a detour over smaller buffers, which would keep a part of what is secret. */
static int copy_buf(const struct fl_buf *from, struct fl_buf *to) {
    if (from->len && !fl_buf_reserve(to, from->len)) return FL_ENOMEM;
    return fl_buf_append(to, fl_buf_str(from));
}

int fl_kube_config_copy(const struct fl_kube_config *from, struct fl_kube_config *out) {
    bool good = true;
    fl_kube_config_init(out);
    copy_values(from, out);
#define X(field) good = copy_text(from->field, &out->field) && good;
    TEXTS(X)
#undef X
#define X(field) good = good && fl_texts_copy(&out->field, &from->field) == FL_OK;
    LISTS(X)
#undef X
#define X(field) good = good && copy_buf(&from->field, &out->field) == FL_OK;
    BUFS(X)
#undef X
    good = good && fl_kube_proxy_copy(&from->proxy, &out->proxy) == FL_OK;
    if (good) return FL_OK;
    fl_kube_config_deinit(out);
    return FL_ENOMEM;
}

/* --- files that a configuration names --- */

static int read_pem(struct fl_io *io, const char *source, const char *what, const char *path,
                    struct fl_buf *out, struct fl_error *err) {
    struct fl_error why;
    int rc = path ? fl_pem_read(io, what, path, out, &why) : FL_OK;
    if (rc == FL_OK) return FL_OK;
    if (rc == FL_ECONFIG) fl_error_prefix(&why, "%s", source);
    return fl_error_copy(err, &why);
}

/* *pem gets the bytes of *fresh if there was a file to read; the other one is wiped. */
static void take_pem(const char *file, struct fl_buf *pem, struct fl_buf *fresh) {
    if (file) {
        struct fl_buf old = *pem;
        *pem = *fresh;
        *fresh = old;
    }
    fl_secret_buf_deinit(fresh);
}

int fl_kube_config_read_pem(struct fl_io *io, struct fl_kube_config *config, struct fl_error *err) {
    struct fl_buf ca, cert, key;
    int rc;
    fl_buf_init(&ca, FL_PEM_MAX);
    fl_buf_init(&cert, FL_PEM_MAX);
    fl_buf_init(&key, FL_PEM_MAX);
    if ((rc = read_pem(io, config->source, "certificate-authority", config->ca_file, &ca, err)) <
            0 ||
        (rc = read_pem(io, config->source, "client-certificate", config->cert_file, &cert, err)) <
            0 ||
        (rc = read_pem(io, config->source, "client-key", config->key_file, &key, err)) < 0) {
        fl_secret_buf_deinit(&ca);
        fl_secret_buf_deinit(&cert);
        fl_secret_buf_deinit(&key);
        return rc;
    }
    take_pem(config->ca_file, &config->ca_pem, &ca);
    take_pem(config->cert_file, &config->cert_pem, &cert);
    take_pem(config->key_file, &config->key_pem, &key);
    return FL_OK;
}

/* --- kubeconfigs --- */

/* The texts of the files of a list, as far as they are there. */
struct texts {
    struct fl_kubeconfig_text list[FILES_MAX];
    struct fl_buf bufs[FILES_MAX];
    char *paths[FILES_MAX];
    size_t count;
};

static void texts_free(struct texts *t) {
    if (!t) return;
    for (size_t i = 0; i < FILES_MAX; i++) {
        fl_secret_buf_deinit(&t->bufs[i]);
        fl_free(t->paths[i]);
    }
    fl_free(t);
}

/* fl_io_file_read says both that there is none and that it cannot be read with FL_ESYS. */
static bool is_missing(const struct fl_error *why) {
    return why->code == FL_ESYS &&
           fl_str_ends(fl_str_of(why->detail), FL_STR("no such file or directory"));
}

static int read_text(struct fl_io *io, struct texts *t, struct fl_str path, bool may_miss,
                     struct fl_error *err) {
    struct fl_error why;
    size_t i = t->count;
    t->paths[i] = fl_str_dup(path);
    if (!t->paths[i]) return fl_fail_nomem(err);
    fl_buf_init(&t->bufs[i], FL_KUBECONFIG_MAX);
    if (!fl_buf_reserve(&t->bufs[i], TEXT_USUAL)) return fl_fail_nomem(err);
    int rc = fl_io_file_read(io, t->paths[i], &t->bufs[i], &why);
    if (rc < 0 && may_miss && is_missing(&why)) {
        fl_buf_deinit(&t->bufs[i]);
        fl_free(t->paths[i]);
        t->paths[i] = NULL;
        return FL_OK;
    }
    if (rc < 0) return fl_error_copy(err, &why);
    t->list[i] = (struct fl_kubeconfig_text){t->paths[i], fl_buf_str(&t->bufs[i])};
    t->count++;
    return FL_OK;
}

static int read_texts(struct fl_io *io, struct texts *t, const char *files, bool list,
                      struct fl_error *err) {
    struct fl_str rest = fl_str_of(files), head;
    int rc = FL_OK;
    if (!list) return read_text(io, t, rest, false, err);
    while (rest.n && rc == FL_OK) {
        fl_str_split(rest, ':', &head, &rest);
        if (t->count == FILES_MAX)
            return fl_fail(err, FL_ECONFIG, "KUBECONFIG names more than %d files", FILES_MAX);
        if (head.n) rc = read_text(io, t, head, true, err);
    }
    return rc;
}

/* One file, or a list by ':' of which those that are missing are passed over. FL_ESYS: none is
 * there. */
static int load_files(struct fl_io *io, const char *files, bool list, const char *context,
                      struct fl_kube_config *out, struct fl_error *err) {
    struct texts *t = FL_NEW(struct texts);
    if (!t) return fl_fail_nomem(err);
    int rc = read_texts(io, t, files, list, err);
    if (rc == FL_OK && t->count == 0)
        rc = fl_fail(err, FL_ESYS, "%s: no such file or directory", files);
    if (rc == FL_OK) rc = fl_kubeconfig_parse(t->list, t->count, files, context, out, err);
    texts_free(t);
    out->files_by_colon = list;
    if (rc == FL_OK && !copy_text(files, &out->files)) rc = fl_fail_nomem(err);
    if (rc == FL_OK) rc = fl_kube_config_read_pem(io, out, err);
    return rc;
}

static int load_home(struct fl_io *io, const char *context, struct fl_kube_config *out,
                     struct fl_error *err) {
    const char *home = fl_io_env(io, "HOME");
    char path[1024];
    struct fl_error why;
    if (!home || !*home)
        return fl_fail(err, FL_ECONFIG,
                       "no kubeconfig (HOME is not set): set KUBECONFIG or give --kubeconfig");
    snprintf(path, sizeof(path), "%.900s/.kube/config", home);
    int rc = load_files(io, path, false, context, out, &why);
    if (rc == FL_OK) return FL_OK;
    if (rc != FL_ESYS) return fl_error_copy(err, &why);
    return fl_fail(err, FL_ECONFIG, "no kubeconfig (%.120s): set KUBECONFIG or give --kubeconfig",
                   why.detail);
}

/* $KUBECONFIG, which yields to a pod's service account when none of its files is there. */
static int load_env(struct fl_io *io, const char *list, const char *context,
                    struct fl_kube_config *out, struct fl_error *err) {
    struct fl_error why;
    int rc = load_files(io, list, true, context, out, &why);
    if (rc == FL_OK) return FL_OK;
    if (is_missing(&why) && fl_incluster_present(io)) return fl_incluster_load(io, out, err);
    if (rc == FL_ESYS) fl_error_prefix(&why, "KUBECONFIG");
    return fl_error_copy(err, &why);
}

static int load(struct fl_io *io, const struct fl_kube_config_options *options,
                struct fl_kube_config *out, struct fl_error *err) {
    const char *list = fl_io_env(io, "KUBECONFIG");
    if (options->kubeconfig)
        return load_files(io, options->kubeconfig, false, options->context, out, err);
    if (list && list[0]) return load_env(io, list, options->context, out, err);
    if (fl_incluster_present(io)) return fl_incluster_load(io, out, err);
    return load_home(io, options->context, out, err);
}

int fl_kube_config_load(struct fl_io *io, const struct fl_kube_config_options *options,
                        struct fl_kube_config *out, struct fl_error *err) {
    fl_kube_config_init(out);
    int rc = load(io, options, out, err);
    return rc < 0 ? rc : fl_kube_proxy_from_env(io, out, err);
}

int fl_kube_config_reload(struct fl_io *io, const struct fl_kube_config *old,
                          struct fl_kube_config *out, struct fl_error *err) {
    fl_kube_config_init(out);
    int rc = old->files ? load_files(io, old->files, old->files_by_colon, old->context, out, err)
                        : fl_incluster_load(io, out, err);
    return rc < 0 ? rc : fl_kube_proxy_from_env(io, out, err);
}
