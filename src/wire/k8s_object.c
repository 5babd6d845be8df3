/* k8s_object.c - the reader of single objects: what both formats share. One thread; see
 * k8s_object.h. */
#include "wire/k8s_object.h"

#include "base/alloc.h"

struct fl_k8s_copy {
    struct fl_k8s_copy *next;
    char text[];
};

int fl_k8s_reader_init(struct fl_k8s_reader *reader, enum fl_k8s_kind kind,
                       const struct fl_k8s_decoder_events *events, void *arg) {
    *reader = (struct fl_k8s_reader){.kind = kind, .events = events, .arg = arg};
    int rc = fl_block_builder_new(FL_K8S_ENDPOINTS_MAX, &reader->builder);
    if (!rc) rc = fl_json_new(FL_K8S_FRAME_MAX, &reader->json);
    if (!rc) rc = fl_json_new(FL_K8S_FRAME_MAX, &reader->element_json);
    if (rc) fl_k8s_reader_deinit(reader);
    return rc;
}

void fl_k8s_reader_deinit(struct fl_k8s_reader *reader) {
    fl_k8s_reader_clear(reader);
    fl_block_builder_free(reader->builder);
    fl_json_free(reader->json);
    fl_json_free(reader->element_json);
    fl_free(reader->ports);
    fl_free(reader->subsets);
    *reader = (struct fl_k8s_reader){0};
}

void fl_k8s_reader_clear(struct fl_k8s_reader *reader) {
    fl_block_unref(reader->object.block);
    for (size_t i = 0; i < reader->object.more_count; i++) fl_block_unref(reader->more[i]);
    while (reader->copies) {
        struct fl_k8s_copy *copy = reader->copies;
        reader->copies = copy->next;
        fl_free(copy);
    }
    reader->object = (struct fl_k8s_object){.kind = reader->kind, .more = reader->more};
    reader->previous = NULL;
    reader->subset_count = 0;
}

int fl_k8s_read_object(struct fl_k8s_reader *reader, const struct fl_k8s_syntax *syntax,
                       enum fl_k8s_event event, struct fl_str bytes, struct fl_error *err) {
    fl_k8s_reader_clear(reader);
    reader->meta_only = event == FL_K8S_BOOKMARK;
    int rc = syntax->object(reader, bytes, err);
    if (!rc && reader->kind == FL_K8S_ENDPOINTS) reader->object.service = reader->object.name;
    if (!rc && reader->kind == FL_K8S_SERVICE) fl_k8s_reader_finish_service(reader);
    if (!rc) rc = reader->events->on_object(reader->arg, event, &reader->object);
    fl_k8s_reader_clear(reader);
    return rc;
}

int fl_k8s_read_status(struct fl_k8s_reader *reader, const struct fl_k8s_syntax *syntax,
                       struct fl_str bytes, struct fl_error *err) {
    struct fl_k8s_status status = {0};
    fl_k8s_reader_clear(reader);
    int rc = syntax->status(reader, bytes, &status, err);
    if (!rc) reader->events->on_error(reader->arg, &status);
    fl_k8s_reader_clear(reader);
    return rc;
}

int fl_k8s_check_kind(struct fl_str kind, struct fl_str expected, struct fl_error *err) {
    if (kind.n == 0 || fl_str_eq(kind, expected)) return 0;
    return fl_fail(err, FL_EPROTO, "kind %.*s where %.*s was expected", FL_STR_ARG(kind),
                   FL_STR_ARG(expected));
}

void fl_k8s_reader_find_previous(struct fl_k8s_reader *reader) {
    if (reader->events->previous && reader->object.name.n)
        reader->previous =
            reader->events->previous(reader->arg, reader->object.ns, reader->object.name);
}

int fl_k8s_reader_copy(struct fl_k8s_reader *reader, struct fl_str text, struct fl_str *out) {
    struct fl_k8s_copy *copy = fl_alloc(sizeof *copy + text.n);
    if (!copy) return FL_ENOMEM;
    copy->next = reader->copies;
    reader->copies = copy;
    if (text.n) memcpy(copy->text, text.p, text.n);
    *out = fl_str_n(copy->text, text.n);
    return 0;
}

static bool grow_ports(struct fl_k8s_reader *reader) {
    size_t cap = reader->port_cap ? 2 * reader->port_cap : 8;
    struct fl_k8s_service_port *ports = fl_realloc(reader->ports, cap * sizeof *ports);
    if (!ports) return false;
    reader->ports = ports;
    reader->port_cap = cap;
    return true;
}

