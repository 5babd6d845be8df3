/* The gRPC server side and the echo service on the virtual world, spoken to by a bare HTTP/2
 * client. */
#include "support/server_bed.h"

#include <string.h>

#include "base/log.h"

#define CHECK "/grpc.health.v1.Health/Check"

static void test_echo(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct server_bed bed;
        struct exchange x;
        server_bed_start(&bed, seed);
        struct fl_echo *echo = server_bed_echo(&bed, 0);
        assert_int_equal(fl_echo_port(echo), PORT);
        server_bed_dial(&bed);
        server_bed_ask(&bed, &x, &(struct request){.type = GRPC, .body = {"\0\0\0\0\4\12\2hi", 9}});
        assert_int_equal(x.http_status, 200);
        assert_string_equal(x.grpc_status, "0");
        assert_int_equal(x.body_len, 9);
        assert_memory_equal(x.body, "\0\0\0\0\4\12\2hi", 9);
        assert_true(x.ended && x.closed && x.why == FL_OK);
        assert_int_equal(fl_echo_calls(echo), 1);
        server_bed_kill_echo(&bed, echo);
        server_bed_stop(&bed);
    }
}

static void test_statuses_of_bad_requests(void **state) {
    FL_UNUSED(state);
    static const struct {
        struct request request;
        int http_status;
        const char *grpc_status;
    } rows[] = {
        {{.type = "application/grpc+proto", .body = {"\0\0\0\0\0", 5}}, 200, "0"},
        {{.type = "text/plain", .body = {"x", 1}}, 415, ""},
        {{.type = GRPC, .method = "GET"}, 405, ""},
        {{.type = GRPC, .path = "/x.Y/Z", .body = {"\0\0\0\0\0", 5}}, 200, "12"},
        {{.type = GRPC}, 200, "12"},                                         /* no message */
        {{.type = GRPC, .body = {"\0\0\0\0\7half", 9}}, 200, "13"},          /* half of one */
        {{.type = GRPC, .body = {"\0\0\0\0\1a\0\0\0\0\1b", 12}}, 200, "12"}, /* two */
        {{.type = GRPC, .body = {"\1\0\0\0\1x", 6}}, 200, "13"},             /* compressed */
        {{.type = GRPC, .body = {"\0\377\377\377\377", 5}}, 200, "8"},       /* too large */
        {{.type = GRPC, .timeout = "soon", .body = {"\0\0\0\0\0", 5}}, 200, "13"},
        {{.type = GRPC, .path = CHECK, .body = {"\0\0\0\0\0", 5}}, 200, "0"},
    };
    struct server_bed bed;
    server_bed_start(&bed, 1);
    struct fl_echo *echo = server_bed_echo(&bed, 0);
    server_bed_dial(&bed);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct exchange x;
        server_bed_ask(&bed, &x, &rows[i].request);
        assert_int_equal(x.http_status, rows[i].http_status);
        assert_string_equal(x.grpc_status, rows[i].grpc_status);
        assert_true(x.closed);
    }
    server_bed_kill_echo(&bed, echo);
    server_bed_stop(&bed);
}

static void test_deadline_cancels_the_call(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct exchange x;
    server_bed_start(&bed, 2);
    struct fl_echo *echo = server_bed_echo(&bed, 1000);
    server_bed_dial(&bed);
    server_bed_ask(&bed, &x,
                   &(struct request){.type = GRPC, .timeout = "100m", .body = {"\0\0\0\0\0", 5}});
    assert_true(x.closed);
    assert_int_equal(x.why, FL_ESTREAM_RESET);
    fl_world_run_ms(bed.world, 2000); /* the handler replies to nobody */
    server_bed_kill_echo(&bed, echo);
    server_bed_stop(&bed);
}

static void test_health_while_draining(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct exchange slow, check;
    const struct request health = {.type = GRPC, .path = CHECK, .body = {"\0\0\0\0\0", 5}};
    server_bed_start(&bed, 3);
    struct fl_echo *echo = server_bed_echo(&bed, 1000);
    server_bed_dial(&bed);
    server_bed_ask(&bed, &check, &health);
    assert_memory_equal(check.body, "\0\0\0\0\2\10\1", 7);
    server_bed_ask(&bed, &slow, &(struct request){.type = GRPC, .body = {"\0\0\0\0\0", 5}});
    server_bed_send(&bed, &check, &health); /* on its way when the drain begins */
    fl_echo_drain(echo, fl_io_now_ms(bed.io) + 30000, server_bed_done, &bed);
    fl_world_run_ms(bed.world, 100);
    assert_memory_equal(check.body, "\0\0\0\0\2\10\2", 7);
    assert_int_equal(bed.done, 0);
    fl_world_run_ms(bed.world, 2000);
    assert_int_equal(bed.done, 1);
    assert_string_equal(slow.grpc_status, "0");
    server_bed_stop(&bed);
}

