/* wire_k8s_test.c - objects, watch events and lists: encoded, chopped up, decoded, in both formats.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "support/alloc.h"
#include "wire/json_write.h"
#include "wire/k8s.h"
#include "wire/pb.h"

#define S FL_STR

/* --- what a decoder gave, as text --- */

struct seen {
    struct fl_buf text;
    struct fl_block *held; /* what `previous` answers; the last block, if `hold` */
    bool hold;
    int answer; /* of on_object */
    size_t objects;
};

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

static struct fl_block *previous(void *arg, struct fl_str ns, struct fl_str name) {
    struct seen *seen = arg;
    FL_UNUSED(ns);
    assert_true(name.n > 0);
    return seen->held;
}

static const struct fl_k8s_decoder_events events = {on_object, on_error, on_list_end, previous};

static void seen_init(struct seen *seen) {
    *seen = (struct seen){0};
    fl_buf_init(&seen->text, 1 << 24);
}

static void seen_deinit(struct seen *seen) {
    seen->held = fl_block_unref(seen->held);
    fl_buf_deinit(&seen->text);
}

/* --- feeding --- */

struct body {
    enum fl_k8s_kind kind;
    enum fl_k8s_body body;
    enum fl_k8s_format format;
    struct fl_str bytes;
};

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

/* Decodes with a first piece of `first` bytes (0: as the others) and further ones of `piece`. */
static int decode_pieces(struct seen *seen, const struct body *body, size_t first, size_t piece,
                         struct fl_error *err) {
    struct fl_k8s_decoder *decoder;
    assert_int_equal(fl_k8s_decoder_new(body->kind, &events, seen, &decoder), 0);
    fl_k8s_decoder_start(decoder, body->body, body->format);
    int rc = feed_pieces(decoder, body->bytes, first, piece, err);
    if (!rc) rc = fl_k8s_decoder_end(decoder, err);
    fl_k8s_decoder_free(decoder);
    return rc;
}

