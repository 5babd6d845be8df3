/* server_traits.h - what has been learned about an API server, shared by all that ask it.
 *
 * A server that refuses something is asked for the next best at once, and by nobody for the better
 * again until FL_SERVER_TRAITS_MS later, so that an upgraded one is found out (W10). A lost
 * connection forgets what a cheap refusal taught, because another server may answer the next one;
 * what took a deadline to learn stays. One loop's thread. */
#ifndef FL_KUBE_SERVER_TRAITS_H
#define FL_KUBE_SERVER_TRAITS_H

#include "wire/k8s.h"

#define FL_SERVER_TRAITS_MS ((uint64_t)60 * 60 * 1000)

struct fl_server_traits {
    uint64_t stream_refused_until_ms, stream_unended_until_ms; /* 0: never */
    uint64_t protobuf_refused_until_ms;
    uint32_t bookmarks; /* a bit for each kind whose watches have had one */
};

/* Streaming lists: refused, or begun and never said to be complete. */
bool fl_server_traits_may_stream(const struct fl_server_traits *traits, uint64_t now_ms);
void fl_server_traits_stream_refused(struct fl_server_traits *traits, uint64_t now_ms);
void fl_server_traits_stream_unended(struct fl_server_traits *traits, uint64_t now_ms);

bool fl_server_traits_may_protobuf(const struct fl_server_traits *traits, uint64_t now_ms);
void fl_server_traits_protobuf_refused(struct fl_server_traits *traits, uint64_t now_ms);

/* Whether silence of a watch for long says that it is dead: bookmarks were seen, and none missed
 * since. */
bool fl_server_traits_sends_bookmarks(const struct fl_server_traits *traits, enum fl_k8s_kind kind);
void fl_server_traits_bookmark(struct fl_server_traits *traits, enum fl_k8s_kind kind, bool seen);

void fl_server_traits_connection_lost(struct fl_server_traits *traits);

#endif
