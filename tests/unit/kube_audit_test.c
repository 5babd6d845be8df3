/* kube_audit_test.c - the audit: what it compares, and the machine, fed with lists of metadata. */
#include "support/alloc.h"

#include <stdio.h>

#include "kube/audit.h"

#define PROTOBUF "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList"
#define JSON     "application/json"
#define MEAN_MS  ((uint64_t)600000)

struct fixture {
    struct fl_kube_server server;
    struct fl_kube_store *store;
    struct fl_audit *audit;
    struct fl_audit_view view;
    uint64_t now_ms;
    enum fl_k8s_format format;
    char path[512], accept[256], changes[256];
    unsigned cancels, ended;
    struct fl_audit_result result;
};

static int on_change(void *arg, const struct fl_kube_entry *old, const struct fl_kube_entry *now) {
    struct fixture *f = arg;
    size_t used = strlen(f->changes);
    snprintf(f->changes + used, sizeof(f->changes) - used, "%c%.*s@%llu ",
             !old ? '+' : (now ? '~' : '-'), FL_STR_ARG(fl_kube_entry_name(now ? now : old)),
             (unsigned long long)(now ? now : old)->version);
    return FL_OK;
}

static void on_done(void *arg, const struct fl_audit_result *result) {
    struct fixture *f = arg;
    f->result = *result;
    f->ended++;
}

static int make(struct fixture *f) {
    int rc = fl_kube_store_new(1, on_change, f, &f->store);
    if (rc < 0) return rc;
    const struct fl_audit_options options = {
        .kind = FL_K8S_ENDPOINTSLICE,
        .ns = FL_STR("shop"),
        .label_selector = FL_STR("app=echo"),
        .store = f->store,
        .server = &f->server,
        .now_ms = f->now_ms,
        .seed = 3,
    };
    return fl_audit_new(&options, on_done, f, &f->audit);
}

static void apply(struct fixture *f, enum fl_k8s_event event, const char *name,
                  const char *version) {
    struct fl_k8s_object object = {.kind = FL_K8S_ENDPOINTSLICE,
                                   .ns = FL_STR("shop"),
                                   .name = fl_str_of(name),
                                   .resource_version = fl_str_of(version)};
    assert_int_equal(fl_kube_store_apply(f->store, event, &object), FL_OK);
}

/* Held: a@5 and b@10, and the watch is at 10. */
static void setup(struct fixture *f) {
    *f = (struct fixture){.now_ms = 1000, .format = FL_K8S_PROTOBUF};
    fl_kube_server_init(&f->server, 1);
    f->view = (struct fl_audit_view){true, FL_STR("10")};
    assert_int_equal(make(f), FL_OK);
    apply(f, FL_K8S_ADDED, "a", "5");
    apply(f, FL_K8S_ADDED, "b", "10");
    f->changes[0] = '\0';
}

static void teardown(struct fixture *f) {
    fl_audit_free(f->audit);
    fl_kube_store_free(f->store);
}

static bool act(struct fixture *f) {
    struct fl_reflector_request request;
    enum fl_reflector_action action;
    bool sent = false;
    while ((action = fl_audit_next(f->audit, f->now_ms, &f->view, &request)) != FL_REFLECTOR_WAIT) {
        if (action == FL_REFLECTOR_CANCEL) {
            f->cancels++;
            continue;
        }
        sent = true;
        fl_str_copy(f->path, sizeof(f->path), request.path);
        fl_str_copy(f->accept, sizeof(f->accept), request.accept);
    }
    return sent;
}

static void expect_request(struct fixture *f, uint64_t limit_ms) {
    uint64_t until_ms = f->now_ms + limit_ms;
    while (!act(f)) {
        f->now_ms = FL_MAX(f->now_ms, fl_audit_deadline_ms(f->audit));
        if (f->now_ms > until_ms) fail_msg("no request for %d ms", (int)limit_ms);
    }
}

struct item {
    const char *name, *version;
};

static void encode(struct fixture *f, struct fl_buf *out, const struct item *items, size_t count,
                   const char *version, const char *token) {
    struct fl_buf bare[4];
    struct fl_str objects[4];
    for (size_t i = 0; i < count; i++) {
        const struct fl_k8s_meta meta = {.name = fl_str_of(items[i].name),
                                         .ns = FL_STR("shop"),
                                         .resource_version = fl_str_of(items[i].version)};
        fl_buf_init(&bare[i], 4096);
        assert_int_equal(fl_k8s_encode_metadata(&bare[i], f->format, &meta), FL_OK);
        objects[i] = fl_buf_str(&bare[i]);
    }
    fl_buf_init(out, 65536);
    assert_int_equal(fl_k8s_encode_list(out, f->format, FL_K8S_METADATA, objects, count,
                                        fl_str_of(version), fl_str_of(token)),
                     FL_OK);
    for (size_t i = 0; i < count; i++) fl_buf_deinit(&bare[i]);
}

