/* channel_call_test.c - how calls through a channel end, on the virtual world. */
#include "support/alloc.h"

#include <string.h>

#include "base/log.h"
#include "channel/call.h"
#include "support/bed.h"

static void test_headers(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    struct fl_peer peer;
    fl_bed_start_peer(&bed, &peer, NULL);
    peer.on_request = fl_peer_answer_echo;
    fl_bed_open(&bed, &(struct fl_channel_options){.authority = "echo.example"});
    fl_bed_publish(&bed, 1);
    fl_bed_call_now(&bed, &call, 100);
    fl_bed_expect_ok(&call);
    assert_true(peer.content_types_ok);
    assert_string_equal(peer.last_path, FL_BED_METHOD);
    assert_string_equal(peer.last_authority, "echo.example");
    assert_memory_equal(peer.last_agent, "fairlead/", 9);
    assert_string_equal(peer.last_timeout, "");
    fl_bed_call(&bed, &call, &(struct fl_call_options){.timeout_ms = 1500});
    fl_world_run_ms(bed.world, 100);
    fl_bed_expect_ok(&call);
    assert_string_equal(peer.last_timeout, "1500m");
    fl_bed_stop_peer(&bed, &peer);
}

static void reset_refused(struct fl_peer *peer, struct fl_http_stream *stream,
                          const struct fl_http_request *head) {
    FL_UNUSED(peer);
    FL_UNUSED(head);
    struct fl_error why = {FL_ESHUTDOWN, ""};
    fl_http_stream_reset(stream, 7, &why);
}

static void reset_first_refused(struct fl_peer *peer, struct fl_http_stream *stream,
                                const struct fl_http_request *head) {
    if (peer->requests <= 1)
        reset_refused(peer, stream, head);
    else
        fl_peer_answer_echo(peer, stream, head);
}

static void reset_first_two_refused(struct fl_peer *peer, struct fl_http_stream *stream,
                                    const struct fl_http_request *head) {
    if (peer->requests <= 2)
        reset_refused(peer, stream, head);
    else
        fl_peer_answer_echo(peer, stream, head);
}

static void reset_internal(struct fl_peer *peer, struct fl_http_stream *stream,
                           const struct fl_http_request *head) {
    FL_UNUSED(peer);
    FL_UNUSED(head);
    struct fl_error why = {FL_ESHUTDOWN, ""};
    fl_http_stream_reset(stream, 2, &why);
}

static void answer_html(struct fl_peer *peer, struct fl_http_stream *stream,
                        const struct fl_http_request *head) {
    FL_UNUSED(peer);
    FL_UNUSED(head);
    fl_peer_answer(stream, 503, "text/html", "<html>", 6, NULL);
}

static void answer_compressed(struct fl_peer *peer, struct fl_http_stream *stream,
                              const struct fl_http_request *head) {
    FL_UNUSED(peer);
    FL_UNUSED(head);
    fl_peer_answer(stream, 200, "application/grpc", "\1\0\0\0\1x", 6, "0");
}

static void answer_large(struct fl_peer *peer, struct fl_http_stream *stream,
                         const struct fl_http_request *head) {
    FL_UNUSED(peer);
    FL_UNUSED(head);
    fl_peer_answer(stream, 200, "application/grpc", "\0\0\0\377\377x", 6, "0");
}

static void answer_no_status(struct fl_peer *peer, struct fl_http_stream *stream,
                             const struct fl_http_request *head) {
    FL_UNUSED(peer);
    FL_UNUSED(head);
    fl_peer_answer(stream, 200, "application/grpc", "\0\0\0\0\1x", 6, NULL);
}

