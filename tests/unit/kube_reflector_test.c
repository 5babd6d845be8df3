/* kube_reflector_test.c - the reflector machine, fed with bytes made by the encoders. */
#include "support/alloc.h"

#include <stdio.h>

#include "kube/reflector.h"

#define PROTOBUF       "application/vnd.kubernetes.protobuf"
#define PROTOBUF_WATCH "application/vnd.kubernetes.protobuf;stream=watch"
#define JSON           "application/json"

struct fixture {
    struct fl_kube_server server;
    struct fl_kube_store *store;
    struct fl_reflector *r;
    uint64_t now_ms;
    size_t chunk; /* bytes are fed in pieces of this size; 0: whole */
    enum fl_k8s_format format;
    char path[1024];  /* of the request under way */
    char accept[128];
    unsigned cancels; /* requests to be cancelled so far */
    char changes[1024];
    unsigned synced, notes[FL_REFLECTOR_NOTES];
    unsigned troubles;
    struct fl_error trouble;
    struct fl_reflector_round list, watch; /* the last of each */
    unsigned lists, watches;
};

static int on_change(void *arg, const struct fl_kube_entry *old, const struct fl_kube_entry *now) {
    struct fixture *f = arg;
    size_t used = strlen(f->changes);
    snprintf(f->changes + used, sizeof(f->changes) - used, "%c%.*s@%llu ",
             !old ? '+' : (now ? '~' : '-'), FL_STR_ARG(fl_kube_entry_name(now ? now : old)),
             (unsigned long long)(now ? now : old)->version);
    return FL_OK;
}

static void on_synced(void *arg) { ((struct fixture *)arg)->synced++; }

static void on_trouble(void *arg, const struct fl_error *why) {
    struct fixture *f = arg;
    f->trouble = *why;
    f->troubles++;
}

static void on_note(void *arg, enum fl_reflector_note note) {
    ((struct fixture *)arg)->notes[note]++;
}

static void on_round(void *arg, const struct fl_reflector_round *round) {
    struct fixture *f = arg;
    *(round->watch ? &f->watch : &f->list) = *round;
    (*(round->watch ? &f->watches : &f->lists))++;
}

static const struct fl_reflector_events events = {
    .on_synced = on_synced, .on_trouble = on_trouble, .on_note = on_note, .on_round = on_round};

static int make(struct fixture *f) {
    int rc = fl_kube_store_new(1, on_change, f, &f->store);
    if (rc < 0) return rc;
    const struct fl_reflector_options options = {
        .kind = FL_K8S_ENDPOINTSLICE,
        .ns = FL_STR("shop"),
        .label_selector = FL_STR("kubernetes.io/service-name=echo"),
        .store = f->store,
        .server = &f->server,
        .seed = 3,
    };
    return fl_reflector_new(&options, &events, f, &f->r);
}

/* A server that streams lists. */
static void setup_stream(struct fixture *f) {
    *f = (struct fixture){.now_ms = 1000000, .format = FL_K8S_PROTOBUF};
    fl_kube_server_init(&f->server, 5);
    assert_int_equal(make(f), FL_OK);
}

/* One that is known not to. */
static void setup(struct fixture *f) {
    setup_stream(f);
    fl_server_traits_stream_unended(&f->server.traits, f->now_ms);
}

static void teardown(struct fixture *f) {
    fl_reflector_free(f->r);
    fl_kube_store_free(f->store);
}

