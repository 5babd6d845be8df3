/* authorization.c - see authorization.h. */
#include "kube/authorization.h"

#include "kube/base64.h"
#include "kube/secret.h"

#define HEADER_MAX (2 * FL_TOKEN_MAX)

void fl_authorization_init(struct fl_authorization *a) { fl_buf_init(&a->header, HEADER_MAX); }

void fl_authorization_deinit(struct fl_authorization *a) { fl_secret_buf_deinit(&a->header); }

/* Takes `fresh`. */
static int replace(struct fl_authorization *a, struct fl_buf *fresh) {
    bool same = fl_str_eq(fl_buf_str(&a->header), fl_buf_str(fresh));
    fl_secret_buf_deinit(same ? fresh : &a->header);
    if (!same) a->header = *fresh;
    return !same;
}

bool fl_token_is_valid(struct fl_str token) {
    for (size_t i = 0; i < token.n; i++)
        if (token.p[i] <= ' ' || token.p[i] >= 0x7f) return false;
    return token.n <= FL_TOKEN_MAX;
}

int fl_authorization_bearer(struct fl_authorization *a, struct fl_str token, const char *source,
                            struct fl_error *err) {
    static const struct fl_str scheme = FL_STR("Bearer ");
    struct fl_buf fresh;
    if (token.n == 0) return fl_fail(err, FL_ECONFIG, "%s: holds no token", source);
    if (!fl_token_is_valid(token))
        return fl_fail(err, FL_ECONFIG, "%s: the token " FL_TOKEN_FAULT, source);
    fl_buf_init(&fresh, HEADER_MAX);
    if (!fl_buf_reserve(&fresh, scheme.n + token.n) || fl_buf_append(&fresh, scheme) < 0 ||
        fl_buf_append(&fresh, token) < 0) {
        fl_secret_buf_deinit(&fresh);
        return fl_fail_nomem(err);
    }
    return replace(a, &fresh);
}

int fl_authorization_basic(struct fl_authorization *a, const char *user, const char *password,
                           struct fl_error *err) {
    static const struct fl_str scheme = FL_STR("Basic ");
    struct fl_buf pair, fresh;
    size_t n = strlen(user) + 1 + (password ? strlen(password) : 0);
    fl_buf_init(&pair, SIZE_MAX);
    fl_buf_init(&fresh, SIZE_MAX);
    bool good = fl_buf_reserve(&pair, n) && fl_buf_append(&pair, fl_str_of(user)) == FL_OK &&
                fl_buf_byte(&pair, ':') == FL_OK &&
                fl_buf_append(&pair, fl_str_of(password)) == FL_OK &&
                fl_buf_reserve(&fresh, scheme.n + (n + 2) / 3 * 4) &&
                fl_buf_append(&fresh, scheme) == FL_OK &&
                fl_base64_encode(&fresh, fl_buf_str(&pair)) == FL_OK;
    fl_secret_buf_deinit(&pair);
    if (good) return replace(a, &fresh);
    fl_secret_buf_deinit(&fresh);
    return fl_fail_nomem(err);
}

int fl_authorization_file(struct fl_authorization *a, struct fl_io *io, const char *path,
                          struct fl_error *err) {
    struct fl_buf text;
    struct fl_error why;
    if (fl_secret_buf_init(&text, FL_TOKEN_MAX) < 0) return fl_fail_nomem(err);
    int rc = fl_io_file_read(io, path, &text, &why);
    if (rc == FL_OK) rc = fl_authorization_bearer(a, fl_str_trim(fl_buf_str(&text)), path, &why);
    fl_secret_buf_deinit(&text);
    if (rc >= 0) return rc;
    if (rc != FL_ENOMEM) why.code = FL_ECONFIG;
    return fl_error_copy(err, &why);
}
