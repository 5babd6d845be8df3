/* file.c - small local files: read at once, replaced off the loop. The loop's thread but for what
 * libuv's worker does.
 *
 * Replacing: the bytes go to a new file in the same folder, with a name nobody else uses and for
 * the owner's eyes only; it is fsynced, renamed over the old one, and the folder is fsynced. So
 * there is always one whole file, the old or the new one, also after a power cut. A failure removes
 * what was begun; only a process that dies in between leaves it behind. */
#include "loop/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/secret.h"
#include "loop/inside.h"

#define PIECE  ((size_t)16 * 1024)
#define UNIQUE ".XXXXXX" /* mkostemp's */

static int fail_path(struct fl_error *err, const char *path, int error) {
    return fl_fail(err, FL_ESYS, "%s: %s", path, uv_strerror(uv_translate_sys_error(error)));
}

/* --- reading --- */

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
    if (n < 0) return fail_path(err, path, errno);
    if (n > 0 && !room) {
        return fl_fail(err, FL_ETOO_LARGE, "%s: more than %zu bytes", path, out->max);
    }
    if (room) fl_buf_commit(out, (size_t)n);
    return n > 0;
}

int fl_file_read(struct fl_io *io, const char *path, struct fl_buf *out, struct fl_error *err) {
    FL_UNUSED(io);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_path(err, path, errno);
    int rc;
    do {
        rc = read_piece(fd, path, out, err);
    } while (rc > 0);
    close(fd);
    return rc;
}

/* --- replacing --- */

struct replacement {
    uv_work_t work;
    struct fl_loop *loop;
    char *path, *fresh; /* `fresh`: the new file, until it has the path's name */
    struct fl_buf bytes;
    void (*done)(void *arg, const struct fl_error *why);
    void *arg;
    struct fl_error why;
};

static void replacement_free(struct replacement *r) {
    if (!r) return;
    fl_secret_buf_deinit(&r->bytes);
    fl_free(r->path);
    fl_free(r->fresh);
    fl_free(r);
}

static bool write_all(int fd, struct fl_str bytes) {
    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno != EINTR) return false;
        if (n > 0) bytes = fl_str_from(bytes, (size_t)n);
    }
    return true;
}

/* Some file systems cannot sync a folder and say EINVAL: their rename is as durable as it gets. */
static bool sync_folder(struct replacement *r) {
    char *slash = strrchr(r->fresh, '/');
    const char *folder = slash ? r->fresh : ".";
    if (slash) slash[slash == r->fresh] = '\0'; /* the root keeps its slash */
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    bool good = fsync(fd) == 0 || errno == EINVAL;
    int error = errno;
    close(fd);
    errno = error;
    return good;
}

/* A worker's thread, alone with the replacement. */
static void run(uv_work_t *work) {
    struct replacement *r = FL_CONTAINER(work, struct replacement, work);
    int fd = mkostemp(r->fresh, O_CLOEXEC);
    if (fd < 0) {
        fail_path(&r->why, r->path, errno);
        return;
    }
    bool good = write_all(fd, fl_buf_str(&r->bytes)) && fsync(fd) == 0;
    good = good && rename(r->fresh, r->path) == 0;
    if (!good) {
        fail_path(&r->why, r->path, errno);
        unlink(r->fresh);
    } else if (!sync_folder(r)) {
        fail_path(&r->why, r->path, errno);
    }
    close(fd);
}

static void after(uv_work_t *work, int status) {
    struct replacement *r = FL_CONTAINER(work, struct replacement, work);
    FL_ASSERT(status == 0); /* nobody cancels it */
    r->loop->writes--;
    r->done(r->arg, &r->why);
    replacement_free(r);
}

static char *fresh_name(const char *path) {
    size_t size = strlen(path) + sizeof(UNIQUE);
    char *name = fl_alloc(size);
    if (name) snprintf(name, size, "%s" UNIQUE, path);
    return name;
}

int fl_file_write(struct fl_io *io, const char *path, struct fl_buf *bytes,
                  void (*done)(void *arg, const struct fl_error *why), void *arg,
                  struct fl_error *err) {
    struct fl_loop *loop = fl_loop_of(io);
    struct replacement *r = FL_NEW(struct replacement);
    if (!r) goto fail;
    r->bytes = *bytes;
    fl_buf_init(bytes, bytes->max);
    r->loop = loop;
    r->done = done;
    r->arg = arg;
    r->path = fl_strdup(path);
    r->fresh = fresh_name(path);
    if (!r->path || !r->fresh) goto fail;
    int rc = uv_queue_work(loop->uv, &r->work, run, after);
    FL_ASSERT(rc == 0); /* it has a function to run */
    loop->writes++;
    return 0;
fail:
    fl_secret_buf_deinit(bytes);
    replacement_free(r);
    return fl_fail_nomem(err);
}
