/* fake_provider.c - see fake_provider.h. One block per endpoint, so that each may have its port. */
#include "support/fake_provider.h"

#include "support/alloc.h"

#define FAKE_MAX 1000

struct fl_fake {
    struct fl_provider provider;
    struct fl_feed *feed;
    struct fl_block_builder *builder;
    struct fl_block *blocks[FAKE_MAX];
    size_t count;
    enum fl_set_state state;
    const char *external_name;
    bool known;
};

static struct fl_fake *fake_of(struct fl_provider *provider) {
    return FL_CONTAINER(provider, struct fl_fake, provider);
}

static int parse(struct fl_provider *provider, struct fl_str rest, struct fl_buf *service,
                 struct fl_buf *port, struct fl_error *err) {
    FL_UNUSED(provider);
    FL_UNUSED(err);
    struct fl_str name, after;
    fl_str_split(rest, ':', &name, &after);
    int rc = fl_buf_append(service, name);
    return rc ? rc : fl_buf_append(port, after);
}

static void say(struct fl_fake *fake) {
    if (!fake->feed || !fake->known) return;
    struct fl_set_spec spec = {
        .service = FL_STR("default/echo"),
        .state = fake->state,
        .blocks = fake->blocks,
        .block_count = fake->count,
        .external_name = fl_str_of(fake->external_name),
    };
    fl_feed_publish(fake->feed, &spec);
}

static int watch(struct fl_provider *provider, struct fl_str service, struct fl_feed *feed,
                 struct fl_error *err) {
    FL_UNUSED(service);
    FL_UNUSED(err);
    struct fl_fake *fake = fake_of(provider);
    assert_null(fake->feed);
    fake->feed = feed;
    say(fake);
    return 0;
}

static int watch_names(struct fl_provider *provider, struct fl_str ns, struct fl_feed *feed,
                       struct fl_error *err) {
    FL_UNUSED(provider);
    FL_UNUSED(ns);
    FL_UNUSED(feed);
    return fl_fail(err, FL_EUSAGE, "no names here");
}

static void unwatch(struct fl_provider *provider, struct fl_feed *feed) {
    struct fl_fake *fake = fake_of(provider);
    assert_ptr_equal(fake->feed, feed);
    fake->feed = NULL;
}

static void forget(struct fl_fake *fake) {
    while (fake->count > 0) fl_block_unref(fake->blocks[--fake->count]);
}

static void close_provider(struct fl_provider *provider, void (*done)(void *arg), void *arg) {
    struct fl_fake *fake = fake_of(provider);
    forget(fake);
    fl_block_builder_free(fake->builder);
    fl_free(fake);
    if (done) done(arg);
}

static const struct fl_provider_ops ops = {
    .parse = parse,
    .watch = watch,
    .watch_names = watch_names,
    .unwatch = unwatch,
    .close = close_provider,
};

struct fl_fake *fl_fake_new(void) {
    struct fl_fake *fake = FL_NEW(struct fl_fake);
    assert_non_null(fake);
    fake->provider = (struct fl_provider){&ops, "fake"};
    int rc = fl_block_builder_new(FAKE_MAX, &fake->builder);
    assert_int_equal(rc, 0);
    return fake;
}

struct fl_provider *fl_fake_provider(struct fl_fake *fake) {
    return &fake->provider;
}

static struct fl_block *block_of(struct fl_fake *fake, const struct fl_fake_endpoint *given) {
    struct fl_block_port port = {.name = fl_str_of(given->port_name ? given->port_name : "grpc"),
                                 .protocol = FL_STR("TCP"),
                                 .app_protocol = FL_STR(""),
                                 .port = given->port};
    struct fl_block_endpoint endpoint = {
        .flags = given->flags ? given->flags : FL_ENDPOINT_READY | FL_ENDPOINT_SERVING,
        .uid = {given->uid},
    };
    struct fl_block *block;
    assert_true(fl_address_parse(fl_str_of(given->address), &endpoint.address));
    fl_block_builder_start(fake->builder, NULL);
    int rc = fl_block_builder_port(fake->builder, &port);
    assert_int_equal(rc, 0);
    rc = fl_block_builder_add(fake->builder, &endpoint);
    assert_int_equal(rc, 0);
    rc = fl_block_builder_finish(fake->builder, &block);
    assert_int_equal(rc, 0);
    return block;
}

void fl_fake_publish(struct fl_fake *fake, enum fl_set_state state,
                     const struct fl_fake_endpoint *endpoints, size_t count) {
    assert_true(count <= FAKE_MAX);
    forget(fake);
    for (; fake->count < count; fake->count++)
        fake->blocks[fake->count] = block_of(fake, &endpoints[fake->count]);
    fake->state = state;
    fake->external_name = NULL;
    fake->known = true;
    say(fake);
}

void fl_fake_external(struct fl_fake *fake, const char *name) {
    forget(fake);
    fake->state = FL_SET_SOME;
    fake->external_name = name;
    fake->known = true;
    say(fake);
}

void fl_fake_trouble(struct fl_fake *fake, int code, const char *detail) {
    struct fl_error err;
    fl_fail(&err, code, "%s", detail);
    assert_non_null(fake->feed);
    fl_feed_trouble(fake->feed, &err);
}
