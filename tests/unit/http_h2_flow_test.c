/* http_h2_flow_test.c - back-pressure on HTTP/2 connections: windows, queues, a peer that does not
 * read. */
#include "support/http_bed.h"

#include "http/h2.h"

/* --- back-pressure --- */

static void test_receiver_that_does_not_consume_stops_the_sender(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    b.client_options.window_bytes = 100000;
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/big");
    h->hoard = true;
    bed_run(&b, 100);
    struct heard *r = bed_request(&b, 0);
    bed_respond(r, 200, false);
    bed_fill(r, 3000000, true);
    bed_run(&b, 60000);
    assert_int_equal(h->body.len, 100000);
    assert_int_equal(fl_http_stream_queued(r->stream), 2900000);
    struct heard *other = bed_ask(&b, "GET", "/small"); /* the others go on */
    bed_run(&b, 1000);
    bed_respond(bed_request(&b, 1), 204, true);
    bed_run_closed(&b, other);
    assert_complete(other, 204);
    h->hoard = false;
    bed_consume(h, h->body.len);
    bed_run_closed(&b, h);
    assert_complete(h, 200);
    assert_pattern(h, 3000000);
    assert_int_equal(r->writables, 0); /* it had said that this is all */
    bed_deinit(&b);
}

static void test_queue_is_bounded_and_writable_says_when(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    bed_connect(&b);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    bed_fill(h, FL_HTTP_QUEUE_MAX, false);
    assert_int_equal(fl_http_stream_write(h->stream, FL_STR("x"), false), FL_EFULL);
    assert_int_equal(fl_http_stream_queued(h->stream), FL_HTTP_QUEUE_MAX);
    static char huge[FL_HTTP_QUEUE_MAX + 1];
    assert_int_equal(fl_http_stream_write(h->stream, fl_str_n(huge, sizeof huge), true), FL_EUSAGE);
    assert_int_equal(h->writables, 0);
    bed_run(&b, 10000);
    assert_int_equal(h->writables, 1);
    bed_write(h, FL_STR_NONE, true);
    bed_run(&b, 10000);
    assert_pattern(bed_request(&b, 0), FL_HTTP_QUEUE_MAX);
    bed_respond(bed_request(&b, 0), 200, true);
    bed_run_closed(&b, h);
    bed_deinit(&b);
}

/* What an ended stream left unconsumed goes back to the connection's window. */
static void test_abandoned_bodies_do_not_eat_the_window(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    b.client_options.window_bytes = 65536;
    bed_connect(&b);
    for (size_t i = 0; i < 20; i++) {
        struct heard *h = bed_ask(&b, "GET", "/");
        h->hoard = true;
        bed_run(&b, 100);
        bed_respond(bed_request(&b, i), 200, false);
        bed_fill(bed_request(&b, i), 65536, false);
        bed_run(&b, 1000);
        assert_int_equal(h->body.len, 65536);
        bed_reset(h, 8);
        bed_run(&b, 100);
        assert_closed(h, FL_ECANCELLED);
        assert_closed(bed_request(&b, i), FL_ESTREAM_RESET);
        assert_int_equal(bed_request(&b, i)->h2_code, 8);
    }
    bed_deinit(&b);
}

static void test_consuming_in_on_close(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    b.client_options.window_bytes = 65536;
    bed_connect(&b);
    for (size_t i = 0; i < 20; i++) {
        struct heard *h = bed_ask(&b, "GET", "/");
        h->late = true;
        bed_run(&b, 100);
        bed_respond(bed_request(&b, i), 200, false);
        bed_fill(bed_request(&b, i), 65536, true);
        bed_run_closed(&b, h);
        assert_complete(h, 200);
        assert_pattern(h, 65536);
    }
    bed_deinit(&b);
}

