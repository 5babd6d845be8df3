/* snapshot_format.c - the bytes of the snapshot file: its head, and the records that it holds.
 *
 *     file     "fairlead" | version u32 | 0 u32 | length of the records u64 | XXH3 of them u64 |
 *              records
 *     record   length of the rest u32 | scheme, source, name | proof i64 | set
 *     set      flags | external name | ports | blocks
 *     block    ports | endpoints
 *
 * Fixed numbers are little-endian, all others varints; texts and lists have their length or count
 * before them. Pods, nodes and zones resemble those of the endpoint before, so they are written as
 * the number of bytes that they share with it and the rest; that takes an endpoint to about 40
 * bytes. The hash by which an update recognises an endpoint is not kept: it is the decoder's.
 *
 * The checksum finds accidents. What is read is bounded and checked all the same, as far as memory
 * safety and the promises of blocks and sets go. */
#include "discovery/snapshot_format.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/parse.h"
#include "discovery/set_layout.h"

#define MAGIC       FL_STR("fairlead")
#define VERSION     1u
#define HEAD_BYTES  ((size_t)32)
#define LENGTH_AT   ((size_t)16)
#define CHECKSUM_AT ((size_t)24)
#define TEXT_MAX    512
#define PORTS_MAX   ((size_t)20000)

enum { SET_EXISTS = 1 << 0, SET_TRUNCATED = 1 << 1 };
enum { /* flags of an endpoint, beside FL_ENDPOINT_* */
       ENDPOINT_V6 = 1 << 3,
       ENDPOINT_NAME = 1 << 4,
       ENDPOINT_UID = 1 << 5,
       ENDPOINT_HINTS = 1 << 6,
       ENDPOINT_PUBLIC = FL_ENDPOINT_READY | FL_ENDPOINT_SERVING | FL_ENDPOINT_TERMINATING,
};

/* A text that the next one is compared with. */
struct before {
    size_t n;
    char text[TEXT_MAX];
};

struct neighbours {
    struct before pod, node, zone;
};

/* ---- writing ---- */

/* Its first failure stays. */
struct writer {
    struct fl_buf *out;
    int rc;
};

static void put_bytes(struct writer *w, struct fl_str bytes) {
    if (w->rc == 0) w->rc = fl_buf_append(w->out, bytes);
}

static void put_byte(struct writer *w, unsigned byte) {
    if (w->rc == 0) w->rc = fl_buf_byte(w->out, (char)byte);
}

static void put_number(struct writer *w, uint64_t n) {
    for (; n >= 0x80; n >>= 7) put_byte(w, (n & 0x7f) | 0x80);
    put_byte(w, (unsigned)n);
}

static void put_text(struct writer *w, struct fl_str text) {
    put_number(w, text.n);
    put_bytes(w, text);
}

static void encode_le(char *out, uint64_t n, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) out[i] = (char)(n >> (8 * i));
}

static void put_le(struct writer *w, uint64_t n, size_t bytes) {
    char room[8];
    encode_le(room, n, bytes);
    put_bytes(w, fl_str_n(room, bytes));
}

/* In two parts, of which either may be empty. */
static void put_after(struct writer *w, struct before *before, struct fl_str a, struct fl_str b) {
    char text[TEXT_MAX];
    size_t n = a.n + b.n, same = 0;
    FL_ASSERT(n <= TEXT_MAX); /* as blocks hold them */
    if (a.n) memcpy(text, a.p, a.n);
    if (b.n) memcpy(text + a.n, b.p, b.n);
    while (same < n && same < before->n && text[same] == before->text[same]) same++;
    put_number(w, same);
    put_text(w, fl_str_n(text + same, n - same));
    memcpy(before->text, text, n);
    before->n = n;
}

static void put_address(struct writer *w, const struct fl_address *address) {
    if (address->kind == FL_ADDRESS_NAME)
        put_text(w, address->name);
    else
        put_bytes(w, fl_str_n(address->ip, address->kind == FL_ADDRESS_V6 ? 16 : 4));
}

static void put_hint_names(struct writer *w, const struct fl_str *names, size_t count) {
    put_number(w, count);
    for (size_t i = 0; i < count; i++) put_text(w, names[i]);
}

