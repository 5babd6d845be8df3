/* k8s_json.c - objects from JSON. One thread; see k8s_object.h.
 *
 * The object lies whole in memory and its tokens are pulled by recursive descent, with keys in any
 * order; keys that nobody asked for are passed over. The first failure of a walk stays, so the
 * functions below read as the object is written and the failure is asked for once. A null is as
 * good as an absent value, as Go writes its nil slices. */
#include "wire/k8s_json_quick.h"
#include "wire/k8s_object.h"

struct walk {
    struct fl_k8s_reader *reader;
    struct fl_json *json;
    struct fl_str bytes; /* what `json` goes over */
    int rc;
    const char *what; /* was wrong; NULL: what the tokenizer says */
};

static struct walk walk_of(struct fl_k8s_reader *reader, struct fl_json *json,
                           struct fl_str bytes) {
    fl_json_reset(json);
    fl_json_feed(json, bytes);
    return (struct walk){.reader = reader, .json = json, .bytes = bytes};
}

static void fail(struct walk *w, int rc, const char *what) {
    if (w->rc) return;
    w->rc = rc;
    w->what = what;
}

static int finish(const struct walk *w, struct fl_error *err) {
    if (w->rc == FL_ENOMEM) return fl_fail_nomem(err);
    if (!w->rc) return 0;
    const char *what = w->what ? w->what : fl_json_error(w->json);
    return fl_fail(err, w->rc, "%s, %llu bytes into it", what ? what : "cut short",
                   (unsigned long long)fl_json_offset(w->json));
}

/* A token of the walk: FL_JSON_MORE and FL_JSON_BAD are failures. */
static inline enum fl_json_token next(struct walk *w) {
    enum fl_json_token token = fl_json_next(w->json);
    if (__builtin_expect(token == FL_JSON_BAD || token == FL_JSON_MORE, 0))
        fail(w, token == FL_JSON_BAD ? fl_json_error_code(w->json) : FL_EPROTO, NULL);
    return token;
}

/* The value is an object (array): goes into it. False: null, or a failure. */
static bool enter(struct walk *w, enum fl_json_token begin) {
    enum fl_json_token token = next(w);
    if (token != begin && token != FL_JSON_NULL) fail(w, FL_EPROTO, "value of another type");
    return !w->rc && token == begin;
}

/* The next key of the object one is in; false at its end and on failure. */
static bool next_key(struct walk *w, struct fl_str *key) {
    if (w->rc || next(w) != FL_JSON_KEY) return false;
    *key = fl_json_text(w->json);
    return true;
}

/* The next object of the array one is in; false at its end and on failure. */
static bool next_object(struct walk *w) {
    if (w->rc) return false;
    enum fl_json_token token = next(w);
    if (token != FL_JSON_OBJECT_BEGIN && token != FL_JSON_ARRAY_END)
        fail(w, FL_EPROTO, "element of another type");
    return token == FL_JSON_OBJECT_BEGIN;
}

/* Keeps the token's text beyond the next one: text that had to be unescaped lies elsewhere than in
 * the object's bytes. */
static struct fl_str kept_text(struct walk *w) {
    struct fl_str text = fl_json_text(w->json);
    if (text.n && (text.p < w->bytes.p || text.p >= w->bytes.p + w->bytes.n) &&
        fl_k8s_reader_copy(w->reader, text, &text))
        fail(w, FL_ENOMEM, NULL);
    return text;
}

static void take_text(struct walk *w, struct fl_str *out) {
    enum fl_json_token token = next(w);
    if (token == FL_JSON_STRING)
        *out = kept_text(w);
    else if (token != FL_JSON_NULL)
        fail(w, FL_EPROTO, "not a string");
}

static bool take_bool(struct walk *w, bool otherwise) {
    enum fl_json_token token = next(w);
    if (token == FL_JSON_NULL) return otherwise;
    if (token != FL_JSON_TRUE && token != FL_JSON_FALSE) fail(w, FL_EPROTO, "not a boolean");
    return token == FL_JSON_TRUE;
}

static void take_condition(struct walk *w, int8_t *out) {
    enum fl_json_token token = next(w);
    if (token == FL_JSON_TRUE || token == FL_JSON_FALSE)
        *out = token == FL_JSON_TRUE;
    else if (token != FL_JSON_NULL)
        fail(w, FL_EPROTO, "not a boolean");
}

