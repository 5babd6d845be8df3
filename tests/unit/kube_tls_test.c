/* kube_tls_test.c - a client on the real loop: certificates and authorities that are replaced in
 * their files, and a real exec plugin. */
#include "support/alloc.h"

#include <fairlead/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/conn.h"
#include "kube/client.h"
#include "kube/kubeconfig.h"
#include "support/loop_certs.h"
#include "support/loop_peer.h"

#define CONNS_MAX 16

struct fixture {
    struct fl_runtime *runtime;
    struct fl_io *io;
    char folder[64];
    /* Two plans: the first authority signs the first certificates, the second the second. */
    struct fl_test_cert ca[2], server[2], user[2];
    struct fl_tls *server_tls;
    struct fl_listener *listener;
    uint16_t port;
    struct fl_http_conn *conns[CONNS_MAX];
    size_t accepted, open, requests;
    struct fl_kube_config config;
    struct fl_kube_client *client;
    bool client_closed;
};

struct answer {
    struct fl_kube_request *request;
    int status, heads;
    bool closed;
    struct fl_error why;
};

/* --- the server --- */

static void on_stream_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                            uint32_t h2_code) {
    FL_UNUSED(arg), FL_UNUSED(stream), FL_UNUSED(why), FL_UNUSED(h2_code);
}

static const struct fl_http_stream_events server_stream_events = {.on_close = on_stream_close};

static void on_request(void *arg, struct fl_http_conn *conn, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    struct fixture *f = arg;
    const struct fl_http_response response = {.status = 200};
    FL_UNUSED(conn), FL_UNUSED(head);
    f->requests++;
    fl_http_stream_attach(stream, &server_stream_events, f);
    assert_int_equal(fl_http_stream_respond(stream, &response, true), FL_OK);
}

static void on_conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    struct fixture *f = arg;
    FL_UNUSED(why);
    for (size_t i = 0; i < f->accepted; i++)
        if (f->conns[i] == conn) f->conns[i] = NULL;
    f->open--;
}

static const struct fl_http_conn_events server_events = {.on_request = on_request,
                                                         .on_close = on_conn_close};

static void on_accept(void *arg, struct fl_sock *sock) {
    struct fixture *f = arg;
    const struct fl_http_options options = {.version = FL_HTTP_BY_ALPN};
    assert_true(f->accepted < CONNS_MAX);
    assert_int_equal(fl_http_conn_take_accepted(f->io, sock, &options, &server_events, f,
                                                &f->conns[f->accepted], NULL),
                     FL_OK);
    f->accepted++;
    f->open++;
}

/* With that server certificate; the user's must be of that authority. */
static void serve(struct fixture *f, int server, int authority) {
    static const char *const alpn[] = {"h2", NULL};
    const struct fl_tls_config config = {
        .server = true,
        .ca_pem = fl_str_of(f->ca[authority].cert_pem),
        .cert_pem = fl_str_of(f->server[server].cert_pem),
        .key_pem = fl_str_of(f->server[server].key_pem),
        .alpn = alpn,
    };
    assert_int_equal(fl_io_tls_new(f->io, &config, &f->server_tls, NULL), FL_OK);
    assert_int_equal(fl_io_listen(f->io, FL_STR("127.0.0.1"), f->port, f->server_tls, on_accept, f,
                                  &f->listener, NULL),
                     FL_OK);
    f->port = fl_listener_port(f->io, f->listener);
}

static bool none_open(void *arg) { return ((struct fixture *)arg)->open == 0; }

static void stop_serving(struct fixture *f) {
    const struct fl_error why = {.code = FL_ESHUTDOWN};
    fl_listener_close(f->io, f->listener);
    fl_tls_unref(f->io, f->server_tls);
    for (size_t i = 0; i < f->accepted; i++)
        if (f->conns[i]) fl_http_conn_abort(f->conns[i], &why);
    fl_test_loop_until(f->runtime, none_open, f);
    fl_test_loop_settle(f->runtime);
}

/* --- the files --- */

static void put(struct fixture *f, const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", f->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0700), 0);
}

static void put_user(struct fixture *f, int which) {
    put(f, "user.crt", f->user[which].cert_pem);
    put(f, "user.key", f->user[which].key_pem);
}

