/* interop_exchange.c - see interop_exchange.h. The runtime is turned here (FL_RUNTIME_POLL). */
#include "interop/interop_exchange.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A case that lingers so long has failed. */
#define PATIENCE_MS 30000

#define INITIAL  "x-grpc-test-echo-initial"
#define TRAILING "x-grpc-test-echo-trailing-bin"

bool interop_fail(struct interop_peer *peer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (!peer->why[0]) vsnprintf(peer->why, sizeof(peer->why), format, arguments);
    va_end(arguments);
    return false;
}

/* --- the loop --- */

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void turn(struct interop_peer *peer) {
    struct pollfd readable = {.fd = fl_runtime_fd(peer->runtime), .events = POLLIN};
    int wait_ms = fl_runtime_deadline_ms(peer->runtime);
    poll(&readable, 1, wait_ms < 0 || wait_ms > PATIENCE_MS ? PATIENCE_MS : wait_ms);
    fl_runtime_turn(peer->runtime);
}

static void on_closed(void *arg) { *(bool *)arg = true; }

/* --- the peer --- */

bool interop_channel_open(struct interop_peer *peer) {
    struct fl_error err;
    interop_channel_close(peer);
    if (fl_channel_new(peer->runtime, peer->discovery, peer->target, &peer->options, &peer->channel,
                       &err) == 0)
        return true;
    return interop_fail(peer, "%s", err.detail);
}

void interop_channel_close(struct interop_peer *peer) {
    bool closed = false;
    if (!peer->channel) return;
    fl_channel_close(peer->channel, on_closed, &closed);
    while (!closed) turn(peer);
    peer->channel = NULL;
}

bool interop_peer_open(struct interop_peer *peer) {
    const struct fl_runtime_options mode = {.mode = FL_RUNTIME_POLL};
    struct fl_error err;
    if (fl_runtime_new(&mode, &peer->runtime, &err) == 0 &&
        fl_discovery_new(peer->runtime, NULL, &peer->discovery, &err) == 0)
        return interop_channel_open(peer);
    return interop_fail(peer, "%s", err.detail);
}

void interop_peer_close(struct interop_peer *peer) {
    bool closed = false;
    interop_channel_close(peer);
    if (peer->discovery) {
        fl_discovery_close(peer->discovery, on_closed, &closed);
        while (!closed) turn(peer);
    }
    fl_runtime_free(peer->runtime);
}

/* --- what the server says --- */

static void keep_echo(char *out, size_t max, const struct fl_metadata_list *from,
                      const char *name) {
    for (size_t i = 0; i < from->count; i++) {
        const struct fl_metadata *entry = &from->list[i];
        if (strcmp(entry->name, name) == 0)
            snprintf(out, max, "%.*s", (int)entry->len, (const char *)entry->value);
    }
}

static void keep_message(struct interop_exchange *x, const void *bytes, size_t len) {
    /* A SimpleResponse's payload has the same number. */
    Grpc__Testing__StreamingOutputCallResponse *output =
        grpc__testing__streaming_output_call_response__unpack(NULL, len, bytes);
    Grpc__Testing__StreamingInputCallResponse *input =
        grpc__testing__streaming_input_call_response__unpack(NULL, len, bytes);
    if (x->received < INTEROP_MESSAGES_MAX)
        x->sizes[x->received] = output && output->payload ? output->payload->body.len : 0;
    x->received++;
    if (input) x->sum = input->aggregated_payload_size;
    if (output) grpc__testing__streaming_output_call_response__free_unpacked(output, NULL);
    if (input) grpc__testing__streaming_input_call_response__free_unpacked(input, NULL);
}

static void on_message(void *arg, struct fl_call *call, const void *bytes, size_t len) {
    FL_UNUSED(call);
    keep_message(arg, bytes, len);
}

static void on_end(void *arg, const struct fl_call_result *result) {
    struct interop_exchange *x = arg;
    x->call = NULL;
    x->ended = true;
    x->status = result->status;
    snprintf(x->message, sizeof(x->message), "%s", result->message);
    snprintf(x->address, sizeof(x->address), "%s", result->peer);
    keep_echo(x->initial, sizeof(x->initial), &result->headers, INITIAL);
    keep_echo(x->trailing, sizeof(x->trailing), &result->trailers, TRAILING);
    if (result->response) keep_message(x, result->response, result->response_len);
}

