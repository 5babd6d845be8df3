/* k8s_pb.c - objects from protobuf. One thread; see k8s_object.h.
 *
 * A message is walked once, field by field; what nobody asked for is stepped over by its length.
 * The metadata is looked for first, since the previous block is found by it, and usually comes
 * first; then the object is walked from its beginning. Field numbers are those of generated.proto.
 * As in protobuf, a field that comes twice counts as its last, and a known number with another wire
 * type is an error. */
#include "wire/k8s_object.h"
#include "wire/pb.h"

/* Masks of field numbers for fl_pb_mistyped. */
#define FIELD(n) (UINT32_C(1) << (n))

/* What is left when a message was walked: 0, or the walk stopped at something malformed. */
static int ended(const struct fl_parse *r, const char *what, struct fl_error *err) {
    return r->bad ? fl_fail(err, FL_EPROTO, "malformed %s", what) : 0;
}

/* The detail of an error that the reader found. */
static int explain(int rc, const char *what, struct fl_error *err) {
    if (rc == FL_ENOMEM) return fl_fail_nomem(err);
    return rc ? fl_fail(err, rc, "%s", what) : 0;
}

/* A field that no case took: fails the walk if its wire type was not its own. */
static void other(struct fl_parse *r, const struct fl_pb_field *f, uint32_t known) {
    if (fl_pb_mistyped(f->tag, known)) r->bad = true;
}

static void take_u16(struct fl_parse *r, uint64_t value, uint16_t *out) {
    if (value > UINT16_MAX) r->bad = true;
    *out = (uint16_t)value;
}

/* --- metadata --- */

static bool read_label(struct fl_str bytes, struct fl_k8s_label *out) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    *out = (struct fl_k8s_label){FL_STR_NONE, FL_STR_NONE};
    while (fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_LEN(1))
            out->key = f.bytes;
        else if (f.tag == FL_PB_LEN(2))
            out->value = f.bytes;
        else
            other(&r, &f, FIELD(1) | FIELD(2));
    }
    return !r.bad;
}

static bool read_annotation(struct fl_str bytes, struct fl_k8s_object *object) {
    struct fl_k8s_label label;
    if (!read_label(bytes, &label)) return false;
    if (fl_str_eq(label.key, FL_K8S_INITIAL_EVENTS_END))
        object->initial_events_end = fl_str_eq(label.value, FL_STR("true"));
    else if (fl_str_eq(label.key, FL_K8S_OVER_CAPACITY))
        object->truncated = fl_str_eq(label.value, FL_STR("truncated"));
    return true;
}

static int read_meta(struct fl_k8s_object *object, struct fl_str bytes, struct fl_error *err) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    struct fl_k8s_label label;
    while (fl_pb_next(&r, &f)) switch (f.tag) {
        case FL_PB_LEN(1):
            object->name = f.bytes;
            break;
        case FL_PB_LEN(3):
            object->ns = f.bytes;
            break;
        case FL_PB_LEN(5):
            object->uid = f.bytes;
            break;
        case FL_PB_LEN(6):
            object->resource_version = f.bytes;
            break;
        case FL_PB_LEN(11):
            r.bad |= !read_label(f.bytes, &label);
            if (fl_str_eq(label.key, FL_K8S_LABEL_SERVICE)) object->service = label.value;
            break;
        case FL_PB_LEN(12):
            r.bad |= !read_annotation(f.bytes, object);
            break;
        default:
            other(&r, &f, FIELD(1) | FIELD(3) | FIELD(5) | FIELD(6) | FIELD(11) | FIELD(12));
        }
    return ended(&r, "metadata", err);
}

/* Finds and reads the metadata, field 1 of every kind. */
static int read_object_meta(struct fl_k8s_reader *reader, struct fl_str bytes,
                            struct fl_error *err) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    while (fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_LEN(1)) return read_meta(&reader->object, f.bytes, err);
        other(&r, &f, FIELD(1));
    }
    return ended(&r, "object", err);
}

/* --- endpoints --- */

static bool is_pod(struct fl_str kind) {
    return kind.n == 0 || (kind.n == 3 && memcmp(kind.p, "Pod", 3) == 0);
}

