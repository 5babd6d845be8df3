/* api_table.c - see api_table.h. Cells are read from the object's tree, so that what users wrote
 * and what the cluster made look the same. Source: kubernetes pkg/printers/internalversion. */
#include "sim/api_table.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "sim/object_schema.h"
#include "wire/json_write.h"

#define CELL_MAX  512
#define CELLS_MAX 8
#define LISTED    3 /* addresses and ports are cut after so many */

typedef void cell_fn(const json_t *object, char out[CELL_MAX]);

struct column {
    const char *name, *type;
    bool wide; /* kubectl -o wide only */
    cell_fn *cell;
};

/* --- reading --- */

static const json_t *at(const json_t *object, const char *one, const char *two) {
    return json_object_get(json_object_get(object, one), two);
}

static const char *text_at(const json_t *object, const char *one, const char *two,
                           const char *otherwise) {
    const char *text = json_string_value(at(object, one, two));
    return text && text[0] ? text : otherwise;
}

static void put(char out[CELL_MAX], const char *text) {
    fl_str_copy(out, CELL_MAX, fl_str_of(text));
}

static void add(char out[CELL_MAX], const char *separator, const char *text) {
    size_t n = strlen(out);
    snprintf(out + n, CELL_MAX - n, "%s%s", n ? separator : "", text);
}

static long long int_at(const json_t *object, const char *one, const char *two) {
    return json_integer_value(at(object, one, two));
}

/* --- cells --- */

static void name_cell(const json_t *o, char out[CELL_MAX]) {
    put(out, text_at(o, "metadata", "name", ""));
}

static void age_cell(const json_t *o, char out[CELL_MAX]) {
    int64_t then = fl_schema_time(text_at(o, "metadata", "creationTimestamp", ""));
    int64_t now = json_integer_value(json_object_get(o, "now")), age = now > then ? now - then : 0;
    if (!then)
        put(out, "<unknown>");
    else if (age < 120)
        snprintf(out, CELL_MAX, "%" PRId64 "s", age);
    else if (age < 7200)
        snprintf(out, CELL_MAX, "%" PRId64 "m", age / 60);
    else if (age < 172800)
        snprintf(out, CELL_MAX, "%" PRId64 "h", age / 3600);
    else
        snprintf(out, CELL_MAX, "%" PRId64 "d", age / 86400);
}

static void type_cell(const json_t *o, char out[CELL_MAX]) {
    put(out, text_at(o, "spec", "type", "ClusterIP"));
}

static void cluster_ip_cell(const json_t *o, char out[CELL_MAX]) {
    put(out, text_at(o, "spec", "clusterIP", "<none>"));
}

static void external_ip_cell(const json_t *o, char out[CELL_MAX]) {
    put(out, text_at(o, "spec", "externalName", "<none>"));
}

static void ports_cell(const json_t *o, char out[CELL_MAX]) {
    size_t i;
    json_t *port;
    json_array_foreach (at(o, "spec", "ports"), i, port) {
        const char *protocol = json_string_value(json_object_get(port, "protocol"));
        char text[64];
        snprintf(text, sizeof text, "%d/%s", (int)json_integer_value(json_object_get(port, "port")),
                 protocol ? protocol : "TCP");
        add(out, ",", text);
    }
    if (!out[0]) put(out, "<none>");
}

static void selector_cell(const json_t *o, char out[CELL_MAX]) {
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)at(o, "spec", "selector"), key, value) {
        char text[256];
        snprintf(text, sizeof text, "%s=%s", key, json_string_value(value));
        add(out, ",", text);
    }
    if (!out[0]) put(out, "<none>");
}

static bool condition_holds(const json_t *o, const char *type) {
    size_t i;
    json_t *condition;
    json_array_foreach (at(o, "status", "conditions"), i, condition) {
        const char *is = json_string_value(json_object_get(condition, "type"));
        const char *status = json_string_value(json_object_get(condition, "status"));
        if (is && status && strcmp(is, type) == 0) return strcmp(status, "True") == 0;
    }
    return false;
}

static void pod_ready_cell(const json_t *o, char out[CELL_MAX]) {
    size_t all = json_array_size(at(o, "spec", "containers"));
    snprintf(out, CELL_MAX, "%zu/%zu", condition_holds(o, "Ready") ? all : 0, all);
}

static void pod_status_cell(const json_t *o, char out[CELL_MAX]) {
    bool leaves = at(o, "metadata", "deletionTimestamp") != NULL;
    put(out, leaves ? "Terminating" : text_at(o, "status", "phase", "Pending"));
}

