/* target.c - what a client writes to name a service. Any thread.
 *
 *     scheme:///rest     to the provider of that scheme
 *     static:rest        to the provider "static"
 *     host:port          the same, as a list of one
 *
 * The provider makes the service's name and the port out of the rest. The slashes are required but
 * for "static", since kubernetes:80 is also a host and a port. */
#include "discovery/target.h"

#define TARGET_MAX 65536 /* bytes: a static list of some thousand */
#define FORMS      "want kubernetes:///[namespace/]service[:port], static:a:1,b:2 or host:port"

static bool split_at(struct fl_str text, struct fl_str mark, struct fl_str *head,
                     struct fl_str *tail) {
    const char *at = text.n ? memmem(text.p, text.n, mark.p, mark.n) : NULL;
    if (!at) return false;
    *head = fl_str_n(text.p, (size_t)(at - text.p));
    *tail = fl_str_from(text, head->n + mark.n);
    return true;
}

/* "scheme://authority/rest", of which the authority must be empty. */
static int split_url(struct fl_str text, struct fl_str *rest, struct fl_error *err) {
    struct fl_str authority;
    if (!fl_str_split(*rest, '/', &authority, rest) || authority.n > 0) {
        return fl_fail(err, FL_EUSAGE, "target \"%.*s\": three slashes must follow the scheme; %s",
                       FL_STR_ARG(text), FORMS);
    }
    return 0;
}

static int find_provider(const struct fl_discovery *hub, struct fl_str text, struct fl_str *rest,
                         struct fl_provider **out, struct fl_error *err) {
    struct fl_str scheme = FL_STR("static");
    *rest = text;
    if (split_at(text, FL_STR("://"), &scheme, rest)) {
        int rc = split_url(text, rest, err);
        if (rc < 0) return rc;
    } else if (fl_str_starts(text, FL_STR("static:"))) {
        *rest = fl_str_from(text, strlen("static:"));
    } else {
        struct fl_str host;
        uint16_t port;
        if (fl_host_port_parse(text, &host, &port, err) < 0) {
            return fl_fail(err, FL_EUSAGE, "\"%.*s\" is not a target; %s", FL_STR_ARG(text), FORMS);
        }
    }
    *out = fl_discovery_provider(hub, scheme);
    if (*out) return 0;
    return fl_fail(err, FL_EUSAGE, "target \"%.*s\": no scheme \"%.*s\" here; %s", FL_STR_ARG(text),
                   FL_STR_ARG(scheme), FORMS);
}

int fl_target_parse(const struct fl_discovery *hub, struct fl_str text, struct fl_target *out,
                    struct fl_error *err) {
    struct fl_str rest;
    *out = (struct fl_target){0};
    if (text.n > TARGET_MAX) {
        return fl_fail(err, FL_EUSAGE, "a target of %zu bytes; %d are the most", text.n,
                       TARGET_MAX);
    }
    int rc = find_provider(hub, text, &rest, &out->provider, err);
    if (rc < 0) return rc;
    fl_buf_init(&out->service, TARGET_MAX);
    fl_buf_init(&out->port, TARGET_MAX);
    rc = out->provider->ops->parse(out->provider, rest, &out->service, &out->port, err);
    if (rc < 0) fl_target_deinit(out);
    return rc;
}

void fl_target_deinit(struct fl_target *target) {
    fl_buf_deinit(&target->service);
    fl_buf_deinit(&target->port);
}
