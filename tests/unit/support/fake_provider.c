/* fake_provider.c - a source of endpoints that does what a test says. */
#include "support/fake_provider.h"

#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

static struct fl_fake *fake_of(struct fl_provider *provider) {
    return FL_CONTAINER(provider, struct fl_fake, provider);
}

static int parse(struct fl_provider *provider, struct fl_str rest, struct fl_buf *service,
                 struct fl_buf *port, struct fl_error *err) {
    FL_UNUSED(provider);
    struct fl_str head, tail;
    fl_str_split(rest, ':', &head, &tail);
    if (head.n == 0) return fl_fail(err, FL_EUSAGE, "no service");
    int rc = fl_buf_append(service, head);
    if (rc == 0 && tail.n) rc = fl_buf_append(port, tail);
    return rc < 0 ? fl_fail_nomem(err) : 0;
}

static int open_feed(struct fl_fake *fake, const char *prefix, struct fl_str service,
                     struct fl_feed *feed, struct fl_error *err) {
    assert_false(fake->in_call);
    fake->watches++;
    if (fake->refusals > 0) {
        fake->refusals--;
        return fl_fail(err, FL_EREFUSED, "not now");
    }
    for (size_t i = 0; i < FL_FAKE_FEEDS_MAX; i++) {
        assert_ptr_not_equal(fake->feeds[i].feed, feed); /* it was unwatched first */
    }
    for (size_t i = 0; i < FL_FAKE_FEEDS_MAX; i++) {
        if (fake->feeds[i].feed) continue;
        fake->feeds[i].feed = feed;
        snprintf(fake->feeds[i].service, sizeof(fake->feeds[i].service), "%s%.*s", prefix,
                 FL_STR_ARG(service));
        fl_feed_set_data(feed, fake);
        return 0;
    }
    return fl_fail(err, FL_EFULL, "too many feeds for this fake");
}

static int watch(struct fl_provider *provider, struct fl_str service, struct fl_feed *feed,
                 struct fl_error *err) {
    struct fl_fake *fake = fake_of(provider);
    int rc = open_feed(fake, "", service, feed, err);
    if (rc < 0 || !fake->publishes_at_once) return rc;
    const struct fl_set_spec spec = {.service = service, .state = FL_SET_SOME};
    fl_feed_publish(feed, &spec);
    return 0;
}

static int watch_names(struct fl_provider *provider, struct fl_str ns, struct fl_feed *feed,
                       struct fl_error *err) {
    struct fl_fake *fake = fake_of(provider);
    int rc = open_feed(fake, "names:", ns, feed, err);
    if (rc < 0 || !fake->publishes_at_once) return rc;
    fl_feed_name(feed, FL_STR("a"));
    fl_feed_name(feed, FL_STR("b"));
    fl_feed_names_synced(feed);
    return 0;
}

static int identify(struct fl_provider *provider, struct fl_str service, struct fl_buf *source,
                    struct fl_buf *name) {
    struct fl_fake *fake = FL_CONTAINER(provider, struct fl_fake, provider);
    int rc = fl_buf_printf(source, "fake-%d", fake->cluster);
    return rc == 0 ? fl_buf_append(name, service) : rc;
}

static void unwatch(struct fl_provider *provider, struct fl_feed *feed) {
    struct fl_fake *fake = fake_of(provider);
    assert_false(fake->in_call);
    assert_ptr_equal(fl_feed_data(feed), fake);
    fake->unwatches++;
    for (size_t i = 0; i < FL_FAKE_FEEDS_MAX; i++) {
        if (fake->feeds[i].feed == feed) fake->feeds[i].feed = NULL;
    }
}

static void run_close(struct fl_task *task) {
    struct fl_fake *fake = FL_CONTAINER(task, struct fl_fake, close_task);
    fake->done(fake->done_arg);
}

static void close_provider(struct fl_provider *provider, void (*done)(void *arg), void *arg) {
    struct fl_fake *fake = fake_of(provider);
    for (size_t i = 0; i < FL_FAKE_FEEDS_MAX; i++) assert_null(fake->feeds[i].feed);
    fake->closes++;
    fake->done = done;
    fake->done_arg = arg;
    fl_io_defer(fake->io, &fake->close_task);
}

void fl_fake_init(struct fl_fake *fake, struct fl_io *io) {
    static const struct fl_provider_ops ops = {.parse = parse,
                                               .watch = watch,
                                               .watch_names = watch_names,
                                               .identify = identify,
                                               .unwatch = unwatch,
                                               .close = close_provider};
    *fake = (struct fl_fake){.provider = {&ops, "fake"}, .io = io};
    fl_task_init(&fake->close_task, run_close);
}

struct fl_feed *fl_fake_feed(struct fl_fake *fake, const char *service) {
    for (size_t i = 0; i < FL_FAKE_FEEDS_MAX; i++) {
        if (fake->feeds[i].feed && strcmp(fake->feeds[i].service, service) == 0) {
            return fake->feeds[i].feed;
        }
    }
    return NULL;
}

void fl_fake_publish(struct fl_fake *fake, const char *service, struct fl_block *take_block) {
    static const struct fl_set_port port = {FL_STR("http"), 80, FL_STR_NONE};
    const struct fl_set_spec spec = {.service = fl_str_of(service),
                                     .state = FL_SET_SOME,
                                     .blocks = &take_block,
                                     .block_count = take_block ? 1 : 0,
                                     .ports = &port,
                                     .port_count = 1};
    struct fl_feed *feed = fl_fake_feed(fake, service);
    assert_non_null(feed);
    fake->in_call = true;
    fl_feed_publish(feed, &spec);
    fake->in_call = false;
    fl_block_unref(take_block);
}

void fl_fake_trouble(struct fl_fake *fake, const char *service, int code) {
    struct fl_error err = {0};
    struct fl_feed *feed = fl_fake_feed(fake, service);
    assert_non_null(feed);
    if (code) fl_fail(&err, code, "%s", "fake");
    fake->in_call = true;
    fl_feed_trouble(feed, &err);
    fake->in_call = false;
}

void fl_fake_name(struct fl_fake *fake, const char *ns, const char *service) {
    char key[64];
    snprintf(key, sizeof(key), "names:%s", ns);
    struct fl_feed *feed = fl_fake_feed(fake, key);
    assert_non_null(feed);
    fake->in_call = true;
    fl_feed_name(feed, fl_str_of(service));
    fake->in_call = false;
}
