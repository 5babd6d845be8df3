/* reflector_bed.h - a reflector and its store, fed by hand with bytes made by the encoders. */
#ifndef FL_TEST_REFLECTOR_BED_H
#define FL_TEST_REFLECTOR_BED_H

#include "support/alloc.h"

#include "kube/reflector.h"

#define FL_RBED_PROTOBUF       "application/vnd.kubernetes.protobuf"
#define FL_RBED_PROTOBUF_WATCH "application/vnd.kubernetes.protobuf;stream=watch"
#define FL_RBED_JSON           "application/json"

struct fl_rbed {
    struct fl_kube_server own_server, *server;
    struct fl_kube_store *store;
    struct fl_reflector *r;
    uint64_t now_ms;
    size_t chunk; /* bytes are fed in pieces of this size; 0: whole */
    enum fl_k8s_format format;
    char path[1024]; /* of the request under way */
    char accept[128];
    unsigned cancels; /* requests to be cancelled so far */
    char changes[1024];
    unsigned synced, notes[FL_REFLECTOR_NOTES];
    unsigned troubles;
    struct fl_error trouble;
    struct fl_reflector_round list, watch; /* the last of each */
    unsigned lists, watches;
};

struct fl_rbed_item {
    const char *name, *version;
};

/* A server that is known not to stream lists; one that may; the one of another bed. */
void fl_rbed_setup(struct fl_rbed *f);
void fl_rbed_setup_stream(struct fl_rbed *f);
void fl_rbed_setup_beside(struct fl_rbed *f, struct fl_rbed *other);
void fl_rbed_init(struct fl_rbed *f); /* all but the reflector and its store, */
int fl_rbed_make(struct fl_rbed *f);  /* which this makes */
void fl_rbed_teardown(struct fl_rbed *f);
/* The first: and it has asked. */
void fl_rbed_setup_asked(struct fl_rbed *f);
/* Listed at version 10 with a@5 and b@10, and watching. */
void fl_rbed_setup_watching(struct fl_rbed *f);

/* Lets the reflector act at the present time; true: it sent a request. */
bool fl_rbed_act(struct fl_rbed *f);
/* The next request, waiting for it at most `limit_ms`; how long it took. */
uint64_t fl_rbed_expect_request(struct fl_rbed *f, uint64_t limit_ms);
/* The same, and its head has come: a watch. */
void fl_rbed_expect_watch(struct fl_rbed *f, uint64_t limit_ms);
bool fl_rbed_path_has(const struct fl_rbed *f, const char *part);

/* Answers of the server to the request under way. */
void fl_rbed_head(struct fl_rbed *f, int status, const char *type);
void fl_rbed_watch_head(struct fl_rbed *f);
void fl_rbed_feed(struct fl_rbed *f, struct fl_str bytes);
void fl_rbed_closed(struct fl_rbed *f, int code);
void fl_rbed_list_bytes(struct fl_rbed *f, struct fl_buf *out, const struct fl_rbed_item *items,
                        size_t count, const char *version, const char *token);
void fl_rbed_reply_page(struct fl_rbed *f, const struct fl_rbed_item *items, size_t count,
                        const char *version, const char *token);
#define FL_RBED_LIST(f, version, ...)                                                              \
    fl_rbed_reply_page((f), (const struct fl_rbed_item[]){__VA_ARGS__},                            \
                       sizeof((const struct fl_rbed_item[]){__VA_ARGS__}) /                        \
                           sizeof(struct fl_rbed_item),                                            \
                       (version), "")
void fl_rbed_event(struct fl_rbed *f, enum fl_k8s_event what, const char *name,
                   const char *version);
void fl_rbed_stream_end(struct fl_rbed *f, const char *version);
void fl_rbed_error_event(struct fl_rbed *f, const struct fl_k8s_status *status);
void fl_rbed_gone_event(struct fl_rbed *f); /* 410 */
void fl_rbed_refuse(struct fl_rbed *f, int http_status, const struct fl_k8s_status *status);

/* What changed in the store since the last time: "+a@5 ~a@6 -a@6 ". */
void fl_rbed_expect_changes(struct fl_rbed *f, const char *text);

#endif