static void test_bad_answers(void **state) {
    FL_UNUSED(state);
    static const struct {
        void (*on_request)(struct fl_peer *peer, struct fl_http_stream *stream,
                           const struct fl_http_request *head);
        enum fl_status status;
        int why;
        unsigned requests;
    } rows[] = {
        {reset_refused, FL_STATUS_UNAVAILABLE, FL_ESTREAM_REFUSED, 2},
        {reset_internal, FL_STATUS_INTERNAL, FL_ESTREAM_RESET, 1},
        {answer_html, FL_STATUS_UNAVAILABLE, FL_EHTTP, 1},
        {answer_compressed, FL_STATUS_INTERNAL, FL_EPROTO, 1},
        {answer_large, FL_STATUS_RESOURCE_EXHAUSTED, FL_ETOO_LARGE, 1},
        {answer_no_status, FL_STATUS_UNKNOWN, FL_EHTTP, 1},
    };
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fl_bed bed;
        struct fl_bed_call call;
        struct fl_peer peer;
        fl_bed_start_peer(&bed, &peer, &(struct fl_world_options){.seed = i, .chop = true});
        peer.on_request = rows[i].on_request;
        fl_bed_open(&bed, &(struct fl_channel_options){.receive_bytes_max = 10000});
        fl_bed_publish(&bed, 1);
        fl_bed_call_now(&bed, &call, 1000);
        assert_int_equal(call.status, rows[i].status);
        assert_int_equal(call.why, rows[i].why);
        assert_int_equal(peer.requests, rows[i].requests);
        assert_string_equal(call.peer, "10.0.0.1:50051");
        fl_bed_stop_peer(&bed, &peer);
    }
}

/* Once (gRFC A6); test_bad_answers has the second refusal. */
static void test_refused_stream_is_tried_again_unseen(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    struct fl_peer peer;
    fl_bed_start_peer(&bed, &peer, NULL);
    peer.on_request = reset_first_refused;
    fl_bed_open(&bed, NULL);
    fl_bed_publish(&bed, 1);
    fl_bed_call_now(&bed, &call, 1000);
    fl_bed_expect_ok(&call);
    assert_int_equal(call.retries, 1);
    fl_bed_stop_peer(&bed, &peer);
}

/* A second refusal is the policy's affair. */
static void test_refused_twice_is_retried_by_policy(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    struct fl_peer peer;
    fl_bed_start_peer(&bed, &peer, NULL);
    peer.on_request = reset_first_two_refused;
    fl_bed_open(&bed, &(struct fl_channel_options){
                          .service_config =
                              "{\"methodConfig\":[{\"name\":[{}],\"retryPolicy\":{"
                              "\"maxAttempts\":2,\"initialBackoff\":\"0.1s\",\"maxBackoff\":\"1s\","
                              "\"backoffMultiplier\":2,\"retryableStatusCodes\":"
                              "[\"UNAVAILABLE\"]}}]}"});
    fl_bed_publish(&bed, 1);
    fl_bed_call_now(&bed, &call, 1000);
    fl_bed_expect_ok(&call);
    assert_int_equal(call.retries, 1);
    assert_int_equal(peer.requests, 3);
    assert_in_range(call.ended_ms - call.started_ms, 80, 130); /* its backoff */
    fl_bed_stop_peer(&bed, &peer);
}

/* The server ends connections by age all the time: no call notices. */
static void test_C8_goaway_is_unseen(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct fl_bed bed;
        struct fl_bed_call calls[200];
        struct fl_peer peer;
        fl_bed_start_peer(&bed, &peer,
                          &(struct fl_world_options){.seed = seed, .chop = true, .reorder = true});
        peer.on_request = fl_peer_answer_echo;
        fl_bed_open(&bed, NULL);
        fl_bed_publish(&bed, 1);
        fl_world_run_ms(bed.world, 2000);
        for (size_t i = 0; i < FL_COUNT(calls); i++) {
            fl_bed_call(&bed, &calls[i], NULL);
            if (i % 50 == 25) {
                fl_peer_drain(&peer);
                fl_world_run_ms(bed.world, 1500);
            } else if (i % 3 == 0) {
                fl_world_step(bed.world);
            }
        }
        fl_world_run_ms(bed.world, 1000);
        for (size_t i = 0; i < FL_COUNT(calls); i++) fl_bed_expect_ok(&calls[i]);
        assert_int_equal(peer.accepted, 5);
        assert_int_equal(peer.requests, FL_COUNT(calls));
        fl_bed_stop_peer(&bed, &peer);
    }
}

