/* k8s_fuzz.h - what the two fuzz targets of Kubernetes bodies share: decode whole and in pieces,
 * hash everything that came out, and compare. The first byte of the input is kind and body, the
 * second the size of the pieces. */
#ifndef FL_FUZZ_K8S_H
#define FL_FUZZ_K8S_H

#include "base/def.h"
#include "base/hash.h"
#include "wire/k8s.h"

struct k8s_outcome {
    uint64_t seen;
    struct fl_block *held;
};

static inline void k8s_note(struct k8s_outcome *out, struct fl_str text) {
    out->seen = fl_hash(text, out->seen + 1);
}

static inline void k8s_note_number(struct k8s_outcome *out, uint64_t number) {
    k8s_note(out, fl_str_n(&number, sizeof number));
}

static inline void k8s_note_block(struct k8s_outcome *out, const struct fl_block *block) {
    struct fl_block_endpoint e;
    struct fl_block_port port;
    for (size_t i = 0; i < fl_block_count(block); i++) {
        char address[FL_ADDRESS_TEXT_MAX];
        fl_block_endpoint_at(block, i, &e);
        fl_address_format(&e.address, address);
        k8s_note(out, fl_str_of(address));
        k8s_note(out, e.node);
        k8s_note(out, e.zone);
        k8s_note(out, e.pod_suffix);
        k8s_note_number(out, e.hash + e.flags);
    }
    for (size_t i = 0; i < fl_block_port_count(block); i++) {
        fl_block_port_at(block, i, &port);
        k8s_note(out, port.name);
        k8s_note_number(out, port.port);
    }
}

static inline int k8s_on_object(void *arg, enum fl_k8s_event event, struct fl_k8s_object *object) {
    struct k8s_outcome *out = arg;
    k8s_note_number(out, (uint64_t)event);
    k8s_note(out, object->name);
    k8s_note(out, object->ns);
    k8s_note(out, object->resource_version);
    k8s_note(out, object->service);
    if (object->block) k8s_note_block(out, object->block);
    for (size_t i = 0; i < object->more_count; i++) k8s_note_block(out, object->more[i]);
    for (size_t i = 0; i < object->port_count; i++) {
        k8s_note(out, object->ports[i].name);
        k8s_note_number(out, object->ports[i].target_port);
    }
    fl_block_unref(out->held); /* the next object is compared with this one */
    out->held = object->block;
    object->block = NULL;
    return 0;
}

static inline void k8s_on_error(void *arg, const struct fl_k8s_status *status) {
    k8s_note(arg, status->reason);
    k8s_note(arg, status->message);
    k8s_note_number(arg, (uint64_t)status->code);
}

static inline void k8s_on_list_end(void *arg, struct fl_str version, struct fl_str token) {
    k8s_note(arg, version);
    k8s_note(arg, token);
}

static inline struct fl_block *k8s_previous(void *arg, struct fl_str ns, struct fl_str name) {
    FL_UNUSED(ns);
    FL_UNUSED(name);
    return ((struct k8s_outcome *)arg)->held;
}

static inline uint64_t k8s_decode(enum fl_k8s_format format, uint8_t choice, struct fl_str bytes,
                                  size_t piece, int *rc) {
    static const struct fl_k8s_decoder_events events = {k8s_on_object, k8s_on_error,
                                                        k8s_on_list_end, k8s_previous};
    static const enum fl_k8s_kind kinds[] = {FL_K8S_ENDPOINTSLICE, FL_K8S_SERVICE, FL_K8S_ENDPOINTS,
                                             FL_K8S_METADATA};
    struct k8s_outcome out = {0};
    struct fl_k8s_decoder *decoder;
    struct fl_error err;
    *rc = fl_k8s_decoder_new(kinds[choice & 3], &events, &out, &decoder);
    if (*rc) return 0;
    fl_k8s_decoder_start(decoder, (enum fl_k8s_body)((choice >> 2) % 3), format);
    while (bytes.n && !*rc) {
        size_t n = FL_MIN(piece, bytes.n);
        *rc = fl_k8s_decoder_feed(decoder, fl_str_n(bytes.p, n), &err);
        bytes = fl_str_from(bytes, n);
    }
    if (!*rc) *rc = fl_k8s_decoder_end(decoder, &err);
    fl_k8s_decoder_free(decoder);
    fl_block_unref(out.held);
    return out.seen;
}

static inline void k8s_fuzz(enum fl_k8s_format format, const uint8_t *data, size_t size) {
    if (size < 2) return;
    int whole_rc, pieces_rc;
    struct fl_str bytes = fl_str_n(data + 2, size - 2);
    uint64_t whole = k8s_decode(format, data[0], bytes, SIZE_MAX, &whole_rc);
    uint64_t pieces = k8s_decode(format, data[0], bytes, (size_t)data[1] % 100 + 1, &pieces_rc);
    FL_ASSERT(whole == pieces && whole_rc == pieces_rc);
}

#endif
