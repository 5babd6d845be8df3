/* client.c - loop and discovery of a command. */
#include "cli/client.h"

#include <signal.h>
#include <stdio.h>

#include "base/alloc.h"
#include "kube/config.h"
#include "loop/loop.h"

static void on_signal(void *arg, int signal) {
    FL_UNUSED(signal);
    fl_client_stop(arg);
}

int fl_client_open(struct fl_client *client, const struct fl_client_options *options,
                   struct fl_error *err) {
    *client = (struct fl_client){.options = options};
    const struct fl_discovery_options discovery = {.kubeconfig = options->kubeconfig,
                                                   .context = options->context,
                                                   .snapshot = options->snapshot};
    int rc = fl_loop_new(&client->runtime, err);
    if (!rc) rc = fl_loop_on_signal(client->runtime, SIGINT, on_signal, client);
    if (!rc) rc = fl_loop_on_signal(client->runtime, SIGTERM, on_signal, client);
    if (!rc) rc = fl_discovery_new(client->runtime, &discovery, &client->discovery, err);
    if (rc) {
        if (err->code == FL_OK) fl_fail(err, rc, "%s", "");
        fl_client_close(client);
    }
    return rc;
}

static void on_discovery_closed(void *arg) {
    struct fl_client *client = arg;
    client->discovery = NULL;
    fl_client_stop(client);
}

int fl_client_address(const char *text, struct fl_str *host, uint16_t *port, struct fl_error *err) {
    uint64_t number;
    if (!fl_str_u64(fl_str_of(text), &number))
        return fl_host_port_parse(fl_str_of(text), host, port, err);
    if (number > UINT16_MAX) return fl_fail(err, FL_EUSAGE, "\"%s\" is no port", text);
    *host = FL_STR("127.0.0.1");
    *port = (uint16_t)number;
    return FL_OK;
}

int fl_client_show(struct fl_client *client, const char *address, struct fl_error *err) {
    struct fl_admin_options options = {0};
    struct fl_str host = FL_STR_NONE;
    if (!address) return FL_OK;
    int rc = fl_client_address(address, &host, &options.port, err);
    if (rc) return rc;
    char *text = fl_str_dup(host);
    if (!text) return fl_fail_nomem(err);
    options.host = text;
    rc = fl_admin_new(client->runtime, &options, &client->admin, err);
    bool v6 = strchr(text, ':') != NULL;
    if (!rc)
        fprintf(stderr, "fairlead: metrics at http://%s%s%s:%u/metrics\n", v6 ? "[" : "", text,
                v6 ? "]" : "", (unsigned)fl_admin_port(client->admin));
    fl_free(text);
    return rc;
}

static void on_admin_closed(void *arg) {
    struct fl_client *client = arg;
    client->admin = NULL;
    fl_client_stop(client);
}

void fl_client_close(struct fl_client *client) {
    if (client->admin) fl_admin_close(client->admin, on_admin_closed, client);
    while (client->admin) fl_client_run(client);
    if (client->discovery) fl_discovery_close(client->discovery, on_discovery_closed, client);
    while (client->discovery) fl_client_run(client);
    fl_runtime_free(client->runtime);
    *client = (struct fl_client){0};
}

void fl_client_run(struct fl_client *client) { fl_loop_run(client->runtime); }

void fl_client_stop(void *client) { fl_loop_stop(((struct fl_client *)client)->runtime); }

void fl_client_warn(const struct fl_client *client, const char *target) {
    const struct fl_kube_config_options options = {.kubeconfig = client->options->kubeconfig,
                                                   .context = client->options->context};
    struct fl_kube_config config;
    struct fl_error err;
    if (!fl_str_starts(fl_str_of(target), FL_STR("kubernetes:"))) return;
    if (fl_kube_config_load(client->runtime->io, &options, &config, &err) == FL_OK && config.tls &&
        config.insecure_skip_verify)
        fprintf(stderr,
                "fairlead: warning: %s: insecure-skip-tls-verify: anybody on the way can pose "
                "as the API server\n",
                config.source);
    fl_kube_config_deinit(&config);
}

char *fl_client_target(const struct fl_client *client, const char *service) {
    struct fl_str text = fl_str_of(service);
    if (strstr(service, ":///") || fl_str_starts(text, FL_STR("static:"))) return fl_str_dup(text);
    struct fl_buf target;
    fl_buf_init(&target, 4096);
    const char *ns = client->options->ns;
    int rc = fl_buf_printf(&target, "kubernetes:///%s%s%s", ns ? ns : "", ns ? "/" : "", service);
    char *result = rc ? NULL : fl_buf_steal_text(&target);
    fl_buf_deinit(&target);
    return result;
}
