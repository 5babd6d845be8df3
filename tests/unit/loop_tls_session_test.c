/* loop_tls_session_test.c - the TLS machine without sockets: bytes carried by hand, in any pieces.
 */
#include <stdio.h>

#include "loop/tls.h"
#include "support/alloc.h"
#include "support/loop_certs.h"

struct ends {
    struct fl_test_cert cert;
    struct fl_tls *client_tls, *server_tls;
    struct fl_tls_session *client, *server;
    struct fl_error err;
};

static void start(struct ends *e) {
    struct fl_test_cert_options options = {.names = "DNS:echo.test"};
    fl_test_cert_init(&e->cert, "echo", &options);
    struct fl_tls_config client = {.ca_pem = fl_str_of(e->cert.cert_pem)};
    struct fl_tls_config server = {.server = true,
                                   .cert_pem = fl_str_of(e->cert.cert_pem),
                                   .key_pem = fl_str_of(e->cert.key_pem)};
    assert_int_equal(fl_tls_context_new(NULL, &client, &e->client_tls, &e->err), 0);
    assert_int_equal(fl_tls_context_new(NULL, &server, &e->server_tls, &e->err), 0);
    assert_int_equal(fl_tls_session_new(e->client_tls, FL_STR("echo.test."), &e->client), 0);
    assert_int_equal(fl_tls_session_new(e->server_tls, FL_STR_NONE, &e->server), 0);
}

static void end(struct ends *e) {
    fl_tls_context_unref(e->client_tls); /* sessions keep theirs */
    fl_tls_context_unref(e->server_tls);
    fl_tls_session_free(e->client);
    fl_tls_session_free(e->server);
    fl_test_cert_deinit(&e->cert);
}

/* Moves up to `n` bytes from one end's wire into the other; false: there were none. */
static bool carry(struct fl_tls_session *from, struct fl_tls_session *to, size_t n) {
    struct fl_str wire = fl_buf_str(&from->wire);
    wire.n = FL_MIN(wire.n, n);
    if (wire.n == 0) return false;
    assert_int_equal(fl_tls_session_feed(to, wire), 0);
    assert_int_equal(fl_tls_session_keep(to), 0);
    fl_buf_consume(&from->wire, wire.n);
    return true;
}

static void shake_hands(struct ends *e, size_t piece) {
    int client = 0, server = 0;
    while (client == 0 || server == 0) {
        if (client == 0) client = fl_tls_session_handshake(e->client, &e->err);
        if (server == 0) server = fl_tls_session_handshake(e->server, &e->err);
        assert_true(client >= 0 && server >= 0);
        bool moved = carry(e->client, e->server, piece);
        moved = carry(e->server, e->client, piece) || moved;
        assert_true(moved || (client == 1 && server == 1));
    }
}

static void test_bytes_come_one_by_one(void **state) {
    (void)state;
    struct ends e;
    char got[16];
    size_t n = 0;
    start(&e);
    shake_hands(&e, 1);
    assert_int_equal(fl_tls_session_write(e.client, FL_STR("piecemeal"), &e.err), 0);
    while (carry(e.client, e.server, 1)) {
        ssize_t rc = fl_tls_session_read(e.server, got + n, sizeof(got) - n, &e.err);
        assert_true(rc >= 0);
        n += (size_t)rc;
    }
    assert_int_equal(n, 9);
    assert_memory_equal(got, "piecemeal", 9);
    end(&e);
}

static void test_kept_bytes_are_read_in_order(void **state) {
    (void)state;
    struct ends e;
    char got[64];
    size_t n = 0;
    start(&e);
    shake_hands(&e, SIZE_MAX);
    for (int i = 0; i < 5; i++) {
        char text[2] = {(char)('0' + i), '\0'};
        assert_int_equal(fl_tls_session_write(e.client, fl_str_of(text), &e.err), 0);
        carry(e.client, e.server, SIZE_MAX); /* fed and kept, not read */
    }
    ssize_t rc;
    while ((rc = fl_tls_session_read(e.server, got + n, sizeof(got) - n, &e.err)) > 0) {
        n += (size_t)rc;
    }
    assert_int_equal(rc, 0);
    assert_true(e.server->drained);
    assert_int_equal(n, 5);
    assert_memory_equal(got, "01234", 5);
    assert_null(e.server->kept.data); /* given back */
    end(&e);
}

