/* kubernetes.c - see kubernetes.h.
 *
 * Reads the configuration at the first watch and makes the one client that all scopes share; which
 * of them serve what is decided in kubernetes_reach.c. */
#include "registry/kubernetes.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/pod_watch.h"
#include "registry/kubernetes_reach.h"

#define TICK_MS    1000
#define LABEL_MAX  63
#define SERVER_MAX 2048

struct kubernetes {
    struct fl_provider provider;
    struct fl_io *io;
    char *kubeconfig, *context;
    char *server;                  /* its URL, NULL until the configuration is loaded */
    char *ns;                      /* default namespace, NULL until the configuration is loaded */
    struct fl_kube_client *client; /* likewise */
    struct fl_reaches reaches;
    bool closing;
    struct fl_timer tick;
    bool tick_made; /* by the first watch: the provider is made on any thread */
    struct fl_task end;
    void (*done)(void *arg);
    void *done_arg;
};

static struct kubernetes *kubernetes_of(struct fl_provider *provider) {
    return FL_CONTAINER(provider, struct kubernetes, provider);
}

/* --- configuration --- */

/* What tells its services from those of other clusters, in the snapshot file. NULL: no memory. */
static char *server_text(const struct fl_kube_config *config) {
    struct fl_buf text;
    fl_buf_init(&text, SERVER_MAX);
    int rc = fl_buf_printf(&text, "%s://%s:%u%s", config->tls ? "https" : "http", config->host,
                           (unsigned)config->port, config->path);
    char *server = rc < 0 ? NULL : fl_buf_steal_text(&text);
    fl_buf_deinit(&text);
    return server;
}

static int connect_with(struct kubernetes *k, const struct fl_kube_config *config,
                        struct fl_error *err) {
    char *ns = fl_strdup(config->ns), *server = server_text(config);
    int rc = ns && server ? FL_OK : fl_fail_nomem(err);
    if (rc == FL_OK)
        rc =
            fl_kube_client_new(k->io, config, &(struct fl_kube_client_options){0}, &k->client, err);
    if (rc < 0) {
        fl_free(ns);
        fl_free(server);
        return rc;
    }
    k->ns = ns;
    k->server = server;
    fl_reaches_open(&k->reaches, k->client, k->ns);
    FL_LOG(k->io, FL_LOG_INFO, "kubernetes configuration loaded",
           FL_LOG_TEXT_OF("source", config->source), FL_LOG_TEXT_OF("host", config->host),
           FL_LOG_INT("port", config->port));
    return FL_OK;
}

static void want_tick(struct kubernetes *k) {
    if (!fl_timer_is_set(&k->tick)) fl_io_timer_set(k->io, &k->tick, fl_io_now_ms(k->io) + TICK_MS);
}

static void on_tick(struct fl_timer *timer) {
    struct kubernetes *k = FL_CONTAINER(timer, struct kubernetes, tick);
    fl_reaches_tick(&k->reaches);
    if (fl_reaches_want_tick(&k->reaches)) want_tick(k);
}

static int need_tick(struct kubernetes *k, struct fl_error *err) {
    if (k->tick_made) return FL_OK;
    if (fl_io_timer_init(k->io, &k->tick, on_tick) < 0) return fl_fail_nomem(err);
    k->tick_made = true;
    return FL_OK;
}

/* Once it has succeeded the configuration stays; until then each need tries again. */
static int need_client(struct kubernetes *k, struct fl_error *err) {
    const struct fl_kube_config_options options = {.kubeconfig = k->kubeconfig,
                                                   .context = k->context};
    struct fl_kube_config config;
    if (k->client) return FL_OK;
    int rc = need_tick(k, err);
    if (rc < 0) return rc;
    rc = fl_kube_config_load(k->io, &options, &config, err);
    if (rc == FL_OK) rc = connect_with(k, &config, err);
    fl_kube_config_deinit(&config);
    return rc;
}

/* --- targets --- */

/* RFC 1123 label; Services allow no more. */
static bool label_valid(struct fl_str s) {
    if (s.n == 0 || s.n > LABEL_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-') return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
    }
    return true;
}