static void zero_cell(const json_t *o, char out[CELL_MAX]) {
    FL_UNUSED(o);
    put(out, "0");
}

static void pod_ip_cell(const json_t *o, char out[CELL_MAX]) {
    put(out, text_at(o, "status", "podIP", "<none>"));
}

static void pod_node_cell(const json_t *o, char out[CELL_MAX]) {
    put(out, text_at(o, "spec", "nodeName", "<none>"));
}

static void address_type_cell(const json_t *o, char out[CELL_MAX]) {
    const char *type = json_string_value(json_object_get(o, "addressType"));
    put(out, type ? type : "<unset>");
}

static void slice_ports_cell(const json_t *o, char out[CELL_MAX]) {
    size_t i;
    json_t *port;
    json_array_foreach (json_object_get(o, "ports"), i, port) {
        char text[32];
        snprintf(text, sizeof text, "%d", (int)json_integer_value(json_object_get(port, "port")));
        add(out, ",", text);
    }
    if (!out[0]) put(out, "<unset>");
}

static void add_more(char out[CELL_MAX], size_t count) {
    char text[48];
    if (count <= LISTED) return;
    snprintf(text, sizeof text, " + %zu more...", count - LISTED);
    add(out, "", text);
}

static void slice_endpoints_cell(const json_t *o, char out[CELL_MAX]) {
    const json_t *list = json_object_get(o, "endpoints");
    size_t i;
    json_t *endpoint;
    json_array_foreach (list, i, endpoint) {
        const json_t *first = json_array_get(json_object_get(endpoint, "addresses"), 0);
        if (i < LISTED && json_is_string(first)) add(out, ",", json_string_value(first));
    }
    add_more(out, json_array_size(list));
    if (!out[0]) put(out, "<unset>");
}

static void endpoints_cell(const json_t *o, char out[CELL_MAX]) {
    size_t i, j, n = 0;
    json_t *subset, *address;
    json_array_foreach (json_object_get(o, "subsets"), i, subset) {
        const json_t *port = json_array_get(json_object_get(subset, "ports"), 0);
        json_array_foreach (json_object_get(subset, "addresses"), j, address) {
            const char *ip = json_string_value(json_object_get(address, "ip"));
            char text[96];
            snprintf(text, sizeof text, "%s:%d", ip ? ip : "",
                     (int)json_integer_value(json_object_get(port, "port")));
            if (n++ < LISTED) add(out, ",", text);
        }
    }
    add_more(out, n);
    if (!out[0]) put(out, "<none>");
}

static void node_status_cell(const json_t *o, char out[CELL_MAX]) {
    put(out, condition_holds(o, "Ready") ? "Ready" : "NotReady");
}

static void namespace_status_cell(const json_t *o, char out[CELL_MAX]) {
    put(out, text_at(o, "status", "phase", "Active"));
}

static void holder_cell(const json_t *o, char out[CELL_MAX]) {
    put(out, text_at(o, "spec", "holderIdentity", ""));
}

static void deployment_ready_cell(const json_t *o, char out[CELL_MAX]) {
    snprintf(out, CELL_MAX, "%lld/%lld", int_at(o, "status", "readyReplicas"),
             int_at(o, "spec", "replicas"));
}

static void deployment_updated_cell(const json_t *o, char out[CELL_MAX]) {
    snprintf(out, CELL_MAX, "%lld", int_at(o, "status", "updatedReplicas"));
}

static void deployment_available_cell(const json_t *o, char out[CELL_MAX]) {
    snprintf(out, CELL_MAX, "%lld", int_at(o, "status", "availableReplicas"));
}

/* --- columns --- */

#define NAME                                                                                       \
    { "Name", "string", false, name_cell }
#define AGE                                                                                        \
    { "Age", "string", false, age_cell }