static void put_endpoint(struct writer *w, const struct fl_block *block, size_t i,
                         struct neighbours *before) {
    static const uint8_t no_uid[16];
    struct fl_block_endpoint e;
    struct fl_block_hints hints;
    fl_block_endpoint_at(block, i, &e);
    fl_block_hints_at(block, i, &hints);
    bool has_uid = memcmp(e.uid, no_uid, sizeof(no_uid)) != 0;
    bool has_hints = hints.zone_count || hints.node_count;
    put_byte(w, e.flags | (e.address.kind == FL_ADDRESS_V6 ? ENDPOINT_V6 : 0u) |
                    (e.address.kind == FL_ADDRESS_NAME ? ENDPOINT_NAME : 0u) |
                    (has_uid ? ENDPOINT_UID : 0u) | (has_hints ? ENDPOINT_HINTS : 0u));
    put_address(w, &e.address);
    if (has_uid) put_bytes(w, fl_str_n(e.uid, sizeof(e.uid)));
    put_after(w, &before->pod, e.pod_prefix, e.pod_suffix);
    put_after(w, &before->node, e.node, FL_STR_NONE);
    put_after(w, &before->zone, e.zone, FL_STR_NONE);
    if (!has_hints) return;
    put_hint_names(w, hints.zones, hints.zone_count);
    put_hint_names(w, hints.nodes, hints.node_count);
}

static void put_block(struct writer *w, const struct fl_block *block, struct neighbours *before) {
    size_t ports = fl_block_port_count(block), count = fl_block_count(block);
    put_number(w, ports);
    for (size_t i = 0; i < ports; i++) {
        struct fl_block_port port;
        fl_block_port_at(block, i, &port);
        put_text(w, port.name);
        put_text(w, port.protocol);
        put_text(w, port.app_protocol);
        put_number(w, port.port);
    }
    put_number(w, count);
    for (size_t i = 0; i < count; i++) put_endpoint(w, block, i, before);
}

static void put_set(struct writer *w, const struct fl_set *set) {
    struct neighbours before;
    before.pod.n = before.node.n = before.zone.n = 0;
    bool exists = set->state != FL_SET_ABSENT;
    put_byte(w, (exists ? SET_EXISTS : 0u) | (set->truncated ? SET_TRUNCATED : 0u));
    put_text(w, fl_str_of(fl_set_external_name(set)));
    put_number(w, set_port_count(set));
    for (size_t i = 0; i < set_port_count(set); i++) {
        struct fl_set_port port = set_port_at(set, i);
        put_text(w, port.name);
        put_text(w, port.protocol);
        put_number(w, port.number);
    }
    put_number(w, set_block_count(set));
    for (size_t i = 0; i < set_block_count(set); i++) put_block(w, set_blocks(set)[i], &before);
}

int fl_snapshot_begin(struct fl_buf *out) {
    struct writer w = {out, 0};
    put_bytes(&w, MAGIC);
    put_le(&w, VERSION, 4);
    for (size_t i = MAGIC.n + 4; i < HEAD_BYTES; i++) put_byte(&w, 0);
    return w.rc;
}

int fl_snapshot_put(struct fl_buf *out, const struct fl_snapshot_key *key, int64_t proof_wall_ms,
                    const struct fl_set *set) {
    FL_ASSERT(!set->is_view && set->state != FL_SET_UNKNOWN);
    struct writer w = {out, 0};
    size_t start = out->len;
    put_le(&w, 0, 4);
    put_text(&w, key->scheme);
    put_text(&w, key->source);
    put_text(&w, key->name);
    put_le(&w, (uint64_t)proof_wall_ms, 8);
    put_set(&w, set);
    if (w.rc < 0) {
        fl_buf_truncate(out, start);
        return w.rc;
    }
    encode_le(out->data + out->start + start, out->len - start - 4, 4);
    return 0;
}

int fl_snapshot_put_record(struct fl_buf *out, const struct fl_snapshot_record *record) {
    return fl_buf_append(out, record->whole);
}

void fl_snapshot_seal(struct fl_buf *out) {
    struct fl_str file = fl_buf_str(out), records = fl_str_from(file, HEAD_BYTES);
    char *head = out->data + out->start;
    encode_le(head + LENGTH_AT, records.n, 8);
    encode_le(head + CHECKSUM_AT, fl_hash(records, VERSION), 8);
}

/* ---- reading ---- */

