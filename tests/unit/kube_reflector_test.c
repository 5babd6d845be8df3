/* kube_reflector_test.c - the reflector machine: lists in pages, watches, refusals, silence. */
#include "support/reflector_bed.h"

/* --- the good way --- */

static void test_lists_then_watches(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    for (int format = FL_K8S_JSON; format <= FL_K8S_PROTOBUF; format++) {
        fl_rbed_setup(&f);
        f.format = (enum fl_k8s_format)format;
        assert_int_equal(fl_rbed_expect_request(&f, 0), 0);
        assert_string_equal(f.path, "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
                                    "?labelSelector=kubernetes.io%2Fservice-name%3Decho"
                                    "&limit=500&resourceVersion=0");
        FL_RBED_LIST(&f, "10", {"a", "5"}, {"b", "10"});
        assert_int_equal(f.synced, 1);
        assert_string_equal(fl_reflector_position(f.r), "10");
        assert_int_equal(fl_rbed_expect_request(&f, 0), 0);
        assert_true(
            fl_rbed_path_has(&f, "&watch=1&allowWatchBookmarks=true&resourceVersion=10&timeout"));
        assert_false(fl_rbed_path_has(&f, "limit="));
        fl_rbed_watch_head(&f);
        assert_true(fl_reflector_watching(f.r));
        fl_rbed_event(&f, FL_K8S_ADDED, "c", "11");
        fl_rbed_event(&f, FL_K8S_MODIFIED, "a", "12");
        fl_rbed_event(&f, FL_K8S_DELETED, "b", "13");
        fl_rbed_event(&f, FL_K8S_BOOKMARK, "", "20");
        fl_rbed_expect_changes(&f, "+a@5 +b@10 +c@11 ~a@12 -b@10 ");
        assert_string_equal(fl_reflector_position(f.r), "20");
        assert_int_equal(f.troubles, 0);
        fl_rbed_teardown(&f);
    }
}

/* W7: all pages, by the continue token, and one sweep at the end. */
static void test_W7_all_pages_are_read(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup(&f);
    fl_rbed_expect_request(&f, 0);
    fl_rbed_reply_page(&f, (const struct fl_rbed_item[]){{"a", "5"}}, 1, "10", "to/ken=");
    assert_false(fl_reflector_synced(f.r));
    assert_int_equal(fl_rbed_expect_request(&f, 0), 0);
    assert_true(fl_rbed_path_has(&f, "&limit=500&continue=to%2Fken%3D"));
    assert_false(fl_rbed_path_has(&f, "resourceVersion"));
    FL_RBED_LIST(&f, "10", {"b", "6"});
    assert_true(fl_reflector_synced(f.r));
    fl_rbed_expect_changes(&f, "+a@5 +b@6 ");
    fl_rbed_teardown(&f);
}

/* W17 (the machine's part): the result does not depend on how the bytes are cut. */
static void test_W17_single_bytes_give_the_same(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    for (int format = FL_K8S_JSON; format <= FL_K8S_PROTOBUF; format++) {
        fl_rbed_setup(&f);
        f.format = (enum fl_k8s_format)format;
        f.chunk = 1;
        fl_rbed_expect_request(&f, 0);
        FL_RBED_LIST(&f, "10", {"a", "5"}, {"b", "10"});
        fl_rbed_expect_request(&f, 0);
        fl_rbed_watch_head(&f);
        fl_rbed_event(&f, FL_K8S_MODIFIED, "a", "12");
        fl_rbed_expect_changes(&f, "+a@5 +b@10 ~a@12 ");
        fl_rbed_teardown(&f);
    }
}

/* W18: the slice of a watch event is the block of the store, absent conditions are ready, and a
 * deleted slice is gone. */
static void test_W18_absent_ready_is_ready_and_deleted_is_gone(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    const struct fl_kube_entry *entry = fl_kube_store_peek(f.store, FL_STR("shop"), FL_STR("a"));
    assert_non_null(entry);
    assert_true(fl_str_eq(fl_kube_entry_owner(entry), FL_STR("echo")));
    assert_int_equal(fl_block_count(fl_kube_entry_block(entry)), 1);
    assert_true(fl_block_flags_at(fl_kube_entry_block(entry), 0) & FL_ENDPOINT_READY);
    fl_rbed_event(&f, FL_K8S_DELETED, "a", "11");
    assert_null(fl_kube_store_peek(f.store, FL_STR("shop"), FL_STR("a")));
    assert_int_equal(fl_kube_store_count(f.store), 1);
    fl_rbed_teardown(&f);
}

/* --- watches that end --- */

