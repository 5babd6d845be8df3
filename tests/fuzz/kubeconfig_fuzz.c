/* kubeconfig_fuzz.c - any text as a kubeconfig: read or refused in one line, nothing left behind.
 */
#include <stdlib.h>
#include <string.h>

#include "kube/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fl_kube_config config;
    struct fl_kubeconfig_files files;
    struct fl_error err = {.code = FL_OK};
    fl_kube_config_init(&config);
    int rc = fl_kubeconfig_parse(fl_str_n(data, size), "/k/config", NULL, &config, &files, &err);
    if (rc == FL_OK && (!config.host || !config.path || !config.ns || !config.port)) abort();
    if (rc != FL_OK && (rc != err.code || strncmp(err.detail, "/k/config: ", 11) != 0)) abort();
    if (strchr(err.detail, '\n')) abort();
    fl_kubeconfig_files_deinit(&files);
    fl_kube_config_deinit(&config);
    return 0;
}
