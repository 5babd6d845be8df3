/* interop_cases.c - the cases without compression. */
#include "interop/interop_cases.h"

#include <string.h>

#include "interop/interop_request.h"

#define CALL_MS 20000

const int32_t interop_request_sizes[INTEROP_SIZES] = {27182, 8, 1828, 45904};
const int32_t interop_response_sizes[INTEROP_SIZES] = {31415, 9, 2653, 58979};

static const struct fl_call_options usual = {.timeout_ms = CALL_MS, .wait_for_ready = FL_WAIT_YES};

/* --- unary --- */

static bool empty_unary(struct interop_peer *peer) {
    static const int32_t nothing = 0;
    Grpc__Testing__Empty empty = GRPC__TESTING__EMPTY__INIT;
    struct interop_exchange x;
    return interop_unary(peer, INTEROP_METHOD("EmptyCall"), &empty.base, &usual, &x) &&
           interop_ended_with(&x, FL_STATUS_OK, NULL) && interop_received(&x, &nothing, 1);
}

/* One UnaryCall with these sizes; it may be looked at further. */
static bool call_sized(struct interop_peer *peer, int32_t size, int32_t response_size,
                       const struct fl_call_options *options, struct interop_exchange *x) {
    struct interop_simple simple;
    interop_simple_init(&simple, size, response_size);
    bool good =
        interop_unary(peer, INTEROP_METHOD("UnaryCall"), &simple.request.base, options, x) &&
        interop_ended_with(x, FL_STATUS_OK, NULL) && interop_received(x, &response_size, 1);
    interop_simple_deinit(&simple);
    return good;
}

static bool large_unary(struct interop_peer *peer) {
    struct interop_exchange x;
    return call_sized(peer, INTEROP_LARGE_REQUEST, INTEROP_LARGE_RESPONSE, &usual, &x);
}

/* --- streams --- */

static bool send_input(struct interop_exchange *x, int32_t size) {
    Grpc__Testing__StreamingInputCallRequest request =
        GRPC__TESTING__STREAMING_INPUT_CALL_REQUEST__INIT;
    struct interop_body body;
    interop_body_init(&body, size, INTEROP_ZEROS);
    request.payload = &body.payload;
    bool sent = interop_send(x, &request.base);
    interop_body_deinit(&body);
    return sent;
}

static bool stream_input(struct interop_exchange *x) {
    static const int64_t wanted = 27182 + 8 + 1828 + 45904;
    for (size_t i = 0; i < INTEROP_SIZES; i++)
        if (!send_input(x, interop_request_sizes[i])) return false;
    interop_send_end(x);
    if (!interop_ended_with(x, FL_STATUS_OK, NULL)) return false;
    if (x->received == 1 && x->sum == wanted) return true;
    return interop_fail(x->peer, "got %u messages and the sum %lld, not %lld", x->received,
                        (long long)x->sum, (long long)wanted);
}

static bool client_streaming(struct interop_peer *peer) {
    struct interop_exchange x;
    bool good =
        interop_start(peer, INTEROP_METHOD("StreamingInputCall"), &usual, &x) && stream_input(&x);
    interop_exchange_deinit(&x);
    return good;
}

static bool server_streaming(struct interop_peer *peer) {
    struct interop_exchange x;
    struct interop_output output;
    interop_output_init(&output, 0);
    for (size_t i = 0; i < INTEROP_SIZES; i++)
        interop_output_add(&output, interop_response_sizes[i]);
    bool good = interop_start(peer, INTEROP_METHOD("StreamingOutputCall"), &usual, &x) &&
                interop_send(&x, &output.request.base);
    interop_send_end(&x);
    good = good && interop_ended_with(&x, FL_STATUS_OK, NULL) &&
           interop_received(&x, interop_response_sizes, INTEROP_SIZES);
    interop_exchange_deinit(&x);
    interop_output_deinit(&output);
    return good;
}

/* A request with a payload and one response wanted; response_size < 0: none. */
static bool send_output(struct interop_exchange *x, int32_t size, int32_t response_size) {
    struct interop_output output;
    interop_output_init(&output, size);
    if (response_size >= 0) interop_output_add(&output, response_size);
    bool sent = interop_send(x, &output.request.base);
    interop_output_deinit(&output);
    return sent;
}