static const struct column columns[FL_K8S_DEPLOYMENT + 1][CELLS_MAX] = {
    [FL_K8S_SERVICE] = {NAME,
                        {"Type", "string", false, type_cell},
                        {"Cluster-IP", "string", false, cluster_ip_cell},
                        {"External-IP", "string", false, external_ip_cell},
                        {"Port(s)", "string", false, ports_cell},
                        AGE,
                        {"Selector", "string", true, selector_cell}},
    [FL_K8S_POD] = {NAME,
                    {"Ready", "string", false, pod_ready_cell},
                    {"Status", "string", false, pod_status_cell},
                    {"Restarts", "string", false, zero_cell},
                    AGE,
                    {"IP", "string", true, pod_ip_cell},
                    {"Node", "string", true, pod_node_cell}},
    [FL_K8S_ENDPOINTSLICE] = {NAME,
                              {"AddressType", "string", false, address_type_cell},
                              {"Ports", "string", false, slice_ports_cell},
                              {"Endpoints", "string", false, slice_endpoints_cell},
                              AGE},
    [FL_K8S_ENDPOINTS] = {NAME, {"Endpoints", "string", false, endpoints_cell}, AGE},
    [FL_K8S_NODE] = {NAME, {"Status", "string", false, node_status_cell}, AGE},
    [FL_K8S_NAMESPACE] = {NAME, {"Status", "string", false, namespace_status_cell}, AGE},
    [FL_K8S_LEASE] = {NAME, {"Holder", "string", false, holder_cell}, AGE},
    [FL_K8S_DEPLOYMENT] = {NAME,
                           {"Ready", "string", false, deployment_ready_cell},
                           {"Up-to-date", "string", false, deployment_updated_cell},
                           {"Available", "string", false, deployment_available_cell},
                           AGE},
};

static void put_text(struct fl_json_writer *w, const char *key, struct fl_str value) {
    fl_json_put_key(w, fl_str_of(key));
    fl_json_put_string(w, value);
}

static void put_columns(struct fl_json_writer *w, enum fl_k8s_kind kind) {
    fl_json_put_key(w, FL_STR("columnDefinitions"));
    fl_json_put_begin(w, '[');
    for (const struct column *c = columns[kind]; c->name; c++) {
        fl_json_put_begin(w, '{');
        put_text(w, "name", fl_str_of(c->name));
        put_text(w, "type", fl_str_of(c->type));
        put_text(w, "format", c->cell == name_cell ? FL_STR("name") : FL_STR(""));
        put_text(w, "description", FL_STR(""));
        fl_json_put_key(w, FL_STR("priority"));
        fl_json_put_int(w, c->wide);
        fl_json_put_end(w, '}');
    }
    fl_json_put_end(w, ']');
}

static int put_cells(struct fl_json_writer *w, struct fl_object *object, int64_t now_s) {
    json_t *tree = fl_object_json(object);
    if (!tree || json_object_set_new(tree, "now", json_integer(now_s))) {
        json_decref(tree);
        return FL_ENOMEM;
    }
    fl_json_put_key(w, FL_STR("cells"));
    fl_json_put_begin(w, '[');
    for (const struct column *c = columns[object->kind]; c->name; c++) {
        char text[CELL_MAX] = "";
        c->cell(tree, text);
        fl_json_put_string(w, fl_str_of(text));
    }
    fl_json_put_end(w, ']');
    json_decref(tree);
    return 0;
}

/* A row's object is its metadata, as by default (includeObject=Metadata). */
static int put_row(struct fl_json_writer *w, struct fl_object *object, int64_t now_s) {
    struct fl_buf bare;
    fl_buf_init(&bare, FL_K8S_FRAME_MAX);
    fl_json_put_begin(w, '{');
    int rc = put_cells(w, object, now_s);
    if (!rc) rc = fl_object_encode_metadata(object, FL_K8S_JSON, &bare);
    fl_json_put_key(w, FL_STR("object"));
    fl_json_put_raw(w, fl_buf_str(&bare));
    fl_json_put_end(w, '}');
    fl_buf_deinit(&bare);
    return rc;
}

int fl_api_table_encode(const struct fl_api_request *request, struct fl_object **objects,
                        size_t count, uint64_t version, struct fl_str continue_token,
                        struct fl_buf *out) {
    struct fl_json_writer w = fl_json_writer_of(out);
    char text[24];
    int n = snprintf(text, sizeof text, "%" PRIu64, version), rc = 0;
    fl_json_put_begin(&w, '{');
    put_text(&w, "kind", FL_STR("Table"));
    put_text(&w, "apiVersion", FL_STR("meta.k8s.io/v1"));
    fl_json_put_key(&w, FL_STR("metadata"));
    fl_json_put_begin(&w, '{');
    put_text(&w, "resourceVersion", fl_str_n(text, (size_t)n));
    if (continue_token.n) put_text(&w, "continue", continue_token);
    fl_json_put_end(&w, '}');
    put_columns(&w, request->kind);
    fl_json_put_key(&w, FL_STR("rows"));
    fl_json_put_begin(&w, '[');
    for (size_t i = 0; i < count && !rc; i++) rc = put_row(&w, objects[i], request->now_s);
    fl_json_put_end(&w, ']');
    fl_json_put_end(&w, '}');
    if (rc && !w.rc) w.rc = rc;
    return fl_json_finish(&w);
}
