/* api_scale.c - see api_scale.h. */
#include "sim/api_scale.h"

#include "sim/json_patch.h"

json_t *fl_api_scale_json(struct fl_object *object) {
    json_t *tree = fl_object_json(object), *out = NULL;
    if (!tree) return NULL;
    const json_t *meta = json_object_get(tree, "metadata"), *spec = json_object_get(tree, "spec");
    const json_t *status = json_object_get(tree, "status");
    out = json_pack("{s:s, s:s, s:{s:O, s:O, s:O, s:O, s:O}, s:{s:I}, s:{s:I, s:s+}}", "kind",
                    "Scale", "apiVersion", "autoscaling/v1", "metadata", "name",
                    json_object_get(meta, "name"), "namespace", json_object_get(meta, "namespace"),
                    "uid", json_object_get(meta, "uid"), "resourceVersion",
                    json_object_get(meta, "resourceVersion"), "creationTimestamp",
                    json_object_get(meta, "creationTimestamp"), "spec", "replicas",
                    json_integer_value(json_object_get(spec, "replicas")), "status", "replicas",
                    json_integer_value(json_object_get(status, "replicas")), "selector",
                    "app=", json_string_value(json_object_get(meta, "name")));
    json_decref(tree);
    return out;
}

void fl_api_reply_scale(const struct fl_api_call *call, struct fl_object *object) {
    json_t *tree = fl_api_scale_json(object);
    struct fl_api_status status;
    struct fl_buf body;
    fl_buf_init(&body, FL_API_BODY_MAX);
    if (!tree || fl_json_print(tree, &body)) {
        fl_api_fail(&status, 500, "InternalError", "out of memory");
        fl_api_reply_status(call, &status);
    } else {
        fl_api_reply_take(call, 200, "application/json", 0, &body);
    }
    fl_buf_deinit(&body);
    json_decref(tree);
}