int fl_k8s_reader_port(struct fl_k8s_reader *reader, struct fl_k8s_service_port **out) {
    struct fl_k8s_object *object = &reader->object;
    if (object->port_count == FL_K8S_SERVICE_PORTS_MAX) return FL_ETOO_LARGE;
    if (object->port_count == reader->port_cap && !grow_ports(reader)) return FL_ENOMEM;
    *out = &reader->ports[object->port_count++];
    **out = (struct fl_k8s_service_port){0};
    object->ports = reader->ports;
    return 0;
}

/* ServicePort.targetPort: "If this is not specified, the value of the 'port' field is used". */
void fl_k8s_reader_finish_service(struct fl_k8s_reader *reader) {
    for (size_t i = 0; i < reader->object.port_count; i++) {
        struct fl_k8s_service_port *port = &reader->ports[i];
        if (!port->target_name.n && !port->target_port) port->target_port = port->port;
    }
}

/* EndpointConditions: an absent ready or serving "should be interpreted as true", an absent
 * terminating as false (W18). */
static unsigned flags_of(const struct fl_k8s_endpoint *endpoint) {
    return (endpoint->ready ? FL_ENDPOINT_READY : 0u) |
           (endpoint->serving ? FL_ENDPOINT_SERVING : 0u) |
           (endpoint->terminating > 0 ? FL_ENDPOINT_TERMINATING : 0u);
}

void fl_k8s_reader_start_hints(struct fl_k8s_reader *reader, struct fl_k8s_endpoint *endpoint) {
    endpoint->has_hints = true;
    reader->hints.zone_count = reader->hints.node_count = 0;
}

void fl_k8s_reader_hint(struct fl_k8s_reader *reader, bool zone, struct fl_str name) {
    struct fl_block_hints *hints = &reader->hints;
    uint8_t *count = zone ? &hints->zone_count : &hints->node_count;
    if (*count == FL_BLOCK_HINTS_MAX) return;
    (zone ? hints->zones : hints->nodes)[(*count)++] = name;
}

int fl_k8s_reader_add(struct fl_k8s_reader *reader, const struct fl_k8s_endpoint *endpoint) {
    struct fl_block_endpoint out;
    if (!fl_address_parse(endpoint->address, &out.address)) {
        reader->object.skipped++;
        return 0;
    }
    if (!fl_uid_parse(endpoint->uid, out.uid)) memset(out.uid, 0, sizeof out.uid);
    out.node = endpoint->node;
    out.zone = endpoint->zone;
    out.pod_prefix = FL_STR_NONE;
    out.pod_suffix = endpoint->target_is_pod ? endpoint->pod : FL_STR_NONE;
    out.flags = flags_of(endpoint);
    out.hash = endpoint->hash;
    out.hints = endpoint->has_hints ? &reader->hints : NULL;
    return fl_block_builder_add(reader->builder, &out);
}

int fl_k8s_reader_subset(struct fl_k8s_reader *reader, struct fl_str bytes, uint64_t ports) {
    if (!reader->subsets) reader->subsets = fl_calloc(FL_K8S_SUBSETS_MAX, sizeof *reader->subsets);
    if (!reader->subsets) return FL_ENOMEM;
    if (reader->subset_count == FL_K8S_SUBSETS_MAX) return FL_ETOO_LARGE;
    reader->subsets[reader->subset_count++] = (struct fl_k8s_subset){bytes, ports, false};
    return 0;
}

/* Builds the block of the subset at `first` and of all later ones that have its ports. */
static int join_from(struct fl_k8s_reader *reader, size_t first,
                     int (*add)(struct fl_k8s_reader *reader, struct fl_str subset,
                                bool with_ports),
                     struct fl_block **out) {
    fl_block_builder_start(reader->builder, reader->previous);
    for (size_t i = first; i < reader->subset_count; i++) {
        struct fl_k8s_subset *subset = &reader->subsets[i];
        if (subset->taken || subset->ports != reader->subsets[first].ports) continue;
        int rc = add(reader, subset->bytes, i == first);
        if (rc) return rc;
        subset->taken = true;
    }
    return fl_block_builder_finish(reader->builder, out);
}

int fl_k8s_reader_join_subsets(struct fl_k8s_reader *reader,
                               int (*add)(struct fl_k8s_reader *reader, struct fl_str subset,
                                          bool with_ports)) {
    struct fl_k8s_object *object = &reader->object;
    int rc = join_from(reader, 0, add, &object->block);
    for (size_t i = 1; i < reader->subset_count && !rc; i++) {
        if (reader->subsets[i].taken) continue;
        if (object->more_count == FL_COUNT(reader->more)) return FL_ETOO_LARGE;
        rc = join_from(reader, i, add, &reader->more[object->more_count]);
        if (!rc) object->more_count++;
    }
    return rc;
}
