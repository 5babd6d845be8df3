/* server_traits.c - see server_traits.h. */
#include "kube/server_traits.h"

bool fl_server_traits_may_stream(const struct fl_server_traits *traits, uint64_t now_ms) {
    return now_ms >= traits->stream_refused_until_ms && now_ms >= traits->stream_unended_until_ms;
}

void fl_server_traits_stream_refused(struct fl_server_traits *traits, uint64_t now_ms) {
    traits->stream_refused_until_ms = now_ms + FL_SERVER_TRAITS_MS;
}

void fl_server_traits_stream_unended(struct fl_server_traits *traits, uint64_t now_ms) {
    traits->stream_unended_until_ms = now_ms + FL_SERVER_TRAITS_MS;
}

bool fl_server_traits_may_protobuf(const struct fl_server_traits *traits, uint64_t now_ms) {
    return now_ms >= traits->protobuf_refused_until_ms;
}

void fl_server_traits_protobuf_refused(struct fl_server_traits *traits, uint64_t now_ms) {
    traits->protobuf_refused_until_ms = now_ms + FL_SERVER_TRAITS_MS;
}

bool fl_server_traits_sends_bookmarks(const struct fl_server_traits *traits,
                                      enum fl_k8s_kind kind) {
    return traits->bookmarks >> kind & 1;
}

void fl_server_traits_bookmark(struct fl_server_traits *traits, enum fl_k8s_kind kind, bool seen) {
    uint32_t bit = UINT32_C(1) << kind;
    traits->bookmarks = seen ? traits->bookmarks | bit : traits->bookmarks & ~bit;
}

void fl_server_traits_connection_lost(struct fl_server_traits *traits) {
    traits->stream_refused_until_ms = traits->protobuf_refused_until_ms = 0;
}
