/* buf.c - a bounded byte queue. One thread at a time.
 *
 * Bytes lie at data + start. Room at the end is made by moving them to the front only when at least
 * as many were consumed as have to move, else by growing to twice the size; so each byte is moved a
 * constant number of times on average, whatever the sizes of appends and consumptions (see W17).
 * For that the memory may reach twice `max` while consumed bytes lie in front. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

#define CAP_FIRST ((size_t)256)

void fl_buf_init(struct fl_buf *b, size_t max) { *b = (struct fl_buf){.max = max}; }

void fl_buf_deinit(struct fl_buf *b) {
    fl_free(b->data);
    fl_buf_init(b, b->max);
}

static size_t twice(size_t n) { return n <= SIZE_MAX / 2 ? 2 * n : SIZE_MAX; }

static int grow(struct fl_buf *b, size_t need) {
    size_t limit = b->start ? twice(b->max) : b->max;
    size_t cap = FL_MAX(FL_MIN(FL_MAX(twice(b->cap), CAP_FIRST), limit), need);
    if (!b->data || b->start == 0) {
        char *data = fl_realloc(b->data, cap);
        if (!data) return FL_ENOMEM;
        b->data = data;
    } else {
        char *data = fl_alloc(cap);
        if (!data) return FL_ENOMEM;
        memcpy(data, b->data + b->start, b->len);
        fl_free(b->data);
        b->data = data;
        b->start = 0;
    }
    b->cap = cap;
    return 0;
}

/* Room for `n` more bytes, whatever the bound is. */
static int make_room(struct fl_buf *b, size_t n) {
    size_t need = b->len + n;
    if (!b->data || need > b->cap) return grow(b, need);
    if (need <= b->cap - b->start) return 0;
    if (b->start < b->len) return grow(b, need);
    memmove(b->data, b->data + b->start, b->len);
    b->start = 0;
    return 0;
}

static int make_room_bounded(struct fl_buf *b, size_t n) {
    return n <= b->max - b->len ? make_room(b, n) : FL_EFULL;
}

char *fl_buf_reserve(struct fl_buf *b, size_t n) {
    return make_room_bounded(b, n) == 0 ? b->data + b->start + b->len : NULL;
}

void fl_buf_commit(struct fl_buf *b, size_t n) {
    FL_ASSERT(n <= b->cap - b->start - b->len);
    b->len += n;
}

int fl_buf_append(struct fl_buf *b, struct fl_str bytes) {
    if (bytes.n == 0) return 0;
    int rc = make_room_bounded(b, bytes.n);
    if (rc < 0) return rc;
    memcpy(b->data + b->start + b->len, bytes.p, bytes.n);
    b->len += bytes.n;
    return 0;
}

int fl_buf_byte(struct fl_buf *b, char byte) { return fl_buf_append(b, fl_str_n(&byte, 1)); }

/* Formats into the room there is; if that was too small, makes enough and formats again. The end
 * that vsnprintf writes is not counted and may lie beyond the bound. */
int fl_buf_printf(struct fl_buf *b, const char *format, ...) {
    size_t room = b->data ? b->cap - b->start - b->len : 0;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(room ? b->data + b->start + b->len : NULL, room, format, args);
    va_end(args);
    if (n < 0) return FL_ENOMEM;
    if ((size_t)n > b->max - b->len) return FL_EFULL;
    if ((size_t)n >= room) {
        size_t size = (size_t)n + 1;
        if (make_room(b, size) < 0) return FL_ENOMEM;
        va_start(args, format);
        vsnprintf(b->data + b->start + b->len, size, format, args);
        va_end(args);
    }
    b->len += (size_t)n;
    return 0;
}

void fl_buf_consume(struct fl_buf *b, size_t n) {
    FL_ASSERT(n <= b->len);
    b->len -= n;
    b->start = b->len ? b->start + n : 0;
}

void fl_buf_truncate(struct fl_buf *b, size_t n) {
    FL_ASSERT(n <= b->len);
    b->len = n;
    if (n == 0) b->start = 0;
}

void fl_buf_release(struct fl_buf *b) {
    if (b->len == 0) fl_buf_deinit(b);
}

char *fl_buf_steal_text(struct fl_buf *b) {
    if (b->start) memmove(b->data, b->data + b->start, b->len);
    b->start = 0;
    char *text = fl_realloc(b->data, b->len + 1);
    if (!text) return NULL;
    text[b->len] = '\0';
    fl_buf_init(b, b->max);
    return text;
}
