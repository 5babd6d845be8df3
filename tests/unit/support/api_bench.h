/* api_bench.h - a simulated API server and one HTTP connection to it, for the tests of what it
 * answers. */
#ifndef FL_TEST_API_BENCH_H
#define FL_TEST_API_BENCH_H

#include "support/alloc.h"

#include <inttypes.h>
#include <stdio.h>

#include "http/conn.h"
#include "sim/apiserver.h"
#include "sim/store.h"
#include "sim/world.h"

#define JSON     "application/json"
#define PROTOBUF "application/vnd.kubernetes.protobuf"
#define SLICES   "/apis/discovery.k8s.io/v1/endpointslices"
#define ASKED    128

struct answer {
    struct bench *bench;
    struct fl_http_stream *stream; /* NULL after on_close */
    int status, code;
    bool ended, closed, hoard;
    size_t hoarded;
    char type[64], retry_after[16];
    struct fl_buf body;
    char *text; /* the body, terminated; by text_of */
};

struct bench {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_cluster *cluster;
    struct fl_apiserver *server;
    struct fl_http_conn *conn; /* NULL after on_close */
    struct answer answers[ASKED];
    size_t asked;
    bool ready, server_closed;
    const char *token;
    size_t hungry; /* this allocation fails, from the next request on; its own side may, too */
};

extern const struct fl_k8s_service_port grpc_port;

void dial(struct bench *b, enum fl_http_version version);
void bench_open(struct bench *b, const struct fl_apiserver_options *options,
                enum fl_http_version version);
void on_server_closed(void *arg);
void bench_close(struct bench *b);
struct answer *start(struct bench *b, const char *method, const char *path, const char *accept);
struct answer *get(struct bench *b, const char *path, const char *accept);
/* With a body; content type JSON unless `type` says otherwise. Runs the world until answered. */
struct answer *send_body(struct bench *b, const char *method, const char *path, const char *type,
                         const char *body);
struct answer *post(struct bench *b, const char *path, const char *body);
const char *text_of(struct answer *a);
void assert_has(struct answer *a, const char *part);
void assert_lacks(struct answer *a, const char *part);
size_t count(struct answer *a, const char *part);
void assert_status(struct answer *a, int status, const char *reason);
void cancel(struct bench *b, struct answer *a);
struct fl_str add_pod(struct bench *b);
FL_PRINTF(1, 2) char *url(const char *format, ...);

#endif
