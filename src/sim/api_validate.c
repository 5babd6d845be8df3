/* api_validate.c - see api_validate.h. */
#include "sim/api_validate.h"

#include <stdio.h>

#include "base/address.h"
#include "sim/cluster_inner.h"

#define ENDPOINTS_MAX 1000 /* of a slice */
#define PORTS_MAX     100

/* --- defaults --- */

/* Sets what is absent; takes the value. */
static int fill(json_t *object, const char *key, json_t *take) {
    if (!take) return FL_ENOMEM;
    if (json_object_get(object, key)) {
        json_decref(take);
        return 0;
    }
    return json_object_set_new(object, key, take) ? FL_ENOMEM : 0;
}

static int default_service(struct fl_cluster *cluster, json_t *tree) {
    json_t *spec = json_object_get(tree, "spec"), *port;
    char ip[32];
    size_t i;
    int rc = spec ? 0 : fill(tree, "spec", json_object());
    spec = json_object_get(tree, "spec");
    if (!rc) rc = fill(spec, "type", json_string("ClusterIP"));
    const char *type = json_string_value(json_object_get(spec, "type"));
    bool external = type && strcmp(type, "ExternalName") == 0;
    uint64_t bits = external ? 0 : fl_random_u64(&cluster->random);
    snprintf(ip, sizeof ip, "10.96.%u.%u", (unsigned)(bits % 256), (unsigned)(bits >> 8) % 256);
    if (!rc && !external) rc = fill(spec, "clusterIP", json_string(ip));
    if (!rc) rc = fill(spec, "sessionAffinity", json_string("None"));
    json_array_foreach (json_object_get(spec, "ports"), i, port) {
        if (rc || !json_is_object(port)) continue;
        rc = fill(port, "protocol", json_string("TCP"));
        json_t *number = json_object_get(port, "port");
        if (!rc && number) rc = fill(port, "targetPort", json_copy(number));
    }
    return rc ? rc : fill(tree, "status", json_pack("{s:{}}", "loadBalancer"));
}

static int default_status(json_t *tree, const char *phase) {
    int rc = fill(tree, "spec", json_object());
    return rc ? rc : fill(tree, "status", json_pack("{s:s}", "phase", phase));
}

int fl_api_default(struct fl_cluster *cluster, enum fl_k8s_kind kind, json_t *tree,
                   struct fl_api_status *status) {
    int rc = 0;
    if (kind == FL_K8S_SERVICE) rc = default_service(cluster, tree);
    if (kind == FL_K8S_POD) rc = default_status(tree, "Pending");
    if (kind == FL_K8S_NAMESPACE) rc = default_status(tree, "Active");
    return rc ? fl_api_fail(status, 500, "InternalError", "out of memory") : 0;
}

/* --- validation --- */

struct check {
    const struct fl_resource *resource;
    const char *name;
    struct fl_api_status *status;
};

static int invalid(const struct check *c, const char *field, const char *why) {
    return fl_api_fail(c->status, 422, "Invalid", "%s%s%s \"%s\" is invalid: %s: %s",
                       c->resource->kind_name, c->resource->group[0] ? "." : "", c->resource->group,
                       c->name, field, why);
}

/* RFC 1123: labels of a-z, 0-9 and '-', and '.' between them where `dots`. */
static bool is_dns_name(const char *name, size_t max, bool dots) {
    size_t n = strlen(name);
    if (!n || n > max) return false;
    for (size_t i = 0; i < n; i++) {
        char c = name[i], before = i ? name[i - 1] : '.', after = i + 1 < n ? name[i + 1] : '.';
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool inner = before != '.' && after != '.';
        if (!letter && !(c == '-' && inner) && !(c == '.' && dots && inner)) return false;
    }
    return true;
}

static int check_name(const struct check *c) {
    bool label = c->resource->kind == FL_K8S_SERVICE || c->resource->kind == FL_K8S_NAMESPACE;
    if (!c->name[0])
        return invalid(c, "metadata.name", "Required value: name or generateName is required");
    if (is_dns_name(c->name, label ? 63 : 253, !label)) return 0;
    return invalid(c, "metadata.name",
                   label
                       ? "Invalid value: a DNS label must consist of lower case alphanumeric "
                         "characters or '-', and must start and end with an alphanumeric character"
                       : "Invalid value: a lowercase RFC 1123 subdomain must consist of lower case "
                         "alphanumeric characters, '-' or '.', and must start and end with an "
                         "alphanumeric character");
}

