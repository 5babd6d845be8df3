/* channel_request_test.c - plain HTTP requests through a channel, over HTTP/2 and HTTP/1.1: on the
 * virtual world. */
#include <fairlead/blocking.h>
#include <fairlead/handle.h>

#include "support/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "channel/state.h"
#include "support/bed.h"
#include "support/site.h"

#define SITES 4

struct asked {
    struct fl_bed *bed;
    struct fl_call *call;
    unsigned ended;
    int status, why;
    unsigned attempts, retries;
    size_t body_len;
    char body[256], peer[64], detail[256], headers[256];
};

struct fixture {
    struct fl_bed bed;
    struct fl_site sites[SITES];
};

static const struct fl_channel_options http1 = {.protocol = FL_PROTOCOL_HTTP,
                                                .backoff_ms_min = 1000};
static const struct fl_channel_options http2 = {.protocol = FL_PROTOCOL_HTTP_2,
                                                .backoff_ms_min = 1000};
static const struct fl_channel_options *const both[] = {&http1, &http2};

static void start(struct fixture *f, unsigned sites, const struct fl_channel_options *options) {
    memset(f, 0, sizeof(*f));
    fl_bed_start(&f->bed, NULL);
    for (unsigned i = 0; i < sites; i++)
        fl_site_start(&f->sites[i], f->bed.io, fl_bed_host(i + 1), FL_BED_PORT);
    fl_bed_open(&f->bed, options);
    fl_bed_publish(&f->bed, sites);
    fl_world_run_ms(f->bed.world, 100);
}

static void stop(struct fixture *f) {
    fl_bed_close(&f->bed);
    for (unsigned i = 0; i < SITES; i++) fl_site_stop(&f->sites[i]);
    fl_bed_stop(&f->bed);
}

static void on_response(void *arg, const struct fl_response *response) {
    struct asked *asked = arg;
    asked->ended++;
    asked->status = response->status;
    asked->why = response->why->code;
    asked->attempts = response->attempts;
    asked->retries = response->retries;
    asked->body_len = response->body_len;
    assert_int_equal(response->status != 0, response->why->code == FL_OK);
    assert_int_equal(response->status != 0, response->body != NULL);
    snprintf(asked->body, sizeof(asked->body), "%.*s", (int)response->body_len,
             response->body ? (const char *)response->body : "");
    snprintf(asked->peer, sizeof(asked->peer), "%s", response->peer);
    snprintf(asked->detail, sizeof(asked->detail), "%s", response->why->detail);
    size_t n = 0;
    for (size_t i = 0; i < response->headers.count && n < sizeof(asked->headers); i++)
        n += (size_t)snprintf(asked->headers + n, sizeof(asked->headers) - n, "%s=%s;",
                              response->headers.list[i].name,
                              (const char *)response->headers.list[i].value);
}

static void ask(struct fixture *f, struct asked *asked, const struct fl_request *request,
                const struct fl_request_options *options) {
    memset(asked, 0, sizeof(*asked));
    asked->bed = &f->bed;
    int rc =
        fl_request_start(f->bed.channel, request, options, on_response, asked, &asked->call, NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(asked->ended, 0);
}

static void get(struct fixture *f, struct asked *asked) {
    ask(f, asked, &(struct fl_request){.path = "/a?b=c"}, NULL);
}

static bool has_ended(void *arg) { return ((struct asked *)arg)->ended > 0; }

static void wait_for(struct asked *asked, uint64_t limit_ms) {
    assert_true(fl_world_run_until(asked->bed->world, has_ended, asked, limit_ms));
    assert_int_equal(asked->ended, 1);
}

static void ask_now(struct fixture *f, struct asked *asked, const struct fl_request *request,
                    const struct fl_request_options *options) {
    ask(f, asked, request, options);
    wait_for(asked, 10000);
}

static void expect_get(const struct asked *asked) {
    assert_string_equal(asked->detail, "");
    assert_int_equal(asked->status, 200);
    assert_string_equal(asked->body, "GET /a?b=c ");
}

/* --- what goes over --- */

static void test_get(void **state) {
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(both); i++) {
        struct fixture f;
        struct asked asked;
        start(&f, 1, both[i]);
        get(&f, &asked);
        wait_for(&asked, 1000);
        expect_get(&asked);
        assert_string_equal(asked.peer, "10.0.0.1:50051");
        assert_int_equal(asked.attempts, 1);
        assert_non_null(strstr(asked.headers, "x-site=yes;"));
        assert_non_null(strstr(asked.headers, "x-some-bin=!;")); /* is no metadata */
        assert_non_null(strstr(f.sites[0].last_headers, "user-agent=fairlead/"));
        assert_null(strstr(f.sites[0].last_headers, "content-length"));
        assert_null(strstr(f.sites[0].last_headers, "grpc"));
        stop(&f);
    }
}