static void test_W13_short_clean_close_resumes_without_a_list(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    for (int i = 0; i < 5; i++) {
        fl_rbed_closed(&f, FL_OK);
        assert_true(fl_rbed_expect_request(&f, 60000) >= 800);
        assert_true(fl_rbed_path_has(&f, "watch=1") && fl_rbed_path_has(&f, "resourceVersion=10"));
        fl_rbed_watch_head(&f);
    }
    assert_int_equal(f.troubles, 0);
    assert_int_equal(f.synced, 1);
    fl_rbed_teardown(&f);
}

static void test_a_watch_that_lived_resumes_at_once(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_rbed_event(&f, FL_K8S_MODIFIED, "a", "12");
    f.now_ms += 5000;
    fl_rbed_closed(&f, FL_OK);
    assert_int_equal(fl_rbed_expect_request(&f, 0), 0);
    assert_true(fl_rbed_path_has(&f, "resourceVersion=12"));
    fl_rbed_teardown(&f);
}

/* Bookmarks only, and closed at once, over and over: one a second, not a storm. */
static void test_short_watches_with_events_are_paced(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    for (int i = 0; i < 5; i++) {
        fl_rbed_event(&f, FL_K8S_BOOKMARK, "", "15");
        fl_rbed_closed(&f, FL_OK);
        assert_int_equal(fl_rbed_expect_request(&f, 1000), 1000);
        fl_rbed_watch_head(&f);
    }
    fl_rbed_teardown(&f);
}

static void test_a_broken_watch_resumes_where_it_was(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_rbed_event(&f, FL_K8S_MODIFIED, "a", "12");
    fl_rbed_closed(&f, FL_ERESET);
    assert_int_equal(f.trouble.code, FL_ERESET);
    assert_non_null(strstr(f.trouble.detail, "watch endpointslices in namespace shop"));
    uint64_t waited_ms = fl_rbed_expect_request(&f, 60000);
    assert_true(waited_ms >= 800 && waited_ms <= 1600);
    assert_true(fl_rbed_path_has(&f, "watch=1") && fl_rbed_path_has(&f, "resourceVersion=12"));
    fl_rbed_watch_head(&f);
    assert_int_equal(f.trouble.code, FL_ERESET);
    fl_rbed_event(&f, FL_K8S_BOOKMARK, "", "13");
    assert_int_equal(f.trouble.code, FL_OK);
    fl_rbed_teardown(&f);
}

static void test_a_quiet_watch_ends_trouble_after_a_second(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_rbed_closed(&f, FL_ERESET);
    fl_rbed_expect_request(&f, 60000);
    fl_rbed_watch_head(&f);
    assert_int_equal(fl_reflector_deadline_ms(f.r), f.now_ms + 1000);
    f.now_ms += 1000;
    assert_false(fl_rbed_act(&f));
    assert_int_equal(f.trouble.code, FL_OK);
    assert_int_equal(f.troubles, 2);
    fl_rbed_teardown(&f);
}

static void test_a_watch_cut_in_an_event_resumes(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_rbed_feed(&f, FL_STR("\0\0\1"));
    fl_rbed_closed(&f, FL_OK);
    assert_int_equal(f.trouble.code, FL_EPROTO);
    fl_rbed_expect_request(&f, 60000);
    assert_true(fl_rbed_path_has(&f, "watch=1") && fl_rbed_path_has(&f, "resourceVersion=10"));
    fl_rbed_teardown(&f);
}

static void test_garbage_in_a_watch_cancels_and_resumes(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_rbed_feed(&f, FL_STR("\0\0\0\7garbage"));
    assert_int_equal(f.trouble.code, FL_EPROTO);
    fl_rbed_expect_request(&f, 60000);
    assert_int_equal(f.cancels, 1);
    assert_true(fl_rbed_path_has(&f, "resourceVersion=10"));
    fl_rbed_teardown(&f);
}

static void test_W9_a_watch_that_never_ends_is_cut(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    uint64_t deadline_ms = fl_reflector_deadline_ms(f.r) - f.now_ms;
    assert_true(deadline_ms >= 330000 && deadline_ms <= 630000);
    f.now_ms += deadline_ms;
    assert_true(fl_rbed_act(&f));
    assert_int_equal(f.cancels, 1);
    assert_true(fl_rbed_path_has(&f, "watch=1"));
    assert_int_equal(f.troubles, 0);
    fl_rbed_teardown(&f);
}

/* W8: a server that has sent one bookmark is missed when it is silent for longer than the
 * minute between two; one that never did is not. */
