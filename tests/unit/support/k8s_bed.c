/* k8s_bed.c - see k8s_bed.h. */
#include "support/k8s_bed.h"

#include "base/alloc.h"

/* --- what a decoder gave, as text --- */

static void add(struct seen *seen, const char *text) {
    assert_int_equal(fl_buf_append(&seen->text, fl_str_of(text)), 0);
}

static void add_str(struct seen *seen, const char *key, struct fl_str value) {
    if (value.n)
        assert_int_equal(fl_buf_printf(&seen->text, " %s=%.*s", key, FL_STR_ARG(value)), 0);
}

static void add_hints(struct seen *seen, const struct fl_block *block, size_t i) {
    struct fl_block_hints hints;
    fl_block_hints_at(block, i, &hints);
    for (size_t k = 0; k < hints.zone_count; k++)
        assert_int_equal(fl_buf_printf(&seen->text, " zone=%s", hints.zones[k].p), 0);
    for (size_t k = 0; k < hints.node_count; k++)
        assert_int_equal(fl_buf_printf(&seen->text, " node=%s", hints.nodes[k].p), 0);
}

static void add_block(struct seen *seen, const struct fl_block *block) {
    for (size_t i = 0; i < fl_block_port_count(block); i++) {
        struct fl_block_port port;
        fl_block_port_at(block, i, &port);
        assert_int_equal(fl_buf_printf(&seen->text, " port(%.*s,%.*s,%u,%.*s)",
                                       FL_STR_ARG(port.name), FL_STR_ARG(port.protocol), port.port,
                                       FL_STR_ARG(port.app_protocol)),
                         0);
    }
    for (size_t i = 0; i < fl_block_count(block); i++) {
        struct fl_block_endpoint e;
        char address[FL_ADDRESS_TEXT_MAX];
        fl_block_endpoint_at(block, i, &e);
        fl_address_format(&e.address, address);
        assert_int_equal(fl_buf_printf(&seen->text, " [%s %s%s%s %.*s/%.*s %.*s%.*s %02x%02x",
                                       address, e.flags & FL_ENDPOINT_READY ? "R" : "-",
                                       e.flags & FL_ENDPOINT_SERVING ? "S" : "-",
                                       e.flags & FL_ENDPOINT_TERMINATING ? "T" : "-",
                                       FL_STR_ARG(e.node), FL_STR_ARG(e.zone),
                                       FL_STR_ARG(e.pod_prefix), FL_STR_ARG(e.pod_suffix), e.uid[0],
                                       e.uid[15]),
                         0);
        add_hints(seen, block, i);
        add(seen, "]");
    }
}

static void add_service(struct seen *seen, const struct fl_k8s_object *object) {
    add_str(seen, "type", object->type);
    add_str(seen, "external", object->external_name);
    if (object->publish_not_ready) add(seen, " not-ready");
    if (object->headless) add(seen, " headless");
    for (size_t i = 0; i < object->port_count; i++) {
        const struct fl_k8s_service_port *p = &object->ports[i];
        assert_int_equal(fl_buf_printf(&seen->text, " port(%.*s,%.*s,%u,%u%.*s,%.*s)",
                                       FL_STR_ARG(p->name), FL_STR_ARG(p->protocol), p->port,
                                       p->target_port, FL_STR_ARG(p->target_name),
                                       FL_STR_ARG(p->app_protocol)),
                         0);
    }
}

