/* cli_reflect_test.c - asking servers for descriptors: old ones, those that have none, and those
 * that answer nonsense. */
#include "support/alloc.h"

#include <string.h>

#include "cli/reflect.h"
#include "server/reflection.h"
#include "support/bed.h"
#include "wire/pb.h"

#define HOST "10.0.0.1"

struct reflect_bed {
    struct fl_bed bed;
    struct fl_grpc_server *server;
    struct fl_reflection *reflection;
    struct fl_schema *schema;
    struct fl_error why;
    unsigned done, gone;
};

static void on_done(void *arg, const struct fl_error *why) {
    struct reflect_bed *bed = arg;
    bed->why = *why;
    bed->done++;
}

static void on_gone(void *arg) { ++*(unsigned *)arg; }

static void start(struct reflect_bed *bed, const struct fl_grpc_service *services, size_t count) {
    const struct fl_grpc_server_options options = {
        .host = FL_STR(HOST), .port = FL_BED_PORT, .services = services, .service_count = count};
    fl_bed_start(&bed->bed, NULL);
    assert_int_equal(fl_grpc_server_new(bed->bed.io, &options, &bed->server, NULL), 0);
    fl_bed_open(&bed->bed, NULL);
    fl_bed_publish(&bed->bed, 1);
    assert_int_equal(fl_schema_new(&bed->schema), 0);
}

static void stop(struct reflect_bed *bed) {
    fl_schema_free(bed->schema);
    fl_grpc_server_kill(bed->server, on_gone, &bed->gone);
    fl_world_run_ms(bed->bed.world, 1000);
    assert_int_equal(bed->gone, 1);
    fl_bed_stop(&bed->bed);
    fl_reflection_free(bed->reflection);
}

/* Asks for the service and waits; bed->why says how it went. */
static void ask(struct reflect_bed *bed, const char *service) {
    const struct fl_reflect_options options = {.channel = bed->bed.channel,
                                               .schema = bed->schema,
                                               .service = service,
                                               .timeout_ms = 5000,
                                               .on_done = on_done,
                                               .arg = bed};
    struct fl_reflect *reflect;
    assert_int_equal(fl_reflect_start(&options, &reflect, NULL), 0);
    fl_world_run_ms(bed->bed.world, 6000);
    assert_int_equal(bed->done, 1);
    fl_reflect_free(reflect);
}

/* A server of our own, with the versions in [from, from + count). */
static void start_ours(struct reflect_bed *bed, size_t from, size_t count) {
    struct fl_grpc_service services[FL_REFLECTION_SERVICES];
    bed->reflection = fl_reflection_new();
    assert_int_equal(fl_reflection_add(bed->reflection,
                                       fl_str_n(fl_descriptors_server, fl_descriptors_server_len)),
                     0);
    fl_reflection_services(bed->reflection, services);
    start(bed, services + from, count);
}

static void test_both_versions(void **state) {
    FL_UNUSED(state);
    for (size_t version = 0; version < FL_REFLECTION_SERVICES; version++) {
        struct reflect_bed bed = {0};
        const struct fl_rpc *rpc;
        start_ours(&bed, version, 1);
        ask(&bed, "grpc.examples.echo.Echo");
        assert_int_equal(bed.why.code, 0);
        assert_int_equal(
            fl_schema_rpc(bed.schema, "grpc.examples.echo.Echo/ClientStreamingEcho", &rpc, NULL),
            0);
        assert_true(rpc->client_streams);
        assert_false(rpc->server_streams);
        assert_string_equal(rpc->request, "grpc.examples.echo.EchoRequest");
        stop(&bed);
    }
}

static void test_what_is_not_there(void **state) {
    FL_UNUSED(state);
    struct reflect_bed bed = {0};
    start_ours(&bed, 0, FL_REFLECTION_SERVICES);
    ask(&bed, "nobody.Here");
    assert_int_equal(bed.why.code, FL_EUSAGE);
    assert_non_null(strstr(bed.why.detail, "nobody.Here"));
    assert_non_null(strstr(bed.why.detail, "grpc.reflection.v1.ServerReflection"));
    stop(&bed);
    bed = (struct reflect_bed){0};
    start(&bed, NULL, 0);
    ask(&bed, "nobody.Here");
    assert_int_equal(bed.why.code, FL_EUSAGE);
    assert_non_null(strstr(bed.why.detail, "no reflection"));
    stop(&bed);
}

/* ---- a server that answers each question with the same bytes ---- */

static struct fl_str nonsense;

static void answer(void *arg, struct fl_grpc_call *call, struct fl_str message) {
    FL_UNUSED(arg);
    FL_UNUSED(message);
    assert_int_equal(fl_grpc_call_send(call, nonsense), 0);
}

static void finish(void *arg, struct fl_grpc_call *call) {
    FL_UNUSED(arg);
    fl_grpc_call_finish(call, FL_STATUS_OK, FL_STR_NONE, FL_HTTP_HEADERS_NONE);
}

static void end_at_once(void *arg, struct fl_grpc_call *call, struct fl_str message) {
    FL_UNUSED(message);
    finish(arg, call);
}

static void ask_strange(const struct fl_grpc_call_events *events, int code) {
    const struct fl_grpc_method method = {
        .name = "ServerReflectionInfo", .events = events, .client_streams = true};
    const struct fl_grpc_service service = {
        .name = "grpc.reflection.v1.ServerReflection", .methods = &method, .method_count = 1};
    struct reflect_bed bed = {0};
    start(&bed, &service, 1);
    ask(&bed, "a.B");
    assert_int_equal(bed.why.code, code);
    stop(&bed);
}

static void test_answers_that_are_none(void **state) {
    static const struct fl_grpc_call_events events = {.on_message = answer, .on_end = finish};
    static const struct fl_grpc_call_events early = {.on_message = end_at_once};
    static const struct fl_grpc_call_events silent = {.on_end = finish};
    static const struct fl_str texts[] = {
        FL_STR(""), FL_STR("\377\377"), FL_STR("\042\002\012\005"), FL_STR("\042\004\012\002hi"),
        /* error_response: the symbol, then the list of services, is refused */
        FL_STR("\072\002\010\005"),
        /* a file a.proto that imports b.proto, whatever is asked for */
        FL_STR("\042\024\012\022\012\007a.proto\032\007b.proto")};
    enum { REFUSAL = 4 };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(texts); i++) {
        nonsense = texts[i];
        ask_strange(&events, i == REFUSAL ? FL_EUSAGE : FL_EPROTO);
    }
    ask_strange(&early, FL_EPROTO);
    ask_strange(&silent, FL_EDEADLINE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_versions),
        cmocka_unit_test(test_what_is_not_there),
        cmocka_unit_test(test_answers_that_are_none),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