static void test_W8_missed_bookmarks_cut_a_silent_watch(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    assert_true(fl_reflector_deadline_ms(f.r) >= f.now_ms + 330000);
    fl_rbed_event(&f, FL_K8S_BOOKMARK, "", "15");
    assert_int_equal(fl_reflector_deadline_ms(f.r), f.now_ms + 90000);
    f.now_ms += 60000;
    fl_rbed_event(&f, FL_K8S_MODIFIED, "a", "16"); /* an event is as good */
    assert_int_equal(fl_reflector_deadline_ms(f.r), f.now_ms + 90000);
    f.now_ms += 90000;
    assert_true(fl_rbed_act(&f));
    assert_int_equal(f.cancels, 1);
    assert_true(fl_rbed_path_has(&f, "watch=1") && fl_rbed_path_has(&f, "resourceVersion=16"));
    assert_int_equal(f.notes[FL_REFLECTOR_WATCH_STALLED], 1);
    assert_int_equal(f.troubles, 0);
    fl_rbed_watch_head(&f);
    assert_int_equal(fl_reflector_deadline_ms(f.r), f.now_ms + 90000);
    f.now_ms += 80000;
    fl_rbed_event(&f, FL_K8S_MODIFIED, "a", "17"); /* it lives: the next silence is a first one */
    f.now_ms += 90000;
    assert_true(fl_rbed_act(&f));
    assert_int_equal(f.notes[FL_REFLECTOR_WATCH_STALLED], 2);
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_SILENT], 0);
    fl_rbed_teardown(&f);
}

/* W4: a server whose etcd was restored is silent to whoever watches from a version that is yet to
 * come. The watch after the one that stalled is not waited for again: a consistent list is read. */
static void test_W4_a_second_silent_watch_makes_a_list(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_rbed_event(&f, FL_K8S_BOOKMARK, "", "15");
    f.now_ms += 90000;
    assert_true(fl_rbed_act(&f));
    fl_rbed_watch_head(&f);
    f.now_ms += 90000;
    assert_true(fl_rbed_act(&f));
    assert_int_equal(f.cancels, 2);
    assert_int_equal(f.notes[FL_REFLECTOR_WATCH_STALLED], 1);
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_SILENT], 1);
    assert_false(fl_rbed_path_has(&f, "resourceVersion=15"));
    FL_RBED_LIST(&f, "20", {"a", "5"}, {"b", "10"}); /* bookmarks are not missed any more */
    fl_rbed_expect_request(&f, 0);
    fl_rbed_watch_head(&f);
    assert_true(fl_reflector_deadline_ms(f.r) >= f.now_ms + 330000);
    fl_rbed_teardown(&f);
}

/* W8: what one watch has learned of the server holds for the next one. */
static void test_W8_bookmarks_are_known_of_the_server(void **state) {
    struct fl_rbed f, beside;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_rbed_event(&f, FL_K8S_BOOKMARK, "", "15");
    fl_rbed_setup_beside(&beside, &f);
    fl_rbed_expect_request(&beside, 0);
    FL_RBED_LIST(&beside, "10", {"a", "5"});
    fl_rbed_expect_request(&beside, 0);
    fl_rbed_watch_head(&beside);
    assert_int_equal(fl_reflector_deadline_ms(beside.r), beside.now_ms + 90000);
    fl_rbed_teardown(&beside);
    fl_rbed_teardown(&f);
}

static void test_proof_is_what_the_store_is_as_new_as(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup(&f);
    fl_rbed_expect_request(&f, 0);
    uint64_t asked_ms = f.now_ms;
    f.now_ms += 5000;
    fl_rbed_reply_page(&f, (const struct fl_rbed_item[]){{"a", "5"}}, 1, "10", "token");
    assert_int_equal(fl_reflector_proof_ms(f.r), 0); /* a part of a list proves nothing */
    fl_rbed_expect_request(&f, 0);
    f.now_ms += 5000;
    FL_RBED_LIST(&f, "10", {"b", "6"});
    assert_int_equal(fl_reflector_proof_ms(f.r), asked_ms);
    fl_rbed_expect_request(&f, 0);
    fl_rbed_watch_head(&f);
    assert_int_equal(fl_reflector_proof_ms(f.r), f.now_ms);
    f.now_ms += 7000;
    fl_rbed_event(&f, FL_K8S_BOOKMARK, "", "15");
    assert_int_equal(fl_reflector_proof_ms(f.r), f.now_ms);
    fl_rbed_teardown(&f);
}

/* --- 410 --- */

static void expect_consistent_list(struct fl_rbed *f) {
    assert_true(fl_rbed_expect_request(f, 60000) >= 800);
    assert_true(fl_rbed_path_has(f, "limit=500"));
    assert_false(fl_rbed_path_has(f, "watch="));
    assert_false(fl_rbed_path_has(f, "resourceVersion"));
}

static void test_W11_410_status_makes_a_list(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_rbed_closed(&f, FL_OK);
    fl_rbed_expect_request(&f, 60000);
    fl_rbed_refuse(&f, 410, &(struct fl_k8s_status){.code = 410, .reason = FL_STR("Expired")});
    expect_consistent_list(&f);
    FL_RBED_LIST(&f, "30", {"b", "10"}, {"c", "25"});
    fl_rbed_expect_changes(&f, "+c@25 -a@5 ");
    assert_int_equal(f.synced, 2);
    fl_rbed_expect_request(&f, 0);
    assert_true(fl_rbed_path_has(&f, "watch=1") && fl_rbed_path_has(&f, "resourceVersion=30"));
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_GONE], 1);
    assert_int_equal(f.troubles, 0);
    fl_rbed_teardown(&f);
}

