/* gunzip.c - see gunzip.h. A member may follow another (RFC 1952 section 2.2). */
#include "wire/gunzip.h"

#include "base/alloc.h"
#include "wire/zlib_memory.h"

#define PIECE     ((size_t)32 * 1024)
#define GZIP_ONLY (16 + MAX_WBITS)

struct fl_gunzip {
    z_stream z;
    bool started; /* zlib holds memory */
    bool within;  /* a member */
    uint64_t total;
    struct fl_error why;
    unsigned char piece[PIECE];
};

int fl_gunzip_new(struct fl_gunzip **out) {
    struct fl_gunzip *gunzip = FL_NEW(struct fl_gunzip);
    *out = gunzip;
    if (!gunzip) return FL_ENOMEM;
    gunzip->z = FL_ZLIB_STREAM;
    gunzip->started = inflateInit2(&gunzip->z, GZIP_ONLY) == Z_OK;
    if (gunzip->started) return FL_OK;
    fl_gunzip_free(gunzip);
    *out = NULL;
    return FL_ENOMEM;
}

void fl_gunzip_free(struct fl_gunzip *gunzip) {
    if (!gunzip) return;
    if (gunzip->started) inflateEnd(&gunzip->z);
    fl_free(gunzip);
}

void fl_gunzip_feed(struct fl_gunzip *gunzip, struct fl_str bytes) {
    FL_ASSERT(bytes.n <= UINT32_MAX);
    gunzip->z.next_in = (unsigned char *)(uintptr_t)bytes.p;
    gunzip->z.avail_in = (uInt)bytes.n;
}

static int inflate_piece(struct fl_gunzip *gunzip) {
    gunzip->z.next_out = gunzip->piece;
    gunzip->z.avail_out = PIECE;
    gunzip->within = true;
    int rc = inflate(&gunzip->z, Z_NO_FLUSH);
    if (rc == Z_STREAM_END) {
        gunzip->within = false;
        rc = inflateReset(&gunzip->z);
    }
    if (rc == Z_OK || rc == Z_BUF_ERROR) return FL_OK; /* the latter: it wants more */
    if (rc == Z_MEM_ERROR) return fl_fail_nomem(&gunzip->why);
    return fl_fail(&gunzip->why, FL_EPROTO, "the body is not the gzip that it is said to be");
}

int fl_gunzip_next(struct fl_gunzip *gunzip, struct fl_str *out, struct fl_error *err) {
    size_t n = 0;
    *out = FL_STR_NONE;
    while (gunzip->why.code == FL_OK && n == 0) {
        size_t before = gunzip->z.avail_in;
        if (before == 0 && !gunzip->within) return 0;
        if (inflate_piece(gunzip) < 0) break;
        n = PIECE - gunzip->z.avail_out;
        gunzip->total += n;
        if (gunzip->total > FL_GUNZIP_MAX)
            fl_fail(&gunzip->why, FL_ETOO_LARGE, "the body is more than %llu bytes unpacked",
                    (unsigned long long)FL_GUNZIP_MAX);
        else if (n == 0 && gunzip->z.avail_in == before)
            return 0;
    }
    if (gunzip->why.code < 0) return fl_error_copy(err, &gunzip->why);
    *out = fl_str_n(gunzip->piece, n);
    return 1;
}

bool fl_gunzip_complete(const struct fl_gunzip *gunzip) { return !gunzip->within; }
