/* credentials.c - see credentials.h.
 *
 * A change is taken over as a whole or not at all: the TLS configurations are made first, so that a
 * certificate that was replaced before its key is left for the next look. A plugin that fails, or
 * whose credentials are refused again and again, is run only after a backoff, whoever asks. */
#include "kube/credentials.h"

#include "base/alloc.h"
#include "base/backoff.h"
#include "base/log.h"
#include "kube/authorization.h"
#include "kube/exec_plugin.h"
#include "kube/trust.h"

#define LOOK_MS          60000
#define EXPIRES_EARLY_MS 10000 /* so that a request does not arrive too late */
#define GIVEN_MS_MIN     1000  /* used at least, whatever it says: clocks may differ */

struct fl_credentials {
    struct fl_io *io;
    const struct fl_credentials_events *events;
    void *arg;
    struct fl_kube_config config;
    struct fl_kube_trust trust;
    struct fl_authorization authorization;
    unsigned generation;
    uint64_t token_read_ms;
    struct fl_timer look;          /* at certificates, keys, authorities */
    struct fl_exec_plugin *plugin; /* NULL: none is needed */
    struct fl_exec_credential given;
    bool has_given;
    uint64_t given_ms;         /* when */
    struct fl_backoff backoff; /* of the plugin */
    uint64_t again_ms;         /* it is not run before; 0: any time */
    struct fl_error why;       /* that is so */
    struct fl_task closed;
    void (*done)(void *arg);
    void *done_arg;
};

unsigned fl_credentials_generation(const struct fl_credentials *c) { return c->generation; }

struct fl_str fl_credentials_authorization(const struct fl_credentials *c) {
    return fl_buf_str(&c->authorization.header);
}

struct fl_tls *fl_credentials_peek_tls(const struct fl_credentials *c) {
    return c->trust.server;
}

struct fl_tls *fl_credentials_peek_proxy_tls(const struct fl_credentials *c) {
    return c->trust.proxy;
}

static void warn(struct fl_credentials *c, const char *message, const struct fl_error *why) {
    FL_LOG(c->io, FL_LOG_WARN, message, FL_LOG_ERROR_OF(why));
}

/* --- the header --- */

/* The token file as it is now. What we have stays when it cannot be read. */
static int read_token_file(struct fl_credentials *c, struct fl_error *err) {
    c->token_read_ms = fl_io_now_ms(c->io);
    int rc = fl_authorization_file(&c->authorization, c->io, c->config.token_file, err);
    if (rc > 0) c->generation++;
    return rc;
}

static void refresh_token_file(struct fl_credentials *c) {
    struct fl_error why;
    if (c->config.token_file && read_token_file(c, &why) < 0)
        warn(c, "token file cannot be read, the last token stays in use", &why);
}

/* What the configuration itself holds. */
static int use_config(struct fl_credentials *c, struct fl_error *err) {
    int rc = 0;
    if (c->config.token)
        rc = fl_authorization_bearer(&c->authorization, fl_str_of(c->config.token),
                                     c->config.source, err);
    else if (c->config.user)
        rc = fl_authorization_basic(&c->authorization, c->config.user, c->config.password, err);
    if (rc > 0) c->generation++;
    return rc;
}

/* A token that stands beside a file serves until the file can be read. */
static int first_header(struct fl_credentials *c, struct fl_error *err) {
    struct fl_error why;
    int rc = use_config(c, err);
    if (rc < 0 || !c->config.token_file) return rc;
    rc = read_token_file(c, &why);
    if (rc >= 0 || (rc != FL_ENOMEM && c->authorization.header.len)) return FL_OK;
    if (rc != FL_ENOMEM) fl_error_prefix(&why, "%s: token file", c->config.source);
    return fl_error_copy(err, &why);
}

/* --- certificates --- */

/* New TLS configurations take the place of the old ones. */
static void take_trust(struct fl_credentials *c, struct fl_kube_trust *trust, bool identity) {
    struct fl_kube_trust old = c->trust;
    c->trust = *trust;
    c->generation++;
    c->events->on_tls(c->arg, identity);
    fl_kube_trust_deinit(c->io, &old);
}

static bool same_pem(const struct fl_buf *a, const struct fl_buf *b) {
    return fl_str_eq(fl_buf_str(a), fl_buf_str(b));
}

