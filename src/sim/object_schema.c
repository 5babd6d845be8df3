/* object_schema.c - see object_schema.h. A table lists a message's fields; an array in JSON is a
 * repeated field. */
#include "sim/object_schema.h"

#include <stdio.h>
#include <time.h>

#include "wire/pb.h"

enum type { TEXT, NUMBER, FLAG, MESSAGE, TEXT_MAP, TIME, INT_OR_STRING };

struct field {
    const char *name;
    unsigned number;
    enum type type;
    const struct field *fields; /* MESSAGE */
};

#define END                                                                                        \
    { NULL, 0, TEXT, NULL }

static const struct field owner[] = {{"kind", 1, TEXT, NULL},       {"name", 3, TEXT, NULL},
                                     {"uid", 4, TEXT, NULL},        {"apiVersion", 5, TEXT, NULL},
                                     {"controller", 6, FLAG, NULL}, END};
static const struct field meta[] = {{"name", 1, TEXT, NULL},
                                    {"generateName", 2, TEXT, NULL},
                                    {"namespace", 3, TEXT, NULL},
                                    {"uid", 5, TEXT, NULL},
                                    {"resourceVersion", 6, TEXT, NULL},
                                    {"generation", 7, NUMBER, NULL},
                                    {"creationTimestamp", 8, TIME, NULL},
                                    {"deletionTimestamp", 9, TIME, NULL},
                                    {"labels", 11, TEXT_MAP, NULL},
                                    {"annotations", 12, TEXT_MAP, NULL},
                                    {"ownerReferences", 13, MESSAGE, owner},
                                    {"finalizers", 14, TEXT, NULL},
                                    END};
static const struct field reference[] = {
    {"kind", 1, TEXT, NULL},       {"namespace", 2, TEXT, NULL},
    {"name", 3, TEXT, NULL},       {"uid", 4, TEXT, NULL},
    {"apiVersion", 5, TEXT, NULL}, {"resourceVersion", 6, TEXT, NULL},
    {"fieldPath", 7, TEXT, NULL},  END};
static const struct field named[] = {{"name", 1, TEXT, NULL}, END};

static const struct field conditions[] = {
    {"ready", 1, FLAG, NULL}, {"serving", 2, FLAG, NULL}, {"terminating", 3, FLAG, NULL}, END};
static const struct field hints[] = {
    {"forZones", 1, MESSAGE, named}, {"forNodes", 2, MESSAGE, named}, END};
static const struct field endpoint[] = {{"addresses", 1, TEXT, NULL},
                                        {"conditions", 2, MESSAGE, conditions},
                                        {"hostname", 3, TEXT, NULL},
                                        {"targetRef", 4, MESSAGE, reference},
                                        {"deprecatedTopology", 5, TEXT_MAP, NULL},
                                        {"nodeName", 6, TEXT, NULL},
                                        {"zone", 7, TEXT, NULL},
                                        {"hints", 8, MESSAGE, hints},
                                        END};
static const struct field slice_port[] = {{"name", 1, TEXT, NULL},
                                          {"protocol", 2, TEXT, NULL},
                                          {"port", 3, NUMBER, NULL},
                                          {"appProtocol", 4, TEXT, NULL},
                                          END};
static const struct field slice[] = {{"metadata", 1, MESSAGE, meta},
                                     {"endpoints", 2, MESSAGE, endpoint},
                                     {"ports", 3, MESSAGE, slice_port},
                                     {"addressType", 4, TEXT, NULL},
                                     END};

static const struct field address[] = {{"ip", 1, TEXT, NULL},
                                       {"targetRef", 2, MESSAGE, reference},
                                       {"hostname", 3, TEXT, NULL},
                                       {"nodeName", 4, TEXT, NULL},
                                       END};
static const struct field subset_port[] = {{"name", 1, TEXT, NULL},
                                           {"port", 2, NUMBER, NULL},
                                           {"protocol", 3, TEXT, NULL},
                                           {"appProtocol", 4, TEXT, NULL},
                                           END};
static const struct field subset[] = {{"addresses", 1, MESSAGE, address},
                                      {"notReadyAddresses", 2, MESSAGE, address},
                                      {"ports", 3, MESSAGE, subset_port},
                                      END};
static const struct field endpoints[] = {
    {"metadata", 1, MESSAGE, meta}, {"subsets", 2, MESSAGE, subset}, END};

static const struct field service_port[] = {{"name", 1, TEXT, NULL},
                                            {"protocol", 2, TEXT, NULL},
                                            {"port", 3, NUMBER, NULL},
                                            {"targetPort", 4, INT_OR_STRING, NULL},
                                            {"nodePort", 5, NUMBER, NULL},
                                            {"appProtocol", 6, TEXT, NULL},
                                            END};
static const struct field service_spec[] = {{"ports", 1, MESSAGE, service_port},
                                            {"selector", 2, TEXT_MAP, NULL},
                                            {"clusterIP", 3, TEXT, NULL},
                                            {"type", 4, TEXT, NULL},
                                            {"sessionAffinity", 7, TEXT, NULL},
                                            {"externalName", 10, TEXT, NULL},
                                            {"publishNotReadyAddresses", 13, FLAG, NULL},
                                            {"ipFamilyPolicy", 17, TEXT, NULL},
                                            {"clusterIPs", 18, TEXT, NULL},
                                            {"ipFamilies", 19, TEXT, NULL},
                                            {"internalTrafficPolicy", 22, TEXT, NULL},
                                            {"trafficDistribution", 23, TEXT, NULL},
                                            END};
