/* pod_encode.c - see pod_encode.h. */
#include "sim/pod_encode.h"

#include <time.h>

#include "wire/json_write.h"
#include "wire/pb.h"

static const char *phase_name(const struct fl_object *pod) {
    return pod->phase == FL_OBJECT_PENDING ? "Pending" : "Running";
}

static void time_text(int64_t seconds, char *out, size_t size) {
    time_t time = (time_t)seconds;
    struct tm tm;
    size_t n = gmtime_r(&time, &tm) ? strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) : 0;
    out[n] = 0;
}

static void json_text_of(struct fl_json_writer *w, struct fl_str key, struct fl_str value) {
    fl_json_put_key(w, key);
    fl_json_put_string(w, value);
}

static void json_text(struct fl_json_writer *w, const char *key, struct fl_str value) {
    json_text_of(w, fl_str_of(key), value);
}

static void json_meta(struct fl_json_writer *w, const struct fl_object *pod) {
    const struct fl_identity *who = pod->identity;
    struct fl_object_meta_text text;
    struct fl_k8s_meta meta;
    char created[32];
    fl_object_meta(pod, &text, &meta);
    time_text(who->created_s, created, sizeof created);
    fl_json_put_key(w, FL_STR("metadata"));
    fl_json_put_begin(w, '{');
    json_text(w, "name", who->name);
    json_text(w, "namespace", who->ns);
    json_text(w, "uid", meta.uid);
    json_text(w, "resourceVersion", meta.resource_version);
    json_text(w, "creationTimestamp", fl_str_of(created));
    if (pod->terminating) json_text(w, "deletionTimestamp", fl_str_of(created));
    fl_json_put_key(w, FL_STR("labels"));
    fl_json_put_begin(w, '{');
    for (size_t i = 0; i < meta.label_count; i++)
        json_text_of(w, meta.labels[i].key, meta.labels[i].value);
    fl_json_put_end(w, '}');
    fl_json_put_end(w, '}');
}

static void json_containers(struct fl_json_writer *w, const struct fl_object *pod) {
    fl_json_put_key(w, FL_STR("containerStatuses"));
    fl_json_put_begin(w, '[');
    fl_json_put_begin(w, '{');
    json_text(w, "name", FL_STR("echo"));
    fl_json_put_key(w, FL_STR("ready"));
    fl_json_put_bool(w, pod->phase == FL_OBJECT_READY);
    fl_json_put_key(w, FL_STR("restartCount"));
    fl_json_put_int(w, 0);
    json_text(w, "image", FL_STR("echo"));
    json_text(w, "imageID", FL_STR(""));
    fl_json_put_key(w, FL_STR("state"));
    fl_json_put_begin(w, '{');
    fl_json_put_key(w, pod->phase == FL_OBJECT_PENDING ? FL_STR("waiting") : FL_STR("running"));
    fl_json_put_begin(w, '{');
    fl_json_put_end(w, '}');
    fl_json_put_end(w, '}');
    fl_json_put_end(w, '}');
    fl_json_put_end(w, ']');
}

static void json_status(struct fl_json_writer *w, const struct fl_object *pod) {
    bool ready = pod->phase == FL_OBJECT_READY;
    fl_json_put_key(w, FL_STR("status"));
    fl_json_put_begin(w, '{');
    json_text(w, "phase", fl_str_of(phase_name(pod)));
    fl_json_put_key(w, FL_STR("conditions"));
    fl_json_put_begin(w, '[');
    fl_json_put_begin(w, '{');
    json_text(w, "type", FL_STR("Ready"));
    json_text(w, "status", ready ? FL_STR("True") : FL_STR("False"));
    fl_json_put_end(w, '}');
    fl_json_put_end(w, ']');
    if (pod->phase != FL_OBJECT_PENDING) json_text(w, "podIP", pod->identity->address);
    json_containers(w, pod);
    fl_json_put_end(w, '}');
}

int fl_object_encode_pod_json(const struct fl_object *pod, struct fl_buf *out) {
    struct fl_json_writer w = fl_json_writer_of(out);
    fl_json_put_begin(&w, '{');
    json_text(&w, "kind", FL_STR("Pod"));
    json_text(&w, "apiVersion", FL_STR("v1"));
    json_meta(&w, pod);
    fl_json_put_key(&w, FL_STR("spec"));
    fl_json_put_begin(&w, '{');
    json_text(&w, "nodeName", pod->identity->node);
    fl_json_put_key(&w, FL_STR("containers"));
    fl_json_put_begin(&w, '[');
    fl_json_put_begin(&w, '{');
    json_text(&w, "name", FL_STR("echo"));
    json_text(&w, "image", FL_STR("echo"));
    fl_json_put_end(&w, '}');
    fl_json_put_end(&w, ']');
    fl_json_put_end(&w, '}');
    json_status(&w, pod);
    fl_json_put_end(&w, '}');
    return fl_json_finish(&w);
}

static void pb_time(struct fl_pb_writer *w, unsigned number, int64_t seconds) {
    size_t time = fl_pb_open(w, number);
    fl_pb_put_varint(w, 1, (uint64_t)seconds);
    fl_pb_close(w, time);
}

static void pb_meta(struct fl_pb_writer *w, const struct fl_object *pod) {
    struct fl_object_meta_text text;
    struct fl_k8s_meta meta;
    fl_object_meta(pod, &text, &meta);
    size_t message = fl_pb_open(w, 1);
    fl_pb_put_text(w, 1, meta.name);
    fl_pb_put_text(w, 3, meta.ns);
    fl_pb_put_text(w, 5, meta.uid);
    fl_pb_put_text(w, 6, meta.resource_version);
    pb_time(w, 8, meta.created_s);
    if (pod->terminating) pb_time(w, 9, meta.created_s);
    for (size_t i = 0; i < meta.label_count; i++) {
        size_t label = fl_pb_open(w, 11);
        fl_pb_put_text(w, 1, meta.labels[i].key);
        fl_pb_put_text(w, 2, meta.labels[i].value);
        fl_pb_close(w, label);
    }
    fl_pb_close(w, message);
}