static void test_W11_410_without_a_status_body_makes_a_list(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_rbed_closed(&f, FL_OK);
    fl_rbed_expect_request(&f, 60000);
    fl_rbed_head(&f, 410, "text/plain");
    fl_rbed_feed(&f, FL_STR("gone"));
    fl_rbed_closed(&f, FL_OK);
    expect_consistent_list(&f);
    fl_rbed_teardown(&f);
}

static void test_W11_error_event_makes_a_list(void **state) {
    static const struct fl_k8s_status forms[] = {
        {.code = 410, .reason = FL_STR("Expired")},
        {.code = 410, .reason = FL_STR("Gone")},
        {.code = 200, .reason = FL_STR("Gone")},
        {.code = 410},
    };
    struct fl_rbed f;
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(forms); i++) {
        fl_rbed_setup_watching(&f);
        fl_rbed_error_event(&f, &forms[i]);
        expect_consistent_list(&f);
        assert_int_equal(f.cancels, 1);
        assert_int_equal(f.notes[FL_REFLECTOR_RELIST_GONE], 1);
        fl_rbed_teardown(&f);
    }
}

/* What the server cannot tell by a watch, a list may go past. */
static void test_a_watch_that_breaks_twice_at_its_position_makes_a_list(void **state) {
    const struct fl_k8s_status error = {.code = 500, .reason = FL_STR("InternalError")};
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_rbed_error_event(&f, &error);
    assert_int_equal(f.trouble.code, FL_ESERVER);
    fl_rbed_expect_request(&f, 60000);
    assert_true(fl_rbed_path_has(&f, "watch=1&allowWatchBookmarks=true&resourceVersion=10&"));
    fl_rbed_watch_head(&f);
    fl_rbed_error_event(&f, &error);
    fl_rbed_expect_request(&f, 60000);
    assert_true(fl_rbed_path_has(&f, "resourceVersion=10&resourceVersionMatch=NotOlderThan"));
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_REFUSED], 1);
    FL_RBED_LIST(&f, "30", {"b", "10"});
    fl_rbed_expect_request(&f, 0);
    assert_true(fl_rbed_path_has(&f, "resourceVersion=30"));
    fl_rbed_watch_head(&f);
    f.now_ms += 1000;
    fl_rbed_act(&f);
    assert_int_equal(f.trouble.code, FL_OK);
    fl_rbed_error_event(&f, &error); /* it is the first one again */
    fl_rbed_expect_request(&f, 60000);
    assert_true(fl_rbed_path_has(&f, "watch=1&allowWatchBookmarks=true&resourceVersion=30&"));
    fl_rbed_teardown(&f);
}

/* A server that says 410 to every watch is asked at the pace of the backoff. */
static void test_W12_endless_410_backs_off(void **state) {
    struct fl_rbed f;
    uint64_t last_ms = 0;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    for (int i = 0; i < 10; i++) {
        fl_rbed_error_event(&f, &(struct fl_k8s_status){.code = 410});
        last_ms = fl_rbed_expect_request(&f, 120000);
        FL_RBED_LIST(&f, "30", {"b", "10"});
        fl_rbed_expect_request(&f, 0);
        fl_rbed_watch_head(&f);
    }
    assert_true(last_ms >= 30000 && last_ms <= 60000);
    fl_rbed_teardown(&f);
}

/* A first 410 happens to everybody; one after the other is trouble, until a watch works. */
static void test_W11_an_endless_410_is_told(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    for (int i = 0; i < 5; i++) {
        fl_rbed_error_event(&f, &(struct fl_k8s_status){.code = 410});
        assert_int_equal(f.trouble.code, i < 2 ? FL_OK : FL_EGONE);
        fl_rbed_expect_request(&f, 120000);
        FL_RBED_LIST(&f, "30", {"b", "10"});
        assert_int_equal(f.trouble.code, i < 2 ? FL_OK : FL_EGONE);
        fl_rbed_expect_request(&f, 0);
        fl_rbed_watch_head(&f);
    }
    assert_non_null(strstr(f.trouble.detail, "410: watch endpointslices in namespace shop"));
    f.now_ms += 1000;
    fl_rbed_act(&f);
    assert_int_equal(f.trouble.code, FL_OK);
    fl_rbed_error_event(&f, &(struct fl_k8s_status){.code = 410});
    assert_int_equal(f.trouble.code, FL_OK);
    fl_rbed_teardown(&f);
}

