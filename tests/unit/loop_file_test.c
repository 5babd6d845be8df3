/* loop_file_test.c - small files of the real system: read at once, replaced off the loop. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/alloc.h"
#include "support/loop_peer.h"

struct fixture {
    struct fl_runtime *runtime;
    struct fl_io *io;
    char path[64];
    struct fl_buf out;
    struct fl_error err;
};

static void start(struct fixture *f, const char *text, size_t max) {
    f->runtime = fl_test_loop_new();
    f->io = f->runtime->io;
    strcpy(f->path, "/tmp/loop_file_test.XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    fl_buf_init(&f->out, max);
}

static void end(struct fixture *f) {
    unlink(f->path);
    fl_buf_deinit(&f->out);
    fl_runtime_free(f->runtime);
}

static void test_file(void **state) {
    (void)state;
    struct fixture f;
    start(&f, "token", 5); /* exactly as much as fits */
    assert_int_equal(fl_io_file_read(f.io, f.path, &f.out, &f.err), 0);
    assert_true(fl_str_eq(fl_buf_str(&f.out), FL_STR("token")));
    end(&f);
}

static void test_file_is_appended(void **state) {
    (void)state;
    struct fixture f;
    start(&f, "b", 100);
    assert_int_equal(fl_buf_append(&f.out, FL_STR("a")), 0);
    assert_int_equal(fl_io_file_read(f.io, f.path, &f.out, &f.err), 0);
    assert_true(fl_str_eq(fl_buf_str(&f.out), FL_STR("ab")));
    end(&f);
}

static void test_file_too_large(void **state) {
    (void)state;
    struct fixture f;
    start(&f, "longer", 5);
    assert_int_equal(fl_io_file_read(f.io, f.path, &f.out, &f.err), FL_ETOO_LARGE);
    assert_non_null(strstr(f.err.detail, f.path));
    end(&f);
}

static void test_empty_file(void **state) {
    (void)state;
    struct fixture f;
    start(&f, "", 100);
    assert_int_equal(fl_io_file_read(f.io, f.path, &f.out, &f.err), 0);
    assert_int_equal(f.out.len, 0);
    end(&f);
}

static void test_no_file(void **state) {
    (void)state;
    struct fixture f;
    start(&f, "", 100);
    assert_int_equal(fl_io_file_read(f.io, "/no/such/file", &f.out, &f.err), FL_ESYS);
    assert_string_equal(f.err.detail, "/no/such/file: no such file or directory");
    assert_int_equal(fl_io_file_read(f.io, "/tmp", &f.out, &f.err), FL_ESYS);
    end(&f);
}

static void test_file_without_memory(void **state) {
    (void)state;
    struct fixture f;
    start(&f, "token", 100);
    FL_TEST_EACH_FAILURE(n) {
        int rc = fl_io_file_read(f.io, f.path, &f.out, &f.err);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        fl_buf_deinit(&f.out);
    }
    end(&f);
}

/* --- replacing --- */

struct write {
    struct fixture f;
    char folder[40];
    bool in_call, done;
    int calls;
    struct fl_error why;
};

static void on_done(void *arg, const struct fl_error *why) {
    struct write *w = arg;
    assert_false(w->in_call);
    w->done = true;
    w->calls++;
    w->why = *why;
}