static void closed(struct fixture *f, int code) {
    struct fl_error why = {.code = code};
    fl_audit_closed(f->audit, f->now_ms, &why);
}

static void reply_bytes(struct fixture *f, struct fl_str bytes) {
    const char *type = f->format == FL_K8S_JSON ? JSON : PROTOBUF;
    fl_audit_response(f->audit, f->now_ms, 200, fl_str_of(type));
    fl_audit_data(f->audit, f->now_ms, bytes);
    closed(f, FL_OK);
}

static void reply(struct fixture *f, const struct item *items, size_t count, const char *version,
                  const char *token) {
    struct fl_buf bytes;
    encode(f, &bytes, items, count, version, token);
    reply_bytes(f, fl_buf_str(&bytes));
    fl_buf_deinit(&bytes);
}

#define LIST(f, version, ...)                                                                      \
    reply((f), (const struct item[]){__VA_ARGS__},                                                 \
          sizeof((const struct item[]){__VA_ARGS__}) / sizeof(struct item), (version), "")

static void expect(struct fixture *f, enum fl_audit_outcome outcome, size_t missing, size_t extra,
                   size_t older, size_t newer) {
    assert_int_equal(f->ended, 1);
    assert_int_equal(f->result.outcome, outcome);
    assert_int_equal(f->result.differences[FL_KUBE_MISSING], missing);
    assert_int_equal(f->result.differences[FL_KUBE_EXTRA], extra);
    assert_int_equal(f->result.differences[FL_KUBE_OLDER], older);
    assert_int_equal(f->result.differences[FL_KUBE_NEWER], newer);
}

/* Runs on until the audit has ended. */
static void settle(struct fixture *f) {
    uint64_t until_ms = f->now_ms + 130000;
    while (!f->ended && f->now_ms < until_ms) {
        assert_false(act(f));
        f->now_ms = FL_MAX(f->now_ms + 1, fl_audit_deadline_ms(f->audit));
    }
    assert_int_equal(f->ended, 1);
}

/* Once the watch has come to that version. */
static void settle_at(struct fixture *f, const char *position) {
    f->view.position = fl_str_of(position);
    settle(f);
}

/* An audit has asked for its list. */
static void setup_asked(struct fixture *f) {
    setup(f);
    expect_request(f, MEAN_MS * 2);
}

static void test_an_audit_that_agrees(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    for (int format = FL_K8S_JSON; format <= FL_K8S_PROTOBUF; format++) {
        setup(&f);
        f.format = (enum fl_k8s_format)format;
        uint64_t first_ms = fl_audit_deadline_ms(f.audit) - f.now_ms;
        assert_true(first_ms >= MEAN_MS / 2 && first_ms <= MEAN_MS / 2 * 3);
        expect_request(&f, first_ms);
        assert_string_equal(f.path, "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
                                    "?labelSelector=app%3Decho&limit=500");
        assert_string_equal(f.accept, FL_K8S_ACCEPT_METADATA);
        LIST(&f, "12", {"a", "5"}, {"b", "10"}); /* nothing differs: no need to wait for 12 */
        expect(&f, FL_AUDIT_AGREED, 0, 0, 0, 0);
        uint64_t rest_ms = fl_audit_deadline_ms(f.audit) - f.now_ms;
        assert_true(rest_ms >= MEAN_MS / 2 && rest_ms <= MEAN_MS / 2 * 3);
        assert_string_equal(f.changes, "");
        teardown(&f);
    }
}

/* W3: what the server no longer has is removed, once, with its last known state. */
static void test_W3_extra_objects_are_removed(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_asked(&f);
    LIST(&f, "12", {"b", "10"});
    assert_int_equal(f.ended, 0);
    settle_at(&f, "12");
    expect(&f, FL_AUDIT_REPAIRED, 0, 1, 0, 0);
    assert_string_equal(f.changes, "-a@5 ");
    teardown(&f);
}

static void test_W3_missing_and_older_objects_want_a_list(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_asked(&f);
    LIST(&f, "12", {"a", "8"}, {"c", "9"});
    settle_at(&f, "12");
    expect(&f, FL_AUDIT_DIVERGED, 1, 1, 1, 0);
    assert_string_equal(f.changes, "");
    teardown(&f);
}

