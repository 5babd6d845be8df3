/* kubeconfig.c - see kubeconfig.h.
 *
 * The YAML becomes a JSON tree; the context picks a cluster and a user from its lists. What we
 * cannot do (exec plugins, passwords, impersonation, proxies) is refused by name rather than left
 * out: a configuration is used as it is meant or not at all. Secrets never go into messages. */
#include "kube/kubeconfig.h"

#include <jansson.h>
#include <stdio.h>

#include "base/alloc.h"
#include "kube/base64.h"
#include "wire/yaml.h"

/* One parse: where it comes from, and which entry is looked at, for messages. */
struct parse {
    const char *path;
    const char *kind, *name; /* "user", "x" */
    struct fl_kube_config *out;
    struct fl_kubeconfig_files *files;
    struct fl_error *err;
};

void fl_kube_config_init(struct fl_kube_config *config) {
    *config = (struct fl_kube_config){0};
    fl_buf_init(&config->ca_pem, FL_PEM_MAX);
    fl_buf_init(&config->cert_pem, FL_PEM_MAX);
    fl_buf_init(&config->key_pem, FL_PEM_MAX);
}

void fl_kubeconfig_files_deinit(struct fl_kubeconfig_files *files) {
    fl_free(files->ca);
    fl_free(files->cert);
    fl_free(files->key);
    *files = (struct fl_kubeconfig_files){0};
}

static int entry_fail(const struct parse *p, const char *what) {
    return fl_fail(p->err, FL_ECONFIG, "%s: %s \"%.64s\" %s", p->path, p->kind, p->name, what);
}

/* --- values of an entry --- */

/* *out: borrowed text of `key`, NULL if it is not there, null or empty. */
static int text_of(const struct parse *p, const json_t *entry, const char *key, const char **out) {
    const json_t *value = json_object_get(entry, key);
    char what[64];
    *out = NULL;
    if (!value || json_is_null(value)) return FL_OK;
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value)) {
        snprintf(what, sizeof(what), "has a %s that is not text: put it in quotes", key);
        return entry_fail(p, what);
    }
    if (json_string_length(value)) *out = json_string_value(value);
    return FL_OK;
}

static int text_copy(const struct parse *p, const json_t *entry, const char *key, char **out) {
    const char *text;
    int rc = text_of(p, entry, key, &text);
    if (rc < 0 || !text) return rc;
    fl_free(*out);
    *out = fl_strdup(text);
    return *out ? FL_OK : fl_fail_nomem(p->err);
}

/* A path, relative to the kubeconfig's folder. */
static int path_copy(const struct parse *p, const json_t *entry, const char *key, char **out) {
    const char *text, *slash = strrchr(p->path, '/');
    int rc = text_of(p, entry, key, &text);
    if (rc < 0 || !text) return rc;
    size_t folder = text[0] == '/' || !slash ? 0 : (size_t)(slash - p->path) + 1;
    size_t size = folder + strlen(text) + 1;
    fl_free(*out);
    *out = fl_alloc(size);
    if (!*out) return fl_fail_nomem(p->err);
    snprintf(*out, size, "%.*s%s", (int)folder, p->path, text);
    return FL_OK;
}

/* PEM given inline in base64, which wins, or as a file. */
static int pem_of(const struct parse *p, const json_t *entry, const char *key, struct fl_buf *pem,
                  char **file) {
    const char *data;
    char data_key[64], what[96];
    snprintf(data_key, sizeof(data_key), "%s-data", key);
    int rc = text_of(p, entry, data_key, &data);
    if (rc < 0) return rc;
    if (!data) return path_copy(p, entry, key, file);
    rc = fl_base64_decode(pem, fl_str_of(data));
    if (rc == FL_ENOMEM) return fl_fail_nomem(p->err);
    if (rc == FL_OK && pem->len) return FL_OK;
    snprintf(what, sizeof(what), "has a %s that is not base64", data_key);
    return entry_fail(p, what);
}

