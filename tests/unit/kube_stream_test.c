/* kube_stream_test.c - the reflector machine: streaming lists, what is remembered of a server, and
 * JSON in place of protobuf. */
#include "support/reflector_bed.h"

#include <stdio.h>

#define HOUR_MS ((uint64_t)3600000)

/* The next request begins a stream. */
static void expect_stream(struct fl_rbed *f, uint64_t limit_ms) {
    fl_rbed_expect_request(f, limit_ms);
    assert_true(fl_rbed_path_has(f, "watch=1&allowWatchBookmarks=true"));
    assert_true(fl_rbed_path_has(f, "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"));
}

/* A list in pages is asked for at once. */
static void expect_pages(struct fl_rbed *f) {
    assert_int_equal(fl_rbed_expect_request(f, 0), 0);
    assert_true(fl_rbed_path_has(f, "limit=500"));
    assert_false(fl_rbed_path_has(f, "watch="));
}

/* The same, and its head has come. */
static void expect_open_stream(struct fl_rbed *f, uint64_t limit_ms) {
    expect_stream(f, limit_ms);
    fl_rbed_watch_head(f);
}

static void begin_stream(struct fl_rbed *f) {
    fl_rbed_setup_stream(f);
    expect_open_stream(f, 0);
}

/* Streamed at version 10 with a@5 and b@10, and watching. */
static void setup_streamed(struct fl_rbed *f) {
    begin_stream(f);
    fl_rbed_event(f, FL_K8S_ADDED, "a", "5");
    fl_rbed_event(f, FL_K8S_ADDED, "b", "10");
    fl_rbed_stream_end(f, "10");
    fl_rbed_expect_changes(f, "+a@5 +b@10 ");
}

/* Then told that history is gone, and streaming for the second time. */
static void setup_streamed_again(struct fl_rbed *f) {
    setup_streamed(f);
    fl_rbed_gone_event(f);
    expect_open_stream(f, 60000);
}

static void test_a_streamed_list_becomes_the_watch(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    begin_stream(&f);
    assert_false(fl_rbed_path_has(&f, "resourceVersion="));
    assert_string_equal(f.accept, FL_K8S_ACCEPT_WATCH);
    fl_rbed_event(&f, FL_K8S_ADDED, "a", "5");
    fl_rbed_expect_changes(&f, "+a@5 ");
    fl_rbed_event(&f, FL_K8S_BOOKMARK, "", "7");
    assert_false(fl_reflector_synced(f.r) || fl_reflector_watching(f.r));
    assert_string_equal(fl_reflector_position(f.r), "");
    f.now_ms += 100;
    fl_rbed_stream_end(&f, "10");
    assert_true(fl_reflector_synced(f.r) && fl_reflector_watching(f.r));
    assert_int_equal(f.synced, 1);
    assert_string_equal(fl_reflector_position(f.r), "10");
    assert_int_equal(f.list.ms, 100);
    assert_int_equal(f.list.items, 3);
    fl_rbed_event(&f, FL_K8S_MODIFIED, "a", "12");
    fl_rbed_expect_changes(&f, "~a@12 ");
    assert_int_equal(f.cancels, 0);
    f.now_ms += 5000;
    fl_rbed_closed(&f, FL_OK);
    assert_int_equal(f.watch.items, 1);
    fl_rbed_expect_request(&f, 0);
    assert_true(fl_rbed_path_has(&f, "resourceVersion=12&"));
    assert_false(fl_rbed_path_has(&f, "sendInitialEvents"));
    fl_rbed_teardown(&f);
}

/* Deletes of what a stream does not show wait for its end; what it deletes itself does not come
 * back, held or in doubt. */
static void test_W1_a_stream_deletes_at_its_end(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    setup_streamed_again(&f);
    fl_rbed_event(&f, FL_K8S_ADDED, "b", "10");
    fl_rbed_event(&f, FL_K8S_ADDED, "lost", "8");
    fl_rbed_event(&f, FL_K8S_ADDED, "c", "15");
    fl_rbed_expect_changes(&f, "+c@15 ");
    fl_rbed_event(&f, FL_K8S_DELETED, "lost", "16");
    fl_rbed_event(&f, FL_K8S_DELETED, "c", "17");
    fl_rbed_expect_changes(&f, "-c@15 ");
    fl_rbed_stream_end(&f, "18");
    fl_rbed_expect_changes(&f, "-a@5 ");
    assert_int_equal(f.synced, 2);
    fl_rbed_teardown(&f);
}

