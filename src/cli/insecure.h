/* insecure.h - a word of warning where TLS does not protect. */
#ifndef FL_CLI_INSECURE_H
#define FL_CLI_INSECURE_H

#include "base/io.h"

/* One line on standard error if the configuration says insecure-skip-tls-verify; NULL as in
 * fl_discovery_options. What is wrong with the configuration is told by who uses it. */
void fl_insecure_warn(struct fl_io *io, const char *kubeconfig, const char *context);

#endif
