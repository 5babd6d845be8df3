/* wire_k8s_reuse_test.c - what the decoder saves: endpoints that are known already, the API
 * server's own spelling, events in many pieces. */
#include "support/k8s_bed.h"

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
        put_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice);
        fl_buf_deinit(&object);
        memcpy(changed, endpoints, sizeof changed);
        changed[1].ready = 1;
        changed[1].terminating = 0;
        spec.endpoints = changed;
        slice = encoded_slice(&object, format, &spec);
        put_event(&out, format, FL_K8S_MODIFIED, FL_K8S_ENDPOINTSLICE, slice);
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
        put_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice);
        struct body body = {FL_K8S_ENDPOINTSLICE, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        expect_reuse(&body);
        fl_buf_truncate(&out, 0);
        fl_buf_truncate(&object, 0);
        assert_int_equal(fl_k8s_encode_endpoints(&object, format, &spec), 0);
        put_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTS, fl_buf_str(&object));
        body = (struct body){FL_K8S_ENDPOINTS, FL_K8S_BODY_WATCH, format, fl_buf_str(&out)};
        expect_reuse(&body);
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
        put_event(&out, format, FL_K8S_ADDED, FL_K8S_ENDPOINTSLICE, slice);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_endpoints_are_read_alike),
        cmocka_unit_test(test_unchanged_endpoints_are_reused),
        cmocka_unit_test(test_reused_endpoints_are_not_read),
        cmocka_unit_test(test_W17_chunked_event_is_linear),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