/* What is given back late is given back once: not the bytes that another stream still has. */
static void test_window_is_given_back_once(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    b.client_options.window_bytes = 65536;
    bed_connect(&b);
    struct heard *h[2] = {bed_ask(&b, "GET", "/"), bed_ask(&b, "GET", "/")};
    h[0]->hoard = h[1]->late = true;
    bed_run(&b, 100);
    for (size_t i = 0; i < 2; i++) {
        bed_respond(bed_request(&b, i), 200, false);
        bed_fill(bed_request(&b, i), 65536, i == 1);
    }
    bed_run(&b, 1000);
    assert_complete(h[1], 200);
    assert_in_range(nghttp2_session_get_remote_window_size(b.servers[0].conn->h2->session), 65536,
                    3 * 65536);
    bed_deinit(&b);
}

/* --- large writes --- */

/* Of what the caller's memory holds, as much as the window lets through goes out at once. */
static void test_large_write_goes_out_from_where_it_lies(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    b.server_options.window_bytes = 100000;
    bed_connect(&b);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    bed_write(h, FL_STR_NONE, false);
    assert_int_equal(bed_write_whole(h, 3000000, true), 0);
    assert_int_equal(fl_http_stream_queued(h->stream), 2900000);
    bed_run(&b, 10000);
    assert_pattern(bed_request(&b, 0), 3000000);
    bed_respond(bed_request(&b, 0), 200, true);
    bed_run_closed(&b, h);
    assert_complete(h, 200);
    bed_deinit(&b);
}

/* Gives what the exchange ended with when the n-th allocation of such a write fails. */
static int write_without_memory(size_t n) {
    struct bed b;
    bed_open_h2(&b, &bed_plain);
    b.server_options.window_bytes = 100000;
    bed_connect(&b);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    bed_run(&b, 100);
    fl_test_alloc_fail_at(n);
    int rc = bed_write_whole(h, 300000, true);
    fl_test_alloc_fail_at(0);
    assert_true(rc == 0 || rc == FL_ENOMEM);
    if (h->stream) bed_reset(h, 8); /* if it goes on */
    bed_run_closed(&b, h);
    int code = h->why.code;
    bed_deinit(&b);
    return code;
}

/* What went out cannot be taken back. */
static void test_large_write_without_memory_for_the_rest(void **state) {
    FL_UNUSED(state);
    size_t ended = 0;
    for (size_t n = 1; n <= 8; n++) ended += write_without_memory(n) == FL_ENOMEM;
    assert_true(ended > 0);
}

static void answer_data(struct heard *h) {
    h->on_data = NULL;
    bed_respond(h, 200, false);
    assert_int_equal(bed_write_whole(h, 300000, true), 0);
    assert_int_equal(fl_http_stream_queued(h->stream), 300000 - 65536);
}

/* In on_data too: nghttp2 rests while a large piece is given out. */
static void test_large_write_from_within_on_data(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    b.client_options.window_bytes = 65536;
    bed_connect(&b);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    bed_run(&b, 100);
    bed_request(&b, 0)->on_data = answer_data;
    assert_int_equal(bed_write_whole(h, 100000, true), 0);
    bed_run_closed(&b, h);
    assert_complete(h, 200);
    assert_pattern(h, 300000);
    bed_deinit(&b);
}

static void abort_client(struct heard *h) {
    const struct fl_error why = {FL_ECANCELLED, "enough"};
    fl_http_conn_abort(h->bed->client.conn, &why);
}

static void test_abort_from_within_on_data(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    bed_connect(&b);
    struct heard *h = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    h->on_data = abort_client;
    bed_respond(bed_request(&b, 0), 200, false);
    assert_int_equal(bed_write_whole(bed_request(&b, 0), 300000, true), 0);
    bed_run_closed(&b, h);
    assert_closed(h, FL_ECANCELLED);
    assert_true(h->body.len < 300000);
    bed_deinit(&b);
}

