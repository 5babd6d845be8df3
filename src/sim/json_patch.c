/* json_patch.c - see json_patch.h. Documents are bounded in depth by who reads them. */
#include "sim/json_patch.h"

#include "base/alloc.h"
#include "base/str.h"

int fl_json_print(const json_t *tree, struct fl_buf *out) {
    size_t n = json_dumpb(tree, NULL, 0, JSON_COMPACT);
    char *at = n ? fl_buf_reserve(out, n) : NULL;
    if (!at || json_dumpb(tree, at, n, JSON_COMPACT) != n) return FL_ENOMEM;
    fl_buf_commit(out, n);
    return 0;
}

/* --- merge --- */

static int set(json_t *object, const char *key, json_t *take) {
    return take && json_object_set_new(object, key, take) == 0 ? 0 : FL_ENOMEM;
}

/* `value` without its nulls, as a merge into nothing leaves it. */
static json_t *without_nulls(const json_t *value) {
    if (!json_is_object(value)) return json_deep_copy(value);
    json_t *out = json_object();
    if (out && fl_json_merge(out, value)) {
        json_decref(out);
        return NULL;
    }
    return out;
}

int fl_json_merge(json_t *target, const json_t *patch) {
    const char *key;
    json_t *value;
    int rc = 0;
    json_object_foreach ((json_t *)patch, key, value) {
        json_t *old = json_object_get(target, key);
        if (json_is_null(value))
            json_object_del(target, key);
        else if (json_is_object(value) && json_is_object(old))
            rc = fl_json_merge(old, value);
        else
            rc = set(target, key, without_nulls(value));
        if (rc) return rc;
    }
    return 0;
}

static int diff_into(json_t *out, const json_t *from, const json_t *to) {
    const char *key;
    json_t *value;
    int rc = 0;
    json_object_foreach ((json_t *)from, key, value)
        if (!rc && !json_object_get(to, key)) rc = set(out, key, json_null());
    json_object_foreach ((json_t *)to, key, value) {
        const json_t *old = json_object_get(from, key);
        if (rc) return rc;
        if (json_equal(old, value)) continue;
        rc = set(out, key,
                 json_is_object(old) && json_is_object(value) ? fl_json_diff(old, value)
                                                              : json_deep_copy(value));
    }
    return rc;
}

json_t *fl_json_diff(const json_t *from, const json_t *to) {
    json_t *out = json_object();
    if (out && diff_into(out, from, to)) {
        json_decref(out);
        return NULL;
    }
    return out;
}

/* --- JSON patch --- */

struct place {
    json_t *parent;
    char key[512]; /* unescaped last part of the pointer */
    size_t index;  /* of an array; its size: "-" */
};

static bool unescape(char out[512], struct fl_str part) {
    size_t n = 0;
    for (size_t i = 0; i < part.n; i++) {
        bool escaped = part.p[i] == '~' && i + 1 < part.n;
        if (n == 511) return false;
        out[n++] = !escaped ? part.p[i] : part.p[++i] == '1' ? '/' : '~';
    }
    out[n] = 0;
    return true;
}

static bool index_of(const json_t *array, const char *key, size_t *out) {
    uint64_t index;
    *out = json_array_size(array);
    if (strcmp(key, "-") == 0) return true;
    if (!fl_str_u64(fl_str_of(key), &index) || index > *out) return false;
    *out = (size_t)index;
    return true;
}

static json_t *child(json_t *parent, const char *key) {
    size_t index;
    if (json_is_object(parent)) return json_object_get(parent, key);
    return index_of(parent, key, &index) ? json_array_get(parent, index) : NULL;
}

static int find(json_t *root, const char *pointer, struct place *out, struct fl_error *err) {
    struct fl_str part, rest = fl_str_of(pointer);
    *out = (struct place){.parent = root};
    if (!fl_str_starts(rest, FL_STR("/")))
        return fl_fail(err, FL_EUSAGE, "\"%s\" is no path within the object", pointer);
    rest = fl_str_from(rest, 1);
    for (;;) {
        bool last = !fl_str_split(rest, '/', &part, &rest);
        if (!unescape(out->key, part)) return fl_fail(err, FL_EUSAGE, "the path is too long");
        if (last) break;
        out->parent = child(out->parent, out->key);
    }
    if (json_is_object(out->parent)) return 0;
    if (json_is_array(out->parent) && index_of(out->parent, out->key, &out->index)) return 0;
    return fl_fail(err, FL_ENOT_FOUND, "nothing stands at \"%s\"", pointer);
}

static int add(struct place *at, json_t *take) {
    if (json_is_object(at->parent)) return set(at->parent, at->key, take);
    return take && json_array_insert_new(at->parent, at->index, take) == 0 ? 0 : FL_ENOMEM;
}

static int take_away(struct place *at, const char *pointer, struct fl_error *err) {
    int rc = json_is_object(at->parent) ? json_object_del(at->parent, at->key)
                                        : json_array_remove(at->parent, at->index);
    return rc ? fl_fail(err, FL_ENOT_FOUND, "nothing stands at \"%s\"", pointer) : 0;
}

static json_t *value_at(const struct place *at) {
    return json_is_object(at->parent) ? json_object_get(at->parent, at->key)
                                      : json_array_get(at->parent, at->index);
}

/* copy and move: what stands at "from", to be put at "path". */
static int bring(json_t *target, const json_t *operation, bool move, const char *path,
                 struct fl_error *err) {
    const char *from = json_string_value(json_object_get(operation, "from"));
    struct place at;
    if (!from) return fl_fail(err, FL_EUSAGE, "copy and move need \"from\"");
    int rc = find(target, from, &at, err);
    if (rc) return rc;
    if (!value_at(&at)) return fl_fail(err, FL_ENOT_FOUND, "nothing stands at \"%s\"", from);
    json_t *value = json_deep_copy(value_at(&at));
    if (!value) return FL_ENOMEM;
    rc = move ? take_away(&at, from, err) : 0;
    if (!rc) rc = find(target, path, &at, err);
    if (!rc) return add(&at, value);
    json_decref(value);
    return rc;
}

