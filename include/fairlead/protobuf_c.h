/* protobuf_c.h - calls with messages of protobuf-c.
 *
 * Header only: for programs that use libprotobuf-c; libfairlead itself does not know it. */
#ifndef FAIRLEAD_PROTOBUF_C_H
#define FAIRLEAD_PROTOBUF_C_H

#include <fairlead/blocking.h>
#include <protobuf-c/protobuf-c.h>
#include <stdlib.h>

FL_C_BEGIN

/* The encoded message in *bytes, which the caller frees with free(). FL_ENOMEM. */
FL_MUST static inline int fl_protobuf_c_pack(const ProtobufCMessage *message, void **bytes,
                                             size_t *len, struct fl_error *err) {
    *len = protobuf_c_message_get_packed_size(message);
    *bytes = malloc(*len ? *len : 1);
    if (*bytes) {
        protobuf_c_message_pack(message, (uint8_t *)*bytes);
        return FL_OK;
    }
    if (err) *err = (struct fl_error){FL_ENOMEM, "out of memory"};
    return FL_ENOMEM;
}

/* The response of a unary call, which the caller frees with protobuf_c_message_free_unpacked (NULL
 * as allocator). NULL: the status is not OK, the bytes are no such message, or there is no memory.
 */
static inline ProtobufCMessage *fl_protobuf_c_response(const ProtobufCMessageDescriptor *type,
                                                       const struct fl_call_result *result) {
    if (result->status != FL_STATUS_OK) return NULL;
    return protobuf_c_message_unpack(type, NULL, result->response_len,
                                     (const uint8_t *)result->response);
}

/* fl_call_unary with `request` encoded; its errors, and FL_ENOMEM. */
FL_MUST static inline int fl_protobuf_c_unary(struct fl_channel *channel, const char *method,
                                              const ProtobufCMessage *request,
                                              const struct fl_call_options *options, fl_call_cb *cb,
                                              void *arg, struct fl_call **out,
                                              struct fl_error *err) {
    void *bytes;
    size_t len;
    int rc = fl_protobuf_c_pack(request, &bytes, &len, err);
    if (rc != FL_OK) return rc;
    rc = fl_call_unary(channel, method, bytes, len, options, cb, arg, out, err);
    free(bytes);
    return rc;
}

/* fl_call_wait with `request` encoded; its errors, and FL_ENOMEM. */
FL_MUST static inline int fl_protobuf_c_wait(struct fl_channel *channel, const char *method,
                                             const ProtobufCMessage *request,
                                             const struct fl_call_options *options,
                                             struct fl_answer *out, struct fl_error *err) {
    void *bytes;
    size_t len;
    int rc = fl_protobuf_c_pack(request, &bytes, &len, err);
    if (rc != FL_OK) return rc;
    rc = fl_call_wait(channel, method, bytes, len, options, out, err);
    free(bytes);
    return rc;
}

FL_C_END

#endif