static void remove_files(struct fixture *f) {
    static const char *const names[] = {"ca.crt", "user.crt", "user.key", "config", "plugin"};
    char path[128];
    for (size_t i = 0; i < FL_COUNT(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", f->folder, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(f->folder), 0);
}

/* --- the caller --- */

static void on_response(void *arg, const struct fl_http_response *head) {
    struct answer *a = arg;
    a->status = head->status;
    a->heads++;
}

static void on_data(void *arg, struct fl_str bytes) { FL_UNUSED(arg), FL_UNUSED(bytes); }

static void on_close(void *arg, const struct fl_error *why) {
    struct answer *a = arg;
    a->closed = true;
    a->why = *why;
}

static const struct fl_kube_request_events events = {
    .on_response = on_response, .on_data = on_data, .on_close = on_close};

static struct answer get(struct fixture *f) {
    struct answer a = {.status = 0};
    assert_int_equal(fl_kube_client_get(f->client, FL_STR("/api"), FL_STR("application/json"),
                                        &events, &a, &a.request, NULL),
                     FL_OK);
    fl_test_loop_until_true(f->runtime, &a.closed);
    return a;
}

static void assert_granted(const struct answer *a) {
    if (a->why.code != FL_OK) fail_msg("%s: %s", fl_error_name(a->why.code), a->why.detail);
    assert_int_equal(a->status, 200);
    assert_int_equal(a->heads, 1);
}

/* --- the fixture --- */

static void make_certs(struct fixture *f) {
    for (int i = 0; i < 2; i++) {
        fl_test_cert_init(&f->ca[i], i ? "second" : "first", &(struct fl_test_cert_options){0});
        fl_test_cert_init(
            &f->server[i], "server",
            &(struct fl_test_cert_options){.issuer = &f->ca[i], .names = "IP:127.0.0.1"});
        fl_test_cert_init(&f->user[i], "user",
                          &(struct fl_test_cert_options){.issuer = &f->ca[i], .client = true});
    }
}

#define FILES "client-certificate: user.crt, client-key: user.key"

static void setup(struct fixture *f, const char *user) {
    char path[128], text[1024];
    *f = (struct fixture){.port = 0};
    f->runtime = fl_test_loop_new();
    f->io = f->runtime->io;
    snprintf(f->folder, sizeof(f->folder), "/tmp/kube_tls_test.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    make_certs(f);
    serve(f, 0, 0);
    put(f, "ca.crt", f->ca[0].cert_pem);
    put_user(f, 0);
    snprintf(text, sizeof(text),
             "current-context: m\ncontexts: [{name: m, context: {cluster: c, user: u}}]\n"
             "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:%u',"
             " certificate-authority: ca.crt}}]\nusers: [{name: u, user: {%s}}]\n",
             f->port, user);
    put(f, "config", text);
    snprintf(path, sizeof(path), "%s/config", f->folder);
    const struct fl_kube_config_options options = {.kubeconfig = path};
    const struct fl_kube_client_options plain = {.http2_cleartext = false};
    assert_int_equal(fl_kube_config_load(f->io, &options, &f->config, NULL), FL_OK);
    assert_int_equal(fl_kube_client_new(f->io, &f->config, &plain, &f->client, NULL), FL_OK);
}

static void on_client_closed(void *arg) { *(bool *)arg = true; }

static void teardown(struct fixture *f) {
    fl_kube_client_close(f->client, on_client_closed, &f->client_closed);
    fl_test_loop_until_true(f->runtime, &f->client_closed);
    stop_serving(f);
    fl_kube_config_deinit(&f->config);
    fl_runtime_free(f->runtime);
    for (int i = 0; i < 2; i++) {
        fl_test_cert_deinit(&f->ca[i]);
        fl_test_cert_deinit(&f->server[i]);
        fl_test_cert_deinit(&f->user[i]);
    }
    remove_files(f);
}

/* --- tests --- */

static void test_an_authority_is_replaced_in_its_file(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, FILES);
    struct answer a = get(&f);
    assert_granted(&a);
    stop_serving(&f);
    serve(&f, 1, 0);
    a = get(&f);
    assert_string_equal(fl_error_name(a.why.code), "CERT");
    put(&f, "ca.crt", f.ca[1].cert_pem);
    a = get(&f);
    assert_granted(&a);
    assert_int_equal(f.requests, 2);
    teardown(&f);
}

static void test_W15_a_client_certificate_is_replaced_in_its_files(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, FILES);
    struct answer a = get(&f);
    assert_granted(&a);
    stop_serving(&f);
    serve(&f, 0, 1); /* the first one is not accepted any more */
    put_user(&f, 1);
    a = get(&f);
    assert_granted(&a);
    assert_int_equal(f.requests, 2);
    teardown(&f);
}

/* A shell script that prints what stands in the files as JSON. */
#define PLUGIN                                                                                     \
    "#!/bin/sh\ncd \"$(dirname \"$0\")\" || exit 1\n"                                              \
    "pem() { sed -e 's/$/\\\\n/' \"$1\" | tr -d '\\n'; }\n"                                        \
    "printf '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","     \
    "\"status\":{\"clientCertificateData\":\"%s\",\"clientKeyData\":\"%s\"}}'"                     \
    " \"$(pem user.crt)\" \"$(pem user.key)\"\n"

static void test_W15_a_plugin_gives_another_certificate(void **state) {
    struct fixture f;
    FL_UNUSED(state);
    setup(&f, "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, "
              "interactiveMode: Never}");
    put(&f, "plugin", PLUGIN);
    struct answer a = get(&f);
    assert_granted(&a);
    stop_serving(&f);
    serve(&f, 0, 1);
    put_user(&f, 1);
    a = get(&f);
    assert_granted(&a);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_authority_is_replaced_in_its_file),
        cmocka_unit_test(test_W15_a_client_certificate_is_replaced_in_its_files),
        cmocka_unit_test(test_W15_a_plugin_gives_another_certificate),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