/* Lets the reflector act at the present time; true: it sent a request. */
static bool act(struct fixture *f) {
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

static bool path_has(const struct fixture *f, const char *part) {
    return strstr(f->path, part) != NULL;
}

/* The next request, waiting for it at most `limit_ms`; how long it took. */
static uint64_t expect_request(struct fixture *f, uint64_t limit_ms) {
    uint64_t start_ms = f->now_ms;
    while (!act(f)) {
        uint64_t at_ms = fl_reflector_deadline_ms(f->r);
        if (at_ms > start_ms + limit_ms) fail_msg("no request for %d ms", (int)limit_ms);
        f->now_ms = FL_MAX(at_ms, f->now_ms);
    }
    return f->now_ms - start_ms;
}

static void head(struct fixture *f, int status, const char *type) {
    fl_reflector_response(f->r, f->now_ms, status, fl_str_of(type), FL_STR_NONE);
}

static void feed(struct fixture *f, struct fl_str bytes) {
    size_t step = f->chunk ? f->chunk : bytes.n;
    for (size_t at = 0; at < bytes.n; at += step)
        fl_reflector_data(f->r, f->now_ms, fl_str_n(bytes.p + at, FL_MIN(step, bytes.n - at)));
}

static void closed(struct fixture *f, int code) {
    struct fl_error why = {.code = code};
    if (code < 0) fl_fail(&why, code, "%s", "");
    fl_reflector_closed(f->r, f->now_ms, &why);
}

/* --- bodies --- */

struct item {
    const char *name, *version;
};

static void encode_slice(struct fixture *f, struct fl_buf *out, const struct item *item) {
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
static void list_bytes(struct fixture *f, struct fl_buf *out, const struct item *items,
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

/* Answers the list under way. */
static void reply_page(struct fixture *f, const struct item *items, size_t count,
                       const char *version, const char *token) {
    struct fl_buf bytes;
    list_bytes(f, &bytes, items, count, version, token);
    head(f, 200, f->format == FL_K8S_JSON ? JSON : PROTOBUF);
    feed(f, fl_buf_str(&bytes));
    closed(f, FL_OK);
    fl_buf_deinit(&bytes);
}

#define REPLY_LIST(f, version, ...)                                                                \
    reply_page((f), (const struct item[]){__VA_ARGS__},                                            \
               sizeof((const struct item[]){__VA_ARGS__}) / sizeof(struct item), (version), "")

static void watch_head(struct fixture *f) {
    head(f, 200, f->format == FL_K8S_JSON ? JSON : PROTOBUF_WATCH);
}

static void event(struct fixture *f, enum fl_k8s_event what, const char *name,
                  const char *version) {
    struct fl_buf bare, frame;
    const struct item item = {name, version};
    if (what == FL_K8S_BOOKMARK) {
        fl_buf_init(&bare, 65536);
        assert_int_equal(fl_k8s_encode_bookmark(&bare, f->format, FL_K8S_ENDPOINTSLICE,
                                                fl_str_of(version), false),
                         FL_OK);
    } else {
        encode_slice(f, &bare, &item);
    }
    fl_buf_init(&frame, 65536);
    assert_int_equal(
        fl_k8s_encode_event(&frame, f->format, what, FL_K8S_ENDPOINTSLICE, fl_buf_str(&bare)),
        FL_OK);
    feed(f, fl_buf_str(&frame));
    fl_buf_deinit(&bare);
    fl_buf_deinit(&frame);
}

static void error_event(struct fixture *f, const struct fl_k8s_status *status) {
    struct fl_buf bare, frame;
    fl_buf_init(&bare, 65536);
    fl_buf_init(&frame, 65536);
    assert_int_equal(fl_k8s_encode_status(&bare, f->format, status), FL_OK);
    assert_int_equal(
        fl_k8s_encode_event(&frame, f->format, FL_K8S_ERROR, FL_K8S_STATUS, fl_buf_str(&bare)),
        FL_OK);
    feed(f, fl_buf_str(&frame));
    fl_buf_deinit(&bare);
    fl_buf_deinit(&frame);
}

/* Answers the request under way with a Status. */
static void refuse(struct fixture *f, int http_status, const struct fl_k8s_status *status) {
    struct fl_buf bare, body;
    fl_buf_init(&bare, 65536);
    fl_buf_init(&body, 65536);
    assert_int_equal(fl_k8s_encode_status(&bare, f->format, status), FL_OK);
    assert_int_equal(fl_k8s_encode_object(&body, f->format, FL_K8S_STATUS, fl_buf_str(&bare)),
                     FL_OK);
    head(f, http_status, f->format == FL_K8S_JSON ? JSON : PROTOBUF);
    feed(f, fl_buf_str(&body));
    closed(f, FL_OK);
    fl_buf_deinit(&bare);
    fl_buf_deinit(&body);
}

static void expect_changes(struct fixture *f, const char *text) {
    assert_string_equal(f->changes, text);
    f->changes[0] = '\0';
}

/* Listed at version 10 with a@5 and b@10, and watching. */
static void setup_watching(struct fixture *f) {
    setup(f);
    expect_request(f, 0);
    REPLY_LIST(f, "10", {"a", "5"}, {"b", "10"});
    expect_request(f, 0);
    watch_head(f);
    expect_changes(f, "+a@5 +b@10 ");
}

/* --- the good way --- */

static void test_lists_then_watches(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    for (int format = FL_K8S_JSON; format <= FL_K8S_PROTOBUF; format++) {
        setup(&f);
        f.format = (enum fl_k8s_format)format;
        assert_int_equal(expect_request(&f, 0), 0);
        assert_string_equal(f.path, "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
                                    "?labelSelector=kubernetes.io%2Fservice-name%3Decho"
                                    "&limit=500&resourceVersion=0");
        REPLY_LIST(&f, "10", {"a", "5"}, {"b", "10"});
        assert_int_equal(f.synced, 1);
        assert_string_equal(fl_reflector_position(f.r), "10");
        assert_int_equal(expect_request(&f, 0), 0);
        assert_true(path_has(&f, "&watch=1&allowWatchBookmarks=true&resourceVersion=10&timeout"));
        assert_false(path_has(&f, "limit="));
        watch_head(&f);
        assert_true(fl_reflector_watching(f.r));
        event(&f, FL_K8S_ADDED, "c", "11");
        event(&f, FL_K8S_MODIFIED, "a", "12");
        event(&f, FL_K8S_DELETED, "b", "13");
        event(&f, FL_K8S_BOOKMARK, "", "20");
        expect_changes(&f, "+a@5 +b@10 +c@11 ~a@12 -b@10 ");
        assert_string_equal(fl_reflector_position(f.r), "20");
        assert_int_equal(f.troubles, 0);
        teardown(&f);
    }
}

/* W7: all pages, by the continue token, and one sweep at the end. */
static void test_W7_all_pages_are_read(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    expect_request(&f, 0);
    reply_page(&f, (const struct item[]){{"a", "5"}}, 1, "10", "to/ken=");
    assert_false(fl_reflector_synced(f.r));
    assert_int_equal(expect_request(&f, 0), 0);
    assert_true(path_has(&f, "&limit=500&continue=to%2Fken%3D"));
    assert_false(path_has(&f, "resourceVersion"));
    REPLY_LIST(&f, "10", {"b", "6"});
    assert_true(fl_reflector_synced(f.r));
    expect_changes(&f, "+a@5 +b@6 ");
    teardown(&f);
}

/* W17 (the machine's part): the result does not depend on how the bytes are cut. */
static void test_W17_single_bytes_give_the_same(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    for (int format = FL_K8S_JSON; format <= FL_K8S_PROTOBUF; format++) {
        setup(&f);
        f.format = (enum fl_k8s_format)format;
        f.chunk = 1;
        expect_request(&f, 0);
        REPLY_LIST(&f, "10", {"a", "5"}, {"b", "10"});
        expect_request(&f, 0);
        watch_head(&f);
        event(&f, FL_K8S_MODIFIED, "a", "12");
        expect_changes(&f, "+a@5 +b@10 ~a@12 ");
        teardown(&f);
    }
}

/* W18: the slice of a watch event is the block of the store, absent conditions are ready, and a
 * deleted slice is gone. */
static void test_W18_absent_ready_is_ready_and_deleted_is_gone(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    const struct fl_kube_entry *entry = fl_kube_store_peek(f.store, FL_STR("shop"), FL_STR("a"));
    assert_non_null(entry);
    assert_true(fl_str_eq(fl_kube_entry_owner(entry), FL_STR("echo")));
    assert_int_equal(fl_block_count(entry->block), 1);
    assert_true(fl_block_flags_at(entry->block, 0) & FL_ENDPOINT_READY);
    event(&f, FL_K8S_DELETED, "a", "11");
    assert_null(fl_kube_store_peek(f.store, FL_STR("shop"), FL_STR("a")));
    assert_int_equal(fl_kube_store_count(f.store), 1);
    teardown(&f);
}

/* --- watches that end --- */

static void test_W13_short_clean_close_resumes_without_a_list(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    for (int i = 0; i < 5; i++) {
        closed(&f, FL_OK);
        assert_true(expect_request(&f, 60000) >= 800);
        assert_true(path_has(&f, "watch=1") && path_has(&f, "resourceVersion=10"));
        watch_head(&f);
    }
    assert_int_equal(f.troubles, 0);
    assert_int_equal(f.synced, 1);
    teardown(&f);
}

static void test_a_watch_that_lived_resumes_at_once(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    event(&f, FL_K8S_MODIFIED, "a", "12");
    f.now_ms += 5000;
    closed(&f, FL_OK);
    assert_int_equal(expect_request(&f, 0), 0);
    assert_true(path_has(&f, "resourceVersion=12"));
    teardown(&f);
}

/* Bookmarks only, and closed at once, over and over: one a second, not a storm. */
static void test_short_watches_with_events_are_paced(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    for (int i = 0; i < 5; i++) {
        event(&f, FL_K8S_BOOKMARK, "", "15");
        closed(&f, FL_OK);
        assert_int_equal(expect_request(&f, 1000), 1000);
        watch_head(&f);
    }
    teardown(&f);
}

static void test_a_broken_watch_resumes_where_it_was(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    event(&f, FL_K8S_MODIFIED, "a", "12");
    closed(&f, FL_ERESET);
    assert_int_equal(f.trouble.code, FL_ERESET);
    assert_non_null(strstr(f.trouble.detail, "watch endpointslices in namespace shop"));
    uint64_t waited_ms = expect_request(&f, 60000);
    assert_true(waited_ms >= 800 && waited_ms <= 1600);
    assert_true(path_has(&f, "watch=1") && path_has(&f, "resourceVersion=12"));
    watch_head(&f);
    assert_int_equal(f.trouble.code, FL_ERESET);
    event(&f, FL_K8S_BOOKMARK, "", "13");
    assert_int_equal(f.trouble.code, FL_OK);
    teardown(&f);
}

static void test_a_quiet_watch_ends_trouble_after_a_second(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    closed(&f, FL_ERESET);
    expect_request(&f, 60000);
    watch_head(&f);
    assert_int_equal(fl_reflector_deadline_ms(f.r), f.now_ms + 1000);
    f.now_ms += 1000;
    assert_false(act(&f));
    assert_int_equal(f.trouble.code, FL_OK);
    assert_int_equal(f.troubles, 2);
    teardown(&f);
}

static void test_a_watch_cut_in_an_event_resumes(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    feed(&f, FL_STR("\0\0\1"));
    closed(&f, FL_OK);
    assert_int_equal(f.trouble.code, FL_EPROTO);
    expect_request(&f, 60000);
    assert_true(path_has(&f, "watch=1") && path_has(&f, "resourceVersion=10"));
    teardown(&f);
}

static void test_garbage_in_a_watch_cancels_and_resumes(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    feed(&f, FL_STR("\0\0\0\7garbage"));
    assert_int_equal(f.trouble.code, FL_EPROTO);
    expect_request(&f, 60000);
    assert_int_equal(f.cancels, 1);
    assert_true(path_has(&f, "resourceVersion=10"));
    teardown(&f);
}

static void test_W9_a_watch_that_never_ends_is_cut(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    uint64_t deadline_ms = fl_reflector_deadline_ms(f.r) - f.now_ms;
    assert_true(deadline_ms >= 330000 && deadline_ms <= 630000);
    f.now_ms += deadline_ms;
    assert_true(act(&f));
    assert_int_equal(f.cancels, 1);
    assert_true(path_has(&f, "watch=1"));
    assert_int_equal(f.troubles, 0);
    teardown(&f);
}

/* --- 410 --- */

static void expect_consistent_list(struct fixture *f) {
    assert_true(expect_request(f, 60000) >= 800);
    assert_true(path_has(f, "limit=500"));
    assert_false(path_has(f, "watch="));
    assert_false(path_has(f, "resourceVersion"));
}

static void test_W11_410_status_makes_a_list(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    closed(&f, FL_OK);
    expect_request(&f, 60000);
    refuse(&f, 410, &(struct fl_k8s_status){.code = 410, .reason = FL_STR("Expired")});
    expect_consistent_list(&f);
    REPLY_LIST(&f, "30", {"b", "10"}, {"c", "25"});
    expect_changes(&f, "+c@25 -a@5 ");
    assert_int_equal(f.synced, 2);
    expect_request(&f, 0);
    assert_true(path_has(&f, "watch=1") && path_has(&f, "resourceVersion=30"));
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_GONE], 1);
    assert_int_equal(f.troubles, 0);
    teardown(&f);
}

static void test_W11_410_without_a_status_body_makes_a_list(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    closed(&f, FL_OK);
    expect_request(&f, 60000);
    head(&f, 410, "text/plain");
    feed(&f, FL_STR("gone"));
    closed(&f, FL_OK);
    expect_consistent_list(&f);
    teardown(&f);
}

static void test_W11_error_event_makes_a_list(void **state) {
    static const struct fl_k8s_status forms[] = {
        {.code = 410, .reason = FL_STR("Expired")},
        {.code = 410, .reason = FL_STR("Gone")},
        {.code = 200, .reason = FL_STR("Gone")},
        {.code = 410},
    };
    struct fixture f;
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(forms); i++) {
        setup_watching(&f);
        error_event(&f, &forms[i]);
        expect_consistent_list(&f);
        assert_int_equal(f.cancels, 1);
        assert_int_equal(f.notes[FL_REFLECTOR_RELIST_GONE], 1);
        teardown(&f);
    }
}