static uint64_t number_of(struct walk *w, uint64_t max) {
    uint64_t value = 0;
    if (!fl_str_u64(fl_json_text(w->json), &value) || value > max)
        fail(w, FL_EPROTO, "number out of range");
    return value;
}

static uint64_t take_number(struct walk *w, uint64_t max) {
    enum fl_json_token token = next(w);
    if (token == FL_JSON_NUMBER) return number_of(w, max);
    if (token != FL_JSON_NULL) fail(w, FL_EPROTO, "not a number");
    return 0;
}

static void skip(struct walk *w) { fl_json_skip(w->json); }

#define IS(key, literal) fl_str_eq((key), FL_STR(literal))

/* --- metadata --- */

static void read_labels(struct walk *w, struct fl_k8s_object *object) {
    struct fl_str key;
    if (!enter(w, FL_JSON_OBJECT_BEGIN)) return;
    while (next_key(w, &key)) {
        if (fl_str_eq(key, FL_K8S_LABEL_SERVICE))
            take_text(w, &object->service);
        else
            skip(w);
    }
}

static void read_annotations(struct walk *w, struct fl_k8s_object *object) {
    struct fl_str key, value = FL_STR_NONE;
    if (!enter(w, FL_JSON_OBJECT_BEGIN)) return;
    while (next_key(w, &key)) {
        bool end = fl_str_eq(key, FL_K8S_INITIAL_EVENTS_END);
        if (!end && !fl_str_eq(key, FL_K8S_OVER_CAPACITY)) {
            skip(w);
            continue;
        }
        take_text(w, &value);
        if (end)
            object->initial_events_end = fl_str_eq(value, FL_STR("true"));
        else
            object->truncated = fl_str_eq(value, FL_STR("truncated"));
    }
}

static void read_meta(struct walk *w) {
    struct fl_k8s_object *object = &w->reader->object;
    struct fl_str key;
    if (!enter(w, FL_JSON_OBJECT_BEGIN)) return;
    while (next_key(w, &key)) {
        if (IS(key, "name"))
            take_text(w, &object->name);
        else if (IS(key, "namespace"))
            take_text(w, &object->ns);
        else if (IS(key, "uid"))
            take_text(w, &object->uid);
        else if (IS(key, "resourceVersion"))
            take_text(w, &object->resource_version);
        else if (IS(key, "labels"))
            read_labels(w, object);
        else if (IS(key, "annotations"))
            read_annotations(w, object);
        else
            skip(w);
    }
}

/* --- endpoints --- */

/* core/v1 ObjectReference */
static void read_target(struct walk *w, struct fl_k8s_endpoint *out) {
    struct fl_str key, kind = FL_STR_NONE;
    if (!enter(w, FL_JSON_OBJECT_BEGIN)) return;
    while (next_key(w, &key)) {
        if (IS(key, "kind"))
            take_text(w, &kind);
        else if (IS(key, "name"))
            take_text(w, &out->pod);
        else if (IS(key, "uid"))
            take_text(w, &out->uid);
        else
            skip(w);
    }
    out->target_is_pod = kind.n == 0 || IS(kind, "Pod");
}

/* discovery/v1 EndpointConditions */
static void read_conditions(struct walk *w, struct fl_k8s_endpoint *out) {
    struct fl_str key;
    if (!enter(w, FL_JSON_OBJECT_BEGIN)) return;
    while (next_key(w, &key)) {
        if (IS(key, "ready"))
            take_condition(w, &out->ready);
        else if (IS(key, "serving"))
            take_condition(w, &out->serving);
        else if (IS(key, "terminating"))
            take_condition(w, &out->terminating);
        else
            skip(w);
    }
}

/* Only the first address counts: "consumers should use the first". */
static void read_addresses(struct walk *w, struct fl_k8s_endpoint *out) {
    if (!enter(w, FL_JSON_ARRAY_BEGIN)) return;
    enum fl_json_token token;
    while ((token = next(w)) == FL_JSON_STRING)
        if (!out->has_address) {
            out->address = kept_text(w);
            out->has_address = true;
        }
    if (token != FL_JSON_ARRAY_END) fail(w, FL_EPROTO, "address that is not a string");
}

