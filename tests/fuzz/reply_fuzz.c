/* reply_fuzz.c - the messages of a response, compressed or not, in any chunking: whatever comes out
 * is within the limit. First byte: the encoding and the size of the chunks. */
#include "channel/reply.h"

#define MESSAGE_MAX ((size_t)64 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(struct fl_reply *reply, struct fl_str chunk, bool *broken) {
    struct fl_error err;
    struct fl_str message;
    int rc;
    while ((rc = fl_reply_next(reply, &chunk, &message, &err)) == 1)
        FL_ASSERT(message.n <= MESSAGE_MAX);
    FL_ASSERT(rc == 0 || rc == FL_EPROTO || rc == FL_ETOO_LARGE);
    FL_ASSERT(rc != 0 || chunk.n == 0);
    *broken = rc != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct fl_str encodings[] = {FL_STR("gzip"), FL_STR("deflate"), FL_STR("identity"),
                                              FL_STR("snappy")};
    if (size < 1) return 0;
    struct fl_http_header list[] = {{FL_STR("content-type"), FL_STR("application/grpc")},
                                    {FL_STR("grpc-encoding"), encodings[data[0] & 3]}};
    struct fl_http_response head = {200, {list, 2}};
    struct fl_reply reply;
    bool broken = false;
    fl_reply_init(&reply, MESSAGE_MAX, false);
    if (fl_reply_head(&reply, &head, NULL) != 0) broken = true;
    struct fl_str rest = fl_str_n(data + 1, size - 1);
    size_t chunk = (size_t)(data[0] >> 2) + 1;
    while (rest.n > 0 && !broken) {
        size_t n = FL_MIN(chunk, rest.n);
        take(&reply, fl_str_n(rest.p, n), &broken);
        rest = fl_str_from(rest, n);
    }
    fl_reply_deinit(&reply);
    return 0;
}
