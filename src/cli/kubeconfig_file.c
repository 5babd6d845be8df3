/* kubeconfig_file.c - a kubeconfig for the simulated API server. */
#include "cli/kubeconfig_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int fl_kubeconfig_file_write(const char *path, struct fl_str host, uint16_t port,
                             struct fl_error *err) {
    FILE *file = fopen(path, "w");
    if (!file) return fl_fail(err, FL_ESYS, "%s: %s", path, strerror(errno));
    bool v6 = memchr(host.p, ':', host.n) != NULL;
    fprintf(file,
            "apiVersion: v1\nkind: Config\ncurrent-context: fairlead-sim\n"
            "clusters:\n- name: fairlead-sim\n  cluster:\n    server: http://%s%.*s%s:%u\n"
            "users:\n- name: fairlead-sim\n  user: {}\n"
            "contexts:\n- name: fairlead-sim\n  context:\n    cluster: fairlead-sim\n"
            "    user: fairlead-sim\n    namespace: default\n",
            v6 ? "[" : "", FL_STR_ARG(host), v6 ? "]" : "", (unsigned)port);
    if (fclose(file) != 0) return fl_fail(err, FL_ESYS, "%s: %s", path, strerror(errno));
    return FL_OK;
}