static void test_post(void **state) {
    FL_UNUSED(state);
    const struct fl_metadata headers[] = {{"Content-Type", "application/json", 16},
                                          {"X-Key-bin", "\xc3\xa4", 2},
                                          {"User-Agent", "mine", 4}};
    const struct fl_request request = {
        .method = "POST", .path = "/", .headers = {headers, 3}, .body = "{\"n\":1}", .body_len = 7};
    for (size_t i = 0; i < FL_COUNT(both); i++) {
        struct fixture f;
        struct asked asked;
        start(&f, 1, both[i]);
        ask_now(&f, &asked, &request, NULL);
        assert_int_equal(asked.status, 200);
        assert_string_equal(asked.body, "POST / {\"n\":1}");
        const char *seen = f.sites[0].last_headers;
        assert_non_null(strstr(seen, "content-type=application/json;"));
        assert_non_null(strstr(seen, "content-length=7;"));
        assert_non_null(strstr(seen, "x-key-bin=\xc3\xa4;"));
        assert_non_null(strstr(seen, "user-agent=mine;"));
        assert_null(strstr(seen, "fairlead/"));
        stop(&f);
    }
}

/* More than a stream's queue and every window. */
static void test_large_bodies(void **state) {
    FL_UNUSED(state);
    enum { SENT = 200 * 1024, PADDING = 3 * 1024 * 1024 };
    for (size_t i = 0; i < FL_COUNT(both); i++) {
        struct fixture f;
        struct asked asked;
        start(&f, 1, both[i]);
        f.sites[0].padding = PADDING;
        char *body = fl_alloc(SENT);
        memset(body, 'x', SENT);
        const struct fl_request request = {
            .method = "PUT", .path = "/", .body = body, .body_len = SENT};
        ask_now(&f, &asked, &request, NULL);
        assert_int_equal(asked.status, 200);
        assert_int_equal(asked.body_len, PADDING + strlen("PUT / ") + SENT);
        fl_free(body);
        stop(&f);
    }
}

static void test_no_body(void **state) {
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(both); i++) {
        struct fixture f;
        struct asked asked;
        start(&f, 1, both[i]);
        ask_now(&f, &asked, &(struct fl_request){.method = "POST", .path = "/"}, NULL);
        assert_string_equal(asked.body, "POST / ");
        assert_non_null(strstr(f.sites[0].last_headers, "content-length=0;"));
        get(&f, &asked); /* on the same connection */
        wait_for(&asked, 1000);
        expect_get(&asked);
        assert_int_equal(f.sites[0].conns_max, 1);
        stop(&f);
    }
}

/* Whatever the server says is an answer. */
static void test_status(void **state) {
    FL_UNUSED(state);
    const int statuses[] = {201, 400, 404, 503};
    for (size_t i = 0; i < FL_COUNT(both); i++) {
        struct fixture f;
        struct asked asked;
        start(&f, 1, both[i]);
        for (size_t j = 0; j < FL_COUNT(statuses); j++) {
            f.sites[0].status = statuses[j];
            get(&f, &asked);
            wait_for(&asked, 1000);
            assert_int_equal(asked.status, statuses[j]);
            assert_int_equal(asked.attempts, 1);
        }
        stop(&f);
    }
}

/* --- HTTP/1.1 --- */

static void test_appProtocol_says_the_version(void **state) {
    FL_UNUSED(state);
    const struct {
        const char *port;
        bool http1;
    } cases[] = {{"web/TCP/http", true}, {"web/TCP/kubernetes.io/h2c", false}, {"web", false}};
    for (size_t i = 0; i < FL_COUNT(cases); i++) {
        struct fixture f;
        struct asked asked;
        struct fl_bed_call call;
        struct fl_hand_endpoint endpoint = {fl_bed_host(1), FL_BED_PORT, 0, 1, cases[i].port};
        start(&f, 1, NULL);
        fl_bed_publish(&f.bed, 0);
        fl_hand_publish(f.bed.hand, FL_SET_SOME, &endpoint, 1);
        fl_world_run_ms(f.bed.world, 100);
        get(&f, &asked);
        wait_for(&asked, 1000);
        expect_get(&asked);
        /* gRPC finds no HTTP/2 there, or a server that is none of gRPC's. */
        fl_bed_call_now(&f.bed, &call, 1000);
        assert_int_equal(call.why, cases[i].http1 ? FL_EPROTO : FL_EHTTP);
        if (cases[i].http1) assert_int_equal(call.status, FL_STATUS_UNAVAILABLE);
        stop(&f);
    }
}

