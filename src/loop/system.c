/* system.c - clock, randomness, files and environment of the real system. Any thread. */
#include "loop/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

uint64_t fl_system_now_us(struct fl_io *io) {
    FL_UNUSED(io);
    return uv_hrtime() / 1000;
}

int64_t fl_system_wall_ms(struct fl_io *io) {
    FL_UNUSED(io);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A system without randomness cannot make keys: nothing useful can go on. */
void fl_system_random(struct fl_io *io, void *out, size_t n) {
    FL_UNUSED(io);
    int rc = uv_random(NULL, NULL, out, n, 0, NULL);
    FL_ASSERT(rc == 0);
}

static int fail_file(struct fl_error *err, const char *path, int error) {
    return fl_fail(err, FL_ESYS, "%s: %s", path, uv_strerror(uv_translate_sys_error(error)));
}

#define PIECE ((size_t)16 * 1024)

/* One piece into `out`, past whose bound only the end of the file may lie. 1: go on; 0: the end. */
static int read_piece(int fd, const char *path, struct fl_buf *out, struct fl_error *err) {
    size_t room = FL_MIN(PIECE, out->max - out->len);
    char beyond;
    char *to = room ? fl_buf_reserve(out, room) : &beyond;
    if (!to) return fl_fail_nomem(err);
    ssize_t n;
    do {
        n = read(fd, to, room ? room : 1);
    } while (n < 0 && errno == EINTR);
    if (n < 0) return fail_file(err, path, errno);
    if (n > 0 && !room) {
        return fl_fail(err, FL_ETOO_LARGE, "%s: more than %zu bytes", path, out->max);
    }
    if (room) fl_buf_commit(out, (size_t)n);
    return n > 0;
}

int fl_system_file_read(struct fl_io *io, const char *path, struct fl_buf *out,
                        struct fl_error *err) {
    FL_UNUSED(io);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_file(err, path, errno);
    int rc;
    do {
        rc = read_piece(fd, path, out, err);
    } while (rc > 0);
    close(fd);
    return rc;
}

const char *fl_system_env(struct fl_io *io, const char *name) {
    FL_UNUSED(io);
    return getenv(name);
}
