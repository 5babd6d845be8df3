/* base_metrics_test.c - series, their bounds, and the Prometheus text. */
#include "support/alloc.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"

static struct fl_metrics *metrics_new(size_t series_max) {
    struct fl_metrics *metrics;
    assert_int_equal(fl_metrics_new(series_max, &metrics), 0);
    return metrics;
}

static char *written(struct fl_metrics *metrics) {
    struct fl_buf out;
    fl_buf_init(&out, 1 << 20);
    assert_int_equal(fl_metrics_write(metrics, &out), 0);
    char *text = fl_buf_steal_text(&out);
    assert_non_null(text);
    return text;
}

static struct fl_metric *counter(struct fl_metrics *metrics, const char *name, const char *labels) {
    return fl_metrics_get(metrics, FL_METRIC_COUNTER, name, "Help.", labels);
}

static void test_same_name_and_labels_same_series(void **state) {
    FL_UNUSED(state);
    struct fl_metrics *metrics = metrics_new(10);
    struct fl_metric *a = counter(metrics, "a_total", "k=v"),
                     *b = counter(metrics, "a_total", "k=w");
    assert_ptr_equal(counter(metrics, "a_total", "k=v"), a);
    assert_ptr_not_equal(a, b);
    fl_metric_add(a, 2);
    fl_metric_add(a, 3);
    assert_int_equal(fl_metric_value(a), 5);
    assert_int_equal(fl_metric_value(b), 0);
    fl_metrics_free(metrics);
    fl_metrics_free(NULL);
}

#define OVERFLOW_TEXT                                                                              \
    "# HELP fairlead_metrics_overflow_total Series that were asked for and not made for want of "  \
    "room or memory.\n"                                                                            \
    "# TYPE fairlead_metrics_overflow_total counter\n"                                             \
    "fairlead_metrics_overflow_total 0\n"

static void test_text_is_sorted_with_help_and_type_once(void **state) {
    FL_UNUSED(state);
    struct fl_metrics *metrics = metrics_new(10);
    fl_metric_add(counter(metrics, "z_total", "code=b"), 1);
    fl_metric_add(counter(metrics, "z_total", ""), 2);
    fl_metric_add(counter(metrics, "z_total", "code=a,to=x"), 3);
    struct fl_metric *gauge =
        fl_metrics_get(metrics, FL_METRIC_GAUGE, "b_bytes", "Bytes held.", "");
    fl_metric_set(gauge, 7);
    fl_metric_add(gauge, -9);
    char *text = written(metrics);
    assert_string_equal(
        text, "# HELP b_bytes Bytes held.\n# TYPE b_bytes gauge\nb_bytes -2\n" OVERFLOW_TEXT
              "# HELP z_total Help.\n# TYPE z_total counter\n"
              "z_total 2\nz_total{code=\"a\",to=\"x\"} 3\nz_total{code=\"b\"} 1\n");
    fl_free(text);
    fl_metrics_free(metrics);
}

static void test_label_values_are_escaped(void **state) {
    FL_UNUSED(state);
    struct fl_metrics *metrics = metrics_new(10);
    FL_UNUSED(counter(metrics, "a_total", "k=a\"b\\c\nd\xff=e"));
    char *text = written(metrics);
    assert_non_null(strstr(text, "a_total{k=\"a\\\"b\\\\c\\nd\\\\xff=e\"} 0\n"));
    fl_free(text);
    fl_metrics_free(metrics);
}

static void test_histogram_buckets_cumulate(void **state) {
    FL_UNUSED(state);
    struct fl_metrics *metrics = metrics_new(10);
    struct fl_metric *h = fl_metrics_get(metrics, FL_METRIC_HISTOGRAM, "d_ms", "Time.", "op=get");
    static const double values[] = {0, 1, 1.5, 20, 20.25, 5000000, 5000001, -3, NAN};
    for (size_t i = 0; i < FL_COUNT(values); i++) fl_metric_observe(h, values[i]);
    assert_int_equal(fl_metric_value(h), FL_COUNT(values));
    char *text = written(metrics);
    static const char *const expected[] = {
        "# TYPE d_ms histogram\nd_ms_bucket{op=\"get\",le=\"1\"} 4\n",
        "le=\"2\"} 5\n",
        "le=\"10\"} 5\n",
        "le=\"20\"} 6\n",
        "le=\"50\"} 7\n",
        "le=\"5000000\"} 8\n",
        "d_ms_bucket{op=\"get\",le=\"+Inf\"} 9\n",
        "d_ms_sum{op=\"get\"} 10000043.750\nd_ms_count{op=\"get\"} 9\n"};
    for (size_t i = 0; i < FL_COUNT(expected); i++) assert_non_null(strstr(text, expected[i]));
    fl_free(text);
    h = fl_metrics_get(metrics, FL_METRIC_HISTOGRAM, "e_us", "Time.", "");
    fl_metric_observe(h, 1);
    text = written(metrics);
    assert_non_null(strstr(text, "e_us_bucket{le=\"1\"} 1\n"));
    assert_non_null(strstr(text, "e_us_sum 1.000\ne_us_count 1\n"));
    fl_free(text);
    fl_metrics_free(metrics);
}

