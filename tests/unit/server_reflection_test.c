/* Server reflection as its clients speak it, v1 and v1alpha. */
#include "support/server_bed.h"

#include <string.h>

#include "base/log.h"
#include "server/reflection.h"
#include "wire/grpc.h"
#include "wire/pb.h"

#define V1      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
#define V1ALPHA "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

enum { FILE_BY_NAME = 3, FILE_OF_SYMBOL, FILE_OF_EXTENSION, EXTENSIONS_OF_TYPE, LIST };
enum { FILES = 4, EXTENSION_NUMBERS, SERVICES, ERROR };

struct quay {
    struct server_bed bed;
    struct fl_reflection *reflection;
    struct fl_grpc_server *server;
    struct exchange x;
    char request[128];
};

static void start(struct quay *q, struct fl_str set) {
    struct fl_grpc_service services[FL_REFLECTION_SERVICES];
    server_bed_start(&q->bed, 1);
    q->reflection = fl_reflection_new();
    assert_non_null(q->reflection);
    assert_int_equal(fl_reflection_add(q->reflection, set), 0);
    fl_reflection_services(q->reflection, services);
    q->server = server_bed_serve(
        &q->bed,
        (struct fl_grpc_server_options){.services = services, .service_count = FL_COUNT(services)});
    server_bed_dial(&q->bed);
}

static void start_built_in(struct quay *q) {
    start(q, fl_str_n(fl_descriptors_server, fl_descriptors_server_len));
}

static void stop(struct quay *q) {
    server_bed_kill(&q->bed, q->server);
    fl_reflection_free(q->reflection);
    server_bed_stop(&q->bed);
}

static struct fl_str field_of(struct fl_str message, unsigned number, size_t index) {
    struct fl_parse r = fl_parse_of(message);
    struct fl_pb_field field;
    while (fl_pb_next(&r, &field))
        if (field.tag == FL_PB_LEN(number) && index-- == 0) return field.bytes;
    return FL_STR_NONE;
}

/* The only answer, whole and good; the kind of it is `number`. */
static struct fl_str answer(const struct quay *q, unsigned number) {
    assert_string_equal(q->x.grpc_status, "0");
    assert_in_range(q->x.body_len, FL_GRPC_PREFIX, sizeof(q->x.body));
    struct fl_str message = fl_str_n(q->x.body + FL_GRPC_PREFIX, q->x.body_len - FL_GRPC_PREFIX);
    struct fl_str original = field_of(message, 2, 0);
    assert_memory_equal(original.p, q->request + FL_GRPC_PREFIX, original.n);
    struct fl_str host = field_of(message, 1, 0);
    assert_true(fl_str_eq(host, FL_STR("quay")));
    struct fl_str found = field_of(message, number, 0);
    assert_non_null(found.p);
    return found;
}

static struct fl_str ask(struct quay *q, const char *path, unsigned kind, const char *what,
                         unsigned number) {
    struct fl_buf message;
    fl_buf_init(&message, sizeof(q->request));
    struct fl_pb_writer w = fl_pb_writer_of(&message);
    fl_pb_put_text(&w, 1, FL_STR("quay"));
    fl_pb_put_bytes(&w, kind, fl_str_of(what));
    assert_int_equal(fl_pb_finish(&w), 0);
    fl_grpc_prefix((uint32_t)message.len, (uint8_t *)q->request);
    memcpy(q->request + FL_GRPC_PREFIX, fl_buf_str(&message).p, message.len);
    server_bed_ask(&q->bed, &q->x,
                   &(struct request){.path = path,
                                     .body = fl_str_n(q->request, FL_GRPC_PREFIX + message.len)});
    fl_buf_deinit(&message);
    return answer(q, number);
}

static void expect_file(struct quay *q, unsigned kind, const char *what, const char *name) {
    struct fl_str file = field_of(ask(q, V1, kind, what, FILES), 1, 0);
    assert_true(fl_str_eq(field_of(file, 1, 0), fl_str_of(name)));
}

static void expect_not_found(struct quay *q, unsigned kind, const char *what) {
    struct fl_str error = ask(q, V1, kind, what, ERROR);
    assert_int_equal(error.p[0], FL_PB_VARINT(1));
    assert_int_equal(error.p[1], FL_STATUS_NOT_FOUND);
}

static void test_services_are_those_of_the_server(void **state) {
    FL_UNUSED(state);
    static const char *const paths[] = {V1, V1ALPHA};
    struct quay q;
    start_built_in(&q);
    for (size_t i = 0; i < FL_COUNT(paths); i++) {
        struct fl_str services = ask(&q, paths[i], LIST, "*", SERVICES);
        assert_true(fl_str_eq(field_of(field_of(services, 1, 0), 1, 0),
                              FL_STR("grpc.reflection.v1.ServerReflection")));
        assert_true(fl_str_eq(field_of(field_of(services, 1, 1), 1, 0),
                              FL_STR("grpc.reflection.v1alpha.ServerReflection")));
        assert_null(field_of(services, 1, 2).p);
    }
    stop(&q);
}

