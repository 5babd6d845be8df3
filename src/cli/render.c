/* render.c - sets, endpoints and changes as JSON values and as words. */
#include "cli/render.h"

static void add_hints(json_t *endpoint, const char *name, const char *const *hints, size_t count) {
    if (!endpoint || !count) return;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, json_string(hints[i]));
    json_object_set_new(endpoint, name, list);
}

json_t *fl_render_endpoint(const struct fl_endpoint *e) {
    json_t *endpoint = json_pack(
        "{s:s, s:i, s:s, s:s, s:s, s:b, s:b, s:b, s:s, s:s, s:s}", "address", e->address, "port",
        (int)e->port, "portName", e->port_name, "protocol", e->protocol, "appProtocol",
        e->app_protocol, "ready", (int)e->ready, "serving", (int)e->serving, "terminating",
        (int)e->terminating, "node", e->node, "zone", e->zone, "pod", e->pod);
    add_hints(endpoint, "forZones", e->for_zones, e->for_zone_count);
    add_hints(endpoint, "forNodes", e->for_nodes, e->for_node_count);
    return endpoint;
}

json_t *fl_render_head(const struct fl_set *set) {
    json_t *head =
        json_pack("{s:s, s:s, s:I, s:I}", "service", fl_set_service(set), "state",
                  fl_set_state_name(fl_set_state(set)), "version", (json_int_t)fl_set_version(set),
                  "stale_ms", (json_int_t)fl_set_stale_ms(set));
    const char *external = fl_set_external_name(set);
    if (head && external) json_object_set_new(head, "externalName", json_string(external));
    if (head && fl_set_is_snapshot(set)) json_object_set_new(head, "snapshot", json_true());
    if (head && fl_set_is_truncated(set)) json_object_set_new(head, "truncated", json_true());
    return head;
}

static void append_endpoint(void *list, const struct fl_endpoint *endpoint) {
    json_array_append_new(list, fl_render_endpoint(endpoint));
}

json_t *fl_render_set(const struct fl_set *set) {
    json_t *whole = fl_render_head(set), *list = json_array();
    fl_set_each(set, append_endpoint, list);
    json_object_set_new(whole, "endpoints", list);
    return whole;
}

const char *fl_render_condition(const struct fl_endpoint *endpoint) {
    if (endpoint->terminating) return endpoint->serving ? "terminating, serving" : "terminating";
    return endpoint->ready ? "ready" : "not ready";
}
