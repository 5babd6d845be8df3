/* config_bed.c - see config_bed.h. */
#include "support/config_bed.h"

void setup(struct config_bed *f) {
    const struct fl_world_options options = {.seed = 1};
    assert_int_equal(fl_world_new(&options, &f->world), FL_OK);
}

void teardown(struct config_bed *f) {
    fl_kube_config_deinit(&f->config);
    fl_world_free(f->world);
}

void file(struct config_bed *f, const char *path, const char *text) {
    assert_int_equal(fl_world_file(f->world, path, fl_str_of(text)), FL_OK);
}

void env(struct config_bed *f, const char *name, const char *value) {
    assert_int_equal(fl_world_env(f->world, name, value), FL_OK);
}

int load(struct config_bed *f, const char *path, const char *context) {
    const struct fl_kube_config_options options = {.kubeconfig = path, .context = context};
    f->err = (struct fl_error){.code = FL_OK};
    int rc = fl_kube_config_load(fl_world_io(f->world), &options, &f->config, &f->err);
    assert_int_equal(rc, f->err.code);
    return rc;
}

void expect_refused(const char *text, const char *context, const char *what) {
    struct config_bed f;
    setup(&f);
    file(&f, "/k/config", text);
    assert_int_equal(load(&f, "/k/config", context), FL_ECONFIG);
    if (!strstr(f.err.detail, what)) fail_msg("\"%s\" is not in: %s", what, f.err.detail);
    assert_non_null(strstr(f.err.detail, "/k/config"));
    assert_null(strstr(f.err.detail, "s3cret"));
    teardown(&f);
}
