/* exec_credential.c - see exec_credential.h. */
#include "kube/exec_credential.h"

#include <jansson.h>

#include "base/alloc.h"
#include "kube/authorization.h"
#include "kube/base64.h"
#include "kube/kubeconfig.h"
#include "kube/secret.h"
#include "kube/timestamp.h"
#include "wire/json_write.h"

void fl_exec_credential_init(struct fl_exec_credential *credential) {
    *credential = (struct fl_exec_credential){.expires_ms = INT64_MAX};
    fl_buf_init(&credential->cert_pem, FL_PEM_MAX);
    fl_buf_init(&credential->key_pem, FL_PEM_MAX);
}

void fl_exec_credential_deinit(struct fl_exec_credential *credential) {
    fl_secret_free(credential->token);
    fl_secret_buf_deinit(&credential->cert_pem);
    fl_secret_buf_deinit(&credential->key_pem);
    fl_exec_credential_init(credential);
}

/* --- the answer --- */

/* The text of `key`, NULL without; FL_ECONFIG if it is something else. */
static int text_of(const json_t *object, const char *key, struct fl_str *out,
                   struct fl_error *err) {
    const json_t *value = json_object_get(object, key);
    *out = FL_STR_NONE;
    if (!value || json_is_null(value)) return FL_OK;
    if (!json_is_string(value)) return fl_fail(err, FL_ECONFIG, "its %s is not text", key);
    *out = fl_str_n(json_string_value(value), json_string_length(value));
    return FL_OK;
}

static int check_kind(const json_t *root, const char *api_version, struct fl_error *err) {
    struct fl_str kind, version;
    int rc;
    if ((rc = text_of(root, "kind", &kind, err)) < 0 ||
        (rc = text_of(root, "apiVersion", &version, err)) < 0)
        return rc;
    if (!fl_str_eq(kind, FL_STR("ExecCredential")))
        return fl_fail(err, FL_ECONFIG, "it printed no ExecCredential");
    if (fl_str_eq(version, fl_str_of(api_version))) return FL_OK;
    return fl_fail(err, FL_ECONFIG, "it answered with apiVersion \"%.*s\", not with %s",
                   (int)FL_MIN(version.n, (size_t)60), version.n ? version.p : "", api_version);
}

static int take_token(const json_t *status, struct fl_exec_credential *out, struct fl_error *err) {
    struct fl_str token;
    int rc = text_of(status, "token", &token, err);
    if (rc < 0 || token.n == 0) return rc;
    if (!fl_token_is_valid(token)) return fl_fail(err, FL_ECONFIG, "its token " FL_TOKEN_FAULT);
    out->token = fl_str_dup(token);
    return out->token ? FL_OK : fl_fail_nomem(err);
}

static int take_pem(const json_t *status, const char *key, struct fl_buf *out,
                    struct fl_error *err) {
    struct fl_str pem;
    int rc = text_of(status, key, &pem, err);
    if (rc < 0) return rc;
    rc = fl_buf_append(out, pem);
    if (rc == FL_ENOMEM) return fl_fail_nomem(err);
    return rc < 0 ? fl_fail(err, FL_ECONFIG, "its %s is too large", key) : FL_OK;
}

static int take_expiry(const json_t *status, struct fl_exec_credential *out, struct fl_error *err) {
    struct fl_str text;
    int rc = text_of(status, "expirationTimestamp", &text, err);
    if (rc < 0 || text.n == 0) return rc;
    if (fl_rfc3339_parse(text, &out->expires_ms)) return FL_OK;
    return fl_fail(err, FL_ECONFIG, "its expirationTimestamp is no RFC 3339 time");
}

