/* Channels over TLS on real sockets: names, both sides' certificates, ALPN, and a handshake that
 * stops. */
#include "support/alloc.h"

#include <fairlead/fairlead.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "http/server.h"
#include "support/loop_certs.h"
#include "support/loop_peer.h"

static struct fl_test_cert authority, server_cert, client_cert;
static char folder[] = "/tmp/fl-channel-tls-XXXXXX";
static char ca[64], cert[64], key[64];

struct bed {
    struct fl_runtime *runtime;
    struct fl_tls *tls;
    struct fl_http_server *server;
    struct fl_discovery *discovery;
    struct fl_channel *channel;
    bool channel_closed, discovery_closed, server_closed;
    char scheme[8];
    unsigned ended;
    int http_status;
    enum fl_channel_protocol protocol; /* of the channel to be opened */
    enum fl_status status;
    struct fl_error why;
};

/* --- a server that answers --- */

static void stream_end(void *arg, struct fl_http_stream *stream) {
    FL_UNUSED(arg);
    const struct fl_http_header type = {FL_STR("content-type"), FL_STR("application/grpc")};
    const struct fl_http_header status = {FL_STR("grpc-status"), FL_STR("0")};
    assert_int_equal(
        fl_http_stream_respond(stream, &(struct fl_http_response){200, {&type, 1}}, false), 0);
    assert_int_equal(fl_http_stream_write(stream, fl_str_n("\0\0\0\0\0", 5), false), 0);
    assert_int_equal(fl_http_stream_trailers(stream, (struct fl_http_headers){&status, 1}), 0);
}

static void stream_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                         uint32_t h2_code) {
    FL_UNUSED(arg), FL_UNUSED(stream), FL_UNUSED(why), FL_UNUSED(h2_code);
}

static void on_request(void *arg, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    static const struct fl_http_stream_events events = {.on_end = stream_end,
                                                        .on_close = stream_close};
    struct bed *b = arg;
    fl_str_copy(b->scheme, sizeof(b->scheme), head->scheme);
    fl_http_stream_attach(stream, &events, b);
}

static void set_true(void *arg) { *(bool *)arg = true; }

/* `mutual`: clients must show a certificate; `alpn`: what the server speaks. */
static void start(struct bed *b, bool mutual, const char *alpn) {
    memset(b, 0, sizeof(*b));
    const char *const names[] = {alpn, NULL};
    b->runtime = fl_test_loop_new();
    struct fl_tls_config config = {
        .ca_pem = mutual ? fl_str_of(authority.cert_pem) : FL_STR_NONE,
        .cert_pem = fl_str_of(server_cert.cert_pem),
        .key_pem = fl_str_of(server_cert.key_pem),
        .server = true,
        .alpn = names,
    };
    assert_int_equal(fl_io_tls_new(b->runtime->io, &config, &b->tls, NULL), 0);
    struct fl_http_server_options options = {.host = FL_STR("127.0.0.1"), .tls = b->tls};
    assert_int_equal(fl_http_server_new(b->runtime->io, &options, on_request, b, &b->server, NULL),
                     0);
    assert_int_equal(fl_discovery_new(b->runtime, NULL, &b->discovery, NULL), 0);
}

static void open_to(struct bed *b, uint16_t port, const struct fl_channel_tls *tls,
                    uint32_t connect_timeout_ms) {
    char target[64];
    snprintf(target, sizeof(target), "127.0.0.1:%u", port);
    struct fl_channel_options options = {
        .tls = tls, .connect_timeout_ms = connect_timeout_ms, .protocol = b->protocol};
    assert_int_equal(fl_channel_new(b->runtime, b->discovery, target, &options, &b->channel, NULL),
                     0);
}

static void open_tls(struct bed *b, const struct fl_channel_tls *tls) {
    open_to(b, fl_http_server_port(b->server), tls, 0);
}

static void close_channel(struct bed *b) {
    b->channel_closed = false;
    fl_channel_close(b->channel, set_true, &b->channel_closed);
    fl_test_loop_until_true(b->runtime, &b->channel_closed);
}

static void stop(struct bed *b) {
    close_channel(b);
    fl_discovery_close(b->discovery, set_true, &b->discovery_closed);
    fl_test_loop_until_true(b->runtime, &b->discovery_closed);
    fl_http_server_close(b->server, set_true, &b->server_closed);
    fl_test_loop_until_true(b->runtime, &b->server_closed);
    fl_tls_unref(b->runtime->io, b->tls);
    fl_runtime_free(b->runtime);
}

static void on_end(void *arg, const struct fl_call_result *result) {
    struct bed *b = arg;
    b->ended++;
    b->status = result->status;
    b->why = *result->why;
}

static bool has_ended(void *arg) { return ((struct bed *)arg)->ended > 0; }

static void call(struct bed *b) {
    b->ended = 0;
    assert_int_equal(fl_call_unary(b->channel, "/s/m", "", 0, NULL, on_end, b, NULL, NULL), 0);
    fl_test_loop_until(b->runtime, has_ended, b);
    assert_int_equal(b->ended, 1);
}

static void expect_failure(struct bed *b, int code) {
    call(b);
    assert_int_equal(b->status, FL_STATUS_UNAVAILABLE);
    assert_string_equal(fl_error_name(b->why.code), fl_error_name(code));
}

/* --- tests --- */

static void test_call_over_tls(void **state) {
    FL_UNUSED(state);
    struct bed b;
    start(&b, false, "h2");
    open_tls(&b, &(struct fl_channel_tls){.ca_file = ca, .server_name = "echo.test"});
    call(&b);
    assert_int_equal(b.status, FL_STATUS_OK);
    assert_string_equal(b.scheme, "https");
    stop(&b);
}