static void test_W13_watches_that_all_end_at_once_are_told(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    for (int i = 0; i < 10; i++) {
        fl_rbed_closed(&f, FL_OK);
        assert_int_equal(f.trouble.code, i < 7 ? FL_OK : FL_ECLOSED);
        fl_rbed_expect_request(&f, 60000);
        fl_rbed_watch_head(&f);
    }
    fl_rbed_event(&f, FL_K8S_BOOKMARK, "", "15");
    assert_int_equal(f.trouble.code, FL_OK);
    fl_rbed_teardown(&f);
}

static void test_a_wanted_relist_is_consistent(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_reflector_relist(f.r, f.now_ms);
    fl_reflector_relist(f.r, f.now_ms); /* one is on its way */
    assert_int_equal(fl_rbed_expect_request(&f, 0), 0);
    assert_int_equal(f.cancels, 1);
    assert_false(fl_rbed_path_has(&f, "resourceVersion"));
    FL_RBED_LIST(&f, "12", {"b", "10"});
    fl_rbed_expect_changes(&f, "-a@5 ");
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_AUDIT], 1);
    fl_rbed_teardown(&f);
}

static void test_W7_410_in_mid_paging_lists_in_one_piece(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup(&f);
    fl_rbed_expect_request(&f, 0);
    fl_rbed_reply_page(&f, (const struct fl_rbed_item[]){{"a", "5"}}, 1, "10", "token");
    fl_rbed_expect_request(&f, 0);
    fl_rbed_refuse(&f, 410, &(struct fl_k8s_status){.code = 410, .reason = FL_STR("Expired")});
    fl_rbed_expect_request(&f, 60000);
    assert_false(fl_rbed_path_has(&f, "limit") || fl_rbed_path_has(&f, "continue") ||
                 fl_rbed_path_has(&f, "resourceVersion"));
    FL_RBED_LIST(&f, "12", {"b", "11"});
    fl_rbed_expect_changes(&f, "+a@5 +b@11 -a@5 ");
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_PAGE], 1);
    fl_rbed_teardown(&f);
}

/* --- lists that go back in time --- */

static void relist_not_older(struct fl_rbed *f) {
    fl_rbed_error_event(f, &(struct fl_k8s_status){.code = 400, .message = FL_STR("no")});
    fl_rbed_expect_request(f, 60000);
    assert_true(fl_rbed_path_has(f, "resourceVersion=10&resourceVersionMatch=NotOlderThan"));
}

static void test_W4_an_older_cached_list_is_refused(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    relist_not_older(&f);
    FL_RBED_LIST(&f, "8", {"a", "5"}, {"deleted", "4"}, {"b", "7"});
    assert_int_equal(f.synced, 1);
    assert_int_equal(fl_rbed_expect_request(&f, 0), 0);
    assert_false(fl_rbed_path_has(&f, "resourceVersion"));
    FL_RBED_LIST(&f, "12", {"a", "5"}, {"b", "10"});
    assert_int_equal(f.synced, 2);
    fl_rbed_expect_changes(&f, "");
    assert_string_equal(fl_reflector_position(f.r), "12");
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_OLDER], 1);
    assert_int_equal(f.notes[FL_REFLECTOR_RESTORED], 0);
    fl_rbed_teardown(&f);
}

static void test_W4_an_older_consistent_list_is_accepted_the_second_time(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_rbed_error_event(&f, &(struct fl_k8s_status){.code = 410});
    fl_rbed_expect_request(&f, 60000);
    FL_RBED_LIST(&f, "6", {"a", "3"}, {"old", "6"});
    fl_rbed_expect_changes(&f, "");
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_DOUBTED], 1);
    expect_consistent_list(&f);
    FL_RBED_LIST(&f, "7", {"a", "3"}, {"old", "7"});
    assert_string_equal(fl_reflector_position(f.r), "7");
    assert_int_equal(f.notes[FL_REFLECTOR_RESTORED], 1);
    assert_int_equal(fl_kube_store_count(f.store), 2);
    assert_int_equal(fl_kube_store_peek(f.store, FL_STR("shop"), FL_STR("a"))->version, 3);
    assert_non_null(strstr(f.changes, "-b@10"));
    fl_rbed_expect_request(&f, 0);
    assert_true(fl_rbed_path_has(&f, "resourceVersion=7"));
    fl_rbed_teardown(&f);
}

/* What a list that was not read whole had brought is of another history, too. */
static void test_W4_a_restored_server_does_not_know_what_half_a_list_brought(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_rbed_error_event(&f, &(struct fl_k8s_status){.code = 410});
    fl_rbed_expect_request(&f, 60000);
    fl_rbed_reply_page(&f, (const struct fl_rbed_item[]){{"c", "35"}}, 1, "40", "token");
    fl_rbed_expect_request(&f, 0);
    fl_rbed_expect_changes(&f, "+c@35 ");
    fl_rbed_refuse(&f, 410, &(struct fl_k8s_status){.code = 410});
    fl_rbed_expect_request(&f, 60000);
    FL_RBED_LIST(&f, "32", {"a", "5"}, {"b", "10"});
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_DOUBTED], 1);
    fl_rbed_expect_request(&f, 60000);
    FL_RBED_LIST(&f, "32", {"a", "5"}, {"b", "10"});
    assert_int_equal(f.notes[FL_REFLECTOR_RESTORED], 1);
    fl_rbed_expect_changes(&f, "-c@35 ");
    assert_string_equal(fl_reflector_position(f.r), "32");
    fl_rbed_teardown(&f);
}