static void test_end_is_told(void **state) {
    (void)state;
    struct ends e;
    char got[16];
    start(&e);
    shake_hands(&e, SIZE_MAX);
    fl_tls_session_end(e.server);
    carry(e.server, e.client, SIZE_MAX);
    assert_int_equal(fl_tls_session_read(e.client, got, sizeof(got), &e.err), FL_ECLOSED);
    assert_int_equal(fl_tls_session_write(e.client, FL_STR("still"), &e.err), 0);
    carry(e.client, e.server, SIZE_MAX);
    assert_int_equal(fl_tls_session_read(e.server, got, sizeof(got), &e.err), 5);
    end(&e);
}

static void test_changed_byte_is_noticed(void **state) {
    (void)state;
    struct ends e;
    char got[16];
    start(&e);
    shake_hands(&e, SIZE_MAX);
    assert_int_equal(fl_tls_session_write(e.client, FL_STR("true"), &e.err), 0);
    e.client->wire.data[e.client->wire.start + e.client->wire.len - 1] ^= 1;
    carry(e.client, e.server, SIZE_MAX);
    assert_int_equal(fl_tls_session_read(e.server, got, sizeof(got), &e.err), FL_ETLS);
    assert_non_null(strstr(e.err.detail, "TLS failed"));
    end(&e);
}

/* One end speaks nothing newer than TLS 1.1. */
static void refuse_old_versions(struct ends *e, struct fl_tls_session *old) {
    SSL_set_min_proto_version(old->ssl, TLS1_VERSION);
    SSL_set_max_proto_version(old->ssl, TLS1_1_VERSION);
    SSL_set_security_level(old->ssl, 0);
    assert_int_equal(fl_tls_session_handshake(e->client, &e->err), 0);
    carry(e->client, e->server, SIZE_MAX);
    assert_int_equal(fl_tls_session_handshake(e->server, &e->err), FL_ETLS);
}

static void test_old_versions_are_refused(void **state) {
    (void)state;
    struct ends e;
    start(&e);
    refuse_old_versions(&e, e.client);
    end(&e);
}

static void test_want_of_memory_is_not_the_peers_fault(void **state) {
    (void)state;
    struct ends e;
    start(&e);
    shake_hands(&e, SIZE_MAX);
    fl_buf_deinit(&e.client->wire);
    fl_test_alloc_fail_at(1);
    assert_int_equal(fl_tls_session_write(e.client, FL_STR("x"), &e.err), FL_ENOMEM);
    assert_int_equal(e.err.code, FL_ENOMEM);
    end(&e);
    start(&e);
    fl_test_alloc_fail_at(1);
    assert_int_equal(fl_tls_session_handshake(e.client, &e.err), FL_ENOMEM);
    assert_int_equal(e.err.code, FL_ENOMEM);
    end(&e);
}

static void test_old_versions_are_not_offered(void **state) {
    (void)state;
    struct ends e;
    start(&e);
    refuse_old_versions(&e, e.server);
    carry(e.server, e.client, SIZE_MAX);
    assert_int_equal(fl_tls_session_handshake(e.client, &e.err), FL_ETLS);
    end(&e);
}

/* --- resumption --- */

/* Ours gives no sessions out; others do. */
static void give_tickets(struct fl_tls *server_tls, int max_version) {
    SSL_CTX *context = server_tls->context;
    SSL_CTX_clear_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 2);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"test", 4);
    SSL_CTX_set_max_proto_version(context, max_version);
}

static void reconnect(struct ends *e, const char *name) {
    fl_tls_session_free(e->client);
    fl_tls_session_free(e->server);
    assert_int_equal(fl_tls_session_new(e->client_tls, fl_str_of(name), &e->client), 0);
    assert_int_equal(fl_tls_session_new(e->server_tls, FL_STR_NONE, &e->server), 0);
}

/* Shakes hands and reads on, as a sock does: tickets of TLS 1.3 come after the handshake. True: it
 * was resumed, as both ends see it. */
static bool agree(struct ends *e) {
    char got[16];
    shake_hands(e, SIZE_MAX);
    assert_int_equal(fl_tls_session_write(e->server, FL_STR("hello"), &e->err), 0);
    carry(e->server, e->client, SIZE_MAX);
    assert_int_equal(fl_tls_session_read(e->client, got, sizeof(got), &e->err), 5);
    assert_int_equal(SSL_session_reused(e->client->ssl), SSL_session_reused(e->server->ssl));
    return SSL_session_reused(e->client->ssl);
}