/* A server that says 410 to every watch is asked at the pace of the backoff. */
static void test_W12_endless_410_backs_off(void **state) {
    struct fixture f;
    uint64_t last_ms = 0;
    FL_UNUSED(state);
    setup_watching(&f);
    for (int i = 0; i < 10; i++) {
        error_event(&f, &(struct fl_k8s_status){.code = 410});
        last_ms = expect_request(&f, 120000);
        REPLY_LIST(&f, "30", {"b", "10"});
        expect_request(&f, 0);
        watch_head(&f);
    }
    assert_true(last_ms >= 30000 && last_ms <= 60000);
    teardown(&f);
}

static void test_W7_410_in_mid_paging_lists_in_one_piece(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    expect_request(&f, 0);
    reply_page(&f, (const struct item[]){{"a", "5"}}, 1, "10", "token");
    expect_request(&f, 0);
    refuse(&f, 410, &(struct fl_k8s_status){.code = 410, .reason = FL_STR("Expired")});
    expect_request(&f, 60000);
    assert_false(path_has(&f, "limit") || path_has(&f, "continue") ||
                 path_has(&f, "resourceVersion"));
    REPLY_LIST(&f, "12", {"b", "11"});
    expect_changes(&f, "+a@5 +b@11 -a@5 ");
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_PAGE], 1);
    teardown(&f);
}

