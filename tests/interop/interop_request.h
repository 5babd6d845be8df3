/* interop_request.h - the requests of grpc.testing.TestService with all that hangs on them.
 *
 * They point into themselves: made in place, never copied, ended with their _deinit. */
#ifndef FL_TEST_INTEROP_REQUEST_H
#define FL_TEST_INTEROP_REQUEST_H

#include <stdbool.h>

#include "grpc/testing/messages.pb-c.h"

#define INTEROP_PARAMETERS_MAX 4

/* How a payload is filled: zeros, or bytes that no compression makes smaller. */
enum interop_filling { INTEROP_ZEROS, INTEROP_NOISE };

struct interop_body {
    Grpc__Testing__Payload payload;
};

void interop_body_init(struct interop_body *body, int32_t size, enum interop_filling filling);
void interop_body_deinit(struct interop_body *body);

struct interop_simple {
    Grpc__Testing__SimpleRequest request;
    struct interop_body body;
    Grpc__Testing__BoolValue response_compressed, expect_compressed;
    Grpc__Testing__EchoStatus status;
};

void interop_simple_init(struct interop_simple *simple, int32_t size, int32_t response_size);
void interop_simple_deinit(struct interop_simple *simple);

struct interop_output {
    Grpc__Testing__StreamingOutputCallRequest request;
    struct interop_body body;
    Grpc__Testing__ResponseParameters parameters[INTEROP_PARAMETERS_MAX];
    Grpc__Testing__ResponseParameters *pointers[INTEROP_PARAMETERS_MAX];
    Grpc__Testing__BoolValue compressed[INTEROP_PARAMETERS_MAX];
    Grpc__Testing__EchoStatus status;
};

/* `size` of the request's own payload; the responses wanted are added. */
void interop_output_init(struct interop_output *output, int32_t size);
void interop_output_add(struct interop_output *output, int32_t response_size);
void interop_output_add_compressed(struct interop_output *output, int32_t response_size,
                                   bool compressed);
void interop_output_deinit(struct interop_output *output);

#endif