static int on_object(void *arg, enum fl_k8s_event event, struct fl_k8s_object *object) {
    static const char *const names[] = {"ADDED",    "MODIFIED", "DELETED",
                                        "BOOKMARK", "ERROR",    "ITEM"};
    struct seen *seen = arg;
    seen->objects++;
    add(seen, names[event]);
    add_str(seen, "ns", object->ns);
    add_str(seen, "name", object->name);
    add_str(seen, "uid", object->uid);
    add_str(seen, "rv", object->resource_version);
    add_str(seen, "service", object->service);
    if (object->initial_events_end) add(seen, " end");
    if (object->truncated) add(seen, " truncated");
    if (object->skipped)
        assert_int_equal(fl_buf_printf(&seen->text, " skipped=%zu", object->skipped), 0);
    if (object->block) add_block(seen, object->block);
    for (size_t i = 0; i < object->more_count; i++) {
        add(seen, " +");
        add_block(seen, object->more[i]);
    }
    if (object->kind == FL_K8S_SERVICE) add_service(seen, object);
    add(seen, "\n");
    if (seen->hold) {
        fl_block_unref(seen->held);
        seen->held = object->block;
        object->block = NULL;
    }
    return seen->answer;
}

static void on_error(void *arg, const struct fl_k8s_status *status) {
    struct seen *seen = arg;
    assert_int_equal(fl_buf_printf(&seen->text, "ERROR %d %.*s (%.*s) retry=%u%s\n", status->code,
                                   FL_STR_ARG(status->reason), FL_STR_ARG(status->message),
                                   status->retry_after_s,
                                   status->version_too_large ? " too-large" : ""),
                     0);
}

static void on_list_end(void *arg, struct fl_str version, struct fl_str token) {
    struct seen *seen = arg;
    assert_int_equal(
        fl_buf_printf(&seen->text, "END %.*s %.*s\n", FL_STR_ARG(version), FL_STR_ARG(token)), 0);
}

static struct fl_block *previous_block(void *arg, struct fl_str ns, struct fl_str name) {
    struct seen *seen = arg;
    FL_UNUSED(ns);
    assert_true(name.n > 0);
    return seen->held;
}

const struct fl_k8s_decoder_events events = {on_object, on_error, on_list_end, previous_block};

void seen_init(struct seen *seen) {
    *seen = (struct seen){0};
    fl_buf_init(&seen->text, 1 << 24);
}

void seen_deinit(struct seen *seen) {
    seen->held = fl_block_unref(seen->held);
    fl_buf_deinit(&seen->text);
}

/* --- feeding --- */

static int feed_pieces(struct fl_k8s_decoder *decoder, struct fl_str bytes, size_t first,
                       size_t piece, struct fl_error *err) {
    size_t at = 0;
    while (at < bytes.n) {
        size_t n = FL_MIN(bytes.n - at, at == 0 && first ? first : piece);
        /* A copy that ends where the piece ends: reading beyond it is for the sanitizer to see, and
         * what is borrowed from it after the feed, too. */
        char *copy = fl_alloc(n);
        assert_non_null(copy);
        memcpy(copy, bytes.p + at, n);
        int rc = fl_k8s_decoder_feed(decoder, fl_str_n(copy, n), err);
        fl_free(copy);
        if (rc) return rc;
        at += n;
    }
    return 0;
}

int decode_pieces(struct seen *seen, const struct body *body, size_t first, size_t piece,
                  struct fl_error *err) {
    struct fl_k8s_decoder *decoder;
    assert_int_equal(fl_k8s_decoder_new(body->kind, &events, seen, &decoder), 0);
    fl_k8s_decoder_start(decoder, body->body, body->format);
    int rc = feed_pieces(decoder, body->bytes, first, piece, err);
    if (!rc) rc = fl_k8s_decoder_end(decoder, err);
    fl_k8s_decoder_free(decoder);
    return rc;
}

void expect_every_split(const struct body *body, const char *expected) {
    for (size_t first = 0; first <= body->bytes.n; first++) {
        struct seen seen;
        struct fl_error err = {0};
        seen_init(&seen);
        int rc = decode_pieces(&seen, body, first, first ? SIZE_MAX : 1, &err);
        if (rc) print_error("%s\n", err.detail);
        assert_int_equal(rc, 0);
        assert_int_equal(fl_buf_byte(&seen.text, '\0'), 0);
        assert_string_equal(fl_buf_str(&seen.text).p, expected);
        seen_deinit(&seen);
    }
}