/* --- lists that go back in time --- */

static void relist_not_older(struct fixture *f) {
    error_event(f, &(struct fl_k8s_status){.code = 400, .message = FL_STR("no")});
    expect_request(f, 60000);
    assert_true(path_has(f, "resourceVersion=10&resourceVersionMatch=NotOlderThan"));
}

static void test_W4_an_older_cached_list_is_refused(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    relist_not_older(&f);
    REPLY_LIST(&f, "8", {"a", "5"}, {"deleted", "4"}, {"b", "7"});
    assert_int_equal(f.synced, 1);
    assert_int_equal(expect_request(&f, 0), 0);
    assert_false(path_has(&f, "resourceVersion"));
    REPLY_LIST(&f, "12", {"a", "5"}, {"b", "10"});
    assert_int_equal(f.synced, 2);
    expect_changes(&f, "");
    assert_string_equal(fl_reflector_position(f.r), "12");
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_OLDER], 1);
    assert_int_equal(f.notes[FL_REFLECTOR_RESTORED], 0);
    teardown(&f);
}

static void test_W4_an_older_consistent_list_is_accepted_the_second_time(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    error_event(&f, &(struct fl_k8s_status){.code = 410});
    expect_request(&f, 60000);
    REPLY_LIST(&f, "6", {"a", "3"}, {"old", "6"});
    expect_changes(&f, "");
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_DOUBTED], 1);
    expect_consistent_list(&f);
    REPLY_LIST(&f, "7", {"a", "3"}, {"old", "7"});
    assert_string_equal(fl_reflector_position(f.r), "7");
    assert_int_equal(f.notes[FL_REFLECTOR_RESTORED], 1);
    assert_int_equal(fl_kube_store_count(f.store), 2);
    assert_int_equal(fl_kube_store_peek(f.store, FL_STR("shop"), FL_STR("a"))->version, 3);
    assert_non_null(strstr(f.changes, "-b@10"));
    expect_request(&f, 0);
    assert_true(path_has(&f, "resourceVersion=7"));
    teardown(&f);
}