/* Decodes whole, byte by byte, and split once at every place; the same must come out. */
static void expect_every_split(const struct body *body, const char *expected) {
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

static int decode_code(const struct body *body, struct fl_error *err) {
    struct seen seen;
    seen_init(&seen);
    int rc = decode_pieces(&seen, body, 0, SIZE_MAX, err);
    seen_deinit(&seen);
    return rc;
}

static struct body json_body(enum fl_k8s_kind kind, enum fl_k8s_body body, const char *text) {
    return (struct body){kind, body, FL_K8S_JSON, fl_str_of(text)};
}

/* --- samples --- */

static const struct fl_k8s_endpoint_spec endpoints[] = {
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

static struct fl_k8s_slice_spec slice_spec(void) {
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

#define SLICE_TEXT                                                                                 \
    " ns=default name=echo-x2z9k uid=u-1 rv=1234 service=echo"                                     \
    " port(http,TCP,8080,kubernetes.io/h2c) port(metrics,TCP,9090,)"                               \
    " [10.0.0.1 RS- node-a/zone-1 echo-7d9-aaaaa 11aa]"                                            \
    " [10.0.0.2 -ST node-b/zone-2 echo-7d9-bbbbb 21bb]"                                            \
    " [fd00::1 RS- /  0000]\n"

static const struct fl_k8s_service_port service_ports[] = {
    {S("http"), S("TCP"), S("kubernetes.io/h2c"), FL_STR_NONE, 80, 8080},
    {S("grpc"), S("TCP"), FL_STR_NONE, S("grpc-port"), 81, 0},
};

static struct fl_k8s_service_spec service_spec(void) {
    return (struct fl_k8s_service_spec){
        .meta = {.name = S("echo"), .ns = S("default"), .resource_version = S("77")},
        .type = S("ClusterIP"),
        .cluster_ip = S("None"),
        .publish_not_ready = true,
        .ports = service_ports,
        .port_count = FL_COUNT(service_ports),
    };
}

static void expect_nomem_or_all(const struct body *body, size_t all);

static struct fl_str encoded_slice(struct fl_buf *out, enum fl_k8s_format format,
                                   const struct fl_k8s_slice_spec *spec) {
    fl_buf_init(out, 1 << 24);
    assert_int_equal(fl_k8s_encode_slice(out, format, spec), 0);
    return fl_buf_str(out);
}

static const enum fl_k8s_format formats[] = {FL_K8S_JSON, FL_K8S_PROTOBUF};
#define EACH_FORMAT(format)                                                                        \
    for (size_t format##_i = 0; format##_i < FL_COUNT(formats); format##_i++)                      \
        for (enum fl_k8s_format format = formats[format##_i], *format##_once = &format;            \
             format##_once; format##_once = NULL)

/* --- tests --- */

static void test_watch_round_trip_in_any_chunking(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_buf object, out;
        struct fl_str slice = encoded_slice(&object, format, &spec);
        fl_buf_init(&out, 1 << 20);
        assert_int_equal(
            fl_k8s_encode_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice), 0);
        assert_int_equal(
            fl_k8s_encode_event(&out, format, FL_K8S_DELETED, FL_K8S_ENDPOINTSLICE, slice), 0);
        fl_buf_truncate(&object, 0);
        assert_int_equal(
            fl_k8s_encode_bookmark(&object, format, FL_K8S_ENDPOINTSLICE, S("99"), true), 0);
        assert_int_equal(fl_k8s_encode_event(&out, format, FL_K8S_BOOKMARK, FL_K8S_ENDPOINTSLICE,
                                             fl_buf_str(&object)),
                         0);
        fl_buf_truncate(&object, 0);
        const struct fl_k8s_status gone = {
            .code = 410, .reason = S("Expired"), .message = S("too old")};
        assert_int_equal(fl_k8s_encode_status(&object, format, &gone), 0);
        assert_int_equal(
            fl_k8s_encode_event(&out, format, FL_K8S_ERROR, FL_K8S_STATUS, fl_buf_str(&object)), 0);
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        expect_every_split(&body, "ADDED" SLICE_TEXT "DELETED" SLICE_TEXT "BOOKMARK rv=99 end\n"
                                  "ERROR 410 Expired (too old) retry=0\n");
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
}

static void test_list_round_trip_in_any_chunking(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_buf object, out;
        struct fl_str slice = encoded_slice(&object, format, &spec);
        const struct fl_str objects[] = {slice, slice};
        fl_buf_init(&out, 1 << 20);
        assert_int_equal(fl_k8s_encode_list(&out, format, FL_K8S_ENDPOINTSLICE, objects, 2,
                                            S("5000"), S("token")),
                         0);
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_LIST, format, fl_buf_str(&out)};
        expect_every_split(&body, "ITEM" SLICE_TEXT "ITEM" SLICE_TEXT "END 5000 token\n");
        fl_buf_truncate(&out, 0);
        assert_int_equal(
            fl_k8s_encode_list(&out, format, FL_K8S_ENDPOINTSLICE, NULL, 0, S("1"), FL_STR_NONE),
            0);
        body.bytes = fl_buf_str(&out);
        expect_every_split(&body, "END 1 \n");
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
}

/* W3: what the audit reads. The rest of a whole object that a server sends none the less would be
 * passed over, but its kind gives it away. */
static void test_W3_metadata_round_trip_in_any_chunking(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_buf bare, out;
        struct fl_error err;
        fl_buf_init(&bare, 1 << 20);
        fl_buf_init(&out, 1 << 20);
        assert_int_equal(fl_k8s_encode_metadata(&bare, format, &spec.meta), 0);
        const struct fl_str objects[] = {fl_buf_str(&bare), fl_buf_str(&bare)};
        assert_int_equal(
            fl_k8s_encode_list(&out, format, FL_K8S_METADATA, objects, 2, S("5000"), S("token")),
            0);
        struct body body = {FL_K8S_METADATA, FL_K8S_BODY_LIST, format, fl_buf_str(&out)};
#define META_TEXT "ITEM ns=default name=echo-x2z9k uid=u-1 rv=1234 service=echo\n"
        expect_every_split(&body, META_TEXT META_TEXT "END 5000 token\n");
        expect_nomem_or_all(&body, 2);
        fl_buf_truncate(&bare, 0);
        fl_buf_truncate(&out, 0);
        assert_int_equal(fl_k8s_encode_slice(&bare, format, &spec), 0);
        const struct fl_str whole = fl_buf_str(&bare);
        assert_int_equal(
            fl_k8s_encode_list(&out, format, FL_K8S_ENDPOINTSLICE, &whole, 1, S("1"), FL_STR_NONE),
            0);
        body.bytes = fl_buf_str(&out);
        assert_int_equal(decode_code(&body, &err), FL_EPROTO);
        assert_non_null(strstr(err.detail, "EndpointSliceList where PartialObjectMetadataList"));
        fl_buf_deinit(&bare);
        fl_buf_deinit(&out);
    }
}

static void test_service_round_trip_in_any_chunking(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        struct fl_k8s_service_spec spec = service_spec();
        const struct fl_k8s_service_spec external = {.meta = {.name = S("db"), .ns = S("prod")},
                                                     .type = S("ExternalName"),
                                                     .external_name = S("db.example.org")};
        struct fl_buf object, other, out;
        fl_buf_init(&object, 1 << 20);
        fl_buf_init(&other, 1 << 20);
        fl_buf_init(&out, 1 << 20);
        assert_int_equal(fl_k8s_encode_service(&object, format, &spec), 0);
        assert_int_equal(fl_k8s_encode_service(&other, format, &external), 0);
        const struct fl_str objects[] = {fl_buf_str(&object), fl_buf_str(&other)};
        assert_int_equal(
            fl_k8s_encode_list(&out, format, FL_K8S_SERVICE, objects, 2, S("8"), FL_STR_NONE), 0);
        struct body body = {FL_K8S_SERVICE, FL_K8S_BODY_LIST, format, fl_buf_str(&out)};
        expect_every_split(&body,
                           "ITEM ns=default name=echo rv=77 type=ClusterIP not-ready headless"
                           " port(http,TCP,80,8080,kubernetes.io/h2c) port(grpc,TCP,81,0grpc-port,)"
                           "\nITEM ns=prod name=db type=ExternalName external=db.example.org\n"
                           "END 8 \n");
        fl_buf_deinit(&object);
        fl_buf_deinit(&other);
        fl_buf_deinit(&out);
    }
}

/* W20: Endpoints are the fallback on servers without slices. */
static void test_W20_endpoints_round_trip(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        const struct fl_k8s_label truncated = {S("endpoints.kubernetes.io/over-capacity"),
                                               S("truncated")};
        struct fl_buf object, out;
        spec.meta.name = S("echo");
        spec.meta.label_count = 0;
        spec.meta.annotations = &truncated;
        spec.meta.annotation_count = 1;
        fl_buf_init(&object, 1 << 20);
        fl_buf_init(&out, 1 << 20);
        assert_int_equal(fl_k8s_encode_endpoints(&object, format, &spec), 0);
        assert_int_equal(fl_k8s_encode_event(&out, format, FL_K8S_MODIFIED, FL_K8S_ENDPOINTS,
                                             fl_buf_str(&object)),
                         0);
        struct body body = {FL_K8S_ENDPOINTS, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        expect_every_split(&body,
                           "MODIFIED ns=default name=echo uid=u-1 rv=1234 service=echo truncated"
                           " port(http,TCP,8080,kubernetes.io/h2c) port(metrics,TCP,9090,)"
                           " [10.0.0.1 RS- node-a/ echo-7d9-aaaaa 11aa]"
                           " [fd00::1 RS- /  0000]"
                           " [10.0.0.2 --- node-b/ echo-7d9-bbbbb 21bb]\n");
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
}

static void test_subsets_of_equal_ports_share_a_block(void **state) {
    FL_UNUSED(state);
    struct body body = json_body(
        FL_K8S_ENDPOINTS, FL_K8S_BODY_WATCH,
        "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Endpoints\",\"subsets\":["
        "{\"addresses\":[{\"ip\":\"10.0.0.1\"}],\"ports\":[{\"port\":80,\"protocol\":\"TCP\"}]},"
        "{\"ports\":[{\"port\":81,\"protocol\":\"TCP\"}],\"addresses\":[{\"ip\":\"10.0.0.2\"}]},"
        "{\"notReadyAddresses\":[{\"ip\":\"10.0.0.3\"}],"
        "\"ports\":[{\"port\":80,\"protocol\":\"TCP\"}]},"
        "{\"addresses\":null,\"ports\":null}],"
        "\"metadata\":{\"name\":\"n\",\"namespace\":\"d\"}}}");
    expect_every_split(&body, "ADDED ns=d name=n service=n port(,TCP,80,) [10.0.0.1 RS- /  0000]"
                              " [10.0.0.3 --- /  0000] + port(,TCP,81,) [10.0.0.2 RS- /  0000] +"
                              "\n");
}

static void test_W18_absent_conditions(void **state) {
    FL_UNUSED(state);
    static const struct fl_k8s_endpoint_spec specs[] = {
        {.address = S("10.0.0.1"), .ready = -1, .serving = -1, .terminating = -1},
        {.address = S("10.0.0.2"), .ready = 0, .serving = -1, .terminating = -1},
        {.address = S("10.0.0.3"), .ready = -1, .serving = 0, .terminating = 1},
    };
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_buf object, out;
        spec.endpoints = specs;
        spec.endpoint_count = FL_COUNT(specs);
        spec.port_count = 0;
        struct fl_str slice = encoded_slice(&object, format, &spec);
        fl_buf_init(&out, 1 << 20);
        assert_int_equal(
            fl_k8s_encode_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice), 0);
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        expect_every_split(&body, "ADDED ns=default name=echo-x2z9k uid=u-1 rv=1234 service=echo"
                                  " [10.0.0.1 RS- /  0000] [10.0.0.2 -S- /  0000]"
                                  " [10.0.0.3 R-T /  0000]\n");
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
}

static void test_hints_of_zones_and_nodes(void **state) {
    FL_UNUSED(state);
    static const struct fl_block_hints a = {.zones = {S("a")}, .zone_count = 1};
    static const struct fl_block_hints both = {
        .zones = {S("a"), S("b")}, .nodes = {S("n-1")}, .zone_count = 2, .node_count = 1};
    static const struct fl_k8s_endpoint_spec specs[] = {
        {.address = S("10.0.0.1"), .hints = &a},
        {.address = S("10.0.0.2")},
        {.address = S("10.0.0.3"), .hints = &both},
        {.address = S("10.0.0.4"), .hints = &a},
    };
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_buf object, out;
        spec.endpoints = specs;
        spec.endpoint_count = FL_COUNT(specs);
        spec.port_count = 0;
        struct fl_str slice = encoded_slice(&object, format, &spec);
        fl_buf_init(&out, 1 << 20);
        assert_int_equal(
            fl_k8s_encode_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice), 0);
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        expect_every_split(&body, "ADDED ns=default name=echo-x2z9k uid=u-1 rv=1234 service=echo"
                                  " [10.0.0.1 --- /  0000 zone=a] [10.0.0.2 --- /  0000]"
                                  " [10.0.0.3 --- /  0000 zone=a zone=b node=n-1]"
                                  " [10.0.0.4 --- /  0000 zone=a]\n");
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
}

/* The API server allows eight; what another one adds is passed over. */
static void test_more_hints_than_allowed(void **state) {
    FL_UNUSED(state);
    struct body body =
        json_body(FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH,
                  "{\"type\":\"ADDED\",\"object\":{\"endpoints\":[{\"addresses\":[\"10.0.0.1\"],"
                  "\"hints\":{\"forZones\":[{\"name\":\"1\"},{\"name\":\"2\"},{\"name\":\"3\"},"
                  "{\"name\":\"4\"},{\"name\":\"5\"},{\"name\":\"6\"},{\"name\":\"7\"},"
                  "{\"name\":\"8\"},{\"name\":\"9\"}],\"forNodes\":null}}],"
                  "\"metadata\":{\"name\":\"n\",\"namespace\":\"d\"}}}");
    expect_every_split(&body, "ADDED ns=d name=n [10.0.0.1 RS- /  0000 zone=1 zone=2 zone=3 zone=4"
                              " zone=5 zone=6 zone=7 zone=8]\n");
}

static void test_json_keys_in_any_order(void **state) {
    FL_UNUSED(state);
    struct body watch = json_body(
        FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH,
        " { \"object\" : {\"ports\":null,\"x\":[1,{\"y\":\"}\\\"\"}],\"endpoints\":"
        "[{\"zone\":\"z\",\"addresses\":[\"10.0.0.1\",\"10.0.0.2\"],\"hints\":{\"forZones\":[]},"
        "\"conditions\":null,\"targetRef\":{\"name\":\"p\\u002d1\",\"kind\":\"Pod\"}}],"
        "\"metadata\":{\"managedFields\":[{\"a\":{}}],\"labels\":{\"a\":\"b\","
        "\"kubernetes.io\\/service-name\":\"s\\u00e9\"},\"namespace\":\"d\",\"name\":\"n\"},"
        "\"kind\":\"EndpointSlice\"} , \"type\" : \"ADDED\" }\r\n\r\n"
        "{\"object\":{\"a\":1},\"type\":\"PROGRESS\"}\n");
    expect_every_split(&watch, "ADDED ns=d name=n service=s\xc3\xa9 [10.0.0.1 RS- /z p-1 0000]\n");
    struct body list = json_body(FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_LIST,
                                 "{\"items\":[{\"metadata\":{\"name\":\"n\",\"namespace\":\"d\"}}],"
                                 "\"x\":{},\"metadata\":{\"continue\":\"c\\n\",\"resourceVersion\":"
                                 "\"7\"},\"kind\":\"EndpointSliceList\"}");
    expect_every_split(&list, "ITEM ns=d name=n\nEND 7 c\n\n");
    struct body empty =
        json_body(FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_LIST, "{\"metadata\":null,\"items\":null}");
    expect_every_split(&empty, "END  \n");
}

/* Of a slice with this one endpoint, `space` put behind its opening brace. */
static int decode_endpoint(struct seen *seen, const char *endpoint, const char *space) {
    char text[1024];
    int n = snprintf(text, sizeof(text),
                     "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"},"
                     "\"endpoints\":[{%s%s,{\"addresses\":[\"10.0.0.9\"]}]}}\n",
                     space, endpoint);
    assert_true(n > 0 && (size_t)n < sizeof(text));
    struct body body = json_body(FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH, text);
    struct fl_error err;
    seen_init(seen);
    return decode_pieces(seen, &body, body.bytes.n, body.bytes.n, &err);
}