static int take_status(const json_t *status, struct fl_exec_credential *out, struct fl_error *err) {
    int rc;
    if (!json_is_object(status)) return fl_fail(err, FL_ECONFIG, "its answer has no status");
    if ((rc = take_token(status, out, err)) < 0 || (rc = take_expiry(status, out, err)) < 0 ||
        (rc = take_pem(status, "clientCertificateData", &out->cert_pem, err)) < 0 ||
        (rc = take_pem(status, "clientKeyData", &out->key_pem, err)) < 0)
        return rc;
    if ((out->cert_pem.len == 0) != (out->key_pem.len == 0))
        return fl_fail(err, FL_ECONFIG, "it gave only one of certificate and key");
    if (!out->token && out->cert_pem.len == 0)
        return fl_fail(err, FL_ECONFIG, "it gave neither a token nor a certificate");
    return FL_OK;
}

int fl_exec_credential_parse(struct fl_str text, const char *api_version,
                             struct fl_exec_credential *out, struct fl_error *err) {
    json_error_t where; /* its text repeats what is there: not to be shown */
    fl_exec_credential_init(out);
    json_t *root = json_loadb(text.n ? text.p : "", text.n, 0, &where);
    if (!root && json_error_code(&where) == json_error_out_of_memory) return fl_fail_nomem(err);
    if (!root)
        return fl_fail(err, FL_ECONFIG, "what it printed is not JSON, at line %d, column %d",
                       where.line, where.column);
    int rc = check_kind(root, api_version, err);
    if (rc == FL_OK) rc = take_status(json_object_get(root, "status"), out, err);
    fl_secret_json_free(root);
    if (rc < 0) fl_exec_credential_deinit(out);
    return rc;
}

/* --- the question --- */

static void put_text(struct fl_json_writer *w, const char *key, const char *text) {
    if (!text) return;
    fl_json_put_key(w, fl_str_of(key));
    fl_json_put_string(w, fl_str_of(text));
}

static void put_true(struct fl_json_writer *w, const char *key, bool flag) {
    if (!flag) return;
    fl_json_put_key(w, fl_str_of(key));
    fl_json_put_bool(w, true);
}

static int put_authority(struct fl_json_writer *w, const struct fl_buf *pem) {
    struct fl_buf text;
    if (pem->len == 0) return FL_OK;
    fl_buf_init(&text, SIZE_MAX);
    int rc = fl_base64_encode(&text, fl_buf_str(pem));
    if (rc == FL_OK) {
        fl_json_put_key(w, FL_STR("certificate-authority-data"));
        fl_json_put_string(w, fl_buf_str(&text));
    }
    fl_buf_deinit(&text);
    return rc;
}

static int put_cluster(struct fl_json_writer *w, const struct fl_kube_config *config) {
    fl_json_put_key(w, FL_STR("cluster"));
    fl_json_put_begin(w, '{');
    put_text(w, "server", config->server);
    put_text(w, "tls-server-name", config->server_name);
    put_true(w, "insecure-skip-tls-verify", config->insecure_skip_verify);
    int rc = put_authority(w, &config->ca_pem);
    put_text(w, "proxy-url", config->proxy_url);
    put_true(w, "disable-compression", config->compression == FL_KUBE_COMPRESSION_OFF);
    fl_json_put_key(w, FL_STR("config"));
    fl_json_put_raw(w, config->exec.cluster_config ? fl_str_of(config->exec.cluster_config)
                                                   : FL_STR("null"));
    fl_json_put_end(w, '}');
    return rc;
}

int fl_exec_info_append(struct fl_buf *out, const struct fl_kube_config *config) {
    int rc = fl_buf_append(out, FL_STR("KUBERNETES_EXEC_INFO="));
    if (rc < 0) return rc;
    struct fl_json_writer w = fl_json_writer_of(out);
    fl_json_put_begin(&w, '{');
    put_text(&w, "kind", "ExecCredential");
    put_text(&w, "apiVersion", config->exec.api_version);
    fl_json_put_key(&w, FL_STR("spec"));
    fl_json_put_begin(&w, '{');
    if (config->exec.wants_cluster) rc = put_cluster(&w, config);
    fl_json_put_key(&w, FL_STR("interactive"));
    fl_json_put_bool(&w, false);
    fl_json_put_end(&w, '}');
    fl_json_put_end(&w, '}');
    int written = fl_json_finish(&w);
    return rc < 0 ? rc : written;
}
