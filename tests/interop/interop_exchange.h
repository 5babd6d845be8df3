/* interop_exchange.h - one call to grpc.testing.TestService, told step by step: send, await,
 * cancel.
 *
 * Everything happens on one thread, which turns the loop while it waits, so that a case reads from
 * top to bottom. Where a step or an expectation fails, the peer says why; the first reason counts.
 * Only Fairlead's public interface is used, and protobuf-c for the messages. */
#ifndef FL_TEST_INTEROP_EXCHANGE_H
#define FL_TEST_INTEROP_EXCHANGE_H

#include <fairlead/fairlead.h>

#include "base/def.h"
#include "grpc/testing/empty.pb-c.h"
#include "grpc/testing/messages.pb-c.h"

#define INTEROP_METHOD(name) "/grpc.testing.TestService/" name
#define INTEROP_MESSAGES_MAX 16

/* Whom the cases talk to. */
struct interop_peer {
    struct fl_runtime *runtime;
    struct fl_discovery *discovery;
    struct fl_channel *channel; /* NULL: none is open */
    const char *target;
    struct fl_channel_options options;
    unsigned iterations; /* of the soak cases */
    char why[512];       /* the first failure; "" if there is none */
};

FL_MUST bool interop_peer_open(struct interop_peer *peer);
void interop_peer_close(struct interop_peer *peer);
/* A channel with the peer's options in place of the one that is open, which is closed. */
FL_MUST bool interop_channel_open(struct interop_peer *peer);
void interop_channel_close(struct interop_peer *peer);
/* Keeps the reason unless there is one. Returns false. */
bool interop_fail(struct interop_peer *peer, const char *format, ...) FL_PRINTF(2, 3);

struct interop_exchange {
    struct interop_peer *peer;
    struct fl_call *call; /* NULL: not started, or ended */
    bool started, ended;
    enum fl_status status;
    char message[256]; /* grpc-message */
    char address[64];  /* who answered */
    /* What the server echoed, x-grpc-test-echo-initial and -trailing-bin; "" if nothing. */
    char initial[64], trailing[64];
    unsigned received;                  /* messages */
    size_t sizes[INTEROP_MESSAGES_MAX]; /* of their payloads */
    int64_t sum;                        /* the last one's, as a StreamingInputCallResponse */
};

/* A unary call, to its end. True: it was made, whatever its status. */
FL_MUST bool interop_unary(struct interop_peer *peer, const char *method,
                           const ProtobufCMessage *request, const struct fl_call_options *options,
                           struct interop_exchange *out);

/* A streaming call. It is ended by interop_exchange_deinit if nobody else did. */
FL_MUST bool interop_start(struct interop_peer *peer, const char *method,
                           const struct fl_call_options *options, struct interop_exchange *out);
FL_MUST bool interop_send(struct interop_exchange *x, const ProtobufCMessage *message);
void interop_send_end(struct interop_exchange *x);
void interop_cancel(struct interop_exchange *x);
/* Until the n-th message; false also if the call ends before it. */
FL_MUST bool interop_await(struct interop_exchange *x, unsigned n);
FL_MUST bool interop_await_end(struct interop_exchange *x);
void interop_exchange_deinit(struct interop_exchange *x);

/* Expectations. `message` NULL: any. */
FL_MUST bool interop_ended_with(struct interop_exchange *x, enum fl_status status,
                                const char *message);
FL_MUST bool interop_received(struct interop_exchange *x, const int32_t *sizes, unsigned count);

#endif
