/* k8s.h - Kubernetes objects and watch events, from and to protobuf and JSON.
 *
 * Decoders walk the bytes once and project: fields that nobody asked for are skipped unread. They
 * do no I/O, keep no state between objects but what their scratch holds, and take input in any
 * chunking in linear time. Strings of what they give are borrowed until the callback returns.
 *
 * Source: generated.proto of k8s.io/api (discovery/v1, core/v1) and apimachinery (meta/v1,
 * runtime). */
#ifndef FL_WIRE_K8S_H
#define FL_WIRE_K8S_H

#include "base/block.h"
#include "base/buf.h"

enum fl_k8s_kind {
    FL_K8S_ENDPOINTSLICE,
    FL_K8S_SERVICE,
    FL_K8S_ENDPOINTS,
    FL_K8S_STATUS,
    FL_K8S_POD,      /* encoded around by the simulator; there is no decoder for it */
    FL_K8S_METADATA, /* PartialObjectMetadata: an object of any kind without all but its metadata */
    FL_K8S_NODE,     /* this and what follows: the simulator's only, as FL_K8S_POD */
    FL_K8S_NAMESPACE,
    FL_K8S_LEASE,
    FL_K8S_DEPLOYMENT,
};
enum fl_k8s_format { FL_K8S_JSON, FL_K8S_PROTOBUF };

#define FL_K8S_FRAME_MAX                                                                           \
    ((size_t)16 * 1024 * 1024) /* of one object or watch event, as client-go                       \
                                */

/* Content-Type and Accept of a format. */
#define FL_K8S_ACCEPT       "application/vnd.kubernetes.protobuf, application/json"
#define FL_K8S_ACCEPT_WATCH "application/vnd.kubernetes.protobuf;stream=watch, application/json"
#define FL_K8S_ACCEPT_JSON  "application/json"
/* Of a list of FL_K8S_METADATA, asked for at any collection's path. */
#define FL_K8S_AS_METADATA ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
#define FL_K8S_ACCEPT_METADATA                                                                     \
    "application/vnd.kubernetes.protobuf" FL_K8S_AS_METADATA ", "                                  \
    "application/json" FL_K8S_AS_METADATA
#define FL_K8S_ACCEPT_METADATA_JSON "application/json" FL_K8S_AS_METADATA

/* A port of a Service. target_name stands for a named targetPort, else target_port. */
struct fl_k8s_service_port {
    struct fl_str name, protocol, app_protocol, target_name;
    uint16_t port, target_port;
};

#define FL_K8S_SERVICE_PORTS_MAX 512
#define FL_K8S_ENDPOINTS_MAX     65536 /* of one object */
#define FL_K8S_SUBSETS_MAX       1024  /* of one ENDPOINTS */
#define FL_K8S_BLOCKS_MAX        64    /* of one ENDPOINTS: different lists of ports */

struct fl_k8s_object {
    enum fl_k8s_kind kind;
    struct fl_str name, ns, uid, resource_version;
    bool initial_events_end; /* BOOKMARK: annotation k8s.io/initial-events-end is "true" */

    /* ENDPOINTSLICE and ENDPOINTS: one reference, which the callback may steal by setting it NULL.
     * FL_K8S_ENDPOINTS: ready from which list it stood in; subsets of equal ports share a block,
     * and the usual object has one. */
    struct fl_str service;  /* label kubernetes.io/service-name; ENDPOINTS: the object's name */
    struct fl_block *block; /* NULL in a bookmark */
    struct fl_block **more; /* ENDPOINTS: those of subsets with other ports; to steal likewise */
    size_t more_count;
    size_t skipped; /* endpoints left out: without a usable address */
    bool truncated; /* ENDPOINTS: annotation endpoints.kubernetes.io/over-capacity */

    /* SERVICE */
    struct fl_str type, external_name;
    bool publish_not_ready;
    bool headless; /* clusterIP "None" */
    const struct fl_k8s_service_port *ports;
    size_t port_count;
};

enum fl_k8s_event {
    FL_K8S_ADDED,
    FL_K8S_MODIFIED,
    FL_K8S_DELETED,
    FL_K8S_BOOKMARK,
    FL_K8S_ERROR,
    FL_K8S_ITEM, /* of a list */
};

/* metav1.Status */
struct fl_k8s_status {
    int code;
    struct fl_str reason, message;
    uint32_t retry_after_s;
    bool version_too_large; /* cause ResourceVersionTooLarge */
};

struct fl_k8s_decoder_events {
    /* ADDED … BOOKMARK and ITEM. Return 0 to go on; a negative code ends the feed with it. */
    int (*on_object)(void *arg, enum fl_k8s_event event, struct fl_k8s_object *object);
    void (*on_error)(void *arg, const struct fl_k8s_status *status); /* ERROR, or a Status body */
    /* A list's metadata, when the whole list was read: out of fl_k8s_decoder_end. */
    void (*on_list_end)(void *arg, struct fl_str resource_version, struct fl_str continue_token);
    /* The block that the store holds for this key (borrowed), for reuse by hash; may be NULL. */
    struct fl_block *(*previous)(void *arg, struct fl_str ns, struct fl_str name);
};

