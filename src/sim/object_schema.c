/* object_schema.c - see object_schema.h. A table lists a message's fields; an array in JSON is a
 * repeated field. */
#include "sim/object_schema.h"

#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "sim/resource.h"
#include "wire/pb.h"

#define DEPTH_MAX 16

enum type { TEXT, NUMBER, FLAG, MESSAGE, TEXT_MAP, TIME, INT_OR_STRING };

struct field {
    const char *name;
    unsigned number;
    enum type type;
    bool list;
    const struct field *fields; /* MESSAGE */
};

/* A field, a list of them; a message within, a list of them. */
#define F(name, number, type)                                                                      \
    { name, number, type, false, NULL }
#define L(name, number, type)                                                                      \
    { name, number, type, true, NULL }
#define M(name, number, fields)                                                                    \
    { name, number, MESSAGE, false, fields }
#define ML(name, number, fields)                                                                   \
    { name, number, MESSAGE, true, fields }
#define END                                                                                        \
    { NULL, 0, TEXT, false, NULL }
/* An object: its metadata and what else it has. */
#define OBJECT(...)                                                                                \
    { M("metadata", 1, meta), __VA_ARGS__, END }

static const struct field owner[] = {F("kind", 1, TEXT),
                                     F("name", 3, TEXT),
                                     F("uid", 4, TEXT),
                                     F("apiVersion", 5, TEXT),
                                     F("controller", 6, FLAG),
                                     F("blockOwnerDeletion", 7, FLAG),
                                     END};
static const struct field meta[] = {F("name", 1, TEXT),
                                    F("generateName", 2, TEXT),
                                    F("namespace", 3, TEXT),
                                    F("selfLink", 4, TEXT),
                                    F("uid", 5, TEXT),
                                    F("resourceVersion", 6, TEXT),
                                    F("generation", 7, NUMBER),
                                    F("creationTimestamp", 8, TIME),
                                    F("deletionTimestamp", 9, TIME),
                                    F("deletionGracePeriodSeconds", 10, NUMBER),
                                    F("labels", 11, TEXT_MAP),
                                    F("annotations", 12, TEXT_MAP),
                                    ML("ownerReferences", 13, owner),
                                    L("finalizers", 14, TEXT),
                                    END};
static const struct field reference[] = {F("kind", 1, TEXT),       F("namespace", 2, TEXT),
                                         F("name", 3, TEXT),       F("uid", 4, TEXT),
                                         F("apiVersion", 5, TEXT), F("resourceVersion", 6, TEXT),
                                         F("fieldPath", 7, TEXT),  END};
static const struct field named[] = {F("name", 1, TEXT), END};

static const struct field conditions[] = {F("ready", 1, FLAG), F("serving", 2, FLAG),
                                          F("terminating", 3, FLAG), END};
static const struct field hints[] = {ML("forZones", 1, named), ML("forNodes", 2, named), END};
static const struct field endpoint[] = {L("addresses", 1, TEXT),
                                        M("conditions", 2, conditions),
                                        F("hostname", 3, TEXT),
                                        M("targetRef", 4, reference),
                                        F("deprecatedTopology", 5, TEXT_MAP),
                                        F("nodeName", 6, TEXT),
                                        F("zone", 7, TEXT),
                                        M("hints", 8, hints),
                                        END};
static const struct field slice_port[] = {F("name", 1, TEXT), F("protocol", 2, TEXT),
                                          F("port", 3, NUMBER), F("appProtocol", 4, TEXT), END};
static const struct field slice[] =
    OBJECT(ML("endpoints", 2, endpoint), ML("ports", 3, slice_port), F("addressType", 4, TEXT));

static const struct field address[] = {F("ip", 1, TEXT), M("targetRef", 2, reference),
                                       F("hostname", 3, TEXT), F("nodeName", 4, TEXT), END};
static const struct field subset_port[] = {F("name", 1, TEXT), F("port", 2, NUMBER),
                                           F("protocol", 3, TEXT), F("appProtocol", 4, TEXT), END};
static const struct field subset[] = {ML("addresses", 1, address),
                                      ML("notReadyAddresses", 2, address),
                                      ML("ports", 3, subset_port), END};
