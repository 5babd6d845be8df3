/* api_body.c - bodies of requests, as trees. */
#include "sim/api_reply.h"
#include "sim/object_schema.h"

static int parse_protobuf(struct fl_str body, json_t **out, struct fl_api_status *status) {
    int rc = fl_schema_decode(body, out);
    if (!rc) return 0;
    if (rc == FL_ENOMEM) return fl_api_fail(status, 500, "InternalError", "out of memory");
    if (rc == FL_EPROTO)
        return fl_api_fail(status, 400, "BadRequest", "the body of the request is malformed");
    return fl_api_fail(status, 415, "UnsupportedMediaType",
                       "the simulated server does not know all fields of this object in protobuf; "
                       "accepted media types include: application/json");
}

int fl_api_parse_body(const struct fl_api_request *request, struct fl_str body, json_t **out,
                      struct fl_api_status *status) {
    json_error_t error;
    *out = NULL;
    if (request->protobuf_body) return parse_protobuf(body, out, status);
    *out = json_loadb(body.n ? body.p : "", body.n, JSON_REJECT_DUPLICATES, &error);
    if (*out) return 0;
    return fl_api_fail(status, 400, "BadRequest", "the object provided is unrecognized: %s",
                       error.text);
}
