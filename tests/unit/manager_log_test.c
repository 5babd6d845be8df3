/* manager_log_test.c - the lines that operators grep: the three acceptance scenarios of the
 * connection manager, whose whole log is compared with a golden file, and its four filters. What
 * the test saw is left in manager_log.actual. */
#include "support/manager_bed.h"

#include <stdio.h>
#include <stdlib.h>

/* --- the golden file --- */

static const char *read_golden(void) {
    static char text[64 * 1024];
    FILE *file = fopen(FL_GOLDEN, "r");
    if (!file) return "";
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

/* Of the log, what is in the manager's style. */
static char *lines_of_the_manager(void) {
    static char text[64 * 1024];
    size_t len = 0;
    for (const char *line = fl_mbed_log(), *next; *line; line = next) {
        next = strchr(line, '\n') + 1;
        if (strncmp(line, "[K8s Discovery] ", 16) != 0) continue;
        memcpy(text + len, line, (size_t)(next - line));
        len += (size_t)(next - line);
    }
    text[len] = '\0';
    return text;
}

static void expect_golden(void) {
    const char *golden = read_golden(), *lines = lines_of_the_manager();
    FILE *file = fopen("manager_log.actual", "w");
    assert_non_null(file);
    fputs(lines, file);
    fclose(file);
    unsigned number = 1;
    for (; *golden && *golden == *lines; golden++, lines++) number += *lines == '\n';
    if (*golden || *lines) fail_msg("line %u: \"%.60s\", not \"%.60s\"", number, lines, golden);
}

static void get(struct fl_mbed *bed, size_t count) {
    struct fl_mbed_conns got;
    fl_mbed_conns_get(bed, &got, "echo");
    assert_int_equal(got.conns.handles.count, count);
    assert_int_equal(fl_mbed_call_each(bed, &got.conns), count);
    fl_mbed_conns_end(&got);
}

/* 1: a pod is deleted and rebuilt: the change is seen, connections follow, those that leave are
 * closed after their delay, all counted. */
static void rebuild_a_pod(struct fl_mbed *bed) {
    struct fl_mbed_conns kept;
    get(bed, 3);
    fl_mbed_conns_get(bed, &kept, "echo");
    fl_mbed_remove_pod(bed, 1);
    fl_mbed_run(bed, 1000);
    fl_mbed_add_pod(bed, 3);
    fl_mbed_run(bed, 10000);
    get(bed, 3);
    assert_int_equal(fl_handle_state(kept.conns.handles.list[0]), FL_CHANNEL_READY);
    assert_int_equal(fl_handle_state(kept.conns.handles.list[1]), FL_CHANNEL_SHUTDOWN);
    fl_mbed_conns_end(&kept);
}

struct tally {
    unsigned started, ended, well;
};

static void on_end(void *arg, const struct fl_call_result *result) {
    struct tally *tally = arg;
    tally->ended++;
    if (result->status == FL_STATUS_OK) tally->well++;
}

/* Some messages are synchronised by one call each, and pushed to every pod. */
static void sync_and_push(struct fl_mbed *bed, struct fl_conn *conn, struct tally *tally) {
    struct fl_handles handles;
    assert_int_equal(fl_channel_handles(fl_conn_channel(conn), &handles, NULL), 0);
    for (size_t i = 0; i <= handles.count; i++) {
        const struct fl_call_options options = {
            .endpoint = i < handles.count ? handles.list[i] : NULL, .timeout_ms = 2000};
        assert_int_equal(fl_call_unary(fl_conn_channel(conn), FL_MBED_METHOD, "\12\2hi", 4,
                                       &options, on_end, tally, NULL, NULL),
                         0);
        tally->started++;
    }
    fl_handles_deinit(&handles);
    fl_mbed_run(bed, 10);
}

/* 2: messages are synchronised and pushed while a pod is rebuilt: neither fails. */
static void sync_and_push_through_a_rebuild(struct fl_mbed *bed) {
    struct fl_mbed_conn got;
    struct tally tally = {0, 0, 0};
    fl_mbed_conn_get(bed, &got, "echo");
    for (int i = 0; i < 100; i++) {
        if (i == 30) fl_mbed_remove_pod(bed, 0);
        if (i == 60) fl_mbed_add_pod(bed, 4);
        sync_and_push(bed, got.conn, &tally);
    }
    fl_mbed_run(bed, 10000);
    assert_int_equal(tally.ended, tally.started);
    assert_int_equal(tally.well, tally.started);
    fl_conn_unref(got.conn);
}

/* 3: scaled to 0, handles are seen as invalid and removed; everything starts anew when pods
 * return, with traffic within 100 ms. */
static void scale_to_zero_and_back(struct fl_mbed *bed) {
    struct fl_mbed_conn got;
    struct tally tally = {0, 0, 0};
    const struct fl_call_options patient = {.wait_for_ready = FL_WAIT_YES};
    fl_mbed_conn_get(bed, &got, "echo");
    for (unsigned i = 2; i <= 4; i++) fl_mbed_remove_pod(bed, i);
    fl_mbed_run(bed, 10000);
    get(bed, 0);
    assert_int_equal(fl_call_unary(fl_conn_channel(got.conn), FL_MBED_METHOD, "\12\2hi", 4,
                                   &patient, on_end, &tally, NULL, NULL),
                     0);
    fl_mbed_run(bed, 5000);
    assert_int_equal(tally.ended, 0);
    fl_mbed_add_pod(bed, 5);
    fl_mbed_run(bed, 100);
    assert_int_equal(tally.well, 1);
    get(bed, 1);
    fl_conn_unref(got.conn);
}

/* What else can be seen: ports that change and endpoints that do not, one that cannot be reached,
 * the end of a service. */
static void run_into_trouble(struct fl_mbed *bed) {
    static const struct fl_k8s_service_port ports[] = {
        {.name = FL_STR("metrics"), .protocol = FL_STR("TCP"), .port = 10001, .target_port = 9},
        {.name = FL_STR("grpc"), .protocol = FL_STR("TCP"), .port = 80, .target_port = 50051},
    };
    struct fl_cluster *cluster = bed->kube.cluster;
    assert_int_equal(fl_cluster_service(cluster, FL_KBED_SHOP, FL_KBED_ECHO, ports, 2), 0);
    fl_mbed_run(bed, 1000);
    fl_mbed_add_pod(bed, 6);
    fl_mbed_run(bed, 1000);
    fl_mbed_kill_server(bed, 5);
    fl_mbed_run(bed, 100);
    get(bed, 1);
    fl_mbed_kill_server(bed, 6);
    fl_mbed_run(bed, 100);
    get(bed, 0);
    assert_int_equal(fl_cluster_service_delete(cluster, FL_KBED_SHOP, FL_KBED_ECHO), 0);
    fl_mbed_run(bed, 10000);
    assert_int_equal(fl_cluster_service(cluster, FL_KBED_SHOP, FL_KBED_ECHO, ports, 2), 0);
    fl_mbed_add_pod(bed, 7);
    fl_mbed_run(bed, 1000);
}

static void ask_in_vain(struct fl_mbed *bed) {
    struct fl_mbed_conns got;
    struct fl_mbed_conn conn;
    fl_mbed_conns_get(bed, &got, "nobody");
    assert_int_equal(got.why.code, FL_EABSENT);
    fl_mbed_conn_get(bed, &conn, "nobody");
    assert_int_equal(conn.why.code, FL_OK); /* it may come to be */
    assert_int_equal(fl_channel_state(fl_conn_channel(conn.conn)), FL_CHANNEL_TRANSIENT_FAILURE);
    fl_conn_unref(conn.conn);
}

static void test_three_scenarios_in_lines(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    fl_mbed_log_start();
    fl_mbed_start(&bed, NULL, 3);
    rebuild_a_pod(&bed);
    sync_and_push_through_a_rebuild(&bed);
    scale_to_zero_and_back(&bed);
    run_into_trouble(&bed);
    ask_in_vain(&bed);
    fl_mbed_close(&bed);
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    fl_mbed_stop(&bed);
    expect_golden();
}

/* Lines of the log that grep finds: "a.*b.*c" with plain parts. */
static unsigned grep(const char *first, const char *then) {
    unsigned found = 0;
    for (const char *line = fl_mbed_log(); *line; line = strchr(line, '\n') + 1) {
        const char *end = strchr(line, '\n'), *at = strstr(line, first);
        const char *second = at ? strstr(at + strlen(first), then) : NULL;
        found += at && at < end && second && second < end;
    }
    return found;
}

/* What operators filter with; the lines are the manager's, whatever else is in the log. */
static void test_four_filters(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    fl_mbed_log_start();
    fl_mbed_start(&bed, NULL, 3);
    rebuild_a_pod(&bed);
    ask_in_vain(&bed);
    fl_mbed_stop(&bed);
    assert_int_equal(grep("K8s Discovery", ""), fl_mbed_log_count("[K8s Discovery] "));
    assert_true(grep("K8s Discovery", "echo") > 20);
    assert_int_equal(grep("K8s Discovery", "ERROR"), 2);
    assert_int_equal(grep("K8s Discovery", "WARNING"), 1);
    assert_int_equal(grep("K8s Discovery", "Watcher"), fl_mbed_log_count("[Watcher] "));
}

/* Options are those of channels made from then on, and so is what is told of their drain. */
static void test_delay_is_that_of_the_channel(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    const struct fl_channel_options slow = {.drain_ms = 60000};
    fl_mbed_log_start();
    fl_mbed_start(&bed, NULL, 3);
    get(&bed, 3);
    fl_connmgr_set_channel_options(bed.mgr, &slow);
    fl_mbed_remove_pod(&bed, 1);
    fl_mbed_run(&bed, 10000);
    fl_mbed_stop(&bed);
    assert_int_equal(fl_mbed_log_count("1 old connections (5 seconds delay)"), 1);
    assert_int_equal(fl_mbed_log_count("Closed 1/1 old connections"), 1);
}

/* The same facts as fields, in the style of all other lines. */
static void test_default_style_carries_the_facts_as_fields(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    fl_mbed_log_start();
    fl_mbed_start(&bed, &(struct fl_connmgr_options){.ns = "shop"}, 3);
    rebuild_a_pod(&bed);
    ask_in_vain(&bed);
    fl_mbed_stop(&bed);
    static const char *const facts[] = {
        "level=info msg=\"connection manager starts\" namespace=shop\n",
        "level=info msg=\"service appeared\" service=echo\n",
        "level=info msg=\"handles held changed\" service=echo old=0 new=3\n",
        "level=info msg=\"handles held changed\" service=echo old=3 new=2\n",
        "level=info msg=\"endpoints leave\" service=echo count=1\n",
        "level=info msg=\"connections drained\" service=echo closed=1 count=1\n",
        "level=warn msg=\"no port can be chosen\" service=nobody cause=ABSENT detail=",
        "level=warn msg=\"channel was not ready in time\" service=nobody\n",
        "level=info msg=\"connection manager closed\" count=3\n",
    };
    for (size_t i = 0; i < FL_COUNT(facts); i++)
        if (!fl_mbed_logged(facts[i])) fail_msg("%s", facts[i]);
    assert_int_equal(fl_mbed_log_count("K8s Discovery"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_scenarios_in_lines),
        cmocka_unit_test(test_four_filters),
        cmocka_unit_test(test_delay_is_that_of_the_channel),
        cmocka_unit_test(test_default_style_carries_the_facts_as_fields),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