static void test_W3_a_version_the_server_does_not_know(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_asked(&f);
    LIST(&f, "10", {"a", "4"}, {"b", "10"});
    settle(&f);
    expect(&f, FL_AUDIT_DIVERGED, 0, 0, 0, 1);
    teardown(&f);
}

/* A consistent list that is older than the watch is of another history. */
static void test_W4_an_older_audit_wants_a_list(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_asked(&f);
    LIST(&f, "9", {"a", "5"}, {"b", "10"});
    expect(&f, FL_AUDIT_DIVERGED, 0, 0, 0, 0);
    teardown(&f);
}

/* So is one that is older than an object which was held before it was asked for. */
static void test_W4_an_audit_older_than_what_it_lacks_wants_a_list(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    apply(&f, FL_K8S_ADDED, "c", "20");
    expect_request(&f, MEAN_MS * 2);
    LIST(&f, "12", {"a", "5"}, {"b", "10"});
    assert_int_equal(f.ended, 0);
    settle_at(&f, "12");
    expect(&f, FL_AUDIT_DIVERGED, 0, 0, 0, 1);
    assert_int_equal(fl_kube_store_count(f.store), 3); /* for the list to judge */
    teardown(&f);
}

/* The list shows a moment that the watch had not reached, or had left behind: no difference. */
static void test_W3_what_changes_meanwhile_is_skipped(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_asked(&f);
    apply(&f, FL_K8S_DELETED, "b", "11"); /* before its page is read */
    apply(&f, FL_K8S_ADDED, "new", "14"); /* newer than the list */
    LIST(&f, "13", {"a", "12"}, {"b", "10"}, {"c", "13"}, {"d", "9"});
    assert_int_equal(f.ended, 0);
    apply(&f, FL_K8S_MODIFIED, "a", "12"); /* the watch catches up */
    apply(&f, FL_K8S_ADDED, "c", "13");
    apply(&f, FL_K8S_ADDED, "d", "9");
    apply(&f, FL_K8S_DELETED, "d", "15"); /* and goes on */
    settle_at(&f, "15");
    expect(&f, FL_AUDIT_AGREED, 0, 0, 0, 0);
    assert_int_equal(fl_kube_store_count(f.store), 3);
    teardown(&f);
}

/* A watch that does not come to where the list was, though there is something to tell. */
static void test_W3_a_watch_that_lags_for_long_is_not_trusted(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_asked(&f);
    LIST(&f, "12", {"a", "5"}, {"b", "10"}, {"c", "12"});
    uint64_t read_ms = f.now_ms;
    settle(&f);
    assert_true(f.now_ms - read_ms >= 120000);
    expect(&f, FL_AUDIT_DIVERGED, 1, 0, 0, 0);
    teardown(&f);
}

static void test_an_audit_reads_all_pages(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_asked(&f);
    reply(&f, (const struct item[]){{"a", "5"}}, 1, "10", "to/ken");
    expect_request(&f, 0);
    assert_non_null(strstr(f.path, "&limit=500&continue=to%2Fken"));
    LIST(&f, "10", {"b", "10"});
    expect(&f, FL_AUDIT_AGREED, 0, 0, 0, 0);
    teardown(&f);
}

static void test_empty_pages_are_bounded(void **state) {
    struct fixture f;
    unsigned pages = 0;
    FL_UNUSED(state);
    setup_asked(&f);
    for (;;) {
        reply(&f, NULL, 0, "10", "token");
        if (++pages == 10) break;
        assert_int_equal(f.ended, 0);
        expect_request(&f, 0);
    }
    expect(&f, FL_AUDIT_FAILED, 0, 0, 0, 0);
    teardown(&f);
}

static void test_no_audit_without_a_watch(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f);
    f.view.watching = false;
    f.now_ms = fl_audit_deadline_ms(f.audit);
    assert_false(act(&f));
    f.view.watching = true;
    f.now_ms = fl_audit_deadline_ms(f.audit);
    const struct fl_error why = {.code = FL_EREFUSED};
    uint64_t due_ms = fl_outage_failed(&f.server.outage, NULL, 0, f.now_ms, 0, &why);
    assert_false(act(&f));
    assert_int_equal(f.ended, 0);
    expect_request(&f, 60000);
    assert_true(f.now_ms >= due_ms);
    teardown(&f);
}

