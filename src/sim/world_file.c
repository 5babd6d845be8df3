/* world_file.c - the files and the environment that a world's programs see.
 *
 * A write takes effect after a virtual delay, all at once, unless a test has made the path fail.
 * Its place in the table is made when it begins, so that it cannot fail for want of memory later.
 */
#include "base/alloc.h"
#include "sim/net.h"

#define WRITE_US_MIN 100
#define WRITE_US_MAX 5000
#define FILE_MAX     ((size_t)1 << 30)

struct net_file {
    struct fl_list link;
    char *path;
    bool exists; /* else a place for what is being written, or for a fault */
    struct fl_buf bytes;
    enum fl_world_file_fault fault;
};

struct net_write {
    struct fl_list link;
    struct fl_world *world;
    struct net_file *file;
    struct fl_buf bytes;
    struct fl_timer timer;
    void (*done)(void *arg, const struct fl_error *why);
    void *arg;
};

struct net_variable {
    struct fl_list link;
    char *name, *value;
};

static struct fl_world *world_of(struct fl_io *io) { return FL_CONTAINER(io, struct fl_world, io); }

/* --- files --- */

static struct net_file *file_find(const struct fl_world *world, const char *path) {
    FL_LIST_EACH (&world->files, item, next) {
        struct net_file *file = FL_CONTAINER(item, struct net_file, link);
        if (strcmp(file->path, path) == 0) return file;
    }
    return NULL;
}

static struct net_file *file_place(struct fl_world *world, const char *path) {
    struct net_file *file = file_find(world, path);
    if (file) return file;
    file = FL_NEW(struct net_file);
    if (!file) return NULL;
    file->path = fl_strdup(path);
    if (!file->path) {
        fl_free(file);
        return NULL;
    }
    fl_buf_init(&file->bytes, FILE_MAX);
    fl_list_push(&world->files, &file->link);
    return file;
}

static void file_take(struct net_file *file, struct fl_buf *bytes) {
    fl_buf_deinit(&file->bytes);
    file->bytes = *bytes;
    file->exists = true;
    fl_buf_init(bytes, bytes->max);
}

int fl_world_file(struct fl_world *world, const char *path, struct fl_str text) {
    struct fl_buf bytes;
    struct net_file *file = file_place(world, path);
    fl_buf_init(&bytes, FILE_MAX);
    if (!file || fl_buf_append(&bytes, text) < 0) return FL_ENOMEM;
    file_take(file, &bytes);
    return 0;
}

bool fl_world_peek_file(const struct fl_world *world, const char *path, struct fl_str *out) {
    const struct net_file *file = file_find(world, path);
    if (!file || !file->exists) return false;
    *out = fl_buf_str(&file->bytes);
    return true;
}

int fl_world_file_fault(struct fl_world *world, const char *path, enum fl_world_file_fault fault) {
    struct net_file *file = file_place(world, path);
    if (!file) return FL_ENOMEM;
    file->fault = fault;
    return 0;
}

int net_file_read(struct fl_io *io, const char *path, struct fl_buf *out, struct fl_error *err) {
    const struct net_file *file = file_find(world_of(io), path);
    if (!file || !file->exists) return fl_fail(err, FL_ESYS, "%s: no such file or directory", path);
    int rc = fl_buf_append(out, fl_buf_str(&file->bytes));
    if (rc == FL_EFULL) return fl_fail(err, FL_ETOO_LARGE, "%s: too large", path);
    return rc ? fl_fail_nomem(err) : 0;
}

/* --- writing --- */

static void write_free(struct net_write *w) {
    fl_timer_deinit(&w->world->events, &w->timer);
    fl_list_remove(&w->link);
    fl_buf_deinit(&w->bytes);
    fl_free(w);
}

static void finish(struct net_write *w) {
    struct fl_error why = {0};
    net_trace(w->world, NET_WRITE, (uint64_t)w->file->fault, fl_str_of(w->file->path));
    switch (w->file->fault) {
    case FL_WORLD_FILE_OK:
        file_take(w->file, &w->bytes);
        break;
    case FL_WORLD_FILE_UNWRITABLE:
        fl_fail(&why, FL_ESYS, "%s: read-only file system", w->file->path);
        break;
    case FL_WORLD_FILE_TORN:
        fl_fail(&why, FL_ESYS, "%s: interrupted before it was replaced", w->file->path);
        break;
    }
    w->done(w->arg, &why);
    write_free(w);
}

static void run_write(struct fl_timer *timer) {
    finish(FL_CONTAINER(timer, struct net_write, timer));
}

int net_file_write(struct fl_io *io, const char *path, struct fl_buf *bytes,
                   void (*done)(void *arg, const struct fl_error *why), void *arg,
                   struct fl_error *err) {
    struct fl_world *world = world_of(io);
    struct net_write *w = FL_NEW(struct net_write);
    struct net_file *file = file_place(world, path);
    if (!w || !file || fl_timer_init(&world->events, &w->timer, run_write) < 0) {
        fl_buf_deinit(bytes);
        fl_free(w);
        return fl_fail_nomem(err);
    }
    w->world = world;
    w->file = file;
    w->bytes = *bytes;
    w->done = done;
    w->arg = arg;
    fl_buf_init(bytes, bytes->max);
    fl_list_push(&world->writes, &w->link);
    net_schedule(world, &w->timer,
                 world->now_us + WRITE_US_MIN +
                     fl_random_below(&world->random, WRITE_US_MAX - WRITE_US_MIN));
    return 0;
}

/* --- environment --- */

static struct net_variable *variable_find(const struct fl_world *world, const char *name) {
    FL_LIST_EACH (&world->environment, item, next) {
        struct net_variable *variable = FL_CONTAINER(item, struct net_variable, link);
        if (strcmp(variable->name, name) == 0) return variable;
    }
    return NULL;
}

static struct net_variable *variable_place(struct fl_world *world, const char *name) {
    struct net_variable *variable = variable_find(world, name);
    if (variable) return variable;
    variable = FL_NEW(struct net_variable);
    if (!variable) return NULL;
    variable->name = fl_strdup(name);
    if (!variable->name) {
        fl_free(variable);
        return NULL;
    }
    fl_list_push(&world->environment, &variable->link);
    return variable;
}

int fl_world_env(struct fl_world *world, const char *name, const char *value) {
    struct net_variable *variable = variable_place(world, name);
    char *copy = variable ? fl_strdup(value) : NULL;
    if (!copy) return FL_ENOMEM;
    fl_free(variable->value);
    variable->value = copy;
    return 0;
}

const char *net_env(struct fl_io *io, const char *name) {
    const struct net_variable *variable = variable_find(world_of(io), name);
    return variable ? variable->value : NULL;
}

/* --- life --- */

void net_files_init(struct fl_world *world) {
    fl_list_init(&world->files);
    fl_list_init(&world->writes);
    fl_list_init(&world->environment);
}

void net_files_free(struct fl_world *world) {
    while (!fl_list_empty(&world->writes)) {
        finish(FL_CONTAINER(world->writes.next, struct net_write, link));
    }
    FL_LIST_EACH (&world->files, item, next) {
        struct net_file *file = FL_CONTAINER(item, struct net_file, link);
        fl_buf_deinit(&file->bytes);
        fl_free(file->path);
        fl_free(file);
    }
    FL_LIST_EACH (&world->environment, item, next) {
        struct net_variable *variable = FL_CONTAINER(item, struct net_variable, link);
        fl_free(variable->name);
        fl_free(variable->value);
        fl_free(variable);
    }
}
