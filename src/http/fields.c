/* fields.c - see fields.h. */
#include "http/fields.h"

#include "base/error.h"

#define FIELD_OVERHEAD 32 /* RFC 9113 section 6.5.2 */
#define FIELDS_FIRST   16
#define BYTES_FIRST    256
#define BYTES_KEPT     4096 /* a buffer that one list made larger is given back */

void fl_fields_init(struct fl_fields *f, struct fl_http_memory *memory, size_t size_max) {
    *f = (struct fl_fields){.memory = memory, .size_max = size_max};
}

void fl_fields_deinit(struct fl_fields *f) {
    fl_http_free(f->memory, f->bytes);
    fl_http_free(f->memory, f->list);
    f->bytes = NULL;
    f->list = NULL;
}

void fl_fields_clear(struct fl_fields *f) {
    if (f->bytes_cap > BYTES_KEPT) {
        fl_http_free(f->memory, f->bytes);
        f->bytes = NULL;
        f->bytes_cap = 0;
    }
    f->bytes_len = f->count = f->size = f->hosts = 0;
}

static int take_size(struct fl_fields *f, size_t n) {
    if (n > f->size_max - f->size) return FL_ETOO_LARGE;
    f->size += n;
    return 0;
}

static int grow(struct fl_fields *f) {
    size_t cap = f->cap ? 2 * f->cap : FIELDS_FIRST;
    struct fl_http_header *list = fl_http_realloc(f->memory, f->list, cap * sizeof *list);
    if (!list) return FL_ENOMEM;
    f->list = list;
    f->cap = cap;
    return 0;
}

int fl_fields_begin(struct fl_fields *f) {
    int rc = take_size(f, FIELD_OVERHEAD);
    if (rc) return rc;
    if (f->count == f->cap && (rc = grow(f)) != 0) return rc;
    f->list[f->count++] = (struct fl_http_header){FL_STR_NONE, FL_STR_NONE};
    return 0;
}

/* What is appended was counted: `size_max` bounds it. */
int fl_fields_reserve(struct fl_fields *f, size_t n) {
    size_t cap = FL_MAX(f->bytes_cap, BYTES_FIRST);
    if (f->bytes_cap - f->bytes_len >= n) return 0;
    while (cap - f->bytes_len < n) cap *= 2;
    char *bytes = fl_http_realloc(f->memory, f->bytes, cap);
    if (!bytes) return FL_ENOMEM;
    f->bytes = bytes;
    f->bytes_cap = cap;
    return 0;
}

static char *append(struct fl_fields *f, size_t n) {
    if (fl_fields_reserve(f, n) != 0) return NULL;
    f->bytes_len += n;
    return f->bytes + f->bytes_len - n;
}

int fl_fields_name(struct fl_fields *f, struct fl_str piece) {
    int rc = take_size(f, piece.n);
    if (rc || piece.n == 0) return rc;
    char *to = append(f, piece.n);
    if (!to) return FL_ENOMEM;
    for (size_t i = 0; i < piece.n; i++) {
        char c = piece.p[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    f->list[f->count - 1].name.n += piece.n;
    return 0;
}

int fl_fields_value(struct fl_fields *f, struct fl_str piece) {
    int rc = take_size(f, piece.n);
    if (rc || piece.n == 0) return rc;
    char *to = append(f, piece.n);
    if (!to) return FL_ENOMEM;
    memcpy(to, piece.p, piece.n);
    f->list[f->count - 1].value.n += piece.n;
    return 0;
}

int fl_fields_add(struct fl_fields *f, struct fl_str name, struct fl_str value) {
    int rc = take_size(f, name.n + value.n + FIELD_OVERHEAD);
    if (rc) return rc;
    if (f->count == f->cap && (rc = grow(f)) != 0) return rc;
    if (name.n + value.n > 0) {
        char *to = append(f, name.n + value.n);
        if (!to) return FL_ENOMEM;
        if (name.n) memcpy(to, name.p, name.n);
        if (value.n) memcpy(to + name.n, value.p, value.n);
    }
    f->list[f->count++] = (struct fl_http_header){{NULL, name.n}, {NULL, value.n}};
    return 0;
}

int fl_fields_copy(struct fl_fields *f, struct fl_http_headers headers) {
    for (size_t i = 0; i < headers.count; i++) {
        int rc = fl_fields_add(f, headers.list[i].name, headers.list[i].value);
        if (rc) return rc;
    }
    return 0;
}

/* Lengths become views. */
static void place(struct fl_fields *f) {
    const char *at = f->bytes_len ? f->bytes : "";
    for (size_t i = 0; i < f->count; i++) {
        struct fl_http_header *h = &f->list[i];
        h->name.p = at;
        if (h->name.n) at += h->name.n;
        h->value.p = at;
        if (h->value.n) at += h->value.n;
    }
}

bool fl_fields_hop_by_hop(struct fl_str name) {
    if (name.n == 0) return false;
    switch (name.p[0]) {
    case 'c':
        return fl_str_eq(name, FL_STR("connection"));
    case 'k':
        return fl_str_eq(name, FL_STR("keep-alive"));
    case 'p':
        return fl_str_eq(name, FL_STR("proxy-connection"));
    case 't':
        return fl_str_eq(name, FL_STR("transfer-encoding"));
    case 'u':
        return fl_str_eq(name, FL_STR("upgrade"));
    default:
        return false;
    }
}

/* What finishing takes out of the list: pseudo headers by name, and the first `host`. */
struct pseudo {
    struct fl_str method, scheme, authority, path, status, host;
};

static void take_pseudo(struct pseudo *p, const struct fl_http_header *h) {
    const struct {
        struct fl_str name;
        struct fl_str *to;
    } known[] = {{FL_STR(":method"), &p->method},
                 {FL_STR(":scheme"), &p->scheme},
                 {FL_STR(":authority"), &p->authority},
                 {FL_STR(":path"), &p->path},
                 {FL_STR(":status"), &p->status}};
    for (size_t i = 0; i < FL_COUNT(known); i++)
        if (fl_str_eq(h->name, known[i].name)) *known[i].to = h->value;
}

static struct fl_http_headers finish(struct fl_fields *f, struct pseudo *pseudo) {
    *pseudo = (struct pseudo){.method = FL_STR_NONE};
    place(f);
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct fl_http_header *h = &f->list[i];
        if (fl_str_starts(h->name, FL_STR(":"))) {
            take_pseudo(pseudo, h);
        } else if (fl_str_eq(h->name, FL_STR("host"))) {
            if (f->hosts++ == 0) pseudo->host = h->value;
        } else if (!fl_fields_hop_by_hop(h->name)) {
            f->list[kept++] = *h;
        }
    }
    f->count = kept;
    return (struct fl_http_headers){f->list, kept};
}

struct fl_http_headers fl_fields_list(struct fl_fields *f) {
    struct pseudo ignored;
    return finish(f, &ignored);
}

void fl_fields_request(struct fl_fields *f, struct fl_http_request *out) {
    struct pseudo p;
    out->headers = finish(f, &p);
    out->method = p.method;
    out->scheme = p.scheme;
    out->authority = p.authority.n ? p.authority : p.host;
    out->path = p.path;
}

void fl_fields_response(struct fl_fields *f, struct fl_http_response *out) {
    struct pseudo p;
    uint64_t status = 0;
    out->headers = finish(f, &p);
    out->status = fl_str_u64(p.status, &status) && status <= 999 ? (int)status : 0;
}