static const struct field service[] = {
    {"metadata", 1, MESSAGE, meta}, {"spec", 2, MESSAGE, service_spec}, END};

static const struct field container_port[] = {
    {"name", 1, TEXT, NULL}, {"containerPort", 3, NUMBER, NULL}, {"protocol", 4, TEXT, NULL}, END};
static const struct field container[] = {{"name", 1, TEXT, NULL},
                                         {"image", 2, TEXT, NULL},
                                         {"command", 3, TEXT, NULL},
                                         {"args", 4, TEXT, NULL},
                                         {"ports", 6, MESSAGE, container_port},
                                         END};
static const struct field pod_spec[] = {
    {"containers", 2, MESSAGE, container}, {"nodeName", 10, TEXT, NULL}, END};
static const struct field pod_condition[] = {
    {"type", 1, TEXT, NULL}, {"status", 2, TEXT, NULL}, END};
static const struct field pod_ip[] = {{"ip", 1, TEXT, NULL}, END};
static const struct field pod_status[] = {{"phase", 1, TEXT, NULL},
                                          {"conditions", 2, MESSAGE, pod_condition},
                                          {"message", 3, TEXT, NULL},
                                          {"reason", 4, TEXT, NULL},
                                          {"hostIP", 5, TEXT, NULL},
                                          {"podIP", 6, TEXT, NULL},
                                          {"startTime", 7, TIME, NULL},
                                          {"podIPs", 12, MESSAGE, pod_ip},
                                          END};
static const struct field pod[] = {{"metadata", 1, MESSAGE, meta},
                                   {"spec", 2, MESSAGE, pod_spec},
                                   {"status", 3, MESSAGE, pod_status},
                                   END};

int64_t fl_schema_time(const char *text) {
    struct tm tm = {0};
    int n = 0;
    if (!text || sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                        &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &n) != 6)
        return 0;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (int64_t)timegm(&tm);
}

static struct fl_str text_of(const json_t *value) {
    return fl_str_n(json_string_value(value), json_string_length(value));
}

static void put_fields(struct fl_pb_writer *w, const struct field *fields, const json_t *tree);

static void put_map(struct fl_pb_writer *w, unsigned number, const json_t *map) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)map, key, value) {
        size_t entry = fl_pb_open(w, number);
        fl_pb_put_text(w, 1, fl_str_of(key));
        fl_pb_put_text(w, 2, text_of(value));
        fl_pb_close(w, entry);
    }
}

static void put_int_or_string(struct fl_pb_writer *w, unsigned number, const json_t *value) {
    bool text = json_is_string(value);
    size_t message = fl_pb_open(w, number);
    fl_pb_put_varint(w, 1, text);
    if (text)
        fl_pb_put_text(w, 3, text_of(value));
    else
        fl_pb_put_varint(w, 2, (uint64_t)json_integer_value(value));
    fl_pb_close(w, message);
}

static void put_message(struct fl_pb_writer *w, const struct field *field, const json_t *value) {
    size_t message = fl_pb_open(w, field->number);
    put_fields(w, field->fields, value);
    fl_pb_close(w, message);
}

static void put_time(struct fl_pb_writer *w, unsigned number, const json_t *value) {
    size_t message = fl_pb_open(w, number);
    fl_pb_put_varint(w, 1, (uint64_t)fl_schema_time(json_string_value(value)));
    fl_pb_close(w, message);
}

static void put_value(struct fl_pb_writer *w, const struct field *field, const json_t *value) {
    switch (field->type) {
    case TEXT:
        if (json_is_string(value)) fl_pb_put_bytes(w, field->number, text_of(value));
        break;
    case NUMBER:
        if (json_is_integer(value))
            fl_pb_put_varint(w, field->number, (uint64_t)json_integer_value(value));
        break;
    case FLAG:
        if (json_is_boolean(value)) fl_pb_put_varint(w, field->number, json_is_true(value));
        break;
    case MESSAGE:
        if (json_is_object(value)) put_message(w, field, value);
        break;
    case TEXT_MAP:
        put_map(w, field->number, value);
        break;
    case TIME:
        if (json_is_string(value)) put_time(w, field->number, value);
        break;
    case INT_OR_STRING:
        put_int_or_string(w, field->number, value);
        break;
    }
}

static void put_fields(struct fl_pb_writer *w, const struct field *fields, const json_t *tree) {
    for (const struct field *field = fields; field->name; field++) {
        const json_t *value = json_object_get(tree, field->name);
        size_t i;
        json_t *item;
        if (!json_is_array(value) && value) put_value(w, field, value);
        json_array_foreach(value, i, item) put_value(w, field, item);
    }
}

int fl_schema_encode(enum fl_k8s_kind kind, const json_t *tree, struct fl_buf *out) {
    static const struct field *const roots[] = {[FL_K8S_ENDPOINTSLICE] = slice,
                                                [FL_K8S_SERVICE] = service,
                                                [FL_K8S_ENDPOINTS] = endpoints,
                                                [FL_K8S_POD] = pod};
    const struct field *root = (size_t)kind < FL_COUNT(roots) ? roots[kind] : NULL;
    if (!root) return FL_EUSAGE;
    struct fl_pb_writer w = fl_pb_writer_of(out);
    put_fields(&w, root, tree);
    return fl_pb_finish(&w);
}
