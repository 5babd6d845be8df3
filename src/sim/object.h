/* object.h - one Kubernetes object of the simulated cluster at one version.
 *
 * Objects are immutable once they have a version, counted by one thread, and share what does not
 * change between versions: the identity and, for services and what is derived from them, the
 * service's facts. Bytes are made on demand and kept as long as the object is the newest of its
 * name. */
#ifndef FL_SIM_OBJECT_H
#define FL_SIM_OBJECT_H

#include <jansson.h>

#include "wire/k8s.h"

#define FL_UID_TEXT 36
/* core/v1 Endpoints are cut here, as the real controller does. */
#define FL_ENDPOINTS_ADDRESSES_MAX 1000

/* Who an object is. For pods also where. */
struct fl_identity {
    size_t refs;
    struct fl_str ns, name;
    struct fl_str service;             /* that it belongs to; a service's own name */
    struct fl_str address, node, zone; /* pods */
    char uid[FL_UID_TEXT + 1];
    int64_t created_s;
};

/* Copies the strings of `of`; one reference. FL_ENOMEM. */
FL_MUST int fl_identity_new(const struct fl_identity *of, struct fl_identity **out);
struct fl_identity *fl_identity_ref(struct fl_identity *identity);
struct fl_identity *fl_identity_unref(struct fl_identity *identity); /* returns NULL */

/* What a service says about itself. */
struct fl_facts {
    size_t refs;
    struct fl_str external_name; /* ExternalName if not empty */
    struct fl_str cluster_ip;
    struct fl_k8s_service_port *ports;
    size_t port_count;
};

FL_MUST int fl_facts_new(const struct fl_facts *of, struct fl_facts **out);
struct fl_facts *fl_facts_ref(struct fl_facts *facts);
struct fl_facts *fl_facts_unref(struct fl_facts *facts); /* returns NULL */

/* A pod's place in a slice. */
struct fl_entry {
    struct fl_identity *pod;
    unsigned flags; /* FL_ENDPOINT_* */
};

/* How far a Deployment is. */
struct fl_rollout {
    unsigned wanted, all, updated, ready;
    unsigned max_surge, max_unavailable;
    unsigned generation;
    int64_t restarted_s; /* 0: never */
};

enum fl_object_phase { FL_OBJECT_PENDING, FL_OBJECT_RUNNING, FL_OBJECT_READY };

struct fl_object {
    size_t refs;
    enum fl_k8s_kind kind;
    uint64_t version; /* 0: not stored yet, may still be changed */
    bool newest;      /* of its name: its bytes are kept */
    struct fl_identity *identity;
    struct fl_facts *facts; /* SERVICE, ENDPOINTSLICE, ENDPOINTS */
    struct fl_buf bytes[2]; /* by format; empty: not made yet */

    struct fl_entry *entries; /* ENDPOINTSLICE */
    size_t entry_count;
    struct fl_object **slices; /* ENDPOINTS: what they are made of */
    size_t slice_count;
    enum fl_object_phase phase; /* POD */
    bool terminating;
    struct fl_rollout rollout; /* DEPLOYMENT */

    /* Written by a user: the whole object, its version filled in when it is encoded; else NULL. */
    json_t *body;
    /* What users changed of an object that the cluster makes, as RFC 7396 says it; NULL: nothing.
     * It goes on from version to version. */
    json_t *overlay;
};

/* References what it is given. `room`: of entries or slices. FL_ENOMEM. */
FL_MUST int fl_object_new(enum fl_k8s_kind kind, struct fl_identity *identity,
                          struct fl_facts *facts, size_t room, struct fl_object **out);
/* The same object, to be changed and stored; with room for `more` entries. */
FL_MUST int fl_object_copy(const struct fl_object *of, size_t more, struct fl_object **out);
struct fl_object *fl_object_ref(struct fl_object *object);
struct fl_object *fl_object_unref(struct fl_object *object); /* returns NULL; NULL is allowed */

/* By namespace, then name, as lists are ordered. */
int fl_object_cmp(const struct fl_object *object, struct fl_str ns, struct fl_str name);

/* Of a user's object: what the body says of itself. Takes the body, even on failure. FL_ENOMEM. */
FL_MUST int fl_object_take_body(enum fl_k8s_kind kind, struct fl_identity *identity, json_t *body,
                                struct fl_object **out);

#define FL_OBJECT_LABELS_MAX 3
/* Those that the cluster gives; see fl_object_label. */
size_t fl_object_labels(const struct fl_object *object,
                        struct fl_k8s_label out[FL_OBJECT_LABELS_MAX]);
/* False: there is no such label. */
bool fl_object_label(const struct fl_object *object, struct fl_str key, struct fl_str *value);
/* What a field selector may ask for: metadata.name, metadata.namespace; of pods spec.nodeName,
 * status.phase, status.podIP. False: not there. */
bool fl_object_field(const struct fl_object *object, struct fl_str key, struct fl_str *value);

struct fl_object_meta_text { /* what a struct fl_k8s_meta borrows */
    struct fl_k8s_label labels[FL_OBJECT_LABELS_MAX], truncated;
    char version[24];
};
void fl_object_meta(const struct fl_object *object, struct fl_object_meta_text *text,
                    struct fl_k8s_meta *meta);
/* The whole object as a tree of its own; NULL: no memory. */
FL_MUST json_t *fl_object_json(struct fl_object *object);

/* Appends the bare object (see wire/k8s.h). FL_ENOMEM, FL_EFULL. */
FL_MUST int fl_object_encode(struct fl_object *object, enum fl_k8s_format format,
                             struct fl_buf *out);
/* The same of a PartialObjectMetadata: its metadata alone. */
FL_MUST int fl_object_encode_metadata(struct fl_object *object, enum fl_k8s_format format,
                                      struct fl_buf *out);
/* Its bytes are no longer wanted at once. */
void fl_object_superseded(struct fl_object *object);

#endif
