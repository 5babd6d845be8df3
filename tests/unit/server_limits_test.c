/* What a gRPC server bears of its clients: calls, streams, age, quiet, PINGs. */
#include "support/server_bed.h"

#include <string.h>

#include "base/log.h"

#define BIDI "/grpc.examples.echo.Echo/BidirectionalStreamingEcho"
#define A    FL_STR("\0\0\0\0\1a")

#define ENHANCE_YOUR_CALM 11
#define NO_ERROR          0

static struct fl_echo *start(struct server_bed *bed, struct fl_grpc_server_limits limits) {
    struct fl_echo *echo;
    struct fl_echo_options options = {.host = FL_STR(HOST), .port = PORT, .limits = limits};
    server_bed_start(bed, 1);
    assert_int_equal(fl_echo_new(bed->io, &options, &echo, NULL), 0);
    return echo;
}

static void stop(struct server_bed *bed, struct fl_echo *echo) {
    server_bed_kill_echo(bed, echo);
    server_bed_stop(bed);
}

static void open_stream(struct server_bed *bed, struct exchange *x) {
    server_bed_ask(bed, x, &(struct request){.path = BIDI, .body = A, .open = true});
}

static void end_stream(struct server_bed *bed, struct exchange *x) {
    server_bed_write(x, FL_STR_NONE, true);
    fl_world_run_ms(bed->world, 100);
    assert_string_equal(x->grpc_status, "0");
}

/* Refused in the way that says "not processed", so that a client tries another endpoint. */
static void test_calls_in_all_are_bounded(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct exchange one, more;
    struct fl_echo *echo = start(&bed, (struct fl_grpc_server_limits){.calls_max = 1});
    server_bed_dial(&bed);
    open_stream(&bed, &one);
    server_bed_ask(&bed, &more, &(struct request){.body = A});
    assert_true(more.closed);
    assert_int_equal(more.why, FL_ESTREAM_REFUSED);
    end_stream(&bed, &one);
    server_bed_ask(&bed, &more, &(struct request){.body = A});
    assert_string_equal(more.grpc_status, "0");
    stop(&bed, echo);
}

static void test_streams_of_a_connection_are_bounded(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct exchange one;
    struct fl_echo *echo = start(&bed, (struct fl_grpc_server_limits){.streams_max = 1});
    server_bed_dial(&bed);
    assert_int_equal(fl_http_conn_room(bed.conn), 1);
    open_stream(&bed, &one);
    assert_int_equal(fl_http_conn_room(bed.conn), 0);
    end_stream(&bed, &one);
    assert_int_equal(fl_http_conn_room(bed.conn), 1);
    stop(&bed, echo);
}

/* GOAWAY between nine and eleven tenths of the age; the call that runs ends well. */
static void test_C8_an_old_connection_drains(void **state) {
    FL_UNUSED(state);
    uint64_t first = 0;
    bool spread = false;
    for (unsigned i = 0; i < 5; i++) {
        struct server_bed bed;
        struct exchange x;
        struct fl_echo *echo = start(&bed, (struct fl_grpc_server_limits){.age_ms_max = 10000});
        bed.io->jitter.state = i;
        uint64_t start_ms = fl_io_now_ms(bed.io);
        server_bed_dial(&bed);
        open_stream(&bed, &x);
        while (bed.goaways == 0) fl_world_run_ms(bed.world, 10);
        uint64_t age_ms = fl_io_now_ms(bed.io) - start_ms;
        assert_in_range(age_ms, 9000, 11200);
        if (i == 0) first = age_ms;
        spread = spread || age_ms != first;
        fl_world_run_ms(bed.world, 30000);
        assert_false(x.closed);
        end_stream(&bed, &x);
        fl_world_run_ms(bed.world, 1000);
        assert_true(bed.closed);
        stop(&bed, echo);
    }
    assert_true(spread);
}

static void test_an_old_connection_is_cut_at_last(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct exchange x;
    struct fl_echo *echo =
        start(&bed, (struct fl_grpc_server_limits){.age_ms_max = 10000, .age_grace_ms = 5000});
    server_bed_dial(&bed);
    open_stream(&bed, &x);
    fl_world_run_ms(bed.world, 13000);
    assert_true(bed.goaways > 0 && !bed.closed);
    fl_world_run_ms(bed.world, 4000);
    assert_true(bed.closed && x.closed && x.why != FL_OK);
    stop(&bed, echo);
}

