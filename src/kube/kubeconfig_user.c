/* kubeconfig_user.c - a user entry: how to prove who we are, and whom to act as. */
#include <stdio.h>

#include "base/alloc.h"
#include "kube/kubeconfig_entry.h"

/* --- impersonation: headers, as k8s.io/client-go/transport sets them --- */

static int add_header(const struct fl_kubeconfig_entry *e, struct fl_texts *out, const char *name,
                      struct fl_str value) {
    if (fl_texts_add(out, fl_str_of(name), FL_STR_NONE) < 0 ||
        fl_texts_add(out, value, FL_STR_NONE) < 0)
        return fl_fail_nomem(e->err);
    return FL_OK;
}

/* RFC 9110 section 5.6.2, but for '%', which escapes; header names are lower case here. */
static bool plain_in_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("!#$&'*+-.^_`|~", c));
}

/* "impersonate-extra-KEY". False: too long. */
static bool extra_name(const char *key, char *out, size_t size) {
    int used = snprintf(out, size, "impersonate-extra-");
    for (; *key; key++) {
        char c = *key >= 'A' && *key <= 'Z' ? (char)(*key | 0x20) : *key;
        if ((size_t)used + 4 > size) return false;
        used += plain_in_name(c) ? snprintf(out + used, size - (size_t)used, "%c", c)
                                 : snprintf(out + used, size - (size_t)used, "%%%02X", (uint8_t)c);
    }
    return true;
}

static int read_extra(const struct fl_kubeconfig_entry *e, struct fl_kube_config *out) {
    const char *key;
    json_t *values, *extra = json_object_get(e->json, "as-user-extra");
    char name[256];
    if (!fl_entry_has(e, "as-user-extra")) return FL_OK;
    if (!json_is_object(extra)) return fl_entry_fail(e, "has an as-user-extra that is no mapping");
    struct fl_kubeconfig_entry inner = *e;
    inner.json = extra;
    json_object_foreach (extra, key, values) {
        if (!extra_name(key, name, sizeof(name)))
            return fl_entry_fail(e, "has a key in as-user-extra that is too long");
        int rc = fl_entry_list(&inner, key, name, &out->impersonate);
        if (rc < 0) return rc;
    }
    return FL_OK;
}

static bool header_valid(const char *value) {
    for (; *value; value++)
        if (((uint8_t)*value < ' ' && *value != '\t') || *value == 0x7f) return false;
    return true;
}

static int read_impersonation(const struct fl_kubeconfig_entry *e, struct fl_kube_config *out) {
    const char *as, *uid;
    int rc;
    if ((rc = fl_entry_text(e, "as", &as)) < 0 || (rc = fl_entry_text(e, "as-uid", &uid)) < 0)
        return rc;
    if (as && (rc = add_header(e, &out->impersonate, "impersonate-user", fl_str_of(as))) < 0)
        return rc;
    if (uid && (rc = add_header(e, &out->impersonate, "impersonate-uid", fl_str_of(uid))) < 0)
        return rc;
    if ((rc = fl_entry_list(e, "as-groups", "impersonate-group", &out->impersonate)) < 0 ||
        (rc = read_extra(e, out)) < 0)
        return rc;
    if (out->impersonate.count && !as)
        return fl_entry_fail(e, "has as-uid, as-groups or as-user-extra without as: name the user");
    for (size_t i = 1; i < out->impersonate.count; i += 2)
        if (!header_valid(out->impersonate.list[i]))
            return fl_entry_fail(e, "impersonates with a value that holds control characters");
    return FL_OK;
}

/* --- credentials --- */

static int check(const struct fl_kubeconfig_entry *e, const struct fl_kube_config *out) {
    bool cert = out->cert_pem.len || out->cert_file, key = out->key_pem.len || out->key_file;
    if (cert && !key) return fl_entry_fail(e, "has a client-certificate and no client-key");
    if (key && !cert) return fl_entry_fail(e, "has a client-key and no client-certificate");
    if (out->password && !out->user) return fl_entry_fail(e, "has a password and no username");
    if (out->user && strchr(out->user, ':')) /* RFC 7617 section 2 */
        return fl_entry_fail(e, "has a username with a ':' in it");
    if (out->user && (out->token || out->token_file))
        return fl_entry_fail(e, "has both a token and a username: remove one");
    return FL_OK;
}

int fl_kubeconfig_user(const struct fl_kubeconfig_entry *e, struct fl_kube_config *out) {
    int rc;
    if (fl_entry_has(e, "auth-provider"))
        return fl_entry_fail(e, "uses an auth-provider, which Kubernetes 1.26 removed: use the "
                                "provider's exec plugin or a token");
    if ((rc = fl_entry_copy(e, "token", &out->token)) < 0 ||
        (rc = fl_entry_path(e, "tokenFile", &out->token_file)) < 0 ||
        (rc = fl_entry_copy(e, "username", &out->user)) < 0 ||
        (rc = fl_entry_copy(e, "password", &out->password)) < 0 ||
        (rc = fl_entry_pem(e, "client-certificate", &out->cert_pem, &out->cert_file)) < 0 ||
        (rc = fl_entry_pem(e, "client-key", &out->key_pem, &out->key_file)) < 0 ||
        (rc = check(e, out)) < 0 || (rc = read_impersonation(e, out)) < 0)
        return rc;
    return fl_kubeconfig_exec(e, out);
}