static void test_a_key_is_not_taken_back_by_the_watch(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    event(&f, FL_K8S_MODIFIED, "b", "9");
    event(&f, FL_K8S_DELETED, "b", "9");
    expect_changes(&f, "");
    assert_string_equal(fl_reflector_position(f.r), "10");
    teardown(&f);
}

/* W5: a version that the server has not reached. */
static void test_W5_too_large_version_lists_consistently(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_watching(&f);
    relist_not_older(&f);
    refuse(&f, 504,
           &(struct fl_k8s_status){
               .code = 504, .reason = FL_STR("Timeout"), .version_too_large = true});
    expect_consistent_list(&f);
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_AHEAD], 1);
    teardown(&f);
}

/* --- refusals --- */

static void test_retry_after_is_honoured_and_the_position_kept(void **state) {
    static const int codes[] = {429, 500, 503};
    struct fixture f;
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(codes); i++) {
        setup_watching(&f);
        closed(&f, FL_OK);
        expect_request(&f, 60000);
        fl_reflector_response(f.r, f.now_ms, codes[i], FL_STR("text/plain"), FL_STR("20"));
        closed(&f, FL_OK);
        assert_int_equal(f.trouble.code, codes[i] == 429 ? FL_ETHROTTLED : FL_ESERVER);
        uint64_t waited_ms = expect_request(&f, 60000);
        assert_true(waited_ms >= 20000 && waited_ms < 21000);
        assert_true(path_has(&f, "watch=1") && path_has(&f, "resourceVersion=10"));
        teardown(&f);
    }
}

