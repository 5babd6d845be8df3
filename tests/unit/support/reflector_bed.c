/* reflector_bed.c - see reflector_bed.h. */
#include "support/reflector_bed.h"

#include <stdio.h>

static int on_change(void *arg, const struct fl_kube_entry *old, const struct fl_kube_entry *now) {
    struct fl_rbed *f = arg;
    size_t used = strlen(f->changes);
    snprintf(f->changes + used, sizeof(f->changes) - used, "%c%.*s@%llu ",
             !old ? '+' : (now ? '~' : '-'), FL_STR_ARG(fl_kube_entry_name(now ? now : old)),
             (unsigned long long)(now ? now : old)->version);
    return FL_OK;
}

static void on_synced(void *arg) { ((struct fl_rbed *)arg)->synced++; }

static void on_trouble(void *arg, const struct fl_error *why) {
    struct fl_rbed *f = arg;
    f->trouble = *why;
    f->troubles++;
}

static void on_note(void *arg, enum fl_reflector_note note) {
    ((struct fl_rbed *)arg)->notes[note]++;
}

static void on_round(void *arg, const struct fl_reflector_round *round) {
    struct fl_rbed *f = arg;
    *(round->watch ? &f->watch : &f->list) = *round;
    (*(round->watch ? &f->watches : &f->lists))++;
}

static const struct fl_reflector_events bed_events = {
    .on_synced = on_synced, .on_trouble = on_trouble, .on_note = on_note, .on_round = on_round};

int fl_rbed_make(struct fl_rbed *f) {
    int rc = fl_kube_store_new(1, on_change, f, &f->store);
    if (rc < 0) return rc;
    const struct fl_reflector_options options = {
        .kind = FL_K8S_ENDPOINTSLICE,
        .ns = FL_STR("shop"),
        .label_selector = FL_STR("kubernetes.io/service-name=echo"),
        .store = f->store,
        .server = f->server,
        .seed = 3,
    };
    return fl_reflector_new(&options, &bed_events, f, &f->r);
}

void fl_rbed_init(struct fl_rbed *f) {
    *f = (struct fl_rbed){.now_ms = 1000000, .format = FL_K8S_PROTOBUF};
    f->server = &f->own_server;
    fl_kube_server_init(f->server, 5);
}

void fl_rbed_setup_stream(struct fl_rbed *f) {
    fl_rbed_init(f);
    assert_int_equal(fl_rbed_make(f), FL_OK);
}

void fl_rbed_setup(struct fl_rbed *f) {
    fl_rbed_setup_stream(f);
    fl_server_traits_stream_unended(&f->server->traits, f->now_ms);
}

void fl_rbed_setup_beside(struct fl_rbed *f, struct fl_rbed *other) {
    fl_rbed_init(f);
    f->now_ms = other->now_ms;
    f->server = other->server;
    assert_int_equal(fl_rbed_make(f), FL_OK);
}

void fl_rbed_teardown(struct fl_rbed *f) {
    fl_reflector_free(f->r);
    fl_kube_store_free(f->store);
}

bool fl_rbed_act(struct fl_rbed *f) {
    struct fl_reflector_request request;
    enum fl_reflector_action action;
    bool sent = false;
    while ((action = fl_reflector_next(f->r, f->now_ms, &request)) != FL_REFLECTOR_WAIT) {
        if (action == FL_REFLECTOR_CANCEL) {
            f->cancels++;
            continue;
        }
        assert_false(sent);
        sent = true;
        fl_str_copy(f->path, sizeof(f->path), request.path);
        fl_str_copy(f->accept, sizeof(f->accept), request.accept);
    }
    return sent;
}

bool fl_rbed_path_has(const struct fl_rbed *f, const char *part) {
    return strstr(f->path, part) != NULL;
}

uint64_t fl_rbed_expect_request(struct fl_rbed *f, uint64_t limit_ms) {
    uint64_t start_ms = f->now_ms;
    while (!fl_rbed_act(f)) {
        uint64_t at_ms = fl_reflector_deadline_ms(f->r);
        if (at_ms > start_ms + limit_ms) fail_msg("no request for %d ms", (int)limit_ms);
        f->now_ms = FL_MAX(at_ms, f->now_ms);
    }
    return f->now_ms - start_ms;
}

void fl_rbed_head(struct fl_rbed *f, int status, const char *type) {
    fl_reflector_response(f->r, f->now_ms, status, fl_str_of(type), FL_STR_NONE);
}

void fl_rbed_feed(struct fl_rbed *f, struct fl_str bytes) {
    size_t step = f->chunk ? f->chunk : bytes.n;
    for (size_t at = 0; at < bytes.n; at += step)
        fl_reflector_data(f->r, f->now_ms, fl_str_n(bytes.p + at, FL_MIN(step, bytes.n - at)));
}

void fl_rbed_closed(struct fl_rbed *f, int code) {
    struct fl_error why = {.code = code};
    if (code < 0) fl_fail(&why, code, "%s", "");
    fl_reflector_closed(f->r, f->now_ms, &why);
}

/* --- bodies --- */

static void encode_slice(struct fl_rbed *f, struct fl_buf *out, const struct fl_rbed_item *item) {
    const struct fl_k8s_label label = {FL_STR("kubernetes.io/service-name"), FL_STR("echo")};
    const struct fl_k8s_endpoint_spec endpoint = {
        .address = FL_STR("10.0.0.1"), .ready = -1, .serving = -1, .terminating = -1};
    const struct fl_block_port port = {
        .name = FL_STR("grpc"), .protocol = FL_STR("TCP"), .port = 80};
    const struct fl_k8s_slice_spec spec = {
        .meta = {.name = fl_str_of(item->name),
                 .ns = FL_STR("shop"),
                 .resource_version = fl_str_of(item->version),
                 .labels = &label,
                 .label_count = 1},
        .address_type = FL_STR("IPv4"),
        .endpoints = &endpoint,
        .endpoint_count = 1,
        .ports = &port,
        .port_count = 1,
    };
    fl_buf_init(out, 65536);
    assert_int_equal(fl_k8s_encode_slice(out, f->format, &spec), FL_OK);
}