static const struct field endpoints[] = OBJECT(ML("subsets", 2, subset));

static const struct field service_port[] = {F("name", 1, TEXT),
                                            F("protocol", 2, TEXT),
                                            F("port", 3, NUMBER),
                                            F("targetPort", 4, INT_OR_STRING),
                                            F("nodePort", 5, NUMBER),
                                            F("appProtocol", 6, TEXT),
                                            END};
static const struct field ingress[] = {F("ip", 1, TEXT), F("hostname", 2, TEXT), END};
static const struct field balancer[] = {ML("ingress", 1, ingress), END};
static const struct field service_status[] = {M("loadBalancer", 1, balancer), END};
static const struct field service_spec[] = {L("externalIPs", 5, TEXT),
                                            F("loadBalancerIP", 8, TEXT),
                                            L("loadBalancerSourceRanges", 9, TEXT),
                                            F("externalTrafficPolicy", 11, TEXT),
                                            F("healthCheckNodePort", 12, NUMBER),
                                            F("allocateLoadBalancerNodePorts", 20, FLAG),
                                            F("loadBalancerClass", 21, TEXT),
                                            ML("ports", 1, service_port),
                                            F("selector", 2, TEXT_MAP),
                                            F("clusterIP", 3, TEXT),
                                            F("type", 4, TEXT),
                                            F("sessionAffinity", 7, TEXT),
                                            F("externalName", 10, TEXT),
                                            F("publishNotReadyAddresses", 13, FLAG),
                                            F("ipFamilyPolicy", 17, TEXT),
                                            L("clusterIPs", 18, TEXT),
                                            L("ipFamilies", 19, TEXT),
                                            F("internalTrafficPolicy", 22, TEXT),
                                            F("trafficDistribution", 23, TEXT),
                                            END};
static const struct field service[] =
    OBJECT(M("spec", 2, service_spec), M("status", 3, service_status));

static const struct field container_port[] = {F("name", 1, TEXT), F("containerPort", 3, NUMBER),
                                              F("protocol", 4, TEXT), END};
static const struct field container[] = {F("name", 1, TEXT),
                                         F("image", 2, TEXT),
                                         L("command", 3, TEXT),
                                         L("args", 4, TEXT),
                                         ML("ports", 6, container_port),
                                         END};
static const struct field pod_spec[] = {ML("containers", 2, container), F("nodeName", 10, TEXT),
                                        END};
static const struct field pod_condition[] = {F("type", 1, TEXT), F("status", 2, TEXT), END};
static const struct field pod_ip[] = {F("ip", 1, TEXT), END};
static const struct field pod_status[] = {F("phase", 1, TEXT),
                                          ML("conditions", 2, pod_condition),
                                          F("message", 3, TEXT),
                                          F("reason", 4, TEXT),
                                          F("hostIP", 5, TEXT),
                                          F("podIP", 6, TEXT),
                                          F("startTime", 7, TIME),
                                          ML("podIPs", 12, pod_ip),
                                          END};
static const struct field pod[] = OBJECT(M("spec", 2, pod_spec), M("status", 3, pod_status));

static const struct field namespace_spec[] = {L("finalizers", 1, TEXT), END};
static const struct field namespace_status[] = {F("phase", 1, TEXT), END};
static const struct field namespace[] =
    OBJECT(M("spec", 2, namespace_spec), M("status", 3, namespace_status));

static const struct field lease_spec[] = {F("holderIdentity", 1, TEXT),
                                          F("leaseDurationSeconds", 2, NUMBER),
                                          F("leaseTransitions", 5, NUMBER), END};
static const struct field lease[] = OBJECT(M("spec", 2, lease_spec));

static const struct field preconditions[] = {F("uid", 1, TEXT), F("resourceVersion", 2, TEXT), END};
static const struct field delete_options[] = {
    F("gracePeriodSeconds", 1, NUMBER), M("preconditions", 2, preconditions),
    F("orphanDependents", 3, FLAG), F("propagationPolicy", 4, TEXT), END};

