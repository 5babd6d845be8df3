/* Calls to a server that is made of frames by hand: it answers in orders that are allowed and that
 * no library would choose, and it takes no more than the first window of what is sent. */
#include "support/alloc.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "support/bed.h"
#include "support/frame_peer.h"

#define METHOD "/grpc.testing.TestService/FullDuplexCall"
#define HEDGE                                                                                      \
    "{\"methodConfig\":[{\"name\":[{}],\"hedgingPolicy\":{\"maxAttempts\":3,\"hedgingDelay\":"     \
    "\"0.1s\"}}]}"

struct fixture {
    struct fl_bed bed;
    struct fl_frame_peer peer;
};

struct client {
    struct fl_call *call;
    unsigned messages, ended, attempts;
    bool pause_at_message;
    enum fl_status status;
};

static void start(struct fixture *f,
                  void (*on_frame)(struct fl_frame_conn *conn, const struct fl_frame *frame),
                  const char *service_config) {
    fl_bed_start(&f->bed, NULL);
    fl_frame_peer_start(&f->peer, f->bed.io, "10.0.0.1", FL_BED_PORT);
    f->peer.on_frame = on_frame;
    fl_bed_open(&f->bed, &(struct fl_channel_options){.service_config = service_config});
    fl_bed_publish(&f->bed, 1);
    fl_world_run_ms(f->bed.world, 100);
}

static void stop(struct fixture *f) {
    fl_frame_peer_stop(&f->peer);
    fl_bed_stop(&f->bed);
}

/* --- what of a head may be remembered --- */

static char never_indexed[256], others[1024];

static void inflate(const struct fl_frame *frame) {
    nghttp2_hd_inflater *inflater;
    assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
    const uint8_t *at = (const uint8_t *)frame->payload.p, *end = at + frame->payload.n;
    while (at < end) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, at, (size_t)(end - at), true);
        assert_true(n >= 0);
        at += n;
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT)) continue;
        char *list = nv.flags & NGHTTP2_NV_FLAG_NO_INDEX ? never_indexed : others;
        size_t size = list == never_indexed ? sizeof(never_indexed) : sizeof(others);
        size_t used = strlen(list);
        snprintf(list + used, size - used, "%.*s;", (int)nv.namelen, (const char *)nv.name);
    }
    nghttp2_hd_inflate_del(inflater);
}

static void note_head(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    if (frame->type != FRAME_HEADERS) return;
    inflate(frame);
    fl_frame_head(conn, frame->id);
    fl_frame_message(conn, frame->id, FL_STR("x"));
    fl_frame_status_ok(conn, frame->id);
}

static int credentials(void *arg, const char *method, fl_credentials_give *give, void *to,
                       struct fl_error *err) {
    FL_UNUSED(arg);
    FL_UNUSED(method);
    FL_UNUSED(err);
    give(to, &(struct fl_metadata){"x-token", "geheim", 6});
    give(to, &(struct fl_metadata){"x-key-bin", "\1\2", 2});
    return 0;
}

static void test_secrets_are_never_indexed(void **state) {
    FL_UNUSED(state);
    static const char cookie[] = "session=0123456789012345678901234567890123456789";
    const struct fl_metadata metadata[] = {{"x-plain", "a", 1},
                                           {"authorization", "Bearer x", 8},
                                           {"cookie", cookie, sizeof(cookie) - 1},
                                           {"proxy-authorization", "Basic x", 7},
                                           {"x-other", "b", 1}};
    struct fl_bed bed;
    struct fl_frame_peer peer;
    struct fl_bed_call call;
    never_indexed[0] = others[0] = '\0';
    fl_bed_start(&bed, NULL);
    fl_frame_peer_start(&peer, bed.io, "10.0.0.1", FL_BED_PORT);
    peer.on_frame = note_head;
    fl_bed_open(&bed, &(struct fl_channel_options){.allow_cleartext_credentials = true});
    fl_bed_publish(&bed, 1);
    fl_bed_call(&bed, &call,
                &(struct fl_call_options){.metadata = {metadata, FL_COUNT(metadata)},
                                          .credentials = credentials});
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(call.status, FL_STATUS_OK);
    assert_string_equal(never_indexed,
                        "authorization;cookie;proxy-authorization;x-key-bin;x-token;");
    assert_non_null(strstr(others, ":path;"));
    assert_non_null(strstr(others, "user-agent;"));
    assert_non_null(strstr(others, "x-plain;x-other;"));
    fl_frame_peer_stop(&peer);
    fl_bed_stop(&bed);
}

