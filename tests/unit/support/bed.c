/* bed.c - see bed.h. */
#include "support/bed.h"

#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

void fl_bed_start(struct fl_bed *bed, const struct fl_world_options *options) {
    static const struct fl_world_options plain = {.seed = 1};
    memset(bed, 0, sizeof(*bed));
    assert_int_equal(fl_world_new(options ? options : &plain, &bed->world), 0);
    bed->io = fl_world_io(bed->world);
    assert_int_equal(fl_discovery_open(bed->io, &bed->discovery, NULL), 0);
    bed->hand = fl_hand_new();
    assert_int_equal(fl_discovery_take_provider(bed->discovery, fl_hand_provider(bed->hand)), 0);
}

static void on_applied(void *arg, uint64_t set_version) {
    struct fl_bed *bed = arg;
    assert_true(set_version > bed->applied);
    bed->applied = set_version;
}

void fl_bed_open(struct fl_bed *bed, const struct fl_channel_options *options) {
    struct fl_error err;
    int rc = fl_channel_open(bed->io, bed->discovery, "hand:///echo", options, &bed->channel, &err);
    assert_int_equal(rc, 0);
    fl_channel_watch(bed->channel,
                     &(struct fl_channel_watcher){.on_applied = on_applied, .arg = bed});
}

static void channel_closed(void *arg) { ((struct fl_bed *)arg)->channel_closed++; }

static void discovery_closed(void *arg) { ((struct fl_bed *)arg)->discovery_closed++; }

void fl_bed_close(struct fl_bed *bed) {
    if (!bed->channel) return;
    unsigned before = bed->channel_closed;
    fl_channel_close(bed->channel, channel_closed, bed);
    assert_int_equal(bed->channel_closed, before);
    bed->channel = NULL;
    fl_world_run_ms(bed->world, 3000);
    assert_int_equal(bed->channel_closed, before + 1);
}

void fl_bed_stop(struct fl_bed *bed) {
    fl_bed_close(bed);
    fl_discovery_close(bed->discovery, discovery_closed, bed);
    fl_world_run_ms(bed->world, 60000);
    assert_int_equal(bed->discovery_closed, 1);
    assert_int_equal(fl_world_open_socks(bed->world), 0);
    fl_world_free(bed->world);
}

const char *fl_bed_host(unsigned number) {
    static char text[32];
    snprintf(text, sizeof(text), "10.0.%u.%u", number / 200, number % 200);
    return text;
}

void fl_bed_publish(struct fl_bed *bed, unsigned count) {
    struct fl_hand_endpoint endpoints[200] = {{0}};
    char hosts[200][32];
    assert_true(count <= 200);
    for (unsigned i = 0; i < count; i++) {
        snprintf(hosts[i], sizeof(hosts[i]), "%s", fl_bed_host(i + 1));
        endpoints[i] = (struct fl_hand_endpoint){.address = hosts[i], .port = FL_BED_PORT};
    }
    fl_hand_publish(bed->hand, FL_SET_SOME, endpoints, count);
}

struct fl_echo *fl_bed_echo(struct fl_bed *bed, unsigned number, uint32_t delay_ms) {
    struct fl_echo *echo;
    struct fl_echo_options options = {
        .host = fl_str_of(fl_bed_host(number)), .port = FL_BED_PORT, .delay_ms = delay_ms};
    assert_int_equal(fl_echo_new(bed->io, &options, &echo, NULL), 0);
    return echo;
}

static void set_true(void *arg) { *(bool *)arg = true; }

static bool is_true(void *arg) { return *(bool *)arg; }

void fl_bed_kill(struct fl_bed *bed, struct fl_echo *echo) {
    bool done = false;
    fl_echo_kill(echo, set_true, &done);
    assert_true(fl_world_run_until(bed->world, is_true, &done, 5000));
}

static void on_end(void *arg, const struct fl_call_result *result) {
    struct fl_bed_call *call = arg;
    call->ended++;
    call->ended_ms = fl_io_now_ms(call->bed->io);
    call->status = result->status;
    call->why = result->why->code;
    call->retries = result->transparent_retries;
    snprintf(call->message, sizeof(call->message), "%s", result->message);
    snprintf(call->peer, sizeof(call->peer), "%s", result->peer);
    assert_int_equal(result->response != NULL, result->status == FL_STATUS_OK);
    call->response_len = result->response_len;
    if (result->response)
        memcpy(call->response, result->response,
               FL_MIN(result->response_len, sizeof(call->response)));
}

void fl_bed_call(struct fl_bed *bed, struct fl_bed_call *call,
                 const struct fl_call_options *options) {
    memset(call, 0, sizeof(*call));
    call->bed = bed;
    call->started_ms = fl_io_now_ms(bed->io);
    int rc = fl_call_unary(bed->channel, FL_BED_METHOD, "\12\2hi", 4, options, on_end, call,
                           &call->call, NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(call->ended, 0);
}

static bool has_ended(void *arg) { return ((struct fl_bed_call *)arg)->ended > 0; }

void fl_bed_call_now(struct fl_bed *bed, struct fl_bed_call *call, uint64_t limit_ms) {
    fl_bed_call(bed, call, NULL);
    assert_true(fl_world_run_until(bed->world, has_ended, call, limit_ms));
    assert_int_equal(call->ended, 1);
}

void fl_bed_start_peer(struct fl_bed *bed, struct fl_peer *peer,
                       const struct fl_world_options *options) {
    fl_bed_start(bed, options);
    fl_peer_start(peer, bed->io, "10.0.0.1", FL_BED_PORT, FL_PEER_HTTP);
}

void fl_bed_stop_peer(struct fl_bed *bed, struct fl_peer *peer) {
    fl_peer_stop(peer);
    fl_bed_stop(bed);
}

void fl_bed_ignore(void *arg, const struct fl_call_result *result) {
    FL_UNUSED(arg);
    FL_UNUSED(result);
}

void fl_bed_expect_ok(const struct fl_bed_call *call) {
    assert_int_equal(call->ended, 1);
    assert_string_equal(call->message, "");
    assert_int_equal(call->status, FL_STATUS_OK);
    assert_int_equal(call->response_len, 4);
    assert_memory_equal(call->response, "\12\2hi", 4);
}