static void test_a_connection_without_calls_drains(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct exchange x;
    struct fl_echo *echo = start(&bed, (struct fl_grpc_server_limits){.idle_ms_max = 5000});
    server_bed_dial(&bed);
    open_stream(&bed, &x);
    fl_world_run_ms(bed.world, 20000);
    assert_int_equal(bed.goaways, 0);
    end_stream(&bed, &x);
    fl_world_run_ms(bed.world, 4000);
    assert_int_equal(bed.goaways, 0);
    fl_world_run_ms(bed.world, 2000);
    assert_true(bed.goaways > 0);
    assert_int_equal(bed.goaway_code, NO_ERROR);
    assert_true(bed.closed);
    stop(&bed, echo);
}

/* A call that was on its way when the server found the connection idle is answered. */
static void test_a_call_that_meets_the_idle_drain_is_answered(void **state) {
    FL_UNUSED(state);
    for (uint64_t late_ms = 4800; late_ms < 5000; late_ms++) {
        struct server_bed bed;
        struct exchange x = {.closed = false};
        struct fl_echo *echo = start(&bed, (struct fl_grpc_server_limits){.idle_ms_max = 5000});
        server_bed_dial(&bed);
        fl_world_run_ms(bed.world, late_ms);
        if (!bed.closed && fl_http_conn_room(bed.conn) > 0) {
            server_bed_ask(&bed, &x, &(struct request){.body = A});
            assert_string_equal(x.grpc_status, "0");
        }
        stop(&bed, echo);
    }
}

static void test_C10_too_many_pings_end_the_connection(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct exchange x;
    struct fl_echo *echo = start(&bed, (struct fl_grpc_server_limits){.ping_ms_min = 10000});
    bed.ping_after_ms = 1000;
    server_bed_dial(&bed);
    open_stream(&bed, &x);
    fl_world_run_ms(bed.world, 3000);
    assert_int_equal(bed.goaways, 0); /* a first PING and two strikes at most */
    fl_world_run_ms(bed.world, 3000);
    assert_int_equal(bed.goaways, 1);
    assert_int_equal(bed.goaway_code, ENHANCE_YOUR_CALM);
    assert_string_equal(bed.goaway_debug, "too_many_pings");
    assert_true(bed.closed && x.closed && x.why != FL_OK);
    stop(&bed, echo);
}

static void test_C10_pings_that_are_permitted(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct exchange x;
    struct fl_echo *echo = start(&bed, (struct fl_grpc_server_limits){.ping_ms_min = 900});
    bed.ping_after_ms = 1000;
    server_bed_dial(&bed);
    open_stream(&bed, &x);
    fl_world_run_ms(bed.world, 60000);
    assert_int_equal(bed.goaways, 0);
    stop(&bed, echo);
}

/* What the server sends clears the strikes: such a client is not only pinging. */
static void test_C10_answers_clear_the_strikes(void **state) {
    FL_UNUSED(state);
    struct server_bed bed;
    struct exchange x, call;
    struct fl_echo *echo = start(&bed, (struct fl_grpc_server_limits){.ping_ms_min = 10000});
    bed.ping_after_ms = 1000;
    server_bed_dial(&bed);
    open_stream(&bed, &x);
    for (int i = 0; i < 20; i++) {
        server_bed_ask(&bed, &call, &(struct request){.body = A});
        assert_string_equal(call.grpc_status, "0");
        fl_world_run_ms(bed.world, 2300);
    }
    assert_int_equal(bed.goaways, 0);
    stop(&bed, echo);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_in_all_are_bounded),
        cmocka_unit_test(test_streams_of_a_connection_are_bounded),
        cmocka_unit_test(test_C8_an_old_connection_drains),
        cmocka_unit_test(test_an_old_connection_is_cut_at_last),
        cmocka_unit_test(test_a_connection_without_calls_drains),
        cmocka_unit_test(test_a_call_that_meets_the_idle_drain_is_answered),
        cmocka_unit_test(test_C10_too_many_pings_end_the_connection),
        cmocka_unit_test(test_C10_pings_that_are_permitted),
        cmocka_unit_test(test_C10_answers_clear_the_strikes),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