static bool same_text(const char *a, const char *b) {
    return fl_str_eq(fl_str_of(a), fl_str_of(b));
}

static bool names_files(const struct fl_kube_config *config) {
    return config->ca_file || config->cert_file || config->key_file;
}

static void look_later(struct fl_credentials *c) {
    if (names_files(&c->config)) fl_io_timer_set(c->io, &c->look, fl_io_now_ms(c->io) + LOOK_MS);
}

/* Takes over what has changed, or leaves all of it; wipes the other one. */
static void adopt(struct fl_credentials *c, struct fl_kube_config *fresh) {
    struct fl_kube_config old = c->config;
    struct fl_kube_trust trust;
    struct fl_error why = {.code = FL_OK};
    bool identity =
        !same_pem(&old.cert_pem, &fresh->cert_pem) || !same_pem(&old.key_pem, &fresh->key_pem);
    bool changed = identity || !same_pem(&old.ca_pem, &fresh->ca_pem);
    if (changed &&
        fl_kube_trust_init(c->io, fresh, c->has_given ? &c->given : NULL, &trust, &why) < 0) {
        warn(c, "certificates cannot be used, the last ones stay in use", &why);
        fl_kube_config_deinit(fresh);
        return;
    }
    c->config = *fresh;
    fl_kube_config_deinit(&old);
    if (changed) {
        FL_LOG(c->io, FL_LOG_INFO, "certificates have changed",
               FL_LOG_TEXT_OF("source", c->config.source));
        take_trust(c, &trust, identity);
    }
    if (!c->config.token_file && use_config(c, &why) < 0)
        warn(c, "credentials cannot be used, the last ones stay in use", &why);
    look_later(c);
}

/* The files again, at the places that were named first. */
static void look_at_files(struct fl_credentials *c) {
    struct fl_kube_config fresh;
    struct fl_error why;
    if (!names_files(&c->config)) return;
    if (fl_kube_config_copy(&c->config, &fresh) < 0) {
        fl_fail_nomem(&why);
    } else if (fl_kube_config_read_pem(c->io, &fresh, &why) == FL_OK) {
        adopt(c, &fresh);
        return;
    } else {
        fl_kube_config_deinit(&fresh);
    }
    warn(c, "certificates cannot be read, the last ones stay in use", &why);
}

static void on_look(struct fl_timer *timer) {
    struct fl_credentials *c = FL_CONTAINER(timer, struct fl_credentials, look);
    look_later(c);
    look_at_files(c);
}

static bool plugin_needed(const struct fl_kube_config *config) {
    return config->exec.argv.count && !config->token && !config->token_file && !config->user &&
           config->cert_pem.len == 0;
}

static bool same_texts(const struct fl_texts *a, const struct fl_texts *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) same = same_text(a->list[i], b->list[i]);
    return same;
}

/* The same server, the same way there and to prove oneself, and the same to act as? Else a person
 * has another plan for the kubeconfig, which is not ours to follow. */
static bool same_plan(const struct fl_kube_config *a, const struct fl_kube_config *b) {
    return same_text(a->server, b->server) && same_text(a->server_name, b->server_name) &&
           same_text(a->proxy_url, b->proxy_url) &&
           a->insecure_skip_verify == b->insecure_skip_verify &&
           same_text(a->token_file, b->token_file) && !a->token == !b->token &&
           !a->user == !b->user && plugin_needed(a) == plugin_needed(b) &&
           same_texts(&a->impersonate, &b->impersonate);
}

bool fl_credentials_are_held_back(const struct fl_io *io, const struct fl_kube_config *config) {
    return !config->tls && !io->in_memory && fl_kube_config_tells(config);
}

static void hold_back(const struct fl_credentials *c, struct fl_kube_config *config) {
    if (fl_credentials_are_held_back(c->io, config)) fl_kube_config_forget_identity(config);
}

/* The kubeconfig again: a login may have written another token or certificate into it. */
static void look_at_kubeconfig(struct fl_credentials *c) {
    struct fl_kube_config fresh;
    struct fl_error why;
    if (!c->config.files) {
        look_at_files(c);
        return;
    }
    int rc = fl_kube_config_reload(c->io, &c->config, &fresh, &why);
    if (rc == FL_OK) hold_back(c, &fresh);
    if (rc == FL_OK && same_plan(&c->config, &fresh)) {
        adopt(c, &fresh);
        return;
    }
    fl_kube_config_deinit(&fresh);
    if (rc < 0) warn(c, "kubeconfig cannot be read, what was in it stays in use", &why);
}