/* Fields of an ObjectReference as every API server writes them, in the order of their numbers; also
 * the three empty ones at its end. */
static void read_usual_target(struct fl_parse *r, struct fl_k8s_endpoint *out) {
    static const uint8_t end[] = {FL_PB_LEN(5), 0, FL_PB_LEN(6), 0, FL_PB_LEN(7), 0};
    struct fl_str bytes;
    if (fl_pb_take_if(r, FL_PB_LEN(1), &bytes)) out->target_is_pod = is_pod(bytes);
    fl_pb_take_if(r, FL_PB_LEN(2), &bytes);
    if (fl_pb_take_if(r, FL_PB_LEN(3), &bytes)) out->pod = bytes;
    if (fl_pb_take_if(r, FL_PB_LEN(4), &bytes)) out->uid = bytes;
    if (r->end - r->p == sizeof end && memcmp(r->p, end, sizeof end) == 0) r->p = r->end;
}

/* core/v1 ObjectReference */
static bool read_target(struct fl_str bytes, struct fl_k8s_endpoint *out) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    read_usual_target(&r, out);
    while (fl_pb_next(&r, &f)) switch (f.tag) {
        case FL_PB_LEN(1):
            out->target_is_pod = is_pod(f.bytes);
            break;
        case FL_PB_LEN(3):
            out->pod = f.bytes;
            break;
        case FL_PB_LEN(4):
            out->uid = f.bytes;
            break;
        default:
            other(&r, &f, FIELD(1) | FIELD(3) | FIELD(4));
        }
    return !r.bad;
}

/* The three conditions as every controller writes them: a tag and a value each, in order. */
static bool read_usual_conditions(struct fl_str bytes, struct fl_k8s_endpoint *out) {
    const char *p = bytes.p;
    if (bytes.n != 6 || p[0] != FL_PB_VARINT(1) || p[2] != FL_PB_VARINT(2) ||
        p[4] != FL_PB_VARINT(3) || ((p[1] | p[3] | p[5]) & ~1))
        return false;
    out->ready = p[1];
    out->serving = p[3];
    out->terminating = p[5];
    return true;
}

/* discovery/v1 EndpointConditions */
static bool read_conditions(struct fl_str bytes, struct fl_k8s_endpoint *out) {
    if (read_usual_conditions(bytes, out)) return true;
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    while (fl_pb_next(&r, &f)) switch (f.tag) {
        case FL_PB_VARINT(1):
            out->ready = f.value != 0;
            break;
        case FL_PB_VARINT(2):
            out->serving = f.value != 0;
            break;
        case FL_PB_VARINT(3):
            out->terminating = f.value != 0;
            break;
        default:
            other(&r, &f, FIELD(1) | FIELD(2) | FIELD(3));
        }
    return !r.bad;
}

/* ForZone and ForNode: a name. */
static bool read_hint(struct fl_k8s_reader *reader, struct fl_str bytes, bool zone) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    struct fl_str name = FL_STR_NONE;
    while (fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_LEN(1))
            name = f.bytes;
        else
            other(&r, &f, FIELD(1));
    }
    fl_k8s_reader_hint(reader, zone, name);
    return !r.bad;
}

/* discovery/v1 EndpointHints */
static bool read_hints(struct fl_k8s_reader *reader, struct fl_str bytes,
                       struct fl_k8s_endpoint *out) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    fl_k8s_reader_start_hints(reader, out);
    while (fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_LEN(1) || f.tag == FL_PB_LEN(2))
            r.bad |= !read_hint(reader, f.bytes, f.tag == FL_PB_LEN(1));
        else
            other(&r, &f, FIELD(1) | FIELD(2));
    }
    return !r.bad;
}

static void take_address(struct fl_k8s_endpoint *out, struct fl_str address) {
    if (!out->has_address) out->address = address;
    out->has_address = true;
}

/* Fields of an Endpoint in the order of their numbers, as every API server writes them; those it
 * stops at are left to the walk. */