/* An audit may be the first to know of an outage, and of its end. */
static void test_W12_an_audit_is_part_of_the_outage(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_asked(&f);
    closed(&f, FL_EREFUSED);
    assert_true(f.server.outage.on);
    expect_request(&f, MEAN_MS * 2);
    LIST(&f, "10", {"a", "5"}, {"b", "10"});
    assert_false(f.server.outage.on);
    assert_int_equal(f.ended, 2);
    teardown(&f);
}

/* "Not now" is no end of one: it would wake everybody up. */
static void test_W12_an_audit_told_to_come_later_ends_no_outage(void **state) {
    static const int statuses[] = {429, 502, 503, 504};
    const struct fl_error why = {.code = FL_EREFUSED};
    struct fixture f;
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(statuses); i++) {
        setup(&f);
        expect_request(&f, MEAN_MS * 2);
        fl_audit_response(f.audit, f.now_ms, statuses[i], FL_STR("application/json"));
        assert_true(f.server.outage.on); /* it was the first to know */
        expect_request(&f, MEAN_MS * 2); /* as the scout */
        uint32_t round = f.server.outage.round;
        fl_audit_response(f.audit, f.now_ms, statuses[i], FL_STR("application/json"));
        assert_true(f.server.outage.on);
        assert_int_equal(f.server.outage.round, round + 1);
        expect_request(&f, MEAN_MS * 2);
        (void)fl_outage_failed(&f.server.outage, NULL, round + 1, f.now_ms, 0, &why);
        fl_audit_response(f.audit, f.now_ms, statuses[i], FL_STR("application/json"));
        assert_true(f.server.outage.on);
        assert_int_equal(f.server.outage.round, round + 2); /* that was counted already */
        teardown(&f);
    }
}

static void test_a_list_in_between_supersedes(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_asked(&f);
    fl_kube_store_list_begin(f.store, 10);
    LIST(&f, "12", {"b", "10"});
    expect(&f, FL_AUDIT_SUPERSEDED, 0, 0, 0, 0);
    teardown(&f);
}

static void test_json_where_metadata_comes_in_json_only(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_asked(&f);
    fl_audit_response(f.audit, f.now_ms, 406, FL_STR("application/json"));
    expect_request(&f, 0);
    assert_int_equal(f.cancels, 1);
    assert_string_equal(f.accept, FL_K8S_ACCEPT_METADATA_JSON);
    f.format = FL_K8S_JSON;
    LIST(&f, "10", {"a", "5"}, {"b", "10"});
    expect(&f, FL_AUDIT_AGREED, 0, 0, 0, 0);
    assert_true(fl_server_traits_may_protobuf(&f.server.traits, f.now_ms));
    teardown(&f);
}

static void test_failures_are_counted_and_nothing_else(void **state) {
    static const int statuses[] = {401, 403, 404, 410, 429, 500, 503};
    struct fixture f;
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(statuses); i++) {
        setup(&f);
        expect_request(&f, MEAN_MS * 2);
        fl_audit_response(f.audit, f.now_ms, statuses[i], FL_STR("application/json"));
        expect(&f, FL_AUDIT_FAILED, 0, 0, 0, 0);
        assert_false(act(&f));
        assert_int_equal(f.cancels, 1);
        assert_true(fl_audit_deadline_ms(f.audit) >= f.now_ms + MEAN_MS / 2);
        teardown(&f);
    }
}

static void test_broken_answers_fail_it(void **state) {
    struct fixture f;
    struct fl_buf bytes;
    FL_UNUSED(state);
    setup(&f);
    encode(&f, &bytes, (const struct item[]){{"b", "10"}}, 1, "12", "");
    for (size_t n = 0; n < bytes.len; n++) { /* cut anywhere: nothing is removed */
        f.ended = 0;
        expect_request(&f, MEAN_MS * 2);
        reply_bytes(&f, fl_str_n(fl_buf_str(&bytes).p, n));
        expect(&f, FL_AUDIT_FAILED, 0, 0, 0, 0);
        act(&f);
    }
    f.ended = 0;
    expect_request(&f, MEAN_MS * 2);
    closed(&f, FL_ERESET);
    expect(&f, FL_AUDIT_FAILED, 0, 0, 0, 0);
    f.ended = 0;
    expect_request(&f, MEAN_MS * 2);
    fl_audit_response(f.audit, f.now_ms, 200, FL_STR("text/html"));
    expect(&f, FL_AUDIT_FAILED, 0, 0, 0, 0);
    assert_int_equal(fl_kube_store_count(f.store), 2);
    fl_buf_deinit(&bytes);
    teardown(&f);
}