/* A server that leaves without a warning: what was on its way is above the last stream of the
 * GOAWAY and is sent again on the next connection. */
static void test_C8_goaway_in_one_step_retries(void **state) {
    FL_UNUSED(state);
    unsigned retries = 0;
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct fl_bed bed;
        struct fl_bed_call calls[5];
        struct fl_peer peer;
        fl_bed_start_peer(&bed, &peer, &(struct fl_world_options){.seed = seed});
        peer.on_request = fl_peer_answer_echo;
        fl_bed_open(&bed, NULL);
        fl_bed_publish(&bed, 1);
        fl_world_run_ms(bed.world, 2000);
        for (size_t i = 0; i < FL_COUNT(calls); i++) fl_bed_call(&bed, &calls[i], NULL);
        fl_peer_close(&peer); /* before anything of them has arrived */
        fl_world_run_ms(bed.world, 100);
        for (size_t i = 0; i < FL_COUNT(calls); i++) {
            fl_bed_expect_ok(&calls[i]);
            retries += calls[i].retries;
        }
        assert_int_equal(peer.requests, FL_COUNT(calls));
        fl_bed_stop_peer(&bed, &peer);
    }
    assert_int_equal(retries, 30 * 5);
}

static void run_until_attempt(struct fl_bed *bed, const struct fl_bed_call *call, unsigned n) {
    while (call->call->attempts < n) {
        assert_true(fl_world_step(bed->world));
        assert_int_equal(call->ended, 0);
    }
}

/* However many servers in a row take leave: five are not seen, with the sixth the call ends. */
static void test_C8_goaways_in_a_row_are_bounded(void **state) {
    FL_UNUSED(state);
    for (unsigned servers = 5; servers <= 6; servers++) {
        struct fl_bed bed;
        struct fl_bed_call call;
        struct fl_peer peer;
        fl_bed_start_peer(&bed, &peer, NULL);
        peer.on_request = fl_peer_answer_echo;
        fl_bed_open(&bed, NULL);
        fl_bed_publish(&bed, 1);
        fl_world_run_ms(bed.world, 2000);
        fl_bed_call(&bed, &call, &(struct fl_call_options){.wait_for_ready = FL_WAIT_YES});
        for (unsigned n = 1; n <= servers; n++) {
            run_until_attempt(&bed, &call, n);
            fl_peer_close(&peer); /* before it has arrived */
        }
        fl_world_run_ms(bed.world, 60000);
        assert_int_equal(call.retries, 5);
        if (servers == 5) {
            fl_bed_expect_ok(&call);
        } else {
            assert_int_equal(call.status, FL_STATUS_UNAVAILABLE);
            assert_int_equal(call.why, FL_EGOAWAY);
        }
        fl_bed_stop_peer(&bed, &peer);
    }
}

/* The world, but for socks that can be made to take nothing. */
static struct {
    const struct fl_io_ops *ops;
    bool on;
} full;

static size_t sock_queued(const struct fl_sock *sock) {
    return full.on ? FL_SOCK_QUEUE_HIGH : full.ops->sock_queued(sock);
}

static void make_full(void *arg, uint64_t version, const char *peer) {
    FL_UNUSED(arg);
    FL_UNUSED(version);
    FL_UNUSED(peer);
    full.on = true;
}