/* The bytes of a list of up to four items. */
void fl_rbed_list_bytes(struct fl_rbed *f, struct fl_buf *out, const struct fl_rbed_item *items,
                        size_t count, const char *version, const char *token) {
    struct fl_buf bare[4];
    struct fl_str objects[4];
    assert_true(count <= FL_COUNT(bare));
    for (size_t i = 0; i < count; i++) {
        encode_slice(f, &bare[i], &items[i]);
        objects[i] = fl_buf_str(&bare[i]);
    }
    fl_buf_init(out, 65536);
    assert_int_equal(fl_k8s_encode_list(out, f->format, FL_K8S_ENDPOINTSLICE, objects, count,
                                        fl_str_of(version), fl_str_of(token)),
                     FL_OK);
    for (size_t i = 0; i < count; i++) fl_buf_deinit(&bare[i]);
}

void fl_rbed_reply_page(struct fl_rbed *f, const struct fl_rbed_item *items, size_t count,
                        const char *version, const char *token) {
    struct fl_buf bytes;
    fl_rbed_list_bytes(f, &bytes, items, count, version, token);
    fl_rbed_head(f, 200, f->format == FL_K8S_JSON ? FL_RBED_JSON : FL_RBED_PROTOBUF);
    fl_rbed_feed(f, fl_buf_str(&bytes));
    fl_rbed_closed(f, FL_OK);
    fl_buf_deinit(&bytes);
}

void fl_rbed_watch_head(struct fl_rbed *f) {
    fl_rbed_head(f, 200, f->format == FL_K8S_JSON ? FL_RBED_JSON : FL_RBED_PROTOBUF_WATCH);
}

/* Feeds the event around a bare object, which is let go of. */
static void feed_event(struct fl_rbed *f, enum fl_k8s_event what, enum fl_k8s_kind kind,
                       struct fl_buf *bare) {
    struct fl_buf frame;
    fl_buf_init(&frame, 65536);
    assert_int_equal(fl_k8s_encode_event(&frame, f->format, what, kind, fl_buf_str(bare)), FL_OK);
    fl_rbed_feed(f, fl_buf_str(&frame));
    fl_buf_deinit(bare);
    fl_buf_deinit(&frame);
}

static void bookmark(struct fl_rbed *f, const char *version, bool end) {
    struct fl_buf bare;
    fl_buf_init(&bare, 65536);
    assert_int_equal(
        fl_k8s_encode_bookmark(&bare, f->format, FL_K8S_ENDPOINTSLICE, fl_str_of(version), end),
        FL_OK);
    feed_event(f, FL_K8S_BOOKMARK, FL_K8S_ENDPOINTSLICE, &bare);
}

void fl_rbed_event(struct fl_rbed *f, enum fl_k8s_event what, const char *name,
                   const char *version) {
    struct fl_buf bare;
    const struct fl_rbed_item item = {name, version};
    if (what == FL_K8S_BOOKMARK) {
        bookmark(f, version, false);
        return;
    }
    encode_slice(f, &bare, &item);
    feed_event(f, what, FL_K8S_ENDPOINTSLICE, &bare);
}

void fl_rbed_stream_end(struct fl_rbed *f, const char *version) { bookmark(f, version, true); }

void fl_rbed_error_event(struct fl_rbed *f, const struct fl_k8s_status *status) {
    struct fl_buf bare;
    fl_buf_init(&bare, 65536);
    assert_int_equal(fl_k8s_encode_status(&bare, f->format, status), FL_OK);
    feed_event(f, FL_K8S_ERROR, FL_K8S_STATUS, &bare);
}

void fl_rbed_gone_event(struct fl_rbed *f) {
    fl_rbed_error_event(f, &(struct fl_k8s_status){.code = 410});
}

void fl_rbed_refuse(struct fl_rbed *f, int http_status, const struct fl_k8s_status *status) {
    struct fl_buf bare, body;
    fl_buf_init(&bare, 65536);
    fl_buf_init(&body, 65536);
    assert_int_equal(fl_k8s_encode_status(&bare, f->format, status), FL_OK);
    assert_int_equal(fl_k8s_encode_object(&body, f->format, FL_K8S_STATUS, fl_buf_str(&bare)),
                     FL_OK);
    fl_rbed_head(f, http_status, f->format == FL_K8S_JSON ? FL_RBED_JSON : FL_RBED_PROTOBUF);
    fl_rbed_feed(f, fl_buf_str(&body));
    fl_rbed_closed(f, FL_OK);
    fl_buf_deinit(&bare);
    fl_buf_deinit(&body);
}

void fl_rbed_expect_changes(struct fl_rbed *f, const char *text) {
    assert_string_equal(f->changes, text);
    f->changes[0] = '\0';
}

void fl_rbed_setup_asked(struct fl_rbed *f) {
    fl_rbed_setup(f);
    fl_rbed_expect_request(f, 0);
}

void fl_rbed_expect_watch(struct fl_rbed *f, uint64_t limit_ms) {
    fl_rbed_expect_request(f, limit_ms);
    fl_rbed_watch_head(f);
}

void fl_rbed_setup_watching(struct fl_rbed *f) {
    fl_rbed_setup_asked(f);
    FL_RBED_LIST(f, "10", {"a", "5"}, {"b", "10"});
    fl_rbed_expect_watch(f, 0);
    fl_rbed_expect_changes(f, "+a@5 +b@10 ");
}