static void test_files_by_name_and_symbol(void **state) {
    FL_UNUSED(state);
    static const char echo[] = "grpc/examples/echo/echo.proto";
    static const char health[] = "grpc/health/v1/health.proto";
    struct quay q;
    start_built_in(&q);
    expect_file(&q, FILE_BY_NAME, echo, echo);
    expect_file(&q, FILE_OF_SYMBOL, "grpc.examples.echo.Echo", echo);
    expect_file(&q, FILE_OF_SYMBOL, "grpc.examples.echo.Echo.UnaryEcho", echo);
    expect_file(&q, FILE_OF_SYMBOL, "grpc.examples.echo.EchoRequest", echo);
    expect_file(&q, FILE_OF_SYMBOL, "grpc.examples.echo.EchoRequest.message", echo);
    expect_file(&q, FILE_OF_SYMBOL, "grpc.health.v1.HealthCheckResponse.ServingStatus", health);
    expect_file(&q, FILE_OF_SYMBOL, "grpc.reflection.v1.ServerReflectionRequest.message_request",
                "grpc/reflection/v1/reflection.proto");
    expect_not_found(&q, FILE_BY_NAME, "echo.proto");
    expect_not_found(&q, FILE_BY_NAME, "");
    expect_not_found(&q, FILE_OF_SYMBOL, "");
    expect_not_found(&q, FILE_OF_SYMBOL, "grpc.examples.echo");
    expect_not_found(&q, FILE_OF_SYMBOL, "grpc.examples.echo.");
    expect_not_found(&q, FILE_OF_SYMBOL, "grpc.examples.echo.Ech");
    expect_not_found(&q, FILE_OF_SYMBOL, "grpc.examples.echo.EchoRequest.message.more");
    expect_not_found(&q, FILE_OF_SYMBOL, "Echo");
    stop(&q);
}

static void test_extensions_there_are_none(void **state) {
    FL_UNUSED(state);
    struct quay q;
    start_built_in(&q);
    struct fl_str numbers =
        ask(&q, V1, EXTENSIONS_OF_TYPE, "grpc.examples.echo.EchoRequest", EXTENSION_NUMBERS);
    assert_true(fl_str_eq(field_of(numbers, 1, 0), FL_STR("grpc.examples.echo.EchoRequest")));
    assert_null(field_of(numbers, 2, 0).p);
    expect_not_found(&q, EXTENSIONS_OF_TYPE, "grpc.examples.echo.Nothing");
    expect_not_found(&q, FILE_OF_EXTENSION, "\12\1x\20\1");
    stop(&q);
}

static void put_file(struct fl_pb_writer *w, const char *name, const char *const *imports,
                     size_t count) {
    size_t file = fl_pb_open(w, 1);
    fl_pb_put_text(w, 1, fl_str_of(name));
    for (size_t i = 0; i < count; i++) fl_pb_put_text(w, 3, fl_str_of(imports[i]));
    fl_pb_close(w, file);
}

/* Imports come before what needs them, each once, even if they import one another. */
static void test_a_file_brings_its_imports(void **state) {
    FL_UNUSED(state);
    static const char *const of_a[] = {"b", "c", "not registered"}, *const of_b[] = {"c", "a"};
    struct quay q;
    struct fl_buf set;
    fl_buf_init(&set, 1024);
    struct fl_pb_writer w = fl_pb_writer_of(&set);
    put_file(&w, "a", of_a, FL_COUNT(of_a));
    put_file(&w, "b", of_b, FL_COUNT(of_b));
    put_file(&w, "c", NULL, 0);
    put_file(&w, "d", NULL, 0);
    assert_int_equal(fl_pb_finish(&w), 0);
    start(&q, fl_buf_str(&set));
    struct fl_str files = ask(&q, V1, FILE_BY_NAME, "a", FILES);
    static const char *const order[] = {"c", "b", "a"};
    for (size_t i = 0; i < FL_COUNT(order); i++)
        assert_true(fl_str_eq(field_of(field_of(files, 1, i), 1, 0), fl_str_of(order[i])));
    assert_null(field_of(files, 1, FL_COUNT(order)).p);
    stop(&q);
    fl_buf_deinit(&set);
}

static void test_bad_sets(void **state) {
    FL_UNUSED(state);
    struct fl_reflection *reflection = fl_reflection_new();
    assert_int_equal(fl_reflection_add(reflection, FL_STR("\12\5half")), FL_EPROTO);
    assert_int_equal(fl_reflection_add(reflection, FL_STR("\12\0")), FL_EPROTO); /* no name */
    assert_int_equal(fl_reflection_add(reflection, FL_STR("\12\3\12\5x")), FL_EPROTO);
    for (int i = 0; i < 32; i++)
        assert_int_equal(fl_reflection_add(reflection, FL_STR("\12\3\12\1a")), 0);
    assert_int_equal(fl_reflection_add(reflection, FL_STR("\12\3\12\1a")), FL_EFULL);
    fl_reflection_free(reflection);
    fl_reflection_free(NULL);
}

static void test_bad_requests(void **state) {
    FL_UNUSED(state);
    static const struct fl_str bodies[] = {
        {"\0\0\0\0\0", 5},       /* asks for nothing */
        {"\0\0\0\0\3\12\1q", 8}, /* only a host */
        {"\0\0\0\0\3\42\5x", 8}, /* half a symbol */
        {"\0\0\0\0\2\30\1", 7},  /* a file by number */
    };
    struct quay q;
    start_built_in(&q);
    for (size_t i = 0; i < FL_COUNT(bodies); i++) {
        server_bed_ask(&q.bed, &q.x, &(struct request){.path = V1, .body = bodies[i]});
        assert_string_equal(q.x.grpc_status, "3");
    }
    stop(&q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_services_are_those_of_the_server),
        cmocka_unit_test(test_files_by_name_and_symbol),
        cmocka_unit_test(test_extensions_there_are_none),
        cmocka_unit_test(test_a_file_brings_its_imports),
        cmocka_unit_test(test_bad_sets),
        cmocka_unit_test(test_bad_requests),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