/* What never left this side is no server's: it is sent again for as long as there are servers. */
static void test_C8_never_sent_is_repeated_without_bound(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    struct fl_peer peer;
    const struct fl_channel_watcher watcher = {.on_pick = make_full};
    fl_bed_start_peer(&bed, &peer, NULL);
    peer.on_request = fl_peer_answer_echo;
    full.ops = bed.io->ops;
    struct fl_io_ops ops = *full.ops;
    ops.sock_queued = sock_queued;
    bed.io->ops = &ops;
    fl_bed_open(&bed, NULL);
    fl_bed_publish(&bed, 1);
    fl_world_run_ms(bed.world, 2000);
    fl_channel_watch(bed.channel, &watcher);
    fl_bed_call(&bed, &call, &(struct fl_call_options){.wait_for_ready = FL_WAIT_YES});
    for (unsigned n = 1; n <= 20; n++) {
        run_until_attempt(&bed, &call, n);
        fl_world_cut(bed.world, FL_STR("10.0.0.1"));
        do {
            assert_true(fl_world_step(bed.world));
            assert_int_equal(call.ended, 0);
        } while (call.call->retries < n);
        full.on = false;
    }
    fl_channel_watch(bed.channel, &(struct fl_channel_watcher){.on_pick = NULL});
    fl_world_run_ms(bed.world, 200000);
    fl_bed_expect_ok(&call);
    assert_int_equal(call.retries, 20);
    assert_int_equal(peer.requests, 1);
    bed.io->ops = full.ops;
    fl_bed_stop_peer(&bed, &peer);
}

static void test_killed_server(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call, next;
    fl_bed_start(&bed, NULL);
    struct fl_echo *slow = fl_bed_echo(&bed, 1, 1000);
    fl_bed_open(&bed, NULL);
    fl_bed_publish(&bed, 1);
    fl_bed_call(&bed, &call, NULL);
    fl_world_run_ms(bed.world, 500);
    fl_bed_kill(&bed, slow);
    fl_world_run_ms(bed.world, 10);
    assert_int_equal(call.ended, 1);
    assert_int_equal(call.status, FL_STATUS_UNAVAILABLE); /* it may have been processed */
    assert_int_equal(call.retries, 0);
    fl_bed_call_now(&bed, &next, 100); /* refused by now */
    assert_int_equal(next.status, FL_STATUS_UNAVAILABLE);
    fl_bed_stop(&bed);
}

static void test_deadline_of_an_answer_that_never_comes(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    fl_bed_start(&bed, NULL);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 100000);
    fl_bed_open(&bed, NULL);
    fl_bed_publish(&bed, 1);
    fl_bed_call(&bed, &call, &(struct fl_call_options){.timeout_ms = 300});
    fl_world_run_ms(bed.world, 1000);
    assert_int_equal(call.ended, 1);
    assert_int_equal(call.status, FL_STATUS_DEADLINE_EXCEEDED);
    assert_true(call.ended_ms - call.started_ms <= 310);
    assert_int_equal(fl_channel_state(bed.channel), FL_CHANNEL_READY);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void test_cancel_in_every_state(void **state) {
    FL_UNUSED(state);
    for (int steps = 0; steps < 60; steps++) {
        struct fl_bed bed;
        struct fl_bed_call call;
        fl_bed_start(&bed, NULL);
        struct fl_echo *echo = fl_bed_echo(&bed, 1, 10);
        fl_bed_open(&bed, NULL);
        fl_bed_publish(&bed, 1);
        fl_bed_call(&bed, &call, NULL);
        for (int i = 0; i < steps && !call.ended; i++) fl_world_step(bed.world);
        if (!call.ended) {
            fl_call_cancel(call.call);
            fl_call_cancel(call.call); /* twice is allowed until the callback came */
            fl_world_run_ms(bed.world, 100);
            assert_int_equal(call.status, FL_STATUS_CANCELLED);
            assert_int_equal(call.why, FL_ECANCELLED);
        }
        assert_int_equal(call.ended, 1);
        fl_bed_kill(&bed, echo);
        fl_bed_stop(&bed);
    }
}

