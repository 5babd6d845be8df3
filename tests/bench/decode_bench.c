/* decode_bench.c - how fast EndpointSlices become packed blocks, and what the blocks take.
 *
 * The bytes are those of a real controller: 100 endpoints a slice with targetRef, node and zone,
 * metadata with owner, labels, trigger annotation and managed fields. A watch of many such events
 * is fed in chunks of a socket read. Reported is the best of several rounds: the machine's noise
 * only ever adds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/report.h"
#include "wire/json_write.h"
#include "wire/k8s.h"
#include "wire/pb.h"

#define S           FL_STR
#define ENDPOINTS   100
#define SLICES      32
#define CHUNK       ((size_t)64 * 1024)
#define ROUNDS      25
#define PASSES      40 /* over all slices, a round */
#define NODES       500
#define WATCH_BYTES ((size_t)64 * 1024 * 1024)

/* --- one endpoint, one slice, as values --- */

struct endpoint {
    char address[32], pod[64], uid[40], node[64], zone[16];
};

static void endpoint_of(unsigned slice, unsigned i, struct endpoint *out) {
    unsigned id = slice * ENDPOINTS + i, node = id * 7919 % NODES;
    snprintf(out->address, sizeof out->address, "10.%u.%u.%u", 64 + id / 65536 % 64, id / 256 % 256,
             id % 256);
    snprintf(out->pod, sizeof out->pod, "checkout-api-6d4f8b9c7d-%05x", id * 2654435 % 0xfffff);
    snprintf(out->uid, sizeof out->uid, "%08x-%04x-4%03x-8%03x-%08x%04x", id * 2654435761u,
             id * 40503u % 65536, id % 4096, id * 31 % 4096, id * 2246822519u, id % 65536);
    snprintf(out->node, sizeof out->node, "ip-10-0-%u-%u.eu-central-1.compute.internal", node / 256,
             node % 256);
    snprintf(out->zone, sizeof out->zone, "eu-central-1%c", 'a' + (char)(node % 3));
}

struct slice_names {
    char name[64], uid[40], version[16];
};

static void names_of(unsigned slice, struct slice_names *out) {
    snprintf(out->name, sizeof out->name, "checkout-api-%05x", slice * 7 + 4096);
    snprintf(out->uid, sizeof out->uid, "5f2c9a10-8d1e-4b7a-9c33-%012x", slice);
    snprintf(out->version, sizeof out->version, "%u", 48151623 + slice);
}

#define MANAGED_FIELDS                                                                             \
    "{\"f:addressType\":{},\"f:endpoints\":{},\"f:metadata\":{\"f:annotations\":{\".\":{},"        \
    "\"f:endpoints.kubernetes.io/last-change-trigger-time\":{}},\"f:generateName\":{},"            \
    "\"f:labels\":{\".\":{},\"f:endpointslice.kubernetes.io/managed-by\":{},"                      \
    "\"f:kubernetes.io/service-name\":{}},\"f:ownerReferences\":{\".\":{},"                        \
    "\"k:{\\\"uid\\\":\\\"1c1d2e3f-0000-4000-8000-123456789abc\\\"}\":{}}},\"f:ports\":{}}"
#define MANAGER    "kube-controller-manager"
#define TRIGGER    "2026-11-21T02:54:00Z"
#define OWNER_UID  "1c1d2e3f-0000-4000-8000-123456789abc"
#define MANAGED_BY "endpointslice-controller.k8s.io"

/* --- protobuf --- */

static void pb_pair(struct fl_pb_writer *w, unsigned number, struct fl_str key,
                    struct fl_str value) {
    size_t entry = fl_pb_open(w, number);
    fl_pb_put_bytes(w, 1, key);
    fl_pb_put_bytes(w, 2, value);
    fl_pb_close(w, entry);
}

static void pb_time(struct fl_pb_writer *w, unsigned number) {
    size_t time = fl_pb_open(w, number);
    fl_pb_put_varint(w, 1, 1795229640);
    fl_pb_put_varint(w, 2, 0);
    fl_pb_close(w, time);
}