/* The space keeps it from being taken as what the API server writes. */
static void expect_read_alike(const char *endpoint) {
    struct seen quick, slow;
    int rc = decode_endpoint(&quick, endpoint, "");
    assert_int_equal(decode_endpoint(&slow, endpoint, " "), rc);
    assert_true(fl_str_eq(fl_buf_str(&quick.text), fl_buf_str(&slow.text)));
    seen_deinit(&quick);
    seen_deinit(&slow);
}

/* What comes in the API server's own spelling is read past the tokenizer; and so, or not so, is
 * each text that differs from it in one byte, or ends early. */
static void test_json_endpoints_are_read_alike(void **state) {
    static const char *const written[] = {
        "\"addresses\":[\"10.0.0.1\"],"
        "\"conditions\":{\"ready\":true,\"serving\":false,\"terminating\":true},"
        "\"targetRef\":{\"kind\":\"Pod\",\"namespace\":\"n\",\"name\":\"pod-1\","
        "\"uid\":\"00112233-4455-6677-8899-aabbccddeeff\"},"
        "\"nodeName\":\"n1\",\"zone\":\"z1\",\"hints\":{\"forZones\":[{\"name\":\"z2\"}]}}",
        "\"addresses\":[\"10.0.0.1\"],"
        "\"conditions\":{\"ready\":false,\"serving\":true,\"terminating\":false},\"zone\":\"z\"}",
    };
    static const char bytes[] = " \"\\{}[],:x\xc3\x01";
    char text[1024];
    FL_UNUSED(state);
    for (size_t k = 0; k < FL_COUNT(written); k++) {
        expect_read_alike(written[k]);
        for (size_t i = 0; i < strlen(written[k]); i++) {
            for (size_t b = 0; b + 1 < sizeof(bytes); b++) {
                snprintf(text, sizeof(text), "%s", written[k]);
                text[i] = bytes[b];
                expect_read_alike(text);
            }
            snprintf(text, sizeof(text), "%.*s%s", (int)i, written[k], written[k] + i + 1);
            expect_read_alike(text);
            snprintf(text, sizeof(text), "%.*s", (int)i, written[k]);
            expect_read_alike(text);
        }
    }
}