/* An array of ForZone or ForNode: objects with a name. */
static void read_hint_list(struct walk *w, bool zone) {
    if (!enter(w, FL_JSON_ARRAY_BEGIN)) return;
    while (next_object(w)) {
        struct fl_str key, name = FL_STR_NONE;
        while (next_key(w, &key)) {
            if (IS(key, "name"))
                take_text(w, &name);
            else
                skip(w);
        }
        fl_k8s_reader_hint(w->reader, zone, name);
    }
}

/* discovery/v1 EndpointHints */
static void read_hints(struct walk *w, struct fl_k8s_endpoint *out) {
    struct fl_str key;
    fl_k8s_reader_start_hints(w->reader, out);
    if (!enter(w, FL_JSON_OBJECT_BEGIN)) return;
    while (next_key(w, &key)) {
        if (IS(key, "forZones"))
            read_hint_list(w, true);
        else if (IS(key, "forNodes"))
            read_hint_list(w, false);
        else
            skip(w);
    }
}

/* discovery/v1 Endpoint, its brace read. */
static void read_endpoint(struct walk *w, struct fl_k8s_endpoint *out) {
    struct fl_str key;
    while (next_key(w, &key)) {
        if (IS(key, "addresses"))
            read_addresses(w, out);
        else if (IS(key, "conditions"))
            read_conditions(w, out);
        else if (IS(key, "targetRef"))
            read_target(w, out);
        else if (IS(key, "nodeName"))
            take_text(w, &out->node);
        else if (IS(key, "zone"))
            take_text(w, &out->zone);
        else if (IS(key, "hints"))
            read_hints(w, out);
        else
            skip(w);
    }
}

/* core/v1 EndpointAddress, its brace read. */
static void read_subset_address(struct walk *w, struct fl_k8s_endpoint *out) {
    struct fl_str key;
    while (next_key(w, &key)) {
        if (IS(key, "ip"))
            take_text(w, &out->address);
        else if (IS(key, "targetRef"))
            read_target(w, out);
        else if (IS(key, "nodeName"))
            take_text(w, &out->node);
        else
            skip(w);
    }
}

/* An array of endpoints of either API and where it stood. */
struct endpoint_list {
    void (*read)(struct walk *w, struct fl_k8s_endpoint *out);
    int8_t ready; /* -1: each endpoint says */
};

static void add_endpoint(struct walk *w, const struct endpoint_list *list,
                         struct fl_k8s_endpoint *endpoint) {
    if (list->ready >= 0) endpoint->ready = endpoint->serving = list->ready;
    if (!w->rc) {
        int rc = fl_k8s_reader_add(w->reader, endpoint);
        if (rc) fail(w, rc, "too many endpoints");
    }
}

/* The same text in the list of those not ready is another endpoint. */
static uint64_t hash_of(const struct endpoint_list *list, struct fl_str text) {
    return fl_hash(text, 0) + (list->ready > 0);
}

/* An endpoint, its brace read. */
static void read_either(struct walk *w, const struct endpoint_list *list,
                        struct fl_k8s_endpoint *out) {
    fl_k8s_endpoint_init(out);
    if (list->read == read_endpoint) {
        size_t n = fl_k8s_json_quick(w->reader, fl_json_rest(w->json), out);
        if (n) {
            fl_json_pass(w->json, n);
            return;
        }
        fl_k8s_endpoint_init(out);
    }
    list->read(w, out);
}

/* When there is nothing to compare with: read, then hashed. */
static void read_new(struct walk *w, const struct endpoint_list *list) {
    struct fl_k8s_endpoint endpoint;
    const char *from = w->bytes.p + fl_json_offset(w->json) - 1;
    read_either(w, list, &endpoint);
    const char *to = w->bytes.p + fl_json_offset(w->json);
    endpoint.hash = hash_of(list, fl_str_n(from, (size_t)(to - from)));
    add_endpoint(w, list, &endpoint);
}

