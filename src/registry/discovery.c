/* discovery.c - a discovery with all providers. Any thread: nothing here touches the loop. */
#include "registry/discovery.h"

#include "registry/kubernetes.h"
#include "registry/static.h"

static int add_static(struct fl_discovery *discovery, struct fl_io *io, struct fl_error *err) {
    struct fl_provider *provider;
    int rc = fl_provider_static_new(io, &provider, err);
    return rc < 0 ? rc : fl_discovery_take_provider(discovery, provider);
}

static int add_kubernetes(struct fl_discovery *discovery, struct fl_io *io,
                          const struct fl_discovery_options *options, struct fl_error *err) {
    struct fl_provider *provider;
    int rc = fl_provider_kubernetes_new(io, options, &provider, err);
    return rc < 0 ? rc : fl_discovery_take_provider(discovery, provider);
}

int fl_discovery_new_on(struct fl_io *io, const struct fl_discovery_options *options,
                        struct fl_discovery **out, struct fl_error *err) {
    static const struct fl_discovery_options defaults = {0};
    int rc = fl_discovery_open(io, out, err);
    if (rc < 0) return rc;
    rc = add_static(*out, io, err);
    if (rc == 0) rc = add_kubernetes(*out, io, options ? options : &defaults, err);
    if (rc == 0 && options && options->snapshot)
        rc = fl_discovery_keep_snapshot(*out, options->snapshot, err);
    if (rc == 0) return 0;
    fl_discovery_close(*out, NULL, NULL);
    *out = NULL;
    return rc;
}

int fl_discovery_new(struct fl_runtime *runtime, const struct fl_discovery_options *options,
                     struct fl_discovery **out, struct fl_error *err) {
    return fl_discovery_new_on(runtime->io, options, out, err);
}