static void test_pool_of_connections(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct asked asked[10];
    struct fl_channel_options options = http1;
    options.connections_max = 3;
    start(&f, 1, &options);
    f.sites[0].delay_ms = 50;
    for (size_t i = 0; i < FL_COUNT(asked); i++) get(&f, &asked[i]);
    fl_world_run_ms(f.bed.world, 1000);
    for (size_t i = 0; i < FL_COUNT(asked); i++) expect_get(&asked[i]);
    assert_int_equal(f.sites[0].open_max, 3);
    assert_int_equal(f.sites[0].conns_max, 3);
    stop(&f);
}

/* "Connection: close" behind every response is no reason for a backoff. */
static void test_server_that_closes_after_each_answer(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct asked asked;
    start(&f, 1, &http1);
    f.sites[0].closes = true;
    for (int i = 0; i < 20; i++) {
        get(&f, &asked);
        wait_for(&asked, 100);
        expect_get(&asked);
    }
    stop(&f);
}

/* A gRPC health watch cannot be asked there: nobody is sent what is no request of his. */
static void test_no_gRPC_health_over_http1(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct asked asked;
    const struct fl_hand_endpoint endpoint = {"10.0.0.1", FL_BED_PORT, FL_BED_READY, 1,
                                              "web/TCP/http"};
    start(&f, 1, &(struct fl_channel_options){.health = {.grpc_service = ""}});
    fl_bed_publish(&f.bed, 0);
    fl_hand_publish(f.bed.hand, FL_SET_SOME, &endpoint, 1);
    fl_world_run_ms(f.bed.world, 100);
    unsigned before = f.sites[0].requests;
    assert_int_equal(fl_channel_state(f.bed.channel), FL_CHANNEL_READY);
    get(&f, &asked);
    wait_for(&asked, 100);
    expect_get(&asked);
    fl_world_run_ms(f.bed.world, 60000);
    assert_int_equal(fl_channel_state(f.bed.channel), FL_CHANNEL_READY);
    assert_int_equal(f.sites[0].requests, before + 1);
    stop(&f);
}

static int64_t opened(const struct fixture *f) {
    return fl_metric_value(f->bed.channel->loop_data.connector.metrics.succeeded);
}

/* There is no PING to ask it with. */
static void test_quiet_connection_is_replaced(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct asked asked;
    start(&f, 1, &http1);
    get(&f, &asked);
    wait_for(&asked, 100);
    fl_world_run_ms(f.bed.world, 29000);
    get(&f, &asked);
    wait_for(&asked, 100);
    assert_int_equal(opened(&f), 1);
    fl_world_run_ms(f.bed.world, 31000);
    get(&f, &asked);
    wait_for(&asked, 100);
    expect_get(&asked);
    assert_int_equal(asked.attempts, 1);
    assert_int_equal(opened(&f), 2);
    stop(&f);
}

/* --- what is tried again --- */