static inline void read_usual_endpoint(struct fl_parse *r, struct fl_k8s_endpoint *out) {
    struct fl_str bytes;
    if (fl_pb_take_if(r, FL_PB_LEN(1), &bytes)) take_address(out, bytes);
    if (fl_pb_take_if(r, FL_PB_LEN(2), &bytes)) r->bad |= !read_conditions(bytes, out);
    if (fl_pb_take_if(r, FL_PB_LEN(4), &bytes)) r->bad |= !read_target(bytes, out);
    if (fl_pb_take_if(r, FL_PB_LEN(6), &bytes)) out->node = bytes;
    if (fl_pb_take_if(r, FL_PB_LEN(7), &bytes)) out->zone = bytes;
}

/* discovery/v1 Endpoint */
static int decode_endpoint(struct fl_k8s_reader *reader, struct fl_str bytes, uint64_t hash,
                           struct fl_error *err) {
    struct fl_k8s_endpoint out;
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    fl_k8s_endpoint_init(&out);
    out.hash = hash;
    read_usual_endpoint(&r, &out);
    while (fl_pb_next(&r, &f)) switch (f.tag) {
        case FL_PB_LEN(1):
            take_address(&out, f.bytes);
            break;
        case FL_PB_LEN(2):
            r.bad |= !read_conditions(f.bytes, &out);
            break;
        case FL_PB_LEN(4):
            r.bad |= !read_target(f.bytes, &out);
            break;
        case FL_PB_LEN(6):
            out.node = f.bytes;
            break;
        case FL_PB_LEN(7):
            out.zone = f.bytes;
            break;
        case FL_PB_LEN(8):
            r.bad |= !read_hints(reader, f.bytes, &out);
            break;
        default:
            other(&r, &f, FIELD(1) | FIELD(2) | FIELD(4) | FIELD(6) | FIELD(7) | FIELD(8));
        }
    if (r.bad) return ended(&r, "endpoint", err);
    return explain(fl_k8s_reader_add(reader, &out), "too many endpoints", err);
}

/* One that the previous block has, as nearly all of an update are, is not decoded. */
static int read_endpoint(struct fl_k8s_reader *reader, struct fl_str bytes, struct fl_error *err) {
    uint64_t hash = fl_hash(bytes, 0);
    if (reader->previous && fl_block_builder_reuse(reader->builder, hash)) return 0;
    return decode_endpoint(reader, bytes, hash, err);
}

/* EndpointPort, of discovery/v1 (2 protocol, 3 port) or of core/v1 (2 port, 3 protocol). */
static int read_port(struct fl_k8s_reader *reader, struct fl_str bytes, struct fl_error *err) {
    bool core = reader->kind == FL_K8S_ENDPOINTS;
    uint32_t protocol = core ? FL_PB_LEN(3) : FL_PB_LEN(2);
    uint32_t number = core ? FL_PB_VARINT(2) : FL_PB_VARINT(3);
    struct fl_block_port out = {0};
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    while (fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_LEN(1))
            out.name = f.bytes;
        else if (f.tag == protocol)
            out.protocol = f.bytes;
        else if (f.tag == number)
            take_u16(&r, f.value, &out.port);
        else if (f.tag == FL_PB_LEN(4))
            out.app_protocol = f.bytes;
        else
            other(&r, &f, FIELD(1) | FIELD(2) | FIELD(3) | FIELD(4));
    }
    if (r.bad) return ended(&r, "port", err);
    return explain(fl_block_builder_port(reader->builder, &out), "too many ports", err);
}

static int read_slice(struct fl_k8s_reader *reader, struct fl_str bytes, struct fl_error *err) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    int rc = 0;
    fl_block_builder_start(reader->builder, reader->previous);
    while (!rc && fl_pb_next(&r, &f)) switch (f.tag) {
        case FL_PB_LEN(2):
            rc = read_endpoint(reader, f.bytes, err);
            break;
        case FL_PB_LEN(3):
            rc = read_port(reader, f.bytes, err);
            break;
        default:
            other(&r, &f, FIELD(2) | FIELD(3));
        }
    if (!rc) rc = ended(&r, "EndpointSlice", err);
    if (rc) return rc;
    return explain(fl_block_builder_finish(reader->builder, &reader->object.block),
                   "EndpointSlice too large", err);
}

/* --- core/v1 Endpoints --- */

