/* kubeconfig_file.c - a kubeconfig for the simulated API server. */
#include "cli/kubeconfig_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kube/base64.h"

#define CA_MAX ((size_t)64 * 1024)

static FILE *open_own(const char *path, bool secret) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, secret ? 0600 : 0666);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (fd >= 0 && !file) close(fd);
    return file;
}

static void put(FILE *file, const struct fl_kubeconfig_spec *spec, const char *ca) {
    bool v6 = memchr(spec->host.p, ':', spec->host.n) != NULL;
    fprintf(file,
            "apiVersion: v1\nkind: Config\ncurrent-context: fairlead-sim\n"
            "clusters:\n- name: fairlead-sim\n  cluster:\n    server: %s://%s%.*s%s:%u",
            spec->ca_pem.n ? "https" : "http", v6 ? "[" : "", FL_STR_ARG(spec->host), v6 ? "]" : "",
            (unsigned)spec->port);
    if (spec->ca_pem.n) fprintf(file, "\n    certificate-authority-data: %s", ca);
    fputs("\nusers:\n- name: fairlead-sim\n  user: ", file);
    if (spec->token.n)
        fprintf(file, "\n    token: \"%.*s\"\n", FL_STR_ARG(spec->token));
    else if (spec->ca_pem.n) /* over TLS kubectl asks who is without credentials for a name */
        fputs("\n    token: anybody\n", file);
    else
        fputs("{}\n", file);
    fputs("contexts:\n- name: fairlead-sim\n  context:\n    cluster: fairlead-sim\n"
          "    user: fairlead-sim\n    namespace: default\n",
          file);
}

int fl_kubeconfig_file_write(const char *path, const struct fl_kubeconfig_spec *spec,
                             struct fl_error *err) {
    struct fl_buf ca;
    fl_buf_init(&ca, CA_MAX);
    if (fl_base64_encode(&ca, spec->ca_pem) || fl_buf_byte(&ca, 0)) {
        fl_buf_deinit(&ca);
        return fl_fail_nomem(err);
    }
    FILE *file = open_own(path, spec->token.n != 0);
    if (file) put(file, spec, fl_buf_str(&ca).p);
    fl_buf_deinit(&ca);
    if (!file || fclose(file) != 0) return fl_fail(err, FL_ESYS, "%s: %s", path, strerror(errno));
    return FL_OK;
}