static void test_unchanged_endpoints_are_reused(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        struct fl_k8s_endpoint_spec changed[FL_COUNT(endpoints)];
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_buf object, out;
        fl_buf_init(&out, 1 << 20);
        struct fl_str slice = encoded_slice(&object, format, &spec);
        assert_int_equal(
            fl_k8s_encode_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice), 0);
        fl_buf_deinit(&object);
        memcpy(changed, endpoints, sizeof changed);
        changed[1].ready = 1;
        changed[1].terminating = 0;
        spec.endpoints = changed;
        slice = encoded_slice(&object, format, &spec);
        assert_int_equal(
            fl_k8s_encode_event(&out, format, FL_K8S_MODIFIED, FL_K8S_ENDPOINTSLICE, slice), 0);
        struct seen seen;
        struct fl_error err;
        seen_init(&seen);
        seen.hold = true;
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        assert_int_equal(decode_pieces(&seen, &body, 0, 100, &err), 0);
        assert_int_equal(fl_buf_byte(&seen.text, '\0'), 0);
        assert_non_null(strstr(fl_buf_str(&seen.text).p, "MODIFIED ns=default"));
        assert_non_null(strstr(fl_buf_str(&seen.text).p, "[10.0.0.2 RS- node-b"));
        struct fl_block_endpoint e;
        for (size_t i = 0; i < FL_COUNT(endpoints); i++) {
            fl_block_endpoint_at(seen.held, i, &e);
            assert_true(e.hash != 0);
        }
        seen_deinit(&seen);
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
}

/* A block that holds the first endpoint's hash but another node: what comes out of it was not read
 * from the bytes. */
static struct fl_block *impostor_of(const struct fl_block *block) {
    struct fl_block_builder *builder;
    struct fl_block_endpoint e;
    struct fl_block *out;
    fl_block_endpoint_at(block, 0, &e);
    e.node = S("not-in-the-bytes");
    assert_int_equal(fl_block_builder_new(8, &builder), 0);
    fl_block_builder_start(builder, NULL);
    assert_int_equal(fl_block_builder_add(builder, &e), 0);
    assert_int_equal(fl_block_builder_finish(builder, &out), 0);
    fl_block_builder_free(builder);
    return out;
}

static void expect_reuse(const struct body *body) {
    struct seen seen;
    struct fl_error err;
    seen_init(&seen);
    seen.hold = true;
    assert_int_equal(decode_pieces(&seen, body, 0, SIZE_MAX, &err), 0);
    struct fl_block *impostor = impostor_of(seen.held);
    fl_block_unref(seen.held);
    seen.held = impostor;
    fl_buf_truncate(&seen.text, 0);
    assert_int_equal(decode_pieces(&seen, body, 0, 10, &err), 0);
    assert_int_equal(fl_buf_byte(&seen.text, '\0'), 0);
    assert_non_null(strstr(fl_buf_str(&seen.text).p, "[10.0.0.1 RS- not-in-the-bytes/"));
    assert_non_null(strstr(fl_buf_str(&seen.text).p, "[10.0.0.2 "));
    seen_deinit(&seen);
}

static void test_reused_endpoints_are_not_read(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_buf object, out;
        fl_buf_init(&out, 1 << 20);
        struct fl_str slice = encoded_slice(&object, format, &spec);
        assert_int_equal(
            fl_k8s_encode_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice), 0);
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        expect_reuse(&body);
        fl_buf_truncate(&out, 0);
        fl_buf_truncate(&object, 0);
        assert_int_equal(fl_k8s_encode_endpoints(&object, format, &spec), 0);
        assert_int_equal(
            fl_k8s_encode_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTS, fl_buf_str(&object)),
            0);
        body = (struct body){FL_K8S_ENDPOINTS, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        expect_reuse(&body);
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
}

