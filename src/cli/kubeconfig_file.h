/* kubeconfig_file.h - a kubeconfig for the simulated API server. */
#ifndef FL_CLI_KUBECONFIG_FILE_H
#define FL_CLI_KUBECONFIG_FILE_H

#include "base/error.h"
#include "base/str.h"

struct fl_kubeconfig_spec {
    struct fl_str host;
    uint16_t port;
    struct fl_str ca_pem; /* not empty: https, and this authority */
    struct fl_str token;  /* of the user; may be empty */
};

/* Writes one, replacing what is there; with a token it is the owner's alone to read. FL_ESYS
 * (detail: path and why). */
FL_MUST int fl_kubeconfig_file_write(const char *path, const struct fl_kubeconfig_spec *spec,
                                     struct fl_error *err);

#endif