static int flag_of(const struct parse *p, const json_t *entry, const char *key, bool *out) {
    const json_t *value = json_object_get(entry, key);
    char what[64];
    if (!value || json_is_null(value)) return FL_OK;
    *out = json_is_true(value);
    if (json_is_boolean(value)) return FL_OK;
    snprintf(what, sizeof(what), "has an %s that is not true or false", key);
    return entry_fail(p, what);
}

/* --- entries --- */

static const char *name_of(const json_t *item) {
    const char *name = json_string_value(json_object_get(item, "name"));
    return name ? name : "";
}

/* The `field` object of the item called `name` in the list `list`; NULL if there is none. */
static const json_t *entry_of(const json_t *root, const char *list, const char *field,
                              const char *name) {
    size_t i;
    const json_t *item, *items = json_object_get(root, list);
    json_array_foreach(items, i, item) {
        const json_t *entry = json_object_get(item, field);
        if (strcmp(name_of(item), name) == 0 && json_is_object(entry)) return entry;
    }
    return NULL;
}

static void list_contexts(const json_t *root, char *out, size_t size) {
    size_t i, used = 0;
    const json_t *item;
    snprintf(out, size, "none");
    json_array_foreach(json_object_get(root, "contexts"), i, item) {
        int n = snprintf(out + used, size - used, "%s%.40s", used ? ", " : "", name_of(item));
        if (n < 0 || (size_t)n >= size - used) {
            snprintf(out + size - 4, 4, "...");
            return;
        }
        used += (size_t)n;
    }
}

static int set_source(const struct parse *p, const char *context) {
    size_t size = strlen(p->path) + strlen(context) + sizeof(" (context )");
    p->out->source = fl_alloc(size);
    if (!p->out->source) return fl_fail_nomem(p->err);
    snprintf(p->out->source, size, "%s (context %s)", p->path, context);
    return FL_OK;
}

static int pick_context(struct parse *p, const json_t *root, const char *wanted,
                        const json_t **out) {
    char there[120];
    const char *name = wanted;
    if (!name) name = json_string_value(json_object_get(root, "current-context"));
    list_contexts(root, there, sizeof(there));
    if (!name || !name[0])
        return fl_fail(p->err, FL_ECONFIG,
                       "%s: no current-context is set: choose a context (there are: %s)", p->path,
                       there);
    *out = entry_of(root, "contexts", "context", name);
    if (!*out)
        return fl_fail(p->err, FL_ECONFIG, "%s: no context \"%.64s\" (there are: %s)", p->path,
                       name, there);
    p->kind = "context";
    p->name = name;
    return set_source(p, name);
}

static int read_cluster(const struct parse *p, const json_t *cluster) {
    const char *server, *proxy;
    struct fl_error why;
    int rc;
    if ((rc = text_of(p, cluster, "server", &server)) < 0) return rc;
    if (!server) return entry_fail(p, "has no server");
    if (fl_server_url_parse(fl_str_of(server), p->out, &why) < 0) {
        fl_error_prefix(&why, "%s: %s \"%.64s\"", p->path, p->kind, p->name);
        return fl_error_copy(p->err, &why);
    }
    if ((rc = text_of(p, cluster, "proxy-url", &proxy)) < 0) return rc;
    if (proxy) return entry_fail(p, "uses a proxy-url, which is not supported yet");
    if ((rc = text_copy(p, cluster, "tls-server-name", &p->out->server_name)) < 0) return rc;
    if ((rc = flag_of(p, cluster, "insecure-skip-tls-verify", &p->out->insecure_skip_verify)) < 0)
        return rc;
    rc = pem_of(p, cluster, "certificate-authority", &p->out->ca_pem, &p->files->ca);
    if (rc < 0) return rc;
    if (p->out->insecure_skip_verify && (p->out->ca_pem.len || p->files->ca))
        return entry_fail(p, "has both insecure-skip-tls-verify and a certificate-authority: "
                             "remove one");
    return FL_OK;
}