/* Connected once, in full. */
static void start_with_tickets(struct ends *e, int max_version) {
    start(e);
    give_tickets(e->server_tls, max_version);
    reconnect(e, "echo.test");
    assert_false(agree(e));
}

static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};

/* Also after a connection that was cut: none here says goodbye. */
static void test_reconnect_resumes(void **state) {
    (void)state;
    for (size_t i = 0; i < FL_COUNT(versions); i++) {
        struct ends e;
        start_with_tickets(&e, versions[i]);
        assert_int_equal(SSL_version(e.client->ssl), versions[i]);
        for (int again = 0; again < 3; again++) {
            reconnect(&e, "echo.test");
            assert_true(agree(&e));
        }
        end(&e);
    }
}

/* A ticket is used once: of two connections at one time the second shakes hands in full. */
static void test_ticket_is_used_once(void **state) {
    (void)state;
    struct ends e;
    start_with_tickets(&e, TLS1_3_VERSION);
    struct fl_tls_session *other;
    assert_int_equal(fl_tls_session_new(e.client_tls, FL_STR("echo.test"), &other), 0);
    reconnect(&e, "echo.test");
    assert_false(agree(&e));
    fl_tls_session_free(other);
    end(&e);
}

/* The server was restarted, and has other keys for its tickets. */
static void test_resumption_refused_is_a_full_handshake(void **state) {
    (void)state;
    for (size_t i = 0; i < FL_COUNT(versions); i++) {
        struct ends e;
        start_with_tickets(&e, versions[i]);
        struct fl_tls_config server = {.server = true,
                                       .cert_pem = fl_str_of(e.cert.cert_pem),
                                       .key_pem = fl_str_of(e.cert.key_pem)};
        fl_tls_context_unref(e.server_tls);
        assert_int_equal(fl_tls_context_new(NULL, &server, &e.server_tls, &e.err), 0);
        give_tickets(e.server_tls, versions[i]);
        reconnect(&e, "echo.test");
        assert_false(agree(&e));
        reconnect(&e, "echo.test");
        assert_true(agree(&e)); /* with the new one's */
        end(&e);
    }
}

/* Who does not trust the peer's authority any more does not resume what began under it. */
static void test_no_resumption_under_another_configuration(void **state) {
    (void)state;
    struct ends e;
    struct fl_test_cert other;
    struct fl_test_cert_options options = {.names = "DNS:echo.test"};
    start_with_tickets(&e, TLS1_3_VERSION);
    fl_test_cert_init(&other, "other authority", &options);
    struct fl_tls_config client = {.ca_pem = fl_str_of(other.cert_pem)};
    fl_tls_context_unref(e.client_tls);
    assert_int_equal(fl_tls_context_new(NULL, &client, &e.client_tls, &e.err), 0);
    reconnect(&e, "echo.test");
    assert_int_equal(fl_tls_session_handshake(e.client, &e.err), 0);
    carry(e.client, e.server, SIZE_MAX);
    assert_int_equal(fl_tls_session_handshake(e.server, &e.err), 0);
    carry(e.server, e.client, SIZE_MAX);
    assert_int_equal(fl_tls_session_handshake(e.client, &e.err), FL_ECERT);
    end(&e);
    fl_test_cert_deinit(&other);
}

static void restart_with(struct ends *e, const struct fl_test_cert_options *options,
                         bool insecure) {
    fl_test_cert_deinit(&e->cert);
    fl_tls_context_unref(e->client_tls);
    fl_tls_context_unref(e->server_tls);
    fl_test_cert_init(&e->cert, "echo", options);
    struct fl_tls_config client = {.ca_pem = fl_str_of(e->cert.cert_pem),
                                   .insecure_skip_verify = insecure};
    struct fl_tls_config server = {.server = true,
                                   .cert_pem = fl_str_of(e->cert.cert_pem),
                                   .key_pem = fl_str_of(e->cert.key_pem)};
    assert_int_equal(fl_tls_context_new(NULL, &client, &e->client_tls, &e->err), 0);
    assert_int_equal(fl_tls_context_new(NULL, &server, &e->server_tls, &e->err), 0);
    give_tickets(e->server_tls, TLS1_3_VERSION);
    reconnect(e, "echo.test");
}

