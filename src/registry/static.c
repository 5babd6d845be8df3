/* static.c - the provider "static": targets "a:1,b:2", "[::1]:80", "name:80".
 *
 * The target's text is the service's name, and all there is to know: each watch is answered from
 * within, once, with endpoints that are ready for good. Names are kept as they are; whoever dials
 * one resolves it. A block has its ports for all its endpoints, so each port number makes a block;
 * all ports are unnamed and count as one. */
#include "registry/static.h"

#include "base/alloc.h"

struct static_provider {
    struct fl_provider provider;
    struct fl_io *io;
    struct fl_task close_task;
    void (*done)(void *arg);
    void *done_arg;
};

/* One "host:port" of a target. */
struct place {
    struct fl_address address;
    uint16_t port;
    bool packed;
};

static struct static_provider *static_of(struct fl_provider *provider) {
    return FL_CONTAINER(provider, struct static_provider, provider);
}

static int parse_place(struct fl_str text, struct place *out, struct fl_error *err) {
    struct fl_str host;
    int rc = fl_host_port_parse(text, &host, &out->port, err);
    if (rc < 0) return rc;
    bool is_address = fl_address_parse(host, &out->address);
    FL_ASSERT(is_address); /* fl_host_port_parse has looked */
    if (out->port > 0) return 0;
    return fl_fail(err, FL_EUSAGE, "\"%.*s\": port 0 cannot be called", FL_STR_ARG(text));
}

/* Calls `each` for every place of the list; ends with what it returns if that is not 0. */
static int parse_list(struct fl_str list, int (*each)(void *arg, const struct place *place),
                      void *arg, struct fl_error *err) {
    struct fl_str rest = list, text;
    size_t count = 0;
    bool more;
    do {
        struct place place = {.packed = false};
        more = fl_str_split(rest, ',', &text, &rest);
        int rc = parse_place(text, &place, err);
        if (rc == 0 && ++count > FL_STATIC_MAX) {
            rc = fl_fail(err, FL_EUSAGE, "more than %d endpoints in a target", FL_STATIC_MAX);
        }
        if (rc == 0) rc = each(arg, &place);
        if (rc < 0) return rc;
    } while (more);
    return 0;
}

static int only_look(void *arg, const struct place *place) {
    FL_UNUSED(arg);
    FL_UNUSED(place);
    return 0;
}

static int parse(struct fl_provider *provider, struct fl_str rest, struct fl_buf *service,
                 struct fl_buf *port, struct fl_error *err) {
    FL_UNUSED(provider);
    FL_UNUSED(port);
    int rc = parse_list(rest, only_look, NULL, err);
    if (rc < 0) return rc;
    return fl_buf_append(service, rest) < 0 ? fl_fail_nomem(err) : 0;
}

/* ---- blocks ---- */

struct places {
    struct place list[FL_STATIC_MAX];
    size_t count;
    struct fl_block *blocks[FL_STATIC_MAX];
    size_t block_count;
};

static int note_place(void *arg, const struct place *place) {
    struct places *places = arg;
    places->list[places->count++] = *place;
    return 0;
}

/* A block of all places that have the port of the first. */
static int pack_port(struct places *places, size_t first, struct fl_block_builder *builder) {
    const struct fl_block_port port = {FL_STR(""), FL_STR("TCP"), FL_STR(""),
                                       places->list[first].port};
    fl_block_builder_start(builder, NULL);
    int rc = fl_block_builder_port(builder, &port);
    for (size_t i = first; i < places->count && rc == 0; i++) {
        struct place *place = &places->list[i];
        if (place->port != port.port) continue;
        const struct fl_block_endpoint endpoint = {
            .address = place->address, .flags = FL_ENDPOINT_READY | FL_ENDPOINT_SERVING};
        rc = fl_block_builder_add(builder, &endpoint);
        place->packed = true;
    }
    if (rc == 0) rc = fl_block_builder_finish(builder, &places->blocks[places->block_count]);
    if (rc == 0) places->block_count++;
    return rc;
}

static int pack(struct places *places) {
    struct fl_block_builder *builder;
    int rc = fl_block_builder_new(FL_STATIC_MAX, &builder);
    if (rc < 0) return rc;
    for (size_t i = 0; i < places->count && rc == 0; i++) {
        if (!places->list[i].packed) rc = pack_port(places, i, builder);
    }
    fl_block_builder_free(builder);
    return rc;
}

static int watch(struct fl_provider *provider, struct fl_str service, struct fl_feed *feed,
                 struct fl_error *err) {
    FL_UNUSED(provider);
    struct places *places = FL_NEW(struct places);
    if (!places) return fl_fail_nomem(err);
    int rc = parse_list(service, note_place, places, err);
    if (rc == 0 && (rc = pack(places)) < 0) fl_fail(err, rc, "%s", "");
    if (rc == 0) {
        const struct fl_set_spec spec = {.service = service,
                                         .state = FL_SET_SOME,
                                         .blocks = places->blocks,
                                         .block_count = places->block_count};
        fl_feed_publish(feed, &spec);
    }
    for (size_t i = 0; i < places->block_count; i++) fl_block_unref(places->blocks[i]);
    fl_free(places);
    return rc;
}

/* ---- life ---- */

static void unwatch(struct fl_provider *provider, struct fl_feed *feed) {
    FL_UNUSED(provider);
    FL_UNUSED(feed);
}

static void run_close(struct fl_task *task) {
    struct static_provider *s = FL_CONTAINER(task, struct static_provider, close_task);
    void (*done)(void *) = s->done;
    void *done_arg = s->done_arg;
    fl_free(s);
    done(done_arg);
}

static void close_provider(struct fl_provider *provider, void (*done)(void *arg), void *arg) {
    struct static_provider *s = static_of(provider);
    s->done = done;
    s->done_arg = arg;
    fl_io_defer(s->io, &s->close_task);
}

int fl_provider_static_new(struct fl_io *io, struct fl_provider **out, struct fl_error *err) {
    static const struct fl_provider_ops ops = {
        .parse = parse, .watch = watch, .unwatch = unwatch, .close = close_provider};
    struct static_provider *s = FL_NEW(struct static_provider);
    *out = NULL;
    if (!s) return fl_fail_nomem(err);
    s->provider = (struct fl_provider){&ops, "static"};
    s->io = io;
    fl_task_init(&s->close_task, run_close);
    *out = &s->provider;
    return 0;
}
