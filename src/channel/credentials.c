/* credentials.c - see credentials.h.
 *
 * A change is taken over as a whole or not at all: the TLS configuration is made first, so that a
 * certificate that was replaced before its key is left for the next look. */
#include "channel/credentials.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/pem.h"
#include "base/secret.h"

#define LOOK_MS 10000

enum part { CA, CERT, KEY, PARTS };

struct fl_channel_credentials {
    struct fl_io *io;
    char *files[PARTS]; /* NULL: none */
    struct fl_buf pem[PARTS];
    char *server_name;
    bool insecure_skip_verify, any_version;
    struct fl_tls *tls;
    uint64_t look_ms; /* when the files are looked at again; 0: nobody has asked yet */
};

/* "host", "host:port", "[::1]:port", "::1" -> the host. */
static struct fl_str host_of(struct fl_str authority) {
    struct fl_str host, port;
    if (fl_str_starts(authority, FL_STR("["))) {
        fl_str_split(fl_str_from(authority, 1), ']', &host, &port);
        return host;
    }
    fl_str_split(authority, ':', &host, &port);
    return memchr(port.n ? port.p : "", ':', port.n) ? authority : host;
}

static void wipe(struct fl_buf pem[PARTS]) {
    for (int i = 0; i < PARTS; i++) fl_secret_buf_deinit(&pem[i]);
}

static int read_files(struct fl_channel_credentials *c, struct fl_buf pem[PARTS],
                      struct fl_error *err) {
    static const char *const names[PARTS] = {"ca_file", "cert_file", "key_file"};
    int rc = 0;
    for (int i = 0; i < PARTS; i++) fl_buf_init(&pem[i], FL_PEM_MAX);
    for (int i = 0; i < PARTS && rc == 0; i++)
        if (c->files[i]) rc = fl_pem_read(c->io, names[i], c->files[i], &pem[i], err);
    if (rc != 0) wipe(pem);
    return rc;
}

/* TLS says which part it cannot use, not what file that came from. */
static int fail_files(const struct fl_channel_credentials *c, const struct fl_error *why,
                      struct fl_error *err) {
    char files[160] = "";
    size_t n = 0;
    for (int i = 0; i < PARTS && n < sizeof(files); i++)
        if (c->files[i])
            n += (size_t)snprintf(files + n, sizeof(files) - n, "%s%s", n ? ", " : "", c->files[i]);
    return fl_fail(err, why->code, "%s%s%s", files, n ? ": " : "", why->detail);
}

/* Takes `pem`, also on failure. */
static int use(struct fl_channel_credentials *c, struct fl_buf pem[PARTS], struct fl_error *err) {
    static const char *const h2[] = {"h2", NULL}, *const any[] = {"h2", "http/1.1", NULL};
    struct fl_tls_config config = {
        .ca_pem = fl_buf_str(&pem[CA]),
        .cert_pem = fl_buf_str(&pem[CERT]),
        .key_pem = fl_buf_str(&pem[KEY]),
        .insecure_skip_verify = c->insecure_skip_verify,
        .alpn = c->any_version ? any : h2,
    };
    struct fl_tls *tls;
    struct fl_error why;
    if (fl_io_tls_new(c->io, &config, &tls, &why) != 0) {
        wipe(pem);
        return fail_files(c, &why, err);
    }
    fl_tls_unref(c->io, c->tls);
    c->tls = tls;
    wipe(c->pem);
    memcpy(c->pem, pem, sizeof(c->pem));
    return 0;
}

static bool same(const struct fl_buf a[PARTS], const struct fl_buf b[PARTS]) {
    for (int i = 0; i < PARTS; i++)
        if (!fl_str_eq(fl_buf_str(&a[i]), fl_buf_str(&b[i]))) return false;
    return true;
}

static void look(struct fl_channel_credentials *c) {
    struct fl_buf pem[PARTS];
    struct fl_error why;
    int rc = read_files(c, pem, &why);
    if (rc == 0 && same(c->pem, pem)) {
        wipe(pem);
        return;
    }
    if (rc == 0) rc = use(c, pem, &why);
    if (rc == 0)
        FL_LOG(c->io, FL_LOG_INFO, "certificates have changed",
               FL_LOG_TEXT_OF("name", c->server_name));
    else
        FL_LOG(c->io, FL_LOG_WARN, "certificates cannot be used, the last ones stay in use",
               FL_LOG_TEXT_OF("name", c->server_name), FL_LOG_ERROR_OF(&why));
}

struct fl_tls *fl_channel_credentials_peek_tls(struct fl_channel_credentials *c) {
    uint64_t now_ms = fl_io_now_ms(c->io);
    bool first = c->look_ms == 0;
    if (!first && now_ms < c->look_ms) return c->tls;
    c->look_ms = now_ms + LOOK_MS;
    if (!first) look(c);
    return c->tls;
}

struct fl_str fl_channel_credentials_server_name(const struct fl_channel_credentials *c) {
    return fl_str_of(c->server_name);
}

static int copy_options(struct fl_channel_credentials *c, const struct fl_channel_tls *options,
                        const char *authority) {
    const char *const files[PARTS] = {options->ca_file, options->cert_file, options->key_file};
    for (int i = 0; i < PARTS; i++) {
        if (!files[i]) continue;
        c->files[i] = fl_strdup(files[i]);
        if (!c->files[i]) return FL_ENOMEM;
    }
    c->insecure_skip_verify = options->insecure_skip_verify;
    c->server_name = options->server_name ? fl_strdup(options->server_name)
                                          : fl_str_dup(host_of(fl_str_of(authority)));
    return c->server_name ? 0 : FL_ENOMEM;
}

int fl_channel_credentials_new(struct fl_io *io, const struct fl_channel_tls *options,
                               const char *authority, bool any, struct fl_channel_credentials **out,
                               struct fl_error *err) {
    struct fl_buf pem[PARTS];
    struct fl_channel_credentials *c = FL_NEW(struct fl_channel_credentials);
    if (!c) return fl_fail_nomem(err);
    c->io = io;
    c->any_version = any;
    int rc = copy_options(c, options, authority);
    if (rc != 0) {
        fl_fail_nomem(err);
        goto fail;
    }
    rc = read_files(c, pem, err);
    if (rc == 0) rc = use(c, pem, err);
    if (rc != 0) goto fail;
    if (c->insecure_skip_verify)
        FL_LOG(io, FL_LOG_WARN, "certificates of servers are not verified",
               FL_LOG_TEXT_OF("name", c->server_name));
    *out = c;
    return 0;
fail:
    fl_channel_credentials_free(c);
    return rc;
}

void fl_channel_credentials_free(struct fl_channel_credentials *c) {
    if (!c) return;
    fl_tls_unref(c->io, c->tls);
    wipe(c->pem);
    for (int i = 0; i < PARTS; i++) fl_free(c->files[i]);
    fl_free(c->server_name);
    fl_free(c);
}