/* W10: the forms in which servers refuse. Debian's etcd 3.4 says it in an event of its own. */
static void test_W10_a_refused_stream_is_a_list_in_pages(void **state) {
    static const struct fl_k8s_status forms[] = {
        {.code = 422, .reason = FL_STR("Invalid")},
        {.code = 400, .reason = FL_STR("BadRequest")},
        {.code = 405},
        {.code = 500,
         .message = FL_STR("required storage feature RequestWatchProgress is disabled")},
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(forms); i++) {
        struct fl_rbed f, beside;
        fl_rbed_setup_stream(&f);
        expect_stream(&f, 0);
        if (forms[i].code == 500) {
            fl_rbed_watch_head(&f);
            fl_rbed_error_event(&f, &forms[i]);
        } else {
            fl_rbed_refuse(&f, forms[i].code, &forms[i]);
        }
        expect_pages(&f);
        FL_RBED_LIST(&f, "10", {"a", "5"});
        assert_int_equal(f.troubles, 0);
        assert_int_equal(f.notes[FL_REFLECTOR_STREAM_REFUSED], 1);
        fl_rbed_setup_beside(&beside, &f);
        expect_pages(&beside);
        fl_rbed_teardown(&beside);
        f.now_ms += HOUR_MS;
        fl_rbed_setup_beside(&beside, &f); /* an upgraded server is found out */
        expect_stream(&beside, 0);
        fl_rbed_teardown(&beside);
        fl_rbed_teardown(&f);
    }
}

/* What a refusal taught is forgotten with the connection: the next server may be another one. */
static void test_W10_another_server_is_asked_anew(void **state) {
    struct fl_rbed f, beside;
    FL_UNUSED(state);
    fl_rbed_setup_stream(&f);
    expect_stream(&f, 0);
    fl_rbed_refuse(&f, 422, &(struct fl_k8s_status){.code = 422});
    expect_pages(&f);
    FL_RBED_LIST(&f, "10", {"a", "5"});
    fl_rbed_expect_watch(&f, 0);
    fl_rbed_closed(&f, FL_ERESET);
    fl_rbed_setup_beside(&beside, &f);
    expect_stream(&beside, 60000);
    fl_rbed_teardown(&beside);
    fl_rbed_teardown(&f);
}

static void test_W10_a_stream_without_end_is_given_up(void **state) {
    struct fl_rbed f, beside;
    FL_UNUSED(state);
    begin_stream(&f);
    fl_rbed_event(&f, FL_K8S_ADDED, "a", "5");
    for (int i = 0; i < 20; i++) { /* what changes only does not count as progress */
        f.now_ms += 1000;
        assert_int_equal(f.notes[FL_REFLECTOR_STREAM_UNENDED], i > 14 ? 1 : 0);
        if (fl_rbed_act(&f)) break;
        fl_rbed_event(&f, FL_K8S_MODIFIED, "a", "6");
    }
    assert_int_equal(f.cancels, 1);
    assert_true(fl_rbed_path_has(&f, "limit=500"));
    FL_RBED_LIST(&f, "10", {"a", "6"});
    assert_int_equal(f.synced, 1);
    assert_int_equal(f.troubles, 0);
    fl_rbed_expect_watch(&f, 0);
    fl_rbed_closed(&f, FL_ERESET); /* what took a deadline to learn stays */
    fl_rbed_setup_beside(&beside, &f);
    fl_rbed_expect_request(&beside, 60000);
    assert_true(fl_rbed_path_has(&beside, "limit=500"));
    fl_rbed_teardown(&beside);
    fl_rbed_teardown(&f);
}

static void test_W10_a_stream_that_gets_on_is_waited_for(void **state) {
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    struct fl_rbed f;
    FL_UNUSED(state);
    begin_stream(&f);
    for (size_t i = 0; i < FL_COUNT(names); i++) {
        f.now_ms += 14000;
        assert_false(fl_rbed_act(&f));
        fl_rbed_event(&f, FL_K8S_ADDED, names[i], "5");
    }
    fl_rbed_stream_end(&f, "10");
    assert_int_equal(f.synced, 1);
    fl_rbed_teardown(&f);
}

/* Who may list and not watch still sees something; and is not taken for the server's limit. */
static void test_who_may_not_watch_may_list(void **state) {
    struct fl_rbed f, beside;
    FL_UNUSED(state);
    fl_rbed_setup_stream(&f);
    expect_stream(&f, 0);
    fl_rbed_refuse(&f, 403, &(struct fl_k8s_status){.code = 403});
    expect_pages(&f);
    FL_RBED_LIST(&f, "10", {"a", "5"});
    assert_int_equal(f.troubles, 0);
    fl_rbed_expect_request(&f, 0);
    fl_rbed_refuse(&f, 403, &(struct fl_k8s_status){.code = 403});
    assert_int_equal(f.trouble.code, FL_EFORBIDDEN);
    assert_non_null(strstr(f.trouble.detail, "may not watch"));
    fl_rbed_setup_beside(&beside, &f);
    expect_stream(&beside, 0);
    fl_rbed_teardown(&beside);
    fl_rbed_teardown(&f);
}