static int label_check(struct fl_str s, const char *what, struct fl_error *err) {
    if (label_valid(s)) return FL_OK;
    return fl_fail(err, FL_EUSAGE,
                   "%s \"%.*s\": must be 1 to 63 of a-z, 0-9 and '-', not beginning or ending "
                   "with '-'",
                   what, (int)FL_MIN(s.n, (size_t)80), s.n ? s.p : "");
}

static int port_check(struct fl_str port, struct fl_error *err) {
    uint64_t number;
    if (fl_str_u64(port, &number))
        return number > 0 && number <= 65535
                   ? FL_OK
                   : fl_fail(err, FL_EUSAGE, "port \"%.*s\": must be 1 to 65535",
                             (int)FL_MIN(port.n, (size_t)80), port.p);
    return label_check(port, "port", err);
}

/* Any thread: looks at the text only. */
static int parse(struct fl_provider *provider, struct fl_str rest, struct fl_buf *service,
                 struct fl_buf *port, struct fl_error *err) {
    struct fl_str path, port_part, ns, name;
    int rc;
    FL_UNUSED(provider);
    bool has_port = fl_str_split(rest, ':', &path, &port_part);
    bool has_ns = fl_str_split(path, '/', &ns, &name);
    if (!has_ns) name = path;
    if (has_ns && (rc = label_check(ns, "namespace", err)) < 0) return rc;
    if ((rc = label_check(name, "service", err)) < 0) return rc;
    if (has_port && (rc = port_check(port_part, err)) < 0) return rc;
    if ((rc = fl_buf_append(service, path)) < 0 || (rc = fl_buf_append(port, port_part)) < 0)
        return fl_fail(err, rc, "target cannot be kept");
    return FL_OK;
}

/* --- the provider's operations --- */

static int watch(struct fl_provider *provider, struct fl_str service, struct fl_feed *feed,
                 struct fl_error *err) {
    struct kubernetes *k = kubernetes_of(provider);
    struct fl_str ns, name;
    fl_feed_set_data(feed, NULL);
    int rc = need_client(k, err);
    if (rc < 0) return rc;
    if (!fl_str_split(service, '/', &ns, &name)) {
        ns = fl_str_of(k->ns);
        name = service;
        /* The configuration's; those of targets were checked by parse. */
        if ((rc = label_check(ns, "namespace of the configuration", err)) < 0) return rc;
    }
    want_tick(k);
    return fl_reaches_watch(&k->reaches, ns, name, feed, err);
}

static int prepare(struct fl_provider *provider, struct fl_buf *ns, struct fl_error *err) {
    struct kubernetes *k = kubernetes_of(provider);
    int rc = need_client(k, err);
    if (rc < 0) return rc;
    return fl_buf_append(ns, fl_str_of(k->ns)) < 0 ? fl_fail_nomem(err) : FL_OK;
}

static int watch_names(struct fl_provider *provider, struct fl_str ns, struct fl_feed *feed,
                       struct fl_error *err) {
    struct kubernetes *k = kubernetes_of(provider);
    fl_feed_set_data(feed, NULL);
    int rc = ns.n ? label_check(ns, "namespace", err) : FL_OK;
    if (rc < 0 || (rc = need_client(k, err)) < 0) return rc;
    want_tick(k);
    return fl_reaches_watch_names(&k->reaches, ns, feed, err);
}

/* --- this process --- */

struct fl_self_watch {
    struct fl_pod_watch *pods;
    struct fl_self_events events;
    void *arg;
};

static void on_pod(void *arg, const struct fl_pod *pod) {
    struct fl_self_watch *watch = arg;
    const struct fl_self self = {pod->address, pod->node, pod->ports, pod->port_count};
    watch->events.on_self(watch->arg, &self);
}

static void on_pod_trouble(void *arg, const struct fl_error *why) {
    struct fl_self_watch *watch = arg;
    watch->events.on_trouble(watch->arg, why);
}