static void test_ports_of_a_service_are_bounded(void **state) {
    FL_UNUSED(state);
    struct fl_k8s_service_port *many = fl_calloc(FL_K8S_SERVICE_PORTS_MAX + 1, sizeof *many);
    assert_non_null(many);
    EACH_FORMAT(format) {
        for (size_t extra = 0; extra < 2; extra++) {
            struct fl_k8s_service_spec spec = service_spec();
            struct fl_buf object, out;
            struct fl_error err;
            spec.ports = many;
            spec.port_count = FL_K8S_SERVICE_PORTS_MAX + extra;
            fl_buf_init(&object, 1 << 20);
            fl_buf_init(&out, 1 << 20);
            assert_int_equal(fl_k8s_encode_service(&object, format, &spec), 0);
            assert_int_equal(fl_k8s_encode_event(&out, format, FL_K8S_ADDED, FL_K8S_SERVICE,
                                                 fl_buf_str(&object)),
                             0);
            struct body body = {FL_K8S_SERVICE, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
            assert_int_equal(decode_code(&body, &err), extra ? FL_ETOO_LARGE : 0);
            fl_buf_deinit(&object);
            fl_buf_deinit(&out);
        }
    }
    fl_free(many);
}

static void test_status_bodies(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        const struct fl_k8s_status status = {.code = 504,
                                             .reason = S("Timeout"),
                                             .message = S("Too large resource version: 9"),
                                             .retry_after_s = 3,
                                             .version_too_large = true};
        struct fl_buf object, out;
        fl_buf_init(&object, 1 << 20);
        fl_buf_init(&out, 1 << 20);
        assert_int_equal(fl_k8s_encode_status(&object, format, &status), 0);
        assert_int_equal(fl_k8s_encode_object(&out, format, FL_K8S_STATUS, fl_buf_str(&object)), 0);
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_STATUS, format, fl_buf_str(&out)};
        expect_every_split(&body,
                           "ERROR 504 Timeout (Too large resource version: 9) retry=3 too-large\n");
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
    struct fl_error err;
    struct body html = json_body(FL_K8S_SERVICE, FL_K8S_BODY_STATUS, "404 page not found\n");
    assert_int_equal(decode_code(&html, &err), FL_EPROTO);
}

static void test_W20_other_kinds_are_refused(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_buf object, out;
        struct fl_error err;
        struct fl_str slice = encoded_slice(&object, format, &spec);
        fl_buf_init(&out, 1 << 20);
        assert_int_equal(
            fl_k8s_encode_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice), 0);
        struct body body = {FL_K8S_SERVICE, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        assert_int_equal(decode_code(&body, &err), FL_EPROTO);
        assert_non_null(strstr(err.detail, "kind EndpointSlice where Service was expected"));
        fl_buf_truncate(&out, 0);
        assert_int_equal(
            fl_k8s_encode_list(&out, format, FL_K8S_ENDPOINTSLICE, &slice, 1, S("1"), FL_STR_NONE),
            0);
        body = (struct body){FL_K8S_SERVICE, FL_K8S_BODY_LIST, format, fl_buf_str(&out)};
        assert_int_equal(decode_code(&body, &err), FL_EPROTO);
        assert_non_null(strstr(err.detail, "EndpointSliceList where ServiceList"));
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
}

/* Every body cut short is an error at its end, and no object is made up. */
static void test_cut_bodies(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_buf object, out;
        struct fl_error err;
        struct fl_str slice = encoded_slice(&object, format, &spec);
        fl_buf_init(&out, 1 << 20);
        assert_int_equal(
            fl_k8s_encode_list(&out, format, FL_K8S_ENDPOINTSLICE, &slice, 1, S("1"), FL_STR_NONE),
            0);
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_LIST, format, fl_buf_str(&out)};
        for (size_t n = 0; n < out.len; n++) {
            body.bytes.n = n;
            assert_int_equal(decode_code(&body, &err), FL_EPROTO);
        }
        fl_buf_truncate(&out, 0);
        assert_int_equal(
            fl_k8s_encode_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice), 0);
        body = (struct body){FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        for (size_t n = 1; n + 1 < out.len; n++) {
            body.bytes.n = n;
            assert_int_equal(decode_code(&body, &err), FL_EPROTO);
        }
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
}

static void expect_bad_json(enum fl_k8s_kind kind, const char *object) {
    char text[4096];
    struct fl_error err;
    snprintf(text, sizeof text, "{\"type\":\"ADDED\",\"object\":%s}\n", object);
    struct body body = json_body(kind, FL_K8S_BODY_WATCH, text);
    int rc = decode_code(&body, &err);
    if (rc != FL_EPROTO) print_error("accepted: %s\n", object);
    assert_int_equal(rc, FL_EPROTO);
}

static void test_bad_json_objects(void **state) {
    FL_UNUSED(state);
    static const char *const slices[] = {
        "1",
        "[]",
        "{\"metadata\":[]}",
        "{\"metadata\":{\"name\":1}}",
        "{\"metadata\":{\"labels\":{\"kubernetes.io/service-name\":{}}}}",
        "{\"metadata\":{},\"metadata\":{}}",
        "{\"endpoints\":{}}",
        "{\"endpoints\":[1]}",
        "{\"endpoints\":[],\"endpoints\":[]}",
        "{\"endpoints\":[{\"addresses\":[1]}]}",
        "{\"endpoints\":[{\"addresses\":[\"10.0.0.1\"],\"conditions\":{\"ready\":1}}]}",
        "{\"ports\":[{\"port\":65536}]}",
        "{\"ports\":[{\"port\":-1}]}",
        "{\"ports\":[{\"port\":\"http\"}]}",
        "{\"endpoints\":[{\"zone\":\"\\x\"}]}",
        "{\"endpoints\":[{\"zone\":\"\xff\"}]}",
        "{\"kind\":\"Pod\"}",
        "{\"endpoints\":[{]}",
    };
    for (size_t i = 0; i < FL_COUNT(slices); i++) expect_bad_json(FL_K8S_ENDPOINTSLICE, slices[i]);
    expect_bad_json(FL_K8S_SERVICE, "{\"spec\":{\"ports\":[{\"targetPort\":true}]}}");
    expect_bad_json(FL_K8S_SERVICE, "{\"spec\":{\"publishNotReadyAddresses\":\"yes\"}}");
    expect_bad_json(FL_K8S_ENDPOINTS, "{\"subsets\":[{\"addresses\":[3]}]}");
    expect_bad_json(FL_K8S_ENDPOINTS, "{\"subsets\":[{\"ports\":3}]}");
}

