/* grpc.testing.TestService, the server that interoperability tests are run against. */
#include "support/server_bed.h"

#include <string.h>

#include "base/log.h"
#include "interop/interop_service.h"
#include "wire/grpc.h"
#include "wire/pb.h"

#define PATH "/grpc.testing.TestService/"

struct lab {
    struct server_bed bed;
    struct fl_grpc_server *server;
    struct exchange x;
    struct fl_buf body; /* of the next request: framed messages */
};

static void start(struct lab *lab) {
    server_bed_start(&lab->bed, 1);
    const struct fl_grpc_service services[] = {interop_service(lab->bed.io)};
    lab->server = server_bed_serve(
        &lab->bed, (struct fl_grpc_server_options){.services = services, .service_count = 1});
    server_bed_dial(&lab->bed);
    fl_buf_init(&lab->body, 1024 * 1024);
}

static void stop(struct lab *lab) {
    server_bed_kill(&lab->bed, lab->server);
    server_bed_stop(&lab->bed);
    fl_buf_deinit(&lab->body);
}

static void add(struct lab *lab, struct fl_str message) {
    uint8_t prefix[FL_GRPC_PREFIX];
    fl_grpc_prefix((uint32_t)message.n, prefix);
    assert_int_equal(fl_buf_append(&lab->body, fl_str_n(prefix, sizeof(prefix))), 0);
    assert_int_equal(fl_buf_append(&lab->body, message), 0);
}

/* A StreamingOutputCallRequest for payloads of these sizes, each after 10 ms. */
static void add_output(struct lab *lab, const unsigned *sizes, size_t count) {
    struct fl_buf message;
    fl_buf_init(&message, 1024);
    struct fl_pb_writer w = fl_pb_writer_of(&message);
    for (size_t i = 0; i < count; i++) {
        size_t parameters = fl_pb_open(&w, 2);
        fl_pb_put_varint(&w, 1, sizes[i]);
        fl_pb_put_varint(&w, 2, 10000);
        fl_pb_close(&w, parameters);
    }
    assert_int_equal(fl_pb_finish(&w), 0);
    add(lab, fl_buf_str(&message));
    fl_buf_deinit(&message);
}

static void ask(struct lab *lab, const char *path) {
    const struct request request = {
        .path = path,
        .extra = {FL_STR("grpc-accept-encoding"), FL_STR("gzip")},
        .body = fl_buf_str(&lab->body),
    };
    server_bed_ask(&lab->bed, &lab->x, &request);
    fl_world_run_ms(lab->bed.world, 1000);
    fl_buf_truncate(&lab->body, 0);
}

/* A response's bytes for a payload of n: prefix, two heads of fields, the zeros. */
static size_t framed(size_t n) {
    size_t field = 1 + (n < 128 ? 1 : n < 16384 ? 2 : 3) + n;
    return FL_GRPC_PREFIX + 1 + (field < 128 ? 1 : field < 16384 ? 2 : 3) + field;
}

static void test_unary(void **state) {
    FL_UNUSED(state);
    struct lab lab;
    start(&lab);
    add(&lab, FL_STR_NONE);
    ask(&lab, PATH "EmptyCall");
    assert_string_equal(lab.x.grpc_status, "0");
    assert_int_equal(lab.x.body_len, FL_GRPC_PREFIX);
    add(&lab, FL_STR("\20\xaf\x96\x13")); /* response_size: 314159 */
    ask(&lab, PATH "UnaryCall");
    assert_string_equal(lab.x.grpc_status, "0");
    assert_int_equal(lab.x.body_len, framed(314159));
    add(&lab, FL_STR("\72\7\10\2\22\3why")); /* response_status: 2, "why" */
    ask(&lab, PATH "UnaryCall");
    assert_string_equal(lab.x.grpc_status, "2");
    assert_string_equal(lab.x.grpc_message, "why");
    add(&lab, FL_STR("\20\xff\xff\xff\xff\xff\xff\xff\xff\xff\1")); /* response_size: -1 */
    ask(&lab, PATH "UnaryCall");
    assert_string_equal(lab.x.grpc_status, "8");
    add(&lab, FL_STR("\72\7half"));
    ask(&lab, PATH "UnaryCall");
    assert_string_equal(lab.x.grpc_status, "3");
    add(&lab, FL_STR_NONE);
    ask(&lab, PATH "UnimplementedCall");
    assert_string_equal(lab.x.grpc_status, "12");
    stop(&lab);
}

