/* grpc.health.v1.Health as a service: Check and Watch, per service, and the server's leaving. */
#include "support/server_bed.h"

#include <string.h>

#include "base/log.h"
#include "server/health_service.h"

#define CHECK "/grpc.health.v1.Health/Check"
#define WATCH "/grpc.health.v1.Health/Watch"

#define WHOLE FL_STR("\0\0\0\0\0")           /* service "" */
#define SHIPS FL_STR("\0\0\0\0\7\12\5ships") /* service "ships" */
#define BAD   FL_STR("\0\0\0\0\3\12\5s")     /* not HealthCheckRequest */

struct harbour {
    struct server_bed bed;
    struct fl_health_service *health;
    struct fl_grpc_server *server;
};

static void start(struct harbour *h) {
    server_bed_start(&h->bed, 1);
    h->health = fl_health_service_new();
    assert_non_null(h->health);
    const struct fl_grpc_service services[] = {fl_health_service_of(h->health)};
    h->server = server_bed_serve(
        &h->bed, (struct fl_grpc_server_options){.services = services, .service_count = 1});
    server_bed_dial(&h->bed);
}

static void stop(struct harbour *h) {
    server_bed_kill(&h->bed, h->server);
    fl_health_service_free(h->health);
    server_bed_stop(&h->bed);
}

static void set(struct harbour *h, const char *service, enum fl_health_status status) {
    assert_int_equal(fl_health_service_set(h->health, fl_str_of(service), status), 0);
    fl_world_run_ms(h->bed.world, 100);
}

/* The statuses that came, in order: "12" is SERVING, then NOT_SERVING. */
static const char *told(const struct exchange *x) {
    static char text[64];
    size_t n = 0;
    for (size_t at = 0; at + 7 <= x->body_len; at += 7) {
        assert_memory_equal(x->body + at, "\0\0\0\0\2\10", 6);
        text[n++] = (char)('0' + x->body[at + 6]);
    }
    text[n] = '\0';
    return text;
}

static void test_check(void **state) {
    FL_UNUSED(state);
    struct harbour h;
    struct exchange x;
    start(&h);
    server_bed_ask(&h.bed, &x, &(struct request){.path = CHECK, .body = WHOLE});
    assert_string_equal(told(&x), "1");
    server_bed_ask(&h.bed, &x, &(struct request){.path = CHECK, .body = SHIPS});
    assert_string_equal(x.grpc_status, "5");
    set(&h, "ships", FL_HEALTH_NOT_SERVING);
    server_bed_ask(&h.bed, &x, &(struct request){.path = CHECK, .body = SHIPS});
    assert_string_equal(told(&x), "2");
    server_bed_ask(&h.bed, &x, &(struct request){.path = CHECK, .body = BAD});
    assert_string_equal(x.grpc_status, "13");
    stop(&h);
}

static void test_watch_tells_changes_of_its_service(void **state) {
    FL_UNUSED(state);
    struct harbour h;
    struct exchange whole, ships;
    start(&h);
    server_bed_ask(&h.bed, &whole, &(struct request){.path = WATCH, .body = WHOLE});
    server_bed_ask(&h.bed, &ships, &(struct request){.path = WATCH, .body = SHIPS});
    assert_string_equal(told(&whole), "1");
    assert_string_equal(told(&ships), "3"); /* SERVICE_UNKNOWN, and the watch goes on */
    set(&h, "ships", FL_HEALTH_SERVING);
    set(&h, "ships", FL_HEALTH_SERVING); /* no change, no word */
    set(&h, "ships", FL_HEALTH_NOT_SERVING);
    set(&h, "boats", FL_HEALTH_NOT_SERVING);
    assert_string_equal(told(&ships), "312");
    assert_string_equal(told(&whole), "1");
    assert_false(ships.ended);
    stop(&h);
    assert_true(ships.closed);
}

static void test_bad_watches(void **state) {
    FL_UNUSED(state);
    struct harbour h;
    struct exchange x;
    start(&h);
    server_bed_ask(&h.bed, &x, &(struct request){.path = WATCH, .body = BAD});
    assert_string_equal(x.grpc_status, "13");
    server_bed_ask(&h.bed, &x, &(struct request){.path = WATCH});
    assert_string_equal(x.grpc_status, "12");
    server_bed_ask(&h.bed, &x, &(struct request){.path = WATCH, .body = SHIPS, .open = true});
    assert_int_equal(x.body_len, 0); /* is it one message? */
    set(&h, "ships", FL_HEALTH_SERVING);
    struct fl_error why = {FL_ECANCELLED, ""};
    fl_http_stream_reset(x.stream, 8, &why);
    fl_world_run_ms(h.bed.world, 100);
    stop(&h);
}

/* Watches would keep a draining server for ever: they are told, and end. */
static void test_leaving_tells_and_ends_the_watches(void **state) {
    FL_UNUSED(state);
    struct harbour h;
    struct exchange whole, ships, late;
    start(&h);
    set(&h, "ships", FL_HEALTH_SERVING);
    server_bed_ask(&h.bed, &whole, &(struct request){.path = WATCH, .body = WHOLE});
    server_bed_ask(&h.bed, &ships, &(struct request){.path = WATCH, .body = SHIPS});
    server_bed_send(&h.bed, &late, &(struct request){.path = WATCH, .body = SHIPS});
    fl_health_service_leave(h.health);
    fl_grpc_server_drain(h.server, fl_io_now_ms(h.bed.io) + 600000, server_bed_done, &h.bed);
    fl_world_run_ms(h.bed.world, 1000);
    assert_string_equal(told(&whole), "12");
    assert_string_equal(told(&ships), "12");
    assert_string_equal(told(&late), "2");
    assert_string_equal(whole.grpc_status, "14");
    assert_string_equal(late.grpc_status, "14");
    assert_int_equal(h.bed.done, 1);
    fl_health_service_free(h.health);
    server_bed_stop(&h.bed);
}

static void test_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_health_service *health = fl_health_service_new();
        if (!health) continue;
        int rc = fl_health_service_set(health, FL_STR("ships"), FL_HEALTH_SERVING);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        fl_health_service_free(health);
    }
    fl_health_service_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_watch_tells_changes_of_its_service),
        cmocka_unit_test(test_bad_watches),
        cmocka_unit_test(test_leaving_tells_and_ends_the_watches),
        cmocka_unit_test(test_each_allocation_failing),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
