/* interop_message.h - the messages of grpc.testing.TestService, as far as its server needs them. */
#ifndef FL_TEST_INTEROP_MESSAGE_H
#define FL_TEST_INTEROP_MESSAGE_H

#include "base/buf.h"
#include "base/parse.h"

/* {BoolValue}: what a message says of its own compression. */
enum interop_expected { INTEROP_ANY, INTEROP_PLAIN, INTEROP_COMPRESSED };

/* SimpleRequest and StreamingOutputCallRequest. */
struct interop_request {
    uint64_t response_size; /* of SimpleRequest */
    bool fill_server_id;    /* the same */
    bool response_compressed;
    enum interop_expected expected;
    bool has_status;
    uint64_t status;
    struct fl_str status_message;
};

/* ResponseParameters */
struct interop_parameters {
    uint64_t size, interval_us;
    bool compressed;
};

/* False: malformed. Borrowed. */
FL_MUST bool interop_request_read(struct fl_str bytes, struct interop_request *out);
/* Of a StreamingInputCallRequest: how many bytes of payload. */
FL_MUST bool interop_input_read(struct fl_str bytes, size_t *payload,
                                enum interop_expected *expected);
/* The next response_parameters of a StreamingOutputCallRequest that *r reads; false behind the
 * last. */
FL_MUST bool interop_next_parameters(struct fl_parse *r, struct interop_parameters *out);

/* SimpleResponse or StreamingOutputCallResponse with so many zeros. FL_EFULL, FL_ENOMEM. */
FL_MUST int interop_write_payload(struct fl_buf *out, uint64_t size);
/* SimpleResponse's server_id, behind its payload. */
FL_MUST int interop_write_server_id(struct fl_buf *out, struct fl_str server_id);
/* StreamingInputCallResponse. */
FL_MUST int interop_write_sum(struct fl_buf *out, uint64_t sum);

#endif
