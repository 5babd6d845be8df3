/* k8s_body.h - taking a response body apart into objects. Private to wire/.
 *
 * One splitter per format. Each gives an object as soon as its last byte came: from the chunk if it
 * lies within it, else from a scratch that collects its pieces, each byte once. */
#ifndef FL_WIRE_K8S_BODY_H
#define FL_WIRE_K8S_BODY_H

#include "wire/k8s_object.h"

struct fl_k8s_body_state {
    struct fl_k8s_reader reader;
    enum fl_k8s_body body;
    int place;       /* where in the body: the splitter's own states */
    uint64_t offset; /* bytes of the body read; after an error: where it is */
    struct fl_buf resource_version, continue_token; /* of a list, for on_list_end */
    struct fl_buf scratch;                          /* an object in pieces; a whole Status */

    /* protobuf: the field or frame in progress */
    uint64_t head_value; /* of the number being read */
    size_t head_len;     /* bytes of the head so far */
    unsigned head_shift;
    bool head_has_tag;
    uint32_t tag;
    bool in_value;
    uint64_t left;      /* of the value */
    uint64_t list_left; /* of the List message */

    /* JSON */
    struct fl_json *json;
    bool has_type, known_type; /* of the watch event in progress */
    bool has_object;
    enum fl_k8s_event event;
};

/* What a format does with a body; `end` is told that it is over. Errors as of the public functions;
 * *err is filled in unless the code is a callback's. */
struct fl_k8s_splitter {
    void (*start)(struct fl_k8s_body_state *state);
    int (*feed)(struct fl_k8s_body_state *state, struct fl_str bytes, struct fl_error *err);
    int (*end)(struct fl_k8s_body_state *state, struct fl_error *err);
};

extern const struct fl_k8s_splitter fl_k8s_splitter_pb, fl_k8s_splitter_json;

/* Reads a list's metadata into resource_version and continue_token. */
FL_MUST int fl_k8s_body_list_meta(struct fl_k8s_body_state *state,
                                  const struct fl_k8s_syntax *syntax, struct fl_str bytes,
                                  struct fl_error *err);
/* The list is whole. */
void fl_k8s_body_list_end(struct fl_k8s_body_state *state);
/* Appends to scratch. FL_ETOO_LARGE above FL_K8S_FRAME_MAX, FL_ENOMEM. */
FL_MUST int fl_k8s_body_collect(struct fl_k8s_body_state *state, struct fl_str bytes,
                                struct fl_error *err);
/* Empties scratch; what an unusually large object left there is given back. */
void fl_k8s_body_collected(struct fl_k8s_body_state *state);

#endif
