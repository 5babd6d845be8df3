/* manager_bed.c - see manager_bed.h. */
#include "support/manager_bed.h"

#include <stdio.h>

#include "registry/static.h"

/* --- the log --- */

static struct {
    char text[256 * 1024];
    size_t len;
} kept;

static void keep_line(void *arg, const char *line, size_t len) {
    FL_UNUSED(arg);
    const char *rest = memchr(line, ' ', len);
    if (rest && line[0] == '2') { /* a time */
        len -= (size_t)(rest + 1 - line);
        line = rest + 1;
    }
    assert_true(kept.len + len < sizeof(kept.text));
    memcpy(kept.text + kept.len, line, len);
    kept.len += len;
    kept.text[kept.len] = '\0';
}

void fl_mbed_log_start(void) {
    kept.len = 0;
    kept.text[0] = '\0';
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_INFO, .write = keep_line});
}

const char *fl_mbed_log(void) { return kept.text; }

bool fl_mbed_logged(const char *text) { return strstr(kept.text, text) != NULL; }

unsigned fl_mbed_log_count(const char *text) {
    unsigned count = 0;
    for (const char *at = kept.text; (at = strstr(at, text)); count++) {
        at = strchr(at, '\n');
        if (!at) break;
    }
    return count;
}

/* --- the cluster --- */

void fl_mbed_run(struct fl_mbed *bed, uint64_t ms) { fl_world_run_ms(bed->kube.world, ms); }

static const char *address_of(unsigned i) {
    static char text[32];
    snprintf(text, sizeof(text), "10.1.0.%u", i + 1);
    return text;
}

void fl_mbed_add_pod(struct fl_mbed *bed, unsigned i) {
    struct fl_mbed_pod *pod = &bed->pods[i];
    const struct fl_echo_options options = {.host = fl_str_of(address_of(i)), .port = 50051};
    struct fl_cluster *cluster = bed->kube.cluster;
    if (!pod->echo) assert_int_equal(fl_echo_new(bed->kube.io, &options, &pod->echo, NULL), 0);
    assert_int_equal(fl_cluster_pod_add(cluster, FL_KBED_SHOP, FL_KBED_ECHO,
                                        fl_str_of(address_of(i)), &pod->name),
                     0);
    assert_int_equal(fl_cluster_pod_phase(cluster, FL_KBED_SHOP, pod->name, FL_POD_READY), 0);
}

void fl_mbed_remove_pod(struct fl_mbed *bed, unsigned i) {
    assert_int_equal(fl_cluster_pod_delete(bed->kube.cluster, FL_KBED_SHOP, bed->pods[i].name), 0);
}

static void set_true(void *arg) { *(bool *)arg = true; }
static bool is_true(void *arg) { return *(bool *)arg; }

void fl_mbed_kill_server(struct fl_mbed *bed, unsigned i) {
    bool done = false;
    fl_echo_kill(bed->pods[i].echo, set_true, &done);
    assert_true(fl_world_run_until(bed->kube.world, is_true, &done, 5000));
    bed->pods[i].echo = NULL;
}

void fl_mbed_start(struct fl_mbed *bed, const struct fl_connmgr_options *options, unsigned pods) {
    fl_mbed_start_as(bed, options, pods, NULL);
}

void fl_mbed_start_as(struct fl_mbed *bed, const struct fl_connmgr_options *options, unsigned pods,
                      const char *hostname) {
    static const struct fl_connmgr_options lines = {.log_style = FL_LOG_STYLE_K8S_DISCOVERY};
    struct fl_provider *provider;
    struct fl_error err;
    *bed = (struct fl_mbed){.closed = 0};
    fl_kbed_setup(&bed->kube, NULL);
    if (hostname) assert_int_equal(fl_world_env(bed->kube.world, "HOSTNAME", hostname), 0);
    assert_int_equal(fl_provider_static_new(bed->kube.io, &provider, NULL), 0);
    assert_int_equal(fl_discovery_take_provider(bed->kube.hub, provider), 0);
    fl_kbed_add_service(&bed->kube, FL_KBED_SHOP, FL_KBED_ECHO);
    for (unsigned i = 0; i < pods; i++) fl_mbed_add_pod(bed, i);
    int rc = fl_connmgr_new(bed->kube.hub, options ? options : &lines, &bed->mgr, &err);
    if (rc != 0) fail_msg("%s", err.detail);
}