/* The sock's queue is kept short, so that heads do not stand behind megabytes of bodies. */
static void test_sock_queue_is_kept_short(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    b.server_options.window_bytes = 8000000;
    bed_connect(&b);
    bed_run(&b, 100);
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_BLACKHOLE);
    bed_fill(bed_ask_open(&b, "POST", "/"), 3000000, false);
    bed_run(&b, 1000);
    assert_in_range(fl_sock_queued(b.io, b.client.conn->sock), FL_SOCK_QUEUE_HIGH / 2,
                    FL_SOCK_QUEUE_HIGH + 32768);
    fl_world_fault(b.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    bed_deinit(&b);
}

static struct heard *other_writer;

static void reset_other(struct heard *h) {
    FL_UNUSED(h);
    if (other_writer->stream) bed_reset(other_writer, 8);
}

/* One that ended meanwhile is not told that it may write. */
static void test_writable_after_the_end(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    bed_connect(&b);
    bed_run(&b, 100);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    other_writer = bed_ask_open(&b, "POST", "/");
    h->on_writable = reset_other;
    bed_fill(h, FL_HTTP_QUEUE_MAX / 4, false); /* both cross the mark with their first frame */
    bed_fill(other_writer, FL_HTTP_QUEUE_MAX / 4, false);
    bed_run(&b, 1000);
    assert_int_equal(h->writables, 1);
    assert_closed(other_writer, FL_ECANCELLED);
    assert_int_equal(other_writer->writables, 0);
    bed_deinit(&b);
}

/* --- a peer that does not read --- */

/* The client is ready, its window is large, and what it sends stays in its sock. */
static void bed_blocked(struct bed *b) {
    bed_open_h2(b, &bed_plain);
    b->raw_server = true;
    b->raw.greeting = BYTES("\0\0\6\4\0\0\0\0\0\0\4\0\x80\0\0" /* 8 MiB per stream */
                            "\0\0\4\x8\0\0\0\0\0\0\x80\0\0");  /* and as much together */
    bed_connect(b);
    bed_run(b, 100);
}

static void block(struct bed *b) {
    fl_sock_pause(b->io, b->raw.sock, true);
    struct heard *filler = bed_ask_open(b, "POST", "/filler");
    for (int i = 0; i < 10; i++) {
        bed_fill(filler, 300000, false);
        bed_run(b, 100);
    }
}

/* Its RST_STREAM could not leave yet: what the peer still sends for the old stream does not reach
 * the owner of a new one. */
static void test_frames_for_a_stream_that_is_gone(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_blocked(&b);
    struct heard *old = bed_ask(&b, "GET", "/1");
    bed_run(&b, 100);
    block(&b);
    bed_reset(old, 8);
    bed_run(&b, 100);
    assert_closed(old, FL_ECANCELLED);
    struct heard *new = bed_ask(&b, "GET", "/5");
    bed_raw_send(&b, BYTES("\0\0\1\1\4\0\0\0\1\x88\0\0\1\0\1\0\0\0\1x"));
    bed_run(&b, 100);
    assert_int_equal(new->heads + new->closes, 0);
    fl_sock_pause(b.io, b.raw.sock, false);
    bed_run(&b, 100);
    assert_int_equal(new->heads + new->closes, 0);
    assert_int_equal(b.client.closes, 0);
    bed_deinit(&b);
}

static void test_C8_goaway_while_a_request_waits_to_be_sent(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_blocked(&b);
    block(&b);
    struct heard *unsent = bed_ask(&b, "GET", "/");
    bed_run(&b, 100);
    bed_raw_send(&b, BYTES("\0\0\x8\7\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0"));
    bed_run(&b, 100);
    assert_closed(unsent, FL_EGOAWAY);
    assert_int_equal(b.asked[0]->closes, 0);
    bed_deinit(&b);
}

/* --- windows that grow --- */

#define FAR_MS 50 /* one way */