/* EndpointAddress. The same bytes in the other list, or in a slice, are another endpoint. */
static int add_subset_address(struct fl_k8s_reader *reader, struct fl_str bytes, bool ready) {
    struct fl_k8s_endpoint out;
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    fl_k8s_endpoint_init(&out);
    out.ready = out.serving = ready;
    out.hash = fl_hash(bytes, 1 + ready);
    if (reader->previous && fl_block_builder_reuse(reader->builder, out.hash)) return 0;
    while (fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_LEN(1))
            take_address(&out, f.bytes);
        else if (f.tag == FL_PB_LEN(2))
            r.bad |= !read_target(f.bytes, &out);
        else if (f.tag == FL_PB_LEN(4))
            out.node = f.bytes;
        else
            other(&r, &f, FIELD(1) | FIELD(2) | FIELD(4));
    }
    return r.bad ? FL_EPROTO : fl_k8s_reader_add(reader, &out);
}

static int add_subset(struct fl_k8s_reader *reader, struct fl_str bytes, bool with_ports) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    int rc = 0;
    while (!rc && fl_pb_next(&r, &f)) switch (f.tag) {
        case FL_PB_LEN(1):
        case FL_PB_LEN(2):
            rc = add_subset_address(reader, f.bytes, f.tag == FL_PB_LEN(1));
            break;
        case FL_PB_LEN(3):
            if (with_ports) rc = read_port(reader, f.bytes, NULL);
            break;
        default:
            other(&r, &f, FIELD(1) | FIELD(2) | FIELD(3));
        }
    return rc ? rc : ended(&r, "subset", NULL);
}

static int note_subset(struct fl_k8s_reader *reader, struct fl_str bytes) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    uint64_t ports = 0;
    while (fl_pb_next(&r, &f))
        if (f.tag == FL_PB_LEN(3)) ports = fl_hash(f.bytes, ports);
    return r.bad ? FL_EPROTO : fl_k8s_reader_subset(reader, bytes, ports);
}

static int read_endpoints(struct fl_k8s_reader *reader, struct fl_str bytes, struct fl_error *err) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    int rc = 0;
    while (!rc && fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_LEN(2))
            rc = note_subset(reader, f.bytes);
        else
            other(&r, &f, FIELD(2));
    }
    if (!rc) rc = ended(&r, "Endpoints", NULL);
    if (!rc) rc = fl_k8s_reader_join_subsets(reader, add_subset);
    return explain(rc, rc == FL_EPROTO ? "malformed subset" : "Endpoints too large", err);
}

/* --- core/v1 Service --- */

/* util/intstr IntOrString */
static bool read_target_port(struct fl_str bytes, struct fl_k8s_service_port *out) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    struct fl_str name = FL_STR_NONE;
    bool named = false;
    while (fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_VARINT(1))
            named = f.value == 1;
        else if (f.tag == FL_PB_VARINT(2))
            take_u16(&r, f.value, &out->target_port);
        else if (f.tag == FL_PB_LEN(3))
            name = f.bytes;
        else
            other(&r, &f, FIELD(1) | FIELD(2) | FIELD(3));
    }
    if (named) {
        out->target_name = name;
        out->target_port = 0;
    }
    return !r.bad;
}

static int read_service_port(struct fl_k8s_reader *reader, struct fl_str bytes,
                             struct fl_error *err) {
    struct fl_k8s_service_port *out;
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    int rc = fl_k8s_reader_port(reader, &out);
    if (rc) return explain(rc, "too many ports", err);
    while (fl_pb_next(&r, &f)) switch (f.tag) {
        case FL_PB_LEN(1):
            out->name = f.bytes;
            break;
        case FL_PB_LEN(2):
            out->protocol = f.bytes;
            break;
        case FL_PB_VARINT(3):
            take_u16(&r, f.value, &out->port);
            break;
        case FL_PB_LEN(4):
            r.bad |= !read_target_port(f.bytes, out);
            break;
        case FL_PB_LEN(6):
            out->app_protocol = f.bytes;
            break;
        default:
            other(&r, &f, FIELD(1) | FIELD(2) | FIELD(3) | FIELD(4) | FIELD(6));
        }
    return ended(&r, "port", err);
}

