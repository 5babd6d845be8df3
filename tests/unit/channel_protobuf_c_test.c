/* channel_protobuf_c_test.c - messages of protobuf-c as requests and responses of calls, on the
 * virtual world. */
#include <fairlead/protobuf_c.h>

#include "support/alloc.h"

#include <stddef.h>

#include "support/bed.h"

/* message EchoRequest { string message = 1; }, as protoc-c would describe it. */
struct text {
    ProtobufCMessage base;
    char *message;
};

static const ProtobufCFieldDescriptor fields[] = {{.name = "message",
                                                   .id = 1,
                                                   .label = PROTOBUF_C_LABEL_NONE,
                                                   .type = PROTOBUF_C_TYPE_STRING,
                                                   .offset = offsetof(struct text, message),
                                                   .default_value = protobuf_c_empty_string}};
static const unsigned by_name[] = {0};
static const ProtobufCIntRange ranges[] = {{1, 0}, {0, 1}};
static const ProtobufCMessageDescriptor text_type = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "grpc.examples.echo.EchoRequest",
    .sizeof_message = sizeof(struct text),
    .n_fields = 1,
    .fields = fields,
    .fields_sorted_by_name = by_name,
    .n_field_ranges = 1,
    .field_ranges = ranges,
};

struct ended {
    unsigned times;
    enum fl_status status;
    ProtobufCMessage *response;
};

static void on_end(void *arg, const struct fl_call_result *result) {
    struct ended *ended = arg;
    ended->times++;
    ended->status = result->status;
    ended->response = fl_protobuf_c_response(&text_type, result);
}

static void call(struct fl_bed *bed, const char *method, struct ended *ended) {
    char ahoy[] = "ahoy";
    struct text request = {PROTOBUF_C_MESSAGE_INIT(&text_type), ahoy};
    *ended = (struct ended){0, FL_STATUS_OK, NULL};
    assert_int_equal(
        fl_protobuf_c_unary(bed->channel, method, &request.base, NULL, on_end, ended, NULL, NULL),
        0);
    fl_world_run_ms(bed->world, 1000);
    assert_int_equal(ended->times, 1);
}

static void test_request_and_response(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct ended ended;
    fl_bed_start(&bed, NULL);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
    fl_bed_open(&bed, NULL);
    fl_bed_publish(&bed, 1);
    call(&bed, "/grpc.examples.echo.Echo/UnaryEcho", &ended);
    assert_int_equal(ended.status, FL_STATUS_OK);
    assert_non_null(ended.response);
    assert_string_equal(((struct text *)ended.response)->message, "ahoy");
    protobuf_c_message_free_unpacked(ended.response, NULL);
    call(&bed, "/grpc.examples.echo.Echo/Nothing", &ended);
    assert_int_equal(ended.status, FL_STATUS_UNIMPLEMENTED);
    assert_null(ended.response);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void test_what_is_no_such_message(void **state) {
    FL_UNUSED(state);
    const struct fl_call_result garbage = {
        .status = FL_STATUS_OK, .response = "\x0a\x7f", .response_len = 2};
    assert_null(fl_protobuf_c_response(&text_type, &garbage));
}

static void test_wrong_calls_are_not_started(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_error err;
    struct ended ended = {0, FL_STATUS_OK, NULL};
    struct text request = {PROTOBUF_C_MESSAGE_INIT(&text_type), NULL};
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, NULL);
    assert_int_equal(
        fl_protobuf_c_unary(bed.channel, "Echo", &request.base, NULL, on_end, &ended, NULL, &err),
        FL_EUSAGE);
    fl_bed_stop(&bed);
    assert_int_equal(ended.times, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_and_response),
        cmocka_unit_test(test_what_is_no_such_message),
        cmocka_unit_test(test_wrong_calls_are_not_started),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