static void test_close_at_every_step_ends_all_calls(void **state) {
    FL_UNUSED(state);
    for (int steps = 0; steps < 80; steps++) {
        struct fl_bed bed;
        struct fl_bed_call calls[3];
        fl_bed_start(&bed, &(struct fl_world_options){.seed = (uint64_t)steps});
        struct fl_echo *echo = fl_bed_echo(&bed, 1, 5);
        fl_bed_open(&bed, NULL);
        for (int i = 0; i < 3; i++)
            fl_bed_call(&bed, &calls[i], &(struct fl_call_options){.wait_for_ready = i == 1});
        fl_bed_publish(&bed, 2);
        for (int i = 0; i < steps; i++) fl_world_step(bed.world);
        fl_bed_close(&bed);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(calls[i].ended, 1);
            assert_true(calls[i].status == FL_STATUS_OK || calls[i].status == FL_STATUS_CANCELLED);
        }
        fl_bed_kill(&bed, echo);
        fl_bed_stop(&bed);
    }
}

static void test_bad_usage(void **state) {
    FL_UNUSED(state);
    static const char *const methods[] = {"", "x", "/", "/a b", "/a\n", "/\377"};
    struct fl_bed bed;
    struct fl_error err;
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, NULL);
    for (size_t i = 0; i < FL_COUNT(methods); i++) {
        int rc =
            fl_call_unary(bed.channel, methods[i], "", 0, NULL, fl_bed_ignore, NULL, NULL, &err);
        assert_int_equal(rc, FL_EUSAGE);
    }
    assert_int_equal(fl_call_unary(bed.channel, FL_BED_METHOD, "", 0, NULL, NULL, NULL, NULL, &err),
                     FL_EUSAGE);
    struct fl_channel *none = NULL;
    assert_int_equal(fl_channel_open(bed.io, bed.discovery, "nonsense", NULL, &none, &err),
                     FL_EUSAGE);
    assert_null(none);
    fl_bed_stop(&bed);
}

struct again {
    struct fl_bed *bed;
    unsigned ended;
};

/* Starts the next one at once, as a caller in a hurry does. */
static void call_again(void *arg, const struct fl_call_result *result) {
    struct again *again = arg;
    assert_int_equal(result->status, FL_STATUS_UNAVAILABLE);
    if (++again->ended == 100) return;
    int rc = fl_call_unary(again->bed->channel, FL_BED_METHOD, "", 0, NULL, call_again, again, NULL,
                           NULL);
    assert_int_equal(rc, 0);
}

static void test_failing_calls_do_not_hold_the_loop(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, NULL);
    fl_hand_publish(bed.hand, FL_SET_ABSENT, NULL, 0);
    fl_world_run_ms(bed.world, 10);
    struct again again = {&bed, 0};
    int rc = fl_call_unary(bed.channel, FL_BED_METHOD, "", 0, NULL, call_again, &again, NULL, NULL);
    assert_int_equal(rc, 0);
    for (unsigned i = 0; i < 50; i++) {
        unsigned before = again.ended;
        fl_world_step(bed.world);
        assert_true(again.ended <= before + 1);
    }
    fl_world_run_ms(bed.world, 1000);
    assert_int_equal(again.ended, 100);
    fl_bed_stop(&bed);
}

struct sizes {
    enum fl_status status;
    size_t len;
    unsigned ended;
};

static void note_size(void *arg, const struct fl_call_result *result) {
    struct sizes *sizes = arg;
    sizes->status = result->status;
    sizes->len = result->response_len;
    sizes->ended++;
}