/* A right may be granted later: what was forbidden is asked for again, an hour after. */
static void test_W10_a_forbidden_stream_is_asked_for_again(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_stream(&f);
    expect_stream(&f, 0);
    fl_rbed_refuse(&f, 403, &(struct fl_k8s_status){.code = 403});
    expect_pages(&f);
    FL_RBED_LIST(&f, "10", {"a", "5"});
    for (int hour = 0; hour < 2; hour++) {
        fl_rbed_expect_request(&f, 60000);
        fl_rbed_refuse(&f, 410, &(struct fl_k8s_status){.code = 410});
        fl_rbed_expect_request(&f, 60000);
        assert_int_equal(fl_rbed_path_has(&f, "sendInitialEvents"), hour);
        if (!hour) FL_RBED_LIST(&f, "10", {"a", "5"});
        f.now_ms += HOUR_MS;
    }
    fl_rbed_teardown(&f);
}

static void test_W9_a_stream_that_breaks_twice_is_read_in_pages(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    begin_stream(&f);
    fl_rbed_closed(&f, FL_ERESET);
    expect_open_stream(&f, 60000);
    fl_rbed_event(&f, FL_K8S_ADDED, "a", "5");
    fl_rbed_closed(&f, FL_OK);
    assert_int_equal(f.trouble.code, FL_EPROTO);
    fl_rbed_expect_request(&f, 60000);
    assert_true(fl_rbed_path_has(&f, "limit=500"));
    FL_RBED_LIST(&f, "10", {"a", "5"});
    assert_int_equal(f.trouble.code, FL_OK);
    fl_rbed_teardown(&f);
}

static void test_W4_a_stream_of_a_restored_etcd_is_accepted_the_second_time(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    setup_streamed_again(&f);
    fl_rbed_event(&f, FL_K8S_ADDED, "a", "3");
    fl_rbed_stream_end(&f, "6");
    fl_rbed_expect_changes(&f, "");
    assert_string_equal(fl_reflector_position(f.r), "10");
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_DOUBTED], 1);
    unsigned cancels = f.cancels;
    expect_stream(&f, 60000);
    assert_int_equal(f.cancels, cancels + 1);
    fl_rbed_watch_head(&f);
    fl_rbed_event(&f, FL_K8S_ADDED, "a", "3");
    fl_rbed_stream_end(&f, "7");
    fl_rbed_expect_changes(&f, "~a@3 -b@10 ");
    assert_int_equal(f.notes[FL_REFLECTOR_RESTORED], 1);
    assert_true(fl_reflector_watching(f.r));
    assert_string_equal(fl_reflector_position(f.r), "7");
    fl_rbed_teardown(&f);
}

/* W4, W5: after a refused watch the stream may not be older than what is held; a server that has
 * not come so far says so, and is asked for all it has, later. */
static void test_W5_a_stream_ahead_of_the_server(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    setup_streamed(&f);
    fl_rbed_error_event(&f, &(struct fl_k8s_status){.code = 400});
    expect_stream(&f, 60000);
    assert_true(fl_rbed_path_has(&f, "resourceVersion=10"));
    fl_rbed_refuse(&f, 504, &(struct fl_k8s_status){.code = 504, .version_too_large = true});
    fl_rbed_expect_request(&f, 60000);
    assert_false(fl_rbed_path_has(&f, "resourceVersion="));
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_AHEAD], 1);
    fl_rbed_teardown(&f);
}

/* --- JSON --- */

static void test_a_server_without_protobuf_is_asked_in_json(void **state) {
    static const int codes[] = {406, 415};
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(codes); i++) {
        struct fl_rbed f, beside;
        fl_rbed_setup(&f);
        f.format = FL_K8S_JSON;
        fl_rbed_expect_request(&f, 0);
        assert_string_equal(f.accept, FL_K8S_ACCEPT);
        fl_rbed_refuse(&f, codes[i], &(struct fl_k8s_status){.code = codes[i]});
        expect_pages(&f);
        assert_string_equal(f.accept, FL_K8S_ACCEPT_JSON);
        FL_RBED_LIST(&f, "10", {"a", "5"});
        fl_rbed_expect_request(&f, 0);
        assert_string_equal(f.accept, FL_K8S_ACCEPT_JSON);
        assert_int_equal(f.notes[FL_REFLECTOR_JSON], 1);
        assert_int_equal(f.troubles, 0);
        fl_rbed_setup_beside(&beside, &f);
        fl_rbed_expect_request(&beside, 0);
        assert_string_equal(beside.accept, FL_K8S_ACCEPT_JSON);
        fl_rbed_teardown(&beside);
        fl_rbed_teardown(&f);
    }
}