static void pb_meta(struct fl_pb_writer *w, unsigned slice) {
    struct slice_names names;
    names_of(slice, &names);
    size_t meta = fl_pb_open(w, 1), inner;
    fl_pb_put_bytes(w, 1, fl_str_of(names.name));
    fl_pb_put_bytes(w, 2, S("checkout-api-"));
    fl_pb_put_bytes(w, 3, S("production"));
    fl_pb_put_bytes(w, 4, S(""));
    fl_pb_put_bytes(w, 5, fl_str_of(names.uid));
    fl_pb_put_bytes(w, 6, fl_str_of(names.version));
    fl_pb_put_varint(w, 7, 17);
    pb_time(w, 8);
    pb_pair(w, 11, S("app.kubernetes.io/name"), S("checkout-api"));
    pb_pair(w, 11, S("endpointslice.kubernetes.io/managed-by"), S(MANAGED_BY));
    pb_pair(w, 11, S("kubernetes.io/service-name"), S("checkout-api"));
    pb_pair(w, 12, S("endpoints.kubernetes.io/last-change-trigger-time"), S(TRIGGER));
    inner = fl_pb_open(w, 13);
    fl_pb_put_bytes(w, 1, S("Service"));
    fl_pb_put_bytes(w, 3, S("checkout-api"));
    fl_pb_put_bytes(w, 4, S(OWNER_UID));
    fl_pb_put_bytes(w, 5, S("v1"));
    fl_pb_put_varint(w, 6, 1);
    fl_pb_put_varint(w, 7, 1);
    fl_pb_close(w, inner);
    inner = fl_pb_open(w, 17);
    fl_pb_put_bytes(w, 1, S(MANAGER));
    fl_pb_put_bytes(w, 2, S("Update"));
    fl_pb_put_bytes(w, 3, S("discovery.k8s.io/v1"));
    pb_time(w, 4);
    fl_pb_put_bytes(w, 6, S("FieldsV1"));
    size_t fields = fl_pb_open(w, 7);
    fl_pb_put_bytes(w, 1, S(MANAGED_FIELDS));
    fl_pb_close(w, fields);
    fl_pb_close(w, inner);
    fl_pb_close(w, meta);
}

static void pb_endpoint(struct fl_pb_writer *w, const struct endpoint *e) {
    size_t message = fl_pb_open(w, 2);
    fl_pb_put_bytes(w, 1, fl_str_of(e->address));
    size_t inner = fl_pb_open(w, 2);
    fl_pb_put_varint(w, 1, 1);
    fl_pb_put_varint(w, 2, 1);
    fl_pb_put_varint(w, 3, 0);
    fl_pb_close(w, inner);
    inner = fl_pb_open(w, 4);
    fl_pb_put_bytes(w, 1, S("Pod"));
    fl_pb_put_bytes(w, 2, S("production"));
    fl_pb_put_bytes(w, 3, fl_str_of(e->pod));
    fl_pb_put_bytes(w, 4, fl_str_of(e->uid));
    fl_pb_put_bytes(w, 5, S(""));
    fl_pb_put_bytes(w, 6, S(""));
    fl_pb_put_bytes(w, 7, S(""));
    fl_pb_close(w, inner);
    fl_pb_put_bytes(w, 6, fl_str_of(e->node));
    fl_pb_put_bytes(w, 7, fl_str_of(e->zone));
    fl_pb_close(w, message);
}

static int pb_slice(struct fl_buf *out, unsigned slice) {
    struct fl_pb_writer w = fl_pb_writer_of(out);
    struct endpoint e;
    pb_meta(&w, slice);
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        endpoint_of(slice, i, &e);
        pb_endpoint(&w, &e);
    }
    size_t port = fl_pb_open(&w, 3);
    fl_pb_put_bytes(&w, 1, S("grpc"));
    fl_pb_put_bytes(&w, 2, S("TCP"));
    fl_pb_put_varint(&w, 3, 50051);
    fl_pb_close(&w, port);
    fl_pb_put_bytes(&w, 4, S("IPv4"));
    return fl_pb_finish(&w);
}

/* --- JSON --- */

static void json_text(struct fl_json_writer *w, struct fl_str key, struct fl_str value) {
    fl_json_put_key(w, key);
    fl_json_put_string(w, value);
}

