/* wire_k8s_bad_test.c - objects, watch events and lists that are malformed, cut short, too large,
 * or of another kind. */
#include "support/k8s_bed.h"

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
            put_event(&out, format, FL_K8S_ADDED, FL_K8S_SERVICE, fl_buf_str(&object));
            struct body body = {FL_K8S_SERVICE, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
            assert_int_equal(decode_code(&body, &err), extra ? FL_ETOO_LARGE : 0);
            fl_buf_deinit(&object);
            fl_buf_deinit(&out);
        }
    }
    fl_free(many);
}

static void test_W20_other_kinds_are_refused(void **state) {
    FL_UNUSED(state);
    EACH_FORMAT(format) {
        struct fl_k8s_slice_spec spec = slice_spec();
        struct fl_buf object, out;
        struct fl_error err;
        struct fl_str slice = encoded_slice(&object, format, &spec);
        fl_buf_init(&out, 1 << 20);
        put_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice);
        struct body body = {FL_K8S_SERVICE, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        assert_int_equal(decode_code(&body, &err), FL_EPROTO);
        assert_non_null(strstr(err.detail, "kind EndpointSlice where Service was expected"));
        fl_buf_truncate(&out, 0);
        put_list(&out, format, FL_K8S_ENDPOINTSLICE, &slice, 1, S("1"), FL_STR_NONE);
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
        put_list(&out, format, FL_K8S_ENDPOINTSLICE, &slice, 1, S("1"), FL_STR_NONE);
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_LIST, format, fl_buf_str(&out)};
        for (size_t n = 0; n < out.len; n++) {
            body.bytes.n = n;
            assert_int_equal(decode_code(&body, &err), FL_EPROTO);
        }
        fl_buf_truncate(&out, 0);
        put_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice);
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
    put_event(&out, FL_K8S_PROTOBUF, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice);
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
    put_list(&out, FL_K8S_PROTOBUF, FL_K8S_ENDPOINTSLICE, &slice, 1, S("5"), FL_STR_NONE);
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
        put_list(&out, format, FL_K8S_ENDPOINTSLICE, objects, 2, S("1"), FL_STR_NONE);
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_LIST, format, fl_buf_str(&out)};
        assert_int_equal(decode_pieces(&seen, &body, 0, SIZE_MAX, &err), FL_ECANCELLED);
        assert_int_equal(err.code, FL_ECANCELLED);
        assert_int_equal(seen.objects, 1);
        seen_deinit(&seen);
        fl_buf_deinit(&object);
        fl_buf_deinit(&out);
    }
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
        put_list(&out, format, FL_K8S_SERVICE, NULL, 0, S("3"), FL_STR_NONE);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more_hints_than_allowed),
        cmocka_unit_test(test_ports_of_a_service_are_bounded),
        cmocka_unit_test(test_W20_other_kinds_are_refused),
        cmocka_unit_test(test_cut_bodies),
        cmocka_unit_test(test_bad_json_objects),
        cmocka_unit_test(test_bad_json_bodies),
        cmocka_unit_test(test_bad_protobuf_objects),
        cmocka_unit_test(test_unknown_protobuf_fields_are_passed_over),
        cmocka_unit_test(test_bad_protobuf_bodies),
        cmocka_unit_test(test_endpoints_without_address_are_left_out),
        cmocka_unit_test(test_callbacks_end_the_feed),
        cmocka_unit_test(test_decoder_is_used_again_after_an_error),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
