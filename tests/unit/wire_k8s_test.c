/* wire_k8s_test.c - objects, watch events and lists: encoded, chopped up, decoded, in both formats.
 */
#include "support/k8s_bed.h"

#include "wire/pb.h"

/* --- without memory --- */

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

/* --- samples --- */

/* A slice with these endpoints and no port, told by a watch: what is seen of them. */
static void expect_endpoints(const struct fl_k8s_endpoint_spec *specs, size_t count,
                             const char *expected) {
    char text[1024];
    snprintf(text, sizeof text, "ADDED ns=default name=echo-x2z9k uid=u-1 rv=1234 service=echo%s\n",
             expected);
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_buf object, out;
        spec.endpoints = specs;
        spec.endpoint_count = count;
        spec.port_count = 0;
        struct fl_str slice = encoded_slice(&object, format, &spec);
        fl_buf_init(&out, 1 << 20);
        put_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice);
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        expect_every_split(&body, text);
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
}

/* --- tests --- */

static void test_watch_round_trip_in_any_chunking(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_buf object, out;
        struct fl_str slice = encoded_slice(&object, format, &spec);
        fl_buf_init(&out, 1 << 20);
        put_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice);
        put_event(&out, format, FL_K8S_DELETED, FL_K8S_ENDPOINTSLICE, slice);
        fl_buf_truncate(&object, 0);
        assert_int_equal(
            fl_k8s_encode_bookmark(&object, format, FL_K8S_ENDPOINTSLICE, S("99"), true), 0);
        put_event(&out, format, FL_K8S_BOOKMARK, FL_K8S_ENDPOINTSLICE, fl_buf_str(&object));
        fl_buf_truncate(&object, 0);
        const struct fl_k8s_status gone = {
            .code = 410, .reason = S("Expired"), .message = S("too old")};
        assert_int_equal(fl_k8s_encode_status(&object, format, &gone), 0);
        put_event(&out, format, FL_K8S_ERROR, FL_K8S_STATUS, fl_buf_str(&object));
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
        put_list(&out, format, FL_K8S_ENDPOINTSLICE, objects, 2, S("5000"), S("token"));
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_LIST, format, fl_buf_str(&out)};
        expect_every_split(&body, "ITEM" SLICE_TEXT "ITEM" SLICE_TEXT "END 5000 token\n");
        fl_buf_truncate(&out, 0);
        put_list(&out, format, FL_K8S_ENDPOINTSLICE, NULL, 0, S("1"), FL_STR_NONE);
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
        put_list(&out, format, FL_K8S_METADATA, objects, 2, S("5000"), S("token"));
        struct body body = {FL_K8S_METADATA, FL_K8S_BODY_LIST, format, fl_buf_str(&out)};
#define META_TEXT "ITEM ns=default name=echo-x2z9k uid=u-1 rv=1234 service=echo\n"
        expect_every_split(&body, META_TEXT META_TEXT "END 5000 token\n");
        expect_nomem_or_all(&body, 2);
        fl_buf_truncate(&bare, 0);
        fl_buf_truncate(&out, 0);
        assert_int_equal(fl_k8s_encode_slice(&bare, format, &spec), 0);
        const struct fl_str whole = fl_buf_str(&bare);
        put_list(&out, format, FL_K8S_ENDPOINTSLICE, &whole, 1, S("1"), FL_STR_NONE);
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
        put_list(&out, format, FL_K8S_SERVICE, objects, 2, S("8"), FL_STR_NONE);
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
        put_event(&out, format, FL_K8S_MODIFIED, FL_K8S_ENDPOINTS, fl_buf_str(&object));
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
    expect_endpoints(specs, FL_COUNT(specs),
                     " [10.0.0.1 RS- /  0000] [10.0.0.2 -S- /  0000]"
                     " [10.0.0.3 R-T /  0000]");
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
    expect_endpoints(specs, FL_COUNT(specs),
                     " [10.0.0.1 --- /  0000 zone=a] [10.0.0.2 --- /  0000]"
                     " [10.0.0.3 --- /  0000 zone=a zone=b node=n-1]"
                     " [10.0.0.4 --- /  0000 zone=a]");
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