static void on_closed(void *arg) { ((struct fl_mbed *)arg)->closed++; }

void fl_mbed_close(struct fl_mbed *bed) {
    if (!bed->mgr) return;
    fl_connmgr_close(bed->mgr, on_closed, bed);
    assert_int_equal(bed->closed, 0);
    bed->mgr = NULL;
    fl_mbed_run(bed, 3000);
    assert_int_equal(bed->closed, 1);
}

void fl_mbed_stop(struct fl_mbed *bed) {
    fl_mbed_close(bed);
    for (unsigned i = 0; i < FL_MBED_PODS_MAX; i++)
        if (bed->pods[i].echo) fl_mbed_kill_server(bed, i);
    fl_kbed_teardown(&bed->kube);
}

/* --- asking --- */

void fl_mbed_on_conns(void *arg, const struct fl_error *why, struct fl_conns *conns) {
    struct fl_mbed_conns *seen = arg;
    seen->calls++;
    assert_true((why != NULL) != (conns != NULL));
    if (why) seen->why = *why;
    if (conns) seen->conns = *conns;
}

void fl_mbed_conns_ask(struct fl_mbed *bed, struct fl_mbed_conns *conns, const char *service) {
    *conns = (struct fl_mbed_conns){.calls = 0};
    assert_int_equal(
        fl_connmgr_get_conns_async(bed->mgr, service, 0, fl_mbed_on_conns, conns, NULL), 0);
    assert_int_equal(conns->calls, 0);
}

static bool has_conns(void *arg) { return ((struct fl_mbed_conns *)arg)->calls > 0; }

void fl_mbed_conns_get(struct fl_mbed *bed, struct fl_mbed_conns *conns, const char *service) {
    fl_mbed_conns_ask(bed, conns, service);
    assert_true(fl_world_run_until(bed->kube.world, has_conns, conns, 20000));
    assert_int_equal(conns->calls, 1);
}

void fl_mbed_conns_end(struct fl_mbed_conns *conns) { fl_conns_deinit(&conns->conns); }

void fl_mbed_on_conn(void *arg, const struct fl_error *why, struct fl_conn *conn) {
    struct fl_mbed_conn *seen = arg;
    seen->calls++;
    assert_true((why != NULL) != (conn != NULL));
    if (why) seen->why = *why;
    seen->conn = conn;
}

void fl_mbed_conn_ask(struct fl_mbed *bed, struct fl_mbed_conn *conn, const char *service,
                      uint32_t timeout_ms) {
    *conn = (struct fl_mbed_conn){.calls = 0};
    assert_int_equal(
        fl_connmgr_get_conn_async(bed->mgr, service, timeout_ms, fl_mbed_on_conn, conn, NULL), 0);
    assert_int_equal(conn->calls, 0);
}

static bool has_conn(void *arg) { return ((struct fl_mbed_conn *)arg)->calls > 0; }

void fl_mbed_conn_get(struct fl_mbed *bed, struct fl_mbed_conn *conn, const char *service) {
    fl_mbed_conn_ask(bed, conn, service, 0);
    assert_true(fl_world_run_until(bed->kube.world, has_conn, conn, 20000));
    assert_int_equal(conn->calls, 1);
}

/* --- calls --- */

struct tally {
    unsigned ended, well;
};

static void on_end(void *arg, const struct fl_call_result *result) {
    struct tally *tally = arg;
    tally->ended++;
    if (result->status == FL_STATUS_OK) tally->well++;
}

unsigned fl_mbed_call_each(struct fl_mbed *bed, const struct fl_conns *conns) {
    struct tally tally = {0, 0};
    for (size_t i = 0; i < conns->handles.count; i++) {
        const struct fl_call_options options = {.endpoint = conns->handles.list[i]};
        assert_int_equal(fl_call_unary(fl_conn_channel(conns->conn), FL_MBED_METHOD, "\12\2hi", 4,
                                       &options, on_end, &tally, NULL, NULL),
                         0);
    }
    fl_mbed_run(bed, 1000);
    assert_int_equal(tally.ended, conns->handles.count);
    return tally.well;
}