/* When there is: its text first; if the previous block does not have that hash, read from it. */
static void read_or_reuse(struct walk *w, const struct endpoint_list *list) {
    struct fl_k8s_endpoint endpoint;
    fl_json_raw(w->json);
    if (next(w) != FL_JSON_RAW) return;
    struct fl_str raw = fl_json_text(w->json);
    uint64_t hash = hash_of(list, raw);
    if (fl_block_builder_reuse(w->reader->builder, hash)) return;
    struct walk part = walk_of(w->reader, w->reader->element_json, raw);
    fl_k8s_endpoint_init(&endpoint);
    if (enter(&part, FL_JSON_OBJECT_BEGIN)) read_either(&part, list, &endpoint);
    endpoint.hash = hash;
    add_endpoint(&part, list, &endpoint);
    if (part.rc) fail(w, part.rc, part.what ? part.what : fl_json_error(part.json));
}

static void read_endpoint_list(struct walk *w, const struct endpoint_list *list) {
    if (!enter(w, FL_JSON_ARRAY_BEGIN)) return;
    bool compare = w->reader->previous && w->json == w->reader->json;
    while (next_object(w)) {
        if (compare)
            read_or_reuse(w, list);
        else
            read_new(w, list);
    }
}

/* EndpointPort of either API. */
static void read_ports(struct walk *w) {
    if (!enter(w, FL_JSON_ARRAY_BEGIN)) return;
    while (next_object(w)) {
        struct fl_block_port port = {0};
        struct fl_str key;
        while (next_key(w, &key)) {
            if (IS(key, "name"))
                take_text(w, &port.name);
            else if (IS(key, "protocol"))
                take_text(w, &port.protocol);
            else if (IS(key, "port"))
                port.port = (uint16_t)take_number(w, UINT16_MAX);
            else if (IS(key, "appProtocol"))
                take_text(w, &port.app_protocol);
            else
                skip(w);
        }
        int rc = w->rc ? 0 : fl_block_builder_port(w->reader->builder, &port);
        if (rc) fail(w, rc, "too many ports");
    }
}

/* --- core/v1 Endpoints --- */

static uint64_t hash_ports(struct walk *w, uint64_t seed) {
    if (!enter(w, FL_JSON_ARRAY_BEGIN)) return seed;
    fl_json_raw(w->json);
    return next(w) == FL_JSON_RAW ? fl_hash(fl_json_text(w->json), seed) : seed;
}

/* Notes the subset's text and a hash of its ports; its endpoints are read when it is added. */
static void note_subset(struct walk *w) {
    fl_json_raw(w->json);
    if (next(w) != FL_JSON_RAW) return;
    struct fl_str raw = fl_json_text(w->json), key;
    struct walk part = walk_of(w->reader, w->reader->element_json, raw);
    uint64_t ports = 0;
    if (enter(&part, FL_JSON_OBJECT_BEGIN))
        while (next_key(&part, &key)) {
            if (IS(key, "ports"))
                ports = hash_ports(&part, ports);
            else
                skip(&part);
        }
    if (part.rc) fail(w, part.rc, part.what ? part.what : fl_json_error(part.json));
    int rc = w->rc ? 0 : fl_k8s_reader_subset(w->reader, raw, ports);
    if (rc) fail(w, rc, "too many subsets");
}

static int add_subset(struct fl_k8s_reader *reader, struct fl_str bytes, bool with_ports) {
    static const struct endpoint_list ready = {read_subset_address, 1};
    static const struct endpoint_list not_ready = {read_subset_address, 0};
    struct walk w = walk_of(reader, reader->json, bytes);
    struct fl_str key;
    if (!enter(&w, FL_JSON_OBJECT_BEGIN)) return w.rc;
    while (next_key(&w, &key)) {
        if (IS(key, "addresses"))
            read_endpoint_list(&w, &ready);
        else if (IS(key, "notReadyAddresses"))
            read_endpoint_list(&w, &not_ready);
        else if (IS(key, "ports") && with_ports)
            read_ports(&w);
        else
            skip(&w);
    }
    return w.rc;
}

static void note_subsets(struct walk *w) {
    if (!enter(w, FL_JSON_ARRAY_BEGIN)) return;
    while (next_object(w)) note_subset(w);
}

/* --- core/v1 Service --- */

static void read_target_port(struct walk *w, struct fl_k8s_service_port *out) {
    enum fl_json_token token = next(w);
    if (token == FL_JSON_STRING)
        out->target_name = kept_text(w);
    else if (token == FL_JSON_NUMBER)
        out->target_port = (uint16_t)number_of(w, UINT16_MAX);
    else if (token != FL_JSON_NULL)
        fail(w, FL_EPROTO, "neither a number nor a name");
}