int fl_snapshot_open(struct fl_str file, struct fl_str *records, struct fl_error *err) {
    struct fl_parse r = fl_parse_of(file);
    uint32_t version = 0, reserved = 0;
    uint64_t length = 0, checksum = 0;
    *records = FL_STR_NONE;
    if (!fl_str_starts(file, MAGIC)) return fl_fail(err, FL_EPROTO, "not a snapshot file");
    fl_parse_skip(&r, MAGIC.n);
    fl_parse_le32(&r, &version);
    fl_parse_le32(&r, &reserved);
    fl_parse_le64(&r, &length);
    fl_parse_le64(&r, &checksum);
    if (!r.bad && version != VERSION)
        return fl_fail(err, FL_EPROTO, "snapshot file of format %u, this program reads %u", version,
                       VERSION);
    if (r.bad || length != fl_parse_left(&r))
        return fl_fail(err, FL_EPROTO, "snapshot file cut short");
    *records = fl_str_from(file, HEAD_BYTES);
    if (fl_hash(*records, VERSION) == checksum) return 0;
    *records = FL_STR_NONE;
    return fl_fail(err, FL_EPROTO, "snapshot file corrupt: wrong checksum");
}

static struct fl_str take_text(struct fl_parse *r) {
    uint64_t n;
    struct fl_str text = FL_STR_NONE;
    if (!fl_parse_varint(r, &n)) return text;
    if (n > fl_parse_left(r))
        r->bad = true;
    else
        fl_parse_bytes(r, (size_t)n, &text);
    return text;
}

/* A count of things that take at least `bytes` each. */
static size_t take_count(struct fl_parse *r, size_t bytes, size_t max) {
    uint64_t n;
    if (!fl_parse_varint(r, &n)) return 0;
    if (n > fl_parse_left(r) / bytes || n > max) {
        r->bad = true;
        return 0;
    }
    return (size_t)n;
}

static uint16_t take_u16(struct fl_parse *r) {
    uint64_t n;
    if (fl_parse_varint(r, &n) && n > UINT16_MAX) r->bad = true;
    return r->bad ? 0 : (uint16_t)n;
}

static struct fl_str take_after(struct fl_parse *r, struct before *before) {
    uint64_t same;
    fl_parse_varint(r, &same);
    struct fl_str rest = take_text(r);
    if (r->bad || same > before->n || rest.n > TEXT_MAX - same) {
        r->bad = true;
        return FL_STR_NONE;
    }
    if (rest.n) memcpy(before->text + same, rest.p, rest.n);
    before->n = (size_t)same + rest.n;
    return fl_str_n(before->text, before->n);
}

bool fl_snapshot_next(struct fl_str *records, struct fl_snapshot_record *out) {
    struct fl_parse r = fl_parse_of(*records);
    struct fl_str rest;
    uint32_t length;
    uint64_t proof = 0;
    if (!fl_parse_le32(&r, &length) || !fl_parse_bytes(&r, length, &rest)) return false;
    out->whole = fl_str_n(records->p, 4 + (size_t)length);
    r = fl_parse_of(rest);
    out->key.scheme = take_text(&r);
    out->key.source = take_text(&r);
    out->key.name = take_text(&r);
    fl_parse_le64(&r, &proof);
    if (r.bad) return false;
    out->proof_wall_ms = (int64_t)proof;
    out->body = fl_str_n(r.p, fl_parse_left(&r));
    *records = fl_str_from(*records, out->whole.n);
    return true;
}

static void take_address(struct fl_parse *r, unsigned flags, struct fl_address *out) {
    struct fl_str bytes = FL_STR_NONE;
    *out = (struct fl_address){.kind = FL_ADDRESS_V4};
    if (flags & ENDPOINT_NAME) {
        if (!fl_address_parse(take_text(r), out) || out->kind != FL_ADDRESS_NAME) r->bad = true;
        return;
    }
    if (flags & ENDPOINT_V6) out->kind = FL_ADDRESS_V6;
    size_t n = flags & ENDPOINT_V6 ? 16 : 4;
    if (fl_parse_bytes(r, n, &bytes)) memcpy(out->ip, bytes.p, n);
}

static uint8_t take_hint_names(struct fl_parse *r, struct fl_str *names) {
    size_t count = take_count(r, 1, FL_BLOCK_HINTS_MAX);
    for (size_t i = 0; i < count; i++) names[i] = take_text(r);
    return (uint8_t)count;
}

static int take_endpoint(struct fl_parse *r, struct fl_block_builder *builder,
                         struct neighbours *before) {
    struct fl_block_endpoint e = {.hash = 0};
    struct fl_block_hints hints;
    struct fl_str uid;
    uint8_t flags = 0;
    fl_parse_u8(r, &flags);
    e.flags = flags & ENDPOINT_PUBLIC;
    take_address(r, flags, &e.address);
    if ((flags & ENDPOINT_UID) && fl_parse_bytes(r, sizeof(e.uid), &uid))
        memcpy(e.uid, uid.p, sizeof(e.uid));
    e.pod_suffix = take_after(r, &before->pod);
    e.node = take_after(r, &before->node);
    e.zone = take_after(r, &before->zone);
    if (flags & ENDPOINT_HINTS) {
        hints.zone_count = take_hint_names(r, hints.zones);
        hints.node_count = take_hint_names(r, hints.nodes);
        e.hints = &hints;
    }
    return r->bad ? FL_EPROTO : fl_block_builder_add(builder, &e);
}