static void test_a_key_is_not_taken_back_by_the_watch(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    fl_rbed_event(&f, FL_K8S_MODIFIED, "b", "9");
    fl_rbed_event(&f, FL_K8S_DELETED, "b", "9");
    fl_rbed_expect_changes(&f, "");
    assert_string_equal(fl_reflector_position(f.r), "10");
    fl_rbed_teardown(&f);
}

/* W5: a version that the server has not reached. */
static void test_W5_too_large_version_lists_consistently(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    relist_not_older(&f);
    fl_rbed_refuse(&f, 504,
                   &(struct fl_k8s_status){
                       .code = 504, .reason = FL_STR("Timeout"), .version_too_large = true});
    expect_consistent_list(&f);
    assert_int_equal(f.notes[FL_REFLECTOR_RELIST_AHEAD], 1);
    fl_rbed_teardown(&f);
}

/* --- refusals --- */

static void test_retry_after_is_honoured_and_the_position_kept(void **state) {
    static const int codes[] = {429, 500, 503};
    struct fl_rbed f;
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(codes); i++) {
        fl_rbed_setup_watching(&f);
        fl_rbed_closed(&f, FL_OK);
        fl_rbed_expect_request(&f, 60000);
        fl_reflector_response(f.r, f.now_ms, codes[i], FL_STR("text/plain"), FL_STR("20"));
        fl_rbed_closed(&f, FL_OK);
        assert_int_equal(f.trouble.code, codes[i] == 429 ? FL_ETHROTTLED : FL_ESERVER);
        uint64_t waited_ms = fl_rbed_expect_request(&f, 60000);
        assert_true(waited_ms >= 20000 && waited_ms < 21000);
        assert_true(fl_rbed_path_has(&f, "watch=1") && fl_rbed_path_has(&f, "resourceVersion=10"));
        fl_rbed_teardown(&f);
    }
}

static void test_a_page_is_asked_again_after_a_refusal(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup(&f);
    fl_rbed_expect_request(&f, 0);
    fl_rbed_reply_page(&f, (const struct fl_rbed_item[]){{"a", "5"}}, 1, "10", "token");
    fl_rbed_expect_request(&f, 0);
    fl_rbed_refuse(&f, 503, &(struct fl_k8s_status){.code = 503, .retry_after_s = 3});
    assert_true(fl_rbed_expect_request(&f, 60000) >= 3000);
    assert_true(fl_rbed_path_has(&f, "continue=token"));
    FL_RBED_LIST(&f, "10", {"b", "6"});
    assert_int_equal(f.synced, 1);
    assert_int_equal(fl_kube_store_count(f.store), 2);
    fl_rbed_teardown(&f);
}

static void test_refusals_name_resource_and_namespace(void **state) {
    static const struct {
        int status, code;
    } list[] = {{401, FL_EUNAUTHORIZED}, {403, FL_EFORBIDDEN}, {404, FL_ENOT_FOUND},
                {418, FL_EHTTP},         {302, FL_EHTTP},      {502, FL_ESERVER}};
    struct fl_rbed f;
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(list); i++) {
        fl_rbed_setup(&f);
        fl_rbed_expect_request(&f, 0);
        fl_rbed_refuse(
            &f, list[i].status,
            &(struct fl_k8s_status){.code = list[i].status, .message = FL_STR("said so\n")});
        assert_int_equal(f.trouble.code, list[i].code);
        assert_non_null(strstr(f.trouble.detail, "list endpointslices in namespace shop: said so"));
        assert_null(strchr(f.trouble.detail, '\n'));
        if (list[i].status == 403) assert_non_null(strstr(f.trouble.detail, "403: may not list"));
        assert_true(fl_rbed_expect_request(&f, 60000) >= 800);
        assert_true(fl_rbed_path_has(&f, "limit=500"));
        fl_rbed_teardown(&f);
    }
}

static void test_what_is_no_api_server_is_told(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup(&f);
    fl_rbed_expect_request(&f, 0);
    fl_rbed_head(&f, 200, "text/html; charset=utf-8");
    assert_int_equal(f.trouble.code, FL_EPROTO);
    assert_non_null(strstr(f.trouble.detail, "text/html"));
    fl_rbed_expect_request(&f, 60000);
    assert_int_equal(f.cancels, 1);
    fl_rbed_teardown(&f);
}

