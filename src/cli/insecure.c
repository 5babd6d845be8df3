/* insecure.c - see insecure.h. */
#include "cli/insecure.h"

#include <stdio.h>

#include "kube/config.h"

void fl_insecure_warn(struct fl_io *io, const char *kubeconfig, const char *context) {
    const struct fl_kube_config_options options = {.kubeconfig = kubeconfig, .context = context};
    struct fl_kube_config config;
    struct fl_error err;
    if (fl_kube_config_load(io, &options, &config, &err) == FL_OK && config.tls &&
        config.insecure_skip_verify)
        fprintf(stderr,
                "fairlead: warning: %s: insecure-skip-tls-verify: anybody on the way can pose "
                "as the API server\n",
                config.source);
    fl_kube_config_deinit(&config);
}
