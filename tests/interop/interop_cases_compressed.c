/* interop_cases_compressed.c - the cases with compression.
 *
 * The server says whether a request was compressed as announced. Whether its responses are, only
 * the bytes on the wire can tell: the test that runs these cases counts them. */
#include "interop/interop_cases.h"
#include "interop/interop_request.h"

#define CALL_MS 20000

static const struct fl_call_options plain = {.timeout_ms = CALL_MS, .wait_for_ready = FL_WAIT_YES};
static const struct fl_call_options gzip = {
    .timeout_ms = CALL_MS, .wait_for_ready = FL_WAIT_YES, .compression = FL_COMPRESSION_GZIP};

/* A large UnaryCall of which the server is told whether its request is compressed. */
static bool call_announced(struct interop_peer *peer, bool announced,
                           const struct fl_call_options *options, struct interop_exchange *x) {
    struct interop_simple simple;
    interop_simple_init(&simple, INTEROP_LARGE_REQUEST, INTEROP_LARGE_RESPONSE);
    simple.expect_compressed.value = announced;
    simple.request.expect_compressed = &simple.expect_compressed;
    bool made = interop_unary(peer, INTEROP_METHOD("UnaryCall"), &simple.request.base, options, x);
    interop_simple_deinit(&simple);
    return made;
}

static bool succeeded(struct interop_exchange *x) {
    static const int32_t wanted = INTEROP_LARGE_RESPONSE;
    return interop_ended_with(x, FL_STATUS_OK, NULL) && interop_received(x, &wanted, 1);
}

/* Refused: the server can tell, so that what follows means something. */
static bool client_compressed_unary(struct interop_peer *peer) {
    struct interop_exchange x;
    return call_announced(peer, true, &plain, &x) &&
           interop_ended_with(&x, FL_STATUS_INVALID_ARGUMENT, NULL) &&
           call_announced(peer, true, &gzip, &x) && succeeded(&x) &&
           call_announced(peer, false, &plain, &x) && succeeded(&x);
}

static bool call_for_compressed(struct interop_peer *peer, bool compressed) {
    struct interop_exchange x;
    struct interop_simple simple;
    interop_simple_init(&simple, INTEROP_LARGE_REQUEST, INTEROP_LARGE_RESPONSE);
    simple.response_compressed.value = compressed;
    simple.request.response_compressed = &simple.response_compressed;
    bool good =
        interop_unary(peer, INTEROP_METHOD("UnaryCall"), &simple.request.base, &plain, &x) &&
        succeeded(&x);
    interop_simple_deinit(&simple);
    return good;
}

static bool server_compressed_unary(struct interop_peer *peer) {
    return call_for_compressed(peer, true) && call_for_compressed(peer, false);
}

/* Noise goes plain on a compressed call, too: it would not become smaller. */
static bool send_announced(struct interop_exchange *x, int32_t size, bool announced,
                           enum interop_filling filling) {
    Grpc__Testing__StreamingInputCallRequest request =
        GRPC__TESTING__STREAMING_INPUT_CALL_REQUEST__INIT;
    Grpc__Testing__BoolValue expected = GRPC__TESTING__BOOL_VALUE__INIT;
    struct interop_body body;
    interop_body_init(&body, size, filling);
    expected.value = announced;
    request.payload = &body.payload;
    request.expect_compressed = &expected;
    bool sent = interop_send(x, &request.base);
    interop_body_deinit(&body);
    return sent;
}

static bool probe_stream(struct interop_peer *peer) {
    struct interop_exchange x;
    bool good = interop_start(peer, INTEROP_METHOD("StreamingInputCall"), &plain, &x) &&
                send_announced(&x, 27182, true, INTEROP_ZEROS);
    interop_send_end(&x);
    good = good && interop_ended_with(&x, FL_STATUS_INVALID_ARGUMENT, NULL);
    interop_exchange_deinit(&x);
    return good;
}

static bool client_compressed_streaming(struct interop_peer *peer) {
    struct interop_exchange x;
    if (!probe_stream(peer)) return false;
    bool good = interop_start(peer, INTEROP_METHOD("StreamingInputCall"), &gzip, &x) &&
                send_announced(&x, 27182, true, INTEROP_ZEROS) &&
                send_announced(&x, 45904, false, INTEROP_NOISE);
    interop_send_end(&x);
    good = good && interop_ended_with(&x, FL_STATUS_OK, NULL) &&
           (x.sum == 27182 + 45904 || interop_fail(peer, "the sum is %lld", (long long)x.sum));
    interop_exchange_deinit(&x);
    return good;
}

static bool server_compressed_streaming(struct interop_peer *peer) {
    static const int32_t wanted[] = {31415, 92653};
    struct interop_exchange x;
    struct interop_output output;
    interop_output_init(&output, 0);
    interop_output_add_compressed(&output, wanted[0], true);
    interop_output_add_compressed(&output, wanted[1], false);
    bool good = interop_start(peer, INTEROP_METHOD("StreamingOutputCall"), &plain, &x) &&
                interop_send(&x, &output.request.base);
    interop_send_end(&x);
    good = good && interop_ended_with(&x, FL_STATUS_OK, NULL) && interop_received(&x, wanted, 2);
    interop_exchange_deinit(&x);
    interop_output_deinit(&output);
    return good;
}

static const struct interop_named_case cases[] = {
    {"client_compressed_unary", client_compressed_unary},
    {"server_compressed_unary", server_compressed_unary},
    {"client_compressed_streaming", client_compressed_streaming},
    {"server_compressed_streaming", server_compressed_streaming},
};
const struct interop_cases interop_compressed_cases = {cases, FL_COUNT(cases)};