static void test_retries(void **state) {
    FL_UNUSED(state);
    const struct {
        const char *method;
        enum fl_request_retry retry;
        enum fl_site_manner manner;
        unsigned attempts_h1, attempts_h2; /* 2: it was tried again and answered */
    } cases[] = {
        {"GET", FL_REQUEST_RETRY_BY_METHOD, FL_SITE_BREAKS, 2, 2},
        {"PUT", FL_REQUEST_RETRY_BY_METHOD, FL_SITE_BREAKS, 2, 2},
        {"POST", FL_REQUEST_RETRY_BY_METHOD, FL_SITE_BREAKS, 1, 1},
        {"PATCH", FL_REQUEST_RETRY_BY_METHOD, FL_SITE_BREAKS, 1, 1},
        {"POST", FL_REQUEST_RETRY_IDEMPOTENT, FL_SITE_BREAKS, 2, 2},
        {"GET", FL_REQUEST_RETRY_UNPROCESSED, FL_SITE_BREAKS, 1, 1},
        {"POST", FL_REQUEST_RETRY_BY_METHOD, FL_SITE_REFUSES, 1, 2},
        {"POST", FL_REQUEST_RETRY_UNPROCESSED, FL_SITE_REFUSES, 1, 2},
        {"GET", FL_REQUEST_RETRY_IDEMPOTENT, FL_SITE_STOPS, 1, 1}, /* something was seen */
    };
    for (size_t i = 0; i < FL_COUNT(cases); i++) {
        for (size_t version = 0; version < FL_COUNT(both); version++) {
            struct fixture f;
            struct asked asked;
            unsigned expected = version == 0 ? cases[i].attempts_h1 : cases[i].attempts_h2;
            start(&f, 1, both[version]);
            f.sites[0].manner = cases[i].manner;
            f.sites[0].times = 1;
            ask_now(&f, &asked, &(struct fl_request){.method = cases[i].method, .path = "/"},
                    &(struct fl_request_options){.retry = cases[i].retry});
            assert_int_equal(asked.attempts, expected);
            assert_int_equal(asked.retries, expected - 1);
            assert_int_equal(asked.status, expected == 2 ? 200 : 0);
            assert_int_equal(f.sites[0].requests, expected);
            stop(&f);
        }
    }
}

static void test_retries_are_bounded(void **state) {
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(both); i++) {
        struct fixture f;
        struct asked asked;
        start(&f, 1, both[i]);
        f.sites[0].manner = FL_SITE_BREAKS;
        get(&f, &asked);
        wait_for(&asked, 10000);
        assert_int_equal(asked.status, 0);
        assert_in_range(asked.attempts, 2, 6);
        assert_true(asked.why == FL_ESTREAM_RESET || asked.why == FL_ECLOSED ||
                    asked.why == FL_ERESET);
        stop(&f);
    }
}

/* --- passive health --- */

static void get_many(struct fixture *f, unsigned count) {
    struct asked asked;
    for (unsigned i = 0; i < count; i++) {
        get(f, &asked);
        wait_for(&asked, 1000);
    }
}

/* What a server says of itself by 5xx counts as a failure, what it says of the request does not. */
static void test_outlier_by_status(void **state) {
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(both); i++) {
        struct fixture f;
        struct fl_channel_options options = *both[i];
        options.balance.outlier = (struct fl_outlier_options){
            .interval_ms = 1000,
            .max_ejection_percent = 50,
            .failure_percentage = {.on = true, .hosts_min = 3, .requests_min = 5}};
        start(&f, 3, &options);
        f.sites[0].status = 503;
        f.sites[1].status = 404;
        get_many(&f, 30);
        fl_world_run_ms(f.bed.world, 1100);
        unsigned failing = f.sites[0].requests, refusing = f.sites[1].requests;
        get_many(&f, 20);
        assert_int_equal(f.sites[0].requests, failing);
        assert_int_equal(f.sites[1].requests, refusing + 10);
        stop(&f);
    }
}

/* --- ends --- */

static void test_response_too_large(void **state) {
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(both); i++) {
        struct fixture f;
        struct asked asked;
        start(&f, 1, both[i]);
        f.sites[0].padding = 5000;
        const struct fl_request_options options = {.response_bytes_max = 4000};
        ask_now(&f, &asked, &(struct fl_request){.path = "/"}, &options);
        assert_int_equal(asked.status, 0);
        assert_int_equal(asked.why, FL_ETOO_LARGE);
        f.sites[0].padding = 1000;
        ask_now(&f, &asked, &(struct fl_request){.path = "/"}, &options);
        assert_int_equal(asked.status, 200);
        stop(&f);
    }
}

/* Over HTTP/1.1 each costs a connection, which is not the endpoint's fault. */
static void test_deadline_and_cancellation(void **state) {
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(both); i++) {
        struct fixture f;
        struct asked asked;
        start(&f, 1, both[i]);
        f.sites[0].manner = FL_SITE_SILENT;
        for (int n = 0; n < 3; n++) {
            ask_now(&f, &asked, &(struct fl_request){.path = "/"},
                    &(struct fl_request_options){.timeout_ms = 100});
            assert_int_equal(asked.why, FL_EDEADLINE);
            assert_int_equal(asked.status, 0);
            assert_string_equal(asked.peer, "10.0.0.1:50051");
            get(&f, &asked);
            fl_world_run_ms(f.bed.world, 50);
            fl_call_cancel(asked.call);
            wait_for(&asked, 1000);
            assert_int_equal(asked.why, FL_ECANCELLED);
        }
        f.sites[0].manner = FL_SITE_ANSWERS;
        get(&f, &asked);
        wait_for(&asked, 100);
        expect_get(&asked);
        stop(&f);
    }
}