int fl_object_encode_pod_pb(const struct fl_object *pod, struct fl_buf *out) {
    struct fl_pb_writer w = fl_pb_writer_of(out);
    pb_meta(&w, pod);
    size_t spec = fl_pb_open(&w, 2);
    size_t container = fl_pb_open(&w, 2);
    fl_pb_put_text(&w, 1, FL_STR("echo"));
    fl_pb_close(&w, container);
    fl_pb_put_text(&w, 10, pod->identity->node);
    fl_pb_close(&w, spec);
    size_t status = fl_pb_open(&w, 3);
    fl_pb_put_text(&w, 1, fl_str_of(phase_name(pod)));
    size_t condition = fl_pb_open(&w, 2);
    fl_pb_put_text(&w, 1, FL_STR("Ready"));
    fl_pb_put_text(&w, 2, pod->phase == FL_OBJECT_READY ? FL_STR("True") : FL_STR("False"));
    fl_pb_close(&w, condition);
    if (pod->phase != FL_OBJECT_PENDING) fl_pb_put_text(&w, 6, pod->identity->address);
    fl_pb_close(&w, status);
    return fl_pb_finish(&w);
}

/* --- Deployments --- */

static void json_int(struct fl_json_writer *w, const char *key, int64_t value) {
    fl_json_put_key(w, fl_str_of(key));
    fl_json_put_int(w, value);
}

static void json_open(struct fl_json_writer *w, const char *key, char bracket) {
    fl_json_put_key(w, fl_str_of(key));
    fl_json_put_begin(w, bracket);
}

static void json_labels(struct fl_json_writer *w, const char *key, struct fl_str service) {
    json_open(w, key, '{');
    json_text(w, "app", service);
    fl_json_put_end(w, '}');
}

static void json_template(struct fl_json_writer *w, const struct fl_object *deployment) {
    char restarted[32];
    json_open(w, "template", '{');
    json_open(w, "metadata", '{');
    json_labels(w, "labels", deployment->identity->service);
    if (deployment->rollout.restarted_s) {
        time_text(deployment->rollout.restarted_s, restarted, sizeof restarted);
        json_open(w, "annotations", '{');
        json_text(w, "kubectl.kubernetes.io/restartedAt", fl_str_of(restarted));
        fl_json_put_end(w, '}');
    }
    fl_json_put_end(w, '}');
    json_open(w, "spec", '{');
    json_open(w, "containers", '[');
    fl_json_put_begin(w, '{');
    json_text(w, "name", FL_STR("echo"));
    json_text(w, "image", FL_STR("echo"));
    fl_json_put_end(w, '}');
    fl_json_put_end(w, ']');
    fl_json_put_end(w, '}');
    fl_json_put_end(w, '}');
}

static void json_deployment_spec(struct fl_json_writer *w, const struct fl_object *deployment) {
    const struct fl_rollout *r = &deployment->rollout;
    json_open(w, "spec", '{');
    json_int(w, "replicas", r->wanted);
    json_open(w, "selector", '{');
    json_labels(w, "matchLabels", deployment->identity->service);
    fl_json_put_end(w, '}');
    json_open(w, "strategy", '{');
    json_text(w, "type", FL_STR("RollingUpdate"));
    json_open(w, "rollingUpdate", '{');
    json_int(w, "maxSurge", r->max_surge);
    json_int(w, "maxUnavailable", r->max_unavailable);
    fl_json_put_end(w, '}');
    fl_json_put_end(w, '}');
    json_template(w, deployment);
    fl_json_put_end(w, '}');
}

static void json_condition(struct fl_json_writer *w, const char *type, bool holds,
                           const char *reason) {
    fl_json_put_begin(w, '{');
    json_text(w, "type", fl_str_of(type));
    json_text(w, "status", holds ? FL_STR("True") : FL_STR("False"));
    json_text(w, "reason", fl_str_of(reason));
    fl_json_put_end(w, '}');
}

static void json_deployment_status(struct fl_json_writer *w, const struct fl_rollout *r) {
    bool done = r->updated == r->wanted && r->all == r->wanted && r->ready == r->wanted;
    bool enough = r->ready + r->max_unavailable >= r->wanted;
    json_open(w, "status", '{');
    json_int(w, "observedGeneration", r->generation);
    json_int(w, "replicas", r->all);
    json_int(w, "updatedReplicas", r->updated);
    json_int(w, "readyReplicas", r->ready);
    json_int(w, "availableReplicas", r->ready);
    if (r->wanted > r->ready) json_int(w, "unavailableReplicas", r->wanted - r->ready);
    json_open(w, "conditions", '[');
    json_condition(w, "Available", enough,
                   enough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable");
    json_condition(w, "Progressing", true, done ? "NewReplicaSetAvailable" : "ReplicaSetUpdated");
    fl_json_put_end(w, ']');
    fl_json_put_end(w, '}');
}

int fl_object_encode_deployment(const struct fl_object *deployment, struct fl_buf *out) {
    struct fl_json_writer w = fl_json_writer_of(out);
    fl_json_put_begin(&w, '{');
    json_text(&w, "kind", FL_STR("Deployment"));
    json_text(&w, "apiVersion", FL_STR("apps/v1"));
    json_meta(&w, deployment);
    json_deployment_spec(&w, deployment);
    json_deployment_status(&w, &deployment->rollout);
    fl_json_put_end(&w, '}');
    return fl_json_finish(&w);
}