static void test_bad_json_bodies(void **state) {
    FL_UNUSED(state);
    static const char *const watches[] = {
        "[]",
        "{\"type\":1}",
        "{\"type\":\"ADDED\"}",
        "{\"object\":{}}",
        "{\"type\":\"ADDED\",\"type\":\"ADDED\",\"object\":{}}",
        "{\"type\":\"ADDED\",\"object\":{},\"object\":{}}",
    };
    static const char *const lists[] = {
        "1 ",
        "{\"items\":{}}",
        "{\"items\":[1]}",
        "{\"items\":[]} {}",
        "{\"kind\":1}",
        "{\"metadata\":{\"resourceVersion\":5}}",
    };
    struct fl_error err;
    for (size_t i = 0; i < FL_COUNT(watches); i++) {
        struct body body = json_body(FL_K8S_SERVICE, FL_K8S_BODY_WATCH, watches[i]);
        assert_int_equal(decode_code(&body, &err), FL_EPROTO);
    }
    for (size_t i = 0; i < FL_COUNT(lists); i++) {
        struct body body = json_body(FL_K8S_SERVICE, FL_K8S_BODY_LIST, lists[i]);
        assert_int_equal(decode_code(&body, &err), FL_EPROTO);
    }
}

static void expect_bad_pb(struct fl_str slice) {
    struct fl_buf out;
    struct fl_error err;
    fl_buf_init(&out, 1 << 20);
    assert_int_equal(
        fl_k8s_encode_event(&out, FL_K8S_PROTOBUF, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice), 0);
    struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH, FL_K8S_PROTOBUF, fl_buf_str(&out)};
    assert_int_equal(decode_code(&body, &err), FL_EPROTO);
    fl_buf_deinit(&out);
}

static void test_bad_protobuf_objects(void **state) {
    FL_UNUSED(state);
    expect_bad_pb(S("\x08\x01"));                                     /* metadata as a varint */
    expect_bad_pb(S("\x0a\x05\x0a"));                                 /* length beyond the end */
    expect_bad_pb(S("\x0a\x02\x08\x01"));                             /* name as a varint */
    expect_bad_pb(S("\x12\x02\x08\x01"));                             /* addresses as a varint */
    expect_bad_pb(S("\x12\x04\x12\x02\x0a\x00"));                     /* ready as bytes */
    expect_bad_pb(S("\x1a\x04\x18\x80\x80\x04"));                     /* port 65536 */
    expect_bad_pb(S("\x13"));                                         /* a group */
    expect_bad_pb(S("\x02\x00"));                                     /* field 0 */
    expect_bad_pb(S("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")); /* length -1 */
    expect_bad_pb(S("\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")); /* overlong */
}

/* What a newer server may add: unknown fields of every wire type, at every level. */
static void test_unknown_protobuf_fields_are_passed_over(void **state) {
    FL_UNUSED(state);
    struct fl_buf object, out;
    struct fl_k8s_slice_spec spec = slice_spec();
    encoded_slice(&object, FL_K8S_PROTOBUF, &spec);
    static const char unknown[] = "\xf8\x07\x96\x01" /* 127: varint */
                                  "\xf9\x07\x01\x02\x03\x04\x05\x06\x07\x08"
                                  "\xfd\x07\x01\x02\x03\x04" /* 127: four bytes */
                                  "\xfa\x07\x03xyz";
    assert_int_equal(fl_buf_append(&object, S(unknown)), 0);
    fl_buf_init(&out, 1 << 20);
    struct fl_str slice = fl_buf_str(&object);
    assert_int_equal(fl_k8s_encode_list(&out, FL_K8S_PROTOBUF, FL_K8S_ENDPOINTSLICE, &slice, 1,
                                        S("5"), FL_STR_NONE),
                     0);
    assert_int_equal(fl_buf_append(&out, S(unknown)), 0);
    struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_LIST, FL_K8S_PROTOBUF, fl_buf_str(&out)};
    expect_every_split(&body, "ITEM" SLICE_TEXT "END 5 \n");
    fl_buf_deinit(&object);
    fl_buf_deinit(&out);
}

