/* http_h1_client_test.c - HTTP/1.1 connections to bare servers: whatever they answer. */
#include "support/http_bed.h"

#include "http/inner.h"

/* A client that has asked, and a bare server. */
static struct heard *ask_raw(struct bed *b, const char *method) {
    bed_open_h1(b, &bed_plain);
    b->raw_server = true;
    bed_connect(b);
    struct heard *h = bed_ask(b, method, "/");
    bed_run(b, 100);
    return h;
}

static void test_body_until_close(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = ask_raw(&b, "GET");
    bed_raw_send(&b, FL_STR(RESPONSE "\r\nhello"));
    bed_run(&b, 100);
    assert_body(h, "hello");
    assert_int_equal(h->closes, 0);
    assert_int_equal(b.client.goaways, 1); /* it cannot be kept */
    fl_sock_close(b.io, b.raw.sock);
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_conn_closed(&b.client, FL_OK);
    bed_deinit(&b);
}

static void test_connection_close_is_announced(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = ask_raw(&b, "GET");
    bed_raw_send(&b, FL_STR(RESPONSE "Connection: close\r\nContent-Length: 2\r\n\r\nok"));
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_string_equal(h->text, "content-length=2;"); /* without connection headers */
    assert_int_equal(b.client.goaways, 1);
    assert_conn_closed(&b.client, FL_OK);
    bed_deinit(&b);
}

static void test_interim_responses_are_skipped(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = ask_raw(&b, "GET");
    bed_raw_send(&b, FL_STR("HTTP/1.1 100 Continue\r\n\r\n"
                            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" RESPONSE
                            "Content-Length: 2\r\nX-A: \r\n\r\nok"));
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_body(h, "ok");
    assert_string_equal(h->text, "content-length=2;x-a=;");
    assert_int_equal(b.client.closes, 0);
    bed_deinit(&b);
}

static void test_cut_in_the_middle_of_a_body(void **state) {
    static const char *const halves[] = {
        "",
        "HTTP/1.1 200 OK\r\nConte",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(halves); i++) {
        struct bed b;
        struct heard *h = ask_raw(&b, "GET");
        bed_raw_send(&b, fl_str_of(halves[i]));
        fl_sock_close(b.io, b.raw.sock);
        bed_run(&b, 100);
        assert_closed(h, FL_ECLOSED);
        assert_int_equal(h->ends, 0);
        bed_deinit(&b);
    }
}

static void test_nonsense_from_a_server(void **state) {
    static const char *const bad[] = {
        "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nA: b\001\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(bad); i++) {
        struct bed b;
        struct heard *h = ask_raw(&b, "GET");
        bed_raw_send(&b, fl_str_of(bad[i]));
        bed_run(&b, 100);
        assert_closed(h, FL_EPROTO);
        assert_conn_closed(&b.client, FL_EPROTO);
        bed_deinit(&b);
    }
}

/* What follows a response that nobody asked for: the exchange stands, the connection ends. */
static void test_bytes_behind_a_response(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = ask_raw(&b, "GET");
    bed_raw_send(&b, FL_STR(RESPONSE "Content-Length: 2\r\n\r\nok" RESPONSE
                                     "Content-Length: 4\r\n\r\nevil"));
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_body(h, "ok");
    assert_int_equal(b.client.closes, 1);
    bed_deinit(&b);
}

static void test_bytes_without_a_request(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = ask_raw(&b, "GET");
    bed_raw_send(&b, FL_STR(RESPONSE "Content-Length: 2\r\n\r\nok"));
    bed_run(&b, 1000);
    assert_complete(h, 200);
    bed_raw_send(&b, FL_STR("HTTP/1.1 408 Request Timeout\r\n\r\n"));
    bed_run(&b, 100);
    assert_conn_closed(&b.client, FL_EPROTO);
    bed_deinit(&b);
}

static void test_header_bomb_from_a_server(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = ask_raw(&b, "GET");
    bed_raw_send(&b, FL_STR(RESPONSE));
    for (int i = 0; i < 2000; i++) bed_raw_send(&b, FL_STR("X-Bomb: aaaaaaaaaaaaaaaaaaaaaa\r\n"));
    bed_run(&b, 1000);
    assert_closed(h, FL_ETOO_LARGE);
    assert_int_equal(b.client.closes, 1);
    bed_deinit(&b);
}

/* Half a head, or half a chunk, and silence: the exchange's deadline. */
static void test_silence_ends_by_deadline(void **state) {
    static const char *const halves[] = {
        "HTTP/1.1 200 OK\r\nConte",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(halves); i++) {
        struct bed b;
        struct heard *h = ask_raw(&b, "GET");
        fl_http_stream_deadline(h->stream, fl_io_now_ms(b.io) + 2000);
        bed_raw_send(&b, fl_str_of(halves[i]));
        bed_run(&b, 1900);
        assert_int_equal(h->closes, 0);
        bed_run(&b, 200);
        assert_closed(h, FL_EDEADLINE);
        assert_int_equal(b.client.closes, 1);
        bed_deinit(&b);
    }
}

/* The end of the response and of the connection in one turn of a loop. */
static void test_end_of_both_at_once(void **state) {
    struct bed b;
    FL_UNUSED(state);
    struct heard *h = ask_raw(&b, "GET");
    b.client.conn->proto->feed(b.client.conn, FL_STR(RESPONSE "Content-Length: 2\r\n\r\nok"));
    b.client.conn->proto->eof(b.client.conn);
    bed_run(&b, 100);
    assert_complete(h, 200);
    assert_int_equal(b.client.closes, 1);
    bed_deinit(&b);
}

static void test_early_response(void **state) {
    struct bed b;
    FL_UNUSED(state);
    bed_open_h1(&b, &bed_plain);
    b.raw_server = true;
    bed_connect(&b);
    struct heard *h = bed_ask_open(&b, "POST", "/");
    bed_write(h, FL_STR("half"), false);
    bed_run(&b, 100);
    bed_raw_send(&b, FL_STR("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"));
    bed_run(&b, 100);
    assert_complete(h, 413);
    assert_int_equal(b.client.closes, 1); /* half a request is no place for another */
    bed_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_until_close),
        cmocka_unit_test(test_connection_close_is_announced),
        cmocka_unit_test(test_interim_responses_are_skipped),
        cmocka_unit_test(test_cut_in_the_middle_of_a_body),
        cmocka_unit_test(test_nonsense_from_a_server),
        cmocka_unit_test(test_bytes_behind_a_response),
        cmocka_unit_test(test_bytes_without_a_request),
        cmocka_unit_test(test_header_bomb_from_a_server),
        cmocka_unit_test(test_silence_ends_by_deadline),
        cmocka_unit_test(test_end_of_both_at_once),
        cmocka_unit_test(test_early_response),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