/* --- the plugin --- */

static int use_given(struct fl_credentials *c, struct fl_exec_credential *fresh,
                     struct fl_error *err) {
    struct fl_kube_trust trust;
    int rc = FL_OK;
    bool other = !same_pem(&c->given.cert_pem, &fresh->cert_pem) ||
                 !same_pem(&c->given.key_pem, &fresh->key_pem);
    if (other) rc = fl_kube_trust_init(c->io, &c->config, fresh, &trust, err);
    if (rc < 0) return rc;
    if (fresh->token)
        rc =
            fl_authorization_bearer(&c->authorization, fl_str_of(fresh->token), "exec plugin", err);
    if (rc < 0) {
        if (other) fl_kube_trust_deinit(c->io, &trust);
        return rc;
    }
    if (!fresh->token) fl_authorization_deinit(&c->authorization);
    if (other) take_trust(c, &trust, true);
    struct fl_exec_credential old = c->given;
    c->given = *fresh;
    *fresh = old; /* the plugin wipes it */
    c->has_given = true;
    c->given_ms = fl_io_now_ms(c->io);
    c->generation++;
    return FL_OK;
}

static void plugin_waits(struct fl_credentials *c, const struct fl_error *why) {
    uint64_t now_ms = fl_io_now_ms(c->io);
    c->why = *why;
    c->again_ms = now_ms + fl_backoff_failure(&c->backoff, now_ms, &c->io->jitter);
}

static void on_plugin_done(void *arg, const struct fl_error *why,
                           struct fl_exec_credential *credential) {
    struct fl_credentials *c = arg;
    struct fl_error failed = *why;
    if (failed.code == FL_OK && use_given(c, credential, &failed) == FL_OK) {
        fl_backoff_success(&c->backoff, fl_io_now_ms(c->io));
        FL_LOG(c->io, FL_LOG_INFO, "exec plugin gave credentials",
               FL_LOG_TEXT_OF("command", c->config.exec.argv.list[0]));
    } else {
        plugin_waits(c, &failed);
        warn(c, "exec plugin gave no credentials", &failed);
    }
    c->events->on_fetched(c->arg);
}

static enum fl_credentials_state run_plugin(struct fl_credentials *c, struct fl_error *err) {
    if (fl_exec_plugin_running(c->plugin)) return FL_CREDENTIALS_FETCHING;
    if (c->again_ms > fl_io_now_ms(c->io)) {
        (void)fl_error_copy(err, &c->why);
        return FL_CREDENTIALS_FAILED;
    }
    return fl_exec_plugin_run(c->plugin, &c->config, err) == FL_OK ? FL_CREDENTIALS_FETCHING
                                                                   : FL_CREDENTIALS_FAILED;
}

/* In place of what was refused. What it gives now may be refused as well: the next run waits. */
static enum fl_credentials_state replace_given(struct fl_credentials *c, int code,
                                               struct fl_error *err) {
    struct fl_error why;
    bool running = fl_exec_plugin_running(c->plugin);
    enum fl_credentials_state state = run_plugin(c, err);
    fl_fail(&why, code, "%s", fl_error_text(code));
    if (state == FL_CREDENTIALS_FETCHING && !running) plugin_waits(c, &why);
    return state;
}

/* Is what the plugin gave good, and for so long yet? */
static bool given_for(const struct fl_credentials *c, int64_t ms) {
    if (!c->has_given) return false;
    return fl_io_now_ms(c->io) < c->given_ms + GIVEN_MS_MIN ||
           fl_io_wall_ms(c->io) < c->given.expires_ms - ms;
}

/* --- what clients ask --- */