/* The fields of a message of five, beginning with the one at `first`; the node's comes twice. */
static void put_rotated_endpoint(struct fl_pb_writer *w, unsigned first) {
    size_t endpoint = fl_pb_open(w, 2), inner;
    fl_pb_put_text(w, 6, S("another"));
    for (unsigned i = first; i < first + 5; i++) {
        switch (i % 5) {
        case 0:
            fl_pb_put_text(w, 1, S("10.0.0.1"));
            break;
        case 1:
            inner = fl_pb_open(w, 2);
            for (unsigned k = first; k < first + 3; k++) fl_pb_put_varint(w, 1 + k % 3, k % 3 != 0);
            fl_pb_close(w, inner);
            break;
        case 2:
            inner = fl_pb_open(w, 4);
            for (unsigned k = first; k < first + 7; k++)
                fl_pb_put_bytes(w, 1 + k % 7,
                                k % 7 == 0   ? S("Pod")
                                : k % 7 == 2 ? S("p-1")
                                             : S(""));
            fl_pb_close(w, inner);
            break;
        case 3:
            fl_pb_put_varint(w, 99, 1);
            fl_pb_put_text(w, 6, S("node"));
            break;
        default:
            fl_pb_put_text(w, 7, S("zone"));
        }
    }
    fl_pb_close(w, endpoint);
}

/* Nobody promises the order that every server keeps to. */
static void test_protobuf_fields_in_any_order(void **state) {
    FL_UNUSED(state);
    for (unsigned first = 0; first < 35; first++) {
        struct fl_buf object, out;
        fl_buf_init(&object, 1 << 20);
        fl_buf_init(&out, 1 << 20);
        struct fl_pb_writer w = fl_pb_writer_of(&object);
        put_rotated_endpoint(&w, first);
        assert_int_equal(fl_pb_finish(&w), 0);
        put_event(&out, FL_K8S_PROTOBUF, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, fl_buf_str(&object));
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH, FL_K8S_PROTOBUF,
                            fl_buf_str(&out)};
        expect_every_split(&body, "ADDED [10.0.0.1 -ST node/zone p-1 0000]\n");
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
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

static void test_every_allocation_failing(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_k8s_service_spec service = service_spec();
        struct fl_buf object, out;
        struct fl_str slice = encoded_slice(&object, format, &spec);
        fl_buf_init(&out, 1 << 20);
        put_list(&out, format, FL_K8S_ENDPOINTSLICE, &slice, 1, S("1"), S("c"));
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_LIST, format, fl_buf_str(&out)};
        expect_nomem_or_all(&body, 1);
        fl_buf_truncate(&out, 0);
        fl_buf_truncate(&object, 0);
        assert_int_equal(fl_k8s_encode_endpoints(&object, format, &spec), 0);
        put_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTS, fl_buf_str(&object));
        body = (struct body){FL_K8S_ENDPOINTS, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        expect_nomem_or_all(&body, 1);
        fl_buf_truncate(&out, 0);
        fl_buf_truncate(&object, 0);
        assert_int_equal(fl_k8s_encode_service(&object, format, &service), 0);
        put_event(&out, format, FL_K8S_ADDED, FL_K8S_SERVICE, fl_buf_str(&object));
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
        cmocka_unit_test(test_json_keys_in_any_order),
        cmocka_unit_test(test_protobuf_fields_in_any_order),
        cmocka_unit_test(test_status_bodies),
        cmocka_unit_test(test_every_allocation_failing),
        cmocka_unit_test(test_encoders_append_all_or_nothing),
        cmocka_unit_test(test_version_order),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