static void read_service_port(struct walk *w) {
    struct fl_k8s_service_port *out;
    struct fl_str key;
    int rc = fl_k8s_reader_port(w->reader, &out);
    if (rc) {
        fail(w, rc, "too many ports");
        return;
    }
    while (next_key(w, &key)) {
        if (IS(key, "name"))
            take_text(w, &out->name);
        else if (IS(key, "protocol"))
            take_text(w, &out->protocol);
        else if (IS(key, "appProtocol"))
            take_text(w, &out->app_protocol);
        else if (IS(key, "port"))
            out->port = (uint16_t)take_number(w, UINT16_MAX);
        else if (IS(key, "targetPort"))
            read_target_port(w, out);
        else
            skip(w);
    }
}

static void read_service_ports(struct walk *w) {
    if (!enter(w, FL_JSON_ARRAY_BEGIN)) return;
    while (next_object(w)) read_service_port(w);
}

static void read_service_spec(struct walk *w) {
    struct fl_k8s_object *object = &w->reader->object;
    struct fl_str key, cluster_ip = FL_STR_NONE;
    if (!enter(w, FL_JSON_OBJECT_BEGIN)) return;
    while (next_key(w, &key)) {
        if (IS(key, "ports"))
            read_service_ports(w);
        else if (IS(key, "clusterIP"))
            take_text(w, &cluster_ip);
        else if (IS(key, "type"))
            take_text(w, &object->type);
        else if (IS(key, "externalName"))
            take_text(w, &object->external_name);
        else if (IS(key, "publishNotReadyAddresses"))
            object->publish_not_ready = take_bool(w, false);
        else
            skip(w);
    }
    object->headless = IS(cluster_ip, "None");
}

/* --- objects --- */

/* Parts that may come once. */
enum { SEEN_META = 1, SEEN_ENDPOINTS = 2, SEEN_PORTS = 4 };

static bool first_time(struct walk *w, unsigned *seen, unsigned part) {
    if (*seen & part) fail(w, FL_EPROTO, "key that comes twice");
    *seen |= part;
    return !w->rc;
}

static void read_slice_part(struct walk *w, struct fl_str key, unsigned *seen) {
    static const struct endpoint_list endpoints = {read_endpoint, -1};
    if (IS(key, "endpoints")) {
        if (first_time(w, seen, SEEN_ENDPOINTS)) read_endpoint_list(w, &endpoints);
    } else if (IS(key, "ports")) {
        if (first_time(w, seen, SEEN_PORTS)) read_ports(w);
    } else {
        skip(w);
    }
}

static void read_part(struct walk *w, struct fl_str key, unsigned *seen) {
    switch (w->reader->kind) {
    case FL_K8S_ENDPOINTSLICE:
        read_slice_part(w, key, seen);
        break;
    case FL_K8S_ENDPOINTS:
        if (!IS(key, "subsets"))
            skip(w);
        else if (first_time(w, seen, SEEN_ENDPOINTS))
            note_subsets(w);
        break;
    case FL_K8S_SERVICE:
        if (!IS(key, "spec"))
            skip(w);
        else if (first_time(w, seen, SEEN_PORTS))
            read_service_spec(w);
        break;
    default:
        skip(w);
    }
}

/* The metadata tells the previous block, and the builder starts anew with it; unless endpoints came
 * first, then all of them are read. */
static void take_meta(struct walk *w, unsigned *seen) {
    if (!first_time(w, seen, SEEN_META)) return;
    read_meta(w);
    if (w->rc || w->reader->meta_only || !fl_k8s_has_blocks(w->reader->kind)) return;
    if (*seen & (SEEN_ENDPOINTS | SEEN_PORTS)) return;
    fl_k8s_reader_find_previous(w->reader);
    fl_block_builder_start(w->reader->builder, w->reader->previous);
}

static void take_kind(struct walk *w, struct fl_error *why) {
    struct fl_str kind = FL_STR_NONE;
    take_text(w, &kind);
    int rc = fl_k8s_check_kind(kind, fl_k8s_name(w->reader->kind)->kind, why);
    if (rc) fail(w, rc, why->detail);
}

