/* kube_pace_test.c - lists that come slowly: which are waited for, and which are given up. */
#include "support/reflector_bed.h"

#include "kube/body_pace.h"

/* A list is under way, its head has come. */
static void setup_list(struct fl_rbed *f, enum fl_k8s_format format) {
    fl_rbed_setup(f);
    f->format = format;
    fl_rbed_expect_request(f, 0);
    fl_rbed_head(f, 200, format == FL_K8S_JSON ? FL_RBED_JSON : FL_RBED_PROTOBUF);
}

/* Feeds `n` bytes each `ms`, until all are fed or it gives up; the time that passed. */
static uint64_t trickle(struct fl_rbed *f, struct fl_str bytes, size_t n, uint64_t ms) {
    uint64_t start_ms = f->now_ms;
    for (size_t at = 0; at < bytes.n && !f->cancels; at += n) {
        fl_rbed_feed(f, fl_str_n(bytes.p + at, FL_MIN(n, bytes.n - at)));
        f->now_ms += ms;
        assert_false(fl_rbed_act(f));
    }
    return f->now_ms - start_ms;
}

/* W9: bytes that come now and then are not an answer that comes. */
static void test_W9_a_list_that_trickles_is_given_up(void **state) {
    FL_UNUSED(state);
    for (int format = FL_K8S_JSON; format <= FL_K8S_PROTOBUF; format++) {
        struct fl_rbed f;
        struct fl_buf bytes;
        setup_list(&f, (enum fl_k8s_format)format);
        fl_rbed_list_bytes(&f, &bytes, (const struct fl_rbed_item[]){{"a", "5"}}, 1, "10", "");
        uint64_t took_ms = trickle(&f, fl_buf_str(&bytes), 1, 1000);
        fl_buf_deinit(&bytes);
        assert_int_equal(f.cancels, 1);
        assert_in_range(took_ms, 30000, 31000);
        assert_int_equal(f.trouble.code, FL_ETIMEOUT);
        assert_true(fl_rbed_expect_request(&f, 60000) > 0);
        fl_rbed_teardown(&f);
    }
}

/* Whole objects show that it gets on, however long the list takes. */
static void test_a_list_that_gets_on_is_waited_for(void **state) {
    static const struct fl_rbed_item items[] = {{"a", "5"}, {"b", "6"}, {"c", "7"}, {"d", "8"}};
    FL_UNUSED(state);
    for (int format = FL_K8S_JSON; format <= FL_K8S_PROTOBUF; format++) {
        struct fl_rbed f;
        struct fl_buf bytes;
        setup_list(&f, (enum fl_k8s_format)format);
        fl_rbed_list_bytes(&f, &bytes, items, FL_COUNT(items), "10", "");
        size_t piece = bytes.len / FL_COUNT(items) + 1;
        uint64_t took_ms = trickle(&f, fl_buf_str(&bytes), piece, 25000);
        fl_buf_deinit(&bytes);
        assert_int_equal(f.cancels, 0);
        assert_int_equal(took_ms, 4 * 25000);
        fl_rbed_closed(&f, FL_OK);
        assert_true(fl_reflector_synced(f.r));
        fl_rbed_teardown(&f);
    }
}

/* One object that takes longer than any silence may last comes through a thin line. */
static void test_W14_a_large_object_on_a_thin_line_is_waited_for(void **state) {
    const size_t blanks = (size_t)4 * 1024 * 1024;
    struct fl_rbed f;
    struct fl_buf bytes, wide;
    FL_UNUSED(state);
    setup_list(&f, FL_K8S_JSON);
    fl_rbed_list_bytes(&f, &bytes, (const struct fl_rbed_item[]){{"a", "5"}}, 1, "10", "");
    struct fl_str text = fl_buf_str(&bytes);
    const char *at = memmem(text.p, text.n, "\"metadata\":{\"name\"", 18);
    assert_non_null(at);
    size_t before = (size_t)(at - text.p);
    fl_buf_init(&wide, 2 * blanks);
    assert_int_equal(fl_buf_append(&wide, fl_str_n(text.p, before)), FL_OK);
    char *gap = fl_buf_reserve(&wide, blanks);
    assert_non_null(gap);
    memset(gap, ' ', blanks);
    fl_buf_commit(&wide, blanks);
    assert_int_equal(fl_buf_append(&wide, fl_str_from(text, before)), FL_OK);
    uint64_t took_ms =
        trickle(&f, fl_buf_str(&wide), FL_BODY_PACE_RATE * 10, 10000); /* in pieces of 10 s */
    assert_int_equal(f.cancels, 0);
    assert_true(took_ms > 8 * (uint64_t)FL_BODY_PACE_SILENCE_MS);
    fl_rbed_closed(&f, FL_OK);
    fl_rbed_expect_changes(&f, "+a@5 ");
    fl_buf_deinit(&bytes);
    fl_buf_deinit(&wide);
    fl_rbed_teardown(&f);
}

/* Bytes for ever, at any speed, that are no object. */
static void test_W9_a_list_of_blanks_is_given_up(void **state) {
    static char blanks[128 * 1024];
    const uint64_t most_ms =
        FL_BODY_PACE_SILENCE_MS + FL_K8S_FRAME_MAX * 1000 / FL_BODY_PACE_RATE + 2000;
    struct fl_rbed f;
    FL_UNUSED(state);
    memset(blanks, ' ', sizeof(blanks));
    setup_list(&f, FL_K8S_JSON);
    uint64_t start_ms = f.now_ms;
    while (!f.cancels && f.now_ms < start_ms + most_ms)
        trickle(&f, fl_str_n(blanks, sizeof(blanks)), sizeof(blanks), 1000);
    assert_int_equal(f.cancels, 1);
    fl_rbed_teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_W9_a_list_that_trickles_is_given_up),
        cmocka_unit_test(test_a_list_that_gets_on_is_waited_for),
        cmocka_unit_test(test_W14_a_large_object_on_a_thin_line_is_waited_for),
        cmocka_unit_test(test_W9_a_list_of_blanks_is_given_up),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