static void test_nobody_there(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct asked fast, patient;
    start(&f, 0, &http1);
    get(&f, &fast);
    wait_for(&fast, 1000);
    assert_int_equal(fast.why, FL_EEMPTY);
    assert_string_equal(fast.peer, "");
    ask(&f, &patient, &(struct fl_request){.path = "/a?b=c"},
        &(struct fl_request_options){.wait_for_ready = true, .timeout_ms = 60000});
    fl_world_run_ms(f.bed.world, 5000);
    assert_int_equal(patient.ended, 0);
    fl_site_start(&f.sites[0], f.bed.io, fl_bed_host(1), FL_BED_PORT);
    fl_bed_publish(&f.bed, 1);
    wait_for(&patient, 100);
    expect_get(&patient);
    stop(&f);
}

static void test_chosen_endpoint(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct asked asked;
    struct fl_handles handles;
    start(&f, 3, &http1);
    assert_int_equal(fl_channel_handles(f.bed.channel, &handles, NULL), 0);
    assert_int_equal(handles.count, 3);
    for (size_t i = 0; i < handles.count; i++) {
        ask_now(&f, &asked, &(struct fl_request){.path = "/a?b=c"},
                &(struct fl_request_options){.endpoint = handles.list[i]});
        expect_get(&asked);
        assert_string_equal(asked.peer, fl_handle_peer(handles.list[i]));
    }
    fl_handles_deinit(&handles);
    stop(&f);
}

/* --- what is measured --- */

static int64_t measured(const struct fixture *f, const char *labels) {
    return fl_metric_value(fl_metrics_get(f->bed.io->metrics, FL_METRIC_HISTOGRAM,
                                          "http_client_request_duration_seconds", "", labels));
}

#define TARGET "server_address=hand:///echo"

static void test_durations_by_method_and_outcome(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct asked asked;
    start(&f, 1, &http1);
    for (int i = 0; i < 3; i++) ask_now(&f, &asked, &(struct fl_request){.path = "/"}, NULL);
    f.sites[0].status = 404;
    ask_now(&f, &asked, &(struct fl_request){.method = "PURGE", .path = "/"}, NULL);
    f.sites[0].manner = FL_SITE_SILENT;
    ask_now(&f, &asked, &(struct fl_request){.method = "POST", .path = "/"},
            &(struct fl_request_options){.timeout_ms = 50});
    assert_int_equal(
        measured(&f, "http_request_method=GET," TARGET ",http_response_status_code=200"), 3);
    assert_int_equal(measured(&f, "http_request_method=_OTHER," TARGET
                                  ",http_response_status_code=404,error_type=404"),
                     1);
    assert_int_equal(measured(&f, "http_request_method=POST," TARGET ",error_type=DEADLINE"), 1);
    struct fl_buf text;
    fl_buf_init(&text, SIZE_MAX);
    assert_int_equal(fl_metrics_write(f.bed.io->metrics, &text), 0);
    assert_int_equal(fl_buf_byte(&text, '\0'), 0);
    const char *sum = strstr(text.data, "http_client_request_duration_seconds_sum{http_request_"
                                        "method=\"POST\"");
    assert_non_null(sum);
    assert_in_range(atof(strchr(sum, ' ')) * 1000, 49, 51);
    fl_buf_deinit(&text);
    stop(&f);
}

/* --- wrong use --- */

static int try(struct fixture *f, const struct fl_request *request) {
    struct fl_call *call;
    struct fl_error err = {FL_OK, ""};
    int rc = fl_request_start(f->bed.channel, request, NULL, on_response, NULL, &call, &err);
    assert_null(call);
    assert_int_equal(err.code, rc);
    return rc;
}

