/* kube_reflector_test.c - the reflector machine: lists in pages, refusals, silence. */
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
    fl_rbed_setup_asked(&f);
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
        fl_rbed_expect_watch(&f, 0);
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

/* A server that answers with a token and nothing else, or with the same page, for ever. */
static void test_pages_that_bring_nothing_are_bounded(void **state) {
    FL_UNUSED(state);
    const struct fl_rbed_item same[] = {{"a", "5"}};
    for (size_t count = 0; count <= 1; count++) {
        struct fl_rbed f;
        unsigned pages = 0;
        fl_rbed_setup_asked(&f);
        fl_rbed_reply_page(&f, same, 1, "10", "token");
        while (!f.trouble.code && pages < 100) {
            assert_int_equal(fl_rbed_expect_request(&f, 0), 0);
            assert_true(fl_rbed_path_has(&f, "continue=token"));
            fl_rbed_reply_page(&f, same, count, "10", "token");
            pages++;
        }
        assert_int_equal(pages, 10);
        assert_int_equal(f.trouble.code, FL_EPROTO);
        assert_true(fl_rbed_expect_request(&f, 60000) > 0); /* after a backoff, from the start */
        assert_false(fl_rbed_path_has(&f, "continue"));
        for (int i = 0; i < 9; i++) { /* fewer are no reason */
            fl_rbed_reply_page(&f, same, 0, "10", "token");
            assert_int_equal(fl_rbed_expect_request(&f, 0), 0);
        }
        FL_RBED_LIST(&f, "10", {"a", "5"}, {"b", "6"});
        assert_int_equal(f.synced, 1);
        assert_int_equal(fl_kube_store_count(f.store), 2);
        fl_rbed_teardown(&f);
    }
}

static void test_a_page_is_asked_again_after_a_refusal(void **state) {
    struct fl_rbed f;
    FL_UNUSED(state);
    fl_rbed_setup_asked(&f);
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
        fl_rbed_setup_asked(&f);
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
    fl_rbed_setup_asked(&f);
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
    fl_rbed_setup_asked(&f);
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
    fl_rbed_setup_asked(&f);
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
    fl_rbed_setup_asked(&f);
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
    fl_rbed_expect_watch(&f, 0);
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
        cmocka_unit_test(test_retry_after_is_honoured_and_the_position_kept),
        cmocka_unit_test(test_a_page_is_asked_again_after_a_refusal),
        cmocka_unit_test(test_pages_that_bring_nothing_are_bounded),
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