/* Fetches 3 MB over a line of 100 ms there and back; how long it took. */
static uint64_t fetch(struct bed *b) {
    uint64_t start_ms = fl_io_now_ms(b->io);
    struct heard *h = bed_ask(b, "GET", "/big");
    size_t i = b->request_count;
    while (b->request_count == i) bed_run(b, 1);
    bed_respond(bed_request(b, i), 200, false);
    bed_fill(bed_request(b, i), 3000000, true);
    while (h->closes == 0) bed_run(b, 1);
    assert_complete(h, 200);
    assert_pattern(h, 3000000);
    return fl_io_now_ms(b->io) - start_ms;
}

static void open_far(struct bed *b, uint32_t window_bytes, uint32_t window_bytes_max) {
    const struct fl_world_options far = {
        .seed = 1, .latency_us_min = FAR_MS * 1000, .latency_us_max = FAR_MS * 1000};
    bed_open_h2(b, &far);
    b->client_options.window_bytes = window_bytes;
    b->client_options.window_bytes_max = window_bytes_max;
    bed_connect(b);
}

/* The line carries 64 KB in a round trip; a window of 16 KB would make four of each. */
static void test_window_grows_on_a_long_line(void **state) {
    struct bed b;
    FL_UNUSED(state);
    open_far(&b, 16384, 0);
    uint64_t held_back = fetch(&b);
    bed_deinit(&b);
    open_far(&b, 16384, 1000000);
    fetch(&b);
    uint64_t grown = fetch(&b);
    const struct fl_h2 *h2 = b.client.conn->h2;
    assert_true(grown * 3 < held_back);
    assert_in_range(h2->window.bytes, 65536, 1000000);
    assert_int_equal(nghttp2_session_get_remote_settings(b.servers[0].conn->h2->session,
                                                         NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE),
                     h2->window.bytes);
    bed_deinit(&b);
}

static void test_window_stays_within_its_bound(void **state) {
    struct bed b;
    FL_UNUSED(state);
    open_far(&b, 16384, 40000);
    for (int i = 0; i < 3; i++) fetch(&b);
    assert_int_equal(b.client.conn->h2->window.bytes, 40000);
    bed_deinit(&b);
    open_far(&b, 16384, 0);
    fetch(&b);
    assert_int_equal(b.client.conn->h2->window.bytes, 16384);
    bed_deinit(&b);
}

/* A line that is no longer than the window needs: no growth, and few PINGs. */
static void test_window_of_a_short_line_stays(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h2(&b, &bed_plain);
    b.client_options.window_bytes_max = 16000000;
    bed_connect(&b);
    for (int i = 0; i < 50; i++) {
        struct heard *h = bed_ask(&b, "GET", "/small");
        bed_run(&b, 10);
        bed_respond(bed_request(&b, (size_t)i), 200, false);
        bed_fill(bed_request(&b, (size_t)i), 100000, true);
        bed_run_closed(&b, h);
    }
    assert_int_equal(b.client.conn->h2->window.bytes, 1024 * 1024);
    bed_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receiver_that_does_not_consume_stops_the_sender),
        cmocka_unit_test(test_queue_is_bounded_and_writable_says_when),
        cmocka_unit_test(test_abandoned_bodies_do_not_eat_the_window),
        cmocka_unit_test(test_consuming_in_on_close),
        cmocka_unit_test(test_window_is_given_back_once),
        cmocka_unit_test(test_large_write_goes_out_from_where_it_lies),
        cmocka_unit_test(test_large_write_without_memory_for_the_rest),
        cmocka_unit_test(test_large_write_from_within_on_data),
        cmocka_unit_test(test_abort_from_within_on_data),
        cmocka_unit_test(test_sock_queue_is_kept_short),
        cmocka_unit_test(test_frames_for_a_stream_that_is_gone),
        cmocka_unit_test(test_C8_goaway_while_a_request_waits_to_be_sent),
        cmocka_unit_test(test_writable_after_the_end),
        cmocka_unit_test(test_window_grows_on_a_long_line),
        cmocka_unit_test(test_window_stays_within_its_bound),
        cmocka_unit_test(test_window_of_a_short_line_stays),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