static void test_no_resumption_under_another_name(void **state) {
    (void)state;
    struct ends e;
    start(&e);
    restart_with(&e, &(struct fl_test_cert_options){.names = "DNS:echo.test, DNS:b.test"}, false);
    assert_false(agree(&e));
    reconnect(&e, "b.test");
    assert_false(agree(&e));
    reconnect(&e, "echo.test");
    assert_true(agree(&e));
    end(&e);
}

/* Made without verification, for the session's certificate to be expired by the time it is used. */
static void test_no_resumption_with_an_expired_certificate(void **state) {
    (void)state;
    struct ends e;
    struct fl_test_cert_options options = {.names = "DNS:echo.test"};
    start(&e);
    restart_with(&e, &options, true);
    assert_false(agree(&e));
    reconnect(&e, "echo.test");
    assert_true(agree(&e));
    options.from_s = -7200;
    options.until_s = -3600;
    restart_with(&e, &options, true);
    assert_false(agree(&e));
    reconnect(&e, "echo.test");
    assert_false(agree(&e));
    end(&e);
}

static void test_cache_is_bounded(void **state) {
    (void)state;
    struct fl_tls_cache cache = {0};
    char name[24];
    assert_int_equal(fl_tls_cache_init(&cache), 0);
    for (int i = 0; i < FL_TLS_CACHE_MAX + 2; i++) {
        snprintf(name, sizeof(name), "%d.test", i);
        fl_tls_cache_take(&cache, name, SSL_SESSION_new());
        fl_tls_cache_take(&cache, name, SSL_SESSION_new()); /* in the place of the first */
    }
    for (int i = 0; i < FL_TLS_CACHE_MAX + 2; i++) {
        snprintf(name, sizeof(name), "%d.test", i);
        SSL_SESSION *session = fl_tls_cache_steal(&cache, name);
        assert_int_equal(session != NULL, i >= 2); /* the oldest gave way */
        SSL_SESSION_free(session);
        assert_null(fl_tls_cache_steal(&cache, name));
    }
    fl_test_alloc_fail_at(1);
    fl_tls_cache_take(&cache, "new.test", SSL_SESSION_new());
    fl_test_alloc_fail_at(0);
    assert_null(fl_tls_cache_steal(&cache, "new.test"));
    fl_tls_cache_deinit(&cache);
}

static void use_cache(void *arg) {
    struct fl_tls_cache *cache = arg;
    for (int i = 0; i < 2000; i++) {
        fl_tls_cache_take(cache, i % 3 ? "a.test" : "b.test", SSL_SESSION_new());
        SSL_SESSION_free(fl_tls_cache_steal(cache, i % 2 ? "a.test" : "b.test"));
    }
}

static void test_threads_share_the_cache(void **state) {
    (void)state;
    struct fl_tls_cache cache = {0};
    uv_thread_t threads[4];
    assert_int_equal(fl_tls_cache_init(&cache), 0);
    for (size_t i = 0; i < FL_COUNT(threads); i++) {
        assert_int_equal(uv_thread_create(&threads[i], use_cache, &cache), 0);
    }
    for (size_t i = 0; i < FL_COUNT(threads); i++) uv_thread_join(&threads[i]);
    fl_tls_cache_deinit(&cache);
}

static void test_every_failed_allocation(void **state) {
    (void)state;
    struct ends e;
    start(&e);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_tls_session *s;
        int rc = fl_tls_session_new(e.client_tls, FL_STR("10.0.0.1"), &s);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc < 0) continue;
        rc = fl_tls_session_handshake(s, &e.err);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        fl_tls_session_free(s);
    }
    end(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_come_one_by_one),
        cmocka_unit_test(test_kept_bytes_are_read_in_order),
        cmocka_unit_test(test_end_is_told),
        cmocka_unit_test(test_changed_byte_is_noticed),
        cmocka_unit_test(test_old_versions_are_refused),
        cmocka_unit_test(test_want_of_memory_is_not_the_peers_fault),
        cmocka_unit_test(test_old_versions_are_not_offered),
        cmocka_unit_test(test_reconnect_resumes),
        cmocka_unit_test(test_ticket_is_used_once),
        cmocka_unit_test(test_resumption_refused_is_a_full_handshake),
        cmocka_unit_test(test_no_resumption_under_another_configuration),
        cmocka_unit_test(test_no_resumption_under_another_name),
        cmocka_unit_test(test_no_resumption_with_an_expired_certificate),
        cmocka_unit_test(test_cache_is_bounded),
        cmocka_unit_test(test_threads_share_the_cache),
        cmocka_unit_test(test_every_failed_allocation),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