/* Stops listening, GOAWAY in two steps, what was accepted finishes. */
static void test_C8_drain_finishes_what_it_accepted(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct server_bed bed;
        struct exchange x[10];
        server_bed_start(&bed, seed);
        struct fl_echo *echo = server_bed_echo(&bed, 500);
        server_bed_dial(&bed);
        for (size_t i = 0; i < FL_COUNT(x); i++)
            server_bed_send(&bed, &x[i],
                            &(struct request){.type = GRPC, .body = {"\0\0\0\0\1x", 6}});
        for (uint64_t i = 0; i < seed; i++) fl_world_step(bed.world);
        fl_echo_drain(echo, fl_io_now_ms(bed.io) + 30000, server_bed_done, &bed);
        fl_world_run_ms(bed.world, 2000);
        for (size_t i = 0; i < FL_COUNT(x); i++) {
            assert_true(x[i].closed);
            assert_string_equal(x[i].grpc_status, "0");
        }
        assert_true(bed.goaways >= 1);
        assert_true(bed.closed);
        assert_int_equal(bed.done, 1);
        server_bed_stop(&bed);
    }
}

static void test_drain_deadline_cuts(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct exchange x;
    server_bed_start(&bed, 4);
    struct fl_echo *echo = server_bed_echo(&bed, 60000);
    server_bed_dial(&bed);
    server_bed_ask(&bed, &x, &(struct request){.type = GRPC, .body = {"\0\0\0\0\0", 5}});
    fl_echo_drain(echo, fl_io_now_ms(bed.io) + 1000, server_bed_done, &bed);
    fl_world_run_ms(bed.world, 900);
    assert_int_equal(bed.done, 0);
    fl_world_run_ms(bed.world, 200);
    assert_int_equal(bed.done, 1);
    assert_true(x.closed && x.why != FL_OK);
    server_bed_stop(&bed);
}

static void test_kill_while_draining(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct exchange x;
    server_bed_start(&bed, 5);
    struct fl_echo *echo = server_bed_echo(&bed, 60000);
    server_bed_dial(&bed);
    server_bed_ask(&bed, &x, &(struct request){.type = GRPC, .body = {"\0\0\0\0\0", 5}});
    fl_echo_drain(echo, fl_io_now_ms(bed.io) + 30000, NULL, NULL);
    fl_world_run_ms(bed.world, 100);
    server_bed_kill_echo(&bed, echo);
    assert_true(x.closed && x.why != FL_OK);
    server_bed_stop(&bed);
}

static void test_connections_are_bounded(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    server_bed_start(&bed, 6);
    struct fl_grpc_server *server =
        server_bed_serve(&bed, (struct fl_grpc_server_options){.limits.connections_max = 1});
    server_bed_dial(&bed);
    assert_int_equal(fl_grpc_server_connections(server), 1);
    struct server_bed second = {.world = bed.world, .io = bed.io};
    server_bed_dial(&second);
    assert_true(second.closed && !second.ready);
    assert_int_equal(fl_grpc_server_connections(server), 1);
    server_bed_kill(&bed, server);
    server_bed_stop(&bed);
}

static void test_address_in_use(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    server_bed_start(&bed, 7);
    struct fl_echo *echo = server_bed_echo(&bed, 0), *second = NULL;
    struct fl_echo_options options = {.host = FL_STR(HOST), .port = PORT};
    struct fl_error err;
    assert_int_equal(fl_echo_new(bed.io, &options, &second, &err), FL_ESYS);
    assert_non_null(strstr(err.detail, HOST));
    server_bed_kill_echo(&bed, echo);
    server_bed_stop(&bed);
}

static void test_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_world *world;
        if (fl_world_new(&(struct fl_world_options){.seed = 1}, &world) != 0) continue;
        struct fl_echo_options options = {.host = FL_STR(HOST), .port = PORT};
        struct fl_echo *echo = NULL;
        int rc = fl_echo_new(fl_world_io(world), &options, &echo, NULL);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc == 0) fl_echo_kill(echo, NULL, NULL);
        fl_world_run_ms(world, 10);
        fl_world_free(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_statuses_of_bad_requests),
        cmocka_unit_test(test_deadline_cancels_the_call),
        cmocka_unit_test(test_health_while_draining),
        cmocka_unit_test(test_C8_drain_finishes_what_it_accepted),
        cmocka_unit_test(test_drain_deadline_cuts),
        cmocka_unit_test(test_kill_while_draining),
        cmocka_unit_test(test_connections_are_bounded),
        cmocka_unit_test(test_address_in_use),
        cmocka_unit_test(test_each_allocation_failing),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