static void test_histogram_of_seconds(void **state) {
    FL_UNUSED(state);
    struct fl_metrics *metrics = metrics_new(10);
    struct fl_metric *h = fl_metrics_get(metrics, FL_METRIC_HISTOGRAM, "d_seconds", "Time.", "");
    static const double values[] = {0.0004, 0.001, 0.3, 2, 60};
    for (size_t i = 0; i < FL_COUNT(values); i++) fl_metric_observe(h, values[i]);
    char *text = written(metrics);
    static const char *const expected[] = {
        "d_seconds_bucket{le=\"0.001\"} 2\n", "d_seconds_bucket{le=\"0.500\"} 3\n",
        "d_seconds_bucket{le=\"1\"} 3\n",     "d_seconds_bucket{le=\"2\"} 4\n",
        "d_seconds_bucket{le=\"5000\"} 5\n",  "d_seconds_sum 62.301400\nd_seconds_count 5\n"};
    for (size_t i = 0; i < FL_COUNT(expected); i++) assert_non_null(strstr(text, expected[i]));
    fl_free(text);
    fl_metrics_free(metrics);
}

static void test_series_are_bounded(void **state) {
    FL_UNUSED(state);
    struct fl_metrics *metrics = metrics_new(2);
    struct fl_metric *a = counter(metrics, "a_total", ""), *b = counter(metrics, "b_total", "");
    struct fl_metric *over = counter(metrics, "c_total", "");
    assert_ptr_not_equal(over, a);
    assert_ptr_not_equal(over, b);
    assert_ptr_equal(counter(metrics, "d_total", ""), over);
    assert_ptr_equal(counter(metrics, "a_total", ""), a); /* known ones still are */
    /* It takes every kind of change. */
    assert_ptr_equal(fl_metrics_get(metrics, FL_METRIC_HISTOGRAM, "e_ms", "Time.", ""), over);
    fl_metric_add(over, -1);
    fl_metric_set(over, 5);
    fl_metric_observe(over, 5);
    char *text = written(metrics);
    assert_non_null(strstr(text, "\nfairlead_metrics_overflow_total 3\n"));
    assert_null(strstr(text, "c_total"));
    fl_free(text);
    fl_metrics_free(metrics);
}

static void test_no_memory_gives_the_overflow_series(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_metrics *metrics;
        int rc = fl_metrics_new(10, &metrics);
        if (rc < 0) {
            assert_int_equal(rc, FL_ENOMEM);
            assert_null(metrics);
            continue;
        }
        struct fl_metric *h = fl_metrics_get(metrics, FL_METRIC_HISTOGRAM, "h_ms", "Time.", "k=v");
        fl_metric_observe(h, 1);
        struct fl_buf out;
        fl_buf_init(&out, 1 << 20);
        rc = fl_metrics_write(metrics, &out);
        assert_true(rc == 0 || (rc == FL_ENOMEM && fl_buf_str(&out).n == 0));
        fl_buf_deinit(&out);
        fl_metrics_free(metrics);
    }
}

static void test_too_little_room_writes_nothing(void **state) {
    FL_UNUSED(state);
    struct fl_metrics *metrics = metrics_new(10);
    struct fl_buf out;
    fl_buf_init(&out, 100);
    assert_int_equal(fl_buf_append(&out, FL_STR("before")), 0);
    assert_int_equal(fl_metrics_write(metrics, &out), FL_EFULL);
    assert_true(fl_str_eq(fl_buf_str(&out), FL_STR("before")));
    fl_buf_deinit(&out);
    fl_metrics_free(metrics);
}

static void *count_many(void *arg) {
    struct fl_metrics *metrics = arg;
    for (int i = 0; i < 2000; i++) {
        char labels[16];
        snprintf(labels, sizeof(labels), "n=%d", i % 10);
        fl_metric_add(counter(metrics, "a_total", labels), 1);
        fl_metric_observe(fl_metrics_get(metrics, FL_METRIC_HISTOGRAM, "h_ms", "Time.", ""), i);
    }
    return NULL;
}

static void test_threads_lose_nothing(void **state) {
    FL_UNUSED(state);
    struct fl_metrics *metrics = metrics_new(20);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, metrics), 0);
    }
    for (int i = 0; i < 20; i++) fl_free(written(metrics));
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(fl_metric_value(counter(metrics, "a_total", "n=3")), 800);
    struct fl_metric *h = fl_metrics_get(metrics, FL_METRIC_HISTOGRAM, "h_ms", "Time.", "");
    assert_int_equal(fl_metric_value(h), 8000);
    fl_metrics_free(metrics);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_name_and_labels_same_series),
        cmocka_unit_test(test_text_is_sorted_with_help_and_type_once),
        cmocka_unit_test(test_label_values_are_escaped),
        cmocka_unit_test(test_histogram_buckets_cumulate),
        cmocka_unit_test(test_histogram_of_seconds),
        cmocka_unit_test(test_series_are_bounded),
        cmocka_unit_test(test_no_memory_gives_the_overflow_series),
        cmocka_unit_test(test_too_little_room_writes_nothing),
        cmocka_unit_test(test_threads_lose_nothing),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