static bool play_ping_pong(struct interop_exchange *x) {
    for (unsigned i = 0; i < INTEROP_SIZES; i++)
        if (!send_output(x, interop_request_sizes[i], interop_response_sizes[i]) ||
            !interop_await(x, i + 1))
            return false;
    interop_send_end(x);
    return interop_ended_with(x, FL_STATUS_OK, NULL) &&
           interop_received(x, interop_response_sizes, INTEROP_SIZES);
}

static bool ping_pong(struct interop_peer *peer) {
    struct interop_exchange x;
    bool good =
        interop_start(peer, INTEROP_METHOD("FullDuplexCall"), &usual, &x) && play_ping_pong(&x);
    interop_exchange_deinit(&x);
    return good;
}

static bool empty_stream(struct interop_peer *peer) {
    struct interop_exchange x;
    bool good = interop_start(peer, INTEROP_METHOD("FullDuplexCall"), &usual, &x);
    interop_send_end(&x);
    good = good && interop_ended_with(&x, FL_STATUS_OK, NULL) && interop_received(&x, NULL, 0);
    interop_exchange_deinit(&x);
    return good;
}

/* --- ends that this side makes --- */

static bool timeout_on_sleeping_server(struct interop_peer *peer) {
    const struct fl_call_options soon = {.timeout_ms = 1, .wait_for_ready = FL_WAIT_YES};
    struct interop_exchange x;
    if (!empty_unary(peer)) return false; /* or the time would pass before there is a connection */
    bool good = interop_start(peer, INTEROP_METHOD("FullDuplexCall"), &soon, &x) &&
                send_output(&x, 27182, -1) &&
                interop_ended_with(&x, FL_STATUS_DEADLINE_EXCEEDED, NULL);
    interop_exchange_deinit(&x);
    return good;
}

static bool cancel_after_begin(struct interop_peer *peer) {
    struct interop_exchange x;
    if (!empty_unary(peer)) return false; /* so that the call begins at once on the wire */
    bool good = interop_start(peer, INTEROP_METHOD("StreamingInputCall"), &usual, &x);
    interop_cancel(&x);
    good = good && interop_ended_with(&x, FL_STATUS_CANCELLED, NULL);
    interop_exchange_deinit(&x);
    return good;
}

static bool cancel_after_first_response(struct interop_peer *peer) {
    struct interop_exchange x;
    bool good = interop_start(peer, INTEROP_METHOD("FullDuplexCall"), &usual, &x) &&
                send_output(&x, 27182, 31415) && interop_await(&x, 1);
    interop_cancel(&x);
    good = good && interop_ended_with(&x, FL_STATUS_CANCELLED, NULL) &&
           interop_received(&x, interop_response_sizes, 1);
    interop_exchange_deinit(&x);
    return good;
}

/* --- statuses --- */

static bool end_unary_with(struct interop_peer *peer, int32_t code, char *message) {
    struct interop_exchange x;
    struct interop_simple simple;
    interop_simple_init(&simple, 0, 0);
    simple.status.code = code;
    simple.status.message = message;
    simple.request.response_status = &simple.status;
    bool good =
        interop_unary(peer, INTEROP_METHOD("UnaryCall"), &simple.request.base, &usual, &x) &&
        interop_ended_with(&x, (enum fl_status)code, message);
    interop_simple_deinit(&simple);
    return good;
}

static bool end_stream_with(struct interop_peer *peer, int32_t code, char *message) {
    struct interop_exchange x;
    struct interop_output output;
    interop_output_init(&output, 0);
    output.status.code = code;
    output.status.message = message;
    output.request.response_status = &output.status;
    bool good = interop_start(peer, INTEROP_METHOD("FullDuplexCall"), &usual, &x) &&
                interop_send(&x, &output.request.base);
    interop_send_end(&x);
    good = good && interop_ended_with(&x, (enum fl_status)code, message);
    interop_exchange_deinit(&x);
    interop_output_deinit(&output);
    return good;
}

static bool status_code_and_message(struct interop_peer *peer) {
    char message[] = "test status message";
    return end_unary_with(peer, FL_STATUS_UNKNOWN, message) &&
           end_stream_with(peer, FL_STATUS_UNKNOWN, message);
}