enum fl_credentials_state fl_credentials_prepare(struct fl_credentials *c, struct fl_error *err) {
    if (c->config.token_file && fl_io_now_ms(c->io) - c->token_read_ms >= LOOK_MS)
        refresh_token_file(c);
    if (!c->plugin) return FL_CREDENTIALS_READY;
    /* When it runs, what it gave before is as good as refused. */
    if (fl_exec_plugin_running(c->plugin)) return FL_CREDENTIALS_FETCHING;
    if (given_for(c, EXPIRES_EARLY_MS)) return FL_CREDENTIALS_READY;
    enum fl_credentials_state state = run_plugin(c, err);
    /* Late is better than never. */
    return state == FL_CREDENTIALS_FAILED && given_for(c, 0) ? FL_CREDENTIALS_READY : state;
}

/* Has the server refused what the plugin gave? An authority that we do not know is no matter of
 * its. */
static bool plugin_concerned(const struct fl_credentials *c, int code) {
    if (!c->plugin) return false;
    return code == FL_EUNAUTHORIZED || (code == FL_ETLS && c->given.cert_pem.len);
}

enum fl_credentials_state fl_credentials_refused(struct fl_credentials *c, unsigned generation,
                                                 int code, struct fl_error *err) {
    if (c->generation != generation) return FL_CREDENTIALS_READY;
    look_at_kubeconfig(c);
    refresh_token_file(c);
    if (c->generation != generation) {
        FL_LOG(c->io, FL_LOG_INFO, "credentials were refused, newer ones are used",
               FL_LOG_CAUSE(code));
        return FL_CREDENTIALS_READY;
    }
    if (plugin_concerned(c, code)) return replace_given(c, code, err);
    fl_fail(err, code, "%s", fl_error_text(code));
    return FL_CREDENTIALS_FAILED;
}

/* --- life --- */

void fl_credentials_free(struct fl_credentials *c) {
    if (!c) return;
    fl_exec_plugin_free(c->plugin);
    fl_io_timer_deinit(c->io, &c->look);
    fl_kube_trust_deinit(c->io, &c->trust);
    fl_authorization_deinit(&c->authorization);
    fl_exec_credential_deinit(&c->given);
    fl_kube_config_deinit(&c->config);
    fl_free(c);
}

static void plugin_closed(void *arg) {
    struct fl_credentials *c = arg;
    void (*done)(void *) = c->done;
    void *done_arg = c->done_arg;
    c->plugin = NULL;
    fl_credentials_free(c);
    done(done_arg);
}

static void on_closed(struct fl_task *task) {
    plugin_closed(FL_CONTAINER(task, struct fl_credentials, closed));
}

void fl_credentials_close(struct fl_credentials *c, void (*done)(void *arg), void *arg) {
    c->done = done;
    c->done_arg = arg;
    fl_io_timer_clear(c->io, &c->look);
    if (c->plugin)
        fl_exec_plugin_close(c->plugin, plugin_closed, c);
    else
        fl_io_defer(c->io, &c->closed);
}

static int start(struct fl_credentials *c, struct fl_error *err) {
    int rc = first_header(c, err);
    if (rc < 0) return rc;
    if ((rc = fl_kube_trust_init(c->io, &c->config, NULL, &c->trust, err)) < 0) return rc;
    if (plugin_needed(&c->config) && fl_exec_plugin_new(c->io, on_plugin_done, c, &c->plugin) < 0)
        return fl_fail_nomem(err);
    look_later(c);
    return FL_OK;
}

int fl_credentials_new(struct fl_io *io, const struct fl_kube_config *config,
                       const struct fl_credentials_events *events, void *arg,
                       struct fl_credentials **out, struct fl_error *err) {
    struct fl_credentials *c = FL_NEW(struct fl_credentials);
    *out = NULL;
    if (!c) return fl_fail_nomem(err);
    c->io = io;
    c->events = events;
    c->arg = arg;
    fl_kube_config_init(&c->config);
    fl_authorization_init(&c->authorization);
    fl_exec_credential_init(&c->given);
    fl_task_init(&c->closed, on_closed);
    fl_backoff_init(&c->backoff, &fl_backoff_client_go);
    int rc = FL_ENOMEM;
    if (fl_kube_config_copy(config, &c->config) < 0 ||
        fl_io_timer_init(io, &c->look, on_look) < 0) {
        fl_fail_nomem(err);
        goto fail;
    }
    hold_back(c, &c->config);
    if ((rc = start(c, err)) < 0) goto fail;
    *out = c;
    return FL_OK;
fail:
    fl_credentials_free(c);
    return rc;
}