static int take_block_ports(struct fl_parse *r, struct fl_block_builder *builder) {
    size_t count = take_count(r, 4, PORTS_MAX);
    int rc = r->bad ? FL_EPROTO : 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct fl_block_port port = {.name = take_text(r)};
        port.protocol = take_text(r);
        port.app_protocol = take_text(r);
        port.port = take_u16(r);
        rc = r->bad ? FL_EPROTO : fl_block_builder_port(builder, &port);
    }
    return rc;
}

static int take_block(struct fl_parse *r, struct fl_block_builder *builder,
                      struct neighbours *before, struct fl_block **out) {
    fl_block_builder_start(builder, NULL);
    int rc = take_block_ports(r, builder);
    size_t count = rc == 0 ? take_count(r, 9, FL_SNAPSHOT_ENDPOINTS_MAX) : 0;
    if (r->bad) rc = FL_EPROTO;
    for (size_t i = 0; i < count && rc == 0; i++) rc = take_endpoint(r, builder, before);
    return rc == 0 ? fl_block_builder_finish(builder, out) : rc;
}

static int take_blocks(struct fl_parse *r, struct fl_snapshot_set *out) {
    struct neighbours before;
    struct fl_block_builder *builder;
    before.pod.n = before.node.n = before.zone.n = 0;
    size_t count = take_count(r, 2, FL_SNAPSHOT_ENDPOINTS_MAX), endpoints = 0;
    if (r->bad) return FL_EPROTO;
    out->blocks = fl_calloc(count + 1, sizeof(struct fl_block *));
    if (!out->blocks) return FL_ENOMEM;
    out->spec.blocks = out->blocks;
    int rc = fl_block_builder_new(FL_SNAPSHOT_ENDPOINTS_MAX, &builder);
    if (rc < 0) return rc;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = take_block(r, builder, &before, &out->blocks[i]);
        if (rc < 0) break;
        out->spec.block_count++;
        endpoints += fl_block_count(out->blocks[i]);
        if (endpoints > FL_SNAPSHOT_ENDPOINTS_MAX) rc = FL_ETOO_LARGE;
    }
    fl_block_builder_free(builder);
    return rc;
}

static int take_ports(struct fl_parse *r, struct fl_snapshot_set *out) {
    size_t count = take_count(r, 3, PORTS_MAX);
    if (r->bad) return FL_EPROTO;
    out->ports = fl_calloc(count + 1, sizeof(*out->ports));
    if (!out->ports) return FL_ENOMEM;
    out->spec.ports = out->ports;
    out->spec.port_count = count;
    for (size_t i = 0; i < count; i++) {
        out->ports[i].name = take_text(r);
        out->ports[i].protocol = take_text(r);
        out->ports[i].number = take_u16(r);
    }
    return r->bad ? FL_EPROTO : 0;
}

int fl_snapshot_decode(const struct fl_snapshot_record *record, struct fl_snapshot_set *out) {
    struct fl_parse r = fl_parse_of(record->body);
    uint8_t flags = 0;
    *out = (struct fl_snapshot_set){.spec = {.service = record->key.name, .snapshot = true}};
    fl_parse_u8(&r, &flags);
    out->spec.state = flags & SET_EXISTS ? FL_SET_SOME : FL_SET_ABSENT;
    out->spec.truncated = (flags & SET_TRUNCATED) != 0;
    out->spec.external_name = take_text(&r);
    int rc = r.bad ? FL_EPROTO : take_ports(&r, out);
    if (rc == 0) rc = take_blocks(&r, out);
    if (rc == 0 && fl_parse_left(&r)) rc = FL_EPROTO;
    if (rc < 0) fl_snapshot_set_deinit(out);
    return rc;
}

void fl_snapshot_set_deinit(struct fl_snapshot_set *set) {
    for (size_t i = 0; i < set->spec.block_count; i++) fl_block_unref(set->blocks[i]);
    fl_free(set->blocks);
    fl_free(set->ports);
    *set = (struct fl_snapshot_set){0};
}
