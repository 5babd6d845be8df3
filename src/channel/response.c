/* response.c - see response.h. */
#include "channel/response.h"

#include "base/error.h"

int fl_response_head(struct fl_reply *reply, const struct fl_http_response *head,
                     struct fl_error *err) {
    reply->http_status = head->status;
    /* What outlier detection goes by: the server's own failures. */
    reply->grpc_status = head->status >= 500 ? FL_STATUS_UNAVAILABLE : FL_STATUS_OK;
    if (fl_metadata_decode(head->headers, true, &reply->headers) == 0) return 0;
    return fl_fail_nomem(err);
}

int fl_response_data(struct fl_reply *reply, struct fl_str bytes, struct fl_error *err) {
    int rc = fl_buf_append(&reply->body, bytes);
    if (rc == FL_EFULL)
        return fl_fail(err, FL_ETOO_LARGE, "a response of more than %zu bytes", reply->body.max);
    return rc == 0 ? 0 : fl_fail_nomem(err);
}

int fl_response_trailers(struct fl_reply *reply, struct fl_http_headers trailers,
                         struct fl_error *err) {
    fl_metadata_free(&reply->trailers);
    return fl_metadata_decode(trailers, true, &reply->trailers) == 0 ? 0 : fl_fail_nomem(err);
}

void fl_response_result(struct fl_reply *reply, const struct fl_error *why, uint32_t h2_code,
                        struct fl_error *cause, struct fl_call_result *result) {
    FL_UNUSED(h2_code); /* its name stands in *why */
    *cause = *why;
    if (why->code == FL_OK && reply->http_status == 0)
        fl_fail(cause, FL_EPROTO, "the exchange ended without a response");
    struct fl_str body = fl_buf_str(&reply->body);
    bool whole = cause->code == FL_OK;
    result->status = fl_status_of_error(cause->code);
    result->message = cause->detail;
    result->why = cause;
    result->response = !whole ? NULL : body.n ? body.p : "";
    result->response_len = whole ? body.n : 0;
    result->headers = reply->headers;
    result->trailers = reply->trailers;
}
