/* kubeconfig_fuzz.c - any text as one kubeconfig or, cut at a zero byte, as two: read or refused in
 * one line, nothing left behind.
 */
#include <stdlib.h>
#include <string.h>

#include "kube/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fl_kube_config config;
    struct fl_kubeconfig_text texts[2] = {{.path = "/k/config"}, {.path = "/k/other"}};
    struct fl_error err = {.code = FL_OK};
    bool two = fl_str_split(fl_str_n(data, size), '\0', &texts[0].text, &texts[1].text);
    fl_kube_config_init(&config);
    int rc = fl_kubeconfig_parse(texts, two ? 2 : 1, "/k/all", NULL, &config, &err);
    if (rc == FL_OK && (!config.host || !config.path || !config.ns || !config.port)) abort();
    if (rc != FL_OK && (rc != err.code || strncmp(err.detail, "/k/", 3) != 0)) abort();
    if (strchr(err.detail, '\n')) abort();
    fl_kube_config_deinit(&config);
    return 0;
}
