/* yaml_fuzz.c - YAML to jansson: no crash, no leak, and a tree or an error. */
#include "wire/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *root;
    struct fl_error err;
    int rc = fl_yaml_parse(fl_str_n(data, size), &root, &err);
    FL_ASSERT((rc == 0) == (root != NULL));
    json_decref(root);
    return 0;
}
