/* k8s_pb_fuzz.c - Kubernetes lists, watches and Statuses in protobuf; see k8s_fuzz.h. */
#include "k8s_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    k8s_fuzz(FL_K8S_PROTOBUF, data, size);
    return 0;
}