static void test_wrong_requests(void **state) {
    FL_UNUSED(state);
    const char *const paths[] = {NULL, "", "a", "/a b", "/a\r\nx: y", "/a#b", "/\x80"};
    const char *const methods[] = {"", "G ET", "GET\r\n", "CONNECT",
                                   "AMETHODOFMORETHANTHIRTYTWOLETTERS"};
    const struct fl_metadata headers[] = {{"", "a", 1},
                                          {"a b", "a", 1},
                                          {"a", "b\r\nc: d", 6},
                                          {":path", "a", 1},
                                          {"Host", "a", 1},
                                          {"Connection", "a", 1},
                                          {"Content-Length", "1", 1},
                                          {"a", " b", 2},
                                          {"a", "b\0c", 3},
                                          {NULL, "a", 1},
                                          {"a", NULL, 1},
                                          {"TE", "a", 1},
                                          {"Transfer-Encoding", "chunked", 7}};
    struct fixture f;
    start(&f, 1, &http1);
    for (size_t i = 0; i < FL_COUNT(paths); i++)
        assert_int_equal(try(&f, &(struct fl_request){.path = paths[i]}), FL_EUSAGE);
    for (size_t i = 0; i < FL_COUNT(methods); i++)
        assert_int_equal(try(&f, &(struct fl_request){.method = methods[i], .path = "/"}),
                         FL_EUSAGE);
    for (size_t i = 0; i < FL_COUNT(headers); i++)
        assert_int_equal(try(&f, &(struct fl_request){.path = "/", .headers = {&headers[i], 1}}),
                         FL_EUSAGE);
    char *large = fl_calloc(1, 65537);
    memset(large, 'x', 65536);
    const struct fl_metadata header = {"a", large, 65536};
    assert_int_equal(try(&f, &(struct fl_request){.path = "/", .headers = {&header, 1}}),
                     FL_ETOO_LARGE);
    fl_free(large);
    assert_int_equal(try(&f, &(struct fl_request){.path = "/", .body_len = 1}), FL_EUSAGE);
    assert_int_equal(fl_request_start(f.bed.channel, &(struct fl_request){.path = "/"}, NULL, NULL,
                                      NULL, NULL, NULL),
                     FL_EUSAGE);
    struct fl_request_answer answer;
    assert_int_equal(
        fl_request_wait(f.bed.channel, &(struct fl_request){.path = "/"}, NULL, &answer, NULL),
        FL_EUSAGE); /* on the loop */
    assert_int_equal(f.sites[0].requests, 0);
    stop(&f);
}

/* Over HTTP/1.1 it is written into the head as it is. */
static void test_authority_is_checked(void **state) {
    FL_UNUSED(state);
    const char *const wrong[] = {"",    "a b",    "a\r\nx: y", "a\n",      "a/b",    "a?b",
                                 "a#b", "user@a", "a\tb",      "\303\251", " a:8080"};
    struct fl_bed bed;
    struct fl_channel *channel;
    fl_bed_start(&bed, NULL);
    for (size_t i = 0; i < FL_COUNT(wrong); i++) {
        struct fl_error err;
        const struct fl_channel_options options = {.authority = wrong[i]};
        int rc = fl_channel_open(bed.io, bed.discovery, "hand:///echo", &options, &channel, &err);
        assert_int_equal(rc, FL_EUSAGE);
        assert_non_null(strstr(err.detail, "authority"));
    }
    fl_bed_open(&bed, &(struct fl_channel_options){.authority = "[::1]:8080"});
    fl_bed_stop(&bed);
}

/* --- pods come and go --- */

#define LOAD 2000 /* requests, one each millisecond */

struct load {
    struct fixture *f;
    unsigned ended, failed;
    char first[320];
};

static void on_load(void *arg, const struct fl_response *response) {
    struct load *load = arg;
    load->ended++;
    if (response->status == 200) return;
    if (load->failed++ == 0)
        snprintf(load->first, sizeof(load->first), "%s: %s", response->peer, response->why->detail);
}

static void publish_window(struct fixture *f, unsigned first, bool leaving) {
    struct fl_hand_endpoint endpoints[3];
    for (unsigned i = 0; i < 3; i++)
        endpoints[i] = (struct fl_hand_endpoint){.address = i == 0   ? "10.0.0.1"
                                                            : i == 1 ? "10.0.0.2"
                                                                     : "10.0.0.3",
                                                 .port = FL_BED_PORT,
                                                 .flags = i == first && leaving ? FL_BED_TERMINATING
                                                                                : FL_BED_READY,
                                                 .uid = (uint8_t)(f->sites[i].requests % 200 + 1)};
    fl_hand_publish(f->bed.hand, FL_SET_SOME, endpoints, 3);
}

