/* k8s_object.h - decoding one object that lies whole in memory. Private to wire/.
 *
 * A reader is what all objects of a decoder are read with, one after the other: the builder of
 * blocks, tokenizers, and the object in the making. The two formats fill the object in; the reader
 * hands it out and clears up. */
#ifndef FL_WIRE_K8S_OBJECT_H
#define FL_WIRE_K8S_OBJECT_H

#include "base/hash.h"
#include "wire/json.h"
#include "wire/k8s_names.h"

/* A subset of an Endpoints object: its bytes, and a hash of its ports by which subsets are put
 * together. */
struct fl_k8s_subset {
    struct fl_str bytes;
    uint64_t ports;
    bool taken;
};

struct fl_k8s_reader {
    enum fl_k8s_kind kind;
    const struct fl_k8s_decoder_events *events;
    void *arg;
    struct fl_block_builder *builder;
    struct fl_json *json;         /* over a whole object */
    struct fl_json *element_json; /* over a part of it that is read a second time */

    struct fl_k8s_object object;
    bool meta_only;             /* a bookmark: nothing but metadata counts */
    struct fl_block *previous;  /* what the store holds under this key, borrowed */
    struct fl_k8s_copy *copies; /* strings that could not be borrowed from the object's bytes */
    struct fl_k8s_service_port *ports; /* grows to at most FL_K8S_SERVICE_PORTS_MAX */
    size_t port_cap;
    struct fl_k8s_subset *subsets; /* FL_K8S_SUBSETS_MAX, made when first needed */
    size_t subset_count;
    struct fl_block *more[FL_K8S_BLOCKS_MAX - 1];
    struct fl_block_hints hints; /* of the endpoint that is read, if it has any */
};

/* How a format reads an object. Errors: FL_EPROTO, FL_ETOO_LARGE, FL_ENOMEM. */
struct fl_k8s_syntax {
    /* Fills in reader->object from a bare object. */
    int (*object)(struct fl_k8s_reader *reader, struct fl_str bytes, struct fl_error *err);
    /* From a bare Status; strings are borrowed from `bytes` or from the reader's copies. */
    int (*status)(struct fl_k8s_reader *reader, struct fl_str bytes, struct fl_k8s_status *out,
                  struct fl_error *err);
    /* From a bare ListMeta. */
    int (*list_meta)(struct fl_k8s_reader *reader, struct fl_str bytes,
                     struct fl_str *resource_version, struct fl_str *continue_token,
                     struct fl_error *err);
};

extern const struct fl_k8s_syntax fl_k8s_syntax_pb, fl_k8s_syntax_json;

FL_MUST int fl_k8s_reader_init(struct fl_k8s_reader *reader, enum fl_k8s_kind kind,
                               const struct fl_k8s_decoder_events *events, void *arg);
void fl_k8s_reader_deinit(struct fl_k8s_reader *reader);
/* Forgets the object: its blocks that nobody took, its copies. */
void fl_k8s_reader_clear(struct fl_k8s_reader *reader);

/* Reads one object and hands it to on_object, a Status to on_error. Also what on_object returned.
 */
FL_MUST int fl_k8s_read_object(struct fl_k8s_reader *reader, const struct fl_k8s_syntax *syntax,
                               enum fl_k8s_event event, struct fl_str bytes, struct fl_error *err);
FL_MUST int fl_k8s_read_status(struct fl_k8s_reader *reader, const struct fl_k8s_syntax *syntax,
                               struct fl_str bytes, struct fl_error *err);

/* --- for the two formats --- */

/* 0, or FL_EPROTO if `kind` is not the one that is read; an empty one is taken for it. */
FL_MUST int fl_k8s_check_kind(struct fl_str kind, struct fl_str expected, struct fl_error *err);
static inline bool fl_k8s_has_blocks(enum fl_k8s_kind kind) {
    return kind == FL_K8S_ENDPOINTSLICE || kind == FL_K8S_ENDPOINTS;
}
/* The metadata is known: asks for the previous block. */
void fl_k8s_reader_find_previous(struct fl_k8s_reader *reader);
/* A copy of `text` that stays until clear; NULL in *out: no memory. */
FL_MUST int fl_k8s_reader_copy(struct fl_k8s_reader *reader, struct fl_str text,
                               struct fl_str *out);
/* A zeroed port at the end of the Service's. FL_ETOO_LARGE, FL_ENOMEM. */
FL_MUST int fl_k8s_reader_port(struct fl_k8s_reader *reader, struct fl_k8s_service_port **out);
/* Fills in what follows from the other fields of a Service, when it is whole. */
void fl_k8s_reader_finish_service(struct fl_k8s_reader *reader);

/* What the formats collect of one endpoint before it can be added. */
struct fl_k8s_endpoint {
    struct fl_str address, uid, node, zone, pod;
    bool has_address;                   /* the first one of its list counts */
    bool target_is_pod;                 /* or its kind is not given */
    bool has_hints;                     /* they stand in the reader's `hints` */
    int8_t ready, serving, terminating; /* -1: absent */
    /* Of its bytes; unkeyed: who can make two endpoints of one hash writes the whole slice anyway.
     */
    uint64_t hash;
};
static inline void fl_k8s_endpoint_init(struct fl_k8s_endpoint *endpoint) {
    /* One by one: a literal becomes a string instruction that costs more than the walk. */
    endpoint->address = endpoint->uid = endpoint->node = endpoint->zone = endpoint->pod =
        FL_STR_NONE;
    endpoint->has_address = endpoint->has_hints = false;
    endpoint->target_is_pod = true;
    endpoint->ready = endpoint->serving = endpoint->terminating = -1;
    endpoint->hash = 0;
}
/* The endpoint has hints: they begin anew. */
void fl_k8s_reader_start_hints(struct fl_k8s_reader *reader, struct fl_k8s_endpoint *endpoint);
/* One name of forZones or forNodes; those beyond what the API server allows are passed over. */
void fl_k8s_reader_hint(struct fl_k8s_reader *reader, bool zone, struct fl_str name);
FL_MUST int fl_k8s_reader_add(struct fl_k8s_reader *reader, const struct fl_k8s_endpoint *endpoint);

/* Subsets: noted first, then put together into blocks by equal ports. `add` adds one subset's ports
 * (if asked to) and endpoints to the builder. */
FL_MUST int fl_k8s_reader_subset(struct fl_k8s_reader *reader, struct fl_str bytes, uint64_t ports);
FL_MUST int fl_k8s_reader_join_subsets(struct fl_k8s_reader *reader,
                                       int (*add)(struct fl_k8s_reader *reader,
                                                  struct fl_str subset, bool with_ports));

#endif