static int watch_self(struct fl_provider *provider, struct fl_str ns, struct fl_str name,
                      const struct fl_self_events *events, void *arg, struct fl_self_watch **out,
                      struct fl_error *err) {
    static const struct fl_pod_events pod_events = {on_pod, on_pod_trouble};
    struct kubernetes *k = kubernetes_of(provider);
    int rc = need_client(k, err);
    if (rc < 0) return rc;
    struct fl_self_watch *watch = FL_NEW(struct fl_self_watch);
    if (!watch) return fl_fail_nomem(err);
    watch->events = *events;
    watch->arg = arg;
    rc = fl_pod_watch_new(k->io, k->client, ns.n ? ns : fl_str_of(k->ns), name, &pod_events, watch,
                          &watch->pods, err);
    if (rc == 0)
        *out = watch;
    else
        fl_free(watch);
    return rc;
}

static void unwatch_self(struct fl_provider *provider, struct fl_self_watch *watch) {
    FL_UNUSED(provider);
    fl_pod_watch_close(watch->pods);
    fl_free(watch);
}

static int identify(struct fl_provider *provider, struct fl_str service, struct fl_buf *source,
                    struct fl_buf *name) {
    struct kubernetes *k = kubernetes_of(provider);
    struct fl_str ns, rest;
    if (!k->client) return FL_EUNKNOWN;
    int rc = fl_buf_append(source, fl_str_of(k->server));
    if (rc == 0 && !fl_str_split(service, '/', &ns, &rest)) rc = fl_buf_printf(name, "%s/", k->ns);
    return rc == 0 ? fl_buf_append(name, service) : rc;
}

static void hurry(struct fl_provider *provider, struct fl_feed *feed) {
    FL_UNUSED(provider);
    fl_reaches_hurry(feed);
}

static void unwatch(struct fl_provider *provider, struct fl_feed *feed) {
    fl_reaches_unwatch(&kubernetes_of(provider)->reaches, feed);
}

static void kubernetes_free(struct kubernetes *k) {
    if (!k) return;
    fl_io_timer_deinit(k->io, &k->tick);
    fl_reaches_deinit(&k->reaches);
    fl_free(k->kubeconfig);
    fl_free(k->context);
    fl_free(k->ns);
    fl_free(k->server);
    fl_free(k);
}

static void finish_close(struct kubernetes *k) {
    void (*done)(void *) = k->done;
    void *arg = k->done_arg;
    kubernetes_free(k);
    if (done) done(arg);
}

static void on_client_closed(void *arg) { finish_close(arg); }

static void on_end(struct fl_task *task) {
    struct kubernetes *k = FL_CONTAINER(task, struct kubernetes, end);
    if (k->client)
        fl_kube_client_close(k->client, on_client_closed, k);
    else
        finish_close(k);
}

static void on_scopes_closed(void *arg) {
    struct kubernetes *k = arg;
    if (k->closing) fl_io_defer(k->io, &k->end);
}

static void close_provider(struct fl_provider *provider, void (*done)(void *arg), void *arg) {
    struct kubernetes *k = kubernetes_of(provider);
    FL_ASSERT(!k->closing && !fl_reaches_in_use(&k->reaches));
    k->closing = true;
    k->done = done;
    k->done_arg = arg;
    if (k->reaches.scope_count == 0) fl_io_defer(k->io, &k->end);
}

static const struct fl_provider_ops provider_ops = {
    .parse = parse,
    .watch = watch,
    .watch_names = watch_names,
    .prepare = prepare,
    .watch_self = watch_self,
    .unwatch_self = unwatch_self,
    .identify = identify,
    .hurry = hurry,
    .unwatch = unwatch,
    .close = close_provider,
};

static bool copy_option(const char *from, char **to) {
    *to = from ? fl_strdup(from) : NULL;
    return !from || *to;
}

int fl_provider_kubernetes_new(struct fl_io *io, const struct fl_discovery_options *options,
                               struct fl_provider **out, struct fl_error *err) {
    struct kubernetes *k = FL_NEW(struct kubernetes);
    *out = NULL;
    if (!k) return fl_fail_nomem(err);
    k->provider = (struct fl_provider){.ops = &provider_ops, .scheme = "kubernetes"};
    k->io = io;
    fl_reaches_init(&k->reaches, io, on_scopes_closed, k);
    fl_task_init(&k->end, on_end);
    if (!copy_option(options->kubeconfig, &k->kubeconfig) ||
        !copy_option(options->context, &k->context)) {
        kubernetes_free(k);
        return fl_fail_nomem(err);
    }
    *out = &k->provider;
    return FL_OK;
}