/* The name is the target's own: the address it was dialled by, or what the options say. */
static void test_names_per_target(void **state) {
    FL_UNUSED(state);
    struct bed b;
    start(&b, false, "h2");
    open_tls(&b, &(struct fl_channel_tls){.ca_file = ca, .server_name = "other.test"});
    expect_failure(&b, FL_ECERT);
    close_channel(&b);
    open_tls(&b, &(struct fl_channel_tls){.ca_file = ca}); /* the host of 127.0.0.1:port */
    call(&b);
    assert_int_equal(b.status, FL_STATUS_OK);
    stop(&b);
}

static void test_unknown_authority_is_refused(void **state) {
    FL_UNUSED(state);
    struct bed b;
    start(&b, false, "h2");
    open_tls(&b, &(struct fl_channel_tls){.server_name = "echo.test"});
    expect_failure(&b, FL_ECERT);
    close_channel(&b);
    open_tls(&b, &(struct fl_channel_tls){.insecure_skip_verify = true});
    call(&b);
    assert_int_equal(b.status, FL_STATUS_OK);
    stop(&b);
}

static void test_mutual_tls(void **state) {
    FL_UNUSED(state);
    struct bed b;
    start(&b, true, "h2");
    open_tls(&b, &(struct fl_channel_tls){.ca_file = ca});
    call(&b);
    assert_int_equal(b.status, FL_STATUS_UNAVAILABLE);
    close_channel(&b);
    open_tls(&b, &(struct fl_channel_tls){.ca_file = ca, .cert_file = cert, .key_file = key});
    call(&b);
    assert_int_equal(b.status, FL_STATUS_OK);
    stop(&b);
}

/* gRPC needs HTTP/2, and a server that does not speak it says so by ALPN. */
static void test_server_without_h2(void **state) {
    FL_UNUSED(state);
    struct bed b;
    start(&b, false, "http/1.1");
    open_tls(&b, &(struct fl_channel_tls){.ca_file = ca});
    expect_failure(&b, FL_ETLS);
    stop(&b);
}

static void on_response(void *arg, const struct fl_response *response) {
    struct bed *b = arg;
    b->ended++;
    b->http_status = response->status;
    b->why = *response->why;
}

/* A channel for plain HTTP takes what the server has, gRPC only HTTP/2. */
static void test_version_by_alpn(void **state) {
    FL_UNUSED(state);
    const char *const versions[] = {"h2", "http/1.1"};
    for (size_t i = 0; i < FL_COUNT(versions); i++) {
        struct bed b;
        start(&b, false, versions[i]);
        b.protocol = FL_PROTOCOL_HTTP;
        open_tls(&b, &(struct fl_channel_tls){.ca_file = ca, .server_name = "echo.test"});
        assert_int_equal(fl_request_start(b.channel, &(struct fl_request){.path = "/"}, NULL,
                                          on_response, &b, NULL, NULL),
                         0);
        fl_test_loop_until(b.runtime, has_ended, &b);
        assert_string_equal(b.why.detail, "");
        assert_int_equal(b.http_status, 200);
        call(&b);
        assert_int_equal(b.why.code, i == 0 ? FL_OK : FL_EPROTO);
        stop(&b);
    }
}

static void test_wrong_file_is_an_error_at_creation(void **state) {
    FL_UNUSED(state);
    struct bed b;
    struct fl_error err;
    start(&b, false, "h2");
    struct fl_channel *none = NULL;
    struct fl_channel_tls tls = {.ca_file = "/nowhere/ca.pem"};
    struct fl_channel_options options = {.tls = &tls};
    int rc = fl_channel_new(b.runtime, b.discovery, "127.0.0.1:1", &options, &none, &err);
    assert_int_equal(rc, FL_ECONFIG);
    assert_non_null(strstr(err.detail, "ca_file: /nowhere/ca.pem"));
    open_tls(&b, NULL);
    stop(&b);
}

/* A server that takes the connection and never answers the ClientHello. */
static void test_handshake_that_stops(void **state) {
    FL_UNUSED(state);
    struct bed b;
    uint16_t port;
    start(&b, false, "h2");
    int fd = fl_test_raw_listen(5, &port);
    open_to(&b, port, &(struct fl_channel_tls){.ca_file = ca}, 200);
    expect_failure(&b, FL_ETIMEOUT);
    stop(&b);
    close(fd);
}

static void put(char path[64], const char *name, const char *text) {
    snprintf(path, 64, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call_over_tls),
        cmocka_unit_test(test_names_per_target),
        cmocka_unit_test(test_unknown_authority_is_refused),
        cmocka_unit_test(test_mutual_tls),
        cmocka_unit_test(test_server_without_h2),
        cmocka_unit_test(test_version_by_alpn),
        cmocka_unit_test(test_wrong_file_is_an_error_at_creation),
        cmocka_unit_test(test_handshake_that_stops),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    assert_non_null(mkdtemp(folder));
    fl_test_cert_init(&authority, "authority", &(struct fl_test_cert_options){0});
    fl_test_cert_init(&server_cert, "server",
                      &(struct fl_test_cert_options){.issuer = &authority,
                                                     .names = "DNS:echo.test, IP:127.0.0.1"});
    fl_test_cert_init(&client_cert, "client",
                      &(struct fl_test_cert_options){.issuer = &authority, .client = true});
    put(ca, "ca", authority.cert_pem);
    put(cert, "cert", client_cert.cert_pem);
    put(key, "key", client_cert.key_pem);
    int rc = fl_test_run(tests, FL_COUNT(tests));
    fl_test_cert_deinit(&authority);
    fl_test_cert_deinit(&server_cert);
    fl_test_cert_deinit(&client_cert);
    unlink(ca), unlink(cert), unlink(key), rmdir(folder);
    return rc;
}