/* What a user entry may hold that we do not do. */
static int refuse_unsupported(const struct parse *p, const json_t *user) {
    static const struct {
        const char *key, *what;
    } list[] = {
        {"exec", "uses an exec plugin, which is not supported yet"},
        {"auth-provider", "uses an auth-provider, which is not supported: use a token"},
        {"username", "uses a password, which API servers no longer accept: use a token"},
        {"as", "impersonates another user, which is not supported yet"},
        {"as-uid", "impersonates another user, which is not supported yet"},
        {"as-groups", "impersonates another user, which is not supported yet"},
    };
    for (size_t i = 0; i < FL_COUNT(list); i++) {
        const json_t *value = json_object_get(user, list[i].key);
        if (value && !json_is_null(value)) return entry_fail(p, list[i].what);
    }
    return FL_OK;
}

static int read_user(const struct parse *p, const json_t *user) {
    int rc;
    struct fl_kube_config *out = p->out;
    if ((rc = refuse_unsupported(p, user)) < 0 ||
        (rc = text_copy(p, user, "token", &out->token)) < 0 ||
        (rc = path_copy(p, user, "tokenFile", &out->token_file)) < 0 ||
        (rc = pem_of(p, user, "client-certificate", &out->cert_pem, &p->files->cert)) < 0 ||
        (rc = pem_of(p, user, "client-key", &out->key_pem, &p->files->key)) < 0)
        return rc;
    bool cert = out->cert_pem.len || p->files->cert, key = out->key_pem.len || p->files->key;
    if (cert && !key) return entry_fail(p, "has a client-certificate and no client-key");
    if (key && !cert) return entry_fail(p, "has a client-key and no client-certificate");
    return FL_OK;
}

static int read_member(struct parse *p, const json_t *root, const json_t *context, const char *list,
                       const char *field, int (*read)(const struct parse *, const json_t *)) {
    const char *name;
    int rc = text_of(p, context, field, &name);
    if (rc < 0) return rc;
    if (!name) return strcmp(field, "user") == 0 ? FL_OK : entry_fail(p, "names no cluster");
    const json_t *entry = entry_of(root, list, field, name);
    if (!entry)
        return fl_fail(p->err, FL_ECONFIG,
                       "%s: %s \"%.64s\" names %s \"%.64s\", which is not there", p->path, p->kind,
                       p->name, field, name);
    struct parse inner = *p;
    inner.kind = field;
    inner.name = name;
    return read(&inner, entry);
}

static int read_root(struct parse *p, const json_t *root, const char *wanted) {
    const json_t *context = NULL;
    int rc;
    if (!json_is_object(root))
        return fl_fail(p->err, FL_ECONFIG, "%s: this is no kubeconfig: it has no contexts",
                       p->path);
    if ((rc = pick_context(p, root, wanted, &context)) < 0) return rc;
    if ((rc = text_copy(p, context, "namespace", &p->out->ns)) < 0 ||
        (rc = read_member(p, root, context, "clusters", "cluster", read_cluster)) < 0 ||
        (rc = read_member(p, root, context, "users", "user", read_user)) < 0)
        return rc;
    if (p->out->ns) return FL_OK;
    p->out->ns = fl_strdup("default");
    return p->out->ns ? FL_OK : fl_fail_nomem(p->err);
}

int fl_kubeconfig_parse(struct fl_str text, const char *path, const char *context,
                        struct fl_kube_config *out, struct fl_kubeconfig_files *files,
                        struct fl_error *err) {
    struct parse p = {.path = path, .out = out, .files = files, .err = err};
    struct fl_error why;
    json_t *root = NULL;
    *files = (struct fl_kubeconfig_files){0};
    int rc = fl_yaml_parse(text, &root, &why);
    if (rc < 0) {
        fl_error_prefix(&why, "%s", path);
        if (rc != FL_ENOMEM) why.code = FL_ECONFIG;
        return fl_error_copy(err, &why);
    }
    rc = read_root(&p, root, context);
    json_decref(root);
    return rc;
}