static void test_an_endless_refusal_is_cut(void **state) {
    char line[1024];
    struct fl_rbed f;
    FL_UNUSED(state);
    memset(line, 'x', sizeof(line));
    fl_rbed_setup(&f);
    fl_rbed_expect_request(&f, 0);
    fl_rbed_head(&f, 500, "text/plain");
    for (int i = 0; i < 80; i++) fl_rbed_feed(&f, fl_str_n(line, sizeof(line)));
    assert_int_equal(f.trouble.code, FL_ESERVER);
    assert_int_equal(f.troubles, 1);
    fl_rbed_expect_request(&f, 60000);
    assert_int_equal(f.cancels, 1);
    fl_rbed_teardown(&f);
}

/* --- silence --- */

static void test_W9_silence_before_the_head_is_cut(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup(&f);
    fl_rbed_expect_request(&f, 0);
    assert_int_equal(fl_reflector_deadline_ms(f.r), f.now_ms + 30000);
    f.now_ms += 30000;
    assert_false(fl_rbed_act(&f));
    assert_int_equal(f.cancels, 1);
    assert_int_equal(f.trouble.code, FL_ETIMEOUT);
    fl_rbed_expect_request(&f, 60000);
    fl_rbed_teardown(&f);
}

static void test_W9_silence_in_a_list_is_cut(void **state) {
    struct fl_rbed f;
    struct fl_buf bytes;
    FL_UNUSED(state);
    fl_rbed_setup(&f);
    fl_rbed_expect_request(&f, 0);
    fl_rbed_list_bytes(&f, &bytes, (const struct fl_rbed_item[]){{"a", "5"}}, 1, "10", "");
    fl_rbed_head(&f, 200, FL_RBED_PROTOBUF);
    fl_rbed_feed(&f, fl_str_n(fl_buf_str(&bytes).p, 20));
    fl_buf_deinit(&bytes);
    assert_int_equal(fl_reflector_deadline_ms(f.r), f.now_ms + 30000);
    f.now_ms += 30000;
    assert_false(fl_rbed_act(&f));
    assert_int_equal(f.cancels, 1);
    assert_int_equal(f.trouble.code, FL_ETIMEOUT);
    fl_rbed_teardown(&f);
}

static void test_half_a_list_is_not_a_list(void **state) {
    struct fl_rbed f;
    struct fl_buf bytes;
    FL_UNUSED(state);
    for (int format = FL_K8S_JSON; format <= FL_K8S_PROTOBUF; format++) {
        fl_rbed_setup(&f);
        f.format = (enum fl_k8s_format)format;
        fl_rbed_list_bytes(&f, &bytes, (const struct fl_rbed_item[]){{"a", "5"}}, 1, "10", "");
        for (size_t n = 0; n < bytes.len; n++) {
            fl_rbed_expect_request(&f, 120000);
            fl_rbed_head(&f, 200, format == FL_K8S_JSON ? FL_RBED_JSON : FL_RBED_PROTOBUF);
            fl_rbed_feed(&f, fl_str_n(fl_buf_str(&bytes).p, n));
            fl_rbed_closed(&f, FL_OK);
            assert_false(fl_reflector_synced(f.r));
        }
        fl_buf_deinit(&bytes);
        fl_rbed_teardown(&f);
    }
}

static void test_what_comes_late_is_not_heard(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup(&f);
    fl_rbed_head(&f, 200, FL_RBED_PROTOBUF);
    fl_rbed_feed(&f, FL_STR("early"));
    fl_rbed_closed(&f, FL_OK);
    fl_rbed_expect_request(&f, 0);
    fl_rbed_closed(&f, FL_EREFUSED);
    fl_rbed_head(&f, 200, FL_RBED_PROTOBUF);
    fl_rbed_feed(&f, FL_STR("late"));
    fl_rbed_closed(&f, FL_OK);
    assert_int_equal(f.troubles, 1);
    fl_rbed_teardown(&f);
}

/* --- memory --- */

static void test_each_failed_allocation_is_survived(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_rbed f;
        fl_rbed_init(&f);
        if (fl_rbed_make(&f) == FL_OK) fl_rbed_act(&f);
        fl_rbed_teardown(&f);
    }
}

/* The list's bytes are made beforehand, so that the failures hit the reflector only. */
static void test_a_list_that_memory_fails_is_asked_again(void **state) {
    struct fl_buf bytes;
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup(&f);
    fl_rbed_list_bytes(&f, &bytes, (const struct fl_rbed_item[]){{"a", "5"}, {"b", "6"}}, 2, "10",
                       "");
    FL_TEST_EACH_FAILURE(n) {
        while (!fl_rbed_act(&f)) f.now_ms = FL_MAX(f.now_ms, fl_reflector_deadline_ms(f.r));
        if (fl_reflector_synced(f.r)) break;
        fl_rbed_head(&f, 200, FL_RBED_PROTOBUF);
        fl_rbed_feed(&f, fl_buf_str(&bytes));
        fl_rbed_closed(&f, FL_OK);
    }
    assert_true(fl_reflector_synced(f.r));
    assert_int_equal(fl_kube_store_count(f.store), 2);
    fl_buf_deinit(&bytes);
    fl_rbed_teardown(&f);
}