static int read_service_spec(struct fl_k8s_reader *reader, struct fl_str bytes,
                             struct fl_error *err) {
    struct fl_k8s_object *object = &reader->object;
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    int rc = 0;
    while (!rc && fl_pb_next(&r, &f)) switch (f.tag) {
        case FL_PB_LEN(1):
            rc = read_service_port(reader, f.bytes, err);
            break;
        case FL_PB_LEN(3):
            object->headless = fl_str_eq(f.bytes, FL_STR("None"));
            break;
        case FL_PB_LEN(4):
            object->type = f.bytes;
            break;
        case FL_PB_LEN(10):
            object->external_name = f.bytes;
            break;
        case FL_PB_VARINT(13):
            object->publish_not_ready = f.value != 0;
            break;
        default:
            other(&r, &f, FIELD(1) | FIELD(3) | FIELD(4) | FIELD(10) | FIELD(13));
        }
    return rc ? rc : ended(&r, "Service", err);
}

static int read_service(struct fl_k8s_reader *reader, struct fl_str bytes, struct fl_error *err) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    int rc = 0;
    while (!rc && fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_LEN(2))
            rc = read_service_spec(reader, f.bytes, err);
        else
            other(&r, &f, FIELD(2));
    }
    return rc ? rc : ended(&r, "Service", err);
}

static int read_object(struct fl_k8s_reader *reader, struct fl_str bytes, struct fl_error *err) {
    int rc = read_object_meta(reader, bytes, err);
    if (rc || reader->meta_only) return rc;
    switch (reader->kind) {
    case FL_K8S_ENDPOINTSLICE:
        fl_k8s_reader_find_previous(reader);
        return read_slice(reader, bytes, err);
    case FL_K8S_ENDPOINTS:
        fl_k8s_reader_find_previous(reader);
        return read_endpoints(reader, bytes, err);
    case FL_K8S_SERVICE:
        return read_service(reader, bytes, err);
    default:
        return 0;
    }
}

/* --- meta/v1 --- */

static bool read_cause(struct fl_str bytes, struct fl_k8s_status *out) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    while (fl_pb_next(&r, &f)) {
        if (f.tag != FL_PB_LEN(1))
            other(&r, &f, FIELD(1));
        else if (fl_str_eq(f.bytes, FL_K8S_CAUSE_TOO_LARGE))
            out->version_too_large = true;
    }
    return !r.bad;
}

static bool read_details(struct fl_str bytes, struct fl_k8s_status *out) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    while (fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_LEN(4))
            r.bad |= !read_cause(f.bytes, out);
        else if (f.tag == FL_PB_VARINT(5))
            out->retry_after_s = (uint32_t)f.value;
        else
            other(&r, &f, FIELD(4) | FIELD(5));
    }
    return !r.bad;
}

static int read_status(struct fl_k8s_reader *reader, struct fl_str bytes, struct fl_k8s_status *out,
                       struct fl_error *err) {
    FL_UNUSED(reader);
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    while (fl_pb_next(&r, &f)) switch (f.tag) {
        case FL_PB_LEN(3):
            out->message = f.bytes;
            break;
        case FL_PB_LEN(4):
            out->reason = f.bytes;
            break;
        case FL_PB_LEN(5):
            r.bad |= !read_details(f.bytes, out);
            break;
        case FL_PB_VARINT(6):
            out->code = (int)(int32_t)(uint32_t)f.value;
            break;
        default:
            other(&r, &f, FIELD(3) | FIELD(4) | FIELD(5) | FIELD(6));
        }
    return ended(&r, "Status", err);
}

static int read_list_meta(struct fl_k8s_reader *reader, struct fl_str bytes,
                          struct fl_str *resource_version, struct fl_str *continue_token,
                          struct fl_error *err) {
    FL_UNUSED(reader);
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field f;
    while (fl_pb_next(&r, &f)) {
        if (f.tag == FL_PB_LEN(2))
            *resource_version = f.bytes;
        else if (f.tag == FL_PB_LEN(3))
            *continue_token = f.bytes;
        else
            other(&r, &f, FIELD(2) | FIELD(3));
    }
    return ended(&r, "list metadata", err);
}

const struct fl_k8s_syntax fl_k8s_syntax_pb = {
    .object = read_object,
    .status = read_status,
    .list_meta = read_list_meta,
};