/* --- steps --- */

/* Until the n-th message or the end. */
static bool await(struct interop_exchange *x, unsigned n) {
    int64_t limit = now_ms() + PATIENCE_MS;
    while (!x->ended && x->received < n && now_ms() < limit) turn(x->peer);
    if (x->ended || x->received >= n) return true;
    return interop_fail(x->peer, "nothing happened for %d s after %u messages", PATIENCE_MS / 1000,
                        x->received);
}

static void *pack(const ProtobufCMessage *message, size_t *len) {
    *len = protobuf_c_message_get_packed_size(message);
    void *bytes = malloc(*len + 1);
    if (!bytes) abort();
    protobuf_c_message_pack(message, bytes);
    return bytes;
}

bool interop_unary(struct interop_peer *peer, const char *method, const ProtobufCMessage *request,
                   const struct fl_call_options *options, struct interop_exchange *out) {
    struct fl_error err;
    size_t len;
    void *bytes = pack(request, &len);
    *out = (struct interop_exchange){.peer = peer};
    int rc =
        fl_call_unary(peer->channel, method, bytes, len, options, on_end, out, &out->call, &err);
    free(bytes);
    if (rc != 0) return interop_fail(peer, "%s: %s", method, err.detail);
    out->started = true;
    bool ended = interop_await_end(out);
    interop_exchange_deinit(out);
    return ended;
}

bool interop_start(struct interop_peer *peer, const char *method,
                   const struct fl_call_options *options, struct interop_exchange *out) {
    static const struct fl_call_events events = {.on_message = on_message, .on_end = on_end};
    struct fl_error err;
    *out = (struct interop_exchange){.peer = peer};
    int rc = fl_call_start(peer->channel, method, options, &events, out, &out->call, &err);
    if (rc != 0) return interop_fail(peer, "%s: %s", method, err.detail);
    out->started = true;
    return true;
}

bool interop_send(struct interop_exchange *x, const ProtobufCMessage *message) {
    size_t len;
    if (x->ended)
        return interop_fail(x->peer, "ended before all was sent: %s: %s", fl_status_name(x->status),
                            x->message);
    void *bytes = pack(message, &len);
    int rc = fl_call_write(x->call, bytes, len);
    free(bytes);
    return rc == 0 || interop_fail(x->peer, "sending: %s", fl_error_text(rc));
}

void interop_send_end(struct interop_exchange *x) {
    if (x->call) fl_call_write_end(x->call);
}

void interop_cancel(struct interop_exchange *x) {
    if (x->call) fl_call_cancel(x->call);
}

bool interop_await(struct interop_exchange *x, unsigned n) {
    if (!await(x, n)) return false;
    if (x->received >= n) return true;
    return interop_fail(x->peer, "ended after %u messages, not %u: %s: %s", x->received, n,
                        fl_status_name(x->status), x->message);
}

bool interop_await_end(struct interop_exchange *x) { return await(x, UINT32_MAX); }

void interop_exchange_deinit(struct interop_exchange *x) {
    interop_cancel(x);
    while (x->started && !x->ended) turn(x->peer);
}

/* --- expectations --- */

bool interop_ended_with(struct interop_exchange *x, enum fl_status status, const char *message) {
    if (!interop_await_end(x)) return false;
    if (x->status == status && (!message || strcmp(x->message, message) == 0)) return true;
    return interop_fail(x->peer, "got %s \"%s\", not %s \"%s\"", fl_status_name(x->status),
                        x->message, fl_status_name(status), message ? message : "…");
}

bool interop_received(struct interop_exchange *x, const int32_t *sizes, unsigned count) {
    if (x->received != count)
        return interop_fail(x->peer, "got %u messages, not %u", x->received, count);
    for (unsigned i = 0; i < count; i++)
        if (x->sizes[i] != (size_t)sizes[i])
            return interop_fail(x->peer, "message %u has %zu bytes of payload, not %d", i,
                                x->sizes[i], sizes[i]);
    return true;
}