/* W14: the whole body of a list of many slices, in JSON. */
static void many_bytes(struct fl_buf *out, unsigned first_version, const char *version) {
    fl_buf_init(out, SIZE_MAX);
    assert_int_equal(fl_buf_printf(out,
                                   "{\"kind\":\"EndpointSliceList\",\"metadata\":{"
                                   "\"resourceVersion\":\"%s\"},\"items\":[",
                                   version),
                     FL_OK);
    for (unsigned i = 0; i < 500; i++) {
        assert_int_equal(fl_buf_printf(out,
                                       "%s{\"metadata\":{\"name\":\"echo-%u\",\"namespace\":"
                                       "\"shop\",\"resourceVersion\":\"%u\"},\"endpoints\":[",
                                       i ? "," : "", i, first_version + i),
                         FL_OK);
        for (unsigned k = 0; k < 20; k++)
            assert_int_equal(fl_buf_printf(out,
                                           "%s{\"addresses\":[\"10.%u.%u.%u\"],"
                                           "\"nodeName\":\"node-%u\"}",
                                           k ? "," : "", i / 256, i % 256, k, k),
                             FL_OK);
        assert_int_equal(fl_buf_append(out, FL_STR("]}")), FL_OK);
    }
    assert_int_equal(fl_buf_append(out, FL_STR("]}")), FL_OK);
}

static void reply_bytes(struct fl_rbed *f, const struct fl_buf *bytes) {
    fl_rbed_expect_request(f, 60000);
    fl_rbed_head(f, 200, FL_RBED_JSON);
    f->chunk = 16384;
    fl_rbed_feed(f, fl_buf_str(bytes));
    fl_rbed_closed(f, FL_OK);
}

/* W14: while a list is read, the first or a later one, there is what is kept and one object. */
static void test_W14_a_list_needs_its_store_and_one_object(void **state) {
    struct fl_rbed f;
    struct fl_buf first, second;
    FL_UNUSED(state);
    fl_rbed_setup(&f);
    many_bytes(&first, 100, "1000");
    many_bytes(&second, 1100, "2000");
    size_t before = fl_test_alloc_outstanding();
    (void)fl_test_alloc_peak();
    reply_bytes(&f, &first);
    assert_int_equal(fl_kube_store_count(f.store), 500);
    size_t kept = fl_test_alloc_outstanding() - before;
    assert_true(kept > 200000);
    assert_true(fl_test_alloc_peak() - before < kept + 65536);
    fl_rbed_expect_request(&f, 0);
    fl_rbed_watch_head(&f);
    fl_reflector_relist(f.r, f.now_ms);
    reply_bytes(&f, &second);
    assert_int_equal(f.synced, 2);
    assert_true(fl_test_alloc_peak() - before < kept + 65536);
    fl_buf_deinit(&first);
    fl_buf_deinit(&second);
    fl_rbed_teardown(&f);
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
        cmocka_unit_test(test_W8_missed_bookmarks_cut_a_silent_watch),
        cmocka_unit_test(test_W4_a_second_silent_watch_makes_a_list),
        cmocka_unit_test(test_W8_bookmarks_are_known_of_the_server),
        cmocka_unit_test(test_proof_is_what_the_store_is_as_new_as),
        cmocka_unit_test(test_W11_an_endless_410_is_told),
        cmocka_unit_test(test_W13_watches_that_all_end_at_once_are_told),
        cmocka_unit_test(test_a_wanted_relist_is_consistent),
        cmocka_unit_test(test_W11_410_status_makes_a_list),
        cmocka_unit_test(test_W11_410_without_a_status_body_makes_a_list),
        cmocka_unit_test(test_W11_error_event_makes_a_list),
        cmocka_unit_test(test_a_watch_that_breaks_twice_at_its_position_makes_a_list),
        cmocka_unit_test(test_W12_endless_410_backs_off),
        cmocka_unit_test(test_W7_410_in_mid_paging_lists_in_one_piece),
        cmocka_unit_test(test_W4_an_older_cached_list_is_refused),
        cmocka_unit_test(test_W4_an_older_consistent_list_is_accepted_the_second_time),
        cmocka_unit_test(test_W4_a_restored_server_does_not_know_what_half_a_list_brought),
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
        cmocka_unit_test(test_W14_a_list_needs_its_store_and_one_object),
        cmocka_unit_test(test_each_failed_allocation_is_survived),
        cmocka_unit_test(test_a_list_that_memory_fails_is_asked_again),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