static const struct field attributes[] = {
    F("namespace", 1, TEXT), F("verb", 2, TEXT),        F("group", 3, TEXT), F("version", 4, TEXT),
    F("resource", 5, TEXT),  F("subresource", 6, TEXT), F("name", 7, TEXT),  END};
static const struct field other_attributes[] = {F("path", 1, TEXT), F("verb", 2, TEXT), END};
static const struct field review_spec[] = {M("resourceAttributes", 1, attributes),
                                           M("nonResourceAttributes", 2, other_attributes), END};
static const struct field review_status[] = {F("allowed", 1, FLAG), END};
static const struct field review[] =
    OBJECT(M("spec", 2, review_spec), M("status", 3, review_status));

/* NULL: a kind that is not in the table. */
static const struct field *root_of(struct fl_str kind) {
    static const struct {
        const char *kind;
        const struct field *root;
    } roots[] = {{"EndpointSlice", slice},
                 {"Service", service},
                 {"Endpoints", endpoints},
                 {"Namespace", namespace},
                 {"Lease", lease},
                 {"DeleteOptions", delete_options},
                 {"Pod", pod},
                 {"SelfSubjectAccessReview", review}};
    for (size_t i = 0; i < FL_COUNT(roots); i++)
        if (fl_str_eq(kind, fl_str_of(roots[i].kind))) return roots[i].root;
    return NULL;
}

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
    json_object_foreach ((json_t *)map, key, value) {
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
        json_array_foreach (value, i, item) put_value(w, field, item);
    }
}

int fl_schema_encode(enum fl_k8s_kind kind, const json_t *tree, struct fl_buf *out) {
    const struct fl_resource *resource = fl_resource_of(kind);
    const struct field *root =
        resource && resource->has_protobuf ? root_of(fl_str_of(resource->kind_name)) : NULL;
    if (!root) return FL_EUSAGE;
    struct fl_pb_writer w = fl_pb_writer_of(out);
    put_fields(&w, root, tree);
    return fl_pb_finish(&w);
}

/* --- decoding --- */

static int decode_fields(const struct field *fields, struct fl_str bytes, unsigned depth,
                         json_t *out);

static const struct field *find_field(const struct field *fields, uint32_t number) {
    for (; fields->name; fields++)
        if (fields->number == number) return fields;
    return NULL;
}

/* A map's entry, into the map. */
static int decode_entry(struct fl_str bytes, json_t *map) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    struct fl_str key = FL_STR_NONE, value = FL_STR_NONE;
    while (fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_LEN(1)) key = f.bytes;
        if (f.tag == FL_PB_LEN(2)) value = f.bytes;
    }
    if (r.bad || memchr(key.n ? key.p : "", 0, key.n)) return FL_EPROTO;
    json_t *text = json_stringn(value.n ? value.p : "", value.n);
    if (!text) return FL_EPROTO; /* no UTF-8 */
    return json_object_setn_new(map, key.n ? key.p : "", key.n, text) ? FL_ENOMEM : 0;
}

static json_t *decode_time(struct fl_str bytes) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    uint64_t seconds = 0;
    char text[32];
    struct tm tm;
    while (fl_pb_next(&r, &f))
        if (f.tag == FL_PB_VARINT(1)) seconds = f.value;
    time_t time = (time_t)seconds;
    if (!seconds || !gmtime_r(&time, &tm)) return json_null();
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(text);
}

static json_t *decode_int_or_string(struct fl_str bytes) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    struct fl_str text = FL_STR_NONE;
    uint64_t kind = 0, number = 0;
    while (fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_VARINT(1)) kind = f.value;
        if (f.tag == FL_PB_VARINT(2)) number = f.value;
        if (f.tag == FL_PB_LEN(3)) text = f.bytes;
    }
    return kind ? json_stringn(text.n ? text.p : "", text.n) : json_integer((int32_t)number);
}

static json_t *decode_message(const struct field *field, struct fl_str bytes, unsigned depth) {
    json_t *message = depth < DEPTH_MAX ? json_object() : NULL;
    if (message && decode_fields(field->fields, bytes, depth + 1, message)) {
        json_decref(message);
        return NULL;
    }
    return message;
}