/* Decodes one response body: a list (streamed: one object at a time, never the whole list), a
 * watch, or a Status. Objects of another kind than asked for are FL_EPROTO (W20); events of a type
 * that is not known are passed over. One thread. */
struct fl_k8s_decoder;

enum fl_k8s_body { FL_K8S_BODY_LIST, FL_K8S_BODY_WATCH, FL_K8S_BODY_STATUS };

FL_MUST int fl_k8s_decoder_new(enum fl_k8s_kind kind, const struct fl_k8s_decoder_events *events,
                               void *arg, struct fl_k8s_decoder **out); /* FL_ENOMEM */
void fl_k8s_decoder_free(struct fl_k8s_decoder *decoder);
/* Begins another body; what was left of the last is dropped, scratch is kept. */
void fl_k8s_decoder_start(struct fl_k8s_decoder *decoder, enum fl_k8s_body body,
                          enum fl_k8s_format format);
/* FL_EPROTO (detail: what and at which byte), FL_ETOO_LARGE, FL_ENOMEM, or the callback's code.
 * After an error only start and free are allowed. */
FL_MUST int fl_k8s_decoder_feed(struct fl_k8s_decoder *decoder, struct fl_str bytes,
                                struct fl_error *err);
/* The body ended: FL_EPROTO if in the middle of an object or a list. */
FL_MUST int fl_k8s_decoder_end(struct fl_k8s_decoder *decoder, struct fl_error *err);

/* Compares resource versions: -1, 0, 1; FL_K8S_VERSION_OPAQUE if either is no canonical decimal. */
#define FL_K8S_VERSION_OPAQUE 2
int fl_k8s_version_cmp(struct fl_str a, struct fl_str b);

/* --- Encoding, for the simulator and for tests: objects as plain values. --- */

struct fl_k8s_label {
    struct fl_str key, value;
};

struct fl_k8s_meta {
    struct fl_str name, ns, uid, resource_version;
    int64_t created_s;
    const struct fl_k8s_label *labels, *annotations;
    size_t label_count, annotation_count;
};

struct fl_k8s_endpoint_spec {
    struct fl_str address;           /* text */
    int ready, serving, terminating; /* 1, 0, or -1: absent */
    struct fl_str node, zone, pod, pod_uid;
    const struct fl_block_hints *hints; /* NULL: none */
};

struct fl_k8s_slice_spec {
    struct fl_k8s_meta meta;
    struct fl_str address_type; /* IPv4, IPv6, FQDN */
    const struct fl_k8s_endpoint_spec *endpoints;
    size_t endpoint_count;
    const struct fl_block_port *ports;
    size_t port_count;
};

struct fl_k8s_service_spec {
    struct fl_k8s_meta meta;
    struct fl_str type, cluster_ip, external_name;
    bool publish_not_ready;
    const struct fl_k8s_service_port *ports;
    size_t port_count;
};

/* Append one bare object (protobuf: the message without the k8s envelope; JSON: with kind and
 * apiVersion). FL_EFULL, FL_ENOMEM. */
FL_MUST int fl_k8s_encode_slice(struct fl_buf *out, enum fl_k8s_format format,
                                const struct fl_k8s_slice_spec *slice);
/* The same endpoints as a core/v1 Endpoints object of one subset, for servers without slices. */
FL_MUST int fl_k8s_encode_endpoints(struct fl_buf *out, enum fl_k8s_format format,
                                    const struct fl_k8s_slice_spec *slice);
FL_MUST int fl_k8s_encode_service(struct fl_buf *out, enum fl_k8s_format format,
                                  const struct fl_k8s_service_spec *service);
/* A bare metav1.Status. */
FL_MUST int fl_k8s_encode_status(struct fl_buf *out, enum fl_k8s_format format,
                                 const struct fl_k8s_status *status);
/* A bare FL_K8S_METADATA. */
FL_MUST int fl_k8s_encode_metadata(struct fl_buf *out, enum fl_k8s_format format,
                                   const struct fl_k8s_meta *meta);
/* A bare object that holds only metadata: for bookmarks. */
FL_MUST int fl_k8s_encode_bookmark(struct fl_buf *out, enum fl_k8s_format format,
                                   enum fl_k8s_kind kind, struct fl_str resource_version,
                                   bool initial_events_end);
/* One framed watch event around a bare object; ERROR takes a bare Status and FL_K8S_STATUS. */
FL_MUST int fl_k8s_encode_event(struct fl_buf *out, enum fl_k8s_format format,
                                enum fl_k8s_event event, enum fl_k8s_kind kind,
                                struct fl_str object);
/* A whole list around bare objects. */
FL_MUST int fl_k8s_encode_list(struct fl_buf *out, enum fl_k8s_format format, enum fl_k8s_kind kind,
                               const struct fl_str *objects, size_t count,
                               struct fl_str resource_version, struct fl_str continue_token);
/* A single object with its envelope, as GET answers it; also a Status body. */
FL_MUST int fl_k8s_encode_object(struct fl_buf *out, enum fl_k8s_format format,
                                 enum fl_k8s_kind kind, struct fl_str object);

#endif