static void test_bad_protobuf_bodies(void **state) {
    FL_UNUSED(state);
    static const struct fl_str lists[] = {
        S("k8s\1"),
        S("nope"),
        S("k8s\0\x12\x02\x0a\x05"),       /* an item beyond the list's end */
        S("k8s\0\x12\x02\x10\x05"),       /* items as a varint */
        S("k8s\0\x12\0\x12\0"),           /* two lists */
        S("k8s\0\x0a\x08\x12\x06Secret"), /* another kind */
        S("k8s\0\x0a\x02\x12\x05"),       /* typeMeta malformed */
        S("k8s\0\x13"),                   /* a group */
        S("k8s\0\x02\x01x"),              /* field 0 */
        S("k8s\0\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
    };
    struct fl_error err;
    for (size_t i = 0; i < FL_COUNT(lists); i++) {
        struct body body = {FL_K8S_SERVICE, FL_K8S_BODY_LIST, FL_K8S_PROTOBUF, lists[i]};
        assert_int_equal(decode_code(&body, &err), FL_EPROTO);
    }
    struct body large = {FL_K8S_SERVICE, FL_K8S_BODY_WATCH, FL_K8S_PROTOBUF, S("\1\0\0\1")};
    assert_int_equal(decode_code(&large, &err), FL_ETOO_LARGE);
    large = (struct body){FL_K8S_SERVICE, FL_K8S_BODY_LIST, FL_K8S_PROTOBUF,
                          S("k8s\0\x12\xff\xff\xff\xff\x0f\x12\x81\x80\x80\x08")};
    assert_int_equal(decode_code(&large, &err), FL_ETOO_LARGE);
}

static void test_endpoints_without_address_are_left_out(void **state) {
    FL_UNUSED(state);
    struct body body =
        json_body(FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH,
                  "{\"type\":\"ADDED\",\"object\":{\"endpoints\":[{},{\"addresses\":[]},"
                  "{\"addresses\":[\"10.0.0.300 \"]},{\"addresses\":[\"10.0.0.1\"]}]}}");
    expect_every_split(&body, "ADDED skipped=3 [10.0.0.1 RS- /  0000]\n");
}

static void test_callbacks_end_the_feed(void **state) {
    FL_UNUSED(state);
    struct fl_k8s_slice_spec spec = slice_spec();
    struct fl_buf object, out;
    EACH_FORMAT(format) {
        struct fl_str slice = encoded_slice(&object, format, &spec);
        const struct fl_str objects[] = {slice, slice};
        struct seen seen;
        struct fl_error err = {0};
        seen_init(&seen);
        seen.answer = FL_ECANCELLED;
        fl_buf_init(&out, 1 << 20);
        assert_int_equal(
            fl_k8s_encode_list(&out, format, FL_K8S_ENDPOINTSLICE, objects, 2, S("1"), FL_STR_NONE),
            0);
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_LIST, format, fl_buf_str(&out)};
        assert_int_equal(decode_pieces(&seen, &body, 0, SIZE_MAX, &err), FL_ECANCELLED);
        assert_int_equal(err.code, FL_ECANCELLED);
        assert_int_equal(seen.objects, 1);
        seen_deinit(&seen);
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
}

/* An event of a mebibyte, byte by byte: what is allocated and copied grows with the bytes, not with
 * bytes times chunks. Every growth of a buffer doubles it, so their number is a logarithm. */
static void test_W17_chunked_event_is_linear(void **state) {
    FL_UNUSED(state);
    enum { COUNT = 12000 };
    struct fl_k8s_endpoint_spec *many = fl_calloc(COUNT, sizeof *many);
    assert_non_null(many);
    for (size_t i = 0; i < COUNT; i++) many[i] = endpoints[0];
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_buf object, out;
        spec.endpoints = many;
        spec.endpoint_count = COUNT;
        struct fl_str slice = encoded_slice(&object, format, &spec);
        fl_buf_init(&out, 1 << 24);
        assert_int_equal(
            fl_k8s_encode_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice), 0);
        assert_true(out.len > 1 << 20);
        struct seen seen;
        struct fl_error err;
        struct fl_k8s_decoder *decoder;
        seen_init(&seen);
        assert_int_equal(fl_k8s_decoder_new(FL_K8S_ENDPOINTSLICE, &events, &seen, &decoder), 0);
        fl_k8s_decoder_start(decoder, FL_K8S_BODY_WATCH, format);
        size_t before = fl_test_alloc_count();
        struct fl_str bytes = fl_buf_str(&out);
        for (size_t i = 0; i + 3 < bytes.n; i++)
            assert_int_equal(fl_k8s_decoder_feed(decoder, fl_str_n(bytes.p + i, 1), &err), 0);
        assert_int_equal(seen.objects, 0);
        assert_true(fl_test_alloc_count() - before < 64);
        assert_int_equal(fl_k8s_decoder_feed(decoder, fl_str_from(bytes, bytes.n - 3), &err), 0);
        assert_int_equal(seen.objects, 1);
        fl_k8s_decoder_free(decoder);
        seen_deinit(&seen);
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
    fl_free(many);
}

static void test_decoder_is_used_again_after_an_error(void **state) {
    FL_UNUSED(state);
    struct fl_k8s_decoder *decoder;
    struct seen seen;
    struct fl_error err;
    seen_init(&seen);
    assert_int_equal(fl_k8s_decoder_new(FL_K8S_SERVICE, &events, &seen, &decoder), 0);
    EACH_FORMAT(format) {
        struct fl_buf out;
        fl_buf_init(&out, 1 << 20);
        fl_k8s_decoder_start(decoder, FL_K8S_BODY_LIST, format);
        assert_int_equal(fl_k8s_decoder_feed(decoder, S("{\"items\":[{\"a"), &err),
                         format == FL_K8S_JSON ? 0 : FL_EPROTO);
        assert_int_equal(
            fl_k8s_encode_list(&out, format, FL_K8S_SERVICE, NULL, 0, S("3"), FL_STR_NONE), 0);
        fl_k8s_decoder_start(decoder, FL_K8S_BODY_LIST, format);
        assert_int_equal(fl_k8s_decoder_feed(decoder, fl_buf_str(&out), &err), 0);
        assert_int_equal(fl_k8s_decoder_end(decoder, &err), 0);
        fl_buf_deinit(&out);
    }
    assert_int_equal(fl_buf_byte(&seen.text, '\0'), 0);
    assert_string_equal(fl_buf_str(&seen.text).p, "END 3 \nEND 3 \n");
    fl_k8s_decoder_free(decoder);
    seen_deinit(&seen);
}

/* Counts, since its own memory must not fail. */
static int count_object(void *arg, enum fl_k8s_event event, struct fl_k8s_object *object) {
    FL_UNUSED(event);
    FL_UNUSED(object);
    ++*(size_t *)arg;
    return 0;
}
static void count_error(void *arg, const struct fl_k8s_status *status) {
    FL_UNUSED(arg);
    FL_UNUSED(status);
}
static void count_end(void *arg, struct fl_str version, struct fl_str token) {
    FL_UNUSED(arg);
    FL_UNUSED(version);
    FL_UNUSED(token);
}

static int decode_counting(const struct body *body, size_t *objects, struct fl_error *err) {
    static const struct fl_k8s_decoder_events counting = {count_object, count_error, count_end,
                                                          NULL};
    struct fl_k8s_decoder *decoder;
    int rc = fl_k8s_decoder_new(body->kind, &counting, objects, &decoder);
    if (rc) return rc;
    fl_k8s_decoder_start(decoder, body->body, body->format);
    size_t half = body->bytes.n / 2;
    rc = fl_k8s_decoder_feed(decoder, fl_str_n(body->bytes.p, half), err);
    if (!rc) rc = fl_k8s_decoder_feed(decoder, fl_str_from(body->bytes, half), err);
    if (!rc) rc = fl_k8s_decoder_end(decoder, err);
    fl_k8s_decoder_free(decoder);
    return rc;
}