/* NULL: malformed, or no memory; a null: as if it were not there. */
static json_t *decode_value(const struct field *field, const struct fl_pb_field *f,
                            unsigned depth) {
    bool varint = (f->tag & 7) == FL_PB_WIRE_VARINT;
    if ((field->type == NUMBER || field->type == FLAG) != varint) return NULL;
    switch (field->type) {
    case TEXT:
        return f->bytes.n || field->list ? json_stringn(f->bytes.n ? f->bytes.p : "", f->bytes.n)
                                         : json_null();
    case NUMBER:
        return f->value ? json_integer((json_int_t)f->value) : json_null();
    case FLAG:
        return json_boolean(f->value != 0);
    case MESSAGE:
        return decode_message(field, f->bytes, depth);
    case TIME:
        return decode_time(f->bytes);
    case INT_OR_STRING:
        return decode_int_or_string(f->bytes);
    case TEXT_MAP:
        break;
    }
    return NULL;
}

static json_t *child_of(json_t *out, const char *name, json_t *(*make)(void)) {
    json_t *child = json_object_get(out, name);
    if (child) return child;
    return json_object_set_new(out, name, make()) ? NULL : json_object_get(out, name);
}

static int decode_field(const struct field *field, const struct fl_pb_field *f, unsigned depth,
                        json_t *out) {
    if (field->type == TEXT_MAP) {
        json_t *map = child_of(out, field->name, json_object);
        return !map                             ? FL_ENOMEM
               : (f->tag & 7) == FL_PB_WIRE_LEN ? decode_entry(f->bytes, map)
                                                : FL_EPROTO;
    }
    json_t *value = decode_value(field, f, depth);
    if (!value) return FL_EPROTO;
    if (json_is_null(value)) return 0;
    if (!field->list) return json_object_set_new(out, field->name, value) ? FL_ENOMEM : 0;
    json_t *list = child_of(out, field->name, json_array);
    if (list) return json_array_append_new(list, value) ? FL_ENOMEM : 0;
    json_decref(value);
    return FL_ENOMEM;
}

static int decode_fields(const struct field *fields, struct fl_str bytes, unsigned depth,
                         json_t *out) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    int rc = 0;
    while (!rc && fl_pb_next(&r, &f)) {
        const struct field *field = find_field(fields, f.tag >> 3);
        if (field)
            rc = decode_field(field, &f, depth, out);
        else if (f.value || f.bytes.n) /* what says something would be lost */
            rc = FL_EUSAGE;
    }
    return rc ? rc : r.bad ? FL_EPROTO : 0;
}

static int set_type(json_t *tree, struct fl_str version, struct fl_str kind) {
    if (!version.n || !kind.n) return FL_EPROTO;
    return json_object_set_new(tree, "apiVersion", json_stringn(version.p, version.n)) ||
                   json_object_set_new(tree, "kind", json_stringn(kind.p, kind.n))
               ? FL_ENOMEM
               : 0;
}

int fl_schema_decode(struct fl_str body, json_t **out) {
    const struct fl_str magic = {"k8s\0", 4};
    struct fl_str version = FL_STR_NONE, kind = FL_STR_NONE, raw = FL_STR_NONE;
    struct fl_parse r = fl_parse_of(fl_str_from(body, magic.n)), type;
    struct fl_pb_field f;
    *out = NULL;
    if (!fl_str_starts(body, magic)) return FL_EPROTO;
    while (fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_LEN(2)) raw = f.bytes;
        if (f.tag != FL_PB_LEN(1)) continue;
        type = fl_parse_of(f.bytes);
        while (fl_pb_next(&type, &f)) {
            if (f.tag == FL_PB_LEN(1)) version = f.bytes;
            if (f.tag == FL_PB_LEN(2)) kind = f.bytes;
        }
    }
    const struct field *root = root_of(kind);
    if (r.bad || !root) return r.bad ? FL_EPROTO : FL_EUSAGE;
    json_t *tree = json_object();
    int rc = tree ? set_type(tree, version, kind) : FL_ENOMEM;
    if (!rc) rc = decode_fields(root, raw, 0, tree);
    if (rc)
        json_decref(tree);
    else
        *out = tree;
    return rc;
}
