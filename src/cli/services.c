/* services.c - the subscriptions of a command. On the client's loop. */
#include "cli/services.h"

#include "base/alloc.h"
#include "base/list.h"

#define LOOK_MS 1000 /* how often staleness is looked at: it comes without an event */

struct subscription {
    struct fl_list link;
    struct fl_services *services;
    struct fl_subscription *handle;
    struct fl_set *set; /* the newest; NULL: none yet */
    struct fl_error trouble;
    bool stale; /* and told so */
};

struct fl_services {
    struct fl_client *client;
    const struct fl_services_events *events;
    void *arg;
    struct fl_names *names;
    struct fl_list subscriptions;
    size_t count;
    struct fl_timer look;
};

static void look_at(struct subscription *s) {
    bool stale = s->set && fl_set_state(s->set) != FL_SET_UNKNOWN && fl_set_stale_ms(s->set) > 0;
    if (stale == s->stale) return;
    s->stale = stale;
    s->services->events->on_stale(s->services->arg, s->set,
                                  s->trouble.code != FL_OK ? &s->trouble : NULL);
}

static void run_look(struct fl_timer *timer) {
    struct fl_services *services = FL_CONTAINER(timer, struct fl_services, look);
    struct fl_io *io = services->client->runtime->io;
    FL_LIST_EACH (&services->subscriptions, item, next)
        look_at(FL_CONTAINER(item, struct subscription, link));
    fl_io_timer_set(io, timer, fl_io_now_ms(io) + LOOK_MS);
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct subscription *s = arg;
    struct fl_services *services = s->services;
    fl_set_unref(s->set);
    s->set = fl_set_ref(set);
    s->trouble = trouble ? *trouble : (struct fl_error){0};
    services->events->on_set(services->arg, set, previous, trouble);
    if (services->events->on_stale) look_at(s);
}

static int subscribe(struct fl_services *services, const char *target, struct fl_error *err) {
    struct fl_client *client = services->client;
    struct subscription *s = FL_NEW(struct subscription);
    if (!s) return fl_fail_nomem(err);
    s->services = services;
    int rc = fl_discovery_subscribe(client->discovery, client->runtime, target, on_set, s,
                                    &s->handle, err);
    if (rc) {
        fl_free(s);
        return rc;
    }
    fl_list_push(&services->subscriptions, &s->link);
    services->count++;
    return FL_OK;
}

static void on_name(void *arg, struct fl_str service) {
    struct fl_services *services = arg;
    struct fl_error err = {0};
    struct fl_buf target;
    fl_buf_init(&target, 1024);
    int rc = fl_buf_printf(&target, "kubernetes:///%.*s", FL_STR_ARG(service));
    char *text = rc ? NULL : fl_buf_steal_text(&target);
    rc = text ? subscribe(services, text, &err) : fl_fail_nomem(&err);
    if (rc) services->events->on_trouble(services->arg, &err);
    fl_free(text);
    fl_buf_deinit(&target);
}

static void on_synced(void *arg) {
    struct fl_services *services = arg;
    services->events->on_complete(services->arg, services->count);
}

static void on_names_trouble(void *arg, const struct fl_error *trouble) {
    struct fl_services *services = arg;
    services->events->on_trouble(services->arg, trouble);
}

static int open_all(struct fl_services *services, struct fl_error *err) {
    static const struct fl_names_events events = {on_name, on_synced, on_names_trouble};
    struct fl_client *client = services->client;
    fl_client_warn(client, "kubernetes:");
    return fl_discovery_watch_names(client->discovery, "kubernetes", fl_str_of(client->options->ns),
                                    &events, services, &services->names, err);
}

static int open_one(struct fl_services *services, const char *service, struct fl_error *err) {
    char *target = fl_client_target(services->client, service);
    if (target) fl_client_warn(services->client, target);
    int rc = target ? subscribe(services, target, err) : fl_fail_nomem(err);
    fl_free(target);
    return rc;
}

int fl_services_open(struct fl_client *client, const char *service,
                     const struct fl_services_events *events, void *arg, struct fl_services **out,
                     struct fl_error *err) {
    struct fl_services *services = FL_NEW(struct fl_services);
    if (!services) return fl_fail_nomem(err);
    services->client = client;
    services->events = events;
    services->arg = arg;
    fl_list_init(&services->subscriptions);
    struct fl_io *io = client->runtime->io;
    if (fl_io_timer_init(io, &services->look, run_look)) {
        fl_free(services);
        return fl_fail_nomem(err);
    }
    if (events->on_stale) fl_io_timer_set(io, &services->look, fl_io_now_ms(io) + LOOK_MS);
    int rc = service ? open_one(services, service, err) : open_all(services, err);
    if (rc) {
        fl_io_timer_deinit(io, &services->look);
        fl_free(services);
        return rc;
    }
    *out = services;
    return FL_OK;
}

static void on_closed(void *arg) {
    struct subscription *s = arg;
    struct fl_services *services = s->services;
    fl_list_remove(&s->link);
    fl_set_unref(s->set);
    fl_free(s);
    if (fl_list_empty(&services->subscriptions)) fl_client_stop(services->client);
}

void fl_services_close(struct fl_services *services) {
    if (!services) return;
    fl_io_timer_deinit(services->client->runtime->io, &services->look);
    if (services->names) fl_names_close(services->names);
    FL_LIST_EACH (&services->subscriptions, item, next) {
        struct subscription *s = FL_CONTAINER(item, struct subscription, link);
        fl_subscription_close(s->handle, on_closed, s);
    }
    while (!fl_list_empty(&services->subscriptions)) fl_client_run(services->client);
    fl_free(services);
}