int decode_code(const struct body *body, struct fl_error *err) {
    struct seen seen;
    seen_init(&seen);
    int rc = decode_pieces(&seen, body, 0, SIZE_MAX, err);
    seen_deinit(&seen);
    return rc;
}

struct body json_body(enum fl_k8s_kind kind, enum fl_k8s_body body, const char *text) {
    return (struct body){kind, body, FL_K8S_JSON, fl_str_of(text)};
}

/* --- samples --- */

const struct fl_k8s_endpoint_spec endpoints[3] = {
    {S("10.0.0.1"), 1, 1, 0, S("node-a"), S("zone-1"), S("echo-7d9-aaaaa"),
     S("11111111-2222-3333-4444-5555555555aa"), NULL},
    {S("10.0.0.2"), 0, 1, 1, S("node-b"), S("zone-2"), S("echo-7d9-bbbbb"),
     S("21111111-2222-3333-4444-5555555555bb"), NULL},
    {S("fd00::1"), -1, -1, -1, FL_STR_NONE, FL_STR_NONE, FL_STR_NONE, FL_STR_NONE, NULL},
};
static const struct fl_block_port ports[] = {
    {S("http"), S("TCP"), S("kubernetes.io/h2c"), 8080},
    {S("metrics"), S("TCP"), FL_STR_NONE, 9090},
};
static const struct fl_k8s_label labels[] = {{S("app"), S("echo \"quoted\"\n")},
                                             {S("kubernetes.io/service-name"), S("echo")}};

struct fl_k8s_slice_spec slice_spec(void) {
    return (struct fl_k8s_slice_spec){
        .meta = {.name = S("echo-x2z9k"),
                 .ns = S("default"),
                 .uid = S("u-1"),
                 .resource_version = S("1234"),
                 .created_s = 1700000000,
                 .labels = labels,
                 .label_count = FL_COUNT(labels)},
        .address_type = S("IPv4"),
        .endpoints = endpoints,
        .endpoint_count = FL_COUNT(endpoints),
        .ports = ports,
        .port_count = FL_COUNT(ports),
    };
}

static const struct fl_k8s_service_port service_ports[] = {
    {S("http"), S("TCP"), S("kubernetes.io/h2c"), FL_STR_NONE, 80, 8080},
    {S("grpc"), S("TCP"), FL_STR_NONE, S("grpc-port"), 81, 0},
};

struct fl_k8s_service_spec service_spec(void) {
    return (struct fl_k8s_service_spec){
        .meta = {.name = S("echo"), .ns = S("default"), .resource_version = S("77")},
        .type = S("ClusterIP"),
        .cluster_ip = S("None"),
        .publish_not_ready = true,
        .ports = service_ports,
        .port_count = FL_COUNT(service_ports),
    };
}

struct fl_str encoded_slice(struct fl_buf *out, enum fl_k8s_format format,
                            const struct fl_k8s_slice_spec *spec) {
    fl_buf_init(out, 1 << 24);
    assert_int_equal(fl_k8s_encode_slice(out, format, spec), 0);
    return fl_buf_str(out);
}

const enum fl_k8s_format formats[2] = {FL_K8S_JSON, FL_K8S_PROTOBUF};

void put_event(struct fl_buf *out, enum fl_k8s_format format, enum fl_k8s_event event,
               enum fl_k8s_kind kind, struct fl_str object) {
    assert_int_equal(fl_k8s_encode_event(out, format, event, kind, object), 0);
}

void put_list(struct fl_buf *out, enum fl_k8s_format format, enum fl_k8s_kind kind,
              const struct fl_str *objects, size_t count, struct fl_str version,
              struct fl_str token) {
    assert_int_equal(fl_k8s_encode_list(out, format, kind, objects, count, version, token), 0);
}