static void json_raw(struct fl_json_writer *w, struct fl_str key, struct fl_str value) {
    fl_json_put_key(w, key);
    fl_json_put_raw(w, value);
}

static void json_meta(struct fl_json_writer *w, unsigned slice) {
    struct slice_names names;
    names_of(slice, &names);
    fl_json_put_key(w, S("metadata"));
    fl_json_put_begin(w, '{');
    json_text(w, S("name"), fl_str_of(names.name));
    json_text(w, S("generateName"), S("checkout-api-"));
    json_text(w, S("namespace"), S("production"));
    json_text(w, S("uid"), fl_str_of(names.uid));
    json_text(w, S("resourceVersion"), fl_str_of(names.version));
    json_raw(w, S("generation"), S("17"));
    json_text(w, S("creationTimestamp"), S(TRIGGER));
    json_raw(w, S("labels"),
             S("{\"app.kubernetes.io/name\":\"checkout-api\","
               "\"endpointslice.kubernetes.io/managed-by\":\"" MANAGED_BY "\","
               "\"kubernetes.io/service-name\":\"checkout-api\"}"));
    json_raw(w, S("annotations"),
             S("{\"endpoints.kubernetes.io/last-change-trigger-time\":\"" TRIGGER "\"}"));
    json_raw(w, S("ownerReferences"),
             S("[{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"name\":\"checkout-api\","
               "\"uid\":\"" OWNER_UID "\",\"controller\":true,\"blockOwnerDeletion\":true}]"));
    json_raw(w, S("managedFields"),
             S("[{\"manager\":\"" MANAGER "\",\"operation\":\"Update\",\"apiVersion\":"
               "\"discovery.k8s.io/v1\",\"time\":\"" TRIGGER "\",\"fieldsType\":\"FieldsV1\","
               "\"fieldsV1\":" MANAGED_FIELDS "}]"));
    fl_json_put_end(w, '}');
}

static void json_endpoint(struct fl_json_writer *w, const struct endpoint *e) {
    fl_json_put_begin(w, '{');
    fl_json_put_key(w, S("addresses"));
    fl_json_put_begin(w, '[');
    fl_json_put_string(w, fl_str_of(e->address));
    fl_json_put_end(w, ']');
    json_raw(w, S("conditions"), S("{\"ready\":true,\"serving\":true,\"terminating\":false}"));
    fl_json_put_key(w, S("targetRef"));
    fl_json_put_begin(w, '{');
    json_text(w, S("kind"), S("Pod"));
    json_text(w, S("namespace"), S("production"));
    json_text(w, S("name"), fl_str_of(e->pod));
    json_text(w, S("uid"), fl_str_of(e->uid));
    fl_json_put_end(w, '}');
    json_text(w, S("nodeName"), fl_str_of(e->node));
    json_text(w, S("zone"), fl_str_of(e->zone));
    fl_json_put_end(w, '}');
}

static int json_slice(struct fl_buf *out, unsigned slice) {
    struct fl_json_writer w = fl_json_writer_of(out);
    struct endpoint e;
    fl_json_put_begin(&w, '{');
    json_text(&w, S("kind"), S("EndpointSlice"));
    json_text(&w, S("apiVersion"), S("discovery.k8s.io/v1"));
    json_meta(&w, slice);
    json_text(&w, S("addressType"), S("IPv4"));
    fl_json_put_key(&w, S("endpoints"));
    fl_json_put_begin(&w, '[');
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        endpoint_of(slice, i, &e);
        json_endpoint(&w, &e);
    }
    fl_json_put_end(&w, ']');
    json_raw(&w, S("ports"), S("[{\"name\":\"grpc\",\"protocol\":\"TCP\",\"port\":50051}]"));
    fl_json_put_end(&w, '}');
    return fl_json_finish(&w);
}

/* --- decoding --- */

struct run {
    struct fl_block *held[SLICES]; /* of the slice at its place in the watch */
    size_t next;
    bool reuse;
    size_t endpoints, block_bytes;
};

static int on_object(void *arg, enum fl_k8s_event event, struct fl_k8s_object *object) {
    struct run *run = arg;
    FL_UNUSED(event);
    struct fl_block **held = &run->held[run->next++ % SLICES];
    run->endpoints += fl_block_count(object->block);
    run->block_bytes = fl_block_bytes(object->block);
    fl_block_unref(*held);
    *held = object->block;
    object->block = NULL;
    return 0;
}