static int check_labels(const struct check *c, const json_t *tree) {
    static const char *const maps[] = {"labels", "annotations"};
    const char *key;
    json_t *value;
    for (size_t i = 0; i < FL_COUNT(maps); i++) {
        const json_t *map = json_object_get(json_object_get(tree, "metadata"), maps[i]);
        if (map && !json_is_object(map)) return invalid(c, maps[i], "must be a map of strings");
        json_object_foreach ((json_t *)map, key, value)
            if (!json_is_string(value)) return invalid(c, maps[i], "values must be strings");
    }
    return 0;
}

static int check_port(const struct check *c, const json_t *port, const char *field) {
    const json_t *number = json_object_get(port, "port");
    json_int_t n = json_integer_value(number);
    if (!json_is_object(port)) return invalid(c, field, "must be an object");
    if (number && (!json_is_integer(number) || n < 1 || n > 65535))
        return invalid(c, field, "Invalid value: must be between 1 and 65535, inclusive");
    return 0;
}

static int check_service(const struct check *c, const json_t *tree) {
    const json_t *spec = json_object_get(tree, "spec"), *ports = json_object_get(spec, "ports");
    const char *type = json_string_value(json_object_get(spec, "type"));
    const char *ip = json_string_value(json_object_get(spec, "clusterIP"));
    bool external = type && strcmp(type, "ExternalName") == 0;
    size_t i;
    json_t *port;
    int code = 0;
    if (external && !json_string_length(json_object_get(spec, "externalName")))
        return invalid(c, "spec.externalName", "Required value");
    if (!external && !json_array_size(ports) && !(ip && strcmp(ip, "None") == 0))
        return invalid(c, "spec.ports", "Required value");
    if (json_array_size(ports) > PORTS_MAX) return invalid(c, "spec.ports", "Too many");
    json_array_foreach (ports, i, port) {
        if (!code && !json_object_get(port, "port"))
            code = invalid(c, "spec.ports[].port", "Required value");
        if (!code) code = check_port(c, port, "spec.ports[].port");
        if (!code && json_array_size(ports) > 1 &&
            !json_string_length(json_object_get(port, "name")))
            code = invalid(c, "spec.ports[].name", "Required value");
    }
    return code;
}

static int check_addresses(const struct check *c, const json_t *endpoint, bool names) {
    const json_t *list = json_object_get(endpoint, "addresses");
    size_t i;
    json_t *item;
    struct fl_address address;
    if (!json_array_size(list)) return invalid(c, "endpoints[].addresses", "Required value");
    json_array_foreach (list, i, item) {
        struct fl_str text = fl_str_n(json_string_value(item), json_string_length(item));
        bool good = json_is_string(item) && fl_address_parse(text, &address) &&
                    names == (address.kind == FL_ADDRESS_NAME);
        if (!good)
            return invalid(c, "endpoints[].addresses", "Invalid value: must be a valid IP address");
    }
    return 0;
}

static int check_slice(const struct check *c, const json_t *tree) {
    const char *type = json_string_value(json_object_get(tree, "addressType"));
    const json_t *endpoints = json_object_get(tree, "endpoints");
    size_t i;
    json_t *item;
    int code = 0;
    if (!type) return invalid(c, "addressType", "Required value");
    bool names = strcmp(type, "FQDN") == 0;
    if (strcmp(type, "IPv4") != 0 && strcmp(type, "IPv6") != 0 && !names)
        return invalid(c, "addressType",
                       "Unsupported value: supported values: \"FQDN\", \"IPv4\", \"IPv6\"");
    if (json_array_size(endpoints) > ENDPOINTS_MAX)
        return invalid(c, "endpoints", "Too many: must have at most 1000 items");
    json_array_foreach (endpoints, i, item)
        if (!code) code = check_addresses(c, item, names);
    json_array_foreach (json_object_get(tree, "ports"), i, item)
        if (!code) code = check_port(c, item, "ports[].port");
    return code;
}

static int check_pod(const struct check *c, const json_t *tree) {
    const json_t *containers = json_object_get(json_object_get(tree, "spec"), "containers");
    return json_array_size(containers) ? 0 : invalid(c, "spec.containers", "Required value");
}

int fl_api_validate(const struct fl_resource *resource, const json_t *tree,
                    struct fl_api_status *status) {
    const char *name =
        json_string_value(json_object_get(json_object_get(tree, "metadata"), "name"));
    const struct check c = {resource, name ? name : "", status};
    int code = check_name(&c);
    if (!code) code = check_labels(&c, tree);
    if (code) return code;
    switch (resource->kind) {
    case FL_K8S_SERVICE:
        return check_service(&c, tree);
    case FL_K8S_ENDPOINTSLICE:
        return check_slice(&c, tree);
    case FL_K8S_POD:
        return check_pod(&c, tree);
    default:
        return 0;
    }
}
