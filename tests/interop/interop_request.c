/* interop_request.c - see interop_request.h. */
#include "interop/interop_request.h"

#include <stdlib.h>

void interop_body_init(struct interop_body *body, int32_t size, enum interop_filling filling) {
    uint32_t noise = 2463534242;
    body->payload = (Grpc__Testing__Payload)GRPC__TESTING__PAYLOAD__INIT;
    body->payload.body.len = (size_t)size;
    body->payload.body.data = calloc(1, (size_t)size + 1);
    if (!body->payload.body.data) abort();
    for (int32_t i = 0; i < size && filling == INTEROP_NOISE; i++) {
        noise ^= noise << 13; /* xorshift32 */
        noise ^= noise >> 17;
        noise ^= noise << 5;
        body->payload.body.data[i] = (uint8_t)noise;
    }
}

void interop_body_deinit(struct interop_body *body) { free(body->payload.body.data); }

void interop_simple_init(struct interop_simple *simple, int32_t size, int32_t response_size) {
    simple->request = (Grpc__Testing__SimpleRequest)GRPC__TESTING__SIMPLE_REQUEST__INIT;
    simple->response_compressed = (Grpc__Testing__BoolValue)GRPC__TESTING__BOOL_VALUE__INIT;
    simple->expect_compressed = (Grpc__Testing__BoolValue)GRPC__TESTING__BOOL_VALUE__INIT;
    simple->status = (Grpc__Testing__EchoStatus)GRPC__TESTING__ECHO_STATUS__INIT;
    interop_body_init(&simple->body, size, INTEROP_ZEROS);
    simple->request.payload = &simple->body.payload;
    simple->request.response_size = response_size;
}

void interop_simple_deinit(struct interop_simple *simple) { interop_body_deinit(&simple->body); }

void interop_output_init(struct interop_output *output, int32_t size) {
    output->request = (Grpc__Testing__StreamingOutputCallRequest)
        GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    output->status = (Grpc__Testing__EchoStatus)GRPC__TESTING__ECHO_STATUS__INIT;
    interop_body_init(&output->body, size, INTEROP_ZEROS);
    output->request.payload = &output->body.payload;
    output->request.response_parameters = output->pointers;
}

void interop_output_add(struct interop_output *output, int32_t response_size) {
    size_t i = output->request.n_response_parameters;
    if (i == INTEROP_PARAMETERS_MAX) abort();
    output->request.n_response_parameters++;
    output->parameters[i] =
        (Grpc__Testing__ResponseParameters)GRPC__TESTING__RESPONSE_PARAMETERS__INIT;
    output->parameters[i].size = response_size;
    output->pointers[i] = &output->parameters[i];
}

void interop_output_add_compressed(struct interop_output *output, int32_t response_size,
                                   bool compressed) {
    size_t i = output->request.n_response_parameters;
    interop_output_add(output, response_size);
    output->compressed[i] = (Grpc__Testing__BoolValue)GRPC__TESTING__BOOL_VALUE__INIT;
    output->compressed[i].value = compressed;
    output->parameters[i].compressed = &output->compressed[i];
}

void interop_output_deinit(struct interop_output *output) { interop_body_deinit(&output->body); }
