/* grpc_compression.c - zlib, one message at a time, so that no message depends on another one.
 *
 * What a message may become is bounded while it is inflated: memory grows with what came out, never
 * with what a peer says will come. gRPC's "deflate" is zlib's format (RFC 1950). */
#include "wire/grpc_compression.h"

#include "wire/zlib_memory.h"

#define PIECE       ((size_t)16 * 1024)
#define GZIP_BITS   (16 + MAX_WBITS) /* zlib: a gzip head and trailer */
#define MEMORY_KIND 8                /* zlib's default memLevel */

struct fl_str fl_compression_name(enum fl_compression compression) {
    static const struct fl_str names[] = {
        [FL_COMPRESSION_IDENTITY] = FL_STR("identity"),
        [FL_COMPRESSION_GZIP] = FL_STR("gzip"),
        [FL_COMPRESSION_DEFLATE] = FL_STR("deflate"),
    };
    FL_ASSERT(compression != FL_COMPRESSION_DEFAULT && compression < FL_COUNT(names));
    return names[compression];
}

bool fl_compression_of(struct fl_str name, enum fl_compression *out) {
    for (int i = FL_COMPRESSION_IDENTITY; i <= FL_COMPRESSION_DEFLATE; i++) {
        *out = (enum fl_compression)i;
        if (fl_str_eq(name, fl_compression_name(*out))) return true;
    }
    return false;
}

static int window_bits(enum fl_compression compression) {
    return compression == FL_COMPRESSION_GZIP ? GZIP_BITS : MAX_WBITS;
}

/* Room for the next piece of output, or what is left to the bound; false: FL_ENOMEM. */
static bool make_room(z_stream *z, struct fl_buf *out) {
    size_t n = FL_MIN(PIECE, out->max - out->len);
    char *to = fl_buf_reserve(out, n);
    z->next_out = (Bytef *)to;
    z->avail_out = (uInt)n;
    return to != NULL;
}

static int deflate_all(z_stream *z, struct fl_buf *out) {
    for (;;) {
        if (out->len == out->max) return FL_EFULL;
        if (!make_room(z, out)) return FL_ENOMEM;
        size_t room = z->avail_out;
        int rc = deflate(z, Z_FINISH);
        fl_buf_commit(out, room - z->avail_out);
        if (rc == Z_STREAM_END) return 0;
    }
}

int fl_compress(enum fl_compression compression, struct fl_str bytes, struct fl_buf *out) {
    FL_ASSERT(bytes.n <= UINT32_MAX);
    z_stream z = FL_ZLIB_STREAM;
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window_bits(compression), MEMORY_KIND,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return FL_ENOMEM;
    z.next_in = (Bytef *)(uintptr_t)bytes.p;
    z.avail_in = (uInt)bytes.n;
    int rc = deflate_all(&z, out);
    deflateEnd(&z);
    return rc;
}

static int broken(struct fl_error *err) {
    return fl_fail(err, FL_EPROTO, "a message is not compressed as it is said to be");
}

static int too_large(const struct fl_buf *out, struct fl_error *err) {
    return fl_fail(err, FL_ETOO_LARGE, "a message of more than %zu bytes, decompressed", out->max);
}

/* At the bound one byte more is asked for, to tell the end from too much. */
static int inflate_last(z_stream *z, const struct fl_buf *out, struct fl_error *err) {
    Bytef more;
    z->next_out = &more;
    z->avail_out = 1;
    int rc = inflate(z, Z_FINISH);
    if (z->avail_out == 0) return too_large(out, err);
    if (rc == Z_MEM_ERROR) return fl_fail_nomem(err);
    return rc == Z_STREAM_END ? 0 : broken(err);
}

static int inflate_all(z_stream *z, struct fl_buf *out, struct fl_error *err) {
    while (out->len < out->max) {
        if (!make_room(z, out)) return fl_fail_nomem(err);
        size_t room = z->avail_out;
        int rc = inflate(z, Z_NO_FLUSH);
        size_t got = room - z->avail_out;
        fl_buf_commit(out, got);
        if (rc == Z_STREAM_END) return 0;
        if (rc == Z_MEM_ERROR) return fl_fail_nomem(err);
        if ((rc != Z_OK && rc != Z_BUF_ERROR) || got == 0) return broken(err);
    }
    return inflate_last(z, out, err);
}

int fl_decompress(enum fl_compression compression, struct fl_str bytes, struct fl_buf *out,
                  struct fl_error *err) {
    FL_ASSERT(bytes.n <= UINT32_MAX);
    z_stream z = FL_ZLIB_STREAM;
    if (inflateInit2(&z, window_bits(compression)) != Z_OK) return fl_fail_nomem(err);
    z.next_in = (Bytef *)(uintptr_t)bytes.p;
    z.avail_in = (uInt)bytes.n;
    int rc = inflate_all(&z, out, err);
    if (rc == 0 && z.avail_in > 0) rc = broken(err); /* bytes after the end */
    inflateEnd(&z);
    return rc;
}