static void test_a_page_is_asked_again_after_a_refusal(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    expect_request(&f, 0);
    reply_page(&f, (const struct item[]){{"a", "5"}}, 1, "10", "token");
    expect_request(&f, 0);
    refuse(&f, 503, &(struct fl_k8s_status){.code = 503, .retry_after_s = 3});
    assert_true(expect_request(&f, 60000) >= 3000);
    assert_true(path_has(&f, "continue=token"));
    REPLY_LIST(&f, "10", {"b", "6"});
    assert_int_equal(f.synced, 1);
    assert_int_equal(fl_kube_store_count(f.store), 2);
    teardown(&f);
}

static void test_refusals_name_resource_and_namespace(void **state) {
    static const struct {
        int status, code;
    } list[] = {{401, FL_EUNAUTHORIZED}, {403, FL_EFORBIDDEN}, {404, FL_ENOT_FOUND},
                {418, FL_EHTTP},         {302, FL_EHTTP},      {502, FL_ESERVER}};
    struct fixture f;
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(list); i++) {
        setup(&f);
        expect_request(&f, 0);
        refuse(&f, list[i].status,
               &(struct fl_k8s_status){.code = list[i].status, .message = FL_STR("said so\n")});
        assert_int_equal(f.trouble.code, list[i].code);
        assert_non_null(strstr(f.trouble.detail, "list endpointslices in namespace shop: said so"));
        assert_null(strchr(f.trouble.detail, '\n'));
        if (list[i].status == 403) assert_non_null(strstr(f.trouble.detail, "403: may not list"));
        assert_true(expect_request(&f, 60000) >= 800);
        assert_true(path_has(&f, "limit=500"));
        teardown(&f);
    }
}