static void test_streams(void **state) {
    FL_UNUSED(state);
    static const unsigned sizes[] = {31415, 9, 2653, 58979};
    struct lab lab;
    start(&lab);
    size_t all = 0;
    for (size_t i = 0; i < FL_COUNT(sizes); i++) all += framed(sizes[i]);
    add_output(&lab, sizes, FL_COUNT(sizes));
    ask(&lab, PATH "StreamingOutputCall");
    assert_string_equal(lab.x.grpc_status, "0");
    assert_int_equal(lab.x.body_len, all);
    static const char *const paths[] = {PATH "FullDuplexCall", PATH "HalfDuplexCall"};
    for (size_t p = 0; p < FL_COUNT(paths); p++) {
        for (size_t i = 0; i < FL_COUNT(sizes); i++) add_output(&lab, &sizes[i], 1);
        ask(&lab, paths[p]);
        assert_string_equal(lab.x.grpc_status, "0");
        assert_int_equal(lab.x.body_len, all);
        ask(&lab, paths[p]); /* empty_stream */
        assert_string_equal(lab.x.grpc_status, "0");
        assert_int_equal(lab.x.body_len, 0);
    }
    add(&lab, FL_STR("\12\4\22\2ab"));
    add(&lab, FL_STR("\12\5\22\3abc"));
    ask(&lab, PATH "StreamingInputCall");
    assert_string_equal(lab.x.grpc_status, "0");
    assert_memory_equal(lab.x.body, "\0\0\0\0\2\10\5", 7);
    stop(&lab);
}

/* The compression probes of the official client, and what it asks the server to send. */
static void test_compression(void **state) {
    FL_UNUSED(state);
    struct lab lab;
    start(&lab);
    add(&lab, FL_STR("\20\144\102\2\10\1")); /* expect_compressed, and it is not */
    ask(&lab, PATH "UnaryCall");
    assert_string_equal(lab.x.grpc_status, "3");
    add(&lab, FL_STR("\20\144\102\0")); /* expects a plain one */
    ask(&lab, PATH "UnaryCall");
    assert_string_equal(lab.x.grpc_status, "0");
    assert_string_equal(lab.x.encoding, "");
    add(&lab, FL_STR("\20\144\62\2\10\1")); /* response_compressed */
    ask(&lab, PATH "UnaryCall");
    assert_string_equal(lab.x.encoding, "gzip");
    assert_int_equal(lab.x.body[0], 1);
    assert_true(lab.x.body_len < 100);
    add(&lab, FL_STR("\12\0\22\2\10\1"));
    ask(&lab, PATH "StreamingInputCall");
    assert_string_equal(lab.x.grpc_status, "3");
    add(&lab, FL_STR("\22\2\10\144\22\6\10\144\32\2\10\1")); /* 100 bytes plain, 100 not */
    ask(&lab, PATH "StreamingOutputCall");
    assert_string_equal(lab.x.encoding, "gzip");
    assert_int_equal(lab.x.body[0], 0);
    assert_int_equal(lab.x.body[framed(100)], 1);
    assert_string_equal(lab.x.grpc_status, "0");
    stop(&lab);
}

/* Its client goes while it waits for an interval. */
static void test_a_client_that_goes_meanwhile(void **state) {
    FL_UNUSED(state);
    static const unsigned sizes[] = {1, 2, 3};
    struct fl_error why = {FL_ECANCELLED, ""};
    struct lab lab;
    start(&lab);
    add_output(&lab, sizes, FL_COUNT(sizes));
    server_bed_send(
        &lab.bed, &lab.x,
        &(struct request){.path = PATH "FullDuplexCall", .body = fl_buf_str(&lab.body)});
    while (lab.x.body_len == 0) fl_world_step(lab.bed.world);
    fl_http_stream_reset(lab.x.stream, 8, &why);
    fl_world_run_ms(lab.bed.world, 1000);
    assert_true(lab.x.closed);
    stop(&lab);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_compression),
        cmocka_unit_test(test_a_client_that_goes_meanwhile),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