static void expect_nomem_or_all(const struct body *body, size_t all) {
    FL_TEST_EACH_FAILURE(n) {
        struct fl_error err = {0};
        size_t objects = 0;
        int rc = decode_counting(body, &objects, &err);
        if (rc)
            assert_int_equal(rc, FL_ENOMEM);
        else
            assert_int_equal(objects, all);
    }
}

static void test_every_allocation_failing(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_k8s_service_spec service = service_spec();
        struct fl_buf object, out;
        struct fl_str slice = encoded_slice(&object, format, &spec);
        fl_buf_init(&out, 1 << 20);
        assert_int_equal(
            fl_k8s_encode_list(&out, format, FL_K8S_ENDPOINTSLICE, &slice, 1, S("1"), S("c")), 0);
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_LIST, format, fl_buf_str(&out)};
        expect_nomem_or_all(&body, 1);
        fl_buf_truncate(&out, 0);
        fl_buf_truncate(&object, 0);
        assert_int_equal(fl_k8s_encode_endpoints(&object, format, &spec), 0);
        assert_int_equal(
            fl_k8s_encode_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTS, fl_buf_str(&object)),
            0);
        body = (struct body){FL_K8S_ENDPOINTS, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        expect_nomem_or_all(&body, 1);
        fl_buf_truncate(&out, 0);
        fl_buf_truncate(&object, 0);
        assert_int_equal(fl_k8s_encode_service(&object, format, &service), 0);
        assert_int_equal(
            fl_k8s_encode_event(&out, format, FL_K8S_ADDED, FL_K8S_SERVICE, fl_buf_str(&object)),
            0);
        body = (struct body){FL_K8S_SERVICE, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        expect_nomem_or_all(&body, 1);
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
    struct body escaped =
        json_body(FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH,
                  "{\"object\":{\"metadata\":{\"name\":\"\\u0061\"}},\"type\":\"ADDED\"}");
    expect_nomem_or_all(&escaped, 1);
}

/* An encoder that fails leaves what was in the buffer before it. */
static void test_encoders_append_all_or_nothing(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_buf out;
        fl_buf_init(&out, 4096);
        assert_int_equal(fl_k8s_encode_slice(&out, format, &spec), 0);
        size_t whole = out.len;
        fl_buf_deinit(&out);
        for (size_t max = 4; max < whole + 4; max++) {
            fl_buf_init(&out, max);
            assert_int_equal(fl_buf_append(&out, S("1234")), 0);
            assert_int_equal(fl_k8s_encode_slice(&out, format, &spec), FL_EFULL);
            assert_true(fl_str_eq(fl_buf_str(&out), S("1234")));
            fl_buf_deinit(&out);
        }
        FL_TEST_EACH_FAILURE(n) {
            fl_buf_init(&out, 4096);
            int rc = fl_k8s_encode_slice(&out, format, &spec);
            assert_true(rc == 0 ? out.len == whole : rc == FL_ENOMEM && out.len == 0);
            fl_buf_deinit(&out);
        }
    }
}

static void test_version_order(void **state) {
    FL_UNUSED(state);
    static const struct {
        struct fl_str a, b;
        int order;
    } cases[] = {
        {S("1"), S("2"), -1},
        {S("10"), S("9"), 1},
        {S("123"), S("123"), 0},
        {S("99999999999999999999999"), S("100000000000000000000000"), -1},
        {S("0"), S("1"), FL_K8S_VERSION_OPAQUE},
        {S("01"), S("1"), FL_K8S_VERSION_OPAQUE},
        {S(""), S("1"), FL_K8S_VERSION_OPAQUE},
        {S("1"), S("a"), FL_K8S_VERSION_OPAQUE},
        {S("-1"), S("1"), FL_K8S_VERSION_OPAQUE},
    };
    for (size_t i = 0; i < FL_COUNT(cases); i++)
        assert_int_equal(fl_k8s_version_cmp(cases[i].a, cases[i].b), cases[i].order);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watch_round_trip_in_any_chunking),
        cmocka_unit_test(test_list_round_trip_in_any_chunking),
        cmocka_unit_test(test_W3_metadata_round_trip_in_any_chunking),
        cmocka_unit_test(test_service_round_trip_in_any_chunking),
        cmocka_unit_test(test_W20_endpoints_round_trip),
        cmocka_unit_test(test_subsets_of_equal_ports_share_a_block),
        cmocka_unit_test(test_W18_absent_conditions),
        cmocka_unit_test(test_hints_of_zones_and_nodes),
        cmocka_unit_test(test_more_hints_than_allowed),
        cmocka_unit_test(test_json_keys_in_any_order),
        cmocka_unit_test(test_json_endpoints_are_read_alike),
        cmocka_unit_test(test_unchanged_endpoints_are_reused),
        cmocka_unit_test(test_reused_endpoints_are_not_read),
        cmocka_unit_test(test_ports_of_a_service_are_bounded),
        cmocka_unit_test(test_status_bodies),
        cmocka_unit_test(test_W20_other_kinds_are_refused),
        cmocka_unit_test(test_cut_bodies),
        cmocka_unit_test(test_bad_json_objects),
        cmocka_unit_test(test_bad_json_bodies),
        cmocka_unit_test(test_bad_protobuf_objects),
        cmocka_unit_test(test_unknown_protobuf_fields_are_passed_over),
        cmocka_unit_test(test_bad_protobuf_bodies),
        cmocka_unit_test(test_endpoints_without_address_are_left_out),
        cmocka_unit_test(test_callbacks_end_the_feed),
        cmocka_unit_test(test_W17_chunked_event_is_linear),
        cmocka_unit_test(test_decoder_is_used_again_after_an_error),
        cmocka_unit_test(test_every_allocation_failing),
        cmocka_unit_test(test_encoders_append_all_or_nothing),
        cmocka_unit_test(test_version_order),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
