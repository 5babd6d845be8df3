/* kube_reflector_watch_test.c - the reflector machine: watches that end, break, or fall silent. */
#include "support/reflector_bed.h"

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
    fl_rbed_expect_watch(&f, 60000);
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
    fl_rbed_expect_watch(&f, 0);
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
    fl_rbed_setup_asked(&f);
    uint64_t asked_ms = f.now_ms;
    f.now_ms += 5000;
    fl_rbed_reply_page(&f, (const struct fl_rbed_item[]){{"a", "5"}}, 1, "10", "token");
    assert_int_equal(fl_reflector_proof_ms(f.r), 0); /* a part of a list proves nothing */
    fl_rbed_expect_request(&f, 0);
    f.now_ms += 5000;
    FL_RBED_LIST(&f, "10", {"b", "6"});
    assert_int_equal(fl_reflector_proof_ms(f.r), asked_ms);
    fl_rbed_expect_watch(&f, 0);
    assert_int_equal(fl_reflector_proof_ms(f.r), f.now_ms);
    f.now_ms += 7000;
    fl_rbed_event(&f, FL_K8S_BOOKMARK, "", "15");
    assert_int_equal(fl_reflector_proof_ms(f.r), f.now_ms);
    fl_rbed_teardown(&f);
}

/* --- 410 --- */

static void test_W13_watches_that_all_end_at_once_are_told(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_watching(&f);
    for (int i = 0; i < 10; i++) {
        fl_rbed_closed(&f, FL_OK);
        assert_int_equal(f.trouble.code, i < 7 ? FL_OK : FL_ECLOSED);
        fl_rbed_expect_watch(&f, 60000);
    }
    fl_rbed_event(&f, FL_K8S_BOOKMARK, "", "15");
    assert_int_equal(f.trouble.code, FL_OK);
    fl_rbed_teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
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
        cmocka_unit_test(test_W13_watches_that_all_end_at_once_are_told),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
