/* kubeconfig_file.h - a kubeconfig for the simulated API server. */
#ifndef FL_CLI_KUBECONFIG_FILE_H
#define FL_CLI_KUBECONFIG_FILE_H

#include "base/error.h"
#include "base/str.h"

/* Writes one for http://host:port, replacing what is there. FL_ESYS (detail: path and why). */
FL_MUST int fl_kubeconfig_file_write(const char *path, struct fl_str host, uint16_t port,
                                     struct fl_error *err);

#endif