/* --- answers in unusual orders --- */

static void on_message(void *arg, struct fl_call *call, const void *bytes, size_t len) {
    struct client *client = arg;
    FL_UNUSED(bytes);
    FL_UNUSED(len);
    client->messages++;
    if (client->pause_at_message) fl_call_pause(call, true);
}

static void on_end(void *arg, const struct fl_call_result *result) {
    struct client *client = arg;
    client->ended++;
    client->status = result->status;
    client->attempts = result->attempts;
}

static const struct fl_call_events events = {.on_message = on_message, .on_end = on_end};

static void open_call(struct fixture *f, struct client *client) {
    *client = (struct client){.call = NULL};
    assert_int_equal(
        fl_call_start(f->bed.channel, METHOD, NULL, &events, client, &client->call, NULL), 0);
}

/* --- hedges --- */

/* What is written when several attempts have a stream commits the call to one of them, and the
 * others, whose ends are still to come, are not written to any more. */
static void test_write_that_commits_a_hedged_call(void **state) {
    FL_UNUSED(state);
    static const char bytes[100 * 1024];
    struct fixture f;
    struct client client;
    start(&f, NULL, HEDGE);
    open_call(&f, &client);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fl_call_write(client.call, bytes, sizeof(bytes)), 0);
    fl_world_run_ms(f.bed.world, 500);
    assert_int_equal(f.peer.got[FRAME_HEADERS], 3);
    assert_int_equal(fl_call_write(client.call, bytes, sizeof(bytes)), 0);
    assert_int_equal(fl_call_write(client.call, bytes, sizeof(bytes)), 0);
    fl_world_run_ms(f.bed.world, 500);
    assert_int_equal(f.peer.got[FRAME_RST_STREAM], 2);
    assert_int_equal(client.ended, 0);
    fl_call_cancel(client.call);
    fl_world_run_ms(f.bed.world, 100);
    assert_int_equal(client.ended, 1);
    assert_int_equal(client.attempts, 3);
    stop(&f);
}

/* --- heads --- */

/* A head that looks like Trailers-Only and is not the end: messages follow. */
static void status_and_messages(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    if (frame->type != FRAME_HEADERS) return;
    fl_frame_send(conn, FRAME_HEADERS, FRAME_END_HEADERS, frame->id,
                  FRAME_BYTES("\x88\x5f\x10"
                              "application/grpc\0\x0bgrpc-status\x02"
                              "14"));
    for (int i = 0; i < 3; i++) fl_frame_message(conn, frame->id, FRAME_BYTES("again"));
}

static void test_messages_behind_a_status(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct client client;
    start(&f, status_and_messages, NULL);
    open_call(&f, &client);
    client.pause_at_message = true;
    fl_world_run_ms(f.bed.world, 100);
    assert_int_equal(client.messages, 1);
    client.pause_at_message = false;
    fl_call_pause(client.call, false);
    fl_world_run_ms(f.bed.world, 100);
    assert_int_equal(client.messages, 3);
    fl_call_cancel(client.call);
    fl_world_run_ms(f.bed.world, 100);
    assert_int_equal(client.ended, 1);
    stop(&f);
}

/* --- ends --- */

static void answer_at_once(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    if (frame->type != FRAME_HEADERS) return;
    fl_frame_head(conn, frame->id);
    fl_frame_message(conn, frame->id, FRAME_BYTES("\12\2hi"));
    fl_frame_status_ok(conn, frame->id);
}

/* The server has said everything; that it does not read the rest of the request holds nothing. */
static void test_answer_before_the_request_is_sent(void **state) {
    FL_UNUSED(state);
    static const char bytes[200 * 1024];
    struct fixture f;
    struct client client = {.call = NULL};
    start(&f, answer_at_once, NULL);
    assert_int_equal(fl_call_unary(f.bed.channel, METHOD, bytes, sizeof(bytes), NULL, on_end,
                                   &client, &client.call, NULL),
                     0);
    fl_world_run_ms(f.bed.world, 1000);
    assert_int_equal(client.ended, 1);
    assert_int_equal(client.status, FL_STATUS_OK);
    assert_int_equal(f.peer.got[FRAME_RST_STREAM], 1); /* the rest is not coming */
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secrets_are_never_indexed),
        cmocka_unit_test(test_write_that_commits_a_hedged_call),
        cmocka_unit_test(test_messages_behind_a_status),
        cmocka_unit_test(test_answer_before_the_request_is_sent),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
