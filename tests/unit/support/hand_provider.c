/* hand_provider.c - see hand_provider.h. One block per endpoint, so that each may have its port. */
#include "support/hand_provider.h"

#include "support/alloc.h"

#define HAND_MAX 1000

struct fl_hand {
    struct fl_provider provider;
    struct fl_feed *feed;
    struct fl_block_builder *builder;
    struct fl_block *blocks[HAND_MAX];
    size_t count;
    enum fl_set_state state;
    const char *external_name;
    const char *(*zone_of)(const char *address);
    bool known;
};

static struct fl_hand *hand_of(struct fl_provider *provider) {
    return FL_CONTAINER(provider, struct fl_hand, provider);
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

static void say(struct fl_hand *hand) {
    if (!hand->feed || !hand->known) return;
    struct fl_set_spec spec = {
        .service = FL_STR("default/echo"),
        .state = hand->state,
        .blocks = hand->blocks,
        .block_count = hand->count,
        .external_name = fl_str_of(hand->external_name),
    };
    fl_feed_publish(hand->feed, &spec);
}

static int watch(struct fl_provider *provider, struct fl_str service, struct fl_feed *feed,
                 struct fl_error *err) {
    FL_UNUSED(service);
    FL_UNUSED(err);
    struct fl_hand *hand = hand_of(provider);
    assert_null(hand->feed);
    hand->feed = feed;
    say(hand);
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
    struct fl_hand *hand = hand_of(provider);
    assert_ptr_equal(hand->feed, feed);
    hand->feed = NULL;
}

static void forget(struct fl_hand *hand) {
    while (hand->count > 0) fl_block_unref(hand->blocks[--hand->count]);
}

static void close_provider(struct fl_provider *provider, void (*done)(void *arg), void *arg) {
    struct fl_hand *hand = hand_of(provider);
    forget(hand);
    fl_block_builder_free(hand->builder);
    fl_free(hand);
    if (done) done(arg);
}

static const struct fl_provider_ops ops = {
    .parse = parse,
    .watch = watch,
    .watch_names = watch_names,
    .unwatch = unwatch,
    .close = close_provider,
};

struct fl_hand *fl_hand_new(void) {
    struct fl_hand *hand = FL_NEW(struct fl_hand);
    assert_non_null(hand);
    hand->provider = (struct fl_provider){&ops, "hand"};
    int rc = fl_block_builder_new(HAND_MAX, &hand->builder);
    assert_int_equal(rc, 0);
    return hand;
}

struct fl_provider *fl_hand_provider(struct fl_hand *hand) {
    return &hand->provider;
}

void fl_hand_zones(struct fl_hand *hand, const char *(*zone_of)(const char *address)) {
    hand->zone_of = zone_of;
}

static struct fl_block *block_of(struct fl_hand *hand, const struct fl_hand_endpoint *given) {
    struct fl_str name, rest, protocol = FL_STR("TCP"), app_protocol = FL_STR("");
    if (fl_str_split(fl_str_of(given->port_name ? given->port_name : "grpc"), '/', &name, &rest))
        fl_str_split(rest, '/', &protocol, &app_protocol);
    struct fl_block_port port = {
        .name = name, .protocol = protocol, .app_protocol = app_protocol, .port = given->port};
    struct fl_block_endpoint endpoint = {
        .flags = given->flags ? given->flags : FL_ENDPOINT_READY | FL_ENDPOINT_SERVING,
        .uid = {given->uid},
        .zone = fl_str_of(hand->zone_of ? hand->zone_of(given->address) : ""),
    };
    struct fl_block *block;
    assert_true(fl_address_parse(fl_str_of(given->address), &endpoint.address));
    fl_block_builder_start(hand->builder, NULL);
    int rc = fl_block_builder_port(hand->builder, &port);
    assert_int_equal(rc, 0);
    rc = fl_block_builder_add(hand->builder, &endpoint);
    assert_int_equal(rc, 0);
    rc = fl_block_builder_finish(hand->builder, &block);
    assert_int_equal(rc, 0);
    return block;
}

void fl_hand_publish(struct fl_hand *hand, enum fl_set_state state,
                     const struct fl_hand_endpoint *endpoints, size_t count) {
    assert_true(count <= HAND_MAX);
    forget(hand);
    for (; hand->count < count; hand->count++)
        hand->blocks[hand->count] = block_of(hand, &endpoints[hand->count]);
    hand->state = state;
    hand->external_name = NULL;
    hand->known = true;
    say(hand);
}

void fl_hand_external(struct fl_hand *hand, const char *name) {
    forget(hand);
    hand->state = FL_SET_SOME;
    hand->external_name = name;
    hand->known = true;
    say(hand);
}

void fl_hand_trouble(struct fl_hand *hand, int code, const char *detail) {
    struct fl_error err;
    fl_fail(&err, code, "%s", detail);
    assert_non_null(hand->feed);
    fl_feed_trouble(hand->feed, &err);
}