static void test_what_is_no_api_server_is_told(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    expect_request(&f, 0);
    head(&f, 200, "text/html; charset=utf-8");
    assert_int_equal(f.trouble.code, FL_EPROTO);
    assert_non_null(strstr(f.trouble.detail, "text/html"));
    expect_request(&f, 60000);
    assert_int_equal(f.cancels, 1);
    teardown(&f);
}

static void test_an_endless_refusal_is_cut(void **state) {
    char line[1024];
    struct fixture f;
    FL_UNUSED(state);
    memset(line, 'x', sizeof(line));
    setup(&f);
    expect_request(&f, 0);
    head(&f, 500, "text/plain");
    for (int i = 0; i < 80; i++) feed(&f, fl_str_n(line, sizeof(line)));
    assert_int_equal(f.trouble.code, FL_ESERVER);
    assert_int_equal(f.troubles, 1);
    expect_request(&f, 60000);
    assert_int_equal(f.cancels, 1);
    teardown(&f);
}

/* --- silence --- */

static void test_W9_silence_before_the_head_is_cut(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    expect_request(&f, 0);
    assert_int_equal(fl_reflector_deadline_ms(f.r), f.now_ms + 30000);
    f.now_ms += 30000;
    assert_false(act(&f));
    assert_int_equal(f.cancels, 1);
    assert_int_equal(f.trouble.code, FL_ETIMEOUT);
    expect_request(&f, 60000);
    teardown(&f);
}

static void test_W9_silence_in_a_list_is_cut(void **state) {
    struct fixture f;
    struct fl_buf bytes;
    FL_UNUSED(state);
    setup(&f);
    expect_request(&f, 0);
    list_bytes(&f, &bytes, (const struct item[]){{"a", "5"}}, 1, "10", "");
    head(&f, 200, PROTOBUF);
    f.now_ms += 29000;
    feed(&f, fl_str_n(fl_buf_str(&bytes).p, 20));
    fl_buf_deinit(&bytes);
    assert_int_equal(fl_reflector_deadline_ms(f.r), f.now_ms + 30000);
    f.now_ms += 30000;
    assert_false(act(&f));
    assert_int_equal(f.cancels, 1);
    assert_int_equal(f.trouble.code, FL_ETIMEOUT);
    teardown(&f);
}

static void test_half_a_list_is_not_a_list(void **state) {
    struct fixture f;
    struct fl_buf bytes;
    FL_UNUSED(state);
    for (int format = FL_K8S_JSON; format <= FL_K8S_PROTOBUF; format++) {
        setup(&f);
        f.format = (enum fl_k8s_format)format;
        list_bytes(&f, &bytes, (const struct item[]){{"a", "5"}}, 1, "10", "");
        for (size_t n = 0; n < bytes.len; n++) {
            expect_request(&f, 120000);
            head(&f, 200, format == FL_K8S_JSON ? JSON : PROTOBUF);
            feed(&f, fl_str_n(fl_buf_str(&bytes).p, n));
            closed(&f, FL_OK);
            assert_false(fl_reflector_synced(f.r));
        }
        fl_buf_deinit(&bytes);
        teardown(&f);
    }
}

