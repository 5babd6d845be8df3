/* k8s_json_fuzz.c - Kubernetes lists, watches and Statuses in JSON; see k8s_fuzz.h. */
#include "k8s_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    k8s_fuzz(FL_K8S_JSON, data, size);
    return 0;
}
