/* kubeconfig_entry.c - see kubeconfig_entry.h. Values, which may be secrets, never go into
 * messages. */
#include "kube/kubeconfig_entry.h"

#include <stdio.h>

#include "base/alloc.h"
#include "kube/base64.h"

int fl_entry_fail(const struct fl_kubeconfig_entry *e, const char *format, ...) {
    struct fl_error why;
    va_list args;
    va_start(args, format);
    fl_fail_args(&why, FL_ECONFIG, format, args);
    va_end(args);
    return fl_fail(e->err, FL_ECONFIG, "%s: %s \"%.64s\" %s", e->path, e->kind, e->name,
                   why.detail);
}

bool fl_entry_has(const struct fl_kubeconfig_entry *e, const char *key) {
    const json_t *value = json_object_get(e->json, key);
    return value && !json_is_null(value);
}

static bool is_text(const json_t *value) {
    return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
}

int fl_entry_text(const struct fl_kubeconfig_entry *e, const char *key, const char **out) {
    const json_t *value = json_object_get(e->json, key);
    *out = NULL;
    if (!fl_entry_has(e, key)) return FL_OK;
    if (!is_text(value))
        return fl_entry_fail(e, "has a %s that is not text: put it in quotes", key);
    if (json_string_length(value)) *out = json_string_value(value);
    return FL_OK;
}

int fl_entry_copy(const struct fl_kubeconfig_entry *e, const char *key, char **out) {
    const char *text;
    int rc = fl_entry_text(e, key, &text);
    if (rc < 0 || !text) return rc;
    fl_free(*out);
    *out = fl_strdup(text);
    return *out ? FL_OK : fl_fail_nomem(e->err);
}

char *fl_entry_resolve(const struct fl_kubeconfig_entry *e, const char *text) {
    const char *slash = strrchr(e->path, '/');
    size_t folder = text[0] == '/' || !slash ? 0 : (size_t)(slash - e->path) + 1;
    size_t size = folder + strlen(text) + 1;
    char *path = fl_alloc(size);
    if (path) snprintf(path, size, "%.*s%s", (int)folder, e->path, text);
    return path;
}

int fl_entry_path(const struct fl_kubeconfig_entry *e, const char *key, char **out) {
    const char *text;
    int rc = fl_entry_text(e, key, &text);
    if (rc < 0 || !text) return rc;
    fl_free(*out);
    *out = fl_entry_resolve(e, text);
    return *out ? FL_OK : fl_fail_nomem(e->err);
}

int fl_entry_flag(const struct fl_kubeconfig_entry *e, const char *key, bool *out) {
    const json_t *value = json_object_get(e->json, key);
    if (!fl_entry_has(e, key)) return FL_OK;
    *out = json_is_true(value);
    return json_is_boolean(value) ? FL_OK
                                  : fl_entry_fail(e, "has a %s that is not true or false", key);
}

int fl_entry_list(const struct fl_kubeconfig_entry *e, const char *key, const char *prefix,
                  struct fl_texts *out) {
    size_t i;
    const json_t *item, *list = json_object_get(e->json, key);
    if (!fl_entry_has(e, key)) return FL_OK;
    if (!json_is_array(list)) return fl_entry_fail(e, "has %s that are no list", key);
    json_array_foreach (list, i, item) {
        if (!is_text(item))
            return fl_entry_fail(e, "has an item in %s that is not text: put it in quotes", key);
        if ((prefix && fl_texts_add(out, fl_str_of(prefix), FL_STR_NONE) < 0) ||
            fl_texts_add(out, fl_str_of(json_string_value(item)), FL_STR_NONE) < 0)
            return fl_fail_nomem(e->err);
    }
    return FL_OK;
}

int fl_entry_pem(const struct fl_kubeconfig_entry *e, const char *key, struct fl_buf *pem,
                 char **file) {
    const char *data;
    char data_key[64];
    snprintf(data_key, sizeof(data_key), "%s-data", key);
    int rc = fl_entry_text(e, data_key, &data);
    if (rc < 0) return rc;
    if (!data) return fl_entry_path(e, key, file);
    rc = fl_buf_reserve(pem, strlen(data)) ? fl_base64_decode(pem, fl_str_of(data)) : FL_ENOMEM;
    if (rc == FL_ENOMEM) return fl_fail_nomem(e->err);
    return rc == FL_OK && pem->len ? FL_OK
                                   : fl_entry_fail(e, "has a %s that is not base64", data_key);
}