static bool is_closed(void *arg) { return ((struct fl_site *)arg)->closed; }

/* One pod after the other ends and another takes its address: at SIGTERM it stops at once, with all
 * its connections and requests. */
static void roll(const struct fl_channel_options *options, bool warned) {
    struct fixture f;
    struct load load = {.f = &f};
    start(&f, 3, options);
    for (unsigned i = 0; i < 3; i++) f.sites[i].delay_ms = 20;
    const struct fl_request request = {.path = "/"};
    for (unsigned i = 0; i < LOAD; i++) {
        int rc = fl_request_start(f.bed.channel, &request, NULL, on_load, &load, NULL, NULL);
        assert_int_equal(rc, 0);
        unsigned pod = i / 100 % 3;
        if (i % 100 == 20 && warned) publish_window(&f, pod, true);
        if (i % 100 == 50) {
            fl_site_stop(&f.sites[pod]);
            assert_true(fl_world_run_until(f.bed.world, is_closed, &f.sites[pod], 1000));
            fl_site_start(&f.sites[pod], f.bed.io, fl_bed_host(pod + 1), FL_BED_PORT);
            f.sites[pod].delay_ms = 20;
            f.sites[pod].requests = i;
        }
        if (i % 100 == 70) publish_window(&f, 3, false);
        fl_world_run_ms(f.bed.world, 1);
    }
    fl_world_run_ms(f.bed.world, 5000);
    assert_int_equal(load.ended, LOAD);
    assert_string_equal(load.first, "");
    assert_int_equal(load.failed, 0);
    stop(&f);
}

static void test_rolling_update_fails_no_get(void **state) {
    FL_UNUSED(state);
    struct fl_channel_options wide = http1;
    wide.connections_max = 32;
    roll(&wide, true);
    roll(&http2, true);
}

static void test_pods_that_die_fail_no_get(void **state) {
    FL_UNUSED(state);
    struct fl_channel_options wide = http1;
    wide.connections_max = 32;
    roll(&wide, false);
    roll(&http2, false);
}

/* --- no memory --- */

static void test_each_allocation_fails(void **state) {
    FL_UNUSED(state);
    const struct fl_metadata header = {"accept", "text/plain", 10};
    const struct fl_request request = {.path = "/a?b=c", .headers = {&header, 1}};
    for (size_t i = 0; i < FL_COUNT(both); i++) {
        struct fixture f;
        struct asked asked;
        start(&f, 1, both[i]);
        FL_TEST_EACH_FAILURE(n) {
            memset(&asked, 0, sizeof(asked));
            asked.bed = &f.bed;
            struct fl_call *call;
            int rc =
                fl_request_start(f.bed.channel, &request, NULL, on_response, &asked, &call, NULL);
            assert_true(rc == 0 || rc == FL_ENOMEM);
            if (rc != 0) continue;
            assert_true(fl_world_run_until(f.bed.world, has_ended, &asked, 30000));
            assert_true(asked.status == 200 || asked.why != FL_OK);
            fl_world_run_ms(f.bed.world, 200);
        }
        fl_test_alloc_fail_at(0);
        fl_world_run_ms(f.bed.world, 30000);
        get(&f, &asked);
        wait_for(&asked, 1000);
        expect_get(&asked);
        stop(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_post),
        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_no_body),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_appProtocol_says_the_version),
        cmocka_unit_test(test_pool_of_connections),
        cmocka_unit_test(test_server_that_closes_after_each_answer),
        cmocka_unit_test(test_no_gRPC_health_over_http1),
        cmocka_unit_test(test_quiet_connection_is_replaced),
        cmocka_unit_test(test_retries),
        cmocka_unit_test(test_retries_are_bounded),
        cmocka_unit_test(test_outlier_by_status),
        cmocka_unit_test(test_response_too_large),
        cmocka_unit_test(test_deadline_and_cancellation),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_chosen_endpoint),
        cmocka_unit_test(test_durations_by_method_and_outcome),
        cmocka_unit_test(test_wrong_requests),
        cmocka_unit_test(test_authority_is_checked),
        cmocka_unit_test(test_rolling_update_fails_no_get),
        cmocka_unit_test(test_pods_that_die_fail_no_get),
        cmocka_unit_test(test_each_allocation_fails),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