/* W9: silence before and within the answer. */
static void test_W9_silence_ends_an_audit(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup_asked(&f);
    f.now_ms += 30000;
    assert_false(act(&f));
    expect(&f, FL_AUDIT_FAILED, 0, 0, 0, 0);
    assert_int_equal(f.cancels, 1);
    f.ended = 0;
    expect_request(&f, MEAN_MS * 2);
    fl_audit_response(f.audit, f.now_ms, 200, FL_STR(PROTOBUF));
    f.now_ms += 30000;
    assert_false(act(&f));
    expect(&f, FL_AUDIT_FAILED, 0, 0, 0, 0);
    teardown(&f);
}

static void test_each_failed_allocation_is_survived(void **state) {
    struct fixture f;
    struct fl_buf bytes;
    FL_UNUSED(state);
    setup(&f);
    encode(&f, &bytes, (const struct item[]){{"a", "6"}, {"c", "7"}}, 2, "10", "");
    FL_TEST_EACH_FAILURE(n) {
        struct fixture g = {.now_ms = 1000};
        fl_kube_server_init(&g.server, 1);
        if (make(&g) == FL_OK) fl_audit_free(g.audit);
        fl_kube_store_free(g.store);
    }
    FL_TEST_EACH_FAILURE(n) {
        f.ended = 0;
        while (!act(&f) && !f.ended) f.now_ms = FL_MAX(f.now_ms, fl_audit_deadline_ms(f.audit));
        if (!f.ended) reply_bytes(&f, fl_buf_str(&bytes));
        act(&f);
        while (!f.ended) {
            f.now_ms = fl_audit_deadline_ms(f.audit);
            act(&f);
        }
        assert_true(f.result.outcome == FL_AUDIT_FAILED || f.result.outcome == FL_AUDIT_DIVERGED);
    }
    assert_int_equal(f.result.outcome, FL_AUDIT_DIVERGED);
    assert_int_equal(fl_kube_store_count(f.store), 2);
    fl_buf_deinit(&bytes);
    teardown(&f);
}

/* W9: bytes that come now and then are not an answer that comes. */
static void test_W9_an_audit_that_trickles_is_given_up(void **state) {
    struct fixture f;
    struct fl_buf bytes;
    FL_UNUSED(state);
    setup(&f);
    expect_request(&f, 2 * MEAN_MS);
    encode(&f, &bytes, (const struct item[]){{"a", "5"}, {"b", "10"}}, 2, "10", "");
    fl_audit_response(f.audit, f.now_ms, 200, FL_STR(PROTOBUF));
    uint64_t start_ms = f.now_ms;
    for (size_t i = 0; i < bytes.len && !f.cancels; i++) {
        fl_audit_data(f.audit, f.now_ms, fl_str_n(fl_buf_str(&bytes).p + i, 1));
        f.now_ms += 2000;
        assert_false(act(&f));
    }
    assert_int_equal(f.cancels, 1);
    assert_in_range(f.now_ms - start_ms, 30000, 32000);
    assert_int_equal(f.result.outcome, FL_AUDIT_FAILED);
    assert_int_equal(f.result.why.code, FL_ETIMEOUT);
    fl_buf_deinit(&bytes);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_audit_that_agrees),
        cmocka_unit_test(test_W3_extra_objects_are_removed),
        cmocka_unit_test(test_W3_missing_and_older_objects_want_a_list),
        cmocka_unit_test(test_W3_a_version_the_server_does_not_know),
        cmocka_unit_test(test_W4_an_older_audit_wants_a_list),
        cmocka_unit_test(test_W4_an_audit_older_than_what_it_lacks_wants_a_list),
        cmocka_unit_test(test_W3_what_changes_meanwhile_is_skipped),
        cmocka_unit_test(test_W3_a_watch_that_lags_for_long_is_not_trusted),
        cmocka_unit_test(test_an_audit_reads_all_pages),
        cmocka_unit_test(test_empty_pages_are_bounded),
        cmocka_unit_test(test_no_audit_without_a_watch),
        cmocka_unit_test(test_W12_an_audit_is_part_of_the_outage),
        cmocka_unit_test(test_W12_an_audit_told_to_come_later_ends_no_outage),
        cmocka_unit_test(test_a_list_in_between_supersedes),
        cmocka_unit_test(test_json_where_metadata_comes_in_json_only),
        cmocka_unit_test(test_failures_are_counted_and_nothing_else),
        cmocka_unit_test(test_broken_answers_fail_it),
        cmocka_unit_test(test_W9_silence_ends_an_audit),
        cmocka_unit_test(test_each_failed_allocation_is_survived),
        cmocka_unit_test(test_W9_an_audit_that_trickles_is_given_up),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
