/* kube_reflector_relist_test.c - the reflector machine: what makes a new list, and lists that go
 * back in time. */
#include "support/reflector_bed.h"

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
        fl_rbed_gone_event(&f);
        last_ms = fl_rbed_expect_request(&f, 120000);
        FL_RBED_LIST(&f, "30", {"b", "10"});
        fl_rbed_expect_watch(&f, 0);
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
        fl_rbed_gone_event(&f);
        assert_int_equal(f.trouble.code, i < 2 ? FL_OK : FL_EGONE);
        fl_rbed_expect_request(&f, 120000);
        FL_RBED_LIST(&f, "30", {"b", "10"});
        assert_int_equal(f.trouble.code, i < 2 ? FL_OK : FL_EGONE);
        fl_rbed_expect_watch(&f, 0);
    }
    assert_non_null(strstr(f.trouble.detail, "410: watch endpointslices in namespace shop"));
    f.now_ms += 1000;
    fl_rbed_act(&f);
    assert_int_equal(f.trouble.code, FL_OK);
    fl_rbed_gone_event(&f);
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
    fl_rbed_setup_asked(&f);
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
    fl_rbed_gone_event(&f);
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
    fl_rbed_gone_event(&f);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_W11_an_endless_410_is_told),
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
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
