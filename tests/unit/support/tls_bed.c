/* tls_bed.c - see tls_bed.h. */
#include "support/tls_bed.h"

struct fl_test_cert authority, stranger, good, expired, elsewhere, user;

struct fl_tls *load(struct fl_io *io, const struct fl_tls_config *config) {
    struct fl_tls *tls = NULL;
    struct fl_error err = {0};
    int rc = fl_io_tls_new(io, config, &tls, &err);
    assert_string_equal(err.detail, "");
    assert_int_equal(rc, 0);
    return tls;
}

struct fl_tls_config server_config(const struct fl_test_cert *cert) {
    return (struct fl_tls_config){
        .server = true, .cert_pem = fl_str_of(cert->cert_pem), .key_pem = fl_str_of(cert->key_pem)};
}

struct fl_tls_config client_config(void) {
    return (struct fl_tls_config){.ca_pem = fl_str_of(authority.cert_pem)};
}

void link_init(struct link *l, const struct fl_tls_config *client,
               const struct fl_tls_config *server) {
    l->runtime = fl_test_loop_new();
    l->io = l->runtime->io;
    l->client_tls = load(l->io, client);
    l->server_tls = load(l->io, server);
    fl_test_peer_init(&l->client, l->runtime);
    fl_test_server_init(&l->server, l->runtime, "127.0.0.1", l->server_tls);
    l->server.peer.echo = true;
}

void dial_as(struct link *l, uint16_t port, const char *name, uint64_t in_ms) {
    struct fl_error err;
    struct fl_dial dial = {.host = FL_STR("127.0.0.1"),
                           .port = port,
                           .tls = l->client_tls,
                           .server_name = fl_str_of(name),
                           .deadline_ms = fl_io_now_ms(l->io) + in_ms};
    assert_int_equal(
        fl_io_dial(l->io, &dial, &fl_test_peer_events, &l->client, &l->client.sock, &err), 0);
}

static bool is_settled(void *arg) {
    struct link *l = arg;
    return l->client.closed || (l->client.open && l->server.peer.open);
}

void link_dial(struct link *l, const char *name) {
    dial_as(l, l->server.port, name, 30000);
    fl_test_loop_until(l->runtime, is_settled, l);
}

void link_end(struct link *l) {
    fl_tls_unref(l->io, l->client_tls); /* socks keep theirs */
    fl_tls_unref(l->io, l->server_tls);
    fl_test_loop_end(l->runtime, &l->client, &l->server);
}

void assert_failed(struct link *l, int code, const char *words) {
    assert_true(l->client.closed);
    assert_int_equal(l->client.opens, 0);
    assert_int_equal(l->client.closes, 1);
    assert_string_equal(fl_error_name(l->client.why.code), fl_error_name(code));
    if (!strstr(l->client.why.detail, words)) fail_msg("detail: %s", l->client.why.detail);
    assert_memory_equal(l->client.why.detail, "127.0.0.1:", 10);
    fl_test_loop_settle(l->runtime);
    assert_int_equal(l->server.accepted, 0);
}

void make_certificates(void) {
    struct fl_test_cert_options options = {0};
    fl_test_cert_init(&authority, "test authority", &options);
    fl_test_cert_init(&stranger, "another authority", &options);
    options.issuer = &authority;
    options.client = true;
    fl_test_cert_init(&user, "user", &options);
    options.client = false;
    options.names = NAMES;
    fl_test_cert_init(&good, "echo", &options);
    options.names = "DNS:elsewhere.test, IP:127.0.0.9, IP:::1";
    fl_test_cert_init(&elsewhere, "elsewhere", &options);
    options = (struct fl_test_cert_options){
        .issuer = &authority, .names = NAMES, .from_s = -7200, .until_s = -3600};
    fl_test_cert_init(&expired, "echo", &options);
}

void free_certificates(void) {
    struct fl_test_cert *all[] = {&authority, &stranger, &good, &expired, &elsewhere, &user};
    for (size_t i = 0; i < FL_COUNT(all); i++) fl_test_cert_deinit(all[i]);
}