/* Beyond what a stream queues at a time, and beyond what the server takes. */
static void test_large_messages(void **state) {
    FL_UNUSED(state);
    static char request[6 * 1024 * 1024];
    static const struct {
        size_t len;
        enum fl_status status;
    } rows[] = {
        {0, FL_STATUS_OK},
        {65536, FL_STATUS_OK},
        {4 * 1024 * 1024 - 100, FL_STATUS_OK},
        {sizeof(request), FL_STATUS_RESOURCE_EXHAUSTED},
    };
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fl_bed bed;
        struct sizes sizes = {0};
        fl_bed_start(&bed, NULL);
        struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
        fl_bed_open(&bed, NULL);
        fl_bed_publish(&bed, 1);
        int rc = fl_call_unary(bed.channel, FL_BED_METHOD, request, rows[i].len, NULL, note_size,
                               &sizes, NULL, NULL);
        assert_int_equal(rc, 0);
        fl_world_run_ms(bed.world, 2000);
        assert_int_equal(sizes.ended, 1);
        assert_int_equal(sizes.status, rows[i].status);
        assert_int_equal(sizes.len, rows[i].status == FL_STATUS_OK ? rows[i].len : 0);
        fl_bed_kill(&bed, echo);
        fl_bed_stop(&bed);
    }
}

static void test_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    fl_bed_start(&bed, NULL);
    struct fl_error err;
    FL_TEST_EACH_FAILURE(n) {
        struct fl_channel *channel = NULL;
        int rc = fl_channel_open(bed.io, bed.discovery, "hand:///echo", NULL, &channel, &err);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc == 0) fl_channel_close(channel, NULL, NULL);
        fl_world_run_ms(bed.world, 3000);
    }
    fl_bed_stop(&bed);
}

/* Every allocation from a set to an answered call fails in turn: the call that was started ends,
 * once and in time, and a later one is well. */
static void test_memory_comes_back(void **state) {
    FL_UNUSED(state);
    static const struct fl_hand_endpoint one = {"10.0.0.1", FL_BED_PORT, FL_BED_READY, 1, NULL};
    for (size_t n = 1, reached = 1; reached; n++) {
        struct fl_bed bed;
        struct fl_bed_call later;
        struct sizes sizes = {0};
        fl_bed_start(&bed, NULL);
        fl_bed_open(&bed, NULL);
        fl_world_run_ms(bed.world, 10);
        struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
        fl_hand_publish(bed.hand, FL_SET_SOME, &one, 1);
        fl_test_alloc_fail_at(n);
        struct fl_call_options options = {.timeout_ms = 5000, .wait_for_ready = FL_WAIT_YES};
        int rc = fl_call_unary(bed.channel, FL_BED_METHOD, "", 0, &options, note_size, &sizes, NULL,
                               NULL);
        fl_world_run_ms(bed.world, 10000);
        reached = fl_test_alloc_did_fail();
        fl_test_alloc_fail_at(0);
        assert_int_equal(sizes.ended, rc == 0 ? 1 : 0);
        assert_int_not_equal(sizes.status, FL_STATUS_DEADLINE_EXCEEDED); /* nothing was forgotten */
        fl_bed_call_now(&bed, &later, 10000);
        fl_bed_expect_ok(&later);
        fl_bed_kill(&bed, echo);
        fl_bed_stop(&bed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_refused_stream_is_tried_again_unseen),
        cmocka_unit_test(test_C8_goaway_is_unseen),
        cmocka_unit_test(test_C8_goaway_in_one_step_retries),
        cmocka_unit_test(test_C8_goaways_in_a_row_are_bounded),
        cmocka_unit_test(test_C8_never_sent_is_repeated_without_bound),
        cmocka_unit_test(test_refused_twice_is_retried_by_policy),
        cmocka_unit_test(test_killed_server),
        cmocka_unit_test(test_deadline_of_an_answer_that_never_comes),
        cmocka_unit_test(test_cancel_in_every_state),
        cmocka_unit_test(test_close_at_every_step_ends_all_calls),
        cmocka_unit_test(test_bad_usage),
        cmocka_unit_test(test_failing_calls_do_not_hold_the_loop),
        cmocka_unit_test(test_large_messages),
        cmocka_unit_test(test_each_allocation_failing),
        cmocka_unit_test(test_memory_comes_back),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
