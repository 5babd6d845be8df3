/* Calls to a server that is made of frames by hand: it answers in orders that are allowed and that
 * no library would choose, and it takes no more than the first window of what is sent. */
#include "support/alloc.h"

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
        cmocka_unit_test(test_write_that_commits_a_hedged_call),
        cmocka_unit_test(test_messages_behind_a_status),
        cmocka_unit_test(test_answer_before_the_request_is_sent),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