static void on_error(void *arg, const struct fl_k8s_status *status) {
    FL_UNUSED(arg);
    FL_UNUSED(status);
}

static void on_list_end(void *arg, struct fl_str version, struct fl_str token) {
    FL_UNUSED(arg);
    FL_UNUSED(version);
    FL_UNUSED(token);
}

static struct fl_block *previous(void *arg, struct fl_str ns, struct fl_str name) {
    struct run *run = arg;
    FL_UNUSED(ns);
    FL_UNUSED(name);
    return run->reuse ? run->held[run->next % SLICES] : NULL;
}

static const struct fl_k8s_decoder_events events = {on_object, on_error, on_list_end, previous};

static void check(int rc, const char *what) {
    if (rc == 0) return;
    fprintf(stderr, "decode_bench: %s: %s\n", what, fl_error_text(rc));
    exit(EXIT_FAILURE);
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void feed_all(struct fl_k8s_decoder *decoder, struct fl_str bytes) {
    while (bytes.n) {
        struct fl_error err;
        struct fl_str chunk = fl_str_n(bytes.p, FL_MIN(CHUNK, bytes.n));
        check(fl_k8s_decoder_feed(decoder, chunk, &err), "feed");
        bytes = fl_str_from(bytes, chunk.n);
    }
}

/* Megabytes a second, best round. */
static double measure(struct fl_k8s_decoder *decoder, struct run *run, struct fl_str bytes) {
    double best = 0;
    run->endpoints = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_s();
        for (int pass = 0; pass < PASSES; pass++) feed_all(decoder, bytes);
        double speed = (double)bytes.n * PASSES / (now_s() - start) / 1e6;
        best = FL_MAX(best, speed);
    }
    if (run->endpoints != (size_t)ROUNDS * PASSES * SLICES * ENDPOINTS) check(FL_EPROTO, "count");
    return best;
}

static void bench_format(struct fl_bench_report *report, const char *subject,
                         enum fl_k8s_format format) {
    struct run run = {0};
    struct fl_buf watch, object;
    struct fl_k8s_decoder *decoder;
    fl_buf_init(&watch, WATCH_BYTES);
    fl_buf_init(&object, WATCH_BYTES);
    for (unsigned i = 0; i < SLICES; i++) {
        fl_buf_truncate(&object, 0);
        check(format == FL_K8S_JSON ? json_slice(&object, i) : pb_slice(&object, i), "slice");
        check(fl_k8s_encode_event(&watch, format, FL_K8S_MODIFIED, FL_K8S_ENDPOINTSLICE,
                                  fl_buf_str(&object)),
              "event");
    }
    check(fl_k8s_decoder_new(FL_K8S_ENDPOINTSLICE, &events, &run, &decoder), "decoder");
    fl_k8s_decoder_start(decoder, FL_K8S_BODY_WATCH, format);
    fl_bench_add(report, subject, "slice_bytes", (double)watch.len / SLICES, "B");
    fl_bench_add(report, subject, "decode", measure(decoder, &run, fl_buf_str(&watch)), "MB/s");
    run.reuse = true;
    fl_bench_add(report, subject, "decode_unchanged", measure(decoder, &run, fl_buf_str(&watch)),
                 "MB/s");
    fl_bench_add(report, subject, "bytes_per_endpoint", (double)run.block_bytes / ENDPOINTS, "B");
    for (size_t i = 0; i < SLICES; i++) fl_block_unref(run.held[i]);
    fl_k8s_decoder_free(decoder);
    fl_buf_deinit(&watch);
    fl_buf_deinit(&object);
}

int main(int argc, char **argv) {
    struct fl_bench_report report;
    if (!fl_bench_open(&report, "decode", argc, argv)) return EXIT_FAILURE;
    bench_format(&report, "EndpointSlice protobuf", FL_K8S_PROTOBUF);
    bench_format(&report, "EndpointSlice JSON", FL_K8S_JSON);
    return fl_bench_close(&report) ? EXIT_SUCCESS : EXIT_FAILURE;
}