static void write_start(struct write *w) {
    *w = (struct write){0};
    strcpy(w->folder, "/tmp/loop_file_test.XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    w->f.runtime = fl_test_loop_new();
    w->f.io = w->f.runtime->io;
    snprintf(w->f.path, sizeof(w->f.path), "%s/snapshot", w->folder);
    fl_buf_init(&w->f.out, 1 << 20);
}

static void write_end(struct write *w) {
    fl_buf_deinit(&w->f.out);
    if (w->f.runtime) fl_runtime_free(w->f.runtime);
    unlink(w->f.path);
    assert_int_equal(rmdir(w->folder), 0); /* and nothing else was left in it */
}

static int begin(struct write *w, const char *path, const char *text, size_t n) {
    struct fl_buf bytes;
    fl_buf_init(&bytes, 1 << 20);
    assert_int_equal(fl_buf_append(&bytes, fl_str_n(text, n)), 0);
    w->in_call = true;
    w->done = false;
    int rc = fl_io_take_file_write(w->f.io, path, &bytes, on_done, w, &w->f.err);
    w->in_call = false;
    assert_null(bytes.data); /* taken */
    return rc;
}

static void put(struct write *w, const char *text, size_t n) {
    assert_int_equal(begin(w, w->f.path, text, n), 0);
    fl_test_loop_until_true(w->f.runtime, &w->done);
    assert_int_equal(w->why.code, FL_OK);
    assert_int_equal(fl_io_file_read(w->f.io, w->f.path, &w->f.out, &w->f.err), 0);
    assert_true(fl_str_eq(fl_buf_str(&w->f.out), fl_str_n(text, n)));
    fl_buf_truncate(&w->f.out, 0);
}

static void test_file_is_replaced(void **state) {
    (void)state;
    struct write w;
    struct stat info;
    write_start(&w);
    put(&w, "first\0binary", 12);
    put(&w, "second", 6);
    put(&w, "", 0);
    assert_int_equal(w.calls, 3);
    assert_int_equal(stat(w.f.path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    write_end(&w);
}

/* Who has the old file open keeps it whole: it is not written over. */
static void test_old_file_is_not_touched(void **state) {
    (void)state;
    struct write w;
    char got[8] = "";
    write_start(&w);
    put(&w, "old", 3);
    int fd = open(w.f.path, O_RDONLY);
    put(&w, "new!", 4);
    assert_int_equal(read(fd, got, sizeof(got)), 3);
    assert_string_equal(got, "old");
    close(fd);
    write_end(&w);
}

static void refuse(struct write *w, const char *path, const char *words) {
    assert_int_equal(begin(w, path, "x", 1), 0);
    fl_test_loop_until_true(w->f.runtime, &w->done);
    assert_int_equal(w->why.code, FL_ESYS);
    assert_non_null(strstr(w->why.detail, path));
    assert_non_null(strstr(w->why.detail, words));
}

static void test_write_fails(void **state) {
    (void)state;
    struct write w;
    char path[128];
    write_start(&w);
    refuse(&w, "/no/such/folder/file", "no such file or directory");
    snprintf(path, sizeof(path), "%s/folder", w.folder);
    assert_int_equal(mkdir(path, 0700), 0);
    refuse(&w, path, "on a directory"); /* and what was begun is removed: see write_end */
    rmdir(path);
    write_end(&w);
}

static void test_free_waits_for_the_write(void **state) {
    (void)state;
    struct write w;
    write_start(&w);
    assert_int_equal(begin(&w, w.f.path, "kept", 4), 0);
    fl_runtime_free(w.f.runtime);
    w.f.runtime = NULL;
    assert_int_equal(w.calls, 1);
    assert_int_equal(w.why.code, FL_OK);
    write_end(&w);
}

static void test_write_without_memory(void **state) {
    (void)state;
    struct write w;
    write_start(&w);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_buf bytes;
        fl_buf_init(&bytes, 100);
        int rc = fl_buf_append(&bytes, FL_STR("token"));
        w.done = rc < 0;
        if (rc == 0) {
            rc = fl_io_take_file_write(w.f.io, w.f.path, &bytes, on_done, &w, &w.f.err);
            assert_true(rc == 0 || rc == FL_ENOMEM);
            w.done = rc < 0;
            assert_null(bytes.data);
        }
        fl_test_loop_until_true(w.f.runtime, &w.done);
    }
    write_end(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_is_appended),
        cmocka_unit_test(test_file_too_large),
        cmocka_unit_test(test_empty_file),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_file_without_memory),
        cmocka_unit_test(test_file_is_replaced),
        cmocka_unit_test(test_old_file_is_not_touched),
        cmocka_unit_test(test_write_fails),
        cmocka_unit_test(test_free_waits_for_the_write),
        cmocka_unit_test(test_write_without_memory),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
