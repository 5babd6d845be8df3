/* metadata.c - see metadata.h.
 *
 * Received lists are measured first, then written into one allocation: the entries, then their
 * texts. Most responses carry nothing but gRPC's own headers, and cost nothing. */
#include "channel/metadata.h"

#include "base/alloc.h"
#include "base/error.h"
#include "http/fields.h"
#include "wire/grpc.h"

/* Not the caller's to send or to see. Sorted by nothing: the first letter decides most. */
static const struct fl_str own_names[] = {
    FL_STR("content-type"),
    FL_STR("grpc-accept-encoding"),
    FL_STR("grpc-encoding"),
    FL_STR("grpc-message"),
    FL_STR("grpc-previous-rpc-attempts"),
    FL_STR("grpc-retry-pushback-ms"),
    FL_STR("grpc-status"),
    FL_STR("grpc-timeout"),
    FL_STR("te"),
    FL_STR("user-agent"),
};

static bool is_own(struct fl_str name) {
    if (name.n == 0 || !strchr("cgtu", name.p[0])) return false;
    for (size_t i = 0; i < FL_COUNT(own_names); i++) {
        if (fl_str_eq(name, own_names[i])) return true;
    }
    return false;
}

static bool is_binary(struct fl_str name) { return fl_str_ends(name, FL_STR("-bin")); }

/* Header-Name -> 1*( %x30-39 / %x61-7A / "_" / "-" / ".") */
static bool is_name(struct fl_str name) {
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool fits =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_' || c == '-' || c == '.';
        if (!fits) return false;
    }
    return name.n > 0;
}

/* ASCII-Value -> 1*( %x20-%x7E ); blanks at its ends would be lost on the way, and it may be empty
 * as every peer's may. */
static bool is_text(struct fl_str value) {
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < ' ' || value.p[i] > '~') return false;
    }
    return value.n == 0 || (value.p[0] != ' ' && value.p[value.n - 1] != ' ');
}

static struct fl_str value_of(const struct fl_metadata *entry) {
    return fl_str_n(entry->value, entry->len);
}

static size_t wire_len(struct fl_str name, size_t len, bool plain) {
    return !plain && is_binary(name) ? fl_grpc_bin_encoded_len(len) : len;
}

int fl_metadata_check(const struct fl_metadata_list *metadata, struct fl_error *err) {
    size_t total = 0;
    for (size_t i = 0; i < metadata->count; i++) {
        const struct fl_metadata *entry = &metadata->list[i];
        struct fl_str name = fl_str_of(entry->name);
        if (!is_name(name))
            return fl_fail(err, FL_EUSAGE, "metadata name \"%s\": lower-case letters, digits, _-.",
                           entry->name ? entry->name : "");
        if (is_own(name) || fl_str_starts(name, FL_STR("grpc-")) || fl_fields_hop_by_hop(name) ||
            fl_str_eq(name, FL_STR("host")) || fl_str_eq(name, FL_STR("content-length")))
            return fl_fail(err, FL_EUSAGE, "metadata name \"%s\" is gRPC's own", entry->name);
        if (entry->len > FL_METADATA_BYTES_MAX || (entry->len > 0 && !entry->value))
            return fl_fail(err, FL_EUSAGE, "metadata \"%s\" has no value of such a size",
                           entry->name);
        if (!is_binary(name) && !is_text(value_of(entry)))
            return fl_fail(err, FL_EUSAGE, "the value of metadata \"%s\" is not visible ASCII",
                           entry->name);
        total += name.n + wire_len(name, entry->len, false);
        if (total > FL_METADATA_BYTES_MAX)
            return fl_fail(err, FL_ETOO_LARGE, "metadata of more than %zu bytes",
                           FL_METADATA_BYTES_MAX);
    }
    return 0;
}

size_t fl_metadata_wire_bytes(const struct fl_metadata_list *metadata, bool plain) {
    size_t total = 0;
    for (size_t i = 0; i < metadata->count; i++) {
        struct fl_str name = fl_str_of(metadata->list[i].name);
        total += name.n + wire_len(name, metadata->list[i].len, plain);
    }
    return total;
}

/* HTTP/2 has no upper case in names (RFC 9113 section 8.2.1). */
static void write_name(char *to, struct fl_str name) {
    for (size_t i = 0; i < name.n; i++)
        to[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] + ('a' - 'A') : name.p[i]);
}

void fl_metadata_encode(const struct fl_metadata_list *metadata, bool plain,
                        struct fl_http_header *headers, char *bytes) {
    for (size_t i = 0; i < metadata->count; i++) {
        struct fl_str name = fl_str_of(metadata->list[i].name);
        struct fl_str value = value_of(&metadata->list[i]);
        write_name(bytes, name);
        headers[i].name = fl_str_n(bytes, name.n);
        bytes += name.n;
        size_t n = value.n;
        if (!plain && is_binary(name))
            n = fl_grpc_bin_encode(value, bytes);
        else if (n > 0)
            memcpy(bytes, value.p, n);
        headers[i].value = fl_str_n(bytes, n);
        bytes += n;
    }
}

/* --- received --- */

/* Where entries and texts of one list are written; or, without memory, only counted. */
struct place {
    struct fl_metadata *list;
    char *text;
    size_t count, bytes;
    bool plain;
};

static void put(struct place *place, struct fl_str name, struct fl_str value) {
    size_t len = value.n;
    bool binary = !place->plain && is_binary(name);
    if (place->list) {
        char *at = place->text + place->bytes, *value_at = at + name.n + 1;
        memcpy(at, name.p, name.n);
        at[name.n] = '\0';
        if (binary && !fl_grpc_bin_decode(value, value_at, &len)) return;
        if (!binary && len > 0) memcpy(value_at, value.p, len);
        value_at[len] = '\0';
        place->list[place->count] = (struct fl_metadata){at, value_at, len};
    } else if (binary) {
        len = fl_grpc_bin_decoded_max(len);
    }
    place->count++;
    place->bytes += name.n + len + 2;
}

/* "Implementations MUST split Binary-Headers on "," before decoding the Base64-encoded values." */
static void put_all(struct place *place, struct fl_http_headers headers) {
    for (size_t i = 0; i < headers.count; i++) {
        struct fl_str name = headers.list[i].name, rest = headers.list[i].value, value;
        if (name.n == 0 || name.p[0] == ':' || (!place->plain && is_own(name))) continue;
        if (place->plain || !is_binary(name)) {
            put(place, name, rest);
            continue;
        }
        bool more;
        do {
            more = fl_str_split(rest, ',', &value, &rest);
            put(place, name, fl_str_trim(value));
        } while (more);
    }
}

int fl_metadata_decode(struct fl_http_headers headers, bool plain, struct fl_metadata_list *out) {
    struct place place = {.plain = plain};
    *out = (struct fl_metadata_list){NULL, 0};
    put_all(&place, headers);
    if (place.count == 0) return 0;
    size_t list_bytes = place.count * sizeof(struct fl_metadata);
    struct fl_metadata *list = fl_alloc(list_bytes + place.bytes);
    if (!list) return FL_ENOMEM;
    place = (struct place){.list = list, .text = (char *)list + list_bytes, .plain = plain};
    put_all(&place, headers);
    *out = (struct fl_metadata_list){list, place.count};
    return 0;
}

void fl_metadata_free(struct fl_metadata_list *metadata) {
    fl_free((void *)(uintptr_t)metadata->list);
    *metadata = (struct fl_metadata_list){NULL, 0};
}