static int operate(json_t *target, const json_t *operation, struct fl_error *err) {
    const char *op = json_string_value(json_object_get(operation, "op"));
    const char *path = json_string_value(json_object_get(operation, "path"));
    const json_t *value = json_object_get(operation, "value");
    struct place at;
    if (!op || !path) return fl_fail(err, FL_EUSAGE, "an operation needs \"op\" and \"path\"");
    bool move = strcmp(op, "move") == 0;
    if (move || strcmp(op, "copy") == 0) return bring(target, operation, move, path, err);
    int rc = find(target, path, &at, err);
    if (rc) return rc;
    if (strcmp(op, "remove") == 0) return take_away(&at, path, err);
    if (!value) return fl_fail(err, FL_EUSAGE, "operation \"%s\" needs a value", op);
    if (strcmp(op, "add") == 0) return add(&at, json_deep_copy(value));
    if (strcmp(op, "replace") == 0) {
        rc = take_away(&at, path, err);
        return rc ? rc : add(&at, json_deep_copy(value));
    }
    if (strcmp(op, "test") != 0) return fl_fail(err, FL_EUSAGE, "no such operation: \"%s\"", op);
    return json_equal(value_at(&at), value)
               ? 0
               : fl_fail(err, FL_ENOT_FOUND, "testing path \"%s\" failed", path);
}

int fl_json_patch(json_t *target, const json_t *operations, struct fl_error *err) {
    size_t i;
    json_t *operation;
    int rc = 0;
    if (!json_is_array(operations))
        return fl_fail(err, FL_EUSAGE, "a JSON patch is a list of operations");
    json_array_foreach (operations, i, operation)
        if (!rc) rc = operate(target, operation, err);
    return rc == FL_ENOMEM ? fl_fail_nomem(err) : rc;
}

/* --- strategic merge --- */

/* By which key the objects of a list merge; NULL: the list is replaced (patchMergeKey in
 * k8s.io/api core/v1). "ports" of a Service merge by port, those of a container by containerPort.
 */
static const char *merge_key(const char *list, const json_t *patch) {
    static const char *const keys[][2] = {
        {"containers", "name"},     {"initContainers", "name"},    {"env", "name"},
        {"volumes", "name"},        {"volumeMounts", "mountPath"}, {"conditions", "type"},
        {"ownerReferences", "uid"}, {"imagePullSecrets", "name"},  {"podIPs", "ip"},
        {"addresses", "type"},
    };
    if (strcmp(list, "ports") == 0) {
        const json_t *first = json_array_get(patch, 0);
        if (json_object_get(first, "containerPort")) return "containerPort";
        return json_object_get(first, "port") ? "port" : NULL;
    }
    for (size_t i = 0; i < FL_COUNT(keys); i++)
        if (strcmp(list, keys[i][0]) == 0) return keys[i][1];
    return NULL;
}

static size_t find_item(const json_t *list, const char *key, const json_t *like) {
    const json_t *wanted = json_object_get(like, key);
    size_t i;
    json_t *item;
    json_array_foreach (list, i, item)
        if (json_equal(json_object_get(item, key), wanted)) break;
    return i;
}

static const char *directive(const json_t *item) {
    const char *text = json_string_value(json_object_get(item, "$patch"));
    return text ? text : "";
}

static int merge_item(json_t *list, const char *key, const json_t *patch, struct fl_error *err) {
    size_t at = find_item(list, key, patch);
    bool there = at < json_array_size(list);
    if (!json_is_object(patch) || !json_object_get(patch, key))
        return fl_fail(err, FL_EUSAGE, "an item of the patch's list lacks its merge key \"%s\"",
                       key);
    if (strcmp(directive(patch), "delete") == 0)
        return there ? json_array_remove(list, at) ? FL_ENOMEM : 0 : 0;
    if (there) return fl_json_strategic(json_array_get(list, at), patch, err);
    json_t *item = json_object();
    if (!item || json_array_append_new(list, item)) return FL_ENOMEM;
    return fl_json_strategic(item, patch, err);
}

static int merge_list(json_t *target, const char *name, json_t *list, const json_t *patch,
                      struct fl_error *err) {
    const char *key = json_is_array(list) ? merge_key(name, patch) : NULL;
    size_t i;
    json_t *item;
    int rc = 0;
    if (!key) return set(target, name, json_deep_copy(patch));
    json_array_foreach (patch, i, item)
        if (!rc) rc = merge_item(list, key, item, err);
    return rc;
}

int fl_json_strategic(json_t *target, const json_t *patch, struct fl_error *err) {
    const char *key;
    json_t *value;
    int rc = 0;
    if (strcmp(directive(patch), "replace") == 0) json_object_clear(target);
    json_object_foreach ((json_t *)patch, key, value) {
        json_t *old = json_object_get(target, key);
        if (rc) break;
        if (key[0] == '$') continue; /* directives: orders of lists and the like */
        if (json_is_null(value) || strcmp(directive(value), "delete") == 0) {
            json_object_del(target, key);
        } else if (json_is_object(value)) {
            if (!json_is_object(old)) rc = set(target, key, old = json_object());
            if (!rc) rc = fl_json_strategic(old, value, err);
        } else if (json_is_array(value)) {
            rc = merge_list(target, key, old, value, err);
        } else {
            rc = set(target, key, json_deep_copy(value));
        }
    }
    return rc == FL_ENOMEM ? fl_fail_nomem(err) : rc;
}
