/* secret.c - wiping what jansson holds; see secret.h. The depth of a tree is bounded by who parsed
 * it. */
#include "kube/secret.h"

static void wipe(json_t *value) {
    size_t i;
    const char *key;
    json_t *item;
    if (json_is_string(value)) {
        explicit_bzero((char *)json_string_value(value), json_string_length(value));
    } else if (json_is_array(value)) {
        json_array_foreach (value, i, item) wipe(item);
    } else if (json_is_object(value)) {
        json_object_foreach (value, key, item) wipe(item);
    }
}

void fl_secret_json_free(json_t *root) {
    wipe(root);
    json_decref(root);
}
