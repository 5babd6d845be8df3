/* kubeconfig.c - see kubeconfig.h.
 *
 * Each YAML becomes a JSON tree; the context, looked up in all of them, picks a cluster and a user
 * from all of them. Secrets never go into messages, and the trees are wiped. */
#include "kube/kubeconfig.h"

#include <stdio.h>

#include "base/alloc.h"
#include "kube/kubeconfig_entry.h"
#include "kube/secret.h"
#include "wire/yaml.h"

struct file {
    const char *path;
    json_t *root;
};

struct parse {
    const char *where;
    struct file *files;
    size_t count;
    struct fl_kube_config *out;
    struct fl_error *err;
};

/* --- looking up --- */

static const char *name_of(const json_t *item) {
    const char *name = json_string_value(json_object_get(item, "name"));
    return name ? name : "";
}

/* The item called `name` in that list of that file; *twice if there are several. */
static const json_t *item_of(const struct file *file, const char *list, const char *name,
                             bool *twice) {
    size_t i;
    const json_t *item, *found = NULL;
    *twice = false;
    json_array_foreach (json_object_get(file->root, list), i, item) {
        if (strcmp(name_of(item), name) != 0) continue;
        if (found) *twice = true;
        if (!found) found = item;
    }
    return found;
}

/* The entry `name` of a kind, from the first file that holds one. FL_OK with *found. */
static int find(const struct parse *p, const char *kind, const char *name,
                struct fl_kubeconfig_entry *out, bool *found) {
    char list[16];
    bool twice;
    *out = (struct fl_kubeconfig_entry){.kind = kind, .name = name, .err = p->err};
    *found = false;
    snprintf(list, sizeof(list), "%ss", kind);
    for (size_t i = 0; i < p->count && !*found; i++) {
        const json_t *item = item_of(&p->files[i], list, name, &twice);
        if (!item) continue;
        *found = true;
        out->path = p->files[i].path;
        out->json = json_object_get(item, kind);
        if (twice) return fl_entry_fail(out, "stands there twice");
    }
    return FL_OK;
}

/* --- the context --- */

/* The contexts' names, for a message; those of the first file that has one first. */
static void list_contexts(const struct parse *p, char *out, size_t size) {
    size_t i, used = 0;
    const json_t *item;
    snprintf(out, size, "none");
    for (size_t f = 0; f < p->count; f++) {
        json_array_foreach (json_object_get(p->files[f].root, "contexts"), i, item) {
            int n = snprintf(out + used, size - used, "%s%.40s", used ? ", " : "", name_of(item));
            if (n < 0 || (size_t)n >= size - used) {
                snprintf(out + size - 4, 4, "...");
                return;
            }
            used += (size_t)n;
        }
    }
}

static const char *current_context(const struct parse *p) {
    for (size_t i = 0; i < p->count; i++) {
        const char *name = json_string_value(json_object_get(p->files[i].root, "current-context"));
        if (name && name[0]) return name;
    }
    return NULL;
}

static int keep_names(const struct parse *p, const struct fl_kubeconfig_entry *context) {
    size_t size = strlen(context->path) + strlen(context->name) + sizeof(" (context )");
    p->out->source = fl_alloc(size);
    if (!p->out->source) return fl_fail_nomem(p->err);
    snprintf(p->out->source, size, "%s (context %s)", context->path, context->name);
    p->out->context = fl_strdup(context->name);
    return p->out->context ? FL_OK : fl_fail_nomem(p->err);
}

static int pick_context(const struct parse *p, const char *wanted,
                        struct fl_kubeconfig_entry *context) {
    char there[120];
    bool found;
    const char *name = wanted ? wanted : current_context(p);
    list_contexts(p, there, sizeof(there));
    if (!name || !name[0])
        return fl_fail(p->err, FL_ECONFIG,
                       "%s: no current-context is set: choose a context (there are: %s)", p->where,
                       there);
    int rc = find(p, "context", name, context, &found);
    if (rc < 0) return rc;
    if (!found)
        return fl_fail(p->err, FL_ECONFIG, "%s: no context \"%.64s\" (there are: %s)", p->where,
                       name, there);
    return keep_names(p, context);
}

/* --- what it names --- */

static int read_member(const struct parse *p, const struct fl_kubeconfig_entry *context,
                       const char *kind,
                       int (*read)(const struct fl_kubeconfig_entry *, struct fl_kube_config *)) {
    struct fl_kubeconfig_entry entry;
    const char *name;
    bool found;
    int rc = fl_entry_text(context, kind, &name);
    if (rc < 0) return rc;
    if (!name)
        return strcmp(kind, "user") == 0 ? FL_OK : fl_entry_fail(context, "names no cluster");
    if ((rc = find(p, kind, name, &entry, &found)) < 0) return rc;
    if (!found) return fl_entry_fail(context, "names %s \"%.64s\", which is not there", kind, name);
    return read(&entry, p->out);
}

static int read_all(const struct parse *p, const char *wanted) {
    struct fl_kubeconfig_entry context;
    int rc;
    if ((rc = pick_context(p, wanted, &context)) < 0 ||
        (rc = fl_entry_copy(&context, "namespace", &p->out->ns)) < 0 ||
        (rc = read_member(p, &context, "cluster", fl_kubeconfig_cluster)) < 0 ||
        (rc = read_member(p, &context, "user", fl_kubeconfig_user)) < 0)
        return rc;
    if (p->out->ns) return FL_OK;
    p->out->ns = fl_strdup("default");
    return p->out->ns ? FL_OK : fl_fail_nomem(p->err);
}

/* --- the files --- */

static bool says(const json_t *root, const char *key, const char *wanted) {
    const json_t *value = json_object_get(root, key);
    if (!value || json_is_null(value)) return true;
    return json_is_string(value) && strcmp(json_string_value(value), wanted) == 0;
}

/* An empty file says nothing, which is allowed beside others. */
static int check_root(const struct parse *p, const struct file *file) {
    bool empty = json_is_null(file->root) && p->count > 1;
    if (!empty && !json_is_object(file->root))
        return fl_fail(p->err, FL_ECONFIG, "%s: this is no kubeconfig: it has no contexts",
                       file->path);
    if (!says(file->root, "kind", "Config") || !says(file->root, "apiVersion", "v1"))
        return fl_fail(p->err, FL_ECONFIG,
                       "%s: this is no kubeconfig: it must be of kind Config and apiVersion v1",
                       file->path);
    return FL_OK;
}

static int parse_file(const struct parse *p, const struct fl_kubeconfig_text *text,
                      struct file *out) {
    struct fl_error why;
    out->path = text->path;
    int rc = fl_yaml_parse(text->text, &out->root, &why);
    if (rc == FL_OK) return check_root(p, out);
    fl_error_prefix(&why, "%s", text->path);
    if (rc != FL_ENOMEM) why.code = FL_ECONFIG;
    return fl_error_copy(p->err, &why);
}

int fl_kubeconfig_parse(const struct fl_kubeconfig_text *texts, size_t count, const char *where,
                        const char *context, struct fl_kube_config *out, struct fl_error *err) {
    struct parse p = {.where = where, .count = count, .out = out, .err = err};
    int rc = FL_OK;
    p.files = fl_calloc(count, sizeof *p.files);
    if (!p.files) return fl_fail_nomem(err);
    for (size_t i = 0; i < count && rc == FL_OK; i++) rc = parse_file(&p, &texts[i], &p.files[i]);
    if (rc == FL_OK) rc = read_all(&p, context);
    for (size_t i = 0; i < count; i++) fl_secret_json_free(p.files[i].root);
    fl_free(p.files);
    return rc;
}