static bool special_status_message(struct interop_peer *peer) {
    char message[] = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
    return end_unary_with(peer, FL_STATUS_UNKNOWN, message);
}

static bool unimplemented(struct interop_peer *peer, const char *method) {
    Grpc__Testing__Empty empty = GRPC__TESTING__EMPTY__INIT;
    struct interop_exchange x;
    return interop_unary(peer, method, &empty.base, &usual, &x) &&
           interop_ended_with(&x, FL_STATUS_UNIMPLEMENTED, NULL);
}

static bool unimplemented_method(struct interop_peer *peer) {
    return unimplemented(peer, INTEROP_METHOD("UnimplementedCall"));
}

static bool unimplemented_service(struct interop_peer *peer) {
    return unimplemented(peer, "/grpc.testing.UnimplementedService/UnimplementedCall");
}

/* --- metadata --- */

static const char initial[] = "test_initial_metadata_value", trailing[] = "\n\v\n\v\n\v";
static const struct fl_metadata echoed[] = {
    {"x-grpc-test-echo-initial", initial, sizeof(initial) - 1},
    {"x-grpc-test-echo-trailing-bin", trailing, sizeof(trailing) - 1},
};
static const struct fl_call_options with_metadata = {
    .timeout_ms = CALL_MS, .wait_for_ready = FL_WAIT_YES, .metadata = {echoed, FL_COUNT(echoed)}};

static bool has_echoed(struct interop_exchange *x) {
    if (strcmp(x->initial, initial) == 0 && strcmp(x->trailing, trailing) == 0) return true;
    return interop_fail(x->peer, "the server echoed \"%s\" and %zu bytes", x->initial,
                        strlen(x->trailing));
}

static bool custom_metadata(struct interop_peer *peer) {
    struct interop_exchange unary, duplex;
    if (!call_sized(peer, 1, 1, &with_metadata, &unary) || !has_echoed(&unary)) return false;
    bool good = interop_start(peer, INTEROP_METHOD("FullDuplexCall"), &with_metadata, &duplex) &&
                send_output(&duplex, 1, 1) && interop_await(&duplex, 1);
    interop_send_end(&duplex);
    good = good && interop_ended_with(&duplex, FL_STATUS_OK, NULL) && has_echoed(&duplex);
    interop_exchange_deinit(&duplex);
    return good;
}

/* --- many calls --- */

static bool pick_first_unary(struct interop_peer *peer) {
    struct interop_exchange first, x;
    peer->options.balance.policy = FL_BALANCE_PICK_FIRST;
    if (!interop_channel_open(peer) || !call_sized(peer, 1, 1, &usual, &first)) return false;
    for (int i = 1; i < 20; i++) {
        if (!call_sized(peer, 1, 1, &usual, &x)) return false;
        if (strcmp(first.address, x.address) != 0)
            return interop_fail(peer, "%s answered, then %s", first.address, x.address);
    }
    return true;
}

static bool soak(struct interop_peer *peer, bool each_its_channel) {
    struct interop_exchange x;
    for (unsigned i = 0; i < peer->iterations; i++)
        if ((each_its_channel && !interop_channel_open(peer)) ||
            !call_sized(peer, INTEROP_LARGE_REQUEST, INTEROP_LARGE_RESPONSE, &usual, &x))
            return interop_fail(peer, "iteration %u", i);
    return true;
}

static bool rpc_soak(struct interop_peer *peer) { return soak(peer, false); }
static bool channel_soak(struct interop_peer *peer) { return soak(peer, true); }

#define CASE(name)                                                                                 \
    { #name, name }
static const struct interop_named_case cases[] = {
    CASE(empty_unary),
    CASE(large_unary),
    CASE(client_streaming),
    CASE(server_streaming),
    CASE(ping_pong),
    CASE(empty_stream),
    CASE(timeout_on_sleeping_server),
    CASE(cancel_after_begin),
    CASE(cancel_after_first_response),
    CASE(status_code_and_message),
    CASE(special_status_message),
    CASE(custom_metadata),
    CASE(unimplemented_method),
    CASE(unimplemented_service),
    CASE(pick_first_unary),
    CASE(rpc_soak),
    CASE(channel_soak),
};
const struct interop_cases interop_plain_cases = {cases, FL_COUNT(cases)};