static int finish_blocks(struct fl_k8s_reader *reader, struct fl_error *err) {
    int rc = 0;
    if (reader->meta_only) return 0;
    if (reader->kind == FL_K8S_ENDPOINTSLICE)
        rc = fl_block_builder_finish(reader->builder, &reader->object.block);
    if (reader->kind == FL_K8S_ENDPOINTS) rc = fl_k8s_reader_join_subsets(reader, add_subset);
    if (rc == FL_ENOMEM) return fl_fail_nomem(err);
    return rc ? fl_fail(err, rc, "malformed or too many endpoints") : 0;
}

static int read_object(struct fl_k8s_reader *reader, struct fl_str bytes, struct fl_error *err) {
    struct walk w = walk_of(reader, reader->json, bytes);
    struct fl_error kind_error = {0};
    struct fl_str key;
    unsigned seen = 0;
    fl_block_builder_start(reader->builder, NULL);
    if (!enter(&w, FL_JSON_OBJECT_BEGIN)) fail(&w, FL_EPROTO, "not an object");
    while (next_key(&w, &key)) {
        if (IS(key, "metadata"))
            take_meta(&w, &seen);
        else if (IS(key, "kind"))
            take_kind(&w, &kind_error);
        else if (reader->meta_only)
            skip(&w);
        else
            read_part(&w, key, &seen);
    }
    int rc = finish(&w, err);
    return rc ? rc : finish_blocks(reader, err);
}

/* --- meta/v1 --- */

static void read_causes(struct walk *w, struct fl_k8s_status *out) {
    if (!enter(w, FL_JSON_ARRAY_BEGIN)) return;
    while (next_object(w)) {
        struct fl_str key, reason = FL_STR_NONE;
        while (next_key(w, &key)) {
            if (IS(key, "reason"))
                take_text(w, &reason);
            else
                skip(w);
        }
        if (fl_str_eq(reason, FL_K8S_CAUSE_TOO_LARGE)) out->version_too_large = true;
    }
}

static void read_details(struct walk *w, struct fl_k8s_status *out) {
    struct fl_str key;
    if (!enter(w, FL_JSON_OBJECT_BEGIN)) return;
    while (next_key(w, &key)) {
        if (IS(key, "causes"))
            read_causes(w, out);
        else if (IS(key, "retryAfterSeconds"))
            out->retry_after_s = (uint32_t)take_number(w, UINT32_MAX);
        else
            skip(w);
    }
}

static int read_status(struct fl_k8s_reader *reader, struct fl_str bytes, struct fl_k8s_status *out,
                       struct fl_error *err) {
    struct walk w = walk_of(reader, reader->json, bytes);
    struct fl_str key, kind = FL_STR_NONE;
    if (!enter(&w, FL_JSON_OBJECT_BEGIN)) fail(&w, FL_EPROTO, "not an object");
    while (next_key(&w, &key)) {
        if (IS(key, "message"))
            take_text(&w, &out->message);
        else if (IS(key, "reason"))
            take_text(&w, &out->reason);
        else if (IS(key, "code"))
            out->code = (int)take_number(&w, INT32_MAX);
        else if (IS(key, "details"))
            read_details(&w, out);
        else if (IS(key, "kind"))
            take_text(&w, &kind);
        else
            skip(&w);
    }
    int rc = finish(&w, err);
    return rc ? rc : fl_k8s_check_kind(kind, fl_k8s_name(FL_K8S_STATUS)->kind, err);
}

static int read_list_meta(struct fl_k8s_reader *reader, struct fl_str bytes,
                          struct fl_str *resource_version, struct fl_str *continue_token,
                          struct fl_error *err) {
    struct walk w = walk_of(reader, reader->json, bytes);
    struct fl_str key;
    if (fl_str_eq(bytes, FL_STR("null"))) return 0;
    if (enter(&w, FL_JSON_OBJECT_BEGIN))
        while (next_key(&w, &key)) {
            if (IS(key, "resourceVersion"))
                take_text(&w, resource_version);
            else if (IS(key, "continue"))
                take_text(&w, continue_token);
            else
                skip(&w);
        }
    return finish(&w, err);
}

const struct fl_k8s_syntax fl_k8s_syntax_json = {
    .object = read_object,
    .status = read_status,
    .list_meta = read_list_meta,
};
