/* compression.c - what a call and its client agree on (grpc/doc/compression.md): the client
 * says in grpc-encoding what its messages are, and in grpc-accept-encoding what it can read. */
#include "server/inside.h"

#define BIT(compression) (1u << (unsigned)(compression))

/* Value of grpc-accept-encoding: names, separated by commas. */
static unsigned accepted_of(struct fl_str names) {
    unsigned accepted = BIT(FL_COMPRESSION_IDENTITY);
    struct fl_str name;
    enum fl_compression compression;
    while (names.n > 0) {
        fl_str_split(names, ',', &name, &names);
        if (fl_compression_of(fl_str_trim(name), &compression)) accepted |= BIT(compression);
    }
    return accepted;
}

bool fl_grpc_call_negotiate(struct fl_grpc_call *call, struct fl_http_headers headers) {
    struct fl_str encoding = fl_http_header_get(headers, FL_STR("grpc-encoding"));
    struct fl_str accept = fl_http_header_get(headers, FL_STR("grpc-accept-encoding"));
    call->received = call->agreed = call->sends = FL_COMPRESSION_IDENTITY;
    call->accepted = accepted_of(accept);
    if (!encoding.p) return true;
    if (!fl_compression_of(encoding, &call->received)) return false;
    fl_grpc_call_compress(call, call->received);
    return true;
}

void fl_grpc_call_compress(struct fl_grpc_call *call, enum fl_compression compression) {
    if (!(call->accepted & BIT(compression))) compression = FL_COMPRESSION_IDENTITY;
    if (!call->head_sent) call->agreed = compression;
    call->sends = compression == call->agreed ? compression : FL_COMPRESSION_IDENTITY;
}

bool fl_grpc_call_compressed(const struct fl_grpc_call *call) { return call->compressed; }