static void test_what_comes_late_is_not_heard(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    head(&f, 200, PROTOBUF);
    feed(&f, FL_STR("early"));
    closed(&f, FL_OK);
    expect_request(&f, 0);
    closed(&f, FL_EREFUSED);
    head(&f, 200, PROTOBUF);
    feed(&f, FL_STR("late"));
    closed(&f, FL_OK);
    assert_int_equal(f.troubles, 1);
    teardown(&f);
}

/* --- memory --- */

static void test_each_failed_allocation_is_survived(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fixture f = {.now_ms = 1000, .format = FL_K8S_PROTOBUF};
        fl_kube_server_init(&f.server, 5);
        if (make(&f) == FL_OK) act(&f);
        teardown(&f);
    }
}

/* The list's bytes are made beforehand, so that the failures hit the reflector only. */
static void test_a_list_that_memory_fails_is_asked_again(void **state) {
    struct fl_buf bytes;
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    list_bytes(&f, &bytes, (const struct item[]){{"a", "5"}, {"b", "6"}}, 2, "10", "");
    FL_TEST_EACH_FAILURE(n) {
        while (!act(&f)) f.now_ms = FL_MAX(f.now_ms, fl_reflector_deadline_ms(f.r));
        if (fl_reflector_synced(f.r)) break;
        head(&f, 200, PROTOBUF);
        feed(&f, fl_buf_str(&bytes));
        closed(&f, FL_OK);
    }
    assert_true(fl_reflector_synced(f.r));
    assert_int_equal(fl_kube_store_count(f.store), 2);
    fl_buf_deinit(&bytes);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_then_watches),
        cmocka_unit_test(test_W7_all_pages_are_read),
        cmocka_unit_test(test_W17_single_bytes_give_the_same),
        cmocka_unit_test(test_W18_absent_ready_is_ready_and_deleted_is_gone),
        cmocka_unit_test(test_W13_short_clean_close_resumes_without_a_list),
        cmocka_unit_test(test_a_watch_that_lived_resumes_at_once),
        cmocka_unit_test(test_short_watches_with_events_are_paced),
        cmocka_unit_test(test_a_broken_watch_resumes_where_it_was),
        cmocka_unit_test(test_a_quiet_watch_ends_trouble_after_a_second),
        cmocka_unit_test(test_a_watch_cut_in_an_event_resumes),
        cmocka_unit_test(test_garbage_in_a_watch_cancels_and_resumes),
        cmocka_unit_test(test_W9_a_watch_that_never_ends_is_cut),
        cmocka_unit_test(test_W11_410_status_makes_a_list),
        cmocka_unit_test(test_W11_410_without_a_status_body_makes_a_list),
        cmocka_unit_test(test_W11_error_event_makes_a_list),
        cmocka_unit_test(test_W12_endless_410_backs_off),
        cmocka_unit_test(test_W7_410_in_mid_paging_lists_in_one_piece),
        cmocka_unit_test(test_W4_an_older_cached_list_is_refused),
        cmocka_unit_test(test_W4_an_older_consistent_list_is_accepted_the_second_time),
        cmocka_unit_test(test_a_key_is_not_taken_back_by_the_watch),
        cmocka_unit_test(test_W5_too_large_version_lists_consistently),
        cmocka_unit_test(test_retry_after_is_honoured_and_the_position_kept),
        cmocka_unit_test(test_a_page_is_asked_again_after_a_refusal),
        cmocka_unit_test(test_refusals_name_resource_and_namespace),
        cmocka_unit_test(test_what_is_no_api_server_is_told),
        cmocka_unit_test(test_an_endless_refusal_is_cut),
        cmocka_unit_test(test_W9_silence_before_the_head_is_cut),
        cmocka_unit_test(test_W9_silence_in_a_list_is_cut),
        cmocka_unit_test(test_half_a_list_is_not_a_list),
        cmocka_unit_test(test_what_comes_late_is_not_heard),
        cmocka_unit_test(test_each_failed_allocation_is_survived),
        cmocka_unit_test(test_a_list_that_memory_fails_is_asked_again),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