static void test_a_server_without_json_too_is_trouble(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup(&f);
    fl_rbed_expect_request(&f, 0);
    fl_rbed_refuse(&f, 406, &(struct fl_k8s_status){.code = 406});
    fl_rbed_expect_request(&f, 0);
    fl_rbed_refuse(&f, 406, &(struct fl_k8s_status){.code = 406});
    assert_int_equal(f.trouble.code, FL_EHTTP);
    assert_true(fl_rbed_expect_request(&f, 60000) >= 800);
    fl_rbed_teardown(&f);
}

/* --- several, and memory --- */

/* W16: two watches whose bytes come in turn. */
static void test_W16_watches_never_mix(void **state) {
    struct fl_rbed f, g;
    FL_UNUSED(state);
    setup_streamed(&f);
    fl_rbed_setup_beside(&g, &f);
    g.format = FL_K8S_JSON;
    expect_stream(&g, 0);
    fl_rbed_watch_head(&g);
    fl_rbed_event(&g, FL_K8S_ADDED, "x", "3");
    f.chunk = g.chunk = 1;
    struct fl_str half = FL_STR("{\"type\":\"MODIFIED\",\"object\":{\"metadata\":");
    fl_rbed_feed(&g, half);
    fl_rbed_event(&f, FL_K8S_MODIFIED, "a", "12");
    fl_rbed_feed(&g, FL_STR("{\"name\":\"x\",\"namespace\":\"shop\",\"resourceVersion\":\"4\"}}}"));
    fl_rbed_expect_changes(&f, "~a@12 ");
    fl_rbed_expect_changes(&g, "+x@3 ~x@4 ");
    fl_rbed_teardown(&f);
    fl_rbed_teardown(&g);
}

/* The bytes are made beforehand, so that the failures hit the reflector only. */
static void test_a_stream_that_memory_fails_is_asked_again(void **state) {
    struct fl_rbed f;
    char bytes[4096];
    FL_UNUSED(state);
    fl_rbed_setup_stream(&f);
    f.format = FL_K8S_JSON;
    snprintf(bytes, sizeof(bytes), "%s%s%s",
             "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\",\"namespace\":\"shop\","
             "\"resourceVersion\":\"5\"}}}\n",
             "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"b\",\"namespace\":\"shop\","
             "\"resourceVersion\":\"6\"}}}\n",
             "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"10\","
             "\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n");
    FL_TEST_EACH_FAILURE(n) {
        while (!fl_rbed_act(&f)) f.now_ms = FL_MAX(f.now_ms, fl_reflector_deadline_ms(f.r));
        f.server->traits = (struct fl_server_traits){0};
        fl_rbed_watch_head(&f);
        fl_rbed_feed(&f, fl_str_of(bytes));
        if (fl_reflector_synced(f.r)) break;
    }
    assert_true(fl_reflector_synced(f.r));
    assert_int_equal(fl_kube_store_count(f.store), 2);
    fl_rbed_teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_streamed_list_becomes_the_watch),
        cmocka_unit_test(test_W1_a_stream_deletes_at_its_end),
        cmocka_unit_test(test_W10_a_refused_stream_is_a_list_in_pages),
        cmocka_unit_test(test_W10_another_server_is_asked_anew),
        cmocka_unit_test(test_W10_a_stream_without_end_is_given_up),
        cmocka_unit_test(test_W10_a_stream_that_gets_on_is_waited_for),
        cmocka_unit_test(test_who_may_not_watch_may_list),
        cmocka_unit_test(test_W10_a_forbidden_stream_is_asked_for_again),
        cmocka_unit_test(test_W9_a_stream_that_breaks_twice_is_read_in_pages),
        cmocka_unit_test(test_W4_a_stream_of_a_restored_etcd_is_accepted_the_second_time),
        cmocka_unit_test(test_W5_a_stream_ahead_of_the_server),
        cmocka_unit_test(test_a_server_without_protobuf_is_asked_in_json),
        cmocka_unit_test(test_a_server_without_json_too_is_trouble),
        cmocka_unit_test(test_W16_watches_never_mix),
        cmocka_unit_test(test_a_stream_that_memory_fails_is_asked_again),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
